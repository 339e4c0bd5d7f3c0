/* SPDX-License-Identifier: BSD-3-Clause */
/* Training throughput of GPT models on one rank, beside the rate of a large matrix product at the same moment.
 *
 * FLOPs of a token: at_gpt_train_flops (causal attention counted half).  A step is forward, backward, clipping and AdamW.
 * Medians of 7 runs of at least 0.2 s after one warm-up; warm caches. */
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
  double low, median, high; /* seconds a call */
} spread;

static spread measure(void (*work)(void *), void *context) {
  double t[RUNS];
  work(context);
  for (int r = 0; r < RUNS; r++) {
    double start = at_clock_now_s(), now = start;
    int calls = 0;
    for (; now - start < 0.2; now = at_clock_now_s(), calls++) {
      work(context);
    }
    t[r] = (now - start) / calls;
  }
  qsort(t, RUNS, sizeof *t, by_value);
  return (spread){t[0], t[RUNS / 2], t[RUNS - 1]};
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

static at_err bench_model(const at_kernels *k, const at_gpt *gpt, int batch, double peak) {
  step_job j = {.k = k};
  AT_TRY(at_lm_task_create(&j.task, gpt, batch, 1, k));
  j.n = at_lm_task_layout(j.task)->count;
  int64_t tokens = batch * gpt->context;
  AT_TRY(at_alloc(&j.w, (size_t)j.n, sizeof(float), "bench"));
  AT_TRY(at_alloc(&j.m, (size_t)j.n, sizeof(float), "bench"));
  AT_TRY(at_alloc(&j.v, (size_t)j.n, sizeof(float), "bench"));
  AT_TRY(at_alloc(&j.tokens, 2 * (size_t)tokens, sizeof(int32_t), "bench"));
  j.targets = j.tokens + tokens;
  at_stream s = {.seed = 1, .purpose = AT_RNG_TEST};
  for (int64_t i = 0; i < 2 * tokens; i++) {
    j.tokens[i] = (int32_t)at_rng_below(&s, (uint64_t)i, (uint64_t)gpt->vocab);
  }
  at_layout_init(at_lm_task_layout(j.task), 1, j.w);
  spread t = measure(run_step, &j);
  double flops = at_gpt_train_flops(gpt) * (double)tokens;
  printf("d=%-4lld L=%d T=%-4lld B=%d V=%-5lld %10.0f tokens/s  [%.0f, %.0f]  %6.1f GFLOP/s = %3.0f %% of SGEMM\n",
         (long long)gpt->width, gpt->layers, (long long)gpt->context, batch, (long long)gpt->vocab,
         (double)tokens / t.median, (double)tokens / t.high, (double)tokens / t.low, flops / t.median * 1e-9,
         100 * flops / t.median / peak);
  void *all[] = {j.w, j.m, j.v, j.tokens};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    at_free(all[i]);
  }
  at_lm_task_destroy(j.task);
  return AT_OK;
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
  printf("isa %s, %d thread(s), median [slowest, fastest] of %d\n", k.isa_name, pin.threads, RUNS);
  for (size_t i = 0; err == AT_OK && i < sizeof model / sizeof model[0]; i++) {
    double peak = 2.0 * GEMM * GEMM * GEMM / measure(run_gemm, &g).median;
    at_gpt gpt = {.vocab = model[i].v,
                  .context = model[i].t,
                  .width = model[i].d,
                  .hidden = 4 * model[i].d,
                  .layers = model[i].layers,
                  .heads = model[i].heads,
                  .kv_heads = model[i].heads,
                  .tied = true,
                  .norm_eps = 1e-5};
    printf("SGEMM n=%d %.1f GFLOP/s; ", GEMM, peak * 1e-9);
    err = bench_model(&k, &gpt, model[i].batch, peak);
  }
  at_free(g.a);
  at_free(g.b);
  at_free(g.c);
  if (err != AT_OK) {
    fprintf(stderr, "%s\n", at_err_message());
  }
  return at_err_exit_code(err);
}
