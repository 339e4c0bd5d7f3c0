/* SPDX-License-Identifier: BSD-3-Clause */
/* The dimensions of a convolution call by name, and the scratch of the vector versions. */
#ifndef AT_CONV_SHAPE_H
#define AT_CONV_SHAPE_H

#include "kernels/kernels.h"

typedef struct at_conv {
  int64_t n, h, w, c, oc;    /* images, their size, channels in and out */
  int64_t kh, kw, sh, sw;    /* kernel and stride */
  int64_t ph, pw;            /* zeros above (and below), left (and right) */
  int64_t groups, oh, ow;    /* output size */
  int64_t group_c, group_oc; /* channels of one group */
} at_conv;

static inline at_conv at_conv_parse(const int64_t *d) {
  at_conv s = {d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12], d[13], 0, 0};
  s.group_c = s.c / s.groups;
  s.group_oc = s.oc / s.groups;
  return s;
}

/* The kernel positions k (of `count`) for which output o reads a position inside an image of `size`: [from, to). */
static inline void at_conv_inside(int64_t o, int64_t stride, int64_t pad, int64_t count, int64_t size, int64_t *from,
                                  int64_t *to) {
  const int64_t start = o * stride - pad;
  *from = start < 0 ? (-start < count ? -start : count) : 0;
  *to = size - start < count ? size - start : count;
  *to = *to < *from ? *from : *to;
}

#endif
