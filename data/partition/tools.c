/* SPDX-License-Identifier: BSD-3-Clause */
/* What several schemes need: random weights, shares, drawing rows. */
#include <math.h>

#include "data/partition/partition_internal.h"
#include "src/base/alloc.h"

at_stream at_part_stream(const at_partition *p, at_part_use use, int64_t client, int64_t class) {
  const bool of_all = use == AT_PART_SIZE || use == AT_PART_MIXTURE;
  return (at_stream){.seed = p->cfg.seed,
                     .purpose = AT_RNG_PARTITION,
                     .client = (uint64_t)client,
                     .round = (uint64_t)use + (of_all ? 0 : 16 * (1 + (uint64_t)p->split)),
                     .step = (uint64_t) class};
}

at_err at_part_allocate(at_partition *p) {
  AT_TRY(at_alloc(&p->first, (size_t)p->clients + 1, sizeof *p->first, "partition"));
  return at_alloc(&p->row, (size_t)p->total, sizeof *p->row, "partition");
}

static double uniform_of(uint64_t word) {
  return (double)(word >> 11) * 0x1p-53;
}

/* log(1 - u) rather than log(u): u may be 0. */
double at_part_log_gamma(const at_stream *s, double alpha) {
  const double shape = alpha < 1 ? alpha + 1 : alpha, d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
  /* Attempt i takes its normal from block 2 i and its uniform from the block behind it; the boost from block 1, word 1. */
  uint64_t word[4];
  double boost = 0;
  for (uint64_t i = 0;; i++) {
    const double x = at_rng_normal(s, 2 * i), v = 1 + c * x;
    if (i > 0 && v <= 0) {
      continue;
    }
    at_rng_block(s, 2 * i + 1, word);
    if (i == 0 && alpha < 1) {
      boost = log1p(-uniform_of(word[1])) / alpha;
    }
    if (v <= 0) {
      continue;
    }
    const double cube = v * v * v, u = 1 - uniform_of(word[0]);
    if (log(u) < 0.5 * x * x + d - d * cube + d * log(cube)) {
      return log(d * cube) + boost;
    }
  }
}

double at_part_weight(const at_partition *p, int64_t client) {
  const at_stream s = at_part_stream(p, AT_PART_SIZE, client, 0);
  return exp(p->cfg.sigma * at_rng_normal(&s, 0) - 0.5 * p->cfg.sigma * p->cfg.sigma);
}

/* At least 1, at most so many and what there is. */
static int64_t limited(const at_partition *p, double n, double most) {
  return (int64_t)fmax(1, fmin(fmin((double)p->total, floor(most + 0.5)), floor(n + 0.5)));
}

int64_t at_part_equal_size(const at_partition *p, int64_t client) {
  (void)client;
  return limited(p, p->each, p->each);
}

int64_t at_part_varied_size(const at_partition *p, int64_t client) {
  return limited(p, p->each * at_part_weight(p, client), p->each * AT_PART_MOST);
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
  AT_TRY(at_part_allocate(p));
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
  at_err err = at_part_allocate(p);
  err = err == AT_OK ? at_alloc(&share, n, sizeof *share, "partition") : err;
  err = err == AT_OK ? at_alloc(&cut, n + 1, sizeof *cut, "partition") : err;
  err = err == AT_OK ? at_alloc(&next, n, sizeof *next, "partition") : err;
  if (err == AT_OK) {
    deal_classes(p, weight, share, cut, next);
    err = at_part_leave_none_empty(p);
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

/* Standard exponentials in their order: the gap between neighbours of n sorted uniforms is one over the sum of n + 1 of them. */
typedef struct gaps {
  at_stream stream;
  int64_t next;
  uint64_t word[4];
} gaps;

static double gap(gaps *g) {
  if (g->next % 4 == 0) {
    at_rng_block(&g->stream, (uint64_t)g->next / 4, g->word);
  }
  return -log1p(-uniform_of(g->word[g->next++ % 4]));
}

/* The variates of a client's classes: kept for the first ones, so that those are drawn only once. */
enum { KEPT = 512 };
typedef struct mixture {
  double log_gamma[KEPT], most, sum;
  int64_t last; /* the last class that has rows */
} mixture;

static double class_variate(const at_partition *p, int64_t client, int64_t c) {
  const at_stream s = at_part_stream(p, AT_PART_MIXTURE, client, c);
  return at_part_log_gamma(&s, p->cfg.alpha);
}

static void mix(const at_partition *p, int64_t client, mixture *m) {
  m->most = -INFINITY;
  m->sum = 0;
  m->last = 0;
  for (int64_t c = 0; c < p->classes; c++) {
    if (p->class_first[c + 1] > p->class_first[c]) {
      const double g = class_variate(p, client, c);
      m->sum = g > m->most ? m->sum * exp(m->most - g) + 1 : m->sum + exp(g - m->most);
      m->most = fmax(m->most, g);
      m->last = c;
      if (c < KEPT) {
        m->log_gamma[c] = g;
      }
    }
  }
}

/* Sorted uniforms are walked along the cumulative mixture, so that neither needs a table as long as a client. */
void at_part_draw_mixture(const at_partition *p, int64_t client, int64_t n, int64_t *row) {
  gaps pick = {.stream = at_part_stream(p, AT_PART_PICK, client, 0)};
  mixture m;
  double total = 0, before = 0;
  int64_t done = 0;
  mix(p, client, &m);
  for (int64_t i = 0; i <= n; i++) {
    total += gap(&pick);
  }
  pick.next = 0;
  double here = gap(&pick) / total;
  for (int64_t c = 0; c <= m.last && done < n; c++) {
    const int64_t from = p->class_first[c], rows = p->class_first[c + 1] - from;
    const at_stream order = at_part_stream(p, AT_PART_PICK, client, 1 + c);
    if (rows == 0) {
      continue;
    }
    before += exp((c < KEPT ? m.log_gamma[c] : class_variate(p, client, c)) - m.most) / m.sum;
    /* Rounding may leave the last uniform above the sum of all parts: it is of the last class. */
    for (int64_t i = 0; done < n && (here < before || c == m.last); i++) {
      row[done++] = p->by_class[from + (int64_t)at_rng_permute(&order, (uint64_t)rows, (uint64_t)(i % rows))];
      here += gap(&pick) / total;
    }
  }
}
