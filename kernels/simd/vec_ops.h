/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector versions of the flat parameter-vector functions (definitions: kernels/vec_ref.c).
 *
 * All give the reference's bits at every level, except adamw: their products are rounded where the reference rounds, and their
 * sums run in the same lanes.  adamw uses fused multiply-adds and differs in the last places. */
#include <string.h>

#include "kernels/ref/ref.h"
#include "kernels/simd/rows.h"
#include "kernels/simd/slots.h"
#include "kernels/simd/vecd.h"
#include "kernels/vec.h"

static void adamw(const at_adamw *a, int64_t n, const float *g, float *w, float *m, float *v) {
  const at_adamw_f32 s = at_adamw_round(a);
  const vf scale = vf_set1(s.scale), b1 = vf_set1(s.b1), c1 = vf_set1(s.c1), b2 = vf_set1(s.b2), c2 = vf_set1(s.c2);
  const vf root = vf_set1(s.root), eps = vf_set1(s.eps), step = vf_set1(s.step), decay = vf_set1(s.decay);
#define BODY(j, lanes)                                                                            \
  const vf gj = vf_mul(scale, vf_load_lanes(g + (j), lanes)), wj = vf_load_lanes(w + (j), lanes); \
  const vf mj = vf_fma(b1, vf_load_lanes(m + (j), lanes), vf_mul(c1, gj));                        \
  const vf vj = vf_fma(b2, vf_load_lanes(v + (j), lanes), vf_mul(c2, vf_mul(gj, gj)));            \
  const vf ratio = vf_div(vf_mul(step, mj), vf_fma(vf_sqrt(vj), root, eps));                      \
  vf_store_lanes(w + (j), lanes, vf_sub(wj, vf_fma(decay, wj, ratio)));                           \
  vf_store_lanes(m + (j), lanes, mj);                                                             \
  vf_store_lanes(v + (j), lanes, vj)
  AT_ROW_EACH(n, BODY);
#undef BODY
}

static void momentum(const at_momentum *a, int64_t n, const float *g, float *w, float *m) {
  const at_momentum_f32 s = at_momentum_round(a);
  const vf scale = vf_set1(s.scale), decay = vf_set1(s.decay), mu = vf_set1(s.mu), lr = vf_set1(s.lr);
  const int nesterov = a->nesterov;
#define BODY(j, lanes)                                                                   \
  const vf wj = vf_load_lanes(w + (j), lanes);                                           \
  const vf gj = vf_add(vf_mul(scale, vf_load_lanes(g + (j), lanes)), vf_mul(decay, wj)); \
  const vf mj = vf_add(vf_mul(mu, vf_load_lanes(m + (j), lanes)), gj);                   \
  const vf step = nesterov ? vf_add(gj, vf_mul(mu, mj)) : mj;                            \
  vf_store_lanes(w + (j), lanes, vf_sub(wj, vf_mul(lr, step)));                          \
  vf_store_lanes(m + (j), lanes, mj)
  AT_ROW_EACH(n, BODY);
#undef BODY
}

static void langevin(const at_langevin *a, int64_t n, const float *g, const float *xi, float *w, float *v) {
  const at_langevin_f32 s = at_langevin_round(a);
  const vf scale = vf_set1(s.scale), decay = vf_set1(s.decay), lr = vf_set1(s.lr), noise = vf_set1(s.noise);
  const vf beta = vf_set1(s.beta), rest = vf_set1(s.rest), eps = vf_set1(s.eps), one = vf_set1(1.0f);
#define BODY(j, lanes)                                                                               \
  const vf wj = vf_load_lanes(w + (j), lanes), xj = vf_load_lanes(xi + (j), lanes);                  \
  const vf gj = vf_add(vf_mul(scale, vf_load_lanes(g + (j), lanes)), vf_mul(decay, wj));             \
  vf gain = one, root = one;                                                                         \
  if (v != NULL) {                                                                                   \
    const vf vj = vf_add(vf_mul(beta, vf_load_lanes(v + (j), lanes)), vf_mul(rest, vf_mul(gj, gj))); \
    gain = vf_div(one, vf_add(vf_sqrt(vj), eps));                                                    \
    root = vf_sqrt(gain);                                                                            \
    vf_store_lanes(v + (j), lanes, vj);                                                              \
  }                                                                                                  \
  const vf down = vf_sub(wj, vf_mul(lr, vf_mul(gain, gj)));                                          \
  vf_store_lanes(w + (j), lanes, vf_add(down, vf_mul(noise, vf_mul(root, xj))))
  AT_ROW_EACH(n, BODY);
#undef BODY
}

static void lerp(double a, int64_t n, const float *x, float *y) {
  const vf f = vf_set1((float)a);
#define BODY(j, lanes)                         \
  const vf yj = vf_load_lanes(y + (j), lanes); \
  vf_store_lanes(y + (j), lanes, vf_add(yj, vf_mul(f, vf_sub(vf_load_lanes(x + (j), lanes), yj))))
  AT_ROW_EACH(n, BODY);
#undef BODY
}

static void axpy(double a, int64_t n, const float *x, float *y) {
  const vf f = vf_set1((float)a);
#define BODY(j, lanes)                                      \
  const vf term = vf_mul(f, vf_load_lanes(x + (j), lanes)); \
  vf_store_lanes(y + (j), lanes, vf_add(vf_load_lanes(y + (j), lanes), term))
  AT_ROW_EACH(n, BODY);
#undef BODY
}

static void sgd(double lr, int64_t n, const float *g, float *w) {
  axpy(-lr, n, g, w); /* negation is exact */
}

static void sub(int64_t n, const float *a, const float *b, float *out) {
#define BODY(j, lanes) \
  vf_store_lanes(out + (j), lanes, vf_sub(vf_load_lanes(a + (j), lanes), vf_load_lanes(b + (j), lanes)))
  AT_ROW_EACH(n, BODY);
#undef BODY
}

static double dot(int64_t n, const float *x, const float *y) {
  enum { PARTS = AT_VEC_LANES / AT_VDW };
  vd sum[PARTS];
  AT_UNROLL
  for (int p = 0; p < PARTS; p++) {
    sum[p] = vd_zero();
  }
  int64_t i = 0;
  for (; i + AT_VEC_LANES <= n; i += AT_VEC_LANES) {
    AT_UNROLL
    for (int p = 0; p < PARTS; p++) {
      sum[p] = vd_fma(vd_from_floats(x + i + p * AT_VDW), vd_from_floats(y + i + p * AT_VDW), sum[p]);
    }
  }
  double lane[AT_VEC_LANES];
  AT_UNROLL
  for (int p = 0; p < PARTS; p++) {
    vd_store(lane + p * AT_VDW, sum[p]);
  }
  for (int64_t j = 0; i + j < n; j++) {
    lane[j] += (double)x[i + j] * (double)y[i + j];
  }
  return at_vec_fold(lane);
}

static double sumsq(int64_t n, const float *x) {
  return at_vec_finite(dot(n, x, x));
}

static double grid_add(double weight, int bits, int64_t n, const float *x, int64_t *acc) {
  const vd w = vd_set1(weight), scale = vd_set1(at_vec_pow2(bits));
  vd top = vd_zero(), bad = vd_zero(); /* bad: 0, or NaN once a term was not finite */
  int64_t i = 0;
  for (; i + AT_VDW <= n; i += AT_VDW) {
    const vd term = vd_round(vd_mul(vd_mul(w, vd_from_floats(x + i)), scale));
    top = vd_max(top, vd_abs(term));
    bad = vd_fma(term, vd_zero(), bad);
    vd_add_to_int64(acc + i, term);
  }
  double tops[AT_VDW], bads[AT_VDW], most = 0.0, nan = 0.0;
  vd_store(tops, top);
  vd_store(bads, bad);
  for (int j = 0; j < AT_VDW; j++) {
    most = tops[j] > most ? tops[j] : most;
    nan += bads[j];
  }
  const double rest = at_ref_vec.grid_add(weight, bits, n - i, x + i, acc + i);
  return (rest > most ? rest : most) + nan + 0.0 * rest; /* 0, or NaN */
}

static void grid_get(int bits, int64_t n, const int64_t *acc, float *out) {
  const vd scale = vd_set1(at_vec_pow2(-bits));
  int64_t i = 0;
  for (; i + AT_VDW <= n; i += AT_VDW) {
    vd_to_floats(out + i, vd_mul(vd_from_int64(acc + i), scale));
  }
  at_ref_vec.grid_get(bits, n - i, acc + i, out + i);
}

static double largest(int64_t n, const float *x) {
  return at_vec_largest(n, x);
}

const at_vec AT_SIMD(vec) = {adamw, sgd, momentum, langevin, lerp, axpy, sub, sumsq, dot, grid_add, grid_get, largest};
