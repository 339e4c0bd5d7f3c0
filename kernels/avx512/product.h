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

/* How a tile ends: C = sum; the sum goes on from C; C + s sum, in two roundings. */
typedef enum finish { SET, GO_ON, ADD_SCALED } finish;

/* Where the operands of a tile lie: A's rows and steps, B's steps, in words. */
typedef struct lie {
  int64_t a_row, a_step, b_step;
} lie;

/* What all tiles of a call have in common. */
typedef struct target {
  float *c;
  int64_t ldc;
  finish how;
  float scale;
} target;

/* mr rows and nv vectors of columns, the last masked, over `words` words.  loose: B is read where it lies, with what comes next of
 * its rows asked for early. */
AT_INLINE void tile(int mr, int nv, int loose, const lie *l, int64_t words, const uint32_t *a, const uint32_t *b,
                    const target *t, __mmask16 last) {
  const int64_t a_row = l->a_row, a_step = l->a_step, b_step = l->b_step, ldc = t->ldc;
  float *c = t->c;
  __m512 acc[TILE_ROWS][2];
  AT_UNROLL
  for (int r = 0; r < mr; r++) {
    AT_UNROLL
    for (int v = 0; v < nv; v++) {
      acc[r][v] = _mm512_setzero_ps();
      if (t->how == GO_ON) {
        acc[r][v] = _mm512_maskz_loadu_ps(v == nv - 1 ? last : (__mmask16)0xffff, c + r * ldc + v * LANES);
      } else if (t->how == ADD_SCALED) {
        _mm_prefetch((const char *)(c + r * ldc + v * LANES), _MM_HINT_T0);
      }
    }
  }
  for (int64_t p = 0; p < words; p++, a += a_step, b += b_step) {
    WIDE row[2];
    AT_UNROLL
    for (int v = 0; v < nv; v++) {
      row[v] = loose ? WIDE_LOAD_SOME(v == nv - 1 ? last : (__mmask16)0xffff, b + v * LANES) : WIDE_LOAD(b + v * LANES);
      if (loose) {
        _mm_prefetch((const char *)(b + TILE_COLUMNS + v * LANES), _MM_HINT_T1);
      }
    }
    AT_UNROLL
    for (int r = 0; r < mr; r++) {
      const WIDE x = WIDE_ALL(a[r * a_row]);
      AT_UNROLL
      for (int v = 0; v < nv; v++) {
        acc[r][v] = WIDE_FMA(acc[r][v], x, row[v]);
      }
    }
  }
  if (t->how == ADD_SCALED) { /* before any of C is stored: a load waits for a masked store that ends in its 64 bytes */
    const __m512 scale = _mm512_set1_ps(t->scale);
    AT_UNROLL
    for (int r = 0; r < mr; r++) {
      AT_UNROLL
      for (int v = 0; v < nv; v++) {
        const __m512 old = _mm512_maskz_loadu_ps(v == nv - 1 ? last : (__mmask16)0xffff, c + r * ldc + v * LANES);
        acc[r][v] = _mm512_add_ps(old, _mm512_mul_ps(scale, acc[r][v]));
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

#define CASE(mr)                                       \
  case mr:                                             \
    if (width > LANES) {                               \
      tile(mr, 2, loose, &at, words, a, b, t, wide);   \
    } else {                                           \
      tile(mr, 1, loose, &at, words, a, b, t, narrow); \
    }                                                  \
    break

/* Columns [0, width <= 32) of B times 1 <= rows <= TILE_ROWS of A. */
AT_INLINE void run_tile(int loose, lie at, int64_t rows, int64_t width, int64_t words, const uint32_t *a,
                        const uint32_t *b, const target *t) {
  const __mmask16 wide = first(width - LANES), narrow = first(width);
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
}
#undef CASE

static void run_packed(const lie *l, int64_t rows, int64_t width, int64_t words, const uint32_t *a, const uint32_t *b,
                       const target *t) {
  (void)l;
  run_tile(0, (lie){1, LANES, TILE_COLUMNS}, rows, width, words, a, b, t);
}

#if WIDE_IS_FLOATS
/* Rows of A side by side. */
static void run_loose(const lie *l, int64_t rows, int64_t width, int64_t words, const uint32_t *a, const uint32_t *b,
                      const target *t) {
  run_tile(1, (lie){1, l->a_step, l->b_step}, rows, width, words, a, b, t);
}

/* Steps of A side by side. */
static void run_rows(const lie *l, int64_t rows, int64_t width, int64_t words, const uint32_t *a, const uint32_t *b,
                     const target *t) {
  run_tile(1, (lie){l->a_row, 1, l->b_step}, rows, width, words, a, b, t);
}
#endif

/* One product of a batch. */
typedef struct product {
  int64_t m, n, k, lda, ldb;
  const float *a, *b;
  int ta, tb;
  float *c;
  const float *scale;          /* C + s A B instead of A B; may be NULL */
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
  pack_columns(depth, have, column, LANES * s->ld, to, step);
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

/* How a call is done: which operands are packed. */
typedef struct method {
  int pack_a, pack_b;
  lie at;
  void (*run)(const lie *l, int64_t rows, int64_t width, int64_t words, const uint32_t *a, const uint32_t *b,
              const target *t);
} method;

#if WIDE_IS_FLOATS
/* What is read once or twice is read where it lies: B if A has few rows, A if B has few columns or if its few steps have its rows
 * side by side.  No bit of the result depends on it. */
static method choose(const product *q) {
  enum { FEW_STEPS = 64 };
  const int loose_a = q->n <= TILE_COLUMNS || (q->ta && q->k <= FEW_STEPS);
  const int loose_b = !q->tb && q->m <= 2 * TILE_ROWS;
  method w = {!loose_a, !loose_b, {1, LANES, loose_b ? q->ldb : TILE_COLUMNS}, run_packed};
  if (loose_a) {
    w.at.a_row = q->ta ? 1 : q->lda;
    w.at.a_step = q->ta ? q->lda : 1;
  }
  w.run = loose_a && !q->ta ? run_rows : loose_a || loose_b ? run_loose : run_packed;
  return w;
}
#else
static method choose(const product *q) {
  (void)q;
  return (method){1, 1, {1, LANES, TILE_COLUMNS}, run_packed};
}
#endif

/* A block of rows times a block of columns: few of the one stay in the cache for all of the other. */
static void multiply(const product *q, const method *w, block a, block b, target t) {
  const int64_t words = WORDS(a.depth);
  const uint32_t *loose_a = (const uint32_t *)q->a + a.from * w->at.a_row + a.first * w->at.a_step;
  const uint32_t *loose_b = (const uint32_t *)q->b + b.from + b.first * w->at.b_step;
  const int64_t rows = a.width, columns = b.width, outer = w->pack_b ? columns : TILE_COLUMNS;
  for (int64_t j0 = 0; j0 < columns; j0 += outer) {
    const int64_t end = columns - j0 < outer ? columns : j0 + outer;
    const uint32_t *panel = q->panel_a;
    for (int64_t i = 0, some; i < rows; i += some, panel += words * LANES) {
      some = panel_rows(i, rows);
      for (int64_t j = j0; j < end; j += TILE_COLUMNS) {
        t.c = q->c + (a.from + i) * q->n + b.from + j;
        w->run(&w->at, some, columns - j < TILE_COLUMNS ? columns - j : TILE_COLUMNS, words,
               w->pack_a ? panel : loose_a + i * w->at.a_row, w->pack_b ? q->panel_b + j * words : loose_b + j, &t);
      }
    }
  }
}

static void run(const product *q) {
  /* equal shares of k, even so that no pair is cut */
  const int64_t shares = (q->k + AT_PRODUCT_DEPTH - 1) / AT_PRODUCT_DEPTH;
  const int64_t share = ((q->k + shares - 1) / shares + 1) / 2 * 2;
  const method w = choose(q);
  target t = {.ldc = q->n, .scale = q->scale ? *q->scale : 1.0f};
  for (int64_t j = 0; j < q->n; j += AT_PRODUCT_COLUMNS) {
    const int64_t width = q->n - j < AT_PRODUCT_COLUMNS ? q->n - j : AT_PRODUCT_COLUMNS;
    for (int64_t p = 0; p < q->k; p += share) {
      const int64_t depth = q->k - p < share ? q->k - p : share;
      const block b = {q->b, q->ldb, q->tb, j, width, p, depth};
      if (w.pack_b) {
        pack_b(&b, q->panel_b);
      }
      t.how = q->scale ? ADD_SCALED : p > 0 ? GO_ON : SET;
      for (int64_t i = 0; i < q->m; i += BLOCK_ROWS) {
        const block a = {q->a, q->lda, !q->ta, i, q->m - i < BLOCK_ROWS ? q->m - i : BLOCK_ROWS, p, depth};
        if (w.pack_a) {
          pack_a(&a, q->panel_a);
        }
        multiply(q, &w, a, b, t);
      }
    }
  }
}

static product product_of(const at_kcall *call, int operand) {
  const int64_t *d = call->dim;
  product q = {.m = d[1],
               .n = d[2],
               .k = d[3],
               .a = call->in[operand],
               .b = call->in[operand + 1],
               .ta = d[4] != 0,
               .tb = d[5] != 0,
               .c = call->out[0],
               .panel_b = call->scratch};
  q.lda = d[8] ? d[8] : q.ta ? q.m : q.k;
  q.ldb = q.tb ? q.k : q.n;
  q.panel_a = q.panel_b + at_product_block(q.n, AT_PRODUCT_COLUMNS) * at_product_block(q.k, AT_PRODUCT_DEPTH);
  return q;
}

static void run_batch(const at_kcall *call) {
  const int64_t stride_a = call->dim[6], stride_b = call->dim[7];
  int64_t batch = call->dim[0];
  product q = product_of(call, 0);
  if (q.k == 0) {
    memset(q.c, 0, (size_t)(batch * q.m * q.n) * sizeof *q.c);
    return;
  }
  if (!q.ta && stride_b == 0 && stride_a == q.m * q.k &&
      q.lda == q.k) { /* one B for all: the batches of A are rows of one matrix */
    q.m *= batch;
    batch = batch > 0;
  }
  for (int64_t i = 0; i < batch; i++, q.a += stride_a, q.b += stride_b, q.c += q.m * q.n) {
    run(&q);
  }
}

static void run_add(const at_kcall *call) {
  product q = product_of(call, 1);
  q.scale = call->in[3];
  if (call->in[0] != call->out[0]) {
    memcpy(q.c, call->in[0], (size_t)(q.m * q.n) * sizeof *q.c);
  }
  if (q.k > 0) {
    run(&q);
  }
}

#endif
