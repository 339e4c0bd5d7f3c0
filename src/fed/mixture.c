/* SPDX-License-Identifier: BSD-3-Clause */
/* Dirichlet mixtures of silos. */
#include "src/fed/mixture.h"

#include <math.h>

#include "data/partition/partition_internal.h"
#include "src/base/alloc.h"
#include "src/base/rng.h"

/* What a stream of purpose PARTITION is for, apart from those of data/partition: `round` of the stream. */
enum { DRAW_WEIGHT = 101, DRAW_ORDER = 102 };

/* weight[silos] adds up to one. */
static void draw_weights(uint64_t seed, double alpha, int64_t client, int64_t n, double *weight) {
  double most = -INFINITY, sum = 0;
  for (int64_t s = 0; s < n; s++) {
    const at_stream draw = {.seed = seed,
                            .purpose = AT_RNG_PARTITION,
                            .client = (uint64_t)client,
                            .round = DRAW_WEIGHT,
                            .step = (uint64_t)s};
    weight[s] = at_part_log_gamma(&draw, alpha);
    most = fmax(most, weight[s]);
  }
  for (int64_t s = 0; s < n; s++) {
    weight[s] = exp(weight[s] - most);
    sum += weight[s];
  }
  for (int64_t s = 0; s < n; s++) {
    weight[s] /= sum;
  }
}

/* Whole parts first, what is left of the block to the largest remainders. */
static void round_weights(int64_t n, double *weight, int32_t *count) {
  int64_t left = AT_MIXTURE_BLOCK;
  for (int64_t s = 0; s < n; s++) {
    double exact = weight[s] * AT_MIXTURE_BLOCK;
    count[s] = (int32_t)floor(exact);
    weight[s] = exact - count[s];
    left -= count[s];
  }
  for (; left > 0; left--) {
    int64_t best = 0;
    for (int64_t s = 1; s < n; s++) {
      best = weight[s] > weight[best] ? s : best;
    }
    count[best]++;
    weight[best] = -1;
  }
}

static at_err fill(at_mixture *m, uint64_t seed, double alpha) {
  double *weight = NULL;
  AT_TRY(at_alloc(&weight, (size_t)m->n_silos, sizeof *weight, "weights of silos"));
  for (int64_t k = 0; k < m->n_clients; k++) {
    int32_t *count = m->count + k * m->n_silos;
    draw_weights(seed, alpha, k, m->n_silos, weight);
    round_weights(m->n_silos, weight, count);
    for (int64_t s = 0; s < m->n_silos; s++) {
      m->before[k * m->n_silos + s] = m->total[s];
      m->total[s] += count[s];
    }
  }
  at_free(weight);
  return AT_OK;
}

at_err at_mixture_create(at_mixture **out, uint64_t seed, double alpha, int64_t n_clients, int64_t n_silos) {
  *out = NULL;
  if (n_silos > AT_MIXTURE_BLOCK) {
    return AT_FAIL(AT_ERR_CONFIG, "a mixture of %lld silos: at most %d", (long long)n_silos, AT_MIXTURE_BLOCK);
  }
  at_mixture *m = NULL;
  size_t cells = (size_t)(n_clients * n_silos);
  AT_TRY(at_alloc(&m, 1, sizeof *m, "mixtures"));
  m->n_clients = n_clients;
  m->n_silos = n_silos;
  at_err err = at_alloc(&m->count, cells, sizeof *m->count, "mixtures");
  err = err == AT_OK ? at_alloc(&m->before, cells, sizeof *m->before, "mixtures") : err;
  err = err == AT_OK ? at_alloc(&m->total, (size_t)n_silos, sizeof *m->total, "mixtures") : err;
  err = err == AT_OK ? fill(m, seed, alpha) : err;
  if (err != AT_OK) {
    at_mixture_destroy(m);
    return err;
  }
  *out = m;
  return AT_OK;
}

void at_mixture_destroy(at_mixture *m) {
  if (m == NULL) {
    return;
  }
  at_free(m->count);
  at_free(m->before);
  at_free(m->total);
  at_free(m);
}

int64_t at_mixture_bytes(const at_mixture *m) {
  return m->n_clients * m->n_silos * (int64_t)(sizeof *m->count + sizeof *m->before) +
         m->n_silos * (int64_t)sizeof *m->total;
}

int64_t at_mixture_silo(const at_mixture *m, uint64_t seed, int64_t client, int64_t cursor, int64_t *number) {
  const int32_t *count = m->count + client * m->n_silos;
  const int64_t block = cursor / AT_MIXTURE_BLOCK;
  const at_stream order = {.seed = seed,
                           .purpose = AT_RNG_PARTITION,
                           .client = (uint64_t)client,
                           .round = DRAW_ORDER,
                           .step = (uint64_t)block};
  int64_t slot = (int64_t)at_rng_permute(&order, AT_MIXTURE_BLOCK, (uint64_t)(cursor % AT_MIXTURE_BLOCK)), silo = 0;
  while (slot >= count[silo]) {
    slot -= count[silo++];
  }
  *number = block * count[silo] + slot;
  return silo;
}

int64_t at_mixture_part(const at_mixture *m, int64_t client, int64_t silo, int64_t windows, int64_t *first) {
  const int64_t at = client * m->n_silos + silo, before = m->before[at], total = m->total[silo];
  *first = total > 0 ? windows * before / total : 0;
  return total > 0 ? windows * (before + m->count[at]) / total - *first : 0;
}

int64_t at_mixture_home(const at_mixture *m, int64_t client) {
  const int32_t *count = m->count + client * m->n_silos;
  int64_t home = 0;
  for (int64_t s = 1; s < m->n_silos; s++) {
    home = count[s] > count[home] ? s : home;
  }
  return home;
}
