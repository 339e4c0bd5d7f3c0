/* SPDX-License-Identifier: BSD-3-Clause */
/* Which clients take part in a round. */
#include "src/fed/draw.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"

const char *const at_draw_names[] = {
#define X(name) #name,
    AT_DRAWS(X)
#undef X
        NULL};

static at_stream stream_of(const at_draw *d, int64_t round) {
  return (at_stream){.seed = d->seed, .purpose = AT_RNG_SAMPLING, .round = (uint64_t)round};
}

static int by_value(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* ---- weighted: successive draws without replacement, by one of two ways to the same distribution ---- */

typedef struct key {
  double value;
  int64_t id;
} key;

static int by_key(const void *a, const void *b) {
  const key *x = a, *y = b;
  int order = (x->value > y->value) - (x->value < y->value);
  return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

/* The smallest of exponential variates with the weights as rates (Efraimidis and Spirakis 2006): for large shares. */
static at_err draw_by_keys(const at_draw *d, const at_stream *s, int64_t n, int64_t *ids) {
  key *keys;
  AT_TRY(at_alloc(&keys, (size_t)d->clients, sizeof *keys, "sampling keys"));
  for (int64_t i = 0; i < d->clients; i++) {
    double weight = (double)at_partition_size(d->training, i);
    keys[i] = (key){-log1p(-at_rng_uniform(s, (uint64_t)i)) / weight, i};
  }
  qsort(keys, (size_t)d->clients, sizeof *keys, by_key);
  for (int64_t i = 0; i < n; i++) {
    ids[i] = keys[i].id;
  }
  at_free(keys);
  return AT_OK;
}

/* Remembers numbers that were drawn: open addressing, at most half full; -1 is free. */
static bool insert(int64_t *table, int64_t mask, int64_t id) {
  int64_t at = (int64_t)((uint64_t)id * UINT64_C(0x9E3779B97F4A7C15) >> 20) & mask;
  while (table[at] != -1) {
    if (table[at] == id) {
      return false;
    }
    at = (at + 1) & mask;
  }
  table[at] = id;
  return true;
}

/* Propose uniformly, accept in proportion to the weight, leave out repetitions: for small shares of many clients. */
static at_err draw_by_rejection(const at_draw *d, const at_stream *s, int64_t n, int64_t *ids) {
  int64_t size = 16, *table, have = 0;
  double most = (double)at_partition_max_size(d->training);
  while (size < 2 * n) {
    size *= 2;
  }
  AT_TRY(at_alloc(&table, (size_t)size, sizeof *table, "sampled clients"));
  for (int64_t i = 0; i < size; i++) {
    table[i] = -1;
  }
  at_stream draw = *s;
  while (have < n) {
    int64_t id = (int64_t)at_rng_below(&draw, 0, (uint64_t)d->clients);
    double u = at_rng_uniform(&draw, 64) * most;
    if (u < (double)at_partition_size(d->training, id) && insert(table, size - 1, id)) {
      ids[have++] = id;
    }
    draw.step++;
  }
  at_free(table);
  return AT_OK;
}

static at_err draw_weighted(const at_draw *d, const at_stream *s, int64_t n, int64_t *ids) {
  return 4 * n > d->clients ? draw_by_keys(d, s, n, ids) : draw_by_rejection(d, s, n, ids);
}

/* ---- the others ---- */

static at_err draw_uniform(const at_draw *d, const at_stream *s, int64_t n, int64_t *ids) {
  at_rng_choose(s, d->clients, n, ids);
  return AT_OK;
}

/* Rounds in which all clients have their turn. */
static int64_t cycle(const at_draw *d) {
  return (d->clients + d->per_round - 1) / d->per_round;
}

static at_err draw_cyclic(const at_draw *d, const at_stream *s, int64_t n, int64_t *ids) {
  int64_t round = (int64_t)s->round;
  at_stream order = stream_of(d, round / cycle(d));
  int64_t first = round % cycle(d) * d->per_round;
  for (int64_t i = 0; i < n; i++) {
    ids[i] = (int64_t)at_rng_permute(&order, (uint64_t)d->clients, (uint64_t)(first + i));
  }
  return AT_OK;
}

/* How many: known beforehand, but for poisson. */
static at_err count(const at_draw *d, const at_stream *s, int64_t *n) {
  *n = d->per_round;
  if (d->kind == AT_DRAW_cyclic) {
    int64_t left = d->clients - (int64_t)s->round % cycle(d) * d->per_round;
    *n = left < d->per_round ? left : d->per_round;
  }
  if (d->kind == AT_DRAW_poisson) {
    at_stream size = *s;
    size.step = 1;
    gsl_rng *rng = at_rng_gsl(&size);
    if (rng == NULL) {
      return AT_FAIL(AT_ERR_MEMORY, "no memory for a random stream");
    }
    *n = gsl_ran_binomial(rng, (double)d->per_round / (double)d->clients, (unsigned)d->clients);
    gsl_rng_free(rng);
  }
  return AT_OK;
}

at_err at_draw_round(const at_draw *d, int64_t round, int64_t *n, int64_t **ids) {
  static at_err (*const rule[AT_DRAW_COUNT])(const at_draw *, const at_stream *, int64_t, int64_t *) = {
      [AT_DRAW_uniform] = draw_uniform,
      [AT_DRAW_weighted] = draw_weighted,
      [AT_DRAW_cyclic] = draw_cyclic,
      [AT_DRAW_poisson] = draw_uniform, /* given their number, all sets are alike */
  };
  at_stream s = stream_of(d, round);
  *ids = NULL;
  AT_TRY(count(d, &s, n));
  AT_TRY(at_alloc(ids, (size_t)*n, sizeof **ids, "sampled clients"));
  at_err err = rule[d->kind](d, &s, *n, *ids);
  if (err != AT_OK) {
    at_free(*ids);
    *ids = NULL;
    return err;
  }
  qsort(*ids, (size_t)*n, sizeof **ids, by_value);
  return AT_OK;
}
