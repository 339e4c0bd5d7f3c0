/* SPDX-License-Identifier: BSD-3-Clause */
/* Unpacking bzip2, xz and raw LZMA2 data. */
#include "data/tables/unpack.h"

#include <bzlib.h>
#include <limits.h>
#include <lzma.h>

enum { STEP = 1 << 16 };

static at_err damaged(size_t at, size_t n) {
  return AT_FAIL(AT_ERR_FORMAT, "compressed data is damaged or cut short after %zu of %zu bytes", at, n);
}

at_err at_unpack_bzip2(const char *in, size_t n, at_bytes *out) {
  bz_stream z = {.next_in = (char *)(uintptr_t)in, .avail_in = n < UINT_MAX ? (unsigned)n : UINT_MAX};
  if (BZ2_bzDecompressInit(&z, 0, 0) != BZ_OK) {
    return AT_FAIL(AT_ERR_MEMORY, "bzip2 cannot start: out of memory");
  }
  int code = BZ_OK;
  while (code == BZ_OK && at_bytes_reserve(out, STEP)) {
    const unsigned before = z.avail_in;
    z.next_out = out->data + out->len;
    z.avail_out = STEP;
    code = BZ2_bzDecompress(&z);
    out->len += STEP - z.avail_out;
    if (code == BZ_OK && before == 0 && z.avail_out == STEP) {
      code = BZ_UNEXPECTED_EOF;
    }
  }
  const size_t left = z.avail_in;
  BZ2_bzDecompressEnd(&z);
  return out->err != AT_OK ? out->err : code == BZ_STREAM_END ? AT_OK : damaged(n - left, n);
}

static at_err run_lzma(lzma_stream *z, lzma_ret code, const char *in, size_t n, at_bytes *out) {
  z->next_in = (const uint8_t *)in;
  z->avail_in = n;
  while (code == LZMA_OK && at_bytes_reserve(out, STEP)) {
    z->next_out = (uint8_t *)out->data + out->len;
    z->avail_out = STEP;
    code = lzma_code(z, LZMA_FINISH);
    out->len += STEP - z->avail_out;
  }
  const size_t left = z->avail_in;
  lzma_end(z);
  return out->err != AT_OK ? out->err : code == LZMA_STREAM_END ? AT_OK : damaged(n - left, n);
}

at_err at_unpack_xz(const char *in, size_t n, at_bytes *out) {
  lzma_stream z = LZMA_STREAM_INIT;
  return run_lzma(&z, lzma_auto_decoder(&z, UINT64_MAX, 0), in, n, out);
}

at_err at_unpack_lzma2(const char *in, size_t n, at_bytes *out) {
  lzma_stream z = LZMA_STREAM_INIT;
  lzma_options_lzma options;
  if (lzma_lzma_preset(&options, 6)) {
    return AT_FAIL(AT_ERR_INTERNAL, "liblzma does not know its own preset");
  }
  const lzma_filter filters[] = {{.id = LZMA_FILTER_LZMA2, .options = &options}, {.id = LZMA_VLI_UNKNOWN}};
  return run_lzma(&z, lzma_raw_decoder(&z, filters), in, n, out);
}
