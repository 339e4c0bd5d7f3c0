/* SPDX-License-Identifier: BSD-3-Clause */
/* Where readers put the paragraphs they find: cleaned here, hashed, and packed as documents ready to be sent.
 *
 * A paragraph comes in as UTF-8 in which '\n' is a soft line end (becomes a blank, or nothing between two characters
 * of a script without blanks) and '\v' a line break that stays.  Cleaning squeezes blanks, drops control characters,
 * and drops whole paragraphs that are shorter than 16 characters, less than 55 % letters, or not valid UTF-8. */
#ifndef AT_DATA_TEXT_SINK_H
#define AT_DATA_TEXT_SINK_H

#include <stdint.h>

#include "data/text/bytes.h"
#include "src/base/status.h"

enum { AT_TEXT_MIN_CHARS = 16, AT_TEXT_MIN_LETTERS_PERCENT = 55, AT_TEXT_HARD_BREAK = '\v' };

/* Documents in their order, packed: { u32 name bytes, u32 paragraphs, name, paragraphs * { u64 hash, u32 bytes, text } },
 * in the byte order of this machine; read with at_text_next_document(). */
typedef struct at_text_sink {
  at_bytes packed;          /* owned */
  int64_t files, skipped;   /* files read; files that gave an error */
  char problem[256];        /* the first such error, or "" */
  at_bytes clean;           /* scratch of the cleaner */
  size_t open;              /* offset of the document being written */
  uint32_t open_paragraphs; /* its paragraphs so far */
} at_text_sink;

/* Begin a document; a document that got no paragraph leaves no trace. */
void at_text_sink_begin(at_text_sink *sink, const char *name);
void at_text_sink_paragraph(at_text_sink *sink, const char *text, size_t n);
void at_text_sink_end(at_text_sink *sink);
at_err at_text_sink_error(const at_text_sink *sink); /* the sticky failure of its buffers */
void at_text_sink_free(at_text_sink *sink);

/* Clean one paragraph to *out (cleared first); false when it is to be dropped. */
bool at_text_clean(const char *text, size_t n, at_bytes *out);
/* 64-bit hash of bytes, the same on every machine; not for adversaries. */
uint64_t at_text_hash(const void *data, size_t n);

typedef struct at_text_document {
  const char *name; /* not terminated */
  uint32_t name_len, paragraphs;
  const char *body; /* first packed paragraph */
} at_text_document;
typedef struct at_text_paragraph {
  uint64_t hash;
  uint32_t len;
  const char *text;
} at_text_paragraph;

/* Walk packed documents: *at begins at 0.  False at the end. */
bool at_text_next_document(const char *packed, size_t n, size_t *at, at_text_document *doc);
/* Paragraphs of a document: *body begins at doc->body; the caller counts doc->paragraphs of them. */
at_text_paragraph at_text_next_paragraph(const char **body);

#endif
