/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables in memory: columns of numbers or of levels, from R's data frames and from CSV; and as numbers that a model takes. */
#ifndef AT_DATA_TABLES_FRAME_H
#define AT_DATA_TABLES_FRAME_H

#include "data/tables/rdata.h"

typedef struct at_column {
  char *name;
  double *number; /* [rows], NaN: not available; NULL where there are levels */
  int32_t *code;  /* [rows], -1: not available; else a level from 0 */
  char **level;   /* [n_levels] */
  int64_t n_levels;
} at_column;

/* Zero-initialise before use. */
typedef struct at_frame {
  int64_t rows, n;
  at_column *column; /* [n] */
  void *parts;       /* memory of names, values, levels */
} at_frame;

/* From a data frame of R, or from a list of matrices and vectors of equal length, whose matrices become columns. */
at_err at_frame_from_r(at_frame *f, const char *path, const at_r *value);
/* From CSV, gzipped or not: separated by commas, semicolons or tabs, texts in quotes or not; with a line of names where the first line has
 * a cell that is no number while the second has a number there, else the columns are called V1, V2, ...  A column is of numbers if all
 * cells but empty ones, NA and ? are. */
at_err at_frame_from_csv(at_frame *f, const char *path);
void at_frame_free(at_frame *f);
int64_t at_frame_find(const at_frame *f, const char *name); /* a column, -1: there is none */

/* How a frame becomes inputs: numbers with mean 0 and deviation 1, levels as one number each that is 0 or 1; what is not available is
 * 0.  Columns named in `skip` (of n_skip) are left out. */
typedef struct at_features {
  int64_t width;        /* numbers per row */
  double *mean, *scale; /* [columns] */
  bool *skip;           /* [columns] */
} at_features;
at_err at_features_create(at_features *out, const at_frame *f, const int64_t *skip, int n_skip);
void at_features_free(at_features *x);
void at_features_row(const at_features *x, const at_frame *f, int64_t row, float *out); /* out[width] */

#endif
