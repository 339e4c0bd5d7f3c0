/* SPDX-License-Identifier: BSD-3-Clause */
/* What the vector attention kernels share: shapes, blocks of queries, and which part of a block of keys they see.
 *
 * Scores are kept transposed, S[key][query]: the queries of a block lie in the lanes of QV vectors, so that maxima and sums
 * over keys need no horizontal steps, and only queries (in the derivative also output gradients) are ever transposed. */
#ifndef AT_SIMD_ATTENTION_BLOCK_H
#define AT_SIMD_ATTENTION_BLOCK_H

#include <string.h>

#include "kernels/attention_scratch.h"
#include "kernels/simd/gemm.h"
#include "kernels/simd/transpose.h"

enum { QB = AT_ATTN_QUERIES, KB = AT_ATTN_KEYS, QV = QB / AT_VW };

typedef struct shape {
  int64_t batch, t, hq, hkv, hd, width; /* width: of a packed row */
  int causal;
  float scale;
} shape;

static shape shape_of(const at_kcall *k) {
  const int64_t *d = k->dim;
  return (shape){d[0], d[1], d[2], d[3], d[4], (d[2] + 2 * d[3]) * d[4], d[5] != 0, (float)k->attr[0]};
}

/* Queries i0 .. i0 + rows against keys j0 .. j0 + keys.  The first `seen` keys are seen by every query; under the causal mask
 * the others, if any, are the positions of the queries themselves: key seen + c by queries c, c + 1, ... */
typedef struct block {
  int64_t i0, rows, j0, keys, seen;
} block;

static block block_at(const shape *s, int64_t i0, int64_t j0) {
  const int64_t rows = s->t - i0 < QB ? s->t - i0 : QB, end = s->causal ? i0 + rows : s->t;
  const int64_t keys = end - j0 < KB ? end - j0 : KB;
  return (block){i0, rows, j0, keys, s->causal && i0 - j0 < keys ? i0 - j0 : keys};
}

/* The keys of a block as strips: strip 0 those seen by all, then, of the triangle, the AT_VW keys that are seen by queries
 * from vector v on only: the part of the square above the diagonal is computed for one vector of queries at a time. */
typedef struct strip {
  int64_t key, n; /* within the block */
  int vector;     /* the first vector of queries that sees them */
} strip;

enum { STRIPS = QV + 1 };

AT_INLINE strip strip_at(const block *b, int i) {
  if (i == 0) {
    return (strip){0, b->seen, 0};
  }
  const int64_t key = b->seen + (i - 1) * AT_VW, rest = b->keys - key;
  return (strip){key, rest < 0 ? 0 : rest < AT_VW ? rest : AT_VW, i - 1};
}

/* Keys of the block that some query of vector v sees. */
AT_INLINE int64_t keys_of_vector(const block *b, int v) {
  const int64_t end = b->seen + (v + 1) * AT_VW;
  return b->seen == b->keys || end > b->keys ? b->keys : end;
}

/* Queries in vector v. */
AT_INLINE int64_t rows_of_vector(const block *b, int v) {
  const int64_t rest = b->rows - v * AT_VW;
  return rest < 0 ? 0 : rest < AT_VW ? rest : AT_VW;
}

/* out[hd][QB] = factor times the rows of x transposed; queries beyond the rows are 0. */
static void transpose_rows(int64_t rows, int64_t hd, const float *x, int64_t ldx, float factor, float *out) {
  if (rows < QB) {
    memset(out, 0, (size_t)(hd * QB) * sizeof *out);
  }
  at_transpose(rows, hd, x, ldx, out, QB);
  const vf f = vf_set1(factor);
  for (int64_t i = 0; i < hd * QB; i += AT_VW) {
    vf_store(out + i, vf_mul(f, vf_load(out + i)));
  }
}

/* out[keys][QB] = X Yt, X: rows of the block's keys, Yt [hd][QB]; hidden vectors are left alone. */
static void products(const shape *s, const block *b, const float *x, const float *yt, float *out) {
  for (int i = 0; i < STRIPS; i++) {
    const strip p = strip_at(b, i);
    if (p.n > 0) {
      const int64_t lane = p.vector * AT_VW;
      at_gemm_run(&(at_gemm){p.n, QB - lane, s->hd, x + p.key * s->width, s->width, 0, yt + lane, QB,
                             out + p.key * QB + lane, QB, 0});
    }
  }
}

/* out[rows][hd] (+)= Wt^T X: each query's sum over its keys.  Wt [keys][QB]. */
static void gather_keys(const shape *s, const block *b, const float *wt, const float *x, float *out, int64_t ldo,
                        int add) {
  for (int v = 0; v < QV; v++) {
    if (rows_of_vector(b, v) > 0) {
      at_gemm_run(&(at_gemm){rows_of_vector(b, v), s->hd, keys_of_vector(b, v), wt + v * AT_VW, QB, 1, x, s->width,
                             out + v * AT_VW * ldo, ldo, add});
    }
  }
}

#endif
