/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll bench overlap`: how much of a mean over ranks hides behind the forward and backward pass of a GPT. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "sim/bench.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/rng.h"
#include "src/comm/collective/reduce_options.h"
#include "src/nn/lm_task.h"

typedef struct overlap_cfg {
  int64_t width, layers, heads, context, vocab, batch, repeats;
  bool own;
  at_reduce_cfg reduce;
} overlap_cfg;

static const at_opt rows[] = {
    AT_OPT_INT(overlap_cfg, width, "width", "256", 8, 8192, "", "Width of the GPT."),
    AT_OPT_INT(overlap_cfg, layers, "layers", "4", 1, 96, "", "Its blocks."),
    AT_OPT_INT(overlap_cfg, heads, "heads", "4", 1, 128, "", "Its heads."),
    AT_OPT_INT(overlap_cfg, context, "context", "128", 8, 8192, "tokens", "Length of a window."),
    AT_OPT_INT(overlap_cfg, vocab, "vocab", "256", 2, 1 << 20, "tokens", "Size of its vocabulary."),
    AT_OPT_INT(overlap_cfg, batch, "batch", "4", 1, 4096, "windows", "Windows of a step."),
    AT_OPT_INT(overlap_cfg, repeats, "repeats", "7", 1, AT_BENCH_REPEATS_MAX, "", "Steps timed, after one to warm up."),
    AT_OPT_BOOL(overlap_cfg, own, "own", "false",
                "The mean is of the gradient that the step is making, part by part; else of an earlier one."),
    AT_REDUCE_OPTIONS(overlap_cfg, reduce, "mean", "bf16"),
};
static const at_opt_table table = AT_OPT_TABLE("bench overlap", rows);

typedef struct bench {
  at_session *s;
  const overlap_cfg *cfg;
  at_lm_task *task;
  at_reduce *reduce;
  int32_t *ids; /* tokens, then targets */
  float *theta, *earlier;
  float *update, *out; /* update: what is exchanged; an earlier step's, or the task's gradient */
  int64_t round;
  const at_ready *ready; /* parts of the gradient */
  int n_ready, next, polls;
} bench;

/* ---- what is timed ---- */

static void step(bench *b, at_poll poll, void *context) {
  float *grad = NULL;
  const int64_t tokens = b->cfg->batch * b->cfg->context;
  at_lm_task_grad(b->task, b->theta, b->ids, b->ids + tokens, &grad, poll, context);
}

static at_err compute_only(void *context) {
  step(context, NULL, NULL);
  return AT_OK;
}

static at_err begin(bench *b) {
  at_reduce_begin(b->reduce, b->round++, at_comm_size(b->s->world));
  at_reduce_lend(b->reduce, at_comm_rank(b->s->world), 1.0, b->update);
  return at_reduce_start(b->reduce, b->out);
}

/* The parts that the step has finished may leave. */
static void release_and_poll(void *context) {
  bench *b = context;
  b->polls++;
  for (; b->next < b->n_ready && b->ready[b->next].polls <= b->polls; b->next++) {
    at_reduce_release(b->reduce, b->ready[b->next].offset, b->ready[b->next].count);
  }
  at_reduce_poll_hook(b->reduce);
}

static at_err both_own(bench *b) {
  at_reduce_begin(b->reduce, b->round++, at_comm_size(b->s->world));
  at_reduce_let_grow(b->reduce);
  at_reduce_lend(b->reduce, at_comm_rank(b->s->world), 1.0, b->update);
  AT_TRY(at_reduce_start(b->reduce, b->out));
  b->next = b->polls = 0;
  step(b, release_and_poll, b);
  return at_reduce_finish(b->reduce);
}

static at_err exchange_only(void *context) {
  bench *b = context;
  AT_TRY(begin(b));
  return at_reduce_finish(b->reduce);
}

static at_err both(void *context) {
  bench *b = context;
  if (b->cfg->own) {
    return both_own(b);
  }
  AT_TRY(begin(b));
  step(b, at_reduce_poll_hook, b->reduce);
  return at_reduce_finish(b->reduce);
}

/* ---- the bench ---- */

static at_err make_reduce(bench *b) {
  const int64_t offsets[2] = {0, at_lm_task_layout(b->task)->count};
  at_reduce_destroy(b->reduce); /* and what it remembers */
  b->reduce = NULL;
  b->round = 0;
  AT_TRY(at_reduce_create(&b->reduce, b->s->world, b->s->kernels, &b->cfg->reduce, 1, offsets, 1));
  if (!b->cfg->own) {
    return AT_OK;
  }
  return at_comm_agree(b->s->world, at_reduce_can_grow(b->reduce)
                                        ? at_reduce_prepare_growth(b->reduce)
                                        : AT_FAIL(AT_ERR_CONFIG, "own = true: this mean needs the whole gradient"));
}

/* The mean must be the same bytes whether anything was computed meanwhile or not, over two rounds with what is remembered. */
static at_err compare(bench *b) {
  const size_t bytes = (size_t)at_lm_task_layout(b->task)->count * sizeof(float);
  at_err (*const how[2])(void *) = {exchange_only, both};
  unsigned long crc[2] = {0};
  for (int i = 0; i < 2; i++) {
    AT_TRY(make_reduce(b));
    for (int round = 0; round < 2; round++) {
      AT_TRY(how[i](b));
      crc[i] = crc32_z(crc[i], (const unsigned char *)b->out, bytes);
    }
  }
  return at_comm_agree(b->s->world, crc[0] == crc[1]
                                        ? AT_OK
                                        : AT_FAIL(AT_ERR_INTERNAL,
                                                  "the mean depends on whether it was hidden: checksums %08lx, %08lx",
                                                  crc[0], crc[1]));
}

/* Payload that all ranks sent so far. */
static at_err count_all(at_comm *world, int64_t *bytes) {
  *bytes = 0;
  for (int phase = 0; phase < AT_COMM_PHASE_COUNT; phase++) {
    *bytes += at_comm_get_stats(world, (at_comm_phase)phase).bytes_sent;
  }
  return at_comm_allreduce(world, AT_COMM_I64, AT_COMM_SUM, bytes, 1);
}

static at_err measure(bench *b) {
  at_bench_time alone[2], together;
  const int repeats = (int)b->cfg->repeats;
  at_link link;
  at_comm_set_phase(b->s->world, AT_COMM_SETUP);
  AT_TRY(at_bench_link(b->s->world, &link));
  at_comm_set_phase(b->s->world, AT_COMM_REDUCE);
  AT_TRY(compute_only(b)); /* a gradient to begin with */
  AT_TRY(compare(b));
  AT_TRY(at_bench_repeat(b->s->world, repeats, compute_only, b, &alone[0]));
  const int64_t before = at_comm_get_stats(b->s->world, AT_COMM_REDUCE).bytes_sent;
  AT_TRY(at_bench_repeat(b->s->world, repeats, exchange_only, b, &alone[1]));
  const int64_t sent = (at_comm_get_stats(b->s->world, AT_COMM_REDUCE).bytes_sent - before) / (repeats + 1);
  AT_TRY(at_bench_repeat(b->s->world, repeats, both, b, &together));
  int64_t all = 0;
  AT_TRY(count_all(b->s->world, &all));
  if (at_comm_rank(b->s->world) != 0) {
    return AT_OK;
  }
  const double compute = alone[0].median_s, exchange = alone[1].median_s;
  const double shorter = compute < exchange ? compute : exchange;
  const at_reduce_cfg *cfg = at_reduce_config(b->reduce);
  printf("ranks = %d, parameters = %lld, link = %.1f Mbit/s, mean = %s of %s, sent = %lld bytes of payload a rank and "
         "mean, repeats = %d\n",
         at_comm_size(b->s->world), (long long)at_lm_task_layout(b->task)->count, 8e-6 * link.bytes_per_s,
         at_algorithm_names[cfg->algorithm], at_codec_names[cfg->up.kind], (long long)sent, repeats);
  printf("%-28s %10s %10s %10s\n", "", "median ms", "least ms", "most ms");
  printf("%-28s %10.2f %10.2f %10.2f\n", "forward and backward alone", 1e3 * compute, 1e3 * alone[0].least_s,
         1e3 * alone[0].most_s);
  printf("%-28s %10.2f %10.2f %10.2f\n", "mean alone", 1e3 * exchange, 1e3 * alone[1].least_s, 1e3 * alone[1].most_s);
  printf("%-28s %10.2f %10.2f %10.2f\n", "both at once", 1e3 * together.median_s, 1e3 * together.least_s,
         1e3 * together.most_s);
  printf("payload sent by all ranks since the start: %lld bytes\n", (long long)all);
  printf("hidden: %.1f %% of the shorter; the same bytes as without overlap\n",
         100 * (compute + exchange - together.median_s) / shorter);
  return AT_OK;
}

static at_err make(bench *b) {
  const overlap_cfg *c = b->cfg;
  const at_gpt gpt = {.vocab = c->vocab,
                      .context = c->context,
                      .width = c->width,
                      .hidden = 4 * c->width,
                      .layers = (int)c->layers,
                      .heads = (int)c->heads,
                      .kv_heads = (int)c->heads,
                      .tied = true,
                      .norm_eps = 1e-5};
  AT_TRY(at_lm_task_create(&b->task, &gpt, (int)c->batch, 1, b->s->kernels));
  const at_layout *layout = at_lm_task_layout(b->task);
  const size_t n = (size_t)layout->count, tokens = (size_t)(c->batch * c->context);
  AT_TRY(at_alloc(&b->theta, n, sizeof *b->theta, "parameters"));
  float *gradient = at_lm_task_gradient(b->task, &b->ready, &b->n_ready);
  AT_TRY(at_alloc(&b->earlier, c->own ? 0 : n, sizeof *b->earlier, "update"));
  b->update = c->own ? gradient : b->earlier;
  AT_TRY(at_alloc(&b->out, n, sizeof *b->out, "mean"));
  AT_TRY(at_alloc(&b->ids, 2 * tokens, sizeof *b->ids, "tokens"));
  const at_stream draw = {.seed = 1, .client = (uint64_t)at_comm_rank(b->s->world), .purpose = AT_RNG_TEST};
  at_layout_init(layout, 1, b->theta);
  if (!c->own) {
    at_rng_fill_normal(&draw, 0, 1e-3, b->update, layout->count);
  }
  for (size_t i = 0; i < 2 * tokens; i++) {
    b->ids[i] = (int32_t)at_rng_below(&draw, i, (uint64_t)c->vocab);
  }
  return AT_OK;
}

static at_err run(at_session *s, const overlap_cfg *cfg) {
  bench b = {.s = s, .cfg = cfg};
  at_err err = at_comm_agree(s->world, make(&b));
  err = err == AT_OK ? measure(&b) : err;
  at_reduce_destroy(b.reduce);
  at_lm_task_destroy(b.task);
  at_free(b.theta);
  at_free(b.earlier);
  at_free(b.out);
  at_free(b.ids);
  return err;
}

static void print_help(const at_opts *set, FILE *out) {
  fprintf(out,
          "Usage: atoll bench overlap [key=value ...]      under mpirun or srun; on a slow link:\n"
          "       tests/net/run 2 1gbit -- atoll bench overlap\n\n"
          "Times a training step of a GPT, a mean of its gradient's length over the ranks, and both at once: the mean "
          "makes\n"
          "progress between the step's operations.  own=true: the mean of the step's own gradient, whose parts leave "
          "during the "
          "backward\npass.  hidden = (step + mean - both) / the shorter of step and mean.\n"
          "Fails if the mean has other bytes than without overlap.\n\n");
  at_opts_print_help(set, out);
}

static at_err configure(at_opts *set, overlap_cfg *cfg, int argc, char **argv) {
  AT_TRY(at_opts_add(set, &table, cfg));
  for (int i = 0; i < argc; i++) {
    AT_TRY(at_opts_set(set, argv[i]));
  }
  cfg->reduce.seed = 1;
  return at_reduce_options_check(set, "mean", &cfg->reduce, 1 << 20);
}

at_err at_bench_overlap(at_session *s, int argc, char **argv) {
  overlap_cfg cfg = {0};
  at_opts *set = NULL;
  AT_TRY(at_comm_agree(s->world, at_opts_create(&set)));
  const bool help = argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0);
  at_err err = at_comm_agree(s->world, configure(set, &cfg, help ? 0 : argc, argv));
  if (err == AT_OK && !help) {
    err = run(s, &cfg);
  } else if (err == AT_OK && at_comm_rank(s->world) == 0) {
    print_help(set, stdout);
  }
  at_opts_destroy(set);
  return err;
}
