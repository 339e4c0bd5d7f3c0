/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of text readers: one per kind of file, each turning a file into cleaned documents.
 *
 * Adding one: a file here with its read function, a row in reader.c. */
#ifndef AT_DATA_TEXT_READER_H
#define AT_DATA_TEXT_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "data/text/bytes.h"
#include "data/text/sink.h"
#include "src/base/status.h"

typedef struct at_text_source {
  const char *path;     /* of the file, to open what lies beside it and to name it in messages */
  const char *name;     /* of its documents, such as "open.2"; a reader that finds several appends /1, /2, ... */
  const char *language; /* "de", "zh_CN", "" when unknown: the legacy encoding follows from it */
  const char *text;     /* contents, unpacked; valid UTF-8 unless the reader is binary */
  size_t len;
} at_text_source;

typedef struct at_text_reader {
  const char *name, *help;
  bool binary;                       /* wants the raw bytes */
  bool (*accepts)(const char *path); /* by the name alone: does a folder of such files mean this one? */
  at_err (*read)(const at_text_source *src, at_text_sink *sink);
} at_text_reader;

/* Rows end with name == NULL. */
extern const at_text_reader at_text_readers[];
const at_text_reader *at_text_reader_find(const char *name); /* NULL when there is none */

/* Load a file, settle its encoding, read it.  `reader` NULL: chosen by the name and the first bytes of the file.
 * Failures of the file itself (unreadable, damaged, binary) are counted in sink->skipped, the first kept in
 * sink->problem, and are not returned; AT_ERR_MEMORY is. */
at_err at_text_read_file(const at_text_reader *reader, const char *path, const char *name, const char *language,
                         at_text_sink *sink);

/* True when `path` ends with `suffix`. */
bool at_text_has_suffix(const char *path, const char *suffix);

at_err at_text_read_troff(const at_text_source *src, at_text_sink *sink);
at_err at_text_read_pod(const at_text_source *src, at_text_sink *sink);
at_err at_text_read_fortunes(const at_text_source *src, at_text_sink *sink);
at_err at_text_read_plain(const at_text_source *src, at_text_sink *sink);
at_err at_text_read_markup(const at_text_source *src, at_text_sink *sink);
at_err at_text_read_rdb(const at_text_source *src, at_text_sink *sink);
at_err at_text_read_sword(const at_text_source *src, at_text_sink *sink);

#endif
