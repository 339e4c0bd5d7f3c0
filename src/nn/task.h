/* SPDX-License-Identifier: BSD-3-Clause */
/* A model with its loss, compiled for training and for evaluation: one program per pass and batch size, made when it is first
 * asked for and kept.
 *
 * The batch is the only thing that varies between the programs of a task: they share the layouts of theta and of the state, one
 * gradient and one arena, which is as large as the largest of them needs.  So one task serves any number of simulated clients: a
 * client is a parameter vector, a state vector and its data. */
#ifndef AT_NN_TASK_H
#define AT_NN_TASK_H

#include "src/nn/layers.h"

/* AT_PASS_SGD takes a step of plain stochastic gradient descent, theta - lr gradient, where the gradient is not wanted itself: each
 * parameter is updated in place as soon as nothing reads it any more, products of matrices are added up on it without being formed
 * first.  It is as AT_PASS_TRAIN and at_optim_step's SGD, up to rounding in products of more than AT_PRODUCT_DEPTH examples; but
 * nothing is clipped, and a gradient that is not finite is not refused: a loss or a theta that is not finite says so. */
typedef enum at_pass { AT_PASS_TRAIN, AT_PASS_EVAL, AT_PASS_SGD } at_pass;
enum { AT_TASK_OUTS = 4 };

/* What a task computes; everything is borrowed for the task's life. */
typedef struct at_task_def {
  /* Declares the inputs of `batch` examples on s->g and builds the model; out[0] .. are scalars.  Returns how many.  In
   * AT_PASS_TRAIN (which stands for AT_PASS_SGD too) the derivative of out[0] is taken.  The tensors must be the same for every pass and batch. */
  int (*build)(at_scope *s, const void *context, at_pass pass, int64_t batch, at_val out[AT_TASK_OUTS]);
  const void *context;
  const char *const *train; /* as at_scope's */
  at_linear_hook hook;      /* as at_scope's */
  void *hook_context;
  bool is_measured; /* without buffers: for sizes and layouts alone, never run */
} at_task_def;

typedef struct at_task at_task;

/* k is borrowed. */
at_err at_task_create(at_task **out, const at_task_def *def, const at_kernels *k);
void at_task_destroy(at_task *t);

const at_layout *at_task_params(const at_task *t); /* of theta and of gradients; borrowed */
const at_layout *at_task_states(const at_task *t); /* batch-norm's running statistics, and what is not trained */
/* Initial theta[params count] and state[states count].  A tensor starts the same whether it is trained or not, and whether there
 * are adapters or not. */
at_err at_task_init(const at_task *t, uint64_t seed, float *theta, float *state);

/* The program of a pass on `batch` examples; compiled at the first call, which may move the arena. */
at_err at_task_program(at_task *t, at_pass pass, int64_t batch, const at_program **out);
size_t at_task_bytes(const at_task *t); /* memory it holds: arena, gradient, constants */

/* One run; all borrowed. */
typedef struct at_task_call {
  const float *theta; /* changed by AT_PASS_SGD: then it must not be constant */
  double lr;          /* of AT_PASS_SGD */
  float *
      state; /* read; changed by AT_PASS_TRAIN and AT_PASS_SGD where there are running statistics.  NULL if the task has no state */
  const void *in[AT_BIND_IN];
  at_poll poll; /* may be NULL */
  void *poll_context;
} at_task_call;

/* Where at_task_exec writes the gradient. */
float *at_task_gradient(const at_task *t);
/* Runs a program of this task: value[i] = out[i].  In AT_PASS_TRAIN *grad (may be NULL) is the gradient, borrowed until the next
 * run; the caller may change it.  Allocates nothing. */
void at_task_exec(at_task *t, const at_program *p, const at_task_call *c, float value[AT_TASK_OUTS], float **grad);
/* The same, timed by operation into rows (see at_program_profile). */
void at_task_profile(at_task *t, const at_program *p, const at_task_call *c, float value[AT_TASK_OUTS],
                     double (*now_s)(void), at_profile *rows);
/* at_task_program and at_task_exec. */
at_err at_task_run(at_task *t, at_pass pass, int64_t batch, const at_task_call *c, float value[AT_TASK_OUTS],
                   float **grad);

#endif
