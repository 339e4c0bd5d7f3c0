/* SPDX-License-Identifier: BSD-3-Clause */
/* From packed documents to a silo: duplicates dropped, documents assigned to splits, bytes put in a row. */
#ifndef AT_DATA_TEXT_MERGE_H
#define AT_DATA_TEXT_MERGE_H

#include <stdint.h>

#include "data/text/bytes.h"
#include "data/text/hashset.h"
#include "src/base/status.h"

enum { AT_TEXT_SEPARATOR = 0 }; /* the token behind every document; it occurs in none */

typedef enum at_text_split { AT_TEXT_TRAIN, AT_TEXT_VALIDATION, AT_TEXT_TEST, AT_TEXT_SPLITS } at_text_split;

typedef struct at_text_rules {
  uint64_t seed;
  double validation, test; /* fractions; the rest is for training */
  int64_t max_bytes;       /* of one silo, 0: no limit */
} at_text_rules;

/* The documents of a silo in the order of their files.  Zero-initialise before use. */
typedef struct at_text_silo {
  at_bytes split[AT_TEXT_SPLITS]; /* owned: document, separator, document, separator, ... */
  int64_t documents;
  char **name;                             /* [documents], pointing into names */
  uint8_t *which;                          /* [documents]: at_text_split */
  int64_t *offset;                         /* [documents]: first byte in its split */
  int64_t *length;                         /* [documents]: bytes, without the separator */
  at_bytes names;                          /* owned */
  int64_t paragraphs, duplicates, foreign; /* kept; dropped as repeated; dropped as equal to the reference text */
  int64_t left_out;                        /* documents beyond max_bytes */
} at_text_silo;

/* The split of a document: a function of the seed and of the name alone, so that the translations of one page fall into the
 * same split in every language. */
at_text_split at_text_split_of(const at_text_rules *rules, const char *name, size_t n);

/* Build *out from packed documents (see sink.h).  `reference` (may be NULL): paragraphs to be dropped as untranslated.
 * `seen` (may be NULL) receives the hashes of all paragraphs that occur.  Under max_bytes the documents are taken in a
 * keyed order of their names until the next would not fit; they keep their order. */
at_err at_text_merge(const char *packed, size_t n, const at_hashset *reference, at_hashset *seen,
                     const at_text_rules *rules, at_text_silo *out);
void at_text_silo_free(at_text_silo *silo);

#endif
