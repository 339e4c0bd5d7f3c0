/* SPDX-License-Identifier: BSD-3-Clause */
/* FedBABU (Oh et al. 2022): the body is trained below a head that stays random; clients tune the whole to be tested. */
#include "sim/federate/federate.h"

static at_err train(at_federate *f, at_visit *v) {
  at_lesson lesson = at_federate_lesson(f, v);
  lesson.frozen = f->is_head;
  return at_federate_teach(f, &lesson, v);
}

const at_federate_row at_federate_method_fedbabu = {.name = "fedbabu",
                                                    .summary = "the body is trained, the head only when tested",
                                                    .presets = {"eval.adapt_epochs=1"},
                                                    .train = train};
