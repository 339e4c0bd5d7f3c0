/* SPDX-License-Identifier: BSD-3-Clause */
/* Collective checkpoints: round trips on any number of ranks, damage, full disks, retention. */
#include <math.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/store/ckpt.h"
#include "src/store/h5_internal.h"
#include "tests/mpi/store_test.h"

enum { D = 40001, CLIENTS = 23, SHORT = 3, LONG = 20011, BYTES = 70001, ITEMS = 7 };

/* All that a run keeps, in one block per rank. */
typedef struct state {
  float theta[D], moment[D];
  double clock_s;
  int64_t steps;
  unsigned char bytes[BYTES];
  int64_t n_local;
  int64_t ids[CLIENTS];
  int64_t cursors[CLIENTS][SHORT];
  float residuals[CLIENTS][LONG];
  at_ckpt_item items[ITEMS];
} state;

static at_tensor tensors[] = {
    {.name = "wte", .shape = {2, {100, 400}}, .offset = 0, .count = 40000},
    {.name = "scale", .shape = {0}, .offset = 40000, .count = 1},
};
static const at_layout layout = {.n = 2, .tensor = tensors, .count = D};

static void describe(state *s) {
  at_ckpt_item *it = s->items;
  it[0] = (at_ckpt_item){
      .desc = {"/model/theta", AT_H5_F32, 1, {D}, "1", "parameters", 0}, .data = s->theta, .layout = &layout};
  it[1] = (at_ckpt_item){.desc = {"/outer/m", AT_H5_F32, 2, {1, D}, "1", "momentum", 0}, .data = s->moment};
  it[2] = (at_ckpt_item){.desc = {"/server/clock", AT_H5_F64, 0, {0}, "s", "virtual time", 0}, .data = &s->clock_s};
  it[3] = (at_ckpt_item){.desc = {"/server/steps", AT_H5_I64, 0, {0}, "1", "local steps so far", 0}, .data = &s->steps};
  it[4] = (at_ckpt_item){.desc = {"/tokens", AT_H5_U8, 1, {BYTES}, "1", "a text", 0}, .data = s->bytes};
  it[5] = (at_ckpt_item){.desc = {"/clients/cursor", AT_H5_I64, 2, {CLIENTS, SHORT}, "1", "positions", 0},
                         .kind = AT_CKPT_ROWS,
                         .data = s->cursors,
                         .n_local = s->n_local,
                         .ids = s->ids};
  it[6] = (at_ckpt_item){.desc = {"/clients/residual", AT_H5_F32, 2, {CLIENTS, LONG}, "1", "error feedback", 0},
                         .kind = AT_CKPT_ROWS,
                         .data = s->residuals,
                         .n_local = s->n_local,
                         .ids = s->ids};
}

static float number(uint64_t client, uint64_t round, uint64_t i) {
  at_stream s = {.seed = 3, .client = client, .round = round, .purpose = AT_RNG_TEST};
  return (float)at_rng_uniform(&s, i);
}

/* Clients are dealt to the ranks of `c` unevenly: the last rank has most. */
static int owner_of(int64_t client, int ranks) {
  return client % 3 == 0 ? (int)(client / 3 % ranks) : ranks - 1;
}

/* The contents for `round`, or zeros (round < 0), on a rank of `size`. */
static state *new_state(mpi_test *t, int64_t round, int rank, int size) {
  state *s = NULL;
  MPI_CHECK_OK(t, at_alloc(&s, 1, sizeof *s, "test state"));
  for (int64_t c = 0; c < CLIENTS; c++) {
    if (owner_of(c, size) == rank) {
      s->ids[s->n_local++] = c;
    }
  }
  describe(s);
  if (round < 0) {
    return s;
  }
  uint64_t r = (uint64_t)round;
  for (uint64_t i = 0; i < D; i++) {
    s->theta[i] = number(100, r, i);
    s->moment[i] = -number(101, r, i);
  }
  for (uint64_t i = 0; i < BYTES; i++) {
    s->bytes[i] = (unsigned char)(i * 31 + r);
  }
  s->clock_s = 1.25 * (double)round;
  s->steps = (INT64_C(1) << 40) + round;
  for (int64_t k = 0; k < s->n_local; k++) {
    for (int64_t i = 0; i < SHORT; i++) {
      s->cursors[k][i] = 1000 * s->ids[k] + 10 * round + i;
    }
    for (uint64_t i = 0; i < LONG; i++) {
      s->residuals[k][i] = number((uint64_t)s->ids[k], r, i);
    }
  }
  return s;
}

static bool same(const state *a, const state *b) {
  size_t n = (size_t)a->n_local;
  return memcmp(a->theta, b->theta, sizeof a->theta) == 0 && memcmp(a->moment, b->moment, sizeof a->moment) == 0 &&
         a->clock_s == b->clock_s && a->steps == b->steps && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0 &&
         a->n_local == b->n_local && memcmp(a->cursors, b->cursors, n * sizeof a->cursors[0]) == 0 &&
         memcmp(a->residuals, b->residuals, n * sizeof a->residuals[0]) == 0;
}

static at_err write_round(mpi_test *t, at_run *run, at_comm *c, int64_t round, int keep) {
  state *s = new_state(t, round, at_comm_rank(c), at_comm_size(c));
  at_err err = at_ckpt_write(run, c, NULL, round, ITEMS, s->items, keep);
  at_free(s);
  return err;
}

/* Load on the ranks of c, and compare with what `want` had. */
static void check_load(mpi_test *t, at_run *run, at_comm *c, int64_t ask, int64_t want) {
  int64_t loaded = -1;
  state *got = new_state(t, -1, at_comm_rank(c), at_comm_size(c));
  state *expected = new_state(t, want, at_comm_rank(c), at_comm_size(c));
  MPI_CHECK_OK(t, at_ckpt_load(run, c, NULL, ask, ITEMS, got->items, &loaded));
  MPI_CHECK(t, loaded == want);
  MPI_CHECK(t, same(got, expected));
  at_free(got);
  at_free(expected);
}

typedef struct place {
  char folder[64];
  char run_folder[128];
  at_run *run;
} place;

static void enter(mpi_test *t, place *p) {
  shared_folder(t, p->folder);
  snprintf(p->run_folder, sizeof p->run_folder, "%s/deep/run", p->folder);
  MPI_CHECK_OK(t, at_run_open(&p->run, t->world, p->run_folder, AT_RUN_NEW));
}

static void leave(mpi_test *t, place *p) {
  at_run_close(p->run);
  drop_folder(t, p->folder);
}

static void checkpoint_name(const place *p, int64_t round, char path[192]) {
  snprintf(path, 192, "%s/checkpoints/%06lld.h5", p->run_folder, (long long)round);
}

static void round_trip(mpi_test *t) {
  place p;
  enter(t, &p);
  MPI_REQUIRE_OK(t, write_round(t, p.run, t->world, 7, 0));
  check_load(t, p.run, t->world, -1, 7);
  check_load(t, p.run, t->world, 7, 7);
  at_h5 *f = NULL;
  int64_t n = 0;
  char path[192];
  checkpoint_name(&p, 7, path);
  MPI_CHECK_OK(t, at_h5_open_kind(&f, path, "checkpoint"));
  MPI_CHECK_OK(t, at_h5_verify(f, &n));
  MPI_CHECK(t, n == ITEMS + 4); /* and four columns of the layout */
  at_h5_close(f);
  leave(t, &p);
}

static void loads_on_fewer_ranks(mpi_test *t) {
  place p;
  enter(t, &p);
  MPI_REQUIRE_OK(t, write_round(t, p.run, t->world, 3, 0));
  at_comm *alone = NULL, *half = NULL;
  MPI_REQUIRE_OK(t, at_comm_split(t->world, t->rank, 0, &alone));
  check_load(t, p.run, alone, -1, 3);
  MPI_REQUIRE_OK(t, at_comm_split(t->world, t->rank % 2, 0, &half));
  check_load(t, p.run, half, -1, 3);
  at_comm_destroy(alone);
  at_comm_destroy(half);
  leave(t, &p);
}

static void loads_on_more_ranks(mpi_test *t) {
  place p;
  enter(t, &p);
  at_comm *alone = NULL;
  MPI_REQUIRE_OK(t, at_comm_split(t->world, t->rank, 0, &alone));
  if (t->rank == 0) {
    MPI_CHECK_OK(t, write_round(t, p.run, alone, 4, 0));
  }
  MPI_CHECK_OK(t, at_comm_barrier(t->world));
  check_load(t, p.run, t->world, -1, 4);
  at_comm_destroy(alone);
  leave(t, &p);
}

static bool same_file(const char *a, const char *b) {
  FILE *f = fopen(a, "rb"), *g = fopen(b, "rb");
  int x = EOF, y = EOF;
  do {
    x = f != NULL ? fgetc(f) : EOF;
    y = g != NULL ? fgetc(g) : EOF;
  } while (x == y && x != EOF);
  bool same_end = f != NULL && g != NULL && x == y;
  if (f != NULL) {
    fclose(f);
  }
  if (g != NULL) {
    fclose(g);
  }
  return same_end;
}

/* Without provenance, the whole file is the same, whoever wrote it and when. */
static void bytes_do_not_depend_on_ranks(mpi_test *t) {
  place p;
  enter(t, &p);
  MPI_REQUIRE_OK(t, write_round(t, p.run, t->world, 1, 0));
  at_comm *alone = NULL;
  MPI_REQUIRE_OK(t, at_comm_split(t->world, t->rank, 0, &alone));
  if (t->rank == 0) {
    char from[192], to[192];
    checkpoint_name(&p, 1, from);
    snprintf(to, sizeof to, "%s/many.h5", p.folder);
    MPI_CHECK(t, rename(from, to) == 0);
    sleep(1); /* files count time in seconds */
    MPI_CHECK_OK(t, write_round(t, p.run, alone, 1, 0));
    MPI_CHECK(t, same_file(from, to));
  }
  at_comm_destroy(alone);
  leave(t, &p);
}

static void any_rank_may_ask_for_any_row(mpi_test *t) {
  place p;
  enter(t, &p);
  MPI_REQUIRE_OK(t, write_round(t, p.run, t->world, 2, 0));
  /* Everybody asks for clients 5 and 20. */
  const int64_t ids[2] = {5, 20};
  int64_t cursors[2][SHORT] = {{0}};
  static float residuals[2][LONG];
  at_ckpt_item items[2] = {
      {.desc = {"/clients/cursor", AT_H5_I64, 2, {CLIENTS, SHORT}, "1", "", 0},
       .kind = AT_CKPT_ROWS,
       .data = cursors,
       .n_local = 2,
       .ids = ids},
      {.desc = {"/clients/residual", AT_H5_F32, 2, {CLIENTS, LONG}, "1", "", 0},
       .kind = AT_CKPT_ROWS,
       .data = residuals,
       .n_local = 2,
       .ids = ids},
  };
  int64_t loaded = -1;
  MPI_CHECK_OK(t, at_ckpt_load(p.run, t->world, NULL, -1, 2, items, &loaded));
  MPI_CHECK(t, cursors[0][2] == 5022 && cursors[1][0] == 20020);
  MPI_CHECK(t, residuals[1][LONG - 1] == number(20, 2, LONG - 1));
  leave(t, &p);
}

static void newest_good_one_wins(mpi_test *t) {
  place p;
  char path[192];
  enter(t, &p);
  for (int64_t round = 1; round <= 5; round++) {
    MPI_REQUIRE_OK(t, write_round(t, p.run, t->world, round, 0));
  }
  /* 5: cut off; 4: a bit in the last dataset's data; 3: a bit of the superblock. */
  checkpoint_name(&p, 5, path);
  MPI_CHECK(t, t->rank != 0 || truncate(path, 5000) == 0);
  checkpoint_name(&p, 4, path);
  flip(t, path, -1000);
  checkpoint_name(&p, 3, path);
  flip(t, path, 20);
  check_load(t, p.run, t->world, -1, 2);
  state *s = new_state(t, -1, t->rank, t->size);
  int64_t loaded = -1;
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "000005.h5: is cut off",
                  at_ckpt_load(p.run, t->world, NULL, 5, ITEMS, s->items, &loaded));
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "of /clients/residual is damaged",
                  at_ckpt_load(p.run, t->world, NULL, 4, ITEMS, s->items, &loaded));
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "000003.h5", at_ckpt_load(p.run, t->world, NULL, 3, ITEMS, s->items, &loaded));
  MPI_CHECK_FAILS(t, AT_ERR_FILE, "No such file", at_ckpt_load(p.run, t->world, NULL, 9, ITEMS, s->items, &loaded));
  at_free(s);
  leave(t, &p);
}

/* A flipped bit anywhere in the file is either found, or harmless. */
static void finds_flipped_bits(mpi_test *t) {
  place p;
  char path[192];
  enter(t, &p);
  MPI_REQUIRE_OK(t, write_round(t, p.run, t->world, 1, 0));
  checkpoint_name(&p, 1, path);
  state *expected = new_state(t, 1, t->rank, t->size);
  int found = 0;
  struct stat file;
  MPI_CHECK(t, stat(path, &file) == 0);
  long step = (long)file.st_size / 20;
  for (long at = 13; at < (long)file.st_size; at += step) {
    flip(t, path, at);
    state *got = new_state(t, -1, t->rank, t->size);
    int64_t loaded = -1;
    at_err err = at_ckpt_load(p.run, t->world, NULL, 1, ITEMS, got->items, &loaded);
    MPI_CHECK(t, err == AT_ERR_FORMAT || err == AT_ERR_HDF5 || (err == AT_OK && same(got, expected)));
    found += err != AT_OK;
    at_free(got);
    flip(t, path, at);
  }
  MPI_CHECK(t, found > 15);
  at_free(expected);
  check_load(t, p.run, t->world, -1, 1);
  leave(t, &p);
}

/* Where the bytes of a dataset start in the file. */
static long place_of(mpi_test *t, const char *file, const char *path) {
  at_h5 *f = NULL;
  hid_t dataset = -1;
  MPI_CHECK_OK(t, at_h5_open(&f, file));
  MPI_CHECK_OK(t, at_h5_open_dataset(f, path, &dataset));
  haddr_t at = H5Dget_offset(dataset);
  MPI_CHECK(t, at != HADDR_UNDEF);
  MPI_CHECK_OK(t, at_h5_drop(AT_OK, dataset));
  at_h5_close(f);
  return (long)at;
}

/* One flipped bit in the data of each item, and in the checksums of rows. */
static void names_the_damaged_item(mpi_test *t) {
  static const char *const extra[2] = {"/clients/cursor_crc32", "/clients/residual_crc32"};
  place p;
  char path[192];
  enter(t, &p);
  MPI_REQUIRE_OK(t, write_round(t, p.run, t->world, 1, 0));
  checkpoint_name(&p, 1, path);
  state *s = new_state(t, -1, t->rank, t->size);
  for (int i = 0; i < ITEMS + 2; i++) {
    const char *flipped = i < ITEMS ? s->items[i].desc.path : extra[i - ITEMS];
    const char *named = i < ITEMS ? flipped : s->items[i - 2].desc.path;
    long at = place_of(t, path, flipped) + 5;
    int64_t loaded = -1;
    flip(t, path, at);
    MPI_CHECK_FAILS(t, AT_ERR_FORMAT, named, at_ckpt_load(p.run, t->world, NULL, 1, ITEMS, s->items, &loaded));
    MPI_CHECK(t, strstr(at_err_message(), "is damaged") != NULL);
    at_h5 *f = NULL;
    int64_t n = 0;
    MPI_CHECK_OK(t, at_h5_open(&f, path));
    MPI_CHECK_FAILS(t, AT_ERR_FORMAT, named, at_h5_verify(f, &n));
    at_h5_close(f);
    flip(t, path, at);
  }
  at_free(s);
  check_load(t, p.run, t->world, 1, 1);
  leave(t, &p);
}

static void refuses_what_does_not_fit(mpi_test *t) {
  place p;
  enter(t, &p);
  MPI_REQUIRE_OK(t, write_round(t, p.run, t->world, 1, 0));
  state *s = new_state(t, -1, t->rank, t->size);
  int64_t loaded = -1;
  at_tensor other[2];
  memcpy(other, tensors, sizeof other);
  other[0].shape.d[0] = 200;
  other[0].shape.d[1] = 200;
  at_layout changed = {.n = 2, .tensor = other, .count = D};
  s->items[0].layout = &changed;
  MPI_CHECK_FAILS(t, AT_ERR_STATE, "is wte [100, 400], this model's is wte [200, 200]",
                  at_ckpt_load(p.run, t->world, NULL, -1, ITEMS, s->items, &loaded));
  changed.n = 1;
  MPI_CHECK_FAILS(t, AT_ERR_STATE, "has 2 tensors, this model has 1",
                  at_ckpt_load(p.run, t->world, NULL, -1, ITEMS, s->items, &loaded));
  describe(s);
  s->items[5].desc.dims[0] = CLIENTS + 1;
  MPI_CHECK_FAILS(t, AT_ERR_STATE, "/clients/cursor is i64[23,3] where i64[24,3] is needed",
                  at_ckpt_load(p.run, t->world, NULL, -1, ITEMS, s->items, &loaded));
  describe(s);
  s->items[1].desc.path = "/outer/v";
  MPI_CHECK_FAILS(t, AT_ERR_STATE, "has no /outer/v",
                  at_ckpt_load(p.run, t->world, NULL, -1, ITEMS, s->items, &loaded));
  at_free(s);
  leave(t, &p);
}

static void refuses_rows_that_do_not_cover(mpi_test *t) {
  place p;
  char folder[160];
  enter(t, &p);
  snprintf(folder, sizeof folder, "%s/checkpoints", p.run_folder);
  for (int kind = 5; kind <= 6; kind++) { /* short rows, long rows */
    state *s = new_state(t, 1, t->rank, t->size);
    if (t->rank == t->size - 1) {
      s->items[kind].n_local--;
    }
    MPI_CHECK_FAILS(t, AT_ERR_ARG, "on exactly one rank", at_ckpt_write(p.run, t->world, NULL, 1, ITEMS, s->items, 0));
    at_free(s);
    s = new_state(t, 1, t->rank, t->size);
    int64_t twice[CLIENTS];
    memcpy(twice, s->ids, sizeof twice);
    if (t->size > 1 && t->rank == t->size - 1) {
      twice[0] = 0; /* rank 0's, instead of the own first */
      s->items[kind].ids = twice;
    }
    if (t->size > 1) {
      at_err err = at_ckpt_write(p.run, t->world, NULL, 1, ITEMS, s->items, 0);
      MPI_CHECK(t, err == AT_ERR_ARG && strstr(at_err_message(), "client") != NULL);
    }
    at_free(s);
  }
  state *s = new_state(t, 1, t->rank, t->size);
  s->ids[0] = t->rank == t->size - 1 ? CLIENTS : s->ids[0];
  MPI_CHECK_FAILS(t, AT_ERR_ARG, "below 23", at_ckpt_write(p.run, t->world, NULL, 1, ITEMS, s->items, 0));
  at_free(s);
  MPI_CHECK(t, entries(t, folder) == 0);
  leave(t, &p);
}

static void keeps_the_last_ones(mpi_test *t) {
  place p;
  enter(t, &p);
  for (int64_t round = 10; round <= 50; round += 10) {
    MPI_REQUIRE_OK(t, write_round(t, p.run, t->world, round, 3));
  }
  int64_t n = 0, *rounds = NULL;
  MPI_CHECK_OK(t, at_ckpt_list(p.run_folder, &n, &rounds));
  MPI_CHECK(t, n == 3 && rounds[0] == 30 && rounds[1] == 40 && rounds[2] == 50);
  at_free(rounds);
  MPI_CHECK_OK(t, at_comm_barrier(t->world));
  /* Having gone back to 30, going on to 35 ends the other future. */
  MPI_CHECK_OK(t, write_round(t, p.run, t->world, 35, 3));
  MPI_CHECK_OK(t, at_ckpt_list(p.run_folder, &n, &rounds));
  MPI_CHECK(t, n == 2 && rounds[0] == 30 && rounds[1] == 35);
  at_free(rounds);
  leave(t, &p);
}

static void nothing_to_load_is_said(mpi_test *t) {
  place p;
  enter(t, &p);
  state *s = new_state(t, -1, t->rank, t->size);
  int64_t loaded = 0;
  MPI_CHECK_FAILS(t, AT_ERR_FILE, "has no good checkpoint (0 damaged)",
                  at_ckpt_load(p.run, t->world, NULL, -1, ITEMS, s->items, &loaded));
  MPI_CHECK(t, loaded == -1);
  at_free(s);
  leave(t, &p);
}

/* A disk of every size from too small for anything up to just enough. */
static void a_full_disk_is_a_clean_error(mpi_test *t) {
  place p;
  enter(t, &p);
  char small[128], run_folder[160], checkpoints[192];
  snprintf(small, sizeof small, "%s/small", p.folder);
  snprintf(run_folder, sizeof run_folder, "%s/run", small);
  snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", run_folder);
  if (!mount_small(t, small, "3m")) {
    leave(t, &p);
    MPI_SKIP(t, "a file system to fill cannot be mounted here (not root?)");
  }
  at_run *run = NULL;
  MPI_CHECK_OK(t, at_run_open(&run, t->world, run_folder, AT_RUN_NEW));
  if (run != NULL) {
    MPI_CHECK_OK(t, write_round(t, run, t->world, 1, 0)); /* 2.3 MB: only one fits */
    for (int64_t round = 2; round < 5; round++) {
      MPI_CHECK_FAILS(t, AT_ERR_FILE, "000002.h5", write_round(t, run, t->world, 2, 0));
      MPI_CHECK(t, strstr(at_err_message(), "No space left on device") != NULL);
      MPI_CHECK(t, strstr(at_err_message(), "cannot reserve 2.") != NULL);
      MPI_CHECK(t, entries(t, checkpoints) == 1);
    }
    check_load(t, run, t->world, -1, 1);
    char path[224];
    snprintf(path, sizeof path, "%s/000001.h5", checkpoints);
    MPI_CHECK(t, t->rank != 0 || unlink(path) == 0);
    MPI_CHECK_OK(t, write_round(t, run, t->world, 3, 0)); /* there is room again */
    check_load(t, run, t->world, -1, 3);
  }
  at_run_close(run);
  unmount_small(t, small);
  leave(t, &p);
}

/* So little room that HDF5's own metadata do not fit, either. */
static void a_disk_without_any_room(mpi_test *t) {
  place p;
  enter(t, &p);
  char small[128], run_folder[160], filler[192], checkpoints[192];
  snprintf(small, sizeof small, "%s/small", p.folder);
  snprintf(run_folder, sizeof run_folder, "%s/run", small);
  snprintf(filler, sizeof filler, "%s/filler", small);
  snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", run_folder);
  if (!mount_small(t, small, "1m")) {
    leave(t, &p);
    MPI_SKIP(t, "a file system to fill cannot be mounted here (not root?)");
  }
  at_run *run = NULL;
  MPI_CHECK_OK(t, at_run_open(&run, t->world, run_folder, AT_RUN_NEW));
  if (t->rank == 0) {
    int fd = open(filler, O_WRONLY | O_CREAT, 0600);
    static const char zeros[4096];
    while (write(fd, zeros, sizeof zeros) > 0) {
    }
    close(fd);
  }
  if (run != NULL) {
    MPI_CHECK_FAILS(t, AT_ERR_FILE, "No space left on device", write_round(t, run, t->world, 1, 0));
    MPI_CHECK(t, entries(t, checkpoints) == 0);
  }
  at_run_close(run);
  unmount_small(t, small);
  leave(t, &p);
}

/* Many clients: several blocks, more ranks than rows on some. */
static void many_small_rows(mpi_test *t) {
  enum { MANY = 200000 };
  place p;
  enter(t, &p);
  int64_t *ids = NULL, n = 0;
  float(*rows)[8] = NULL, (*got)[8] = NULL;
  MPI_CHECK_OK(t, at_alloc(&ids, MANY, sizeof *ids, "ids"));
  MPI_CHECK_OK(t, at_alloc(&rows, MANY, sizeof *rows, "rows"));
  MPI_CHECK_OK(t, at_alloc(&got, MANY, sizeof *got, "rows"));
  for (int64_t c = 0; c < MANY; c++) {
    if (c * 7919 % 31 % t->size == t->rank) {
      for (int j = 0; j < 8; j++) {
        rows[n][j] = (float)(c + j * 0.125);
      }
      ids[n++] = c;
    }
  }
  at_ckpt_item item = {.desc = {"/clients/state", AT_H5_F32, 2, {MANY, 8}, "1", "state", 0},
                       .kind = AT_CKPT_ROWS,
                       .data = rows,
                       .n_local = n,
                       .ids = ids};
  MPI_CHECK_OK(t, at_ckpt_write(p.run, t->world, NULL, 1, 1, &item, 0));
  item.data = got;
  int64_t loaded = -1;
  MPI_CHECK_OK(t, at_ckpt_load(p.run, t->world, NULL, -1, 1, &item, &loaded));
  MPI_CHECK(t, memcmp(rows, got, (size_t)n * sizeof *rows) == 0);
  at_free(ids);
  at_free(rows);
  at_free(got);
  leave(t, &p);
}

static void no_clients_and_no_memory_lost(mpi_test *t) {
  int64_t before = at_alloc_get_stats().live_bytes;
  place p;
  enter(t, &p);
  float nothing = 0;
  at_ckpt_item items[2] = {
      {.desc = {"/clients/state", AT_H5_F32, 2, {0, 8}, "1", "", 0}, .kind = AT_CKPT_ROWS, .data = &nothing},
      {.desc = {"/empty", AT_H5_F32, 1, {0}, "1", "", 0}, .data = &nothing},
  };
  int64_t loaded = -1;
  MPI_CHECK_OK(t, at_ckpt_write(p.run, t->world, NULL, 0, 2, items, 0));
  MPI_CHECK_OK(t, at_ckpt_load(p.run, t->world, NULL, -1, 2, items, &loaded));
  MPI_CHECK(t, loaded == 0);
  leave(t, &p);
  MPI_CHECK(t, at_alloc_get_stats().live_bytes == before);
}

int main(int argc, char **argv) {
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(round_trip), MPI_CASE(loads_on_fewer_ranks), MPI_CASE(loads_on_more_ranks),
                       MPI_CASE(bytes_do_not_depend_on_ranks), MPI_CASE(any_rank_may_ask_for_any_row),
                       MPI_CASE(newest_good_one_wins), MPI_CASE(finds_flipped_bits), MPI_CASE(names_the_damaged_item),
                       MPI_CASE(refuses_what_does_not_fit), MPI_CASE(refuses_rows_that_do_not_cover),
                       MPI_CASE(keeps_the_last_ones), MPI_CASE(nothing_to_load_is_said),
                       MPI_CASE(a_full_disk_is_a_clean_error), MPI_CASE(a_disk_without_any_room),
                       MPI_CASE(many_small_rows), MPI_CASE(no_clients_and_no_memory_lost));
}
