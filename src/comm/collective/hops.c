/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine of ring, doubling and tree: every client runs its list of steps for every piece.
 *
 * Clients exchange messages also with clients of their own rank, so that results depend on the clients alone.  A window of pieces is
 * in work; each of its slots sees the same pieces in the same order on every rank, so that nobody waits for ever.
 * All clients of a rank decode what they end with, and must end with the same. */
#include "src/comm/collective/hops.h"

#include <string.h>

#include "src/base/alloc.h"
#include "src/comm/collective/reduce_internal.h"

/* One client's work on one piece. */
typedef struct stream {
  int64_t local; /* the client's slot */
  at_hop *steps;
  int64_t n_steps, next;
  float *acc;
  int64_t count;
  uint8_t *code, *in; /* frames: own, received */
  int64_t code_bytes, in_bytes;
  int64_t sending; /* messages of `code` under way */
  bool is_waiting; /* for a message */
  bool has_in;
} stream;

typedef struct hops {
  float **copies; /* [slots]: vectors of added clients; each owned, made when first needed */
  int64_t *order; /* [pieces] */
  int64_t window, n_local;
  int64_t *piece;  /* [window]: in which slot of the window; -1: none */
  int64_t *place;  /* [window]: its place in the order */
  int64_t *left;   /* [window]: clients that are not through, and guests' messages */
  bool *is_taken;  /* [window]: out holds the piece */
  stream *streams; /* [window * n_local] */
  float *acc;      /* memory of the streams */
  uint8_t *frames;
  at_hop *steps;
  size_t room[4]; /* what those four have room for, in bytes */
  int64_t to_go, turn;
  int64_t tags, stride;
} hops;

enum { WINDOW_LEAST = 4 };
enum { EVENT_STREAM_SENT, EVENT_STREAM_CAME, EVENT_GUEST };

/* ---- making ---- */

static at_err create(at_reduce *r) {
  hops *h = NULL;
  AT_TRY(at_alloc(&h, 1, sizeof *h, "reduction"));
  r->moving = h;
  AT_TRY(at_alloc(&h->copies, (size_t)r->slots, sizeof *h->copies, "vectors of clients"));
  return at_alloc(&h->order, (size_t)r->cut->n_pieces, sizeof *h->order, "order of pieces");
}

static void destroy(at_reduce *r) {
  hops *h = r->moving;
  if (h == NULL) {
    return;
  }
  for (int64_t i = 0; h->copies != NULL && i < r->slots; i++) {
    at_free(h->copies[i]);
  }
  void *const owned[] = {(void *)h->copies, h->order, h->piece,  h->place, h->left, h->is_taken,
                         h->streams,        h->acc,   h->frames, h->steps, h};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
    at_free(owned[i]);
  }
  r->moving = NULL;
}

static at_err add(at_reduce *r, int64_t slot, const float *x) {
  hops *h = r->moving;
  if (h->copies[slot] == NULL) {
    AT_TRY(at_alloc(&h->copies[slot], (size_t)r->cut->n, sizeof **h->copies, "vector of a client"));
  }
  memcpy(h->copies[slot], x, (size_t)r->cut->n * sizeof *x);
  return AT_OK;
}

/* ---- starting ---- */

static int64_t longest_frame(const at_reduce *r) {
  int64_t most = 0;
  for (int64_t j = 0; j < r->cut->n_pieces; j++) {
    const at_piece shape = at_cut_piece(r->cut, j);
    const int64_t room = at_frame_room(&r->cfg.up, &shape);
    most = room > most ? room : most;
  }
  return (most + 63) / 64 * 64;
}

/* Ring: turns over its owners, so that all its links work; else ascending. */
static void make_order(at_reduce *r, hops *h) {
  int64_t n = 0;
  for (int64_t turn = 0; n < r->cut->n_pieces; turn++) {
    for (int64_t i = 0; i < r->n_nodes; i++) {
      const int64_t j = at_reduce_first(r, i, r->n_nodes) + turn;
      if (r->algorithm != AT_ALGORITHM_ring) {
        h->order[n] = n;
        n++;
        break;
      }
      if (j < at_reduce_first(r, i + 1, r->n_nodes)) {
        h->order[n++] = j;
      }
    }
  }
}

static at_err grow(void *block, size_t *room, size_t bytes) {
  if (bytes > *room) {
    *room = 0;
    AT_TRY(at_realloc(block, bytes, 1, "pieces in work"));
    *room = bytes;
  }
  return AT_OK;
}

static at_err make_room(at_reduce *r, hops *h) {
  const size_t streams = (size_t)(h->window * h->n_local), window = (size_t)h->window;
  const size_t frame = (size_t)longest_frame(r);
  const size_t steps = (size_t)at_hops_most(r->algorithm, r->n_nodes, r->cfg.fan_in);
  AT_TRY(at_realloc(&h->piece, window, sizeof *h->piece, "pieces in work"));
  AT_TRY(at_realloc(&h->place, window, sizeof *h->place, "pieces in work"));
  AT_TRY(at_realloc(&h->left, window, sizeof *h->left, "pieces in work"));
  AT_TRY(at_realloc(&h->is_taken, window, sizeof *h->is_taken, "pieces in work"));
  AT_TRY(grow(&h->streams, &h->room[0], streams * sizeof *h->streams));
  AT_TRY(grow(&h->acc, &h->room[1], streams * (size_t)r->cfg.chunk * sizeof *h->acc));
  AT_TRY(grow(&h->frames, &h->room[2], 2 * streams * frame));
  AT_TRY(grow(&h->steps, &h->room[3], streams * steps * sizeof *h->steps));
  for (size_t i = 0; i < streams; i++) {
    h->streams[i] = (stream){.steps = h->steps + i * steps,
                             .acc = h->acc + i * (size_t)r->cfg.chunk,
                             .code = h->frames + 2 * i * frame,
                             .in = h->frames + (2 * i + 1) * frame};
  }
  /* Each client sends to all of its children at most and waits for one; guests of each piece. */
  const int64_t each = r->cfg.fan_in + 3;
  return at_wire_reserve(r->wire, (int64_t)streams * each + h->window * at_comm_size(r->comm) + 4);
}

/* A rank without a client that counts gets the mean from the first client's rank. */
static bool is_guest(const at_reduce *r, int rank) {
  return r->rank_nodes[rank] == 0;
}

static bool is_host(const at_reduce *r) {
  return r->nodes[0].rank == at_comm_rank(r->comm);
}

static int64_t tag_of(const hops *h, int64_t slot, int64_t tag, int64_t to, int64_t p) {
  return slot * h->stride + tag * p + to;
}

/* Put the piece at a place of the order into its slot of the window.  On every rank a slot sees the same pieces in the same
 * order, so that messages of one slot can share tags. */
static at_err open_piece(at_reduce *r, hops *h, int64_t place) {
  const int64_t slot = place % h->window;
  h->piece[slot] = -1;
  h->place[slot] = place;
  if (place >= r->cut->n_pieces) {
    return AT_OK;
  }
  const int64_t piece = h->order[place];
  const at_piece shape = at_cut_piece(r->cut, piece);
  h->piece[slot] = piece;
  h->is_taken[slot] = false;
  h->left[slot] = h->n_local;
  for (int64_t i = 0, k = 0; i < r->n_local; i++) {
    if (r->node_of[i] < 0) {
      continue;
    }
    stream *s = &h->streams[slot * h->n_local + k++];
    const int64_t v = r->node_of[i];
    const float *x = (r->local[i].x != NULL ? r->local[i].x : h->copies[i]) + shape.first;
    s->local = i;
    s->next = s->sending = 0;
    s->is_waiting = s->has_in = false;
    s->count = 1;
    s->n_steps =
        at_hops_plan(r->algorithm, r->n_nodes, r->cfg.fan_in, v, at_reduce_owner(r, piece, r->n_nodes), s->steps);
    for (int64_t e = 0; e < shape.n; e++) {
      s->acc[e] = r->nodes[v].scale * x[e];
    }
  }
  if (is_guest(r, at_comm_rank(r->comm))) {
    h->left[slot] = 1;
    const int64_t tag = tag_of(h, slot, h->tags, at_comm_rank(r->comm), r->n_nodes);
    return at_wire_recv(r->wire, r->nodes[0].rank, tag, r->out + shape.first, 4 * shape.n, slot * 4 + EVENT_GUEST);
  }
  return AT_OK;
}

static at_err start(at_reduce *r) {
  hops *h = r->moving;
  const int64_t p = r->n_nodes, wanted = r->algorithm == AT_ALGORITHM_ring && p > WINDOW_LEAST ? p : WINDOW_LEAST;
  h->n_local = r->rank_nodes[at_comm_rank(r->comm)];
  h->window = wanted < r->cut->n_pieces ? wanted : r->cut->n_pieces;
  h->tags = at_hops_tags(r->algorithm, p, r->cfg.fan_in);
  h->stride = h->tags * p + (at_comm_size(r->comm) > p ? at_comm_size(r->comm) : p);
  h->turn = 0;
  h->to_go = r->cut->n_pieces;
  make_order(r, h);
  AT_TRY(make_room(r, h));
  for (int64_t place = 0; place < h->window; place++) {
    AT_TRY(open_piece(r, h, place));
  }
  return AT_OK;
}

/* ---- steps ---- */

static at_code_key key_of(const at_reduce *r, const at_hop *hop) {
  return at_reduce_key(r, hop->key == AT_CODE_SHARED ? AT_CODE_SHARED : (uint64_t)r->nodes[hop->key].id, hop->stage);
}

/* The piece's mean as one client sees it: the first writes it, the others must agree. */
static at_err take(at_reduce *r, hops *h, int64_t slot, const at_piece *shape, const float *mean) {
  float *out = r->out + shape->first;
  const size_t bytes = (size_t)shape->n * sizeof *out;
  if (h->is_taken[slot]) {
    return memcmp(out, mean, bytes) == 0
               ? AT_OK
               : AT_FAIL(AT_ERR_INTERNAL, "clients of one rank ended with different means in piece %lld",
                         (long long)h->piece[slot]);
  }
  h->is_taken[slot] = true;
  memcpy(out, mean, bytes);
  for (int rank = 0; is_host(r) && rank < at_comm_size(r->comm); rank++) {
    if (is_guest(r, rank)) {
      h->left[slot]++;
      const int64_t tag = tag_of(h, slot, h->tags, rank, r->n_nodes);
      AT_TRY(at_wire_send(r->wire, rank, tag, out, (int64_t)bytes, slot * 4 + EVENT_GUEST));
    }
  }
  return AT_OK;
}

static at_err encode(at_reduce *r, stream *s, const at_hop *hop, const at_piece *shape) {
  const at_code_key key = key_of(r, hop);
  const double share = 1.0 / (double)s->count;
  for (int64_t e = 0; e < shape->n; e++) {
    r->y[e] = (float)((double)s->acc[e] * share);
  }
  s->code_bytes = at_frame_encode(r->up, &key, shape, r->y, s->code);
  r->report.encodings++;
  return AT_OK;
}

static at_err send(at_reduce *r, hops *h, stream *s, const at_hop *hop) {
  const int64_t index = s - h->streams, slot = index / h->n_local;
  const int64_t tag = tag_of(h, slot, hop->tag, hop->peer, r->n_nodes);
  s->sending++;
  r->report.messages++;
  r->report.bytes += s->code_bytes;
  return at_wire_send(r->wire, r->nodes[hop->peer].rank, tag, s->code, s->code_bytes, index * 4 + EVENT_STREAM_SENT);
}

/* Start waiting for a message; go on when it came. */
static at_err receive(at_reduce *r, hops *h, stream *s, const at_hop *hop) {
  const int64_t index = s - h->streams, slot = index / h->n_local;
  if (s->has_in) {
    s->has_in = false;
    s->next++;
    return AT_OK;
  }
  const at_piece shape = at_cut_piece(r->cut, h->piece[slot]);
  const int64_t tag = tag_of(h, slot, hop->tag, r->node_of[s->local], r->n_nodes);
  s->is_waiting = true;
  return at_wire_recv(r->wire, r->nodes[hop->peer].rank, tag, s->in, at_frame_room(&r->cfg.up, &shape),
                      index * 4 + EVENT_STREAM_CAME);
}

static at_err compute(at_reduce *r, hops *h, stream *s, const at_hop *hop, const at_piece *shape) {
  const int64_t slot = (s - h->streams) / h->n_local;
  const at_code_key key = key_of(r, hop);
  uint8_t *before = s->code;
  switch (hop->what) {
  case AT_HOP_ENCODE:
    return encode(r, s, hop, shape);
  case AT_HOP_ADD:
    s->count = hop->count;
    return at_frame_add(r->up, &key, shape, s->in, s->in_bytes, (float)hop->more, s->acc);
  case AT_HOP_SELF:
    memset(s->acc, 0, (size_t)shape->n * sizeof *s->acc);
    return at_frame_add(r->up, &key, shape, s->code, s->code_bytes, (float)hop->count, s->acc);
  case AT_HOP_MEAN:
    at_reduce_divide(shape->n, s->count, s->acc);
    s->count = 1;
    return AT_OK;
  case AT_HOP_PASS:
    s->code = s->in;
    s->code_bytes = s->in_bytes;
    s->in = before;
    return AT_OK;
  case AT_HOP_TAKE_ACC:
    return take(r, h, slot, shape, s->acc);
  default: /* AT_HOP_TAKE */
    if (r->breaks_owner_rule && s->count == 1 && s->next > 0 && s->steps[s->next - 1].what == AT_HOP_ENCODE) {
      return take(r, h, slot, shape, s->acc);
    }
    AT_TRY(at_frame_decode(r->up, &key, shape, s->code, s->code_bytes, r->y));
    return take(r, h, slot, shape, r->y);
  }
}

/* The step may begin: a code that is still being sent is not overwritten. */
static bool may_go(const stream *s) {
  const at_hop_do what = s->steps[s->next].what;
  return !s->is_waiting && !((what == AT_HOP_ENCODE || what == AT_HOP_PASS) && s->sending > 0);
}

/* Carry a stream on until it must wait or has done something heavy. */
static at_err carry_on(at_reduce *r, hops *h, stream *s, bool *worked) {
  const int64_t slot = (s - h->streams) / h->n_local;
  while (s->next < s->n_steps && may_go(s)) {
    const at_hop *hop = &s->steps[s->next];
    const at_piece shape = at_cut_piece(r->cut, h->piece[slot]);
    *worked = true;
    if (hop->what == AT_HOP_RECV) {
      AT_TRY(receive(r, h, s, hop));
    } else if (hop->what == AT_HOP_SEND) {
      s->next++;
      AT_TRY(send(r, h, s, hop));
    } else { /* trouble with a frame spoils the piece; the messages others wait for are sent all the same */
      at_reduce_note(r, compute(r, h, s, hop, &shape));
      s->next++;
      break;
    }
  }
  return AT_OK;
}

/* ---- progress ---- */

static bool is_done(const at_reduce *r) {
  const hops *h = r->moving;
  return h->to_go == 0 && at_wire_under_way(r->wire) == 0;
}

static at_err close_piece(at_reduce *r, hops *h, int64_t slot) {
  h->to_go--;
  return open_piece(r, h, h->place[slot] + h->window);
}

/* A stream that has no steps left and no message under way is through. */
static bool is_through(const stream *s) {
  return s->next == s->n_steps && s->sending == 0;
}

static at_err check_through(at_reduce *r, hops *h, int64_t index) {
  const int64_t slot = index / h->n_local;
  if (is_through(&h->streams[index])) {
    h->streams[index].sending = -1; /* counted */
    h->left[slot]--;
    if (h->left[slot] == 0) {
      return close_piece(r, h, slot);
    }
  }
  return AT_OK;
}

static at_err take_events(at_reduce *r, hops *h, bool block) {
  for (bool found = true; found; block = false) {
    at_wire_event e;
    AT_TRY(at_wire_next(r->wire, block, &found, &e));
    if (!found) {
      return AT_OK;
    }
    const int64_t what = e.cookie / 4;
    if (e.cookie % 4 == EVENT_GUEST) {
      if (--h->left[what] == 0) {
        AT_TRY(close_piece(r, h, what));
      }
    } else if (e.cookie % 4 == EVENT_STREAM_CAME) {
      h->streams[what].is_waiting = false;
      h->streams[what].has_in = true;
      h->streams[what].in_bytes = e.bytes;
    } else {
      h->streams[what].sending--;
      AT_TRY(check_through(r, h, what));
    }
  }
  return AT_OK;
}

/* Give every stream its turn until one has worked. */
static at_err work(at_reduce *r, hops *h, bool *worked) {
  const int64_t streams = h->window * h->n_local;
  for (int64_t i = 0; i < streams && !*worked; i++) {
    const int64_t index = (h->turn + i) % streams;
    stream *s = &h->streams[index];
    if (h->piece[index / h->n_local] >= 0 && s->sending >= 0) {
      AT_TRY(carry_on(r, h, s, worked));
      if (*worked) {
        h->turn = (index + 1) % streams;
        return check_through(r, h, index);
      }
    }
  }
  return AT_OK;
}

static at_err poll(at_reduce *r, bool block, bool *worked) {
  hops *h = r->moving;
  *worked = false;
  AT_TRY(take_events(r, h, false));
  AT_TRY(work(r, h, worked));
  if (!*worked && block && at_wire_under_way(r->wire) > 0) {
    AT_TRY(take_events(r, h, true));
  }
  return AT_OK;
}

const at_engine at_engine_hops = {create, destroy, add, start, NULL, poll, is_done};
