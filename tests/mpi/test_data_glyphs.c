/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll data glyphs` from the fonts of an installed package: the same on any ranks, families kept together, takes bent. */
#include "tests/mpi/data_test.h"

#include "src/store/h5.h"

static const char fonts[] = "/usr/share/fonts/truetype/dejavu";
#define DIR "dir=/usr/share/fonts/truetype/dejavu"
#define NEED_FONTS(t)                                                                   \
  do {                                                                                  \
    if (access(fonts, R_OK) != 0) {                                                     \
      MPI_SKIP((t), "there is no /usr/share/fonts/truetype/dejavu: fonts-dejavu-core"); \
    }                                                                                   \
  } while (0)

static void is_the_same_on_any_ranks(mpi_test *t) {
  NEED_FONTS(t);
  make_folder(t);
  CHECK_SAME_ON_ANY_RANKS(t, "glyphs", DIR, "takes=2", "validation=0.3", "test=0.3", "seed=5");
  if (t->rank == 0) {
    at_examples *e = open_examples(t, "all.h5");
    const at_example_task *task = at_examples_task(e);
    MPI_CHECK(t, task->classes == 62 && task->ndims == 2 && task->dims[0] == 28 && task->stored == AT_H5_F32);
    MPI_CHECK(t, at_examples_clients(e) >= 4 && at_examples_find(e, "DejaVu Sans Bold") >= 0);
    int64_t total = 0;
    for (int s = 0; s < AT_SPLIT_COUNT; s++) {
      total += at_examples_total(e, s);
    }
    MPI_CHECK(t, total == at_examples_clients(e) * 62 * 2);
    at_examples_close(e);
  }
  remove_folder(t);
}

/* Faces of one family are all in one split. */
static void keeps_families_together(mpi_test *t) {
  NEED_FONTS(t);
  make_folder(t);
  for (int seed = 1; seed <= 4; seed++) {
    char text[32];
    snprintf(text, sizeof text, "seed=%d", seed);
    at_err err = BUILD(t->world, "glyphs", "f.h5", DIR, "takes=1", "validation=0.2", "test=0.2", text);
    if (err != AT_OK) { /* chance may put all families aside; that is told */
      MPI_CHECK(t, err == AT_ERR_CONFIG && strstr(at_err_message(), "no client with training examples") != NULL);
      continue;
    }
    if (t->rank != 0) {
      continue;
    }
    at_examples *e = open_examples(t, "f.h5");
    for (int64_t a = 0; a < at_examples_clients(e); a++) {
      int in = 0, sans[2] = {-1, -1};
      static const char *const siblings[] = {"DejaVu Sans Bold", "DejaVu Sans Book"};
      for (int s = 0; s < AT_SPLIT_COUNT; s++) {
        in += at_examples_rows(e, s, a) > 0;
        for (int i = 0; i < 2; i++) {
          const int64_t c = at_examples_find(e, siblings[i]);
          sans[i] = c >= 0 && at_examples_rows(e, s, c) > 0 ? s : sans[i];
        }
      }
      MPI_CHECK(t, in == 1 && sans[0] >= 0 && sans[0] == sans[1]);
    }
    at_examples_close(e);
  }
  remove_folder(t);
}

/* The first take is the letter in the middle of the picture; the second is another picture of about as much ink. */
static void bends_what_it_draws(mpi_test *t) {
  NEED_FONTS(t);
  make_folder(t);
  MPI_REQUIRE_OK(t, BUILD(t->world, "glyphs", "g.h5", DIR, "takes=2", "validation=0", "test=0", "pixels=u8"));
  MPI_REQUIRE_OK(t, BUILD(t->world, "glyphs", "still.h5", DIR, "takes=2", "validation=0", "test=0", "bend=0"));
  if (t->rank == 0) {
    static float x[2][784], y[2][784];
    at_examples *e = open_examples(t, "g.h5"), *still = open_examples(t, "still.h5");
    MPI_CHECK(t, at_examples_task(e)->stored == AT_H5_U8);
    for (int k = 0; k < 62; k++) {
      double ink[2] = {0}, middle[2] = {0};
      MPI_CHECK_OK(t, at_examples_read(e, AT_SPLIT_TRAIN, 2 * k, 2, x[0], NULL, NULL));
      MPI_CHECK_OK(t, at_examples_read(still, AT_SPLIT_TRAIN, 2 * k, 2, y[0], NULL, NULL));
      MPI_CHECK(t, memcmp(y[0], y[1], sizeof y[0]) == 0 && memcmp(x[0], y[0], sizeof x[0]) == 0);
      MPI_CHECK(t, memcmp(x[0], x[1], sizeof x[0]) != 0);
      int low[2] = {28, 28}, high[2] = {-1, -1};
      for (int p = 0; p < 784; p++) {
        ink[0] += x[0][p];
        ink[1] += x[1][p];
        for (int axis = 0; axis < 2 && x[0][p] > 0; axis++) {
          const int at = axis == 0 ? p % 28 : p / 28;
          low[axis] = at < low[axis] ? at : low[axis];
          high[axis] = at > high[axis] ? at : high[axis];
        }
      }
      middle[0] = 0.5 * (low[0] + high[0]);
      middle[1] = 0.5 * (low[1] + high[1]);
      MPI_CHECK(t, middle[0] >= 13 && middle[0] <= 14 && middle[1] >= 13 && middle[1] <= 14);
      MPI_CHECK(t, ink[0] > 10 && ink[1] > 0.4 * ink[0] && ink[1] < 1.9 * ink[0]);
    }
    at_examples_close(e);
    at_examples_close(still);
  }
  remove_folder(t);
}

static void draws_other_scripts(mpi_test *t) {
  NEED_FONTS(t);
  make_folder(t);
  MPI_REQUIRE_OK(t, BUILD(t->world, "glyphs", "c.h5", DIR, "script=cyrillic", "split=take", "test=0.25"));
  if (t->rank == 0) {
    at_examples *e = open_examples(t, "c.h5");
    at_h5 *f = NULL;
    int64_t n = 0;
    char **names = NULL;
    MPI_CHECK(t, at_examples_task(e)->classes == 64);
    for (int64_t c = 0; c < at_examples_clients(e); c++) {
      const int64_t held = at_examples_rows(e, AT_SPLIT_TEST, c);
      MPI_CHECK(t, held > 256 / 4 - 40 && held < 256 / 4 + 40);
    }
    at_examples_close(e);
    MPI_CHECK_OK(t, at_h5_open(&f, in_folder("c.h5")));
    MPI_CHECK_OK(t, at_h5_read_text(f, "/class_names", &n, &names));
    MPI_CHECK(t, n == 64 && strcmp(names[0], "А") == 0 && strcmp(names[63], "я") == 0);
    at_free(names);
    at_h5_close(f);
  }
  remove_folder(t);
}

static void tells_what_is_wrong(mpi_test *t) {
  char dir[96];
  make_folder(t);
  if (t->rank == 0) {
    put_file(t, "bad/x.ttf", "no font", 7);
    put_file(t, "none/readme", "no font", 7);
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  const int64_t before = at_alloc_get_stats().live_bytes;
  MPI_CHECK_FAILS(t, AT_ERR_FILE, "/no/such/folder", BUILD(t->world, "glyphs", "x.h5", "dir=/no/such/folder"));
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "dir", BUILD(t->world, "glyphs", "x.h5", "takes=2"));
  snprintf(dir, sizeof dir, "dir=%s/none", folder);
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "jobs/fetch-fonts", BUILD(t->world, "glyphs", "x.h5", dir));
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "no such script", BUILD(t->world, "glyphs", "x.h5", dir, "script=klingon"));
  snprintf(dir, sizeof dir, "dir=%s/bad", folder);
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "none of the 1 font files", BUILD(t->world, "glyphs", "x.h5", dir));
  MPI_CHECK(t, access(in_folder("x.h5"), F_OK) != 0);
  MPI_CHECK(t, at_alloc_get_stats().live_bytes == before);
  remove_folder(t);
}

int main(int argc, char **argv) {
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(is_the_same_on_any_ranks), MPI_CASE(keeps_families_together),
                       MPI_CASE(bends_what_it_draws), MPI_CASE(draws_other_scripts), MPI_CASE(tells_what_is_wrong));
}
