/* SPDX-License-Identifier: BSD-3-Clause */
/* The dimensions of a pooling call by name, and the window of each output. */
#ifndef AT_POOL_SHAPE_H
#define AT_POOL_SHAPE_H

#include "kernels/kernels.h"

typedef struct at_pool {
  int64_t n, h, w, c, oh, ow;
  int64_t kh, kw, sh, sw, ph, pw; /* kh = 0: adaptive */
  int whole;                      /* divide by kh kw even where the window leaves the image */
} at_pool;

static inline at_pool at_pool_parse(const int64_t *d) {
  return (at_pool){d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12] != 0};
}

/* Rows (or columns) [from, to) of an image of `size` that output o of `out` sees. */
static inline void at_pool_range(int64_t o, int64_t out, int64_t size, int64_t kernel, int64_t stride, int64_t pad,
                                 int64_t *from, int64_t *to) {
  if (kernel == 0) {
    *from = o * size / out;
    *to = ((o + 1) * size + out - 1) / out;
    return;
  }
  const int64_t start = o * stride - pad, end = start + kernel;
  *from = start < 0 ? 0 : start;
  *to = end > size ? size : end;
  *to = *to < *from ? *from : *to;
}

/* The window of output (y, x) and what its average is divided by (as a factor; 0 for an empty window). */
typedef struct at_window {
  int64_t top, bottom, left, right;
  double share;
} at_window;

static inline at_window at_pool_window(const at_pool *p, int64_t y, int64_t x) {
  at_window w;
  at_pool_range(y, p->oh, p->h, p->kh, p->sh, p->ph, &w.top, &w.bottom);
  at_pool_range(x, p->ow, p->w, p->kw, p->sw, p->pw, &w.left, &w.right);
  const int64_t inside = (w.bottom - w.top) * (w.right - w.left);
  const int64_t by = p->whole && p->kh > 0 ? p->kh * p->kw : inside;
  w.share = inside > 0 ? 1.0 / (double)by : 0.0;
  return w;
}

#endif
