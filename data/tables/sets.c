/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames as clients with examples. */
#include "data/tables/sets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"

static at_err find_column(const at_table *t, const char *path, const char *name, int64_t *out) {
  *out = at_frame_find(&t->frame, name);
  return *out >= 0
             ? AT_OK
             : AT_FAIL(AT_ERR_CONFIG, "%s: has no column '%s'; its first of %lld is '%s', its last '%s'", path, name,
                       (long long)t->frame.n, t->frame.column[0].name, t->frame.column[t->frame.n - 1].name);
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The different values of a column of numbers, ascending. */
static at_err distinct(const at_frame *f, int64_t column, double **out, int64_t *n) {
  const double *v = f->column[column].number;
  AT_TRY(at_alloc(out, (size_t)f->rows, sizeof **out, "values of a column"));
  int64_t all = 0;
  for (int64_t i = 0; i < f->rows; i++) {
    if (isfinite(v[i])) {
      (*out)[all++] = v[i];
    }
  }
  qsort(*out, (size_t)all, sizeof **out, ascending);
  *n = 0;
  for (int64_t i = 0; i < all; i++) {
    if (i == 0 || (*out)[i] != (*out)[*n - 1]) {
      (*out)[(*n)++] = (*out)[i];
    }
  }
  return AT_OK;
}

static at_err find_clients(at_table *t) {
  const at_column *c = &t->frame.column[t->client];
  if (c->number != NULL) {
    return distinct(&t->frame, t->client, &t->value, &t->n_units);
  }
  t->n_units = c->n_levels;
  return AT_OK;
}

at_err at_table_set_up(at_table *t, const char *path, const char *target, const char *client, const char *skip) {
  int64_t out[3] = {-1, -1, -1};
  AT_TRY(find_column(t, path, target, &t->target));
  t->client = -1;
  t->n_units = 1;
  if (client != NULL && client[0] != 0) {
    AT_TRY(find_column(t, path, client, &t->client));
    AT_TRY(find_clients(t));
  }
  if (skip != NULL) {
    AT_TRY(find_column(t, path, skip, &out[2]));
  }
  out[0] = t->target;
  out[1] = t->client;
  AT_TRY(at_features_create(&t->features, &t->frame, out, 3));
  if (t->features.width == 0) {
    return AT_FAIL(AT_ERR_CONFIG, "%s: no column is left to predict '%s' from", path, target);
  }
  t->field[0] = (at_field){.name = "features",
                           .type = AT_H5_F32,
                           .ndims = 1,
                           .dims = {t->features.width},
                           .units = "1",
                           .description = "Columns: numbers with mean 0 and deviation 1, a 0 or 1 for each level."};
  const bool numbers = at_table_classes(t) == 0;
  t->field[1] =
      (at_field){.name = numbers ? "target" : "label",
                 .type = numbers ? AT_H5_F32 : AT_H5_I32,
                 .units = "1",
                 .description = numbers ? "The number to be predicted." : "The class, a row of /class_names."};
  return AT_OK;
}

at_err at_table_set_up_ratings(at_table *t, const char *path, const char *user, const char *item, const char *rating) {
  AT_TRY(find_column(t, path, rating, &t->target));
  AT_TRY(find_column(t, path, user, &t->client));
  AT_TRY(find_column(t, path, item, &t->item));
  const at_column *c = t->frame.column;
  if (c[t->target].number == NULL || c[t->client].number == NULL || c[t->item].number == NULL) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: %s, %s and %s must be numbers", path, user, item, rating);
  }
  AT_TRY(find_clients(t));
  AT_TRY(distinct(&t->frame, t->item, &t->items, &t->n_items));
  t->is_rating = true;
  t->field[0] = (at_field){
      .name = "item", .type = AT_H5_I32, .units = "1", .description = "What was rated: numbers from 0 to items - 1."};
  t->field[1] = (at_field){.name = "rating", .type = AT_H5_F32, .units = "1", .description = "How it was rated."};
  return AT_OK;
}

int64_t at_table_classes(const at_table *t) {
  return t->frame.column[t->target].n_levels;
}

const char *const *at_table_class_names(const at_table *t) {
  return (const char *const *)t->frame.column[t->target].level;
}

static bool is_of(const at_table *t, int64_t row, int64_t unit) {
  if (t->client < 0) {
    return true;
  }
  const at_column *c = &t->frame.column[t->client];
  return c->number != NULL ? c->number[row] == t->value[unit] : c->code[row] == unit;
}

static void put_row(const at_table *t, int64_t row, at_split split, float *x, at_block *out) {
  const at_column *y = &t->frame.column[t->target];
  if (t->is_rating) {
    const double *at =
        bsearch(&t->frame.column[t->item].number[row], t->items, (size_t)t->n_items, sizeof *at, ascending);
    if (at == NULL) {
      return; /* the item is not known */
    }
    const int32_t item = (int32_t)(at - t->items);
    at_block_put(out, split, 0, &item);
  } else {
    at_features_row(&t->features, &t->frame, row, x);
    at_block_put(out, split, 0, x);
  }
  if (y->number != NULL) {
    const float v = (float)y->number[row];
    at_block_put(out, split, 1, &v);
  } else {
    at_block_put(out, split, 1, &y->code[row]);
  }
}

static void name_client(const at_table *t, int64_t unit, at_block *out) {
  if (t->client < 0) {
    at_block_name(out, "all");
  } else if (t->frame.column[t->client].number != NULL) {
    at_block_name(out, "%s_%06.0f", t->frame.column[t->client].name, t->value[unit]);
  } else {
    at_block_name(out, "%s", t->frame.column[t->client].level[unit]);
  }
}

/* Rows whose target is not available are left out. */
at_err at_table_make(void *table, int64_t unit, at_block *out) {
  const at_table *t = table;
  const at_column *y = &t->frame.column[t->target];
  float *x = NULL;
  AT_TRY(at_alloc(&x, (size_t)t->features.width + 1, sizeof *x, "features"));
  name_client(t, unit, out);
  int64_t number = 0;
  for (int64_t i = 0; i < t->frame.rows; i++) {
    const bool known = y->number != NULL ? isfinite(y->number[i]) : y->code[i] >= 0;
    if (known && is_of(t, i, unit)) {
      put_row(t, i, at_split_draw(&t->rule, out->name, (uint64_t)number++), x, out);
    }
  }
  at_free(x);
  return AT_OK;
}

void at_table_free(at_table *t) {
  at_frame_free(&t->frame);
  at_features_free(&t->features);
  at_free(t->value);
  at_free(t->items);
}
