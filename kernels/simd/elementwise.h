/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector kernels: element-wise on contiguous arrays. */
#include "kernels/simd/rows.h"
#include "kernels/simd/slots.h"

/* in[0] = x; `value` is a vf expression of the vf v, and of a and b, the attributes as vectors. */
#define UNARY(slot, value)                                                                        \
  AT_INLINE vf slot##_of(vf v, vf a, vf b) {                                                      \
    (void)a;                                                                                      \
    (void)b;                                                                                      \
    return value;                                                                                 \
  }                                                                                               \
  void AT_SIMD(slot)(const at_kcall *k) {                                                         \
    const float *x = k->in[0];                                                                    \
    float *y = k->out[0];                                                                         \
    const vf a = vf_set1((float)k->attr[0]), b = vf_set1((float)k->attr[1]);                      \
    const int64_t n = k->dim[0], whole = n - n % AT_VW;                                           \
    for (int64_t i = 0; i < whole; i += AT_VW) {                                                  \
      vf_store(y + i, slot##_of(vf_load(x + i), a, b));                                           \
    }                                                                                             \
    if (whole < n) {                                                                              \
      vf_store_first(y + whole, n - whole, slot##_of(vf_load_first(x + whole, n - whole), a, b)); \
    }                                                                                             \
  }

/* in: x, dy; `slope` is a function of a vf. */
#define UNARY_BWD(slot, slope)                                                                      \
  void AT_SIMD(slot)(const at_kcall *k) {                                                           \
    const float *x = k->in[0], *dy = k->in[1];                                                      \
    float *dx = k->out[0];                                                                          \
    const int64_t n = k->dim[0], whole = n - n % AT_VW;                                             \
    for (int64_t i = 0; i < whole; i += AT_VW) {                                                    \
      vf_store(dx + i, vf_mul(vf_load(dy + i), slope(vf_load(x + i))));                             \
    }                                                                                               \
    if (whole < n) {                                                                                \
      const vf d = vf_load_first(dy + whole, n - whole);                                            \
      vf_store_first(dx + whole, n - whole, vf_mul(d, slope(vf_load_first(x + whole, n - whole)))); \
    }                                                                                               \
  }

AT_INLINE vf vf_gelu(vf x) {
  vf e;
  return vf_mul(x, vf_normcdf(x, &e));
}

/* Phi(x) + x phi(x) */
AT_INLINE vf vf_gelu_slope(vf x) {
  vf e;
  const vf cdf = vf_normcdf(x, &e);
  return vf_fma(vf_mul(x, vf_set1(0.3989422804f)), e, cdf);
}

/* s + s (x (1 - s)), s = sigmoid(x) = 1 - sigmoid(-x) */
AT_INLINE vf vf_silu_slope(vf x) {
  const vf one = vf_set1(1.0f), e = vf_exp_neg(vf_neg(vf_abs(x))), r = vf_div(one, vf_add(one, e)), er = vf_mul(e, r);
  const vm below = vm_lt(x, vf_zero());
  const vf s = vf_select(below, er, r), rest = vf_select(below, r, er);
  return vf_fma(s, vf_mul(x, rest), s);
}

UNARY(affine, vf_fma(a, v, b))
UNARY(neg, vf_neg(v))
UNARY(exp, vf_exp(v))
UNARY(log, vf_log(v))
UNARY(sqrt, vf_sqrt(v))
UNARY(tanh, vf_tanh(v))
UNARY(sigmoid, vf_sigmoid(v))
UNARY(square, vf_mul(v, v))
UNARY(recip, vf_div(vf_set1(1.0f), v))
UNARY(erf, vf_erf(v))
UNARY(gelu, vf_gelu(v))
UNARY(silu, vf_mul(v, vf_sigmoid(v)))
UNARY(relu, vf_select(vm_lt(v, vf_zero()), vf_zero(), v))
UNARY_BWD(gelu_bwd, vf_gelu_slope)
UNARY_BWD(silu_bwd, vf_silu_slope)

void AT_SIMD(relu_bwd)(const at_kcall *k) {
  const float *dy = k->in[0], *y = k->in[1];
  float *dx = k->out[0];
#define BODY(j, lanes)                                           \
  const vm on = vm_lt(vf_zero(), vf_load_lanes(y + (j), lanes)); \
  vf_store_lanes(dx + (j), lanes, vf_select(on, vf_load_lanes(dy + (j), lanes), vf_zero()))
  AT_ROW_EACH(k->dim[0], BODY);
#undef BODY
}
