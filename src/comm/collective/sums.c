/* SPDX-License-Identifier: BSD-3-Clause */
/* Moving integer sums: by owners of pieces, or by MPI's all-reduce. */
#include "src/comm/collective/sums.h"

#include <string.h>

#include "src/base/alloc.h"

struct at_sums {
  at_reduce *r; /* borrowed */
  bool by_mpi;
  int64_t top, width; /* of one client's values; bytes of a total */
  int64_t given, done;
  int64_t *order;           /* [pieces] */
  uint8_t *out, *back;      /* [4 n]: own sums as they are sent; totals */
  at_comm_request **adding; /* [pieces], by MPI */
  /* with owners */
  uint8_t *inbox; /* sums of other ranks for own pieces; grows */
  int64_t inbox_room;
  int64_t *letter_at; /* [pieces * ranks] */
  int64_t *missing;   /* [pieces] */
  int64_t *ready;     /* [pieces]: totals that came, or own pieces that can be added */
  int64_t n_ready, next_ready;
  int32_t *sum; /* [chunk] */
};

typedef enum sums_event { EVENT_SENT, EVENT_UP, EVENT_DOWN } sums_event;

/* ---- integers of 1, 2 or 4 bytes ---- */

static void narrow(int64_t n, int64_t width, const int32_t *v, uint8_t *out) {
  for (int64_t i = 0; i < n; i++) {
    const int16_t half = (int16_t)v[i];
    if (width == 1) {
      out[i] = (uint8_t)(int8_t)v[i];
    } else if (width == 2) {
      memcpy(out + 2 * i, &half, sizeof half);
    } else {
      memcpy(out + 4 * i, &v[i], sizeof v[i]);
    }
  }
}

/* v += those in `in`. */
static void widen_add(int64_t n, int64_t width, const uint8_t *in, int32_t *v) {
  for (int64_t i = 0; i < n; i++) {
    int16_t half;
    int32_t whole;
    if (width == 1) {
      v[i] += (int8_t)in[i];
    } else if (width == 2) {
      memcpy(&half, in + 2 * i, sizeof half);
      v[i] += half;
    } else {
      memcpy(&whole, in + 4 * i, sizeof whole);
      v[i] += whole;
    }
  }
}

/* Bytes that sums of `clients` values need. */
static int64_t width_for(const at_sums *s, int64_t clients) {
  const int64_t most = s->top * clients;
  return s->top == 0 || most > INT16_MAX ? 4 : most > INT8_MAX ? 2 : 1;
}

int64_t at_sums_bytes(const at_sums *s, int64_t n) {
  const int64_t p = s->r->n_nodes;
  if (s->by_mpi) {
    return at_comm_allreduce_bytes(n * s->width, (int)p);
  }
  return n * (width_for(s, 1) + s->width) * (p - 1) / p;
}

/* ---- making ---- */

at_err at_sums_create(at_sums **out, at_reduce *r, bool by_mpi) {
  at_sums *s = NULL;
  *out = NULL;
  AT_TRY(at_alloc(&s, 1, sizeof *s, "sums"));
  *s = (at_sums){.r = r, .by_mpi = by_mpi};
  const size_t pieces = (size_t)r->cut->n_pieces, ranks = (size_t)at_comm_size(r->comm), n = (size_t)r->cut->n;
  at_err err = AT_OK;
  AT_TRY_TO(err, fail, at_alloc(&s->order, pieces, sizeof *s->order, "order of pieces"));
  AT_TRY_TO(err, fail, at_alloc(&s->out, n, 4, "sums"));
  AT_TRY_TO(err, fail, at_alloc(&s->back, n, 4, "totals"));
  AT_TRY_TO(err, fail, at_alloc(&s->adding, pieces, sizeof *s->adding, "requests"));
  AT_TRY_TO(err, fail, at_alloc(&s->letter_at, pieces * ranks, sizeof *s->letter_at, "places of messages"));
  AT_TRY_TO(err, fail, at_alloc(&s->missing, pieces, sizeof *s->missing, "places of messages"));
  AT_TRY_TO(err, fail, at_alloc(&s->ready, pieces, sizeof *s->ready, "order of pieces"));
  AT_TRY_TO(err, fail, at_alloc(&s->sum, (size_t)r->cfg.chunk, sizeof *s->sum, "total of a piece"));
  AT_TRY_TO(err, fail, at_wire_reserve(r->wire, (int64_t)(4 * pieces * ranks) + 4));
  *out = s;
  return AT_OK;
fail:
  at_sums_destroy(s);
  return err;
}

void at_sums_destroy(at_sums *s) {
  if (s == NULL) {
    return;
  }
  void *const owned[] = {s->order, s->out, s->back, (void *)s->adding, s->inbox, s->letter_at, s->missing,
                         s->ready, s->sum, s};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
    at_free(owned[i]);
  }
}

/* ---- starting ---- */

static int owner_of(const at_sums *s, int64_t piece) {
  return (int)at_reduce_owner(s->r, piece, at_comm_size(s->r->comm));
}

static bool is_own(const at_sums *s, int64_t piece) {
  return owner_of(s, piece) == at_comm_rank(s->r->comm);
}

/* A rank whose sum is not nothing, other than the owner, sends it. */
static bool sends(const at_sums *s, int rank, int64_t piece) {
  return s->r->rank_nodes[rank] > 0 && rank != owner_of(s, piece);
}

static int64_t letter_bytes(const at_sums *s, int rank, int64_t n) {
  return n * width_for(s, s->r->rank_nodes[rank]);
}

static at_err post(at_sums *s) {
  const at_reduce *r = s->r;
  const int ranks = at_comm_size(r->comm);
  for (int64_t j = 0; j < r->cut->n_pieces; j++) {
    const at_piece shape = at_cut_piece(r->cut, j);
    if (!is_own(s, j)) {
      AT_TRY(at_wire_recv(r->wire, owner_of(s, j), 2 * j + 1, s->back + shape.first * s->width, shape.n * s->width,
                          j * 4 + EVENT_DOWN));
    }
    for (int rank = 0; is_own(s, j) && rank < ranks; rank++) {
      if (sends(s, rank, j)) {
        AT_TRY(at_wire_recv(r->wire, rank, 2 * j, s->inbox + s->letter_at[j * ranks + rank],
                            letter_bytes(s, rank, shape.n), j * 4 + EVENT_UP));
      }
    }
  }
  return AT_OK;
}

at_err at_sums_start(at_sums *s, int64_t top, int64_t width) {
  const at_reduce *r = s->r;
  const int ranks = at_comm_size(r->comm);
  s->top = top;
  s->width = width;
  s->given = s->done = s->n_ready = s->next_ready = 0;
  at_reduce_turns(r, s->by_mpi ? 1 : ranks, s->order);
  if (s->by_mpi) {
    return AT_OK;
  }
  int64_t room = 0;
  for (int64_t j = 0; j < r->cut->n_pieces; j++) {
    const at_piece shape = at_cut_piece(r->cut, j);
    s->missing[j] = 1; /* its own */
    for (int rank = 0; is_own(s, j) && rank < ranks; rank++) {
      s->letter_at[j * ranks + rank] = room;
      room += sends(s, rank, j) ? letter_bytes(s, rank, shape.n) : 0;
      s->missing[j] += sends(s, rank, j);
    }
  }
  if (room > s->inbox_room) {
    at_free(s->inbox);
    s->inbox = NULL;
    s->inbox_room = 0;
    AT_TRY(at_alloc(&s->inbox, (size_t)room, 1, "sums of other ranks"));
    s->inbox_room = room;
  }
  return post(s);
}

int64_t at_sums_wanted(const at_sums *s) {
  return s->given < s->r->cut->n_pieces ? s->order[s->given] : -1;
}

/* ---- giving ---- */

static void arrived(at_sums *s, int64_t piece) {
  if (--s->missing[piece] == 0) {
    s->ready[s->n_ready++] = piece;
  }
}

static at_err give_mpi(at_sums *s, int64_t piece, const at_piece *shape, const int32_t *sum) {
  static const at_comm_type types[] = {[1] = AT_COMM_I8, [2] = AT_COMM_I16, [4] = AT_COMM_I32};
  uint8_t *at = s->back + shape->first * s->width;
  narrow(shape->n, s->width, sum, at);
  return at_comm_iallreduce(s->r->comm, types[s->width], AT_COMM_SUM, at, shape->n, &s->adding[piece]);
}

at_err at_sums_give(at_sums *s, const int32_t *sum) {
  const int64_t piece = s->order[s->given++];
  const at_piece shape = at_cut_piece(s->r->cut, piece);
  if (s->by_mpi) {
    return give_mpi(s, piece, &shape, sum);
  }
  uint8_t *at = s->out + 4 * shape.first;
  if (is_own(s, piece)) {
    memcpy(at, sum, (size_t)shape.n * sizeof *sum);
    arrived(s, piece);
    return AT_OK;
  }
  const int own = at_comm_rank(s->r->comm);
  if (!sends(s, own, piece)) {
    return AT_OK;
  }
  narrow(shape.n, width_for(s, s->r->rank_nodes[own]), sum, at);
  return at_wire_send(s->r->wire, owner_of(s, piece), 2 * piece, at, letter_bytes(s, own, shape.n), EVENT_SENT);
}

/* ---- taking ---- */

static at_err take_mpi(at_sums *s, bool block, int64_t *piece, int32_t *total) {
  *piece = -1;
  if (s->done == s->given) {
    return AT_OK;
  }
  bool over = true;
  if (block) {
    AT_TRY(at_comm_wait(&s->adding[s->done]));
  } else {
    AT_TRY(at_comm_test(&s->adding[s->done], &over));
  }
  if (over) {
    const at_piece shape = at_cut_piece(s->r->cut, s->done);
    memset(total, 0, (size_t)shape.n * sizeof *total);
    widen_add(shape.n, s->width, s->back + shape.first * s->width, total);
    *piece = s->done++;
  }
  return AT_OK;
}

/* The total of an own piece, sent to all others. */
static at_err add_up(at_sums *s, int64_t piece, const at_piece *shape, int32_t *total) {
  const int ranks = at_comm_size(s->r->comm);
  memcpy(total, s->out + 4 * shape->first, (size_t)shape->n * sizeof *total);
  for (int rank = 0; rank < ranks; rank++) {
    if (sends(s, rank, piece)) {
      const int64_t width = width_for(s, s->r->rank_nodes[rank]);
      widen_add(shape->n, width, s->inbox + s->letter_at[piece * ranks + rank], total);
    }
  }
  uint8_t *back = s->back + shape->first * s->width;
  narrow(shape->n, s->width, total, back);
  for (int i = 1; i < ranks; i++) {
    const int rank = (at_comm_rank(s->r->comm) + i) % ranks;
    AT_TRY(at_wire_send(s->r->wire, rank, 2 * piece + 1, back, shape->n * s->width, EVENT_SENT));
  }
  return AT_OK;
}

static at_err take_events(at_sums *s, bool block) {
  for (bool found = true; found; block = false) {
    at_wire_event e;
    AT_TRY(at_wire_next(s->r->wire, block, &found, &e));
    if (found && e.cookie % 4 != EVENT_SENT) {
      arrived(s, e.cookie / 4);
    }
  }
  return AT_OK;
}

at_err at_sums_take(at_sums *s, bool block, int64_t *piece, int32_t *total) {
  if (s->by_mpi) {
    return take_mpi(s, block, piece, total);
  }
  *piece = -1;
  AT_TRY(take_events(s, block && s->next_ready == s->n_ready));
  if (s->next_ready == s->n_ready) {
    return AT_OK;
  }
  *piece = s->ready[s->next_ready++];
  s->done++;
  const at_piece shape = at_cut_piece(s->r->cut, *piece);
  if (is_own(s, *piece)) {
    return add_up(s, *piece, &shape, total);
  }
  memset(total, 0, (size_t)shape.n * sizeof *total);
  widen_add(shape.n, s->width, s->back + shape.first * s->width, total);
  return AT_OK;
}
