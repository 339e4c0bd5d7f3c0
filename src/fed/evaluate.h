/* SPDX-License-Identifier: BSD-3-Clause */
/* Held-out loss of a language model per silo, its work shared by the ranks. */
#ifndef AT_FED_EVALUATE_H
#define AT_FED_EVALUATE_H

#include "src/comm/comm.h"
#include "src/fed/corpus.h"
#include "src/nn/lm_task.h"

typedef struct at_evaluator {
  const at_corpus *corpus;   /* borrowed */
  at_lm_task *task;          /* borrowed */
  int split;                 /* at_split */
  int64_t windows;           /* most windows of a silo, from its beginning */
  int32_t *tokens, *targets; /* [eval_batch * context] each: buffers; borrowed */
  at_poll poll;              /* called after each batch; may be NULL */
  void *poll_context;
} at_evaluator;

/* Loss of one silo. */
typedef struct at_silo_loss {
  double nats;          /* sum over predicted tokens */
  double tokens, bytes; /* predicted tokens; text bytes they stand for */
} at_silo_loss;

/* The windows that are used of a silo: up to `windows`; a silo too short for one window is an AT_ERR_CONFIG. */
at_err at_evaluator_check(const at_evaluator *e);
/* Batches of all silos in the evaluator's split. */
int64_t at_evaluator_batches(const at_evaluator *e);
/* loss[n_silos] of theta; batches are dealt to the ranks, the sums are the same on all of them.  Collective. */
at_err at_evaluate(const at_evaluator *e, at_comm *comm, const float *theta, at_silo_loss *loss);
/* The same by this rank alone: not collective. */
void at_evaluate_alone(const at_evaluator *e, const float *theta, at_silo_loss *loss);

/* Mean over silos of the loss per token in nats, each silo weighing the same. */
double at_mixed_nats(const at_silo_loss *loss, int64_t n);
/* Mean over silos of bits per byte. */
double at_mixed_bits_per_byte(const at_silo_loss *loss, int64_t n);
double at_silo_bits_per_byte(const at_silo_loss *loss);

#endif
