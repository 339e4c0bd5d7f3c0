/* SPDX-License-Identifier: BSD-3-Clause */
/* A bump arena: one block, sized beforehand, handed out front to back and given back all at once. */
#ifndef AT_BASE_ARENA_H
#define AT_BASE_ARENA_H

#include <stddef.h>

#include "src/base/status.h"

typedef struct at_arena at_arena; /* opaque; not shared between threads */
typedef size_t at_mark;           /* a fill level, from at_arena_save */

/* An arena of `bytes` bytes, 64-byte aligned, zeroed when new.  `what` (borrowed) names it in messages. */
at_err at_arena_create(at_arena **out, size_t bytes, const char *what);
void at_arena_destroy(at_arena *a); /* accepts NULL; everything handed out goes with it */

/* *out = `bytes` bytes aligned to `align` (a power of two up to 64; 0 means 64).  Not zeroed: a block may hold what was
 * there before a restore.  AT_ERR_MEMORY, with *out = NULL, when the arena is full. */
at_err at_arena_alloc(at_arena *a, void *out, size_t bytes, size_t align);

at_mark at_arena_save(const at_arena *a);
/* Give back everything handed out since the mark was taken.  Marks are restored in reverse order of their taking. */
void at_arena_restore(at_arena *a, at_mark mark);

size_t at_arena_used(const at_arena *a);
size_t at_arena_peak(const at_arena *a); /* the largest at_arena_used so far */
size_t at_arena_size(const at_arena *a);

#endif
