/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run of cross-device federated learning will take: sizes from its own set-up, time from a short real run. */
#include <math.h>
#include <sys/stat.h>

#include "sim/federate/federate.h"
#include "sim/limits.h"
#include "sim/scratch.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/store/fs.h"

static void plan_memory(const at_federate *f, at_plan *out) {
  static const char *const part[AT_FEDERATE_MEMORY_COUNT][2] = {
      [AT_FEDERATE_DATA] = {"data set", "lower data_hold: a larger set is read as needed"},
      [AT_FEDERATE_WORK] = {"activations, gradient, batches", "lower local.batch or eval.batch"},
      [AT_FEDERATE_REPLICATED] = {"model, server, sums", "take a smaller model"},
      [AT_FEDERATE_FLIGHT] = {"the client at work", "take a smaller model"},
      [AT_FEDERATE_SHELF] = {"clients' state in memory", "lower state.memory or take more ranks"},
      [AT_FEDERATE_LIBRARIES] = {"buffers of MPI and HDF5", "take fewer ranks"},
  };
  for (int i = 0; i < AT_FEDERATE_MEMORY_COUNT; i++) {
    at_plan_add(&out->memory, part[i][0], (double)f->planned_part[i], part[i][1]);
  }
  out->process = (double)f->rss_before;
}

static double checkpoints(const at_federate_cfg *c) {
  return ceil((double)c->rounds / (double)c->run.checkpoint_every);
}

/* Rank 0 only. */
static at_err plan_files(at_federate *f, const char *folder, at_plan *out) {
  const at_federate_cfg *c = f->cfg;
  int64_t checkpoint = 0;
  double keep = (double)c->run.checkpoint_keep;
  struct stat info;
  AT_TRY(at_federate_measure_checkpoint(f, folder, &checkpoint));
  double most = keep == 0 ? checkpoints(c) : fmin(keep + 1, checkpoints(c));
  out->file[out->n_files++] = (at_plan_file){"checkpoint", (double)checkpoint, most, "lower checkpoint.keep"};
  double columns = AT_FEDERATE_FIGURE_COUNT + AT_FEDERATE_BINS + (double)c->eval_track;
  out->file[out->n_files++] = (at_plan_file){
      "metrics", columns * 8 * (double)c->rounds + 1024 * (AT_FEDERATE_FIGURE_COUNT + 2), 2, "lower fed.rounds"};
  if (at_federate_has_state(f)) {
    double visits = (double)c->rounds * (double)f->per_round;
    double rows =
        fmin(visits, (double)f->n_clients) * (visits > (double)f->n_clients ? 2 : 1); /* cleaned at twice the size */
    out->file[out->n_files++] = (at_plan_file){"clients' state", rows * ((double)(f->n_private + f->n_kept) * 4 + 12),
                                               1, "take a smaller population or model"};
  }
  out->data_file = stat(c->run.data, &info) == 0 ? (double)info.st_size : 0;
  return AT_OK;
}

static void plan_traffic(const at_federate *f, at_plan *out) {
  const at_federate_cfg *c = f->cfg;
  double agree = (double)at_comm_allreduce_bytes(8, f->size);
  double sum = f->method->isolated ? 0 : (double)at_exact_bytes(f->length, f->n_tensors, f->size, 0, 2);
  double second = f->method->has_second_sum ? (double)at_comm_allreduce_bytes(f->params * 8, f->size) : 0;
  double table = f->size > 1 ? 7 * 8.0 * (double)f->per_round : 0; /* reports, by client */
  out->client_bytes = f->method->isolated ? 0 : (double)(f->length - f->n_private) * 4 + second / 2;
  out->rank_bytes = sum + second + table + 6 * agree;
  out->eval_bytes = f->size > 1 ? 4 * 8.0 * (double)f->n_tested + 3 * agree : 0;
  out->run_bytes =
      (double)c->rounds * out->rank_bytes + ceil((double)c->rounds / (double)c->eval_every) * out->eval_bytes;
}

/* Rounds until a second has passed, then an evaluation and a checkpoint. */
static at_err measure(at_session *s, at_opts *set, const at_federate_cfg *c, at_plan *out) {
  at_federate *f = NULL;
  double start = at_clock_now_s(), train = 0, rest = 0, rounds = 0, seconds[5];
  at_err err;
  AT_TRY(at_federate_create(&f, s, set, c, false));
  seconds[0] = at_clock_now_s() - start;
  for (start = at_clock_now_s(); rounds == 0 || (train + rest < 1 && rounds < (double)c->rounds); rounds++) {
    AT_TRY_TO(err, done, at_federate_round(f));
    f->count.round++;
    train += f->fig.train_seconds;
    rest = at_clock_now_s() - start - train;
    double now[2] = {train, rest};
    AT_TRY_TO(err, done, at_comm_allreduce(s->world, AT_COMM_F64, AT_COMM_MAX, now, 2));
    train = now[0];
    rest = now[1];
  }
  AT_TRY_TO(err, done, at_federate_evaluate(f));
  seconds[1] = train / rounds;
  seconds[2] = rest / rounds;
  seconds[3] = f->fig.eval_seconds;
  AT_TRY_TO(err, done, at_federate_save(f));
  seconds[4] = f->fig.checkpoint_seconds;
  AT_TRY_TO(err, done, at_comm_allreduce(s->world, AT_COMM_F64, AT_COMM_MAX, seconds, 5));
  double share = f->size / (double)out->ranks, all = (double)c->rounds;
  at_plan_add(&out->time, "start", seconds[0], "take a smaller data set (data)");
  at_plan_add(&out->time, "training", all * seconds[1] * share,
              "take more ranks, or lower fed.rounds or fed.per_round");
  at_plan_add(&out->time, "exchange", all * fmax(seconds[2], 0), "take a smaller model");
  at_plan_add(&out->time, "evaluation", (ceil(all / (double)c->eval_every) + 1) * seconds[3] * share,
              "raise eval.every or lower eval.clients");
  at_plan_add(&out->time, "checkpoints", checkpoints(c) * seconds[4], "raise checkpoint.every");
  out->measured = f->size;
done:
  at_federate_destroy(f);
  return err;
}

/* Would the measurement itself have the memory?  As rank 0 sees it. */
static at_err has_room(at_session *s, const at_plan *plan, bool *room) {
  at_limit memory = at_limit_memory();
  double ranks = at_limit_ranks_per_node(at_comm_size(s->world));
  *room = memory.value < 0 || ranks * at_plan_total(&plan->memory) < memory.value;
  return at_comm_bcast(s->world, 0, room, sizeof *room);
}

static at_err plan_sizes(at_session *s, at_opts *set, at_federate *f, const char *folder, at_plan *out) {
  char *yaml = NULL;
  AT_TRY(at_comm_agree(s->world, at_opts_yaml_text(set, &yaml)));
  at_err err = at_provenance_create(&f->prov, s->world, yaml, at_isa_name(s->pin.isa), s->pin.threads);
  at_free(yaml);
  AT_TRY(err);
  plan_memory(f, out);
  plan_traffic(f, out);
  return at_comm_agree(s->world, at_comm_rank(s->world) == 0 ? plan_files(f, folder, out) : AT_OK);
}

at_err at_federate_plan(at_session *s, at_opts *set, const void *cfg, int ranks, at_plan *out) {
  at_federate_cfg c = *(const at_federate_cfg *)cfg;
  at_federate *f = NULL;
  char *scratch = NULL, *folder = NULL;
  bool room = false;
  at_err err;
  AT_TRY_TO(err, done, at_comm_agree(s->world, at_federate_create_planned(&f, s, &c, ranks)));
  AT_TRY_TO(err, done, at_scratch_create(&scratch, s->world, c.run.run));
  AT_TRY_TO(err, done, plan_sizes(s, set, f, scratch, out));
  out->rounds = (double)c.rounds;
  at_federate_destroy(f); /* the measurement takes as much again */
  f = NULL;
  AT_TRY_TO(err, done, has_room(s, out, &room));
  if (room) {
    AT_TRY_TO(err, done, at_comm_agree(s->world, at_fs_path(&folder, "%s/run", scratch)));
    c.run.run = folder;
    AT_TRY_TO(err, done, measure(s, set, &c, out));
  }
done:
  at_federate_destroy(f);
  at_free(folder);
  at_scratch_remove(scratch, s->world);
  return err;
}
