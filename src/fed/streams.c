/* SPDX-License-Identifier: BSD-3-Clause */
/* Each client's stream of training windows. */
#include "src/base/rng.h"
#include "src/fed/corpus.h"

/* A client's share of a silo: the windows w with w mod parts == part. */
typedef struct share {
  int64_t silo, part, parts;
} share;

static int64_t silo_windows(const at_streams *s, int64_t silo) {
  int64_t n = s->corpus->silo[silo].split[AT_SPLIT_TRAIN].n;
  return n > 0 ? (n - 1) / s->context : 0;
}

static int64_t share_windows(const at_streams *s, share h) {
  return (silo_windows(s, h.silo) - h.part + h.parts - 1) / h.parts;
}

/* The share that window `cursor` comes from, and its number among the client's windows of that share. */
static share share_at(const at_streams *s, int64_t client, int64_t cursor, int64_t *number) {
  int64_t n_silos = s->corpus->n_silos;
  if (s->partition == AT_PARTITION_IID) {
    *number = cursor / n_silos;
    return (share){.silo = (client + cursor) % n_silos, .part = client, .parts = s->n_clients};
  }
  int64_t silo = client % n_silos;
  *number = cursor;
  return (share){.silo = silo, .part = client / n_silos, .parts = (s->n_clients - silo + n_silos - 1) / n_silos};
}

at_err at_streams_check(const at_streams *s) {
  for (int64_t k = 0; k < s->n_clients; k++) {
    int64_t turns = s->partition == AT_PARTITION_IID ? s->corpus->n_silos : 1;
    for (int64_t c = 0; c < turns; c++) {
      int64_t number;
      share h = share_at(s, k, c, &number);
      if (share_windows(s, h) < 1) {
        return AT_FAIL(AT_ERR_CONFIG,
                       "silo %s has %lld training windows of %lld tokens for %lld clients: lower fed.clients or "
                       "model.context, or build a larger data set",
                       s->corpus->silo[h.silo].name, (long long)silo_windows(s, h.silo), (long long)s->context,
                       (long long)h.parts);
      }
    }
  }
  return AT_OK;
}

void at_streams_locate(const at_streams *s, int64_t client, int64_t cursor, int64_t *silo, int64_t *start) {
  int64_t number;
  share h = share_at(s, client, cursor, &number);
  int64_t n = share_windows(s, h), epoch = number / n;
  at_stream order = {.seed = s->seed,
                     .purpose = AT_RNG_STREAM,
                     .client = (uint64_t)client,
                     .round = (uint64_t)epoch,
                     .step = (uint64_t)h.silo};
  int64_t picked = (int64_t)at_rng_permute(&order, (uint64_t)n, (uint64_t)(number % n));
  *silo = h.silo;
  *start = (picked * h.parts + h.part) * s->context;
}

int64_t at_streams_epochs(const at_streams *s, int64_t client, int64_t cursor) {
  int64_t turns = s->partition == AT_PARTITION_IID ? s->corpus->n_silos : 1, epochs = INT64_MAX;
  for (int64_t turn = 0; turn < turns; turn++) {
    int64_t number, seen = (cursor - turn + turns - 1) / turns;
    share h = share_at(s, client, turn, &number);
    int64_t whole = seen / share_windows(s, h);
    epochs = whole < epochs ? whole : epochs;
  }
  return epochs;
}

void at_streams_window(const at_streams *s, int64_t client, int64_t cursor, int32_t *tokens, int32_t *targets) {
  int64_t silo, start;
  at_streams_locate(s, client, cursor, &silo, &start);
  const at_tokens *t = &s->corpus->silo[silo].split[AT_SPLIT_TRAIN];
  at_tokens_get(t, start, s->context, tokens);
  at_tokens_get(t, start + 1, s->context, targets);
}

int64_t at_streams_home(const at_streams *s, int64_t client) {
  return client % s->corpus->n_silos;
}
