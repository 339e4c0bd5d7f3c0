/* SPDX-License-Identifier: BSD-3-Clause */
/* Rounds on the virtual clock: who is there, who is late, and how long it takes on the declared devices and links. */
#include <math.h>

#include "sim/photon/photon.h"

static const at_opt rows[] = {AT_CONDITION_OPTIONS(at_photon_cfg, net)};
const at_opt_table at_photon_network_table = AT_OPT_TABLE("Declared network, devices and faults", rows);

double at_photon_step_flops(const at_photon_cfg *c, int64_t vocab) {
  at_gpt gpt = at_photon_model(c, vocab);
  return at_gpt_train_flops(&gpt) * (double)(c->batch * c->context);
}

at_ask at_photon_ask(const at_photon *p, int64_t client) {
  return (at_ask){.seed = (uint64_t)p->cfg->run.seed,
                  .client = client,
                  .round = p->count.round,
                  .steps = p->cfg->steps,
                  .flops = at_photon_step_flops(p->cfg, p->corpus->vocab),
                  .inside_s = at_photon_island_seconds(p)};
}

void at_photon_start_clock(at_photon *p) {
  const double deadline = at_clock_deadline_s(&p->clock, p->cfg->net.deadline);
  p->fig.dropouts = p->fig.late = 0;
  for (int64_t i = 0; i < p->per_round; i++) {
    at_ask ask = at_photon_ask(p, p->sampled[i]);
    ask.deadline_s = deadline;
    p->fate[i] = at_conditions_fate(&p->cfg->net, &ask);
    p->client_s[i] = p->fate[i].seconds;
    p->fig.dropouts += isinf(p->client_s[i]) != 0;
  }
  p->clock_round = at_clock_wait(p->client_s, p->per_round, deadline, p->on_time, p->sorted_s);
  p->fig.late = (double)(p->per_round - p->clock_round.on_time) - p->fig.dropouts;
}

double at_photon_exchange_seconds(const at_photon *p, int algorithm, double clients, double moments,
                                  double wire_bytes) {
  const at_photon_cfg *c = p->cfg;
  /* exchanges that follow one another in a round */
  double times = p->method->keeps_moments ? (double)c->steps : 1 + moments;
  times *= p->shared_elements > 0 ? 2 : 1; /* powersgd makes two means */
  at_conditions net = c->net;
  if (!at_photon_has_channel(p) && c->topology != AT_TOPOLOGY_rar) {
    wire_bytes = times * 2 * (clients - 1) *
                 (double)at_photon_sum_bytes(p, (int64_t)clients); /* the formulas count from a ring's bytes */
    net.path = net.path == AT_NET_PATH_ALGORITHM ? AT_NET_PATH_PS + c->topology : net.path;
  }
  double vectors = p->shared_elements > 0 ? 0.5 : 1;
  at_exchange_size e = {.algorithm = algorithm,
                        .clients = (int64_t)clients,
                        .elements = vectors * (double)p->n,
                        .wire_bytes = wire_bytes / times,
                        .is_broken = clients < (double)p->per_round};
  return times * at_conditions_exchange_s(&net, &e);
}

void at_photon_advance_clock(at_photon *p) {
  if (!at_conditions_keep_time(&p->cfg->net)) {
    return;
  }
  double exchange = 0;
  if (p->fig.wire_bytes > 0) { /* not of a failed round */
    double moments = at_photon_averages_m(p, p->count.round) + at_photon_averages_v(p, p->count.round);
    exchange = at_photon_exchange_seconds(p, p->exchange_algorithm, p->fig.clients, moments, p->fig.wire_bytes);
  }
  p->fig.virtual_seconds = at_clock_advance(&p->clock, &p->clock_round, exchange);
  p->fig.virtual_exchange_seconds = exchange;
  p->fig.virtual_clock = p->clock.now_s;
}
