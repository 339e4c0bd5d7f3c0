/* SPDX-License-Identifier: BSD-3-Clause */
/* What a plan compares with: limits of Slurm and of the machine, and folders above a path. */
#include "sim/limits.h"

#include <stdlib.h>
#include <unistd.h>

#include "sim/scratch.h"
#include "tests/unit/unit.h"

static void test_times(void **state) {
  (void)state;
  static const struct {
    const char *text;
    double s;
  } rows[] = {{"90", 5400},       {"0:30", 30}, {"1:30:00", 5400}, {"2-12", 216000}, {"2-12:30", 217800},
              {"1-0:0:1", 86401}, {"", -1},     {"x", -1},         {"1:", -1},       {"1:2:3:4", -1},
              {"UNLIMITED", -1},  {"x-1", -1},  {"-5", -1},        {"5 min", -1},    {"1-", -1}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    double s = at_limit_parse_time(rows[i].text);
    if (rows[i].s < 0 ? s >= 0 : s != rows[i].s) {
      fail_msg("\"%s\" is %g s, expected %g", rows[i].text, s, rows[i].s);
    }
  }
}

static void test_time_limits(void **state) {
  (void)state;
  unsetenv("SLURM_JOB_END_TIME");
  unsetenv("SLURM_TIMELIMIT");
  unsetenv("SBATCH_TIMELIMIT");
  assert_true(at_limit_time().value < 0);
  setenv("SBATCH_TIMELIMIT", "10", 1);
  assert_true(at_limit_time().value == 600);
  setenv("SLURM_TIMELIMIT", "5", 1);
  assert_true(at_limit_time().value == 300);
  assert_string_equal(at_limit_time().source, "SLURM_TIMELIMIT");
  setenv("SLURM_JOB_END_TIME", "1000", 1); /* long ago */
  assert_true(at_limit_time().value == 0);
}

static void test_memory_limits(void **state) {
  (void)state;
  unsetenv("SLURM_MEM_PER_NODE");
  unsetenv("SLURM_MEM_PER_CPU");
  assert_true(at_limit_memory().value > 0);
  setenv("SLURM_MEM_PER_NODE", "7", 1);
  assert_true(at_limit_memory().value == 7 * 1048576.0);
  setenv("SLURM_MEM_PER_CPU", "3", 1);
  setenv("SLURM_CPUS_ON_NODE", "2", 1);
  assert_true(at_limit_memory().value == 6 * 1048576.0);
  setenv("SLURM_MEM_PER_NODE", "0", 1); /* all of the node */
  unsetenv("SLURM_MEM_PER_CPU");
  assert_true(at_limit_memory().value > 7 * 1048576.0);
}

static void test_nodes(void **state) {
  (void)state;
  unsetenv("SLURM_JOB_NUM_NODES");
  assert_int_equal(at_limit_ranks_per_node(7), 7);
  setenv("SLURM_JOB_NUM_NODES", "3", 1);
  assert_int_equal(at_limit_ranks_per_node(7), 3);
}

static void test_folders_above(void **state) {
  (void)state;
  static const char *const rows[][2] = {{"runs/not/there", "."},      {"x", "."},
                                        {"/no-such/folder/run", "/"}, {"/usr/no-such/a/b", "/usr"},
                                        {"/usr/lib/", "/usr"},        {"/", "/"}};
  char out[256];
  assert_true(access("runs/not", F_OK) != 0);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    at_scratch_ancestor(out, sizeof out, rows[i][0]);
    assert_string_equal(out, rows[i][1]);
  }
  assert_true(at_limit_disk("/usr/no-such/a").value > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_times), cmocka_unit_test(test_time_limits),   cmocka_unit_test(test_memory_limits),
      cmocka_unit_test(test_nodes), cmocka_unit_test(test_folders_above),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
