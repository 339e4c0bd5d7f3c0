/* SPDX-License-Identifier: BSD-3-Clause */
/* What an exchange of models would take on links that the machine at hand does not have.
 *
 * Two levels: topologies of a federation (server, all-to-all, ring: the wall-time model of Sani et al. 2025, extended
 * by latency, half duplex and congestion), and algorithms of one collective, plain or compressed (Thakur et al. 2005 for the
 * plain ones).  Pure arithmetic: seconds from bytes, counts and rates. */
#ifndef AT_NET_COST_H
#define AT_NET_COST_H

#include <stdbool.h>
#include <stdint.h>

/* The slowest link of an exchange. */
typedef struct at_link {
  double bytes_per_s; /* payload, one direction */
  double latency_s;   /* of one message */
  bool half_duplex;   /* both directions share bytes_per_s */
  double streams;     /* simultaneous streams beyond which they share the link; 0: no limit */
} at_link;

/* What compression changes; {1, 0, 0} is none. */
typedef struct at_codec_cost {
  double ratio;                                /* uncompressed bytes over bytes on the wire */
  double encode_s_per_byte, decode_s_per_byte; /* per uncompressed byte */
} at_codec_cost;

#define AT_TOPOLOGIES(X)                                            \
  X(ps, "parameter server: every client exchanges with one server") \
  X(ar, "all-to-all: every client sends to every other")            \
  X(rar, "ring all-reduce")
typedef enum at_topology {
#define X(name, help) AT_TOPOLOGY_##name,
  AT_TOPOLOGIES(X)
#undef X
      AT_TOPOLOGY_COUNT
} at_topology;
extern const char *const at_topology_names[]; /* NULL-terminated */

/* Seconds to average `clients` models of `bytes`.  server_bytes_per_s: rate at which a server adds (ps only; 0: free). */
double at_net_round_s(at_topology t, const at_link *link, const at_codec_cost *codec, int64_t clients, double bytes,
                      double server_bytes_per_s);
/* Payload that one client sends in that exchange, before compression. */
double at_net_client_bytes(at_topology t, int64_t clients, double bytes);

/* Algorithms of a collective over `ranks` that all hold n bytes. */
#define AT_NET_ALGORITHMS(X) \
  X(recursive_doubling) X(ring) X(rabenseifner) X(two_phase) X(star) X(sparse_allgather) X(tree)
typedef enum at_net_algorithm {
#define X(name) AT_NET_##name,
  AT_NET_ALGORITHMS(X)
#undef X
      AT_NET_ALGORITHM_COUNT
} at_net_algorithm;
extern const char *const at_net_algorithm_names[]; /* NULL-terminated */

/* Seconds of one all-reduce of n bytes; add_s_per_byte: cost of the addition.  sparse_allgather: n / ratio is what one
 * rank contributes. */
double at_net_collective_s(at_net_algorithm a, const at_link *link, const at_codec_cost *codec, int ranks, double n,
                           double add_s_per_byte);

/* The same where the vector travels in `pieces`: a rank codes one while others are on their way, so that the slower of wire and
 * cores sets the pace, and the other one shows only at the first and the last piece. */
double at_net_pipelined_s(at_net_algorithm a, const at_link *link, const at_codec_cost *codec, int ranks, double n,
                          double add_s_per_byte, double pieces);

/* Expected number of attempts of a ring of `clients` in which each fails with probability p and one failure aborts it. */
double at_net_ring_attempts(int64_t clients, double p);
/* The most steps that a method exchanging every tau steps may take, per step of data parallelism, and still tie in wall
 * time; x = communication over computation of one data-parallel step. */
double at_net_break_even(double x, double tau);

#endif
