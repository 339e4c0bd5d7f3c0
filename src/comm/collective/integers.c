/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine of `integer` and `allreduce`: scales that all share, codes added as integers (sums.h moves them).
 *
 *     s = shared scale of a block, from the largest magnitude (qsgd: norm) of any client;  q_p = code of scale_p x_p;
 *     mean = s * sum q_p / P
 * Integer sums are exact in any order, so that any algorithm gives the same bytes.  Sharing a scale costs accuracy where
 * clients differ in size.  `bounded` has one step for all, 2 eps, and needs no scales, only proof that sums fit. */
#include <math.h>
#include <string.h>

#include "kernels/codec_scale.h"
#include "src/base/alloc.h"
#include "src/comm/collective/sums.h"

typedef struct integers {
  float **copies;  /* [slots]: vectors of added clients; each owned, made when first needed */
  int64_t *top_at; /* [pieces + 1]: where a piece's tops are */
  float *tops;     /* then scales */
  at_sums *sums;
  int32_t *sum;  /* [chunk] */
  int16_t *code; /* [chunk] */
  float *scaled; /* [chunk] */
  int64_t width; /* bytes of the container */
  at_comm_request *agreeing;
  int64_t measured, finished; /* pieces */
  bool has_scales, is_hopeless;
} integers;

/* ---- making ---- */

static int block_of(const at_reduce *r) {
  return r->cfg.up.kind == AT_CODEC_bounded ? AT_BLOCK_MAX : (int)r->cfg.up.block;
}

static at_block quantiser(const at_reduce *r, const at_dither *dither) {
  const at_codec_cfg *c = &r->cfg.up;
  const bool is_stochastic = c->kind == AT_CODEC_qsgd || c->rounding == AT_ROUND_STOCHASTIC;
  return (at_block){.bits = 8,
                    .top = c->kind == AT_CODEC_int8   ? 127
                           : c->kind == AT_CODEC_int4 ? 7
                                                      : (int)c->levels,
                    .block = (int)c->block,
                    .scale_bytes = c->scale == AT_SCALE_BF16 ? 2 : 4,
                    .norm2 = c->kind == AT_CODEC_qsgd,
                    .dither = is_stochastic ? dither : NULL};
}

static at_err create(at_reduce *r) {
  integers *g = NULL;
  AT_TRY(at_alloc(&g, 1, sizeof *g, "reduction"));
  r->moving = g;
  const size_t pieces = (size_t)r->cut->n_pieces, chunk = (size_t)r->cfg.chunk;
  AT_TRY(at_alloc(&g->copies, (size_t)r->slots, sizeof *g->copies, "vectors of clients"));
  AT_TRY(at_alloc(&g->top_at, pieces + 1, sizeof *g->top_at, "places of scales"));
  for (int64_t j = 0; j < r->cut->n_pieces; j++) {
    const at_piece shape = at_cut_piece(r->cut, j);
    g->top_at[j + 1] = g->top_at[j];
    for (int64_t s = 0; s < shape.n_segments; s++) {
      g->top_at[j + 1] += at_blocks(shape.ends[s] - (s > 0 ? shape.ends[s - 1] : 0), block_of(r));
    }
  }
  AT_TRY(at_alloc(&g->tops, (size_t)g->top_at[pieces], sizeof *g->tops, "scales"));
  AT_TRY(at_sums_create(&g->sums, r, r->cfg.algorithm == AT_ALGORITHM_allreduce));
  AT_TRY(at_alloc(&g->sum, chunk, sizeof *g->sum, "sum of a piece"));
  AT_TRY(at_alloc(&g->code, chunk, sizeof *g->code, "codes of a piece"));
  return at_alloc(&g->scaled, chunk, sizeof *g->scaled, "values of a piece");
}

static void destroy(at_reduce *r) {
  integers *g = r->moving;
  if (g == NULL) {
    return;
  }
  for (int64_t i = 0; g->copies != NULL && i < r->slots; i++) {
    at_free(g->copies[i]);
  }
  at_sums_destroy(g->sums);
  void *const owned[] = {(void *)g->copies, g->top_at, g->tops, g->sum, g->code, g->scaled, g};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
    at_free(owned[i]);
  }
  r->moving = NULL;
}

static at_err add(at_reduce *r, int64_t slot, const float *x) {
  integers *g = r->moving;
  if (g->copies[slot] == NULL) {
    AT_TRY(at_alloc(&g->copies[slot], (size_t)r->cut->n, sizeof **g->copies, "vector of a client"));
  }
  memcpy(g->copies[slot], x, (size_t)r->cut->n * sizeof *x);
  return AT_OK;
}

/* ---- starting ---- */

/* Bytes of the integers that hold P codes: the fewest, or the chosen ones if they do. */
static at_err choose_container(at_reduce *r, integers *g) {
  static const int64_t most[] = {INT8_MAX, INT16_MAX, INT32_MAX}, width[] = {1, 2, 4};
  const int64_t top = quantiser(r, NULL).top;
  int c = r->cfg.container == AT_CONTAINER_AUTO ? AT_CONTAINER_I8 : r->cfg.container;
  if (r->cfg.up.kind == AT_CODEC_bounded) {
    g->width = 4; /* whether sums fit is seen when the largest values are known */
    return AT_OK;
  }
  while (r->cfg.container == AT_CONTAINER_AUTO && c < AT_CONTAINER_I32 &&
         top * r->n_nodes > most[c - AT_CONTAINER_I8]) {
    c++;
  }
  if (top * r->n_nodes > most[c - AT_CONTAINER_I8]) {
    return AT_FAIL(AT_ERR_CONFIG, "container = %s: %lld codes of up to %lld do not fit; at most %lld clients do",
                   at_container_names[c], (long long)r->n_nodes, (long long)top,
                   (long long)(most[c - AT_CONTAINER_I8] / top));
  }
  g->width = width[c - AT_CONTAINER_I8];
  return AT_OK;
}

static at_err start(at_reduce *r) {
  integers *g = r->moving;
  AT_TRY(choose_container(r, g));
  memset(g->tops, 0, (size_t)g->top_at[r->cut->n_pieces] * sizeof *g->tops);
  g->measured = g->finished = 0;
  g->has_scales = g->is_hopeless = false;
  return AT_OK;
}

/* ---- work ---- */

static const float *vector_of(const at_reduce *r, const integers *g, int64_t i) {
  return r->local[i].x != NULL ? r->local[i].x : g->copies[i];
}

/* Largest magnitudes, or norms, of the blocks of one segment. */
static void measure_segment(at_reduce *r, int64_t n, const float *x, float *tops, float *mine) {
  const int block = block_of(r);
  const int64_t blocks = at_blocks(n, block);
  if (r->cfg.up.kind == AT_CODEC_qsgd) {
    for (int64_t b = 0; b < blocks; b++) {
      const int64_t at = b * block;
      mine[b] = (float)sqrt(r->ck.sum_squares(n - at < block ? n - at : block, x + at));
    }
  } else {
    r->ck.block_tops(n, block, x, mine);
  }
  for (int64_t b = 0; b < blocks; b++) {
    tops[b] = mine[b] > tops[b] ? mine[b] : tops[b];
  }
}

/* Raise the tops of a piece to those of this rank's clients. */
static void measure(at_reduce *r, integers *g, int64_t piece) {
  const at_piece shape = at_cut_piece(r->cut, piece);
  for (int64_t i = 0; i < r->n_local; i++) {
    if (r->node_of[i] < 0) {
      continue;
    }
    const float scale = r->nodes[r->node_of[i]].scale, *x = vector_of(r, g, i) + shape.first;
    const bool remembers = r->local[i].row != NULL && at_feedback_vectors(r->memory) > 0;
    const float *e = remembers ? r->local[i].row->v[0] + shape.first : NULL;
    for (int64_t k = 0; k < shape.n; k++) {
      g->scaled[k] = scale * (e != NULL ? x[k] + e[k] : x[k]);
    }
    float *tops = g->tops + g->top_at[piece];
    for (int64_t s = 0, from = 0; s < shape.n_segments; from = shape.ends[s++]) {
      measure_segment(r, shape.ends[s] - from, g->scaled + from, tops, r->y);
      tops += at_blocks(shape.ends[s] - from, block_of(r));
    }
  }
}

/* All tops are known: they become scales.  Bounded: the step is given, and only sums must fit. */
static at_err make_scales(at_reduce *r, integers *g) {
  const at_block b = quantiser(r, NULL);
  const int64_t n = g->top_at[r->cut->n_pieces];
  g->has_scales = true;
  if (r->cfg.up.kind != AT_CODEC_bounded) {
    const at_scale_rule rule = at_scale_rule_of(b.top, b.scale_bytes);
    for (int64_t i = 0; i < n; i++) {
      g->tops[i] = at_scale_of(&rule, g->tops[i]);
    }
    return at_sums_start(g->sums, b.top, g->width);
  }
  const double step = 2.0 * r->cfg.up.bound;
  for (int64_t i = 0; i < n && !g->is_hopeless; i++) { /* alike on all ranks */
    g->is_hopeless = (double)g->tops[i] / step * (double)r->n_nodes >= (double)(INT32_MAX - r->n_nodes);
    if (g->is_hopeless) {
      return AT_FAIL(AT_ERR_OVERFLOW,
                     "values up to %g in steps of %g: sums of %lld clients do not fit 32 bits; take a larger bound",
                     (double)g->tops[i], step, (long long)r->n_nodes);
    }
  }
  return at_sums_start(g->sums, 0, g->width);
}

/* a = scale (x + e) of one client; its codes are added to sum; what they stand for is taken off its memory. */
static void encode_segment(at_reduce *r, integers *g, const at_local *l, float scale, int64_t first, int64_t n,
                           const float *x, float *e, const float *scales, int32_t *sum) {
  at_code_key key = at_reduce_key(r, (uint64_t)l->id, 0);
  key.first = first;
  const at_dither dither = at_code_dither(&key);
  const at_block b = quantiser(r, &dither);
  const double step = 2.0 * r->cfg.up.bound;
  const bool is_bounded = r->cfg.up.kind == AT_CODEC_bounded;
  for (int64_t k = 0; e != NULL && k < n; k++) {
    e[k] = x[k] + e[k];
  }
  for (int64_t k = 0; k < n; k++) {
    g->scaled[k] = scale * (e != NULL ? e[k] : x[k]);
  }
  if (!is_bounded) {
    r->ck.block_codes(&b, n, g->scaled, scales, g->code);
  }
  for (int64_t k = 0; k < n; k++) {
    const int32_t q = is_bounded ? (int32_t)rint((double)g->scaled[k] / step) : g->code[k];
    const float y = is_bounded ? (float)((double)q * step) : (float)q * scales[k / b.block];
    sum[k] += q;
    if (e != NULL) {
      e[k] = e[k] - y / scale;
    }
  }
}

/* Sum this rank's codes of a piece and give them away. */
static at_err encode(at_reduce *r, integers *g, int64_t piece) {
  const at_piece shape = at_cut_piece(r->cut, piece);
  memset(g->sum, 0, (size_t)shape.n * sizeof *g->sum);
  for (int64_t i = 0; i < r->n_local; i++) {
    if (r->node_of[i] < 0) {
      continue;
    }
    const at_local *l = &r->local[i];
    const float scale = r->nodes[r->node_of[i]].scale, *x = vector_of(r, g, i) + shape.first;
    const float *scales = g->tops + g->top_at[piece];
    float *e = l->row != NULL && at_feedback_vectors(r->memory) > 0 ? l->row->v[0] + shape.first : NULL;
    for (int64_t s = 0, from = 0; s < shape.n_segments; from = shape.ends[s++]) {
      const int64_t n = shape.ends[s] - from;
      encode_segment(r, g, l, scale, shape.first + from, n, x + from, e != NULL ? e + from : NULL, scales,
                     g->sum + from);
      scales += at_blocks(n, block_of(r));
    }
    r->report.encodings++;
    r->report.messages += 2 * (r->n_nodes - 1);
    r->report.bytes += at_sums_bytes(g->sums, shape.n);
  }
  return at_sums_give(g->sums, g->sum);
}

/* out = s * sum / P, in double. */
static void finish(at_reduce *r, const integers *g, int64_t piece) {
  const at_piece shape = at_cut_piece(r->cut, piece);
  const float *scales = g->tops + g->top_at[piece];
  const bool is_bounded = r->cfg.up.kind == AT_CODEC_bounded;
  const double share = 1.0 / (double)r->n_nodes, one_step = 2.0 * r->cfg.up.bound;
  const int64_t block = block_of(r);
  for (int64_t s = 0, from = 0; s < shape.n_segments; from = shape.ends[s++]) {
    for (int64_t k = from; k < shape.ends[s]; k++) {
      const double scale = is_bounded ? one_step : (double)scales[(k - from) / block];
      r->out[shape.first + k] = (float)(scale * (double)g->sum[k] * share);
    }
    scales += at_blocks(shape.ends[s] - from, (int)block);
  }
}

/* ---- progress ---- */

static bool is_done(const at_reduce *r) {
  const integers *g = r->moving;
  return g->finished == r->cut->n_pieces && at_wire_under_way(r->wire) == 0;
}

/* First the tops of all pieces, then their maximum over all ranks. */
static at_err agree_on_scales(at_reduce *r, integers *g, bool block, bool *worked) {
  const int64_t tops = g->top_at[r->cut->n_pieces], here = r->rank_nodes[at_comm_rank(r->comm)];
  if (g->measured < r->cut->n_pieces) {
    *worked = true;
    measure(r, g, g->measured++);
    if (g->measured < r->cut->n_pieces) {
      return AT_OK;
    }
    r->report.messages += 2 * (r->n_nodes - 1) * here;
    r->report.bytes += at_comm_allreduce_bytes(4 * tops, (int)r->n_nodes) * here;
    return at_comm_iallreduce(r->comm, AT_COMM_F32, AT_COMM_MAX, g->tops, tops, &g->agreeing);
  }
  bool over = true;
  if (block) {
    AT_TRY(at_comm_wait(&g->agreeing));
  } else {
    AT_TRY(at_comm_test(&g->agreeing, &over));
  }
  if (!over) {
    return AT_OK;
  }
  *worked = g->has_scales = true;
  const at_err err = make_scales(r, g);
  g->finished = g->is_hopeless ? r->cut->n_pieces : 0;
  return err;
}

/* Take a total if one is there, else give a sum; wait only when all are given. */
static at_err step(at_reduce *r, integers *g, bool block, bool *worked) {
  if (!g->has_scales) {
    return agree_on_scales(r, g, block, worked);
  }
  const int64_t wanted = at_sums_wanted(g->sums);
  int64_t piece = -1;
  AT_TRY(at_sums_take(g->sums, block && wanted < 0, &piece, g->sum));
  if (piece >= 0) {
    *worked = true;
    g->finished++;
    finish(r, g, piece);
  } else if (wanted >= 0) {
    *worked = true;
    return encode(r, g, wanted);
  }
  return AT_OK;
}

static at_err poll(at_reduce *r, bool block, bool *worked) {
  *worked = false;
  const at_comm_phase before = at_comm_set_phase(r->comm, r->phase);
  const at_err err = step(r, r->moving, block, worked);
  at_comm_set_phase(r->comm, before);
  return err;
}

const at_engine at_engine_integers = {create, destroy, add, start, NULL, poll, is_done};
