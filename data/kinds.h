/* SPDX-License-Identifier: BSD-3-Clause */
/* The kinds of federated data sets that `atoll data KIND OUT.h5 [key=value ...]` builds: one row each. */
#ifndef AT_DATA_KINDS_H
#define AT_DATA_KINDS_H

#include <stdio.h>

#include "src/base/log.h"
#include "src/base/status.h"
#include "src/comm/comm.h"

typedef struct at_data_args {
  at_comm *world;  /* borrowed */
  at_log *log;     /* borrowed; may be NULL */
  const char *out; /* path of the file to write */
  int n_assignments;
  const char *const *assignments; /* "key=value" */
  const char *isa;                /* for the provenance: name of the instruction set; NULL: no provenance is written */
  int threads;
} at_data_args;

typedef struct at_data_kind {
  const char *name, *help;                 /* one sentence */
  at_err (*run)(const at_data_args *args); /* collective; all ranks return the same code */
  at_err (*print_help)(FILE *out);         /* the keys it takes */
} at_data_kind;

at_err at_data_glyphs_run(const at_data_args *args);
at_err at_data_glyphs_help(FILE *out);
at_err at_data_table_run(const at_data_args *args);
at_err at_data_table_help(FILE *out);
at_err at_data_digits_run(const at_data_args *args);
at_err at_data_digits_help(FILE *out);
at_err at_data_photos_run(const at_data_args *args);
at_err at_data_photos_help(FILE *out);
at_err at_data_files_run(const at_data_args *args);
at_err at_data_files_help(FILE *out);

extern const at_data_kind at_data_kinds[];               /* ends with name == NULL */
const at_data_kind *at_data_kind_find(const char *name); /* NULL when there is none */

#endif
