/* SPDX-License-Identifier: BSD-3-Clause */
/* The clients of a round: drawn, asked, in time or not; dealt to ranks by their work. */
#include <math.h>
#include <string.h>

#include "sim/federate/federate.h"
#include "src/base/alloc.h"
#include "src/fed/deal.h"

/* Payload of one client in one direction. */
static double payload(const at_federate *f) {
  int sums = f->method->isolated || f->method->pooled ? 0 : f->method->has_second_sum ? 2 : 1;
  return (double)(f->length - f->n_private) * (sums > 0) * sizeof(float) +
         (sums > 1) * (double)f->params * sizeof(float);
}

double at_federate_answer_s(const void *federate, int64_t client, int64_t ask, double now_s) {
  const at_federate *f = federate;
  double examples = (double)(at_population_size(&f->population, AT_SPLIT_TRAIN, client) * f->cfg->epochs);
  at_errand e = {.flops = f->flops_per_example * examples, .down_bytes = payload(f), .up_bytes = payload(f)};
  return at_fleet_answer_s(f->fleet, client, ask, now_s, &e);
}

static at_err make_room(at_federate *f, int64_t n) {
  if (n > f->turns_cap) {
    AT_TRY(at_realloc(&f->turn, (size_t)n, sizeof *f->turn, "clients of a round"));
    f->turns_cap = n;
  }
  f->n_turns = 0;
  return AT_OK;
}

static void add_turn(at_federate *f, int64_t client, int64_t version, int64_t round, double factor) {
  int64_t examples = at_population_size(&f->population, AT_SPLIT_TRAIN, client);
  bool uniform = f->cfg->weights == AT_WEIGHTS_UNIFORM;
  f->turn[f->n_turns++] = (at_turn){.client = client,
                                    .examples = examples,
                                    .version = version,
                                    .round = round,
                                    .weight = factor * (uniform ? 1 : (double)examples)};
}

/* The asked clients that count become the round's turns. */
static at_err keep_first(at_federate *f, int64_t n, const int64_t *ids) {
  double *answer = NULL, took = 0;
  bool *counts = NULL;
  int64_t have = 0, wanted = f->cfg->draw == AT_DRAW_poisson ? n : f->per_round;
  at_err err;
  AT_TRY_TO(err, done, at_alloc(&answer, (size_t)n, sizeof *answer, "answers"));
  AT_TRY_TO(err, done, at_alloc(&counts, (size_t)n, sizeof *counts, "answers"));
  for (int64_t i = 0; i < n; i++) {
    answer[i] = at_federate_answer_s(f, ids[i], f->count.round, f->clock.now_s);
  }
  AT_TRY_TO(err, done, at_fleet_close(n, answer, wanted, f->cfg->deadline_s, counts, &have, &took));
  AT_TRY_TO(err, done, make_room(f, have));
  for (int64_t i = 0; i < n; i++) {
    if (counts[i]) {
      add_turn(f, ids[i], 0, f->count.round, 1);
    }
  }
  f->clock.now_s += took;
  f->fig.late = (double)(n - have);
  f->fig.bytes_down = (double)n * payload(f);
done:
  at_free(answer);
  at_free(counts);
  return err;
}

static at_err select_round(at_federate *f) {
  int64_t asked = (int64_t)ceil((double)f->per_round * f->cfg->select), n, *ids;
  at_draw draw = {.kind = f->cfg->draw,
                  .clients = f->n_clients,
                  .per_round = asked < f->n_clients ? asked : f->n_clients,
                  .seed = (uint64_t)f->cfg->run.seed,
                  .training = f->population.split[AT_SPLIT_TRAIN]};
  AT_TRY(at_draw_round(&draw, f->count.round, &n, &ids));
  at_err err = keep_first(f, n, ids);
  at_free(ids);
  return err;
}

static at_err select_landed(at_federate *f) {
  at_buffered *b = f->buffered;
  int64_t goal = b->spec.goal, version = b->version, dropped = b->dropped;
  at_flight *landed;
  double stale = 0;
  AT_TRY(at_alloc(&landed, (size_t)goal, sizeof *landed, "answers"));
  at_err err = at_buffered_step(b, landed);
  err = err == AT_OK ? make_room(f, goal) : err;
  for (int64_t i = 0; err == AT_OK && i < goal; i++) {
    add_turn(f, (int64_t)landed[i].client, (int64_t)landed[i].version, (int64_t)landed[i].ask,
             at_buffered_weight(&landed[i], version));
    stale += ((double)version - landed[i].version) / (double)goal;
  }
  at_free(landed);
  f->clock.now_s = b->now_s;
  f->fig.staleness = stale;
  f->fig.late = (double)(b->dropped - dropped);
  f->fig.bytes_down = (double)goal * payload(f);
  return err;
}

/* A client with state is played where that is, the others where they are done soonest. */
static at_err deal(at_federate *f) {
  double *cost = NULL, makespan = 0, load[f->size];
  int *rank = NULL;
  at_err err;
  AT_TRY_TO(err, done, at_alloc(&cost, (size_t)f->n_turns, sizeof *cost, "work of the clients"));
  AT_TRY_TO(err, done, at_alloc(&rank, (size_t)f->n_turns, sizeof *rank, "ranks of the clients"));
  for (int64_t i = 0; i < f->n_turns; i++) {
    cost[i] = (double)f->turn[i].examples * (double)f->cfg->epochs + 1;
  }
  AT_TRY_TO(err, done, at_deal(f->n_turns, cost, f->size, f->speed, rank, &makespan));
  memset(load, 0, sizeof load);
  for (int64_t i = 0; i < f->n_turns; i++) {
    f->turn[i].rank = f->shelf != NULL    ? (int)(f->turn[i].client % f->cfg->shards % f->size)
                      : f->method->pooled ? 0
                                          : rank[i];
    load[f->turn[i].rank] += cost[i];
  }
  for (int r = 0; r < f->size && f->shelf != NULL; r++) {
    makespan = r == 0 ? load[0] / f->speed[0] : fmax(makespan, load[r] / f->speed[r]);
  }
  f->fig.imbalance = f->n_turns > 0 ? makespan / at_deal_bound(f->n_turns, cost, f->size, f->speed) : NAN;
done:
  at_free(cost);
  at_free(rank);
  return err;
}

at_err at_federate_select(at_federate *f) {
  AT_TRY(f->buffered != NULL ? select_landed(f) : select_round(f));
  f->fig.bytes_up = (double)f->n_turns * payload(f);
  f->clock.bytes += f->fig.bytes_up + f->fig.bytes_down;
  return deal(f);
}
