/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector kernel: the derivative of convolution in its weights.
 *
 * A tile of weights (rows: neighbouring channels and columns of the kernel, which lie side by side in x; columns: a panel of
 * output channels) is summed in registers over a strip of outputs and then joins dw: error O(256 + outputs / 256). */
#include "kernels/simd/conv_words.h"
#include "kernels/simd/rows.h"

/* A strip of outputs: rows of ow pixels, and where they read x. */
typedef struct strip {
  int64_t rows, ow;          /* ow: in words of dy */
  const conv_word *const *x; /* by row: the first pixel's source */
  int64_t step;              /* of x from word to word of dy */
  const conv_word *dy;       /* [rows * ow][panel] */
} strip;

/* dw[0..mr)[..] (+)= x^T dy over the strip; ld: of dw; `at` is added to every row's source. */
AT_INLINE void tile(int mr, int nv, int64_t lanes, const strip *s, int64_t at, float *dw, int64_t ld, int add) {
  vf acc[6][4];
  AT_UNROLL
  for (int r = 0; r < mr; r++) {
    AT_UNROLL
    for (int v = 0; v < nv; v++) {
      acc[r][v] = add ? vf_load_lanes(dw + r * ld + v * AT_VW, v == nv - 1 ? lanes : AT_VW) : vf_zero();
    }
  }
  const conv_word *dy = s->dy;
  for (int64_t i = 0; i < s->rows; i++) {
    const conv_word *x = s->x[i] + at;
    for (int64_t j = 0; j < s->ow; j++, x += s->step, dy += nv * AT_VW) {
      CONV_WIDE d[4];
      AT_UNROLL
      for (int v = 0; v < nv; v++) {
        d[v] = CONV_LOAD(dy + v * AT_VW);
      }
      AT_UNROLL
      for (int r = 0; r < mr; r++) {
        const CONV_WIDE u = CONV_ALL(x[r]);
        AT_UNROLL
        for (int v = 0; v < nv; v++) {
          acc[r][v] = CONV_FMA(acc[r][v], u, d[v]);
        }
      }
    }
  }
  AT_UNROLL
  for (int r = 0; r < mr; r++) {
    AT_UNROLL
    for (int v = 0; v < nv; v++) {
      vf_store_lanes(dw + r * ld + v * AT_VW, v == nv - 1 ? lanes : AT_VW, acc[r][v]);
    }
  }
}

/* `count` rows of dw from the row whose source starts at `at`. */
AT_INLINE void tiles(int nv, int64_t lanes, const strip *s, int64_t count, int64_t at, float *dw, int64_t ld, int add) {
  int64_t r = 0;
  for (; r + 6 <= count; r += 6) {
    tile(6, nv, lanes, s, at + r, dw + r * ld, ld, add);
  }
  for (; r + 3 <= count; r += 3) {
    tile(3, nv, lanes, s, at + r, dw + r * ld, ld, add);
  }
  for (; r < count; r++) {
    tile(1, nv, lanes, s, at + r, dw + r * ld, ld, add);
  }
}

static void run_tiles(const strip *s, int64_t width, int64_t count, int64_t at, float *dw, int64_t ld, int add) {
  const int nv = (int)((width + AT_VW - 1) / AT_VW);
  const int64_t lanes = width - (nv - 1) * AT_VW;
#define CASE(n)                                   \
  case n:                                         \
    if (lanes == AT_VW) {                         \
      tiles(n, AT_VW, s, count, at, dw, ld, add); \
    } else {                                      \
      tiles(n, lanes, s, count, at, dw, ld, add); \
    }                                             \
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

/* A strip's share of one panel of one group, over all kernel positions.  x: the first channel of the group, with margins. */
static void run_strip(const at_conv *s, const strip *p, int64_t row, int64_t width, float *dw, int add) {
  const int64_t runs = s->groups == 1 ? 1 : s->kw, length = s->groups == 1 ? s->kw * s->c : s->group_c;
  for (int64_t ky = 0; ky < s->kh; ky++) {
    for (int64_t run = 0; run < runs; run++) {
      float *to = dw + (ky * s->kw + run) * s->group_c * s->oc;
      run_tiles(p, width, length, ky * row + run * s->c, to, s->oc, add);
    }
  }
}

/* Some images: strips inside, so that dw is visited once for each. */
static void run_images(const at_conv *s, int64_t images, const conv_word *x, const float *dy, conv_word *packed,
                       float *dw, int add) {
  enum { WIDEST = AT_CONV_VECTORS * AT_VW };
  const int64_t row = (s->w + 2 * s->pw) * s->c, image = (s->h + 2 * s->ph) * row, at_once = at_conv_strip(s),
                words = CONV_WORDS(s->ow);
  const conv_word *start[AT_CONV_STRIP];
  for (int64_t group = 0; group < s->groups; group++) {
    for (int64_t column = 0; column < s->group_oc; column += WIDEST) {
      const int64_t width = s->group_oc - column < WIDEST ? s->group_oc - column : WIDEST;
      const int64_t stride = (width + AT_VW - 1) / AT_VW * AT_VW, panel = group * s->group_oc + column;
      for (int64_t r0 = 0; r0 < images * s->oh; r0 += at_once) {
        const int64_t rows = images * s->oh - r0 < at_once ? images * s->oh - r0 : at_once;
        for (int64_t r = 0; r < rows; r++) {
          start[r] = x + (r0 + r) / s->oh * image + (r0 + r) % s->oh * s->sh * row + group * s->group_c;
        }
        for (int64_t r = 0; r < rows; r++) {
          conv_pack(s->ow, width, dy + (r0 + r) * s->ow * s->oc + panel, s->oc, packed + r * words * stride, stride);
        }
        const strip p = {rows, words, start, (1 + CONV_IS_PAIRS) * s->sw * s->c, packed};
        run_strip(s, &p, row, width, dw + panel, add || r0 > 0);
      }
    }
  }
}

void CONV_NAME(conv2d_dw)(const at_kcall *call) {
  const at_conv s = at_conv_parse(call->dim);
  const at_conv_margin m = at_conv_x_margin(&s);
  const int64_t step = at_conv_images(s.n, s.oh * s.ow);
  float *copy = (float *)call->scratch + at_conv_strip(&s) * s.ow * AT_CONV_PANEL, *dw = call->out[0];
  if (s.n * s.oh * s.ow == 0) {
    memset(dw, 0, (size_t)(s.kh * s.kw * s.group_c * s.oc) * sizeof *dw);
    return;
  }
  if (!CONV_IS_PAIRS && at_minimal_fits(&s)) {
    AT_SIMD(minimal_conv2d_dw)(call);
    return;
  }
  for (int64_t n = 0; n < s.n; n += step) {
    const int64_t images = s.n - n < step ? s.n - n : step;
    const conv_word *x =
        conv_pixels(&m, images, s.h, s.w, s.c, s.sw, (const float *)call->in[0] + n * s.h * s.w * s.c, copy);
    run_images(&s, images, x, (const float *)call->in[1] + n * s.oh * s.ow * s.oc, call->scratch, dw, n > 0);
  }
}
