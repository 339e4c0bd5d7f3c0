/* SPDX-License-Identifier: BSD-3-Clause */
/* A growing run of bytes with a sticky failure, so that parsers append without checking each time. */
#ifndef AT_DATA_TEXT_BYTES_H
#define AT_DATA_TEXT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

/* Zero-initialise before use; owns data.  data[len] is always readable and 0 once anything was appended. */
typedef struct at_bytes {
  char *data;
  size_t len, cap;
  at_err err; /* the first allocation failure; appending does nothing after it */
} at_bytes;

void at_bytes_put(at_bytes *b, const void *data, size_t n);
void at_bytes_char(at_bytes *b, char c);
void at_bytes_str(at_bytes *b, const char *s);
void at_bytes_utf8(at_bytes *b, uint32_t code_point);
/* Room for n more bytes; returns false after a failure. */
bool at_bytes_reserve(at_bytes *b, size_t n);
void at_bytes_clear(at_bytes *b); /* len = 0; memory and a sticky failure stay */
void at_bytes_free(at_bytes *b);

#endif
