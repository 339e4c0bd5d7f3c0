/* SPDX-License-Identifier: BSD-3-Clause */
/* Training throughput of GPT models on one rank, beside the rate of a large matrix product at the same moment: in f32, with products in
 * bf16, and in f32 on two threads.
 *
 * FLOPs of a token: at_gpt_train_flops (causal attention counted half).  A step is forward, backward, clipping and AdamW.
 * All sides take turns: medians of 7 runs of at least 0.2 s after one warm-up, seconds of the clock; warm caches. */
#include <stdio.h>
#include <stdlib.h>

#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/isa.h"
#include "src/base/rng.h"
#include "src/nn/lm_task.h"
#include "src/nn/optim.h"

enum { RUNS = 7, GEMM = 1024 };

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

typedef struct spread {
  double run[RUNS]; /* seconds a call */
} spread;

static double once(void (*work)(void *), void *context) {
  double start = at_clock_now_s(), now = start;
  int calls = 0;
  for (; now - start < 0.2; now = at_clock_now_s(), calls++) {
    work(context);
  }
  return (now - start) / calls;
}

static double median(spread *s) {
  qsort(s->run, RUNS, sizeof *s->run, by_value);
  return s->run[RUNS / 2];
}

typedef struct gemm_job {
  const at_kernels *k;
  float *a, *b, *c;
} gemm_job;

static void run_gemm(void *context) {
  gemm_job *j = context;
  at_kcall call = {.in = {j->a, j->b}, .out = {j->c}, .dim = {1, GEMM, GEMM, GEMM, 0, 0, 0, 0}};
  j->k->f32[AT_K_matmul](&call);
}

typedef struct step_job {
  const at_kernels *k;
  at_lm_task *task;
  float *w, *m, *v;
  int32_t *tokens, *targets;
  int64_t n, t;
} step_job;

static void run_step(void *context) {
  step_job *j = context;
  static const at_optim adamw = {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .clip = 1};
  float *grad;
  at_moments mom = {j->m, j->v, j->t++};
  at_lm_task_grad(j->task, j->w, j->tokens, j->targets, &grad, NULL, NULL);
  at_optim_step(&adamw, &j->k->vec, 1e-4, j->n, grad, j->w, &mom);
}

/* A way to run a model. */
typedef struct side {
  const char *name;
  int precision, threads;
  at_kernels k;
  step_job job;
  spread seconds;
} side;

static at_err create_side(side *s, at_isa isa, const at_gpt *model, int batch) {
  at_gpt gpt = *model;
  gpt.precision = s->precision;
  at_kernels_init(&s->k, isa);
  s->k.threads = s->threads;
  step_job *j = &s->job;
  *j = (step_job){.k = &s->k};
  AT_TRY(at_lm_task_create(&j->task, &gpt, batch, 1, &s->k));
  j->n = at_lm_task_layout(j->task)->count;
  int64_t tokens = batch * gpt.context;
  AT_TRY(at_alloc(&j->w, (size_t)j->n, sizeof(float), "bench"));
  AT_TRY(at_alloc(&j->m, (size_t)j->n, sizeof(float), "bench"));
  AT_TRY(at_alloc(&j->v, (size_t)j->n, sizeof(float), "bench"));
  AT_TRY(at_alloc(&j->tokens, 2 * (size_t)tokens, sizeof(int32_t), "bench"));
  j->targets = j->tokens + tokens;
  at_stream draw = {.seed = 1, .purpose = AT_RNG_TEST};
  for (int64_t i = 0; i < 2 * tokens; i++) {
    j->tokens[i] = (int32_t)at_rng_below(&draw, (uint64_t)i, (uint64_t)gpt.vocab);
  }
  at_layout_init(at_lm_task_layout(j->task), 1, j->w);
  return AT_OK;
}

static void destroy_side(side *s) {
  void *all[] = {s->job.w, s->job.m, s->job.v, s->job.tokens};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    at_free(all[i]);
  }
  at_lm_task_destroy(s->job.task);
}

static at_err bench_model(gemm_job *gemm, const at_gpt *gpt, int batch) {
  static side sides[] = {{.name = "f32", .precision = AT_PRECISION_F32, .threads = 1},
                         {.name = "bf16", .precision = AT_PRECISION_BF16, .threads = 1},
                         {.name = "f32 x2", .precision = AT_PRECISION_F32, .threads = 2}};
  enum { SIDES = sizeof sides / sizeof sides[0] };
  spread product;
  at_err err = AT_OK;
  for (int i = 0; err == AT_OK && i < SIDES; i++) {
    err = create_side(&sides[i], gemm->k->isa, gpt, batch);
  }
  for (int r = -1; err == AT_OK && r < RUNS; r++) { /* the first one warms up */
    product.run[r < 0 ? 0 : r] = once(run_gemm, gemm);
    for (int i = 0; i < SIDES; i++) {
      sides[i].seconds.run[r < 0 ? 0 : r] = once(run_step, &sides[i].job);
    }
  }
  double peak = 2.0 * GEMM * GEMM * GEMM / median(&product), tokens = (double)(batch * gpt->context);
  printf("d=%lld L=%d T=%lld B=%d V=%lld; SGEMM n=%d %.1f GFLOP/s\n", (long long)gpt->width, gpt->layers,
         (long long)gpt->context, batch, (long long)gpt->vocab, GEMM, peak * 1e-9);
  for (int i = 0; err == AT_OK && i < SIDES; i++) {
    double t = median(&sides[i].seconds), rate = at_gpt_train_flops(gpt) * tokens / t;
    const double *run = sides[i].seconds.run;
    printf("  %-7s %9.0f tokens/s  [%.0f, %.0f]  %6.1f GFLOP/s = %3.0f %% of SGEMM, %.2fx f32\n", sides[i].name,
           tokens / t, tokens / run[RUNS - 1], tokens / run[0], rate * 1e-9, 100 * rate / peak,
           median(&sides[0].seconds) / t);
  }
  for (int i = 0; i < SIDES; i++) {
    destroy_side(&sides[i]);
  }
  return err;
}

int main(int argc, char **argv) {
  (void)argc;
  at_pin pin;
  at_kernels k;
  gemm_job g = {.k = &k};
  at_err err = at_isa_pin(argv, &pin);
  at_kernels_init(&k, pin.isa);
  for (int i = 0; err == AT_OK && i < 3; i++) {
    err = at_alloc(i == 0 ? &g.a : i == 1 ? &g.b : &g.c, GEMM * GEMM, sizeof(float), "bench");
  }
  const struct {
    int64_t d, t, v;
    int layers, heads, batch;
  } model[] = {{64, 64, 256, 2, 4, 8}, {128, 128, 256, 4, 4, 8}, {256, 256, 512, 6, 4, 4}, {384, 256, 2048, 6, 6, 4}};
  printf("isa %s, median [slowest, fastest] of %d\n", k.isa_name, RUNS);
  for (size_t i = 0; err == AT_OK && i < sizeof model / sizeof model[0]; i++) {
    at_gpt gpt = {.vocab = model[i].v,
                  .context = model[i].t,
                  .width = model[i].d,
                  .hidden = 4 * model[i].d,
                  .layers = model[i].layers,
                  .heads = model[i].heads,
                  .kv_heads = model[i].heads,
                  .tied = true,
                  .norm_eps = 1e-5};
    err = bench_model(&g, &gpt, model[i].batch);
  }
  at_free(g.a);
  at_free(g.b);
  at_free(g.c);
  if (err != AT_OK) {
    fprintf(stderr, "%s\n", at_err_message());
  }
  return at_err_exit_code(err);
}
