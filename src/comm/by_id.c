/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of doubles by client: gathered in ascending client, so that their sums do not depend on the ranks. */
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/comm/exact.h"

typedef struct place {
  int64_t id, row; /* client, and its row in the gathered order */
} place;

static int by_id(const void *a, const void *b) {
  const place *x = a;
  const place *y = b;
  return x->id < y->id ? -1 : x->id > y->id;
}

/* All that a gather needs, allocated before anybody is waited for: what follows cannot fail on one rank alone. */
typedef struct table {
  int64_t *counts, *bytes; /* [ranks] */
  int64_t *ids, *ids_sorted;
  double *rows, *rows_sorted;
  place *places;
} table;

static at_err table_alloc(table *t, int64_t n, int width) {
  size_t cells = (size_t)n * (size_t)width;
  AT_TRY(at_alloc(&t->ids, (size_t)n, sizeof *t->ids, "gathered clients"));
  AT_TRY(at_alloc(&t->ids_sorted, (size_t)n, sizeof *t->ids_sorted, "gathered clients"));
  AT_TRY(at_alloc(&t->rows, cells, sizeof *t->rows, "gathered rows"));
  AT_TRY(at_alloc(&t->rows_sorted, cells, sizeof *t->rows_sorted, "gathered rows"));
  AT_TRY(at_alloc(&t->places, (size_t)n, sizeof *t->places, "gathered clients"));
  return AT_OK;
}

/* out = everybody's blocks of counts[r] * width elements of 8 bytes. */
static at_err collect(at_comm *c, table *t, int64_t width, const void *own, void *out) {
  for (int r = 0; r < at_comm_size(c); r++) {
    t->bytes[r] = t->counts[r] * width * 8;
  }
  return at_comm_allgatherv(c, own, out, t->bytes);
}

/* Order ids[n] and rows[n][width] by client. */
static at_err order(table *t, int64_t n, int width) {
  place *p = t->places;
  for (int64_t i = 0; i < n; i++) {
    p[i] = (place){t->ids[i], i};
  }
  qsort(p, (size_t)n, sizeof *p, by_id);
  for (int64_t i = 0; i < n; i++) {
    t->ids_sorted[i] = p[i].id;
    memcpy(t->rows_sorted + i * width, t->rows + p[i].row * width, (size_t)width * sizeof *t->rows);
    if (i > 0 && p[i].id == p[i - 1].id) {
      return AT_FAIL(AT_ERR_ARG, "client %lld was given twice", (long long)p[i].id);
    }
  }
  return AT_OK;
}

static at_err gather(at_comm *c, int64_t n_local, const int64_t *ids, int width, const double *rows, table *t,
                     int64_t *n_out) {
  at_err err = at_alloc(&t->counts, 2 * (size_t)at_comm_size(c), sizeof *t->counts, "gather counts");
  AT_TRY(at_comm_agree(c, err));
  t->bytes = t->counts + at_comm_size(c);
  AT_TRY(at_comm_allgather_i64(c, n_local, t->counts));
  int64_t n = 0;
  for (int r = 0; r < at_comm_size(c); r++) {
    n += t->counts[r];
  }
  AT_TRY(at_comm_agree(c, table_alloc(t, n, width)));
  AT_TRY(collect(c, t, 1, ids, t->ids));
  AT_TRY(collect(c, t, width, rows, t->rows));
  *n_out = n;
  return order(t, n, width);
}

at_err at_comm_gather_by_id(at_comm *c, int64_t n_local, const int64_t *ids, int width, const double *rows,
                            int64_t *n_out, int64_t **ids_out, double **rows_out) {
  table t = {0};
  *n_out = 0;
  *ids_out = NULL;
  *rows_out = NULL;
  at_err err = gather(c, n_local, ids, width, rows, &t, n_out);
  at_free(t.counts);
  at_free(t.ids);
  at_free(t.rows);
  at_free(t.places);
  if (err != AT_OK) {
    at_free(t.ids_sorted);
    at_free(t.rows_sorted);
    return at_err_trace(err, __FILE__, __LINE__);
  }
  *ids_out = t.ids_sorted;
  *rows_out = t.rows_sorted;
  return AT_OK;
}

at_err at_comm_sum_by_id(at_comm *c, int64_t n_local, const int64_t *ids, int width, const double *rows, double *sum) {
  int64_t n = 0;
  int64_t *all_ids = NULL;
  double *all_rows = NULL;
  AT_TRY(at_comm_gather_by_id(c, n_local, ids, width, rows, &n, &all_ids, &all_rows));
  memset(sum, 0, (size_t)width * sizeof *sum);
  for (int64_t i = 0; i < n; i++) {
    for (int j = 0; j < width; j++) {
      sum[j] += all_rows[i * width + j];
    }
  }
  at_free(all_ids);
  at_free(all_rows);
  return AT_OK;
}
