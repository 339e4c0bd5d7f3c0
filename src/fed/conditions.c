/* SPDX-License-Identifier: BSD-3-Clause */
/* Draws of faults, and virtual seconds from declared rates. */
#include "src/fed/conditions.h"

#include <math.h>

#include "src/base/rng.h"

const char *const at_net_path_names[] = {"algorithm", "ps", "ar", "rar", NULL};

/* What is drawn: the step of a stream.  Part of the results: append, never renumber. */
enum { DRAW_DROPOUT = 1, DRAW_STRAGGLER = 2, DRAW_NAN = 3, DRAW_SPREAD = 4 };

static bool has_local_time(const at_conditions *c) {
  return c->device > 0 || c->step_s > 0;
}

bool at_conditions_keep_time(const at_conditions *c) {
  return has_local_time(c) || c->bandwidth > 0;
}

at_err at_conditions_check(const at_opts *set, const at_conditions *c, bool is_partial) {
  static const char *const of_time[] = {"faults.stragglers", "fed.deadline", "net.spread"};
  static const char *const of_links[] = {"net.latency",     "net.half_duplex", "net.streams",    "net.topology",
                                         "net.encode_rate", "net.decode_rate", "net.server_rate"};
  static const char *const of_missing[] = {"faults.dropouts", "faults.nan", "fed.deadline"};
  if (c->device > 0 && c->step_s > 0) {
    return at_opts_reject(set, "net.step_seconds", "net.device says how long a step takes: leave out one of them");
  }
  for (size_t i = 0; !has_local_time(c) && i < sizeof of_time / sizeof *of_time; i++) {
    if (at_opts_is_changed(set, of_time[i])) {
      return at_opts_reject(set, of_time[i], "local work takes no virtual time: set net.device or net.step_seconds");
    }
  }
  for (size_t i = 0; c->bandwidth == 0 && i < sizeof of_links / sizeof *of_links; i++) {
    if (at_opts_is_changed(set, of_links[i])) {
      return at_opts_reject(set, of_links[i], "exchange takes no virtual time: set net.bandwidth");
    }
  }
  for (size_t i = 0; !is_partial && i < sizeof of_missing / sizeof *of_missing; i++) {
    if (at_opts_is_changed(set, of_missing[i])) {
      return at_opts_reject(set, of_missing[i], "this method waits for every client in every step: leave it at 0");
    }
  }
  return AT_OK;
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

double at_conditions_client_s(const at_conditions *c, uint64_t seed, int64_t client, int64_t round, int64_t steps,
                              double flops) {
  if (happens(c->dropouts, seed, client, round, DRAW_DROPOUT)) {
    return INFINITY;
  }
  double slow = happens(c->stragglers, seed, client, round, DRAW_STRAGGLER) ? c->straggler_factor : 1;
  if (c->spread > 0) {
    const at_stream s = stream_of(seed, client, 0, DRAW_SPREAD);
    slow *= exp(c->spread * at_rng_normal(&s, 0));
  }
  const at_device *d = c->device > 0 ? at_device_at(c->device - 1) : NULL;
  return (double)steps * (d != NULL ? at_device_s(d, flops, slow) : c->step_s * slow);
}

bool at_conditions_spoils(const at_conditions *c, uint64_t seed, int64_t client, int64_t round) {
  return happens(c->nan, seed, client, round, DRAW_NAN);
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
