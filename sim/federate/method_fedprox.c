/* SPDX-License-Identifier: BSD-3-Clause */
/* FedProx (Li et al. 2020): local training is pulled towards the global model by mu / 2 |w - theta|^2. */
#include "sim/federate/federate.h"

static at_err train(at_federate *f, at_visit *v) {
  at_lesson lesson = at_federate_lesson(f, v);
  lesson.pull = f->cfg->mu;
  lesson.anchor = v->theta;
  return at_federate_teach(f, &lesson, v);
}

const at_federate_row at_federate_method_fedprox = {
    .name = "fedprox", .summary = "local training is pulled towards the global model (prox.mu)", .train = train};
