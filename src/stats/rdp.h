/* SPDX-License-Identifier: BSD-3-Clause */
/* What differential privacy costs: the sampled Gaussian mechanism in Renyi's terms (Mironov, Talwar and Zhang 2019, "Renyi
 * Differential Privacy of the Sampled Gaussian Mechanism").
 *
 * Each round every client takes part with probability q by itself; the sum of the updates, each of norm at most S, gets Gaussian
 * noise of standard deviation sigma * S. */
#ifndef AT_STATS_RDP_H
#define AT_STATS_RDP_H

#include <stdint.h>

/* Renyi divergence of one round at order alpha > 1, integer or not: 0 <= q <= 1, sigma > 0.  Infinite at sigma = 0. */
double at_rdp_round(double q, double sigma, double alpha);
/* Smallest epsilon at delta over a set of orders after `rounds` rounds: rounds * rdp + log(1 / delta) / (alpha - 1) (Mironov
 * 2017, Proposition 3).  *order (may be NULL): where it is reached. */
double at_rdp_epsilon(double q, double sigma, int64_t rounds, double delta, double *order);
/* The same by the tighter conversion rounds * rdp + log(1 - 1 / alpha) - log(delta alpha) / (alpha - 1) (Canonne, Kamath and Steinke 2020,
 * Proposition 12). */
double at_rdp_epsilon_tight(double q, double sigma, int64_t rounds, double delta, double *order);

#endif
