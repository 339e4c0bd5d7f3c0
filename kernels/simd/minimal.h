/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector kernels: convolution with stride 1 by minimal filtering (Toom 1963; Winograd 1980; Lavin and Gray 2016).
 *
 * m x m outputs of a kernel of r x r read a tile of x of side m + r - 1.  Along one axis x, kernel and outputs are polynomials known by
 * their values at the points 0, +-p (, +-q) and infinity: with D, F and S of that many rows, the outputs are S^T (F w . D x), a
 * product for each point instead of r for each output; along two axes, of tiles, S^T (F w F^T . D x D^T) S.  Summed over channels,
 * each point is a matrix product, of tiles and channels.  The derivative in x is the convolution of dy with the kernel turned
 * around.  That in w is the same sum with dy, m x m of it, in the place of the kernel and r x r outputs, over tiles instead of channels.
 *
 * With points +-1 the error is below that of the direct sum; +-5/8 and +-3/2, for the larger tile, make it about a third larger
 * (+-1 and +-2: three times).  tests/unit/test_kernels_conv.c holds all three to 4e-6 of the largest element.  Each output is
 * the same sum whatever the images, tiles and columns around it. */
#include <string.h>

#include "kernels/minimal_shape.h"
#include "kernels/simd/gemm.h"
#include "kernels/simd/slots.h"
#include "kernels/simd/transpose.h"

enum { MOST = AT_MINIMAL_SIDE * AT_MINIMAL_SIDE };

/* --- along one axis ------------------------------------------------------------------------------------------------------------ */

/* The points p and q.  SCALE(p, ..): 1 over the product of a point's distances from the others, which the kernel's values carry. */
#define P(pairs) ((pairs) == 1 ? 1.0 : 0.625)
#define Q        1.5

/* z = D d: for each point, d times the polynomial that vanishes at all others. */
AT_INLINE void data_line(int pairs, const vf *d, vf *z) {
  const int last = 2 * pairs + 1;
  if (pairs == 1) { /* p = 1 */
    z[0] = vf_sub(d[2], d[0]);
    z[1] = vf_add(d[2], d[1]);
    z[2] = vf_sub(d[2], d[1]);
    z[last] = vf_sub(d[3], d[1]);
    return;
  }
  const double p = P(2), q = Q;
  const vf both = vf_set1((float)(p * p * q * q)), sum = vf_set1((float)(p * p + q * q));
  const vf pp = vf_set1((float)(p * p)), qq = vf_set1((float)(q * q));
  z[0] = vf_fma(both, d[0], vf_fnma(sum, d[2], d[4]));
  z[last] = vf_fma(both, d[1], vf_fnma(sum, d[3], d[5]));
  const vf even_p = vf_fnma(qq, d[2], d[4]), odd_p = vf_fnma(qq, d[1], d[3]);
  const vf even_q = vf_fnma(pp, d[2], d[4]), odd_q = vf_fnma(pp, d[1], d[3]);
  z[1] = vf_fma(vf_set1((float)p), odd_p, even_p);
  z[2] = vf_fnma(vf_set1((float)p), odd_p, even_p);
  z[3] = vf_fma(vf_set1((float)q), odd_q, even_q);
  z[4] = vf_fnma(vf_set1((float)q), odd_q, even_q);
}

/* z = F g: the values of the polynomial with the `len` coefficients g. */
AT_INLINE void filter_line(int pairs, int len, const vf *g, vf *z) {
  const double pp = P(pairs) * P(pairs), qq = Q * Q;
  z[0] = pairs == 1 ? vf_neg(g[0]) : vf_mul(vf_set1((float)(1.0 / (pp * qq))), g[0]);
  z[2 * pairs + 1] = g[len - 1];
  AT_UNROLL
  for (int i = 0; i < pairs; i++) {
    const double point = i == 0 ? P(pairs) : Q, square = point * point;
    const double scale = pairs == 1 ? 0.5 : 0.5 / (square * (i == 0 ? pp - qq : qq - pp));
    const vf s0 = vf_set1((float)scale), s2 = vf_set1((float)(scale * square)),
             s4 = vf_set1((float)(scale * square * square));
    const vf s1 = vf_set1((float)(scale * point)), s3 = vf_set1((float)(scale * point * square));
    vf even = vf_mul(s0, g[0]), odd = vf_mul(s1, g[1]);
    even = len > 2 ? vf_fma(s2, g[2], even) : even;
    odd = len > 3 ? vf_fma(s3, g[3], odd) : odd;
    even = len > 4 ? vf_fma(s4, g[4], even) : even;
    z[2 * i + 1] = vf_add(even, odd);
    z[2 * i + 2] = vf_sub(even, odd);
  }
}

/* y = S^T z: `len` outputs, each the sum of the values times a power of their points. */
AT_INLINE void output_line(int pairs, int len, const vf *z, vf *y) {
  const vf even_p = vf_add(z[1], z[2]), odd_p = vf_sub(z[1], z[2]);
  const vf even_q = pairs == 1 ? vf_zero() : vf_add(z[3], z[4]), odd_q = pairs == 1 ? vf_zero() : vf_sub(z[3], z[4]);
  double p = 1.0, q = 1.0;
  AT_UNROLL
  for (int k = 0; k < len; k++, p *= P(pairs), q *= Q) {
    const vf of_p = k % 2 ? odd_p : even_p, of_q = k % 2 ? odd_q : even_q;
    y[k] = k == 0 ? vf_add(z[0], of_p) : pairs == 1 ? of_p : vf_mul(vf_set1((float)p), of_p);
    y[k] = pairs == 1 ? y[k] : vf_fma(vf_set1((float)q), of_q, y[k]);
  }
  y[len - 1] = vf_add(y[len - 1], z[2 * pairs + 1]);
}

/* --- along two ----------------------------------------------------------------------------------------------------------------- */

typedef enum kind { DATA, FILTER, OUTPUT } kind;

/* Where the elements of a square lie, each the first of a row of channels, and where those of its transform go. */
typedef struct patch {
  float *from[MOST]; /* read only */
  float *to[MOST];
} patch;

AT_INLINE void line(kind what, int pairs, int len, const vf *from, vf *to) {
  if (what == DATA) {
    data_line(pairs, from, to);
  } else if (what == FILTER) {
    filter_line(pairs, len, from, to);
  } else {
    output_line(pairs, len, from, to);
  }
}

AT_INLINE void square(kind what, int pairs, int len, const patch *s, int64_t at, int64_t lanes) {
  const int side = 2 * pairs + 2, in = what == FILTER ? len : side, out = what == OUTPUT ? len : side;
  vf half[AT_MINIMAL_SIDE][AT_MINIMAL_SIDE], row[AT_MINIMAL_SIDE], z[AT_MINIMAL_SIDE];
  AT_UNROLL
  for (int j = 0; j < in; j++) {
    AT_UNROLL
    for (int i = 0; i < in; i++) {
      row[i] = vf_load_lanes(s->from[i * in + j] + at, lanes);
    }
    line(what, pairs, len, row, z);
    AT_UNROLL
    for (int i = 0; i < out; i++) {
      half[i][j] = z[i];
    }
  }
  AT_UNROLL
  for (int i = 0; i < out; i++) {
    line(what, pairs, len, half[i], z);
    AT_UNROLL
    for (int j = 0; j < out; j++) {
      vf_store_lanes(s->to[i * out + j] + at, lanes, z[j]);
    }
  }
}

AT_INLINE void channels(kind what, int pairs, int len, const patch *s, int64_t count) {
  int64_t at = 0;
  for (; at + AT_VW <= count; at += AT_VW) {
    square(what, pairs, len, s, at, AT_VW);
  }
  if (at < count) {
    square(what, pairs, len, s, at, count - at);
  }
}

/* `count` channels of s; len: of a filter or of outputs. */
static void transform(kind what, int64_t pairs, int64_t len, const patch *s, int64_t count) {
#define CASE(kind, pairs, len)            \
  case (kind)*100 + (pairs)*10 + (len):   \
    channels(kind, pairs, len, s, count); \
    break
  switch (what * 100 + pairs * 10 + len) {
    CASE(DATA, 1, 0);
    CASE(DATA, 2, 0);
    CASE(FILTER, 1, 2);
    CASE(FILTER, 1, 3);
    CASE(FILTER, 2, 2);
    CASE(FILTER, 2, 5);
    CASE(OUTPUT, 1, 2);
    CASE(OUTPUT, 1, 3);
    CASE(OUTPUT, 2, 2);
    CASE(OUTPUT, 2, 5);
  }
#undef CASE
}

/* --- blocks -------------------------------------------------------------------------------------------------------------------- */

/* Images of rows of pixels of `c` channels. */
typedef struct images {
  float *pixel;
  int64_t h, w, c;
} images;

/* A call: the plan, its scratch, and the images that tiles read and write or, for dw, read both. */
typedef struct work {
  at_minimal t;
  float *weights, *data, *results, *taps; /* kernels/minimal_shape.h */
  float *zeros, *trash;
  images x, y;
  int64_t top, left; /* what the first tile has of zeros above and left of x */
  int64_t count;     /* tiles */
} work;

static work work_of(at_kslot slot, const at_conv *s, const at_kcall *call) {
  work b = {.t = at_minimal_plan(slot, s), .weights = call->scratch};
  const at_minimal *t = &b.t;
  b.data = b.weights + at_minimal_weights(t);
  b.results = b.data + at_minimal_data(t);
  b.taps = b.results + at_minimal_results(t);
  b.zeros = b.taps + at_minimal_taps(t);
  b.trash = b.zeros + at_minimal_outside(t) / 2;
  memset(b.zeros, 0, (size_t)(at_minimal_outside(t) / 2) * sizeof *b.zeros);
  b.count = s->n * t->high * t->wide;
  return b;
}

/* The pixels of tile `tile` of `side` x `side`, `step` apart and the first at -top, -left, or `outside`. */
static void pixels_of(const work *b, const images *v, int64_t tile, int64_t side, int64_t top, int64_t left,
                      float *outside, float **to) {
  const int64_t per_image = b->t.high * b->t.wide, image = tile / per_image;
  const int64_t y = tile % per_image / b->t.wide * b->t.m - top, x = tile % b->t.wide * b->t.m - left;
  float *first = v->pixel + image * v->h * v->w * v->c;
  for (int64_t i = y; i < y + side; i++) {
    for (int64_t j = x; j < x + side; j++) {
      *to++ = i >= 0 && i < v->h && j >= 0 && j < v->w ? first + (i * v->w + j) * v->c : outside;
    }
  }
}

static void points_to(const work *b, float *first, int64_t step, float **to) {
  for (int64_t p = 0; p < b->t.points; p++) {
    to[p] = first + p * step;
  }
}

/* Tiles [first, first + some) of x, for all channels. */
static void transform_data(const work *b, int64_t first, int64_t some) {
  patch s;
  for (int64_t i = 0; i < some; i++) {
    pixels_of(b, &b->x, first + i, b->t.side, b->top, b->left, b->zeros, s.from);
    points_to(b, b->data + i * b->t.depth, b->t.data_step, s.to);
    transform(DATA, b->t.pairs, 0, &s, b->t.depth);
  }
}

/* The transformed weights of the panel at `column` of the group. */
static float *panel_of(const work *b, int64_t column) {
  return b->weights + column / AT_MINIMAL_PANEL * b->t.points * b->t.weight_step;
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* --- forward, and the derivative in x ------------------------------------------------------------------------------------------ */

/* Weights [r][r][c][oc] to the panel of columns [column, column + width): rows are c, or with turned = 1 oc, last tap first. */
static void transform_weights(const work *b, const at_conv *s, const float *w, int turned, int64_t column,
                              int64_t width, float *to) {
  const int64_t taps = b->t.r * b->t.r, tap = s->c * s->oc;
  patch f;
  for (int64_t row = 0; row < b->t.depth; row++) {
    const int64_t in_block = row % AT_MINIMAL_ROWS;
    if (turned && in_block == 0) {
      const int64_t rows = least(AT_MINIMAL_ROWS, b->t.depth - row);
      for (int64_t i = 0; i < taps; i++) {
        at_transpose(width, rows, w + (taps - 1 - i) * tap + column * s->oc + row, s->oc,
                     b->taps + i * AT_MINIMAL_ROWS * width, width);
      }
    }
    for (int64_t i = 0; i < taps; i++) {
      f.from[i] =
          turned ? b->taps + (i * AT_MINIMAL_ROWS + in_block) * width : (float *)w + i * tap + row * s->oc + column;
    }
    points_to(b, to + row * width, b->t.weight_step, f.to);
    transform(FILTER, b->t.pairs, b->t.r, &f, width);
  }
}

/* Columns [column, column + width) of the tiles whose data are transformed. */
static void outputs(const work *b, int64_t first, int64_t some, int64_t column, int64_t width, const float *weights) {
  for (int64_t p = 0; p < b->t.points; p++) {
    at_gemm_run(&(at_gemm){.m = some,
                           .n = width,
                           .k = b->t.depth,
                           .a = b->data + p * b->t.data_step,
                           .lda = b->t.depth,
                           .b = weights + p * b->t.weight_step,
                           .ldb = width,
                           .c = b->results + p * b->t.result_step,
                           .ldc = width});
  }
  const images y = {b->y.pixel + column, b->y.h, b->y.w, b->y.c};
  patch s;
  for (int64_t i = 0; i < some; i++) {
    points_to(b, b->results + i * width, b->t.result_step, s.from);
    pixels_of(b, &y, first + i, b->t.m, 0, 0, b->trash, s.to);
    transform(OUTPUT, b->t.pairs, b->t.m, &s, width);
  }
}

static void convolve(const work *b, const at_conv *s, const float *w, int turned) {
  const at_minimal *t = &b->t;
  for (int64_t from = 0; from < t->width; from += t->group) {
    const int64_t end = least(t->group, t->width - from);
    for (int64_t j = 0; j < end; j += AT_MINIMAL_PANEL) {
      transform_weights(b, s, w, turned, from + j, least(AT_MINIMAL_PANEL, end - j), panel_of(b, j));
    }
    for (int64_t i = 0; i < b->count; i += t->tiles) {
      const int64_t some = least(t->tiles, b->count - i);
      transform_data(b, i, some);
      for (int64_t j = 0; j < end; j += AT_MINIMAL_PANEL) {
        outputs(b, i, some, from + j, least(AT_MINIMAL_PANEL, end - j), panel_of(b, j));
      }
    }
  }
}

void AT_SIMD(minimal_conv2d)(const at_kcall *call) {
  const at_conv s = at_conv_parse(call->dim);
  work b = work_of(AT_K_conv2d, &s, call);
  b.x = (images){(float *)call->in[0], s.h, s.w, s.c};
  b.y = (images){call->out[0], s.oh, s.ow, s.oc};
  b.top = s.ph;
  b.left = s.pw;
  convolve(&b, &s, call->in[1], 0);
}

void AT_SIMD(minimal_conv2d_dx)(const at_kcall *call) {
  const at_conv s = at_conv_parse(call->dim);
  work b = work_of(AT_K_conv2d_dx, &s, call);
  b.x = (images){(float *)call->in[0], s.oh, s.ow, s.oc};
  b.y = (images){call->out[0], s.h, s.w, s.c};
  b.top = s.kh - 1 - s.ph;
  b.left = s.kw - 1 - s.pw;
  convolve(&b, &s, call->in[1], 1);
}

/* --- the derivative in w ------------------------------------------------------------------------------------------------------- */

/* The share of some tiles in the panel of columns [column, column + width) of dw, still transformed. */
static void add_tiles(const work *b, int64_t first, int64_t some, int64_t column, int64_t width, float *sums) {
  const images dy = {b->y.pixel + column, b->y.h, b->y.w, b->y.c};
  patch s;
  for (int64_t i = 0; i < some; i++) {
    pixels_of(b, &dy, first + i, b->t.m, 0, 0, b->zeros, s.from);
    points_to(b, b->results + i * width, b->t.result_step, s.to);
    transform(FILTER, b->t.pairs, b->t.m, &s, width);
  }
  for (int64_t p = 0; p < b->t.points; p++) {
    at_gemm_run(&(at_gemm){.m = b->t.depth,
                           .n = width,
                           .k = some,
                           .a = b->data + p * b->t.data_step,
                           .lda = b->t.depth,
                           .transposed = 1,
                           .b = b->results + p * b->t.result_step,
                           .ldb = width,
                           .c = sums + p * b->t.weight_step,
                           .ldc = width,
                           .add = first > 0});
  }
}

/* The sums of a panel to dw [r][r][c][oc], from its column on. */
static void finish_weights(const work *b, const at_conv *s, int64_t width, float *sums, float *dw) {
  patch f;
  for (int64_t row = 0; row < b->t.depth; row++) {
    points_to(b, sums + row * width, b->t.weight_step, f.from);
    for (int64_t i = 0; i < b->t.r * b->t.r; i++) {
      f.to[i] = dw + (i * s->c + row) * s->oc;
    }
    transform(OUTPUT, b->t.pairs, b->t.r, &f, width);
  }
}

void AT_SIMD(minimal_conv2d_dw)(const at_kcall *call) {
  const at_conv s = at_conv_parse(call->dim);
  work b = work_of(AT_K_conv2d_dw, &s, call);
  const at_minimal *t = &b.t;
  b.x = (images){(float *)call->in[0], s.h, s.w, s.c};
  b.y = (images){(float *)call->in[1], s.oh, s.ow, s.oc};
  b.top = s.ph;
  b.left = s.pw;
  for (int64_t from = 0; from < t->width; from += t->group) {
    const int64_t end = least(t->group, t->width - from);
    for (int64_t i = 0; i < b.count; i += t->tiles) {
      const int64_t some = least(t->tiles, b.count - i);
      transform_data(&b, i, some);
      for (int64_t j = 0; j < end; j += AT_MINIMAL_PANEL) {
        add_tiles(&b, i, some, from + j, least(AT_MINIMAL_PANEL, end - j), panel_of(&b, j));
      }
    }
    for (int64_t j = 0; j < end; j += AT_MINIMAL_PANEL) {
      finish_weights(&b, &s, least(AT_MINIMAL_PANEL, end - j), panel_of(&b, j), (float *)call->out[0] + from + j);
    }
  }
}
