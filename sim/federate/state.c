/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of a run as a list of checkpoint items: one list writes and reads.  Clients' state is in files of its own. */
#include <string.h>

#include "sim/federate/federate.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"

enum { MAX_ITEMS = 16 };

typedef struct item_list {
  at_federate *f;
  at_ckpt_item item[MAX_ITEMS];
  int n;
} item_list;

static void add(item_list *l, at_h5_desc d, void *data, const at_layout *layout) {
  d.units = "1";
  l->item[l->n++] = (at_ckpt_item){.desc = d, .kind = AT_CKPT_REPLICATED, .data = data, .layout = layout};
}

static void add_vector(item_list *l, const char *path, float *data, int64_t n, const at_layout *layout,
                       const char *description) {
  if (n > 0 && (data != NULL || l->f->is_planned)) {
    add(l, (at_h5_desc){.path = path, .type = AT_H5_F32, .ndims = 1, .dims = {n}, .description = description}, data,
        layout);
  }
}

static void add_numbers(item_list *l, const char *path, at_h5_type type, void *data, int64_t rows, int64_t columns,
                        const char *description) {
  add(l, (at_h5_desc){.path = path, .type = type, .ndims = 2, .dims = {rows, columns}, .description = description},
      data, NULL);
}

static void add_grids(item_list *l, const char *path, const at_fed_sum *s) {
  if (s->exact != NULL) {
    add_numbers(l, path, AT_H5_I64, at_exact_grids(s->exact), 1, at_exact_tensors(s->exact),
                "Fixed-point grid of exact sums by tensor: least bit 2^-bits.");
  }
}

static void list_items(item_list *l, at_federate *f) {
  at_task *task = at_classifier_task_get(f->task);
  const at_layout *params = at_task_params(task), *states = at_task_states(task);
  int vectors = f->method->isolated ? 0 : at_outer_vectors(&(at_outer){.kind = f->cfg->outer_kind});
  l->f = f;
  l->n = 0;
  add_vector(l, "/model/theta", f->theta, f->params, params, "Parameters of the global model.");
  if (states->count > 0) {
    add_vector(l, "/model/state", f->theta + f->params, states->count, states,
               "Running statistics of the global model.");
  }
  add_vector(l, "/outer/m", f->outer_m, vectors > 0 ? f->params : 0, params,
             "First state vector of the server optimiser.");
  add_vector(l, "/outer/v", f->outer_v, vectors > 1 ? f->params : 0, params,
             "Second state vector of the server optimiser.");
  add_vector(l, "/server/control", f->control, f->method->has_second_sum ? f->params : 0, params,
             "Control variate of the server.");
  add_numbers(
      l, "/server/counters", AT_H5_I64, &f->count, 1, AT_FEDERATE_COUNTERS,
      "Round, examples, failed rounds, failed in a row, questions, answers thrown away, version, instruction set, "
      "threads, configuration hash, data checksum.");
  add_numbers(l, "/server/clock", AT_H5_F64, &f->clock, 1, AT_FEDERATE_CLOCK,
              "Virtual seconds; bytes to and from clients.");
  if (f->marks != NULL) {
    add_numbers(l, "/clients/marks", AT_H5_I64, f->marks, f->cfg->shards, AT_SHELF_MARK_WIDTH,
                "Of each shard of clients' state: first file, end of files, clients, digest of their rows.");
  }
  if (f->buffered != NULL) {
    add_numbers(
        l, "/server/flights", AT_H5_F64, f->buffered->flight, f->buffered->spec.at_work, AT_FLIGHT_WIDTH,
        "Clients at work: number, version they began with, number of the question, virtual second of the answer.");
    add_numbers(l, "/server/versions", AT_H5_F32, f->versions, f->cfg->max_staleness + 1, f->length,
                "Global models of the last versions, version v in row v mod rows.");
  }
  add_grids(l, "/server/grid_bits", &f->sum);
  add_grids(l, "/server/control_grid_bits", &f->second_sum);
}

/* Files of clients' state that the oldest kept checkpoint needs stay. */
static void forget_files(at_federate *f) {
  int64_t keep = f->cfg->run.checkpoint_keep;
  size_t bytes = (size_t)f->cfg->shards * sizeof *f->marks;
  if (keep == 0) {
    return;
  }
  memcpy(f->marks_kept + f->n_marks_kept++ % keep * f->cfg->shards, f->marks, bytes);
  if (f->n_marks_kept >= keep) {
    at_shelf_forget(f->shelf, f->marks_kept + f->n_marks_kept % keep * f->cfg->shards);
  }
}

at_err at_federate_save(at_federate *f) {
  item_list l;
  at_err err = AT_OK;
  double start = at_clock_now_s();
  at_comm_phase before = at_comm_set_phase(f->s->world, AT_COMM_CHECKPOINT);
  if (f->shelf != NULL) {
    err = at_shelf_save(f->shelf, f->s->world, f->marks);
  }
  if (f->buffered != NULL) {
    f->count.asked = f->buffered->asked;
    f->count.dropped = f->buffered->dropped;
  }
  list_items(&l, f);
  if (err == AT_OK) {
    err = at_ckpt_write(f->run, f->s->world, f->prov, f->count.round, l.n, l.item, (int)f->cfg->run.checkpoint_keep);
  }
  if (err == AT_OK && f->shelf != NULL) {
    forget_files(f);
  }
  at_comm_set_phase(f->s->world, before);
  f->fig.checkpoint_seconds = at_clock_now_s() - start;
  return err;
}

at_err at_federate_measure_checkpoint(at_federate *f, const char *folder, int64_t *bytes) {
  item_list l;
  list_items(&l, f);
  return at_ckpt_measure(folder, f->prov, l.n, l.item, bytes);
}

static at_err restore_parts(at_federate *f) {
  if (f->buffered != NULL) {
    f->buffered->asked = f->count.asked;
    f->buffered->dropped = f->count.dropped;
    f->buffered->version = f->count.version;
    f->buffered->now_s = f->clock.now_s;
  }
  return f->shelf != NULL ? at_shelf_restore(f->shelf, f->marks) : AT_OK;
}

at_err at_federate_restore(at_federate *f) {
  at_federate_counters now = f->count;
  int64_t loaded = 0;
  bool found;
  AT_TRY(at_identity_find_checkpoint(f->run, f->s, &found));
  if (!found) {
    return f->shelf != NULL ? at_comm_agree(f->s->world, at_shelf_restore(f->shelf, f->marks)) : AT_OK;
  }
  item_list l;
  list_items(&l, f);
  AT_TRY(at_ckpt_load(f->run, f->s->world, f->s->log, -1, l.n, l.item, &loaded));
  AT_TRY(at_identity_check(&f->count.identity, &now.identity, f->cfg->run.data));
  AT_TRY(at_comm_agree(f->s->world, restore_parts(f)));
  AT_TRY(at_comm_agree(f->s->world, f->metrics != NULL ? at_metrics_load(f->metrics, loaded) : AT_OK));
  at_log_info(f->s->log, "resume", "round = %lld, examples = %lld", (long long)f->count.round,
              (long long)f->count.examples);
  return AT_OK;
}
