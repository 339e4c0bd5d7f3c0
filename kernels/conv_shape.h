/* SPDX-License-Identifier: BSD-3-Clause */
/* The dimensions of a convolution call by name, and how the vector versions cut it into blocks, from which their scratch follows. */
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

enum {
  AT_CONV_PANEL = 64,    /* the most columns of a panel of weights, at any level */
  AT_CONV_DEPTH = 1024,  /* rows of a panel that is packed at once: 256 KiB */
  AT_CONV_PIXELS = 1024, /* images are taken together up to this many outputs */
  AT_CONV_STRIP = 256    /* outputs that a tile of weight gradients sums in registers, about */
};

/* Zeros around an image, before and behind along each axis. */
typedef struct at_conv_margin {
  int64_t top, bottom, left, right;
} at_conv_margin;

static inline int at_conv_has_margin(const at_conv_margin *m) {
  return (m->top | m->bottom | m->left | m->right) != 0;
}

static inline at_conv_margin at_conv_x_margin(const at_conv *s) {
  return (at_conv_margin){s->ph, s->ph, s->pw, s->pw};
}

/* What the positions at -pad .. size - 1 of x want beyond 0 .. out - 1 of the output along one axis. */
static inline void at_conv_reach(int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t out,
                                 int64_t *before, int64_t *behind) {
  const int64_t first = pad - (kernel - 1), last = (size - 1 + pad) / stride;
  *before = first < 0 ? -first / stride : 0;
  *behind = last > out - 1 ? last - (out - 1) : 0;
}

static inline at_conv_margin at_conv_dy_margin(const at_conv *s) {
  at_conv_margin m;
  at_conv_reach(s->h, s->kh, s->sh, s->ph, s->oh, &m.top, &m.bottom);
  at_conv_reach(s->w, s->kw, s->sw, s->pw, s->ow, &m.left, &m.right);
  return m;
}

/* Images taken together where one has `pixels` outputs. */
static inline int64_t at_conv_images(int64_t n, int64_t pixels) {
  const int64_t some = pixels > 0 ? (AT_CONV_PIXELS + pixels - 1) / pixels : n;
  return some < n ? some : n;
}

/* Rows of outputs that a tile of weight gradients sums over. */
static inline int64_t at_conv_strip(const at_conv *s) {
  const int64_t rows = s->ow > 0 ? AT_CONV_STRIP / s->ow : 1;
  return rows < 1 ? 1 : rows;
}

/* Floats of scratch of the direct sums: images with their margins, and packed weights (or, for dw, packed output gradients). */
static inline size_t at_conv_direct_floats(at_kslot slot, const at_conv *s) {
  const int dx = slot == AT_K_conv2d_dx;
  const at_conv_margin m = dx ? at_conv_dy_margin(s) : at_conv_x_margin(s);
  const int64_t images = at_conv_images(s->n, dx ? s->h * s->w : s->oh * s->ow);
  const int64_t high = (dx ? s->oh : s->h) + m.top + m.bottom, wide = (dx ? s->ow : s->w) + m.left + m.right;
  const int64_t margin = at_conv_has_margin(&m) ? images * high * wide * (dx ? s->oc : s->c) : 0;
  const int64_t packed = slot == AT_K_conv2d_dw ? at_conv_strip(s) * s->ow : AT_CONV_DEPTH;
  return (size_t)(margin + packed * AT_CONV_PANEL);
}

#endif
