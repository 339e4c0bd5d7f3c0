/* SPDX-License-Identifier: BSD-3-Clause */
/* Ditto (Li et al. 2021): beside federated averaging every client trains a model of its own, pulled towards the global one. */
#include "sim/federate/federate.h"

#include <string.h>

/* The client's own model is trained in place of the shared one, which waits in scratch. */
static at_err train(at_federate *f, at_visit *v) {
  size_t bytes = (size_t)f->length * sizeof(float);
  at_learned learned;
  at_lesson own = at_federate_lesson(f, v);
  AT_TRY(at_federate_train_plainly(f, v));
  learned = v->learned;
  memcpy(f->scratch, v->w, bytes);
  memcpy(v->w, v->kept, bytes);
  own.pull = f->cfg->lambda;
  own.anchor = v->theta;
  AT_TRY(at_federate_teach(f, &own, v));
  memcpy(v->kept, v->w, bytes);
  memcpy(v->w, f->scratch, bytes);
  v->learned = learned;
  return AT_OK;
}

const at_federate_row at_federate_method_ditto = {
    .name = "ditto",
    .summary = "every client has a model of its own, pulled towards the global one (ditto.lambda)",
    .train = train,
    .keeps_second = true};
