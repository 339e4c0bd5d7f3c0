/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll data files`: each format from a tiny file, and damaged ones. */
#include "tests/mpi/data_test.h"

/* n images of 2 x 3 whose pixels count on, and their labels 0, 1, 2, 0, ... */
static void put_idx(mpi_test *t, int n, const char *images, const char *labels) {
  unsigned char x[16 + 6 * 64] = {0, 0, 8, 3, 0, 0, 0, (unsigned char)n, 0, 0, 0, 2, 0, 0, 0, 3};
  unsigned char y[8 + 64] = {0, 0, 8, 1, 0, 0, 0, (unsigned char)n};
  for (int i = 0; i < 6 * n; i++) {
    x[16 + i] = (unsigned char)i;
  }
  for (int i = 0; i < n; i++) {
    y[8 + i] = (unsigned char)(i % 3);
  }
  put_file(t, images, x, 16 + 6 * (size_t)n);
  put_file(t, labels, y, 8 + (size_t)n);
}

static const char *both(const char *key, const char *a, const char *b) {
  static char text[4][400];
  static int next;
  char *s = text[next++ % 4];
  snprintf(s, sizeof text[0], "%s=%s/%s%s%s%s%s", key, folder, a, b != NULL ? "," : "", b != NULL ? folder : "",
           b != NULL ? "/" : "", b != NULL ? b : "");
  return s;
}

static void reads_idx(mpi_test *t) {
  make_folder(t);
  if (t->rank == 0) {
    put_idx(t, 20, "x", "y");
    put_idx(t, 5, "tx", "ty");
    put_file(t, "short", "\0\0\10\3\0\0\0\2\0\0\0\2\0\0\0\3abc", 19);
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  CHECK_SAME_ON_ANY_RANKS(t, "files", "format=idx", both("path", "x", "y"), both("test", "tx", "ty"), "validation=0.3");
  if (t->rank == 0) {
    at_examples *e = open_examples(t, "all.h5");
    const int64_t train = at_examples_total(e, AT_SPLIT_TRAIN), validation = at_examples_total(e, AT_SPLIT_VALIDATION);
    float x[6];
    MPI_CHECK(t, train + validation == 20 && validation > 1 && validation < 14);
    MPI_CHECK(t, at_examples_total(e, AT_SPLIT_TEST) == 5);
    MPI_CHECK(t, at_examples_task(e)->classes == 3 && at_examples_task(e)->dims[0] == 2);
    MPI_CHECK_OK(t, at_examples_read(e, AT_SPLIT_TEST, 4, 1, x, NULL, NULL));
    MPI_CHECK(t, x[0] == 24 / 255.0F && x[5] == 29 / 255.0F);
    at_examples_close(e);
  }
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "cut short at byte 19 of 28",
                  BUILD(t->world, "files", "x.h5", "format=idx", both("path", "short", "y")));
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "3 dimensions at byte 3",
                  BUILD(t->world, "files", "x.h5", "format=idx", both("path", "x", "x")));
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "20 images, but",
                  BUILD(t->world, "files", "x.h5", "format=idx", both("path", "x", "ty")));
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "in pairs",
                  BUILD(t->world, "files", "x.h5", "format=idx", both("path", "x", NULL)));
  MPI_CHECK_FAILS(t, AT_ERR_FILE, "none", BUILD(t->world, "files", "x.h5", "format=idx", both("path", "none", "y")));
  MPI_CHECK(t, access(in_folder("x.h5"), F_OK) != 0);
  remove_folder(t);
}

static void reads_cifar(mpi_test *t) {
  static char batch[4 * 3073];
  make_folder(t);
  for (int i = 0; i < 4; i++) {
    for (int j = 0; j < 3072; j++) {
      batch[i * 3073 + 1 + j] = (char)(j / 1024 * 100 + i);
    }
    batch[i * 3073] = (char)(9 - i);
  }
  if (t->rank == 0) {
    put_file(t, "batch", batch, sizeof batch);
    put_file(t, "short", batch, sizeof batch - 1);
    batch[3073] = 10;
    put_file(t, "label", batch, sizeof batch);
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  CHECK_SAME_ON_ANY_RANKS(t, "files", "format=cifar10", both("path", "batch", NULL), both("test", "batch", NULL));
  if (t->rank == 0) {
    at_examples *e = open_examples(t, "all.h5");
    static float x[3072];
    int32_t label;
    MPI_CHECK_OK(t, at_examples_read(e, AT_SPLIT_TEST, 2, 1, x, &label, NULL));
    MPI_CHECK(t, label == 7 && at_examples_task(e)->classes == 10);
    MPI_CHECK(t, x[0] == 2 / 255.0F && x[1] == 102 / 255.0F && x[3071] == 202 / 255.0F);
    at_examples_close(e);
  }
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "cut short at byte 12291",
                  BUILD(t->world, "files", "x.h5", "format=cifar10", both("path", "short", NULL)));
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "label 10 at byte 3073",
                  BUILD(t->world, "files", "x.h5", "format=cifar10", both("path", "label", NULL)));
  remove_folder(t);
}

static void reads_leaf(mpi_test *t) {
  static const char one[] =
      "{\"users\": [\"b\", \"a\"], \"num_samples\": [2, 1], \"user_data\": {\"b\": {\"x\": [[0.5, 1], "
      "[2, 3e0]], \"y\": [4, 0]}, \"a\\u0041\": {\"y\": [1], \"x\": [[-1, 0]], \"z\": {\"q\": [\"]\"]}}}}";
  static const char two[] = "{\"user_data\": {\"b\": {\"x\": [[7, 8]], \"y\": [2]}}}";
  static const char words[] = "{\"user_data\": {\"b\": {\"x\": [\"ab\", \"bc\"], \"y\": [\"c\", \"d\"]}}}";
  static const char uneven[] = "{\"user_data\": {\"b\": {\"x\": [[7, 8], [1]], \"y\": [2, 1]}}}";
  make_folder(t);
  if (t->rank == 0) {
    put_file(t, "one", one, strlen(one));
    put_file(t, "two", two, strlen(two));
    put_file(t, "words", words, strlen(words));
    put_file(t, "uneven", uneven, strlen(uneven));
    put_file(t, "short", one, 100);
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  CHECK_SAME_ON_ANY_RANKS(t, "files", "format=leaf", both("path", "one", NULL), both("test", "two", NULL));
  if (t->rank == 0) {
    at_examples *e = open_examples(t, "all.h5");
    float x[6];
    int32_t label[3];
    MPI_CHECK(t, at_examples_clients(e) == 2 && strcmp(at_examples_client(e, 0), "aA") == 0);
    MPI_CHECK(t, at_examples_task(e)->classes == 5 && at_examples_total(e, AT_SPLIT_TRAIN) == 3);
    MPI_CHECK_OK(t, at_examples_read(e, AT_SPLIT_TRAIN, 0, 3, x, label, NULL));
    MPI_CHECK(t, x[0] == -1 && x[2] == 0.5F && x[5] == 3 && label[0] == 1 && label[1] == 4);
    MPI_CHECK_OK(t, at_examples_read(e, AT_SPLIT_TEST, 0, 1, x, label, NULL));
    MPI_CHECK(t, x[1] == 8 && label[0] == 2);
    at_examples_close(e);
  }
  MPI_REQUIRE_OK(t, BUILD(t->world, "files", "w.h5", "format=leaf", both("path", "words", NULL), "test_fraction=0"));
  if (t->rank == 0) {
    at_examples *e = open_examples(t, "w.h5");
    float x[4];
    MPI_CHECK_OK(t, at_examples_read(e, AT_SPLIT_TRAIN, 0, 2, x, NULL, NULL));
    MPI_CHECK(t, x[0] == 'a' && x[3] == 'c' && at_examples_labels(e, AT_SPLIT_TRAIN)[1] == 'd');
    at_examples_close(e);
  }
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "at byte 100 of 100",
                  BUILD(t->world, "files", "x.h5", "format=leaf", both("path", "short", NULL)));
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "as long as the first one",
                  BUILD(t->world, "files", "x.h5", "format=leaf", both("path", "uneven", NULL)));
  remove_folder(t);
}

static void frees_all_memory(mpi_test *t) {
  make_folder(t);
  if (t->rank == 0) {
    put_idx(t, 20, "x", "y");
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  const int64_t before = at_alloc_get_stats().live_bytes;
  MPI_CHECK_OK(t, BUILD(t->world, "files", "a.h5", "format=idx", both("path", "x", "y")));
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "x", BUILD(t->world, "files", "b.h5", "format=leaf", both("path", "x", NULL)));
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "format", BUILD(t->world, "files", "b.h5", both("path", "x", NULL)));
  MPI_CHECK(t, at_alloc_get_stats().live_bytes == before);
  remove_folder(t);
}

int main(int argc, char **argv) {
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(reads_idx), MPI_CASE(reads_cifar), MPI_CASE(reads_leaf),
                       MPI_CASE(frees_all_memory));
}
