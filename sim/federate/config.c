/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration of cross-device federated learning: keys, presets of the methods, and what depends on several keys. */
#include <string.h>

#include "sim/federate/federate.h"
#include "sim/outer_rows.h"

static const char *const method_names[] = {
#define X(name) #name,
    AT_FEDERATE_METHODS(X)
#undef X
        NULL};
static const char *const weight_names[] = {"examples", "uniform", NULL};
static const char *const split_names[] = {"validation", "test", NULL};

#define T at_federate_cfg
static const at_opt method_rows[] = {
    AT_OPT_ENUM(T, method, "method", "fedavg", method_names, "How clients learn; `atoll list` has a line for each."),
    AT_OPT_F64(T, mu, "prox.mu", "0.01", 0, 1e6, "", "Pull towards the global model (fedprox)."),
    AT_OPT_F64(T, lambda, "ditto.lambda", "0.1", 0, 1e6, "", "Pull of own models towards the global one (ditto)."),
    AT_OPT_F64(T, alpha_inner, "perfedavg.alpha", "0.01", 0, 1e3, "", "Learning rate of the inner step (perfedavg)."),
    AT_OPT_STR(T, head, "head.tensors", "head*",
               "Patterns of the tensors that make the head, comma between (fedrep, fedbabu)."),
    AT_OPT_INT(T, head_epochs, "head.epochs", "1", 0, 1e6, "epochs", "Epochs of the head before the body (fedrep)."),
    AT_OPT_STR(T, norms, "bn.tensors", "*norm*,*bn*", "Patterns of the tensors that stay with the client (fedbn)."),
};
static const at_opt model_rows[] = {
    AT_OPT_STR(T, test, "data_test", "",
               "Second file, whose /examples are the test split (TensorFlow Federated's way).", .is_volatile = true),
    AT_OPT_BYTES(T, hold, "data_hold", "1 GiB", 0, 1e15,
                 "Data sets up to this size are held in memory; larger ones are read as needed.", .is_volatile = true),
    AT_OPT_STR(T, model, "model", "logreg",
               "Preset of a classifier: logreg, mlp, leaf_cnn, resnet18, ...; takes the shapes of the data."),
};
static const at_opt partition_rows[] = {AT_PARTITION_OPTS(T, partition)};
static const at_opt fed_rows[] = {
    AT_OPT_INT(T, per_round, "fed.per_round", "10", 1, 1e9, "clients", "Clients whose results a round waits for."),
    AT_OPT_INT(T, rounds, "fed.rounds", "20", 1, 1e9, "rounds", "Rounds of the run."),
    AT_OPT_ENUM(T, draw, "fed.draw", "uniform", at_draw_names,
                "Who takes part: uniform, weighted (by examples), cyclic (all once, then again), poisson."),
    AT_OPT_ENUM(T, weights, "fed.weights", "examples", weight_names, "Weights of the clients in the mean."),
    AT_OPT_F64(T, select, "fed.select", "1", 1, 100, "", "Clients asked, over those waited for: the first ones count."),
    AT_OPT_F64(T, deadline_s, "fed.deadline", "0", 0, 1e12, "s", "Virtual seconds that a round waits; 0: no limit."),
    AT_OPT_INT(T, max_failed_rounds, "fed.max_failed_rounds", "3", 1, 1e9, "rounds",
               "Rounds in a row without any valid result that end the run."),
    AT_OPT_INT(T, buffer, "async.buffer", "0", 0, 1e9, "answers",
               "Answers that make a server step while fed.per_round clients are at work all the time; 0: rounds."),
    AT_OPT_INT(T, max_staleness, "async.max_staleness", "8", 0, 1000, "steps", "Older answers are thrown away."),
    AT_OPT_INT(T, shards, "state.shards", "16", 1, 4096, "",
               "Parts that clients' state is kept in; at most one rank each."),
    AT_OPT_BYTES(T, state_memory, "state.memory", "64 MiB", 1, 1e15,
                 "Clients' state in memory, over all ranks, before it goes to files."),
};
static const at_opt local_rows[] = {
    AT_OPT_INT(T, epochs, "local.epochs", "1", 0, 1e6, "epochs", "Passes over a client's examples."),
    AT_OPT_INT(T, batch, "local.batch", "10", 1, 1 << 20, "examples", "Examples of a local step."),
    AT_OPT_F64(T, lr, "local.lr", "0.1", 0, 1e3, "", "Learning rate of plain SGD."),
    AT_OPT_F64(T, lr_decay, "local.lr_decay", "1", 0, 1, "", "Factor of the learning rate from round to round."),
    AT_OPT_F64(T, momentum, "local.momentum", "0", 0, 0.9999, "", "Momentum, which starts at zero in each round."),
    AT_OPT_F64(T, weight_decay, "local.weight_decay", "0", 0, 10, "", "Decay of weights, in the gradient."),
    AT_OPT_F64(T, clip, "local.clip", "0", 0, 1e9, "", "Largest norm of a gradient; 0: no clipping."),
};
static const at_opt outer_rows[] = {AT_OUTER_ROWS(T, "0.99", "1e-3")};
static const at_opt world_rows[] = {
    AT_OPT_F64(T, dp_noise, "dp.noise", "0", 0, 1e6, "",
               "Deviation of the noise on the sum of updates over dp.clip; 0: no privacy."),
    AT_OPT_F64(T, dp_clip, "dp.clip", "0", 0, 1e9, "", "Largest norm of a client's update; 0: not clipped."),
    AT_OPT_F64(T, dp_delta, "dp.delta", "1e-6", 1e-30, 0.5, "", "Delta that epsilon is told for."),
    AT_OPT_STR(T, trace, "devices.trace", "", "Trace of devices (src/fed/fleet.h); empty: they are drawn.",
               .is_volatile = true),
    AT_OPT_STR(T, device, "devices.device", "pi4", "Device that clients have, as in `atoll list`."),
    AT_OPT_F64(T, spread, "devices.spread", "0", 0, 4, "",
               "Deviation of the logarithm of speeds of devices and links."),
    AT_OPT_F64(T, down_Bps, "devices.down", "1e6", 1, 1e15, "bytes/s", "Median rate of the links to clients."),
    AT_OPT_F64(T, up_Bps, "devices.up", "2.5e5", 1, 1e15, "bytes/s", "Median rate of the links from clients."),
    AT_OPT_F64(T, on_share, "devices.on", "1", 1e-3, 1, "", "Share of a day in which a client can be reached."),
    AT_OPT_F64(T, dropout, "devices.dropout", "0", 0, 0.999, "", "Probability that a client asked does not answer."),
};
static const at_opt eval_rows[] = {
    AT_OPT_INT(T, eval_every, "eval.every", "1", 1, 1e9, "rounds", "Rounds between two evaluations."),
    AT_OPT_INT(T, eval_clients, "eval.clients", "100", 1, 1e9, "clients",
               "Clients that are tested, the same each time."),
    AT_OPT_ENUM(T, eval_split, "eval.split", "test", split_names, "Held-out examples of those clients."),
    AT_OPT_INT(T, eval_batch, "eval.batch", "64", 1, 1 << 20, "examples", "Examples evaluated at once."),
    AT_OPT_INT(T, eval_track, "eval.track", "64", 1, 4096, "clients",
               "Tested clients whose accuracy is told by round."),
    AT_OPT_INT(T, adapt_epochs, "eval.adapt_epochs", "0", 0, 1e6, "epochs",
               "Epochs of tuning on a client's training examples before it is tested."),
    AT_OPT_F64(T, adapt_lr, "eval.adapt_lr", "0.01", 0, 1e3, "", "Learning rate of that tuning."),
};
#undef T

static const at_opt_table method_table = AT_OPT_TABLE("Method", method_rows);
static const at_opt_table model_table = AT_OPT_TABLE("Data and model", model_rows);
static const at_opt_table partition_table = AT_OPT_TABLE("Clients", partition_rows);
static const at_opt_table fed_table = AT_OPT_TABLE("Federation", fed_rows);
static const at_opt_table local_table = AT_OPT_TABLE("Local training", local_rows);
static const at_opt_table outer_table = AT_OPT_TABLE("Server", outer_rows);
static const at_opt_table world_table = AT_OPT_TABLE("Privacy and devices", world_rows);
static const at_opt_table eval_table = AT_OPT_TABLE("Evaluation", eval_rows);

static at_err apply_presets(at_opts *set, const at_federate_cfg *c) {
  char origin[64];
  snprintf(origin, sizeof origin, "preset of method %s", at_federate_methods[c->method]->name);
  return at_opts_set_absent(set, at_federate_methods[c->method]->presets, origin);
}

bool at_federate_is_private_run(const at_federate_cfg *c) {
  return c->dp_noise > 0;
}

static at_err check_privacy(at_opts *set, const at_federate_cfg *c) {
  const at_federate_row *m = at_federate_methods[c->method];
  if (c->dp_clip == 0) {
    return at_opts_reject(set, "dp.noise", "noise is measured by dp.clip, which is 0: give it, too");
  }
  if (c->draw != AT_DRAW_poisson) {
    return at_opts_reject(set, "dp.noise", "privacy is accounted for fed.draw=poisson: draw so");
  }
  if (c->weights != AT_WEIGHTS_UNIFORM) {
    return at_opts_reject(set, "dp.noise", "one client's share is bounded with fed.weights=uniform alone: weigh so");
  }
  if (m->has_second_sum || m->pooled || m->isolated || c->buffer > 0 || c->select > 1) {
    return at_opts_reject(set, "dp.noise",
                          "method %s with these keys sends more than one clipped mean: it is not private", m->name);
  }
  return AT_OK;
}

/* A preset of nothing but the method's fields is checked with the data. */
static at_err resolve(at_opts *set, void *cfg) {
  at_federate_cfg *c = cfg;
  const at_federate_row *m = at_federate_methods[c->method];
  at_model model;
  AT_TRY(apply_presets(set, c));
  if (c->dp_noise > 0) {
    AT_TRY(check_privacy(set, c));
  }
  AT_TRY(at_partition_check(set, &c->partition));
  if (c->partition.clients > 0 && c->per_round > c->partition.clients) {
    return at_opts_reject(set, "fed.per_round", "there are only partition.clients = %lld",
                          (long long)c->partition.clients);
  }
  if (c->buffer > 0 && (m->pooled || m->isolated || c->deadline_s > 0 || c->select > 1)) {
    return at_opts_reject(set, "async.buffer", "method %s, deadlines and fed.select go with rounds: set it to 0",
                          m->name);
  }
  if (c->method == AT_FEDERATE_scaffold && c->lr == 0) {
    return at_opts_reject(set, "local.lr", "control variates are divided by it: it must be above 0");
  }
  AT_TRY(at_model_preset(c->model, &model));
  if (at_model_kind_of(&model) != AT_MODEL_CLASSIFIER) {
    return at_opts_reject(set, "model", "it predicts tokens: choose a classifier");
  }
  return AT_OK;
}

at_outer at_federate_outer(const at_federate_cfg *c) {
  return (at_outer){.kind = c->outer_kind,
                    .lr = c->outer_lr,
                    .momentum = c->outer_momentum,
                    .beta1 = c->outer_beta1,
                    .beta2 = c->outer_beta2,
                    .eps = c->outer_eps};
}

at_privacy at_federate_privacy(const at_federate_cfg *c) {
  return (at_privacy){.noise = c->dp_noise, .clip = c->dp_clip, .delta = c->dp_delta, .seed = (uint64_t)c->run.seed};
}

const at_federate_row *const at_federate_methods[AT_FEDERATE_METHOD_COUNT] = {
#define X(name) [AT_FEDERATE_##name] = &at_federate_method_##name,
    AT_FEDERATE_METHODS(X)
#undef X
};

static void list_methods(FILE *out) {
  for (int i = 0; i < AT_FEDERATE_METHOD_COUNT; i++) {
    fprintf(out, "    method=%-12s %s\n", at_federate_methods[i]->name, at_federate_methods[i]->summary);
  }
  for (const at_partition_row *row = at_partition_table; row->name != NULL; row++) {
    fprintf(out, "    partition.scheme=%-10s %s\n", row->name, row->help);
  }
}

const at_system at_federate_system = {
    .name = "federate",
    .summary = "Cross-device federated learning: FedAvg and its relatives on classification.",
    .cfg_bytes = sizeof(at_federate_cfg),
    .tables = {&method_table, &model_table, &partition_table, &fed_table, &local_table, &outer_table, &world_table,
               &eval_table},
    .resolve = resolve,
    .run = at_federate_run,
    .list = list_methods,
    .plan = at_federate_plan,
    .replay = at_federate_replay,
};
