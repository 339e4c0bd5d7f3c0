/* SPDX-License-Identifier: BSD-3-Clause */
/* Unpacking bzip2, xz and raw LZMA2 data. */
#ifndef AT_DATA_TABLES_UNPACK_H
#define AT_DATA_TABLES_UNPACK_H

#include "data/text/bytes.h"

/* Append what in[0..n) unpacks to; AT_ERR_FORMAT says after how many bytes it is damaged. */
at_err at_unpack_bzip2(const char *in, size_t n, at_bytes *out);
at_err at_unpack_xz(const char *in, size_t n, at_bytes *out);
at_err at_unpack_lzma2(const char *in, size_t n, at_bytes *out); /* raw, as R packs chunks */

#endif
