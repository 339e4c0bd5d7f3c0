/* SPDX-License-Identifier: BSD-3-Clause */
/* Sub-federation: a client is several islands that train apart and average inside the silo; one update leaves it (Sani et al. 2025).
 *
 * Island j of I reads windows j, j + I, j + 2 I, ... of the client's stream.  All start from the global model; every
 * fed.island_steps steps their parameters become their mean, weighted by samples and exact; moments stay apart until the end. */
#include <math.h>
#include <string.h>

#include "sim/photon/photon.h"
#include "src/base/alloc.h"

int64_t at_photon_island_means(const at_photon_cfg *c) {
  int64_t every = c->island_steps;
  if (c->islands == 1) {
    return 0;
  }
  int64_t more = c->optimizer == AT_OPTIM_SGD ? 1 : c->moments == AT_MOMENTS_AVERAGE ? 2 : 0;
  return (c->steps + every - 1) / every + more;
}

double at_photon_island_bytes(const at_photon *p) {
  const int islands = (int)p->cfg->islands;
  return islands * (double)at_comm_allreduce_bytes(p->n * at_exact_width(p->n, islands), islands);
}

double at_photon_island_rank_bytes(const at_photon *p) {
  int size = p->team.size;
  int64_t places = p->is_stateful ? p->n_clients : p->per_round;
  double periods = ceil((double)p->cfg->steps / (double)p->cfg->island_steps);
  double once = (double)at_photon_island_means(p->cfg) *
                (double)at_exact_bytes(p->n, at_lm_task_layout(p->task)->n, size, 0, p->n_islands);
  double talk =
      (double)at_comm_allreduce_bytes(8, size) + at_photon_table_bytes(size, (double)p->cfg->islands, AT_REPORT_WIDTH);
  return p->cfg->islands == 1 || size == 1 ? 0 : (once + periods * talk) * (double)p->per_round / (double)places;
}

double at_photon_island_seconds(const at_photon *p) {
  const at_photon_cfg *c = p->cfg;
  const at_link link = {.bytes_per_s = c->island_bandwidth * 1e6 / 8, .latency_s = c->island_latency_s};
  const at_codec_cost exact = {.ratio = sizeof(float) / (double)at_exact_width(p->n, (int)c->islands)};
  return c->islands == 1 || c->island_bandwidth == 0
             ? 0
             : (double)at_photon_island_means(c) *
                   at_net_collective_s(AT_NET_ring, &link, &exact, (int)c->islands, 4 * (double)p->n, 0);
}

at_err at_photon_open_islands(at_photon *p) {
  if (p->cfg->islands == 1) {
    return AT_OK;
  }
  const at_layout *l = at_lm_task_layout(p->task);
  int64_t *offset = NULL;
  at_err err = at_alloc(&offset, (size_t)l->n + 1, sizeof *offset, "tensor offsets");
  AT_TRY(at_comm_agree(p->s->world, err));
  for (int i = 0; i < l->n; i++) {
    offset[i] = l->tensor[i].offset;
  }
  offset[l->n] = l->count;
  at_silos_cfg cfg = {
      .silos = p->is_stateful ? p->n_clients : p->per_round, .inner_only = true, .bits = (int)p->cfg->grid_bits};
  err = at_silos_create(&p->silos, p->s->world, p->s->kernels, &cfg, l->n, offset);
  at_free(offset);
  return err;
}

/* ---- one client ---- */

static void begin(at_photon *p, at_photon_stage *st) {
  size_t bytes = (size_t)p->n * sizeof(float);
  for (int64_t j = 0; j < p->n_islands; j++) {
    at_photon_island *is = &p->island[j];
    int64_t id = p->team.index + j * p->team.size;
    *is = (at_photon_island){.id = id, .cursor = st->cursor + id, .w = p->island_w + j * p->n};
    memcpy(is->w, p->theta, bytes);
    bool keeps = p->cfg->moments == AT_MOMENTS_KEEP;
    is->mom.m = keeps ? st->m + j * p->n : p->island_m + j * p->n;
    is->mom.v = keeps ? st->v + j * p->n : p->island_v + j * p->n;
    at_photon_start_moments(p, st, j, &is->mom);
  }
}

/* `steps` steps of the islands of this rank from the client's step `done` on; the team agrees. */
static at_err train_apart(at_photon *p, int64_t client, int64_t done, int64_t steps) {
  at_err err = AT_OK;
  for (int64_t j = 0; j < p->n_islands && err == AT_OK; j++) {
    at_photon_island *is = &p->island[j];
    at_report report;
    err = at_client_train(&p->local, client, p->count.steps + done, steps, &is->cursor, is->w, &is->mom, &report);
    at_report_append(&is->report, &report);
  }
  return at_comm_agree(at_silos_inner(p->silos), err);
}

/* The islands' reports become the client's, on all ranks of the team. */
static at_err report(at_photon *p, at_photon_stage *st) {
  int64_t n = 0, *all_ids = NULL, ids[p->n_islands + 1];
  at_report own[p->n_islands + 1], *all = NULL;
  double bytes = st->report.inner_bytes;
  for (int64_t j = 0; j < p->n_islands; j++) {
    ids[j] = p->island[j].id;
    own[j] = p->island[j].report;
    own[j].moment_age = (double)p->island[j].mom.t;
  }
  AT_TRY(at_comm_gather_by_id(at_silos_inner(p->silos), p->n_islands, ids, AT_REPORT_WIDTH, (const double *)own, &n,
                              &all_ids, (double **)&all));
  st->report = at_report_of_islands(n, all);
  st->report.inner_bytes = bytes;
  for (int64_t j = 0; j < p->n_islands; j++) {
    p->island[j].weight = own[j].steps / ((double)n * st->report.steps); /* its samples over the client's */
  }
  at_free(all_ids);
  at_free(all);
  return AT_OK;
}

/* The mean over the client's islands of one of their vectors; a mean that is not finite makes the client invalid. */
static at_err join(at_photon *p, at_photon_stage *st, float *(*pick)(at_photon_island *is), float *mean) {
  int64_t ids[p->n_islands + 1];
  double weight[p->n_islands + 1];
  const float *x[p->n_islands + 1];
  for (int64_t j = 0; j < p->n_islands; j++) {
    ids[j] = p->island[j].id;
    weight[j] = p->island[j].weight;
    x[j] = pick(&p->island[j]);
  }
  at_err err = at_silos_mean(p->silos, p->n_islands, ids, weight, x, mean);
  st->report.inner_bytes += at_photon_island_bytes(p);
  st->report.valid = err == AT_ERR_NONFINITE ? 0 : st->report.valid;
  return err == AT_ERR_NONFINITE ? AT_OK : err;
}

static float *pick_w(at_photon_island *is) {
  return is->w;
}

static float *pick_m(at_photon_island *is) {
  return is->mom.m;
}

static float *pick_v(at_photon_island *is) {
  return is->mom.v;
}

/* What travels with the parameters, or instead of them. */
static at_err join_moments(at_photon *p, at_photon_stage *st) {
  if (p->cfg->optimizer == AT_OPTIM_SGD) { /* sums of steps: the update without the rounding of w */
    return join(p, st, pick_m, st->m);
  }
  if (p->cfg->moments != AT_MOMENTS_AVERAGE) {
    return AT_OK;
  }
  AT_TRY(join(p, st, pick_m, st->m));
  return st->report.valid != 0 ? join(p, st, pick_v, st->v) : AT_OK;
}

at_err at_photon_train_islands(at_photon *p, at_photon_stage *st, int64_t steps) {
  const at_photon_cfg *c = p->cfg;
  begin(p, st);
  st->report = (at_report){.valid = 1};
  for (int64_t done = 0; done < steps && st->report.valid != 0; done += c->island_steps) {
    int64_t left = steps - done;
    AT_TRY(train_apart(p, st->id, done, left < c->island_steps ? left : c->island_steps));
    AT_TRY(report(p, st));
    if (st->report.valid != 0) {
      AT_TRY(join(p, st, pick_w, st->w));
    }
    for (int64_t j = 0; j < p->n_islands; j++) {
      memcpy(p->island[j].w, st->w, (size_t)p->n * sizeof(float));
    }
  }
  if (st->report.valid != 0 && steps > 0) {
    AT_TRY(join_moments(p, st));
  }
  st->cursor += c->islands * (int64_t)st->report.steps * c->batch;
  st->moment_age = (int64_t)st->report.moment_age;
  return AT_OK;
}
