/* SPDX-License-Identifier: BSD-3-Clause */
/* Reader of SWORD zText modules: OSIS text, a document per chapter.
 *
 * X.bzs is an index of 12 bytes per block, little-endian u32: offset and packed size in X.bzz, unpacked size; X.bzz
 * holds the blocks as zlib streams. */
#include <string.h>

#include "data/text/inflate.h"
#include "data/text/markup_internal.h"
#include "data/text/reader.h"

enum { ENTRY_BYTES = 12, PATH_MAX_BYTES = 4096 };

static uint32_t take_u32(const char *s) {
  const unsigned char *p = (const unsigned char *)s;
  return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static at_err read_block(const at_text_source *src, const at_bytes *packed, size_t entry, at_markup *m) {
  const char *at = src->text + entry * ENTRY_BYTES;
  uint64_t offset = take_u32(at), size = take_u32(at + 4), whole = take_u32(at + 8);
  if (size == 0) {
    return AT_OK;
  }
  if (offset + size > packed->len) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: block %zu lies beyond the end of the .bzz file", src->path, entry);
  }
  at_bytes text = {0};
  size_t used;
  at_err err = at_text_unzip(packed->data + offset, size, whole, &text, &used);
  if (err == AT_OK) {
    at_markup_feed(m, text.data, text.len);
  }
  at_bytes_free(&text);
  return err;
}

at_err at_text_read_sword(const at_text_source *src, at_text_sink *sink) {
  char path[PATH_MAX_BYTES];
  size_t n = strlen(src->path);
  if (n == 0 || n >= sizeof path || src->len % ENTRY_BYTES != 0) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: expected entries of %d bytes, found %zu bytes", src->path, ENTRY_BYTES,
                   src->len);
  }
  memcpy(path, src->path, n + 1);
  path[n - 1] = 'z';
  at_bytes packed = {0};
  at_markup m = {.sink = sink, .osis = true};
  at_err err = at_text_load(path, &packed);
  for (size_t i = 0; i < src->len / ENTRY_BYTES && err == AT_OK; i++) {
    err = read_block(src, &packed, i, &m);
  }
  at_err end = at_markup_finish(&m);
  at_bytes_free(&packed);
  err = err != AT_OK ? err : end;
  return err != AT_OK ? at_err_trace(err, __FILE__, __LINE__) : AT_OK;
}
