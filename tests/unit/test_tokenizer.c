/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokenizers in files, and a corpus of byte pairs: lengths of tokens and the text they stand for. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "data/tokenizer.h"
#include "src/base/alloc.h"
#include "src/fed/corpus.h"

static char folder[64];

static int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/atoll_tokenizer_XXXXXX");
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

/* th, the, " the", an */
static at_bpe *make(void) {
  static const int32_t merge[] = {'t', 'h', 256, 'e', ' ', 257, 'a', 'n'};
  at_bpe *b;
  assert_ok(at_bpe_create(&b, 4, merge));
  return b;
}

static void put(at_h5 *f, const char *path, at_h5_type type, int64_t n, const void *data) {
  const at_h5_desc d = {.path = path, .type = type, .ndims = 1, .dims = {n}, .units = "token", .description = "Test."};
  assert_ok(at_h5_write(f, &d, data));
}

static void comes_back_from_a_file(void **state) {
  (void)state;
  at_bpe *b = make(), *back;
  at_h5 *f;
  uint8_t bytes[255 + 1 + 2 + 3 + 4 + 2];
  int64_t offset[256 + 4 + 1];
  assert_ok(at_tokenizer_save(in_folder("tokenizer.h5"), b));
  assert_ok(at_tokenizer_load(in_folder("tokenizer.h5"), &back));
  assert_true(at_bpe_equal(b, back));
  at_bpe_destroy(back);
  /* the table of bytes, as other programs read it */
  assert_ok(at_h5_open_kind(&f, in_folder("tokenizer.h5"), "tokenizer"));
  const at_h5_desc all = {.path = "/tokenizer/bytes", .type = AT_H5_U8, .ndims = 1, .dims = {sizeof bytes}};
  const at_h5_desc at = {.path = "/tokenizer/offset", .type = AT_H5_I64, .ndims = 1, .dims = {261}};
  assert_ok(at_h5_read(f, &all, bytes));
  assert_ok(at_h5_read(f, &at, offset));
  at_h5_close(f);
  for (int i = 0; i < 256; i++) {
    assert_int_equal(offset[i], i);
    assert_int_equal(bytes[i], i);
  }
  assert_memory_equal(bytes + 256, "ththe thean", 11);
  assert_int_equal(offset[258], 261);
  assert_int_equal(offset[260], sizeof bytes);
  at_bpe_destroy(b);
}

static void other_files_are_refused(void **state) {
  (void)state;
  static const int32_t merges[] = {'t', 'h', 999, 'e'}, row[] = {1, 2};
  at_bpe *b = make(), *back;
  at_h5 *f;
  assert_fails(AT_ERR_FILE, "absent.h5", at_tokenizer_load(in_folder("absent.h5"), &back));
  assert_ok(at_h5_create(&f, in_folder("none.h5"), "data", 0));
  assert_ok(at_h5_commit(f));
  assert_fails(AT_ERR_FORMAT, "holds no tokenizer", at_tokenizer_load(in_folder("none.h5"), &back));
  assert_ok(at_h5_create(&f, in_folder("other.h5"), "tokenizer", 0));
  assert_ok(at_tokenizer_write(f, b));
  assert_ok(at_h5_set_attr_text(f, "/tokenizer", "kind", "unigram"));
  assert_ok(at_h5_commit(f));
  assert_fails(AT_ERR_FORMAT, "does not know", at_tokenizer_load(in_folder("other.h5"), &back));
  assert_ok(at_h5_create(&f, in_folder("rule.h5"), "tokenizer", 0));
  assert_ok(at_tokenizer_write(f, b));
  assert_ok(at_h5_set_attr_i64(f, "/tokenizer", "word_rule", 77));
  assert_ok(at_h5_commit(f));
  assert_fails(AT_ERR_FORMAT, "by rule 77", at_tokenizer_load(in_folder("rule.h5"), &back));
  for (int shape = 0; shape < 2; shape++) {
    at_h5_desc d = {.path = "/tokenizer/merges", .type = AT_H5_I32, .ndims = 2 - shape, .dims = {2, 2}, .units = "1"};
    d.description = "Test.";
    assert_ok(at_h5_create(&f, in_folder("bad.h5"), "tokenizer", 0));
    assert_ok(at_h5_write(f, &d, shape == 0 ? merges : row));
    assert_ok(at_h5_set_attr_text(f, "/tokenizer", "kind", "bpe"));
    assert_ok(at_h5_set_attr_i64(f, "/tokenizer", "word_rule", 1));
    assert_ok(at_h5_commit(f));
    assert_fails(AT_ERR_FORMAT, shape == 0 ? "tokens 999 and 101" : "i32 [n][2]",
                 at_tokenizer_load(in_folder("bad.h5"), &back));
    assert_null(back);
  }
  at_bpe_destroy(b);
}

static void make_set(const char *name, const char *tokenizer, int64_t vocab) {
  static const uint16_t train[] = {'A', 257, 258, 259, 0, 258, 0}, held_out[] = {257, 0};
  at_bpe *b = make();
  at_h5 *f;
  assert_ok(at_h5_create(&f, in_folder(name), "data", 0));
  put(f, "/examples/one/tokens", AT_H5_U16, 7, train);
  put(f, "/validation/one/tokens", AT_H5_U16, 2, held_out);
  assert_ok(at_h5_set_attr_text(f, "/", "tokenizer", tokenizer));
  assert_ok(at_h5_set_attr_i64(f, "/", "vocab", vocab));
  assert_ok(at_tokenizer_write(f, b));
  assert_ok(at_h5_commit(f));
  at_bpe_destroy(b);
}

static void a_corpus_knows_its_text(void **state) {
  (void)state;
  const int64_t live = at_alloc_get_stats().live_bytes;
  at_corpus *c;
  int32_t tokens[7];
  uint8_t text[32];
  make_set("set.h5", "bpe", 260);
  assert_ok(at_corpus_load(&c, in_folder("set.h5")));
  const at_tokens *t = &c->silo[0].split[AT_SPLIT_TRAIN];
  assert_int_equal(t->width, 2);
  at_tokens_get(t, 1, 3, tokens);
  assert_int_equal(tokens[0], 257);
  assert_int_equal(tokens[2], 259);
  assert_int_equal(at_corpus_bytes_of(c, (const int32_t[]){257, 0, -1, 'x'}, 4), 3 + 1 + 0 + 1);
  assert_int_equal(at_corpus_text_bytes(c, t, 0, 7), 16);
  assert_int_equal(at_corpus_text(c, t, 0, 7, text), 16);
  assert_memory_equal(text, "Athe thean\0 the\0", 16);
  assert_int_equal(at_corpus_text(c, t, 2, 2, text), 6);
  assert_memory_equal(text, " thean", 6);
  at_corpus_destroy(c);
  make_set("wrong.h5", "bpe", 261);
  assert_fails(AT_ERR_FORMAT, "has 261 tokens, its tokenizer 260", at_corpus_load(&c, in_folder("wrong.h5")));
  assert_int_equal(at_alloc_get_stats().live_bytes, live);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(comes_back_from_a_file),
      cmocka_unit_test(other_files_are_refused),
      cmocka_unit_test(a_corpus_knows_its_text),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
