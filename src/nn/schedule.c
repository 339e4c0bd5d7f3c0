/* SPDX-License-Identifier: BSD-3-Clause */
/* Learning-rate schedules with linear warm-up. */
#include "src/nn/schedule.h"

#include <math.h>
#include <stddef.h>

const char *const at_schedule_names[] = {
#define X(kind, name) #name,
    AT_SCHEDULES(X)
#undef X
        NULL};

/* The multiple of lr_max at `step` steps after the warm-up, a share p of the way. */
typedef double (*shape)(const at_schedule *s, int64_t step, double p);

static double cosine(const at_schedule *s, int64_t step, double p) {
  (void)step;
  double wave = 0.5 * (1.0 + cos(M_PI * p));
  return s->final_fraction + (1.0 - s->final_fraction) * wave;
}

static double linear(const at_schedule *s, int64_t step, double p) {
  (void)step;
  return 1.0 - (1.0 - s->final_fraction) * p;
}

static double step(const at_schedule *s, int64_t step, double p) {
  (void)p;
  return fmax(s->final_fraction, pow(s->factor, (double)(step / s->every)));
}

static double constant(const at_schedule *s, int64_t step, double p) {
  (void)s;
  (void)step;
  (void)p;
  return 1.0;
}

static const shape shapes[] = {
#define X(kind, name) [AT_SCHEDULE_##kind] = name,
    AT_SCHEDULES(X)
#undef X
};

double at_schedule_lr(const at_schedule *s, int64_t at) {
  if (at < s->warmup) {
    return s->lr_max * (double)(at + 1) / (double)s->warmup;
  }
  double span = (double)(s->period - s->warmup);
  double p = span > 0 ? (double)(at - s->warmup) / span : 1.0;
  return s->lr_max * shapes[s->kind](s, at - s->warmup, p < 1.0 ? p : 1.0);
}
