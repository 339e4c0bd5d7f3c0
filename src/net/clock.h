/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtual clock: simulated seconds of a federation whose devices and links are declared, not present.
 *
 * A round is: local work of each client on its device, the deadline, the exchange of those that made it.  Time depends on
 * counted work and declared rates alone, so it is the same wherever the simulation runs. */
#ifndef AT_NET_CLOCK_H
#define AT_NET_CLOCK_H

#include "src/net/cost.h"

/* A kind of device.  Peak rates are those of the maker's data sheets for dense products; `efficiency` is the share of it
 * that training is assumed to reach. */
typedef struct at_device {
  const char *name;
  double flops_per_s, memory_bytes, efficiency;
  const char *source;
} at_device;
const at_device *at_device_find(const char *name); /* NULL if there is none */
const at_device *at_device_at(int i);              /* NULL past the last */
/* Seconds for `flops` on the device, slowed by `slowdown` (1: as declared). */
double at_device_s(const at_device *d, double flops, double slowdown);

typedef struct at_clock_round {
  double local_s; /* until the last client that counts is done, or the deadline */
  double exchange_s;
  double total_s;
  int64_t on_time; /* clients whose result counts */
} at_clock_round;

typedef struct at_virtual_clock {
  double now_s;
  double recent[8]; /* local seconds of the last rounds, for the deadline */
  int64_t rounds;
} at_virtual_clock;

/* factor times the median of the recent rounds' local seconds; 0 (no deadline) before the first round or at factor 0. */
double at_clock_deadline_s(const at_virtual_clock *c, double factor);
/* Play one round: client_s[n] local seconds (infinite: the client never answers), deadline_s 0 for none; on_time[n] is set
 * for those that count.  The exchange is of `bytes` over the clients on time.  The clock advances. */
at_clock_round at_clock_play(at_virtual_clock *c, const double *client_s, int64_t n, double deadline_s, bool *on_time,
                             at_topology t, const at_link *link, const at_codec_cost *codec, double bytes,
                             double server_bytes_per_s);

#endif
