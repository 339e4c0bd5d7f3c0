/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernels: element-wise with broadcasting, and the strided copy. */
#include "kernels/ref/real.h"
#include "kernels/strided.h"

/* `value` is an expression of the reals u (of in[0]) and v (of in[1]). */
#define BINARY(slot, value)                                                        \
  void AT_REF(slot)(const at_kcall *k) {                                           \
    const at_strided s = at_strided_parse(k->dim, 1);                              \
    const real *a = k->in[0], *b = k->in[1];                                       \
    real *out = k->out[0];                                                         \
    if (s.count == 0) {                                                            \
      return;                                                                      \
    }                                                                              \
    const int64_t n = s.shape[s.nd - 1], sa = s.sa[s.nd - 1], sb = s.sb[s.nd - 1]; \
    at_strided_walk w = {.a = 0};                                                  \
    do {                                                                           \
      for (int64_t i = 0; i < n; i++) {                                            \
        const real u = a[w.a + i * sa], v = b[w.b + i * sb];                       \
        out[i] = (value);                                                          \
      }                                                                            \
      out += n;                                                                    \
    } while (at_strided_next(&s, 1, &w));                                          \
  }

BINARY(add, u + v)
BINARY(sub, u - v)
BINARY(mul, u *v)
BINARY(div, u / v)

void AT_REF(copy_strided)(const at_kcall *k) {
  const at_strided s = at_strided_parse(k->dim, 0);
  const real *a = k->in[0];
  real *out = k->out[0];
  if (s.count == 0) {
    return;
  }
  const int64_t n = s.shape[s.nd - 1], sa = s.sa[s.nd - 1];
  at_strided_walk w = {.a = 0};
  do {
    for (int64_t i = 0; i < n; i++) {
      out[i] = a[w.a + i * sa];
    }
    out += n;
  } while (at_strided_next(&s, 1, &w));
}
