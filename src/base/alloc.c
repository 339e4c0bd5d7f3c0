/* SPDX-License-Identifier: BSD-3-Clause */
/* The one allocator: 64-byte aligned, zeroed, counted. */
#include "src/base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 64 };

/* Stands right before each block. */
typedef struct header {
  void *base; /* what calloc returned */
  size_t bytes;
} header;

static atomic_llong calls, live, peak;

static header *header_of(void *p) {
  return (header *)p - 1;
}

static void count(int64_t delta) {
  int64_t now = atomic_fetch_add_explicit(&live, delta, memory_order_relaxed) + delta;
  long long seen = atomic_load_explicit(&peak, memory_order_relaxed);
  while (now > seen &&
         !atomic_compare_exchange_weak_explicit(&peak, &seen, now, memory_order_relaxed, memory_order_relaxed)) {
  }
}

/* Large blocks are walked in strides of rows, where small pages cost more time than the memory.  A hint: it may fail. */
static void ask_for_large_pages(void *base, size_t bytes) {
  enum { PAGE = 4096, LARGE = 4 << 20 };
  if (bytes >= LARGE) {
    uintptr_t from = ((uintptr_t)base + PAGE - 1) / PAGE * PAGE, to = ((uintptr_t)base + bytes) / PAGE * PAGE;
    (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
  }
}

/* calloc, not aligned_alloc and memset: large blocks then cost no page until they are touched. */
static void *block_new(size_t bytes) {
  void *base = calloc(1, bytes + sizeof(header) + ALIGN - 1);
  if (base == NULL) {
    return NULL;
  }
  ask_for_large_pages(base, bytes);
  uintptr_t p = ((uintptr_t)base + sizeof(header) + ALIGN - 1) / ALIGN * ALIGN;
  *header_of((void *)p) = (header){base, bytes};
  count((int64_t)bytes);
  return (void *)p;
}

static at_err size_of(size_t *bytes, size_t n, size_t size, const char *what) {
  if (__builtin_mul_overflow(n, size, bytes) || *bytes > PTRDIFF_MAX - 2 * ALIGN) {
    return AT_FAIL(AT_ERR_MEMORY, "%s: %zu elements of %zu bytes are more than an address can name", what, n, size);
  }
  return AT_OK;
}

at_err at_alloc(void *out, size_t n, size_t size, const char *what) {
  void *p = NULL;
  size_t bytes = 0;
  memcpy(out, &p, sizeof p);
  AT_TRY(size_of(&bytes, n, size, what));
  atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
  p = block_new(bytes);
  if (p == NULL) {
    return AT_FAIL(AT_ERR_MEMORY, "%s: no memory for %zu bytes (%zu x %zu)", what, bytes, n, size);
  }
  memcpy(out, &p, sizeof p);
  return AT_OK;
}

at_err at_realloc(void *inout, size_t n, size_t size, const char *what) {
  void *old = NULL;
  size_t bytes = 0;
  memcpy(&old, inout, sizeof old);
  if (old == NULL) {
    return at_alloc(inout, n, size, what);
  }
  AT_TRY(size_of(&bytes, n, size, what));
  atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
  void *p = block_new(bytes);
  if (p == NULL) {
    return AT_FAIL(AT_ERR_MEMORY, "%s: no memory for %zu bytes (%zu x %zu)", what, bytes, n, size);
  }
  size_t old_bytes = header_of(old)->bytes;
  memcpy(p, old, old_bytes < bytes ? old_bytes : bytes);
  at_free(old);
  memcpy(inout, &p, sizeof p);
  return AT_OK;
}

at_err at_strdup(char **out, const char *s) {
  size_t n = strlen(s) + 1;
  AT_TRY(at_alloc(out, n, 1, "text"));
  memcpy(*out, s, n);
  return AT_OK;
}

void at_free(void *p) {
  if (p == NULL) {
    return;
  }
  header h = *header_of(p);
  count(-(int64_t)h.bytes);
  free(h.base);
}

at_alloc_stats at_alloc_get_stats(void) {
  return (at_alloc_stats){
      .calls = atomic_load_explicit(&calls, memory_order_relaxed),
      .live_bytes = atomic_load_explicit(&live, memory_order_relaxed),
      .peak_bytes = atomic_load_explicit(&peak, memory_order_relaxed),
  };
}
