/* SPDX-License-Identifier: BSD-3-Clause */
/* The matrix product of the AVX-512 levels.
 *
 * Blocked as Goto and van de Geijn (2008) have it: a block of B in packed panels, then blocks of A, then tiles in registers.  Each
 * element of C is one chain of sums over ascending k, begun at 0, whatever the shape around it: its bits depend neither on the
 * other rows and columns nor on the blocks. */
#ifndef AT_AVX512_PRODUCT_H
#define AT_AVX512_PRODUCT_H

#include "kernels/avx512/words.h"
#include "kernels/product_shape.h"

enum { BLOCK_ROWS = AT_PRODUCT_ROWS / TILE_ROWS * TILE_ROWS, SOME_STEPS = 8 };

/* C[mr][..] (+)= A B over `words` words: mr rows, nv vectors of columns, the last masked.  C is read where `add`. */
AT_INLINE void tile(int mr, int nv, int64_t words, const uint32_t *a, const uint32_t *b, float *c, int64_t ldc,
                    __mmask16 last, int add) {
  __m512 acc[TILE_ROWS][2];
  AT_UNROLL
  for (int r = 0; r < mr; r++) {
    AT_UNROLL
    for (int v = 0; v < nv; v++) {
      acc[r][v] = _mm512_setzero_ps();
      if (add) {
        acc[r][v] = _mm512_maskz_loadu_ps(v == nv - 1 ? last : (__mmask16)0xffff, c + r * ldc + v * LANES);
      }
    }
  }
  for (int64_t p = 0; p < words; p++, a += LANES, b += TILE_COLUMNS) {
    WIDE row[2];
    AT_UNROLL
    for (int v = 0; v < nv; v++) {
      row[v] = WIDE_LOAD(b + v * LANES);
    }
    AT_UNROLL
    for (int r = 0; r < mr; r++) {
      const WIDE x = WIDE_ALL(a[r]);
      AT_UNROLL
      for (int v = 0; v < nv; v++) {
        acc[r][v] = WIDE_FMA(acc[r][v], x, row[v]);
      }
    }
  }
  AT_UNROLL
  for (int r = 0; r < mr; r++) {
    AT_UNROLL
    for (int v = 0; v < nv; v++) {
      _mm512_mask_storeu_ps(c + r * ldc + v * LANES, v == nv - 1 ? last : (__mmask16)0xffff, acc[r][v]);
    }
  }
}

/* Columns [0, width <= 32) of a panel of B times a panel of A with 1 <= rows <= TILE_ROWS. */
static void run_tile(int64_t rows, int64_t width, int64_t words, const uint32_t *a, const uint32_t *b, float *c,
                     int64_t ldc, int add) {
  const __mmask16 wide = first(width - LANES), narrow = first(width);
#define CASE(mr)                                     \
  case mr:                                           \
    if (width > LANES) {                             \
      tile(mr, 2, words, a, b, c, ldc, wide, add);   \
    } else {                                         \
      tile(mr, 1, words, a, b, c, ldc, narrow, add); \
    }                                                \
    break
  switch (rows) {
    CASE(1);
    CASE(2);
    CASE(3);
    CASE(4);
    CASE(5);
    CASE(6);
    CASE(7);
    CASE(8);
    CASE(9);
    CASE(10);
    CASE(11);
    CASE(12);
    CASE(13);
    CASE(14);
  }
#undef CASE
}

/* One product of a batch. */
typedef struct product {
  int64_t m, n, k, lda, ldb;
  const float *a, *b;
  int ta, tb;
  float *c;
  uint32_t *panel_a, *panel_b; /* scratch */
} product;

/* Rows of the panel at row i of a block that ends at `end`: the last two share what is left evenly. */
static int64_t panel_rows(int64_t i, int64_t end) {
  const int64_t left = end - i;
  return left >= 2 * TILE_ROWS || left == TILE_ROWS ? TILE_ROWS : left > TILE_ROWS ? (left + 1) / 2 : left;
}

/* A block of an operand to be packed: columns of X, which is [k][columns], or [columns][k] where `along` k; ld: floats between
 * its rows. */
typedef struct block {
  const float *x;
  int64_t ld;
  int along;
  int64_t from, width;  /* columns */
  int64_t first, depth; /* steps of k */
} block;

/* Columns [at, at + 16) of the block, of which `have` exist, and `depth` steps from p on, to words `step` apart. */
static void pack(const block *s, int64_t at, int64_t have, int64_t p, int64_t depth, uint32_t *to, int64_t step) {
  if (!s->along) {
    pack_rows(depth, have, s->x + (s->first + p) * s->ld + s->from + at, s->ld, to, step);
    return;
  }
  const float *column[LANES];
  for (int64_t j = 0; j < have && j < LANES; j++) {
    column[j] = s->x + (s->from + at + j) * s->ld + s->first + p;
  }
  pack_columns(depth, have, column, to, step);
}

/* Some steps at a time if X has them in rows, which are then read from one end to the other. */
static int64_t pack_steps(const block *s) {
  return s->along ? s->depth : SOME_STEPS;
}

static void pack_b(const block *s, uint32_t *to) {
  const int64_t words = WORDS(s->depth), steps = pack_steps(s);
  for (int64_t p = 0; p < s->depth; p += steps) {
    const int64_t some = s->depth - p < steps ? s->depth - p : steps;
    uint32_t *panel = to + WORDS(p) * TILE_COLUMNS;
    for (int64_t j = 0; j < s->width; j += TILE_COLUMNS, panel += words * TILE_COLUMNS) {
      pack(s, j, s->width - j, p, some, panel, TILE_COLUMNS);
      if (s->width - j > LANES) {
        pack(s, j + LANES, s->width - j - LANES, p, some, panel + LANES, TILE_COLUMNS);
      }
    }
  }
}

static void pack_a(const block *s, uint32_t *to) {
  const int64_t words = WORDS(s->depth), steps = pack_steps(s);
  for (int64_t p = 0; p < s->depth; p += steps) {
    const int64_t some = s->depth - p < steps ? s->depth - p : steps;
    uint32_t *panel = to + WORDS(p) * LANES;
    for (int64_t i = 0, rows; i < s->width; i += rows, panel += words * LANES) {
      rows = panel_rows(i, s->width);
      pack(s, i, rows, p, some, panel, LANES);
    }
  }
}

static void multiply(const product *q, int64_t i0, int64_t rows, int64_t j0, int64_t width, int64_t depth, int add) {
  const int64_t words = WORDS(depth);
  const uint32_t *a = q->panel_a;
  for (int64_t i = 0, some; i < rows; i += some, a += words * LANES) {
    some = panel_rows(i, rows);
    const uint32_t *b = q->panel_b;
    for (int64_t j = 0; j < width; j += TILE_COLUMNS, b += words * TILE_COLUMNS) {
      const int64_t columns = width - j < TILE_COLUMNS ? width - j : TILE_COLUMNS;
      run_tile(some, columns, words, a, b, q->c + (i0 + i) * q->n + j0 + j, q->n, add);
    }
  }
}

static void run(const product *q) {
  /* equal shares of k, even so that no pair is cut */
  const int64_t shares = (q->k + AT_PRODUCT_DEPTH - 1) / AT_PRODUCT_DEPTH;
  const int64_t share = ((q->k + shares - 1) / shares + 1) / 2 * 2;
  for (int64_t j = 0; j < q->n; j += AT_PRODUCT_COLUMNS) {
    const int64_t width = q->n - j < AT_PRODUCT_COLUMNS ? q->n - j : AT_PRODUCT_COLUMNS;
    for (int64_t p = 0; p < q->k; p += share) {
      const int64_t depth = q->k - p < share ? q->k - p : share;
      pack_b(&(block){q->b, q->ldb, q->tb, j, width, p, depth}, q->panel_b);
      for (int64_t i = 0; i < q->m; i += BLOCK_ROWS) {
        const int64_t rows = q->m - i < BLOCK_ROWS ? q->m - i : BLOCK_ROWS;
        pack_a(&(block){q->a, q->lda, !q->ta, i, rows, p, depth}, q->panel_a);
        multiply(q, i, rows, j, width, depth, p > 0);
      }
    }
  }
}

static void run_batch(const at_kcall *call) {
  const int64_t *d = call->dim, stride_a = d[6], stride_b = d[7];
  int64_t batch = d[0];
  product q = {.m = d[1], .n = d[2], .k = d[3], .a = call->in[0], .b = call->in[1], .ta = d[4] != 0, .tb = d[5] != 0};
  q.c = call->out[0];
  q.lda = d[8] ? d[8] : q.ta ? q.m : q.k;
  q.ldb = q.tb ? q.k : q.n;
  if (q.k == 0) {
    memset(q.c, 0, (size_t)(batch * q.m * q.n) * sizeof *q.c);
    return;
  }
  q.panel_b = call->scratch;
  q.panel_a = q.panel_b + at_product_block(q.n, AT_PRODUCT_COLUMNS) * at_product_block(q.k, AT_PRODUCT_DEPTH);
  if (!q.ta && stride_b == 0 && stride_a == q.m * q.k &&
      q.lda == q.k) { /* one B for all: the batches of A are rows of one matrix */
    q.m *= batch;
    batch = batch > 0;
  }
  for (int64_t i = 0; i < batch; i++, q.a += stride_a, q.b += stride_b, q.c += q.m * q.n) {
    run(&q);
  }
}

#endif
