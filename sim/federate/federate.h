/* SPDX-License-Identifier: BSD-3-Clause */
/* Cross-device federated learning: federated averaging and its relatives on classification, over populations of any size. */
#ifndef AT_SIM_FEDERATE_H
#define AT_SIM_FEDERATE_H

#include "sim/identity.h"
#include "sim/plan.h"
#include "sim/session.h"
#include "sim/verify.h"
#include "src/comm/exact.h"
#include "src/comm/watchdog.h"
#include "src/fed/buffered.h"
#include "src/fed/draw.h"
#include "src/fed/learner.h"
#include "src/fed/outer.h"
#include "src/fed/privacy.h"
#include "src/fed/shelf.h"
#include "src/store/ckpt.h"
#include "src/store/metrics.h"

#define AT_FEDERATE_METHODS(X) \
  X(fedavg)                    \
  X(fedprox) X(scaffold) X(fedopt) X(fedbn) X(fedrep) X(fedbabu) X(perfedavg) X(ditto) X(local_only) X(centralised)
typedef enum at_federate_method {
#define X(name) AT_FEDERATE_##name,
  AT_FEDERATE_METHODS(X)
#undef X
      AT_FEDERATE_METHOD_COUNT
} at_federate_method;

typedef enum at_federate_weights { AT_WEIGHTS_EXAMPLES, AT_WEIGHTS_UNIFORM } at_federate_weights;

typedef struct at_federate_cfg {
  at_run_cfg run;
  int method, draw, weights, outer_kind, eval_split;
  /* method */
  double mu, lambda, alpha_inner;
  char *head, *norms;
  int64_t head_epochs;
  /* data and model */
  char *model, *test;
  int64_t hold;
  at_partition_cfg partition; /* without a seed: the run has one */
  /* federation */
  int64_t per_round, rounds, max_failed_rounds;
  double select, deadline_s;
  int64_t buffer, max_staleness;
  int64_t shards, state_memory;
  /* local */
  int64_t epochs, batch;
  double lr, lr_decay, momentum, weight_decay, clip;
  /* server */
  double outer_lr, outer_momentum, outer_beta1, outer_beta2, outer_eps;
  int64_t grid_bits;
  /* privacy, devices */
  double dp_noise, dp_clip, dp_delta;
  char *trace, *device;
  double spread, down_Bps, up_Bps, on_share, dropout;
  /* evaluation */
  int64_t eval_every, eval_clients, eval_batch, eval_track, adapt_epochs;
  double adapt_lr;
} at_federate_cfg;

/* The counters of a run: part of every checkpoint. */
typedef struct at_federate_counters {
  int64_t round, examples, failed_rounds, failed_in_a_row;
  int64_t asked, dropped, version; /* of asynchronous aggregation */
  at_identity identity;            /* checked on resume */
} at_federate_counters;
enum { AT_FEDERATE_COUNTERS = sizeof(at_federate_counters) / sizeof(int64_t) };

/* Numbers that are not whole. */
typedef struct at_federate_clock {
  double now_s, bytes; /* virtual seconds; payload so far */
} at_federate_clock;
enum { AT_FEDERATE_CLOCK = sizeof(at_federate_clock) / sizeof(double) };

/* What a round amounts to; NaN where it does not apply. */
#define AT_FEDERATE_FIGURES(X)                                                             \
  X(clients, "clients", "clients with a valid result", 0)                                  \
  X(failures, "clients", "clients without a valid result", 0)                              \
  X(late, "clients", "clients asked that could not be had, or not in time", 0)             \
  X(examples, "examples", "examples trained on so far, over all clients and epochs", 0)    \
  X(train_loss, "nats", "mean training loss of the round's clients, by examples", 0)       \
  X(accuracy, "1", "share of the tested clients' examples that are right", 0)              \
  X(eval_loss, "nats", "mean loss over the tested clients' examples", 0)                   \
  X(accuracy_mean, "1", "accuracy, mean over tested clients", 0)                           \
  X(accuracy_p10, "1", "accuracy that a tenth of the tested clients does not reach", 0)    \
  X(accuracy_median, "1", "accuracy, median of the tested clients", 0)                     \
  X(accuracy_p90, "1", "accuracy that a tenth of the tested clients exceeds", 0)           \
  X(delta_norm, "1", "norm of the mean update (pseudo-gradient)", 0)                       \
  X(step_norm, "1", "norm of the change of the global model", 0)                           \
  X(update_norm, "1", "norm of a client's update, mean", 0)                                \
  X(clip_fraction, "1", "share of updates that were clipped for privacy", 0)               \
  X(epsilon, "1", "privacy spent so far: epsilon at dp.delta", 0)                          \
  X(staleness, "steps", "server steps since the model that an answer began with, mean", 0) \
  X(bytes_down, "bytes", "sent to the round's clients", 0)                                 \
  X(bytes_up, "bytes", "sent by the round's clients", 0)                                   \
  X(bytes_total, "bytes", "to and from all clients so far", 0)                             \
  X(virtual_seconds, "s", "on the virtual clock so far", 0)                                \
  X(stateful_clients, "clients", "clients that keep state", 0)                             \
  X(state_bytes, "bytes", "of the files of clients' state", 1)                             \
  X(imbalance, "1", "planned work of the busiest rank over the least possible", 1)         \
  X(mpi_bytes_sent, "bytes", "sent by rank 0 in the round, all purposes", 1)               \
  X(mpi_seconds, "s", "rank 0 inside MPI calls in the round", 1)                           \
  X(train_seconds, "s", "local training, rank 0", 1)                                       \
  X(exchange_seconds, "s", "exchange and server step, rank 0", 1)                          \
  X(eval_seconds, "s", "evaluation, rank 0", 1)                                            \
  X(checkpoint_seconds, "s", "writing the previous checkpoint, rank 0", 1)                 \
  X(round_seconds, "s", "the whole round, rank 0", 1)                                      \
  X(examples_per_second, "examples/s", "training throughput of all ranks over the round", 1)
typedef struct at_federate_figures {
#define X(name, unit, text, is_volatile) double name;
  AT_FEDERATE_FIGURES(X)
#undef X
} at_federate_figures;
enum { AT_FEDERATE_FIGURE_COUNT = sizeof(at_federate_figures) / sizeof(double), AT_FEDERATE_BINS = 20 };

/* Parts of a rank's memory. */
typedef enum at_federate_memory {
  AT_FEDERATE_DATA,
  AT_FEDERATE_WORK,       /* activations, gradient, batches */
  AT_FEDERATE_REPLICATED, /* the model, the server's state, sums */
  AT_FEDERATE_FLIGHT,     /* the client at work */
  AT_FEDERATE_SHELF,      /* buffers of clients' state */
  AT_FEDERATE_LIBRARIES,
  AT_FEDERATE_MEMORY_COUNT
} at_federate_memory;

typedef struct at_federate at_federate;

/* One client's turn. */
typedef struct at_visit {
  at_crowd who;
  int64_t round;      /* of its random numbers */
  const float *theta; /* [length] global model that it begins with */
  float *w;           /* [length] in: its model; out: trained */
  float *kept;        /* [kept] what it keeps, in and out; NULL if the method keeps nothing */
  float *second;      /* [params] out: its term of the second sum; NULL if there is none */
  at_learned learned;
} at_visit;

/* One method: a row here, a file of its own. */
typedef struct at_federate_row {
  const char *name, *summary;
  const char *presets[6]; /* key=value that hold unless the user gives the key; NULL-terminated */
  /* Local training: v->w from the model it begins with to the trained one. */
  at_err (*train)(at_federate *f, at_visit *v);
  /* Patterns of the tensors that stay with the client, "*" for all; they are kept, and no part of the update.  NULL: none. */
  const char *(*private_of)(const at_federate_cfg *c);
  bool keeps_states;   /* running statistics stay with the client, too */
  bool keeps_second;   /* clients keep a second model of their own, which starts as the initial model; it is tested */
  bool keeps_control;  /* clients keep a vector of parameters, which starts as zeros */
  bool has_second_sum; /* the mean over the population of v->second is subtracted from f->control */
  bool isolated;       /* nothing is exchanged */
  bool pooled;         /* the round's clients are played as one */
} at_federate_row;
extern const at_federate_row *const at_federate_methods[AT_FEDERATE_METHOD_COUNT];

/* method_NAME.c */
#define X(name) extern const at_federate_row at_federate_method_##name;
AT_FEDERATE_METHODS(X)
#undef X

/* A client of the round. */
typedef struct at_turn {
  int64_t client, examples, version, round;
  double weight; /* in the sum, before division by the total */
  int rank;
} at_turn;

/* A sum over clients: exact or fast. */
typedef struct at_fed_sum {
  at_exact *exact; /* NULL: fast */
  float *fast;
  const at_vec *vec;
  int64_t n;
} at_fed_sum;

/* The state of a run on one rank. */
struct at_federate {
  at_session *s;
  int rank, size;  /* in the world, or in the one that is planned */
  bool is_planned; /* vectors of the model's length are counted and not allocated */
  const at_federate_cfg *cfg;
  const at_federate_row *method;
  int64_t params, length;    /* parameters; and running statistics */
  int64_t n_private, n_kept; /* floats that stay with a client; and what else it keeps */
  int64_t n_clients, per_round;
  /* read-only after set-up */
  at_examples *set;
  at_population population;
  at_classifier_task *task;
  at_fleet *fleet;
  at_learner learner;
  double flops_per_example;
  bool *is_private; /* [tensors of parameters + of states] */
  bool *is_head;    /* [tensors of parameters] */
  bool *is_body;
  int64_t *offsets; /* [tensors + 1] */
  const char **names;
  int n_tensors;
  at_provenance *prov;
  at_run *run;
  int64_t n_tested, *tested; /* clients of evaluations, ascending */
  /* replicated; NULL where the method has no use for it */
  at_federate_counters count;
  at_federate_clock clock;
  float *theta, *delta, *outer_m, *outer_v, *control, *control_delta, *initial;
  float *versions; /* [max_staleness + 1][length]: asynchronous; version v at v mod rows */
  at_fed_sum sum, second_sum;
  at_buffered *buffered;
  at_shelf *shelf;
  at_shelf_mark *marks, *marks_kept; /* of this checkpoint; of the checkpoints that are kept, a ring */
  int64_t n_marks_kept;
  /* a round in flight */
  at_turn *turn;
  int64_t n_turns, turns_cap;
  float *w, *kept, *second, *velocity, *scratch;
  double *speed;       /* [ranks] examples per second, measured */
  at_metrics *metrics; /* rank 0 */
  size_t planned_bytes;
  size_t planned_part[AT_FEDERATE_MEMORY_COUNT];
  int64_t rss_before;
  /* this round's figures */
  at_federate_figures fig;
  double histogram[AT_FEDERATE_BINS];
  double *tracked; /* [eval_track] accuracies */
};

extern const at_system at_federate_system;

/* config.c */
at_outer at_federate_outer(const at_federate_cfg *c);
at_privacy at_federate_privacy(const at_federate_cfg *c);
bool at_federate_is_private_run(const at_federate_cfg *c);

/* federate.c: a whole run.  Collective. */
at_err at_federate_run(at_session *s, at_opts *set, void *cfg, bool resume);
at_err at_federate_play_round(at_federate *f);

/* plan.c, replay.c */
at_err at_federate_plan(at_session *s, at_opts *set, const void *cfg, int ranks, at_plan *out);
at_err at_federate_replay(at_session *s, at_opts *set, const void *cfg, const at_replay *what);

/* setup.c, model.c */
at_err at_federate_create(at_federate **out, at_session *s, at_opts *set, const at_federate_cfg *cfg, bool resume);
at_err at_federate_create_planned(at_federate **out, at_session *s, const at_federate_cfg *cfg, int ranks);
void at_federate_destroy(at_federate *f);
/* The model that the data ask for, the tensors' names, and which of them are whose. */
at_err at_federate_build_model(at_federate *f);
bool at_federate_has_state(const at_federate *f);
at_err at_federate_table(at_federate *f, void *out, int64_t count, size_t size, const char *what);
at_err at_federate_vector(at_federate *f, float **out, int64_t count, const char *what);

/* state.c: checkpoints.  Collective. */
at_err at_federate_save(at_federate *f);
at_err at_federate_restore(at_federate *f);
at_err at_federate_measure_checkpoint(at_federate *f, const char *folder, int64_t *bytes);

/* select.c: the clients of this round into f->turn, with their ranks; the virtual clock moves on.  The same on all ranks. */
at_err at_federate_select(at_federate *f);
/* Seconds that a client takes, for src/fed/buffered.h. */
double at_federate_answer_s(const void *federate, int64_t client, int64_t ask, double now_s);

/* visit.c: a client's turn: what it keeps is fetched, it trains, v->w becomes its update (theta - w).  *valid: it may be used. */
at_err at_federate_visit(at_federate *f, const at_turn *turn, const at_crowd *who, at_visit *v, bool *valid);
/* The model that a client is tested with, into f->w. */
at_err at_federate_personal_model(at_federate *f, int64_t client);

/* sum.c */
at_err at_fed_sum_create(at_federate *f, at_fed_sum *s, int64_t n, int n_tensors);
void at_fed_sum_destroy(at_fed_sum *s);
void at_fed_sum_begin(at_fed_sum *s);
void at_fed_sum_add(at_fed_sum *s, int64_t client, double weight, const float *x);
/* AT_ERR_OVERFLOW: the grid is coarser now; play the round again.  Collective. */
at_err at_fed_sum_finish(at_fed_sum *s, at_comm *world, float *out);

/* round.c: one round; on failure the state is that of the last complete round.  Collective. */
at_err at_federate_round(at_federate *f);

/* eval.c */
at_err at_federate_evaluate(at_federate *f);
/* RUN/evaluation.h5: per tested client, once at the end.  Collective. */
at_err at_federate_write_evaluation(at_federate *f);

/* metrics.c */
at_err at_federate_metrics_create(at_federate *f, const char *path);
at_err at_federate_metrics_row(at_federate *f);

/* lessons.c: what the methods share */
/* Local training as the configuration says; the method changes what is its own. */
at_lesson at_federate_lesson(const at_federate *f, const at_visit *v);
/* It, and the sums of what was learned. */
at_err at_federate_teach(at_federate *f, const at_lesson *lesson, at_visit *v);
at_err at_federate_train_plainly(at_federate *f, at_visit *v);

#endif
