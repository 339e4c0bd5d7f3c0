/* SPDX-License-Identifier: BSD-3-Clause */
/* Codec kernels: every level gives the reference's bits, and the reference does what its table promises. */
#include "kernels/codec.h"

#include <float.h>

#include "kernels/codec_scale.h"
#include "src/base/alloc.h"
#include "tests/unit/codec_data.h"
#include "tests/unit/unit.h"

enum { MOST = 9001, ROOM = 8 * MOST + 64 };
static const int64_t sizes[] = {0, 1, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 127, 255, 256, 257, 1023, 1025, 4099, MOST};
enum { SIZES = sizeof sizes / sizeof *sizes };
static const at_dither dither = {{0x12345678u, 0x9abcdef0u}, {7u, 0xffffffffu}};

static float x[MOST], e[MOST], out0[MOST], out1[MOST];
static uint8_t codes0[ROOM], codes1[ROOM], scales0[ROOM], scales1[ROOM];
static at_codec_kernels ref, fast;

/* Run `check` for every level of this machine, every kind of data and every size. */
static void each_level(void (*check)(int64_t n)) {
  for (int isa = AT_ISA_AVX2; isa <= (int)at_isa_detect(); isa++) {
    at_codec_kernels_init(&ref, AT_ISA_REF);
    at_codec_kernels_init(&fast, (at_isa)isa);
    for (int kind = 0; kind < DATA_KINDS; kind++) {
      for (int i = 0; i < SIZES; i++) {
        codec_data_fill((codec_data)kind, 1, sizes[i], x);
        codec_data_fill((codec_data)kind, 2, sizes[i], e);
        memset(codes0, 0xaa, sizeof codes0);
        memset(codes1, 0xaa, sizeof codes1);
        memset(scales0, 0xaa, sizeof scales0);
        memset(scales1, 0xaa, sizeof scales1);
        check(sizes[i]);
      }
    }
  }
}

/* Same bytes, nothing written beyond. */
static void same_codes(void) {
  assert_memory_equal(codes0, codes1, sizeof codes0);
  assert_memory_equal(scales0, scales1, sizeof scales0);
}

static void same_values(int64_t n) {
  assert_memory_equal(out0, out1, (size_t)n * sizeof *out0);
}

static const at_block blocks[] = {
    {8, 127, 256, 4, false, NULL}, {8, 127, 256, 2, false, &dither}, {8, 127, 512, 4, true, &dither},
    {4, 7, 32, 2, false, NULL},    {4, 7, 64, 4, false, &dither},    {4, 5, 16, 2, true, &dither},
    {8, 3, 4096, 2, false, NULL},  {8, 1, 2048, 4, false, &dither},  {4, 1, 16, 4, false, NULL},
};
enum { BLOCKS = sizeof blocks / sizeof *blocks };

static void check_blocks(int64_t n) {
  for (int i = 0; i < BLOCKS; i++) {
    const at_block *b = &blocks[i];
    ref.block_pack(b, n, x, scales0, codes0);
    fast.block_pack(b, n, x, scales1, codes1);
    same_codes();
    ref.block_unpack(b, n, scales0, codes0, out0);
    fast.block_unpack(b, n, scales0, codes0, out1);
    same_values(n);
    ref.block_add(b, n, scales0, codes0, 0.3f, out0);
    fast.block_add(b, n, scales0, codes0, 0.3f, out1);
    same_values(n);
  }
}

static void check_shared_scales(int64_t n) {
  static float tops0[MOST], tops1[MOST];
  static int16_t q0[MOST + 1], q1[MOST + 1];
  for (int i = 0; i < BLOCKS; i++) {
    const at_block *b = &blocks[i];
    const at_scale_rule rule = at_scale_rule_of(b->top, b->scale_bytes);
    const int64_t nb = at_blocks(n, b->block);
    ref.block_tops(n, b->block, x, tops0);
    fast.block_tops(n, b->block, x, tops1);
    assert_memory_equal(tops0, tops1, (size_t)nb * sizeof *tops0);
    for (int64_t j = 0; j < nb; j++) {
      tops0[j] = at_scale_of(&rule, 1.7f * tops0[j]);
    }
    q0[n] = q1[n] = 99;
    ref.block_codes(b, n, x, tops0, q0);
    fast.block_codes(b, n, x, tops0, q1);
    assert_memory_equal(q0, q1, (size_t)(n + 1) * sizeof *q0);
  }
}

static void check_e3m0(int64_t n) {
  for (int block = 16; block <= 4096; block *= 4) {
    ref.e3m0_pack(block, n, x, scales0, codes0);
    fast.e3m0_pack(block, n, x, scales1, codes1);
    same_codes();
    ref.e3m0_unpack(block, n, scales0, codes0, out0);
    fast.e3m0_unpack(block, n, scales0, codes0, out1);
    same_values(n);
  }
}

static void check_casts(int64_t n) {
  assert_int_equal(ref.f16_pack(n, x, codes0), fast.f16_pack(n, x, codes1));
  ref.bf16_pack(n, x, scales0);
  fast.bf16_pack(n, x, scales1);
  same_codes();
  ref.f16_unpack(n, codes0, out0);
  fast.f16_unpack(n, codes0, out1);
  same_values(n);
  ref.bf16_unpack(n, scales0, out0);
  fast.bf16_unpack(n, scales0, out1);
  same_values(n);
}

static void check_signs_and_buckets(int64_t n) {
  ref.sign_pack(n, x, codes0);
  fast.sign_pack(n, x, codes1);
  ref.bucket_pack(n, x, 0.01f, 40.0f, scales0);
  fast.bucket_pack(n, x, 0.01f, 40.0f, scales1);
  same_codes();
  ref.sign_unpack(n, codes0, 0.7f, out0);
  fast.sign_unpack(n, codes0, 0.7f, out1);
  same_values(n);
  ref.sign_add(n, codes0, 0.3f, 0.7f, out0);
  fast.sign_add(n, codes0, 0.3f, 0.7f, out1);
  same_values(n);
}

static void check_sums(int64_t n) {
  const double a = ref.sum_abs(n, x), b = ref.sum_squares(n, x);
  assert_true(a == fast.sum_abs(n, x) && b == fast.sum_squares(n, x));
  assert_true(ref.finite(n, x, NULL) && fast.finite(n, x, NULL) && fast.finite(n, x, e) && ref.finite(n, x, e));
  if (n == 0) {
    return;
  }
  const float bad[3] = {NAN, INFINITY, -INFINITY};
  for (int i = 0; i < 3; i++) {
    e[n / 2] = bad[i];
    assert_false(ref.finite(n, e, NULL) || fast.finite(n, e, NULL) || fast.finite(n, x, e) || ref.finite(n, x, e));
  }
  x[n - 1] = e[n - 1] = FLT_MAX; /* finite, but not together */
  e[n / 2] = n == 1 ? FLT_MAX : 0.0f;
  assert_true(ref.finite(n, e, NULL) && fast.finite(n, e, NULL));
  assert_false(ref.finite(n, x, e) || fast.finite(n, x, e));
}

static void check_crc(int64_t n) {
  const uint8_t *bytes = (const uint8_t *)x;
  assert_int_equal(ref.crc32(0, 4 * n, bytes), fast.crc32(0, 4 * n, bytes));
  for (int64_t cut = 0; cut < 4 * n; cut += 997) { /* in two steps, at any alignment */
    const uint32_t first = fast.crc32(0, cut, bytes);
    assert_int_equal(ref.crc32(0, 4 * n, bytes), fast.crc32(first, 4 * n - cut, bytes + cut));
  }
}

static void check_selection(int64_t n) {
  uint32_t *keys = (uint32_t *)(void *)codes0;
  static uint32_t i0[MOST + 1], i1[MOST + 1];
  const int64_t ks[] = {0, 1, n / 1000, n / 100, n / 9, n / 2, n - 1, n};
  for (size_t j = 0; j < sizeof ks / sizeof *ks; j++) {
    const int64_t k = ks[j];
    if (k < 0 || k > n) {
      continue;
    }
    memset(i0, 0, sizeof i0);
    memset(i1, 0, sizeof i1);
    ref.select_top(n, x, k, keys, i0);
    memset(keys, 0xff, 8 * (size_t)n);
    fast.select_top(n, x, k, keys, i1);
    assert_memory_equal(i0, i1, sizeof i0);
    const float least = k > 0 ? fabsf(x[i0[k / 2]]) : 0.5f;
    const int64_t m = ref.select_least(n, x, least, k, i0);
    assert_int_equal(m, fast.select_least(n, x, least, k, i1));
    assert_memory_equal(i0, i1, sizeof i0);
  }
}

static void check_words(int64_t n) {
  uint32_t *w0 = (uint32_t *)(void *)codes0, *w1 = (uint32_t *)(void *)codes1;
  ref.words(&dither, 64 * 3, n, w0);
  fast.words(&dither, 64 * 3, n, w1);
  same_codes();
  uint64_t *m0 = (uint64_t *)(void *)codes0, *m1 = (uint64_t *)(void *)codes1;
  const int64_t half = n / 2;
  for (int negative = 0; negative < 2; negative++) {
    ref.mask_add(&dither, negative != 0, half, m0);
    fast.mask_add(&dither, negative != 0, half, m1);
    same_codes();
  }
}

static void test_levels_agree(void **state) {
  (void)state;
  void (*const checks[])(int64_t) = {
      check_blocks, check_shared_scales, check_e3m0,  check_casts, check_signs_and_buckets,
      check_sums,   check_selection,     check_words, check_crc};
  for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
    each_level(checks[i]);
  }
}

/* The published answers for Philox4x32-10 (counter and key all zeros; all ones), and the order of words. */
static void test_words_are_philox(void **state) {
  (void)state;
  at_codec_kernels_init(&ref, AT_ISA_REF);
  const at_dither zero = {{0, 0}, {0, 0}};
  uint32_t w[192];
  ref.words(&zero, 0, 192, w);
  assert_int_equal(w[0], 0x6627e8d5);
  assert_int_equal(w[16], 0xe169c58d);
  assert_int_equal(w[32], 0xbc57ac4c);
  assert_int_equal(w[48], 0x9b00dbd8);
  for (uint64_t i = 0; i < 192; i++) {
    const philox4x32_ctr_t c = at_dither_block(&zero, 16 * (i / 64) + i % 16);
    assert_int_equal(w[i], c.v[i % 64 / 16]);
  }
  const at_dither ones = {{UINT32_MAX, UINT32_MAX}, {UINT32_MAX, UINT32_MAX}};
  const philox4x32_ctr_t c = at_dither_block(&ones, UINT64_MAX);
  assert_int_equal(c.v[0], 0x408f276d);
  uint64_t acc[96] = {0};
  ref.mask_add(&zero, false, 96, acc);
  for (int i = 0; i < 96; i++) {
    assert_true(acc[i] == (w[2 * i] | (uint64_t)w[2 * i + 1] << 32));
  }
  ref.mask_add(&zero, true, 96, acc);
  for (int i = 0; i < 96; i++) {
    assert_true(acc[i] == 0);
  }
}

/* The largest by magnitude with ties to the lower index, by sorting. */
static void test_selects_the_largest(void **state) {
  (void)state;
  at_codec_kernels_init(&ref, AT_ISA_REF);
  uint32_t keys[2000], index[1000];
  for (int kind = 0; kind < DATA_KINDS; kind++) {
    codec_data_fill((codec_data)kind, 5, 1000, x);
    for (int64_t k = 0; k <= 1000; k += 37) {
      ref.select_top(1000, x, k, keys, index);
      bool is_in[1000] = {false};
      for (int64_t i = 0; i < k; i++) {
        assert_true(index[i] < 1000 && (i == 0 || index[i] > index[i - 1]));
        is_in[index[i]] = true;
      }
      for (int i = 0; i < 1000; i++) {
        int64_t before = 0; /* elements that go before i */
        for (int j = 0; j < 1000; j++) {
          before += fabsf(x[j]) > fabsf(x[i]) || (fabsf(x[j]) == fabsf(x[i]) && j < i);
        }
        assert_int_equal(is_in[i], before < k);
      }
    }
  }
}

/* Halves and bf16 of all exponents against the definition in double. */
static void test_casts_round_to_even(void **state) {
  (void)state;
  for (uint32_t u = 0; u < 0x7f800000u; u += 4099) {
    const float v = at_float_of(u);
    const float b = at_float_of((uint32_t)at_bf16_of(v) << 16);
    if (v < 0x1.fep127f) {
      const double step = ldexp(1.0, (u < 0x800000u ? -126 : ilogbf(v)) - 7);
      assert_true((double)b == rint((double)v / step) * step);
    } else {
      assert_true(b == 0x1.fep127f);
    }
    if (v <= 65504.0f) {
      const double step = ldexp(1.0, (v < 0x1p-14f ? -14 : ilogbf(v)) - 10);
      assert_true((double)at_f16_value(at_f16_of(v)) == rint((double)v / step) * step);
      assert_true(at_f16_value(at_f16_of(-v)) == -at_f16_value(at_f16_of(v)));
    }
  }
}

static void test_clipped_and_counted(void **state) {
  (void)state;
  at_codec_kernels_init(&ref, AT_ISA_REF);
  const float big[4] = {65504.0f, 65505.0f, -1e30f, 6e4f};
  assert_int_equal(ref.f16_pack(4, big, codes0), 2);
  ref.f16_unpack(4, codes0, out0);
  assert_true(out0[0] == 65504.0f && out0[1] == 65504.0f && out0[2] == -65504.0f && out0[3] == 6e4f);
  const float most[2] = {FLT_MAX, -FLT_MAX};
  for (int i = 0; i < BLOCKS; i++) {
    ref.block_pack(&blocks[i], 2, most, scales0, codes0);
    ref.block_unpack(&blocks[i], 2, scales0, codes0, out0);
    assert_true(isfinite(out0[0]) && out0[0] > 0x1p124f && out0[1] == -out0[0]);
  }
}

/* Every E3M0 code is the nearest of the fifteen levels. */
static void test_e3m0_is_nearest(void **state) {
  (void)state;
  for (int kind = 0; kind < DATA_KINDS; kind++) {
    codec_data_fill((codec_data)kind, 3, 512, x);
    float top = 0;
    for (int i = 0; i < 512; i++) {
      top = fmaxf(top, fabsf(x[i]));
    }
    const int32_t s = at_e3m0_scale(top);
    for (int i = 0; i < 512; i++) {
      const double got = fabs((double)x[i] - (double)at_e3m0_value(at_e3m0_code(x[i], s), s));
      double best = fabs((double)x[i]);
      for (int k = 1; k <= 7; k++) {
        best = fmin(best, fabs(fabs((double)x[i]) - ldexp(1.0, s - 127 + k - 7)));
      }
      assert_true(got == best);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_words_are_philox),    cmocka_unit_test(test_levels_agree),
      cmocka_unit_test(test_selects_the_largest), cmocka_unit_test(test_casts_round_to_even),
      cmocka_unit_test(test_clipped_and_counted), cmocka_unit_test(test_e3m0_is_nearest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
