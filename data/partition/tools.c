/* SPDX-License-Identifier: BSD-3-Clause */
/* What several schemes need: random weights, shares, drawing rows. */
#include <math.h>

#include "data/partition/partition_internal.h"
#include "src/base/alloc.h"

at_stream at_part_stream(const at_partition *p, at_part_use use, int64_t client, int64_t class) {
  const bool of_all = use == AT_PART_SIZE || use == AT_PART_MIXTURE;
  return (at_stream){.seed = (uint64_t)p->cfg.seed,
                     .purpose = AT_RNG_PARTITION,
                     .client = (uint64_t)client,
                     .round = (uint64_t)use + (of_all ? 0 : 16 * (1 + (uint64_t)p->split)),
                     .step = (uint64_t) class};
}

/* log(1 - u) rather than log(u): u may be 0. */
double at_part_log_gamma(const at_stream *s, double alpha) {
  const double shape = alpha < 1 ? alpha + 1 : alpha, d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
  /* Attempt i takes its normal from block 2 i and its uniform from the block behind it; the boost from block 1, word 1. */
  const double boost = alpha < 1 ? log1p(-at_rng_uniform(s, 5)) / alpha : 0;
  for (uint64_t i = 0;; i++) {
    const double x = at_rng_normal(s, 2 * i), v = 1 + c * x;
    if (v <= 0) {
      continue;
    }
    const double cube = v * v * v, u = 1 - at_rng_uniform(s, 4 * (2 * i + 1));
    if (log(u) < 0.5 * x * x + d - d * cube + d * log(cube)) {
      return log(d * cube) + boost;
    }
  }
}

double at_part_weight(const at_partition *p, int64_t client) {
  const at_stream s = at_part_stream(p, AT_PART_SIZE, client, 0);
  return exp(p->cfg.sigma * at_rng_normal(&s, 0) - 0.5 * p->cfg.sigma * p->cfg.sigma);
}

int64_t at_part_equal_size(const at_partition *p, int64_t client) {
  (void)client;
  return p->cfg.per_client < p->total ? p->cfg.per_client : p->total;
}

int64_t at_part_varied_size(const at_partition *p, int64_t client) {
  const double most = fmin((double)p->total, (double)AT_PART_MOST * (double)p->cfg.per_client);
  return (int64_t)fmax(1, fmin(most, floor((double)p->cfg.per_client * at_part_weight(p, client) + 0.5)));
}

at_err at_part_weights(const at_partition *p, double **weight) {
  AT_TRY(at_alloc(weight, (size_t)p->clients, sizeof **weight, "client sizes"));
  for (int64_t k = 0; k < p->clients; k++) {
    (*weight)[k] = at_part_weight(p, k);
  }
  return AT_OK;
}

at_err at_part_deal_shares(at_partition *p, const double *weight) {
  const at_stream s = at_part_stream(p, AT_PART_ORDER, 0, 0);
  const int64_t n = p->clients, rest = p->total - n;
  double sum = 0, before = 0;
  for (int64_t k = 0; k < n && weight != NULL; k++) {
    sum += weight[k];
  }
  for (int64_t k = 0; k < n; k++) {
    before += weight != NULL ? weight[k] : 0;
    p->first[k + 1] = weight == NULL ? (int64_t)((__int128)p->total * (k + 1) / n)
                      : k == n - 1   ? p->total
                                     : k + 1 + (int64_t)fmin((double)rest, (double)rest * (before / sum));
  }
  for (int64_t i = 0; i < p->total; i++) {
    p->row[i] = (int64_t)at_rng_permute(&s, (uint64_t)p->total, (uint64_t)i);
  }
  return AT_OK;
}

/* cut[k + 1] = where the share of client k of class c ends. */
static void cut_class(const at_partition *p, int64_t c, const double *weight, double *share, int64_t *cut) {
  const int64_t rows = p->class_first[c + 1] - p->class_first[c];
  double most = -INFINITY, sum = 0, before = 0;
  for (int64_t k = 0; k < p->clients; k++) {
    const at_stream s = at_part_stream(p, AT_PART_MIXTURE, k, c);
    share[k] = at_part_log_gamma(&s, p->cfg.alpha) + (weight != NULL ? log(weight[k]) : 0);
    most = fmax(most, share[k]);
  }
  for (int64_t k = 0; k < p->clients; k++) {
    share[k] = exp(share[k] - most);
    sum += share[k];
  }
  cut[0] = 0;
  for (int64_t k = 0; k < p->clients; k++) {
    before += share[k];
    cut[k + 1] = k == p->clients - 1 ? rows : (int64_t)floor(fmin(1, before / sum) * (double)rows + 0.5);
  }
}

/* Two passes over the classes: count, then fill. */
static void deal_classes(at_partition *p, const double *weight, double *share, int64_t *cut, int64_t *next) {
  for (int pass = 0; pass < 2; pass++) {
    for (int64_t c = 0; c < p->classes; c++) {
      const at_stream s = at_part_stream(p, AT_PART_ORDER, 0, c);
      const int64_t from = p->class_first[c], rows = p->class_first[c + 1] - from;
      cut_class(p, c, weight, share, cut);
      for (int64_t k = 0; k < p->clients; k++) {
        if (pass == 0) {
          p->first[k + 1] += cut[k + 1] - cut[k];
        }
        for (int64_t i = cut[k]; pass == 1 && i < cut[k + 1]; i++) {
          p->row[next[k]++] = p->by_class[from + (int64_t)at_rng_permute(&s, (uint64_t)rows, (uint64_t)i)];
        }
      }
    }
    for (int64_t k = 0; pass == 0 && k < p->clients; k++) {
      p->first[k + 1] += p->first[k];
      next[k] = p->first[k];
    }
  }
}

at_err at_part_deal_classes(at_partition *p, const double *weight) {
  double *share = NULL;
  int64_t *cut = NULL, *next = NULL;
  const size_t n = (size_t)p->clients;
  at_err err = at_alloc(&share, n, sizeof *share, "partition");
  err = err == AT_OK ? at_alloc(&cut, n + 1, sizeof *cut, "partition") : err;
  err = err == AT_OK ? at_alloc(&next, n, sizeof *next, "partition") : err;
  if (err == AT_OK) {
    deal_classes(p, weight, share, cut, next);
  }
  at_free(share);
  at_free(cut);
  at_free(next);
  return err;
}

void at_part_draw_any(const at_partition *p, int64_t client, int64_t n, int64_t *row) {
  const at_stream s = at_part_stream(p, AT_PART_PICK, client, 0);
  at_rng_choose(&s, p->total, n, row);
}

/* A standard exponential: the gap between neighbours of n sorted uniforms is one over the sum of n + 1 of them. */
static double gap(const at_stream *s, int64_t i) {
  return -log1p(-at_rng_uniform(s, (uint64_t)i));
}

/* Sorted uniforms are walked along the cumulative mixture, so that neither needs a table. */
void at_part_draw_mixture(const at_partition *p, int64_t client, int64_t n, int64_t *row) {
  const at_stream pick = at_part_stream(p, AT_PART_PICK, client, 0);
  double most = -INFINITY, sum = 0, gaps = 0, before = 0;
  int64_t done = 0, last = 0;
  for (int64_t c = 0; c < p->classes; c++) {
    const at_stream s = at_part_stream(p, AT_PART_MIXTURE, client, c);
    if (p->class_first[c + 1] > p->class_first[c]) {
      const double g = at_part_log_gamma(&s, p->cfg.alpha);
      sum = g > most ? sum * exp(most - g) + 1 : sum + exp(g - most);
      most = fmax(most, g);
      last = c;
    }
  }
  for (int64_t i = 0; i <= n; i++) {
    gaps += gap(&pick, i);
  }
  double here = gap(&pick, 0) / gaps;
  for (int64_t c = 0; c <= last && done < n; c++) {
    const int64_t from = p->class_first[c], rows = p->class_first[c + 1] - from;
    const at_stream s = at_part_stream(p, AT_PART_MIXTURE, client, c);
    const at_stream order = at_part_stream(p, AT_PART_PICK, client, 1 + c);
    before += rows > 0 ? exp(at_part_log_gamma(&s, p->cfg.alpha) - most) / sum : 0;
    /* Rounding may leave the last uniform above the sum of all parts: it is of the last class. */
    for (int64_t i = 0; rows > 0 && done < n && (here < before || c == last); i++) {
      row[done++] = p->by_class[from + (int64_t)at_rng_permute(&order, (uint64_t)rows, (uint64_t)(i % rows))];
      here += gap(&pick, done) / gaps;
    }
  }
}
