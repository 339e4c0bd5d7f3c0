/* SPDX-License-Identifier: BSD-3-Clause */
/* The byte-pair tokenizer of a data set, or of a run (RUN/tokenizer.h5, kind "tokenizer"), in HDF5:
 *   /tokenizer/merges  i32 [n][2]          merge i puts two tokens together and gives token 256 + i
 *   /tokenizer/bytes   u8 [...]            the bytes of all tokens, one token behind the other
 *   /tokenizer/offset  i64 [256 + n + 1]   token t is bytes[offset[t]] .. bytes[offset[t + 1] - 1]
 * Attributes of /tokenizer: kind "bpe", word_rule (the number of the rule in src/lm/words.h), separator 0.
 * The merges and the rule say everything; bytes and offset are there for other programs. */
#ifndef AT_DATA_TOKENIZER_H
#define AT_DATA_TOKENIZER_H

#include "src/base/status.h"
#include "src/lm/bpe.h"
#include "src/store/h5.h"

/* Into a file that is being written. */
at_err at_tokenizer_write(at_h5 *f, const at_bpe *bpe);
/* AT_ERR_FORMAT: no tokenizer there, or not one of this kind, rule and shape. */
at_err at_tokenizer_read(at_h5 *f, at_bpe **out);

/* A file of its own, written whole. */
at_err at_tokenizer_save(const char *path, const at_bpe *bpe);
/* From such a file or from a data set.  AT_ERR_FILE: no such file; else as reading. */
at_err at_tokenizer_load(const char *path, at_bpe **out);

#endif
