/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration of federated pre-training: keys, presets of the methods, and what depends on several keys. */
#include <string.h>

#include "sim/outer_rows.h"
#include "sim/photon/photon.h"

static const char *const method_names[] = {
#define X(name) #name,
    AT_PHOTON_METHODS(X)
#undef X
        NULL};
static const char *const norm_names[] = {"layer", "rms", NULL};
static const char *const mlp_names[] = {"gelu", "swiglu", NULL};
static const char *const position_names[] = {"learned", "rope", NULL};
static const char *const partition_names[] = {"silo", "iid", "dirichlet", NULL};
static const char *const moment_names[] = {"reset", "keep", "average", "periodic", NULL};
static const char *const optimizer_names[] = {"adamw", "sgd", NULL};

#define T at_photon_cfg
static const at_opt method_rows[] = {
    AT_OPT_ENUM(T, method, "method", "photon", method_names,
                "photon; or a baseline: diloco, local_sgd, ddp (gradients averaged every step), centralised (ddp on "
                "pooled data), local_only (no exchange)."),
};
static const at_opt model_rows[] = {
    AT_OPT_INT(T, width, "model.width", "96", 1, 1 << 16, "", "Width of the residual stream."),
    AT_OPT_INT(T, layers, "model.layers", "2", 1, 1000, "", "Transformer blocks."),
    AT_OPT_INT(T, heads, "model.heads", "4", 1, 1024, "", "Attention heads; must divide model.width."),
    AT_OPT_INT(T, kv_heads, "model.kv_heads", "0", 0, 1024, "",
               "Key and value heads (grouped queries); 0: as many as model.heads."),
    AT_OPT_INT(T, hidden, "model.hidden", "0", 0, 1 << 18, "", "Width of the MLP; 0: four times model.width."),
    AT_OPT_INT(T, context, "model.context", "64", 1, 1 << 16, "tokens", "Length of a training window."),
    AT_OPT_ENUM(T, norm, "model.norm", "layer", norm_names, "LayerNorm or RMSNorm."),
    AT_OPT_ENUM(T, mlp, "model.mlp", "gelu", mlp_names, "Two-matrix GELU or three-matrix SwiGLU."),
    AT_OPT_ENUM(T, positions, "model.positions", "learned", position_names, "Learned table or rotary positions."),
    AT_OPT_F64(T, rope_base, "model.rope_base", "10000", 2, 1e9, "", "Base of the rotary angles."),
    AT_OPT_ENUM(T, precision, "model.precision", "f32", at_precision_names,
                "What matrix products read: f32, or bf16 (rounded; sums, weights and everything else stay f32)."),
    AT_OPT_BOOL(T, tied, "model.tied", "true", "The output layer is the embedding table."),
    AT_OPT_BOOL(T, bias, "model.bias", "false", "Linear layers have a bias."),
    AT_OPT_BOOL(T, recompute, "model.recompute", "false",
                "Compute activations inside blocks again for the gradient: the same numbers, less memory, more time."),
};
static const at_opt fed_rows[] = {
    AT_OPT_INT(T, clients, "fed.clients", "0", 0, 1e9, "clients", "Clients in the federation; 0: one per silo."),
    AT_OPT_INT(T, per_round, "fed.per_round", "0", 0, 1e9, "clients",
               "Clients that take part in a round, drawn without replacement; 0: all."),
    AT_OPT_INT(T, islands, "fed.islands", "1", 1, 4096, "islands",
               "Islands of a client: they read disjoint parts of its stream, train apart and send one update."),
    AT_OPT_INT(T, island_steps, "fed.island_steps", "0", 0, 1e9, "steps",
               "Local steps between two means over a client's islands; 0: local.steps, one mean a round."),
    AT_OPT_F64(T, island_bandwidth, "fed.island_bandwidth", "0", 0, 1e9, "Mbit/s",
               "Bandwidth between islands on the virtual clock; 0: means inside a client take no virtual time."),
    AT_OPT_F64(T, island_latency_s, "fed.island_latency", "0", 0, 1e3, "s", "Latency of a message between islands."),
    AT_OPT_INT(T, rounds, "fed.rounds", "20", 1, 1e9, "rounds", "Rounds of the run."),
    AT_OPT_ENUM(T, partition, "fed.partition", "silo", partition_names,
                "silo: a client reads one silo; iid: every client reads all silos in turn; dirichlet: every client "
                "reads a mixture of "
                "silos of its own (fed.alpha)."),
    AT_OPT_F64(T, alpha, "fed.alpha", "0.5", 1e-3, 1e6, "",
               "fed.partition=dirichlet: concentration; small: clients read few silos, large: all alike."),
    AT_OPT_STR(
        T, start, "fed.start", "",
        "Begin with the parameters of this checkpoint, or of the newest one of this run; moments begin at zero."),
    AT_OPT_INT(T, start_steps, "fed.start_steps", "0", 0, 1e12, "steps",
               "Steps of the schedule that lie behind the parameters of fed.start."),
    AT_OPT_ENUM(
        T, topology, "fed.topology", "rar", at_topology_names,
        "Links of reduce = exact or fast, as they are counted and timed: a parameter server (ps), all-to-all (ar), a "
        "ring (rar).  The sums are the same."),
    AT_OPT_ENUM(T, moments, "fed.moments", "reset", moment_names,
                "Moments of adamw between rounds: reset, keep with the client, average with the model, or periodic: "
                "kept, and averaged in some rounds."),
    AT_OPT_INT(T, m_every, "fed.m_every", "3", 1, 1e9, "rounds",
               "fed.moments=periodic: rounds between two means of first moments."),
    AT_OPT_INT(T, v_every, "fed.v_every", "6", 1, 1e9, "rounds",
               "fed.moments=periodic: rounds between two means of second moments."),
    AT_OPT_INT(T, quorum, "fed.quorum", "0", 0, 1e9, "clients",
               "Fewest valid results for a round to count; 0: half of those asked."),
    AT_OPT_INT(T, max_failed_rounds, "fed.max_failed_rounds", "3", 0, 1e9, "rounds",
               "Failed rounds in a row that end the run; 0: go on however many fail."),
    AT_OPT_F64(T, outlier, "fed.outlier", "10", 0, 1e9, "",
               "Updates longer than so many times the median of the round are rejected; 0: none."),
};
static const at_opt local_rows[] = {
    AT_OPT_INT(T, steps, "local.steps", "16", 0, 1e9, "steps", "Local steps of a round (tau)."),
    AT_OPT_INT(T, batch, "local.batch", "16", 1, 1 << 20, "windows", "Windows in one local step of one client."),
    AT_OPT_ENUM(T, optimizer, "local.optimizer", "adamw", optimizer_names, "Local optimiser."),
    AT_OPT_F64(T, lr, "local.lr", "3e-3", 0, 100, "", "Largest learning rate."),
    AT_OPT_F64(T, lr_final, "local.lr_final", "0.1", 0, 1, "", "Last learning rate as a fraction of the largest."),
    AT_OPT_INT(T, warmup, "local.warmup", "-1", -1, 1e9, "steps", "Linear warm-up; -1: a tenth of the period."),
    AT_OPT_INT(T, period, "local.period", "0", 0, 1e9, "steps",
               "Length of the cosine schedule over global steps; 0: the whole run."),
    AT_OPT_F64(T, beta1, "local.beta1", "0.9", 0, 0.999999, "", "Decay of the first moment."),
    AT_OPT_F64(T, beta2, "local.beta2", "0.95", 0, 0.999999, "", "Decay of the second moment."),
    AT_OPT_F64(T, eps, "local.eps", "1e-8", 1e-30, 1, "", "Added to the root of the second moment."),
    AT_OPT_F64(T, weight_decay, "local.weight_decay", "0", 0, 1, "", "Decoupled weight decay."),
    AT_OPT_F64(T, clip, "local.clip", "1", 0, 1e9, "", "Largest norm of a gradient; 0: no clipping."),
};
static const at_opt outer_rows[] = {AT_OUTER_ROWS(T, "0.95", "1e-9")};
static const at_opt eval_rows[] = {
    AT_OPT_INT(T, eval_every, "eval.every", "1", 1, 1e9, "rounds", "Rounds between two evaluations."),
    AT_OPT_INT(T, eval_windows, "eval.windows", "64", 1, 1e9, "windows", "Held-out windows of each silo."),
    AT_OPT_INT(T, eval_batch, "eval.batch", "16", 1, 1 << 20, "windows", "Windows evaluated at once."),
    AT_OPT_BOOL(T, eval_gain, "eval.gain", "false",
                "Evaluate the clients' models, too: what averaging gains (averaging_gain)."),
};
#undef T

static const at_opt_table method_table = AT_OPT_TABLE("Method", method_rows);
static const at_opt_table model_table = AT_OPT_TABLE("Model", model_rows);
static const at_opt_table fed_table = AT_OPT_TABLE("Federation", fed_rows);
static const at_opt_table local_table = AT_OPT_TABLE("Local training", local_rows);
static const at_opt_table outer_table = AT_OPT_TABLE("Server", outer_rows);
static const at_opt_table eval_table = AT_OPT_TABLE("Evaluation", eval_rows);

static at_err set_number(at_opts *set, const char *key, int64_t value) {
  char text[96];
  snprintf(text, sizeof text, "%s=%lld", key, (long long)value);
  return at_opts_set_from(set, text, "derived from other keys");
}

static at_err apply_presets(at_opts *set, const at_photon_cfg *c) {
  char origin[64];
  snprintf(origin, sizeof origin, "preset of method %s", at_photon_methods[c->method].name);
  return at_opts_set_absent(set, at_photon_methods[c->method].presets, origin);
}

/* The keys of sub-federation. */
static at_err settle_islands(at_opts *set, const at_photon_cfg *c) {
  static const char *const of_islands[] = {"fed.island_steps", "fed.island_bandwidth", "fed.island_latency"};
  const at_photon_method_row *method = &at_photon_methods[c->method];
  if (c->islands > 1 && method->round != at_photon_round_federated) {
    return at_opts_reject(set, "fed.islands", "method = %s sends no updates of clients: leave it at 1", method->name);
  }
  for (size_t i = 0; c->islands == 1 && i < sizeof of_islands / sizeof *of_islands; i++) {
    if (at_opts_is_changed(set, of_islands[i])) {
      return at_opts_reject(set, of_islands[i], "a client is one island: set fed.islands");
    }
  }
  if (c->island_bandwidth > 0 && !at_conditions_keep_time(&c->net)) {
    return at_opts_reject(set, "fed.island_bandwidth",
                          "there is no virtual time: set net.device, net.step_seconds or "
                          "net.bandwidth");
  }
  if (c->island_latency_s > 0 && c->island_bandwidth == 0) {
    return at_opts_reject(set, "fed.island_latency",
                          "means inside a client take no virtual time: set "
                          "fed.island_bandwidth");
  }
  if (c->islands > 1 && c->steps == 0) {
    return at_opts_reject(set, "fed.islands", "without local.steps there is nothing to average: leave it at 1");
  }
  if (c->island_steps > c->steps) {
    return at_opts_reject(set, "fed.island_steps", "a round has local.steps = %lld", (long long)c->steps);
  }
  return c->island_steps == 0 && c->islands > 1 ? set_number(set, "fed.island_steps", c->steps) : AT_OK;
}

/* The keys of moments that are averaged in some rounds. */
static at_err check_periodic(const at_opts *set, const at_photon_cfg *c) {
  static const char *const of_periodic[] = {"fed.m_every", "fed.v_every"};
  for (size_t i = 0; c->moments != AT_MOMENTS_PERIODIC && i < sizeof of_periodic / sizeof *of_periodic; i++) {
    if (at_opts_is_changed(set, of_periodic[i])) {
      return at_opts_reject(set, of_periodic[i], "it has a meaning for fed.moments = periodic only");
    }
  }
  if (c->moments == AT_MOMENTS_PERIODIC && at_photon_methods[c->method].round != at_photon_round_federated) {
    return at_opts_reject(set, "fed.moments", "method = %s averages no moments of clients: choose another",
                          at_photon_methods[c->method].name);
  }
  if (c->moments == AT_MOMENTS_PERIODIC && c->islands > 1) {
    return at_opts_reject(set, "fed.moments",
                          "periodic means of moments are for clients of one island: choose another");
  }
  return AT_OK;
}

/* Keys that have a meaning for some partitions, or some ways of adding, only. */
static at_err check_keys(const at_opts *set, const at_photon_cfg *c) {
  bool is_plain = c->run.reduce == AT_REDUCE_EXACT || c->run.reduce == AT_REDUCE_FAST;
  if (c->partition != AT_PARTITION_DIRICHLET && at_opts_is_changed(set, "fed.alpha")) {
    return at_opts_reject(set, "fed.alpha", "it has a meaning for fed.partition = dirichlet only");
  }
  if (c->topology != AT_TOPOLOGY_rar && !is_plain) {
    return at_opts_reject(set, "fed.topology",
                          "it has a meaning for reduce = exact or fast; for codecs, exchange.algorithm "
                          "says which links there are");
  }
  if (c->topology != AT_TOPOLOGY_rar && c->net.path != AT_NET_PATH_ALGORITHM &&
      c->net.path != AT_NET_PATH_PS + c->topology) {
    return at_opts_reject(set, "net.topology", "fed.topology says otherwise: leave out one of them");
  }
  if (c->start[0] == '\0' && c->start_steps != 0) {
    return at_opts_reject(set, "fed.start_steps", "nothing was trained before: set fed.start");
  }
  return AT_OK;
}

/* Zeros that stand for "as the others say" become the numbers they mean, so that the resolved file says all. */
static at_err resolve(at_opts *set, void *cfg) {
  at_photon_cfg *c = cfg;
  bool asks_moments = at_opts_is_given(set, "fed.moments");
  AT_TRY(apply_presets(set, c));
  if (c->optimizer == AT_OPTIM_SGD && c->moments != AT_MOMENTS_RESET) {
    if (asks_moments) {
      return at_opts_reject(set, "fed.moments", "local.optimizer = sgd has no moments: leave it at reset");
    }
    AT_TRY(at_opts_set_from(set, "fed.moments=reset", "derived from other keys"));
  }
  if (c->optimizer == AT_OPTIM_SGD && c->weight_decay != 0) {
    return at_opts_reject(set, "local.weight_decay", "local.optimizer = sgd takes plain steps: leave it at 0");
  }
  if (c->kv_heads == 0) {
    AT_TRY(set_number(set, "model.kv_heads", c->heads));
  }
  if (c->hidden == 0) {
    AT_TRY(set_number(set, "model.hidden", 4 * c->width));
  }
  if (c->period == 0) {
    AT_TRY(set_number(set, "local.period", c->start_steps + c->rounds * c->steps));
  }
  if (c->warmup < 0) {
    AT_TRY(set_number(set, "local.warmup", c->period / 10));
  }
  AT_TRY(at_photon_settle_exchange(set, c));
  AT_TRY(check_keys(set, c));
  AT_TRY(check_periodic(set, c));
  AT_TRY(settle_islands(set, c));
  AT_TRY(at_conditions_settle(set, &c->net, !at_photon_methods[c->method].keeps_moments));
  if (c->steps == 0 && at_photon_methods[c->method].keeps_moments) {
    return at_opts_reject(set, "local.steps", "method = %s exchanges in every step: take at least one",
                          at_photon_methods[c->method].name);
  }
  if (c->eval_gain && at_photon_methods[c->method].round != at_photon_round_federated) {
    return at_opts_reject(set, "eval.gain", "method = %s averages no models: leave it at false",
                          at_photon_methods[c->method].name);
  }
  if (c->clients > 0 && c->per_round > c->clients) {
    return at_opts_reject(set, "fed.per_round", "there are only fed.clients = %lld", (long long)c->clients);
  }
  at_gpt gpt = at_photon_model(c, 256);
  return at_gpt_check(&gpt);
}

at_gpt at_photon_model(const at_photon_cfg *c, int64_t vocab) {
  return (at_gpt){.vocab = vocab,
                  .context = c->context,
                  .width = c->width,
                  .hidden = c->hidden,
                  .layers = (int)c->layers,
                  .heads = (int)c->heads,
                  .kv_heads = (int)c->kv_heads,
                  .norm = c->norm,
                  .mlp = c->mlp,
                  .pos = c->positions,
                  .precision = c->precision,
                  .tied = c->tied,
                  .bias = c->bias,
                  .recompute = c->recompute,
                  .rope_base = c->rope_base,
                  .norm_eps = 1e-5};
}

at_outer at_photon_outer(const at_photon_cfg *c) {
  return (at_outer){.kind = c->outer_kind,
                    .lr = c->outer_lr,
                    .momentum = c->outer_momentum,
                    .beta1 = c->outer_beta1,
                    .beta2 = c->outer_beta2,
                    .eps = c->outer_eps};
}

static void list_methods(FILE *out) {
  for (int i = 0; i < AT_PHOTON_METHOD_COUNT; i++) {
    fprintf(out, "    method=%-12s %s\n", at_photon_methods[i].name, at_photon_methods[i].summary);
  }
}

const at_system at_photon_system = {
    .name = "photon",
    .summary = "Federated pre-training of a decoder-only language model across silos.",
    .cfg_bytes = sizeof(at_photon_cfg),
    .tables = {&method_table, &model_table, &fed_table, &local_table, &outer_table, &at_photon_exchange_table,
               &at_photon_network_table, &eval_table},
    .resolve = resolve,
    .run = at_photon_run,
    .list = list_methods,
    .plan = at_photon_plan,
    .replay = at_photon_replay,
};

const at_photon_method_row at_photon_methods[AT_PHOTON_METHOD_COUNT] = {
    [AT_PHOTON_photon] = {.name = "photon",
                          .summary = "federated averaging of many AdamW steps",
                          .round = at_photon_round_federated},
    [AT_PHOTON_diloco] = {.name = "diloco",
                          .summary = "Nesterov momentum on the server, moments stay with the clients",
                          .presets = {"outer.method=fednesterov", "outer.lr=0.7", "outer.momentum=0.9",
                                      "fed.moments=keep"},
                          .round = at_photon_round_federated},
    [AT_PHOTON_local_sgd] = {.name = "local_sgd",
                             .summary = "federated averaging of plain SGD steps",
                             .presets = {"local.optimizer=sgd", "local.clip=0"},
                             .round = at_photon_round_federated},
    [AT_PHOTON_ddp] = {.name = "ddp",
                       .summary = "gradients of the clients averaged at every step",
                       .round = at_photon_round_synchronous,
                       .keeps_moments = true},
    [AT_PHOTON_centralised] = {.name = "centralised",
                               .summary = "all data in one place, one model, the same total of tokens",
                               .presets = {"fed.partition=iid"},
                               .round = at_photon_round_synchronous,
                               .keeps_moments = true},
    [AT_PHOTON_local_only] = {.name = "local_only",
                              .summary = "every client alone, no exchange",
                              .presets = {"fed.moments=keep"},
                              .round = at_photon_round_isolated,
                              .own_model = true},
};
