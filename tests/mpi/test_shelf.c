/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients' state on disk: what was put comes back, also after files were cleaned, rounds taken back, and other ranks restored it. */
#include "tests/mpi/mpi_test.h"

#include "src/base/alloc.h"
#include "src/fed/shelf.h"
#include "tests/mpi/store_test.h"

enum { WIDTH = 5, SHARDS = 7, CLIENTS = 300, ROUNDS = 12 };

static at_shelf_spec spec_of(const mpi_test *t, const char *folder) {
  return (at_shelf_spec){.folder = folder,
                         .width = WIDTH,
                         .shards = SHARDS,
                         .memory = SHARDS * 12 * WIDTH * 4,
                         .rank = t->rank,
                         .ranks = t->size};
}

static void fill(float row[WIDTH], int64_t client, int64_t version) {
  for (int i = 0; i < WIDTH; i++) {
    row[i] = (float)(client * 1000 + version * 10 + i);
  }
}

/* Every third client in turn, as version `round`. */
static void put_round(mpi_test *t, at_shelf *s, int64_t round) {
  float row[WIDTH];
  for (int64_t k = round % 3; k < CLIENTS; k += 3) {
    if (at_shelf_is_home(s, k)) {
      fill(row, k, round);
      MPI_CHECK_OK(t, at_shelf_put(s, k, row));
    }
  }
}

/* All hold the version of their last round up to `round`. */
static void check_all(mpi_test *t, at_shelf *s, int64_t round) {
  float row[WIDTH], want[WIDTH];
  for (int64_t k = 0; k < CLIENTS; k++) {
    bool found;
    int64_t version = round - (round - k % 3 + 300) % 3;
    if (!at_shelf_is_home(s, k)) {
      continue;
    }
    MPI_CHECK_OK(t, at_shelf_get(s, k, row, &found));
    MPI_CHECK(t, found == (version >= 0));
    fill(want, k, version);
    MPI_CHECK(t, version < 0 || memcmp(row, want, sizeof row) == 0);
  }
}

static void keeps_what_was_put(mpi_test *t) {
  char folder[64];
  at_shelf *s = NULL;
  at_shelf_mark mark[SHARDS], middle[SHARDS];
  shared_folder(t, folder);
  at_shelf_spec spec = spec_of(t, folder);
  MPI_REQUIRE_OK(t, at_shelf_create(&s, &spec));
  for (int64_t round = 0; round < ROUNDS; round++) {
    put_round(t, s, round);
    at_shelf_commit(s);
    put_round(t, s, round + 1); /* is taken back, new clients too */
    MPI_CHECK_OK(t, at_shelf_rollback(s));
    check_all(t, s, round);
    MPI_REQUIRE_OK(t, at_shelf_save(s, t->world, round == ROUNDS / 2 ? middle : mark));
  }
  check_all(t, s, ROUNDS - 1);
  int64_t clients = 0, files = 0;
  for (int i = 0; i < SHARDS; i++) {
    clients += mark[i].clients;
    files += mark[i].first;
  }
  MPI_CHECK(t, clients == CLIENTS);
  MPI_CHECK(t, files > 0); /* old ones were cleaned */
  at_shelf_destroy(s);
  s = NULL;
  MPI_REQUIRE_OK(t, at_shelf_create(&s, &spec));
  MPI_REQUIRE_OK(t, at_shelf_restore(s, mark));
  check_all(t, s, ROUNDS - 1);
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  mark[0].digest++;
  if (at_shelf_is_home(s, 0)) {
    MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "not those of the checkpoint", at_shelf_restore(s, mark));
  }
  MPI_REQUIRE_OK(t, at_shelf_restore(s, middle)); /* back in time: nothing was forgotten yet */
  check_all(t, s, ROUNDS / 2);
  at_shelf_destroy(s);
  drop_folder(t, folder);
}

static void other_ranks_restore_it(mpi_test *t) {
  char folder[64];
  at_shelf *s = NULL;
  at_shelf_mark mark[SHARDS];
  shared_folder(t, folder);
  at_shelf_spec all = spec_of(t, folder);
  all.rank = 0;
  all.ranks = 1;
  at_comm *alone = NULL;
  MPI_REQUIRE_OK(t, at_comm_split(t->world, t->rank == 0 ? 0 : -1, 0, &alone));
  if (t->rank == 0) {
    MPI_CHECK_OK(t, at_shelf_create(&s, &all));
    for (int64_t round = 0; round < 5; round++) {
      put_round(t, s, round);
      at_shelf_commit(s);
    }
    MPI_CHECK_OK(t, at_shelf_save(s, alone, mark));
    at_shelf_destroy(s);
    s = NULL;
  }
  at_comm_destroy(alone);
  MPI_REQUIRE_OK(t, at_comm_bcast(t->world, 0, mark, sizeof mark));
  at_shelf_spec spec = spec_of(t, folder);
  MPI_REQUIRE_OK(t, at_shelf_create(&s, &spec));
  MPI_REQUIRE_OK(t, at_shelf_restore(s, mark));
  check_all(t, s, 4);
  at_shelf_destroy(s);
  drop_folder(t, folder);
}

int main(int argc, char **argv) {
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(keeps_what_was_put), MPI_CASE(other_ranks_restore_it));
}
