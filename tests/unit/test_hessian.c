/* SPDX-License-Identifier: BSD-3-Clause */
/* Hessian- and Jacobian-vector products, per-example norms, implicit hypergradients and second-order MAML against explicit
 * matrices made of hyper-dual numbers, in f64. */
#include "src/graph/hessian.h"

#include "src/graph/examples.h"
#include "src/graph/losses.h"
#include "src/graph/unroll.h"
#include "tests/unit/graph_run.h"
#include "tests/unit/hyperdual.h"

/* --- a net of 30 weights: 4 inputs, 4 tanh units, 2 outputs; training examples weighted, weights decayed -------------------- */

enum { IN = 4, HID = 4, OUT = 2, TRAIN = 10, VAL = 6, N = 30, HYPER = TRAIN + 1, ALL = N + HYPER };
static double data_x[TRAIN + VAL][IN], data_y[TRAIN + VAL][OUT];

static void make_data(void) {
  for (int e = 0; e < TRAIN + VAL; e++) {
    for (int i = 0; i < IN; i++) {
      data_x[e][i] = sin(1.3 * e + 2.1 * i + 0.4);
    }
    data_y[e][0] = data_x[e][0] * data_x[e][1];
    data_y[e][1] = cos(e + data_x[e][2]);
  }
}

/* The squared error of one example; theta: w1 [4][4], b1 [4], w2 [4][2], b2 [2]. */
static hd example_loss(const hd *theta, int e) {
  const hd *w1 = theta, *b1 = w1 + IN * HID, *w2 = b1 + HID, *b2 = w2 + HID * OUT;
  hd h[HID], loss = hd_of(0);
  for (int j = 0; j < HID; j++) {
    h[j] = b1[j];
    for (int i = 0; i < IN; i++) {
      h[j] = hd_add(h[j], hd_scale(w1[i * HID + j], data_x[e][i]));
    }
    h[j] = hd_tanh(h[j]);
  }
  for (int o = 0; o < OUT; o++) {
    hd y = b2[o];
    for (int j = 0; j < HID; j++) {
      y = hd_add(y, hd_mul(h[j], w2[j * OUT + o]));
    }
    y = hd_add(y, hd_of(-data_y[e][o]));
    loss = hd_add(loss, hd_mul(y, y));
  }
  return loss;
}

static hd squares(const hd *theta) {
  hd sum = hd_of(0);
  for (int i = 0; i < N; i++) {
    sum = hd_add(sum, hd_mul(theta[i], theta[i]));
  }
  return sum;
}

/* x: theta, then the weights' logits, then the logarithm of the decay. */
static hd train_loss(const hd *x, const void *context) {
  (void)context;
  hd sum = hd_mul(hd_exp(x[ALL - 1]), squares(x));
  for (int e = 0; e < TRAIN; e++) {
    sum = hd_add(sum, hd_mul(hd_sigmoid(x[N + e]), example_loss(x, e)));
  }
  return sum;
}

static hd outer_loss(const hd *x, const void *context) {
  (void)context;
  hd sum = hd_scale(hd_mul(hd_exp(x[ALL - 1]), squares(x)), 0.3);
  for (int e = TRAIN; e < TRAIN + VAL; e++) {
    sum = hd_add(sum, example_loss(x, e));
  }
  return sum;
}

/* The same in a graph. */
typedef struct net {
  at_graph *g;
  at_val theta[4], hyper[2], rows, train, outer; /* rows: the training examples' losses */
  double *x;                                     /* the parameters: theta, then hyper */
} net;
static const int64_t theta_count[4] = {IN * HID, HID, HID *OUT, OUT}, hyper_count[2] = {TRAIN, 1};

/* A table of numbers as a value of the graph. */
static at_val table(at_graph *g, int rows, int columns, const double *v) {
  at_val sum = at_graph_const(g, 0, AT_SHAPE(rows, columns));
  for (int i = 0; i < rows * columns; i++) {
    at_val one = at_reshape(g, at_graph_const(g, v[i], AT_SCALAR), AT_SHAPE(1, 1));
    sum = at_add(g, sum, at_place(g, at_place(g, one, 1, i % columns, columns), 0, i / columns, rows));
  }
  return sum;
}

static at_val losses_of(net *n, int first, int count) {
  at_val x = table(n->g, count, IN, data_x[first]), y = table(n->g, count, OUT, data_y[first]);
  at_val h = at_tanh(n->g, at_linear(n->g, x, n->theta[0], n->theta[1]));
  at_val d = at_sub(n->g, at_linear(n->g, h, n->theta[2], n->theta[3]), y);
  return at_sum(n->g, at_square(n->g, d), 1, 2);
}

static net make_net(void) {
  net n;
  make_data();
  assert_ok(at_graph_create(&n.g, AT_F64));
  at_init init = {.kind = AT_INIT_NORMAL, .sd = 1};
  n.theta[0] = at_graph_param(n.g, "w1", AT_SHAPE(IN, HID), init);
  n.theta[1] = at_graph_param(n.g, "b1", AT_SHAPE(HID), init);
  n.theta[2] = at_graph_param(n.g, "w2", AT_SHAPE(HID, OUT), init);
  n.theta[3] = at_graph_param(n.g, "b2", AT_SHAPE(OUT), init);
  n.hyper[0] = at_graph_param(n.g, "example weights", AT_SHAPE(TRAIN), init);
  n.hyper[1] = at_graph_param(n.g, "decay", AT_SCALAR, init);
  at_val decay = at_mul(n.g, at_exp(n.g, n.hyper[1]), at_graph_dot(n.g, n.theta, n.theta, 4));
  n.rows = losses_of(&n, 0, TRAIN);
  n.train = at_add(n.g, at_sum_all(n.g, at_mul(n.g, n.rows, at_sigmoid(n.g, n.hyper[0]))), decay);
  n.outer = at_add(n.g, at_sum_all(n.g, losses_of(&n, TRAIN, VAL)), at_affine(n.g, decay, 0.3, 0));
  n.x = random_params(n.g, 0.7);
  assert_int_equal(at_graph_params(n.g)->count, ALL);
  return n;
}

static void free_net(net *n) {
  at_graph_destroy(n->g);
  at_free(n->x);
}

static void assert_close(const char *what, int n, const double *got, const double *want) {
  double norm = 0, off = 0;
  for (int i = 0; i < n; i++) {
    norm += want[i] * want[i];
    off += (got[i] - want[i]) * (got[i] - want[i]);
  }
  if (!(sqrt(off) <= 1e-8 * sqrt(norm)) || norm == 0) {
    fail_msg("%s: off by %.2e of a norm of %.2e", what, sqrt(off), sqrt(norm));
  }
}

/* result = M v */
static void times(int n, int m, const double *matrix, int stride, const double *v, double *result) {
  for (int i = 0; i < n; i++) {
    result[i] = 0;
    for (int j = 0; j < m; j++) {
      result[i] += matrix[i * stride + j] * v[j];
    }
  }
}

/* A fixed direction as values of the graph. */
static void direction(at_graph *g, const at_val *like, int n, at_val *v, double *numbers) {
  int at = 0;
  for (int i = 0; i < n; i++) {
    at_shape s = at_graph_shape(g, like[i]);
    int64_t count = at_shape_count(s);
    for (int64_t k = 0; k < count; k++) {
      numbers[at + k] = cos(0.7 * (double)(at + k) + 0.2);
    }
    v[i] = at_reshape(g, table(g, 1, (int)count, numbers + at), s);
    at += (int)count;
  }
}

static void test_hvp(void **state) {
  (void)state;
  net n = make_net();
  at_val v[4], hv[4];
  double numbers[N], got[N], want[N], grad[ALL], hessian[ALL * ALL];
  direction(n.g, n.theta, 4, v, numbers);
  assert_ok(at_graph_hvp(n.g, n.train, n.theta, v, 4, hv));
  run_list(n.g, hv, theta_count, 4, n.x, got);
  hd_explicit(train_loss, NULL, ALL, n.x, grad, hessian);
  times(N, N, hessian, ALL, numbers, want);
  assert_close("Hessian-vector product", N, got, want);
  free_net(&n);
}

static hd loss_of_example(const hd *x, const void *context) {
  return example_loss(x, *(const int *)context);
}

/* Inner products and norms of per-example gradients, from the vector of losses. */
static void test_examples(void **state) {
  (void)state;
  net n = make_net();
  at_val v[4], dots, norms;
  double numbers[N], got[2 * TRAIN], want[2 * TRAIN], grad[N];
  const int64_t count[2] = {TRAIN, TRAIN};
  direction(n.g, n.theta, 4, v, numbers);
  assert_ok(at_graph_jvp(n.g, &n.rows, 1, n.theta, v, 4, &dots));
  assert_ok(at_example_norms(n.g, at_sum_all(n.g, n.rows), TRAIN, n.theta, 4, &norms));
  run_list(n.g, (at_val[]){dots, norms}, count, 2, n.x, got);
  for (int e = 0; e < TRAIN; e++) {
    hd_explicit(loss_of_example, &e, N, n.x, grad, NULL);
    times(1, N, grad, N, numbers, &want[e]);
    times(1, N, grad, N, grad, &want[TRAIN + e]);
  }
  assert_close("inner products", TRAIN, got, want);
  assert_close("squared norms", TRAIN, got + TRAIN, want + TRAIN);
  free_net(&n);
}

/* --- hypergradients ------------------------------------------------------------------------------------------------------- */

static void explicit_inverse(const at_implicit *s, const double *hessian, const double *q, double *p) {
  if (s->inverse == AT_INVERSE_CG) {
    static double h[N * N];
    for (int i = 0; i < N; i++) {
      for (int j = 0; j < N; j++) {
        h[i * N + j] = hessian[i * ALL + j] + (i == j ? s->damping : 0);
      }
      p[i] = q[i];
    }
    solve_explicit(N, h, p);
    return;
  }
  double v[N], hv[N];
  memcpy(v, q, sizeof v);
  memcpy(p, q, sizeof v);
  for (int k = 0; k < s->steps; k++) {
    times(N, N, hessian, ALL, v, hv);
    for (int i = 0; i < N; i++) {
      v[i] -= s->alpha * hv[i];
      p[i] += v[i];
    }
  }
  for (int i = 0; i < N && !s->unscaled; i++) {
    p[i] *= s->alpha;
  }
}

static void check_implicit(at_implicit s, const char *what) {
  net n = make_net();
  at_val grad[2], direct[2];
  double got[HYPER], got_direct[HYPER], want[HYPER], q[ALL], g[ALL], p[N];
  static double hessian[ALL * ALL];
  s.train = n.train;
  s.outer = n.outer;
  s.theta = n.theta;
  s.n_theta = 4;
  s.hyper = n.hyper;
  s.n_hyper = 2;
  assert_ok(at_graph_implicit(n.g, &s, grad, direct));
  run_list(n.g, grad, hyper_count, 2, n.x, got);
  run_list(n.g, direct, hyper_count, 2, n.x, got_direct);
  hd_explicit(train_loss, NULL, ALL, n.x, g, hessian);
  hd_explicit(outer_loss, NULL, ALL, n.x, q, NULL);
  explicit_inverse(&s, hessian, q, p);
  times(HYPER, N, hessian + N * ALL, ALL, p, want);
  for (int j = 0; j < HYPER; j++) {
    want[j] = q[N + j] - want[j];
  }
  assert_close(what, HYPER, got, want);
  assert_close("direct part", HYPER, got_direct, q + N);
  free_net(&n);
}

static void test_neumann(void **state) {
  (void)state;
  check_implicit((at_implicit){.inverse = AT_INVERSE_NEUMANN, .steps = 3, .alpha = 0.1}, "three Neumann terms");
  check_implicit((at_implicit){.inverse = AT_INVERSE_NEUMANN, .steps = 3, .alpha = 0.1, .unscaled = true},
                 "three unscaled Neumann terms");
}

static void test_conjugate_gradients(void **state) {
  (void)state;
  check_implicit((at_implicit){.inverse = AT_INVERSE_CG, .steps = 80, .damping = 2.0}, "conjugate gradients");
}

/* Solved exactly after one step, the rest must change nothing (and divide nothing by zero). */
static void test_solved_system_stays(void **state) {
  (void)state;
  at_graph *g;
  assert_ok(at_graph_create(&g, AT_F64));
  at_val x = at_graph_param(g, "x", AT_SHAPE(3), (at_init){.kind = AT_INIT_ONE}), p;
  at_val q = at_graph_const(g, 3, AT_SHAPE(3));
  assert_ok(at_graph_cg(g, at_sum_all(g, at_square(g, x)), &x, &q, 1, 5, 0.5, &p));
  double theta[3] = {1, 2, 3}, got[3];
  run_list(g, &p, (int64_t[]){3}, 1, theta, got);
  for (int i = 0; i < 3; i++) {
    assert_true(fabs(got[i] - 3 / 2.5) < 1e-15);
  }
  at_graph_destroy(g);
}

/* --- MAML: sinusoid regression, two inner steps, a rate per tensor ------------------------------------------------------------ */

enum { WIDTH = 4, SHOTS = 5, STEPS = 2, M = 2 * WIDTH + WIDTH * WIDTH + 2 * WIDTH + 1, TENSORS = 6 };
static const int64_t maml_count[TENSORS] = {WIDTH, WIDTH, WIDTH *WIDTH, WIDTH, WIDTH, 1};

/* Point `i` of the task; the second half is the query set. */
static double task_x(int i) {
  return -4 + 0.83 * i;
}
static double task_y(int i) {
  return 1.7 * sin(task_x(i) + 0.6);
}

static hd sinusoid_loss(const hd *theta, const void *context) {
  int first = *(const int *)context;
  const hd *w1 = theta, *b1 = w1 + WIDTH, *w2 = b1 + WIDTH, *b2 = w2 + WIDTH * WIDTH, *w3 = b2 + WIDTH;
  hd sum = hd_of(0);
  for (int i = first; i < first + SHOTS; i++) {
    hd y = w3[WIDTH], h[WIDTH];
    for (int j = 0; j < WIDTH; j++) {
      h[j] = hd_tanh(hd_add(hd_scale(w1[j], task_x(i)), b1[j]));
    }
    for (int k = 0; k < WIDTH; k++) {
      hd z = b2[k];
      for (int j = 0; j < WIDTH; j++) {
        z = hd_add(z, hd_mul(h[j], w2[j * WIDTH + k]));
      }
      y = hd_add(y, hd_mul(hd_tanh(z), w3[k]));
    }
    y = hd_add(y, hd_of(-task_y(i)));
    sum = hd_add(sum, hd_scale(hd_mul(y, y), 1.0 / SHOTS));
  }
  return sum;
}

/* grad[M + TENSORS]: of the query loss after the steps, in the start and in the rates; by explicit matrices. */
static void maml_explicit(const double *start, const double *rate, bool first_order, double *grad) {
  static double theta[STEPS + 1][M], slope[STEPS][M], hessian[STEPS][M * M];
  double lr[M], v[M], hv[M];
  for (int t = 0, i = 0; t < TENSORS; t++) {
    for (int64_t k = 0; k < maml_count[t]; k++, i++) {
      lr[i] = rate[t];
    }
  }
  memcpy(theta[0], start, sizeof theta[0]);
  for (int s = 0; s < STEPS; s++) {
    hd_explicit(sinusoid_loss, &(int){0}, M, theta[s], slope[s], hessian[s]);
    for (int i = 0; i < M; i++) {
      theta[s + 1][i] = theta[s][i] - lr[i] * slope[s][i];
    }
  }
  hd_explicit(sinusoid_loss, &(int){SHOTS}, M, theta[STEPS], v, NULL);
  memset(grad + M, 0, TENSORS * sizeof *grad);
  for (int s = STEPS - 1; s >= 0; s--) {
    for (int t = 0, i = 0; t < TENSORS; t++) {
      for (int64_t k = 0; k < maml_count[t]; k++, i++) {
        grad[M + t] -= slope[s][i] * v[i];
        hv[i] = lr[i] * v[i];
      }
    }
    double back[M];
    times(M, M, hessian[s], M, hv, back);
    for (int i = 0; i < M; i++) {
      v[i] -= first_order ? 0 : back[i];
    }
  }
  memcpy(grad, v, sizeof v);
}

static at_val sinusoid_graph(at_graph *g, const at_val *theta, int first) {
  double x[SHOTS], y[SHOTS];
  for (int i = 0; i < SHOTS; i++) {
    x[i] = task_x(first + i);
    y[i] = task_y(first + i);
  }
  at_val h = at_tanh(g, at_linear(g, table(g, SHOTS, 1, x), theta[0], theta[1]));
  h = at_tanh(g, at_linear(g, h, theta[2], theta[3]));
  return at_mse(g, at_linear(g, h, theta[4], theta[5]), table(g, SHOTS, 1, y));
}

static void check_maml(bool first_order) {
  static const char *const name[TENSORS] = {"w1", "b1", "w2", "b2", "w3", "b3"};
  const at_shape shape[TENSORS] = {AT_SHAPE(1, WIDTH), AT_SHAPE(WIDTH),    AT_SHAPE(WIDTH, WIDTH),
                                   AT_SHAPE(WIDTH),    AT_SHAPE(WIDTH, 1), AT_SHAPE(1)};
  const at_init init = {.kind = AT_INIT_NORMAL, .sd = 1};
  at_graph *g;
  at_val wrt[2 * TENSORS], *theta = wrt, *lr = wrt + TENSORS, end[TENSORS], grad[2 * TENSORS];
  int64_t count[2 * TENSORS];
  assert_ok(at_graph_create(&g, AT_F64));
  for (int t = 0; t < TENSORS; t++) {
    theta[t] = at_graph_param(g, name[t], shape[t], init);
    count[t] = maml_count[t];
    count[TENSORS + t] = 1;
  }
  for (int t = 0; t < TENSORS; t++) {
    char rate[24];
    snprintf(rate, sizeof rate, "rate %d", t);
    lr[t] = at_graph_param(g, rate, AT_SCALAR, init);
  }
  at_unroll u = {.loss = sinusoid_graph(g, theta, 0),
                 .theta = theta,
                 .lr = lr,
                 .n = TENSORS,
                 .steps = STEPS,
                 .first_order = first_order};
  at_val inner[STEPS];
  assert_ok(at_graph_unroll(g, &u, end, NULL, inner));
  at_val query = sinusoid_graph(g, end, SHOTS);
  assert_ok(at_graph_vjp(g, &query, NULL, 1, wrt, 2 * TENSORS, grad));

  double *x = random_params(g, 0.6), got[M + TENSORS], want[M + TENSORS];
  for (int t = 0; t < TENSORS; t++) {
    x[M + t] = 0.05 + 0.02 * t;
  }
  run_list(g, grad, count, 2 * TENSORS, x, got);
  maml_explicit(x, x + M, first_order, want);
  assert_close("meta-gradient in the start", M, got, want);
  assert_close("meta-gradient in the rates", TENSORS, got + M, want + M);
  at_graph_destroy(g);
  at_free(x);
}

static void test_maml(void **state) {
  (void)state;
  check_maml(false);
}

static void test_first_order_maml(void **state) {
  (void)state;
  check_maml(true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hvp),
      cmocka_unit_test(test_examples),
      cmocka_unit_test(test_neumann),
      cmocka_unit_test(test_conjugate_gradients),
      cmocka_unit_test(test_solved_system_stays),
      cmocka_unit_test(test_maml),
      cmocka_unit_test(test_first_order_maml),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
