/* SPDX-License-Identifier: BSD-3-Clause */
/* What the methods share: local training as the configuration says. */
#include <math.h>

#include "sim/federate/federate.h"

at_lesson at_federate_lesson(const at_federate *f, const at_visit *v) {
  const at_federate_cfg *c = f->cfg;
  return (at_lesson){.who = v->who,
                     .round = v->round,
                     .epochs = c->epochs,
                     .batch = c->batch,
                     .lr = c->lr * pow(c->lr_decay, (double)f->count.round),
                     .weight_decay = c->weight_decay,
                     .clip = c->clip,
                     .momentum = c->momentum,
                     .v = c->momentum > 0 ? f->velocity : NULL};
}

at_err at_federate_teach(at_federate *f, const at_lesson *lesson, at_visit *v) {
  return at_learner_train(&f->learner, lesson, v->w, &v->learned);
}

at_err at_federate_train_plainly(at_federate *f, at_visit *v) {
  at_lesson lesson = at_federate_lesson(f, v);
  return at_federate_teach(f, &lesson, v);
}
