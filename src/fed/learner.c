/* SPDX-License-Identifier: BSD-3-Clause */
/* Local training of simulated clients on labelled examples. */
#include "src/fed/learner.h"

#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/base/signals.h"

static at_err check_fit(const at_learner *l, const at_classifier_task *task) {
  const at_model *m = at_classifier_task_model(task);
  const at_example_task *have = at_examples_task(l->set);
  int64_t inputs = at_shape_count(m->input);
  if (have->classes == 0) {
    return AT_FAIL(AT_ERR_CONFIG, "%s has no classes: it cannot be learned by a classifier", at_examples_path(l->set));
  }
  if (inputs != have->inputs || m->classes < have->classes) {
    return AT_FAIL(AT_ERR_CONFIG, "model %s takes %lld inputs and tells %lld classes apart, %s has %lld and %lld",
                   m->name, (long long)inputs, (long long)m->classes, at_examples_path(l->set), (long long)have->inputs,
                   (long long)have->classes);
  }
  return AT_OK;
}

at_err at_learner_init(at_learner *l, at_classifier_task *task, const at_population *p, at_examples *set,
                       const at_kernels *k, uint64_t seed, int64_t batch) {
  at_task *t = at_classifier_task_get(task);
  *l = (at_learner){.task = task, .population = p, .set = set, .vec = &k->vec, .seed = seed, .batch = batch};
  l->params = at_task_params(t)->count;
  l->length = l->params + at_task_states(t)->count;
  AT_TRY(check_fit(l, task));
  l->rows_cap = at_population_max_size(p);
  AT_TRY(at_alloc(&l->x, (size_t)(batch * at_examples_task(set)->inputs), sizeof *l->x, "batch of inputs"));
  AT_TRY(at_alloc(&l->label, (size_t)batch, sizeof *l->label, "batch of labels"));
  return at_alloc(&l->row, (size_t)l->rows_cap, sizeof *l->row, "rows of a client");
}

void at_learner_fini(at_learner *l) {
  at_free(l->x);
  at_free(l->label);
  at_free(l->row);
  *l = (at_learner){0};
}

size_t at_learner_bytes(const at_learner *l) {
  return (size_t)l->batch * ((size_t)at_examples_task(l->set)->inputs * sizeof *l->x + sizeof *l->label) +
         (size_t)l->rows_cap * sizeof *l->row;
}

at_err at_learner_open(at_learner *l, at_split split, const at_crowd *who, int64_t *n) {
  *n = 0;
  for (int64_t i = 0; i < who->n; i++) {
    *n += at_population_size(l->population, split, who->client[i]);
  }
  if (*n > l->rows_cap) {
    AT_TRY(at_realloc(&l->row, (size_t)*n, sizeof *l->row, "rows of several clients"));
    l->rows_cap = *n;
  }
  int64_t at = 0;
  for (int64_t i = 0; i<who->n && * n> 0; i++) {
    at_partition_rows(l->population->split[split], who->client[i], l->row + at);
    at += at_population_size(l->population, split, who->client[i]);
  }
  return AT_OK;
}

at_err at_learner_load(at_learner *l, const at_lesson *lesson, int64_t n, int64_t epoch, int64_t first, int64_t count) {
  enum { SOME = 64 };
  at_stream order = {.seed = l->seed,
                     .purpose = AT_RNG_SHUFFLE,
                     .client = (uint64_t)lesson->who.client[0],
                     .round = (uint64_t)lesson->round,
                     .step = (uint64_t)epoch};
  int64_t inputs = at_examples_task(l->set)->inputs, row[SOME];
  for (int64_t done = 0; done < count; done += SOME) {
    int64_t some = count - done < SOME ? count - done : SOME;
    for (int64_t i = 0; i < some; i++) {
      row[i] = l->row[at_rng_permute(&order, (uint64_t)n, (uint64_t)(first + done + i))];
    }
    AT_TRY(at_examples_gather(l->set, AT_SPLIT_TRAIN, some, row, l->x + done * inputs, l->label + done, NULL));
  }
  return AT_OK;
}

/* grad becomes what is stepped along, tensor by tensor where some are frozen. */
static void bend(const at_learner *l, const at_lesson *c, const float *w, float *grad) {
  if (c->clip > 0) {
    double norm = sqrt(l->vec->sumsq(l->params, grad));
    float scale = norm > c->clip ? (float)(c->clip / norm) : 1.0F;
    for (int64_t i = 0; i < l->params && scale != 1.0F; i++) {
      grad[i] *= scale;
    }
  }
  if (c->weight_decay > 0) {
    l->vec->axpy(c->weight_decay, l->params, w, grad);
  }
  if (c->pull > 0) {
    l->vec->axpy(c->pull, l->params, w, grad);
    l->vec->axpy(-c->pull, l->params, c->anchor, grad);
  }
  if (c->correction != NULL) {
    l->vec->axpy(1, l->params, c->correction, grad);
  }
}

static void step(const at_learner *l, const at_lesson *c, float *grad, float *w) {
  bend(l, c, w, grad);
  const float *along = grad;
  if (c->v != NULL) {
    for (int64_t i = 0; i < l->params; i++) {
      c->v[i] = (float)c->momentum * c->v[i] + grad[i];
    }
    along = c->v;
  }
  if (c->frozen == NULL) {
    l->vec->axpy(-c->lr, l->params, along, w);
    return;
  }
  const at_layout *p = at_task_params(at_classifier_task_get(l->task));
  for (int t = 0; t < p->n; t++) {
    int64_t at = p->tensor[t].offset;
    if (!c->frozen[t]) {
      l->vec->axpy(-c->lr, p->tensor[t].count, along + at, w + at);
    }
  }
}

/* Nothing bends the gradient: the step can be taken as it is computed. */
static bool is_plain(const at_lesson *c) {
  return c->clip <= 0 && c->weight_decay <= 0 && c->pull <= 0 && c->correction == NULL && c->frozen == NULL &&
         c->v == NULL;
}

static at_err train_batch(at_learner *l, const at_lesson *c, const at_batch *b, float *w, at_score *score) {
  float *state = l->length > l->params ? w + l->params : NULL, *grad;
  if (is_plain(c)) {
    return at_classifier_task_sgd(l->task, w, state, b, c->lr, score, l->poll, l->poll_context);
  }
  AT_TRY(at_classifier_task_grad(l->task, w, state, b, score, &grad, l->poll, l->poll_context));
  step(l, c, grad, w);
  return AT_OK;
}

at_err at_learner_train(at_learner *l, const at_lesson *lesson, float *w, at_learned *out) {
  int64_t n;
  AT_TRY(at_learner_open(l, AT_SPLIT_TRAIN, &lesson->who, &n));
  int64_t batch = lesson->batch < l->batch ? lesson->batch : l->batch;
  if (lesson->v != NULL) {
    memset(lesson->v, 0, (size_t)l->params * sizeof *lesson->v);
  }
  for (int64_t epoch = 0; epoch < lesson->epochs; epoch++) {
    for (int64_t first = 0; first < n; first += batch) {
      if (at_signals_pending()) {
        return AT_FAIL(AT_ERR_INTERRUPTED, "stopped by a signal");
      }
      at_batch b = {.n = n - first < batch ? n - first : batch, .x = l->x, .label = l->label};
      at_score score;
      AT_TRY(at_learner_load(l, lesson, n, epoch, first, b.n));
      AT_TRY(train_batch(l, lesson, &b, w, &score));
      out->steps++;
      out->examples += (double)b.n;
      out->loss += score.loss * (double)b.n;
    }
  }
  return AT_OK;
}

at_err at_learner_test(at_learner *l, at_split split, int64_t client, const float *w, at_tested *out) {
  const at_crowd who = {1, &client};
  const float *state = l->length > l->params ? w + l->params : NULL;
  int64_t n;
  *out = (at_tested){0};
  AT_TRY(at_learner_open(l, split, &who, &n));
  for (int64_t first = 0; first < n; first += l->batch) {
    at_batch b = {.n = n - first < l->batch ? n - first : l->batch, .x = l->x, .label = l->label};
    at_score score;
    AT_TRY(at_examples_gather(l->set, split, b.n, l->row + first, l->x, l->label, NULL));
    AT_TRY(at_classifier_task_eval(l->task, w, state, &b, &score));
    out->examples += (double)b.n;
    out->hits += score.hits;
    out->loss += score.loss;
  }
  return AT_OK;
}
