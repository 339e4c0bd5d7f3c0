/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernel: rotary position embedding (Su et al. 2021, eq. 34) on packed heads. */
#include "kernels/ref/real.h"

void AT_REF(rope)(const at_kcall *k) {
  const int64_t batch = k->dim[0], t = k->dim[1], heads = k->dim[2], hd = k->dim[3], rotated = k->dim[4];
  const double log_base = at_log_f64(k->attr[0]), sign = k->attr[1];
  const real *in = k->in[0];
  real *out = k->out[0];
  for (int64_t row = 0; row < batch * t; row++, in += heads * hd, out += heads * hd) {
    const double position = (double)(k->dim[5] + row % t);
    for (int64_t i = 0; i < hd / 2; i++) {
      double s, c;
      at_sincos_f64(position * at_exp_f64(-2.0 * (double)i / (double)hd * log_base), &s, &c);
      s *= sign;
      for (int64_t h = 0; h < rotated; h++) {
        const double u = (double)in[h * hd + 2 * i], v = (double)in[h * hd + 2 * i + 1];
        out[h * hd + 2 * i] = (real)(u * c - v * s);
        out[h * hd + 2 * i + 1] = (real)(u * s + v * c);
      }
    }
    if (hd % 2 != 0) {
      for (int64_t h = 0; h < rotated; h++) {
        out[h * hd + hd - 1] = in[h * hd + hd - 1];
      }
    }
    if (out != in) {
      memcpy(out + rotated * hd, in + rotated * hd, (size_t)((heads - rotated) * hd) * sizeof *out);
    }
  }
}
