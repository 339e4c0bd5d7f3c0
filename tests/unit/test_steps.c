/* SPDX-License-Identifier: BSD-3-Clause */
/* After a warm-up, a client's steps allocate nothing: neither through our allocator nor behind its back. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/comm/exact.h"
#include "src/fed/client.h"
#include "src/fed/evaluate.h"
#include "src/fed/outer.h"

/* ---- the C library's allocator, watched; a sanitizer has its own in its place ---- */

#if defined(__SANITIZE_ADDRESS__)
#define WATCHED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHED 0
#endif
#endif
#ifndef WATCHED
#define WATCHED 1
#endif

static long calls; /* to malloc and its relatives, ours or a library's */

#if WATCHED
/* glibc's own names for what is replaced here. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t n, size_t bytes);
extern void *__libc_realloc(void *p, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);

void *malloc(size_t bytes) {
  calls++;
  return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes) {
  calls++;
  return __libc_calloc(n, bytes);
}

void *realloc(void *p, size_t bytes) {
  calls++;
  return __libc_realloc(p, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
  calls++;
  return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes) {
  calls++;
  *out = __libc_memalign(alignment, bytes);
  return *out == NULL;
}
#endif

/* ---- a client ---- */

enum { TOKENS = 5000, CONTEXT = 32, BATCH = 4, STEPS = 3 };

typedef struct client {
  at_kernels kernels;
  uint8_t text[TOKENS];
  at_silo silo;
  at_corpus corpus;
  at_streams streams;
  at_lm_task *task;
  at_exact *exact;
  at_local local;
  at_evaluator eval;
  int64_t n, cursor;
  float *theta, *w, *m, *v;
  int32_t tokens[BATCH * CONTEXT], targets[BATCH * CONTEXT];
} client;

static void create(client *c, at_isa isa, const at_gpt *gpt, at_optim optim) {
  at_kernels_init(&c->kernels, isa);
  for (int i = 0; i < TOKENS; i++) {
    c->text[i] = (uint8_t)(i * i / 7);
  }
  at_tokens all = {.data = c->text, .width = 1, .n = TOKENS};
  c->silo = (at_silo){.name = "silo", .split = {all, all, all}};
  c->corpus = (at_corpus){.n_silos = 1, .vocab = 256, .silo = &c->silo};
  c->streams = (at_streams){.corpus = &c->corpus, .n_clients = 1, .context = CONTEXT, .seed = 1};
  assert_ok(at_lm_task_create(&c->task, gpt, BATCH, BATCH, &c->kernels));
  c->n = at_lm_task_layout(c->task)->count;
  const int64_t offsets[] = {0, c->n};
  assert_ok(at_exact_create(&c->exact, &c->kernels.vec, 1, offsets, NULL, AT_EXACT_BITS));
  float **vectors[] = {&c->theta, &c->w, &c->m, &c->v};
  for (int i = 0; i < 4; i++) {
    assert_ok(at_alloc(vectors[i], (size_t)c->n, sizeof(float), "vector"));
  }
  at_layout_init(at_lm_task_layout(c->task), 1, c->theta);
  c->local = (at_local){.task = c->task,
                        .stride = 1,
                        .vec = &c->kernels.vec,
                        .streams = &c->streams,
                        .optim = optim,
                        .schedule = {.lr_max = 1e-3, .final_fraction = 1},
                        .tokens = c->tokens,
                        .targets = c->targets};
  c->eval = (at_evaluator){.corpus = &c->corpus,
                           .task = c->task,
                           .split = AT_SPLIT_VALIDATION,
                           .windows = 2 * BATCH,
                           .tokens = c->tokens,
                           .targets = c->targets};
}

static void destroy(client *c) {
  void *blocks[] = {c->theta, c->w, c->m, c->v};
  for (int i = 0; i < 4; i++) {
    at_free(blocks[i]);
  }
  at_exact_destroy(c->exact);
  at_lm_task_destroy(c->task);
}

/* What happens between two exchanges, and around them. */
static double play(client *c) {
  at_report report;
  at_silo_loss loss;
  at_moments mom = {c->m, c->v, 0};
  at_outer outer = {.kind = AT_OUTER_fedavg, .lr = 1};
  memcpy(c->w, c->theta, (size_t)c->n * sizeof(float));
  assert_ok(at_client_train(&c->local, 0, 0, STEPS, &c->cursor, c->w, &mom, &report));
  c->kernels.vec.sub(c->n, c->theta, c->w, c->w);
  at_exact_begin(c->exact);
  at_exact_add(c->exact, 0, 1.0, c->w);
  at_outer_step(&outer, 1, c->n, c->w, c->theta, NULL, NULL);
  at_evaluate_alone(&c->eval, c->theta, &loss);
  return report.loss_mean + loss.nats;
}

static void check(at_isa isa, const at_gpt *gpt, at_optim optim) {
  client c = {.n = 0};
  create(&c, isa, gpt, optim);
  double first = play(&c); /* libraries take their own memory at their first use */
  int64_t ours = at_alloc_get_stats().calls;
  long all = calls;
  double second = play(&c) + play(&c);
  assert_int_equal(calls - all, 0);
  assert_int_equal(at_alloc_get_stats().calls - ours, 0);
  assert_true(first > 0 && second > 0); /* it did train */
  destroy(&c);
}

static void steps_allocate_nothing(void **state) {
  (void)state;
  at_gpt gpt = {.vocab = 256, .context = CONTEXT, .width = 64, .hidden = 256, .layers = 2, .heads = 4, .kv_heads = 4};
  gpt.tied = true;
  gpt.norm_eps = 1e-5;
  at_gpt llama = gpt;
  llama.norm = AT_NORM_RMS;
  llama.mlp = AT_MLP_SWIGLU;
  llama.pos = AT_POS_ROPE;
  llama.kv_heads = 2;
  llama.tied = false;
  llama.rope_base = 1e4;
  at_optim adamw = {.kind = AT_OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .clip = 1};
  at_optim sgd = {.kind = AT_OPTIM_SGD};
  for (int isa = 0; isa <= (int)at_isa_detect(); isa++) {
    check((at_isa)isa, &gpt, adamw);
    check((at_isa)isa, &llama, sgd);
    llama.precision = AT_PRECISION_BF16;
    check((at_isa)isa, &llama, adamw);
    llama.precision = AT_PRECISION_F32;
  }
}

static void the_watch_works(void **state) {
  (void)state;
  long before = calls;
  char *volatile p = strdup("something"); /* the C library allocates for us */
  assert_non_null(p);
  assert_int_equal(calls - before, WATCHED);
  free(p);
  int64_t ours = at_alloc_get_stats().calls;
  void *q = NULL;
  assert_ok(at_alloc(&q, 1, 1, "one byte"));
  assert_int_equal(at_alloc_get_stats().calls - ours, 1);
  at_free(q);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_watch_works),
      cmocka_unit_test(steps_allocate_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
