/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffered asynchronous aggregation: the order of events. */
#include "src/fed/buffered.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"

enum { TRIES = 100000 };
static const double retry_s = 600; /* nobody can be had: look again later */

static bool holds(const at_flight *f, int64_t n, int64_t client) {
  for (int64_t i = 0; i < n; i++) {
    if (f[i].client == (double)client) {
      return true;
    }
  }
  return false;
}

/* A client who is neither at work nor in the buffer, and can be had; the questions are numbered, so nothing is remembered. */
static at_err ask(at_buffered *b, const at_flight *landed, int64_t n_landed, int64_t n_flight, double now_s,
                  at_flight *out) {
  at_stream draw = {.seed = b->spec.seed, .purpose = AT_RNG_SAMPLING};
  for (int64_t i = 0; i < TRIES; i++) {
    double wait = retry_s * (double)(i / 1000);
    int64_t number = b->asked++;
    draw.round = (uint64_t)number;
    int64_t client = (int64_t)at_rng_below(&draw, 0, (uint64_t)b->spec.clients);
    if (holds(b->flight, n_flight, client) || holds(landed, n_landed, client)) {
      continue;
    }
    double s = b->spec.answer_s(b->spec.context, client, number, now_s + wait);
    if (isfinite(s)) {
      *out = (at_flight){(double)client, (double)b->version, (double)number, now_s + wait + s};
      return AT_OK;
    }
  }
  return AT_FAIL(AT_ERR_CONFIG, "none of %d clients asked can be had: devices are on too rarely, or always drop out",
                 TRIES);
}

at_err at_buffered_create(at_buffered **out, const at_buffered_spec *spec) {
  *out = NULL;
  if (spec->clients < spec->at_work + spec->goal) {
    return AT_FAIL(AT_ERR_CONFIG, "%lld clients at work and %lld in the buffer are more than the %lld there are",
                   (long long)spec->at_work, (long long)spec->goal, (long long)spec->clients);
  }
  at_buffered *b;
  at_err err;
  AT_TRY(at_alloc(&b, 1, sizeof *b, "asynchronous clients"));
  b->spec = *spec;
  AT_TRY_TO(err, fail, at_alloc(&b->flight, (size_t)spec->at_work, sizeof *b->flight, "clients at work"));
  for (int64_t i = 0; i < spec->at_work; i++) {
    AT_TRY_TO(err, fail, ask(b, NULL, 0, i, 0, &b->flight[i]));
  }
  *out = b;
  return AT_OK;
fail:
  at_buffered_destroy(b);
  return err;
}

void at_buffered_destroy(at_buffered *b) {
  if (b != NULL) {
    at_free(b->flight);
    at_free(b);
  }
}

static int by_client(const void *a, const void *b) {
  double x = ((const at_flight *)a)->client, y = ((const at_flight *)b)->client;
  return (x > y) - (x < y);
}

/* Who answers next; of equal times the question that was put first. */
static int64_t next_to_land(const at_buffered *b) {
  int64_t first = 0;
  for (int64_t i = 1; i < b->spec.at_work; i++) {
    const at_flight *f = &b->flight[i], *g = &b->flight[first];
    if (f->end_s < g->end_s || (f->end_s == g->end_s && f->ask < g->ask)) {
      first = i;
    }
  }
  return first;
}

at_err at_buffered_step(at_buffered *b, at_flight *landed) {
  int64_t have = 0;
  while (have < b->spec.goal) {
    int64_t i = next_to_land(b);
    at_flight f = b->flight[i];
    b->now_s = f.end_s;
    if ((double)b->version - f.version <= (double)b->spec.max_staleness) {
      landed[have++] = f;
    } else {
      b->dropped++;
    }
    b->version += have == b->spec.goal; /* the last one makes the next version, which the next client begins with */
    AT_TRY(ask(b, landed, have, b->spec.at_work, b->now_s, &b->flight[i]));
  }
  qsort(landed, (size_t)have, sizeof *landed, by_client);
  return AT_OK;
}

double at_buffered_weight(const at_flight *f, int64_t version) {
  return 1 / sqrt(1 + (double)version - f->version);
}
