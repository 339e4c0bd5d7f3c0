/* SPDX-License-Identifier: BSD-3-Clause */
/* Local optimisers over the flat parameter vector, one row each in optim.c; clipping; averages of parameters. */
#ifndef AT_NN_OPTIM_H
#define AT_NN_OPTIM_H

#include "src/base/rng.h"
#include "src/graph/graph.h"
#include "src/nn/schedule.h"

/* kind, name: formula in kernels/kernels.h */
#define AT_OPTIMS(X)                                                                                        \
  X(ADAMW, adamw) /* decoupled decay (Loshchilov and Hutter 2019) */                                        \
  X(SGD, sgd)     /* with momentum and Nesterov's variant (Sutskever et al. 2013), decay in the gradient */ \
  X(SGLD, sgld)   /* stochastic gradient Langevin dynamics (Welling and Teh 2011) */                        \
  X(PSGLD, psgld) /* preconditioned by root mean squares (Li et al. 2016), an approximation */

typedef enum at_optim_kind {
#define X(kind, name) AT_OPTIM_##kind,
  AT_OPTIMS(X)
#undef X
      AT_OPTIM_COUNT
} at_optim_kind;
extern const char *const at_optim_names[]; /* by kind; ends with NULL */

typedef struct at_optim {
  int kind;            /* at_optim_kind */
  double beta1, beta2; /* ADAMW; PSGLD: beta2 */
  double eps, weight_decay;
  double clip;        /* largest global norm of a gradient; 0: no clipping */
  double momentum;    /* SGD */
  bool nesterov;      /* SGD */
  double temperature; /* SGLD, PSGLD: the gradient is that of U, and exp(-U / temperature) is sampled as lr falls */
} at_optim;

/* Which moments it keeps. */
typedef enum at_moment_bits { AT_MOMENT_M = 1, AT_MOMENT_V = 2 } at_moment_bits;
int at_optim_moments(const at_optim *o);

/* Moments of one client; borrowed vectors of n elements, each only touched if at_optim_moments says so. */
typedef struct at_moments {
  float *m, *v;
  int64_t t; /* steps since the moments were zero; SGD without momentum does not count */
} at_moments;

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

/* A step that knows more. */
typedef struct at_step {
  double lr;
  int64_t n;
  const at_layout *layout; /* of w, where `rate` is given */
  const double *rate; /* [layout->n] multiplies lr, tensor by tensor; a tensor with rate 0 and its moments stay as they
                              are; NULL: 1 for all */
  const at_stream *noise; /* SGLD, PSGLD: seed, client and round of the noise; the step is the moments' t */
} at_step;
at_step_info at_optim_apply(const at_optim *o, const at_vec *vec, const at_step *s, const float *grad, float *w,
                            at_moments *mom);

/* mean[n] = decay mean + (1 - decay) w: an exponential moving average of parameters. */
void at_ema_update(const at_vec *vec, double decay, int64_t n, const float *w, float *mean);

#endif
