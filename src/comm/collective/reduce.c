/* SPDX-License-Identifier: BSD-3-Clause */
/* Reductions: configuration, clients of a round, agreement on who counts, and the loop around an engine. */
#include "src/comm/collective/reduce.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/comm/collective/reduce_internal.h"

const char *const at_algorithm_names[] = {
#define X(name) #name,
    AT_ALGORITHMS(X)
#undef X
        NULL};
const char *const at_nonfinite_names[] = {"drop", "skip", NULL};
const char *const at_segments_names[] = {"tensor", "chunk", NULL};
const char *const at_container_names[] = {"auto", "i8", "i16", "i32", NULL};

/* ---- configuration ---- */

static bool is_hop(int algorithm) {
  return algorithm == AT_ALGORITHM_ring || algorithm == AT_ALGORITHM_doubling || algorithm == AT_ALGORITHM_tree;
}

static bool adds_integers(int algorithm) {
  return algorithm == AT_ALGORITHM_integer || algorithm == AT_ALGORITHM_allreduce;
}

static bool has_owners(int algorithm) {
  return !is_hop(algorithm) && !adds_integers(algorithm);
}

static at_err check_integer(const at_reduce_cfg *cfg) {
  if (at_codec_summable(&cfg->up) != AT_SUM_INTEGER) {
    return AT_FAIL(AT_ERR_CONFIG, "algorithm = %s: codes of %s do not add; take int8, int4, qsgd or bounded",
                   at_algorithm_names[cfg->algorithm], at_codec_names[cfg->up.kind]);
  }
  if (cfg->up.kind == AT_CODEC_bounded && cfg->up.bound_kind != AT_BOUND_ABSOLUTE) {
    return AT_FAIL(AT_ERR_CONFIG, "algorithm = %s: clients can share an absolute bound only",
                   at_algorithm_names[cfg->algorithm]);
  }
  return AT_OK;
}

static at_err check(const at_reduce_cfg *cfg) {
  if (cfg->up.kind == AT_CODEC_powersgd || cfg->down.kind == AT_CODEC_powersgd) {
    return AT_FAIL(AT_ERR_CONFIG, "powersgd compresses whole matrices by two means: use at_low_rank_create");
  }
  if (cfg->down.kind == AT_CODEC_dgc) {
    return AT_FAIL(AT_ERR_CONFIG, "dgc keeps a client's momentum and cannot carry the mean: take topk or f32 down");
  }
  if (is_hop(cfg->algorithm) && (cfg->feedback || cfg->server_feedback || cfg->up.kind == AT_CODEC_dgc)) {
    return AT_FAIL(AT_ERR_CONFIG, "algorithm = %s: error feedback cannot mend what hops lose",
                   at_algorithm_names[cfg->algorithm]);
  }
  if (cfg->algorithm == AT_ALGORITHM_tree && (cfg->fan_in < 2 || cfg->fan_in > 1024)) {
    return AT_FAIL(AT_ERR_CONFIG, "fan_in = %lld: want 2 to 1024", (long long)cfg->fan_in);
  }
  if (cfg->up.kind == AT_CODEC_dgc && !cfg->feedback) {
    return AT_FAIL(AT_ERR_CONFIG, "dgc without feedback would lose what it does not send");
  }
  return adds_integers(cfg->algorithm) ? check_integer(cfg) : AT_OK;
}

/* Pieces of about 32 KiB, which TCP and MPI send at once, and at least 32 of them, so that owners share evenly. */
static int64_t choose_chunk(const at_codec_cfg *up, int64_t n) {
  enum { WIRE_BYTES = 32768, SAMPLE = 65536, LEAST = 4096, MOST = 1 << 20, PIECES = 32 };
  const int64_t bytes = at_codec_bytes(up, SAMPLE, NULL);
  int64_t chunk = (int64_t)SAMPLE * WIRE_BYTES / (bytes > 0 ? bytes : 1);
  chunk = chunk < n / PIECES ? chunk : n / PIECES;
  chunk = chunk < MOST ? chunk : MOST;
  return (chunk > LEAST ? chunk : LEAST) / LEAST * LEAST; /* whole blocks of any codec */
}

at_err at_reduce_resolve(at_reduce_cfg *cfg, int64_t n) {
  if (4 * n < cfg->raw_below) {
    cfg->up = cfg->down = (at_codec_cfg){.kind = AT_CODEC_f32};
    cfg->algorithm = AT_ALGORITHM_auto;
    cfg->feedback = cfg->server_feedback = false;
  }
  AT_TRY(at_codec_resolve(&cfg->up));
  AT_TRY(at_codec_resolve(&cfg->down));
  AT_TRY(check(cfg));
  cfg->chunk = cfg->chunk > 0 ? cfg->chunk : choose_chunk(&cfg->up, n);
  cfg->server_feedback = cfg->server_feedback && cfg->down.kind != AT_CODEC_f32 && has_owners(cfg->algorithm) &&
                         cfg->algorithm != AT_ALGORITHM_gather;
  return AT_OK;
}

/* ---- making ---- */

static at_err create_parts(at_reduce *r, int64_t n_tensors, const int64_t *offsets) {
  const int64_t whole[2] = {0, offsets[n_tensors]};
  const bool by_tensor = r->cfg.segments == AT_SEGMENTS_TENSOR;
  AT_TRY(at_cut_create(&r->cut, by_tensor ? n_tensors : 1, by_tensor ? offsets : whole, r->cfg.chunk));
  AT_TRY(at_codec_create(&r->up, &r->cfg.up, r->k, r->cfg.chunk));
  AT_TRY(at_codec_create(&r->down, &r->cfg.down, r->k, r->cfg.chunk));
  if (r->cfg.feedback) {
    AT_TRY(at_feedback_create(&r->memory, &r->cfg.up, r->cut, r->cfg.decay));
  }
  if (r->cfg.server_feedback) {
    AT_TRY(at_feedback_create(&r->server, &r->cfg.down, r->cut, 1.0));
    at_feedback_row *row = NULL;
    AT_TRY(at_feedback_open(r->server, 0, &row));
  }
  const size_t ranks = (size_t)at_comm_size(r->comm), slots = (size_t)r->slots;
  AT_TRY(at_alloc(&r->y, (size_t)r->cfg.chunk, sizeof *r->y, "decoded piece"));
  AT_TRY(at_alloc(&r->local, slots, sizeof *r->local, "clients of a reduction"));
  AT_TRY(at_alloc(&r->node_of, slots, sizeof *r->node_of, "clients of a reduction"));
  AT_TRY(at_alloc(&r->nodes, ranks * slots, sizeof *r->nodes, "clients of a reduction"));
  AT_TRY(at_alloc(&r->rank_nodes, ranks, sizeof *r->rank_nodes, "clients of a reduction"));
  AT_TRY(at_alloc(&r->card_sizes, ranks, sizeof *r->card_sizes, "clients of a reduction"));
  AT_TRY(at_alloc(&r->cards, ranks, (size_t)r->card_bytes, "clients of a reduction"));
  r->engine = is_hop(r->cfg.algorithm)          ? &at_engine_hops
              : adds_integers(r->cfg.algorithm) ? &at_engine_integers
                                                : &at_engine_owners;
  return r->engine->create(r);
}

typedef struct card_row {
  int64_t id;
  double weight;
  int64_t is_bad;
} card_row;

typedef struct card {
  int64_t n, code; /* clients; at_err of this rank */
  card_row rows[];
} card;

at_err at_reduce_create(at_reduce **out, at_comm *comm, const at_kernels *k, const at_reduce_cfg *cfg,
                        int64_t n_tensors, const int64_t *offsets, int64_t slots) {
  *out = NULL;
  at_reduce *r = NULL;
  AT_TRY(at_comm_agree(comm, at_alloc(&r, 1, sizeof *r, "reduction")));
  *r = (at_reduce){.comm = comm, .k = k, .cfg = *cfg, .slots = slots, .phase = AT_COMM_REDUCE};
  r->phase = at_comm_set_phase(comm, AT_COMM_SETUP);
  at_comm_set_phase(comm, r->phase);
  at_codec_kernels_init(&r->ck, k->isa);
  at_err err = AT_OK;
  AT_TRY_TO(err, fail, at_comm_allreduce(comm, AT_COMM_I64, AT_COMM_MAX, &r->slots, 1));
  r->card_bytes = (int64_t)sizeof(card) + r->slots * (int64_t)sizeof(card_row);
  AT_TRY_TO(err, fail, at_comm_agree(comm, at_reduce_resolve(&r->cfg, offsets[n_tensors])));
  AT_TRY_TO(err, fail, at_wire_create(&r->wire, comm));
  at_wire_set_phase(r->wire, r->phase);
  AT_TRY_TO(err, fail, at_comm_agree(comm, create_parts(r, n_tensors, offsets)));
  *out = r;
  return AT_OK;
fail:
  at_reduce_destroy(r);
  return err;
}

void at_reduce_destroy(at_reduce *r) {
  if (r == NULL) {
    return;
  }
  if (r->engine != NULL) {
    r->engine->destroy(r);
  }
  at_wire_destroy(r->wire);
  at_feedback_destroy(r->memory);
  at_feedback_destroy(r->server);
  at_codec_destroy(r->up);
  at_codec_destroy(r->down);
  at_cut_destroy(r->cut);
  at_free(r->y);
  at_free(r->local);
  at_free(r->node_of);
  at_free(r->nodes);
  at_free(r->rank_nodes);
  at_free(r->card_sizes);
  at_free(r->cards);
  at_free(r->unready);
  at_free(r->was_memory);
  at_free(r->was_server);
  at_free(r);
}

const at_reduce_cfg *at_reduce_config(const at_reduce *r) {
  return &r->cfg;
}

at_reduce_report at_reduce_get_report(const at_reduce *r) {
  return r->report;
}

at_feedback *at_reduce_memory(at_reduce *r) {
  return r->memory;
}

float *at_reduce_server_residual(at_reduce *r, int64_t *first, int64_t *count) {
  at_feedback_row *row = NULL;
  *first = *count = 0;
  if (r->server == NULL || at_feedback_open(r->server, 0, &row) != AT_OK) {
    return NULL;
  }
  const bool is_star = r->cfg.algorithm == AT_ALGORITHM_star; /* rank 0 is the server */
  const int64_t rank = at_comm_rank(r->comm), ranks = is_star ? 1 : at_comm_size(r->comm);
  *first = at_reduce_first(r, rank, ranks) * r->cut->chunk;
  const int64_t end = at_reduce_first(r, rank + 1, ranks) * r->cut->chunk;
  *first = *first < r->cut->n ? *first : r->cut->n;
  *count = rank < ranks ? (end < r->cut->n ? end : r->cut->n) - *first : 0;
  return row->v[0] + *first;
}

const at_cut *at_reduce_cut(const at_reduce *r) {
  return r->cut;
}

void at_reduce_set_mask(at_reduce *r, const uint8_t *mask) {
  at_codec_set_mask(r->up, mask);
  at_codec_set_mask(r->down, mask);
}

/* ---- clients of a round ---- */

void at_reduce_note(at_reduce *r, at_err err) {
  if (err != AT_OK && r->err == AT_OK) {
    r->err = err;
    snprintf(r->message, sizeof r->message, "%s", at_err_message());
  }
}

void at_reduce_begin(at_reduce *r, int64_t round, int64_t clients) {
  r->state = AT_REDUCE_OPEN;
  r->round = round;
  r->asked = clients;
  r->n_local = 0;
  r->grows = false;
  r->err = AT_OK;
  r->report = (at_reduce_report){.algorithm = r->cfg.algorithm};
  r->saturated_before = at_codec_saturated(r->up) + at_codec_saturated(r->down);
}

at_code_key at_reduce_key(const at_reduce *r, uint64_t client, uint32_t stage) {
  return (at_code_key){.seed = r->cfg.seed, .client = client, .round = (uint64_t)r->round, .stage = stage};
}

/* The next free place for a client, or NULL with the trouble noted. */
static at_local *open_slot(at_reduce *r, int64_t id, double weight, const float *x, bool is_lent) {
  at_err err = AT_OK;
  at_feedback_row *row = NULL;
  if (r->state != AT_REDUCE_OPEN) {
    err = AT_FAIL(AT_ERR_INTERNAL, "client %lld was given to a reduction that is not open", (long long)id);
  } else if (r->n_local == r->slots) {
    err = AT_FAIL(AT_ERR_ARG, "client %lld is one too many: a rank was to have at most %lld", (long long)id,
                  (long long)r->slots);
  } else if (!(weight >= 0.0) || !isfinite(weight) || id < 0) {
    err =
        AT_FAIL(AT_ERR_ARG, "client %lld has the weight %g: want ids and finite weights from 0", (long long)id, weight);
  } else if (r->n_local > 0 && (r->local[0].x != NULL) != is_lent) {
    err = AT_FAIL(AT_ERR_ARG, "client %lld: a round's clients are all lent or all added", (long long)id);
  } else if (r->memory != NULL) {
    err = at_feedback_open(r->memory, id, &row);
  }
  if (err != AT_OK) {
    at_reduce_note(r, err);
    return NULL;
  }
  at_local *l = &r->local[r->n_local++];
  *l = (at_local){.id = id, .weight = weight, .x = x, .row = row, .factor = 1.0f};
  l->is_bad =
      !r->grows && !r->ck.finite(r->cut->n, x, row != NULL && at_feedback_vectors(r->memory) == 1 ? row->v[0] : NULL);
  return l;
}

/* The client counts: its memory enters this round. */
static void admit(at_reduce *r, at_local *l) {
  if (l->row != NULL) {
    r->was_round = l->row->round;
    at_feedback_advance(r->memory, l->row, r->round);
    if (r->cfg.up.clip > 0.0) {
      l->factor = at_feedback_factor(r->memory, sqrt(r->ck.sum_squares(r->cut->n, l->x)), r->asked);
    }
  }
}

void at_reduce_lend(at_reduce *r, int64_t id, double weight, const float *x) {
  open_slot(r, id, weight, x, true);
}

void at_reduce_add(at_reduce *r, int64_t id, double weight, const float *x) {
  at_local *l = open_slot(r, id, weight, x, false);
  if (l == NULL) {
    return;
  }
  if (r->cfg.nonfinite == AT_NONFINITE_SKIP) {
    at_reduce_note(r,
                   AT_FAIL(AT_ERR_ARG, "nonfinite = skip keeps all memory as it was: lend vectors, do not add them"));
  } else if (!l->is_bad && l->weight > 0.0) {
    admit(r, l);
    at_reduce_note(r, r->engine->add(r, l - r->local, x));
  }
  l->x = NULL;
}

at_err at_reduce_encode(at_reduce *r, const at_local *l, const at_piece *shape, const float *x, uint8_t *out,
                        int64_t *bytes) {
  const at_code_key key = at_reduce_key(r, (uint64_t)l->id, 0);
  r->report.encodings++;
  if (l->row != NULL) {
    return at_feedback_encode(r->memory, l->row, r->up, &key, shape, x, l->factor, r->y, out, bytes);
  }
  *bytes = at_frame_encode(r->up, &key, shape, x, out);
  return AT_OK;
}

void at_reduce_divide(int64_t n, int64_t p, float *acc) {
  const double share = 1.0 / (double)p;
  for (int64_t i = 0; i < n; i++) {
    acc[i] = (float)((double)acc[i] * share);
  }
}

/* ---- agreement ---- */

static void fill_card(const at_reduce *r, card *c) {
  *c = (card){.n = r->n_local, .code = r->err};
  for (int64_t i = 0; i < r->n_local; i++) {
    const at_local *l = &r->local[i];
    c->rows[i] = (card_row){.id = l->id, .weight = l->weight, .is_bad = l->is_bad};
  }
}

static const card *card_of(const at_reduce *r, int rank) {
  return (const card *)(const void *)(r->cards + rank * r->card_bytes);
}

static int by_id(const void *a, const void *b) {
  const at_node *x = a, *y = b;
  return x->id < y->id ? -1 : x->id > y->id;
}

/* All clients of weight that are finite, by id; the rest is counted.  What this finds is the same on all ranks. */
static at_err make_nodes(at_reduce *r) {
  int64_t lowest_bad = INT64_MAX;
  r->n_nodes = 0;
  for (int rank = 0; rank < at_comm_size(r->comm); rank++) {
    const card *c = card_of(r, rank);
    r->rank_nodes[rank] = 0;
    for (int64_t i = 0; i < c->n; i++) {
      const card_row *row = &c->rows[i];
      if (row->is_bad != 0) {
        r->report.dropped++;
        lowest_bad = row->id < lowest_bad ? row->id : lowest_bad;
      } else if (row->weight > 0.0) {
        r->nodes[r->n_nodes++] =
            (at_node){.id = row->id, .weight = row->weight, .rank = rank, .slot = i, .order = r->rank_nodes[rank]++};
      }
    }
  }
  if (r->report.dropped > 0 && r->cfg.nonfinite == AT_NONFINITE_SKIP) {
    return AT_FAIL(AT_ERR_NONFINITE, "the vector of client %lld is not finite: the round is skipped",
                   (long long)lowest_bad);
  }
  qsort(r->nodes, (size_t)r->n_nodes, sizeof *r->nodes, by_id);
  double sum = 0.0;
  for (int64_t i = 0; i < r->n_nodes; i++) {
    sum += r->nodes[i].weight;
    if (i > 0 && r->nodes[i].id == r->nodes[i - 1].id) {
      return AT_FAIL(AT_ERR_ARG, "client %lld takes part twice", (long long)r->nodes[i].id);
    }
  }
  for (int64_t i = 0; i < r->n_nodes; i++) {
    r->nodes[i].scale = (float)(r->nodes[i].weight * (double)r->n_nodes / sum);
  }
  return AT_OK;
}

static void match_local(at_reduce *r) {
  for (int64_t i = 0; i < r->n_local; i++) {
    r->node_of[i] = -1;
  }
  for (int64_t i = 0; i < r->n_nodes; i++) {
    if (r->nodes[i].rank == at_comm_rank(r->comm)) {
      r->node_of[r->nodes[i].slot] = i;
    }
  }
  for (int64_t i = 0; i < r->n_local; i++) {
    if (r->node_of[i] >= 0 && r->local[i].x != NULL) {
      admit(r, &r->local[i]);
    }
  }
}

/* Everybody learns who takes part, and whether somebody is in trouble. */
static at_err exchange_cards(at_reduce *r) {
  const int ranks = at_comm_size(r->comm), own = at_comm_rank(r->comm);
  uint8_t *mine = r->cards + own * r->card_bytes;
  fill_card(r, (card *)(void *)mine);
  for (int i = 0; i < ranks; i++) {
    r->card_sizes[i] = r->card_bytes;
  }
  const at_comm_phase before = at_comm_set_phase(r->comm, AT_COMM_CONTROL);
  AT_TRY(at_comm_allgatherv(r->comm, mine, r->cards, r->card_sizes));
  at_comm_set_phase(r->comm, before);
  for (int i = 0; i < ranks; i++) {
    if (card_of(r, i)->code != AT_OK) {
      at_err_adopt(r->err, r->message);
      return at_comm_agree(r->comm, r->err);
    }
  }
  return AT_OK;
}

at_err at_reduce_start(at_reduce *r, float *out) {
  r->out = out;
  r->state = AT_REDUCE_IDLE;
  AT_TRY(exchange_cards(r));
  AT_TRY(make_nodes(r)); /* alike on all ranks */
  match_local(r);
  r->report.clients = r->n_nodes;
  r->algorithm = r->cfg.algorithm == AT_ALGORITHM_auto ? at_reduce_choose(r, r->n_nodes) : r->cfg.algorithm;
  r->report.algorithm = r->algorithm;
  if (r->n_nodes == 0) {
    memset(out, 0, (size_t)r->cut->n * sizeof *out);
    return AT_OK;
  }
  AT_TRY(at_comm_agree(r->comm, r->engine->start(r)));
  r->state = AT_REDUCE_RUNNING;
  return AT_OK;
}

/* ---- progress ---- */

bool at_reduce_is_done(const at_reduce *r) {
  return r->state != AT_REDUCE_RUNNING || r->engine->is_done(r);
}

void at_reduce_poll(at_reduce *r) {
  bool worked = false;
  if (!at_reduce_is_done(r) && r->err != AT_ERR_MPI) {
    at_reduce_note(r, r->engine->poll(r, false, &worked));
  }
}

void at_reduce_poll_hook(void *reduce) {
  at_reduce *r = reduce;
  for (bool worked = true; worked && !at_reduce_is_done(r) && r->err != AT_ERR_MPI;) {
    at_reduce_note(r, r->engine->poll(r, false, &worked));
  }
}

at_err at_reduce_finish(at_reduce *r) {
  if (r->state == AT_REDUCE_RUNNING) {
    at_reduce_release_rest(r);
  }
  while (!at_reduce_is_done(r) && r->err != AT_ERR_MPI) {
    bool worked = false;
    at_reduce_note(r, r->engine->poll(r, true, &worked));
  }
  r->report.saturated = at_codec_saturated(r->up) + at_codec_saturated(r->down) - r->saturated_before;
  const bool ran = r->state == AT_REDUCE_RUNNING;
  r->state = AT_REDUCE_IDLE;
  if (!ran) {
    return AT_OK;
  }
  if (r->err != AT_OK) {
    at_err_adopt(r->err, r->message);
  }
  const at_err err = at_comm_agree(r->comm, r->err);
  if (err == AT_ERR_NONFINITE && r->grows) {
    at_reduce_ungrow(r);
  }
  return err;
}

at_err at_reduce_run(at_reduce *r, float *out) {
  AT_TRY(at_reduce_start(r, out));
  return at_reduce_finish(r);
}
