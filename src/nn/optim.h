/* SPDX-License-Identifier: BSD-3-Clause */
/* Local optimisers over the flat parameter vector, learning-rate schedules, clipping. */
#ifndef AT_NN_OPTIM_H
#define AT_NN_OPTIM_H

#include "kernels/kernels.h"
#include "src/base/status.h"

typedef enum at_optim_kind { AT_OPTIM_ADAMW, AT_OPTIM_SGD } at_optim_kind;

typedef struct at_optim {
  int kind; /* at_optim_kind */
  double beta1, beta2, eps, weight_decay;
  double clip; /* largest global norm of a gradient; 0: no clipping */
} at_optim;

/* Moments of one client; borrowed vectors of n elements (not touched by SGD steps). */
typedef struct at_moments {
  float *m, *v;
  int64_t t; /* steps since the moments were zero */
} at_moments;

/* Cosine with linear warm-up (Loshchilov and Hutter 2017): step s < warmup gives lr_max (s + 1) / warmup; later
 * lr_max (a + (1 - a)/2 (1 + cos(pi min(1, (s - warmup) / (period - warmup))))), a = final_fraction. */
typedef struct at_schedule {
  double lr_max, final_fraction;
  int64_t warmup, period; /* steps */
} at_schedule;
double at_schedule_lr(const at_schedule *s, int64_t step);

/* What a step saw. */
typedef struct at_step_info {
  double grad_norm; /* before clipping; NaN if the gradient is not finite */
  double scale;     /* what clipping multiplied the gradient with */
  bool clipped, skipped;
} at_step_info;

/* One step at learning rate lr: w[n] is updated from grad[n] in place, moments advance.  A gradient that is not finite
 * changes nothing (`skipped`). */
at_step_info at_optim_step(const at_optim *o, const at_vec *vec, double lr, int64_t n, const float *grad, float *w,
                           at_moments *mom);

#endif
