/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokenizers in HDF5 files. */
#include "data/tokenizer.h"

#include <string.h>

#include "src/base/alloc.h"
#include "src/lm/words.h"

static const char group[] = "/tokenizer", merges[] = "/tokenizer/merges";

/* All bytes and offsets, the separator's own byte among them. */
static at_err write_bytes(at_h5 *f, const at_bpe *bpe) {
  const int32_t n = bpe->vocab->n;
  uint8_t *bytes = NULL;
  int64_t *offset = NULL;
  at_err err;
  AT_TRY_TO(err, done, at_alloc(&offset, (size_t)n + 1, sizeof *offset, "tokenizer"));
  for (int32_t t = 0; t < n; t++) {
    offset[t + 1] = offset[t] + at_bpe_token_bytes(bpe, t);
  }
  AT_TRY_TO(err, done, at_alloc(&bytes, (size_t)offset[n], 1, "tokenizer"));
  for (int32_t t = 0; t < n; t++) {
    at_bpe_decode(bpe, &t, 1, bytes + offset[t]);
  }
  const at_h5_desc all = {.path = "/tokenizer/bytes",
                          .type = AT_H5_U8,
                          .ndims = 1,
                          .dims = {offset[n]},
                          .units = "byte",
                          .description = "Bytes of the tokens, one token behind the other."};
  AT_TRY_TO(err, done, at_h5_write(f, &all, bytes));
  const at_h5_desc starts = {.path = "/tokenizer/offset",
                             .type = AT_H5_I64,
                             .ndims = 1,
                             .dims = {n + 1},
                             .units = "byte",
                             .description = "First byte of each token; the last is the end of all."};
  AT_TRY_TO(err, done, at_h5_write(f, &starts, offset));
done:
  at_free(bytes);
  at_free(offset);
  return err;
}

at_err at_tokenizer_write(at_h5 *f, const at_bpe *bpe) {
  const at_h5_desc d = {.path = merges,
                        .type = AT_H5_I32,
                        .ndims = 2,
                        .dims = {bpe->n_merges, 2},
                        .units = "token",
                        .description = "Merge i puts these two tokens together: token 256 + i."};
  AT_TRY(at_h5_write(f, &d, bpe->merge));
  AT_TRY(write_bytes(f, bpe));
  AT_TRY(at_h5_set_attr_text(f, group, "kind", "bpe"));
  AT_TRY(at_h5_set_attr_i64(f, group, "word_rule", AT_WORD_RULE));
  return at_h5_set_attr_i64(f, group, "separator", bpe->vocab->separator);
}

/* The tokenizer is one that this program can use. */
static at_err check(at_h5 *f) {
  char *kind;
  int64_t rule;
  if (!at_h5_exists(f, group)) {
    return AT_FAIL(AT_ERR_FORMAT,
                   "%s: holds no tokenizer: a data set of `atoll data text tokenizer=bpe` does, and so "
                   "does RUN/tokenizer.h5",
                   at_h5_path(f));
  }
  AT_TRY(at_h5_get_attr_text(f, group, "kind", &kind));
  const bool known = strcmp(kind, "bpe") == 0;
  at_free(kind);
  if (!known) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: its tokenizer is of a kind that this program does not know", at_h5_path(f));
  }
  AT_TRY(at_h5_get_attr_i64(f, group, "word_rule", &rule));
  return rule == AT_WORD_RULE
             ? AT_OK
             : AT_FAIL(AT_ERR_FORMAT, "%s: its tokenizer cuts words by rule %lld, this program by rule %d",
                       at_h5_path(f), (long long)rule, AT_WORD_RULE);
}

at_err at_tokenizer_read(at_h5 *f, at_bpe **out) {
  at_h5_desc d;
  int32_t *pairs;
  *out = NULL;
  AT_TRY(check(f));
  AT_TRY(at_h5_describe(f, merges, &d));
  if (d.type != AT_H5_I32 || d.ndims != 2 || d.dims[1] != 2 || d.dims[0] > AT_BPE_VOCAB_MAX) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: %s does not have the shape i32 [n][2]", at_h5_path(f), merges);
  }
  d.path = merges;
  AT_TRY(at_alloc(&pairs, 2 * (size_t)d.dims[0], sizeof *pairs, "tokenizer"));
  at_err err = at_h5_read(f, &d, pairs);
  if (err == AT_OK) {
    err = at_bpe_create(out, (int32_t)d.dims[0], pairs);
  }
  at_free(pairs);
  return err;
}

at_err at_tokenizer_save(const char *path, const at_bpe *bpe) {
  at_h5 *f;
  AT_TRY(at_h5_create(&f, path, "tokenizer", 0));
  at_err err = at_tokenizer_write(f, bpe);
  if (err != AT_OK) {
    at_h5_discard(f);
    return err;
  }
  return at_h5_commit(f);
}

at_err at_tokenizer_load(const char *path, at_bpe **out) {
  at_h5 *f;
  *out = NULL;
  AT_TRY(at_h5_open(&f, path));
  at_err err = at_tokenizer_read(f, out);
  at_h5_close(f);
  return err;
}
