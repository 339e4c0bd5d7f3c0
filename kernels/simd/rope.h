/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector kernel: rotary position embedding on packed heads.
 *
 * The sines and cosines of a few positions are made once, in double, and serve every head and every sequence of the batch. */
#include "kernels/approx.h"
#include "kernels/simd/rows.h"
#include "kernels/simd/slots.h"

/* Elements of a head, and positions, that are turned together: the tables have a fixed size, 8 KiB each. */
enum { PART = 128, POSITIONS = 16 };

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

/* Positions p0 .. p0 + count, elements e .. e + n of the first `rotated` heads, in every sequence. */
static void turn_block(const at_kcall *k, int64_t p0, int64_t count, int64_t e, int64_t n, const double *frequency) {
  const int64_t batch = k->dim[0], t = k->dim[1], heads = k->dim[2], hd = k->dim[3], rotated = k->dim[4];
  float cosine[POSITIONS][PART], sine[POSITIONS][PART];
  for (int64_t p = 0; p < count; p++) {
    make_tables((double)(k->dim[5] + p0 + p), k->attr[1], n / 2, frequency, cosine[p], sine[p]);
  }
  for (int64_t b = 0; b < batch; b++) {
    for (int64_t p = 0; p < count; p++) {
      const int64_t at = (b * t + p0 + p) * heads * hd + e;
      for (int64_t h = 0; h < rotated; h++) {
        turn(n, (const float *)k->in[0] + at + h * hd, cosine[p], sine[p], (float *)k->out[0] + at + h * hd);
      }
    }
  }
}

/* What does not turn: the other heads, and the last element of an odd head. */
static void copy_rest(const at_kcall *k) {
  const int64_t heads = k->dim[2], hd = k->dim[3], rotated = k->dim[4], n = (heads - rotated) * hd;
  for (int64_t row = 0; row < k->dim[0] * k->dim[1]; row++) {
    const float *in = (const float *)k->in[0] + row * heads * hd;
    float *out = (float *)k->out[0] + row * heads * hd;
    for (int64_t h = 0; h < rotated && hd % 2 != 0; h++) {
      out[h * hd + hd - 1] = in[h * hd + hd - 1];
    }
    if (out != in && n > 0) {
      memcpy(out + rotated * hd, in + rotated * hd, (size_t)n * sizeof *out);
    }
  }
}

void AT_SIMD(rope)(const at_kcall *k) {
  const int64_t t = k->dim[1], hd = k->dim[3], even = hd - hd % 2;
  const double log_base = at_log_f64(k->attr[0]);
  double frequency[PART / 2];
  for (int64_t e = 0; e < even; e += PART) {
    const int64_t n = even - e < PART ? even - e : PART;
    for (int64_t i = 0; i < n / 2; i++) {
      frequency[i] = at_exp_f64(-(double)(e + 2 * i) / (double)hd * log_base);
    }
    for (int64_t p = 0; p < t; p += POSITIONS) {
      turn_block(k, p, t - p < POSITIONS ? t - p : POSITIONS, e, n, frequency);
    }
  }
  copy_rest(k);
}
