/* SPDX-License-Identifier: BSD-3-Clause */
/* Federated averaging (McMahan et al. 2017): the mean of locally trained models, by examples. */
#include "sim/federate/federate.h"

const at_federate_row at_federate_method_fedavg = {
    .name = "fedavg", .summary = "mean of locally trained models", .train = at_federate_train_plainly};
