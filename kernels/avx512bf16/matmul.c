/* SPDX-License-Identifier: BSD-3-Clause */
/* The matrix product with inputs in bf16 (VDPBF16PS).
 *
 * Blocked as Goto and van de Geijn (2008) have it: a block of B in packed panels, then blocks of A, then tiles in registers.  Each
 * element of C is one chain of sums over ascending pairs of k, begun at 0, whatever the shape around it: bits depend neither on
 * the other rows and columns nor on the blocks. */
#include "kernels/bf16.h"

#include "kernels/avx512bf16/panel.h"
#include "kernels/simd/slots.h"

enum { BLOCK_ROWS = AT_BF16_ROWS / TILE_ROWS * TILE_ROWS };

/* One product of a batch. */
typedef struct product {
  int64_t m, n, k;
  const float *a, *b;
  int ta, tb;
  float *c;
  uint32_t *panel_a, *panel_b; /* scratch */
} product;

/* Columns [from, from + 16) of X (of which `have` exist), k from p: X is [k][columns], or [columns][k] where `along` k. */
static void pack(int along, const float *x, int64_t columns, int64_t k, int64_t from, int64_t have, int64_t p,
                 int64_t depth, uint32_t *to, int64_t step) {
  if (!along) {
    pack_rows(depth, have, x + p * columns + from, columns, to, step);
    return;
  }
  const float *column[LANES];
  for (int64_t j = 0; j < have && j < LANES; j++) {
    column[j] = x + (from + j) * k + p;
  }
  pack_columns(depth, have, column, to, step);
}

/* Rows of the panel at row i of a block that ends at `end`: the last two share what is left evenly. */
static int64_t panel_rows(int64_t i, int64_t end) {
  const int64_t left = end - i;
  return left >= 2 * TILE_ROWS || left == TILE_ROWS ? TILE_ROWS : left > TILE_ROWS ? (left + 1) / 2 : left;
}

static void pack_b(const product *q, int64_t j0, int64_t width, int64_t p, int64_t depth) {
  const int64_t pairs = (depth + 1) / 2;
  uint32_t *to = q->panel_b;
  for (int64_t j = 0; j < width; j += TILE_COLUMNS, to += pairs * TILE_COLUMNS) {
    for (int64_t half = 0; half < TILE_COLUMNS; half += LANES) {
      if (width - j > half) {
        pack(q->tb, q->b, q->n, q->k, j0 + j + half, width - j - half, p, depth, to + half, TILE_COLUMNS);
      }
    }
  }
}

static void pack_a(const product *q, int64_t i0, int64_t rows, int64_t p, int64_t depth) {
  const int64_t pairs = (depth + 1) / 2;
  uint32_t *to = q->panel_a;
  for (int64_t i = 0, some; i < rows; i += some, to += pairs * LANES) {
    some = panel_rows(i, rows);
    pack(!q->ta, q->a, q->m, q->k, i0 + i, some, p, depth, to, LANES);
  }
}

static void multiply(const product *q, int64_t i0, int64_t rows, int64_t j0, int64_t width, int64_t depth, int add) {
  const int64_t pairs = (depth + 1) / 2;
  const uint32_t *a = q->panel_a;
  for (int64_t i = 0, some; i < rows; i += some, a += pairs * LANES) {
    some = panel_rows(i, rows);
    const uint32_t *b = q->panel_b;
    for (int64_t j = 0; j < width; j += TILE_COLUMNS, b += pairs * TILE_COLUMNS) {
      const int64_t columns = width - j < TILE_COLUMNS ? width - j : TILE_COLUMNS;
      at_bf16_tile(some, columns, pairs, a, b, q->c + (i0 + i) * q->n + j0 + j, q->n, add);
    }
  }
}

static void run(const product *q) {
  /* equal shares of k, even so that no pair is cut */
  const int64_t shares = (q->k + AT_BF16_DEPTH - 1) / AT_BF16_DEPTH;
  const int64_t share = ((q->k + shares - 1) / shares + 1) / 2 * 2;
  for (int64_t j = 0; j < q->n; j += AT_BF16_COLUMNS) {
    const int64_t width = q->n - j < AT_BF16_COLUMNS ? q->n - j : AT_BF16_COLUMNS;
    for (int64_t p = 0; p < q->k; p += share) {
      const int64_t depth = q->k - p < share ? q->k - p : share;
      pack_b(q, j, width, p, depth);
      for (int64_t i = 0; i < q->m; i += BLOCK_ROWS) {
        const int64_t rows = q->m - i < BLOCK_ROWS ? q->m - i : BLOCK_ROWS;
        pack_a(q, i, rows, p, depth);
        multiply(q, i, rows, j, width, depth, p > 0);
      }
    }
  }
}

void at_avx512bf16_matmul_bf16(const at_kcall *call) {
  const int64_t *d = call->dim, stride_a = d[6], stride_b = d[7];
  int64_t batch = d[0];
  product q = {.m = d[1], .n = d[2], .k = d[3], .a = call->in[0], .b = call->in[1], .ta = d[4] != 0, .tb = d[5] != 0};
  q.c = call->out[0];
  if (q.k == 0) {
    memset(q.c, 0, (size_t)(batch * q.m * q.n) * sizeof *q.c);
    return;
  }
  q.panel_b = call->scratch;
  q.panel_a = q.panel_b + at_bf16_block(q.n, AT_BF16_COLUMNS) * at_bf16_block(q.k, AT_BF16_DEPTH) / 2;
  if (!q.ta && stride_b == 0 && stride_a == q.m * q.k) { /* one B for all: the batches of A are rows of one matrix */
    q.m *= batch;
    batch = batch > 0;
  }
  for (int64_t i = 0; i < batch; i++, q.a += stride_a, q.b += stride_b, q.c += q.m * q.n) {
    run(&q);
  }
}
