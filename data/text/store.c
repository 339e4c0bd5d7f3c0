/* SPDX-License-Identifier: BSD-3-Clause */
/* A silo of text in the HDF5 file: tokens by split, the table of documents, where it all comes from. */
#include <string.h>

#include "data/text/text_internal.h"

enum { PATH_BYTES = 256 };

static const char *const split_group[AT_TEXT_SPLITS] = {"examples", "validation", "test"};
static const char *const split_name[AT_TEXT_SPLITS] = {"Training", "Validation", "Test"};
static const char *const tokenizer_name[] = {[AT_TEXT_BYTE] = "byte", [AT_TEXT_BPE] = "bpe"};
static const char *const token_help[] = {
    [AT_TEXT_BYTE] = "bytes of UTF-8", [AT_TEXT_BPE] = "tokens, whose bytes are in /tokenizer"};

at_err at_text_store_root(at_h5 *f, const at_text_cfg *cfg, int64_t vocab) {
  AT_TRY(at_h5_set_attr_text(f, "/", "description",
                             "Federated text: one client per language or genre, split by document name."));
  AT_TRY(at_h5_set_attr_text(f, "/", "tokenizer", tokenizer_name[cfg->tokenizer]));
  AT_TRY(at_h5_set_attr_i64(f, "/", "vocab", vocab));
  AT_TRY(at_h5_set_attr_i64(f, "/", "separator", AT_TEXT_SEPARATOR));
  AT_TRY(at_h5_set_attr_i64(f, "/", "split_seed", cfg->seed));
  return AT_OK;
}

static at_err store_tokens(at_h5 *f, const at_silo *spec, const at_text_tokens *tokens, int tokenizer) {
  for (int s = 0; s < AT_TEXT_SPLITS; s++) {
    if (tokens->n[s] == 0) {
      continue;
    }
    char path[PATH_BYTES], help[PATH_BYTES];
    snprintf(path, sizeof path, "/%s/%s/tokens", split_group[s], spec->name);
    snprintf(help, sizeof help, "%s text as %s; a 0 ends each document.", split_name[s], token_help[tokenizer]);
    at_h5_desc d = {
        .path = path, .type = tokens->type, .ndims = 1, .dims = {tokens->n[s]}, .units = "token", .description = help};
    AT_TRY(at_h5_write(f, &d, tokens->data[s]));
  }
  return AT_OK;
}

static at_err store_documents(at_h5 *f, const at_silo *spec, const at_text_silo *silo, const at_text_tokens *tokens) {
  const struct {
    const char *field;
    at_h5_type type;
    const void *data;
    const char *units, *description;
  } column[] = {
      {"split", AT_H5_U8, silo->which, "1", "Split of the document: 0 train, 1 validation, 2 test."},
      {"offset", AT_H5_I64, tokens->offset, "token", "First token of the document in its split."},
      {"length", AT_H5_I64, tokens->length, "token", "Tokens of the document without the closing 0."},
      {"bytes", AT_H5_I64, silo->length, "byte", "Text of the document as UTF-8."},
  };
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "/documents/%s/name", spec->name);
  AT_TRY(at_h5_write_text(f, path, silo->documents, (const char *const *)silo->name, "1",
                          "Name of the document: page, file, chapter."));
  for (size_t i = 0; i < sizeof column / sizeof column[0]; i++) {
    snprintf(path, sizeof path, "/documents/%s/%s", spec->name, column[i].field);
    at_h5_desc d = {.path = path,
                    .type = column[i].type,
                    .ndims = 1,
                    .dims = {silo->documents},
                    .units = column[i].units,
                    .description = column[i].description};
    AT_TRY(at_h5_write(f, &d, column[i].data));
  }
  return AT_OK;
}

static at_err store_numbers(at_h5 *f, const char *group, const at_text_silo *silo, const at_text_counts *counts) {
  int64_t clean = 0;
  for (int64_t i = 0; i < silo->documents; i++) {
    clean += silo->length[i];
  }
  const struct {
    const char *name;
    int64_t value;
  } number[] = {{"clean_bytes", clean},           {"documents", silo->documents},    {"paragraphs", silo->paragraphs},
                {"duplicates", silo->duplicates}, {"untranslated", silo->foreign},   {"left_out", silo->left_out},
                {"files", counts->files},         {"files_skipped", counts->skipped}};
  for (size_t i = 0; i < sizeof number / sizeof number[0]; i++) {
    AT_TRY(at_h5_set_attr_i64(f, group, number[i].name, number[i].value));
  }
  return AT_OK;
}

at_err at_text_store_silo(at_h5 *f, const at_silo *spec, const at_text_silo *silo, const at_text_tokens *tokens,
                          const at_text_counts *counts, const at_text_cfg *cfg) {
  char group[PATH_BYTES];
  at_silo_origin origin;
  const at_silo_row *row = spec->row;
  AT_TRY(store_tokens(f, spec, tokens, cfg->tokenizer));
  AT_TRY(store_documents(f, spec, silo, tokens));
  AT_TRY(at_silo_origin_read(&origin, spec, cfg->dir));
  snprintf(group, sizeof group, "/examples/%s", spec->name);
  const struct {
    const char *name, *value;
  } text[] = {{"description", row != NULL ? row->help : "files named by the user"},
              {"language", row != NULL ? row->language : ""},
              {"reader", row != NULL ? row->reader : "by file"},
              {"source", row == NULL   ? "files"
                         : cfg->system ? "system"
                                       : "packages"},
              {"packages", origin.packages},
              {"versions", origin.versions},
              {"sha256", origin.sha256},
              {"licences", origin.licences}};
  for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
    AT_TRY(at_h5_set_attr_text(f, group, text[i].name, text[i].value));
  }
  return store_numbers(f, group, silo, counts);
}
