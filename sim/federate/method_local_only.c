/* SPDX-License-Identifier: BSD-3-Clause */
/* Every client by itself: the control without federation. */
#include "sim/federate/federate.h"

static const char *private_of(const at_federate_cfg *c) {
  (void)c;
  return "*";
}

const at_federate_row at_federate_method_local_only = {.name = "local_only",
                                                       .summary = "every client alone, no exchange",
                                                       .train = at_federate_train_plainly,
                                                       .private_of = private_of,
                                                       .keeps_states = true,
                                                       .isolated = true};
