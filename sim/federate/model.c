/* SPDX-License-Identifier: BSD-3-Clause */
/* The model that the data ask for, and which of its tensors are whose. */
#include <fnmatch.h>
#include <string.h>

#include "sim/federate/federate.h"
#include "src/base/alloc.h"

/* The preset with the data's shape and classes in place of its own. */
static at_err fit_model(const at_federate *f, at_model *m) {
  const at_example_task *t = at_examples_task(f->set);
  AT_TRY(at_model_preset(f->cfg->model, m));
  m->classes = t->classes;
  if (m->family == AT_FAMILY_MLP) {
    m->input = (at_shape){.nd = 1, .d = {t->inputs}};
    return AT_OK;
  }
  m->input = (at_shape){.nd = 3, .d = {1, 1, 1}};
  if (t->ndims == 2 || t->ndims == 3) { /* [h][w] has one channel */
    for (int i = 0; i < t->ndims; i++) {
      m->input.d[i] = t->dims[i];
    }
    return AT_OK;
  }
  return AT_FAIL(AT_ERR_CONFIG, "model %s takes images, and %s has inputs of %d axes: choose logreg or mlp", m->name,
                 at_examples_path(f->set), t->ndims);
}

/* Does a name fit one of the patterns, which have commas between? */
static bool fits(const char *patterns, const char *name) {
  char one[128];
  while (*patterns != '\0') {
    size_t n = strcspn(patterns, ",");
    snprintf(one, sizeof one, "%.*s", (int)n, patterns);
    if (fnmatch(one, name, 0) == 0) {
      return true;
    }
    patterns += n + (patterns[n] == ',');
  }
  return false;
}

static at_err name_tensors(at_federate *f) {
  const at_layout *p = at_task_params(at_classifier_task_get(f->task));
  const at_layout *s = at_task_states(at_classifier_task_get(f->task));
  const char *private_tensors = f->method->private_of != NULL ? f->method->private_of(f->cfg) : "";
  f->n_tensors = p->n + s->n;
  AT_TRY(at_alloc(&f->offsets, (size_t)f->n_tensors + 1, sizeof *f->offsets, "offsets of tensors"));
  AT_TRY(at_alloc(&f->names, (size_t)f->n_tensors, sizeof *f->names, "names of tensors"));
  AT_TRY(at_alloc(&f->is_private, (size_t)f->n_tensors, sizeof *f->is_private, "kinds of tensors"));
  AT_TRY(at_alloc(&f->is_head, (size_t)p->n, sizeof *f->is_head, "kinds of tensors"));
  AT_TRY(at_alloc(&f->is_body, (size_t)p->n, sizeof *f->is_body, "kinds of tensors"));
  for (int t = 0; t < f->n_tensors; t++) {
    bool is_state = t >= p->n;
    const at_tensor *one = is_state ? &s->tensor[t - p->n] : &p->tensor[t];
    f->names[t] = one->name;
    f->offsets[t + 1] = f->offsets[t] + one->count;
    f->is_private[t] = is_state ? f->method->keeps_states : fits(private_tensors, one->name);
    f->n_private += f->is_private[t] ? one->count : 0;
    if (!is_state) {
      f->is_head[t] = fits(f->cfg->head, one->name);
      f->is_body[t] = !f->is_head[t];
    }
  }
  f->n_kept = f->method->keeps_second ? f->length : f->method->keeps_control ? f->params : 0;
  return AT_OK;
}

bool at_federate_has_state(const at_federate *f) {
  return f->n_private + f->n_kept > 0;
}

/* Computing is progress, too. */
static void beat(void *world) {
  at_comm_beat(world);
}

static int64_t most_at_once(const at_federate_cfg *c) {
  return c->batch > c->eval_batch ? c->batch : c->eval_batch;
}

/* Multiplications and additions to train on one example. */
static at_err count_work(at_federate *f) {
  const at_program *p;
  int64_t most = at_partition_max_size(f->population.split[AT_SPLIT_TRAIN]), batch = f->cfg->batch;
  batch = f->method->pooled || batch < most ? batch : most;
  at_task *task = at_classifier_task_get(f->task);
  AT_TRY(at_task_program(task, AT_PASS_TRAIN, batch, &p));
  f->flops_per_example = at_program_get_stats(p).flops / (double)batch;
  return at_task_program(task, AT_PASS_EVAL, f->cfg->eval_batch, &p);
}

at_err at_federate_build_model(at_federate *f) {
  at_model m;
  AT_TRY(fit_model(f, &m));
  AT_TRY(at_classifier_task_create(&f->task, &m, NULL, f->s->kernels));
  AT_TRY(at_learner_init(&f->learner, f->task, &f->population, f->set, f->s->kernels, (uint64_t)f->cfg->run.seed,
                         most_at_once(f->cfg)));
  f->params = f->learner.params;
  f->length = f->learner.length;
  if (!f->is_planned) {
    f->learner.poll = beat;
    f->learner.poll_context = f->s->world;
  }
  AT_TRY(name_tensors(f));
  AT_TRY(count_work(f));
  f->planned_bytes += at_learner_bytes(&f->learner) + at_task_bytes(at_classifier_task_get(f->task));
  return AT_OK;
}
