/* SPDX-License-Identifier: BSD-3-Clause */
/* Central differential privacy of clients (McMahan et al. 2018): each client's update is clipped, the server adds noise to the
 * sum.  What it costs is counted by src/stats/rdp.h. */
#ifndef AT_FED_PRIVACY_H
#define AT_FED_PRIVACY_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"

typedef struct at_privacy {
  double noise; /* standard deviation of the noise over `clip`; 0: none is added */
  double clip;  /* largest norm of an update; 0: not clipped */
  double delta; /* probability that the bound on epsilon does not hold */
  uint64_t seed;
} at_privacy;

/* Scale update[n] to norm `clip` where it is longer.  Returns its norm before; NaN if it is not finite. */
double at_privacy_clip(const at_privacy *p, const at_vec *vec, int64_t n, float *update, bool *clipped);
/* mean[n] += noise * clip / expected times standard normals of round `round`, the same wherever it is done.  expected: clients that the
 * sum was divided by. */
void at_privacy_add_noise(const at_privacy *p, int64_t round, double expected, int64_t n, float *mean);

#endif
