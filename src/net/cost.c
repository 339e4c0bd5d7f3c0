/* SPDX-License-Identifier: BSD-3-Clause */
/* Wall-time formulas of exchanges and collectives. */
#include "src/net/cost.h"

#include <math.h>
#include <stddef.h>

const char *const at_topology_names[] = {
#define X(name, help) #name,
    AT_TOPOLOGIES(X)
#undef X
        NULL};

const char *const at_net_algorithm_names[] = {
#define X(name) #name,
    AT_NET_ALGORITHMS(X)
#undef X
        NULL};

/* Seconds a byte takes when `streams` are under way at once. */
static double byte_s(const at_link *link, double streams) {
  double share = link->streams > 0 ? fmin(1.0, link->streams / streams) : 1.0;
  return 1.0 / (link->bytes_per_s * share);
}

double at_net_client_bytes(at_topology t, int64_t clients, double bytes) {
  double k = (double)clients;
  switch (t) {
  case AT_TOPOLOGY_ps:
    return bytes;
  case AT_TOPOLOGY_ar:
    return (k - 1) * bytes;
  default:
    return clients > 1 ? 2 * bytes * (k - 1) / k : 0;
  }
}

double at_net_round_s(at_topology t, const at_link *link, const at_codec_cost *codec, int64_t clients, double bytes,
                      double server_bytes_per_s) {
  double k = (double)clients, wire = bytes / codec->ratio, beta = byte_s(link, k);
  double coding = bytes * (codec->encode_s_per_byte + codec->decode_s_per_byte);
  if (t == AT_TOPOLOGY_ps) {
    double adding = server_bytes_per_s > 0 ? k * bytes / server_bytes_per_s : 0;
    return (link->half_duplex ? 2 : 1) * k * wire * beta + k * link->latency_s + adding + coding;
  }
  if (clients < 2) {
    return 0;
  }
  double moved = at_net_client_bytes(t, clients, wire) * (link->half_duplex ? 2 : 1);
  double messages = t == AT_TOPOLOGY_ar ? k - 1 : 2 * (k - 1);
  return moved * beta + messages * link->latency_s + coding;
}

double at_net_collective_s(at_net_algorithm a, const at_link *link, const at_codec_cost *codec, int ranks, double n,
                           double add_s_per_byte) {
  if (ranks < 2) {
    return 0;
  }
  double p = ranks, f = (p - 1) / p, levels = ceil(log2(p));
  double alpha = link->latency_s, beta = byte_s(link, 1) * (link->half_duplex ? 2 : 1);
  double wire = n / codec->ratio, enc = codec->encode_s_per_byte, dec = codec->decode_s_per_byte;
  switch (a) {
  case AT_NET_recursive_doubling:
    return levels * (alpha + wire * beta + n * (enc + 2 * dec + add_s_per_byte));
  case AT_NET_ring:
    return 2 * (p - 1) * alpha + 2 * wire * f * beta + n * f * (add_s_per_byte + enc + dec) + n * enc / p + n * dec;
  case AT_NET_rabenseifner:
    return 2 * levels * alpha + 2 * wire * f * beta + n * f * (add_s_per_byte + enc + dec) + n * enc / p + n * dec;
  case AT_NET_two_phase:
    return 2 * (p - 1) * alpha + 2 * wire * f * beta + n * (1 + 1 / p) * enc + 2 * n * dec + n * f * add_s_per_byte;
  case AT_NET_star:
    return 2 * (p - 1) * (alpha + wire * beta) + (p - 1) * n * (add_s_per_byte + dec) + n * enc;
  case AT_NET_sparse_allgather:
    return (p - 1) * (alpha + wire * beta) + n * (enc + (p - 1) * dec);
  default: /* binomial tree: reduce, then broadcast */
    return 2 * levels * (alpha + wire * beta) + levels * n * (add_s_per_byte + enc + dec);
  }
}

double at_net_pipelined_s(at_net_algorithm a, const at_link *link, const at_codec_cost *codec, int ranks, double n,
                          double add_s_per_byte, double pieces) {
  const at_codec_cost silent = {codec->ratio, 0, 0};
  const double wire = at_net_collective_s(a, link, &silent, ranks, n, 0);
  const double coding = at_net_collective_s(a, link, codec, ranks, n, add_s_per_byte) - wire;
  return fmax(wire, coding) + fmin(wire, coding) * fmin(1.0, 2 / pieces);
}

double at_net_ring_attempts(int64_t clients, double p) {
  return pow(1 - p, -(double)clients);
}

double at_net_break_even(double x, double tau) {
  return (1 + x) / (1 + x / tau);
}
