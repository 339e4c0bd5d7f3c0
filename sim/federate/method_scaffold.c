/* SPDX-License-Identifier: BSD-3-Clause */
/* SCAFFOLD (Karimireddy et al. 2020): control variates correct the drift of local training, by option II. */
#include "sim/federate/federate.h"

/* w steps along g - c_k + c; then c_k+ = c_k - c + (theta - w) / (steps lr), and the server subtracts the population's mean of
 * c_k - c_k+ from c. */
static at_err train(at_federate *f, at_visit *v) {
  at_lesson lesson = at_federate_lesson(f, v);
  f->learner.vec->sub(f->params, f->control, v->kept, f->scratch);
  lesson.correction = f->scratch;
  AT_TRY(at_federate_teach(f, &lesson, v));
  double scale = v->learned.steps > 0 ? 1 / (v->learned.steps * lesson.lr) : 0;
  for (int64_t i = 0; i < f->params && scale > 0; i++) {
    double change = f->control[i] - ((double)v->theta[i] - v->w[i]) * scale;
    float next = (float)(v->kept[i] - change);
    v->second[i] = v->kept[i] - next;
    v->kept[i] = next;
  }
  return AT_OK;
}

const at_federate_row at_federate_method_scaffold = {.name = "scaffold",
                                                     .summary = "control variates correct the drift of local training",
                                                     .train = train,
                                                     .keeps_control = true,
                                                     .has_second_sum = true};
