/* SPDX-License-Identifier: BSD-3-Clause */
/* Which convolutions are done by minimal filtering, and how they are cut into blocks, from which their scratch follows.
 *
 * The choice depends on what a call's shares have in common, never on the number of images: bits do not depend on threads. */
#ifndef AT_MINIMAL_SHAPE_H
#define AT_MINIMAL_SHAPE_H

#include "kernels/conv_shape.h"

enum {
  AT_MINIMAL_PANEL = 64,           /* the most columns of one product */
  AT_MINIMAL_SIDE = 6,             /* of the largest tile */
  AT_MINIMAL_CHANNELS = 16,        /* fewer do not pay for the transforms */
  AT_MINIMAL_ROWS = 16,            /* rows of weights that are transposed at once */
  AT_MINIMAL_CACHED = 128 * 1024,  /* floats of transformed tiles at once, about */
  AT_MINIMAL_WEIGHTS = 1024 * 1024 /* floats of transformed weights at once, about */
};

/* A tile of side x side points gives m x m outputs of a kernel of r x r: side = m + r - 1 = 2 pairs + 2. */
typedef struct at_minimal {
  int64_t pairs, side, m, r, points;
  int64_t high, wide;                          /* tiles of one image */
  int64_t depth, width;                        /* channels of the data, columns of the weights */
  int64_t group;                               /* columns whose weights are transformed at once: whole panels, or all */
  int64_t tiles;                               /* that are transformed at once */
  int64_t weight_step, data_step, result_step; /* floats from point to point */
} at_minimal;

/* Kernels of 5 x 5 with tiles of 6 x 6: 36 products where there were 100; 3 x 3 with 4 x 4: 16 where there were 36. */
static inline at_minimal at_minimal_tile(int64_t kernel) {
  at_minimal t = {.pairs = kernel == 5 ? 2 : 1, .m = 2, .r = kernel};
  t.side = t.m + t.r - 1;
  t.points = t.side * t.side;
  return t;
}

/* Whether minimal filtering is the way: where its tiles, also those over the border, take at most two thirds of the products.  The
 * one place that decides. */
static inline int at_minimal_fits(const at_conv *s) {
  if (s->kh != s->kw || (s->kh != 3 && s->kh != 5) || s->sh != 1 || s->sw != 1 || s->groups != 1 ||
      s->c < AT_MINIMAL_CHANNELS || s->oc < AT_MINIMAL_CHANNELS || s->oh <= 0 || s->ow <= 0) {
    return 0;
  }
  const at_minimal t = at_minimal_tile(s->kh);
  const int64_t tiles = ((s->oh + t.m - 1) / t.m) * ((s->ow + t.m - 1) / t.m);
  return 3 * tiles * t.points <= 2 * s->oh * s->ow * s->kh * s->kw;
}

/* Apart by no power of two, which would crowd some sets of a cache. */
static inline int64_t at_minimal_step(int64_t floats) {
  return (floats + 15) / 16 * 16 + 16;
}

static inline at_minimal at_minimal_plan(at_kslot slot, const at_conv *s) {
  at_minimal t = at_minimal_tile(s->kh);
  const int dx = slot == AT_K_conv2d_dx;
  t.high = ((dx ? s->h : s->oh) + t.m - 1) / t.m;
  t.wide = ((dx ? s->w : s->ow) + t.m - 1) / t.m;
  t.depth = dx ? s->oc : s->c;
  t.width = dx ? s->c : s->oc;
  const int64_t panels = AT_MINIMAL_WEIGHTS / (t.points * t.depth * AT_MINIMAL_PANEL);
  t.group = (panels > 1 ? panels : 1) * AT_MINIMAL_PANEL;
  t.group = t.group < t.width ? t.group : t.width;
  const int64_t some = AT_MINIMAL_CACHED / (t.points * (t.depth + AT_MINIMAL_PANEL)) / 8 * 8;
  const int64_t all = s->n * t.high * t.wide;
  t.tiles = some < 48 ? 48 : some > 128 ? 128 : some;
  t.tiles = t.tiles < all ? t.tiles : all;
  t.weight_step = at_minimal_step(t.depth * AT_MINIMAL_PANEL);
  t.data_step = at_minimal_step(t.tiles * t.depth);
  t.result_step = at_minimal_step(t.tiles * AT_MINIMAL_PANEL);
  return t;
}

/* Floats of each part of the scratch, in this order. */
static inline int64_t at_minimal_weights(const at_minimal *t) {
  return (t->group + AT_MINIMAL_PANEL - 1) / AT_MINIMAL_PANEL * t->points * t->weight_step;
}
static inline int64_t at_minimal_data(const at_minimal *t) {
  return t->points * t->data_step;
}
static inline int64_t at_minimal_results(const at_minimal *t) {
  return t->points * t->result_step;
}
static inline int64_t at_minimal_taps(const at_minimal *t) {
  return t->r * t->r * AT_MINIMAL_ROWS * AT_MINIMAL_PANEL;
}
/* A pixel of zeros, and one that takes what falls outside. */
static inline int64_t at_minimal_outside(const at_minimal *t) {
  return 2 * at_minimal_step(t->depth > AT_MINIMAL_PANEL ? t->depth : AT_MINIMAL_PANEL);
}

static inline size_t at_minimal_floats(at_kslot slot, const at_conv *s) {
  if (!at_minimal_fits(s)) {
    return 0;
  }
  const at_minimal t = at_minimal_plan(slot, s);
  return (size_t)(at_minimal_weights(&t) + at_minimal_data(&t) + at_minimal_results(&t) + at_minimal_taps(&t) +
                  at_minimal_outside(&t));
}

#endif
