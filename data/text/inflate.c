/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole files into memory, unpacked when they are gzipped, and single zlib blocks. */
#include "data/text/inflate.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16, ZLIB_WINDOW = 15 };

/* One stream; *used = bytes of `in` taken. */
static at_err inflate_one(const char *in, size_t n, int window, size_t most, at_bytes *out, size_t *used) {
  z_stream z = {0};
  if (inflateInit2(&z, window) != Z_OK) {
    return AT_FAIL(AT_ERR_MEMORY, "zlib cannot start: out of memory");
  }
  size_t start = out->len, taken = 0;
  int status = Z_OK;
  while (status == Z_OK) {
    if (!at_bytes_reserve(out, n < 4096 ? 4 * n + 64 : 16384)) {
      inflateEnd(&z);
      return out->err;
    }
    size_t room = out->cap - out->len - 1, chunk = n - taken;
    uInt avail_in = chunk > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uInt)chunk;
    uInt avail_out = room > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uInt)room;
    z.next_in = (Bytef *)(uintptr_t)(in + taken);
    z.avail_in = avail_in;
    z.next_out = (Bytef *)(out->data + out->len);
    z.avail_out = avail_out;
    status = inflate(&z, Z_NO_FLUSH);
    taken += avail_in - z.avail_in;
    out->len += avail_out - z.avail_out;
    if (status == Z_OK && out->len - start > most) {
      status = Z_DATA_ERROR;
    }
    if (status == Z_BUF_ERROR && taken < n && z.avail_out == 0) {
      status = Z_OK;
    }
  }
  inflateEnd(&z);
  out->data[out->len] = 0;
  *used = taken;
  if (status == Z_STREAM_END && out->len - start <= most) {
    return AT_OK;
  }
  out->len = start;
  return AT_FAIL(AT_ERR_FORMAT, "compressed data is %s after %zu of %zu bytes",
                 status == Z_BUF_ERROR ? "cut short" : "damaged", taken, n);
}

at_err at_text_unzip(const char *in, size_t n, size_t most, at_bytes *out, size_t *used) {
  return inflate_one(in, n, ZLIB_WINDOW, most, out, used);
}

static at_err read_file(const char *path, at_bytes *out) {
  FILE *f = fopen(path, "rb");
  if (f == NULL) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot be opened: %s", path, strerror(errno));
  }
  size_t got = 1;
  while (got > 0 && at_bytes_reserve(out, 65536)) {
    got = fread(out->data + out->len, 1, out->cap - out->len - 1, f);
    out->len += got;
    out->data[out->len] = 0;
  }
  int broken = ferror(f);
  fclose(f);
  if (broken) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot be read", path);
  }
  return out->err;
}

at_err at_text_load(const char *path, at_bytes *out) {
  at_bytes raw = {0};
  at_err err = read_file(path, &raw);
  bool gzip = err == AT_OK && raw.len >= 2 && (unsigned char)raw.data[0] == 0x1F && (unsigned char)raw.data[1] == 0x8B;
  if (err == AT_OK && !gzip) {
    at_bytes_put(out, raw.data, raw.len);
    err = out->err;
  }
  size_t at = 0;
  while (err == AT_OK && gzip && at < raw.len) { /* a gzip file may be several streams in a row */
    size_t used = 0;
    err = inflate_one(raw.data + at, raw.len - at, GZIP_WINDOW, SIZE_MAX, out, &used);
    at += used;
    if (err == AT_OK && at < raw.len && (unsigned char)raw.data[at] != 0x1F) {
      break; /* padding after the last stream */
    }
  }
  at_bytes_free(&raw);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}
