/* SPDX-License-Identifier: BSD-3-Clause */
/* A small harness for tests that run on several ranks: every rank runs every case, all agree on the outcome, and
 * rank 0 prints it in cmocka's manner, closing with "N passed, N failed, N skipped".
 *
 * Checks do not leave the case, so that a rank that fails one still takes part in the collectives that follow;
 * MPI_REQUIRE agrees first and then leaves on all ranks.  A case that hangs is ended by an alarm, which says where.
 *
 *     static void adds(mpi_test *t) { MPI_CHECK(t, 1 + 1 == 2); }
 *     int main(int argc, char **argv) { return MPI_TEST_MAIN(argc, argv, MPI_CASE(adds)); }
 *
 * A name as argument runs that case alone. */
#ifndef AT_TESTS_MPI_TEST_H
#define AT_TESTS_MPI_TEST_H

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/status.h"
#include "src/comm/comm.h"

typedef struct mpi_test {
  at_comm *world;
  int rank, size;
  bool failed;  /* on this rank */
  bool skipped; /* the same on all ranks */
} mpi_test;

typedef struct mpi_case {
  const char *name;
  void (*run)(mpi_test *t);
} mpi_case;

enum { MPI_CASE_SECONDS = 120 };

static char mpi_test_alarm_text[256];

static void mpi_test_on_alarm(int signal_number) {
  (void)signal_number;
  if (write(STDOUT_FILENO, mpi_test_alarm_text, strlen(mpi_test_alarm_text)) >= 0) {
    _exit(1);
  }
  _exit(2);
}

__attribute__((format(printf, 4, 5))) static inline void mpi_test_note(mpi_test *t, const char *file, int line,
                                                                       const char *fmt, ...) {
  char text[1200];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  printf("[   LINE   ] --- %s:%d: rank %d of %d: %s\n", file, line, t->rank, t->size, text);
  fflush(stdout);
  t->failed = true;
}

/* True on all ranks if `ok` is on all. */
static inline bool mpi_test_all(mpi_test *t, bool ok) {
  int64_t flag = ok;
  if (at_comm_allreduce(t->world, AT_COMM_I64, AT_COMM_MIN, &flag, 1) != AT_OK) {
    at_comm_abort(t->world, AT_ERR_MPI);
  }
  return flag != 0;
}

#define MPI_CHECK(t, cond)                                     \
  do {                                                         \
    if (!(cond)) {                                             \
      mpi_test_note((t), __FILE__, __LINE__, "not %s", #cond); \
    }                                                          \
  } while (0)

#define MPI_CHECK_OK(t, expr)                                                                                   \
  do {                                                                                                          \
    at_err check_e_ = (expr);                                                                                   \
    if (check_e_ != AT_OK) {                                                                                    \
      mpi_test_note((t), __FILE__, __LINE__, "%s gave %s: %s", #expr, at_err_name(check_e_), at_err_message()); \
    }                                                                                                           \
  } while (0)

/* The call fails with `code`, and its message holds `part`. */
#define MPI_CHECK_FAILS(t, code, part, expr)                                                                    \
  do {                                                                                                          \
    at_err check_e_ = (expr);                                                                                   \
    if (check_e_ != (code) || strstr(at_err_message(), (part)) == NULL) {                                       \
      mpi_test_note((t), __FILE__, __LINE__, "%s: wanted %s with \"%s\", got %s: %s", #expr, at_err_name(code), \
                    (part), at_err_name(check_e_), check_e_ == AT_OK ? "" : at_err_message());                  \
    }                                                                                                           \
  } while (0)

/* As MPI_CHECK_OK, and all ranks leave the case if it fails on one. */
#define MPI_REQUIRE_OK(t, expr)             \
  do {                                      \
    MPI_CHECK_OK(t, expr);                  \
    if (!mpi_test_all((t), !(t)->failed)) { \
      return;                               \
    }                                       \
  } while (0)

/* Leave the case without a verdict; `why` is printed once.  To be called by all ranks. */
#define MPI_SKIP(t, why)                             \
  do {                                               \
    if ((t)->rank == 0) {                            \
      printf("[   LINE   ] --- skipped: %s\n", why); \
    }                                                \
    (t)->skipped = true;                             \
    return;                                          \
  } while (0)

#define MPI_CASE(function) \
  { .name = #function, .run = function }

static inline int mpi_test_main(int argc, char **argv, int n, const mpi_case *cases) {
  at_comm *world = NULL;
  if (at_comm_init(&argc, &argv, &world) != AT_OK) {
    fprintf(stderr, "%s\n", at_err_message());
    return 1;
  }
  int rank = at_comm_rank(world);
  const char *only = argc > 1 ? argv[1] : NULL;
  int passed = 0, failed = 0, skipped = 0;
  signal(SIGALRM, mpi_test_on_alarm);
  for (int i = 0; i < n; i++) {
    if (only != NULL && strcmp(only, cases[i].name) != 0) {
      continue;
    }
    mpi_test t = {.world = world, .rank = rank, .size = at_comm_size(world)};
    snprintf(mpi_test_alarm_text, sizeof mpi_test_alarm_text, "[  FAILED  ] %s: rank %d hung for %d s\n", cases[i].name,
             rank, MPI_CASE_SECONDS);
    if (rank == 0) {
      printf("[ RUN      ] %s (%d ranks)\n", cases[i].name, t.size);
      fflush(stdout);
    }
    alarm(MPI_CASE_SECONDS);
    cases[i].run(&t);
    bool ok = mpi_test_all(&t, !t.failed);
    alarm(0);
    const char *mark = !ok ? "[  FAILED  ]" : t.skipped ? "[  SKIPPED ]" : "[       OK ]";
    if (rank == 0) {
      printf("%s %s\n", mark, cases[i].name);
    }
    failed += !ok;
    skipped += ok && t.skipped;
    passed += ok && !t.skipped;
  }
  if (rank == 0) {
    printf("[==========] %d test(s) run.\n[  PASSED  ] %d test(s).\n", passed + failed + skipped, passed);
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    fflush(stdout);
  }
  at_comm_fini(world);
  return failed == 0 ? 0 : 1;
}

#define MPI_TEST_MAIN(argc, argv, ...) \
  mpi_test_main((argc), (argv), (int)(sizeof((mpi_case[]){__VA_ARGS__}) / sizeof(mpi_case)), (mpi_case[]){__VA_ARGS__})

#endif
