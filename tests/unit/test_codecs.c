/* SPDX-License-Identifier: BSD-3-Clause */
/* Every codec, one suite: sizes, round trips, damage, error bounds, unbiasedness, contraction, equal bytes at all levels. */
#include "src/comm/codec/frame.h"

#include <float.h>

#include "src/base/options.h"
#include "src/comm/codec/codec_options.h"
#include "tests/unit/codec_cases.h"
#include "tests/unit/codec_rig.h"

static uint8_t other[ROOM];

/* Sizes around the case's block. */
static int sizes_of(const at_codec_cfg *cfg, int64_t n[8]) {
  const int64_t b = cfg->block > 0 ? cfg->block : 64;
  const int64_t all[8] = {0, 1, b - 1, b, b + 1, 2 * b + 3, 1021, MOST};
  memcpy(n, all, sizeof all);
  return 8;
}

/* Run `check` for every configuration, kind of data and size. */
static void each_case(void (*check)(const codec_case *, at_codec *, codec_data, int64_t)) {
  for (int i = 0; i < CODEC_CASES; i++) {
    at_codec *c = new_codec(&codec_cases[i].cfg);
    int64_t n[8];
    const int sizes = sizes_of(at_codec_config(c), n);
    for (int kind = 0; kind < DATA_KINDS; kind++) {
      for (int j = 0; j < sizes; j++) {
        codec_data_fill((codec_data)kind, 7, n[j], x);
        check(&codec_cases[i], c, (codec_data)kind, n[j]);
      }
    }
    at_codec_destroy(c);
  }
}

/* ---- 1: round trips ---- */

static void check_round_trip(const codec_case *k, at_codec *c, codec_data kind, int64_t n) {
  const at_codec_cfg *cfg = at_codec_config(c);
  const int64_t ends[2] = {n / 3, n};
  const at_piece shape = {.first = 640, .n = n, .n_segments = n > 2 ? 2 : n > 0, .ends = n > 2 ? ends : ends + 1};
  const int64_t room = at_frame_room(cfg, &shape);
  assert_true(room < ROOM);
  memset(out, 0xaa, sizeof out);
  const int64_t bytes = at_frame_encode(c, &key, &shape, x, out);
  bool exact = true;
  at_codec_bytes(cfg, n, &exact);
  if (exact) {
    assert_int_equal(bytes, at_frame_bytes(cfg, &shape, key.round));
  }
  assert_true(bytes <= room && bytes <= AT_FRAME_HEADER + 4 * n);
  assert_int_equal(out[room], 0xaa); /* nothing beyond */
  assert_int_equal(at_frame_encode(c, &key, &shape, x, other), bytes);
  assert_memory_equal(out, other, (size_t)bytes);
  memset(y, 0xff, sizeof y);
  assert_ok(at_frame_decode(c, &key, &shape, out, bytes, y));
  assert_ok(at_frame_decode(c, &key, &shape, out, bytes, again));
  assert_memory_equal(y, again, (size_t)n * sizeof *y);
  for (int64_t i = 0; i < n; i++) {
    if (!isfinite(y[i])) {
      fail_msg("%s, %s, n = %lld: %g became %g", k->label, codec_data_names[kind], (long long)n, (double)x[i],
               (double)y[i]);
    }
    again[i] = 0.25f;
  }
  assert_ok(
      at_frame_add(c, &key, &shape, out, bytes, 0.3f, again)); /* adding is decoding, then one product and one sum */
  for (int64_t i = 0; i < n; i++) {
    const float term = 0.3f * y[i];
    assert_true(again[i] == 0.25f + term);
  }
}

static void test_round_trip(void **state) {
  (void)state;
  each_case(check_round_trip);
}

static void check_damage(const codec_case *k, at_codec *c, codec_data kind, int64_t n) {
  (void)k;
  if (kind != DATA_GAUSSIAN || n < 64) {
    return;
  }
  const at_piece shape = at_piece_whole(n, &n);
  const int64_t bytes = at_frame_encode(c, &key, &shape, x, out);
  memset(y, 0, sizeof y);
  for (int64_t at = 0; at < bytes; at += at < AT_FRAME_HEADER ? 1 : 61) {
    for (int bit = 0; bit < 8; bit += 3) {
      out[at] = (uint8_t)(out[at] ^ 1u << bit);
      assert_int_equal(at_frame_decode(c, &key, &shape, out, bytes, y), AT_ERR_FORMAT);
      assert_int_equal(at_frame_add(c, &key, &shape, out, bytes, 1.0f, y), AT_ERR_FORMAT);
      out[at] = (uint8_t)(out[at] ^ 1u << bit);
    }
  }
  assert_fails(AT_ERR_FORMAT, "cut short", at_frame_decode(c, &key, &shape, out, bytes - 1, y));
  assert_fails(AT_ERR_FORMAT, "announces", at_frame_decode(c, &key, &shape, out, bytes + 1, y));
  assert_fails(AT_ERR_FORMAT, "header", at_frame_decode(c, &key, &shape, out, 31, y));
  for (int64_t i = 0; i < n; i++) {
    assert_true(y[i] == 0.0f); /* no partial use */
  }
  const int64_t less = n - 1;
  const at_piece smaller = at_piece_whole(less, &less);
  at_code_key late = key;
  late.round++;
  assert_fails(AT_ERR_FORMAT, "elements", at_frame_decode(c, &key, &smaller, out, bytes, y));
  assert_fails(AT_ERR_FORMAT, "round 10", at_frame_decode(c, &late, &shape, out, bytes, y));
  const int64_t none = at_frame_encode_nonfinite(c, &key, &shape, out);
  assert_int_equal(none, AT_FRAME_HEADER);
  assert_fails(AT_ERR_NONFINITE, "client 5", at_frame_decode(c, &key, &shape, out, none, y));
}

static void test_damage_is_rejected(void **state) {
  (void)state;
  each_case(check_damage);
}

/* Payloads of random bytes with a good checksum: an error or finite use of memory, never a crash. */
static void check_garbage(const codec_case *k, at_codec *c, codec_data kind, int64_t n) {
  (void)k;
  if (kind != DATA_GAUSSIAN || n == 0) {
    return;
  }
  const at_stream s = {.seed = (uint64_t)n, .purpose = AT_RNG_TEST};
  for (int trial = 0; trial < 20; trial++) {
    for (int64_t i = 0; i < ROOM / 8; i++) {
      const uint64_t w = at_rng_u64(&s, (uint64_t)(trial * ROOM + i));
      memcpy(out + 8 * i, &w, sizeof w);
    }
    const int64_t room = trial < 10 ? n / 4 : 8 * n;
    assert_true(at_codec_decode(c, &key, n, out, room, y) <= room);
    assert_true(at_codec_add(c, &key, n, out, room, 1.0f, y) <= room);
  }
}

static void test_garbage_is_survived(void **state) {
  (void)state;
  each_case(check_garbage);
}

/* The formulas of the specification, written out. */
static void test_sizes(void **state) {
  (void)state;
  static const struct {
    at_codec_cfg cfg;
    int64_t n, bytes;
  } rows[] = {
      {{.kind = AT_CODEC_fp16}, 1000, 2000},
      {{.kind = AT_CODEC_int8, .scale = AT_SCALE_F32}, 65536, 65536 + 4 * 256}, /* 8.125 bits */
      {{.kind = AT_CODEC_int4}, 65536, 65536 / 2 + 2 * 2048},                   /* 4.5 bits */
      {{.kind = AT_CODEC_int4, .block = 64}, 65536, 65536 / 2 + 2 * 1024},      /* 4.25 bits */
      {{.kind = AT_CODEC_int4, .block = 64}, 65, 33 + 2 * 2},
      {{.kind = AT_CODEC_sixsigma}, 5000, 5000 + 1024},
      {{.kind = AT_CODEC_e3m0}, 100, 50 + 4},
      {{.kind = AT_CODEC_qsgd, .levels = 127}, 1024, 1024 + 4},
      {{.kind = AT_CODEC_sign}, 1000, 125 + 4},
      {{.kind = AT_CODEC_topk, .ratio = 0.01, .value = AT_VALUE_F32}, 10000, 8 * 100},
      {{.kind = AT_CODEC_topk, .ratio = 0.1, .value = AT_VALUE_F32}, 10000, 10000 / 8 + 4 * 1000},
      {{.kind = AT_CODEC_topk, .ratio = 1e-9, .value = AT_VALUE_F32}, 10000, 8},
      {{.kind = AT_CODEC_randomk, .ratio = 0.01, .value = AT_VALUE_F16}, 10000, 2 * 100},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    at_codec_cfg cfg = rows[i].cfg;
    assert_ok(at_codec_resolve(&cfg));
    bool exact = false;
    assert_int_equal(at_codec_bytes(&cfg, rows[i].n, &exact), rows[i].bytes);
    assert_true(exact);
  }
}

/* ---- 2: bounds of single elements ---- */

/* The scale of a block as the wire holds it. */
static double scale_at(const at_codec_cfg *cfg, const uint8_t *payload, int64_t block) {
  uint32_t u = 0;
  float s;
  if (cfg->scale == AT_SCALE_BF16) {
    memcpy((uint8_t *)&u + 2, payload + 2 * block, 2);
  } else {
    memcpy(&u, payload + 4 * block, 4);
  }
  memcpy(&s, &u, sizeof s);
  return (double)s;
}

static bool is_nearest_int(const at_codec_cfg *cfg) {
  return (cfg->kind == AT_CODEC_int8 || cfg->kind == AT_CODEC_int4) && cfg->rounding == AT_ROUND_NEAREST;
}

static void check_bounds(const codec_case *k, at_codec *c, codec_data kind, int64_t n) {
  const at_codec_cfg *cfg = at_codec_config(c);
  const int64_t bytes = at_codec_encode(c, &key, n, x, out);
  assert_int_equal(at_codec_decode(c, &key, n, out, bytes, y), bytes);
  double range = 0, low = INFINITY, high = -INFINITY;
  for (int64_t i = 0; i < n; i++) {
    low = fmin(low, (double)x[i]);
    high = fmax(high, (double)x[i]);
  }
  range = n > 0 ? high - low : 0;
  for (int64_t i = 0; i < n; i++) {
    const double v = (double)x[i], err = fabs((double)y[i] - v);
    double most = INFINITY;
    if (cfg->kind == AT_CODEC_f32) {
      most = 0;
    } else if (cfg->kind == AT_CODEC_bf16) {
      most = fmax(0x1p-8 * fabs(v), 0x1p-134);
    } else if (cfg->kind == AT_CODEC_fp16 && fabs(v) <= 65504) {
      most = fmax(0x1p-11 * fabs(v), 0x1p-25);
    } else if (is_nearest_int(cfg)) {
      const double s = scale_at(cfg, out, i / cfg->block);
      most = fmin(0.5 * s * (1 + 0x1p-20), fabs(v)); /* never more than the value */
    } else if (cfg->kind == AT_CODEC_int8 || cfg->kind == AT_CODEC_int4 || cfg->kind == AT_CODEC_qsgd) {
      most = scale_at(cfg, out, i / cfg->block) * (1 + 0x1p-15);
    } else if (cfg->kind == AT_CODEC_e3m0) {
      most = fabs(v);
    } else if (cfg->kind == AT_CODEC_bounded) {
      const double eps = cfg->bound * (cfg->bound_kind == AT_BOUND_RELATIVE ? range : 1.0);
      most = fmin(eps, fabs(v)) + 0x1p-24 * fabs(v) + 0x1p-149;
    }
    if (!(err <= most)) {
      fail_msg("%s, %s, n = %lld: element %lld, %g, became %g; more than %g away", k->label, codec_data_names[kind],
               (long long)n, (long long)i, v, (double)y[i], most);
    }
  }
}

static void test_error_bounds(void **state) {
  (void)state;
  each_case(check_bounds);
}

/* ---- 3: unbiasedness ---- */

/* The distance of the two values an element may become. */
static double step_of(const at_codec_cfg *cfg, int64_t n, int64_t i) {
  if (cfg->kind == AT_CODEC_randomk) {
    const double k = floor(cfg->ratio * (double)n + 0.5);
    return (double)n / k * fabs((double)x[i]);
  }
  return scale_at(cfg, out, i / cfg->block);
}

static void check_unbiased(const codec_case *k, at_codec *c, codec_data kind) {
  enum { N = 640, T = 4000 };
  const at_codec_cfg *cfg = at_codec_config(c);
  static double sum[N];
  memset(sum, 0, sizeof sum);
  codec_data_fill(kind, 11, N, x);
  double error = 0, norm = 0;
  for (int t = 0; t < T; t++) {
    const at_code_key draw = {.seed = 17, .client = (uint64_t)t % 7, .round = (uint64_t)t};
    const int64_t bytes = at_codec_encode(c, &draw, N, x, out);
    at_codec_decode(c, &draw, N, out, bytes, y);
    for (int i = 0; i < N; i++) {
      sum[i] += (double)y[i];
      error += ((double)y[i] - (double)x[i]) * ((double)y[i] - (double)x[i]) / T;
    }
  }
  double chi = 0;
  int64_t freedom = 0;
  for (int i = 0; i < N; i++) {
    const double step = step_of(cfg, N, i), v = (double)x[i];
    const double p = cfg->kind == AT_CODEC_randomk ? cfg->ratio : v / step - floor(v / step);
    const double sd = step * sqrt(p * (1 - p)), off = sum[i] / T - v;
    norm += v * v;
    /* The second term is for elements that hardly ever move, where a normal law says little. */
    if (fabs(off) > 5 * sd / sqrt(T) + 12 * step / T) {
      fail_msg("%s, %s: element %d, %g, has the mean %g, sd %g", k->label, codec_data_names[kind], i, v, sum[i] / T,
               sd);
    }
    if (sd > 0 && p * (1 - p) > 0.01) {
      chi += off * off / (sd * sd / T);
      freedom++;
    }
  }
  assert_true(freedom == 0 || fabs(chi - (double)freedom) < 5 * sqrt(2.0 * (double)freedom) + 1);
  assert_true(error <= at_codec_declare(cfg, N).w * norm * 1.1);
}

static void test_unbiased(void **state) {
  (void)state;
  int found = 0;
  for (int i = 0; i < CODEC_CASES; i++) {
    at_codec *c = new_codec(&codec_cases[i].cfg);
    const at_codec_law law = at_codec_declare(at_codec_config(c), MOST);
    if (law.unbiased && law.w > 0) {
      found++;
      check_unbiased(&codec_cases[i], c, DATA_GAUSSIAN);
      check_unbiased(&codec_cases[i], c, DATA_SPIKE);
      if (codec_cases[i].cfg.kind != AT_CODEC_randomk) {
        check_unbiased(&codec_cases[i], c, DATA_HEAVY);
      }
    }
    at_codec_destroy(c);
  }
  assert_int_equal(found, 5);
}

/* ---- 4: contraction ---- */

/* All blocks are within the range for which the law is declared. */
static bool law_holds(const at_codec_law *law, int64_t n) {
  for (int64_t at = 0; at < n; at += law->block) {
    double top = 0;
    for (int64_t i = at; i < n && i < at + law->block; i++) {
      top = fmax(top, fabs((double)x[i]));
    }
    if (top > 0 && (top < law->least || top > law->most)) {
      return false;
    }
  }
  return true;
}

static void check_contraction(const codec_case *k, at_codec *c, codec_data kind, int64_t n) {
  const at_codec_law law = at_codec_declare(at_codec_config(c), n > 0 ? n : 1);
  const double norm = squares(n, x, NULL);
  if (!law.contractive || norm == 0) {
    return;
  }
  const int draws = law.expected ? 400 : 1;
  double error = 0;
  for (int t = 0; t < draws; t++) {
    at_code_key draw = key;
    draw.round = (uint64_t)t + 9;
    const int64_t bytes = at_codec_encode(c, &draw, n, x, out);
    assert_int_equal(at_codec_decode(c, &draw, n, out, bytes, y), bytes);
    error += squares(n, x, y) / draws;
  }
  const double got = 1 - error / norm;
  const double slack = law.expected ? 5 * sqrt(law.delta / draws) : 1e-12; /* a mean of 400 draws */
  const bool holds = law_holds(&law, n);
  if (holds ? got < law.delta - slack : error > norm * (1 + 1e-3)) {
    fail_msg("%s, %s, n = %lld: contracts by %.6g, declared %.6g", k->label, codec_data_names[kind], (long long)n, got,
             law.delta);
  }
}

static void test_contraction(void **state) {
  (void)state;
  each_case(check_contraction);
}

/* The sharpest input of a block: one value at the largest magnitude, the rest just under half a step. */
static void test_contraction_is_tight(void **state) {
  (void)state;
  static const struct {
    int kind;
    int64_t block;
    double delta;
  } rows[] = {{AT_CODEC_int8, 256, 0.996}, {AT_CODEC_int4, 32, 0.863}, {AT_CODEC_int4, 64, 0.757}};
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    const at_codec_cfg cfg = {.kind = rows[r].kind, .block = rows[r].block, .scale = AT_SCALE_F32};
    const double top = cfg.kind == AT_CODEC_int8 ? 127 : 7;
    at_codec *c = new_codec(&cfg);
    for (int64_t i = 0; i < cfg.block; i++) {
      x[i] = i == 0 ? (float)top : 0.4999f;
    }
    const int64_t bytes = at_codec_encode(c, &key, cfg.block, x, out);
    at_codec_decode(c, &key, cfg.block, out, bytes, y);
    const double got = 1 - squares(cfg.block, x, y) / squares(cfg.block, x, NULL);
    assert_true(fabs(got - rows[r].delta) < 0.001);
    assert_true(got >= at_codec_declare(at_codec_config(c), cfg.block).delta);
    at_codec_destroy(c);
  }
}

/* The L2 scale is not contractive, and declares nothing: a spike doubles its norm. */
static void test_sign_l2_fails_on_a_spike(void **state) {
  (void)state;
  const at_codec_cfg cfg = {.kind = AT_CODEC_sign, .norm = AT_NORM_L2};
  at_codec *c = new_codec(&cfg);
  assert_false(at_codec_declare(at_codec_config(c), 1000).contractive);
  codec_data_fill(DATA_SPIKE, 1, 1000, x);
  const int64_t bytes = at_codec_encode(c, &key, 1000, x, out);
  at_codec_decode(c, &key, 1000, out, bytes, y);
  assert_true(squares(1000, x, y) > 1.8 * squares(1000, x, NULL));
  at_codec_destroy(c);
}

/* ---- the rest ---- */

static void check_levels_agree(const codec_case *k, at_codec *c, codec_data kind, int64_t n) {
  (void)kind;
  const at_piece shape = at_piece_whole(n, &n);
  const int64_t bytes = at_frame_encode(c, &key, &shape, x, out);
  assert_ok(at_frame_decode(c, &key, &shape, out, bytes, y));
  for (int isa = 0; isa < (int)at_isa_detect(); isa++) {
    at_kernels level;
    at_kernels_init(&level, (at_isa)isa);
    at_codec_cfg cfg = k->cfg;
    at_codec *d = NULL;
    assert_ok(at_codec_resolve(&cfg));
    assert_ok(at_codec_create(&d, &cfg, &level, n));
    assert_int_equal(at_frame_encode(d, &key, &shape, x, other), bytes);
    assert_memory_equal(out, other, (size_t)bytes);
    assert_ok(at_frame_decode(d, &key, &shape, out, bytes, again));
    assert_memory_equal(y, again, (size_t)n * sizeof *y);
    at_codec_destroy(d);
  }
}

static void test_levels_agree(void **state) {
  (void)state;
  each_case(check_levels_agree);
}

static void test_keys_differ(void **state) {
  (void)state;
  const at_codec_cfg cfg = {.kind = AT_CODEC_int8, .rounding = AT_ROUND_STOCHASTIC};
  at_codec *c = new_codec(&cfg);
  codec_data_fill(DATA_GAUSSIAN, 1, 512, x);
  const at_code_key keys[] = {{.seed = 1}, {.seed = 2}, {.client = 1}, {.round = 1}, {.stage = 1}, {.first = 64}};
  static uint8_t codes[6][600];
  for (int i = 0; i < 6; i++) {
    at_codec_encode(c, &keys[i], 512, x, codes[i]);
    for (int j = 0; j < i; j++) {
      assert_memory_not_equal(codes[i], codes[j], 512);
    }
  }
  at_codec_destroy(c);
}

static void test_cut(void **state) {
  (void)state;
  const int64_t offsets[] = {0, 10, 10, 200, 200, 300};
  at_cut *c = NULL;
  assert_ok(at_cut_create(&c, 5, offsets, 128));
  assert_int_equal(c->n_pieces, 3);
  const at_piece a = at_cut_piece(c, 0), b = at_cut_piece(c, 1), d = at_cut_piece(c, 2);
  assert_true(a.n == 128 && a.n_segments == 2 && a.ends[0] == 10 && a.ends[1] == 128);
  assert_true(b.first == 128 && b.n == 128 && b.n_segments == 2 && b.ends[0] == 72 && b.ends[1] == 128);
  assert_true(d.first == 256 && d.n == 44 && d.n_segments == 1 && d.ends[0] == 44);
  const uint64_t hash = at_cut_hash(c);
  at_cut_destroy(c);
  const int64_t moved[] = {0, 10, 11, 200, 200, 300}, empty[] = {0, 0}, falling[] = {0, 5, 4};
  assert_ok(at_cut_create(&c, 5, moved, 128));
  assert_true(at_cut_hash(c) != hash);
  at_cut_destroy(c);
  assert_ok(at_cut_create(&c, 1, empty, 64));
  assert_int_equal(c->n_pieces, 0);
  at_cut_destroy(c);
  assert_fails(AT_ERR_ARG, "must not fall", at_cut_create(&c, 2, falling, 64));
  assert_fails(AT_ERR_CONFIG, "multiple of 64", at_cut_create(&c, 1, empty, 100));
}

typedef struct run_cfg {
  at_codec_cfg up;
} run_cfg;

static void test_options(void **state) {
  (void)state;
  static const at_opt rows[] = {AT_CODEC_OPTIONS(run_cfg, up, "up", "int8")};
  static const at_opt_table table = AT_OPT_TABLE("Codec", rows);
  static const struct {
    const char *set, *also, *complaint; /* NULL: fine */
  } cases[] = {
      {"up.codec=int4", "up.block=64", NULL},
      {"up.codec=topk", "up.ratio=0.5", NULL},
      {"up.codec=sign", "up.start=3", NULL},
      {"up.codec=int4", "up.block=128", "power of two from 16 to 64"},
      {"up.codec=int8", "up.block=100", "power of two"},
      {"up.codec=int8", "up.ratio=0.5", "int8 takes block rounding scale start"},
      {"up.codec=bf16", "up.rank=2", "bf16 takes start"},
      {"up.codec=randomk", "up.unbiased=true", NULL},
      {"up.codec=topk", "up.bound_kind=absolute", "topk takes ratio"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    at_opts *set = NULL;
    run_cfg cfg;
    assert_ok(at_opts_create(&set));
    assert_ok(at_opts_add(set, &table, &cfg));
    assert_ok(at_opts_set(set, cases[i].set));
    assert_ok(at_opts_set(set, cases[i].also));
    if (cases[i].complaint == NULL) {
      assert_ok(at_codec_options_check(set, "up", &cfg.up));
    } else {
      assert_fails(AT_ERR_CONFIG, cases[i].complaint, at_codec_options_check(set, "up", &cfg.up));
    }
    at_opts_destroy(set);
  }
}

static void test_table(void **state) {
  (void)state;
  for (int i = 0; i < AT_CODEC_COUNT; i++) {
    assert_true(strlen(at_codec_help(i)) > 5 && at_codec_options_used(i) != NULL);
  }
  at_codec *c = NULL;
  at_codec_cfg cfg = {.kind = AT_CODEC_powersgd, .rank = 2};
  assert_ok(at_codec_resolve(&cfg));
  assert_fails(AT_ERR_ARG, "at_powersgd_create", at_codec_create(&c, &cfg, &kernels, 10));
  cfg.rank = 0;
  assert_fails(AT_ERR_CONFIG, "rank = 0", at_codec_resolve(&cfg));
  cfg.kind = 99;
  assert_fails(AT_ERR_CONFIG, "codec number 99", at_codec_resolve(&cfg));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_table),
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_damage_is_rejected),
      cmocka_unit_test(test_garbage_is_survived),
      cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_error_bounds),
      cmocka_unit_test(test_unbiased),
      cmocka_unit_test(test_contraction),
      cmocka_unit_test(test_contraction_is_tight),
      cmocka_unit_test(test_sign_l2_fails_on_a_spike),
      cmocka_unit_test(test_levels_agree),
      cmocka_unit_test(test_keys_differ),
      cmocka_unit_test(test_cut),
      cmocka_unit_test(test_options),
  };
  return cmocka_run_group_tests(tests, setup, NULL);
}
