/* SPDX-License-Identifier: BSD-3-Clause */
/* Local optimisers over the flat parameter vector. */
#include "src/nn/optim.h"

#include <assert.h>
#include <math.h>

const char *const at_optim_names[] = {
#define X(kind, name) #name,
    AT_OPTIMS(X)
#undef X
        NULL};

/* A piece of the flat vector: elements first .. first + n - 1; the pointers are to its first element. */
typedef struct piece {
  const at_optim *o;
  const at_vec *vec;
  double lr, scale; /* scale: of the gradient, by clipping */
  int64_t first, n;
  const float *grad;
  float *w, *m, *v;
  int64_t t;              /* steps, this one included */
  const at_stream *noise; /* of this step */
} piece;

/* --- one row each --------------------------------------------------------------------------------------------------------- */

static int adamw_moments(const at_optim *o) {
  (void)o;
  return AT_MOMENT_M | AT_MOMENT_V;
}

static void adamw_step(const piece *p) {
  const at_optim *o = p->o;
  at_adamw a = {.lr = p->lr,
                .beta1 = o->beta1,
                .beta2 = o->beta2,
                .eps = o->eps,
                .weight_decay = o->weight_decay,
                .bias1 = 1.0 - pow(o->beta1, (double)p->t),
                .bias2 = 1.0 - pow(o->beta2, (double)p->t),
                .grad_scale = p->scale};
  p->vec->adamw(&a, p->n, p->grad, p->w, p->m, p->v);
}

static int sgd_moments(const at_optim *o) {
  return o->momentum != 0 ? AT_MOMENT_M : 0;
}

static void sgd_step(const piece *p) {
  const at_optim *o = p->o;
  if (o->momentum != 0) {
    at_momentum a = {.lr = p->lr,
                     .momentum = o->momentum,
                     .weight_decay = o->weight_decay,
                     .grad_scale = p->scale,
                     .nesterov = o->nesterov};
    p->vec->momentum(&a, p->n, p->grad, p->w, p->m);
    return;
  }
  if (o->weight_decay != 0) {
    p->vec->axpy(-p->lr * o->weight_decay, p->n, p->w, p->w);
  }
  p->vec->sgd(p->lr * p->scale, p->n, p->grad, p->w);
}

static int sgld_moments(const at_optim *o) {
  (void)o;
  return 0;
}

static int psgld_moments(const at_optim *o) {
  (void)o;
  return AT_MOMENT_V;
}

/* Element i of the flat vector takes normal i of the step's stream, however the vector is cut. */
static void langevin(const piece *p, float *v) {
  enum { CHUNK = 1024 };
  float xi[CHUNK];
  at_langevin a = {.lr = p->lr,
                   .temperature = p->o->temperature,
                   .weight_decay = p->o->weight_decay,
                   .grad_scale = p->scale,
                   .beta = p->o->beta2,
                   .eps = p->o->eps};
  for (int64_t i = 0; i < p->n; i += CHUNK) {
    int64_t n = p->n - i < CHUNK ? p->n - i : CHUNK;
    at_rng_fill_normal_from(p->noise, p->first + i, 0.0, 1.0, xi, n);
    p->vec->langevin(&a, n, p->grad + i, xi, p->w + i, v ? v + i : NULL);
  }
}

static void sgld_step(const piece *p) {
  langevin(p, NULL);
}

static void psgld_step(const piece *p) {
  langevin(p, p->v);
}

typedef struct optim_row {
  int (*moments)(const at_optim *o);
  void (*step)(const piece *p);
  bool noisy;
} optim_row;

static const optim_row rows[] = {
    [AT_OPTIM_ADAMW] = {adamw_moments, adamw_step, false},
    [AT_OPTIM_SGD] = {sgd_moments, sgd_step, false},
    [AT_OPTIM_SGLD] = {sgld_moments, sgld_step, true},
    [AT_OPTIM_PSGLD] = {psgld_moments, psgld_step, true},
};

/* --- a step --------------------------------------------------------------------------------------------------------------- */

int at_optim_moments(const at_optim *o) {
  return rows[o->kind].moments(o);
}

static void by_tensor(const optim_row *row, const at_step *s, piece p) {
  const piece whole = p;
  for (int i = 0; i < s->layout->n; i++) {
    const at_tensor *t = &s->layout->tensor[i];
    p.lr = s->lr * s->rate[i];
    p.first = t->offset;
    p.n = t->count;
    p.grad = whole.grad + t->offset;
    p.w = whole.w + t->offset;
    p.m = whole.m ? whole.m + t->offset : NULL;
    p.v = whole.v ? whole.v + t->offset : NULL;
    if (p.lr != 0) {
      row->step(&p);
    }
  }
}

at_step_info at_optim_apply(const at_optim *o, const at_vec *vec, const at_step *s, const float *grad, float *w,
                            at_moments *mom) {
  at_step_info info = {.grad_norm = sqrt(vec->sumsq(s->n, grad)), .scale = 1.0};
  if (!isfinite(info.grad_norm)) {
    info.skipped = true;
    return info;
  }
  if (o->clip > 0 && info.grad_norm > o->clip) {
    info.scale = o->clip / info.grad_norm;
    info.clipped = true;
  }
  const optim_row *row = &rows[o->kind];
  assert(!row->noisy || s->noise != NULL);
  piece p = {.o = o, .vec = vec, .lr = s->lr, .scale = info.scale, .n = s->n, .grad = grad, .w = w};
  at_stream noise;
  if (row->noisy) {
    noise = *s->noise;
    noise.purpose = AT_RNG_LANGEVIN;
    noise.step = (uint64_t)mom->t;
    p.noise = &noise;
  }
  if (row->noisy || row->moments(o) != 0) {
    p.m = mom->m;
    p.v = mom->v;
    p.t = ++mom->t;
  }
  if (s->rate != NULL) {
    by_tensor(row, s, p);
  } else {
    row->step(&p);
  }
  return info;
}

at_step_info at_optim_step(const at_optim *o, const at_vec *vec, double lr, int64_t n, const float *grad, float *w,
                           at_moments *mom) {
  return at_optim_apply(o, vec, &(at_step){.lr = lr, .n = n}, grad, w, mom);
}

void at_ema_update(const at_vec *vec, double decay, int64_t n, const float *w, float *mean) {
  vec->lerp(1.0 - decay, n, w, mean);
}
