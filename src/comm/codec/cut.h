/* SPDX-License-Identifier: BSD-3-Clause */
/* How a vector is cut for exchange: into pieces, each one message, and pieces into segments, each one tensor's.
 *
 * A cut is a function of the configuration and the model alone, never of ranks, because codecs see segments. */
#ifndef AT_COMM_CODEC_CUT_H
#define AT_COMM_CODEC_CUT_H

#include <stdint.h>

#include "src/base/status.h"

typedef struct at_cut {
  int64_t n;        /* elements */
  int64_t n_pieces; /* of up to `chunk` elements; none of an empty vector */
  int64_t chunk;
  int64_t *ends;      /* [n_segments], ascending: where segments end, relative to their piece */
  int64_t *first_end; /* [n_pieces + 1]: the ends of piece p are ends[first_end[p]] .. */
} at_cut;

/* What one message covers: n elements from `first` on; segment s ends at ends[s], the last at n. */
typedef struct at_piece {
  int64_t first, n, n_segments;
  const int64_t *ends; /* borrowed */
} at_piece;

/* Pieces of `chunk` elements (64 or more, a multiple of 64); tensor t is [offsets[t], offsets[t + 1]), offsets[0] = 0. */
at_err at_cut_create(at_cut **out, int64_t n_tensors, const int64_t *offsets, int64_t chunk);
void at_cut_destroy(at_cut *c); /* accepts NULL */

at_piece at_cut_piece(const at_cut *c, int64_t piece);
at_piece at_piece_whole(int64_t n, const int64_t *end); /* one segment; *end = n is borrowed */

/* Identifies the cut: residuals belong to one. */
uint64_t at_cut_hash(const at_cut *c);

#endif
