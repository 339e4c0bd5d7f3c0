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
extern const char *const at_device_names[];        /* "none", then those of the table; NULL-terminated: for options */
const at_device *at_device_find(const char *name); /* NULL if there is none */
const at_device *at_device_at(int i);              /* NULL past the last */
/* Seconds for `flops` on the device, slowed by `slowdown` (1: as declared). */
double at_device_s(const at_device *d, double flops, double slowdown);

typedef struct at_clock_round {
  double local_s;   /* until the last client that counts is done, or the deadline */
  double typical_s; /* median of the clients that count: deadlines follow it, so that stragglers do not stretch them */
  int64_t on_time;  /* clients whose result counts */
} at_clock_round;

/* All numbers are doubles, so that it is stored as a row of them. */
typedef struct at_virtual_clock {
  double now_s;
  double recent[8]; /* seconds of the median client that counted in the last rounds, for the deadline */
  double rounds;    /* that had such a client */
} at_virtual_clock;
enum { AT_CLOCK_WIDTH = sizeof(at_virtual_clock) / sizeof(double) };

/* factor times the median over recent rounds of their median client's seconds; 0 (no deadline) before the first round or at factor 0. */
double at_clock_deadline_s(const at_virtual_clock *c, double factor);
/* Local work of one round: client_s[n] seconds (infinite: the client never answers), deadline_s 0 for none; on_time[n] is set for
 * those that count.  sorted[n]: scratch. */
at_clock_round at_clock_wait(const double *client_s, int64_t n, double deadline_s, bool *on_time, double *sorted);
/* The round is over, its exchange took exchange_s: the clock advances.  Returns the round's seconds. */
double at_clock_advance(at_virtual_clock *c, const at_clock_round *r, double exchange_s);

#endif
