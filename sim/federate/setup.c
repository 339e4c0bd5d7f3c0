/* SPDX-License-Identifier: BSD-3-Clause */
/* Bringing a run up: data, population, model, buffers, folder; and taking it down. */
#include <string.h>

#include "sim/federate/federate.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/rng.h"
#include "src/comm/watchdog.h"

/* Allocations that count towards the planned memory. */
at_err at_federate_table(at_federate *f, void *out, int64_t count, size_t size, const char *what) {
  f->planned_bytes += (size_t)count * size;
  return at_alloc(out, (size_t)count, size, what);
}

at_err at_federate_vector(at_federate *f, float **out, int64_t count, const char *what) {
  f->planned_bytes += (size_t)count * sizeof **out;
  return at_alloc(out, f->is_planned ? 0 : (size_t)count, sizeof **out, what);
}

static at_err load_data(at_federate *f) {
  const at_federate_cfg *c = f->cfg;
  AT_TRY(at_examples_open(&f->set, c->run.data, c->test));
  if (!f->is_planned && at_examples_hold(f->set, c->hold) != AT_OK) {
    at_log_info(f->s->log, "data", "%s is larger than data_hold: it is read as needed", c->run.data);
  }
  f->planned_bytes += (size_t)at_examples_bytes(f->set);
  at_partition_cfg partition = c->partition;
  partition.seed = (uint64_t)c->run.seed;
  AT_TRY(at_population_init(&f->population, f->set, &partition));
  f->planned_bytes += (size_t)at_population_bytes(&f->population);
  f->n_clients = at_partition_clients(f->population.split[AT_SPLIT_TRAIN]);
  f->per_round = c->per_round;
  if (f->per_round > f->n_clients) {
    return AT_FAIL(AT_ERR_CONFIG, "fed.per_round = %lld, but there are %lld clients", (long long)f->per_round,
                   (long long)f->n_clients);
  }
  at_fleet_spec fleet = {.trace = c->trace,
                         .device = c->device,
                         .spread = c->spread,
                         .down_bytes_per_s = c->down_Bps,
                         .up_bytes_per_s = c->up_Bps,
                         .on_share = c->on_share,
                         .dropout = c->dropout,
                         .seed = (uint64_t)c->run.seed};
  return at_fleet_create(&f->fleet, &fleet);
}

static at_err choose_tested(at_federate *f) {
  at_stream draw = {.seed = (uint64_t)f->cfg->run.seed, .purpose = AT_RNG_EVALUATE};
  f->n_tested = f->cfg->eval_clients < f->n_clients ? f->cfg->eval_clients : f->n_clients;
  AT_TRY(at_federate_table(f, &f->tested, f->n_tested, sizeof *f->tested, "tested clients"));
  AT_TRY(at_federate_table(f, &f->tracked, f->cfg->eval_track, sizeof *f->tracked, "tracked clients"));
  at_rng_choose(&draw, f->n_clients, f->n_tested, f->tested);
  return AT_OK;
}

static at_err allocate_replicated(at_federate *f) {
  at_outer outer = at_federate_outer(f->cfg);
  int vectors = f->method->isolated ? 0 : at_outer_vectors(&outer);
  AT_TRY(choose_tested(f));
  AT_TRY(at_federate_table(f, &f->speed, f->size, sizeof *f->speed, "speeds of ranks"));
  AT_TRY(at_federate_vector(f, &f->theta, f->length, "parameters"));
  AT_TRY(at_federate_vector(f, &f->outer_m, vectors > 0 ? f->params : 0, "server momentum"));
  AT_TRY(at_federate_vector(f, &f->outer_v, vectors > 1 ? f->params : 0, "server second moment"));
  if (f->method->keeps_second) {
    AT_TRY(at_federate_vector(f, &f->initial, f->length, "initial parameters"));
  }
  if (f->cfg->buffer > 0) {
    AT_TRY(at_federate_vector(f, &f->versions, (f->cfg->max_staleness + 1) * f->length, "versions of the model"));
  }
  if (f->method->isolated) {
    return AT_OK;
  }
  AT_TRY(at_federate_vector(f, &f->delta, f->length, "mean update"));
  AT_TRY(at_fed_sum_create(f, &f->sum, f->length, f->n_tensors));
  if (f->method->has_second_sum) {
    AT_TRY(at_federate_vector(f, &f->control, f->params, "control variate"));
    AT_TRY(at_federate_vector(f, &f->control_delta, f->params, "change of the control variate"));
    AT_TRY(at_fed_sum_create(f, &f->second_sum, f->params, at_task_params(at_classifier_task_get(f->task))->n));
  }
  return AT_OK;
}

static at_err allocate_flight(at_federate *f) {
  AT_TRY(at_federate_vector(f, &f->w, f->length, "parameters of a client"));
  AT_TRY(at_federate_vector(f, &f->scratch, f->length, "scratch of a client"));
  AT_TRY(at_federate_vector(f, &f->velocity, f->cfg->momentum > 0 ? f->params : 0, "momentum of a client"));
  if (at_federate_has_state(f)) {
    AT_TRY(at_federate_vector(f, &f->kept, f->n_private + f->n_kept, "state of a client"));
  }
  if (f->method->has_second_sum) {
    AT_TRY(at_federate_vector(f, &f->second, f->params, "second update of a client"));
  }
  return AT_OK;
}

/* Buffers and index of clients' state: an index of all who may be visited. */
static at_err count_shelf(at_federate *f) {
  if (!at_federate_has_state(f)) {
    return AT_OK;
  }
  const at_federate_cfg *c = f->cfg;
  int64_t shards = (c->shards + f->size - 1) / f->size, row = (f->n_private + f->n_kept) * (int64_t)sizeof(float);
  int64_t visited = c->rounds * f->per_round < f->n_clients ? c->rounds * f->per_round : f->n_clients;
  int64_t buffer = c->state_memory / c->shards > row ? c->state_memory / c->shards : row;
  f->planned_bytes += (size_t)(shards * buffer + 2 * visited * 24 / f->size);
  AT_TRY(at_federate_table(f, &f->marks, c->shards, sizeof *f->marks, "marks of clients' state"));
  int64_t keep = c->run.checkpoint_keep > 0 ? c->run.checkpoint_keep : 1;
  return at_federate_table(f, &f->marks_kept, keep * c->shards, sizeof *f->marks, "marks of clients' state");
}

static void count_libraries(at_federate *f) {
  const int64_t always = INT64_C(3584) << 10, most = INT64_C(4) << 20;
  int64_t half = f->size > 1 && !f->method->isolated ? f->length * (int64_t)sizeof(int64_t) / 2 : 0;
  f->planned_bytes += (size_t)(always + (half < most ? half : most));
}

/* Libraries take memory of their own at their first use.  Let them, so that the peak can be compared with the plan. */
static at_err warm_up(at_federate *f) {
  at_h5 *file;
  AT_TRY(at_h5_open(&file, f->cfg->run.data));
  at_h5_close(file);
  f->rss_before = at_process_rss_bytes();
  return AT_OK;
}

/* What one rank can do by itself; the ranks agree afterwards. */
static at_err create_local(at_federate *f) {
  static at_err (*const build[])(at_federate * f) = {load_data, at_federate_build_model, allocate_replicated,
                                                     allocate_flight, count_shelf};
  AT_TRY(warm_up(f));
  for (int i = 0; i < AT_FEDERATE_LIBRARIES; i++) {
    size_t before = f->planned_bytes;
    AT_TRY(build[i](f));
    f->planned_part[i] = f->planned_bytes - before;
  }
  size_t before = f->planned_bytes;
  count_libraries(f);
  f->planned_part[AT_FEDERATE_LIBRARIES] = f->planned_bytes - before;
  return AT_OK;
}

/* FNV-1a over the labels and counts: other data give another number. */
static int64_t checksum(const at_federate *f) {
  uint64_t h = UINT64_C(0xcbf29ce484222325);
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    const int32_t *label = at_examples_labels(f->set, (at_split)s);
    int64_t n = at_examples_total(f->set, (at_split)s);
    h = (h ^ (uint64_t)n) * UINT64_C(0x100000001b3);
    for (int64_t i = 0; i < n; i++) {
      h = (h ^ (uint64_t)label[i]) * UINT64_C(0x100000001b3);
    }
  }
  return (int64_t)h;
}

static at_err start_buffered(at_federate *f) {
  at_buffered_spec spec = {.clients = f->n_clients,
                           .at_work = f->per_round,
                           .goal = f->cfg->buffer,
                           .max_staleness = f->cfg->max_staleness,
                           .seed = (uint64_t)f->cfg->run.seed,
                           .answer_s = at_federate_answer_s,
                           .context = f};
  memcpy(f->versions, f->theta, (size_t)f->length * sizeof *f->theta);
  return at_buffered_create(&f->buffered, &spec);
}

static at_err start_values(at_federate *f, at_opts *set) {
  at_outer outer = at_federate_outer(f->cfg);
  at_task *task = at_classifier_task_get(f->task);
  float *state = f->length > f->params ? f->theta + f->params : NULL;
  AT_TRY(at_task_init(task, (uint64_t)f->cfg->run.seed, f->theta, state));
  if (!f->method->isolated) {
    at_outer_start(&outer, f->params, f->theta, f->outer_m, f->outer_v);
  }
  if (f->initial != NULL) {
    memcpy(f->initial, f->theta, (size_t)f->length * sizeof *f->theta);
  }
  for (int r = 0; r < f->size; r++) {
    f->speed[r] = 1;
  }
  f->count.identity = at_identity_of(f->s, set, checksum(f));
  return f->cfg->buffer > 0 ? start_buffered(f) : AT_OK;
}

static at_err open_shelf(at_federate *f) {
  at_shelf_spec spec = {.folder = at_run_path(f->run, "clients"),
                        .width = f->n_private + f->n_kept,
                        .shards = f->cfg->shards,
                        .memory = f->cfg->state_memory,
                        .rank = f->rank,
                        .ranks = f->size,
                        .prov = f->prov};
  return at_shelf_create(&f->shelf, &spec);
}

static at_err open_folder(at_federate *f, at_opts *set, bool resume) {
  at_comm *world = f->s->world;
  AT_TRY(at_run_open(&f->run, world, f->cfg->run.run, resume ? AT_RUN_RESUME : AT_RUN_NEW));
  char *yaml = NULL;
  at_err err = at_opts_yaml_text(set, &yaml);
  AT_TRY_TO(err, done, at_comm_agree(world, err));
  AT_TRY_TO(err, done, at_provenance_create(&f->prov, world, yaml, at_isa_name(f->s->pin.isa), f->s->pin.threads));
  if (!resume) {
    AT_TRY_TO(err, done, at_run_write_config(f->run, world, yaml));
  }
  AT_TRY_TO(err, done, at_comm_agree(world, at_federate_has_state(f) ? open_shelf(f) : AT_OK));
  AT_TRY_TO(err, done, at_comm_agree(world, at_log_open_file(f->s->log, at_run_path(f->run, "log.txt"))));
  err = at_comm_agree(world, at_federate_metrics_create(f, at_run_path(f->run, "metrics.h5")));
done:
  at_free(yaml);
  return err;
}

static at_err allocate_run(at_federate **out, at_session *s, const at_federate_cfg *cfg, int rank, int size) {
  *out = NULL;
  AT_TRY(at_alloc(out, 1, sizeof **out, "run"));
  **out = (at_federate){.s = s, .rank = rank, .size = size, .cfg = cfg, .method = at_federate_methods[cfg->method]};
  return AT_OK;
}

at_err at_federate_create_planned(at_federate **out, at_session *s, const at_federate_cfg *cfg, int ranks) {
  at_federate *f;
  *out = NULL;
  AT_TRY(allocate_run(&f, s, cfg, 0, ranks));
  f->is_planned = true;
  at_err err = create_local(f);
  if (err != AT_OK) {
    at_federate_destroy(f);
    return err;
  }
  *out = f;
  return AT_OK;
}

at_err at_federate_create(at_federate **out, at_session *s, at_opts *set, const at_federate_cfg *cfg, bool resume) {
  at_federate *f;
  at_err err;
  *out = NULL;
  AT_TRY(at_comm_agree(s->world, allocate_run(&f, s, cfg, at_comm_rank(s->world), at_comm_size(s->world))));
  AT_TRY_TO(err, failed, at_comm_agree(s->world, create_local(f)));
  AT_TRY_TO(err, failed, at_comm_agree(s->world, start_values(f, set)));
  AT_TRY_TO(err, failed, open_folder(f, set, resume));
  if (resume) {
    AT_TRY_TO(err, failed, at_federate_restore(f));
  }
  *out = f;
  return AT_OK;
failed:
  at_federate_destroy(f);
  return err;
}

void at_federate_destroy(at_federate *f) {
  if (f == NULL) {
    return;
  }
  void *blocks[] = {f->is_private, f->is_head,  f->is_body,  f->offsets,    f->names,   f->tested,
                    f->theta,      f->delta,    f->outer_m,  f->outer_v,    f->control, f->control_delta,
                    f->initial,    f->versions, f->marks,    f->marks_kept, f->turn,    f->w,
                    f->kept,       f->second,   f->velocity, f->scratch,    f->speed,   f->tracked};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
    at_free(blocks[i]);
  }
  at_fed_sum_destroy(&f->sum);
  at_fed_sum_destroy(&f->second_sum);
  at_learner_fini(&f->learner);
  at_classifier_task_destroy(f->task);
  at_buffered_destroy(f->buffered);
  at_shelf_destroy(f->shelf);
  at_fleet_destroy(f->fleet);
  at_population_fini(&f->population);
  at_examples_close(f->set);
  at_metrics_destroy(f->metrics);
  at_provenance_destroy(f->prov);
  at_run_close(f->run);
  at_free(f);
}
