/* SPDX-License-Identifier: BSD-3-Clause */
/* The channels of a run: one for updates or gradients, one in floats for moments that are averaged. */
#include <math.h>

#include "sim/photon/photon.h"
#include "src/base/alloc.h"

bool at_photon_has_channel(const at_photon *p) {
  return (p->cfg->run.reduce == AT_REDUCE_CODEC || p->cfg->run.reduce == AT_REDUCE_SECURE) && !p->method->own_model;
}

static bool has_plain(const at_photon *p) {
  return p->cfg->run.reduce == AT_REDUCE_CODEC && at_photon_mean_moments(p) > 0;
}

static at_channel_cfg plain_cfg(const at_photon *p) {
  at_channel_cfg c = {.lends = true};
  c.reduce.algorithm = AT_ALGORITHM_twophase;
  c.reduce.decay = 1;
  c.reduce.seed = (uint64_t)p->cfg->run.seed;
  return c;
}

/* Orders above two become matrices by their first dimension, vectors are columns. */
static at_err make_matrices(at_photon *p) {
  const at_layout *l = at_lm_task_layout(p->task);
  AT_TRY(at_alloc(&p->matrices, (size_t)l->n, sizeof *p->matrices, "matrices"));
  for (int i = 0; i < l->n; i++) {
    const at_tensor *t = &l->tensor[i];
    int64_t rows = t->shape.nd > 0 && t->shape.d[0] > 0 ? t->shape.d[0] : 1;
    p->matrices[i] = t->shape.nd < 2 ? (at_matrix){t->count, 1} : (at_matrix){rows, t->count / rows};
  }
  return AT_OK;
}

at_err at_photon_size_exchange(at_photon *p) {
  const at_photon_cfg *c = p->cfg;
  if (!at_photon_has_channel(p)) {
    return AT_OK;
  }
  AT_TRY(make_matrices(p));
  p->channel_cfg = (at_channel_cfg){.reduce = c->exchange,
                                    .is_secure = c->run.reduce == AT_REDUCE_SECURE,
                                    .bits = (int)c->grid_bits,
                                    .lends = !p->method->keeps_moments,
                                    .can_undo = p->method->keeps_moments,
                                    .overlaps = p->method->keeps_moments && c->overlap && p->size > 1};
  p->channel_cfg.reduce.seed = (uint64_t)c->run.seed;
  if (p->channel_cfg.is_secure) { /* nothing of a codec */
    p->channel_cfg.reduce.feedback = p->channel_cfg.reduce.server_feedback = false;
  }
  AT_TRY(at_channel_resolve(&p->channel_cfg, p->n));
  return at_channel_shared_elements(&p->channel_cfg, p->s->kernels, at_lm_task_layout(p->task)->n, p->matrices,
                                    &p->shared_elements);
}

double at_photon_exchange_bytes(const at_photon *p, double *own) {
  *own = 0;
  if (!at_photon_has_channel(p)) {
    return 0;
  }
  double bytes = at_channel_fixed_bytes(&p->channel_cfg, p->n, p->stage_cap, p->size);
  *own = (double)p->n_own * at_channel_client_bytes(&p->channel_cfg, p->n);
  if (has_plain(p)) {
    at_channel_cfg plain = plain_cfg(p);
    bytes +=
        at_channel_resolve(&plain, p->n) == AT_OK ? at_channel_fixed_bytes(&plain, p->n, p->stage_cap, p->size) : 0;
  }
  return bytes;
}

/* Sent by rank 0 in the round's report: sums, and tables of norms. */
static double report_bytes(const at_photon *p, const at_traffic_round *at) {
  const at_channel_cfg *c = &p->channel_cfg;
  double bytes = (has_plain(p) ? 2 : 1) * (double)at_comm_allreduce_bytes(24, at->ranks);
  bytes += (double)at_comm_allreduce_bytes(8, at->ranks); /* agreement before the tables */
  if (at_channel_vectors(c) > 0) {
    bytes += at_photon_table_bytes(at->ranks, (double)at->clients, 2);
  }
  if (c->reduce.server_feedback) {
    bytes += at_photon_table_bytes(at->ranks, ceil((double)p->n / (double)c->reduce.chunk), 2);
  }
  return bytes;
}

at_err at_photon_exchange_traffic(const at_photon *p, int64_t round, at_traffic *out) {
  int n = at_lm_task_layout(p->task)->n;
  double times = p->method->keeps_moments ? (double)p->cfg->steps : 1;
  const double more = at_photon_mean_moments(p);
  at_traffic_round at = {.round = round, .clients = p->per_round, .ranks = p->size};
  AT_TRY(at_channel_traffic(&p->channel_cfg, p->s->kernels, n, p->matrices, &at, out));
  if (has_plain(p)) {
    at_channel_cfg plain = plain_cfg(p);
    at_traffic moments;
    AT_TRY(at_channel_resolve(&plain, p->n));
    AT_TRY(at_channel_traffic(&plain, p->s->kernels, n, p->matrices, &at, &moments));
    out->clients += more * moments.clients;
    out->rank += more * moments.rank;
    out->elements += more * moments.elements;
  } else {
    times += more;
  }
  out->clients *= times;
  out->rank = out->rank * times + report_bytes(p, &at);
  out->elements *= times;
  return AT_OK;
}

at_err at_photon_open_exchange(at_photon *p) {
  if (!at_photon_has_channel(p)) {
    return AT_OK;
  }
  at_channel_shape shape = {.n_tensors = at_lm_task_layout(p->task)->n,
                            .tensors = p->matrices,
                            .slots = p->stage_cap,
                            .n_own = p->n_own,
                            .own = p->own};
  AT_TRY(at_channel_create(&p->channel, p->s->world, p->s->kernels, &p->channel_cfg, &shape));
  if (p->channel_cfg.is_secure) {
    at_log_warn(p->s->log, "exchange", "secure sums are an emulation: their seeds are known to all, nothing is hidden");
  }
  if (!has_plain(p)) {
    return AT_OK;
  }
  at_channel_cfg plain = plain_cfg(p);
  AT_TRY(at_comm_agree(p->s->world, at_channel_resolve(&plain, p->n)));
  return at_channel_create(&p->plain, p->s->world, p->s->kernels, &plain, &shape);
}

void at_photon_close_exchange(at_photon *p) {
  at_channel_destroy(p->plain);
  at_channel_destroy(p->channel);
}

double at_photon_topology_bytes(const at_photon *p, double ring_bytes, double clients, double *all) {
  at_topology t = (at_topology)p->cfg->topology;
  double own = ring_bytes;
  if (clients >= 2) {
    own *= at_net_client_bytes(t, (int64_t)clients, 1) / at_net_client_bytes(AT_TOPOLOGY_rar, (int64_t)clients, 1);
  }
  *all = own * clients * (t == AT_TOPOLOGY_ps ? 2 : 1); /* a server sends each client as much */
  return own;
}

at_err at_photon_count_exchange(at_photon *p) {
  at_photon_figures *f = &p->fig;
  at_channel_report r, more = {0};
  if (p->channel == NULL) {
    f->payload_bytes = at_photon_topology_bytes(p, f->payload_bytes, f->clients, &f->wire_bytes);
    f->bits_per_element = 8 * (double)at_photon_sum_bytes(p, (int64_t)f->clients) / (double)p->n;
    return AT_OK;
  }
  at_comm_phase before = at_comm_set_phase(p->s->world, AT_COMM_METRICS);
  at_err err;
  AT_TRY_TO(err, done, at_channel_take_report(p->channel, &r));
  if (p->plain != NULL) {
    AT_TRY_TO(err, done, at_channel_take_report(p->plain, &more));
  }
  AT_TRY_TO(err, done, at_channel_norms(p->channel, &f->residual_norm, &f->server_residual_norm));
  p->exchange_algorithm = r.algorithm;
  f->wire_bytes = (double)(r.bytes + more.bytes);
  f->payload_bytes = f->wire_bytes / f->clients;
  f->bits_per_element = 8 * f->wire_bytes / (double)(r.passages + more.passages);
  f->saturated = (double)(r.saturated + more.saturated);
done:
  at_comm_set_phase(p->s->world, before);
  return err;
}
