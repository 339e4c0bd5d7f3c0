/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads inside a program: the same bits on every run, and, where a product's bits stand alone, on any number of threads. */
#include <math.h>
#include <pthread.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/graph/ops.h"
#include "src/nn/lm_task.h"
#include "tests/unit/unit.h"

enum { BATCH = 5, CONTEXT = 40, VOCAB = 70, TOKENS = BATCH * CONTEXT };

typedef struct answer {
  double loss;
  float *grad;
  size_t bytes;
} answer;

static pthread_t main_thread;
static int polls;

static void poll(void *context) {
  assert_ptr_equal(context, &polls);
  assert_true(pthread_equal(pthread_self(), main_thread));
  polls++;
}

static answer gradient(at_isa isa, int threads, int runs) {
  static at_kernels k;
  at_kernels_init(&k, isa);
  k.threads = threads;
  const at_gpt gpt = {.vocab = VOCAB,
                      .context = CONTEXT,
                      .width = 96,
                      .hidden = 384,
                      .layers = 2,
                      .heads = 4,
                      .kv_heads = 2,
                      .norm = AT_NORM_RMS,
                      .mlp = AT_MLP_SWIGLU,
                      .pos = AT_POS_ROPE,
                      .rope_base = 10000,
                      .norm_eps = 1e-5,
                      .precision = AT_PRECISION_BF16};
  at_lm_task *task;
  assert_ok(at_lm_task_create(&task, &gpt, BATCH, 1, &k));
  const at_layout *l = at_lm_task_layout(task);
  answer a = {.bytes = (size_t)l->count * sizeof(float)};
  float *theta, *grad;
  int32_t ids[2 * TOKENS];
  assert_ok(at_alloc(&theta, (size_t)l->count, sizeof *theta, "test"));
  assert_ok(at_alloc(&a.grad, (size_t)l->count, sizeof *a.grad, "test"));
  at_layout_init(l, 1, theta);
  const at_stream s = {.seed = 1, .purpose = AT_RNG_TEST};
  for (int i = 0; i < 2 * TOKENS; i++) {
    ids[i] = (int32_t)at_rng_below(&s, (uint64_t)i, VOCAB);
  }
  for (int r = 0; r < runs; r++) {
    polls = 0;
    a.loss = at_lm_task_grad(task, theta, ids, ids + TOKENS, &grad, poll, &polls);
    assert_true(polls > 20);
    if (r > 0) {
      assert_memory_equal(grad, a.grad, a.bytes);
    }
    memcpy(a.grad, grad, a.bytes);
  }
  at_free(theta);
  at_lm_task_destroy(task);
  return a;
}

static void test_gradient(void **state) {
  (void)state;
  main_thread = pthread_self();
  for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
    answer one = gradient((at_isa)isa, 1, 1);
    for (int threads = 2; threads <= 3; threads++) {
      answer many = gradient((at_isa)isa, threads, isa == AT_ISA_REF ? 2 : 20);
      assert_true(fabs(many.loss / one.loss - 1) < 1e-6);
      if (isa == AT_ISA_REF || isa == AT_ISA_AVX512BF16) {
        assert_true(many.loss == one.loss);
        assert_memory_equal(many.grad, one.grad, one.bytes);
      }
      at_free(many.grad);
    }
    at_free(one.grad);
  }
}

/* A chain of element-wise steps, whose intermediate values each thread has a copy of. */
static void test_chain(void **state) {
  (void)state;
  enum { N = 100003 };
  static at_kernels k;
  at_kernels_init(&k, at_isa_detect());
  float *x, *y[4];
  assert_ok(at_alloc(&x, N, sizeof *x, "test"));
  for (int i = 0; i < N; i++) {
    x[i] = (float)(i % 1013) * 0.01f - 5.0f;
  }
  for (int threads = 1; threads <= 4; threads++) {
    k.threads = threads;
    at_graph *g;
    assert_ok(at_graph_create(&g, AT_F32));
    at_val in = at_graph_input(g, "x", AT_F32, AT_SHAPE(N)), t = at_tanh(g, at_affine(g, in, 0.5, 0.25));
    const at_output out = {.value = at_mul(g, at_exp(g, t), at_add(g, t, in)), .slot = AT_SLOT_OUT};
    at_program *p;
    assert_ok(at_program_compile(&p, g, &k, &out, 1));
    void *arena;
    assert_ok(at_alloc(&arena, at_program_arena_bytes(p) + 1, 1, "test"));
    float **mine = &y[threads - 1];
    assert_ok(at_alloc(mine, N, sizeof **mine, "test"));
    const at_bind b = {.in = {x}, .out = {*mine}, .arena = arena};
    for (int r = 0; r < 10; r++) {
      at_program_run(p, &b, NULL, NULL);
      assert_memory_equal(*mine, y[0], N * sizeof **mine);
    }
    at_free(arena);
    at_program_destroy(p);
    at_graph_destroy(g);
  }
  at_free(x);
  for (int i = 0; i < 4; i++) {
    at_free(y[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gradient),
      cmocka_unit_test(test_chain),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
