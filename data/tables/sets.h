/* SPDX-License-Identifier: BSD-3-Clause */
/* The tables that are in Debian packages: one row each. */
#ifndef AT_DATA_TABLES_SETS_H
#define AT_DATA_TABLES_SETS_H

#include "data/examples/build.h"
#include "data/examples/split.h"
#include "data/tables/frame.h"

typedef struct at_table_row {
  const char *name, *help;
  const char *package, *path; /* of the file in the package */
  const char *object;         /* in R's files */
  const char *target;         /* column to be predicted; NULL: ratings (see at_ratings_make) */
  const char *client;         /* column whose values are clients; NULL: one client, for a partitioner to divide */
  const char *skip;           /* a column to be left out, or NULL */
} at_table_row;
extern const at_table_row at_table_rows[]; /* ends with name == NULL */

/* A frame as clients: the values of a column, or one client. */
typedef struct at_table {
  at_frame frame;
  at_features features;
  int64_t target, client; /* columns; client -1: one client */
  at_split_rule rule;
  at_field field[2];
  int64_t n_units;
  double *value; /* [n_units], owned: values of a client column of numbers, ascending */
  bool is_rating;
  int64_t item; /* ratings: the column of items, whose different values in ascending order are numbered */
  double *items;
  int64_t n_items;
} at_table;

/* From the frame that is there.  Names of columns; client may be "" or NULL, skip NULL. */
at_err at_table_set_up(at_table *t, const char *path, const char *target, const char *client, const char *skip);
/* Ratings: clients are the values of `user`, inputs numbers of the values of `item`, targets the values of `rating`. */
at_err at_table_set_up_ratings(at_table *t, const char *path, const char *user, const char *item, const char *rating);
int64_t at_table_classes(const at_table *t);                /* 0: regression */
const char *const *at_table_class_names(const at_table *t); /* NULL: regression */
at_err at_table_make(void *table, int64_t unit, at_block *out);
void at_table_free(at_table *t);

#endif
