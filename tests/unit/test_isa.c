/* SPDX-License-Identifier: BSD-3-Clause */
/* Pinning: the libraries really run at the level asked for; and cblas_sgemm is OpenBLAS's. */
#include "src/base/isa.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* <cblas.h> cannot stand beside GSL's headers, and only these two are needed. */
extern char *openblas_get_corename(void);
extern void cblas_sgemm(void);

static char *program;

/* "ISA THREADS CORE ONEDNN" or the error, from a child whose environment has the two variables. */
static void pinned_child(const char *isa, const char *threads, char *text, size_t size) {
  char command[4400];
  snprintf(command, sizeof command,
           "env -u OPENBLAS_CORETYPE -u OMP_NUM_THREADS ATOLL_ISA=%s ATOLL_THREADS=%s '%s' child", isa, threads,
           program);
  FILE *in = popen(command, "r");
  assert_non_null(in);
  text[fread(text, 1, size - 1, in)] = '\0';
  assert_int_equal(pclose(in), 0);
}

static int child(char **argv) {
  at_pin pin;
  at_err err = at_isa_pin(argv, &pin);
  if (err != AT_OK) {
    printf("%s: %s", at_err_name(err), at_err_message());
    return 0;
  }
  printf("%s %d %s %s %s", at_isa_name(pin.isa), pin.threads, openblas_get_corename(), getenv("ONEDNN_MAX_CPU_ISA"),
         argv[1]);
  return 0;
}

static void test_levels(void **state) {
  (void)state;
  char text[1024], want[256];
  static const char *const cores[] = {"Prescott", "Haswell", "SkylakeX", "SkylakeX"};
  static const char *const dnnl[] = {"SSE41", "AVX2", "AVX512_CORE_VNNI", "AVX512_CORE_BF16"};
  for (int isa = 0; isa <= (int)at_isa_detect(); isa++) {
    pinned_child(at_isa_name((at_isa)isa), "3", text, sizeof text);
    snprintf(want, sizeof want, "%s 3 %s %s child", at_isa_name((at_isa)isa), cores[isa], dnnl[isa]);
    assert_string_equal(text, want);
  }
  pinned_child("", "", text, sizeof text); /* defaults: the best level, one thread */
  snprintf(want, sizeof want, "%s 1 ", at_isa_name(at_isa_detect()));
  assert_memory_equal(text, want, strlen(want));
}

static void test_refusals(void **state) {
  (void)state;
  char text[1024];
  pinned_child("sse9", "1", text, sizeof text);
  assert_non_null(strstr(text, "CONFIG: ATOLL_ISA = sse9: expected ref, avx2, avx512 or avx512bf16"));
  static const char *const bad[] = {"0", "two", "1x", "5000"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    pinned_child("ref", bad[i], text, sizeof text);
    assert_non_null(strstr(text, "CONFIG: ATOLL_THREADS"));
  }
  if (at_isa_detect() < AT_ISA_AVX512BF16) {
    pinned_child("avx512bf16", "1", text, sizeof text);
    assert_non_null(strstr(text, "at most"));
  }
}

static void test_blas_is_openblas(void **state) {
  (void)state;
  Dl_info info;
  assert_true(dladdr((void *)(uintptr_t)cblas_sgemm, &info) != 0);
  char path[PATH_MAX];
  assert_non_null(realpath(info.dli_fname, path));
  if (strstr(path, "openblas") == NULL) {
    fail_msg("cblas_sgemm comes from %s, not from OpenBLAS: put -lopenblas before -lgsl", path);
  }
}

int main(int argc, char **argv) {
  char self[4096] = "";
  if (argc > 1 && strcmp(argv[1], "child") == 0) {
    return child(argv);
  }
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) {
    return 1;
  }
  program = self;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_levels),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_blas_is_openblas),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
