/* SPDX-License-Identifier: BSD-3-Clause */
/* The devices that clients run on: how fast, on which link, when they can be reached.  A function of the client's number.
 *
 * Either drawn (a device of src/net/clock.h slowed by a log-normal factor, links alike), or from a trace: a text file with a
 * line for each device that was observed,
 *
 *     flops_per_s, down_bytes_per_s, up_bytes_per_s, on_from_s, on_for_s, period_s
 *
 * '#' begins a comment; on_for_s = period_s is always on.  Client k has the device of a line drawn for it. */
#ifndef AT_FED_FLEET_H
#define AT_FED_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"

typedef struct at_fleet_spec {
  const char *trace;  /* path; "" or NULL: drawn */
  const char *device; /* name in src/net/clock.h */
  double spread;      /* standard deviation of the logarithm of a client's slowdown, and of its link's */
  double down_bytes_per_s, up_bytes_per_s; /* median link */
  double on_share; /* share of a day in which a client can be reached, at a time of day of its own; 1: always */
  double dropout;  /* probability that a client that was asked never answers */
  uint64_t seed;
} at_fleet_spec;

typedef struct at_fleet at_fleet;

/* AT_ERR_CONFIG: no such device.  AT_ERR_FILE, AT_ERR_FORMAT: the trace (names the line). */
at_err at_fleet_create(at_fleet **out, const at_fleet_spec *spec);
void at_fleet_destroy(at_fleet *f); /* accepts NULL */

/* What the client is asked for. */
typedef struct at_errand {
  double flops, down_bytes, up_bytes;
} at_errand;
/* Seconds from the question at now_s to the answer; infinite: it cannot be reached then, or drops out.  `ask` numbers the question
 * (the round). */
double at_fleet_answer_s(const at_fleet *f, int64_t client, int64_t ask, double now_s, const at_errand *e);

/* Who counts of n clients that answer after answer_s[n]: the first `wanted` within deadline_s (0: none), *have of them; equal
 * times go in order.  *took: seconds until the round is over: the last answer that counts, or the deadline where fewer came. */
at_err at_fleet_close(int64_t n, const double *answer_s, int64_t wanted, double deadline_s, bool *counts, int64_t *have,
                      double *took);

#endif
