/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of a run as a list of checkpoint items: one list writes and reads. */
#include "sim/photon/photon.h"
#include "src/base/alloc.h"

enum { MAX_ITEMS = 24 };

typedef struct item_list {
  at_photon *p;
  at_ckpt_item item[MAX_ITEMS];
  int n;
} item_list;

static void add_vector(item_list *l, const char *path, float *data, const char *description) {
  l->item[l->n++] = (at_ckpt_item){
      .desc =
          {.path = path, .type = AT_H5_F32, .ndims = 1, .dims = {l->p->n}, .units = "1", .description = description},
      .kind = AT_CKPT_REPLICATED,
      .data = data,
      .layout = at_lm_task_layout(l->p->task)};
}

static void add_numbers(item_list *l, const char *path, int64_t *data, int64_t rows, int64_t columns,
                        const char *description) {
  l->item[l->n++] = (at_ckpt_item){.desc = {.path = path,
                                            .type = AT_H5_I64,
                                            .ndims = 2,
                                            .dims = {rows, columns},
                                            .units = "1",
                                            .description = description},
                                   .kind = AT_CKPT_REPLICATED,
                                   .data = data};
}

static void add_rows(item_list *l, const char *path, float *data, const char *description) {
  l->item[l->n++] = (at_ckpt_item){.desc = {.path = path,
                                            .type = AT_H5_F32,
                                            .ndims = 2,
                                            .dims = {l->p->n_clients, l->p->n},
                                            .units = "1",
                                            .description = description},
                                   .kind = AT_CKPT_ROWS,
                                   .data = data,
                                   .n_local = l->p->n_own,
                                   .ids = l->p->own};
}

static void add_units(item_list *l, const char *path, float *data, const char *description) {
  add_rows(l, path, data, description);
  at_ckpt_item *it = &l->item[l->n - 1];
  it->desc.dims[0] = l->p->n_clients * l->p->cfg->islands;
  it->n_local = l->p->n_unit;
  it->ids = l->p->unit;
}

/* What the channel keeps, whose places are unknown in a plan. */
static void add_channel(item_list *l) {
  static const char *const path[2] = {"/exchange/client", "/exchange/client_momentum"};
  static const char *const text[2] = {"What was left out of each client's updates (dgc: its sum).",
                                      "Momentum of each client inside dgc."};
  at_photon *p = l->p;
  at_channel *c = p->channel;
  for (int v = 0; v < at_channel_vectors(&p->channel_cfg); v++) {
    add_rows(l, path[v], NULL, text[v]);
    l->item[l->n - 1].rows = c != NULL ? at_channel_rows(c, v) : NULL;
  }
  if (at_channel_vectors(&p->channel_cfg) > 0) {
    add_rows(l, "/exchange/client_round", NULL,
             "Round, or step, of the reduction that each client last took part in; -1: none.");
    at_ckpt_item *it = &l->item[l->n - 1];
    it->desc.type = AT_H5_I64;
    it->desc.dims[1] = 1;
    it->data = c != NULL ? at_channel_rounds(c) : NULL;
  }
  if (p->channel_cfg.reduce.server_feedback) {
    add_vector(l, "/exchange/server", c != NULL ? at_channel_server(c) : NULL, "What was left out of the means.");
  }
  if (p->shared_elements > 0) {
    int64_t count = 0;
    add_vector(l, "/exchange/factor", c != NULL ? at_channel_shared(c, &count) : NULL, "Right factor Q of powersgd.");
    l->item[l->n - 1].desc.dims[0] = p->shared_elements;
    l->item[l->n - 1].layout = NULL;
  }
}

static void list_items(item_list *l, at_photon *p) {
  at_outer outer = at_photon_outer(p->cfg);
  l->p = p;
  l->n = 0;
  add_vector(l, "/model/theta", p->theta, "Parameters of the global model.");
  if (at_outer_vectors(&outer) > 0) {
    add_vector(l, "/outer/m", p->outer_m, "First state vector of the server optimiser.");
  }
  if (at_outer_vectors(&outer) > 1) {
    add_vector(l, "/outer/v", p->outer_v, "Second state vector of the server optimiser.");
  }
  if (at_photon_has_global_moments(p)) {
    add_vector(l, "/local/m", p->global_m, "First moment that goes with the global model.");
    add_vector(l, "/local/v", p->global_v, "Second moment that goes with the global model.");
  }
  if (p->row_w != NULL) {
    add_rows(l, "/clients/theta", p->row_w, "Parameters of every client's own model.");
  }
  if (p->row_m != NULL) {
    add_units(l, "/clients/m", p->row_m, "First moment of every client, island by island.");
    add_units(l, "/clients/v", p->row_v, "Second moment of every client, island by island.");
  }
  add_numbers(l, "/clients/facts", p->facts, p->n_clients, AT_FACT_COUNT,
              "Per client: stream cursor in windows, local steps, age of its moments in steps, last round, failures.");
  add_numbers(l, "/server/counters", (int64_t *)&p->count, 1, AT_PHOTON_COUNTERS,
              "Round, steps, tokens, failed rounds, failed in a row, age of the global moments in steps, halvings "
              "of outer.lr, instruction set, threads, configuration hash, data checksum, layout of residuals.");
  l->item[l->n++] = (at_ckpt_item){
      .desc = {.path = "/server/clock",
               .type = AT_H5_F64,
               .ndims = 2,
               .dims = {1, AT_CLOCK_WIDTH},
               .units = "s",
               .description = "Virtual clock: now, local seconds of recent rounds, how many rounds (1)."},
      .kind = AT_CKPT_REPLICATED,
      .data = &p->clock};
  l->item[l->n++] = (at_ckpt_item){.desc = {.path = "/server/noise",
                                            .type = AT_H5_F64,
                                            .ndims = 2,
                                            .dims = {1, AT_NOISE_SCALE_WIDTH},
                                            .units = "1",
                                            .description = "Averages over rounds for the noise scale: trace, grad_sq."},
                                   .kind = AT_CKPT_REPLICATED,
                                   .data = &p->noise};
  if (p->exact != NULL) {
    add_numbers(l, "/server/grid_bits", at_exact_grids(p->exact), 1, at_exact_tensors(p->exact),
                "Fixed-point grid of exact sums by tensor: least bit 2^-bits.");
  }
  if (at_photon_has_channel(p)) {
    add_channel(l);
  }
}

at_err at_photon_save(at_photon *p) {
  item_list l;
  list_items(&l, p);
  at_comm_phase before = at_comm_set_phase(p->s->world, AT_COMM_CHECKPOINT);
  at_err err = p->channel != NULL ? at_channel_gather(p->channel) : AT_OK;
  if (err == AT_OK) {
    err = at_ckpt_begin(p->run, p->s->world, p->prov, p->count.round, l.n, l.item, (int)p->cfg->run.checkpoint_keep);
  }
  at_comm_set_phase(p->s->world, before);
  return err;
}

at_err at_photon_load_start(at_photon *p) {
  item_list l = {.p = p};
  add_vector(&l, "/model/theta", p->theta, "Parameters of the global model.");
  AT_TRY(at_ckpt_load_from(p->cfg->start, p->s->world, p->s->log, l.n, l.item));
  p->count.steps = p->cfg->start_steps;
  at_log_info(p->s->log, "start", "parameters of %s, schedule from step %lld", p->cfg->start,
              (long long)p->count.steps);
  return AT_OK;
}

int64_t at_photon_kept_bytes(at_photon *p) {
  item_list l;
  list_items(&l, p);
  return at_ckpt_kept_bytes(l.n, l.item);
}

at_err at_photon_measure_checkpoint(at_photon *p, const char *folder, int64_t *bytes) {
  item_list l;
  list_items(&l, p);
  return at_ckpt_measure(folder, p->prov, l.n, l.item, bytes);
}

static at_err check_residuals(const at_photon_counters *was, const at_photon_counters *now) {
  return was->layout == now->layout
             ? AT_OK
             : AT_FAIL(AT_ERR_STATE,
                       "the residuals of the checkpoint belong to another layout (%016llx, this run's is %016llx): "
                       "pieces or codecs are cut otherwise by this version; go on with that of the run, or start a "
                       "new run",
                       (unsigned long long)was->layout, (unsigned long long)now->layout);
}

at_err at_photon_restore(at_photon *p) {
  at_photon_counters now = p->count;
  int64_t loaded = 0;
  bool found;
  at_err err = AT_OK;
  AT_TRY(at_identity_find_checkpoint(p->run, p->s, &found));
  if (!found) {
    return at_photon_start_values(p, true);
  }
  item_list l;
  list_items(&l, p);
  AT_TRY(at_ckpt_load(p->run, p->s->world, p->s->log, -1, l.n, l.item, &loaded));
  AT_TRY(at_identity_check(&p->count.identity, &now.identity, p->cfg->run.data));
  AT_TRY(check_residuals(&p->count, &now));
  if (p->channel != NULL) {
    at_channel_settle(p->channel);
  }
  if (p->metrics != NULL) {
    err = at_metrics_load(p->metrics, loaded);
  }
  AT_TRY(at_comm_agree(p->s->world, err));
  at_log_info(p->s->log, "resume", "round = %lld, steps = %lld, tokens = %lld", (long long)p->count.round,
              (long long)p->count.steps, (long long)p->count.tokens);
  return AT_OK;
}
