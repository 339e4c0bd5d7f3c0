/* SPDX-License-Identifier: BSD-3-Clause */
/* Local training of simulated clients on labelled examples: what a rank needs to be any client, one after the other.
 *
 * A model is one vector of `length` = parameters, then running statistics (at_task_params, at_task_states). */
#ifndef AT_FED_LEARNER_H
#define AT_FED_LEARNER_H

#include "kernels/kernels.h"
#include "src/fed/population.h"
#include "src/nn/classifier.h"

/* Several clients' data taken as one (the centralised control). */
typedef struct at_crowd {
  int64_t n;
  const int64_t *client; /* [n], borrowed */
} at_crowd;

typedef struct at_learner {
  at_classifier_task *task; /* all borrowed but the buffers */
  const at_population *population;
  at_examples *set;
  const at_vec *vec;
  uint64_t seed;
  int64_t params, length; /* of the vectors */
  int64_t batch;          /* capacity of x and label */
  float *x;
  int32_t *label;
  int64_t *row, rows_cap; /* of the client at work */
  at_poll poll;           /* called between kernels; may be NULL */
  void *poll_context;
} at_learner;

/* batch: the most examples at once.  AT_ERR_CONFIG: the set has no classes, or the model does not take what it has. */
at_err at_learner_init(at_learner *l, at_classifier_task *task, const at_population *p, at_examples *set,
                       const at_kernels *k, uint64_t seed, int64_t batch);
void at_learner_fini(at_learner *l);
size_t at_learner_bytes(const at_learner *l); /* of the buffers */

/* One stretch of local training.  The step is w -= lr (g + weight_decay w + pull (w - anchor) + correction), g clipped; with momentum
 * the bracket is averaged first: v = momentum v + bracket. */
typedef struct at_lesson {
  at_crowd who;
  int64_t round; /* of the order of examples */
  int64_t epochs, batch;
  double lr, weight_decay, clip, momentum;
  double pull;
  const float *anchor;     /* [params]; NULL where pull = 0 */
  const float *correction; /* [params] or NULL */
  const bool *frozen;      /* [tensors of parameters]: stay as they are; NULL: none */
  float *v;                /* [params], zeroed here; NULL where momentum = 0 */
} at_lesson;

/* What came of it; sums over steps. */
typedef struct at_learned {
  double steps, examples, loss; /* loss: sum over examples */
} at_learned;

/* w[length] in place.  AT_ERR_INTERRUPTED after a signal. */
at_err at_learner_train(at_learner *l, const at_lesson *lesson, float *w, at_learned *out);

/* The rows of a crowd into l->row; *n of them.  And batch number `at` of an epoch into l->x and l->label: examples first ..
 * first + count - 1 of its order. */
at_err at_learner_open(at_learner *l, at_split split, const at_crowd *who, int64_t *n);
at_err at_learner_load(at_learner *l, const at_lesson *lesson, int64_t n, int64_t epoch, int64_t first, int64_t count);

/* Loss and hits over a client's held-out examples; examples = 0 where it has none. */
typedef struct at_tested {
  double examples, hits, loss;
} at_tested;
at_err at_learner_test(at_learner *l, at_split split, int64_t client, const float *w, at_tested *out);

#endif
