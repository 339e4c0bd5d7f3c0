/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of the server optimiser, the same in every system that has one.
 *
 * T is the configuration struct, with the fields outer_kind, outer_lr, outer_momentum, outer_beta1, outer_beta2, outer_eps and
 * grid_bits; BETA2 and EPS are defaults, which differ because Delta does: thousands of steps of a language model, or an epoch. */
#ifndef AT_SIM_OUTER_ROWS_H
#define AT_SIM_OUTER_ROWS_H

#include "src/base/options.h"
#include "src/fed/outer.h"

#define AT_OUTER_ROWS(T, BETA2, EPS)                                                                                  \
  AT_OPT_ENUM(T, outer_kind, "outer.method", "fedavg", at_outer_names, "Server optimiser."),                          \
      AT_OPT_F64(T, outer_lr, "outer.lr", "1", 0, 100, "", "Server learning rate."),                                  \
      AT_OPT_F64(T, outer_momentum, "outer.momentum", "0.9", 0, 0.9999, "", "Momentum (fedmom, fednesterov)."),       \
      AT_OPT_F64(T, outer_beta1, "outer.beta1", "0.9", 0, 0.9999, "", "First decay (fedadam, fedyogi, fedadagrad)."), \
      AT_OPT_F64(T, outer_beta2, "outer.beta2", BETA2, 0, 0.9999, "", "Second decay (fedadam, fedyogi)."),            \
      AT_OPT_F64(T, outer_eps, "outer.eps", EPS, 1e-30, 1, "", "Added to the root (fedadam, fedyogi, fedadagrad)."),  \
      AT_OPT_INT(T, grid_bits, "outer.grid_bits", "50", 10, 100, "bits",                                              \
                 "Least bit of the fixed-point grid of exact sums: 2^-bits.")

#endif
