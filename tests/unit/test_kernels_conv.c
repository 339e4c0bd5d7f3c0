/* SPDX-License-Identifier: BSD-3-Clause */
/* Convolution at every level against the f64 reference. */
#include "kernels/conv_shape.h"
#include "tests/unit/kernels_harness.h"

/* n h w c oc, kh kw, stride, padding, groups */
typedef struct shape {
  int64_t n, h, w, c, oc, kh, kw, sh, sw, ph, pw, groups;
} shape;

static const shape shapes[] = {
    {2, 5, 6, 3, 5, 3, 3, 1, 1, 1, 1, 1},       /* odd everything */
    {3, 8, 8, 16, 64, 3, 3, 1, 1, 1, 1, 1},     /* whole panels */
    {1, 7, 9, 8, 70, 3, 3, 2, 2, 1, 1, 1},      /* strides, a second panel */
    {2, 6, 6, 4, 33, 1, 1, 2, 2, 0, 0, 1},      /* positions that no output reads */
    {2, 9, 7, 6, 4, 2, 3, 3, 2, 0, 1, 1},       /* rows behind the last window */
    {2, 8, 8, 1, 32, 5, 5, 1, 1, 2, 2, 1},      /* one channel */
    {1, 40, 40, 2, 17, 3, 3, 1, 1, 1, 1, 1},    /* more outputs than a block */
    {1, 4, 4, 400, 20, 3, 3, 1, 1, 1, 1, 1},    /* deeper than a panel */
    {2, 6, 6, 8, 12, 3, 3, 1, 1, 1, 1, 4},      /* groups */
    {2, 6, 5, 9, 9, 3, 3, 2, 1, 1, 1, 9},       /* depthwise */
    {2, 1, 30, 5, 6, 1, 4, 1, 2, 0, 2, 1},      /* one-dimensional */
    {1, 2, 300, 3, 4, 1, 3, 1, 1, 0, 1, 1},     /* a row longer than a strip */
    {2, 3, 3, 2, 3, 3, 3, 1, 1, 3, 3, 1},       /* padding wider than the kernel reaches */
    {1, 2, 2, 2, 2, 3, 3, 1, 1, 0, 0, 1},       /* no output */
    {0, 4, 4, 2, 2, 3, 3, 1, 1, 1, 1, 1},       /* no image */
    {2, 20, 20, 320, 8, 17, 17, 1, 1, 8, 8, 8}, /* more runs than a block holds */
    /* by minimal filtering where there are vectors (kernels/minimal_shape.h) */
    {3, 7, 9, 17, 20, 3, 3, 1, 1, 1, 1, 1}, /* tiles over the border, masked channels */
    {3, 9, 7, 20, 17, 5, 5, 1, 1, 2, 2, 1},
    {4, 14, 14, 32, 64, 5, 5, 1, 1, 2, 2, 1}, /* whole everything, more tiles than a block */
    {1, 40, 40, 16, 70, 3, 3, 1, 1, 1, 1, 1}, /* one image, a second panel */
    {2, 8, 8, 24, 40, 3, 3, 1, 1, 0, 0, 1},   /* no zeros around */
    {2, 9, 8, 24, 40, 5, 5, 1, 1, 0, 1, 1},
    {2, 5, 6, 16, 16, 3, 3, 1, 1, 3, 4, 1}, /* more of them than the kernel reaches */
    {1, 6, 6, 16, 24, 5, 5, 1, 1, 6, 5, 1},
    {1, 4, 4, 512, 160, 3, 3, 1, 1, 1, 1, 1}, /* a second group of columns, forward */
    {1, 4, 4, 160, 512, 3, 3, 1, 1, 1, 1, 1}, /* and for dx */
    {1, 6, 6, 256, 70, 5, 5, 1, 1, 2, 2, 1},
    {0, 8, 8, 16, 16, 3, 3, 1, 1, 1, 1, 1} /* no image */
};

static int64_t out_size(int64_t size, int64_t kernel, int64_t stride, int64_t pad) {
  return size + 2 * pad < kernel ? 0 : (size + 2 * pad - kernel) / stride + 1;
}

/* rounded: the slot that rounds its inputs. */
static void check_slot(at_kslot slot, at_kslot rounded) {
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    const shape *s = &shapes[i];
    const int64_t oh = out_size(s->h, s->kh, s->sh, s->ph), ow = out_size(s->w, s->kw, s->sw, s->pw);
    const int64_t x = s->n * s->h * s->w * s->c, y = s->n * oh * ow * s->oc;
    const int64_t w = s->kh * s->kw * s->c / s->groups * s->oc;
    kt_case c = {.slot = slot,
                 .dim = {s->n, s->h, s->w, s->c, s->oc, s->kh, s->kw, s->sh, s->sw, s->ph, s->pw, s->groups, oh, ow},
                 .in = {{KT_NORMAL, slot == AT_K_conv2d_dx ? y : x, 0, NULL},
                        {KT_NORMAL, slot == AT_K_conv2d_dw ? y : w, 0, NULL}},
                 .out = {slot == AT_K_conv2d      ? y
                         : slot == AT_K_conv2d_dx ? x
                                                  : w}};
    kt_check_levels(&c, 4e-6);
    c.slot = rounded;
    kt_check_levels(&c, 4e-6);
  }
}

static void test_conv2d(void **state) {
  (void)state;
  check_slot(AT_K_conv2d, AT_K_conv2d_bf16);
}

static void test_conv2d_dx(void **state) {
  (void)state;
  check_slot(AT_K_conv2d_dx, AT_K_conv2d_dx_bf16);
}

static void test_conv2d_dw(void **state) {
  (void)state;
  check_slot(AT_K_conv2d_dw, AT_K_conv2d_dw_bf16);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(kt_test_all_levels_present), cmocka_unit_test(test_conv2d),
                                     cmocka_unit_test(test_conv2d_dx), cmocka_unit_test(test_conv2d_dw)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
