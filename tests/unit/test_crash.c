/* SPDX-License-Identifier: BSD-3-Clause */
/* What is left when ranks die: this program starts itself under mpirun, has a rank killed, and looks at the remains. */
#include "tests/unit/unit.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/fault.h"
#include "src/comm/comm.h"
#include "src/store/ckpt.h"
#include "src/store/metrics.h"

/* ---- the child: one rank of a run ---- */

enum { D = 30000, CLIENTS = 5 };

typedef struct saved {
  float theta[D];
  int64_t steps, n_local, ids[CLIENTS], cursors[CLIENTS];
  at_ckpt_item items[3];
} saved;

static void fill(saved *s, at_comm *world, int64_t round) {
  s->n_local = 0;
  s->steps = 100 * round;
  for (int i = 0; i < D; i++) {
    s->theta[i] = (float)(i + round);
  }
  for (int64_t c = at_comm_rank(world); c < CLIENTS; c += at_comm_size(world)) {
    s->ids[s->n_local] = c;
    s->cursors[s->n_local++] = 10 * c + round;
  }
  s->items[0] = (at_ckpt_item){.desc = {"/theta", AT_H5_F32, 1, {D}, "1", "", 0}, .data = s->theta};
  s->items[1] = (at_ckpt_item){.desc = {"/steps", AT_H5_I64, 0, {0}, "1", "", 0}, .data = &s->steps};
  s->items[2] = (at_ckpt_item){.desc = {"/cursor", AT_H5_I64, 1, {CLIENTS}, "1", "", 0},
                               .kind = AT_CKPT_ROWS,
                               .data = s->cursors,
                               .n_local = s->n_local,
                               .ids = s->ids};
}

static at_err write_metrics(at_run *run, at_comm *world, int64_t round) {
  int loss = 0;
  at_metrics *m = NULL;
  if (at_comm_rank(world) != 0) {
    return AT_OK;
  }
  AT_TRY(at_metrics_create(&m, at_run_path(run, "metrics.h5"), NULL, NULL));
  at_err err = at_metrics_add(m, "loss", "1", "", 1, NULL, false, &loss);
  if (err == AT_OK) {
    err = at_metrics_load(m, round - 1);
  }
  if (err == AT_OK) {
    at_metrics_set(m, loss, (double)round);
    err = at_metrics_end_row(m, round);
  }
  if (err == AT_OK) {
    err = at_metrics_flush(m, true);
  }
  at_metrics_destroy(m);
  return err;
}

static at_err write_round(at_run *run, at_comm *world, int64_t round) {
  static saved s;
  fill(&s, world, round);
  AT_TRY(at_comm_agree(world, write_metrics(run, world, round)));
  return at_ckpt_write(run, world, NULL, round, 3, s.items, 0);
}

/* The newest checkpoint is that of `round`, with the right contents. */
static at_err check_round(at_run *run, at_comm *world, int64_t round) {
  static saved got, want;
  int64_t loaded = -1;
  fill(&got, world, 99);
  fill(&want, world, round);
  AT_TRY(at_ckpt_load(run, world, NULL, -1, 3, got.items, &loaded));
  bool good = loaded == round && memcmp(got.theta, want.theta, sizeof want.theta) == 0 && got.steps == want.steps &&
              memcmp(got.cursors, want.cursors, (size_t)want.n_local * 8) == 0;
  return good ? AT_OK
              : AT_FAIL(AT_ERR_DIFFERENT, "loaded round %lld instead of %lld, or other contents", (long long)loaded,
                        (long long)round);
}

/* The last rank fails for good; the others would wait for ever, if they were let. */
static at_err fail_for_good(at_comm *world, bool by_agreement) {
  at_comm_set_phase(world, AT_COMM_REDUCE);
  at_comm_set_round(world, 12);
  if (at_comm_rank(world) == at_comm_size(world) - 1) {
    at_err err = AT_FAIL(AT_ERR_MPI, "the network fell over");
    if (by_agreement) {
      return at_comm_agree(world, err);
    }
    at_comm_abort(world, err);
  }
  return at_comm_barrier(world);
}

/* What the ranks are told to do: "abort", "agree", or "FOLDER STEP ...", where w2 writes round 2 and c2 looks for it. */
static at_err act(at_comm *world, char **argv) {
  if (strcmp(argv[1], "abort") == 0 || strcmp(argv[1], "agree") == 0) {
    return fail_for_good(world, argv[1][1] == 'g');
  }
  at_run *run = NULL;
  bool is_new = strcmp(argv[2], "w1") == 0;
  AT_TRY(at_run_open(&run, world, argv[1], is_new ? AT_RUN_NEW : AT_RUN_RESUME));
  at_err err = is_new ? at_run_write_config(run, world, "seed: 1\n") : AT_OK;
  for (char **step = argv + 2; *step != NULL && err == AT_OK; step++) {
    int64_t round = strtoll(*step + 1, NULL, 10);
    err = **step == 'w' ? write_round(run, world, round) : check_round(run, world, round);
  }
  at_run_close(run);
  return at_comm_agree(world, err);
}

static int child(int argc, char **argv) {
  at_comm *world = NULL;
  if (at_comm_init(&argc, &argv, &world) != AT_OK) {
    return 1;
  }
  at_fault_init(at_comm_rank(world));
  at_err err = act(world, argv);
  if (err != AT_OK && at_comm_rank(world) == 0) {
    printf("%s: %s\n", at_err_name(err), at_err_message());
  }
  at_comm_fini(world);
  return at_err_exit_code(err);
}

/* ---- the parent ---- */

static char self[512];
static char output[1 << 14];

/* Run this program on `ranks` ranks; its exit code. */
static int launch(const char *environment, int ranks, const char *arguments) {
  char command[2048];
  const char *mpirun = getenv("ATOLL_MPIRUN");
  if (mpirun == NULL) {
    mpirun = "mpirun --allow-run-as-root --oversubscribe --bind-to none";
  }
  /* MPI's plug-ins leave memory behind when they are unloaded: leaks are looked for in other tests. */
  snprintf(command, sizeof command, "ASAN_OPTIONS=detect_leaks=0 %s timeout 60 %s -n %d %s %s 2>&1", environment,
           mpirun, ranks, self, arguments);
  FILE *pipe = popen(command, "r");
  assert_non_null(pipe);
  size_t n = fread(output, 1, sizeof output - 1, pipe);
  output[n] = '\0';
  int status = pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void must_succeed(int ranks, const char *folder, const char *steps) {
  char arguments[256];
  snprintf(arguments, sizeof arguments, "%s/run %s", folder, steps);
  int code = launch("", ranks, arguments);
  if (code != 0) {
    fail_msg("%s: exit code %d: %s", arguments, code, output);
  }
}

/* Kill rank `victim` of `ranks` at `fault` while it writes round 3; round 2 must be what is found, on another number of
 * ranks, and round 3 can be written after all. */
static void survive(const char *fault, int ranks, int victim) {
  char folder[] = "/tmp/atoll_crash_XXXXXX", environment[128], arguments[128], command[128];
  assert_non_null(mkdtemp(folder));
  must_succeed(ranks, folder, "w1 w2");
  snprintf(environment, sizeof environment, "ATOLL_FAULT=%s ATOLL_FAULT_RANK=%d", fault, victim);
  snprintf(arguments, sizeof arguments, "%s/run w3", folder);
  int code = launch(environment, ranks, arguments);
  if (code != 128 + SIGKILL) {
    fail_msg("%s on rank %d of %d: exit code %d: %s", fault, victim, ranks, code, output);
  }
  must_succeed(ranks == 1 ? 2 : ranks - 1, folder, "c2 w3 c3");
  snprintf(command, sizeof command, "ls -R %s | grep -q tmp-", folder);
  assert_int_not_equal(system(command), 0);
  snprintf(command, sizeof command, "rm -r %s", folder);
  assert_int_equal(system(command), 0);
}

static void killed_while_writing(void **state) {
  (void)state;
  survive("checkpoint_write:1", 1, 0);
  survive("checkpoint_write:2", 3, 2);
  survive("checkpoint_write:1", 3, 0);
}

static void killed_before_fsync(void **state) {
  (void)state;
  survive("checkpoint_fsync:1", 3, 0);
  survive("checkpoint_fsync:1", 3, 1);
}

static void killed_before_rename(void **state) {
  (void)state;
  survive("checkpoint_rename:1", 1, 0);
  survive("checkpoint_rename:1", 3, 0);
}

static void killed_before_metrics_are_renamed(void **state) {
  (void)state;
  survive("metrics_rename:1", 2, 0);
}

static void an_abort_ends_all_ranks_with_one_line(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    int code = launch("", 3, i == 0 ? "abort" : "agree");
    assert_int_equal(code, at_err_exit_code(AT_ERR_MPI));
    assert_non_null(strstr(output, "atoll: rank 2 on "));
    assert_non_null(strstr(output, "phase reduce, round 12: MPI failure: the network fell over\n"));
  }
}

int main(int argc, char **argv) {
  if (argc > 1) {
    return child(argc, argv);
  }
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n <= 0) {
    return 1;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(killed_while_writing),
      cmocka_unit_test(killed_before_fsync),
      cmocka_unit_test(killed_before_rename),
      cmocka_unit_test(killed_before_metrics_are_renamed),
      cmocka_unit_test(an_abort_ends_all_ranks_with_one_line),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
