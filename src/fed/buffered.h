/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffered asynchronous aggregation on the virtual clock (Nguyen et al. 2022, "FedBuff").
 *
 * A fixed number of clients is at work all the time; each began with the global model of some version.  Answers go into a
 * buffer; when it has `goal` of them the server takes a step, which makes the next version.  An answer that began s versions ago
 * weighs 1 / sqrt(1 + s); one that is older than max_staleness is thrown away.  When a client answers, another one is asked.
 *
 * Who answers when depends on devices alone, not on what they compute.  So the events up to the next step are played first,
 * and the clients that it needs are trained afterwards, all at once and anywhere, from the versions that they began with. */
#ifndef AT_FED_BUFFERED_H
#define AT_FED_BUFFERED_H

#include "src/fed/fleet.h"

typedef struct at_buffered_spec {
  int64_t clients, at_work, goal, max_staleness;
  uint64_t seed;
  /* Seconds that a client takes when asked as number `ask` at now_s; infinite: it cannot be had now. */
  double (*answer_s)(const void *context, int64_t client, int64_t ask, double now_s);
  const void *context;
} at_buffered_spec;

/* A client at work, or one whose answer is in the buffer: a row of doubles, so that a checkpoint takes it as it is. */
typedef struct at_flight {
  double client, version, ask, end_s;
} at_flight;
enum { AT_FLIGHT_WIDTH = sizeof(at_flight) / sizeof(double) };

typedef struct at_buffered {
  at_buffered_spec spec;
  int64_t version, asked, dropped; /* steps so far; questions so far; answers that were too old */
  double now_s;
  at_flight *flight; /* [at_work], owned; a checkpoint holds it */
} at_buffered;

/* Everybody at work begins at time 0 with version 0.  AT_ERR_CONFIG: clients < at_work + goal; nobody can be had. */
at_err at_buffered_create(at_buffered **out, const at_buffered_spec *spec);
void at_buffered_destroy(at_buffered *b); /* accepts NULL */
/* Play until the buffer is full: landed[goal], ascending by client, each client once; version and clock move on. */
at_err at_buffered_step(at_buffered *b, at_flight *landed);
/* Weight of an answer in the step that makes version `version` + 1. */
double at_buffered_weight(const at_flight *f, int64_t version);

#endif
