/* SPDX-License-Identifier: BSD-3-Clause */
/* Cutting a vector into pieces and segments. */
#include "src/comm/codec/cut.h"

#include <zlib.h>

#include "src/base/alloc.h"

/* Walk the cut; with ends == NULL only count.  Returns the number of segments. */
static int64_t walk(const at_cut *c, int64_t n_tensors, const int64_t *offsets, int64_t *ends, int64_t *first_end) {
  int64_t n = 0, tensor = 0;
  for (int64_t p = 0; p < c->n_pieces; p++) {
    const int64_t from = p * c->chunk, to = from + c->chunk < c->n ? from + c->chunk : c->n;
    if (first_end != NULL) {
      first_end[p] = n;
    }
    for (int64_t at = from; at < to;) {
      while (tensor < n_tensors && offsets[tensor + 1] <= at) {
        tensor++;
      }
      at = offsets[tensor + 1] < to ? offsets[tensor + 1] : to;
      if (ends != NULL) {
        ends[n] = at - from;
      }
      n++;
    }
  }
  if (first_end != NULL) {
    first_end[c->n_pieces] = n;
  }
  return n;
}

at_err at_cut_create(at_cut **out, int64_t n_tensors, const int64_t *offsets, int64_t chunk) {
  *out = NULL;
  if (n_tensors < 1 || offsets[0] != 0) {
    return AT_FAIL(AT_ERR_ARG, "a cut needs at least one tensor and offsets from 0");
  }
  for (int64_t t = 0; t < n_tensors; t++) {
    if (offsets[t + 1] < offsets[t]) {
      return AT_FAIL(AT_ERR_ARG, "offsets of a cut must not fall: tensor %lld", (long long)t);
    }
  }
  if (chunk < 64 || chunk % 64 != 0 || chunk > INT64_C(1) << 30) {
    return AT_FAIL(AT_ERR_CONFIG, "pieces of %lld elements: want a multiple of 64 up to 2^30", (long long)chunk);
  }
  at_cut *c = NULL;
  AT_TRY(at_alloc(&c, 1, sizeof *c, "cut"));
  c->n = offsets[n_tensors];
  c->chunk = chunk;
  c->n_pieces = (c->n + chunk - 1) / chunk;
  const int64_t segments = walk(c, n_tensors, offsets, NULL, NULL);
  at_err err = AT_OK;
  AT_TRY_TO(err, fail, at_alloc(&c->ends, (size_t)segments, sizeof *c->ends, "cut"));
  AT_TRY_TO(err, fail, at_alloc(&c->first_end, (size_t)c->n_pieces + 1, sizeof *c->first_end, "cut"));
  walk(c, n_tensors, offsets, c->ends, c->first_end);
  *out = c;
  return AT_OK;
fail:
  at_cut_destroy(c);
  return err;
}

void at_cut_destroy(at_cut *c) {
  if (c == NULL) {
    return;
  }
  at_free(c->ends);
  at_free(c->first_end);
  at_free(c);
}

at_piece at_cut_piece(const at_cut *c, int64_t piece) {
  const int64_t *ends = c->ends + c->first_end[piece];
  const int64_t n_segments = c->first_end[piece + 1] - c->first_end[piece];
  return (at_piece){.first = piece * c->chunk, .n = ends[n_segments - 1], .n_segments = n_segments, .ends = ends};
}

at_piece at_piece_whole(int64_t n, const int64_t *end) {
  return (at_piece){.first = 0, .n = n, .n_segments = n > 0, .ends = end};
}

uint64_t at_cut_hash(const at_cut *c) {
  const int64_t head[3] = {c->n, c->n_pieces, c->chunk};
  const uint32_t a = (uint32_t)crc32_z(0, (const unsigned char *)head, sizeof head);
  const size_t bytes = (size_t)c->first_end[c->n_pieces] * sizeof *c->ends;
  const uint32_t b = (uint32_t)crc32_z(a, (const unsigned char *)c->ends, bytes);
  return (uint64_t)a << 32 | b;
}
