/* SPDX-License-Identifier: BSD-3-Clause */
/* Dense means inside silos, compressed ones between their leaders. */
#include "src/comm/collective/silos.h"

#include <string.h>

#include "src/base/alloc.h"

struct at_silos {
  at_comm *world;    /* borrowed */
  const at_vec *vec; /* borrowed */
  at_silos_cfg cfg;
  int64_t n, first, count; /* elements; silos of this rank */
  at_comm *inner, *outer;  /* owned */
  at_exact *exact;
  float *sum; /* [n], fast only */
  at_reduce *reduction;
};

/* Which silos are here, and the communicators inside and between. */
static at_err place(at_silos *s) {
  const int64_t rank = at_comm_rank(s->world), ranks = at_comm_size(s->world), silos = s->cfg.silos;
  const bool shares = ranks >= silos;
  s->first = shares ? rank * silos / ranks : (rank * silos + ranks - 1) / ranks;
  s->count = shares ? 1 : ((rank + 1) * silos + ranks - 1) / ranks - s->first;
  AT_TRY(at_comm_split(s->world, (int)(shares ? s->first : rank), 0, &s->inner));
  return at_comm_split(s->world, at_silos_leads(s) ? 0 : -1, 0, &s->outer);
}

static at_err create_inner(at_silos *s, const at_kernels *k, int64_t n_tensors, const int64_t *offsets) {
  if (s->cfg.fast) {
    return at_alloc(&s->sum, (size_t)s->n, sizeof *s->sum, "sum of a silo");
  }
  return at_exact_create(&s->exact, &k->vec, n_tensors, offsets, NULL, s->cfg.bits);
}

at_err at_silos_create(at_silos **out, at_comm *world, const at_kernels *k, const at_silos_cfg *cfg, int64_t n_tensors,
                       const int64_t *offsets) {
  *out = NULL;
  if (cfg->silos < 1) {
    return AT_FAIL(AT_ERR_CONFIG, "silos = %lld: want at least one", (long long)cfg->silos);
  }
  at_silos *s = NULL;
  AT_TRY(at_comm_agree(world, at_alloc(&s, 1, sizeof *s, "silos")));
  *s = (at_silos){.world = world, .vec = &k->vec, .cfg = *cfg, .n = offsets[n_tensors]};
  at_err err = AT_OK;
  AT_TRY_TO(err, fail, place(s));
  AT_TRY_TO(err, fail, at_comm_agree(world, create_inner(s, k, n_tensors, offsets)));
  if (s->outer != NULL && !cfg->inner_only) {
    err = at_reduce_create(&s->reduction, s->outer, k, &cfg->outer, n_tensors, offsets, s->count);
  }
  AT_TRY_TO(err, fail, at_comm_agree(world, err));
  *out = s;
  return AT_OK;
fail:
  at_silos_destroy(s);
  return err;
}

void at_silos_destroy(at_silos *s) {
  if (s == NULL) {
    return;
  }
  at_reduce_destroy(s->reduction);
  at_exact_destroy(s->exact);
  at_comm_destroy(s->outer);
  at_comm_destroy(s->inner);
  at_free(s->sum);
  at_free(s);
}

int64_t at_silos_here(const at_silos *s, int64_t *first) {
  *first = s->first;
  return s->count;
}

bool at_silos_leads(const at_silos *s) {
  return at_comm_rank(s->inner) == 0;
}

at_comm *at_silos_inner(const at_silos *s) {
  return s->inner;
}

at_comm *at_silos_outer(const at_silos *s) {
  return s->outer;
}

at_reduce *at_silos_reduction(const at_silos *s) {
  return s->reduction;
}

void at_silos_step_begin(at_silos *s) {
  if (s->cfg.fast) {
    memset(s->sum, 0, (size_t)s->n * sizeof *s->sum);
  } else {
    at_exact_begin(s->exact);
  }
}

void at_silos_step_add(at_silos *s, int64_t shard, double weight, double weights, const float *x) {
  if (s->cfg.fast) {
    s->vec->axpy(weight / weights, s->n, x, s->sum);
  } else {
    at_exact_add(s->exact, shard, weight / weights, x);
  }
}

at_err at_silos_step(at_silos *s, float *out) {
  if (!s->cfg.fast) {
    return at_exact_finish(s->exact, s->inner, out);
  }
  memcpy(out, s->sum, (size_t)s->n * sizeof *out);
  return at_comm_allreduce(s->inner, AT_COMM_F32, AT_COMM_SUM, out, s->n);
}

at_err at_silos_mean(at_silos *s, int64_t n, const int64_t *ids, const double *weight, const float *const *x,
                     float *out) {
  int64_t *grids = at_exact_grids(s->exact);
  for (int64_t t = 0; t < at_exact_tensors(s->exact); t++) {
    grids[t] = s->cfg.bits;
  }
  for (;;) {
    at_exact_begin(s->exact);
    for (int64_t i = 0; i < n; i++) {
      at_exact_lend(s->exact, ids[i], weight[i], x[i]);
    }
    at_err err = at_exact_finish(s->exact, s->inner, out);
    if (err != AT_ERR_OVERFLOW) {
      return err;
    }
    AT_TRY(at_exact_coarsen(s->exact, 8));
  }
}

void at_silos_round_begin(at_silos *s, int64_t round) {
  if (s->reduction != NULL) {
    at_reduce_begin(s->reduction, round, s->cfg.silos);
  }
}

void at_silos_round_add(at_silos *s, int64_t silo, double weight, const float *x) {
  if (s->reduction != NULL) {
    at_reduce_add(s->reduction, silo, weight, x);
  }
}

at_err at_silos_round(at_silos *s, float *out) {
  at_err err = AT_OK;
  if (s->reduction != NULL) {
    err = at_reduce_run(s->reduction, out);
  }
  AT_TRY(at_comm_agree(s->world, err));
  return at_comm_bcast(s->inner, 0, out, s->n * (int64_t)sizeof *out);
}
