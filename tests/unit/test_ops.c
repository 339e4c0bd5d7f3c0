/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of operations by their formulas, written otherwise than in the kernels; refusals; in f64. */
#include <math.h>

#include "src/graph/losses.h"
#include "src/graph/unroll.h"
#include "tests/unit/graph_run.h"

static at_graph *new_graph(void) {
  at_graph *g;
  assert_ok(at_graph_create(&g, AT_F64));
  return g;
}

static at_val par(at_graph *g, const char *name, at_shape s) {
  return at_graph_param(g, name, s, (at_init){.kind = AT_INIT_NORMAL, .sd = 1});
}

static void assert_near(double got, double want) {
  if (!(fabs(got - want) <= 1e-12 * (1 + fabs(want)))) {
    fail_msg("%.17g, not %.17g", got, want);
  }
}

/* Every product of an input with a weight is added where it belongs. */
static void test_conv2d(void **state) {
  (void)state;
  enum { N = 2, H = 5, W = 4, IC = 4, OC = 6, KH = 3, KW = 2, SH = 2, SW = 1, PH = 1, PW = 1, GROUPS = 2 };
  enum { OH = (H + 2 * PH - KH) / SH + 1, OW = (W + 2 * PW - KW) / SW + 1, Y = N * OH * OW * OC };
  at_graph *g = new_graph();
  at_val x = par(g, "x", AT_SHAPE(N, H, W, IC)), w = par(g, "w", AT_SHAPE(KH, KW, IC / GROUPS, OC));
  at_val y = at_conv2d(g, x, w, (at_window2d){.stride = {SH, SW}, .pad = {PH, PW}}, GROUPS);
  assert_true(at_shape_equal(at_graph_shape(g, y), AT_SHAPE(N, OH, OW, OC)));
  double *theta = random_params(g, 1), *weight = theta + N * H * W * IC, got[Y], want[Y] = {0};
  for (int i = 0; i < N * H * W * IC; i++) {
    int c = i % IC, column = i / IC % W, row = i / IC / W % H, n = i / (IC * W * H), group = c / (IC / GROUPS);
    for (int oy = 0; oy < OH; oy++) {
      for (int ox = 0; ox < OW; ox++) {
        int ky = row + PH - oy * SH, kx = column + PW - ox * SW;
        for (int o = group * OC / GROUPS; ky >= 0 && ky < KH && kx >= 0 && kx < KW && o < (group + 1) * OC / GROUPS;
             o++) {
          want[((n * OH + oy) * OW + ox) * OC + o] +=
              theta[i] * weight[((ky * KW + kx) * (IC / GROUPS) + c % (IC / GROUPS)) * OC + o];
        }
      }
    }
  }
  run_values(g, &y, 1, theta, NULL, 0, (void *[]){got});
  for (int i = 0; i < Y; i++) {
    assert_near(got[i], want[i]);
  }
  at_free(theta);
  at_graph_destroy(g);
}

static void test_conv2d_refusals(void **state) {
  (void)state;
  static const struct {
    at_shape x, w;
    int64_t stride, groups;
  } bad[] = {{AT_SHAPE(1, 4, 4, 3), AT_SHAPE(3, 3, 2, 4), 1, 1},
             {AT_SHAPE(1, 4, 4, 4), AT_SHAPE(3, 3, 2, 3), 1, 2},
             {AT_SHAPE(1, 4, 4, 3), AT_SHAPE(3, 3, 3, 4), 0, 1},
             {AT_SHAPE(4, 4, 3), AT_SHAPE(3, 3, 3, 4), 1, 1}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    at_graph *g = new_graph();
    at_val x = par(g, "x", bad[i].x), w = par(g, "w", bad[i].w);
    at_window2d v = {.stride = {bad[i].stride, 1}};
    assert_int_equal(at_conv2d(g, x, w, v, bad[i].groups), AT_NONE);
    assert_fails(AT_ERR_ARG, "conv2d", at_graph_status(g));
    at_graph_destroy(g);
  }
}

/* Windows that leave the image: what is outside is no candidate, and counts only if asked. */
static void test_pooling(void **state) {
  (void)state;
  at_graph *g = new_graph();
  at_val x = par(g, "x", AT_SHAPE(1, 2, 3, 1));
  at_window2d v = {.kernel = {2, 2}, .stride = {2, 2}, .pad = {1, 1}}; /* corners and pairs */
  at_val y[5] = {at_maxpool(g, x, v), at_avgpool(g, x, v, false), at_avgpool(g, x, v, true), at_avgpool_to(g, x, 1, 2),
                 at_maxpool_to(g, x, 1, 2)};
  double theta[6] = {-1, -2, -3, -4, -5, -6}, out[5][4];
  run_values(g, y, 5, theta, NULL, 0, (void *[]){out[0], out[1], out[2], out[3], out[4]});
  static const double want[5][4] = {
      {-1, -2, -4, -5}, {-1, -2.5, -4, -5.5}, {-0.25, -1.25, -1, -2.75}, {-3, -4}, {-1, -2}};
  for (int k = 0; k < 5; k++) {
    for (int i = 0; i < (k < 3 ? 4 : 2); i++) {
      assert_near(out[k][i], want[k][i]);
    }
  }
  assert_int_equal(at_maxpool(g, x, (at_window2d){.kernel = {2, 2}, .stride = {1, 1}, .pad = {2, 2}}), AT_NONE);
  at_graph_destroy(g);
}

/* Padded attention on a short sequence is attention on the sequence alone; what lies behind it changes nothing. */
static void test_padded_attention(void **state) {
  (void)state;
  enum { T = 5, SHORT = 3, D = 8 };
  at_graph *g = new_graph();
  at_val length = at_graph_input(g, "length", AT_I32, AT_SHAPE(2)), qkv = par(g, "qkv", AT_SHAPE(2, T, 3 * D));
  at_val padded = at_attention_padded(g, qkv, length, 2, 2, false);
  at_val first = at_slice(g, at_slice(g, qkv, 0, 0, 1), 1, 0, SHORT);
  at_val y[3] = {at_slice(g, at_slice(g, padded, 0, 0, 1), 1, 0, SHORT), at_attention(g, first, 2, 2, false),
                 at_sub(g, at_slice(g, padded, 0, 1, 1), at_slice(g, at_attention(g, qkv, 2, 2, false), 0, 1, 1))};
  double *theta = random_params(g, 1), out[3][T * D];
  const int32_t lengths[2] = {SHORT, T};
  run_values(g, y, 3, theta, (const void *[]){lengths}, 1, (void *[]){out[0], out[1], out[2]});
  for (int i = 0; i < SHORT * D; i++) {
    assert_near(out[0][i], out[1][i]);
  }
  for (int i = 0; i < T * D; i++) {
    assert_near(out[2][i], 0);
  }
  at_free(theta);
  at_graph_destroy(g);
}

static void test_losses(void **state) {
  (void)state;
  enum { ROWS = 4, V = 3 };
  at_graph *g = new_graph();
  at_val target = at_graph_input(g, "target", AT_I32, AT_SHAPE(ROWS));
  at_val x = par(g, "x", AT_SHAPE(ROWS, V)), z = par(g, "z", AT_SHAPE(ROWS, V));
  at_val y[6] = {at_cross_entropy_rows(g, x, target),
                 at_cross_entropy_smooth(g, x, target, 0.2, 0.5),
                 at_cross_entropy_soft(g, x, at_softmax(g, z), 2),
                 at_kl(g, z, x, 3, 0.25),
                 at_mse(g, x, z),
                 at_l1(g, x, z)};
  const int32_t classes[ROWS] = {2, -1, 0, V}; /* the second and the last are skipped */
  double *theta = random_params(g, 1), rows[ROWS], out[5], want[5] = {0};
  run_values(g, y, 6, theta, (const void *[]){classes}, 1,
             (void *[]){rows, &out[0], &out[1], &out[2], &out[3], &out[4]});
  for (int r = 0; r < ROWS; r++) {
    const double *u = theta + r * V, *t = theta + (ROWS + r) * V;
    double nu = 0, nt = 0, nu3 = 0, nt3 = 0;
    for (int c = 0; c < V; c++) {
      nu += exp(u[c]);
      nt += exp(t[c]);
      nu3 += exp(u[c] / 3);
      nt3 += exp(t[c] / 3);
    }
    bool in = classes[r] >= 0 && classes[r] < V;
    assert_near(rows[r], in ? log(nu) - u[classes[r]] : 0);
    for (int c = 0; c < V; c++) {
      double goal = (c == classes[r] ? 0.8 : 0) + 0.2 / V;
      want[0] += in ? 0.5 * goal * (log(nu) - u[c]) : 0;
      want[1] += 2 * exp(t[c]) / nt * (log(nu) - u[c]);
      want[2] += 0.25 * 9 * exp(t[c] / 3) / nt3 * (t[c] / 3 - log(nt3) - u[c] / 3 + log(nu3));
      want[3] += (u[c] - t[c]) * (u[c] - t[c]) / (ROWS * V);
      want[4] += fabs(u[c] - t[c]) / (ROWS * V);
    }
  }
  for (int k = 0; k < 5; k++) {
    assert_near(out[k], want[k]);
  }
  at_free(theta);
  at_graph_destroy(g);
}

/* A choice is no product: infinity and NaN on the side not taken stay out of the value and of the derivative. */
static void test_where_guards(void **state) {
  (void)state;
  at_graph *g = new_graph();
  at_val x = par(g, "x", AT_SHAPE(3)), zero = at_graph_const(g, 0, AT_SCALAR), one = at_graph_const(g, 1, AT_SCALAR);
  at_val good = at_less(g, zero, x), safe = at_where(g, good, x, one);
  at_val y = at_where(g, good, at_ln(g, safe), at_recip(g, zero)), sum = at_sum_all(g, at_where(g, good, y, zero)), dx;
  assert_ok(at_graph_vjp(g, &sum, NULL, 1, &x, 1, &dx));
  double theta[3] = {2, -1, 0}, value[3], grad[3];
  run_values(g, (at_val[]){y, dx}, 2, theta, NULL, 0, (void *[]){value, grad});
  assert_near(value[0], log(2));
  assert_true(isinf(value[1]) && isinf(value[2]));
  assert_near(grad[0], 0.5);
  assert_true(grad[1] == 0 && grad[2] == 0);
  at_graph_destroy(g);
}

/* A product over leading axes of which either operand may lack some. */
static void test_broadcast_product(void **state) {
  (void)state;
  enum { M = 2, K = 3, N = 2 };
  at_graph *g = new_graph();
  at_val a = par(g, "a", AT_SHAPE(2, 1, M, K)), b = par(g, "b", AT_SHAPE(3, N, K));
  at_val y = at_matmul(g, a, b, false, true);
  assert_true(at_shape_equal(at_graph_shape(g, y), AT_SHAPE(2, 3, M, N)));
  double *theta = random_params(g, 1), *tb = theta + 2 * M * K, got[2 * 3 * M * N];
  run_values(g, &y, 1, theta, NULL, 0, (void *[]){got});
  for (int i = 0; i < 2 * 3 * M * N; i++) {
    int n = i % N, m = i / N % M, q = i / (M * N) % 3, p = i / (3 * M * N);
    double want = 0;
    for (int k = 0; k < K; k++) {
      want += theta[(p * M + m) * K + k] * tb[(q * N + n) * K + k];
    }
    assert_near(got[i], want);
  }
  at_free(theta);
  at_graph_destroy(g);
}

/* Equal constants are one value, so that differentiating twice adds nothing the second time. */
static void test_equal_nodes_are_one(void **state) {
  (void)state;
  at_graph *g = new_graph();
  at_val x = par(g, "x", AT_SHAPE(4)), loss = at_sum_all(g, at_square(g, at_relu(g, x))), d[2];
  assert_int_equal(at_graph_const(g, 2, AT_SHAPE(4)), at_graph_const(g, 2, AT_SHAPE(4)));
  assert_int_not_equal(at_graph_const(g, 2, AT_SHAPE(4)), at_graph_const(g, 2, AT_SHAPE(2, 2)));
  assert_ok(at_graph_vjp(g, &loss, NULL, 1, &x, 1, &d[0]));
  int nodes = at_graph_node_count(g);
  assert_ok(at_graph_vjp(g, &loss, NULL, 1, &x, 1, &d[1]));
  assert_int_equal(d[0], d[1]);
  assert_int_equal(at_graph_node_count(g), nodes);
  at_graph_destroy(g);
}

/* Substitution shares what does not depend on the replaced value, and hands state from step to step. */
static void test_substitution(void **state) {
  (void)state;
  at_graph *g = new_graph();
  at_val x = par(g, "x", AT_SCALAR), c = par(g, "c", AT_SCALAR), shared = at_exp(g, c);
  at_val y = at_mul(g, at_square(g, x), shared), again[2];
  assert_ok(at_graph_substitute(g, &x, &c, 1, (at_val[]){y, shared}, 2, again));
  assert_int_equal(again[1], shared);
  assert_fails(AT_ERR_ARG, "substitute",
               at_graph_substitute(g, &x, (at_val[]){par(g, "v", AT_SHAPE(2))}, 1, &y, 1, again));

  /* gradient descent with momentum: v <- 0.5 v + grad, carried; the step is taken along the old v */
  at_graph *h = new_graph();
  at_val w = par(h, "w", AT_SCALAR), v = par(h, "v", AT_SCALAR), loss = at_square(h, w), grad;
  assert_ok(at_graph_vjp(h, &loss, NULL, 1, &w, 1, &grad));
  at_val next = at_add(h, at_affine(h, v, 0.5, 0), grad), lr = at_graph_const(h, 0.1, AT_SCALAR), end[2], losses[3];
  at_unroll u = {.loss = loss, .theta = &w, .lr = &lr, .n = 1, .steps = 3, .carry = &v, .next = &next, .n_carry = 1};
  assert_ok(at_graph_unroll(h, &u, &end[0], &end[1], losses));
  double theta[2] = {3, 1}, out[5], tw = 3, tv = 1;
  run_values(h, (at_val[]){end[0], end[1], losses[0], losses[1], losses[2]}, 5, theta, NULL, 0,
             (void *[]){&out[0], &out[1], &out[2], &out[3], &out[4]});
  for (int s = 0; s < 3; s++) {
    assert_near(out[2 + s], tw * tw);
    tv = 0.5 * tv + 2 * tw;
    tw -= 0.1 * 2 * tw;
  }
  assert_near(out[0], tw);
  assert_near(out[1], tv);
  at_graph_destroy(g);
  at_graph_destroy(h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conv2d),
      cmocka_unit_test(test_conv2d_refusals),
      cmocka_unit_test(test_pooling),
      cmocka_unit_test(test_padded_attention),
      cmocka_unit_test(test_losses),
      cmocka_unit_test(test_where_guards),
      cmocka_unit_test(test_broadcast_product),
      cmocka_unit_test(test_equal_nodes_are_one),
      cmocka_unit_test(test_substitution),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
