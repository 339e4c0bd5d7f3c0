/* SPDX-License-Identifier: BSD-3-Clause */
/* FedBN (Li et al. 2021): normalisation layers and their statistics stay with the client. */
#include "sim/federate/federate.h"

static const char *private_of(const at_federate_cfg *c) {
  return c->norms;
}

const at_federate_row at_federate_method_fedbn = {.name = "fedbn",
                                                  .summary = "normalisation layers stay with the client (bn.tensors)",
                                                  .train = at_federate_train_plainly,
                                                  .private_of = private_of,
                                                  .keeps_states = true};
