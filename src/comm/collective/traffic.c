/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes of a reduction, counted piece by piece as its engine would send them. */
#include "src/comm/collective/traffic.h"

#include "src/base/alloc.h"
#include "src/comm/collective/hops.h"

/* One reduction that is only counted. */
typedef struct tally {
  const at_reduce_cfg *cfg;
  const at_cut *cut;
  at_traffic_round at;
  int64_t here; /* clients of rank 0 */
  int algorithm;
  at_traffic *out;
} tally;

static int64_t owner_of(const tally *t, int64_t piece) {
  return piece * t->at.ranks / t->cut->n_pieces;
}

/* ---- owners ---- */

static void count_owners(tally *t) {
  const double p = (double)t->at.clients, others = t->at.ranks - 1;
  for (int64_t j = 0; j < t->cut->n_pieces; j++) {
    const at_piece shape = at_cut_piece(t->cut, j);
    const double up = (double)at_frame_bytes(&t->cfg->up, &shape, (uint64_t)t->at.round);
    const double down = (double)at_frame_bytes(&t->cfg->down, &shape, (uint64_t)t->at.round);
    if (t->algorithm == AT_ALGORITHM_gather) {
      t->out->clients += p * (p - 1) * up;
      t->out->rank += (double)t->here * up * others;
    } else {
      const bool owns = t->algorithm == AT_ALGORITHM_star || owner_of(t, j) == 0;
      t->out->clients += (p - 1) * (up + down);
      t->out->rank += owns ? others * down : (double)t->here * up;
    }
  }
}

/* As at_reduce_choose does: both give the same bytes of the mean. */
static int choose(const tally *t) {
  tally gather = *t, twophase = *t;
  at_traffic g = {0}, w = {0};
  gather.algorithm = AT_ALGORITHM_gather;
  gather.out = &g;
  twophase.algorithm = AT_ALGORITHM_twophase;
  twophase.out = &w;
  if (t->cfg->algorithm != AT_ALGORITHM_auto) {
    return t->cfg->algorithm;
  }
  if (t->cfg->down.kind != AT_CODEC_f32 || t->at.clients < 2) {
    return AT_ALGORITHM_twophase;
  }
  count_owners(&gather);
  count_owners(&twophase);
  const double p = (double)t->at.clients;
  return g.clients / p <= w.clients / p + (p - 1) * AT_MESSAGE_BYTES ? AT_ALGORITHM_gather : AT_ALGORITHM_twophase;
}

/* ---- hops ---- */

static at_err count_hops(tally *t) {
  const int64_t p = t->at.clients, ranks = t->at.ranks;
  at_hop *steps = NULL;
  AT_TRY(at_alloc(&steps, (size_t)at_hops_most(t->algorithm, p, t->cfg->fan_in), sizeof *steps, "steps"));
  for (int64_t j = 0; j < t->cut->n_pieces; j++) {
    const at_piece shape = at_cut_piece(t->cut, j);
    const double bytes = (double)at_frame_bytes(&t->cfg->up, &shape, (uint64_t)t->at.round);
    for (int64_t v = 0; v < p; v++) {
      const int64_t n = at_hops_plan(t->algorithm, p, t->cfg->fan_in, v, j * p / t->cut->n_pieces, steps);
      for (int64_t i = 0; i < n; i++) {
        if (steps[i].what == AT_HOP_SEND) {
          t->out->clients += bytes;
          t->out->rank += v % ranks == 0 && steps[i].peer % ranks != 0 ? bytes : 0;
        }
      }
    }
    t->out->rank += ranks > p ? (double)(ranks - p) * 4 * (double)shape.n : 0; /* ranks without clients get the mean */
  }
  at_free(steps);
  return AT_OK;
}

/* ---- integers ---- */

static int64_t top_of(const at_codec_cfg *c) {
  switch (c->kind) {
  case AT_CODEC_int8:
    return 127;
  case AT_CODEC_int4:
    return 7;
  case AT_CODEC_qsgd:
    return c->levels;
  default: /* bounded: anything */
    return 0;
  }
}

static int64_t width_for(const at_reduce_cfg *cfg, int64_t clients, bool is_total) {
  static const int64_t chosen[] = {0, 1, 2, 4};
  const int64_t most = top_of(&cfg->up) * clients;
  if (most == 0 || (is_total && cfg->container != AT_CONTAINER_AUTO)) {
    return most == 0 ? 4 : chosen[cfg->container];
  }
  return most > INT16_MAX ? 4 : most > INT8_MAX ? 2 : 1;
}

static void count_integers(tally *t) {
  const int64_t p = t->at.clients, ranks = t->at.ranks, total = width_for(t->cfg, p, true);
  const int64_t one = width_for(t->cfg, 1, false), mine = width_for(t->cfg, t->here, false);
  const int64_t block = t->cfg->up.kind == AT_CODEC_bounded ? AT_BLOCK_MAX : t->cfg->up.block;
  int64_t tops = 0;
  for (int64_t j = 0; j < t->cut->n_pieces; j++) {
    const at_piece shape = at_cut_piece(t->cut, j);
    for (int64_t s = 0, from = 0; s < shape.n_segments; from = shape.ends[s++]) {
      tops += (shape.ends[s] - from + block - 1) / block;
    }
    if (t->algorithm == AT_ALGORITHM_allreduce) {
      t->out->clients += (double)(p * at_comm_allreduce_bytes(shape.n * total, (int)p));
      t->out->rank += (double)at_comm_allreduce_bytes(shape.n * total, (int)ranks);
    } else {
      t->out->clients += (double)(p * (shape.n * (one + total) * (p - 1) / p));
      t->out->rank += (double)(shape.n * (owner_of(t, j) == 0 ? (ranks - 1) * total : t->here > 0 ? mine : 0));
    }
  }
  t->out->clients += (double)(p * at_comm_allreduce_bytes(4 * tops, (int)p));
  t->out->rank += (double)at_comm_allreduce_bytes(4 * tops, (int)ranks);
}

/* ---- all ---- */

static at_err count(tally *t) {
  t->algorithm = choose(t);
  switch (t->algorithm) {
  case AT_ALGORITHM_ring:
  case AT_ALGORITHM_doubling:
  case AT_ALGORITHM_tree:
    return count_hops(t);
  case AT_ALGORITHM_integer:
  case AT_ALGORITHM_allreduce:
    count_integers(t);
    return AT_OK;
  default:
    count_owners(t);
    return AT_OK;
  }
}

at_err at_reduce_traffic(const at_reduce_cfg *cfg, int64_t n_tensors, const int64_t *offsets,
                         const at_traffic_round *round, at_traffic *out) {
  const int64_t whole[2] = {0, offsets[n_tensors]};
  const bool by_tensor = cfg->segments == AT_SEGMENTS_TENSOR;
  at_cut *cut = NULL;
  bool up = true, down = true;
  *out = (at_traffic){.elements = (double)whole[1]};
  AT_TRY(at_cut_create(&cut, by_tensor ? n_tensors : 1, by_tensor ? offsets : whole, cfg->chunk));
  tally t = {
      .cfg = cfg, .cut = cut, .at = *round, .here = (round->clients + round->ranks - 1) / round->ranks, .out = out};
  const at_err err = count(&t);
  at_codec_bytes(&cfg->up, cfg->chunk, &up);
  at_codec_bytes(&cfg->down, cfg->chunk, &down);
  out->is_exact = up && down;
  /* who takes part: a row of 24 bytes for each client a rank may have, and 16; then two agreements */
  const int64_t card = 16 + 24 * t.here;
  out->rank += (double)((round->ranks - 1) * card + 2 * at_comm_allreduce_bytes(8, round->ranks));
  at_cut_destroy(cut);
  return err;
}
