/* SPDX-License-Identifier: BSD-3-Clause */
/* What befalls the clients of a simulated federation: devices and links that are declared, stragglers, drop-outs and spoilt updates
 * that are drawn, and the seconds that all of it takes on the virtual clock.
 *
 * Draws depend on (seed, client, round) alone, so that all ranks know them without a word, and a run repeats them. */
#ifndef AT_FED_CONDITIONS_H
#define AT_FED_CONDITIONS_H

#include "src/base/options.h"
#include "src/comm/collective/reduce_cfg.h"
#include "src/net/clock.h"

/* Which links an exchange uses: as its algorithm has it, or one of the topologies of src/net/cost.h. */
extern const char *const at_net_path_names[];
typedef enum at_net_path { AT_NET_PATH_ALGORITHM, AT_NET_PATH_PS, AT_NET_PATH_AR, AT_NET_PATH_RAR } at_net_path;

typedef struct at_conditions {
  double bandwidth, latency_s, streams; /* Mbit/s, 0: exchange costs nothing */
  bool half_duplex;
  int path;                                      /* at_net_path */
  int device;                                    /* index into at_device_names; 0: none */
  double step_s;                                 /* seconds of a local step, instead of a device */
  double spread;                                 /* deviation of the logarithm of clients' slowness */
  double encode_rate, decode_rate, server_rate;  /* GB/s of floats; 0: costs nothing */
  double dropouts, stragglers, straggler_factor; /* probabilities per client and round */
  double nan;
  double deadline; /* times the median of recent rounds; 0: none */
} at_conditions;

/* Rows for field `f` (an at_conditions) of struct T. */
#define AT_CONDITION_OPTIONS(T, f)                                                                                   \
  AT_OPT_F64(T, f.bandwidth, "net.bandwidth", "0", 0, 1e9, "Mbit/s",                                                 \
             "Bandwidth of a client's link on the virtual clock; 0: exchange takes no virtual time."),               \
      AT_OPT_F64(T, f.latency_s, "net.latency", "0", 0, 1e3, "s", "Latency of a message."),                          \
      AT_OPT_BOOL(T, f.half_duplex, "net.half_duplex", "false", "Both directions share the bandwidth."),             \
      AT_OPT_F64(T, f.streams, "net.streams", "0", 0, 1e9, "",                                                       \
                 "Simultaneous streams beyond which clients share a link (topologies ps, ar, rar); 0: no limit."),   \
      AT_OPT_ENUM(T, f.path, "net.topology", "algorithm", at_net_path_names,                                         \
                  "Links in use: those of the exchange's algorithm (a ring for exact and fast), a parameter server " \
                  "(ps), all-to-all (ar), or a ring (rar)."),                                                        \
      AT_OPT_ENUM(T, f.device, "net.device", "none", at_device_names, "What clients compute on."),                   \
      AT_OPT_F64(T, f.step_s, "net.step_seconds", "0", 0, 1e9, "s", "Time of a local step, instead of a device."),   \
      AT_OPT_F64(T, f.spread, "net.spread", "0", 0, 3, "",                                                           \
                 "Clients differ in speed for good: deviation of the logarithm of their slowness."),                 \
      AT_OPT_F64(T, f.encode_rate, "net.encode_rate", "0", 0, 1e6, "GB/s", "Floats encoded; 0: costs nothing."),     \
      AT_OPT_F64(T, f.decode_rate, "net.decode_rate", "0", 0, 1e6, "GB/s", "Floats decoded; 0: costs nothing."),     \
      AT_OPT_F64(T, f.server_rate, "net.server_rate", "0", 0, 1e6, "GB/s",                                           \
                 "Floats that a server adds (topology ps); 0: costs nothing."),                                      \
      AT_OPT_F64(T, f.dropouts, "faults.dropouts", "0", 0, 1, "", "Probability of a client to vanish for a round."), \
      AT_OPT_F64(T, f.stragglers, "faults.stragglers", "0", 0, 1, "",                                                \
                 "Probability of a client to be slow in a round."),                                                  \
      AT_OPT_F64(T, f.straggler_factor, "faults.straggler_factor", "10", 1, 1e6, "", "How many times slower."),      \
      AT_OPT_F64(T, f.nan, "faults.nan", "0", 0, 1, "", "Probability of an update to be spoilt by a NaN."),          \
      AT_OPT_F64(T, f.deadline, "fed.deadline", "0", 0, 1e3, "",                                                     \
                 "Clients that take longer than so many times the median of recent rounds are left out; 0: wait.")

/* AT_ERR_CONFIG for keys that have no effect or exclude one another.  is_partial: clients may be missing from a round. */
at_err at_conditions_check(const at_opts *set, const at_conditions *c, bool is_partial);
/* Local work, or exchange, takes virtual time. */
bool at_conditions_keep_time(const at_conditions *c);

/* Local seconds of a client in a round of `steps` steps of `flops` each; infinite: it vanishes. */
double at_conditions_client_s(const at_conditions *c, uint64_t seed, int64_t client, int64_t round, int64_t steps,
                              double flops);
/* Its update is spoilt. */
bool at_conditions_spoils(const at_conditions *c, uint64_t seed, int64_t client, int64_t round);

/* One exchange of `elements` floats between clients, of which all together sent wire_bytes by this algorithm
 * (AT_ALGORITHM_auto: a plain ring). */
typedef struct at_exchange_size {
  int algorithm;
  int64_t clients;
  double elements, wire_bytes;
  bool is_broken; /* clients that were asked are missing: a ring is built anew */
} at_exchange_size;
double at_conditions_exchange_s(const at_conditions *c, const at_exchange_size *e);

#endif
