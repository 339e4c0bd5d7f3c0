/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll data text`: a federated text data set in which each client is a language or a genre.
 *
 * The file (kind "data", TFF layout; train, validation and test share no document name across silos):
 *   /examples/<silo>/tokens    [n]  training text: documents, each followed by a 0; u8 of bytes, u16 of byte pairs
 *   /validation/<silo>/tokens  [n]
 *   /test/<silo>/tokens        [n]  (a dataset is absent where a split got no document)
 *   /documents/<silo>/name     text [documents]
 *   /documents/<silo>/split    u8 [documents]   0 train, 1 validation, 2 test
 *   /documents/<silo>/offset   i64 [documents]  first token in the split
 *   /documents/<silo>/length   i64 [documents]  tokens without the closing 0
 *   /documents/<silo>/bytes    i64 [documents]  text in bytes; the same as length where tokens are bytes
 *   /tokenizer/...             with tokenizer "bpe": see data/tokenizer.h
 * Attributes of /: tokenizer "byte" or "bpe", vocab (256; with "bpe", the tokens there are: those asked for or, of a small
 * text, fewer), separator 0, description.  Attributes of /examples/<silo>: description, language, packages, versions,
 * licences, sha256, reader, clean_bytes, documents, paragraphs, duplicates, untranslated, left_out, files, files_skipped.
 *
 * A byte-pair tokenizer is learned from training text alone, the same amount of each silo (see learn.h).
 *
 * The datasets are the same for any number of ranks: ranks share the reading of files, the counting of words and the
 * encoding. */
#ifndef AT_DATA_TEXT_TEXT_H
#define AT_DATA_TEXT_TEXT_H

#include <stdio.h>

#include "data/kinds.h"

/* Build the file.  Collective.  AT_ERR_CONFIG when no source of text was given or found, naming what to do. */
at_err at_data_text_run(const at_data_args *args);
at_err at_data_text_print_help(FILE *out);

#endif
