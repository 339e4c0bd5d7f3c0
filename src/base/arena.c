/* SPDX-License-Identifier: BSD-3-Clause */
/* The bump arena. */
#include "src/base/arena.h"

#include <assert.h>
#include <string.h>

#include "src/base/alloc.h"

enum { ALIGN = 64 };

struct at_arena {
  unsigned char *block; /* owned */
  size_t size, used, peak;
  const char *what; /* borrowed */
};

at_err at_arena_create(at_arena **out, size_t bytes, const char *what) {
  at_arena *a = NULL;
  *out = NULL;
  AT_TRY(at_alloc(&a, 1, sizeof *a, what));
  at_err err = at_alloc(&a->block, bytes, 1, what);
  if (err != AT_OK) {
    at_free(a);
    return at_err_trace(err, __FILE__, __LINE__);
  }
  a->size = bytes;
  a->what = what;
  *out = a;
  return AT_OK;
}

void at_arena_destroy(at_arena *a) {
  if (a != NULL) {
    at_free(a->block);
  }
  at_free(a);
}

at_err at_arena_alloc(at_arena *a, void *out, size_t bytes, size_t align) {
  align = align == 0 ? ALIGN : align;
  assert(align <= ALIGN && (align & (align - 1)) == 0);
  size_t start = (a->used + align - 1) & ~(align - 1);
  void *p = NULL;
  if (start > a->size || bytes > a->size - start) {
    memcpy(out, &p, sizeof p);
    return AT_FAIL(AT_ERR_MEMORY, "%s: %zu bytes asked for, %zu of %zu left: plan a larger arena", a->what, bytes,
                   a->size - a->used, a->size);
  }
  p = a->block + start;
  memcpy(out, &p, sizeof p);
  a->used = start + bytes;
  a->peak = a->used > a->peak ? a->used : a->peak;
  return AT_OK;
}

at_mark at_arena_save(const at_arena *a) {
  return a->used;
}

void at_arena_restore(at_arena *a, at_mark mark) {
  assert(mark <= a->used);
  a->used = mark;
}

size_t at_arena_used(const at_arena *a) {
  return a->used;
}

size_t at_arena_peak(const at_arena *a) {
  return a->peak;
}

size_t at_arena_size(const at_arena *a) {
  return a->size;
}
