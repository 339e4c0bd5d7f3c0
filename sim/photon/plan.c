/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run of federated pre-training will take: sizes from its own set-up, lengths from short files of the same
 * structure, bytes by the conventions of src/comm/comm.h, time from a few real rounds. */
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "sim/limits.h"
#include "sim/photon/photon.h"
#include "sim/scratch.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/store/fs.h"

/* What is known of the run before anything is measured. */
typedef struct shape {
  int ranks, team_size;                                       /* ranks that share a client's islands */
  int64_t n_clients, per_round, n_own, batches, test_batches; /* batches of an evaluation */
  double checkpoint_bytes;
} shape;

/* Of the share of a rank, in seconds. */
typedef struct timing {
  double start;      /* until the first round */
  double step, rest; /* a local step of all its clients; what else is in a round */
  double batch;      /* of an evaluation */
  double save;       /* a checkpoint with the metrics */
} timing;

/* ---- memory ---- */

static void plan_memory(const at_photon *p, at_plan *out) {
  static const char *const part[AT_PHOTON_MEMORY_COUNT][2] = {
      [AT_PHOTON_DATA] = {"data set", "build it with a lower max_bytes_per_silo (data)"},
      [AT_PHOTON_WORK] = {"activations, gradient, batches",
                          "lower local.batch, eval.batch or model.context, or set model.recompute=true"},
      [AT_PHOTON_REPLICATED] = {"model, server, sums", "lower model.width or model.layers"},
      [AT_PHOTON_OWN] = {"state of clients at home here",
                         "take more ranks, lower fed.clients, or set fed.moments=reset"},
      [AT_PHOTON_FLIGHT] = {"clients at work", "take more ranks or lower fed.per_round"},
      [AT_PHOTON_LIBRARIES] = {"buffers of MPI and HDF5", "take fewer ranks"},
  };
  for (int i = 0; i < AT_PHOTON_MEMORY_COUNT; i++) {
    at_plan_add(&out->memory, part[i][0], (double)p->planned_part[i], part[i][1]);
  }
  out->process = (double)p->rss_before;
}

/* ---- files ---- */

static at_err length_of(const char *path, double *bytes) {
  struct stat s;
  if (stat(path, &s) != 0) {
    return AT_FAIL(AT_ERR_FILE, "%s cannot be looked at", path);
  }
  *bytes = (double)s.st_size;
  return AT_OK;
}

/* The file of so many rounds. */
static at_err measure_rows(at_photon *p, const char *path, int64_t rows, double *bytes) {
  while (p->count.round < rows) {
    p->count.round++;
    AT_TRY(at_photon_metrics_row(p));
  }
  AT_TRY(at_metrics_flush(p->metrics, true));
  return length_of(path, bytes);
}

/* A row more is so many bytes more, once there are many. */
static at_err measure_metrics(at_photon *p, const char *path, double *bytes) {
  enum { MANY = 4096 };
  int64_t rounds = p->cfg->rounds, rows = rounds < MANY ? rounds : MANY;
  double half = 0;
  AT_TRY(at_photon_metrics_create(p, path));
  AT_TRY(measure_rows(p, path, rows / 2, &half));
  AT_TRY(measure_rows(p, path, rows, bytes));
  *bytes += (double)(rounds - rows) * (*bytes - half) / (double)(rows - rows / 2);
  return AT_OK;
}

static void add_file(at_plan *out, const char *name, double bytes, double most, const char *advice) {
  out->file[out->n_files++] = (at_plan_file){name, bytes, most, advice};
}

static double checkpoints(const at_photon_cfg *c) {
  return ceil((double)c->rounds / (double)c->run.checkpoint_every);
}

/* Rank 0 only. */
static at_err plan_files(at_photon *p, const char *folder, at_plan *out) {
  const at_photon_cfg *c = p->cfg;
  char path[4200];
  int64_t checkpoint = 0;
  double metrics = 0, evaluation = 0, keep = (double)c->run.checkpoint_keep;
  AT_TRY(at_photon_measure_checkpoint(p, folder, &checkpoint));
  snprintf(path, sizeof path, "%s/metrics.h5", folder);
  AT_TRY(measure_metrics(p, path, &metrics));
  snprintf(path, sizeof path, "%s/evaluation.h5", folder);
  AT_TRY(at_photon_write_empty_evaluation(p, path));
  AT_TRY(length_of(path, &evaluation));
  AT_TRY(length_of(c->run.data, &out->data_file));
  /* a new one is complete before an old one goes */
  double most = keep == 0 ? checkpoints(c) : fmin(keep + 1, checkpoints(c));
  add_file(out, "checkpoint", (double)checkpoint, most,
           keep == 0 ? "set checkpoint.keep=2 (it is 0: all are kept)" : "lower checkpoint.keep or the model's size");
  add_file(out, "metrics", metrics, 2, "lower fed.rounds");
  add_file(out, "evaluation", evaluation, 1, "take fewer silos");
  return AT_OK;
}

/* ---- bytes ---- */

/* Vectors of the model's length that a round sums over its clients. */
static double sums_of_a_round(const at_photon *p) {
  if (p->method->own_model) {
    return 0;
  }
  if (p->method->keeps_moments) {
    return (double)p->cfg->steps;
  }
  return 1 + at_photon_mean_moments(p);
}

/* Sent by rank 0 in an agreement, and in a table of `rows` rows of `width` doubles that is gathered by client. */
static double agreement(int ranks) {
  return (double)at_comm_allreduce_bytes(8, ranks);
}

double at_photon_table_bytes(int ranks, double rows, double width) {
  double others = ranks - 1;
  return ranks == 1 ? 0
                    : 2 * agreement(ranks) + 8 * others + 8 * (1 + width) * (rows - floor((rows + ranks - 2) / ranks));
}

/* Seconds of a round in which nothing goes wrong, on the declared devices and links. */
static void plan_virtual(at_photon *p, double wire_bytes, at_plan *out) {
  if (!at_conditions_keep_time(&p->cfg->net)) {
    return;
  }
  int algorithm =
      at_photon_has_channel(p) && !p->channel_cfg.is_secure ? p->channel_cfg.reduce.algorithm : AT_ALGORITHM_auto;
  at_conditions calm = p->cfg->net;
  calm.dropouts = calm.stragglers = calm.spread = calm.failures = 0;
  const at_ask ask = at_photon_ask(p, 0);
  out->virtual_local_s = at_conditions_fate(&calm, &ask).seconds;
  out->virtual_exchange_s =
      at_photon_exchange_seconds(p, algorithm, (double)p->per_round, at_photon_mean_moments(p), wire_bytes);
  out->has_virtual = true;
}

/* What all the clients of a round send one another, and rank 0 of it: `at` says how through a channel. */
static at_err plan_exchange(const at_photon *p, const shape *sh, at_traffic *at) {
  if (at_photon_has_channel(p)) {
    return at_photon_exchange_traffic(p, p->cfg->rounds - 1, at);
  }
  int64_t vector_bytes = at_photon_sum_bytes(p, sh->per_round);
  int64_t first = (sh->per_round + p->team.teams - 1) / p->team.teams; /* clients of rank 0 */
  int64_t rank_bytes = p->exact != NULL ? at_exact_bytes(p->n, at_exact_tensors(p->exact), sh->ranks, 0, first)
                                        : at_comm_allreduce_bytes(vector_bytes, sh->ranks);
  double sums = sums_of_a_round(p), all = 0;
  at_photon_topology_bytes(p, (double)at_comm_allreduce_bytes(vector_bytes, (int)sh->per_round), (double)sh->per_round,
                           &all);
  *at = (at_traffic){
      .clients = sums * all, .rank = sums * (double)rank_bytes, .elements = sums * (double)p->n, .is_exact = true};
  return AT_OK;
}

static at_err plan_traffic(at_photon *p, const shape *sh, at_plan *out) {
  const at_photon_cfg *c = p->cfg;
  int ranks = sh->ranks;
  double sums = sums_of_a_round(p), per_round = (double)sh->per_round, silos = (double)p->corpus->n_silos;
  at_traffic at;
  AT_TRY(plan_exchange(p, sh, &at));
  out->client_bytes = at.clients / per_round;
  if (!at_photon_has_channel(p) && c->topology == AT_TOPOLOGY_ps) {
    out->client_bytes /= 2; /* the other half is the server's */
  }
  out->link_bits = sh->per_round > 1 && at.elements > 0 ? 4 * at.clients / ((per_round - 1) * at.elements) : 0;
  out->is_most = !at.is_exact;
  out->rank_bytes = at.rank + 2 * agreement(ranks) + at_photon_table_bytes(ranks, per_round, AT_REPORT_WIDTH);
  if (p->method->keeps_moments) {
    out->rank_bytes += sums * agreement(ranks); /* may a signal have come? */
  } else if (!p->method->own_model) {
    out->rank_bytes += 4 * agreement(ranks) + at_photon_table_bytes(ranks, per_round, 1); /* outliers, norms, cosines */
    out->rank_bytes += at_photon_island_rank_bytes(p);
  }
  out->eval_bytes = agreement(ranks);
  out->eval_bytes += p->method->own_model ? at_photon_table_bytes(ranks, (double)sh->n_clients, 3 * silos)
                                          : agreement(ranks) + at_photon_table_bytes(ranks, (double)sh->batches, 3);
  if (c->eval_gain) {
    out->eval_bytes += 2 * agreement(ranks) + at_photon_table_bytes(ranks, per_round, 1) +
                       at_photon_table_bytes(ranks, (double)sh->batches, 3);
  }
  out->run_bytes =
      (double)c->rounds * out->rank_bytes + ceil((double)c->rounds / (double)c->eval_every) * out->eval_bytes;
  plan_virtual(p, at.clients, out);
  return AT_OK;
}

/* ---- time ---- */

/* A run of as many clients as the ranks at hand would play of the planned run. */
static at_photon_cfg share_of(const at_photon_cfg *c, const shape *sh, int ranks, char *folder) {
  at_photon_cfg share = *c;
  share.run.run = folder;
  share.run.checkpoint_keep = 1;
  if (ranks != sh->ranks) {
    share.clients = (sh->n_clients * ranks + sh->ranks - 1) / sh->ranks;
    share.per_round = (sh->per_round * ranks + sh->ranks - 1) / sh->ranks;
    share.islands = (c->islands + sh->team_size - 1) / sh->team_size;
    share.quorum = 0;
  }
  return share;
}

/* The slowest rank decides: all get the same numbers. */
static at_err slowest(at_photon *p, double *seconds, int n) {
  return at_comm_allreduce(p->s->world, AT_COMM_F64, AT_COMM_MAX, seconds, n);
}

/* One round of `steps` steps, added to the seconds spent in training and besides. */
static at_err play(at_photon *p, at_photon_cfg *c, int64_t steps, double *train, double *rest) {
  c->steps = steps;
  double start = at_clock_now_s();
  at_comm_set_round(p->s->world, p->count.round + 1);
  AT_TRY(p->method->round(p));
  p->count.round++;
  double spent[2] = {p->fig.train_seconds, at_clock_now_s() - start};
  AT_TRY(slowest(p, spent, 2));
  *train += spent[0];
  *rest += fmax(spent[1] - spent[0], 0);
  return AT_OK;
}

static const double budget_s = 1;

/* Rounds as long as the planned ones where they are short, else of as many steps as take about a second. */
static at_err time_rounds(at_photon *p, at_photon_cfg *c, timing *t) {
  int64_t planned = c->steps, steps, all = 0, rounds = 0; /* also of rounds without a step, a step is timed */
  double train = 0, rest = 0;
  AT_TRY(play(p, c, 1, &train, &rest)); /* memory is touched for the first time */
  if (train + rest < budget_s) {
    train = rest = 0;
    AT_TRY(play(p, c, 1, &train, &rest));
  }
  steps = (int64_t)fmax(fmin(budget_s / train, (double)planned), 1);
  if (steps > 1 || train + rest < budget_s) {
    for (train = rest = 0; rounds == 0 || train + rest < budget_s; rounds++) {
      AT_TRY(play(p, c, steps, &train, &rest));
      all += steps;
    }
  } else {
    all = rounds = 1;
  }
  c->steps = planned;
  t->step = train / (double)all;
  t->rest = rest / (double)rounds;
  return AT_OK;
}

/* Batches of an evaluation that the busiest rank computes. */
static double share_of_batches(bool own_model, int64_t n_own, int64_t batches, int ranks) {
  return own_model ? (double)(n_own * batches) : (double)((batches + ranks - 1) / ranks);
}

/* A whole evaluation where that is quick, else some batches alone. */
static at_err time_evaluation(at_photon *p, timing *t) {
  int64_t batches = at_evaluator_batches(&p->eval), done = 0;
  double start = at_clock_now_s(), spent = 0;
  for (; done == 0 || spent < budget_s / 5; done++) {
    at_lm_task_eval(p->task, p->theta, p->local.tokens, p->local.targets);
    spent = at_clock_now_s() - start;
  }
  t->batch = spent / (double)done;
  AT_TRY(slowest(p, &t->batch, 1));
  double share = share_of_batches(p->method->own_model, p->n_own, batches, p->size);
  AT_TRY(slowest(p, &share, 1));
  if (share * t->batch < budget_s) {
    AT_TRY(at_photon_evaluate(p));
    t->batch = p->fig.eval_seconds / share;
    AT_TRY(slowest(p, &t->batch, 1));
  }
  return AT_OK;
}

static at_err time_checkpoint(at_photon *p, double planned_bytes, timing *t) {
  enum { TIMES = 3 };
  double bytes = 0;
  for (int i = 0; i < TIMES; i++) {
    AT_TRY(at_run_settle(p->run, p->s->world)); /* in a run, a round is longer than a file takes to the disk */
    double start = at_clock_now_s();
    AT_TRY(at_comm_agree(p->s->world, at_photon_metrics_row(p)));
    AT_TRY(at_comm_agree(p->s->world, p->metrics != NULL ? at_metrics_flush(p->metrics, true) : AT_OK));
    AT_TRY(at_photon_save(p));
    t->save += (at_clock_now_s() - start) / TIMES;
    p->count.round++;
  }
  AT_TRY(at_run_settle(p->run, p->s->world));
  char *path = NULL;
  at_err err = AT_OK;
  if (at_comm_rank(p->s->world) == 0) {
    err = at_ckpt_path(&path, at_run_folder(p->run), p->count.round - 1);
    err = err == AT_OK ? length_of(path, &bytes) : err;
  }
  at_free(path);
  AT_TRY(at_comm_agree(p->s->world, err));
  AT_TRY(slowest(p, &bytes, 1));
  AT_TRY(slowest(p, &t->save, 1));
  t->save *= fmax(planned_bytes / bytes, 1); /* the clients of other ranks are in it, too */
  return AT_OK;
}

static at_err measure(at_session *s, at_opts *set, at_photon_cfg *c, const shape *sh, timing *t) {
  at_photon *p = NULL;
  double start = at_clock_now_s();
  AT_TRY(at_photon_create(&p, s, set, c, false));
  t->start = at_clock_now_s() - start;
  at_comm_phase before = at_comm_set_phase(s->world, AT_COMM_TRAIN);
  at_err err;
  AT_TRY_TO(err, done, time_rounds(p, c, t));
  AT_TRY_TO(err, done, time_evaluation(p, t));
  AT_TRY_TO(err, done, time_checkpoint(p, sh->checkpoint_bytes, t));
done:
  at_comm_set_phase(s->world, before);
  at_photon_destroy(p);
  return err;
}

static void plan_time(const at_photon_cfg *c, const shape *sh, const timing *t, at_plan *out) {
  bool own_model = at_photon_methods[c->method].own_model;
  double rounds = (double)c->rounds;
  double evaluation = t->batch * share_of_batches(own_model, sh->n_own, sh->batches, sh->ranks);
  double test = t->batch * share_of_batches(own_model, sh->n_own, sh->test_batches, sh->ranks);
  at_plan_sum *sum = &out->time;
  at_plan_add(sum, "start", t->start, "take a smaller data set (data)");
  at_plan_add(
      sum, "training", rounds * (double)c->steps * t->step,
      "take more ranks (up to fed.per_round), lower fed.rounds, local.steps or model.width; what is left at the "
      "limit goes on with `atoll resume`");
  at_plan_add(sum, "exchange", rounds * t->rest, "raise local.steps and lower fed.rounds");
  at_plan_add(sum, "evaluation", ceil(rounds / (double)c->eval_every) * evaluation,
              "raise eval.every or lower eval.windows");
  at_plan_add(sum, "checkpoints", checkpoints(c) * t->save, "raise checkpoint.every");
  at_plan_add(sum, "last evaluation", evaluation + test, "lower eval.windows");
}

/* Would the measurement itself have the memory?  As rank 0 sees it. */
static at_err has_room(at_session *s, const at_plan *plan, bool *room) {
  at_limit memory = at_limit_memory();
  double ranks = at_limit_ranks_per_node(at_comm_size(s->world));
  *room = memory.value < 0 || ranks * at_plan_total(&plan->memory) < memory.value;
  return at_comm_bcast(s->world, 0, room, sizeof *room);
}

/* ---- all of it ---- */

static at_err plan_sizes(at_session *s, at_opts *set, at_photon *p, const char *folder, shape *sh, at_plan *out) {
  char *yaml = NULL;
  AT_TRY(at_comm_agree(s->world, at_opts_yaml_text(set, &yaml)));
  at_err err = at_provenance_create(&p->prov, s->world, yaml, at_isa_name(s->pin.isa), s->pin.threads);
  at_free(yaml);
  AT_TRY(err);
  *sh = (shape){.ranks = p->size,
                .n_clients = p->n_clients,
                .per_round = p->per_round,
                .n_own = p->n_own,
                .team_size = p->team.size};
  sh->batches = at_evaluator_batches(&p->eval);
  p->eval.split = AT_SPLIT_TEST;
  sh->test_batches = at_evaluator_batches(&p->eval);
  plan_memory(p, out);
  AT_TRY(plan_traffic(p, sh, out));
  AT_TRY(at_comm_agree(s->world, at_comm_rank(s->world) == 0 ? plan_files(p, folder, out) : AT_OK));
  sh->checkpoint_bytes = out->file[0].bytes;
  return at_comm_bcast(s->world, 0, &sh->checkpoint_bytes, sizeof sh->checkpoint_bytes);
}

at_err at_photon_plan(at_session *s, at_opts *set, const void *cfg, int ranks, at_plan *out) {
  const at_photon_cfg *c = cfg;
  at_photon *p = NULL;
  char *scratch = NULL, *folder = NULL;
  shape sh;
  timing t = {0};
  bool room = false;
  at_err err;
  AT_TRY_TO(err, done, at_comm_agree(s->world, at_photon_create_planned(&p, s, c, ranks)));
  AT_TRY_TO(err, done, at_scratch_create(&scratch, s->world, c->run.run));
  AT_TRY_TO(err, done, plan_sizes(s, set, p, scratch, &sh, out));
  out->rounds = (double)c->rounds;
  at_photon_destroy(p); /* the measurement takes as much again */
  p = NULL;
  AT_TRY_TO(err, done, has_room(s, out, &room));
  if (room) {
    AT_TRY_TO(err, done, at_comm_agree(s->world, at_fs_path(&folder, "%s/run", scratch)));
    at_photon_cfg share = share_of(c, &sh, at_comm_size(s->world), folder);
    AT_TRY_TO(err, done, measure(s, set, &share, &sh, &t));
    out->measured = at_comm_size(s->world);
    plan_time(c, &sh, &t, out);
  }
done:
  at_photon_destroy(p);
  at_free(folder);
  at_scratch_remove(scratch, s->world);
  return err;
}
