/* SPDX-License-Identifier: BSD-3-Clause */
/* What finding and reading examples share. */
#ifndef AT_DATA_EXAMPLES_EXAMPLES_INTERNAL_H
#define AT_DATA_EXAMPLES_EXAMPLES_INTERNAL_H

#include "data/examples/examples.h"

enum { AT_EXAMPLE_PATH = 1024 };

typedef struct at_example_split {
  int64_t *first; /* [n_clients + 1]: row number of a client's first example */
  int32_t *label; /* [total] in classification */
  float *value;   /* [total] in regression */
  void *held;     /* [total][inputs] of held_type, once held */
} at_example_split;

struct at_examples {
  at_h5 *file[2]; /* the second, or NULL, holds the test split */
  char **client;  /* [n_clients], ascending bytewise, pointing into names */
  char *names;
  int64_t n_clients;
  at_example_task task;
  at_example_split split[AT_SPLIT_COUNT];
  at_h5_type held_type;
};

/* Where the field of a client's split is stored. */
at_err at_examples_field(at_examples *e, at_split split, int64_t client, const char *field, at_h5 **f,
                         char path[AT_EXAMPLE_PATH]);
/* Fill client, task (but for the classes a file does not name) and first. */
at_err at_examples_index(at_examples *e);
/* Fill label or value, and task.classes. */
at_err at_examples_load_targets(at_examples *e);

#endif
