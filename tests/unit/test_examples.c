/* SPDX-License-Identifier: BSD-3-Clause */
/* Per-example norms of layers of every kind against the gradient of each example's loss alone, in f64. */
#include "src/graph/examples.h"

#include <math.h>

#include "src/graph/losses.h"
#include "tests/unit/graph_run.h"

enum { EXAMPLES = 3, MAX_PARAMS = 16 };

static at_val par(at_graph *g, const char *name, at_shape s) {
  return at_graph_param(g, name, s, (at_init){.kind = AT_INIT_NORMAL, .sd = 1});
}

/* A loss per example [EXAMPLES] of values [EXAMPLES][..]: not linear, so that output gradients differ. */
static at_val losses(at_graph *g, at_val y) {
  at_val t = at_square(g, at_tanh(g, y));
  return at_sum(g, t, 1, at_graph_shape(g, t).nd);
}

/* The parameters are weights; what depends on examples is a state. */
static at_val data(at_graph *g, at_shape s) {
  return at_tanh(g, at_graph_state(g, "data", s, (at_init){.kind = AT_INIT_ONE}));
}

static at_val build_images(at_graph *g) {
  at_val x = data(g, AT_SHAPE(EXAMPLES, 6, 5, 2));
  /* many outputs per weight: the gradient of an example is formed */
  x = at_conv2d(g, x, par(g, "conv", AT_SHAPE(3, 3, 2, 4)), (at_window2d){.stride = {1, 1}, .pad = {1, 1}}, 1);
  x = at_relu(g, at_add(g, x, par(g, "conv bias", AT_SHAPE(4))));
  x = at_maxpool(g, x, (at_window2d){.kernel = {2, 2}, .stride = {2, 2}});
  /* few: products of rows are */
  x = at_conv2d(g, x, par(g, "conv 2", AT_SHAPE(2, 2, 4, 5)), (at_window2d){.stride = {2, 2}, .pad = {0, 0}}, 1);
  x = at_mul(g, x, par(g, "scale", AT_SHAPE(5)));
  return losses(g, at_linear(g, at_reshape(g, x, AT_SHAPE(EXAMPLES, 5)), par(g, "w", AT_SHAPE(5, 3)), AT_NONE));
}

static at_val build_sequences(at_graph *g) {
  at_val ids = at_graph_input(g, "ids", AT_I32, AT_SHAPE(EXAMPLES, 4));
  at_val x = at_embed(g, par(g, "table", AT_SHAPE(5, 3)), ids); /* ids repeat within an example */
  x = at_add(g, x, par(g, "positions", AT_SHAPE(4, 3)));
  x = at_layernorm(g, x, par(g, "gain", AT_SHAPE(3)), par(g, "bias", AT_SHAPE(3)), 1e-5);
  at_val w = par(g, "twice", AT_SHAPE(3, 3)); /* once as it is, once transposed */
  x = at_tanh(g, at_linear(g, x, w, par(g, "b", AT_SHAPE(3))));
  x = at_matmul(g, at_rmsnorm(g, x, par(g, "gain 2", AT_SHAPE(3)), 1e-5), w, false, true);
  at_val conv = par(g, "conv", AT_SHAPE(2, 3, 2)); /* reshaped before it is used */
  return losses(g, at_conv1d(g, x, conv, 1, 0, 1));
}

static void check_norms(at_val (*build)(at_graph *)) {
  at_graph *g;
  at_val wrt[MAX_PARAMS], norms, value[EXAMPLES + 1];
  assert_ok(at_graph_create(&g, AT_F64));
  at_val rows = build(g);
  int n = at_graph_params(g)->n;
  for (int i = 0; i < n; i++) {
    wrt[i] = at_graph_param_value(g, i);
  }
  assert_ok(at_example_norms(g, at_sum_all(g, rows), EXAMPLES, wrt, n, &norms));
  for (int e = 0; e < EXAMPLES; e++) {
    at_val grad[MAX_PARAMS], alone = at_sum_all(g, at_slice(g, rows, 0, e, 1));
    value[e] = at_graph_const(g, 0, AT_SCALAR);
    assert_ok(at_graph_vjp(g, &alone, NULL, 1, wrt, n, grad));
    for (int i = 0; i < n; i++) {
      assert_true(grad[i] != AT_NONE);
      value[e] = at_add(g, value[e], at_sum_all(g, at_square(g, grad[i])));
    }
  }
  value[EXAMPLES] = norms;

  static const int32_t ids[EXAMPLES * 4] = {1, 2, 1, 4, 0, 0, 0, 3, 2, 4, 3, 1};
  double *theta = random_params(g, 0.8), *state, one[EXAMPLES], all[EXAMPLES];
  int64_t states = at_graph_states(g)->count;
  assert_ok(at_alloc(&state, (size_t)states + 1, sizeof *state, "test"));
  for (int64_t i = 0; i < states; i++) {
    state[i] = sin(1.7 * (double)i);
  }
  static at_kernels kernels;
  at_kernels_init(&kernels, AT_ISA_REF);
  at_output outs[EXAMPLES + 1];
  at_bind b = {.param = theta, .state = state, .in = {ids}};
  for (int e = 0; e <= EXAMPLES; e++) {
    outs[e] = (at_output){.value = value[e], .slot = AT_SLOT_OUT, .index = e};
    b.out[e] = e < EXAMPLES ? &one[e] : all;
  }
  at_program *p;
  assert_ok(at_program_compile(&p, g, &kernels, outs, EXAMPLES + 1));
  assert_ok(at_alloc(&b.arena, at_program_arena_bytes(p), 1, "test"));
  at_program_run(p, &b, NULL, NULL);
  for (int e = 0; e < EXAMPLES; e++) {
    if (!(fabs(all[e] - one[e]) <= 1e-12 * one[e]) || !(one[e] > 0)) {
      fail_msg("example %d: %.15g, not %.15g", e, all[e], one[e]);
    }
  }
  at_program_destroy(p);
  at_graph_destroy(g);
  at_free(theta);
  at_free(state);
  at_free(b.arena);
}

static void test_images(void **state) {
  (void)state;
  check_norms(build_images);
}

static void test_sequences(void **state) {
  (void)state;
  check_norms(build_sequences);
}

/* What cannot be taken apart is refused by name. */
static void test_refusals(void **state) {
  (void)state;
  at_graph *g;
  at_val norms;
  assert_ok(at_graph_create(&g, AT_F64));
  at_val x = data(g, AT_SHAPE(EXAMPLES, 4)), w = par(g, "w", AT_SHAPE(4, 4)), column = par(g, "c", AT_SHAPE(4, 1));
  at_val odd = at_sum_all(g, at_linear(g, x, at_exp(g, w), AT_NONE));
  assert_fails(AT_ERR_ARG, "used by exp", at_example_norms(g, odd, EXAMPLES, &w, 1, &norms));
  at_val shared = at_sum_all(g, at_mul(g, at_matmul(g, w, column, false, false), column));
  assert_fails(AT_ERR_ARG, "used by matmul", at_example_norms(g, shared, EXAMPLES, &column, 1, &norms));
  at_val none = at_sum_all(g, x);
  assert_ok(at_example_norms(g, none, EXAMPLES, &w, 1, &norms)); /* no dependence: zeros */
  assert_true(at_shape_equal(at_graph_shape(g, norms), AT_SHAPE(EXAMPLES)));
  at_graph_destroy(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_images), cmocka_unit_test(test_sequences),
                                     cmocka_unit_test(test_refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
