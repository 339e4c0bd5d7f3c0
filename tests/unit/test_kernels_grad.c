/* SPDX-License-Identifier: BSD-3-Clause */
/* Derivative kernels against central differences of their forward kernels, all in f64.
 *
 * For L(x) = sum of w * forward(x) the derivative kernel, given dy = w, must give dL/dx for every element of every input.
 * Differences of fourth order with h = 2^-8 have errors of about h^4 and 1e-16/h: 1e-9 here; 1e-7 is asked for. */
#include "tests/unit/kernels_harness.h"

enum { MOST = 8192 };

static at_kernels ref;

/* A kernel pair on its own buffers. */
typedef struct pair {
  at_kcall fwd, bwd;
  at_kslot forward, backward;
  int64_t in_n[3]; /* elements of the forward inputs that are differentiated; the first ones of fwd.in */
  int64_t out_n;   /* of fwd.out[0] */
  const double *w; /* dy; for a scalar output the weight dloss */
  int grad_out[3]; /* which bwd.out holds the derivative by input i */
} pair;

static double objective(const pair *p) {
  ref.f64[p->forward](&p->fwd);
  const double *y = p->fwd.out[0];
  double sum = 0.0;
  for (int64_t i = 0; i < p->out_n; i++) {
    sum += p->w[i] * y[i];
  }
  return sum;
}

static double difference(const pair *p, double *x) {
  const double h = 0x1p-8, x0 = *x;
  double value[4];
  static const int step[4] = {1, -1, 2, -2};
  for (int i = 0; i < 4; i++) {
    *x = x0 + step[i] * h;
    value[i] = objective(p);
  }
  *x = x0;
  /* Richardson's combination would still leave h^4: halve the step and combine once more. */
  double half[4];
  for (int i = 0; i < 4; i++) {
    *x = x0 + step[i] * h / 2;
    half[i] = objective(p);
  }
  *x = x0;
  const double coarse = (8 * (value[0] - value[1]) - (value[2] - value[3])) / (12 * h);
  const double fine = (8 * (half[0] - half[1]) - (half[2] - half[3])) / (6 * h);
  return fine + (fine - coarse) / 15.0;
}

/* Error of each derivative tensor relative to its largest element. */
static void check_pair(const pair *p) {
  objective(p); /* the outputs that the derivative reads */
  ref.f64[p->backward](&p->bwd);
  for (int i = 0; i < 3 && p->in_n[i] > 0; i++) {
    const double *grad = p->bwd.out[p->grad_out[i]];
    double *x = (double *)(uintptr_t)p->fwd.in[i], scale = 0.0, worst = 0.0;
    for (int64_t j = 0; j < p->in_n[i]; j++) {
      worst = fmax(worst, fabs(difference(p, &x[j]) - grad[j]));
      scale = fmax(scale, fabs(grad[j]));
    }
    if (!(worst <= 1e-7 * scale)) {
      fail_msg("%s: derivative by input %d is off by %.3g of %.3g", at_kernel_name(p->backward), i, worst, scale);
    }
  }
}

/* Values for one input: stream `s` of the hash. */
static void fill(double *x, int64_t n, int s, double from, double to) {
  for (int64_t i = 0; i < n; i++) {
    x[i] = from + (to - from) * kt_uniform((uint64_t)(1000 + s), i);
  }
}

static void test_gelu_and_silu(void **state) {
  (void)state;
  enum { N = 201 };
  static double x[N], w[N], y[N], dx[N];
  static const at_kslot slots[2][2] = {{AT_K_gelu, AT_K_gelu_bwd}, {AT_K_silu, AT_K_silu_bwd}};
  fill(x, N, 0, -5, 5);
  fill(w, N, 1, -1, 1);
  for (int k = 0; k < 2; k++) {
    check_pair(&(pair){.fwd = {.in = {x}, .out = {y}, .dim = {N}},
                       .bwd = {.in = {x, w}, .out = {dx}, .dim = {N}},
                       .forward = slots[k][0],
                       .backward = slots[k][1],
                       .in_n = {N},
                       .out_n = N,
                       .w = w});
  }
}

static void test_norms(void **state) {
  (void)state;
  enum { R = 5, N = 13 };
  static double x[R * N], g[N], b[N], w[R * N], y[R * N], mean[R], rstd[R], dx[R * N], dg[N], db[N], scratch[2 * N];
  fill(x, R * N, 0, -2, 2);
  fill(g, N, 1, 0.5, 2);
  fill(b, N, 2, -1, 1);
  fill(w, R * N, 3, -1, 1);
  check_pair(&(pair){.fwd = {.in = {x, g, b}, .out = {y, mean, rstd}, .dim = {R, N}, .attr = {1e-5}},
                     .bwd = {.in = {x, g, mean, rstd, w}, .out = {dx, dg, db}, .scratch = scratch, .dim = {R, N}},
                     .forward = AT_K_layernorm,
                     .backward = AT_K_layernorm_bwd,
                     .in_n = {R * N, N, N},
                     .out_n = R * N,
                     .w = w,
                     .grad_out = {0, 1, 2}});
  check_pair(&(pair){.fwd = {.in = {x, g}, .out = {y, rstd}, .dim = {R, N}, .attr = {1e-5}},
                     .bwd = {.in = {x, g, rstd, w}, .out = {dx, dg}, .scratch = scratch, .dim = {R, N}},
                     .forward = AT_K_rmsnorm,
                     .backward = AT_K_rmsnorm_bwd,
                     .in_n = {R * N, N},
                     .out_n = R * N,
                     .w = w,
                     .grad_out = {0, 1}});
}

static void test_xent(void **state) {
  (void)state;
  enum { R = 6, V = 11 };
  static double x[R * V], loss, lse[R], dx[R * V];
  static const double dloss = 0.7;
  static const int32_t target[R] = {3, 0, -1, 10, 5, 5};
  fill(x, R * V, 0, -3, 3);
  check_pair(&(pair){.fwd = {.in = {x, target}, .out = {&loss, lse}, .dim = {R, V}, .attr = {0.2}},
                     .bwd = {.in = {x, target, lse, &dloss}, .out = {dx}, .dim = {R, V}, .attr = {0.2}},
                     .forward = AT_K_xent,
                     .backward = AT_K_xent_bwd,
                     .in_n = {R * V},
                     .out_n = 1,
                     .w = &dloss});
}

static void test_attention(void **state) {
  (void)state;
  enum { B = 2, T = 7, HQ = 4, HKV = 2, HD = 3, QKV = B * T * (HQ + 2 * HKV) * HD, O = B * T * HQ * HD };
  static double qkv[QKV], o[O], lse[B * HQ * T], w[O], dqkv[QKV], scratch[MOST];
  fill(qkv, QKV, 0, -1.5, 1.5);
  fill(w, O, 1, -1, 1);
  for (int causal = 0; causal < 2; causal++) {
    const at_kcall fwd = {
        .in = {qkv}, .out = {o, lse}, .scratch = scratch, .dim = {B, T, HQ, HKV, HD, causal}, .attr = {0.6}};
    at_kcall bwd = fwd;
    bwd.in[1] = o;
    bwd.in[2] = lse;
    bwd.in[3] = w;
    bwd.out[0] = dqkv;
    assert_true(at_kernel_scratch(AT_K_attention, fwd.dim, 8) <= sizeof scratch);
    assert_true(at_kernel_scratch(AT_K_attention_bwd, fwd.dim, 8) <= sizeof scratch);
    check_pair(&(pair){.fwd = fwd,
                       .bwd = bwd,
                       .forward = AT_K_attention,
                       .backward = AT_K_attention_bwd,
                       .in_n = {QKV},
                       .out_n = O,
                       .w = w});
  }
}

/* Turning back is the transpose of turning: <w, R x> = <R' w, x>. */
static void test_rope_inverse(void **state) {
  (void)state;
  enum { T = 5, H = 3, HD = 6, N = T * H * HD };
  static double x[N], w[N], rx[N], rw[N], back[N];
  fill(x, N, 0, -1, 1);
  fill(w, N, 1, -1, 1);
  at_kcall turn = {.in = {x}, .out = {rx}, .dim = {1, T, H, HD, 2, 9}, .attr = {10000.0, 1.0}};
  ref.f64[AT_K_rope](&turn);
  turn.attr[1] = -1.0;
  turn.in[0] = w;
  turn.out[0] = rw;
  ref.f64[AT_K_rope](&turn);
  turn.in[0] = rx;
  turn.out[0] = back;
  ref.f64[AT_K_rope](&turn);
  double a = 0.0, b = 0.0;
  for (int i = 0; i < N; i++) {
    a += w[i] * rx[i];
    b += rw[i] * x[i];
    assert_true(fabs(back[i] - x[i]) < 1e-14);
  }
  assert_true(fabs(a - b) < 1e-12);
}

/* embed_bwd is the transpose of embed, place of the slice that a strided copy takes. */
static void test_transposes(void **state) {
  (void)state;
  enum { IDS = 9, D = 4, ROWS = 6 };
  static double table[ROWS * D], w[IDS * D], y[IDS * D], grad[ROWS * D];
  static const int32_t id[IDS] = {0, 5, 5, 2, -1, 3, 0, 9, 5};
  fill(table, ROWS * D, 0, -1, 1);
  fill(w, IDS * D, 1, -1, 1);
  check_pair(&(pair){.fwd = {.in = {table, id}, .out = {y}, .dim = {IDS, D, ROWS}},
                     .bwd = {.in = {w, id}, .out = {grad}, .dim = {IDS, D, ROWS}},
                     .forward = AT_K_embed,
                     .backward = AT_K_embed_bwd,
                     .in_n = {ROWS * D},
                     .out_n = IDS * D,
                     .w = w});
  static double whole[5 * 7], part[2 * 3], dpart[2 * 3], dwhole[5 * 7];
  fill(whole, 5 * 7, 2, -1, 1);
  fill(dpart, 2 * 3, 3, -1, 1);
  const at_kcall slice = {.in = {whole + 2 * 7 + 4}, .out = {part}, .dim = {2, 2, 3, 7, 1}};
  const at_kcall place = {.in = {dpart}, .out = {dwhole}, .dim = {2, 5, 7, 2, 4, 2, 3}};
  ref.f64[AT_K_copy_strided](&slice);
  ref.f64[AT_K_place](&place);
  double a = 0.0, b = 0.0;
  for (int i = 0; i < 2 * 3; i++) {
    a += part[i] * dpart[i];
  }
  for (int i = 0; i < 5 * 7; i++) {
    b += whole[i] * dwhole[i];
  }
  assert_true(fabs(a - b) < 1e-14);
}

int main(void) {
  at_kernels_init(&ref, AT_ISA_REF);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gelu_and_silu), cmocka_unit_test(test_norms),        cmocka_unit_test(test_xent),
      cmocka_unit_test(test_attention),     cmocka_unit_test(test_rope_inverse), cmocka_unit_test(test_transposes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
