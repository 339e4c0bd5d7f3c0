/* SPDX-License-Identifier: BSD-3-Clause */
/* How far the clients of a round agree, from the norms of their updates and the norm of the mean alone: no exchange of vectors.
 *
 * With Delta = sum_k w_k Delta_k, sum_k w_k = 1, K clients:
 *   consensus   = sum_k w_k |Delta_k|^2 - |Delta|^2          = sum_k w_k |theta_k - mean theta|^2
 * and, for equal weights and K >= 2,
 *   pair_dot    = (K^2 |Delta|^2 - sum |Delta_k|^2) / (K (K - 1))      mean of <Delta_j, Delta_k>, j != k
 *   pair_cosine = pair_dot over the mean of |Delta_j| |Delta_k|, j != k: cosines weighted by the lengths
 *   trace       = (mean |Delta_k|^2 - |Delta|^2) / (1 - 1/K)           unbiased variance of one client's update
 *   grad_sq     = (K |Delta|^2 - mean |Delta_k|^2) / (K - 1)           unbiased square of the expected update
 * (McCandlish et al. 2018 for the last two, with clients in place of examples).  These hold for the mean that the sum gives; a lossy
 * codec makes them approximate. */
#ifndef AT_FED_AGREEMENT_H
#define AT_FED_AGREEMENT_H

#include <stdint.h>

typedef struct at_agreement {
  double consensus, pair_dot, pair_cosine, trace, grad_sq; /* NaN where K or the weights do not allow it */
} at_agreement;

/* norm[k], weight[k] of k clients; weights are proportional to w_k.  mean_norm = |Delta|. */
at_agreement at_agreement_of(int64_t k, const double *norm, const double *weight, double mean_norm);

/* The noise scale EMA(trace) / EMA(grad_sq) in clients: with so many, noise and signal of the mean are as large.  Both averages begin
 * at zero and have seen the same rounds, so that their correction for it cancels.  Doubles alone: stored as a row of them. */
typedef struct at_noise_scale {
  double trace, grad_sq;
} at_noise_scale;
enum { AT_NOISE_SCALE_WIDTH = sizeof(at_noise_scale) / sizeof(double) };

/* Take a round in (not one whose trace is NaN); returns the scale, NaN before there is one, or where no signal is left. */
double at_noise_scale_add(at_noise_scale *s, const at_agreement *a);

#endif
