/* SPDX-License-Identifier: BSD-3-Clause */
/* Checkpoints that follow in the background: order, contents, retention, full disks. */
#include "src/base/alloc.h"
#include "src/store/ckpt.h"
#include "tests/mpi/store_test.h"

enum { D = 50001, ITEMS = 3 };

typedef struct state {
  float theta[D], moment[D];
  int64_t steps;
  at_ckpt_item items[ITEMS + 1]; /* the last one is of rows */
} state;

static at_tensor tensors[] = {{.name = "all", .shape = {1, {D}}, .offset = 0, .count = D}};
static const at_layout layout = {.n = 1, .tensor = tensors, .count = D};

/* The same on all ranks; zeros for round 0. */
static state *new_state(mpi_test *t, int64_t round) {
  state *s = NULL;
  MPI_CHECK_OK(t, at_alloc(&s, 1, sizeof *s, "test state"));
  for (int i = 0; i < D && round > 0; i++) {
    s->theta[i] = (float)(i + round);
    s->moment[i] = -s->theta[i];
  }
  s->steps = 10 * round;
  s->items[0] = (at_ckpt_item){
      .desc = {"/model/theta", AT_H5_F32, 1, {D}, "1", "parameters", 0}, .data = s->theta, .layout = &layout};
  s->items[1] = (at_ckpt_item){.desc = {"/outer/m", AT_H5_F32, 2, {1, D}, "1", "momentum", 0}, .data = s->moment};
  s->items[2] = (at_ckpt_item){.desc = {"/server/steps", AT_H5_I64, 0, {0}, "1", "steps", 0}, .data = &s->steps};
  s->items[3] =
      (at_ckpt_item){.desc = {"/clients/x", AT_H5_F32, 1, {0}, "1", "none", 0}, .kind = AT_CKPT_ROWS, .data = s->theta};
  return s;
}

static void check_load(mpi_test *t, at_run *run, int64_t ask, int64_t want) {
  int64_t loaded = -1;
  state *got = new_state(t, 0), *expected = new_state(t, want);
  MPI_CHECK_OK(t, at_ckpt_load(run, t->world, NULL, ask, ITEMS, got->items, &loaded));
  MPI_CHECK(t, loaded == want && got->steps == expected->steps);
  MPI_CHECK(t, memcmp(got->theta, expected->theta, sizeof got->theta) == 0);
  MPI_CHECK(t, memcmp(got->moment, expected->moment, sizeof got->moment) == 0);
  at_free(got);
  at_free(expected);
}

static void begin_round(mpi_test *t, at_run *run, int64_t round, int n_items, int keep) {
  state *s = new_state(t, round);
  MPI_CHECK_OK(t, at_ckpt_begin(run, t->world, NULL, round, n_items, s->items, keep));
  memset(s->theta, 0, sizeof s->theta); /* it may change now */
  at_free(s);
}

static void they_follow_in_order(mpi_test *t) {
  char folder[64], path[192];
  at_run *run = NULL;
  at_h5 *f = NULL;
  int64_t n = 0, *rounds = NULL;
  shared_folder(t, folder);
  snprintf(path, sizeof path, "%s/run", folder);
  MPI_CHECK_OK(t, at_run_open(&run, t->world, path, AT_RUN_NEW));
  for (int64_t round = 1; round <= 6; round++) {
    begin_round(t, run, round, ITEMS, 2);
  }
  MPI_CHECK_OK(t, at_run_settle(run, t->world));
  MPI_CHECK_OK(t, at_ckpt_list(path, &n, &rounds));
  MPI_CHECK(t, n == 2 && rounds[0] == 5 && rounds[1] == 6);
  at_free(rounds);
  check_load(t, run, 5, 5);
  check_load(t, run, -1, 6);
  snprintf(path, sizeof path, "%s/run/checkpoints/000006.h5", folder);
  MPI_CHECK_OK(t, at_h5_open_kind(&f, path, "checkpoint"));
  MPI_CHECK_OK(t, at_h5_verify(f, &n));
  MPI_CHECK(t, n == ITEMS + 4); /* and four columns of the layout */
  MPI_CHECK_OK(t, at_h5_get_attr_i64(f, "/", "round", &n));
  MPI_CHECK(t, n == 6);
  at_h5_close(f);
  at_run_close(run);
  drop_folder(t, folder);
}

/* Fewer items are another file; with rows it goes the long way, which waits for what is under way. */
static void other_items_make_another_file(mpi_test *t) {
  char folder[64], path[192];
  at_run *run = NULL;
  int64_t loaded = 0;
  shared_folder(t, folder);
  snprintf(path, sizeof path, "%s/run", folder);
  MPI_CHECK_OK(t, at_run_open(&run, t->world, path, AT_RUN_NEW));
  state *s = new_state(t, 1);
  MPI_CHECK(t, at_ckpt_kept_bytes(ITEMS, s->items) == 2 * (2 * 4 * D + 8));
  MPI_CHECK(t, at_ckpt_kept_bytes(ITEMS + 1, s->items) == 0);
  begin_round(t, run, 1, ITEMS, 0);
  begin_round(t, run, 2, ITEMS + 1, 0);
  begin_round(t, run, 3, 1, 0);
  check_load(t, run, 1, 1);
  check_load(t, run, 2, 2);
  MPI_CHECK_FAILS(t, AT_ERR_STATE, "has no /outer/m", at_ckpt_load(run, t->world, NULL, 3, ITEMS, s->items, &loaded));
  at_free(s);
  at_run_close(run);
  drop_folder(t, folder);
}

static void a_full_disk_is_told_later(mpi_test *t) {
  char folder[64], small[128], path[160], checkpoints[192];
  at_run *run = NULL;
  shared_folder(t, folder);
  snprintf(small, sizeof small, "%s/small", folder);
  snprintf(path, sizeof path, "%s/run", small);
  snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", path);
  if (!mount_small(t, small, "700k")) {
    drop_folder(t, folder);
    MPI_SKIP(t, "a file system to fill cannot be mounted here (not root?)");
  }
  MPI_CHECK_OK(t, at_run_open(&run, t->world, path, AT_RUN_NEW));
  if (run != NULL) {
    begin_round(t, run, 1, ITEMS, 0); /* 410 KB: only one fits */
    MPI_CHECK_OK(t, at_run_settle(run, t->world));
    begin_round(t, run, 2, ITEMS, 0);
    MPI_CHECK_FAILS(t, AT_ERR_FILE, "000002.h5", at_run_settle(run, t->world));
    MPI_CHECK(t, strstr(at_err_message(), "No space left on device") != NULL);
    MPI_CHECK(t, entries(t, checkpoints) == 1);
    MPI_CHECK_OK(t, at_run_settle(run, t->world)); /* told once */
    check_load(t, run, -1, 1);
  }
  at_run_close(run);
  unmount_small(t, small);
  drop_folder(t, folder);
}

int main(int argc, char **argv) {
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(they_follow_in_order), MPI_CASE(other_items_make_another_file),
                       MPI_CASE(a_full_disk_is_told_later));
}
