/* SPDX-License-Identifier: BSD-3-Clause */
/* Cleaning of paragraphs and packing of documents. */
#include "data/text/sink.h"

#include <string.h>

#include "data/text/utf8.h"

uint64_t at_text_hash(const void *data, size_t n) {
  /* Eight bytes at a time through a multiply and a rotation; bytes are put together by value, so that the result does
   * not depend on the byte order of the machine. */
  const unsigned char *p = data;
  uint64_t h = 0x9E3779B97F4A7C15ULL ^ (uint64_t)n;
  for (size_t i = 0; i < n; i += 8) {
    uint64_t w = 0;
    size_t len = n - i < 8 ? n - i : 8;
    for (size_t j = 0; j < len; j++) {
      w |= (uint64_t)p[i + j] << (8 * j);
    }
    h = (h ^ w) * 0xD6E8FEB86659FD93ULL;
    h ^= h >> 32 ^ h >> 17;
  }
  h = (h ^ (h >> 29)) * 0xBF58476D1CE4E5B9ULL;
  return h ^ (h >> 32);
}

/* What stands between two kept characters. */
typedef enum gap { GAP_NONE, GAP_SOFT, GAP_BLANK, GAP_BREAK } gap;

bool at_text_clean(const char *text, size_t n, at_bytes *out) {
  at_bytes_clear(out);
  gap between = GAP_NONE;
  bool last_wide = false;
  int64_t chars = 0, letters = 0;
  for (size_t i = 0; i < n;) {
    uint32_t c;
    size_t len = at_utf8_decode(text + i, n - i, &c);
    if (len == 0) {
      return false;
    }
    gap g = c == '\n' || c == '\r' ? GAP_SOFT : c == AT_TEXT_HARD_BREAK ? GAP_BREAK : GAP_BLANK;
    if (c <= ' ' || (c >= 0x7F && c <= 0xA0) || c == 0x2028 || c == 0x2029 || c == 0x3000 || c == 0xFEFF ||
        c == 0xFFFD) {
      if (g > between) {
        between = g;
      }
    } else if (c != 0xAD && c != 0x200B) { /* soft hyphens and blanks of no width mean nothing here */
      bool wide = at_utf8_is_wide(c);
      if (out->len > 0 && between != GAP_NONE && !(between == GAP_SOFT && wide && last_wide)) {
        at_bytes_char(out, between == GAP_BREAK ? '\n' : ' ');
        chars++;
      }
      at_bytes_put(out, text + i, len);
      chars++;
      letters += at_utf8_is_letter(c);
      between = GAP_NONE;
      last_wide = wide;
    }
    i += len;
  }
  return chars >= AT_TEXT_MIN_CHARS && 100 * letters >= AT_TEXT_MIN_LETTERS_PERCENT * chars && out->len <= UINT32_MAX;
}

static void put_u32(at_bytes *b, uint32_t v) {
  at_bytes_put(b, &v, sizeof v);
}

void at_text_sink_begin(at_text_sink *sink, const char *name) {
  sink->open = sink->packed.len;
  sink->open_paragraphs = 0;
  put_u32(&sink->packed, (uint32_t)strlen(name));
  put_u32(&sink->packed, 0);
  at_bytes_str(&sink->packed, name);
}

void at_text_sink_paragraph(at_text_sink *sink, const char *text, size_t n) {
  if (!at_text_clean(text, n, &sink->clean)) {
    return;
  }
  uint64_t hash = at_text_hash(sink->clean.data, sink->clean.len);
  at_bytes_put(&sink->packed, &hash, sizeof hash);
  put_u32(&sink->packed, (uint32_t)sink->clean.len);
  at_bytes_put(&sink->packed, sink->clean.data, sink->clean.len);
  sink->open_paragraphs++;
}

void at_text_sink_end(at_text_sink *sink) {
  if (at_text_sink_error(sink) != AT_OK) {
    return;
  }
  if (sink->open_paragraphs == 0) {
    sink->packed.len = sink->open;
  } else {
    memcpy(sink->packed.data + sink->open + sizeof(uint32_t), &sink->open_paragraphs, sizeof sink->open_paragraphs);
  }
}

at_err at_text_sink_error(const at_text_sink *sink) {
  return sink->packed.err != AT_OK ? sink->packed.err : sink->clean.err;
}

void at_text_sink_free(at_text_sink *sink) {
  at_bytes_free(&sink->packed);
  at_bytes_free(&sink->clean);
  *sink = (at_text_sink){0};
}

at_text_paragraph at_text_next_paragraph(const char **body) {
  at_text_paragraph p;
  memcpy(&p.hash, *body, sizeof p.hash);
  memcpy(&p.len, *body + sizeof p.hash, sizeof p.len);
  p.text = *body + sizeof p.hash + sizeof p.len;
  *body = p.text + p.len;
  return p;
}

bool at_text_next_document(const char *packed, size_t n, size_t *at, at_text_document *doc) {
  if (*at >= n) {
    return false;
  }
  memcpy(&doc->name_len, packed + *at, sizeof doc->name_len);
  memcpy(&doc->paragraphs, packed + *at + sizeof doc->name_len, sizeof doc->paragraphs);
  doc->name = packed + *at + sizeof doc->name_len + sizeof doc->paragraphs;
  doc->body = doc->name + doc->name_len;
  const char *end = doc->body;
  for (uint32_t i = 0; i < doc->paragraphs; i++) {
    at_text_next_paragraph(&end);
  }
  *at = (size_t)(end - packed);
  return true;
}
