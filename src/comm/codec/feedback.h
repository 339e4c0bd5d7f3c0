/* SPDX-License-Identifier: BSD-3-Clause */
/* Error feedback: what a lossy codec left out of one round goes into the next (Seide et al. 2014; Karimireddy et al. 2019).
 *
 *     a = x + e;  c = C(a);  y = D(c), what the others will use, bit for bit;  e = a - y
 * so that sum y = sum x + e_first - e_last.  DGC keeps a momentum u and a sum v instead (Lin et al. 2018):
 *     u = m u + f x;  v = v + u;  c = C(v);  v = u = 0 where y is not 0
 * with f the factor of its local clipping.
 *
 * The memory belongs to a client, not to a rank: rows are keyed by client id, and are part of a checkpoint.  They fit one cut and one
 * codec only; at_feedback_layout tells which, and rows of another layout are refused. */
#ifndef AT_COMM_CODEC_FEEDBACK_H
#define AT_COMM_CODEC_FEEDBACK_H

#include "src/comm/codec/frame.h"

typedef struct at_feedback at_feedback;

/* One client's memory. */
typedef struct at_feedback_row {
  int64_t id;
  int64_t round; /* it was last used in; -1: never */
  float *v[2]; /* [n] each, owned by the feedback: the residual; or DGC's sum and momentum.  NULL beyond its vectors */
} at_feedback_row;

/* Memory for `cfg` (resolved) over vectors of this cut (borrowed).  decay: factor of a residual per round its client missed,
 * (0, 1].  AT_ERR_CONFIG for an unbiased codec with w >= 1, under which residuals would grow. */
at_err at_feedback_create(at_feedback **out, const at_codec_cfg *cfg, const at_cut *cut, double decay);
void at_feedback_destroy(at_feedback *f); /* accepts NULL */

int at_feedback_vectors(const at_feedback *f);      /* 0 (f32), 1 or 2 */
int64_t at_feedback_elements(const at_feedback *f); /* of a vector */
uint64_t at_feedback_layout(const at_feedback *f);  /* identifies cut and codec */

/* The client's row, made of zeros if there is none; valid until dropped. */
at_err at_feedback_open(at_feedback *f, int64_t id, at_feedback_row **row);
/* Bring a row to `round`: decay it for the rounds since it was used.  Once a round, before its first piece. */
void at_feedback_advance(const at_feedback *f, at_feedback_row *row, int64_t round);
/* Encode one piece with the row's memory: x[shape->n] is the client's piece, factor DGC's f (else 1), y[shape->n] scratch, left
 * holding what was decoded.  out[at_frame_room] receives a frame of *bytes. */
at_err at_feedback_encode(const at_feedback *f, at_feedback_row *row, at_codec *c, const at_code_key *key,
                          const at_piece *shape, const float *x, float factor, float *y, uint8_t *out, int64_t *bytes);
/* DGC's local clipping: min(1, clip / (sqrt(clients) * norm)); 1 for other codecs or where clip is 0. */
float at_feedback_factor(const at_feedback *f, double norm, int64_t clients);

/* ---- checkpoints and moves: rows by ascending client ---- */
int64_t at_feedback_count(const at_feedback *f);
const at_feedback_row *at_feedback_get(const at_feedback *f, int64_t i);
/* Restore a row; v[1] is NULL for one vector.  AT_ERR_STATE where `layout` is not this one's. */
at_err at_feedback_put(at_feedback *f, uint64_t layout, int64_t id, int64_t round, const float *const v[2]);
void at_feedback_drop(at_feedback *f, int64_t id); /* no such row: nothing */

#endif
