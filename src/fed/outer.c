/* SPDX-License-Identifier: BSD-3-Clause */
/* Server optimisers. */
#include "src/fed/outer.h"

#include <math.h>
#include <string.h>

const char *const at_outer_names[] = {
#define X(name) #name,
    AT_OUTERS(X)
#undef X
        NULL};

/* One element of one rule; `bias` holds 1 - b1^r and 1 - b2^r. */
typedef double (*rule)(const at_outer *o, const double bias[2], double theta, double delta, float *m, float *v);

static double fedavg(const at_outer *o, const double bias[2], double theta, double delta, float *m, float *v) {
  (void)bias, (void)m, (void)v;
  return theta - o->lr * delta;
}

static double fedmom(const at_outer *o, const double bias[2], double theta, double delta, float *m, float *v) {
  (void)bias, (void)v;
  double w = theta - o->lr * delta, out = (1 + o->momentum) * w - o->momentum * *m;
  *m = (float)w;
  return out;
}

static double fednesterov(const at_outer *o, const double bias[2], double theta, double delta, float *m, float *v) {
  (void)bias, (void)v;
  *m = (float)(o->momentum * *m + delta);
  return theta - o->lr * (delta + o->momentum * *m);
}

static double adaptive_step(const at_outer *o, const double bias[2], double theta, float m, float v) {
  return theta - o->lr * (m / bias[0]) / (sqrt(v / bias[1]) + o->eps);
}

static double fedadam(const at_outer *o, const double bias[2], double theta, double delta, float *m, float *v) {
  *m = (float)(o->beta1 * *m + (1 - o->beta1) * delta);
  *v = (float)(o->beta2 * *v + (1 - o->beta2) * delta * delta);
  return adaptive_step(o, bias, theta, *m, *v);
}

static double fedyogi(const at_outer *o, const double bias[2], double theta, double delta, float *m, float *v) {
  double square = delta * delta, sign = (square > *v) - (square < *v);
  *m = (float)(o->beta1 * *m + (1 - o->beta1) * delta);
  *v = (float)(*v + (1 - o->beta2) * square * sign);
  return adaptive_step(o, bias, theta, *m, *v);
}

static double fedadagrad(const at_outer *o, const double bias[2], double theta, double delta, float *m, float *v) {
  (void)bias;
  *m = (float)(o->beta1 * *m + (1 - o->beta1) * delta);
  *v = (float)(*v + delta * delta);
  return theta - o->lr * *m / (sqrt(*v) + o->eps);
}

static const struct {
  rule apply;
  int vectors;
  bool starts_as_theta;
} rules[AT_OUTER_COUNT] = {
    [AT_OUTER_fedavg] = {fedavg, 0, false},           [AT_OUTER_fedmom] = {fedmom, 1, true},
    [AT_OUTER_fednesterov] = {fednesterov, 1, false}, [AT_OUTER_fedadam] = {fedadam, 2, false},
    [AT_OUTER_fedyogi] = {fedyogi, 2, false},         [AT_OUTER_fedadagrad] = {fedadagrad, 2, false},
};

int at_outer_vectors(const at_outer *o) {
  return rules[o->kind].vectors;
}

void at_outer_start(const at_outer *o, int64_t n, const float *theta, float *m, float *v) {
  size_t bytes = (size_t)n * sizeof *theta;
  if (rules[o->kind].starts_as_theta) {
    memcpy(m, theta, bytes);
  } else if (rules[o->kind].vectors >= 1) {
    memset(m, 0, bytes);
  }
  if (rules[o->kind].vectors == 2) {
    memset(v, 0, bytes);
  }
}

double at_outer_step(const at_outer *o, int64_t round, int64_t n, const float *delta, float *theta, float *m,
                     float *v) {
  const double bias[2] = {1 - pow(o->beta1, (double)round), 1 - pow(o->beta2, (double)round)};
  rule apply = rules[o->kind].apply;
  int vectors = rules[o->kind].vectors;
  double step = 0;
  for (int64_t i = 0; i < n; i++) {
    float unused = 0;
    double old = theta[i];
    theta[i] = (float)apply(o, bias, old, delta[i], vectors > 0 ? &m[i] : &unused, vectors > 1 ? &v[i] : &unused);
    step += (theta[i] - old) * (theta[i] - old);
  }
  return sqrt(step);
}
