/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector kernel: rotary position embedding on packed heads.
 *
 * For a position the sines and cosines are made once, in double, and serve every head and every sequence of the batch. */
#include "kernels/approx.h"
#include "kernels/simd/rows.h"
#include "kernels/simd/slots.h"

enum { PART = 128 }; /* elements of a head turned together, so that the tables have a fixed size */

/* (u, v) -> (u c - v s, u s + v c) on pairs; cosine[] = c, c, ...; sine[] = -s, s, ... */
static inline void turn(int64_t n, const float *in, const float *cosine, const float *sine, float *out) {
#define BODY(j, lanes)                                                         \
  const vf x = vf_load_lanes(in + (j), lanes);                                 \
  const vf cross = vf_mul(vf_swap_pairs(x), vf_load_lanes(sine + (j), lanes)); \
  vf_store_lanes(out + (j), lanes, vf_fma(x, vf_load_lanes(cosine + (j), lanes), cross))
  AT_ROW_EACH(n, BODY);
#undef BODY
}

static void make_tables(double position, double sign, int64_t pairs, const double *frequency, float *cosine,
                        float *sine) {
  double s[PART / 2], c[PART / 2];
  for (int64_t i = 0; i < pairs; i++) {
    at_sincos_f64(position * frequency[i], &s[i], &c[i]);
  }
  for (int64_t i = 0; i < pairs; i++) {
    cosine[2 * i] = cosine[2 * i + 1] = (float)c[i];
    sine[2 * i + 1] = (float)(sign * s[i]);
    sine[2 * i] = -sine[2 * i + 1];
  }
}

static void copy_floats(int64_t n, const float *in, float *out) {
  if (out != in && n > 0) {
    memcpy(out, in, (size_t)n * sizeof *out);
  }
}

void AT_SIMD(rope)(const at_kcall *k) {
  const int64_t batch = k->dim[0], t = k->dim[1], heads = k->dim[2], hd = k->dim[3], rotated = k->dim[4];
  const int64_t width = heads * hd, even = hd - hd % 2;
  const double log_base = at_log_f64(k->attr[0]);
  double frequency[PART / 2];
  float cosine[PART], sine[PART];
  for (int64_t e = 0; e < even; e += PART) {
    const int64_t n = even - e < PART ? even - e : PART;
    for (int64_t i = 0; i < n / 2; i++) {
      frequency[i] = at_exp_f64(-(double)(e + 2 * i) / (double)hd * log_base);
    }
    for (int64_t p = 0; p < t; p++) {
      make_tables((double)(k->dim[5] + p), k->attr[1], n / 2, frequency, cosine, sine);
      for (int64_t b = 0; b < batch; b++) {
        const float *in = (const float *)k->in[0] + (b * t + p) * width + e;
        float *out = (float *)k->out[0] + (b * t + p) * width + e;
        for (int64_t h = 0; h < rotated; h++) {
          turn(n, in + h * hd, cosine, sine, out + h * hd);
        }
      }
    }
  }
  for (int64_t row = 0; row < batch * t; row++) {
    const float *in = (const float *)k->in[0] + row * width;
    float *out = (float *)k->out[0] + row * width;
    for (int64_t h = 0; h < rotated && even < hd; h++) {
      out[h * hd + even] = in[h * hd + even];
    }
    copy_floats((heads - rotated) * hd, in + rotated * hd, out + rotated * hd);
  }
}
