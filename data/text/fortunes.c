/* SPDX-License-Identifier: BSD-3-Clause */
/* Reader of fortune cookies: texts between lines that hold a single %, each of them a document. */
#include <string.h>

#include "data/text/reader.h"

enum { NAME_MAX_BYTES = 512 };

/* Overstruck letters, "_\bx", leave the last one; line ends stay, since verse and dialogue need them. */
static void put_cookie(const char *s, size_t n, at_bytes *out) {
  at_bytes_clear(out);
  for (size_t i = 0; i < n; i++) {
    if (s[i] == '\b') {
      out->len -= out->len > 0;
    } else {
      at_bytes_char(out, s[i] == '\n' ? AT_TEXT_HARD_BREAK : s[i]);
    }
  }
}

at_err at_text_read_fortunes(const at_text_source *src, at_text_sink *sink) {
  at_bytes cookie = {0};
  char name[NAME_MAX_BYTES];
  int count = 0;
  size_t start = 0;
  for (size_t i = 0; i < src->len;) {
    const char *s = src->text + i, *end = memchr(s, '\n', src->len - i);
    size_t n = end == NULL ? src->len - i : (size_t)(end - s);
    bool last = end == NULL || i + n + 1 >= src->len;
    bool mark = s[0] == '%' && (n == 1 || (n == 2 && (s[1] == '%' || s[1] == '\r')));
    if (mark || last) {
      size_t stop = mark ? i : src->len;
      snprintf(name, sizeof name, "%s/%d", src->name, ++count);
      put_cookie(src->text + start, stop - start, &cookie);
      at_text_sink_begin(sink, name);
      at_text_sink_paragraph(sink, cookie.data, cookie.len);
      at_text_sink_end(sink);
      start = i + n + 1;
    }
    i += n + 1;
  }
  at_err err = cookie.err;
  at_bytes_free(&cookie);
  return err != AT_OK ? err : at_text_sink_error(sink);
}
