/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole files into memory, unpacked when they are gzipped, and single zlib blocks. */
#ifndef AT_DATA_TEXT_INFLATE_H
#define AT_DATA_TEXT_INFLATE_H

#include <stddef.h>

#include "data/text/bytes.h"
#include "src/base/status.h"

/* Append the contents of `path` to *out; a file that begins as gzip does is unpacked.
 * AT_ERR_FILE when it cannot be read, AT_ERR_FORMAT when its gzip data is damaged or cut short. */
at_err at_text_load(const char *path, at_bytes *out);

/* Append the zlib stream at in[0..n) to *out and say how many bytes it took; at most `most` bytes are unpacked.
 * AT_ERR_FORMAT when it is no zlib stream, is damaged, cut short or larger. */
at_err at_text_unzip(const char *in, size_t n, size_t most, at_bytes *out, size_t *used);

#endif
