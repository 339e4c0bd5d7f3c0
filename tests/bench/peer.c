/* SPDX-License-Identifier: BSD-3-Clause */
/* Atoll's side of tests/bench/peers: trains one model on one batch held in memory, when told to.
 *
 * Usage: peer MODEL PRECISION BATCH FOLDER.  Writes FOLDER/weights, FOLDER/input and FOLDER/target (32-bit values as they lie in
 * memory) and a line of JSON that describes them; then obeys lines of standard input, with a line of JSON for each:
 *   losses N     the loss of N steps from the initial weights on, which are restored
 *   steps S      steps for at least S seconds: how many, seconds of the clock, of the processor
 *   product S    the same for an SGEMM of n = 1024 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cblas.h>

#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/isa.h"
#include "src/nn/classifier.h"
#include "src/nn/lm_task.h"
#include "src/nn/optim.h"

enum { PRODUCT = 1024 };

typedef struct peer {
  at_kernels k;
  at_model model;
  int64_t batch, inputs, targets; /* elements */
  at_lm_task *lm;
  at_classifier_task *classifier;
  const at_layout *layout, *states;
  at_optim optim;
  double lr;
  float *start, *w, *m, *v, *state;
  void *input;
  int32_t *target;
  int64_t t;
  float *a, *b, *c; /* of the SGEMM */
  double loss;
} peer;

static bool is_lm(const peer *p) {
  return at_model_kind_of(&p->model) == AT_MODEL_LM;
}

static double processor_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static at_err fill_batch(peer *p) {
  const at_stream s = {.seed = 1, .purpose = AT_RNG_TEST};
  uint64_t at = 0;
  AT_TRY(at_alloc(&p->input, (size_t)p->inputs, sizeof(float), "batch"));
  AT_TRY(at_alloc(&p->target, (size_t)p->targets, sizeof *p->target, "batch"));
  for (int64_t i = 0; i < p->inputs; i++) {
    if (is_lm(p)) {
      ((int32_t *)p->input)[i] = (int32_t)at_rng_below(&s, at++, (uint64_t)p->model.classes);
    } else {
      ((float *)p->input)[i] = (float)at_rng_below(&s, at++, 1 << 20) * 0x1p-19f - 1.0f;
    }
  }
  for (int64_t i = 0; i < p->targets; i++) {
    p->target[i] = (int32_t)at_rng_below(&s, at++, (uint64_t)p->model.classes);
  }
  return AT_OK;
}

static at_err create_lm(peer *p) {
  at_gpt gpt = p->model.gpt;
  gpt.vocab = p->model.classes;
  gpt.context = p->model.input.d[0];
  gpt.precision = p->model.precision;
  p->optim = (at_optim){.kind = AT_OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8};
  p->lr = 1e-3;
  AT_TRY(at_lm_task_create(&p->lm, &gpt, (int)p->batch, 1, &p->k));
  p->layout = at_lm_task_layout(p->lm);
  AT_TRY(at_alloc(&p->start, (size_t)p->layout->count, sizeof *p->start, "weights"));
  at_layout_init(p->layout, 1, p->start);
  return AT_OK;
}

static at_err create_classifier(peer *p) {
  p->optim = (at_optim){.kind = AT_OPTIM_SGD};
  p->lr = 0.01;
  AT_TRY(at_classifier_task_create(&p->classifier, &p->model, NULL, &p->k));
  at_task *task = at_classifier_task_get(p->classifier);
  p->layout = at_task_params(task);
  p->states = at_task_states(task);
  AT_TRY(at_alloc(&p->start, (size_t)p->layout->count, sizeof *p->start, "weights"));
  AT_TRY(at_alloc(&p->state, (size_t)p->states->count, sizeof *p->state, "state"));
  return at_task_init(task, 1, p->start, p->state);
}

static at_err create(peer *p, char **argv) {
  AT_TRY(at_model_preset(argv[1], &p->model));
  p->model.precision =
      strcmp(argv[2], at_precision_names[AT_PRECISION_BF16]) == 0 ? AT_PRECISION_BF16 : AT_PRECISION_F32;
  p->batch = atoi(argv[3]);
  p->inputs = p->batch * at_shape_count(p->model.input);
  p->targets = is_lm(p) ? p->inputs : p->batch;
  AT_TRY(is_lm(p) ? create_lm(p) : create_classifier(p));
  const size_t n = (size_t)p->layout->count;
  AT_TRY(at_alloc(&p->w, n, sizeof *p->w, "weights"));
  AT_TRY(at_alloc(&p->m, n, sizeof *p->m, "moments"));
  AT_TRY(at_alloc(&p->v, n, sizeof *p->v, "moments"));
  float **square[] = {&p->a, &p->b, &p->c};
  for (int i = 0; i < 3; i++) {
    AT_TRY(at_alloc(square[i], PRODUCT * PRODUCT, sizeof(float), "product"));
  }
  return fill_batch(p);
}

static at_err write_file(const char *folder, const char *name, const void *data, int64_t n) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "wb");
  const bool ok = f != NULL && fwrite(data, 4, (size_t)n, f) == (size_t)n;
  if (f == NULL || fclose(f) != 0 || !ok) {
    return AT_FAIL(AT_ERR_FILE, "cannot write %s", path);
  }
  return AT_OK;
}

static at_err describe(const peer *p, const char *folder) {
  AT_TRY(write_file(folder, "weights", p->start, p->layout->count));
  AT_TRY(write_file(folder, "input", p->input, p->inputs));
  AT_TRY(write_file(folder, "target", p->target, p->targets));
  printf("{\"isa\": \"%s\", \"batch\": %lld, \"classes\": %lld, \"lr\": %g, \"optimizer\": \"%s\", \"input\": [",
         p->k.isa_name, (long long)p->batch, (long long)p->model.classes, p->lr, at_optim_names[p->optim.kind]);
  for (int i = 0; i < p->model.input.nd; i++) {
    printf("%s%lld", i ? ", " : "", (long long)p->model.input.d[i]);
  }
  printf("], \"heads\": %d, \"tensors\": {", is_lm(p) ? p->model.gpt.heads : p->model.vit.heads);
  for (int i = 0; i < p->layout->n; i++) {
    const at_tensor *t = &p->layout->tensor[i];
    printf("%s\"%s\": [%lld", i ? ", " : "", t->name, (long long)t->offset);
    for (int d = 0; d < t->shape.nd; d++) {
      printf(", %lld", (long long)t->shape.d[d]);
    }
    printf("]");
  }
  printf("}}\n");
  return AT_OK;
}

static at_err restart(peer *p) {
  const size_t bytes = (size_t)p->layout->count * sizeof(float);
  memcpy(p->w, p->start, bytes);
  memset(p->m, 0, bytes);
  memset(p->v, 0, bytes);
  p->t = 0;
  return AT_OK;
}

static at_err step(peer *p) {
  float *grad;
  if (!is_lm(p)) {
    at_score score;
    const at_batch b = {p->batch, p->input, p->target};
    AT_TRY(at_classifier_task_sgd(p->classifier, p->w, p->state, &b, p->lr, &score, NULL, NULL));
    p->loss = score.loss;
    return AT_OK;
  }
  p->loss = at_lm_task_grad(p->lm, p->w, p->input, p->target, &grad, NULL, NULL);
  at_moments mom = {p->m, p->v, p->t};
  at_optim_step(&p->optim, &p->k.vec, p->lr, p->layout->count, grad, p->w, &mom);
  p->t = mom.t;
  return AT_OK;
}

static at_err product(peer *p) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, PRODUCT, PRODUCT, PRODUCT, 1.0f, p->a, PRODUCT, p->b, PRODUCT,
              0.0f, p->c, PRODUCT);
  return AT_OK;
}

/* `work` over and over for at least `seconds` of the processor, whose clock is read less and less often. */
static at_err repeat(peer *p, at_err (*work)(peer *), double seconds) {
  const double wall = at_clock_now_s(), cpu = processor_s();
  int64_t n = 0, some = 1;
  for (double spent = 0; spent < seconds; spent = processor_s() - cpu) {
    some *= spent < seconds / 16 ? 2 : 1;
    for (int64_t i = 0; i < some / 2; i++, n++) {
      AT_TRY(work(p));
    }
  }
  printf("{\"n\": %lld, \"wall\": %.9f, \"cpu\": %.9f, \"flops\": %.0f, \"loss\": %.6f}\n", (long long)n,
         at_clock_now_s() - wall, processor_s() - cpu, 2.0 * PRODUCT * PRODUCT * PRODUCT, p->loss);
  return AT_OK;
}

static at_err losses(peer *p, int n) {
  AT_TRY(restart(p));
  for (int i = 0; i < n; i++) {
    AT_TRY(step(p));
    printf("%s%.7g", i ? ", " : "[", p->loss);
  }
  printf("]\n");
  return restart(p);
}

static at_err obey(peer *p) {
  char line[256];
  while (fgets(line, sizeof line, stdin) != NULL) {
    double seconds = 0;
    int n = 0;
    if (sscanf(line, "losses %d", &n) == 1) {
      AT_TRY(losses(p, n));
    } else if (sscanf(line, "steps %lf", &seconds) == 1) {
      AT_TRY(repeat(p, step, seconds));
    } else if (sscanf(line, "product %lf", &seconds) == 1) {
      AT_TRY(repeat(p, product, seconds));
    } else {
      return AT_FAIL(AT_ERR_ARG, "unknown command: %s", line);
    }
    fflush(stdout);
  }
  return AT_OK;
}

int main(int argc, char **argv) {
  static peer p;
  at_pin pin;
  at_err err = argc == 5 ? at_isa_pin(argv, &pin) : AT_FAIL(AT_ERR_ARG, "usage: peer MODEL PRECISION BATCH FOLDER");
  if (err == AT_OK) {
    at_kernels_init(&p.k, pin.isa);
    err = create(&p, argv);
  }
  if (err == AT_OK) {
    err = describe(&p, argv[4]);
    fflush(stdout);
  }
  if (err == AT_OK) {
    err = obey(&p);
  }
  void *all[] = {p.start, p.w, p.m, p.v, p.state, p.input, p.target, p.a, p.b, p.c};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    at_free(all[i]);
  }
  at_lm_task_destroy(p.lm);
  at_classifier_task_destroy(p.classifier);
  if (err != AT_OK) {
    fprintf(stderr, "%s\n", at_err_message());
  }
  return at_err_exit_code(err);
}
