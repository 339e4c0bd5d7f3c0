/* SPDX-License-Identifier: BSD-3-Clause */
/* Ascending positions and their values as bytes: what topk, dgc and randomk send. */
#ifndef AT_COMM_CODEC_SPARSE_H
#define AT_COMM_CODEC_SPARSE_H

#include "src/comm/codec/codec_internal.h"

/* How k positions of n are written: at_index, `auto` resolved by size: a bitmap where k > n/32. */
int at_sparse_index(const at_codec_cfg *cfg, int64_t n, int64_t k);
/* Bytes of k positions of n; the largest for gaps. */
int64_t at_sparse_index_bytes(const at_codec_cfg *cfg, int64_t n, int64_t k);
int64_t at_sparse_value_bytes(const at_codec_cfg *cfg, int64_t k);

/* Write positions, then values x[at[i]].  Returns the bytes written. */
int64_t at_sparse_put(at_codec *c, int64_t n, int64_t k, const uint32_t *at, const float *x, uint8_t *out);
/* Read k positions of n and their values; -1 if that is not what `in` holds (positions must ascend and be below n). */
int64_t at_sparse_get(at_codec *c, int64_t n, int64_t k, const uint8_t *in, int64_t room, uint32_t *at, float *value);

/* value[k] as the configuration's type. */
int64_t at_sparse_put_values(at_codec *c, int64_t k, const float *value, uint8_t *out);
int64_t at_sparse_get_values(at_codec *c, int64_t k, const uint8_t *in, int64_t room, float *value);

/* Check ratio; for a codec's row. */
at_err at_sparse_check(const at_codec_cfg *cfg);

/* Scratch of an encoder and decoder of k <= n positions: positions and values, [n] each, and room for a selection. */
typedef struct at_sparse_scratch {
  uint32_t *at, *keys; /* [n], [2 n] */
  float *value;        /* [n] */
} at_sparse_scratch;
int64_t at_sparse_scratch_bytes(const at_codec_cfg *cfg, int64_t n);
at_sparse_scratch at_sparse_scratch_of(const at_codec *c);

#endif
