/* SPDX-License-Identifier: BSD-3-Clause */
/* Adaptive federated optimisation (Reddi et al. 2021): federated averaging whose mean update goes into a server optimiser. */
#include "sim/federate/federate.h"

const at_federate_row at_federate_method_fedopt = {
    .name = "fedopt",
    .summary = "the mean update goes into a server optimiser (fedadam, fedyogi, fedadagrad)",
    .presets = {"outer.method=fedadam", "outer.lr=0.01", "outer.beta2=0.99", "outer.eps=1e-3"},
    .train = at_federate_train_plainly};
