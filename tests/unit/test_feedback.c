/* SPDX-License-Identifier: BSD-3-Clause */
/* Error feedback: nothing is lost over time, residuals stay small, training converges; memory per client; PowerSGD's products. */
#include "src/comm/codec/feedback.h"

#include "src/base/alloc.h"
#include "src/comm/codec/powersgd.h"
#include "tests/unit/codec_cases.h"
#include "tests/unit/codec_data.h"
#include "tests/unit/unit.h"

enum { N = 1000, CHUNK = 256, PIECES = 4 };
static at_kernels kernels;
static float x[N], y[N], zeros[N];
static uint8_t out[64 + 40 * N];

static int setup(void **state) {
  (void)state;
  at_kernels_init(&kernels, at_isa_detect());
  return 0;
}

typedef struct rig {
  at_codec_cfg cfg;
  at_codec *codec;
  at_cut *cut;
  at_feedback *memory;
} rig;

static const int64_t offsets[3] = {0, 300, N};

static at_err rig_create(rig *r, const at_codec_cfg *cfg, double decay) {
  *r = (rig){.cfg = *cfg};
  AT_TRY(at_codec_resolve(&r->cfg));
  AT_TRY(at_cut_create(&r->cut, 2, offsets, CHUNK));
  AT_TRY(at_codec_create(&r->codec, &r->cfg, &kernels, CHUNK));
  return at_feedback_create(&r->memory, &r->cfg, r->cut, decay);
}

static void rig_destroy(rig *r) {
  at_feedback_destroy(r->memory);
  at_cut_destroy(r->cut);
  at_codec_destroy(r->codec);
}

/* One round of one client: y = what the others get. */
static void step(rig *r, int64_t client, int64_t round, const float *in, float *got) {
  at_feedback_row *row = NULL;
  assert_ok(at_feedback_open(r->memory, client, &row));
  at_feedback_advance(r->memory, row, round);
  const at_code_key key = {.seed = 1, .client = (uint64_t)client, .round = (uint64_t)round};
  for (int64_t p = 0; p < r->cut->n_pieces; p++) {
    const at_piece shape = at_cut_piece(r->cut, p);
    int64_t bytes = 0;
    assert_ok(at_feedback_encode(r->memory, row, r->codec, &key, &shape, in + shape.first, 1.0f, got + shape.first, out,
                                 &bytes));
    assert_true(bytes >= AT_FRAME_HEADER);
  }
}

static double norm(const float *v) {
  double s = 0;
  for (int i = 0; i < N; i++) {
    s += (double)v[i] * (double)v[i];
  }
  return sqrt(s);
}

/* ||sum y - sum x + e|| over 200 steps, relative to sum ||x||; on a grid, where float sums are exact, it is nothing at all for codecs
 * that send values unchanged. */
static double telescoped(rig *r, bool on_grid, double *residual, double *largest) {
  static double gap[N];
  memset(gap, 0, sizeof gap);
  double sum = 0;
  *residual = *largest = 0;
  at_feedback_row *row = NULL;
  for (int64_t t = 0; t < 200; t++) {
    codec_data_fill(t % 3 == 0 ? DATA_HEAVY : DATA_GAUSSIAN, (uint64_t)t, N, x);
    for (int i = 0; i < N; i++) {
      x[i] = on_grid ? rintf(x[i] * 256.0f) / 256.0f : x[i];
      gap[i] -= (double)x[i];
    }
    step(r, 3, t, x, y);
    for (int i = 0; i < N; i++) {
      gap[i] += (double)y[i];
    }
    sum += norm(x);
    *largest = fmax(*largest, norm(x));
    assert_ok(at_feedback_open(r->memory, 3, &row));
    *residual = fmax(*residual, row->v[0] != NULL ? norm(row->v[0]) : 0);
  }
  double s = 0;
  for (int i = 0; i < N; i++) {
    const double off = gap[i] + (row->v[0] != NULL ? (double)row->v[0][i] : 0);
    s += off * off;
  }
  return sqrt(s) / sum;
}

/* The worst segment's delta. */
static double delta_of(const at_codec_cfg *cfg) {
  return fmin(at_codec_declare(cfg, CHUNK).delta, at_codec_declare(cfg, 300 - CHUNK).delta);
}

static void test_telescoping(void **state) {
  (void)state;
  int bounded = 0, exact = 0;
  for (int i = 0; i < CODEC_CASES; i++) {
    const at_codec_cfg *cfg = &codec_cases[i].cfg;
    rig r;
    if (cfg->kind == AT_CODEC_dgc || cfg->kind == AT_CODEC_qsgd || cfg->unbiased || cfg->norm == AT_NORM_L2) {
      continue; /* momenta; need none, or are refused; not contractive */
    }
    assert_ok(rig_create(&r, cfg, 1.0));
    double residual = 0, largest = 0;
    const double gap = telescoped(&r, false, &residual, &largest);
    if (!(gap <= 1e-5)) {
      fail_msg("%s: %g of the input went missing", codec_cases[i].label, gap);
    }
    const at_codec_law law = at_codec_declare(&r.cfg, CHUNK);
    const double delta = delta_of(&r.cfg);
    if (law.contractive && !law.expected && delta > 0) {
      bounded++;
      assert_true(residual <= 2 * sqrt(1 - delta) / delta * largest + 1e-3 * largest);
    }
    rig_destroy(&r);
    if (cfg->kind == AT_CODEC_topk && cfg->value == AT_VALUE_F32) {
      exact++;
      assert_ok(rig_create(&r, cfg, 1.0));
      assert_true(telescoped(&r, true, &residual, &largest) <= 1e-12);
      rig_destroy(&r);
    }
  }
  assert_true(bounded >= 10 && exact == 2);
}

static void test_refuses_what_would_grow(void **state) {
  (void)state;
  rig r;
  const at_codec_cfg scaled = {.kind = AT_CODEC_randomk, .ratio = 0.1, .value = AT_VALUE_F32, .unbiased = true};
  assert_fails(AT_ERR_CONFIG, "residuals would grow", rig_create(&r, &scaled, 1.0));
  rig_destroy(&r);
  const at_codec_cfg int8 = {.kind = AT_CODEC_int8};
  assert_fails(AT_ERR_CONFIG, "decay", rig_create(&r, &int8, 0.0));
  rig_destroy(&r);
}

/* Two clients, gradients (+10, 1) and (-10, 1): top-1 always picks the first coordinate, whose mean is 0. */
static double second_coordinate(bool feedback) {
  const int64_t two[2] = {0, 2};
  at_codec_cfg cfg = {.kind = AT_CODEC_topk, .ratio = 0.5, .value = AT_VALUE_F16, .index = AT_INDEX_GAPS};
  at_codec *codec = NULL;
  at_cut *cut = NULL;
  at_feedback *memory = NULL;
  assert_ok(at_codec_resolve(&cfg));
  assert_ok(at_cut_create(&cut, 1, two, 64));
  assert_ok(at_codec_create(&codec, &cfg, &kernels, 2));
  assert_ok(at_feedback_create(&memory, &cfg, cut, 1.0));
  const at_piece shape = at_cut_piece(cut, 0);
  double w = 0;
  for (int64_t t = 0; t < 220; t++) {
    for (int64_t client = 0; client < 2; client++) {
      const float g[2] = {client == 0 ? 10.0f : -10.0f, 1.0f};
      const at_code_key key = {.client = (uint64_t)client, .round = (uint64_t)t};
      float got[2];
      int64_t bytes = 0;
      at_feedback_row *row = NULL;
      assert_ok(at_feedback_open(memory, client, &row));
      if (feedback) {
        assert_ok(at_feedback_encode(memory, row, codec, &key, &shape, g, 1.0f, got, out, &bytes));
      } else {
        bytes = at_frame_encode(codec, &key, &shape, g, out);
        assert_ok(at_frame_decode(codec, &key, &shape, out, bytes, got));
      }
      assert_int_equal(bytes, AT_FRAME_HEADER + 3); /* a gap of one byte and a half, not raw */
      w += 0.5 * (double)got[1];
    }
  }
  at_feedback_destroy(memory);
  at_codec_destroy(codec);
  at_cut_destroy(cut);
  return w;
}

static void test_top_one_needs_feedback(void **state) {
  (void)state;
  assert_true(second_coordinate(false) == 0.0);
  const double with = second_coordinate(true);
  assert_true(with > 220 - 22 && with <= 220); /* at the mean rate of 1 a step, but for what is still held back */
}

/* A noisy quadratic of 400 coordinates with curvatures from 0.5 to 1, four clients; the loss at the end. */
static double quadratic(const at_codec_cfg *cfg) {
  enum { D = 400, CLIENTS = 4, STEPS = 8000 };
  rig r = {0};
  static float w[N], g[N];
  memset(w, 0, sizeof w);
  memset(g, 0, sizeof g);
  if (cfg != NULL) {
    assert_ok(rig_create(&r, cfg, 1.0));
  }
  for (int i = 0; i < D; i++) {
    w[i] = 1.0f;
  }
  double loss = 0;
  for (int64_t t = 0; t < STEPS; t++) {
    static float mean[N];
    memset(mean, 0, sizeof mean);
    for (int64_t c = 0; c < CLIENTS; c++) {
      const at_stream s = {.seed = 5, .client = (uint64_t)c, .round = (uint64_t)t, .purpose = AT_RNG_TEST};
      at_rng_fill_normal(&s, 0.0, 0.3, g, D);
      for (int i = 0; i < D; i++) {
        g[i] += (0.5f + 0.5f * (float)i / D) * w[i];
      }
      if (cfg != NULL) {
        step(&r, c, t, g, y);
      } else {
        memcpy(y, g, sizeof y);
      }
      for (int i = 0; i < D; i++) {
        mean[i] += y[i] / CLIENTS;
      }
    }
    for (int i = 0; i < D; i++) {
      w[i] -= 0.003f * mean[i];
      loss += t < STEPS / 2 ? 0 : 0.5 * (0.5 + 0.5 * i / D) * (double)w[i] * (double)w[i] / (STEPS / 2);
    }
  }
  rig_destroy(&r);
  return loss;
}

static void test_quadratic_converges(void **state) {
  (void)state;
  const at_codec_cfg sign = {.kind = AT_CODEC_sign},
                     top = {.kind = AT_CODEC_topk, .ratio = 0.01, .value = AT_VALUE_F32};
  const double plain = quadratic(NULL);
  assert_true(fabs(quadratic(&sign) / plain - 1) < 0.05);
  assert_true(fabs(quadratic(&top) / plain - 1) < 0.05);
}

/* ---- DGC ---- */

static void test_dgc_masks_and_clips(void **state) {
  (void)state;
  const at_codec_cfg cfg = {.kind = AT_CODEC_dgc, .ratio = 0.02, .momentum = 0.5, .value = AT_VALUE_F32, .clip = 4.0};
  rig r;
  assert_ok(rig_create(&r, &cfg, 1.0));
  assert_int_equal(at_feedback_vectors(r.memory), 2);
  assert_true(at_feedback_factor(r.memory, 1.0, 4) == 1.0f);
  assert_true(at_feedback_factor(r.memory, 8.0, 4) == 0.25f);
  static float v[N], u[N];
  for (int64_t t = 0; t < 20; t++) {
    codec_data_fill(DATA_GAUSSIAN, (uint64_t)t, N, x);
    step(&r, 0, t, x, y);
    at_feedback_row *row = NULL;
    assert_ok(at_feedback_open(r.memory, 0, &row));
    for (int i = 0; i < N; i++) {
      u[i] = 0.5f * u[i] + x[i];
      v[i] = v[i] + u[i];
      assert_true(y[i] == 0.0f || y[i] == v[i]);
      if (y[i] != 0.0f) {
        v[i] = u[i] = 0.0f;
      }
    }
    assert_memory_equal(row->v[0], v, sizeof v);
    assert_memory_equal(row->v[1], u, sizeof u);
  }
  rig_destroy(&r);
}

/* ---- memory ---- */

static void test_rows_are_kept_per_client(void **state) {
  (void)state;
  const at_codec_cfg cfg = {.kind = AT_CODEC_sign};
  rig a, b;
  assert_ok(rig_create(&a, &cfg, 1.0));
  assert_ok(rig_create(&b, &cfg, 1.0));
  const int64_t order[] = {7, -1, 3, 100, 3, 7, 2};
  for (int64_t t = 0; t < 7; t++) {
    codec_data_fill(DATA_GAUSSIAN, (uint64_t)t, N, x);
    step(&a, order[t], t, x, y);
    if (t == 3) { /* carry on from a copy */
      for (int64_t i = 0; i < at_feedback_count(a.memory); i++) {
        const at_feedback_row *row = at_feedback_get(a.memory, i);
        assert_true(i == 0 || row->id > at_feedback_get(a.memory, i - 1)->id);
        assert_ok(
            at_feedback_put(b.memory, at_feedback_layout(a.memory), row->id, row->round, (const float *const *)row->v));
      }
    } else if (t > 3) {
      static float z[N];
      step(&b, order[t], t, x, z);
      assert_memory_equal(y, z, sizeof y);
    }
  }
  assert_int_equal(at_feedback_count(a.memory), 5);
  for (int64_t i = 0; i < 5; i++) {
    const at_feedback_row *p = at_feedback_get(a.memory, i), *q = at_feedback_get(b.memory, i);
    assert_true(p->id == q->id && p->round == q->round);
    assert_memory_equal(p->v[0], q->v[0], sizeof y);
  }
  at_feedback_drop(a.memory, 3);
  at_feedback_drop(a.memory, 4);
  assert_int_equal(at_feedback_count(a.memory), 4);
  const float *const v[2] = {zeros, NULL};
  assert_fails(AT_ERR_STATE, "another layout", at_feedback_put(b.memory, at_feedback_layout(b.memory) + 1, 1, 0, v));
  rig_destroy(&a);
  const at_codec_cfg other = {.kind = AT_CODEC_int8};
  assert_ok(rig_create(&a, &other, 1.0));
  assert_true(at_feedback_layout(a.memory) != at_feedback_layout(b.memory));
  rig_destroy(&a);
  rig_destroy(&b);
}

static void test_stale_residuals_decay(void **state) {
  (void)state;
  const at_codec_cfg cfg = {.kind = AT_CODEC_sign};
  rig r;
  assert_ok(rig_create(&r, &cfg, 0.5));
  codec_data_fill(DATA_GAUSSIAN, 1, N, x);
  step(&r, 0, 4, x, y);
  static float before[N];
  at_feedback_row *row = NULL;
  assert_ok(at_feedback_open(r.memory, 0, &row));
  memcpy(before, row->v[0], sizeof before);
  at_feedback_advance(r.memory, row, 5); /* nothing missed */
  assert_memory_equal(before, row->v[0], sizeof before);
  at_feedback_advance(r.memory, row, 8); /* rounds 6 and 7 */
  for (int i = 0; i < N; i++) {
    assert_true(row->v[0][i] == 0.25f * before[i]);
  }
  rig_destroy(&r);
}

/* ---- PowerSGD ---- */

enum { ROWS = 40, COLS = 30, VECTOR = 17 };
static const at_matrix tensors[3] = {{ROWS, COLS}, {VECTOR, 1}, {5, 4}};
enum { ALL = ROWS * COLS + VECTOR + 20 };

static at_powersgd *new_powersgd(int64_t rank) {
  at_codec_cfg cfg = {.kind = AT_CODEC_powersgd, .rank = rank};
  at_powersgd *s = NULL;
  assert_ok(at_codec_resolve(&cfg));
  assert_ok(at_powersgd_create(&s, &cfg, &kernels, 3, tensors, 1));
  assert_int_equal(at_powersgd_n(s), ALL);
  assert_int_equal(at_powersgd_p(s), rank * ROWS + VECTOR + 20);
  assert_int_equal(at_powersgd_q(s), rank * COLS);
  return s;
}

/* One round of one client without residual: got = what everybody receives. */
static void low_rank_round(at_powersgd *s, uint64_t round, const float *a, float *got) {
  static float p[ALL], q[ALL];
  at_powersgd_project(s, a, p);
  at_powersgd_orthonormalise(s, p);
  at_powersgd_back(s, a, p, q);
  at_powersgd_expand(s, p, q, got);
  at_powersgd_keep(s, round, q);
}

static void test_powersgd_finds_low_rank(void **state) {
  (void)state;
  static float a[ALL], got[ALL], u[200];
  codec_data_fill(DATA_GAUSSIAN, 1, 200, u);
  memset(a, 0, sizeof a);
  for (int k = 0; k < 2; k++) { /* rank 2 */
    for (int i = 0; i < ROWS; i++) {
      for (int j = 0; j < COLS; j++) {
        a[i * COLS + j] += u[100 * k + i] * u[100 * k + 50 + j];
      }
    }
  }
  for (int i = ROWS * COLS; i < ALL; i++) {
    a[i] = (float)i;
  }
  at_powersgd *s = new_powersgd(2);
  for (uint64_t round = 0; round < 2; round++) {
    low_rank_round(s, round, a, got);
  }
  double err = 0, size = 0;
  for (int i = 0; i < ALL; i++) {
    err += pow((double)got[i] - (double)a[i], 2);
    size += i < ROWS * COLS ? pow((double)a[i], 2) : 0;
  }
  assert_true(sqrt(err / size) < 1e-5);
  assert_memory_equal(got + ROWS * COLS, a + ROWS * COLS, (ALL - ROWS * COLS) * sizeof *a); /* dense parts exactly */
  at_powersgd_destroy(s);
}

static void test_powersgd_of_zeros(void **state) {
  (void)state;
  static float a[ALL], got[ALL];
  at_powersgd *s = new_powersgd(3);
  memset(a, 0, sizeof a);
  low_rank_round(s, 0, a, got);
  assert_memory_equal(got, a, sizeof a); /* zeros, not NaN */
  codec_data_fill(DATA_GAUSSIAN, 1, ALL, a);
  low_rank_round(s, 1, a, got); /* and it recovers: Q is not stuck at zero */
  double along = 0;
  for (int i = 0; i < ROWS * COLS; i++) {
    along += (double)got[i] * (double)a[i];
  }
  assert_true(along > 10);
  at_powersgd_destroy(s);
}

/* The local residual is the part of A outside the projection: never larger than A. */
static void test_powersgd_residual_contracts(void **state) {
  (void)state;
  static float a[ALL], e[ALL], p[ALL], q[ALL];
  at_powersgd *s = new_powersgd(4);
  for (int kind = 0; kind < DATA_KINDS; kind++) {
    codec_data_fill((codec_data)kind, 1, ALL, a);
    memcpy(e, a, sizeof e);
    at_powersgd_project(s, a, p);
    at_powersgd_orthonormalise(s, p);
    at_powersgd_back(s, a, p, q);
    at_powersgd_residual(s, p, q, e);
    double before = 0, after = 0;
    for (int i = 0; i < ALL; i++) {
      before += (double)a[i] * (double)a[i];
      after += (double)e[i] * (double)e[i];
    }
    assert_true(after <= before * (1 + 1e-6));
    for (int i = ROWS * COLS; i < ALL; i++) {
      assert_true(e[i] == 0.0f);
    }
  }
  at_powersgd_destroy(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_telescoping),
      cmocka_unit_test(test_refuses_what_would_grow),
      cmocka_unit_test(test_top_one_needs_feedback),
      cmocka_unit_test(test_quadratic_converges),
      cmocka_unit_test(test_dgc_masks_and_clips),
      cmocka_unit_test(test_rows_are_kept_per_client),
      cmocka_unit_test(test_stale_residuals_decay),
      cmocka_unit_test(test_powersgd_finds_low_rank),
      cmocka_unit_test(test_powersgd_of_zeros),
      cmocka_unit_test(test_powersgd_residual_contracts),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
