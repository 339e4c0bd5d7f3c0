/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel table: names, levels, no empty slot, fast slots where they are promised, BLAS from the right library. */
#include <dlfcn.h>

#include <cblas.h>

#include "kernels/kernels.h"
#include "tests/unit/unit.h"

static void test_names(void **state) {
  (void)state;
  for (int s = 0; s < AT_K_COUNT; s++) {
    assert_true(strlen(at_kernel_name((at_kslot)s)) > 1);
    for (int t = 0; t < s; t++) {
      assert_string_not_equal(at_kernel_name((at_kslot)s), at_kernel_name((at_kslot)t));
    }
  }
  assert_string_equal(at_kernel_name(AT_K_attention_bwd), "attention_bwd");
  assert_string_equal(at_kernel_name(AT_K_COUNT), "?");
}

static void test_isa_names(void **state) {
  (void)state;
  for (int i = 0; i < AT_ISA_COUNT; i++) {
    at_isa isa = AT_ISA_COUNT;
    assert_int_equal(at_isa_from_name(at_isa_name((at_isa)i), &isa), 0);
    assert_int_equal((int)isa, i);
  }
  at_isa isa = AT_ISA_AVX2;
  assert_int_equal(at_isa_from_name("AVX2", &isa), -1);
  assert_int_equal(at_isa_from_name("", &isa), -1);
  assert_int_equal((int)isa, (int)AT_ISA_AVX2);
}

static void test_no_slot_is_empty(void **state) {
  (void)state;
  at_kernels ref;
  at_kernels_init(&ref, AT_ISA_REF);
  for (int i = 0; i <= (int)at_isa_detect(); i++) {
    at_kernels k;
    at_kernels_init(&k, (at_isa)i);
    assert_string_equal(k.isa_name, at_isa_name((at_isa)i));
    assert_int_equal((int)k.isa, i);
    for (int s = 0; s < AT_K_COUNT; s++) {
      assert_true(k.f32[s] != NULL && k.f64[s] == ref.f64[s]);
    }
    assert_true(k.vec.adamw && k.vec.sgd && k.vec.axpy && k.vec.sub && k.vec.sumsq && k.vec.dot && k.vec.grid_add &&
                k.vec.grid_get && k.vec.largest);
    assert_true((k.f32[AT_K_attention] != ref.f32[AT_K_attention]) == (i > 0));
    assert_true((k.f32[AT_K_matmul] != ref.f32[AT_K_matmul]) == (i > 0));
    assert_true((k.vec.adamw != ref.vec.adamw) == (i > 0));
  }
}

/* GSL brings a cblas_sgemm of its own that is twenty times slower; if it were linked first it would be taken. */
static void test_blas_is_openblas(void **state) {
  (void)state;
  Dl_info info;
  assert_true(dladdr((void *)(uintptr_t)cblas_sgemm, &info) != 0);
  assert_null(strstr(info.dli_fname, "gslcblas"));
  assert_true(strstr(info.dli_fname, "blas") != NULL);
}

/* Scratch that a plan made for f32 is counted in bytes and grows with the type where the type is what is stored. */
static void test_scratch(void **state) {
  (void)state;
  const int64_t norm[2] = {10, 100}, attention[6] = {2, 64, 4, 2, 32, 1};
  assert_int_equal(at_kernel_scratch(AT_K_layernorm_bwd, norm, 4), 800);
  assert_int_equal(at_kernel_scratch(AT_K_layernorm_bwd, norm, 8), 1600);
  assert_true(at_kernel_scratch(AT_K_attention, attention, 4) > 0);
  assert_true(at_kernel_scratch(AT_K_attention_bwd, attention, 8) >= 2 * 64 * 32 * sizeof(double));
  assert_int_equal(at_kernel_scratch(AT_K_add, norm, 4), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_isa_names),
      cmocka_unit_test(test_no_slot_is_empty),
      cmocka_unit_test(test_blas_is_openblas),
      cmocka_unit_test(test_scratch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
