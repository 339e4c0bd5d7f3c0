/* SPDX-License-Identifier: BSD-3-Clause */
/* The local loop of one client: steps of an optimiser over its stream, from the global model. */
#ifndef AT_FED_CLIENT_H
#define AT_FED_CLIENT_H

#include "src/fed/corpus.h"
#include "src/nn/lm_task.h"
#include "src/nn/optim.h"

/* What all clients share; borrowed. */
typedef struct at_local {
  at_lm_task *task;
  const at_vec *vec;
  const at_streams *streams;
  int64_t stride; /* of cursors: islands that share a client's stream */
  at_optim optim;
  at_schedule schedule;
  int32_t *tokens, *targets; /* [batch * context] each: buffers of one batch */
  at_poll poll;              /* called between kernels; may be NULL */
  void *poll_context;
} at_local;

/* What a client reports of a round (a row of doubles, so that it travels as one). */
typedef struct at_report {
  double steps;                            /* done */
  double loss_first, loss_last, loss_mean; /* training loss, nats per token */
  double grad_norm_max, clip_fraction, skipped;
  double delta_norm;         /* of the update; filled by the caller */
  double cursor, moment_age; /* where the client stands afterwards; filled by the caller */
  double inner_bytes;        /* sent between islands of the client, all together; filled by the caller */
  double failures;           /* attempts that broke off; filled by the caller */
  double valid;              /* 1, or 0: the result must not be used */
} at_report;
enum { AT_REPORT_WIDTH = sizeof(at_report) / sizeof(double) };

enum { AT_CLIENT_MAX_SKIPPED = 3 }; /* non-finite gradients in a row before a client gives up */

/* Of steps that follow one another: `next` goes on from what *r tells; zeros tell nothing. */
void at_report_append(at_report *r, const at_report *next);
/* Of islands of one client that trained side by side: means, extremes, and the most steps; valid if all are. */
at_report at_report_of_islands(int64_t n, const at_report *island);

/* Gradient of one batch of client `id` at `w` from its stream at *cursor, which advances by the batch times l->stride.  Returns the mean
 * loss; *grad as at_lm_task_grad's. */
double at_client_grad(const at_local *l, int64_t id, int64_t *cursor, const float *w, float **grad);

/* Train `steps` steps: w[n] and the moments in place, learning rate of global step first_step + i.  Plain SGD has no
 * moments: mom->m collects the sum of its steps lr * g, which is the client's update without the rounding of w.
 * AT_ERR_INTERRUPTED after a signal, between two steps; w, moments and cursor are then in the middle of a round. */
at_err at_client_train(const at_local *l, int64_t id, int64_t first_step, int64_t steps, int64_t *cursor, float *w,
                       at_moments *mom, at_report *report);

#endif
