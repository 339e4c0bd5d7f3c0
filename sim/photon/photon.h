/* SPDX-License-Identifier: BSD-3-Clause */
/* Federated pre-training of decoder-only language models across silos, with its baselines under the same command
 * (Sani et al. 2025, "Photon"; Douillard et al. 2023, "DiLoCo"). */
#ifndef AT_SIM_PHOTON_H
#define AT_SIM_PHOTON_H

#include "sim/identity.h"
#include "sim/plan.h"
#include "sim/session.h"
#include "sim/verify.h"
#include "src/comm/collective/silos.h"
#include "src/comm/exact.h"
#include "src/fed/agreement.h"
#include "src/fed/channel.h"
#include "src/fed/client.h"
#include "src/fed/conditions.h"
#include "src/fed/evaluate.h"
#include "src/fed/outer.h"
#include "src/fed/teams.h"
#include "src/store/ckpt.h"
#include "src/store/metrics.h"

#define AT_PHOTON_METHODS(X) X(photon) X(diloco) X(local_sgd) X(ddp) X(centralised) X(local_only)
typedef enum at_photon_method {
#define X(name) AT_PHOTON_##name,
  AT_PHOTON_METHODS(X)
#undef X
      AT_PHOTON_METHOD_COUNT
} at_photon_method;

/* What happens to the local moments between rounds. */
typedef enum at_moment_policy {
  AT_MOMENTS_RESET,
  AT_MOMENTS_KEEP,
  AT_MOMENTS_AVERAGE, /* local Adam */
  AT_MOMENTS_PERIODIC /* kept, and averaged in some rounds (Iacob et al. 2025, "DES-LOC") */
} at_moment_policy;

typedef struct at_photon_cfg {
  at_run_cfg run;
  int method, norm, mlp, positions, precision, partition, moments, optimizer, outer_kind;
  /* model */
  int64_t width, layers, heads, kv_heads, hidden, context;
  bool tied, bias, recompute;
  double rope_base;
  /* federation */
  int64_t clients, per_round, rounds, quorum, max_failed_rounds;
  double alpha; /* of partition = dirichlet */
  int topology; /* at_topology: what is counted and timed */
  char *start;
  int64_t start_steps;
  int64_t m_every, v_every;                  /* rounds between two means of periodic moments */
  int64_t islands, island_steps;             /* of a client; between their means */
  double island_bandwidth, island_latency_s; /* Mbit/s between islands of a client; 0: exchange inside costs nothing */
  /* local */
  int64_t steps, batch, warmup, period;
  double lr, lr_final, beta1, beta2, eps, weight_decay, clip;
  /* outer */
  double outer_lr, outer_momentum, outer_beta1, outer_beta2, outer_eps;
  /* evaluation */
  int64_t eval_every, eval_windows, eval_batch;
  bool eval_gain;
  int64_t grid_bits;
  at_reduce_cfg exchange; /* reduce = codec */
  bool overlap;           /* of gradients, with the backward pass */
  at_conditions net;
  double outlier;
} at_photon_cfg;

/* Facts about each client, kept by the server and the same on all ranks: rows of [clients][AT_FACT_COUNT]. */
typedef enum at_fact {
  AT_FACT_CURSOR,     /* next window of its stream */
  AT_FACT_STEPS,      /* local steps so far */
  AT_FACT_MOMENT_AGE, /* steps since its moments were zero (kept moments) */
  AT_FACT_LAST_ROUND,
  AT_FACT_FAILURES,
  AT_FACT_COUNT
} at_fact;

/* The counters of a run: part of every checkpoint. */
typedef struct at_photon_counters {
  int64_t round, steps, tokens, failed_rounds, failed_in_a_row, moment_age;
  int64_t halvings;     /* of outer.lr, after going back to a checkpoint */
  at_identity identity; /* checked on resume */
  int64_t layout;       /* of residuals, checked too */
} at_photon_counters;
enum { AT_PHOTON_COUNTERS = sizeof(at_photon_counters) / sizeof(int64_t) };

/* Work of one client in flight; vectors of n parameters. */
typedef struct at_photon_stage {
  int64_t id, cursor, moment_age;
  bool is_absent; /* vanishes or is late: it is not played */
  at_fate fate;
  float *w; /* first the parameters, then the update Delta_k = theta - theta_k */
  float *m, *v;
  at_report report;
} at_photon_stage;

/* One island of the client in training. */
typedef struct at_photon_island {
  int64_t id, cursor;
  float *w;
  at_moments mom;
  double weight; /* its samples over the client's */
  at_report report;
} at_photon_island;

/* What a round amounts to; NaN where it does not apply. */
#define AT_PHOTON_FIGURES(X)                                                                                          \
  X(clients, "clients", "clients with a valid result", 0)                                                             \
  X(failures, "clients", "clients without a valid result", 0)                                                         \
  X(dropouts, "clients", "clients that vanished for the round", 0)                                                    \
  X(late, "clients", "clients that missed the deadline", 0)                                                           \
  X(failed, "clients", "clients whose work broke off too often", 0)                                                   \
  X(rejected, "clients", "clients whose update was not finite or far longer than the others'", 0)                     \
  X(retries, "", "times that work was begun again after it broke off", 0)                                             \
  X(shortened, "clients", "clients with a valid result of fewer steps than asked for", 0)                             \
  X(epochs, "", "times that the client furthest ahead has seen all its data", 0)                                      \
  X(server_lr, "1", "learning rate of the server's step", 0)                                                          \
  X(steps, "steps", "global steps so far", 0)                                                                         \
  X(tokens, "tokens", "tokens trained on so far, over all clients", 0)                                                \
  X(lr_first, "1", "learning rate of the round's first step", 0)                                                      \
  X(lr, "1", "learning rate of the round's last step", 0)                                                             \
  X(train_loss, "nats/token", "mean training loss of the round's clients", 0)                                         \
  X(loss_first, "nats/token", "training loss in the first local step, mean over the round's clients", 0)              \
  X(loss_last, "nats/token", "training loss in the last local step, mean over the round's clients", 0)                \
  X(val_nats, "nats/token", "validation loss, mean over silos", 0)                                                    \
  X(val_bits_per_byte, "bits/byte", "validation loss, mean over silos", 0)                                            \
  X(delta_norm, "1", "norm of the mean update (pseudo-gradient), or of the last mean gradient", 0)                    \
  X(step_norm, "1", "norm of the change of the global model", 0)                                                      \
  X(theta_norm, "1", "norm of the global model", 0)                                                                   \
  X(outer_m_norm, "1", "norm of the server's first state vector", 0)                                                  \
  X(outer_v_norm, "1", "norm of the server's second state vector", 0)                                                 \
  X(consensus, "1", "mean squared distance of the clients' models from their mean", 0)                                \
  X(cosine, "1", "mean cosine between a client's update and the mean update", 0)                                      \
  X(pair_dot, "1", "mean inner product of two clients' updates", 0)                                                   \
  X(pair_cosine, "1", "the same over the mean product of their norms", 0)                                             \
  X(trace, "1", "variance of one client's update", 0)                                                                 \
  X(grad_sq, "1", "square of the expected update, without bias", 0)                                                   \
  X(noise_scale, "clients", "trace over grad_sq, each averaged over rounds", 0)                                       \
  X(averaging_gain, "nats/token",                                                                                     \
    "validation loss of the mean model less that of the clients' models; with eval.gain", 0)                          \
  X(grad_norm_max, "1", "largest gradient norm of the round", 0)                                                      \
  X(clip_fraction, "1", "share of clipped steps", 0)                                                                  \
  X(payload_bytes, "bytes", "sent by one client in the round for the model; without codec by fed.topology", 0)        \
  X(wire_bytes, "bytes", "sent between clients in the round, all together, headers included; as much is received", 0) \
  X(inner_bytes, "bytes", "sent between islands inside the clients in the round, all together", 0)                    \
  X(bits_per_element, "bits", "sent per element that a ring of floats would send", 0)                                 \
  X(residual_norm, "1", "norm of what a client's code lost, mean over the round's clients", 0)                        \
  X(server_residual_norm, "1", "norm of what the mean's code lost", 0)                                                \
  X(saturated, "elements", "clipped by fp16 in the round", 0)                                                         \
  X(virtual_seconds, "s", "the round on the virtual clock", 0)                                                        \
  X(virtual_exchange_seconds, "s", "of it, the exchange", 0)                                                          \
  X(virtual_clock, "s", "virtual time since the start of the run", 0)                                                 \
  X(mpi_bytes_sent, "bytes", "sent by rank 0 in the round, all purposes", 1)                                          \
  X(mpi_seconds, "s", "rank 0 inside MPI calls in the round", 1)                                                      \
  X(train_seconds, "s", "local training, rank 0", 1)                                                                  \
  X(exchange_seconds, "s", "exchange and server step, rank 0", 1)                                                     \
  X(eval_seconds, "s", "evaluation, rank 0", 1)                                                                       \
  X(checkpoint_seconds, "s", "stopped for the last checkpoint, with metrics, rank 0", 1)                              \
  X(round_seconds, "s", "the whole round, rank 0", 1)                                                                 \
  X(tokens_per_second, "tokens/s", "training throughput of all ranks over the round", 1)
typedef struct at_photon_figures {
#define X(name, unit, text, is_volatile) double name;
  AT_PHOTON_FIGURES(X)
#undef X
} at_photon_figures;
enum { AT_PHOTON_FIGURE_COUNT = sizeof(at_photon_figures) / sizeof(double) };

/* Parts of a rank's memory. */
typedef enum at_photon_memory {
  AT_PHOTON_DATA,
  AT_PHOTON_WORK,       /* activations, gradient, batches */
  AT_PHOTON_REPLICATED, /* what every rank has once: the model, the server's state, sums */
  AT_PHOTON_OWN,        /* of the clients that live here */
  AT_PHOTON_FLIGHT,     /* of the clients at work */
  AT_PHOTON_LIBRARIES,  /* MPI, MPI-IO, HDF5, once they are used */
  AT_PHOTON_MEMORY_COUNT
} at_photon_memory;

typedef struct at_photon at_photon;
/* One method: how a round is played and who owns client state. */
typedef struct at_photon_method_row {
  const char *name, *summary;
  const char *presets[6]; /* key=value that hold unless the user gives the key; NULL-terminated */
  at_err (*round)(at_photon *p);
  bool own_model;     /* every client has parameters of its own, which stay with it */
  bool keeps_moments; /* the global model has moments (a step is taken on it directly) */
} at_photon_method_row;
extern const at_photon_method_row at_photon_methods[AT_PHOTON_METHOD_COUNT];

/* The state of a run on one rank. */
struct at_photon {
  at_session *s;
  int rank, size;  /* in the world, or in the one that is planned */
  bool is_planned; /* vectors of the model's length are counted and not allocated */
  const at_photon_cfg *cfg;
  const at_photon_method_row *method;
  int64_t n;                            /* parameters */
  int64_t n_clients, per_round, quorum; /* settled with the data at hand */
  /* read-only after set-up */
  at_corpus *corpus;
  at_mixture *mixture; /* NULL unless clients read mixtures */
  at_streams streams;
  at_lm_task *task;
  at_local local;
  at_evaluator eval;
  int32_t *token_buffer;
  at_provenance *prov;
  at_run *run;
  /* replicated; NULL where the method has no use for it */
  at_photon_counters count;
  float *theta, *delta, *outer_m, *outer_v, *global_m, *global_v;
  float *moment_mean; /* of the round, before clients take it for their own */
  int64_t *facts;     /* [clients][AT_FACT_COUNT] */
  at_exact *exact;
  at_channel_cfg channel_cfg;  /* of reduce = codec or secure, resolved */
  at_channel *channel, *plain; /* of updates or gradients; of moments that are averaged.  NULL where not used */
  at_matrix *matrices;         /* [tensors] */
  int64_t shared_elements;     /* what all ranks keep of the channel */
  int exchange_algorithm;      /* of the last round */
  at_noise_scale noise;
  at_virtual_clock clock;
  at_clock_round clock_round; /* of the round in flight */
  double *client_s;           /* [per_round]: virtual local seconds of the sampled clients */
  bool *on_time;              /* [per_round] */
  at_fate *fate;              /* [per_round]: of the sampled clients */
  double *sorted_s;           /* [per_round]: scratch */
  /* who plays what, and rows of the clients that this rank's team owns */
  bool is_stateful; /* clients have state, which decides where they are played */
  at_team team;
  int64_t n_islands;     /* of each of the team's clients, here */
  at_silos *silos;       /* means over islands; NULL where a client is one */
  int64_t n_own, *own;   /* clients; of the team's first rank only */
  int64_t n_unit, *unit; /* islands: client * islands + island */
  float *row_w;          /* [n_own][n]; NULL where the method has none */
  float *row_m, *row_v;  /* [n_unit][n]; likewise */
  /* a round in flight */
  int64_t *sampled;
  at_photon_stage *stage;
  int64_t n_stage, stage_cap;            /* clients of the team, on its first rank: it speaks for them */
  int64_t n_team_stage;                  /* on all its ranks */
  at_photon_island *island;              /* [n_islands], of the client in training */
  float *island_w, *island_m, *island_v; /* [n_islands][n]; NULL where a client is one island */
  float *shared_m, *shared_v;            /* moments of the client at work, where they are neither kept nor sent */
  float *probe;                          /* a model that is only evaluated; NULL without eval.gain */
  float *undo;         /* theta and global moments at the start of the round (methods that step on theta) */
  int64_t *undo_grids; /* and the grids of exact sums */
  bool is_spoilt;      /* the last server step made theta not finite */
  /* rank 0 */
  at_metrics *metrics;
  size_t planned_bytes; /* memory of what is above, to be compared with the peak of the process */
  size_t planned_part[AT_PHOTON_MEMORY_COUNT];
  int64_t rss_before;
  /* this round's figures */
  at_photon_figures fig;
  double *silo_nats, *silo_bpb; /* [n_silos] of the last evaluation */
};

extern const at_system at_photon_system;

/* config.c */
at_gpt at_photon_model(const at_photon_cfg *c, int64_t vocab);
at_outer at_photon_outer(const at_photon_cfg *c);

/* photon.c: a whole run.  Collective. */
at_err at_photon_run(at_session *s, at_opts *set, void *cfg, bool resume);
/* The round in play has an evaluation. */
bool at_photon_is_evaluated(const at_photon *p);
/* One round with its evaluation and its row of figures.  Collective. */
at_err at_photon_play_round(at_photon *p);

/* Sent by rank 0 for a table of `rows` rows of `width` doubles that is gathered by client. */
double at_photon_table_bytes(int ranks, double rows, double width);
/* plan.c, replay.c: for `atoll plan` and `atoll verify`.  Collective. */
at_err at_photon_plan(at_session *s, at_opts *set, const void *cfg, int ranks, at_plan *out);
at_err at_photon_replay(at_session *s, at_opts *set, const void *cfg, const at_replay *what);

/* config_exchange.c: settle the keys of `reduce` and `exchange`.  Rank 0. */
extern const at_opt_table at_photon_exchange_table;
at_err at_photon_settle_exchange(at_opts *set, at_photon_cfg *c);

/* exchange.c: channels of a run (src/fed/channel.h) */
/* Their configuration for the model at hand.  Not collective. */
at_err at_photon_size_exchange(at_photon *p);
bool at_photon_has_channel(const at_photon *p);
/* Bytes of a round's exchanges through channels, with what is counted and told of them. */
at_err at_photon_exchange_traffic(const at_photon *p, int64_t round, at_traffic *out);
/* Bytes for own clients, and besides. */
double at_photon_exchange_bytes(const at_photon *p, double *own);
at_err at_photon_open_exchange(at_photon *p); /* collective */
void at_photon_close_exchange(at_photon *p);  /* collective */
/* Sent by a client, and by all together with the server, if there is one, in fed.topology, where a ring has each of them send
 * ring_bytes.  Without a channel. */
double at_photon_topology_bytes(const at_photon *p, double ring_bytes, double clients, double *all);
/* Traffic and residuals of the round into its figures.  Collective. */
at_err at_photon_count_exchange(at_photon *p);

/* network.c: the virtual clock, and what it does to clients; alike on all ranks, without communication */
extern const at_opt_table at_photon_network_table;
void at_photon_start_clock(at_photon *p);                           /* who of the sampled clients counts */
double at_photon_step_flops(const at_photon_cfg *c, int64_t vocab); /* of a client's local step */
at_ask at_photon_ask(const at_photon *p, int64_t client);           /* without a deadline */
/* Virtual seconds of a round's exchanges in which so many clients sent wire_bytes all together, so many vectors of moments among
 * them. */
double at_photon_exchange_seconds(const at_photon *p, int algorithm, double clients, double moments, double wire_bytes);
void at_photon_advance_clock(at_photon *p); /* the round is over, figures are known */

/* setup.c */
/* The global model has moments: a step is taken on it directly, or the clients' moments are averaged. */
bool at_photon_has_global_moments(const at_photon *p);
/* The clients' first, second moments are averaged in this round, counted from zero. */
bool at_photon_averages_m(const at_photon *p, int64_t round);
bool at_photon_averages_v(const at_photon *p, int64_t round);
/* Vectors of moments that are averaged in a round, in the mean over rounds. */
double at_photon_mean_moments(const at_photon *p);
/* cfg: what depends on the model is settled in it; borrowed. */
at_err at_photon_create(at_photon **out, at_session *s, at_opts *set, at_photon_cfg *cfg, bool resume);
/* What rank 0 of `ranks` would set up, without its folder, its model-sized vectors (they may not be touched) and its start
 * values: for the sizes.  Not collective. */
at_err at_photon_create_planned(at_photon **out, at_session *s, const at_photon_cfg *cfg, int ranks);
void at_photon_destroy(at_photon *p);

/* What a run begins with; loads: fed.start is looked at, which a run that goes on does not need.  Collective. */
at_err at_photon_start_values(at_photon *p, bool loads);

/* state.c: checkpoints.  Collective.  The file may follow in the background: at_run_settle. */
at_err at_photon_save(at_photon *p);
/* The parameters of fed.start; a checkpoint of clients with models of their own has none.  Collective. */
at_err at_photon_load_start(at_photon *p);
int64_t at_photon_kept_bytes(at_photon *p); /* what that keeps in rank 0's memory; not collective */
at_err at_photon_restore(at_photon *p);
/* Length of a checkpoint's file; writes a short one into `folder`.  Not collective. */
at_err at_photon_measure_checkpoint(at_photon *p, const char *folder, int64_t *bytes);

/* rollback.c: after a server step that made the global model not finite, go back to the last checkpoint (or the start) and halve
 * the server's learning rate; AT_ERR_NONFINITE if that was done before.  *p is another object then, or NULL.  Collective. */
at_err at_photon_roll_back(at_photon **p, at_opts *set, at_photon_cfg *cfg);

/* judge.c: which of the round's results are used, with counts and reasons.  reports[n], ascending by client, and stages say so.
 * is_mean: they are averaged, so that they must be finite and of like length.  Alike on all ranks.  Collective. */
at_err at_photon_judge(at_photon *p, int64_t n, const int64_t *ids, at_report *reports, bool is_mean);

/* round_federated.c, round_synchronous.c: one round; on failure the state is that of the last complete round, unless theta is spoilt. */
at_err at_photon_round_federated(at_photon *p);
at_err at_photon_round_isolated(at_photon *p);
at_err at_photon_round_synchronous(at_photon *p);

/* The moments that a client, or its island number j on this rank, begins the round with, and their age. */
void at_photon_start_moments(const at_photon *p, const at_photon_stage *st, int64_t j, at_moments *mom);

/* islands.c: clients that are several islands */
at_err at_photon_open_islands(at_photon *p); /* collective */
/* Train the client for so many steps, with the team: its stage ends as that of a client of one island does.  Collective over the
 * team. */
at_err at_photon_train_islands(at_photon *p, at_photon_stage *st, int64_t steps);
int64_t at_photon_island_means(const at_photon_cfg *c); /* vectors averaged inside a client in a round */
double at_photon_island_bytes(const at_photon *p);      /* sent by a client's islands in one, all together, as a ring */
double at_photon_island_rank_bytes(const at_photon *p); /* sent by rank 0 inside its team in a round */
double at_photon_island_seconds(const at_photon *p);    /* virtual, of a client's means in a round */

/* round.c: what the rounds share */
/* The clients of this round into p->sampled, and stages for those that this rank plays. */
at_err at_photon_open_round(at_photon *p);
/* A sum over stages on all ranks: out = sum of weight[i] * the vector `pick` of valid stage i; weights add up to one.
 * Collective. */
typedef enum at_photon_part { AT_PHOTON_UPDATE, AT_PHOTON_M, AT_PHOTON_V, AT_PHOTON_PARTS } at_photon_part;
typedef const float *(*at_photon_pick)(const at_photon_stage *s);
at_err at_photon_sum(at_photon *p, at_photon_part part, at_photon_pick pick, const double *weight, float *out);
/* What such a sum over so many clients moves each way, where no channel does: bytes of one vector. */
int64_t at_photon_sum_bytes(const at_photon *p, int64_t clients);
/* Reports of the round's clients on all ranks, ascending by client (at_free).  Collective. */
at_err at_photon_gather_reports(at_photon *p, int64_t *n, int64_t **ids, at_report **reports);
/* What the reports say into the clients' facts.  A round that does not count leaves clients as they were, but for their
 * place in the data: the same batches would only fail again. */
void at_photon_note_clients(at_photon *p, int64_t n, const int64_t *ids, const at_report *reports, bool counts);
/* Means over the valid reports into the round's figures, and the counters of steps and tokens. */
void at_photon_count_round(at_photon *p, int64_t n, const at_report *reports);

/* eval.c */
at_err at_photon_evaluate(at_photon *p);
/* RUN/evaluation.h5: per silo, validation and test, once at the end.  Collective. */
at_err at_photon_write_evaluation(at_photon *p);
/* A file of the same structure, for its length.  Not collective. */
at_err at_photon_write_empty_evaluation(const at_photon *p, const char *path);

/* gain.c: loss of the clients' mean model less the mean loss of their models, on the validation split; in rounds with an evaluation,
 * before the server's step.  With eval.gain.  Collective. */
at_err at_photon_measure_gain(at_photon *p);
/* metrics.c: figures of a finished round into a row.  Rank 0 only; does nothing elsewhere. */
at_err at_photon_metrics_create(at_photon *p, const char *path);
at_err at_photon_metrics_row(at_photon *p);

#endif
