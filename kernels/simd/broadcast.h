/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector kernels: element-wise with broadcasting, and the strided copy.
 *
 * Dimensions that can be walked as one are merged first (kernels/strided.h), so that every pattern the contract names
 * becomes long runs in which an operand is contiguous (stride 1) or a constant (stride 0). */
#include "kernels/simd/slots.h"
#include "kernels/simd/transpose.h"
#include "kernels/simd/vec.h"
#include "kernels/strided.h"

/* One run: out[i] = op(a[i sa], b[i sb]). */
#define RUN(op)                                                                                                \
  static inline void op##_run(int64_t n, const float *a, int64_t sa, const float *b, int64_t sb, float *out) { \
    const int64_t whole = n - n % AT_VW, rest = n % AT_VW;                                                     \
    if (sa == 1 && sb == 1) {                                                                                  \
      for (int64_t i = 0; i < whole; i += AT_VW) {                                                             \
        vf_store(out + i, vf_##op(vf_load(a + i), vf_load(b + i)));                                            \
      }                                                                                                        \
      if (rest) {                                                                                              \
        const vf u = vf_load_first(a + whole, rest), v = vf_load_first(b + whole, rest);                       \
        vf_store_first(out + whole, rest, vf_##op(u, v));                                                      \
      }                                                                                                        \
    } else if (sa == 1 && sb == 0) {                                                                           \
      const vf v = vf_set1(*b);                                                                                \
      for (int64_t i = 0; i < whole; i += AT_VW) {                                                             \
        vf_store(out + i, vf_##op(vf_load(a + i), v));                                                         \
      }                                                                                                        \
      if (rest) {                                                                                              \
        vf_store_first(out + whole, rest, vf_##op(vf_load_first(a + whole, rest), v));                         \
      }                                                                                                        \
    } else if (sa == 0 && sb == 1) {                                                                           \
      const vf u = vf_set1(*a);                                                                                \
      for (int64_t i = 0; i < whole; i += AT_VW) {                                                             \
        vf_store(out + i, vf_##op(u, vf_load(b + i)));                                                         \
      }                                                                                                        \
      if (rest) {                                                                                              \
        vf_store_first(out + whole, rest, vf_##op(u, vf_load_first(b + whole, rest)));                         \
      }                                                                                                        \
    } else {                                                                                                   \
      for (int64_t i = 0; i < n; i++) {                                                                        \
        const float u = a[i * sa], v = b[i * sb];                                                              \
        out[i] = scalar_##op(u, v);                                                                            \
      }                                                                                                        \
    }                                                                                                          \
  }

#define BINARY(op)                                                                 \
  RUN(op)                                                                          \
  void AT_SIMD(op)(const at_kcall *k) {                                            \
    const at_strided s = at_strided_parse(k->dim, 1);                              \
    const float *a = k->in[0], *b = k->in[1];                                      \
    float *out = k->out[0];                                                        \
    if (s.count == 0) {                                                            \
      return;                                                                      \
    }                                                                              \
    const int64_t n = s.shape[s.nd - 1], sa = s.sa[s.nd - 1], sb = s.sb[s.nd - 1]; \
    at_strided_walk w = {.a = 0};                                                  \
    do {                                                                           \
      op##_run(n, a + w.a, sa, b + w.b, sb, out);                                  \
      out += n;                                                                    \
    } while (at_strided_next(&s, 1, &w));                                          \
  }

#define scalar_add(u, v) ((u) + (v))
#define scalar_sub(u, v) ((u) - (v))
#define scalar_mul(u, v) ((u) * (v))
#define scalar_div(u, v) ((u) / (v))
BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)

static inline void copy_run(int64_t n, const float *a, int64_t sa, float *out) {
  if (sa == 1) {
    int64_t i = 0;
    for (; i + AT_VW <= n; i += AT_VW) {
      vf_store(out + i, vf_load(a + i));
    }
    if (i < n) {
      vf_store_first(out + i, n - i, vf_load_first(a + i, n - i));
    }
  } else {
    for (int64_t i = 0; i < n; i++) {
      out[i] = a[i * sa];
    }
  }
}

/* The innermost dimension jumps and dimension `along` is contiguous in the input: planes of the two are transposed. */
static void copy_planes(const at_strided *s, int along, const float *a, float *out) {
  const int last = s->nd - 1;
  at_strided rest = {.nd = 0};
  int64_t step = 1; /* of a dimension in the output; kept in sb */
  for (int i = last; i >= 0; i--) {
    if (i != last && i != along) {
      for (int j = rest.nd; j > 0; j--) {
        rest.shape[j] = rest.shape[j - 1];
        rest.sa[j] = rest.sa[j - 1];
        rest.sb[j] = rest.sb[j - 1];
      }
      rest.shape[0] = s->shape[i];
      rest.sa[0] = s->sa[i];
      rest.sb[0] = step;
      rest.nd++;
    }
    step *= s->shape[i];
  }
  int64_t out_stride = 1;
  for (int i = along + 1; i <= last; i++) {
    out_stride *= s->shape[i];
  }
  at_strided_walk w = {.a = 0};
  do {
    at_transpose(s->shape[last], s->shape[along], a + w.a, s->sa[last], out + w.b, out_stride);
  } while (at_strided_next(&rest, 0, &w));
}

void AT_SIMD(copy_strided)(const at_kcall *k) {
  const at_strided s = at_strided_parse(k->dim, 0);
  const float *a = k->in[0];
  float *out = k->out[0];
  if (s.count == 0) {
    return;
  }
  const int64_t n = s.shape[s.nd - 1], sa = s.sa[s.nd - 1];
  if (sa != 1 && sa != 0) {
    for (int i = 0; i < s.nd - 1; i++) {
      if (s.sa[i] == 1) {
        copy_planes(&s, i, a, out);
        return;
      }
    }
  }
  at_strided_walk w = {.a = 0};
  do {
    copy_run(n, a + w.a, sa, out);
    out += n;
  } while (at_strided_next(&s, 1, &w));
}
