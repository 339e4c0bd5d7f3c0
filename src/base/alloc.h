/* SPDX-License-Identifier: BSD-3-Clause */
/* The one allocator: 64-byte aligned, zeroed, counted.  Nothing else in the project calls malloc. */
#ifndef AT_BASE_ALLOC_H
#define AT_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

/* *out = `count` elements of `size` bytes, zeroed, 64-byte aligned; a count of 0 gives a valid pointer.
 * AT_ERR_MEMORY names `what` and the bytes asked for; *out is NULL then. */
at_err at_alloc(void *out, size_t count, size_t size, const char *what);
/* Grow to `count` elements; old contents kept, new ones zeroed.  On failure the old block stays. */
at_err at_realloc(void *inout, size_t count, size_t size, const char *what);
at_err at_strdup(char **out, const char *s);
void at_free(void *p); /* accepts NULL */

/* Process-wide counters (atomic). */
typedef struct at_alloc_stats {
  int64_t calls;      /* at_alloc and at_realloc calls so far */
  int64_t live_bytes; /* allocated and not freed */
  int64_t peak_bytes; /* the largest live_bytes so far */
} at_alloc_stats;
at_alloc_stats at_alloc_get_stats(void);

#endif
