/* SPDX-License-Identifier: BSD-3-Clause */
/* Bringing a run up: data, model, buffers, folder; and taking it down. */
#include <string.h>

#include "data/tokenizer.h"
#include "sim/photon/photon.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/comm/watchdog.h"

/* Allocations that count towards the planned memory: a table that grows with the clients or the silos, and floats that
 * grow with the model. */
static at_err table(at_photon *p, void *out, int64_t count, size_t size, const char *what) {
  p->planned_bytes += (size_t)count * size;
  return at_alloc(out, (size_t)count, size, what);
}

static at_err vector(at_photon *p, float **out, int64_t count, const char *what) {
  p->planned_bytes += (size_t)count * sizeof **out;
  return at_alloc(out, p->is_planned ? 0 : (size_t)count, sizeof **out, what);
}

bool at_photon_has_global_moments(const at_photon *p) {
  bool asked = p->method->keeps_moments || p->cfg->moments == AT_MOMENTS_AVERAGE;
  return asked && p->cfg->optimizer == AT_OPTIM_ADAMW;
}

static bool is_averaged(const at_photon *p, int64_t round, int64_t every) {
  return !p->method->keeps_moments && (p->cfg->moments == AT_MOMENTS_AVERAGE ||
                                       (p->cfg->moments == AT_MOMENTS_PERIODIC && (round + 1) % every == 0));
}

bool at_photon_averages_m(const at_photon *p, int64_t round) {
  return is_averaged(p, round, p->cfg->m_every);
}

bool at_photon_averages_v(const at_photon *p, int64_t round) {
  return is_averaged(p, round, p->cfg->v_every);
}

double at_photon_mean_moments(const at_photon *p) {
  const at_photon_cfg *c = p->cfg;
  if (p->method->keeps_moments || p->method->own_model) {
    return 0;
  }
  if (c->moments == AT_MOMENTS_PERIODIC) {
    return (double)(c->rounds / c->m_every + c->rounds / c->v_every) / (double)c->rounds;
  }
  return c->moments == AT_MOMENTS_AVERAGE ? 2 : 0;
}

static bool keeps_client_moments(const at_photon *p) {
  bool asked = p->cfg->moments == AT_MOMENTS_KEEP || p->cfg->moments == AT_MOMENTS_PERIODIC;
  return asked && !p->method->keeps_moments;
}

static bool owns_rows(const at_photon *p) {
  return p->method->own_model || keeps_client_moments(p) ||
         (at_photon_has_channel(p) && at_channel_vectors(&p->channel_cfg) > 0);
}

/* Ranks form teams where clients are islands that they can share; else each is one. */
static void make_team(at_photon *p) {
  bool shares = p->cfg->islands > 1;
  p->is_stateful = owns_rows(p);
  p->team = shares ? at_team_of(p->rank, p->size, p->is_stateful ? p->n_clients : p->per_round)
                   : (at_team){.teams = p->size, .team = p->rank, .size = 1};
  p->n_islands = at_team_share(p->cfg->islands, p->team.index, p->team.size);
}

/* Clients whose state is with this team. */
static int64_t own_clients(const at_photon *p) {
  return p->is_stateful ? at_team_share(p->n_clients, p->team.team, p->team.teams) : 0;
}

/* Clients that this team plays in a round, at most: of those with state, the sampled ones may all live here. */
static int64_t most_stages(const at_photon *p) {
  int64_t own = own_clients(p);
  return !p->is_stateful ? (p->per_round + p->team.teams - 1) / p->team.teams : own < p->per_round ? own : p->per_round;
}

static at_err load_data(at_photon *p) {
  const at_photon_cfg *c = p->cfg;
  AT_TRY(at_corpus_load(&p->corpus, c->run.data));
  p->planned_bytes += (size_t)p->corpus->data_bytes;
  p->n_clients = c->clients > 0 ? c->clients : p->corpus->n_silos;
  p->per_round = c->per_round > 0 ? c->per_round : p->n_clients;
  if (p->per_round > p->n_clients) {
    return AT_FAIL(AT_ERR_CONFIG, "fed.per_round = %lld, but the data set %s has %lld silos, one client each",
                   (long long)p->per_round, c->run.data, (long long)p->n_clients);
  }
  p->quorum = c->quorum > 0 ? c->quorum : (p->per_round + 1) / 2;
  p->streams = (at_streams){.corpus = p->corpus,
                            .partition = c->partition,
                            .n_clients = p->n_clients,
                            .context = c->context,
                            .seed = (uint64_t)c->run.seed};
  if (c->partition == AT_PARTITION_DIRICHLET) {
    AT_TRY(at_mixture_create(&p->mixture, p->streams.seed, c->alpha, p->n_clients, p->corpus->n_silos));
    p->planned_bytes += (size_t)at_mixture_bytes(p->mixture);
    p->streams.mixture = p->mixture;
  }
  return at_streams_check(&p->streams);
}

/* Computing is progress, too. */
static void beat(void *world) {
  at_comm_beat(world);
}

static at_err build_model(at_photon *p) {
  const at_photon_cfg *c = p->cfg;
  at_gpt gpt = at_photon_model(c, p->corpus->vocab);
  AT_TRY((p->is_planned ? at_lm_task_measure : at_lm_task_create)(&p->task, &gpt, (int)c->batch, (int)c->eval_batch,
                                                                  p->s->kernels));
  p->planned_bytes += at_lm_task_bytes(p->task);
  p->n = at_lm_task_layout(p->task)->count;
  int64_t windows = c->batch > c->eval_batch ? c->batch : c->eval_batch;
  AT_TRY(table(p, &p->token_buffer, 2 * windows * c->context, sizeof(int32_t), "token buffers"));
  int32_t *targets = p->token_buffer + windows * c->context;
  p->local =
      (at_local){.task = p->task,
                 .vec = &p->s->kernels->vec,
                 .streams = &p->streams,
                 .stride = c->islands,
                 .optim = {.kind = c->optimizer,
                           .beta1 = c->beta1,
                           .beta2 = c->beta2,
                           .eps = c->eps,
                           .weight_decay = c->weight_decay,
                           .clip = c->clip},
                 .schedule = {.lr_max = c->lr, .final_fraction = c->lr_final, .warmup = c->warmup, .period = c->period},
                 .tokens = p->token_buffer,
                 .targets = targets,
                 .poll = beat,
                 .poll_context = p->s->world};
  p->eval = (at_evaluator){.corpus = p->corpus,
                           .task = p->task,
                           .split = AT_SPLIT_VALIDATION,
                           .windows = c->eval_windows,
                           .tokens = p->token_buffer,
                           .targets = targets,
                           .poll = beat,
                           .poll_context = p->s->world};
  AT_TRY(at_photon_size_exchange(p));
  make_team(p);
  p->stage_cap = most_stages(p);
  return at_evaluator_check(&p->eval);
}

/* In a plan, tensors of one element stand for the real ones. */
static at_err allocate_exact(at_photon *p) {
  const at_layout *l = at_lm_task_layout(p->task);
  int64_t *offset;
  AT_TRY(at_alloc(&offset, (size_t)l->n + 1, sizeof *offset, "tensor offsets"));
  for (int i = 0; i < l->n; i++) {
    offset[i] = p->is_planned ? i : l->tensor[i].offset;
  }
  offset[l->n] = p->is_planned ? l->n : l->count;
  at_err err = at_exact_create(&p->exact, p->local.vec, l->n, offset, NULL, (int)p->cfg->grid_bits);
  at_free(offset);
  p->planned_bytes += (size_t)at_exact_memory(p->n, p->size, p->method->keeps_moments && p->stage_cap > 1);
  AT_TRY(err);
  return table(p, &p->undo_grids, p->method->keeps_moments ? l->n : 0, sizeof(int64_t), "grids at the round's start");
}

static at_err allocate_replicated(at_photon *p) {
  at_outer outer = at_photon_outer(p->cfg);
  bool global = at_photon_has_global_moments(p);
  AT_TRY(vector(p, &p->theta, p->n, "parameters"));
  AT_TRY(vector(p, &p->outer_m, at_outer_vectors(&outer) > 0 ? p->n : 0, "server momentum"));
  AT_TRY(vector(p, &p->outer_v, at_outer_vectors(&outer) > 1 ? p->n : 0, "server second moment"));
  AT_TRY(vector(p, &p->global_m, global ? p->n : 0, "first moment"));
  AT_TRY(vector(p, &p->global_v, global ? p->n : 0, "second moment"));
  AT_TRY(vector(p, &p->moment_mean, p->cfg->moments == AT_MOMENTS_PERIODIC ? p->n : 0, "mean moment"));
  AT_TRY(vector(p, &p->probe, p->cfg->eval_gain ? p->n : 0, "model to evaluate"));
  AT_TRY(vector(p, &p->undo, p->method->keeps_moments ? (global ? 3 : 1) * p->n : 0, "state at the round's start"));
  AT_TRY(table(p, &p->facts, p->n_clients * AT_FACT_COUNT, sizeof(int64_t), "client facts"));
  AT_TRY(table(p, &p->sampled, p->per_round, sizeof(int64_t), "sampled clients"));
  AT_TRY(table(p, &p->client_s, p->per_round, sizeof(double), "virtual seconds"));
  AT_TRY(table(p, &p->sorted_s, p->per_round, sizeof(double), "virtual seconds"));
  AT_TRY(table(p, &p->on_time, p->per_round, sizeof(bool), "clients on time"));
  AT_TRY(table(p, &p->fate, p->per_round, sizeof *p->fate, "fates of clients"));
  AT_TRY(table(p, &p->silo_nats, p->corpus->n_silos, sizeof(double), "losses"));
  AT_TRY(table(p, &p->silo_bpb, p->corpus->n_silos, sizeof(double), "losses"));
  if (p->method->own_model) { /* nothing is exchanged */
    return AT_OK;
  }
  AT_TRY(vector(p, &p->delta, p->n, "mean update"));
  double own = 0;
  p->planned_bytes += (size_t)at_photon_exchange_bytes(p, &own);
  return p->cfg->run.reduce == AT_REDUCE_EXACT ? allocate_exact(p) : AT_OK;
}

/* Moments of islands: on the ranks that train them. */
static at_err allocate_units(at_photon *p, int64_t clients) {
  p->n_unit = clients * p->n_islands;
  AT_TRY(table(p, &p->unit, p->n_unit, sizeof(int64_t), "own islands"));
  for (int64_t i = 0; i < p->n_unit; i++) {
    int64_t client = p->team.team + i / p->n_islands * p->team.teams;
    p->unit[i] = client * p->cfg->islands + p->team.index + i % p->n_islands * p->team.size;
  }
  AT_TRY(vector(p, &p->row_m, p->n_unit * p->n, "first moments of the clients"));
  return vector(p, &p->row_v, p->n_unit * p->n, "second moments of the clients");
}

/* Clients whose state stays here: every teams-th one, so that the owner never changes. */
static at_err allocate_rows(at_photon *p) {
  if (!p->is_stateful) {
    return AT_OK;
  }
  int64_t clients = own_clients(p);
  p->n_own = p->team.index == 0 ? clients : 0;
  double own = 0;
  at_photon_exchange_bytes(p, &own);
  p->planned_bytes += (size_t)own;
  AT_TRY(table(p, &p->own, p->n_own, sizeof(int64_t), "own clients"));
  for (int64_t i = 0; i < p->n_own; i++) {
    p->own[i] = p->team.team + i * p->team.teams;
  }
  if (keeps_client_moments(p)) {
    AT_TRY(allocate_units(p, clients));
  }
  if (p->method->own_model) {
    AT_TRY(vector(p, &p->row_w, p->n_own * p->n, "models of the clients"));
  }
  return AT_OK;
}

/* Room for the islands of the client in training, and for their sums. */
static at_err allocate_islands(at_photon *p) {
  if (p->cfg->islands == 1) {
    return AT_OK;
  }
  int64_t length = p->n_islands * p->n;
  bool shared = p->cfg->moments != AT_MOMENTS_KEEP; /* kept ones are with the client in flight */
  p->planned_bytes += (size_t)at_exact_memory(p->n, p->team.size, false);
  AT_TRY(table(p, &p->island, p->n_islands, sizeof *p->island, "islands"));
  AT_TRY(vector(p, &p->island_w, length, "parameters of islands"));
  AT_TRY(vector(p, &p->island_m, shared ? length : 0, "first moments of islands"));
  return vector(p, &p->island_v, shared && p->cfg->optimizer == AT_OPTIM_ADAMW ? length : 0,
                "second moments of islands");
}

static at_err allocate_stages(at_photon *p) {
  AT_TRY(table(p, &p->stage, p->stage_cap, sizeof *p->stage, "clients in flight"));
  if (p->method->keeps_moments) { /* a gradient goes into the sum as it is computed */
    return AT_OK;
  }
  AT_TRY(allocate_islands(p));
  bool shared = p->cfg->moments == AT_MOMENTS_RESET;
  int64_t kept = p->cfg->moments == AT_MOMENTS_KEEP ? p->n_islands : 1;
  if (shared) {
    AT_TRY(vector(p, &p->shared_m, p->n, "local first moment"));
  }
  if (shared && p->cfg->optimizer == AT_OPTIM_ADAMW) {
    AT_TRY(vector(p, &p->shared_v, p->n, "local second moment"));
  }
  for (int64_t i = 0; i < p->stage_cap; i++) {
    at_photon_stage *st = &p->stage[i];
    AT_TRY(vector(p, &st->w, p->n, "client parameters"));
    st->m = p->shared_m;
    st->v = p->shared_v;
    if (!shared) {
      AT_TRY(vector(p, &st->m, kept * p->n, "client first moment"));
      AT_TRY(vector(p, &st->v, kept * p->n, "client second moment"));
    }
  }
  return AT_OK;
}

at_err at_photon_start_values(at_photon *p, bool loads) {
  at_outer outer = at_photon_outer(p->cfg);
  at_layout_init(at_lm_task_layout(p->task), (uint64_t)p->cfg->run.seed, p->theta);
  if (loads && p->cfg->start[0] != '\0') {
    AT_TRY(at_photon_load_start(p));
  }
  at_outer_start(&outer, p->n, p->theta, p->outer_m, p->outer_v);
  for (int64_t i = 0; p->row_w != NULL && i < p->n_own; i++) {
    memcpy(p->row_w + i * p->n, p->theta, (size_t)p->n * sizeof(float));
  }
  return AT_OK;
}

static void identify(at_photon *p, at_opts *set) {
  p->count.identity = at_identity_of(p->s, set, p->corpus->checksum);
  p->count.layout = p->channel != NULL ? at_channel_layout(p->channel) : 0;
}

/* RUN/tokenizer.h5, so that text can be made of the run's tokens without its data.  Rank 0. */
static at_err write_tokenizer(at_photon *p) {
  const at_bpe *bpe = p->corpus->bpe;
  return bpe == NULL ? AT_OK : at_tokenizer_save(at_run_path(p->run, "tokenizer.h5"), bpe);
}

static at_err open_folder(at_photon *p, at_opts *set, bool resume) {
  at_comm *world = p->s->world;
  AT_TRY(at_run_open(&p->run, world, p->cfg->run.run, resume ? AT_RUN_RESUME : AT_RUN_NEW));
  char *yaml = NULL;
  at_err err = at_opts_yaml_text(set, &yaml);
  AT_TRY_TO(err, done, at_comm_agree(world, err));
  AT_TRY_TO(err, done, at_provenance_create(&p->prov, world, yaml, at_isa_name(p->s->pin.isa), p->s->pin.threads));
  if (!resume) { /* the configuration comes last: it makes the folder a run that can be resumed */
    AT_TRY_TO(err, done, at_comm_agree(world, at_comm_rank(world) == 0 ? write_tokenizer(p) : AT_OK));
    AT_TRY_TO(err, done, at_run_write_config(p->run, world, yaml));
  }
  AT_TRY_TO(err, done, at_comm_agree(world, at_log_open_file(p->s->log, at_run_path(p->run, "log.txt"))));
done:
  at_free(yaml);
  return err;
}

/* Libraries take memory of their own at their first use.  Let them, so that the peak can be compared with the plan. */
static at_err warm_up(at_photon *p) {
  at_dataset *d;
  AT_TRY(at_dataset_open(&d, p->cfg->run.data));
  at_dataset_close(d);
  float a[16 * 16] = {0}, b[16 * 16] = {0}, c[16 * 16];
  at_kcall product = {.in = {a, b}, .out = {c}, .dim = {1, 16, 16, 16}};
  p->s->kernels->f32[AT_K_matmul](&product);
  p->rss_before = at_process_rss_bytes();
  return AT_OK;
}

/* What MPI, MPI-IO and HDF5 take once they are used, as seen with Open MPI 4.1 and HDF5 1.10: something whatever the model,
 * half of the most that at_comm_allreduce gives to MPI at once, and a small checkpoint that is kept. */
static at_err count_libraries(at_photon *p) {
  const int64_t always = INT64_C(3584) << 10, most = INT64_C(4) << 20;
  bool is_exact = p->exact != NULL && at_exact_width(p->n, p->size) == 4; /* in pieces that were counted with it */
  int64_t half = p->size > 1 && !p->method->own_model && !is_exact ? at_photon_sum_bytes(p, p->size) / 2 : 0;
  p->planned_bytes += (size_t)(always + (half < most ? half : most) + (p->rank == 0 ? at_photon_kept_bytes(p) : 0));
  return AT_OK;
}

/* What one rank can do by itself; the ranks agree afterwards. */
static at_err create_local(at_photon *p) {
  static at_err (*const build[AT_PHOTON_MEMORY_COUNT])(at_photon * p) = {
      [AT_PHOTON_DATA] = load_data,
      [AT_PHOTON_WORK] = build_model,
      [AT_PHOTON_REPLICATED] = allocate_replicated,
      [AT_PHOTON_OWN] = allocate_rows,
      [AT_PHOTON_FLIGHT] = allocate_stages,
      [AT_PHOTON_LIBRARIES] = count_libraries,
  };
  AT_TRY(warm_up(p));
  for (int i = 0; i < AT_PHOTON_MEMORY_COUNT; i++) {
    size_t before = p->planned_bytes;
    AT_TRY(build[i](p));
    p->planned_part[i] = p->planned_bytes - before;
  }
  return AT_OK;
}

at_err at_photon_create_planned(at_photon **out, at_session *s, const at_photon_cfg *cfg, int ranks) {
  *out = NULL;
  at_photon *p;
  AT_TRY(at_alloc(&p, 1, sizeof *p, "run"));
  p->s = s;
  p->size = ranks;
  p->is_planned = true;
  p->cfg = cfg;
  p->method = &at_photon_methods[cfg->method];
  at_err err = create_local(p);
  if (err != AT_OK) {
    at_photon_destroy(p);
    return err;
  }
  *out = p;
  return AT_OK;
}

at_err at_photon_create(at_photon **out, at_session *s, at_opts *set, at_photon_cfg *cfg, bool resume) {
  *out = NULL;
  at_photon *p;
  AT_TRY(at_comm_agree(s->world, at_alloc(&p, 1, sizeof *p, "run")));
  p->s = s;
  p->rank = at_comm_rank(s->world);
  p->size = at_comm_size(s->world);
  p->cfg = cfg;
  p->method = &at_photon_methods[cfg->method];
  at_err err;
  AT_TRY_TO(err, failed, at_comm_agree(s->world, create_local(p)));
  cfg->exchange.chunk = at_photon_has_channel(p) ? p->channel_cfg.reduce.chunk : cfg->exchange.chunk;
  AT_TRY_TO(err, failed, at_photon_open_exchange(p));
  AT_TRY_TO(err, failed, at_photon_open_islands(p));
  identify(p, set);
  AT_TRY_TO(err, failed, at_photon_start_values(p, !resume));
  AT_TRY_TO(err, failed, open_folder(p, set, resume));
  AT_TRY_TO(err, failed, at_comm_agree(s->world, at_photon_metrics_create(p, at_run_path(p->run, "metrics.h5"))));
  if (resume) {
    AT_TRY_TO(err, failed, at_photon_restore(p));
  }
  *out = p;
  return AT_OK;
failed:
  at_photon_destroy(p);
  return err;
}

void at_photon_destroy(at_photon *p) {
  if (p == NULL) {
    return;
  }
  for (int64_t i = 0; p->stage != NULL && i < p->stage_cap; i++) {
    at_free(p->stage[i].w);
    if (p->stage[i].m != p->shared_m) {
      at_free(p->stage[i].m);
      at_free(p->stage[i].v);
    }
  }
  void *blocks[] = {p->token_buffer, p->theta,      p->delta,    p->outer_m,    p->outer_v,   p->global_m, p->global_v,
                    p->undo,         p->undo_grids, p->facts,    p->own,        p->row_w,     p->row_m,    p->row_v,
                    p->sampled,      p->stage,      p->shared_m, p->shared_v,   p->silo_nats, p->silo_bpb, p->matrices,
                    p->client_s,     p->sorted_s,   p->on_time,  p->probe,      p->unit,      p->island,   p->island_w,
                    p->island_m,     p->island_v,   p->fate,     p->moment_mean};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
    at_free(blocks[i]);
  }
  at_photon_close_exchange(p);
  at_silos_destroy(p->silos);
  at_exact_destroy(p->exact);
  at_lm_task_destroy(p->task);
  at_mixture_destroy(p->mixture);
  at_corpus_destroy(p->corpus);
  at_metrics_destroy(p->metrics);
  at_provenance_destroy(p->prov);
  at_run_close(p->run);
  at_free(p);
}
