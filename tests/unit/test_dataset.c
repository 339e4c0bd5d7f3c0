/* SPDX-License-Identifier: BSD-3-Clause */
/* Federated data sets: ours, those of others in the same layout, and files that are none. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

#include <hdf5.h>

#include "data/dataset.h"
#include "src/base/alloc.h"

static char folder[64];

static int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/atoll_dataset_XXXXXX");
  return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command) != 0;
}

static const char *in_folder(const char *name) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void put_tokens(at_h5 *f, const char *path, const uint8_t *data, int64_t n) {
  at_h5_desc d = {.path = path, .type = AT_H5_U8, .ndims = 1, .dims = {n}, .units = "token", .description = "Test."};
  assert_ok(at_h5_write(f, &d, data));
}

static const char *make_own(const char *name, int64_t vocab) {
  static const uint8_t a[] = "the text of a", b[] = "b";
  const char *path = in_folder(name);
  at_h5 *f;
  assert_ok(at_h5_create(&f, path, "data", 0));
  put_tokens(f, "/examples/zeta/tokens", a, sizeof a);
  put_tokens(f, "/examples/alpha/tokens", b, sizeof b);
  put_tokens(f, "/test/zeta/tokens", b, sizeof b);
  assert_ok(at_h5_set_attr_text(f, "/", "tokenizer", "byte"));
  assert_ok(at_h5_set_attr_i64(f, "/", "vocab", vocab));
  assert_ok(at_h5_commit(f));
  return path;
}

static void reads_its_own_files(void **state) {
  (void)state;
  at_dataset *d;
  assert_ok(at_dataset_open(&d, make_own("own.h5", 256)));
  assert_int_equal(at_dataset_clients(d), 2);
  assert_string_equal(at_dataset_client(d, 0), "alpha");
  assert_int_equal(at_dataset_find(d, "alpha"), 0);
  assert_int_equal(at_dataset_find(d, "zeta"), 1);
  assert_int_equal(at_dataset_find(d, "beta"), -1);
  assert_int_equal(at_dataset_find(d, ""), -1);
  assert_int_equal(at_dataset_find(d, "zz"), -1);
  assert_string_equal(at_dataset_tokenizer(d), "byte");
  assert_int_equal(at_dataset_vocab(d), 256);
  int64_t n;
  char **fields;
  assert_ok(at_dataset_fields(d, 1, &n, &fields));
  assert_int_equal(n, 1);
  assert_string_equal(fields[0], "tokens");
  at_free(fields);
  assert_ok(at_dataset_rows(d, AT_SPLIT_TRAIN, 1, "tokens", &n));
  assert_int_equal(n, 14);
  assert_ok(at_dataset_rows(d, AT_SPLIT_VALIDATION, 1, "tokens", &n));
  assert_int_equal(n, 0);
  assert_ok(at_dataset_rows(d, AT_SPLIT_TEST, 0, "tokens", &n));
  assert_int_equal(n, 0);
  uint8_t slice[4];
  assert_ok(at_dataset_read(d, AT_SPLIT_TRAIN, 1, "tokens", AT_H5_U8, 4, 4, slice));
  assert_memory_equal(slice, "text", 4);
  assert_fails(AT_ERR_ARG, "which has 14", at_dataset_read(d, AT_SPLIT_TRAIN, 1, "tokens", AT_H5_U8, 11, 4, slice));
  uint8_t *bytes;
  assert_ok(at_dataset_load_u8(d, AT_SPLIT_TRAIN, 1, "tokens", &n, &bytes));
  assert_memory_equal(bytes, "the text of a", 14);
  at_free(bytes);
  int32_t *wide;
  assert_ok(at_dataset_load_i32(d, AT_SPLIT_TEST, 1, "tokens", &n, &wide));
  assert_int_equal(n, 2);
  assert_int_equal(wide[0], 'b');
  at_free(wide);
  at_h5_desc desc;
  assert_ok(at_dataset_describe(d, AT_SPLIT_TRAIN, 0, "tokens", &desc));
  assert_int_equal(desc.type, AT_H5_U8);
  assert_int_equal(desc.dims[0], 2);
  assert_fails(AT_ERR_FORMAT, "/validation/zeta/tokens",
               at_dataset_load_u8(d, AT_SPLIT_VALIDATION, 1, "tokens", &n, &bytes));
  assert_fails(AT_ERR_ARG, "client 2 of 2", at_dataset_rows(d, AT_SPLIT_TRAIN, 2, "tokens", &n));
  assert_fails(AT_ERR_ARG, "client -1 of 2", at_dataset_rows(d, AT_SPLIT_TRAIN, -1, "tokens", &n));
  at_dataset_close(d);
  at_dataset_close(NULL);
}

static void tokens_outside_the_vocabulary_are_refused(void **state) {
  (void)state;
  at_dataset *d;
  int64_t n;
  uint8_t *bytes;
  int32_t *wide;
  assert_ok(at_dataset_open(&d, make_own("small.h5", 100)));
  assert_fails(AT_ERR_FORMAT, "token 0 is 116", at_dataset_load_u8(d, AT_SPLIT_TRAIN, 1, "tokens", &n, &bytes));
  assert_null(bytes);
  assert_fails(AT_ERR_FORMAT, "not in 0 .. 99", at_dataset_load_i32(d, AT_SPLIT_TRAIN, 1, "tokens", &n, &wide));
  assert_null(wide);
  at_dataset_close(d);
  assert_ok(at_dataset_open(&d, make_own("large.h5", 1000)));
  assert_fails(AT_ERR_ARG, "do not fit bytes", at_dataset_load_u8(d, AT_SPLIT_TRAIN, 1, "tokens", &n, &bytes));
  at_dataset_close(d);
  uint16_t *words;
  assert_ok(at_dataset_open(&d, make_own("larger.h5", 70000)));
  assert_fails(AT_ERR_ARG, "do not fit 16 bits", at_dataset_load_u16(d, AT_SPLIT_TRAIN, 1, "tokens", &n, &words));
  assert_null(words);
  at_dataset_close(d);
}

static void sixteen_bits_are_a_type(void **state) {
  (void)state;
  static const uint16_t tokens[] = {0, 300, 65535};
  const char *path = in_folder("sixteen.h5");
  at_h5 *f;
  at_dataset *d;
  int64_t n;
  uint16_t *words;
  at_h5_desc desc = {.path = "/examples/a/tokens", .type = AT_H5_U16, .ndims = 1, .dims = {3}, .units = "token"};
  desc.description = "Test.";
  assert_ok(at_h5_create(&f, path, "data", 0));
  assert_ok(at_h5_write(f, &desc, tokens));
  assert_ok(at_h5_set_attr_i64(f, "/", "vocab", 65536));
  assert_ok(at_h5_commit(f));
  assert_ok(at_dataset_open(&d, path));
  assert_ok(at_dataset_describe(d, AT_SPLIT_TRAIN, 0, "tokens", &desc));
  assert_int_equal(desc.type, AT_H5_U16);
  assert_string_equal(at_h5_type_name(desc.type), "u16");
  assert_ok(at_dataset_load_u16(d, AT_SPLIT_TRAIN, 0, "tokens", &n, &words));
  assert_int_equal(n, 3);
  assert_memory_equal(words, tokens, sizeof tokens);
  at_free(words);
  at_dataset_close(d);
}

/* As other programs write it: no attributes, big-endian 16-bit tokens, pictures, in a plain file. */
static const char *make_foreign(const char *name, bool with_clients) {
  static const uint16_t tokens[] = {1, 2, 60000};
  static const float pixels[2][3][3] = {{{1, 2, 3}}, {{4, 5, 6}}};
  const char *path = in_folder(name);
  hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  hid_t links = H5Pcreate(H5P_LINK_CREATE);
  assert_true(f >= 0 && links >= 0 && H5Pset_create_intermediate_group(links, 1) >= 0);
  if (with_clients) {
    hid_t line = H5Screate_simple(1, (hsize_t[]){3}, NULL), box = H5Screate_simple(3, (hsize_t[]){2, 3, 3}, NULL);
    hid_t a = H5Dcreate2(f, "/examples/f0000_14/tokens", H5T_STD_U16BE, line, links, H5P_DEFAULT, H5P_DEFAULT);
    hid_t b = H5Dcreate2(f, "/examples/f0000_14/pixels", H5T_IEEE_F32LE, box, links, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Dwrite(a, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, tokens) >= 0);
    assert_true(H5Dwrite(b, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, pixels) >= 0);
    assert_true(H5Dclose(a) >= 0 && H5Dclose(b) >= 0 && H5Sclose(line) >= 0 && H5Sclose(box) >= 0);
  } else {
    hid_t g = H5Gcreate2(f, "/examples", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Gclose(g) >= 0);
  }
  assert_true(H5Pclose(links) >= 0 && H5Fclose(f) >= 0);
  return path;
}

static void reads_files_of_others(void **state) {
  (void)state;
  at_dataset *d;
  int64_t n;
  int32_t *tokens;
  assert_ok(at_dataset_open(&d, make_foreign("tff.h5", true)));
  assert_string_equal(at_dataset_tokenizer(d), "");
  assert_int_equal(at_dataset_vocab(d), 0);
  assert_ok(at_dataset_load_i32(d, AT_SPLIT_TRAIN, 0, "tokens", &n, &tokens));
  assert_int_equal(n, 3);
  assert_int_equal(tokens[2], 60000);
  at_free(tokens);
  float row[9];
  assert_ok(at_dataset_read(d, AT_SPLIT_TRAIN, 0, "pixels", AT_H5_F32, 1, 1, row));
  assert_true(row[0] == 4 && row[2] == 6);
  assert_fails(AT_ERR_FORMAT, "3 dimensions", at_dataset_load_i32(d, AT_SPLIT_TRAIN, 0, "pixels", &n, &tokens));
  assert_ok(at_dataset_rows(d, AT_SPLIT_TEST, 0, "pixels", &n));
  assert_int_equal(n, 0);
  at_dataset_close(d);
}

static void other_files_are_refused(void **state) {
  (void)state;
  at_dataset *d;
  at_h5 *f;
  assert_fails(AT_ERR_FILE, "absent.h5", at_dataset_open(&d, in_folder("absent.h5")));
  assert_null(d);
  assert_fails(AT_ERR_FORMAT, "is empty", at_dataset_open(&d, make_foreign("empty.h5", false)));
  assert_ok(at_h5_create(&f, in_folder("metrics.h5"), "metrics", 0));
  assert_ok(at_h5_commit(f));
  assert_fails(AT_ERR_FORMAT, "no group /examples", at_dataset_open(&d, in_folder("metrics.h5")));
  const char *path = make_own("cut.h5", 256);
  assert_int_equal(truncate(path, 1500), 0);
  assert_fails(AT_ERR_FORMAT, "cut.h5", at_dataset_open(&d, path));
  FILE *text = fopen(in_folder("text.h5"), "w");
  assert_non_null(text);
  fputs("no HDF5 at all\n", text);
  fclose(text);
  assert_fails(AT_ERR_FORMAT, "text.h5", at_dataset_open(&d, in_folder("text.h5")));
}

static void damage_is_found(void **state) {
  (void)state;
  const char *path = make_own("damaged.h5", 256);
  FILE *f = fopen(path, "r+b");
  assert_non_null(f);
  char data[65536];
  size_t n = fread(data, 1, sizeof data, f);
  char *at = memmem(data, n, "the text of a", 13);
  assert_non_null(at);
  fseek(f, at - data, SEEK_SET);
  fputc('T', f);
  fclose(f);
  at_dataset *d;
  int64_t rows;
  uint8_t *bytes;
  assert_ok(at_dataset_open(&d, path));
  assert_fails(AT_ERR_FORMAT, "checksum", at_dataset_load_u8(d, AT_SPLIT_TRAIN, 1, "tokens", &rows, &bytes));
  at_dataset_close(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_its_own_files),     cmocka_unit_test(tokens_outside_the_vocabulary_are_refused),
      cmocka_unit_test(sixteen_bits_are_a_type), cmocka_unit_test(reads_files_of_others),
      cmocka_unit_test(other_files_are_refused), cmocka_unit_test(damage_is_found),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
