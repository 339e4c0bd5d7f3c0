/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector kernels: average and maximum pooling, a vector of channels at a time. */
#include <string.h>

#include "kernels/pool_shape.h"
#include "kernels/simd/rows.h"
#include "kernels/simd/slots.h"

/* Lanes where u replaces the best so far: it is larger, or the first NaN. */
AT_INLINE vm above(vf u, vf best) {
#if defined(__AVX512F__)
  const vm nan = _mm512_cmp_ps_mask(u, u, _CMP_UNORD_Q) & _mm512_cmp_ps_mask(best, best, _CMP_ORD_Q);
  return (vm)(vm_lt(best, u) | nan);
#else
  const vm nan = _mm256_and_ps(_mm256_cmp_ps(u, u, _CMP_UNORD_Q), _mm256_cmp_ps(best, best, _CMP_ORD_Q));
  return _mm256_or_ps(vm_lt(best, u), nan);
#endif
}

/* The largest of a window, and where it stands (bits of an i32 in a vf), for some channels of image x. */
AT_INLINE vf window_top(const at_pool *p, const at_window *v, const float *x, int64_t lanes, vf *where) {
  vf best = vf_set1(-INFINITY), at = vf_from_vi(vi_set1((int32_t)(v->top * p->w + v->left)));
  for (int64_t row = v->top; row < v->bottom; row++) {
    for (int64_t column = v->left; column < v->right; column++) {
      const vf u = vf_load_lanes(x + (row * p->w + column) * p->c, lanes);
      const vm m = above(u, best);
      best = vf_select(m, u, best);
      at = vf_select(m, vf_from_vi(vi_set1((int32_t)(row * p->w + column))), at);
    }
  }
  *where = at;
  return best;
}

AT_INLINE vf window_sum(const at_pool *p, const at_window *v, const float *x, int64_t lanes) {
  vf sum = vf_zero();
  for (int64_t row = v->top; row < v->bottom; row++) {
    for (int64_t column = v->left; column < v->right; column++) {
      sum = vf_add(sum, vf_load_lanes(x + (row * p->w + column) * p->c, lanes));
    }
  }
  return sum;
}

void AT_SIMD(maxpool)(const at_kcall *k) {
  const at_pool p = at_pool_parse(k->dim);
  const float *x = k->in[0];
  float *out = k->out[0], *index = k->out[1]; /* index: i32, moved as bits */
  for (int64_t n = 0; n < p.n; n++, x += p.h * p.w * p.c) {
    for (int64_t pixel = 0; pixel < p.oh * p.ow; pixel++, out += p.c, index += p.c) {
      const at_window v = at_pool_window(&p, pixel / p.ow, pixel % p.ow);
#define BODY(j, lanes)                                       \
  vf where;                                                  \
  const vf top = window_top(&p, &v, x + (j), lanes, &where); \
  vf_store_lanes(out + (j), lanes, top);                     \
  vf_store_lanes(index + (j), lanes, where)
      AT_ROW_EACH(p.c, BODY);
#undef BODY
    }
  }
}

void AT_SIMD(avgpool)(const at_kcall *k) {
  const at_pool p = at_pool_parse(k->dim);
  const float *x = k->in[0];
  float *out = k->out[0];
  for (int64_t n = 0; n < p.n; n++, x += p.h * p.w * p.c) {
    for (int64_t pixel = 0; pixel < p.oh * p.ow; pixel++, out += p.c) {
      const at_window v = at_pool_window(&p, pixel / p.ow, pixel % p.ow);
      const vf share = vf_set1((float)v.share);
#define BODY(j, lanes) vf_store_lanes(out + (j), lanes, vf_mul(share, window_sum(&p, &v, x + (j), lanes)))
      AT_ROW_EACH(p.c, BODY);
#undef BODY
    }
  }
}

/* dx[c] += share dy[c] */
static void add_share(int64_t c, vf share, const float *dy, float *dx) {
#define BODY(j, lanes) \
  vf_store_lanes(dx + (j), lanes, vf_fma(share, vf_load_lanes(dy + (j), lanes), vf_load_lanes(dx + (j), lanes)))
  AT_ROW_EACH(c, BODY);
#undef BODY
}

void AT_SIMD(avgpool_bwd)(const at_kcall *k) {
  const at_pool p = at_pool_parse(k->dim);
  const float *dy = k->in[0];
  float *dx = k->out[0];
  memset(dx, 0, (size_t)(p.n * p.h * p.w * p.c) * sizeof *dx);
  for (int64_t n = 0; n < p.n; n++, dx += p.h * p.w * p.c) {
    for (int64_t pixel = 0; pixel < p.oh * p.ow; pixel++, dy += p.c) {
      const at_window v = at_pool_window(&p, pixel / p.ow, pixel % p.ow);
      const vf share = vf_set1((float)v.share);
      for (int64_t row = v.top; row < v.bottom; row++) {
        for (int64_t column = v.left; column < v.right; column++) {
          add_share(p.c, share, dy, dx + (row * p.w + column) * p.c);
        }
      }
    }
  }
}
