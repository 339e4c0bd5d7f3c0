/* SPDX-License-Identifier: BSD-3-Clause */
/* FedRep (Collins et al. 2021): a head for each client, trained first, then the shared body below it. */
#include "sim/federate/federate.h"

static const char *private_of(const at_federate_cfg *c) {
  return c->head;
}

static bool has_head(const at_federate *f) {
  for (int t = 0; t < at_task_params(at_classifier_task_get(f->task))->n; t++) {
    if (f->is_head[t]) {
      return true;
    }
  }
  return false;
}

static at_err train(at_federate *f, at_visit *v) {
  at_lesson body = at_federate_lesson(f, v), head = body;
  if (!has_head(f)) {
    return at_federate_teach(f, &body, v);
  }
  head.epochs = f->cfg->head_epochs;
  head.frozen = f->is_body;
  AT_TRY(at_federate_teach(f, &head, v));
  body.frozen = f->is_head;
  return at_federate_teach(f, &body, v);
}

const at_federate_row at_federate_method_fedrep = {.name = "fedrep",
                                                   .summary = "a head for each client, trained before the shared body",
                                                   .train = train,
                                                   .private_of = private_of};
