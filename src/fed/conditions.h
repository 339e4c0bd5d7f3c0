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

/* What happens to a client that would miss the deadline. */
extern const char *const at_late_names[];
typedef enum at_late {
  AT_LATE_LEAVE_OUT, /* its work is lost */
  AT_LATE_SHORTEN    /* it does as many steps as fit, at least one */
} at_late;

typedef struct at_conditions {
  double bandwidth, latency_s, streams; /* Mbit/s, 0: exchange costs nothing */
  bool half_duplex;
  int path;                                      /* at_net_path */
  int device;                                    /* index into at_device_names; 0: none */
  double step_s;                                 /* seconds of a local step, instead of a device */
  double spread;                                 /* deviation of the logarithm of clients' slowness */
  double encode_rate, decode_rate, server_rate;  /* GB/s of floats; 0: costs nothing */
  double dropouts, stragglers, straggler_factor; /* probabilities per client and round */
  double nan, outliers, outlier_factor;          /* probabilities of updates, and how many times too long */
  double failures;                               /* probability per attempt at a client's work */
  double server_nan;                             /* probability per server step */
  int64_t retries;                               /* attempts after the first */
  double deadline;                               /* times the median of recent rounds; 0: none */
  int late;                                      /* at_late */
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
      AT_OPT_F64(T, f.outliers, "faults.outliers", "0", 0, 1, "",                                                    \
                 "Probability of an update to be faults.outlier_factor times as long as it is."),                    \
      AT_OPT_F64(T, f.outlier_factor, "faults.outlier_factor", "1000", 1, 1e30, "", "How many times longer."),       \
      AT_OPT_F64(T, f.failures, "faults.failures", "0", 0, 1, "",                                                    \
                 "Probability of an attempt at a client's local work to break off at some step."),                   \
      AT_OPT_F64(T, f.server_nan, "faults.server_nan", "0", 0, 1, "",                                                \
                 "Probability of the global model to be spoilt by a NaN after a server step, for tests of rolling "  \
                 "back."),                                                                                           \
      AT_OPT_INT(T, f.retries, "fed.retries", "2", 0, 100, "",                                                       \
                 "Times that a client's work is begun again after it broke off; then its result is invalid."),       \
      AT_OPT_F64(T, f.deadline, "fed.deadline", "-1", -1, 1e3, "",                                                   \
                 "A round waits for its clients so many times the median of recent rounds; 0: for all of them; -1: " \
                 "2 where clients vanish and local work takes virtual time, else 0."),                               \
      AT_OPT_ENUM(T, f.late, "fed.late", "leave_out", at_late_names,                                                 \
                  "Clients that would miss the deadline: leave_out, or shorten: they do as many steps as fit.")

/* What is left open becomes a number.  AT_ERR_CONFIG for keys that have no effect or exclude one another.  is_partial: clients may be missing from a round. */
at_err at_conditions_settle(at_opts *set, const at_conditions *c, bool is_partial);
/* Local work, or exchange, takes virtual time. */
bool at_conditions_keep_time(const at_conditions *c);

/* What a client is asked for in a round: so many steps of so many FLOPs and, once, some seconds of exchange inside the client, by a
 * deadline on the virtual clock (0: none). */
typedef struct at_ask {
  uint64_t seed;
  int64_t client, round, steps;
  double flops, inside_s, deadline_s;
} at_ask;

/* What becomes of its work. */
typedef struct at_fate {
  int64_t steps;    /* of the attempt that succeeds; 0: none does */
  int64_t failures; /* attempts that break off */
  double seconds;   /* of all attempts; infinite: it vanishes */
} at_fate;
at_fate at_conditions_fate(const at_conditions *c, const at_ask *a);
/* Steps that attempt 0, 1, ... does before it breaks off; negative: it does not. */
int64_t at_conditions_breaks_off(const at_conditions *c, const at_ask *a, int64_t attempt);

/* What its update is multiplied by: 1; more: it is far too long; NaN: it is spoilt. */
double at_conditions_spoil(const at_conditions *c, uint64_t seed, int64_t client, int64_t round);
/* The global model is spoilt after the server step of a round that is played for the first, second, ... time (0, 1, ...). */
bool at_conditions_spoil_server(const at_conditions *c, uint64_t seed, int64_t round, int64_t time);

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
