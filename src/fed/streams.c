/* SPDX-License-Identifier: BSD-3-Clause */
/* Each client's stream of training windows. */
#include <stdbool.h>

#include "src/base/rng.h"
#include "src/fed/corpus.h"

/* A client's share of a silo: the windows first, first + stride, ..., n of them; of the silo in random order, if that is
 * shuffled before it is cut. */
typedef struct share {
  int64_t silo, first, stride, n;
  bool is_shuffled;
} share;

static int64_t silo_windows(const at_streams *s, int64_t silo) {
  int64_t n = s->corpus->silo[silo].split[AT_SPLIT_TRAIN].n;
  return n > 0 ? (n - 1) / s->context : 0;
}

/* The windows w with w mod parts == part. */
static share every(const at_streams *s, int64_t silo, int64_t part, int64_t parts) {
  return (share){.silo = silo, .first = part, .stride = parts, .n = (silo_windows(s, silo) - part + parts - 1) / parts};
}

/* The share that window `cursor` comes from, and its number among the client's windows of that share. */
static share share_at(const at_streams *s, int64_t client, int64_t cursor, int64_t *number) {
  int64_t n_silos = s->corpus->n_silos;
  if (s->partition == AT_PARTITION_IID) {
    *number = cursor / n_silos;
    return every(s, (client + cursor) % n_silos, client, s->n_clients);
  }
  if (s->partition == AT_PARTITION_DIRICHLET) {
    share h = {.silo = at_mixture_silo(s->mixture, s->seed, client, cursor, number), .stride = 1, .is_shuffled = true};
    h.n = at_mixture_part(s->mixture, client, h.silo, silo_windows(s, h.silo), &h.first);
    return h;
  }
  int64_t silo = client % n_silos;
  *number = cursor;
  return every(s, silo, client / n_silos, (s->n_clients - silo + n_silos - 1) / n_silos);
}

at_err at_streams_check(const at_streams *s) {
  for (int64_t k = 0; k < s->n_clients; k++) {
    int64_t turns = s->partition == AT_PARTITION_IID         ? s->corpus->n_silos
                    : s->partition == AT_PARTITION_DIRICHLET ? AT_MIXTURE_BLOCK
                                                             : 1;
    for (int64_t c = 0; c < turns; c++) {
      int64_t number;
      share h = share_at(s, k, c, &number);
      if (h.n < 1) {
        return AT_FAIL(AT_ERR_CONFIG,
                       "silo %s has %lld training windows of %lld tokens for %lld clients: lower fed.clients or "
                       "model.context, or build a larger data set",
                       s->corpus->silo[h.silo].name, (long long)silo_windows(s, h.silo), (long long)s->context,
                       (long long)(s->partition == AT_PARTITION_DIRICHLET ? s->n_clients : h.stride));
      }
    }
  }
  return AT_OK;
}

void at_streams_locate(const at_streams *s, int64_t client, int64_t cursor, int64_t *silo, int64_t *start) {
  int64_t number;
  share h = share_at(s, client, cursor, &number);
  int64_t epoch = number / h.n;
  at_stream order = {.seed = s->seed,
                     .purpose = AT_RNG_STREAM,
                     .client = (uint64_t)client,
                     .round = (uint64_t)epoch,
                     .step = (uint64_t)h.silo};
  int64_t picked = (int64_t)at_rng_permute(&order, (uint64_t)h.n, (uint64_t)(number % h.n));
  *silo = h.silo;
  int64_t window = picked * h.stride + h.first;
  if (h.is_shuffled) {
    at_stream whole = {.seed = s->seed, .purpose = AT_RNG_PARTITION, .step = (uint64_t)h.silo};
    window = (int64_t)at_rng_permute(&whole, (uint64_t)silo_windows(s, h.silo), (uint64_t)window);
  }
  *start = window * s->context;
}

/* Whole blocks only: inside one, the order of silos is random. */
static int64_t mixture_epochs(const at_streams *s, int64_t client, int64_t cursor) {
  int64_t epochs = INT64_MAX;
  for (int64_t silo = 0; silo < s->corpus->n_silos; silo++) {
    int64_t first, n = at_mixture_part(s->mixture, client, silo, silo_windows(s, silo), &first);
    int64_t count = s->mixture->count[client * s->mixture->n_silos + silo];
    int64_t whole = count > 0 ? cursor / AT_MIXTURE_BLOCK * count / n : epochs;
    epochs = whole < epochs ? whole : epochs;
  }
  return epochs;
}

int64_t at_streams_epochs(const at_streams *s, int64_t client, int64_t cursor) {
  if (s->partition == AT_PARTITION_DIRICHLET) {
    return mixture_epochs(s, client, cursor);
  }
  int64_t turns = s->partition == AT_PARTITION_IID ? s->corpus->n_silos : 1, epochs = INT64_MAX;
  for (int64_t turn = 0; turn < turns; turn++) {
    int64_t number, seen = (cursor - turn + turns - 1) / turns;
    share h = share_at(s, client, turn, &number);
    int64_t whole = seen / h.n;
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
  return s->partition == AT_PARTITION_DIRICHLET ? at_mixture_home(s->mixture, client) : client % s->corpus->n_silos;
}
