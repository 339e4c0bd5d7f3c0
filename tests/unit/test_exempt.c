/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations whose derivative is not the function's, each by what it promises; and dropout's stream. */
#include <math.h>

#include "src/base/rng_internal.h"
#include "src/graph/graph_internal.h"
#include "src/graph/losses.h"
#include "tests/unit/graph_run.h"

static at_val par(at_graph *g, const char *name, at_shape s) {
  return at_graph_param(g, name, s, (at_init){.kind = AT_INIT_NORMAL, .sd = 1});
}

static at_graph *new_graph(void) {
  at_graph *g;
  assert_ok(at_graph_create(&g, AT_F64));
  return g;
}

/* d (sum y) / dx */
static at_val slope(at_graph *g, at_val y, at_val x) {
  at_val sum = at_sum_all(g, y), grad;
  assert_ok(at_graph_vjp(g, &sum, NULL, 1, &x, 1, &grad));
  return grad;
}

/* The list, so that a new exempt row asks for a test here. */
static void test_list(void **state) {
  (void)state;
  static const at_op known[] = {AT_OP_stop_gradient, AT_OP_straight_through, AT_OP_argmax,
                                AT_OP_topk,          AT_OP_to_real,          AT_OP_to_int};
  size_t count = 0;
  for (int op = 0; op < AT_OP_COUNT; op++) {
    count += at_op_get((at_op)op)->exempt != NULL;
  }
  assert_int_equal(count, sizeof known / sizeof known[0]);
  for (size_t i = 0; i < count; i++) {
    assert_non_null(at_op_get(known[i])->exempt);
  }
}

static void test_stop_gradient(void **state) {
  (void)state;
  at_graph *g = new_graph();
  at_val x = par(g, "x", AT_SHAPE(3));
  at_val y = at_mul(g, at_stop_gradient(g, at_exp(g, x)), x); /* as if the first factor were a constant */
  double theta[3] = {0.5, -1, 2}, value[3], grad[3];
  assert_int_equal(slope(g, at_stop_gradient(g, x), x), AT_NONE);
  run_values(g, (at_val[]){y, slope(g, y, x)}, 2, theta, NULL, 0, (void *[]){value, grad});
  for (int i = 0; i < 3; i++) {
    assert_true(fabs(value[i] - exp(theta[i]) * theta[i]) < 1e-14);
    assert_true(fabs(grad[i] - exp(theta[i])) < 1e-14);
  }
  at_graph_destroy(g);
}

/* A value beyond a bound is clamped and yet learns. */
static void test_straight_through(void **state) {
  (void)state;
  at_graph *g = new_graph();
  at_val x = par(g, "x", AT_SHAPE(4)), y = at_clamp_through(g, x, 0, 1);
  double theta[4] = {-3, 0.25, 1, 7}, value[4], grad[4], inside[4];
  const double want[4] = {0, 0.25, 1, 1};
  at_val hard = slope(g, at_square(g, at_clamp(g, x, 0, 1)), x), soft = slope(g, at_square(g, y), x);
  run_values(g, (at_val[]){y, soft, hard}, 3, theta, NULL, 0, (void *[]){value, grad, inside});
  for (int i = 0; i < 4; i++) {
    assert_true(value[i] == want[i]);
    assert_true(grad[i] == 2 * want[i]); /* of the square, passed on unchanged */
    assert_true(inside[i] == (theta[i] >= 0 && theta[i] <= 1 ? 2 * want[i] : 0));
  }
  at_graph_destroy(g);
}

static void test_indices(void **state) {
  (void)state;
  at_graph *g = new_graph();
  at_val x = par(g, "x", AT_SHAPE(3, 4));
  at_val top = at_argmax(g, x, 1), down = at_argmax(g, x, 0), few = at_topk(g, x, 3);
  double theta[12] = {1, 5, 5, 2, /**/ -INFINITY, NAN, 3, NAN, /**/ 0, -1, -1, -2};
  int32_t top_at[3], down_at[4], few_at[9];
  run_values(g, (at_val[]){top, down, few}, 3, theta, NULL, 0, (void *[]){top_at, down_at, few_at});
  assert_memory_equal(top_at, ((int32_t[]){1, 1, 0}), sizeof top_at); /* the first of equals; NaN is largest */
  assert_memory_equal(down_at, ((int32_t[]){0, 1, 0, 1}), sizeof down_at);
  assert_memory_equal(few_at, ((int32_t[]){1, 2, 3, 1, 3, 2, 0, 1, 2}), sizeof few_at);
  assert_int_equal(slope(g, at_to_real(g, few), x), AT_NONE);
  at_graph_destroy(g);
}

static void test_casts(void **state) {
  (void)state;
  at_graph *g = new_graph();
  at_val x = par(g, "x", AT_SHAPE(6)), n = at_to_int(g, x), back = at_to_real(g, n);
  double theta[6] = {1.9, -1.9, 3e9, -3e9, NAN, 0}, real[6];
  int32_t whole[6];
  run_values(g, (at_val[]){n, back}, 2, theta, NULL, 0, (void *[]){whole, real});
  assert_memory_equal(whole, ((int32_t[]){1, -1, INT32_MAX, INT32_MIN, 0, 0}), sizeof whole);
  for (int i = 0; i < 6; i++) {
    assert_true(real[i] == (double)whole[i]);
  }
  assert_int_equal(slope(g, back, x), AT_NONE);
  at_graph_destroy(g);
}

static void test_hits(void **state) {
  (void)state;
  at_graph *g = new_graph();
  at_val target = at_graph_input(g, "target", AT_I32, AT_SHAPE(3)), x = par(g, "x", AT_SHAPE(3, 2));
  double theta[6] = {1, 2, 4, 3, 0, 0}, hits;
  run_values(g, (at_val[]){at_hits(g, x, target)}, 1, theta, (const void *[]){(int32_t[]){1, 1, 0}}, 1,
             (void *[]){&hits});
  assert_true(hits == 2);
  at_graph_destroy(g);
}

/* i32 values move like real ones, in a graph whose reals are eight bytes. */
static void test_integers_move(void **state) {
  (void)state;
  at_graph *g = new_graph();
  at_val ids = at_graph_input(g, "ids", AT_I32, AT_SHAPE(2, 3));
  at_val y = at_permute(g, at_slice(g, ids, 1, 1, 2), (int[]){1, 0}); /* 2 2 */
  y = at_join(g, at_place(g, y, 0, 1, 3), at_broadcast(g, at_reshape(g, y, AT_SHAPE(1, 4)), AT_SHAPE(3, 4)), 1);
  int32_t out[18];
  run_values(g, &y, 1, NULL, (const void *[]){(int32_t[]){1, 2, 3, -4, -5, -6}}, 1, (void *[]){out});
  assert_memory_equal(out, ((int32_t[]){0, 0, 2, -5, 3, -6, 2, -5, 2, -5, 3, -6, 3, -6, 2, -5, 3, -6}), sizeof out);
  at_val x = par(g, "x", AT_SHAPE(2, 3));
  assert_int_equal(at_add(g, x, ids), AT_NONE);
  assert_fails(AT_ERR_ARG, "input 1 is i32", at_graph_status(g));
  at_graph_destroy(g);
}

/* --- dropout --------------------------------------------------------------------------------------------------------- */

static void test_dropout(void **state) {
  (void)state;
  enum { COUNT = 10003, SITE = 5 };
  const double p = 0.3;
  at_graph *g = new_graph();
  at_val key = at_graph_input(g, "key", AT_I32, AT_SHAPE(AT_KEY_WORDS)), x = par(g, "x", AT_SHAPE(COUNT));
  at_val y = at_dropout(g, x, key, p, SITE), other = at_dropout(g, x, key, p, SITE + 1);
  assert_int_equal(at_dropout(g, x, key, 0, SITE), x);
  static double theta[COUNT], value[COUNT], grad[COUNT], elsewhere[COUNT];
  for (int i = 0; i < COUNT; i++) {
    theta[i] = 1 + i;
  }
  const at_stream s = {
      .seed = 0x123456789abcdefu, .purpose = AT_RNG_DROPOUT, .client = 1ull << 40, .round = 7, .step = 3};
  int32_t words[AT_KEY_WORDS];
  at_dropout_key(s.seed, s.client, s.round, s.step, words);
  run_values(g, (at_val[]){y, slope(g, y, x), other}, 3, theta, (const void *[]){words}, 1,
             (void *[]){value, grad, elsewhere});
  int kept = 0, same = 0;
  for (int i = 0; i < COUNT; i++) {
    uint64_t block[4];
    at_rng_tagged_block(&s, 1 + SITE, (uint64_t)i / 8, block);
    uint32_t word = (uint32_t)(block[i % 8 / 2] >> 32 * (i % 2));
    double mask = (double)word * 0x1p-32 < p ? 0 : 1 / (1 - p);
    assert_true(value[i] == theta[i] * mask && grad[i] == mask);
    kept += mask != 0;
    same += (elsewhere[i] != 0) == (mask != 0);
  }
  assert_true(fabs(kept - (1 - p) * COUNT) < 4 * sqrt(COUNT * p * (1 - p)));
  assert_true(fabs(same - (p * p + (1 - p) * (1 - p)) * COUNT) < 4 * sqrt(COUNT * 0.25)); /* sites are independent */
  at_graph_destroy(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_list),
                                     cmocka_unit_test(test_stop_gradient),
                                     cmocka_unit_test(test_straight_through),
                                     cmocka_unit_test(test_indices),
                                     cmocka_unit_test(test_casts),
                                     cmocka_unit_test(test_hits),
                                     cmocka_unit_test(test_integers_move),
                                     cmocka_unit_test(test_dropout)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
