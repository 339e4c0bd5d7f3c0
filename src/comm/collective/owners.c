/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine of twophase, star and gather: pieces go to their owners, who add and send the mean.
 *
 * Which rank owns a piece decides who works, never what comes out: an owner adds all clients in ascending id.  Frames of this
 * rank's clients lie piece by piece in a store, one message a piece and rank; all receives are posted at the start. */
#include <string.h>

#include "src/base/alloc.h"
#include "src/comm/collective/post.h"
#include "src/comm/collective/reduce_internal.h"

enum { STAGE_MEAN = 1 };
typedef enum owners_event { EVENT_SENT, EVENT_UP, EVENT_DOWN } owners_event;
static const int64_t everybody = -1;

typedef struct owners {
  at_post *post;               /* messages of this rank */
  int64_t *store_at, *down_at; /* [pieces + 1]: where a piece's frames are */
  uint8_t *store;              /* frames of own clients, one after the other in a piece's place */
  int64_t *fill;               /* [pieces]: bytes of them */
  int64_t *encoded;            /* [pieces]: clients of them */
  uint8_t *down;               /* frames of means, own and received */
  int64_t *down_bytes;         /* [pieces] */
  uint8_t *inbox;              /* frames of other ranks' clients for own pieces; grows */
  int64_t inbox_room;
  int64_t *letter_at, *letter_bytes; /* [pieces * ranks]: messages in the inbox */
  int64_t *missing;                  /* [pieces]: ranks whose message is still out, own encoding counting as one */
  int64_t *order;                    /* [pieces]: in which own clients' pieces are encoded */
  int64_t *ready;                    /* [2 * pieces]: pieces to be added or decoded, first in first out */
  int64_t n_ready, next_ready, next_encode;
  bool *waiting; /* [pieces], of a vector that grows: final, and not yet encoded */
  int64_t n_waiting, last_owner;
  int64_t to_go;         /* pieces whose mean is not yet in out */
  const uint8_t **frame; /* [ranks * slots], of one piece by node */
  int64_t *frame_bytes;  /* [ranks * slots] */
  float *acc;            /* [chunk] */
  double *wide;          /* [chunk]: for more than 64 clients */
} owners;

/* ---- who owns what ---- */

static int64_t owner_of(const at_reduce *r, int64_t piece) {
  if (r->algorithm == AT_ALGORITHM_gather) {
    return everybody;
  }
  return r->algorithm == AT_ALGORITHM_star ? 0 : at_reduce_owner(r, piece, at_comm_size(r->comm));
}

static bool is_own(const at_reduce *r, int64_t piece) {
  const int64_t owner = owner_of(r, piece);
  return owner == everybody || owner == at_comm_rank(r->comm);
}

/* The participant that would own the piece if each had a machine of its own. */
static int64_t participant_of(const at_reduce *r, int64_t piece) {
  return r->algorithm == AT_ALGORITHM_star ? 0 : at_reduce_owner(r, piece, r->n_nodes);
}

/* ---- making ---- */

static void lay_out(at_reduce *r, owners *o) {
  for (int64_t j = 0; j < r->cut->n_pieces; j++) {
    const at_piece shape = at_cut_piece(r->cut, j);
    o->store_at[j + 1] = o->store_at[j] + r->slots * at_frame_room(&r->cfg.up, &shape);
    o->down_at[j + 1] = o->down_at[j] + at_frame_room(&r->cfg.down, &shape);
  }
}

static at_err create(at_reduce *r) {
  owners *o = NULL;
  AT_TRY(at_alloc(&o, 1, sizeof *o, "reduction"));
  r->moving = o;
  const size_t pieces = (size_t)r->cut->n_pieces, ranks = (size_t)at_comm_size(r->comm), slots = (size_t)r->slots;
  AT_TRY(at_alloc(&o->store_at, pieces + 1, sizeof *o->store_at, "places of frames"));
  AT_TRY(at_alloc(&o->down_at, pieces + 1, sizeof *o->down_at, "places of frames"));
  lay_out(r, o);
  AT_TRY(at_alloc(&o->store, (size_t)o->store_at[pieces], 1, "frames of own clients"));
  AT_TRY(at_alloc(&o->down, (size_t)o->down_at[pieces], 1, "frames of the mean"));
  AT_TRY(at_alloc(&o->fill, pieces, sizeof *o->fill, "places of frames"));
  AT_TRY(at_alloc(&o->encoded, pieces, sizeof *o->encoded, "places of frames"));
  AT_TRY(at_alloc(&o->down_bytes, pieces, sizeof *o->down_bytes, "places of frames"));
  AT_TRY(at_alloc(&o->letter_at, pieces * ranks, sizeof *o->letter_at, "places of messages"));
  AT_TRY(at_alloc(&o->letter_bytes, pieces * ranks, sizeof *o->letter_bytes, "places of messages"));
  AT_TRY(at_alloc(&o->missing, pieces, sizeof *o->missing, "places of messages"));
  AT_TRY(at_alloc(&o->order, pieces, sizeof *o->order, "order of pieces"));
  AT_TRY(at_alloc(&o->waiting, pieces, sizeof *o->waiting, "order of pieces"));
  AT_TRY(at_alloc(&o->ready, 2 * pieces, sizeof *o->ready, "order of pieces"));
  AT_TRY(at_alloc(&o->frame, ranks * slots, sizeof *o->frame, "places of frames"));
  AT_TRY(at_alloc(&o->frame_bytes, ranks * slots, sizeof *o->frame_bytes, "places of frames"));
  AT_TRY(at_alloc(&o->acc, (size_t)r->cfg.chunk, sizeof *o->acc, "sum of a piece"));
  AT_TRY(at_alloc(&o->wide, (size_t)r->cfg.chunk, sizeof *o->wide, "sum of a piece"));
  /* At most: a message to and from every rank for every piece, and one of the mean. */
  AT_TRY(at_post_create(&o->post, r->wire, 2 * (int64_t)(pieces * ranks)));
  return at_wire_reserve(r->wire, 4 * (int64_t)pieces * (int64_t)ranks + 4);
}

static void destroy(at_reduce *r) {
  owners *o = r->moving;
  if (o == NULL) {
    return;
  }
  at_post_destroy(o->post);
  void *const owned[] = {
      o->store_at,      o->down_at,     o->store,        o->fill,    o->encoded, o->down,    o->down_bytes,
      o->inbox,         o->letter_at,   o->letter_bytes, o->missing, o->order,   o->waiting, o->ready,
      (void *)o->frame, o->frame_bytes, o->acc,          o->wide,    o};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
    at_free(owned[i]);
  }
  r->moving = NULL;
}

/* ---- encoding ---- */

/* Append the client's frame of a piece to the store. */
static at_err encode_piece(at_reduce *r, owners *o, at_local *l, int64_t piece, const float *x) {
  const at_piece shape = at_cut_piece(r->cut, piece);
  uint8_t *frame = o->store + o->store_at[piece] + o->fill[piece];
  int64_t bytes = 0;
  AT_TRY(r->grows ? at_reduce_encode_grown(r, l, &shape, frame, &bytes)
                  : at_reduce_encode(r, l, &shape, x + shape.first, frame, &bytes));
  o->fill[piece] += bytes;
  o->encoded[piece]++;
  return AT_OK;
}

/* Forget the frames of the round before, when the first client of a round, or the round's start, comes. */
static void clear_store(at_reduce *r, owners *o) {
  memset(o->fill, 0, (size_t)r->cut->n_pieces * sizeof *o->fill);
  memset(o->encoded, 0, (size_t)r->cut->n_pieces * sizeof *o->encoded);
}

static bool is_first_added(const at_reduce *r, int64_t slot) {
  for (int64_t i = 0; i < slot; i++) {
    const at_local *l = &r->local[i];
    if (l->x == NULL && !l->is_bad && l->weight > 0.0) {
      return false;
    }
  }
  return true;
}

static at_err add(at_reduce *r, int64_t slot, const float *x) {
  owners *o = r->moving;
  if (is_first_added(r, slot)) {
    clear_store(r, o);
  }
  for (int64_t j = 0; j < r->cut->n_pieces; j++) {
    AT_TRY(encode_piece(r, o, &r->local[slot], j, x));
  }
  return AT_OK;
}

/* ---- starting ---- */

static int64_t up_room(const at_reduce *r, int64_t piece, int rank) {
  const at_piece shape = at_cut_piece(r->cut, piece);
  return r->rank_nodes[rank] * at_frame_room(&r->cfg.up, &shape);
}

/* Messages of other ranks for own pieces: places in the inbox; then the receives. */
static at_err post_up(at_reduce *r, owners *o) {
  const int ranks = at_comm_size(r->comm), own = at_comm_rank(r->comm);
  int64_t room = 0;
  for (int64_t j = 0; j < r->cut->n_pieces; j++) {
    o->missing[j] = 0;
    for (int rank = 0; is_own(r, j) && rank < ranks; rank++) {
      o->letter_at[j * ranks + rank] = room;
      o->missing[j] += r->rank_nodes[rank] > 0;
      room += rank != own ? up_room(r, j, rank) : 0;
    }
  }
  if (room > o->inbox_room) {
    at_free(o->inbox);
    o->inbox_room = 0;
    AT_TRY(at_alloc(&o->inbox, (size_t)room, 1, "frames of other ranks"));
    o->inbox_room = room;
  }
  for (int64_t j = 0; j < r->cut->n_pieces; j++) {
    for (int rank = 0; is_own(r, j) && rank < ranks; rank++) {
      if (rank != own && r->rank_nodes[rank] > 0) {
        const int64_t cookie = (j * ranks + rank) * 4 + EVENT_UP;
        AT_TRY(
            at_wire_recv(r->wire, rank, 2 * j, o->inbox + o->letter_at[j * ranks + rank], up_room(r, j, rank), cookie));
      }
    }
  }
  return AT_OK;
}

static at_err post_down(at_reduce *r, owners *o) {
  for (int64_t j = 0; j < r->cut->n_pieces; j++) {
    if (!is_own(r, j)) {
      const int64_t room = o->down_at[j + 1] - o->down_at[j];
      AT_TRY(at_wire_recv(r->wire, (int)owner_of(r, j), 2 * j + 1, o->down + o->down_at[j], room, j * 4 + EVENT_DOWN));
    }
  }
  return AT_OK;
}

static at_err start(at_reduce *r) {
  owners *o = r->moving;
  bool any_added = false;
  for (int64_t i = 0; i < r->n_local; i++) {
    any_added |= r->node_of[i] >= 0 && r->local[i].x == NULL;
  }
  if (!any_added) {
    clear_store(r, o);
  }
  o->to_go = r->cut->n_pieces;
  o->n_ready = o->next_ready = 0;
  o->next_encode = r->rank_nodes[at_comm_rank(r->comm)] > 0 ? 0 : r->cut->n_pieces;
  memset(o->waiting, 0, (size_t)r->cut->n_pieces * sizeof *o->waiting);
  o->n_waiting = 0;
  o->last_owner = at_comm_rank(r->comm);
  at_post_begin(o->post);
  at_reduce_turns(r, r->algorithm == AT_ALGORITHM_twophase ? at_comm_size(r->comm) : 1, o->order);
  AT_TRY(post_up(r, o));
  return post_down(r, o);
}

/* ---- owners' work ---- */

static void make_ready(owners *o, int64_t piece) {
  o->ready[o->n_ready++] = piece;
}

/* One message fewer is missing for an own piece. */
static void arrived(at_reduce *r, owners *o, int64_t piece) {
  if (is_own(r, piece) && --o->missing[piece] == 0) {
    make_ready(o, piece);
  }
}

/* Find the frames of a piece by node: own ones in the store, the others' in the inbox. */
static at_err find_frames(at_reduce *r, owners *o, int64_t piece) {
  const int ranks = at_comm_size(r->comm), own = at_comm_rank(r->comm);
  for (int64_t i = 0; i < r->n_nodes; i++) {
    const at_node *node = &r->nodes[i];
    const bool is_here = node->rank == own;
    const int64_t letter = piece * ranks + node->rank;
    const uint8_t *p = is_here ? o->store + o->store_at[piece] : o->inbox + o->letter_at[letter];
    int64_t room = is_here ? o->fill[piece] : o->letter_bytes[letter];
    for (int64_t k = 0;; k++) {
      AT_TRY(at_frame_length(p, room, &o->frame_bytes[i]));
      if (k == node->order) {
        break;
      }
      p += o->frame_bytes[i];
      room -= o->frame_bytes[i];
    }
    o->frame[i] = p;
  }
  return AT_OK;
}

/* acc = the mean of a piece, clients in ascending id; beyond 64 of them summed in double. */
static at_err add_frames(at_reduce *r, owners *o, const at_piece *shape) {
  const bool is_wide = r->n_nodes > 64;
  memset(o->acc, 0, (size_t)shape->n * sizeof *o->acc);
  memset(o->wide, 0, is_wide ? (size_t)shape->n * sizeof *o->wide : 0);
  for (int64_t i = 0; i < r->n_nodes; i++) {
    const at_code_key key = at_reduce_key(r, (uint64_t)r->nodes[i].id, 0);
    const float scale = r->nodes[i].scale;
    if (!is_wide) {
      AT_TRY(at_frame_add(r->up, &key, shape, o->frame[i], o->frame_bytes[i], scale, o->acc));
      continue;
    }
    AT_TRY(at_frame_decode(r->up, &key, shape, o->frame[i], o->frame_bytes[i], r->y));
    for (int64_t e = 0; e < shape->n; e++) {
      o->wide[e] += (double)scale * (double)r->y[e];
    }
  }
  if (is_wide) {
    for (int64_t e = 0; e < shape->n; e++) {
      o->acc[e] = (float)(o->wide[e] / (double)r->n_nodes);
    }
  } else {
    at_reduce_divide(shape->n, r->n_nodes, o->acc);
  }
  return AT_OK;
}

/* Encode the mean of an own piece, use what that decodes to (the owner rule), and send it to all. */
static at_err publish(at_reduce *r, owners *o, int64_t piece, const at_piece *shape) {
  const at_code_key key = at_reduce_key(r, AT_CODE_SHARED, STAGE_MEAN);
  uint8_t *frame = o->down + o->down_at[piece];
  float *out = r->out + shape->first;
  int64_t bytes = 0;
  if (r->server != NULL) {
    at_feedback_row *row = NULL;
    AT_TRY(at_feedback_open(r->server, 0, &row));
    at_reduce_keep_server(r, shape, row->v[0]);
    AT_TRY(at_feedback_encode(r->server, row, r->down, &key, shape, o->acc, 1.0f, out, frame, &bytes));
  } else {
    bytes = at_frame_encode(r->down, &key, shape, o->acc, frame);
    AT_TRY(at_frame_decode(r->down, &key, shape, frame, bytes, out));
  }
  if (r->breaks_owner_rule) {
    memcpy(out, o->acc, (size_t)shape->n * sizeof *out);
  }
  r->report.encodings++;
  r->report.messages += r->n_nodes - 1;
  r->report.bytes += (r->n_nodes - 1) * bytes;
  for (int rank = 0; rank < at_comm_size(r->comm); rank++) {
    if (rank != at_comm_rank(r->comm)) {
      AT_TRY(at_post_send(o->post, rank, 2 * piece + 1, frame, bytes, EVENT_SENT));
    }
  }
  return AT_OK;
}

/* An own piece whose frames are all here.  A damaged frame spoils the piece, but what others wait for is sent all the same. */
static at_err finish_own(at_reduce *r, owners *o, int64_t piece) {
  const at_piece shape = at_cut_piece(r->cut, piece);
  at_err err = find_frames(r, o, piece);
  err = err == AT_OK ? add_frames(r, o, &shape) : err;
  at_reduce_note(r, err);
  o->to_go--;
  if (r->algorithm == AT_ALGORITHM_gather) {
    memcpy(r->out + shape.first, o->acc, (size_t)shape.n * sizeof *o->acc);
    return AT_OK;
  }
  return publish(r, o, piece, &shape);
}

static at_err finish_other(at_reduce *r, owners *o, int64_t piece) {
  const at_piece shape = at_cut_piece(r->cut, piece);
  const at_code_key key = at_reduce_key(r, AT_CODE_SHARED, STAGE_MEAN);
  o->to_go--;
  return at_frame_decode(r->down, &key, &shape, o->down + o->down_at[piece], o->down_bytes[piece],
                         r->out + shape.first);
}

/* ---- clients' work ---- */

/* What own clients' frames of a piece would cost if each had a machine of its own. */
static void report_up(at_reduce *r, const owners *o, int64_t piece) {
  const uint8_t *p = o->store + o->store_at[piece];
  int64_t room = o->fill[piece];
  for (int64_t i = 0; i < r->n_local; i++) {
    int64_t bytes = 0;
    if (r->node_of[i] < 0 || at_frame_length(p, room, &bytes) != AT_OK) {
      continue;
    }
    const bool to_all = r->algorithm == AT_ALGORITHM_gather;
    const int64_t copies = to_all ? r->n_nodes - 1 : participant_of(r, piece) != r->node_of[i];
    r->report.messages += copies;
    r->report.bytes += copies * bytes;
    p += bytes;
    room -= bytes;
  }
}

static at_err send_up(at_reduce *r, owners *o, int64_t piece) {
  const int own = at_comm_rank(r->comm);
  const int64_t owner = owner_of(r, piece);
  report_up(r, o, piece);
  for (int i = 1; i < at_comm_size(r->comm); i++) {
    const int rank = (own + i) % at_comm_size(r->comm);
    if (owner == everybody || owner == rank) {
      AT_TRY(at_post_send(o->post, rank, 2 * piece, o->store + o->store_at[piece], o->fill[piece], EVENT_SENT));
    }
  }
  arrived(r, o, piece);
  return AT_OK;
}

static void release(at_reduce *r, int64_t piece) {
  owners *o = r->moving;
  o->waiting[piece] = true;
  o->n_waiting++;
}

/* A piece that is final: owners take turns, as far as they have some, so that no one's link is overrun while others idle. */
static int64_t take_waiting(at_reduce *r, owners *o) {
  const int64_t owners_n = r->algorithm == AT_ALGORITHM_twophase ? at_comm_size(r->comm) : 1;
  int64_t piece = -1;
  for (int64_t i = 1; piece < 0; i++) {
    const int64_t owner = (o->last_owner + i) % owners_n, end = at_reduce_first(r, owner + 1, owners_n);
    for (int64_t j = at_reduce_first(r, owner, owners_n); j < end && piece < 0; j++) {
      if (o->waiting[j]) {
        piece = j;
        o->last_owner = owner;
      }
    }
  }
  o->waiting[piece] = false;
  o->n_waiting--;
  return piece;
}

/* Something can be encoded; where the order is not settled yet, not before what is encoded already is on its way. */
static bool can_encode(const at_reduce *r, const owners *o) {
  return r->grows ? o->n_waiting > 0 && !at_post_waits(o->post) : o->next_encode < r->cut->n_pieces;
}

/* Encode what lent clients still owe of the next piece, and send it. */
static at_err encode_next(at_reduce *r, owners *o) {
  const int64_t piece = r->grows ? take_waiting(r, o) : o->order[o->next_encode];
  o->next_encode++;
  for (int64_t i = 0; i < r->n_local; i++) {
    if (r->node_of[i] >= 0 && r->local[i].x != NULL) {
      at_reduce_note(r, encode_piece(r, o, &r->local[i], piece, r->local[i].x));
    }
  }
  return send_up(r, o, piece);
}

/* ---- progress ---- */

static bool is_done(const at_reduce *r) {
  const owners *o = r->moving;
  return o->to_go == 0 && o->next_encode == r->cut->n_pieces && at_post_is_empty(o->post) &&
         at_wire_under_way(r->wire) == 0;
}

/* Take all events that are there; wait for one if asked to. */
static at_err take_events(at_reduce *r, owners *o, bool block) {
  for (bool found = true; found; block = false) {
    at_wire_event e;
    AT_TRY(at_wire_next(r->wire, block, &found, &e));
    if (!found) {
      break;
    }
    const int64_t what = e.cookie / 4;
    if (e.cookie % 4 == EVENT_UP) {
      o->letter_bytes[what] = e.bytes;
      arrived(r, o, what / at_comm_size(r->comm));
    } else if (e.cookie % 4 == EVENT_DOWN) {
      o->down_bytes[what] = e.bytes;
      make_ready(o, what);
    } else {
      at_post_arrived(o->post, e.bytes);
    }
  }
  return at_post_serve(o->post);
}

static at_err poll(at_reduce *r, bool block, bool *worked) {
  owners *o = r->moving;
  const bool has_work = o->next_ready < o->n_ready || can_encode(r, o);
  AT_TRY(take_events(r, o, block && !has_work));
  *worked = true;
  /* Own clients first, while little is on its way: links are what is slow. */
  if (can_encode(r, o)) {
    return encode_next(r, o);
  }
  if (o->next_ready < o->n_ready) {
    const int64_t piece = o->ready[o->next_ready++];
    return is_own(r, piece) ? finish_own(r, o, piece) : finish_other(r, o, piece);
  }
  *worked = false;
  return AT_OK;
}

const at_engine at_engine_owners = {create, destroy, add, start, release, poll, is_done};
