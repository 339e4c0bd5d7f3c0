/* SPDX-License-Identifier: BSD-3-Clause */
/* The data of the round's clients in one place: the control without distribution. */
#include "sim/federate/federate.h"

const at_federate_row at_federate_method_centralised = {.name = "centralised",
                                                        .summary = "the data of a round's clients in one place",
                                                        .train = at_federate_train_plainly,
                                                        .pooled = true};
