/* SPDX-License-Identifier: BSD-3-Clause */
/* Kernels that move values (place, causal_fill, onehot, embed, embed_bwd) against their definitions, element by element. */
#include "tests/unit/kernels_harness.h"

/* Runs `c` at each level in f32, and in f64, and compares with want[], exactly. */
static void check_exact(const kt_case *c, const double *want) {
  for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
    at_kernels level;
    at_kernels_init(&level, (at_isa)isa);
    for (int size = 4; size <= 8; size += 4) {
      for (int offset = 0; offset < 2; offset++) {
        kt_result r = kt_run(c, size == 4 ? level.f32[c->slot] : level.f64[c->slot], (size_t)size, offset);
        for (int64_t i = 0; i < c->out[0]; i++) {
          if (r.out[0][i] != want[i]) {
            fail_msg("%s %s: element %d is %g, not %g", level.isa_name, at_kernel_name(c->slot), (int)i, r.out[0][i],
                     want[i]);
          }
        }
        kt_result_free(&r);
      }
    }
  }
}

static const struct box {
  int nd;
  int64_t shape[AT_KND], start[AT_KND], box[AT_KND];
} boxes[] = {
    {1, {9}, {2}, {5}},
    {2, {4, 6}, {1, 2}, {2, 3}},
    {2, {4, 6}, {0, 0}, {4, 6}},
    {3, {3, 4, 5}, {1, 0, 4}, {2, 4, 1}},
    {6, {2, 2, 3, 2, 2, 4}, {1, 0, 1, 0, 1, 1}, {1, 2, 2, 2, 1, 3}},
    {2, {4, 6}, {1, 2}, {0, 3}},
    {2, {4, 6}, {1, 2}, {2, 0}},
    {2, {0, 6}, {0, 2}, {0, 3}},
    {0, {0}, {0}, {0}},
};

static void test_place(void **state) {
  (void)state;
  for (size_t k = 0; k < sizeof boxes / sizeof *boxes; k++) {
    const struct box *q = &boxes[k];
    kt_case c = {.slot = AT_K_place, .dim = {q->nd}, .in = {{KT_NORMAL, 1, 0, NULL}}, .out = {1}};
    double want[256];
    for (int i = 0; i < q->nd; i++) {
      c.dim[1 + i] = q->shape[i];
      c.dim[1 + q->nd + i] = q->start[i];
      c.dim[1 + 2 * q->nd + i] = q->box[i];
      c.out[0] *= q->shape[i];
      c.in[0].n *= q->box[i];
    }
    for (int64_t at = 0; at < c.out[0]; at++) {
      int64_t rest = at, from = 0, step = 1;
      int inside = 1;
      for (int i = q->nd - 1; i >= 0; i--) {
        const int64_t x = rest % q->shape[i] - q->start[i];
        rest /= q->shape[i];
        inside &= x >= 0 && x < q->box[i];
        from += x * step;
        step *= q->box[i];
      }
      want[at] = inside ? kt_value(&c.in[0], 0, from) : 0.0;
    }
    check_exact(&c, want);
  }
}

static void test_causal_fill(void **state) {
  (void)state;
  static const int64_t shapes[][4] = {{2, 5, 5, 0}, {1, 3, 7, 4}, {2, 4, 3, 0}, {1, 4, 4, -2},
                                      {3, 1, 9, 8}, {1, 0, 4, 0}, {2, 3, 0, 0}};
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
    const int64_t b = shapes[k][0], t = shapes[k][1], s = shapes[k][2], shift = shapes[k][3], n = b * t * s;
    kt_case c = {.slot = AT_K_causal_fill,
                 .dim = {b, t, s},
                 .attr = {-1024.5, (double)shift},
                 .in = {{KT_NORMAL, n, 0, NULL}},
                 .out = {n}};
    double want[64];
    for (int64_t i = 0; i < n; i++) {
      want[i] = i % s <= i / s % t + shift ? kt_value(&c.in[0], 0, i) : -1024.5;
    }
    check_exact(&c, want);
    c.in_place = n > 0;
    check_exact(&c, want);
  }
}

static void test_onehot(void **state) {
  (void)state;
  const kt_case c = {.slot = AT_K_onehot, .dim = {40, 5}, .in = {{KT_INDEX, 40, 6, NULL}}, .out = {200}};
  double want[200];
  for (int i = 0; i < 200; i++) {
    want[i] = i % 5 == (int)kt_value(&c.in[0], 0, i / 5); /* -1 and 5 are outside */
  }
  check_exact(&c, want);
}

enum { IDS = 23, WIDTH = 7, ROWS = 5 };

static int id_of(const kt_case *c, int i) {
  return (int)kt_value(&c->in[1], 1, i); /* -1 .. ROWS: both ends are outside */
}

static void test_embed(void **state) {
  (void)state;
  const kt_case c = {.slot = AT_K_embed,
                     .dim = {IDS, WIDTH, ROWS},
                     .in = {{KT_NORMAL, ROWS * WIDTH, 0, NULL}, {KT_INDEX, IDS, ROWS + 1, NULL}},
                     .out = {IDS * WIDTH}};
  double want[IDS * WIDTH];
  int outside = 0;
  for (int i = 0; i < IDS * WIDTH; i++) {
    const int id = id_of(&c, i / WIDTH), known = id >= 0 && id < ROWS;
    want[i] = known ? kt_value(&c.in[0], 0, id * WIDTH + i % WIDTH) : 0.0;
    outside += !known;
  }
  assert_true(outside > 0 && outside < IDS * WIDTH);
  check_exact(&c, want);
}

/* Inputs are multiples of 2^-12 below 8, so that these sums are exact in float. */
static void test_embed_bwd(void **state) {
  (void)state;
  const kt_case c = {.slot = AT_K_embed_bwd,
                     .dim = {IDS, WIDTH, ROWS},
                     .in = {{KT_NORMAL, IDS * WIDTH, 0, NULL}, {KT_INDEX, IDS, ROWS + 1, NULL}},
                     .out = {ROWS * WIDTH}};
  double want[ROWS * WIDTH] = {0};
  for (int i = 0; i < IDS * WIDTH; i++) {
    const int id = id_of(&c, i / WIDTH);
    if (id >= 0 && id < ROWS) {
      want[id * WIDTH + i % WIDTH] += kt_value(&c.in[0], 0, i);
    }
  }
  check_exact(&c, want);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_place), cmocka_unit_test(test_causal_fill), cmocka_unit_test(test_onehot),
      cmocka_unit_test(test_embed), cmocka_unit_test(test_embed_bwd),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
