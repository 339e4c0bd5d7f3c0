/* SPDX-License-Identifier: BSD-3-Clause */
/* A growing run of bytes with a sticky failure. */
#include "data/text/bytes.h"

#include <string.h>

#include "data/text/utf8.h"
#include "src/base/alloc.h"

bool at_bytes_reserve(at_bytes *b, size_t n) {
  if (b->err != AT_OK) {
    return false;
  }
  if (n < b->cap - b->len) { /* strictly: one byte more for the closing 0 */
    return true;
  }
  size_t cap = b->cap < 256 ? 256 : b->cap;
  while (cap - b->len <= n) {
    cap *= 2;
  }
  b->err = at_realloc(&b->data, cap, 1, "text buffer");
  if (b->err != AT_OK) {
    return false;
  }
  b->cap = cap;
  return true;
}

void at_bytes_put(at_bytes *b, const void *data, size_t n) {
  if (n > 0 && at_bytes_reserve(b, n)) {
    memcpy(b->data + b->len, data, n);
    b->len += n;
    b->data[b->len] = 0;
  }
}

void at_bytes_char(at_bytes *b, char c) {
  if (at_bytes_reserve(b, 1)) {
    b->data[b->len++] = c;
    b->data[b->len] = 0;
  }
}

void at_bytes_str(at_bytes *b, const char *s) {
  at_bytes_put(b, s, strlen(s));
}

void at_bytes_utf8(at_bytes *b, uint32_t code_point) {
  char out[4];
  at_bytes_put(b, out, at_utf8_encode(code_point, out));
}

void at_bytes_clear(at_bytes *b) {
  b->len = 0;
  if (b->data != NULL) {
    b->data[0] = 0;
  }
}

void at_bytes_free(at_bytes *b) {
  at_free(b->data);
  *b = (at_bytes){0};
}
