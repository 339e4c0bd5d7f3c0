/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll bench WHAT`: measurements of this machine with the program's own parts.  Rank 0 measures, the others wait. */
#include <stdlib.h>
#include <string.h>

#include "sim/commands.h"
#include "sim/photon/photon.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/rng.h"

enum { GEMM = 768, REPEATS = 20 };

/* Rate of a large matrix product just now, FLOP/s: what "peak" means in the tables. */
static at_err product_rate(const at_kernels *k, double *rate) {
  float *block;
  AT_TRY(at_alloc(&block, 3 * (size_t)GEMM * GEMM, sizeof *block, "bench"));
  at_kcall call = {.in = {block, block + GEMM * GEMM}, .out = {block + 2 * GEMM * GEMM}, .dim = {1, GEMM, GEMM, GEMM}};
  double best = 1e30;
  for (int r = 0; r < REPEATS; r++) {
    double start = at_clock_now_s();
    k->f32[AT_K_matmul](&call);
    double t = at_clock_now_s() - start;
    best = r > 0 && t < best ? t : best; /* the first one warms up */
  }
  at_free(block);
  *rate = 2.0 * GEMM * GEMM * (double)GEMM / best;
  return AT_OK;
}

static int by_seconds(const void *a, const void *b) {
  const at_profile *x = a, *y = b;
  return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

static void print_profile(at_profile *rows, int n, double peak, FILE *out) {
  double seconds = 0, flops = 0;
  qsort(rows, (size_t)n, sizeof *rows, by_seconds);
  for (int i = 0; i < n; i++) {
    seconds += rows[i].seconds;
    flops += rows[i].flops;
  }
  fprintf(out, "%-16s %6s %8s %10s %7s %10s %8s %8s %8s\n", "operation", "calls", "chained", "us", "share", "MFLOP",
          "GFLOP/s", "GB/s", "of peak");
  for (int i = 0; i < n && rows[i].calls > 0; i++) {
    const at_profile *r = &rows[i];
    double per_run = r->seconds / REPEATS;
    fprintf(out, "%-16s %6d %8d %10.1f %6.1f%% %10.3f %8.2f %8.2f %7.1f%%\n", r->name, r->calls / REPEATS,
            r->chained / REPEATS, per_run * 1e6, 100 * r->seconds / seconds, r->flops * 1e-6 / REPEATS,
            r->flops / r->seconds * 1e-9, r->bytes / r->seconds * 1e-9, 100 * r->flops / r->seconds / peak);
  }
  fprintf(out, "%-16s %6s %8s %10.1f %6.1f%% %10.3f %8.2f %8s %7.1f%%\n", "all", "", "", seconds / REPEATS * 1e6, 100.0,
          flops * 1e-6 / REPEATS, flops / seconds * 1e-9, "", 100 * flops / seconds / peak);
}

static at_err profile_step(at_session *s, at_lm_task *task, int64_t vocab, float *theta, int32_t *ids,
                           at_profile *rows) {
  double peak = 0;
  int64_t tokens = at_lm_task_batch(task) * at_lm_task_context(task);
  at_stream draw = {.seed = 1, .purpose = AT_RNG_TEST};
  at_layout_init(at_lm_task_layout(task), 1, theta);
  for (int64_t i = 0; i < 2 * tokens; i++) {
    ids[i] = (int32_t)at_rng_below(&draw, (uint64_t)i, (uint64_t)vocab);
  }
  at_lm_task_profile(task, theta, ids, ids + tokens, at_clock_now_s, rows); /* warms up */
  memset(rows, 0, (size_t)at_profile_rows() * sizeof *rows);
  for (int r = 0; r < REPEATS; r++) {
    at_lm_task_profile(task, theta, ids, ids + tokens, at_clock_now_s, rows);
  }
  AT_TRY(product_rate(s->kernels, &peak));
  at_program_stats stats = at_lm_task_stats(task);
  printf("one training step: parameters = %lld, kernels = %d, arena = %.2f MiB (at least %.2f are in use at once), isa "
         "= %s, "
         "threads = %d\n"
         "peak: SGEMM of n = %d at the same moment, %.1f GFLOP/s; warm caches, mean of %d runs\n\n",
         (long long)at_lm_task_layout(task)->count, stats.nodes, (double)stats.arena_bytes / 1048576,
         (double)stats.live_bytes / 1048576, s->kernels->isa_name, s->pin.threads, GEMM, peak * 1e-9, REPEATS);
  print_profile(rows, at_profile_rows(), peak, stdout);
  return AT_OK;
}

static at_err bench_graph(at_session *s, int argc, char **argv) {
  enum { VOCAB = 256 };
  at_opts *set = NULL;
  at_photon_cfg *cfg = NULL;
  at_lm_task *task = NULL;
  float *theta = NULL;
  int32_t *ids = NULL;
  at_profile *rows = NULL;
  at_err err;
  AT_TRY_TO(err, done, at_config_create(&at_photon_system, &set, (void **)&cfg));
  AT_TRY_TO(err, done, at_opts_set(set, "data=none"));
  for (int i = 0; i < argc; i++) {
    AT_TRY_TO(err, done, strchr(argv[i], '=') ? at_opts_set(set, argv[i]) : at_opts_load_file(set, argv[i]));
  }
  AT_TRY_TO(err, done, at_photon_system.resolve(set, cfg));
  at_gpt gpt = at_photon_model(cfg, VOCAB);
  AT_TRY_TO(err, done, at_lm_task_create(&task, &gpt, (int)cfg->batch, 1, s->kernels));
  size_t tokens = (size_t)(cfg->batch * cfg->context);
  AT_TRY_TO(err, done, at_alloc(&theta, (size_t)at_lm_task_layout(task)->count, sizeof *theta, "bench"));
  AT_TRY_TO(err, done, at_alloc(&ids, 2 * tokens, sizeof *ids, "bench"));
  AT_TRY_TO(err, done, at_alloc(&rows, (size_t)at_profile_rows(), sizeof *rows, "bench"));
  err = profile_step(s, task, VOCAB, theta, ids, rows);
done:
  at_lm_task_destroy(task);
  at_opts_destroy(set);
  at_free(cfg);
  at_free(theta);
  at_free(ids);
  at_free(rows);
  return err;
}

static const struct {
  const char *name, *usage;
  at_err (*run)(at_session *s, int argc, char **argv);
} benches[] = {
    {"graph", "graph [CONFIG.yaml] [model.width=... local.batch=...]   a training step by operation", bench_graph},
};
enum { N_BENCHES = sizeof benches / sizeof benches[0] };

at_err at_bench_main(at_session *s, int argc, char **argv) {
  for (int i = 0; argc > 0 && i < N_BENCHES; i++) {
    if (strcmp(argv[0], benches[i].name) == 0) {
      return at_comm_agree(s->world, at_comm_rank(s->world) == 0 ? benches[i].run(s, argc - 1, argv + 1) : AT_OK);
    }
  }
  return AT_FAIL(AT_ERR_ARG, "Usage: atoll bench %s", benches[0].usage);
}
