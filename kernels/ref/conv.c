/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernels: two-dimensional convolution and its two transposes, channels last. */
#include "kernels/conv_shape.h"
#include "kernels/ref/real.h"

/* The sum of one output: over the kernel positions inside the image and the channels of a group.  x: image, from the first
 * channel of the group; w: weights, from the output's column. */
static double one_output(const at_conv *s, const real *x, const real *w, int64_t y0, int64_t x0) {
  int64_t top, bottom, left, right;
  at_conv_inside(y0, s->sh, s->ph, s->kh, s->h, &top, &bottom);
  at_conv_inside(x0, s->sw, s->pw, s->kw, s->w, &left, &right);
  double sum = 0.0;
  for (int64_t ky = top; ky < bottom; ky++) {
    for (int64_t kx = left; kx < right; kx++) {
      const real *in = x + ((y0 * s->sh - s->ph + ky) * s->w + x0 * s->sw - s->pw + kx) * s->c;
      const real *row = w + (ky * s->kw + kx) * s->group_c * s->oc;
      for (int64_t c = 0; c < s->group_c; c++) {
        sum += (double)in[c] * (double)row[c * s->oc];
      }
    }
  }
  return sum;
}

void AT_REF(conv2d)(const at_kcall *k) {
  const at_conv s = at_conv_parse(k->dim);
  const real *x = k->in[0], *w = k->in[1];
  real *y = k->out[0];
  for (int64_t n = 0; n < s.n; n++, x += s.h * s.w * s.c) {
    for (int64_t pixel = 0; pixel < s.oh * s.ow; pixel++, y += s.oc) {
      for (int64_t o = 0; o < s.oc; o++) {
        y[o] = (real)one_output(&s, x + o / s.group_oc * s.group_c, w + o, pixel / s.ow, pixel % s.ow);
      }
    }
  }
}

/* Outputs along one axis that read position `at` through kernel position `k`: o with o stride - pad + k = at, or -1. */
static int64_t reader(int64_t at, int64_t k, int64_t stride, int64_t pad, int64_t out) {
  const int64_t d = at + pad - k;
  return d >= 0 && d % stride == 0 && d / stride < out ? d / stride : -1;
}

void AT_REF(conv2d_dx)(const at_kcall *k) {
  const at_conv s = at_conv_parse(k->dim);
  const real *dy = k->in[0], *w = k->in[1];
  real *dx = k->out[0];
  for (int64_t n = 0; n < s.n; n++, dy += s.oh * s.ow * s.oc) {
    for (int64_t at = 0; at < s.h * s.w * s.c; at++) {
      const int64_t c = at % s.c, column = at / s.c % s.w, row = at / s.c / s.w, group = c / s.group_c;
      double sum = 0.0;
      for (int64_t ky = 0; ky < s.kh; ky++) {
        const int64_t oy = reader(row, ky, s.sh, s.ph, s.oh);
        for (int64_t kx = 0; oy >= 0 && kx < s.kw; kx++) {
          const int64_t ox = reader(column, kx, s.sw, s.pw, s.ow);
          if (ox < 0) {
            continue;
          }
          const real *d = dy + (oy * s.ow + ox) * s.oc + group * s.group_oc;
          const real *v = w + ((ky * s.kw + kx) * s.group_c + c % s.group_c) * s.oc + group * s.group_oc;
          for (int64_t o = 0; o < s.group_oc; o++) {
            sum += (double)d[o] * (double)v[o];
          }
        }
      }
      *dx++ = (real)sum;
    }
  }
}

/* One weight: over images and outputs.  x from the weight's channel, dy from its output channel. */
static double one_weight(const at_conv *s, const real *x, const real *dy, int64_t ky, int64_t kx) {
  at_sum sum = {{0}};
  for (int64_t n = 0; n < s->n; n++, x += s->h * s->w * s->c, dy += s->oh * s->ow * s->oc) {
    for (int64_t oy = 0; oy < s->oh; oy++) {
      const int64_t row = oy * s->sh - s->ph + ky;
      for (int64_t ox = 0; row >= 0 && row < s->h && ox < s->ow; ox++) {
        const int64_t column = ox * s->sw - s->pw + kx;
        if (column >= 0 && column < s->w) {
          at_sum_add(&sum, ox, (double)x[(row * s->w + column) * s->c] * (double)dy[(oy * s->ow + ox) * s->oc]);
        }
      }
    }
  }
  return at_sum_get(&sum);
}

void AT_REF(conv2d_dw)(const at_kcall *k) {
  const at_conv s = at_conv_parse(k->dim);
  const real *x = k->in[0], *dy = k->in[1];
  real *dw = k->out[0];
  for (int64_t tap = 0; tap < s.kh * s.kw; tap++) {
    for (int64_t c = 0; c < s.group_c; c++) {
      for (int64_t o = 0; o < s.oc; o++) {
        *dw++ = (real)one_weight(&s, x + o / s.group_oc * s.group_c + c, dy + o, tap / s.kw, tap % s.kw);
      }
    }
  }
}

/* --- patches -------------------------------------------------------------------------------------------------------- */

/* Calls body for every part of every patch that lies inside the image: `inside` at offset `image` of x holds s.c channels,
 * which stand at offset `patch` of the patches. */
#define EACH_PART(s, body)                                                                           \
  for (int64_t at_ = 0; at_ < (s).n * (s).oh * (s).ow * (s).kh * (s).kw; at_++) {                    \
    const int64_t kx_ = at_ % (s).kw, ky_ = at_ / (s).kw % (s).kh, pixel_ = at_ / ((s).kw * (s).kh); \
    const int64_t column_ = pixel_ % (s).ow * (s).sw - (s).pw + kx_;                                 \
    const int64_t row_ = pixel_ / (s).ow % (s).oh * (s).sh - (s).ph + ky_;                           \
    const int64_t patch = at_ * (s).c;                                                               \
    if (row_ >= 0 && row_ < (s).h && column_ >= 0 && column_ < (s).w) {                              \
      const int64_t image = ((pixel_ / ((s).ow * (s).oh) * (s).h + row_) * (s).w + column_) * (s).c; \
      body;                                                                                          \
    }                                                                                                \
  }

void AT_REF(unfold)(const at_kcall *k) {
  const at_conv s = at_conv_parse(k->dim);
  const real *x = k->in[0];
  real *out = k->out[0];
  memset(out, 0, (size_t)(s.n * s.oh * s.ow * s.kh * s.kw * s.c) * sizeof *out);
  EACH_PART(s, memcpy(out + patch, x + image, (size_t)s.c * sizeof *out))
}

void AT_REF(fold)(const at_kcall *k) {
  const at_conv s = at_conv_parse(k->dim);
  const real *dp = k->in[0];
  real *dx = k->out[0];
  memset(dx, 0, (size_t)(s.n * s.h * s.w * s.c) * sizeof *dx);
  EACH_PART(
      s, for (int64_t c = 0; c < s.c; c++) { dx[image + c] += dp[patch + c]; })
}
