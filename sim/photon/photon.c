/* SPDX-License-Identifier: BSD-3-Clause */
/* A run of federated pre-training from its first round, or its last checkpoint, to its table of losses. */
#include "sim/photon/photon.h"

#include <math.h>

#include "src/base/clock.h"
#include "src/base/fmt.h"
#include "src/base/progress.h"
#include "src/comm/watchdog.h"

static double bytes_sent(const at_photon *p, double *seconds) {
  double bytes = 0;
  *seconds = 0;
  for (int phase = 0; phase < AT_COMM_PHASE_COUNT; phase++) {
    at_comm_stats stats = at_comm_get_stats(p->s->world, (at_comm_phase)phase), inner = {0};
    if (p->silos != NULL) {
      inner = at_comm_get_stats(at_silos_inner(p->silos), (at_comm_phase)phase);
    }
    bytes += (double)(stats.bytes_sent + inner.bytes_sent);
    *seconds += stats.seconds + inner.seconds;
  }
  return bytes;
}

bool at_photon_is_evaluated(const at_photon *p) {
  return p->count.round + 1 == p->cfg->rounds || (p->count.round + 1) % p->cfg->eval_every == 0;
}

static int64_t most_epochs(const at_photon *p) {
  int64_t most = 0;
  for (int64_t k = 0; k < p->n_clients; k++) {
    int64_t epochs = at_streams_epochs(&p->streams, k, p->facts[k * AT_FACT_COUNT + AT_FACT_CURSOR]);
    most = epochs > most ? epochs : most;
  }
  return most;
}

at_err at_photon_play_round(at_photon *p) {
  bool is_evaluated = at_photon_is_evaluated(p);
  double start = at_clock_now_s(), mpi_before, mpi_after;
  double sent = bytes_sent(p, &mpi_before);
  int64_t tokens = p->count.tokens;
  at_comm_set_round(p->s->world, p->count.round + 1);
  AT_TRY(p->method->round(p));
  p->count.round++;
  p->fig.val_nats = p->fig.val_bits_per_byte = NAN;
  if (is_evaluated) {
    AT_TRY(at_photon_evaluate(p));
  }
  p->fig.steps = (double)p->count.steps;
  p->fig.tokens = (double)p->count.tokens;
  p->fig.epochs = (double)most_epochs(p);
  p->fig.theta_norm = p->method->own_model ? NAN : sqrt(p->local.vec->sumsq(p->n, p->theta));
  p->fig.mpi_bytes_sent = bytes_sent(p, &mpi_after) - sent;
  p->fig.mpi_seconds = mpi_after - mpi_before;
  p->fig.round_seconds = at_clock_now_s() - start;
  p->fig.tokens_per_second = (double)(p->count.tokens - tokens) / (p->fig.train_seconds + p->fig.exchange_seconds);
  return at_comm_agree(p->s->world, at_photon_metrics_row(p));
}

/* Also says what became of the files under way. */
static at_err flush_metrics(at_photon *p, bool force) {
  at_err err = at_run_status(p->run);
  if (err == AT_OK && p->metrics != NULL) {
    err = at_metrics_flush(p->metrics, force);
  }
  return at_comm_agree(p->s->world, err);
}

static void tell(const at_photon *p, at_progress *progress, int64_t tokens_before) {
  char text[64];
  snprintf(text, sizeof text, isnan(p->fig.val_nats) ? "loss %.3f" : "loss %.3f  val %.3f bits/byte", p->fig.train_loss,
           p->fig.val_bits_per_byte);
  at_progress_update(progress, p->count.round, (double)(p->count.tokens - tokens_before), "%s", text);
}

/* Metrics first: resuming drops rows that a checkpoint does not know, but could not make up for missing ones. */
static at_err save(at_photon *p) {
  double start = at_clock_now_s();
  AT_TRY(flush_metrics(p, true));
  AT_TRY(at_photon_save(p));
  p->fig.checkpoint_seconds = at_clock_now_s() - start;
  return AT_OK;
}

/* After a signal: what `saved` does not hold yet is saved. */
static at_err stop(at_photon *p, int64_t saved) {
  int64_t round = p->count.round;
  if (saved < round) {
    AT_TRY(save(p));
  }
  AT_TRY(at_run_settle(p->run, p->s->world));
  if (round == 0) {
    return AT_FAIL(AT_ERR_INTERRUPTED, "stopped by a signal in the first round: `atoll resume %s` begins it again",
                   at_run_folder(p->run));
  }
  return AT_FAIL(AT_ERR_INTERRUPTED, "stopped by a signal; saved after round %lld of %lld: `atoll resume %s` goes on",
                 (long long)round, (long long)p->cfg->rounds, at_run_folder(p->run));
}

/* Rounds until the last, or until a signal: then the last complete round is saved. */
static at_err play_rounds(at_photon *p, at_progress *progress) {
  int64_t rounds = p->cfg->rounds, saved = p->count.round, tokens = p->count.tokens;
  while (p->count.round < rounds) {
    bool last = p->count.round + 1 == rounds;
    at_err err = at_photon_play_round(p);
    if (err == AT_ERR_INTERRUPTED) {
      return stop(p, saved);
    }
    AT_TRY(err);
    tell(p, progress, tokens);
    if (last || p->count.round % p->cfg->run.checkpoint_every == 0) {
      AT_TRY(save(p));
      saved = p->count.round;
    } else {
      AT_TRY(flush_metrics(p, false));
    }
  }
  return at_run_settle(p->run, p->s->world);
}

/* The same, going back where a server step spoils the model. */
static at_err play_on(at_photon **p, at_opts *set, at_photon_cfg *cfg, at_progress *progress) {
  for (;;) {
    at_err err = play_rounds(*p, progress);
    if (err != AT_ERR_NONFINITE || !(*p)->is_spoilt) {
      return err;
    }
    AT_TRY(at_photon_roll_back(p, set, cfg));
  }
}

static void introduce(const at_photon *p) {
  char bytes[AT_FMT_MAX], flops[AT_FMT_MAX];
  at_gpt gpt = at_photon_model(p->cfg, p->corpus->vocab);
  at_program_stats stats = at_lm_task_stats(p->task);
  at_log_info(p->s->log, "run", "method = %s (%s), run = %s", p->method->name, p->method->summary,
              at_run_folder(p->run));
  at_log_info(p->s->log, "run",
              "clients = %lld, per round = %lld, silos = %lld, ranks = %d, threads per rank = %d, isa = %s",
              (long long)p->n_clients, (long long)p->per_round, (long long)p->corpus->n_silos,
              at_comm_size(p->s->world), p->s->pin.threads, p->s->kernels->isa_name);
  at_log_info(p->s->log, "model", "parameters = %lld, kernels per step = %d, arena = %s, work = %s per token",
              (long long)p->n, stats.nodes, at_fmt_bytes(bytes, (int64_t)stats.arena_bytes),
              at_fmt_si(flops, at_gpt_train_flops(&gpt), "FLOP"));
}

static void conclude(const at_photon *p, double seconds, int64_t tokens) {
  char rate[AT_FMT_MAX], planned[AT_FMT_MAX], used[AT_FMT_MAX], sent[AT_FMT_MAX], time[AT_FMT_MAX];
  double mpi_seconds;
  at_log_info(p->s->log, "done", "rounds = %lld, tokens = %lld, time = %s, throughput = %s", (long long)p->count.round,
              (long long)p->count.tokens, at_fmt_duration(time, seconds),
              at_fmt_si(rate, (double)(p->count.tokens - tokens) / seconds, "tokens/s"));
  at_log_info(p->s->log, "done", "validation = %.4f nats/token = %.4f bits/byte (mean over silos), sent by rank 0 = %s",
              p->fig.val_nats, p->fig.val_bits_per_byte, at_fmt_bytes(sent, (int64_t)bytes_sent(p, &mpi_seconds)));
  at_log_info(p->s->log, "done", "memory planned = %s, used = %s (peak minus warm-up)",
              at_fmt_bytes(planned, (int64_t)p->planned_bytes),
              at_fmt_bytes(used, at_process_peak_rss_bytes() - p->rss_before));
}

static at_err watch(const at_photon *p, at_watchdog **out) {
  char advice[4200];
  snprintf(advice, sizeof advice, "`atoll resume %s` goes on", at_run_folder(p->run));
  return at_watchdog_start(out, p->s->world, at_run_folder(p->run), p->cfg->run.watchdog_s, advice);
}

at_err at_photon_run(at_session *s, at_opts *set, void *cfg, bool resume) {
  at_photon *p = NULL;
  at_progress *progress = NULL;
  at_watchdog *watchdog = NULL;
  at_err err;
  AT_TRY(at_photon_create(&p, s, set, cfg, resume));
  introduce(p);
  AT_TRY_TO(err, done, watch(p, &watchdog));
  at_progress_spec spec = {.noun = "round", .unit = "tok", .start = p->count.round, .total = p->cfg->rounds};
  if (at_log_get_level(s->log) >= AT_LOG_INFO) {
    AT_TRY_TO(err, done, at_comm_agree(s->world, at_progress_create(&progress, at_comm_rank(s->world), &spec)));
  }
  double start = at_clock_now_s();
  int64_t tokens = p->count.tokens;
  at_comm_set_phase(s->world, AT_COMM_TRAIN);
  err = play_on(&p, set, cfg, progress);
  at_progress_destroy(progress);
  AT_TRY_TO(err, done, err);
  double seconds = at_clock_now_s() - start;
  AT_TRY_TO(err, done, at_photon_write_evaluation(p));
  conclude(p, seconds, tokens);
done:
  at_watchdog_stop(watchdog);
  at_photon_destroy(p);
  return err;
}
