/* SPDX-License-Identifier: BSD-3-Clause */
/* HDF5 files: round trips, completeness, damage found, full disks. */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hdf5.h>

#include "src/base/alloc.h"
#include "src/store/fs.h"
#include "src/store/h5.h"
#include "src/store/h5_internal.h"

static char folder[64];

static int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/atoll_h5_XXXXXX");
  return mkdtemp(folder) == NULL;
}

static int count_files(const char *path) {
  DIR *d = opendir(path);
  assert_non_null(d);
  int n = 0;
  for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
    n += e->d_name[0] != '.';
  }
  closedir(d);
  return n;
}

static int remove_folder(void **state) {
  (void)state;
  DIR *d = opendir(folder);
  for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    unlink(path);
  }
  closedir(d);
  return rmdir(folder);
}

static const char *in_folder(const char *name) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static long file_size(const char *path) {
  struct stat s;
  assert_int_equal(stat(path, &s), 0);
  return (long)s.st_size;
}

static const float numbers[6] = {1.5f, -0.0f, 3, 1e-40f, 5, 6};
static const at_h5_desc matrix = {
    .path = "/model/deep/w", .type = AT_H5_F32, .ndims = 2, .dims = {2, 3}, .units = "1", .description = "a matrix"};
static const at_h5_desc counter = {.path = "/round", .type = AT_H5_I64, .units = "1", .flags = AT_H5_VOLATILE};

static void write_sample(const char *path) {
  at_h5 *f = NULL;
  int64_t round = INT64_MIN + 7;
  assert_ok(at_h5_create(&f, path, "sample", sizeof numbers));
  assert_ok(at_h5_write(f, &matrix, numbers));
  assert_ok(at_h5_write(f, &counter, &round));
  assert_ok(at_h5_set_attr_text(f, "/notes", "author", "\xc3\xa9tienne"));
  assert_ok(at_h5_set_attr_i64(f, "/notes", "year", 2026));
  assert_ok(at_h5_commit(f));
}

static void round_trip(void **state) {
  (void)state;
  const char *path = in_folder("a.h5");
  write_sample(path);
  assert_int_equal(count_files(folder), 1);
  at_h5 *f = NULL;
  float got[6];
  int64_t round = 0, year = 0;
  char *author = NULL;
  assert_ok(at_h5_open_kind(&f, path, "sample"));
  assert_ok(at_h5_read(f, &matrix, got));
  assert_memory_equal(got, numbers, sizeof got);
  assert_ok(at_h5_read(f, &counter, &round));
  assert_int_equal(round, INT64_MIN + 7);
  assert_ok(at_h5_get_attr_text(f, "/notes", "author", &author));
  assert_string_equal(author, "\xc3\xa9tienne");
  at_free(author);
  assert_ok(at_h5_get_attr_i64(f, "/notes", "year", &year));
  assert_int_equal(year, 2026);
  assert_ok(at_h5_get_attr_text(f, "/model/deep/w", "description", &author));
  assert_string_equal(author, "a matrix");
  at_free(author);
  at_h5_desc d;
  assert_ok(at_h5_describe(f, "/round", &d));
  assert_true(d.type == AT_H5_I64 && d.ndims == 0 && d.flags == AT_H5_VOLATILE);
  int64_t n = 0;
  assert_ok(at_h5_verify(f, &n));
  assert_int_equal(n, 2);
  assert_true(at_h5_exists(f, "/model/deep"));
  assert_false(at_h5_exists(f, "/model/shallow/w"));
  at_h5_close(f);
}

static void every_type_and_odd_shapes(void **state) {
  (void)state;
  const char *path = in_folder("a.h5");
  char data[7 * 8];
  for (size_t i = 0; i < sizeof data; i++) {
    data[i] = (char)(i * 7 + 3);
  }
  const int64_t lengths[] = {0, 1, 7};
  char name[32];
  at_h5 *f = NULL;
  for (int pass = 0; pass < 2; pass++) {
    assert_ok(pass == 0 ? at_h5_create(&f, path, "types", 0) : at_h5_open(&f, path));
    for (int t = 0; t < AT_H5_TEXT; t++) {
      for (int k = 0; k < 3; k++) {
        snprintf(name, sizeof name, "/%s/%d", at_h5_type_name((at_h5_type)t), k);
        at_h5_desc d = {.path = name, .type = (at_h5_type)t, .ndims = 3, .dims = {1, lengths[k], 1}};
        if (pass == 0) {
          assert_ok(at_h5_write(f, &d, data));
        } else {
          char got[sizeof data] = "";
          assert_ok(at_h5_read(f, &d, got));
          assert_memory_equal(got, data, (size_t)(lengths[k] * at_h5_type_bytes(d.type)));
        }
      }
    }
    if (pass == 0) {
      assert_ok(at_h5_commit(f));
    } else {
      at_h5_close(f);
    }
  }
}

/* Runs of a 2 x 3 x 4 array, from every start and of every length. */
static void runs_of_elements(void **state) {
  (void)state;
  int32_t all[24], got[24];
  for (int i = 0; i < 24; i++) {
    all[i] = i;
  }
  at_h5_desc d = {.path = "/cube", .type = AT_H5_I32, .ndims = 3, .dims = {2, 3, 4}};
  at_h5 *f = NULL;
  assert_ok(at_h5_create(&f, in_folder("a.h5"), "cube", 0));
  assert_ok(at_h5_write(f, &d, all));
  hid_t dataset = -1;
  assert_ok(at_h5_open_dataset(f, "/cube", &dataset));
  for (int first = 0; first < 24; first++) {
    for (int n = 0; first + n <= 24; n++) {
      memset(got, 0xff, sizeof got);
      assert_ok(at_h5_read_run(dataset, &d, first, n, got));
      assert_memory_equal(got, all + first, (size_t)n * 4);
      assert_true(n == 24 || got[n] == -1);
    }
  }
  for (int i = 0; i < 24; i++) {
    all[i] = 100 - i;
  }
  assert_ok(at_h5_write_run(dataset, &d, H5P_DEFAULT, 5, 14, all + 5));
  assert_ok(at_h5_drop(AT_OK, dataset));
  assert_ok(at_h5_read_rows(f, "/cube", AT_H5_I32, 0, 2, got));
  for (int i = 0; i < 24; i++) {
    assert_int_equal(got[i], i >= 5 && i < 19 ? 100 - i : i);
  }
  double second[12];
  assert_ok(at_h5_read_rows(f, "/cube", AT_H5_F64, 1, 1, second));
  assert_true(second[11] == 23.0);
  assert_fails(AT_ERR_ARG, "which has 2", at_h5_read_rows(f, "/cube", AT_H5_I32, 1, 2, got));
  at_h5_discard(f);
  assert_int_equal(count_files(folder), 0);
}

static void text_and_lists(void **state) {
  (void)state;
  const char *const words[3] = {"wte", "block.0.attention", "\xc3\xa4"};
  at_h5 *f = NULL;
  char **got = NULL, **names = NULL;
  int64_t n = 0;
  assert_ok(at_h5_create(&f, in_folder("a.h5"), "text", 0));
  assert_ok(at_h5_write_text(f, "/layout/name", 3, words, "1", "names"));
  assert_ok(at_h5_write_text(f, "/layout/empty", 0, NULL, "1", "none"));
  assert_ok(at_h5_set_attr_i64(f, "/layout/Z", "x", 1));
  assert_ok(at_h5_commit(f));
  assert_ok(at_h5_open(&f, in_folder("a.h5")));
  assert_ok(at_h5_read_text(f, "/layout/name", &n, &got));
  assert_int_equal(n, 3);
  for (int i = 0; i < 3; i++) {
    assert_string_equal(got[i], words[i]);
  }
  at_free(got);
  assert_ok(at_h5_read_text(f, "/layout/empty", &n, &got));
  assert_int_equal(n, 0);
  at_free(got);
  assert_ok(at_h5_list(f, "/layout", &n, &names));
  assert_int_equal(n, 3);
  assert_string_equal(names[0], "Z");
  assert_string_equal(names[1], "empty");
  assert_string_equal(names[2], "name");
  at_free(names);
  assert_fails(AT_ERR_FORMAT, "has no group /nothing", at_h5_list(f, "/nothing", &n, &names));
  assert_fails(AT_ERR_FORMAT, "no dataset /gone", at_h5_read_text(f, "/gone", &n, &names));
  at_h5_close(f);
}

static void scales_name_axes(void **state) {
  (void)state;
  at_h5 *f = NULL;
  int64_t round[2] = {1, 2};
  at_h5_desc axis = {.path = "/round", .type = AT_H5_I64, .ndims = 1, .dims = {2}, .units = "1"};
  assert_ok(at_h5_create(&f, in_folder("a.h5"), "scales", 0));
  assert_ok(at_h5_write(f, &axis, round));
  assert_ok(at_h5_write(f, &matrix, numbers));
  assert_ok(at_h5_set_scale(f, matrix.path, 0, "/round"));
  assert_ok(at_h5_commit(f));
  assert_ok(at_h5_open(&f, in_folder("a.h5")));
  char *text = NULL;
  assert_ok(at_h5_get_attr_text(f, "/round", "CLASS", &text));
  assert_string_equal(text, "DIMENSION_SCALE");
  at_free(text);
  at_h5_close(f);
}

static void a_file_appears_only_complete(void **state) {
  (void)state;
  const char *path = in_folder("a.h5");
  write_sample(path);
  long before = file_size(path);
  at_h5 *f = NULL, *reader = NULL;
  assert_ok(at_h5_create(&f, path, "other", 1000));
  assert_ok(at_h5_write(f, &matrix, numbers));
  assert_ok(at_h5_open_kind(&reader, path, "sample")); /* the old one, whole */
  at_h5_close(reader);
  at_h5_discard(f);
  assert_int_equal(file_size(path), before);
  assert_int_equal(count_files(folder), 1);
}

static void a_failed_write_is_not_kept(void **state) {
  (void)state;
  at_h5 *f = NULL;
  assert_ok(at_h5_create(&f, in_folder("a.h5"), "sample", 0));
  assert_ok(at_h5_write(f, &matrix, numbers));
  assert_fails(AT_ERR_HDF5, "/model/deep/w", at_h5_write(f, &matrix, numbers)); /* the name is taken */
  assert_fails(AT_ERR_FILE, "not kept", at_h5_commit(f));
  assert_int_equal(count_files(folder), 0);
}

static void says_what_is_wrong_with_a_file(void **state) {
  (void)state;
  at_h5 *f = NULL;
  const char *path = in_folder("a.h5");
  assert_fails(AT_ERR_FILE, "a.h5: cannot be read: No such file", at_h5_open(&f, path));
  assert_fails(AT_ERR_FILE, "none/a.h5: cannot be written: No such file",
               at_h5_create(&f, "/tmp/atoll/none/a.h5", "sample", 0));
  FILE *text = fopen(path, "w");
  fputs("not what was expected", text);
  fclose(text);
  assert_fails(AT_ERR_FORMAT, "is not an HDF5 file", at_h5_open(&f, path));
  write_sample(path);
  assert_fails(AT_ERR_FORMAT, "is a sample file, a checkpoint file was expected",
               at_h5_open_kind(&f, path, "checkpoint"));
  for (long size = file_size(path) - 1; size > 100; size = size * 2 / 3) {
    assert_int_equal(truncate(path, size), 0);
    assert_fails(AT_ERR_FORMAT, "a.h5: is cut off", at_h5_open(&f, path));
  }
  hid_t foreign = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  assert_true(foreign >= 0 && H5Fclose(foreign) >= 0);
  assert_fails(AT_ERR_FORMAT, "of another program", at_h5_open_kind(&f, path, "sample"));
  assert_null(f);
}

static void says_what_does_not_fit(void **state) {
  (void)state;
  const char *path = in_folder("a.h5");
  write_sample(path);
  at_h5 *f = NULL;
  float x[8];
  assert_ok(at_h5_open(&f, path));
  at_h5_desc d = matrix;
  d.dims[1] = 4;
  assert_fails(AT_ERR_STATE, "/model/deep/w is f32[2,3] where f32[2,4] is needed", at_h5_read(f, &d, x));
  d = matrix;
  d.type = AT_H5_I32;
  assert_fails(AT_ERR_STATE, "is f32[2,3] where i32[2,3]", at_h5_read(f, &d, x));
  d.path = "/model/w";
  assert_fails(AT_ERR_FORMAT, "has no dataset /model/w", at_h5_read(f, &d, x));
  at_h5_close(f);
}

/* Change one byte at a time, all over the file: nothing goes unnoticed that would change what is read. */
static void finds_any_flipped_byte(void **state) {
  (void)state;
  const char *path = in_folder("a.h5");
  write_sample(path);
  long size = file_size(path);
  int found = 0;
  for (long at = 0; at < size; at += 1) {
    int fd = open(path, O_RDWR);
    unsigned char byte = 0;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    at_h5 *f = NULL;
    int64_t n = 0;
    at_err err = at_h5_open_kind(&f, path, "sample");
    if (err == AT_OK) {
      err = at_h5_verify(f, &n);
    }
    float got[6];
    int64_t round = 0;
    if (err == AT_OK) {
      err = at_h5_read(f, &matrix, got);
    }
    if (err == AT_OK) {
      err = at_h5_read(f, &counter, &round);
    }
    if (err == AT_OK) {
      assert_memory_equal(got, numbers, sizeof got);
      assert_int_equal(round, INT64_MIN + 7);
    } else {
      assert_true(strlen(at_err_message()) > 0);
      found++;
    }
    at_h5_close(f);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
  }
  assert_true(found > 500);
  at_h5 *f = NULL;
  assert_ok(at_h5_open_kind(&f, path, "sample"));
  at_h5_close(f);
}

/* A file system of 1 MiB, if we may make one. */
static bool mount_small(const char *path) {
  return mkdir(path, 0700) == 0 && mount("none", path, "tmpfs", 0, "size=1m") == 0;
}

static void a_full_disk_is_a_clean_error(void **state) {
  (void)state;
  char small[128], path[160];
  snprintf(small, sizeof small, "%s/small", folder);
  snprintf(path, sizeof path, "%s/a.h5", small);
  if (!mount_small(small)) {
    rmdir(small);
    print_message("a file system to fill cannot be mounted here (not root?)\n");
    skip();
  }
  int64_t n = 1 << 18; /* 2 MiB of doubles */
  double *x = NULL;
  at_h5 *f = NULL;
  assert_ok(at_alloc(&x, (size_t)n, sizeof *x, "test data"));
  /* Announced: refused at once. */
  at_err announced = at_h5_create(&f, path, "big", n * 8);
  char message[AT_ERR_MESSAGE_MAX];
  snprintf(message, sizeof message, "%s", at_err_message());
  int left_announced = count_files(small);
  /* Not announced: fails while writing, or at the end. */
  at_h5_desc d = {.path = "/x", .type = AT_H5_F64, .ndims = 1, .dims = {n}};
  at_err created = at_h5_create(&f, path, "big", 0);
  at_err written = created == AT_OK ? at_h5_write(f, &d, x) : AT_OK;
  at_err kept = created == AT_OK ? at_h5_commit(f) : AT_OK;
  int left_unannounced = count_files(small);
  /* And there is room again for what fits. */
  d.dims[0] = 1000;
  at_err small_created = at_h5_create(&f, path, "big", 8000);
  at_err small_written = small_created == AT_OK ? at_h5_write(f, &d, x) : small_created;
  at_err small_kept = small_written == AT_OK ? at_h5_commit(f) : small_written;
  at_free(x);
  assert_int_equal(umount(small), 0);
  assert_int_equal(rmdir(small), 0);
  assert_int_equal(announced, AT_ERR_FILE);
  assert_non_null(strstr(message, "No space left on device"));
  assert_non_null(strstr(message, "cannot reserve 2.1 MiB"));
  assert_int_equal(left_announced, 0);
  assert_int_equal(created, AT_OK);
  assert_true(written != AT_OK && kept != AT_OK);
  assert_int_equal(left_unannounced, 0);
  assert_int_equal(small_kept, AT_OK);
}

static void long_attributes(void **state) {
  (void)state;
  enum { LONG = 200000 };
  char *text = NULL, *got = NULL;
  at_h5 *f = NULL;
  assert_ok(at_alloc(&text, LONG + 1, 1, "text"));
  memset(text, 'x', LONG);
  assert_ok(at_h5_create(&f, in_folder("a.h5"), "sample", 0));
  assert_ok(at_h5_set_attr_text(f, "/provenance", "config", text));
  assert_ok(at_h5_commit(f));
  assert_ok(at_h5_open(&f, in_folder("a.h5")));
  assert_ok(at_h5_get_attr_text(f, "/provenance", "config", &got));
  assert_string_equal(got, text);
  at_h5_close(f);
  at_free(got);
  at_free(text);
}

static void no_memory_is_lost(void **state) {
  (void)state;
  at_h5 *f = NULL;
  int64_t before = at_alloc_get_stats().live_bytes;
  write_sample(in_folder("a.h5"));
  assert_ok(at_h5_open(&f, in_folder("a.h5")));
  at_h5_close(f);
  assert_int_equal(at_alloc_get_stats().live_bytes, before);
}

static void small_texts(void **state) {
  (void)state;
  char *got = NULL;
  char deep[128];
  snprintf(deep, sizeof deep, "%s/config.yaml", folder);
  assert_ok(at_fs_write_text(deep, "seed: 1\n"));
  assert_ok(at_fs_write_text(deep, "seed: 2\n"));
  assert_ok(at_fs_read_text(deep, &got));
  assert_string_equal(got, "seed: 2\n");
  at_free(got);
  assert_fails(AT_ERR_FILE, "config.yaml: is in the way", at_fs_make_folder(deep));
  assert_fails(AT_ERR_FILE, "nothing: cannot be read", at_fs_read_text(in_folder("nothing"), &got));
  assert_int_equal(count_files(folder), 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(round_trip),
      CASE(every_type_and_odd_shapes),
      CASE(runs_of_elements),
      CASE(text_and_lists),
      CASE(scales_name_axes),
      CASE(a_file_appears_only_complete),
      CASE(a_failed_write_is_not_kept),
      CASE(says_what_is_wrong_with_a_file),
      CASE(says_what_does_not_fit),
      CASE(finds_any_flipped_byte),
      CASE(a_full_disk_is_a_clean_error),
      CASE(long_attributes),
      CASE(no_memory_is_lost),
      CASE(small_texts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
