/* SPDX-License-Identifier: BSD-3-Clause */
/* Server optimisers: what the mean update of a round does to the global model.
 *
 * Delta = theta - mean of the clients' parameters is a pseudo-gradient: every rule subtracts.  One row per rule. */
#ifndef AT_FED_OUTER_H
#define AT_FED_OUTER_H

#include <stdint.h>

#include "src/base/status.h"

/* FedAvg:      theta -= lr * Delta                                                   (McMahan et al. 2017)
 * FedMom:      w = theta - lr * Delta; theta = (1 + mu) w - mu v; v = w, v starts as theta  (Huo et al. 2020)
 * FedNesterov: m = mu m + Delta; theta -= lr * (Delta + mu m)                         (Douillard et al. 2023)
 * FedAdam:     m = b1 m + (1-b1) Delta; v = b2 v + (1-b2) Delta^2; theta -= lr mhat / (sqrt(vhat) + eps)
 * FedYogi:     as FedAdam with v += (1-b2) Delta^2 sign(Delta^2 - v)                  (Reddi et al. 2021)
 * FedAdagrad:  m = b1 m + (1-b1) Delta; v += Delta^2; theta -= lr m / (sqrt(v) + eps)        (Reddi et al. 2021)
 * mhat, vhat: divided by 1 - b1^r, 1 - b2^r in round r = 1, 2, ... */
#define AT_OUTERS(X) X(fedavg) X(fedmom) X(fednesterov) X(fedadam) X(fedyogi) X(fedadagrad)

typedef enum at_outer_kind {
#define X(name) AT_OUTER_##name,
  AT_OUTERS(X)
#undef X
      AT_OUTER_COUNT
} at_outer_kind;
extern const char *const at_outer_names[]; /* NULL-terminated */

typedef struct at_outer {
  int kind; /* at_outer_kind */
  double lr, momentum, beta1, beta2, eps;
} at_outer;

/* State vectors a rule keeps (0, 1 or 2, of theta's length): m, then v.  Both start as at_outer_start leaves them. */
int at_outer_vectors(const at_outer *o);
/* m, v [n]: zeros, or what the rule wants (FedMom: v = theta in m's place). */
void at_outer_start(const at_outer *o, int64_t n, const float *theta, float *m, float *v);
/* One outer step of round `round` (from 1): theta[n], m[n], v[n] are updated in place from delta[n].  Arithmetic in f64,
 * stored in f32, element by element: the same on every rank.  Returns the norm of the step taken. */
double at_outer_step(const at_outer *o, int64_t round, int64_t n, const float *delta, float *theta, float *m, float *v);

#endif
