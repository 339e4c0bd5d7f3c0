/* SPDX-License-Identifier: BSD-3-Clause */
/* A run of cross-device federated learning from its first round, or its last checkpoint, to its table of accuracies. */
#include "sim/federate/federate.h"

#include <math.h>

#include "src/base/clock.h"
#include "src/base/fmt.h"
#include "src/base/progress.h"
#include "src/comm/watchdog.h"

static double bytes_sent(const at_federate *f, double *seconds) {
  double bytes = 0;
  *seconds = 0;
  for (int phase = 0; phase < AT_COMM_PHASE_COUNT; phase++) {
    at_comm_stats stats = at_comm_get_stats(f->s->world, (at_comm_phase)phase);
    bytes += (double)stats.bytes_sent;
    *seconds += stats.seconds;
  }
  return bytes;
}

/* Over all ranks. */
static at_err count_states(at_federate *f) {
  if (f->shelf == NULL) {
    return AT_OK;
  }
  int64_t n[2] = {at_shelf_clients(f->shelf), at_shelf_disk_bytes(f->shelf)};
  AT_TRY(at_comm_allreduce(f->s->world, AT_COMM_I64, AT_COMM_SUM, n, 2));
  f->fig.stateful_clients = (double)n[0];
  f->fig.state_bytes = (double)n[1];
  return AT_OK;
}

at_err at_federate_play_round(at_federate *f) {
  bool last = f->count.round + 1 == f->cfg->rounds;
  double start = at_clock_now_s(), mpi_before, mpi_after;
  double sent = bytes_sent(f, &mpi_before);
  int64_t examples = f->count.examples;
  at_comm_set_round(f->s->world, f->count.round + 1);
  AT_TRY(at_federate_round(f));
  f->count.round++;
  if (last || f->count.round % f->cfg->eval_every == 0) {
    AT_TRY(at_federate_evaluate(f));
  }
  AT_TRY(count_states(f));
  f->fig.examples = (double)f->count.examples;
  f->fig.bytes_total = f->clock.bytes;
  f->fig.virtual_seconds = f->clock.now_s;
  f->fig.mpi_bytes_sent = bytes_sent(f, &mpi_after) - sent;
  f->fig.mpi_seconds = mpi_after - mpi_before;
  f->fig.round_seconds = at_clock_now_s() - start;
  f->fig.examples_per_second =
      (double)(f->count.examples - examples) / (f->fig.train_seconds + f->fig.exchange_seconds);
  return at_comm_agree(f->s->world, at_federate_metrics_row(f));
}

static at_err flush_metrics(at_federate *f, bool force) {
  at_err err = f->metrics != NULL ? at_metrics_flush(f->metrics, force) : AT_OK;
  return at_comm_agree(f->s->world, err);
}

static void tell(const at_federate *f, at_progress *progress, int64_t before) {
  char text[64];
  snprintf(text, sizeof text, isnan(f->fig.accuracy) ? "loss %.3f" : "loss %.3f  accuracy %.1f %%", f->fig.train_loss,
           100 * f->fig.accuracy);
  at_progress_update(progress, f->count.round, (double)(f->count.examples - before), "%s", text);
}

/* Metrics first: resuming drops rows that a checkpoint does not know, but could not make up for missing ones. */
static at_err save(at_federate *f) {
  AT_TRY(flush_metrics(f, true));
  return at_federate_save(f);
}

/* After a signal: what `saved` does not hold yet is saved. */
static at_err stop(at_federate *f, int64_t saved) {
  int64_t round = f->count.round;
  if (saved < round) {
    AT_TRY(save(f));
  }
  return round == 0
             ? AT_FAIL(AT_ERR_INTERRUPTED, "stopped by a signal in the first round: `atoll resume %s` begins it again",
                       at_run_folder(f->run))
             : AT_FAIL(AT_ERR_INTERRUPTED,
                       "stopped by a signal; saved after round %lld of %lld: `atoll resume %s` goes on",
                       (long long)round, (long long)f->cfg->rounds, at_run_folder(f->run));
}

/* Rounds until the last, or until a signal: then the last complete round is saved. */
static at_err play_rounds(at_federate *f, at_progress *progress) {
  int64_t rounds = f->cfg->rounds, saved = f->count.round, examples = f->count.examples;
  while (f->count.round < rounds) {
    bool last = f->count.round + 1 == rounds;
    at_err err = at_federate_play_round(f);
    if (err == AT_ERR_INTERRUPTED) {
      return stop(f, saved);
    }
    AT_TRY(err);
    tell(f, progress, examples);
    if (last || f->count.round % f->cfg->run.checkpoint_every == 0) {
      AT_TRY(save(f));
      saved = f->count.round;
    } else {
      AT_TRY(flush_metrics(f, false));
    }
  }
  return AT_OK;
}

static void introduce(const at_federate *f) {
  char flops[AT_FMT_MAX];
  at_log_info(f->s->log, "run", "method = %s (%s), run = %s", f->method->name, f->method->summary,
              at_run_folder(f->run));
  at_log_info(f->s->log, "run", "population = %lld, per round = %lld, ranks = %d, threads per rank = %d, isa = %s",
              (long long)f->n_clients, (long long)f->per_round, f->size, f->s->pin.threads, f->s->kernels->isa_name);
  at_log_info(f->s->log, "model", "%s: parameters = %lld, kept by a client = %lld, work = %s per example",
              f->cfg->model, (long long)f->params, (long long)(f->n_private + f->n_kept),
              at_fmt_si(flops, f->flops_per_example, "FLOP"));
}

static void conclude(const at_federate *f, double seconds, int64_t examples) {
  char rate[AT_FMT_MAX], planned[AT_FMT_MAX], used[AT_FMT_MAX], bytes[AT_FMT_MAX], time[AT_FMT_MAX],
      virtual_time[AT_FMT_MAX];
  at_log_info(f->s->log, "done", "rounds = %lld, examples = %lld, time = %s, throughput = %s",
              (long long)f->count.round, (long long)f->count.examples, at_fmt_duration(time, seconds),
              at_fmt_si(rate, (double)(f->count.examples - examples) / seconds, "examples/s"));
  at_log_info(f->s->log, "done", "accuracy = %.2f %% (%lld clients), to and from clients = %s, virtual time = %s",
              100 * f->fig.accuracy, (long long)f->n_tested, at_fmt_bytes(bytes, (int64_t)f->clock.bytes),
              at_fmt_duration(virtual_time, f->clock.now_s));
  at_log_info(f->s->log, "done", "memory planned = %s, used = %s (peak minus warm-up)",
              at_fmt_bytes(planned, (int64_t)f->planned_bytes),
              at_fmt_bytes(used, at_process_peak_rss_bytes() - f->rss_before));
}

static at_err watch(const at_federate *f, at_watchdog **out) {
  char advice[4200];
  snprintf(advice, sizeof advice, "`atoll resume %s` goes on", at_run_folder(f->run));
  return at_watchdog_start(out, f->s->world, at_run_folder(f->run), f->cfg->run.watchdog_s, advice);
}

at_err at_federate_run(at_session *s, at_opts *set, void *cfg, bool resume) {
  at_federate *f = NULL;
  at_progress *progress = NULL;
  at_watchdog *watchdog = NULL;
  at_err err;
  AT_TRY(at_federate_create(&f, s, set, cfg, resume));
  introduce(f);
  AT_TRY_TO(err, done, watch(f, &watchdog));
  at_progress_spec spec = {.noun = "round", .unit = "ex", .start = f->count.round, .total = f->cfg->rounds};
  if (at_log_get_level(s->log) >= AT_LOG_INFO) {
    AT_TRY_TO(err, done, at_comm_agree(s->world, at_progress_create(&progress, f->rank, &spec)));
  }
  double start = at_clock_now_s();
  int64_t examples = f->count.examples;
  at_comm_set_phase(s->world, AT_COMM_TRAIN);
  err = play_rounds(f, progress);
  at_progress_destroy(progress);
  AT_TRY_TO(err, done, err);
  double seconds = at_clock_now_s() - start;
  AT_TRY_TO(err, done, at_federate_write_evaluation(f));
  conclude(f, seconds, examples);
done:
  at_watchdog_stop(watchdog);
  at_federate_destroy(f);
  return err;
}
