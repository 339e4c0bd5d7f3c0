/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernels: convolution and its transposes of inputs rounded to bf16, and rounding for any kernel of theirs. */
#include "kernels/bf16.h"
#include "kernels/conv_scratch.h"
#include "kernels/ref/real.h"

static const void *rounded(int64_t n, const real *x, real **to) {
  real *out = *to;
  for (int64_t i = 0; i < n; i++) {
    out[i] = (real)at_bf16_round((float)x[i]);
  }
  *to += n;
  return out;
}

void AT_REF(rounded_conv)(const at_kcall *call, at_kslot slot, at_kernel kernel) {
  const at_conv s = at_conv_parse(call->dim);
  const int64_t x = s.n * s.h * s.w * s.c, y = s.n * s.oh * s.ow * s.oc, w = s.kh * s.kw * s.group_c * s.oc;
  size_t inputs;
  at_conv_rounded(slot, &s, &inputs);
  at_kcall inner = *call;
  real *at = (real *)call->scratch + inputs;
  inner.in[0] = rounded(slot == AT_K_conv2d_dx ? y : x, call->in[0], &at);
  inner.in[1] = rounded(slot == AT_K_conv2d_dw ? y : w, call->in[1], &at);
  kernel(&inner);
}

void AT_REF(conv2d_bf16)(const at_kcall *call) {
  AT_REF(rounded_conv)(call, AT_K_conv2d, AT_REF(conv2d));
}

void AT_REF(conv2d_dx_bf16)(const at_kcall *call) {
  AT_REF(rounded_conv)(call, AT_K_conv2d_dx, AT_REF(conv2d_dx));
}

void AT_REF(conv2d_dw_bf16)(const at_kcall *call) {
  AT_REF(rounded_conv)(call, AT_K_conv2d_dw, AT_REF(conv2d_dw));
}
