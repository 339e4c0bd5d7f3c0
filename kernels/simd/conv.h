/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector kernels: convolution and its derivative in the input, as products without an unfolded matrix.
 *
 * Both are the same sum: an output pixel reads, for each row of the kernel, one contiguous run of a source image (channels of
 * neighbouring pixels lie side by side), times rows of a panel of weights.  A tile of PIXELS outputs keeps a pointer to each
 * pixel's source and sums PIXELS x (nv vectors of channels) in registers, broadcasting source elements (indirect convolution,
 * Dukhan 2019, without the buffer of pointers).  Borders are real zeros in a copy of the source images.  The derivative in x
 * of a convolution with strides falls into stride_h x stride_w such sums, one per remainder of the position. */
#include <string.h>

#include "kernels/conv_shape.h"
#include "kernels/simd/conv_words.h"
#include "kernels/simd/rows.h"

enum { PIXELS = 6, SEGMENTS = 256 };

/* The kernel positions along one axis that one sum reads, in the order of their source positions: t = 0 .. taps - 1 at source
 * position grid * step + base + t, weight position first + t * stride. */
typedef struct axis {
  int64_t taps, step, base, first, stride;
} axis;

/* A sum over a grid of outputs. */
typedef struct job {
  int64_t images, gh, gw;
  const conv_word *src;              /* with margins */
  int64_t src_image, src_row, src_c; /* in words */
  float *dst;                        /* at the grid's first output */
  int64_t dst_image, dst_i, dst_j;
  axis y, x;
  int64_t depth, columns; /* channels of one group: of the source, of the result */
  int64_t groups;
  const float *w; /* [kh][kw][group_c][oc] */
  int64_t kw, group_c, oc;
  int transposed;   /* weights have the source's channels in their columns */
  conv_word *panel; /* [AT_CONV_DEPTH][AT_CONV_PANEL] of scratch */
} job;

/* Rows of a panel and the runs of the source that they multiply. */
typedef struct block {
  int64_t n, rows;
  int64_t offset[SEGMENTS], length[SEGMENTS];
} block;

/* --- one tile ---------------------------------------------------------------------------------------------------------------- */

/* c[r][0..) (+)= sum over the runs of a[r][..] times panel rows; `rows` of the PIXELS pixels are real. */
AT_INLINE void tile(int nv, int64_t lanes, const block *k, const conv_word *panel, const conv_word *const *a,
                    float *const *c, int64_t rows, int add) {
  vf acc[PIXELS][4];
  AT_UNROLL
  for (int r = 0; r < PIXELS; r++) {
    AT_UNROLL
    for (int v = 0; v < nv; v++) {
      acc[r][v] = add ? vf_load_lanes(c[r] + v * AT_VW, v == nv - 1 ? lanes : AT_VW) : vf_zero();
    }
  }
  for (int64_t s = 0; s < k->n; s++) {
    const conv_word *p[PIXELS];
    AT_UNROLL
    for (int r = 0; r < PIXELS; r++) {
      p[r] = a[r] + k->offset[s];
    }
    for (int64_t d = 0; d < k->length[s]; d++, panel += nv * AT_VW) {
      CONV_WIDE w[4];
      AT_UNROLL
      for (int v = 0; v < nv; v++) {
        w[v] = CONV_LOAD(panel + v * AT_VW);
      }
      AT_UNROLL
      for (int r = 0; r < PIXELS; r++) {
        const CONV_WIDE x = CONV_ALL(p[r][d]);
        AT_UNROLL
        for (int v = 0; v < nv; v++) {
          acc[r][v] = CONV_FMA(acc[r][v], x, w[v]);
        }
      }
    }
  }
  AT_UNROLL
  for (int r = 0; r < PIXELS; r++) {
    AT_UNROLL
    for (int v = 0; v < nv; v++) {
      if (r < rows) {
        vf_store_lanes(c[r] + v * AT_VW, v == nv - 1 ? lanes : AT_VW, acc[r][v]);
      }
    }
  }
}

/* All outputs of the grid, for the rows packed so far.  src, dst: from the group's first channel and the panel's column. */
AT_INLINE void tiles(int nv, int64_t lanes, const job *b, const block *k, const conv_word *src, float *dst, int add) {
  const int64_t per_image = b->gh * b->gw, count = b->images * per_image;
  int64_t image = 0, i = 0, j = 0; /* of the next pixel */
  const conv_word *row = src;
  float *out = dst;
  for (int64_t p = 0; p < count; p += PIXELS) {
    const conv_word *a[PIXELS];
    float *c[PIXELS];
    const int64_t rows = count - p < PIXELS ? count - p : PIXELS;
    for (int r = 0; r < PIXELS; r++) {
      if (r >= rows) {
        a[r] = a[r - 1];
        c[r] = c[r - 1];
        continue;
      }
      a[r] = row + j * b->x.step * b->src_c;
      c[r] = out + j * b->dst_j;
      if (++j == b->gw) {
        j = 0;
        if (++i == b->gh) {
          i = 0;
          image++;
        }
        row = src + image * b->src_image + i * b->y.step * b->src_row;
        out = dst + image * b->dst_image + i * b->dst_i;
      }
    }
    tile(nv, lanes, k, b->panel, a, c, rows, add);
  }
}

static void run_block(const job *b, const block *k, const conv_word *src, float *dst, int64_t width, int add) {
  const int nv = (int)((width + AT_VW - 1) / AT_VW);
  const int64_t lanes = width - (nv - 1) * AT_VW;
  const int whole = lanes == AT_VW;
#define CASE(count)                             \
  case count:                                   \
    if (whole) {                                \
      tiles(count, AT_VW, b, k, src, dst, add); \
    } else {                                    \
      tiles(count, lanes, b, k, src, dst, add); \
    }                                           \
    break
  switch (nv) {
    CASE(1);
    CASE(2);
#if AT_CONV_VECTORS > 2
    CASE(3);
    CASE(4);
#endif
  }
#undef CASE
}

/* --- panels -------------------------------------------------------------------------------------------------------------------- */

/* `count` words of depth from word `from` on of kernel position `tap`, into the panel behind what is there; stride: of the panel. */
static void pack(const job *b, int64_t tap, int64_t group, int64_t column, int64_t width, int64_t from, int64_t count,
                 int64_t stride, conv_word *to) {
  enum { CHANNELS = 1 + CONV_IS_PAIRS };
  const float *w = b->w + tap * b->group_c * b->oc;
  const int64_t c = from * CHANNELS, left = b->depth - c, some = count * CHANNELS < left ? count * CHANNELS : left;
  if (b->transposed) {
    conv_pack_transposed(some, width, w + column * b->oc + group * b->depth + c, b->oc, to, stride);
  } else {
    conv_pack(some, width, w + c * b->oc + group * b->columns + column, b->oc, to, stride);
  }
}

/* One panel of columns of one group. */
static void run_panel(const job *b, int64_t group, int64_t column, int64_t width) {
  const int merged = b->groups == 1; /* neighbouring pixels then continue a run */
  const int64_t stride = (width + AT_VW - 1) / AT_VW * AT_VW;
  const int64_t depth = CONV_WORDS(b->depth);
  const conv_word *src = b->src + group * depth;
  float *dst = b->dst + group * b->columns + column;
  int add = 0;
  block k = {.n = 0, .rows = 0};
  for (int64_t t = 0; t < b->y.taps * b->x.taps; t++) {
    const int64_t ty = t / b->x.taps, tx = t % b->x.taps;
    const int64_t tap = (b->y.first + ty * b->y.stride) * b->kw + b->x.first + tx * b->x.stride;
    const int64_t at = (b->y.base + ty) * b->src_row + (b->x.base + tx) * b->src_c;
    for (int64_t from = 0; from < depth;) {
      int64_t some = AT_CONV_DEPTH - k.rows;
      some = some < depth - from ? some : depth - from;
      pack(b, tap, group, column, width, from, some, stride, b->panel + k.rows * stride);
      if (merged && tx > 0 && k.n > 0) {
        k.length[k.n - 1] += some;
      } else {
        k.offset[k.n] = at + from;
        k.length[k.n++] = some;
      }
      k.rows += some;
      from += some;
      if (k.rows == AT_CONV_DEPTH || k.n == SEGMENTS) {
        run_block(b, &k, src, dst, width, add);
        add = 1;
        k.n = k.rows = 0;
      }
    }
  }
  if (k.rows > 0 || !add) { /* without a tap, zeros are written */
    run_block(b, &k, src, dst, width, add);
  }
}

static void run_job(const job *b) {
  enum { WIDEST = AT_CONV_VECTORS * AT_VW };
  for (int64_t group = 0; group < b->groups; group++) {
    for (int64_t column = 0; column < b->columns; column += WIDEST) {
      run_panel(b, group, column, b->columns - column < WIDEST ? b->columns - column : WIDEST);
    }
  }
}

/* --- the two kernels ------------------------------------------------------------------------------------------------------------- */

void CONV_NAME(conv2d)(const at_kcall *call) {
  const at_conv s = at_conv_parse(call->dim);
#if CONV_IS_PAIRS
  if (s.groups > 1 && s.group_c % 2 != 0) { /* a pair would hold channels of two groups */
    at_avx512_conv2d_bf16(call);
    return;
  }
#endif
  if (!CONV_IS_PAIRS && at_minimal_fits(&s)) {
    AT_SIMD(minimal_conv2d)(call);
    return;
  }
  const at_conv_margin m = at_conv_x_margin(&s);
  const int64_t step = at_conv_images(s.n, s.oh * s.ow), wide = s.w + 2 * s.pw;
  const int64_t words = CONV_WORDS(s.c);
  float *copy = (float *)call->scratch + AT_CONV_DEPTH * AT_CONV_PANEL;
  job b = {.gh = s.oh,
           .gw = s.ow,
           .src_image = (s.h + 2 * s.ph) * wide * words,
           .src_row = wide * words,
           .src_c = words,
           .dst_image = s.oh * s.ow * s.oc,
           .dst_i = s.ow * s.oc,
           .dst_j = s.oc,
           .y = {s.kh, s.sh, 0, 0, 1},
           .x = {s.kw, s.sw, 0, 0, 1},
           .depth = s.group_c,
           .columns = s.group_oc,
           .groups = s.groups,
           .w = call->in[1],
           .kw = s.kw,
           .group_c = s.group_c,
           .oc = s.oc,
           .panel = call->scratch};
  for (int64_t n = 0; n < s.n; n += step) {
    b.images = s.n - n < step ? s.n - n : step;
    b.src = conv_source(&m, b.images, s.h, s.w, s.c, (const float *)call->in[0] + n * s.h * s.w * s.c, copy);
    b.dst = (float *)call->out[0] + n * b.dst_image;
    run_job(&b);
  }
}

/* Positions phase, phase + stride, ... of x along one axis, and the outputs that read them.  before: zeros in front of dy. */
static axis phase_axis(int64_t phase, int64_t kernel, int64_t stride, int64_t pad, int64_t before) {
  const int64_t last = (phase + pad) % stride; /* the smallest kernel position that reads the phase */
  const int64_t taps = last < kernel ? (kernel - last + stride - 1) / stride : 0;
  return (axis){taps, 1, (phase + pad - last) / stride - (taps - 1) + before, last + (taps - 1) * stride, -stride};
}

void CONV_NAME(conv2d_dx)(const at_kcall *call) {
  const at_conv s = at_conv_parse(call->dim);
#if CONV_IS_PAIRS
  if (s.groups > 1 && s.group_oc % 2 != 0) {
    at_avx512_conv2d_dx_bf16(call);
    return;
  }
#endif
  if (!CONV_IS_PAIRS && at_minimal_fits(&s)) {
    AT_SIMD(minimal_conv2d_dx)(call);
    return;
  }
  const at_conv_margin m = at_conv_dy_margin(&s);
  const int64_t step = at_conv_images(s.n, s.h * s.w), wide = s.ow + m.left + m.right;
  const int64_t words = CONV_WORDS(s.oc);
  float *copy = (float *)call->scratch + AT_CONV_DEPTH * AT_CONV_PANEL, *dx = call->out[0];
  job b = {.src_image = (s.oh + m.top + m.bottom) * wide * words,
           .src_row = wide * words,
           .src_c = words,
           .dst_image = s.h * s.w * s.c,
           .dst_i = s.sh * s.w * s.c,
           .dst_j = s.sw * s.c,
           .depth = s.group_oc,
           .columns = s.group_c,
           .groups = s.groups,
           .w = call->in[1],
           .kw = s.kw,
           .group_c = s.group_c,
           .oc = s.oc,
           .transposed = 1,
           .panel = call->scratch};
  for (int64_t n = 0; n < s.n; n += step) {
    b.images = s.n - n < step ? s.n - n : step;
    b.src = conv_source(&m, b.images, s.oh, s.ow, s.oc, (const float *)call->in[0] + n * s.oh * s.ow * s.oc, copy);
    for (int64_t phase = 0; phase < s.sh * s.sw; phase++) {
      const int64_t top = phase / s.sw, left = phase % s.sw;
      b.gh = (s.h - top + s.sh - 1) / s.sh; /* 0 or less: the phase is outside */
      b.gw = (s.w - left + s.sw - 1) / s.sw;
      b.y = phase_axis(top, s.kh, s.sh, s.ph, m.top);
      b.x = phase_axis(left, s.kw, s.sw, s.pw, m.left);
      b.dst = dx + n * b.dst_image + (top * s.w + left) * s.c;
      if (b.gh > 0 && b.gw > 0) {
        run_job(&b);
      }
    }
  }
}
