/* SPDX-License-Identifier: BSD-3-Clause */
/* A language model compiled for training and evaluation: next-token prediction over windows of tokens.
 *
 * One object serves any number of simulated clients: a client is only the parameter vector that is passed in. */
#ifndef AT_NN_LM_TASK_H
#define AT_NN_LM_TASK_H

#include "src/nn/gpt.h"

typedef struct at_lm_task at_lm_task;

/* Programs for batches of `batch` (training) and `eval_batch` windows of c->context tokens.  k is borrowed. */
at_err at_lm_task_create(at_lm_task **out, const at_gpt *c, int batch, int eval_batch, const at_kernels *k);
/* The same without buffers, for its sizes and layout only: a model of any size can be looked at. */
at_err at_lm_task_measure(at_lm_task **out, const at_gpt *c, int batch, int eval_batch, const at_kernels *k);
void at_lm_task_destroy(at_lm_task *t);

const at_layout *at_lm_task_layout(const at_lm_task *t); /* of theta and of gradients; borrowed */
int64_t at_lm_task_context(const at_lm_task *t);
int at_lm_task_batch(const at_lm_task *t);
int at_lm_task_eval_batch(const at_lm_task *t);
size_t at_lm_task_bytes(const at_lm_task *t);           /* memory it holds: arena, gradient, constants */
at_program_stats at_lm_task_stats(const at_lm_task *t); /* of the training program */

/* Mean cross-entropy (nats per token) of tokens[batch][context] against targets[batch * context], and its gradient into
 * *grad (borrowed: valid until the next call; may be changed by the caller). */
double at_lm_task_grad(at_lm_task *t, const float *theta, const int32_t *tokens, const int32_t *targets, float **grad,
                       at_poll poll, void *context);
/* What *grad will be, and which parts of it are final after how many calls of `poll` (see at_program_ready; borrowed). */
float *at_lm_task_gradient(const at_lm_task *t, const at_ready **ready, int *n_ready);
/* One call of at_lm_task_grad, timed by operation into rows (see at_program_profile). */
void at_lm_task_profile(at_lm_task *t, const float *theta, const int32_t *tokens, const int32_t *targets,
                        double (*now_s)(void), at_profile *rows);
/* Sum of the cross-entropy over targets[eval_batch * context] that are >= 0, in nats. */
double at_lm_task_eval(at_lm_task *t, const float *theta, const int32_t *tokens, const int32_t *targets);

#endif
