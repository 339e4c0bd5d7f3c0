/* SPDX-License-Identifier: BSD-3-Clause */
/* What all levels of the flat vector functions share: scalars rounded once, and the order of a sum. */
#ifndef AT_VEC_H
#define AT_VEC_H

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"

/* The scalars of AdamW in float. */
typedef struct at_adamw_f32 {
  float scale, b1, c1, b2, c2; /* grad_scale, beta1, 1 - beta1, beta2, 1 - beta2 */
  float root, eps;             /* 1 / sqrt(bias2), eps */
  float step, decay;           /* lr / bias1, lr * weight_decay */
} at_adamw_f32;

static inline at_adamw_f32 at_adamw_round(const at_adamw *a) {
  return (at_adamw_f32){.scale = (float)a->grad_scale,
                        .b1 = (float)a->beta1,
                        .c1 = (float)(1.0 - a->beta1),
                        .b2 = (float)a->beta2,
                        .c2 = (float)(1.0 - a->beta2),
                        .root = (float)(1.0 / sqrt(a->bias2)),
                        .eps = (float)a->eps,
                        .step = (float)(a->lr / a->bias1),
                        .decay = (float)(a->lr * a->weight_decay)};
}

/* The scalars of momentum in float. */
typedef struct at_momentum_f32 {
  float scale, decay, mu, lr;
} at_momentum_f32;

static inline at_momentum_f32 at_momentum_round(const at_momentum *a) {
  return (at_momentum_f32){(float)a->grad_scale, (float)a->weight_decay, (float)a->momentum, (float)a->lr};
}

/* The scalars of Langevin dynamics in float. */
typedef struct at_langevin_f32 {
  float scale, decay, lr, noise; /* noise = sqrt(2 lr T) */
  float beta, rest, eps;         /* rest = 1 - beta */
} at_langevin_f32;

static inline at_langevin_f32 at_langevin_round(const at_langevin *a) {
  return (at_langevin_f32){.scale = (float)a->grad_scale,
                           .decay = (float)a->weight_decay,
                           .lr = (float)a->lr,
                           .noise = (float)sqrt(2.0 * a->lr * a->temperature),
                           .beta = (float)a->beta,
                           .rest = (float)(1.0 - a->beta),
                           .eps = (float)a->eps};
}

/* Sums run in 32 double lanes, element i in lane i mod 32.  A product of two floats is exact in double, so that all levels
 * give the same bits. */
enum { AT_VEC_LANES = 32 };

/* The lanes folded in halves; `lane` is overwritten. */
static inline double at_vec_fold(double *lane) {
  for (int half = AT_VEC_LANES / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; i++) {
      lane[i] += lane[i + half];
    }
  }
  return lane[0];
}

/* A finite sum itself, else NaN: a square of a float cannot overflow in double, so an infinity comes from an infinity. */
static inline double at_vec_finite(double sum) {
  return sum < INFINITY ? sum : NAN;
}

/* Magnitudes of floats are ordered as their bits without the sign are, infinities and NaNs last: a maximum of integers,
 * which compilers turn into vector instructions of whatever level this is compiled for. */
static inline double at_vec_largest(int64_t n, const float *x) {
  uint32_t most = 0;
  float size;
  for (int64_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, sizeof bits);
    bits &= 0x7fffffffu;
    most = bits > most ? bits : most;
  }
  memcpy(&size, &most, sizeof size);
  return size < INFINITY ? (double)size : NAN;
}

static inline double at_vec_pow2(int bits) {
  return ldexp(1.0, bits);
}

#endif
