/* SPDX-License-Identifier: BSD-3-Clause */
/* Run folders: the lock, what is refused, the configuration; and provenance. */
#include "src/base/alloc.h"
#include "src/store/fs.h"
#include "src/store/provenance.h"
#include "src/store/run.h"
#include "tests/mpi/store_test.h"

static void makes_a_folder_and_keeps_others_out(mpi_test *t) {
  char folder[64], path[128];
  at_run *run = NULL, *second = NULL;
  shared_folder(t, folder);
  snprintf(path, sizeof path, "%s/a/b/run", folder);
  MPI_REQUIRE_OK(t, at_run_open(&run, t->world, path, AT_RUN_NEW));
  MPI_CHECK(t, at_run_is_locked(run));
  MPI_CHECK(t, strcmp(at_run_folder(run), path) == 0);
  MPI_CHECK(t, entries(t, path) == 2); /* lock, checkpoints */
  MPI_CHECK_FAILS(t, AT_ERR_BUSY, "another run is writing here (process",
                  at_run_open(&second, t->world, path, AT_RUN_NEW));
  MPI_CHECK(t, second == NULL && strstr(at_err_message(), at_comm_host(t->world)) != NULL);
  MPI_CHECK_OK(t, at_comm_barrier(t->world));
  at_run_close(run);
  MPI_CHECK_OK(t, at_comm_barrier(t->world));
  MPI_CHECK_OK(t, at_run_open(&second, t->world, path, AT_RUN_NEW)); /* nothing had been written yet */
  at_run_close(second);
  drop_folder(t, folder);
}

static void tells_new_from_old(mpi_test *t) {
  char folder[64], path[128];
  char *yaml = NULL;
  at_run *run = NULL;
  shared_folder(t, folder);
  snprintf(path, sizeof path, "%s/run", folder);
  MPI_CHECK_FAILS(t, AT_ERR_STATE, "is not a run: it has no config.yaml",
                  at_run_open(&run, t->world, path, AT_RUN_RESUME));
  MPI_CHECK(t, entries(t, folder) == 0); /* asking leaves no trace */
  MPI_REQUIRE_OK(t, at_run_open(&run, t->world, path, AT_RUN_NEW));
  MPI_CHECK_OK(t, at_run_write_config(run, t->world, "seed: 1\n"));
  at_run_close(run);
  MPI_CHECK_OK(t, at_comm_barrier(t->world));
  MPI_CHECK_FAILS(t, AT_ERR_STATE, "already holds a run: `atoll resume", at_run_open(&run, t->world, path, AT_RUN_NEW));
  MPI_REQUIRE_OK(t, at_run_open(&run, t->world, path, AT_RUN_RESUME));
  MPI_CHECK_OK(t, at_run_read_config(run, t->world, &yaml));
  MPI_CHECK(t, strcmp(yaml, "seed: 1\n") == 0);
  at_free(yaml);
  at_run_close(run);
  drop_folder(t, folder);
}

static void sweeps_up_after_the_killed(mpi_test *t) {
  char folder[64], leftover[128];
  at_run *run = NULL;
  shared_folder(t, folder);
  if (t->rank == 0) {
    snprintf(leftover, sizeof leftover, "%s/checkpoints", folder);
    MPI_CHECK_OK(t, at_fs_make_folder(leftover));
    snprintf(leftover, sizeof leftover, "%s/checkpoints/000003.h5.tmp-1234", folder);
    MPI_CHECK_OK(t, at_fs_write_text(leftover, "half"));
    snprintf(leftover, sizeof leftover, "%s/metrics.h5.tmp-1234", folder);
    MPI_CHECK_OK(t, at_fs_write_text(leftover, "half"));
  }
  MPI_REQUIRE_OK(t, at_run_open(&run, t->world, folder, AT_RUN_NEW));
  MPI_CHECK(t, entries(t, folder) == 2);
  MPI_CHECK(t, entries(t, at_run_path(run, "checkpoints")) == 0);
  at_run_close(run);
  drop_folder(t, folder);
}

static void says_what_cannot_be_written(mpi_test *t) {
  char folder[64], path[128];
  at_run *run = NULL;
  shared_folder(t, folder);
  snprintf(path, sizeof path, "%s/file", folder);
  MPI_CHECK(t, t->rank != 0 || at_fs_write_text(path, "x") == AT_OK);
  MPI_CHECK_FAILS(t, AT_ERR_FILE, "is in the way", at_run_open(&run, t->world, path, AT_RUN_NEW));
  snprintf(path, sizeof path, "%s/file/run", folder);
  MPI_CHECK_FAILS(t, AT_ERR_FILE, "cannot make this folder: Not a directory",
                  at_run_open(&run, t->world, path, AT_RUN_NEW));
  char small[96];
  snprintf(small, sizeof small, "%s/small", folder);
  if (mount_small(t, small, "1m")) {
    MPI_CHECK(t, t->rank != 0 || mount(NULL, small, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    MPI_CHECK_FAILS(t, AT_ERR_FILE, "Read-only file system", at_run_open(&run, t->world, small, AT_RUN_NEW));
    unmount_small(t, small);
  }
  drop_folder(t, folder);
}

static void provenance_is_complete(mpi_test *t) {
  char folder[64], path[96], ranks[16], hosts[300];
  at_provenance *p = NULL;
  shared_folder(t, folder);
  setenv("SLURM_JOB_ID", "4711", 1);
  unsetenv("SLURM_ARRAY_TASK_ID");
  MPI_REQUIRE_OK(t, at_provenance_create(&p, t->world, "seed: 1\nrounds: 3\n", "avx2", 2));
  snprintf(ranks, sizeof ranks, "%d", t->size);
  snprintf(hosts, sizeof hosts, "%s (%d rank%s)", at_comm_host(t->world), t->size, t->size == 1 ? "" : "s");
  MPI_CHECK(t, strcmp(at_provenance_get(p, "ranks"), ranks) == 0);
  MPI_CHECK(t, strcmp(at_provenance_get(p, "hosts"), hosts) == 0);
  MPI_CHECK(t, strcmp(at_provenance_get(p, "slurm_job_id"), "4711") == 0);
  MPI_CHECK(t, at_provenance_get(p, "slurm_array_task_id") == NULL);
  static const char *const present[] = {"atoll_version", "git_revision", "compiler", "build_flags",
                                        "mpi",           "hdf5",         "openblas", "gsl",
                                        "zlib",          "isa",          "threads",  "started"};
  for (size_t i = 0; i < sizeof present / sizeof present[0]; i++) {
    const char *value = at_provenance_get(p, present[i]);
    MPI_CHECK(t, value != NULL && value[0] != '\0');
  }
  if (t->rank == 0) {
    at_h5 *f = NULL;
    char *config = NULL;
    snprintf(path, sizeof path, "%s/a.h5", folder);
    MPI_CHECK_OK(t, at_h5_create(&f, path, "test", 0));
    MPI_CHECK_OK(t, at_provenance_write(p, f));
    MPI_CHECK_OK(t, at_h5_commit(f));
    MPI_CHECK_OK(t, at_h5_open_kind(&f, path, "test"));
    MPI_CHECK_OK(t, at_h5_get_attr_text(f, "/provenance", "config", &config));
    MPI_CHECK(t, strcmp(config, "seed: 1\nrounds: 3\n") == 0);
    at_free(config);
    at_h5_close(f);
  }
  at_provenance_destroy(p);
  drop_folder(t, folder);
}

static void no_memory_is_lost(mpi_test *t) {
  int64_t before = at_alloc_get_stats().live_bytes;
  tells_new_from_old(t);
  provenance_is_complete(t);
  MPI_CHECK(t, at_alloc_get_stats().live_bytes == before);
}

int main(int argc, char **argv) {
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(makes_a_folder_and_keeps_others_out), MPI_CASE(tells_new_from_old),
                       MPI_CASE(sweeps_up_after_the_killed), MPI_CASE(says_what_cannot_be_written),
                       MPI_CASE(provenance_is_complete), MPI_CASE(no_memory_is_lost));
}
