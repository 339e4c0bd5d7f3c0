/* SPDX-License-Identifier: BSD-3-Clause */
/* Reductions of vectors that are still being computed: pieces are encoded as they become final. */
#include <string.h>

#include "src/base/alloc.h"
#include "src/comm/collective/reduce_internal.h"

bool at_reduce_can_grow(const at_reduce *r) {
  return r->engine->release != NULL && r->cfg.decay == 1.0 && r->cfg.up.clip == 0.0 &&
         (r->memory == NULL || at_feedback_vectors(r->memory) < 2);
}

static bool has_residual(const at_reduce *r) {
  return r->memory != NULL && at_feedback_vectors(r->memory) > 0;
}

at_err at_reduce_prepare_growth(at_reduce *r) {
  const size_t n = (size_t)r->cut->n;
  AT_TRY(at_alloc(&r->unready, (size_t)r->cut->n_pieces, sizeof *r->unready, "pieces"));
  AT_TRY(at_alloc(&r->was_memory, has_residual(r) ? n : 0, sizeof *r->was_memory, "residual at the step's start"));
  return at_alloc(&r->was_server, r->server != NULL ? n : 0, sizeof *r->was_server, "residual at the step's start");
}

void at_reduce_let_grow(at_reduce *r) {
  r->grows = true;
  for (int64_t j = 0; j < r->cut->n_pieces; j++) {
    r->unready[j] = at_cut_piece(r->cut, j).n;
  }
}

void at_reduce_release(at_reduce *r, int64_t first, int64_t n) {
  if (r->state != AT_REDUCE_RUNNING || r->n_local == 0 || r->node_of[0] < 0) {
    return;
  }
  for (int64_t j = first / r->cut->chunk; j < r->cut->n_pieces && j * r->cut->chunk < first + n; j++) {
    const at_piece shape = at_cut_piece(r->cut, j);
    const int64_t from = first > shape.first ? first : shape.first;
    const int64_t to = first + n < shape.first + shape.n ? first + n : shape.first + shape.n;
    r->unready[j] -= to - from;
    if (r->unready[j] == 0) {
      r->engine->release(r, j);
    }
  }
}

void at_reduce_release_rest(at_reduce *r) {
  if (!r->grows || r->n_local == 0 || r->node_of[0] < 0) {
    return;
  }
  for (int64_t j = 0; j < r->cut->n_pieces; j++) {
    if (r->unready[j] > 0) {
      r->unready[j] = 0;
      r->engine->release(r, j);
    }
  }
}

at_err at_reduce_encode_grown(at_reduce *r, at_local *l, const at_piece *shape, uint8_t *out, int64_t *bytes) {
  const float *residual = has_residual(r) ? l->row->v[0] + shape->first : NULL;
  if (residual != NULL) {
    memcpy(r->was_memory + shape->first, residual, (size_t)shape->n * sizeof *residual);
  }
  if (!l->is_bad && !r->ck.finite(shape->n, l->x + shape->first, residual)) {
    l->is_bad = true;
    at_reduce_note(r, AT_FAIL(AT_ERR_NONFINITE, "the vector of client %lld is not finite", (long long)l->id));
  }
  if (!l->is_bad) {
    return at_reduce_encode(r, l, shape, l->x + shape->first, out, bytes);
  }
  const at_code_key key = at_reduce_key(r, (uint64_t)l->id, 0);
  *bytes = at_frame_encode_nonfinite(r->up, &key, shape, out);
  return AT_OK;
}

void at_reduce_keep_server(at_reduce *r, const at_piece *shape, const float *residual) {
  if (r->grows) {
    memcpy(r->was_server + shape->first, residual + shape->first, (size_t)shape->n * sizeof *residual);
  }
}

void at_reduce_ungrow(at_reduce *r) {
  if (r->n_local > 0 && r->node_of[0] >= 0 && r->local[0].row != NULL) {
    r->local[0].row->round = r->was_round;
    if (has_residual(r)) {
      memcpy(r->local[0].row->v[0], r->was_memory, (size_t)r->cut->n * sizeof(float));
    }
  }
  int64_t first = 0, count = 0;
  float *own = at_reduce_server_residual(r, &first, &count);
  if (own != NULL) {
    memcpy(own, r->was_server + first, (size_t)count * sizeof *own);
  }
}
