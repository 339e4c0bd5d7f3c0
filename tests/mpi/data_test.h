/* SPDX-License-Identifier: BSD-3-Clause */
/* What tests of `atoll data` on several ranks share: a folder, files in it, building a set, comparing two. */
#ifndef AT_TESTS_DATA_TEST_H
#define AT_TESTS_DATA_TEST_H

#include <sys/stat.h>

#include "data/examples/examples.h"
#include "data/kinds.h"
#include "src/base/alloc.h"
#include "tests/mpi/mpi_test.h"

static char folder[64];

/* One folder for all ranks, made by rank 0. */
static inline void make_folder(mpi_test *t) {
  snprintf(folder, sizeof folder, "/tmp/atoll_data_XXXXXX");
  if (t->rank == 0) {
    MPI_CHECK(t, mkdtemp(folder) != NULL);
  }
  MPI_CHECK_OK(t, at_comm_bcast(t->world, 0, folder, sizeof folder));
}

static inline void remove_folder(mpi_test *t) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  MPI_CHECK_OK(t, at_comm_barrier(t->world));
  MPI_CHECK(t, t->rank != 0 || system(command) == 0);
}

/* The path of a name in the folder; eight of them live at a time. */
static inline const char *in_folder(const char *name) {
  static char path[8][256];
  static int next;
  char *p = path[next++ % 8];
  snprintf(p, sizeof path[0], "%s/%s", folder, name);
  return p;
}

static inline void put_file(mpi_test *t, const char *name, const void *text, size_t n) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  for (char *at = path + strlen(folder) + 1; (at = strchr(at, '/')) != NULL; at++) {
    *at = 0;
    mkdir(path, 0755);
    *at = '/';
  }
  FILE *f = fopen(path, "wb");
  MPI_CHECK(t, f != NULL && fwrite(text, 1, n, f) == n);
  if (f != NULL) {
    fclose(f);
  }
}

static inline at_err build_kind(at_comm *c, const char *kind, const char *out, int n, const char *const *assignments) {
  const char *path = in_folder(out);
  at_data_args args = {.world = c, .out = path, .n_assignments = n, .assignments = assignments};
  return at_data_kind_find(kind)->run(&args);
}
#define BUILD(c, kind, out, ...)                                                                \
  build_kind((c), (kind), (out), (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), \
             (const char *const[]){__VA_ARGS__})

static inline at_examples *open_examples(mpi_test *t, const char *name) {
  at_examples *e = NULL;
  MPI_CHECK_OK(t, at_examples_open(&e, in_folder(name), NULL));
  return e;
}

/* Both files are equal byte for byte (they carry no provenance here). */
static inline void check_same_file(mpi_test *t, const char *a, const char *b) {
  char command[600];
  snprintf(command, sizeof command, "cmp '%s' '%s'", in_folder(a), in_folder(b));
  MPI_CHECK(t, system(command) == 0);
}

/* Build the kind on all ranks, then on each alone: rank 0 compares the files. */
#define CHECK_SAME_ON_ANY_RANKS(t, kind, ...)                            \
  do {                                                                   \
    at_comm *alone_ = NULL;                                              \
    char one_[32];                                                       \
    MPI_REQUIRE_OK(t, BUILD((t)->world, kind, "all.h5", __VA_ARGS__));   \
    snprintf(one_, sizeof one_, "one%d.h5", (t)->rank);                  \
    MPI_REQUIRE_OK(t, at_comm_split((t)->world, (t)->rank, 0, &alone_)); \
    MPI_REQUIRE_OK(t, BUILD(alone_, kind, one_, __VA_ARGS__));           \
    at_comm_destroy(alone_);                                             \
    if ((t)->rank == 0) {                                                \
      check_same_file(t, "all.h5", "one0.h5");                           \
    }                                                                    \
  } while (0)

#endif
