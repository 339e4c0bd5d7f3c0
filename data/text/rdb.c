/* SPDX-License-Identifier: BSD-3-Clause */
/* Reader of R's lazy-load data bases (.rdb): character vectors become texts, one line per element.
 *
 * A data base is a row of chunks: the unpacked size as a big-endian u32, then a zlib stream holding one object in R's
 * portable binary form ("X\n", XDR).  Only what leads to character vectors is followed: lists, pairlists, attributes;
 * numbers are stepped over; other kinds of objects end the chunk quietly. */
#include <string.h>

#include "data/text/inflate.h"
#include "data/text/reader.h"

enum {
  R_SYMBOL = 1,
  R_PAIRLIST = 2,
  R_LANGUAGE = 6,
  R_CHAR = 9,
  R_LOGICAL = 10,
  R_INTEGER = 13,
  R_REAL = 14,
  R_STRINGS = 16,
  R_LIST = 19,
  R_ALTREP = 238,
  R_MISSING = 251,
  R_BASE = 252,
  R_GLOBAL = 253,
  R_NULL = 254,
  R_REFERENCE = 255,
  HAS_ATTRIBUTES = 0x200,
  HAS_TAG = 0x400,
  DEPTH_MAX = 64,
  LINES_MIN = 16,
  NAME_MAX_BYTES = 512,
  CHUNK_MAX = 1 << 30
};

typedef struct walker {
  const unsigned char *s;
  size_t n, at;
  bool bad; /* cut short or malformed */
  const at_text_source *src;
  at_text_sink *sink;
  at_bytes lines;
  at_err err;
  int texts;
} walker;

static uint32_t take_u32(walker *w) {
  if (w->n - w->at < 4) {
    w->bad = true;
    return 0;
  }
  const unsigned char *p = w->s + w->at;
  w->at += 4;
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void skip(walker *w, uint64_t bytes) {
  if (bytes > w->n - w->at) {
    w->bad = true;
  } else {
    w->at += bytes;
  }
}

static uint64_t take_length(walker *w) {
  uint64_t n = take_u32(w);
  if (n == UINT32_MAX) { /* a long vector: two words */
    n = (uint64_t)take_u32(w) << 32;
    n |= take_u32(w);
  }
  return n;
}

/* The first line with letters names the text: the title of a book. */
static void title_of(const at_bytes *lines, char *out, size_t room) {
  size_t i = 0;
  while (i < lines->len && (lines->data[i] == '\n' || lines->data[i] == ' ')) {
    i++;
  }
  size_t n = 0;
  while (i + n < lines->len && lines->data[i + n] != '\n' && n + 1 < room) {
    n++;
  }
  snprintf(out, room, "%.*s", (int)n, lines->data + i);
}

static void take_strings(walker *w) {
  uint64_t n = take_length(w);
  at_bytes_clear(&w->lines);
  for (uint64_t i = 0; i < n && !w->bad; i++) {
    uint32_t flags = take_u32(w), len = take_u32(w);
    if ((flags & 0xFF) != R_CHAR) {
      w->bad = true;
    } else if (len != UINT32_MAX) { /* which means "not available" */
      size_t start = w->at;
      skip(w, len);
      if (!w->bad) {
        at_bytes_put(&w->lines, w->s + start, len);
      }
    }
    at_bytes_char(&w->lines, '\n');
  }
  w->texts++;
  if (w->bad || n < LINES_MIN || w->lines.err != AT_OK || memchr(w->lines.data, 0, w->lines.len) != NULL) {
    return;
  }
  char title[64], name[NAME_MAX_BYTES];
  title_of(&w->lines, title, sizeof title);
  snprintf(name, sizeof name, "%s/%s", w->src->name, title);
  at_text_source src = *w->src;
  src.name = name;
  src.text = w->lines.data;
  src.len = w->lines.len;
  w->err = at_text_read_plain(&src, w->sink);
}

static void take_object(walker *w, int depth) {
  uint32_t flags = take_u32(w), type = flags & 0xFF;
  if (w->bad || depth > DEPTH_MAX || w->err != AT_OK) {
    w->bad = true;
    return;
  }
  bool pairs = type == R_PAIRLIST || type == R_LANGUAGE;
  switch (type) {
  case R_NULL:
  case R_GLOBAL:
  case R_BASE:
  case R_MISSING:
    return;
  case R_REFERENCE:
    if (flags >> 8 == 0) {
      take_u32(w);
    }
    return;
  case R_SYMBOL:
    take_object(w, depth + 1);
    return;
  case R_CHAR: {
    uint32_t len = take_u32(w);
    skip(w, len == UINT32_MAX ? 0 : len);
    return;
  }
  case R_LOGICAL:
  case R_INTEGER:
    skip(w, 4 * take_length(w));
    break;
  case R_REAL:
    skip(w, 8 * take_length(w));
    break;
  case R_STRINGS:
    take_strings(w);
    break;
  case R_LIST:
    for (uint64_t n = take_length(w); n > 0 && !w->bad; n--) {
      take_object(w, depth + 1);
    }
    break;
  case R_ALTREP: /* class, state, attributes */
    for (int i = 0; i < 3; i++) {
      take_object(w, depth + 1);
    }
    return;
  case R_PAIRLIST:
  case R_LANGUAGE:
    break;
  default:
    w->bad = true;
    return;
  }
  if (flags & HAS_ATTRIBUTES) {
    take_object(w, depth + 1);
  }
  if (pairs) {
    if (flags & HAS_TAG) {
      take_object(w, depth + 1);
    }
    take_object(w, depth + 1);
    take_object(w, depth + 1);
  }
}

static void take_chunk(walker *w) {
  if (w->n < 14 || w->s[0] != 'X' || w->s[1] != '\n') {
    return;
  }
  w->at = 2;
  uint32_t version = take_u32(w);
  skip(w, 8); /* the version that wrote it, the oldest that reads it */
  if (version == 3) {
    skip(w, take_u32(w)); /* the native encoding */
  }
  take_object(w, 0);
}

at_err at_text_read_rdb(const at_text_source *src, at_text_sink *sink) {
  at_bytes chunk = {0};
  walker w = {.src = src, .sink = sink};
  at_err err = AT_OK;
  for (size_t at = 0; at < src->len && err == AT_OK;) {
    const unsigned char *head = (const unsigned char *)src->text + at;
    if (src->len - at < 6 || head[4] != 0x78) {
      err =
          AT_FAIL(AT_ERR_FORMAT, "%s: expected zlib data at byte %zu; a data base packed with bzip2 or xz is not read",
                  src->path, at + 4);
      break;
    }
    uint32_t size = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
    size_t used = 0;
    at_bytes_clear(&chunk);
    err = at_text_unzip(src->text + at + 4, src->len - at - 4, size < CHUNK_MAX ? size : CHUNK_MAX, &chunk, &used);
    if (err == AT_OK) {
      w.s = (const unsigned char *)chunk.data;
      w.n = chunk.len;
      w.at = 0;
      w.bad = false;
      take_chunk(&w);
      err = w.err != AT_OK ? w.err : w.lines.err;
    }
    at += 4 + used;
  }
  at_bytes_free(&chunk);
  at_bytes_free(&w.lines);
  return err != AT_OK ? at_err_trace(err, __FILE__, __LINE__) : at_text_sink_error(sink);
}
