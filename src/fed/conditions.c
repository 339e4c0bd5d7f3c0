/* SPDX-License-Identifier: BSD-3-Clause */
/* Draws of faults, and virtual seconds from declared rates. */
#include "src/fed/conditions.h"

#include <math.h>

#include "src/base/rng.h"

const char *const at_net_path_names[] = {"algorithm", "ps", "ar", "rar", NULL};
const char *const at_late_names[] = {"leave_out", "shorten", NULL};

/* What is drawn: the step of a stream.  Part of the results: append, never renumber. */
enum {
  DRAW_DROPOUT = 1,
  DRAW_STRAGGLER = 2,
  DRAW_NAN = 3,
  DRAW_SPREAD = 4,
  DRAW_FAILURE = 5, /* of attempt i: draw 2 i decides, draw 2 i + 1 says at which step */
  DRAW_OUTLIER = 6,
  DRAW_SERVER = 7 /* its "client" is how often the round was played before */
};

static bool has_local_time(const at_conditions *c) {
  return c->device > 0 || c->step_s > 0;
}

bool at_conditions_keep_time(const at_conditions *c) {
  return has_local_time(c) || c->bandwidth > 0;
}

static at_err settle_deadline(at_opts *set, const at_conditions *c, bool is_partial) {
  if (c->deadline < 0) { /* a server that waits for the vanished waits for ever */
    const bool waits = !is_partial || !has_local_time(c) || c->dropouts == 0;
    return at_opts_set_from(set, waits ? "fed.deadline=0" : "fed.deadline=2", "derived from other keys");
  }
  if (c->deadline > 0 && !has_local_time(c)) {
    return at_opts_reject(set, "fed.deadline", "local work takes no virtual time: set net.device or net.step_seconds");
  }
  return AT_OK;
}

/* Keys that do nothing unless another one is set, which is missing: NULL-terminated. */
static at_err need(const at_opts *set, bool has, const char *const *keys, const char *reason) {
  for (; !has && *keys != NULL; keys++) {
    if (at_opts_is_changed(set, *keys)) {
      return at_opts_reject(set, *keys, "%s", reason);
    }
  }
  return AT_OK;
}

at_err at_conditions_settle(at_opts *set, const at_conditions *c, bool is_partial) {
  static const char *const of_time[] = {"faults.stragglers", "net.spread", NULL};
  static const char *const of_links[] = {"net.latency",     "net.half_duplex", "net.streams",     "net.topology",
                                         "net.encode_rate", "net.decode_rate", "net.server_rate", NULL};
  static const char *const of_missing[] = {"faults.dropouts", "faults.nan",        "faults.outliers",
                                           "faults.failures", "faults.server_nan", NULL};
  static const char *const of_deadline[] = {"fed.late", NULL};
  if (c->device > 0 && c->step_s > 0) {
    return at_opts_reject(set, "net.step_seconds", "net.device says how long a step takes: leave out one of them");
  }
  AT_TRY(settle_deadline(set, c, is_partial));
  AT_TRY(need(set, has_local_time(c), of_time, "local work takes no virtual time: set net.device or net.step_seconds"));
  AT_TRY(need(set, c->bandwidth > 0, of_links, "exchange takes no virtual time: set net.bandwidth"));
  AT_TRY(need(set, is_partial, of_missing, "this method waits for every client in every step: leave it at 0"));
  if (!is_partial && c->deadline > 0) {
    return at_opts_reject(set, "fed.deadline", "this method waits for every client in every step: leave it at 0");
  }
  return need(set, c->deadline > 0, of_deadline, "there is no deadline to be late for: set fed.deadline");
}

/* ---- draws ---- */

static at_stream stream_of(uint64_t seed, int64_t client, int64_t round, uint64_t what) {
  return (at_stream){
      .seed = seed, .client = (uint64_t)client, .round = (uint64_t)round, .step = what, .purpose = AT_RNG_FAULT};
}

static bool happens(double probability, uint64_t seed, int64_t client, int64_t round, uint64_t what) {
  const at_stream s = stream_of(seed, client, round, what);
  return probability > 0 && at_rng_uniform(&s, 0) < probability;
}

/* Seconds of a local step of this client in this round. */
static double step_s(const at_conditions *c, const at_ask *a) {
  double slow = happens(c->stragglers, a->seed, a->client, a->round, DRAW_STRAGGLER) ? c->straggler_factor : 1;
  if (c->spread > 0) {
    const at_stream s = stream_of(a->seed, a->client, 0, DRAW_SPREAD);
    slow *= exp(c->spread * at_rng_normal(&s, 0));
  }
  const at_device *d = c->device > 0 ? at_device_at(c->device - 1) : NULL;
  return d != NULL ? at_device_s(d, a->flops, slow) : c->step_s * slow;
}

int64_t at_conditions_breaks_off(const at_conditions *c, const at_ask *a, int64_t attempt) {
  const at_stream s = stream_of(a->seed, a->client, a->round, DRAW_FAILURE);
  const uint64_t draw = 2 * (uint64_t)attempt;
  if (c->failures <= 0 || a->steps <= 0 || at_rng_uniform(&s, draw) >= c->failures) {
    return -1;
  }
  return (int64_t)at_rng_below(&s, draw + 1, (uint64_t)a->steps);
}

at_fate at_conditions_fate(const at_conditions *c, const at_ask *a) {
  at_fate f = {.steps = a->steps, .seconds = INFINITY};
  if (happens(c->dropouts, a->seed, a->client, a->round, DRAW_DROPOUT)) {
    return f;
  }
  const double one = step_s(c, a);
  int64_t lost = 0, done = at_conditions_breaks_off(c, a, 0);
  for (; done >= 0 && f.failures <= c->retries; done = at_conditions_breaks_off(c, a, f.failures)) {
    lost += done;
    f.failures++;
  }
  f.steps = f.failures > c->retries ? 0 : a->steps;
  f.seconds = (double)(lost + f.steps) * one + a->inside_s;
  if (c->late == AT_LATE_SHORTEN && a->deadline_s > 0 && f.seconds > a->deadline_s) {
    const int64_t fit = (int64_t)((a->deadline_s - a->inside_s) / one) - lost;
    if (f.steps > 0 && fit > 0) {
      f.steps = fit;
      f.seconds = fmin((double)(lost + fit) * one + a->inside_s, a->deadline_s);
    }
  }
  return f;
}

double at_conditions_spoil(const at_conditions *c, uint64_t seed, int64_t client, int64_t round) {
  if (happens(c->nan, seed, client, round, DRAW_NAN)) {
    return NAN;
  }
  return happens(c->outliers, seed, client, round, DRAW_OUTLIER) ? c->outlier_factor : 1;
}

bool at_conditions_spoil_server(const at_conditions *c, uint64_t seed, int64_t round, int64_t time) {
  return happens(c->server_nan, seed, time, round, DRAW_SERVER);
}

/* ---- seconds of an exchange ---- */

static double per_byte(double gigabytes_per_s) {
  return gigabytes_per_s > 0 ? 1e-9 / gigabytes_per_s : 0;
}

/* The formula for an algorithm of a reduction, and how often all clients together send a vector in it. */
static at_net_algorithm formula(int algorithm, double p, double *passages) {
  *passages = 2 * (p - 1);
  switch (algorithm) {
  case AT_ALGORITHM_twophase:
  case AT_ALGORITHM_integer:
    return AT_NET_two_phase;
  case AT_ALGORITHM_star:
    return AT_NET_star;
  case AT_ALGORITHM_gather:
    *passages = p * (p - 1);
    return AT_NET_sparse_allgather;
  case AT_ALGORITHM_doubling:
    *passages = p * ceil(log2(p));
    return AT_NET_recursive_doubling;
  case AT_ALGORITHM_tree:
    return AT_NET_tree;
  default:
    return AT_NET_ring;
  }
}

double at_conditions_exchange_s(const at_conditions *c, const at_exchange_size *e) {
  if (c->bandwidth == 0 || e->clients < 2 || e->wire_bytes <= 0) {
    return 0;
  }
  const at_link link = {.bytes_per_s = c->bandwidth * 1e6 / 8,
                        .latency_s = c->latency_s,
                        .half_duplex = c->half_duplex,
                        .streams = c->streams};
  const double p = (double)e->clients, bytes = 4 * e->elements;
  double passages = 2 * (p - 1);
  const at_net_algorithm a = formula(e->algorithm, p, &passages);
  const at_codec_cost codec = {.ratio = bytes * passages / e->wire_bytes,
                               .encode_s_per_byte = per_byte(c->encode_rate),
                               .decode_s_per_byte = per_byte(c->decode_rate)};
  const bool is_ring = c->path == AT_NET_PATH_RAR || (c->path == AT_NET_PATH_ALGORITHM && a == AT_NET_ring);
  const double once = c->path == AT_NET_PATH_ALGORITHM
                          ? at_net_collective_s(a, &link, &codec, (int)e->clients, bytes, 0)
                          : at_net_round_s((at_topology)(c->path - AT_NET_PATH_PS), &link, &codec, e->clients, bytes,
                                           c->server_rate * 1e9);
  return e->is_broken && is_ring ? 2 * once : once;
}
