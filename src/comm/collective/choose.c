/* SPDX-License-Identifier: BSD-3-Clause */
/* Choices that cost or save time and change no byte: among algorithms, and the order of pieces. */
#include "src/comm/collective/reduce_internal.h"

int at_reduce_choose(const at_reduce *r, int64_t p) {
  if (r->cfg.down.kind != AT_CODEC_f32 || p < 2) {
    return AT_ALGORITHM_twophase;
  }
  int64_t m = 0, n = 0;
  for (int64_t j = 0; j < r->cut->n_pieces; j++) {
    const at_piece shape = at_cut_piece(r->cut, j);
    m += at_frame_bytes(&r->cfg.up, &shape, (uint64_t)r->round);
    n += at_frame_bytes(&r->cfg.down, &shape, (uint64_t)r->round);
  }
  /* What one of p participants sends: its code to all others; or shares of its code and of the mean. */
  const double gather = (double)(p - 1) * (double)m;
  const double twophase = (double)(p - 1) / (double)p * (double)(m + n) + (double)(p - 1) * AT_MESSAGE_BYTES;
  return gather <= twophase ? AT_ALGORITHM_gather : AT_ALGORITHM_twophase;
}

void at_reduce_turns(const at_reduce *r, int64_t owners, int64_t *order) {
  int64_t n = 0;
  for (int64_t turn = 0; n < r->cut->n_pieces; turn++) {
    for (int64_t i = 1; i <= owners; i++) {
      const int64_t owner = (at_comm_rank(r->comm) + i) % owners;
      const int64_t j = at_reduce_first(r, owner, owners) + turn;
      if (j < at_reduce_first(r, owner + 1, owners)) {
        order[n++] = j;
      }
    }
  }
}
