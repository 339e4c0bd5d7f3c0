/* SPDX-License-Identifier: BSD-3-Clause */
/* What acts on the whole process: signals, fault points, the log.  Each case runs in a child of its own. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/fault.h"
#include "src/base/log.h"
#include "src/base/signals.h"
#include "tests/unit/unit.h"

/* The wait status of a child that runs `body`, whose stderr goes to `err` (may be NULL). */
static int run(int (*body)(void), char *err, size_t size) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  fflush(NULL);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    _exit(body());
  }
  close(ends[1]);
  size_t n = 0;
  char c;
  while (read(ends[0], &c, 1) == 1) {
    if (err != NULL && n + 1 < size) {
      err[n++] = c;
    }
  }
  if (err != NULL) {
    err[n] = '\0';
  }
  close(ends[0]);
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  return status;
}

static int catches(void) {
  if (at_signals_init() != AT_OK || at_signals_pending() != 0) {
    return 1;
  }
  raise(SIGUSR1);
  if (at_signals_pending() != SIGUSR1) {
    return 2;
  }
  raise(SIGTERM);
  raise(SIGINT);
  return at_signals_pending() == SIGUSR1 ? 0 : 3; /* the first one stays */
}

static int interrupted_twice(void) {
  if (at_signals_init() != AT_OK) {
    return 1;
  }
  raise(SIGINT);
  raise(SIGINT);
  return 2;
}

static void test_signals(void **state) {
  (void)state;
  assert_int_equal(run(catches, NULL, 0), 0);
  int status = run(interrupted_twice, NULL, 0);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 130);
}

/* Passes two kinds of points; the exit status says how far it got. */
static int pass_points(void) {
  at_fault_init(2);
  at_fault_point(AT_FAULT_STEP);
  at_fault_point(AT_FAULT_CHECKPOINT_RENAME);
  at_fault_point(AT_FAULT_STEP);
  return 7;
}

static void test_faults(void **state) {
  (void)state;
  static const struct {
    const char *spec, *rank;
    int dies;
  } rows[] = {{NULL, NULL, 0},          {"step:1", NULL, 1}, {"step:2", NULL, 1}, {"step:3", NULL, 0},
              {"step", NULL, 1},        {"step:2", "2", 1},  {"step:2", "1", 0},  {"checkpoint_rename:1", NULL, 1},
              {"checkpoint:1", NULL, 0}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    unsetenv("ATOLL_FAULT");
    unsetenv("ATOLL_FAULT_RANK");
    if (rows[i].spec != NULL) {
      setenv("ATOLL_FAULT", rows[i].spec, 1);
    }
    if (rows[i].rank != NULL) {
      setenv("ATOLL_FAULT_RANK", rows[i].rank, 1);
    }
    int status = run(pass_points, NULL, 0);
    if (rows[i].dies) {
      assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    } else {
      assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    }
  }
  unsetenv("ATOLL_FAULT");
  unsetenv("ATOLL_FAULT_RANK");
}

static char log_path[] = "/tmp/atoll-log-XXXXXX";

static int log_of_rank(int rank) {
  at_log *log = NULL;
  if (at_log_create(&log, rank, AT_LOG_INFO) != AT_OK || at_log_open_file(log, log_path) != AT_OK) {
    return 1;
  }
  at_log_info(log, "round", "round = %d, loss = %.3f", 3, 2.4);
  at_log_debug(log, "round", "not shown");
  at_log_warn(log, "data", "two\nlines");
  at_log_error(log, "store", "disk full");
  at_log_info(NULL, "nobody", "not shown");
  at_log_destroy(log);
  at_log_destroy(NULL);
  return 0;
}

static int log_rank_0(void) {
  return log_of_rank(0);
}

static int log_rank_3(void) {
  return log_of_rank(3);
}

static void test_log(void **state) {
  (void)state;
  char err[2048], file[2048] = "";
  int fd = mkstemp(log_path);
  assert_true(fd >= 0);
  assert_int_equal(run(log_rank_0, err, sizeof err), 0);
  assert_non_null(strstr(err, " s] round: round = 3, loss = 2.400\n"));
  assert_non_null(strstr(err, "warning: data: two lines\n"));
  assert_non_null(strstr(err, "error: store: disk full\n"));
  assert_null(strstr(err, "not shown"));
  assert_true(read(fd, file, sizeof file - 1) > 0);
  assert_non_null(strstr(file, "Z round: round = 3, loss = 2.400\n"));
  assert_int_equal(run(log_rank_3, err, sizeof err), 0);
  assert_null(strstr(err, "round"));
  assert_non_null(strstr(err, "rank 3: store: disk full\n"));
  char more[64];
  assert_int_equal(read(fd, more, sizeof more), 0); /* only rank 0 writes the file */
  close(fd);
  unlink(log_path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_signals),
      cmocka_unit_test(test_faults),
      cmocka_unit_test(test_log),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
