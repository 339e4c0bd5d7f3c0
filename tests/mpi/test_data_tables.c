/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables: CSV and R's workspaces made by the test, read into examples on several ranks. */
#include <bzlib.h>
#include <lzma.h>
#include <math.h>
#include <zlib.h>

#include "data/tables/frame.h"
#include "tests/mpi/data_test.h"

/* R's portable form, written here by its description. */
typedef struct writer {
  unsigned char s[4096];
  size_t n;
} writer;

static void put_i32(writer *w, uint32_t v) {
  for (int i = 3; i >= 0; i--) {
    w->s[w->n++] = (unsigned char)(v >> 8 * i);
  }
}

static void put_f64(writer *w, double v) {
  uint64_t bits;
  memcpy(&bits, &v, sizeof bits);
  put_i32(w, (uint32_t)(bits >> 32));
  put_i32(w, (uint32_t)bits);
}

static void put_text(writer *w, const char *s) {
  put_i32(w, 9);
  put_i32(w, (uint32_t)strlen(s));
  memcpy(w->s + w->n, s, strlen(s));
  w->n += strlen(s);
}

static void put_symbol(writer *w, const char *s) {
  put_i32(w, 1);
  put_text(w, s);
}

/* name = texts, as one cell of a list of attributes */
static void put_names(writer *w, const char *name, int n, const char *const *s) {
  put_i32(w, 2 | 0x400);
  put_symbol(w, name);
  put_i32(w, 16);
  put_i32(w, (uint32_t)n);
  for (int i = 0; i < n; i++) {
    put_text(w, s[i]);
  }
}

enum { NULL_VALUE = 254, FACTOR = 13 | 0x200, FRAME = 19 | 0x200, CELL = 2 | 0x400, ALTREP = 238 };

/* A workspace with the frame "d": x real (one missing), i a compact series, who texts, y a factor of two levels (one missing). */
static void write_frame(writer *w) {
  static const char *const names[] = {"x", "i", "who", "y"}, *const who[] = {"ann", "bob", "ann", "bob"};
  static const char *const levels[] = {"no", "yes"}, *const classes[] = {"compact_intseq", "base"};
  static const uint32_t y[] = {1, 2, 0x80000000, 2};
  static const double x[] = {1, 2, NAN, 3}, state[] = {4, 7, 1};
  memcpy(w->s, "RDX2\nX\n", 7);
  w->n = 7;
  put_i32(w, 2);
  put_i32(w, 0x30503);
  put_i32(w, 0x20300);
  put_i32(w, CELL);
  put_symbol(w, "d");
  put_i32(w, FRAME);
  put_i32(w, 4);
  put_i32(w, 14);
  put_i32(w, 4);
  for (int i = 0; i < 4; i++) {
    put_f64(w, x[i]);
  }
  put_i32(w, ALTREP); /* class, state, attributes */
  put_i32(w, 2);
  put_symbol(w, classes[0]);
  put_i32(w, 2);
  put_symbol(w, classes[1]);
  put_i32(w, NULL_VALUE);
  put_i32(w, 14);
  put_i32(w, 3);
  for (int i = 0; i < 3; i++) {
    put_f64(w, state[i]);
  }
  put_i32(w, NULL_VALUE);
  put_i32(w, 16);
  put_i32(w, 4);
  for (int i = 0; i < 4; i++) {
    put_text(w, who[i]);
  }
  put_i32(w, FACTOR);
  put_i32(w, 4);
  for (int i = 0; i < 4; i++) {
    put_i32(w, y[i]);
  }
  put_names(w, "levels", 2, levels);
  put_i32(w, NULL_VALUE);
  put_names(w, "names", 4, names);
  put_i32(w, NULL_VALUE);
  put_i32(w, NULL_VALUE); /* the end of the workspace */
}

static void check_frame(mpi_test *t, const char *path) {
  at_r_file *file = NULL;
  const at_r *value;
  at_frame f = {0};
  MPI_CHECK_OK(t, at_r_open(&file, path, "d", &value));
  if (file == NULL) {
    return;
  }
  MPI_CHECK_OK(t, at_frame_from_r(&f, path, value));
  MPI_CHECK(t, f.rows == 4 && f.n == 4 && at_frame_find(&f, "who") == 2);
  MPI_CHECK(t, f.column[0].number[1] == 2 && isnan(f.column[0].number[2]));
  MPI_CHECK(t, f.column[1].number[0] == 7 && f.column[1].number[3] == 10);
  MPI_CHECK(t, f.column[2].n_levels == 2 && f.column[2].code[1] == 1 && strcmp(f.column[2].level[0], "ann") == 0);
  MPI_CHECK(t, f.column[3].code[2] == -1 && f.column[3].code[3] == 1 && strcmp(f.column[3].level[1], "yes") == 0);
  at_frame_free(&f);
  at_r_close(file);
}

static void reads_workspaces_however_packed(mpi_test *t) {
  static writer w;
  static unsigned char packed[8192];
  make_folder(t);
  write_frame(&w);
  if (t->rank == 0) {
    put_file(t, "plain.rda", w.s, w.n);
    unsigned n = sizeof packed;
    MPI_CHECK(t, BZ2_bzBuffToBuffCompress((char *)packed, &n, (char *)w.s, (unsigned)w.n, 1, 0, 0) == BZ_OK);
    put_file(t, "bzip2.rda", packed, n);
    put_file(t, "short.rda", packed, n - 9);
    size_t m = 0;
    MPI_CHECK(t, lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, w.s, w.n, packed, &m, sizeof packed) == LZMA_OK);
    put_file(t, "xz.rda", packed, m);
    gzFile z = gzopen(in_folder("gzip.rda"), "wb");
    MPI_CHECK(t, z != NULL && gzwrite(z, w.s, (unsigned)w.n) == (int)w.n && gzclose(z) == Z_OK);
    put_file(t, "cut.rda", w.s, 150);
    put_file(t, "none.rda", "RDX9\n", 5);
    check_frame(t, in_folder("plain.rda"));
    check_frame(t, in_folder("bzip2.rda"));
    check_frame(t, in_folder("xz.rda"));
    check_frame(t, in_folder("gzip.rda"));
    const int64_t before = at_alloc_get_stats().live_bytes;
    at_r_file *f;
    const at_r *v;
    MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "no object e; its first is d", at_r_open(&f, in_folder("plain.rda"), "e", &v));
    MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "byte", at_r_open(&f, in_folder("cut.rda"), "d", &v));
    MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "cut short", at_r_open(&f, in_folder("short.rda"), "d", &v));
    MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "RDX2", at_r_open(&f, in_folder("none.rda"), "d", &v));
    MPI_CHECK_FAILS(t, AT_ERR_FILE, "nowhere", at_r_open(&f, in_folder("nowhere.rda"), "d", &v));
    MPI_CHECK(t, at_alloc_get_stats().live_bytes == before);
  }
  remove_folder(t);
}

/* Cut at every byte, it is refused or read, and nothing is lost. */
static void survives_every_cut(mpi_test *t) {
  static writer w;
  make_folder(t);
  write_frame(&w);
  const int64_t before = at_alloc_get_stats().live_bytes;
  for (size_t n = (size_t)t->rank; n + 8 < w.n;
       n += (size_t)t->size) { /* without its last 8 bytes the frame is whole */
    char name[32];
    at_r_file *f;
    const at_r *v;
    snprintf(name, sizeof name, "cut%d.rda", t->rank);
    put_file(t, name, w.s, n);
    MPI_CHECK(t, at_r_open(&f, in_folder(name), "d", &v) == AT_ERR_FORMAT);
  }
  MPI_CHECK(t, at_alloc_get_stats().live_bytes == before);
  remove_folder(t);
}

static void csv_becomes_examples(mpi_test *t) {
  static const char text[] =
      "size;\"colour, or so\";who;kind\n1;red;ann;a\n3;blue;bob;b\r\n;red;ann;\"b\"\n5;?;bob;a\n2;red;ann;\n";
  static const char uneven[] = "a,b\n1,2\n3\n";
  char path[96];
  make_folder(t);
  if (t->rank == 0) {
    put_file(t, "t.csv", text, strlen(text));
    put_file(t, "u.csv", uneven, strlen(uneven));
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  snprintf(path, sizeof path, "path=%s/t.csv", folder);
  CHECK_SAME_ON_ANY_RANKS(t, "files", "format=csv", path, "label=kind", "client=who", "test_fraction=0");
  if (t->rank == 0) {
    at_examples *e = open_examples(t, "all.h5");
    float x[4][3];
    const float wide = sqrtf(35.0F) / 4; /* of 1, 3, 5, 2 */
    MPI_CHECK(t, at_examples_clients(e) == 2 && at_examples_total(e, AT_SPLIT_TRAIN) == 4);
    MPI_CHECK(t, at_examples_task(e)->inputs == 3 && at_examples_task(e)->classes == 2);
    MPI_CHECK_OK(t, at_examples_read(e, AT_SPLIT_TRAIN, 0, 4, x[0], NULL, NULL));
    const int32_t *y = at_examples_labels(e, AT_SPLIT_TRAIN);
    MPI_CHECK(t, y[0] == 0 && y[1] == 1 && y[2] == 1 && y[3] == 0);
    MPI_CHECK(t, fabsf(x[0][0] - (1 - 2.75F) / wide) < 1e-5F && x[0][1] == 0 && x[0][2] == 1);
    MPI_CHECK(t, x[1][0] == 0 && x[2][1] == 1 && x[3][1] == 0 && x[3][2] == 0);
    at_examples_close(e);
  }
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "no column 'x'", BUILD(t->world, "files", "x.h5", "format=csv", path, "label=x"));
  snprintf(path, sizeof path, "path=%s/u.csv", folder);
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "line 3, byte 9 has 1 cells", BUILD(t->world, "files", "x.h5", "format=csv", path));
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "no such table", BUILD(t->world, "table", "x.h5", "dir=/none", "name=x"));
  MPI_CHECK_FAILS(t, AT_ERR_FILE, "Shuttle.rda", BUILD(t->world, "table", "x.h5", "dir=/none", "name=shuttle"));
  remove_folder(t);
}

int main(int argc, char **argv) {
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(reads_workspaces_however_packed), MPI_CASE(survives_every_cut),
                       MPI_CASE(csv_becomes_examples));
}
