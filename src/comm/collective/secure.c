/* SPDX-License-Identifier: BSD-3-Clause */
/* Pairwise masks mod 2^64, and taking off those of clients that dropped out.  Emulated: see the header. */
#include "src/comm/collective/secure.h"

#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"

struct at_secure {
  at_comm *comm;     /* borrowed */
  const at_vec *vec; /* borrowed */
  at_codec_kernels ck;
  int64_t n;
  int bits;
  uint64_t seed;
  uint64_t *sum; /* [n + room_ids]: of masked integers, then how often each client was added */
  uint64_t *own; /* [n]: one client's */
  int64_t room_ids;
  int64_t round, n_ids;
  const int64_t *ids; /* borrowed */
};

at_err at_secure_create(at_secure **out, at_comm *comm, const at_kernels *k, int64_t n, int bits, uint64_t seed) {
  *out = NULL;
  at_secure *s = NULL;
  AT_TRY(at_alloc(&s, 1, sizeof *s, "secure sum"));
  *s = (at_secure){.comm = comm, .vec = &k->vec, .n = n, .bits = bits, .seed = seed};
  at_codec_kernels_init(&s->ck, k->isa);
  at_err err = AT_OK;
  AT_TRY_TO(err, fail, at_alloc(&s->sum, (size_t)n, sizeof *s->sum, "secure sum"));
  AT_TRY_TO(err, fail, at_alloc(&s->own, (size_t)n, sizeof *s->own, "masked vector"));
  *out = s;
  return AT_OK;
fail:
  at_secure_destroy(s);
  return err;
}

void at_secure_destroy(at_secure *s) {
  if (s == NULL) {
    return;
  }
  at_free(s->sum);
  at_free(s->own);
  at_free(s);
}

void at_secure_begin(at_secure *s, int64_t round, int64_t n_ids, const int64_t *ids) {
  s->round = round;
  s->n_ids = n_ids;
  s->ids = ids;
  memset(s->sum, 0, (size_t)(s->n + s->room_ids) * sizeof *s->sum);
}

/* The stream that two clients share, low < high. */
static at_dither stream_of(const at_secure *s, int64_t low, int64_t high) {
  const at_stream pair = {.seed = s->seed,
                          .client = (uint64_t)low,
                          .round = (uint64_t)s->round,
                          .step = (uint64_t)high,
                          .purpose = AT_RNG_QUANTISE};
  uint64_t w[4];
  at_rng_block(&pair, 1, w); /* block 0 is for rounding */
  return (at_dither){.key = {(uint32_t)w[0], (uint32_t)(w[0] >> 32)}, .high = {(uint32_t)w[1], (uint32_t)(w[1] >> 32)}};
}

/* acc gains the mask that `id` wears towards `other`, or loses it. */
static void mask(const at_secure *s, int64_t id, int64_t other, bool lose, uint64_t *acc) {
  const bool is_low = id < other;
  const at_dither d = is_low ? stream_of(s, id, other) : stream_of(s, other, id);
  s->ck.mask_add(&d, is_low == lose, s->n, acc);
}

static int64_t place_of(const at_secure *s, int64_t id) {
  for (int64_t i = 0; i < s->n_ids; i++) {
    if (s->ids[i] == id) {
      return i;
    }
  }
  return -1;
}

/* The client's integers with all its masks; false if they do not fit. */
static bool dress(const at_secure *s, int64_t id, double weight, const float *x, uint64_t *out) {
  memset(out, 0, (size_t)s->n * sizeof *out);
  const double most = s->vec->grid_add(weight, s->bits, s->n, x, (int64_t *)(void *)out);
  if (!(most <= 0x1p62 / (double)s->n_ids)) {
    return false;
  }
  for (int64_t i = 0; i < s->n_ids; i++) {
    if (s->ids[i] != id) {
      mask(s, id, s->ids[i], false, out);
    }
  }
  return true;
}

at_err at_secure_mask(at_secure *s, int64_t id, double weight, const float *x, uint64_t *masked) {
  if (place_of(s, id) < 0 || !dress(s, id, weight, x, masked)) {
    return AT_FAIL(AT_ERR_ARG, "client %lld is not of this round, or its values do not fit", (long long)id);
  }
  return AT_OK;
}

at_err at_secure_add(at_secure *s, int64_t id, double weight, const float *x, bool *took_part) {
  const int64_t place = place_of(s, id);
  if (place < 0) {
    return AT_FAIL(AT_ERR_ARG, "client %lld is not of this round", (long long)id);
  }
  if (s->n_ids > s->room_ids) {
    AT_TRY(at_realloc(&s->sum, (size_t)(s->n + s->n_ids), sizeof *s->sum, "secure sum"));
    s->room_ids = s->n_ids;
  }
  const bool fits = dress(s, id, weight, x, s->own);
  if (fits) {
    for (int64_t i = 0; i < s->n; i++) {
      s->sum[i] += s->own[i];
    }
    s->sum[s->n + place]++;
  }
  if (took_part != NULL) {
    *took_part = fits;
  }
  return AT_OK;
}

at_err at_secure_finish(at_secure *s, float *out, int64_t *survivors, int64_t *reveals) {
  at_err err = AT_OK;
  if (s->n_ids > s->room_ids) {
    err = at_realloc(&s->sum, (size_t)(s->n + s->n_ids), sizeof *s->sum, "secure sum");
    s->room_ids = err == AT_OK ? s->n_ids : s->room_ids;
  }
  AT_TRY(at_comm_agree(s->comm, err));
  AT_TRY(at_comm_allreduce(s->comm, AT_COMM_U64, AT_COMM_SUM, s->sum, s->n + s->n_ids));
  const uint64_t *took = s->sum + s->n;
  int64_t here = 0, revealed = 0;
  for (int64_t i = 0; i < s->n_ids; i++) {
    here += took[i] > 0;
    if (took[i] > 1) {
      return AT_FAIL(AT_ERR_ARG, "client %lld takes part twice", (long long)s->ids[i]);
    }
  }
  for (int64_t i = 0; i < s->n_ids; i++) { /* survivor i still wears its masks towards those who left */
    for (int64_t j = 0; took[i] == 1 && j < s->n_ids; j++) {
      if (took[j] == 0) {
        mask(s, s->ids[i], s->ids[j], true, s->sum);
        revealed++;
      }
    }
  }
  s->vec->grid_get(s->bits, s->n, (const int64_t *)(const void *)s->sum, out);
  if (survivors != NULL) {
    *survivors = here;
  }
  if (reveals != NULL) {
    *reveals = revealed;
  }
  return AT_OK;
}
