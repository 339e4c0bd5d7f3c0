/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the row of each client is: a hash table by linear probing, without deletion but for taking back the last insertion. */
#include "src/base/alloc.h"
#include "src/fed/shelf_internal.h"

enum { FIRST_SLOTS = 256 };

static uint64_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= UINT64_C(0xff51afd7ed558ccd);
  x ^= x >> 33;
  x *= UINT64_C(0xc4ceb9fe1a85ec53);
  return x ^ x >> 33;
}

/* A client's part of the digest, which is the sum over the clients and so knows no order. */
static uint64_t digest(const at_shelf_place *p) {
  return mix(mix((uint64_t)p->client + 1) ^ p->crc);
}

static at_shelf_place *slot(at_shelf_place *index, int64_t slots, int64_t client) {
  int64_t at = (int64_t)mix((uint64_t)client) & (slots - 1);
  while (index[at].client != -1 && index[at].client != client) {
    at = (at + 1) & (slots - 1);
  }
  return &index[at];
}

at_shelf_place *at_shelf_find(const at_shelf_shard *d, int64_t client) {
  if (d->slots == 0 || client < 0) {
    return NULL;
  }
  at_shelf_place *p = slot(d->index, d->slots, client);
  return p->client == client ? p : NULL;
}

static at_err grow(at_shelf_shard *d) {
  int64_t slots = d->slots > 0 ? 2 * d->slots : FIRST_SLOTS;
  at_shelf_place *index;
  AT_TRY(at_alloc(&index, (size_t)slots, sizeof *index, "index of clients' states"));
  for (int64_t i = 0; i < slots; i++) {
    index[i].client = -1;
  }
  for (int64_t i = 0; i < d->slots; i++) {
    if (d->index[i].client != -1) {
      *slot(index, slots, d->index[i].client) = d->index[i];
    }
  }
  at_free(d->index);
  d->index = index;
  d->slots = slots;
  return AT_OK;
}

at_err at_shelf_move(at_shelf_shard *d, const at_shelf_place *to, at_shelf_place *before) {
  if (4 * (d->clients + 1) > 3 * d->slots) {
    AT_TRY(grow(d));
  }
  at_shelf_place *p = slot(d->index, d->slots, to->client);
  *before = *p;
  if (p->client == -1) {
    *before = (at_shelf_place){.client = to->client, .file = -1};
    d->clients++;
  } else {
    d->digest -= digest(p);
  }
  *p = *to;
  d->digest += digest(p);
  return AT_OK;
}

void at_shelf_unset(at_shelf_shard *d, int64_t client) {
  at_shelf_place *p = slot(d->index, d->slots, client);
  d->digest -= digest(p);
  d->clients--;
  p->client = -1;
  /* those behind it that would no longer be found are put in again */
  int64_t at = (p - d->index + 1) & (d->slots - 1);
  for (; d->index[at].client != -1; at = (at + 1) & (d->slots - 1)) {
    at_shelf_place moved = d->index[at];
    d->index[at].client = -1;
    *slot(d->index, d->slots, moved.client) = moved;
  }
}
