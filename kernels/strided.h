/* SPDX-License-Identifier: BSD-3-Clause */
/* Shapes with strides: what a broadcasting or copying kernel reads of its call, with the dimensions merged that can be. */
#ifndef AT_STRIDED_H
#define AT_STRIDED_H

#include "kernels/kernels.h"

/* Two operands over one output shape; the output is contiguous.  After at_strided_parse: nd >= 1, no dimension is 1 (unless
 * it is the only one), and no two neighbours could be walked as one.  count: elements of the output. */
typedef struct at_strided {
  int nd;
  int64_t count, shape[AT_KND], sa[AT_KND], sb[AT_KND];
} at_strided;

/* dim: nd, shape, strides of the first operand, and (if binary) of the second; see kernels.h. */
static inline at_strided at_strided_parse(const int64_t *dim, int binary) {
  const int nd = (int)dim[0];
  const int64_t *shape = dim + 1, *a = shape + nd, *b = a + nd;
  at_strided s = {.nd = 0, .count = 1};
  for (int i = 0; i < nd; i++) {
    const int64_t n = shape[i], ai = a[i], bi = binary ? b[i] : 0;
    s.count *= n;
    if (n == 1) {
      continue;
    }
    const int last = s.nd - 1;
    if (last >= 0 && s.sa[last] == ai * n && s.sb[last] == bi * n) {
      s.shape[last] *= n;
      s.sa[last] = ai;
      s.sb[last] = bi;
    } else {
      s.shape[s.nd] = n;
      s.sa[s.nd] = ai;
      s.sb[s.nd++] = bi;
    }
  }
  if (s.nd == 0) {
    s.nd = 1;
    s.shape[0] = 1;
    s.sa[0] = s.sb[0] = 1;
  }
  return s;
}

/* Walks all dimensions but the `inner` last ones: at_strided_next moves the offsets to the next run and returns 0 at the
 * end. */
typedef struct at_strided_walk {
  int64_t index[AT_KND], a, b;
} at_strided_walk;

static inline int at_strided_next(const at_strided *s, int inner, at_strided_walk *w) {
  for (int i = s->nd - inner - 1; i >= 0; i--) {
    w->a += s->sa[i];
    w->b += s->sb[i];
    if (++w->index[i] < s->shape[i]) {
      return 1;
    }
    w->index[i] = 0;
    w->a -= s->sa[i] * s->shape[i];
    w->b -= s->sb[i] * s->shape[i];
  }
  return 0;
}

#endif
