/* SPDX-License-Identifier: BSD-3-Clause */
/* Which rank plays which client of a round: longest work first, each to the rank that would be done with it earliest
 * (Graham 1969; for ranks of different speed Gonzalez, Ibarra and Sahni 1977).
 *
 * Who plays a client changes nothing but time: random numbers are keyed by client and sums are exact. */
#ifndef AT_FED_DEAL_H
#define AT_FED_DEAL_H

#include <stdint.h>

#include "src/base/status.h"

/* rank[n]: of each of n pieces of work cost[n] >= 0, for ranks of speed[ranks] > 0 (cost per second).  Equal costs go in their
 * order.  *makespan (may be NULL): seconds until the last rank is done. */
at_err at_deal(int64_t n, const double *cost, int ranks, const double *speed, int *rank, double *makespan);
/* No way to share the work takes less than this: all ranks busy to the end, and the largest piece on the fastest. */
double at_deal_bound(int64_t n, const double *cost, int ranks, const double *speed);

#endif
