/* SPDX-License-Identifier: BSD-3-Clause */
/* Learning-rate schedules with linear warm-up. */
#ifndef AT_NN_SCHEDULE_H
#define AT_NN_SCHEDULE_H

#include <stdint.h>

/* kind, name: rate after the warm-up, as a multiple of lr_max; p = min(1, (step - warmup) / (period - warmup)), a =
 * final_fraction. */
#define AT_SCHEDULES(X)                                                                  \
  X(COSINE, cosine)     /* a + (1 - a)/2 (1 + cos(pi p)) (Loshchilov and Hutter 2017) */ \
  X(LINEAR, linear)     /* 1 - (1 - a) p */                                              \
  X(STEP, step)         /* factor^k after k times `every` steps, at least a */           \
  X(CONSTANT, constant) /* 1 */

typedef enum at_schedule_kind {
#define X(kind, name) AT_SCHEDULE_##kind,
  AT_SCHEDULES(X)
#undef X
      AT_SCHEDULE_COUNT
} at_schedule_kind;
extern const char *const at_schedule_names[]; /* by kind; ends with NULL */

typedef struct at_schedule {
  double lr_max, final_fraction;
  int64_t warmup, period; /* steps */
  int kind;               /* at_schedule_kind; 0: cosine */
  double factor;          /* STEP */
  int64_t every;          /* STEP: steps, at least 1 */
} at_schedule;

/* The rate of step 0, 1, ...: lr_max (step + 1) / warmup while step < warmup. */
double at_schedule_lr(const at_schedule *s, int64_t step);

#endif
