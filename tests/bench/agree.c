/* SPDX-License-Identifier: BSD-3-Clause */
/* Atoll's side of tests/bench/peers_agree: training steps of small models from weights and data that another program wrote.
 *
 *     agree list             every case as JSON: model, optimiser, tensors in the order of the weights
 *     agree run CASE DIR     one loss per line; DIR holds theta.f32 (weights), x.f32 or x.i32 and label.i32 (all batches) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/isa.h"
#include "src/nn/classifier.h"
#include "src/nn/lm_task.h"
#include "src/nn/optim.h"

enum { STEPS = 20, BATCHES = 4 }; /* step s takes batch s mod BATCHES */

typedef struct agree_case {
  const char *name, *preset;
  int batch;
  double lr;
  at_optim optim;
  void (*shrink)(at_model *m); /* NULL: the preset as it is */
} agree_case;

static void shrink_gpt(at_model *m) {
  m->gpt.bias = true; /* so that biases are compared too */
}

static void shrink_resnet(at_model *m) {
  m->input = AT_SHAPE(16, 16, 3);
}

static void shrink_deit(at_model *m) {
  m->input = AT_SHAPE(64, 64, 3);
  m->classes = 10;
  m->vit.layers = 6;
}

#define SGD   .kind = AT_OPTIM_SGD
#define ADAMW .kind = AT_OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1
static const agree_case cases[] = {
    {"logreg", "logreg", 10, 0.1, {SGD}, NULL},
    {"mlp", "mlp", 10, 0.05, {SGD, .momentum = 0.9}, NULL},
    {"leaf_cnn", "leaf_cnn", 20, 0.05, {SGD}, NULL},
    /* a small rate: learning few examples by heart is chaotic (PyTorch in f32 and f64 part by 3e-4 at twice this rate) */
    {"resnet18", "resnet18", 8, 1e-5, {SGD, .momentum = 0.9, .nesterov = true, .weight_decay = 5e-4}, shrink_resnet},
    {"deit_tiny", "deit_tiny", 8, 3e-4, {ADAMW}, shrink_deit},
    {"gpt", "gpt_d64", 8, 1e-3, {ADAMW}, shrink_gpt},
    {"llama", "llama_d64", 8, 1e-3, {ADAMW}, NULL},
};
enum { CASES = sizeof cases / sizeof *cases };

static at_err model_of(const agree_case *c, at_model *m) {
  AT_TRY(at_model_preset(c->preset, m));
  if (c->shrink != NULL) {
    c->shrink(m);
  }
  return AT_OK;
}

/* --- list ------------------------------------------------------------------------------------------------------------------- */

static void print_shape(const char *key, at_shape s) {
  char text[96];
  printf("\"%s\": %s", key, at_shape_text(s, text, sizeof text));
}

static at_err print_case(const agree_case *c, const char *before) {
  at_model m;
  at_graph *g;
  const at_layout *l;
  const at_optim *o = &c->optim;
  AT_TRY(model_of(c, &m));
  AT_TRY(at_model_layout(&m, &g, &l));
  printf("%s{\"name\": \"%s\", \"batch\": %d, \"classes\": %lld, \"steps\": %d, \"batches\": %d, ", before, c->name,
         c->batch, (long long)m.classes, STEPS, BATCHES);
  print_shape("input", m.input);
  printf(", \"heads\": %d, \"kv_heads\": %d, \"lr\": %g, ", m.family == AT_FAMILY_VIT ? m.vit.heads : m.gpt.heads,
         m.family == AT_FAMILY_GPT ? m.gpt.kv_heads : 0, c->lr);
  printf("\"optimizer\": \"%s\", \"momentum\": %g, \"nesterov\": %s, \"weight_decay\": %g, ", at_optim_names[o->kind],
         o->momentum, o->nesterov ? "true" : "false", o->weight_decay);
  printf("\"betas\": [%g, %g], \"eps\": %g, \"tensors\": [", o->beta1, o->beta2, o->eps);
  for (int i = 0; i < l->n; i++) {
    printf("%s{\"name\": \"%s\", ", i ? ", " : "", l->tensor[i].name);
    print_shape("shape", l->tensor[i].shape);
    printf("}");
  }
  printf("]}");
  at_graph_destroy(g);
  return AT_OK;
}

static at_err list(void) {
  for (int i = 0; i < CASES; i++) {
    AT_TRY(print_case(&cases[i], i ? ",\n" : "["));
  }
  printf("]\n");
  return AT_OK;
}

/* --- run ---------------------------------------------------------------------------------------------------------------------- */

/* *out = the whole file, which must hold `count` elements of four bytes. */
static at_err read_file(const char *dir, const char *name, int64_t count, void *out) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  AT_TRY(at_alloc(out, (size_t)count, 4, name));
  FILE *f = fopen(path, "rb");
  size_t n = f != NULL ? fread(*(void **)out, 4, (size_t)count, f) : 0;
  bool more = f != NULL && fgetc(f) != EOF;
  if (f != NULL) {
    fclose(f);
  }
  return n == (size_t)count && !more
             ? AT_OK
             : AT_FAIL(AT_ERR_FILE, "%s does not hold %lld numbers of four bytes", path, (long long)count);
}

typedef struct job {
  const agree_case *c;
  at_model model;
  at_kernels k;
  at_classifier_task *classifier;
  at_lm_task *lm;
  int64_t n, n_state;
  float *theta, *state, *m, *v, *x;
  int32_t *tokens, *label;
} job;

static at_err open_task(job *j, const char *dir) {
  const at_layout *l;
  int64_t examples = (int64_t)BATCHES * j->c->batch, each = at_shape_count(j->model.input);
  if (at_model_kind_of(&j->model) == AT_MODEL_LM) {
    at_gpt gpt = j->model.gpt;
    gpt.vocab = j->model.classes;
    gpt.context = j->model.input.d[0];
    AT_TRY(at_lm_task_create(&j->lm, &gpt, j->c->batch, 1, &j->k));
    l = at_lm_task_layout(j->lm);
    AT_TRY(read_file(dir, "x.i32", examples * each, &j->tokens));
    AT_TRY(read_file(dir, "label.i32", examples * each, &j->label));
  } else {
    AT_TRY(at_classifier_task_create(&j->classifier, &j->model, NULL, &j->k));
    at_task *t = at_classifier_task_get(j->classifier);
    l = at_task_params(t);
    j->n_state = at_task_states(t)->count;
    AT_TRY(read_file(dir, "x.f32", examples * each, &j->x));
    AT_TRY(read_file(dir, "label.i32", examples, &j->label));
  }
  j->n = l->count;
  AT_TRY(at_alloc(&j->theta, (size_t)j->n, sizeof *j->theta, "weights"));
  AT_TRY(at_alloc(&j->state, (size_t)j->n_state, sizeof *j->state, "state"));
  AT_TRY(at_alloc(&j->m, (size_t)j->n, sizeof *j->m, "moments"));
  AT_TRY(at_alloc(&j->v, (size_t)j->n, sizeof *j->v, "moments"));
  if (j->classifier != NULL) { /* for the running statistics; the weights are the file's */
    AT_TRY(at_task_init(at_classifier_task_get(j->classifier), 1, j->theta, j->state));
  }
  at_free(j->theta);
  return read_file(dir, "theta.f32", j->n, &j->theta);
}

static at_err train(job *j) {
  at_moments mom = {.m = j->m, .v = j->v};
  int64_t each = at_shape_count(j->model.input);
  for (int s = 0; s < STEPS; s++) {
    int64_t first = (int64_t)(s % BATCHES) * j->c->batch;
    float *grad;
    double loss;
    if (j->lm != NULL) {
      loss = at_lm_task_grad(j->lm, j->theta, j->tokens + first * each, j->label + first * each, &grad, NULL, NULL);
    } else {
      at_batch b = {.n = j->c->batch, .x = j->x + first * each, .label = j->label + first};
      at_score score;
      AT_TRY(at_classifier_task_grad(j->classifier, j->theta, j->state, &b, &score, &grad, NULL, NULL));
      loss = score.loss;
    }
    printf("%.9g\n", loss);
    at_optim_step(&j->c->optim, &j->k.vec, j->c->lr, j->n, grad, j->theta, &mom);
  }
  return AT_OK;
}

static at_err run(const char *name, const char *dir, at_isa isa) {
  job j = {0};
  for (int i = 0; i < CASES; i++) {
    j.c = strcmp(cases[i].name, name) == 0 ? &cases[i] : j.c;
  }
  if (j.c == NULL) {
    return AT_FAIL(AT_ERR_ARG, "no case is called %s: agree list prints them", name);
  }
  at_kernels_init(&j.k, isa);
  at_err err;
  AT_TRY_TO(err, done, model_of(j.c, &j.model));
  AT_TRY_TO(err, done, open_task(&j, dir));
  err = train(&j);
done:
  at_classifier_task_destroy(j.classifier);
  at_lm_task_destroy(j.lm);
  void *all[] = {j.theta, j.state, j.m, j.v, j.x, j.tokens, j.label};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    at_free(all[i]);
  }
  return err;
}

int main(int argc, char **argv) {
  at_pin pin;
  at_err err = at_isa_pin(argv, &pin);
  if (err == AT_OK) {
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
      err = list();
    } else if (argc == 4 && strcmp(argv[1], "run") == 0) {
      err = run(argv[2], argv[3], pin.isa);
    } else {
      err = AT_FAIL(AT_ERR_ARG, "usage: %s list | run CASE DIR", argv[0]);
    }
  }
  if (err != AT_OK) {
    fprintf(stderr, "%s\n", at_err_message());
  }
  return at_err_exit_code(err);
}
