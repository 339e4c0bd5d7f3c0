/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this folder share: a reduction's insides, and what an engine does.
 *
 * An engine moves the pieces: `owners` (twophase, star, gather), `hops` (ring, doubling, tree),
 * `integers` (integer, allreduce). */
#ifndef AT_COMM_REDUCE_INTERNAL_H
#define AT_COMM_REDUCE_INTERNAL_H

#include "src/comm/collective/reduce.h"
#include "src/comm/collective/wire.h"

/* A client of this rank in this round. */
typedef struct at_local {
  int64_t id;
  double weight;
  const float *x;       /* lent; or the engine's copy; NULL once encoded */
  at_feedback_row *row; /* NULL without feedback */
  float factor;         /* DGC's clipping */
  bool is_bad;          /* not finite */
} at_local;

/* A client that counts, on any rank; ascending id. */
typedef struct at_node {
  int64_t id;
  double weight;
  int rank;
  int64_t slot;  /* in its rank's order of adding */
  int64_t order; /* among those of its rank that count */
  float scale;   /* weight * P / sum of weights */
} at_node;

typedef enum at_reduce_state { AT_REDUCE_IDLE, AT_REDUCE_OPEN, AT_REDUCE_RUNNING } at_reduce_state;

typedef struct at_engine {
  at_err (*create)(at_reduce *r); /* not collective; `destroy` is called also after it failed */
  void (*destroy)(at_reduce *r);
  at_err (*add)(at_reduce *r, int64_t slot, const float *x); /* take what is needed of x */
  at_err (*start)(at_reduce *r);                             /* nodes are known; not collective */
  void (*release)(at_reduce *r, int64_t piece);              /* of a vector that grows: may be encoded; NULL: cannot */
  /* One piece of work.  *worked: there was some; block: if there is none, wait for a message. */
  at_err (*poll)(at_reduce *r, bool block, bool *worked);
  bool (*is_done)(const at_reduce *r);
} at_engine;

extern const at_engine at_engine_owners, at_engine_hops, at_engine_integers;

struct at_reduce {
  at_comm *comm; /* borrowed */
  at_wire *wire;
  const at_kernels *k; /* borrowed */
  at_codec_kernels ck;
  at_reduce_cfg cfg; /* resolved */
  at_comm_phase phase;
  at_cut *cut;
  at_codec *up, *down;
  at_feedback *memory; /* of clients; NULL without feedback */
  at_feedback *server; /* NULL without; one row, of which this rank's pieces are used */
  const at_engine *engine;
  void *moving;  /* the engine's */
  int64_t slots; /* the most clients on any rank */
  float *y;      /* [chunk]: decoded piece */

  /* the round */
  at_reduce_state state;
  int64_t round, asked;
  int64_t n_local;
  at_local *local; /* [slots] */
  uint8_t *cards;  /* one of card_bytes from each rank */
  int64_t card_bytes;
  int64_t *card_sizes; /* [ranks] */
  int64_t n_nodes;
  at_node *nodes;      /* [ranks * slots] */
  int64_t *rank_nodes; /* [ranks]: how many of the nodes each has */
  int64_t *node_of;    /* [slots]: the node of a local client; -1 if it does not count */
  int algorithm;       /* of this round */
  float *out;
  at_reduce_report report;
  int64_t saturated_before;
  at_err err; /* kept until start or finish */
  char message[AT_ERR_MESSAGE_MAX];

  /* of a vector that grows */
  bool grows;
  int64_t *unready;               /* [pieces]: elements that are not final; NULL without at_reduce_prepare_growth */
  float *was_memory, *was_server; /* [n] each: residuals at the round's start, of pieces that were encoded since */
  int64_t was_round;              /* of the client's row */

  bool breaks_owner_rule; /* for the test that must notice: owners keep their exact mean */
};

/* Keep the first trouble. */
void at_reduce_note(at_reduce *r, at_err err);

at_code_key at_reduce_key(const at_reduce *r, uint64_t client, uint32_t stage);

/* The order in which clients are added: acc += scale * decoded, then / P. */
void at_reduce_divide(int64_t n, int64_t p, float *acc);

/* Encode piece `shape` of a local client into out; its row's memory goes on. */
at_err at_reduce_encode(at_reduce *r, const at_local *l, const at_piece *shape, const float *x, uint8_t *out,
                        int64_t *bytes);

/* The same for a vector that grows: keeps the piece's memory, and sends a mark where it is not finite. */
at_err at_reduce_encode_grown(at_reduce *r, at_local *l, const at_piece *shape, uint8_t *out, int64_t *bytes);
/* Keep the server's residual of a piece that is about to be encoded, if the round may have to be undone. */
void at_reduce_keep_server(at_reduce *r, const at_piece *shape, const float *residual);

/* All that was not released yet is final. */
void at_reduce_release_rest(at_reduce *r);
/* Everything encoded has not been: residuals are those of the round's start. */
void at_reduce_ungrow(at_reduce *r);

/* Which of the byte-equal algorithms sends less for P clients. */
int at_reduce_choose(const at_reduce *r, int64_t p);

/* order[pieces] = the pieces in turns over `owners` equal owners, beginning behind this rank, within an owner ascending: so that
 * nobody waits for a rank that serves the others first. */
void at_reduce_turns(const at_reduce *r, int64_t owners, int64_t *order);

/* Whom piece j belongs to among p equal owners. */
static inline int64_t at_reduce_owner(const at_reduce *r, int64_t piece, int64_t p) {
  return piece * p / r->cut->n_pieces;
}
/* The first piece of owner i. */
static inline int64_t at_reduce_first(const at_reduce *r, int64_t i, int64_t p) {
  return (i * r->cut->n_pieces + p - 1) / p;
}

#endif
