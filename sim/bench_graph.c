/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll bench graph`: time of a training step by operation.  Rank 0 measures, the others wait. */
#include "sim/bench.h"

#include <stdlib.h>
#include <string.h>

#include "sim/photon/photon.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/rng.h"
#include "src/nn/classifier.h"
#include "src/nn/lm_task.h"

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

/* One training step of a model: of a language model with its gradient, of a classifier with plain SGD. */
typedef struct subject {
  at_model model;
  int64_t batch;
  at_lm_task *lm;
  at_classifier_task *classifier;
  const at_program *program; /* the classifier's */
  float *theta, *state;
  void *x;
  int32_t *target;
  at_profile *rows;
} subject;

static const at_layout *layout_of(subject *b) {
  return b->lm != NULL ? at_lm_task_layout(b->lm) : at_task_params(at_classifier_task_get(b->classifier));
}

static void fill_batch(subject *b, int64_t inputs, int64_t targets) {
  const at_stream draw = {.seed = 1, .purpose = AT_RNG_TEST};
  uint64_t at = 0;
  for (int64_t i = 0; i < inputs; i++) {
    if (b->lm != NULL) {
      ((int32_t *)b->x)[i] = (int32_t)at_rng_below(&draw, at++, (uint64_t)b->model.classes);
    } else {
      ((float *)b->x)[i] = (float)at_rng_below(&draw, at++, 1 << 20) * 0x1p-19f - 1.0f;
    }
  }
  for (int64_t i = 0; i < targets; i++) {
    b->target[i] = (int32_t)at_rng_below(&draw, at++, (uint64_t)b->model.classes);
  }
}

static at_err open_classifier(subject *b, const at_kernels *k) {
  AT_TRY(at_classifier_task_create(&b->classifier, &b->model, NULL, k));
  at_task *t = at_classifier_task_get(b->classifier);
  AT_TRY(at_task_program(t, AT_PASS_SGD, b->batch, &b->program));
  AT_TRY(at_alloc(&b->state, (size_t)at_task_states(t)->count, sizeof *b->state, "bench"));
  return at_task_init(t, 1, b->theta, b->state);
}

static at_err open_subject(subject *b, const at_kernels *k) {
  const bool is_lm = at_model_kind_of(&b->model) == AT_MODEL_LM;
  const int64_t inputs = b->batch * at_shape_count(b->model.input), targets = is_lm ? inputs : b->batch;
  at_graph *g;
  const at_layout *params;
  AT_TRY(at_model_layout(&b->model, &g, &params));
  at_err err = at_alloc(&b->theta, (size_t)params->count, sizeof *b->theta, "bench");
  if (err == AT_OK) {
    at_layout_init(params, 1, b->theta);
  }
  at_graph_destroy(g);
  AT_TRY(err);
  AT_TRY(at_alloc(&b->x, (size_t)inputs, sizeof(float), "bench"));
  AT_TRY(at_alloc(&b->target, (size_t)targets, sizeof *b->target, "bench"));
  AT_TRY(at_alloc(&b->rows, (size_t)at_profile_rows(), sizeof *b->rows, "bench"));
  if (is_lm) {
    at_gpt gpt = b->model.gpt;
    gpt.vocab = b->model.classes;
    gpt.context = b->model.input.d[0];
    gpt.precision = (at_precision)b->model.precision;
    AT_TRY(at_lm_task_create(&b->lm, &gpt, (int)b->batch, 1, k));
  } else {
    AT_TRY(open_classifier(b, k));
  }
  fill_batch(b, inputs, targets);
  return AT_OK;
}

static void close_subject(subject *b) {
  at_lm_task_destroy(b->lm);
  at_classifier_task_destroy(b->classifier);
  at_free(b->theta);
  at_free(b->state);
  at_free(b->x);
  at_free(b->target);
  at_free(b->rows);
}

static void run_once(subject *b) {
  if (b->lm != NULL) {
    at_lm_task_profile(b->lm, b->theta, b->x, b->target, at_clock_now_s, b->rows);
    return;
  }
  float value[AT_TASK_OUTS];
  const at_task_call c = {.theta = b->theta, .lr = 1e-3, .state = b->state, .in = {b->x, b->target}};
  at_task_profile(at_classifier_task_get(b->classifier), b->program, &c, value, at_clock_now_s, b->rows);
}

static at_err profile_step(at_session *s, subject *b) {
  double peak = 0;
  AT_TRY(open_subject(b, s->kernels));
  run_once(b); /* warms up */
  memset(b->rows, 0, (size_t)at_profile_rows() * sizeof *b->rows);
  for (int r = 0; r < REPEATS; r++) {
    run_once(b);
  }
  AT_TRY(product_rate(s->kernels, &peak));
  at_program_stats stats = b->lm != NULL ? at_lm_task_stats(b->lm) : at_program_get_stats(b->program);
  printf("one training step: batch = %lld, parameters = %lld, precision = %s, kernels = %d, arena = %.2f MiB (at least "
         "%.2f are in use at once), isa = %s, threads = %d\n"
         "peak: SGEMM of n = %d at the same moment, %.1f GFLOP/s; warm caches, mean of %d runs\n\n",
         (long long)b->batch, (long long)layout_of(b)->count, at_precision_names[b->model.precision], stats.nodes,
         (double)stats.arena_bytes / 1048576, (double)stats.live_bytes / 1048576, s->kernels->isa_name, s->pin.threads,
         GEMM, peak * 1e-9, REPEATS);
  print_profile(b->rows, at_profile_rows(), peak, stdout);
  return AT_OK;
}

/* --- `atoll bench graph` ---------------------------------------------------------------------------------------------------- */

typedef struct graph_cfg {
  char *preset;
  int64_t batch;
  int precision;
} graph_cfg;

static const at_opt graph_rows[] = {
    AT_OPT_STR(graph_cfg, preset, "preset", "",
               "A model by name, one of those that a wrong name is answered with; empty: the language model that "
               "photon's keys describe."),
    AT_OPT_INT(graph_cfg, batch, "batch", "10", 1, 1e6, "examples", "Examples, or windows of tokens, of a step."),
    AT_OPT_ENUM(graph_cfg, precision, "precision", "f32", at_precision_names,
                "What products and convolutions read of their inputs."),
};
static const at_opt_table graph_table = AT_OPT_TABLE("A model by name", graph_rows);

static at_err preset_subject(int argc, char **argv, subject *b) {
  graph_cfg cfg;
  at_opts *set = NULL;
  at_err err = at_opts_create(&set);
  AT_TRY_TO(err, done, err);
  AT_TRY_TO(err, done, at_opts_add(set, &graph_table, &cfg));
  for (int i = 0; i < argc; i++) {
    AT_TRY_TO(err, done, at_opts_set(set, argv[i]));
  }
  AT_TRY_TO(err, done, at_model_preset(cfg.preset, &b->model));
  b->model.precision = cfg.precision;
  b->batch = cfg.batch;
done:
  at_opts_destroy(set);
  return err;
}

static at_err photon_subject(int argc, char **argv, subject *b) {
  enum { VOCAB = 256 };
  at_opts *set = NULL;
  at_photon_cfg *cfg = NULL;
  at_err err;
  AT_TRY_TO(err, done, at_config_create(&at_photon_system, &set, (void **)&cfg));
  AT_TRY_TO(err, done, at_opts_set(set, "data=none"));
  for (int i = 0; i < argc; i++) {
    AT_TRY_TO(err, done, strchr(argv[i], '=') ? at_opts_set(set, argv[i]) : at_opts_load_file(set, argv[i]));
  }
  AT_TRY_TO(err, done, at_photon_system.resolve(set, cfg));
  const at_gpt gpt = at_photon_model(cfg, VOCAB);
  b->model = (at_model){.name = "photon",
                        .family = AT_FAMILY_GPT,
                        .input = AT_SHAPE(gpt.context),
                        .classes = VOCAB,
                        .precision = gpt.precision,
                        .gpt = gpt};
  b->batch = cfg->batch;
done:
  at_opts_destroy(set);
  at_free(cfg);
  return err;
}

static at_err graph_help(void) {
  graph_cfg cfg;
  at_opts *set = NULL;
  at_err err = at_opts_create(&set);
  if (err == AT_OK) {
    err = at_opts_add(set, &graph_table, &cfg);
  }
  if (err == AT_OK) {
    printf(
        "Usage: atoll bench graph preset=NAME [key=value ...]\n"
        "       atoll bench graph [CONFIG.yaml] [key=value ...]   with the keys of `atoll photon --help`\n\n"
        "Time of a training step by operation: calls, how many of them in element-wise chains, time, floating-point\n"
        "operations, bytes of inputs and outputs, and the share of the rate of a large matrix product.\n\n");
    at_opts_print_help(set, stdout);
  }
  at_opts_destroy(set);
  return err;
}

static at_err measure(at_session *s, int argc, char **argv) {
  bool by_name = false;
  for (int i = 0; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0) {
      return graph_help();
    }
    by_name = by_name || strncmp(argv[i], "preset=", strlen("preset=")) == 0;
  }
  subject b = {.batch = 0};
  at_err err = by_name ? preset_subject(argc, argv, &b) : photon_subject(argc, argv, &b);
  if (err == AT_OK) {
    err = profile_step(s, &b);
  }
  close_subject(&b);
  return err;
}

at_err at_bench_graph(at_session *s, int argc, char **argv) {
  return at_comm_agree(s->world, at_comm_rank(s->world) == 0 ? measure(s, argc, argv) : AT_OK);
}
