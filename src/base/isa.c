/* SPDX-License-Identifier: BSD-3-Clause */
/* Pins instruction set and threads through the environment. */
#include "src/base/isa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Holds the process number of the process that has started itself over already; children do not mistake it for theirs. */
static const char guard[] = "ATOLL_PINNED_PID";

/* What makes OpenBLAS and oneDNN stop at the same level.  OpenBLAS has nothing below SSE3; oneDNN nothing below SSE4.1. */
static const struct {
  const char *openblas, *dnnl;
} names[AT_ISA_COUNT] = {
    [AT_ISA_REF] = {"Prescott", "SSE41"},
    [AT_ISA_AVX2] = {"Haswell", "AVX2"},
    [AT_ISA_AVX512] = {"SkylakeX", "AVX512_CORE_VNNI"},
    [AT_ISA_AVX512BF16] = {"SkylakeX", "AVX512_CORE_BF16"},
};

static at_err read_isa(at_isa *out) {
  at_isa best = at_isa_detect();
  const char *name = getenv("ATOLL_ISA");
  *out = best;
  if (name == NULL || name[0] == '\0') {
    return AT_OK;
  }
  if (at_isa_from_name(name, out) != 0) {
    return AT_FAIL(AT_ERR_CONFIG, "ATOLL_ISA = %s: expected ref, avx2, avx512 or avx512bf16", name);
  }
  if (*out > best) {
    return AT_FAIL(AT_ERR_CONFIG, "ATOLL_ISA = %s: this processor supports %s at most; set it to that on all hosts",
                   name, at_isa_name(best));
  }
  return AT_OK;
}

static at_err read_threads(int *out) {
  const char *text = getenv("ATOLL_THREADS");
  *out = 1;
  if (text == NULL || text[0] == '\0') {
    return AT_OK;
  }
  char *end = NULL;
  long n = strtol(text, &end, 10);
  if (*end != '\0' || n < 1 || n > 1024) {
    return AT_FAIL(AT_ERR_CONFIG, "ATOLL_THREADS = %s: expected an integer from 1 to 1024", text);
  }
  *out = (int)n;
  return AT_OK;
}

/* Set one variable; *changed becomes true if it was different. */
static at_err set(const char *name, const char *value, bool *changed) {
  const char *now = getenv(name);
  if (now != NULL && strcmp(now, value) == 0) {
    return AT_OK;
  }
  *changed = true;
  if (setenv(name, value, 1) != 0) {
    return AT_FAIL(AT_ERR_MEMORY, "cannot set %s in the environment: %s", name, strerror(errno));
  }
  return AT_OK;
}

/* By its own path if it still has one: a process that was started as /proc/self/exe is listed as "exe". */
static void execute_again(char **argv) {
  char path[4096];
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  if (n > 0) {
    path[n] = '\0';
    execv(path, argv);
  }
  execv("/proc/self/exe", argv);
}

at_err at_isa_pin(char **argv, at_pin *out) {
  bool changed = false;
  char threads[16], self[24];
  AT_TRY(read_isa(&out->isa));
  AT_TRY(read_threads(&out->threads));
  snprintf(threads, sizeof threads, "%d", out->threads);
  const char *const wanted[][2] = {
      {"OPENBLAS_CORETYPE", names[out->isa].openblas},
      {"OPENBLAS_NUM_THREADS", threads},
      {"OMP_NUM_THREADS", threads},
      {"OMP_DYNAMIC", "false"},
      {"ONEDNN_MAX_CPU_ISA", names[out->isa].dnnl},
      {"DNNL_MAX_CPU_ISA", names[out->isa].dnnl},
      {"ONEDNN_DEFAULT_FPMATH_MODE", "STRICT"},
      {"DNNL_DEFAULT_FPMATH_MODE", "STRICT"},
  };
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    AT_TRY(set(wanted[i][0], wanted[i][1], &changed));
  }
  if (!changed) {
    return AT_OK;
  }
  const char *started = getenv(guard);
  snprintf(self, sizeof self, "%ld", (long)getpid());
  if (started != NULL && strcmp(started, self) == 0) {
    return AT_FAIL(AT_ERR_INTERNAL, "the environment that pins the instruction set does not survive exec");
  }
  AT_TRY(set(guard, self, &changed));
  execute_again(argv);
  return AT_FAIL(AT_ERR_INTERNAL, "cannot execute this program again to pin its instruction set: %s", strerror(errno));
}
