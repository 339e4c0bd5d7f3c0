/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading data sets of labelled examples: the clients, splits and rows that a federation trains and tests on.
 *
 * Reads what `atoll data` writes (data/examples/build.h), and the HDF5 files of TensorFlow Federated as they are: those have a
 * file for training and one for testing, /examples/<client>/<field> in each, and say nothing else.  Without attributes the input
 * is the field pixels, image, x, features or spectrogram, and the target label, labels or y.  Input stored in u8 is divided by
 * 255; everything else is read as it is.
 *
 * The rows of a split are numbered 0 .. total - 1, client after client in ascending byte order of their names: a row number names an
 * example.  Targets of all splits are in memory from the start, inputs only after at_examples_hold.  Nothing is collective:
 * each rank opens the file for itself. */
#ifndef AT_DATA_EXAMPLES_EXAMPLES_H
#define AT_DATA_EXAMPLES_EXAMPLES_H

#include "data/dataset.h"

enum { AT_EXAMPLE_DIMS = 3, AT_FIELD_NAME = 64 };

/* What a model must take and give. */
typedef struct at_example_task {
  int ndims;                     /* of one input; 0: a single number */
  int64_t dims[AT_EXAMPLE_DIMS]; /* [h][w], [h][w][channels], [features], ... */
  int64_t inputs;                /* numbers per input: the product */
  int64_t classes;               /* labels are 0 .. classes - 1; 0: targets are numbers (regression) */
  at_h5_type stored;             /* type of the input as stored */
  char input[AT_FIELD_NAME], target[AT_FIELD_NAME]; /* names of the fields */
} at_example_task;

typedef struct at_examples at_examples; /* opaque */

/* test: a second file whose /examples are the test split of the clients of the same names, NULL or "" for none.
 * AT_ERR_FILE: not there.  AT_ERR_FORMAT: no client, no field to learn from, clients whose shapes differ, labels outside of the classes
 * (names file, client and row). */
at_err at_examples_open(at_examples **out, const char *path, const char *test);
void at_examples_close(at_examples *e); /* accepts NULL */

const at_example_task *at_examples_task(const at_examples *e);
const char *at_examples_path(const at_examples *e);
/* Clients of any split: one that is only tested on has no rows of training. */
int64_t at_examples_clients(const at_examples *e);
const char *at_examples_client(const at_examples *e, int64_t client); /* valid until close */
int64_t at_examples_find(const at_examples *e, const char *name);     /* its number, -1 if there is none */
int64_t at_examples_total(const at_examples *e, at_split split);
int64_t at_examples_first(const at_examples *e, at_split split, int64_t client); /* row number of its first */
int64_t at_examples_rows(const at_examples *e, at_split split, int64_t client);  /* how many it has */
/* The client that has row `row`. */
int64_t at_examples_owner(const at_examples *e, at_split split, int64_t row);

/* All targets of a split, [total]; valid until close.  Labels are NULL in regression, targets in classification. */
const int32_t *at_examples_labels(const at_examples *e, at_split split);
const float *at_examples_targets(const at_examples *e, at_split split);

/* Read all inputs into memory, in the type they are stored in, so that reading is copying.  AT_ERR_CONFIG when that takes more than
 * `most` bytes (0: no limit); reading from the file still works then. */
at_err at_examples_hold(at_examples *e, int64_t most);
int64_t at_examples_bytes(const at_examples *e); /* memory it holds */

/* x[n][inputs], and label[n] or target[n] (NULL where not wanted) <- rows row0 .. row0 + n - 1, which may be of several
 * clients.  AT_ERR_ARG when they are not all there. */
at_err at_examples_read(at_examples *e, at_split split, int64_t row0, int64_t n, float *x, int32_t *label,
                        float *target);
/* The same for any rows, in the order given. */
at_err at_examples_gather(at_examples *e, at_split split, int64_t n, const int64_t *row, float *x, int32_t *label,
                          float *target);

#endif
