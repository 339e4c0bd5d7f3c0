/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps inside a program: parameters overwritten in place when nothing reads them any more, copied otherwise; and plain SGD of a
 * task against its gradient and a step along it. */
#include <math.h>

#include "src/nn/classifier.h"
#include "tests/unit/graph_run.h"

enum { SIDE = 4, COUNT = SIDE * SIDE, MOST = 9 };

typedef struct three {
  at_graph *g;
  at_val w[3], rate;
} three;

static three three_matrices(void) {
  three t;
  assert_ok(at_graph_create(&t.g, AT_F64));
  const char *const names[] = {"a", "b", "c"};
  for (int i = 0; i < 3; i++) {
    t.w[i] = at_graph_param(t.g, names[i], AT_SHAPE(SIDE, SIDE), (at_init){.kind = AT_INIT_ZERO});
  }
  t.rate = at_graph_input(t.g, "rate", AT_F64, AT_SCALAR);
  return t;
}

/* theta after a run whose outputs are next[], of the parameters where they are not AT_NONE. */
static void run_in_place(const three *t, const at_val next[3], double rate, double *theta) {
  static at_kernels k;
  at_kernels_init(&k, AT_ISA_REF);
  at_output outs[3];
  int n = 0;
  for (int i = 0; i < 3; i++) {
    if (next[i] != AT_NONE) {
      outs[n++] = (at_output){.value = next[i], .slot = AT_SLOT_PARAM, .offset = i * COUNT};
    }
  }
  at_program *p;
  at_bind b = {.param = theta, .in = {&rate}};
  assert_ok(at_program_compile(&p, t->g, &k, outs, n));
  assert_ok(at_alloc(&b.arena, at_program_arena_bytes(p) + 1, 1, "test"));
  at_program_run(p, &b, NULL, NULL);
  at_program_destroy(p);
  at_free(b.arena);
}

static void check_in_place(const three *t, const at_val next[3]) {
  const double rate = -0.125;
  double *theta = random_params(t->g, 1), want[3][COUNT];
  for (int i = 0; i < 3; i++) {
    memcpy(want[i], theta + i * COUNT, sizeof want[i]);
  }
  run_values(t->g, next, 3, theta, (const void *const[]){&rate}, 1, (void *const[]){want[0], want[1], want[2]});
  run_in_place(t, next, rate, theta);
  for (int i = 0; i < 3 * COUNT; i++) {
    assert_true(theta[i] == want[i / COUNT][i % COUNT]);
  }
  at_free(theta);
}

static at_val step(const three *t, int i, int left, int right) {
  return at_add_scaled(t->g, t->w[i], at_matmul(t->g, t->w[left], t->w[right], false, true), t->rate);
}

/* Whatever reads what, all see the parameters as they were. */
static void test_overwriting(void **state) {
  (void)state;
  static const int reads[][6] = {
      {0, 0, 1, 1, 2, 2}, {1, 2, 2, 2, 2, 2}, {1, 2, 2, 0, 0, 1}, {1, 1, 0, 0, 2, 1}, {0, 1, 1, 2, 1, 1}};
  for (size_t k = 0; k < sizeof reads / sizeof *reads; k++) {
    three t = three_matrices();
    const int *r = reads[k];
    const at_val all[3] = {step(&t, 0, r[0], r[1]), step(&t, 1, r[2], r[3]), step(&t, 2, r[4], r[5])};
    check_in_place(&t, all);
    at_graph_destroy(t.g);
    t = three_matrices();
    const at_val some[3] = {step(&t, 0, 1, 2), AT_NONE, at_add_scaled(t.g, t.w[2], at_tanh(t.g, t.w[2]), t.rate)};
    check_in_place(&t, some);
    at_graph_destroy(t.g);
    t = three_matrices();
    const at_val around[3] = {t.w[1], t.w[2], at_permute(t.g, t.w[0], (int[]){1, 0})}; /* exchanged */
    check_in_place(&t, around);
    at_graph_destroy(t.g);
  }
}

static at_model small(const char *name) {
  at_model m;
  assert_ok(at_model_preset(name, &m));
  m.classes = 5;
  m.input = AT_SHAPE(8, 8, 3);
  m.leaf_cnn = (at_leaf_cnn){.channels = {4, 8}, .dense = 32};
  if (m.family == AT_FAMILY_RESNET) {
    m.resnet.stages = 2;
    m.resnet.width[0] = 4;
    m.resnet.width[1] = 6;
    m.resnet.blocks[0] = m.resnet.blocks[1] = 1;
  } else if (m.family == AT_FAMILY_VIT) {
    m.vit = (at_vit){.patch = 4, .width = 16, .hidden = 32, .layers = 2, .heads = 2};
  }
  return m;
}

static void fill(const at_task *t, float *x, int32_t *label, float *theta, float *stats) {
  const at_stream s = {.seed = 5, .purpose = AT_RNG_TEST};
  at_rng_fill_normal(&s, 0.5, 1, x, MOST * 192);
  for (int i = 0; i < MOST; i++) {
    label[i] = (int32_t)at_rng_below(&s, (uint64_t)(1 << 20) + (uint64_t)i, 5);
  }
  assert_ok(at_task_init(t, 3, theta, stats));
}

/* Some steps of both kinds from one start. */
static void compare_steps(const char *name, at_isa isa, int threads) {
  const double lr = 0.05;
  at_kernels k;
  at_kernels_init(&k, isa);
  k.threads = threads;
  at_model m = small(name);
  at_classifier_task *task;
  assert_ok(at_classifier_task_create(&task, &m, NULL, &k));
  at_task *t = at_classifier_task_get(task);
  const int64_t n = at_task_params(t)->count, states = at_task_states(t)->count;
  float *block, *grad;
  int32_t label[MOST];
  assert_ok(at_alloc(&block, (size_t)(2 * (n + states) + MOST * 192), sizeof *block, "test"));
  float *theta[2] = {block, block + n}, *stats[2] = {block + 2 * n, block + 2 * n + states},
        *x = block + 2 * (n + states);
  for (int side = 0; side < 2; side++) {
    fill(t, x, label, theta[side], stats[side]);
  }
  for (int i = 0; i < 4; i++) {
    const at_batch b = {i == 2 ? 3 : MOST, x, label};
    at_score want, got;
    assert_ok(at_classifier_task_grad(task, theta[0], stats[0], &b, &want, &grad, NULL, NULL));
    k.vec.sgd(lr, n, grad, theta[0]);
    assert_ok(at_classifier_task_sgd(task, theta[1], stats[1], &b, lr, &got, NULL, NULL));
    assert_true(fabs(got.loss - want.loss) <= 2e-5 * fabs(want.loss) && got.hits == want.hits);
  }
  for (int64_t i = 0; i < n + states; i++) {
    const float *const *side = (const float *const *)(i < n ? theta : stats);
    const int64_t at = i < n ? i : i - n;
    const float tolerance = isa == AT_ISA_AVX2 || isa == AT_ISA_REF ? 2e-5f : 0; /* there the sums are the same ones */
    if (!(fabsf(side[1][at] - side[0][at]) <= tolerance * (1 + fabsf(side[0][at])))) {
      fail_msg("%s, %s: %s %lld is %.9g, not %.9g", name, k.isa_name, i < n ? "theta" : "state", (long long)at,
               (double)side[1][at], (double)side[0][at]);
    }
  }
  at_free(block);
  at_classifier_task_destroy(task);
}

static void test_sgd(void **state) {
  (void)state;
  static const char *const names[] = {"logreg", "mlp", "leaf_cnn", "resnet18", "vit_tiny"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
      compare_steps(names[i], (at_isa)isa, 1);
    }
    compare_steps(names[i], at_isa_detect(), 2);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_overwriting),
      cmocka_unit_test(test_sgd),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
