/* SPDX-License-Identifier: BSD-3-Clause */
/* Held-out loss of a language model per silo. */
#include "src/fed/evaluate.h"

#include "src/base/alloc.h"
#include "src/comm/exact.h"
#include "src/stats/markov.h"

static int64_t used_windows(const at_evaluator *e, int64_t silo) {
  int64_t n = e->corpus->silo[silo].split[e->split].n, context = at_lm_task_context(e->task);
  int64_t have = n > 0 ? (n - 1) / context : 0;
  return have < e->windows ? have : e->windows;
}

static int64_t silo_batches(const at_evaluator *e, int64_t silo) {
  int64_t size = at_lm_task_eval_batch(e->task);
  return (used_windows(e, silo) + size - 1) / size;
}

at_err at_evaluator_check(const at_evaluator *e) {
  for (int64_t s = 0; s < e->corpus->n_silos; s++) {
    if (used_windows(e, s) < 1) {
      return AT_FAIL(AT_ERR_CONFIG,
                     "silo %s has too little held-out text for one window of %lld tokens: lower model.context or build "
                     "a larger data set",
                     e->corpus->silo[s].name, (long long)at_lm_task_context(e->task));
    }
  }
  return AT_OK;
}

int64_t at_evaluator_batches(const at_evaluator *e) {
  int64_t total = 0;
  for (int64_t s = 0; s < e->corpus->n_silos; s++) {
    total += silo_batches(e, s);
  }
  return total;
}

/* One batch: windows past the last one are padded with targets that count nothing. */
static at_silo_loss run_batch(const at_evaluator *e, const float *theta, int64_t silo, int64_t batch) {
  const at_tokens *t = &e->corpus->silo[silo].split[e->split];
  int64_t context = at_lm_task_context(e->task), size = at_lm_task_eval_batch(e->task);
  at_silo_loss loss = {0};
  for (int64_t b = 0; b < size; b++) {
    int64_t window = batch * size + b;
    int32_t *tokens = e->tokens + b * context, *targets = e->targets + b * context;
    if (window < used_windows(e, silo)) {
      at_tokens_get(t, window * context, context, tokens);
      at_tokens_get(t, window * context + 1, context, targets);
      loss.tokens += (double)context;
      loss.bytes += (double)at_corpus_bytes_of(e->corpus, targets, context);
      continue;
    }
    for (int64_t i = 0; i < context; i++) {
      tokens[i] = 0;
      targets[i] = -1;
    }
  }
  loss.nats = at_lm_task_eval(e->task, theta, e->tokens, e->targets);
  if (e->poll != NULL) {
    e->poll(e->poll_context);
  }
  return loss;
}

static void add_loss(at_silo_loss *sum, const at_silo_loss *x) {
  sum->nats += x->nats;
  sum->tokens += x->tokens;
  sum->bytes += x->bytes;
}

void at_evaluate_alone(const at_evaluator *e, const float *theta, at_silo_loss *loss) {
  for (int64_t s = 0; s < e->corpus->n_silos; s++) {
    loss[s] = (at_silo_loss){0};
    for (int64_t b = 0; b < silo_batches(e, s); b++) {
      at_silo_loss one = run_batch(e, theta, s, b);
      add_loss(&loss[s], &one);
    }
  }
}

at_err at_evaluate(const at_evaluator *e, at_comm *comm, const float *theta, at_silo_loss *loss) {
  int64_t n_silos = e->corpus->n_silos, item = 0, n_local = 0, n_all = 0;
  int64_t total = at_evaluator_batches(e), *ids = NULL, *all_ids = NULL;
  at_silo_loss *rows = NULL, *all = NULL;
  at_err err = at_alloc(&ids, (size_t)total, sizeof *ids, "evaluation");
  if (err == AT_OK) {
    err = at_alloc(&rows, (size_t)total, sizeof *rows, "evaluation");
  }
  AT_TRY_TO(err, done, at_comm_agree(comm, err));
  for (int64_t s = 0; s < n_silos; s++) {
    for (int64_t b = 0; b < silo_batches(e, s); b++, item++) {
      if (item % at_comm_size(comm) == at_comm_rank(comm)) {
        ids[n_local] = item;
        rows[n_local++] = run_batch(e, theta, s, b);
      }
    }
  }
  at_comm_phase before = at_comm_set_phase(comm, AT_COMM_EVALUATE);
  err = at_comm_gather_by_id(comm, n_local, ids, sizeof *rows / sizeof(double), (const double *)rows, &n_all, &all_ids,
                             (double **)&all);
  at_comm_set_phase(comm, before);
  AT_TRY_TO(err, done, err);
  item = 0;
  for (int64_t s = 0; s < n_silos; s++) {
    loss[s] = (at_silo_loss){0};
    for (int64_t b = 0; b < silo_batches(e, s); b++, item++) {
      add_loss(&loss[s], &all[item]);
    }
  }
done:
  at_free(ids);
  at_free(rows);
  at_free(all_ids);
  at_free(all);
  return err;
}

double at_mixed_nats(const at_silo_loss *loss, int64_t n) {
  double sum = 0;
  for (int64_t s = 0; s < n; s++) {
    sum += loss[s].nats / loss[s].tokens;
  }
  return sum / (double)n;
}

double at_silo_bits_per_byte(const at_silo_loss *loss) {
  return at_bits_per_byte(loss->nats, (int64_t)loss->bytes);
}

double at_mixed_bits_per_byte(const at_silo_loss *loss, int64_t n) {
  double sum = 0;
  for (int64_t s = 0; s < n; s++) {
    sum += at_silo_bits_per_byte(&loss[s]);
  }
  return sum / (double)n;
}
