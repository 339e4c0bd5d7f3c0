/* SPDX-License-Identifier: BSD-3-Clause */
/* The exchange of an exact sum: a reduce-scatter of integers and an all-gather of floats, woven together piece by piece. */
#include "src/comm/exact_exchange.h"

#include <string.h>

#include "src/base/alloc.h"
#include "src/comm/comm_internal.h"

/* Elements of a piece at most and at least, pieces of a share that are enough for links to be busy both ways most of the time, messages
 * under way each way, and the shortest share that is worth messages of its own. */
enum { PIECE = 65536, PIECE_LEAST = 8192, PIECES = 32, DEPTH = 2, SHARE_LEAST = 4096 };

/* A step of the exchange is one piece sent to, and one received from, one other rank: for each piece of the own share, for
 * each distance between ranks.  All ranks take as many steps; where a share is over, its messages have no elements and are left out. */
struct at_exact_exchange {
  int ranks;
  at_comm *comm; /* of the sum under way, as the rest here */
  const at_exact_side *side;
  int64_t n, piece, steps; /* piece: elements */
  float *out;
  int64_t *announced;                        /* [ranks] */
  int64_t *sum;                              /* [PIECE], of the own share's piece in work */
  int64_t *send[DEPTH], *recv[DEPTH];        /* [PIECE] each */
  MPI_Request sending[DEPTH], coming[DEPTH]; /* integers */
  MPI_Request *results, *returns; /* [2 * ranks] of even and odd pieces: floats, own ones sent, others' received */
};
typedef at_exact_exchange exchange;

static int64_t share_first(int64_t n, int ranks, int rank) {
  return n / ranks * rank + (n % ranks < rank ? n % ranks : rank);
}

bool at_exact_has_shares(int64_t n, int ranks) {
  return n / ranks >= SHARE_LEAST;
}

static int64_t share_length(int64_t n, int ranks, int rank) {
  return share_first(n, ranks, rank + 1) - share_first(n, ranks, rank);
}

/* What a rank announces instead of a weight: bits of no finite number. */
static const int64_t no_term = -1, many_terms = -2;

static int64_t announce(int64_t n_terms, double weight) {
  int64_t bits;
  memcpy(&bits, &weight, sizeof bits);
  return n_terms == 0 ? no_term : n_terms == 1 ? bits : many_terms;
}

/* Bytes of an element on its way to the owner. */
static int64_t width_of(int64_t announced) {
  return announced == no_term ? 0 : announced == many_terms ? 8 : 4;
}

int64_t at_exact_exchange_sent(int64_t n, int ranks, int rank, int64_t n_terms) {
  const int64_t own = share_length(n, ranks, rank);
  return width_of(announce(n_terms, 1.0)) * (n - own) + (8 + 4 * own) * (ranks - 1);
}

/* Alike on all ranks. */
static int64_t piece_length(int64_t n, int ranks) {
  const int64_t even = n / ranks / PIECES;
  return even < PIECE_LEAST ? PIECE_LEAST : even < PIECE ? even : PIECE;
}

/* Piece k of a rank's share: where it begins; its length, 0 behind the share's end. */
static int64_t piece(const exchange *x, int rank, int64_t k, int64_t *first) {
  const int64_t end = share_first(x->n, x->comm->size, rank + 1);
  *first = share_first(x->n, x->comm->size, rank) + k * x->piece;
  return *first >= end ? 0 : *first + x->piece < end ? x->piece : end - *first;
}

/* A step's piece, and whom it joins: `to` owns what is sent, `from` sends of what this rank owns. */
typedef struct step {
  int64_t k;
  int slot, to, from;
  bool is_first, is_last; /* of the piece */
} step;

static step step_of(const exchange *x, int64_t i) {
  const int others = x->comm->size - 1, rank = x->comm->rank, size = x->comm->size;
  const int distance = (int)(i % others) + 1;
  return (step){.k = i / others,
                .slot = (int)(i % DEPTH),
                .to = (rank + distance) % size,
                .from = (rank + size - distance) % size,
                .is_first = distance == 1,
                .is_last = distance == others};
}

static at_err wait(MPI_Request *r) {
  return at_comm_check(MPI_Wait(r, MPI_STATUS_IGNORE), "MPI_Wait");
}

static at_err send(const exchange *x, int to, at_comm_tag tag, const void *p, int64_t bytes, MPI_Request *r) {
  return bytes == 0 ? AT_OK : at_comm_check(MPI_Isend(p, (int)bytes, MPI_BYTE, to, tag, x->comm->mpi, r), "MPI_Isend");
}

static at_err receive(const exchange *x, int from, at_comm_tag tag, void *p, int64_t bytes, MPI_Request *r) {
  return bytes == 0 ? AT_OK
                    : at_comm_check(MPI_Irecv(p, (int)bytes, MPI_BYTE, from, tag, x->comm->mpi, r), "MPI_Irecv");
}

/* What a step receives, of the own share. */
static at_err expect(exchange *x, int64_t i) {
  if (i >= x->steps) {
    return AT_OK;
  }
  int64_t first;
  const step s = step_of(x, i);
  const int64_t own = piece(x, x->comm->rank, s.k, &first);
  const int64_t bytes = own * width_of(x->announced[s.from]);
  return receive(x, s.from, AT_TAG_EXACT_SUM, x->recv[s.slot], bytes, &x->coming[s.slot]);
}

/* The own terms of another's piece leave, and its result is expected: behind that of the piece before the last, for which no rank waits
 * any more.  (Waiting for one of the same piece would wait for ranks that wait alike.) */
static at_err give(exchange *x, const step *s) {
  int64_t first;
  const int64_t n = piece(x, s->to, s->k, &first);
  MPI_Request *result = &x->returns[s->k % 2 * x->comm->size + s->to];
  AT_TRY(wait(&x->sending[s->slot]));
  const int64_t width = width_of(x->announced[x->comm->rank]);
  const void *from = width == 4 ? (const void *)(x->side->x + first) : x->send[s->slot];
  if (n > 0 && width == 8) {
    x->side->terms(x->side->context, first, n, x->send[s->slot]);
  }
  AT_TRY(send(x, s->to, AT_TAG_EXACT_SUM, from, width * n, &x->sending[s->slot]));
  AT_TRY(wait(result));
  return receive(x, s->to, AT_TAG_EXACT_MEAN, x->out + first, 4 * n, result);
}

/* The own piece: own terms first, then those of one rank a step. */
static at_err take(exchange *x, const step *s, int64_t i) {
  int64_t first;
  const int64_t n = piece(x, x->comm->rank, s->k, &first);
  if (n > 0 && s->is_first) {
    x->side->terms(x->side->context, first, n, x->sum);
  }
  AT_TRY(wait(&x->coming[s->slot]));
  const int64_t announced = x->announced[s->from];
  if (width_of(announced) == 4) {
    double weight;
    memcpy(&weight, &announced, sizeof weight);
    x->side->add(x->side->context, weight, first, n, (const float *)(const void *)x->recv[s->slot], x->sum);
  }
  for (int64_t e = 0; width_of(announced) == 8 && e < n; e++) {
    x->sum[e] += x->recv[s->slot][e]; /* bounds were checked: this stays in range */
  }
  return expect(x, i + DEPTH);
}

/* The finished piece goes to all. */
static at_err publish(exchange *x, int64_t k) {
  int64_t first;
  const int64_t n = piece(x, x->comm->rank, k, &first);
  if (n == 0) {
    return AT_OK;
  }
  x->side->result(x->side->context, first, n, x->sum, x->out + first);
  for (int d = 1; d < x->comm->size; d++) {
    const int to = (x->comm->rank + x->comm->size - d) % x->comm->size;
    MPI_Request *sent = &x->results[k % 2 * x->comm->size + to];
    AT_TRY(wait(sent));
    AT_TRY(send(x, to, AT_TAG_EXACT_MEAN, x->out + first, 4 * n, sent));
  }
  return AT_OK;
}

static at_err run(exchange *x) {
  for (int64_t i = 0; i < DEPTH; i++) {
    AT_TRY(expect(x, i));
  }
  for (int64_t i = 0; i < x->steps; i++) {
    const step s = step_of(x, i);
    AT_TRY(give(x, &s));
    AT_TRY(take(x, &s, i));
    if (s.is_last) {
      AT_TRY(publish(x, s.k));
    }
  }
  for (int slot = 0; slot < DEPTH; slot++) {
    AT_TRY(wait(&x->sending[slot]));
  }
  for (int r = 0; r < 2 * x->comm->size; r++) {
    AT_TRY(wait(&x->results[r]));
    AT_TRY(wait(&x->returns[r]));
  }
  return AT_OK;
}

static at_err reserve(exchange *x) {
  AT_TRY(at_alloc(&x->sum, (1 + 2 * DEPTH) * (size_t)PIECE, sizeof *x->sum, "pieces of an exact sum"));
  AT_TRY(at_alloc(&x->results, 4 * (size_t)x->ranks, sizeof *x->results, "messages of an exact sum"));
  AT_TRY(at_alloc(&x->announced, (size_t)x->ranks, sizeof *x->announced, "ranks of an exact sum"));
  x->returns = x->results + 2 * x->ranks;
  for (int slot = 0; slot < DEPTH; slot++) {
    x->send[slot] = x->sum + (1 + slot) * PIECE;
    x->recv[slot] = x->sum + (1 + DEPTH + slot) * PIECE;
    x->sending[slot] = x->coming[slot] = MPI_REQUEST_NULL;
  }
  for (int r = 0; r < 4 * x->ranks; r++) {
    x->results[r] = MPI_REQUEST_NULL;
  }
  return AT_OK;
}

at_err at_exact_exchange_create(at_exact_exchange **out, int ranks) {
  exchange *x = NULL;
  *out = NULL;
  AT_TRY(at_alloc(&x, 1, sizeof *x, "exchange of an exact sum"));
  x->ranks = ranks;
  const at_err err = reserve(x);
  if (err != AT_OK) {
    at_exact_exchange_destroy(x);
    return err;
  }
  *out = x;
  return AT_OK;
}

void at_exact_exchange_destroy(at_exact_exchange *x) {
  if (x != NULL) {
    at_free(x->sum);
    at_free(x->results);
    at_free(x->announced);
    at_free(x);
  }
}

int64_t at_exact_exchange_memory(void) {
  return (1 + 2 * DEPTH) * (int64_t)(PIECE * sizeof(int64_t));
}

int at_exact_exchange_ranks(const at_exact_exchange *x) {
  return x->ranks;
}

/* One rank has all terms. */
static void convert(exchange *x) {
  for (int64_t first = 0; first < x->n; first += PIECE) {
    const int64_t n = x->n - first < PIECE ? x->n - first : PIECE;
    x->side->terms(x->side->context, first, n, x->sum);
    x->side->result(x->side->context, first, n, x->sum, x->out + first);
  }
}

at_err at_exact_exchange_run(at_exact_exchange *x, at_comm *c, int64_t n, const at_exact_side *side, float *out) {
  x->comm = c;
  x->side = side;
  x->n = n;
  x->out = out;
  if (c->size == 1) {
    convert(x);
    return AT_OK;
  }
  const int64_t longest = n / c->size + (n % c->size > 0);
  x->piece = piece_length(n, c->size);
  x->steps = (longest + x->piece - 1) / x->piece * (c->size - 1);
  AT_TRY(at_comm_allgather_i64(c, announce(side->n_terms, side->weight), x->announced));
  const double begin = at_comm_count_begin(c);
  const int64_t own = share_length(n, c->size, c->rank);
  int64_t sent = 4 * own * (c->size - 1), received = 4 * (n - own);
  for (int r = 0; r < c->size; r++) {
    sent += r != c->rank ? share_length(n, c->size, r) * width_of(x->announced[c->rank]) : 0;
    received += r != c->rank ? own * width_of(x->announced[r]) : 0;
  }
  const at_err err = run(x);
  at_comm_count_end(c, begin, 2 * x->steps, sent, received);
  return err;
}
