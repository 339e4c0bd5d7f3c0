/* SPDX-License-Identifier: BSD-3-Clause */
/* Local optimisers over the flat parameter vector. */
#include "src/nn/optim.h"

#include <math.h>

double at_schedule_lr(const at_schedule *s, int64_t step) {
  if (step < s->warmup) {
    return s->lr_max * (double)(step + 1) / (double)s->warmup;
  }
  double span = (double)(s->period - s->warmup);
  double done = span > 0 ? (double)(step - s->warmup) / span : 1.0;
  double wave = 0.5 * (1.0 + cos(M_PI * (done < 1.0 ? done : 1.0)));
  return s->lr_max * (s->final_fraction + (1.0 - s->final_fraction) * wave);
}

at_step_info at_optim_step(const at_optim *o, const at_vec *vec, double lr, int64_t n, const float *grad, float *w,
                           at_moments *mom) {
  at_step_info info = {.grad_norm = sqrt(vec->sumsq(n, grad)), .scale = 1.0};
  if (!isfinite(info.grad_norm)) {
    info.skipped = true;
    return info;
  }
  if (o->clip > 0 && info.grad_norm > o->clip) {
    info.scale = o->clip / info.grad_norm;
    info.clipped = true;
  }
  if (o->kind == AT_OPTIM_SGD) {
    vec->sgd(lr * info.scale, n, grad, w);
    return info;
  }
  mom->t++;
  at_adamw a = {.lr = lr,
                .beta1 = o->beta1,
                .beta2 = o->beta2,
                .eps = o->eps,
                .weight_decay = o->weight_decay,
                .bias1 = 1.0 - pow(o->beta1, (double)mom->t),
                .bias2 = 1.0 - pow(o->beta2, (double)mom->t),
                .grad_scale = info.scale};
  vec->adamw(&a, n, grad, w, mom->m, mom->v);
  return info;
}
