/* SPDX-License-Identifier: BSD-3-Clause */
/* The local loop of one client. */
#include "src/fed/client.h"

#include <math.h>

#include "src/base/fault.h"
#include "src/base/signals.h"

double at_client_grad(const at_local *l, int64_t id, int64_t *cursor, const float *w, float **grad) {
  int64_t context = at_lm_task_context(l->task);
  for (int b = 0; b < at_lm_task_batch(l->task); b++) {
    at_streams_window(l->streams, id, *cursor, l->tokens + b * context, l->targets + b * context);
    *cursor += l->stride;
  }
  return at_lm_task_grad(l->task, w, l->tokens, l->targets, grad, l->poll, l->poll_context);
}

void at_report_append(at_report *r, const at_report *next) {
  double before = r->steps, steps = before + next->steps;
  if (before == 0) {
    *r = *next;
    return;
  }
  if (next->steps > 0) {
    r->loss_last = next->loss_last;
    r->loss_mean = (r->loss_mean * before + next->loss_mean * next->steps) / steps;
    r->clip_fraction = (r->clip_fraction * before + next->clip_fraction * next->steps) / steps;
  }
  r->grad_norm_max = fmax(r->grad_norm_max, next->grad_norm_max);
  r->skipped += next->skipped;
  r->steps = steps;
  r->valid = next->valid;
}

at_report at_report_of_islands(int64_t n, const at_report *island) {
  at_report r = {.valid = 1};
  for (int64_t i = 0; i < n; i++) {
    const at_report *is = &island[i];
    r.loss_first += is->loss_first / (double)n;
    r.loss_last += is->loss_last / (double)n;
    r.loss_mean += is->loss_mean / (double)n;
    r.clip_fraction += is->clip_fraction / (double)n;
    r.grad_norm_max = fmax(r.grad_norm_max, is->grad_norm_max);
    r.moment_age = fmax(r.moment_age, is->moment_age);
    r.steps = fmax(r.steps, is->steps);
    r.skipped += is->skipped;
    r.valid = is->valid == 0 ? 0 : r.valid;
  }
  return r;
}

at_err at_client_train(const at_local *l, int64_t id, int64_t first_step, int64_t steps, int64_t *cursor, float *w,
                       at_moments *mom, at_report *report) {
  int64_t n = at_lm_task_layout(l->task)->count, skipped_in_a_row = 0, clipped = 0;
  double sum = 0;
  *report = (at_report){.loss_first = NAN, .loss_last = NAN, .loss_mean = NAN, .valid = 1};
  for (int64_t i = 0; i < steps && report->valid != 0; i++) {
    if (at_signals_pending()) {
      return AT_FAIL(AT_ERR_INTERRUPTED, "stopped by a signal in step %lld of client %lld", (long long)i,
                     (long long)id);
    }
    float *grad;
    double loss = at_client_grad(l, id, cursor, w, &grad);
    at_fault_point(AT_FAULT_STEP);
    double lr = at_schedule_lr(&l->schedule, first_step + i);
    at_step_info info = at_optim_step(&l->optim, l->vec, lr, n, grad, w, mom);
    if (l->optim.kind == AT_OPTIM_SGD && !info.skipped) {
      l->vec->axpy(lr * info.scale, n, grad, mom->m);
    }
    skipped_in_a_row = info.skipped ? skipped_in_a_row + 1 : 0;
    report->skipped += info.skipped;
    report->valid = skipped_in_a_row < AT_CLIENT_MAX_SKIPPED;
    report->loss_first = i == 0 ? loss : report->loss_first;
    report->loss_last = loss;
    report->grad_norm_max = fmax(report->grad_norm_max, info.grad_norm);
    report->steps += 1;
    clipped += info.clipped;
    sum += loss;
  }
  if (report->steps > 0) {
    report->loss_mean = sum / report->steps;
    report->clip_fraction = (double)clipped / report->steps;
  }
  return AT_OK;
}
