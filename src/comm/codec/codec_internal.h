/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this folder share: the row of a codec, and the codec's insides. */
#ifndef AT_COMM_CODEC_INTERNAL_H
#define AT_COMM_CODEC_INTERNAL_H

#include <zstd.h>

#include "src/base/rng.h"
#include "src/comm/codec/codec.h"

typedef struct at_codec_row {
  const char *name;
  uint8_t wire;       /* number on the wire */
  const char *fields; /* of at_codec_cfg that it uses, space-separated */
  const char *help;
  at_codec_sum sum;
  at_codec_memory memory;
  bool has_indices;
  int64_t preset_block; /* 0: has no blocks */
  int64_t most_block;
  at_err (*check)(const at_codec_cfg *cfg); /* may be NULL */
  void (*law)(const at_codec_cfg *cfg, int64_t n, at_codec_law *law);
  int64_t (*bytes)(const at_codec_cfg *cfg, int64_t n, bool *exact); /* n >= 1; *exact is true beforehand */
  int64_t (*scratch)(const at_codec_cfg *cfg, int64_t n);            /* bytes; may be NULL */
  /* As at_codec_encode and the like, n >= 1.  add may be NULL: then decoded first. */
  int64_t (*encode)(at_codec *c, const at_code_key *key, int64_t n, const float *x, uint8_t *out);
  int64_t (*decode)(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float *y);
  int64_t (*add)(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float weight,
                 float *acc);
} at_codec_row;

#define X(name, wire) extern const at_codec_row at_codec_row_##name;
AT_CODECS(X)
#undef X

struct at_codec {
  at_codec_cfg cfg; /* resolved */
  const at_codec_row *row;
  const at_vec *vec; /* borrowed */
  at_codec_kernels k;
  int64_t most;
  void *scratch; /* the row's, owned */
  float *y;      /* [most], owned: decoded before it is added */
  const uint8_t *mask;
  int64_t saturated;
  /* What the support in scratch was drawn for, so that many clients cost one draw (randomk). */
  struct {
    bool is_set;
    uint64_t seed, round;
    int64_t first, n;
  } draw;
  /* The lossless stage (frame.c); owned; NULL without. */
  ZSTD_CCtx *squeeze;
  ZSTD_DCtx *expand;
  uint8_t *squeezed;     /* [squeezed_room] */
  int64_t squeezed_room; /* bytes */
};

const at_codec_row *at_codec_row_of(int kind);

/* k of n elements at `ratio`: max(1, round(ratio n)), at most n; 0 of none. */
int64_t at_code_share(double ratio, int64_t n);

/* acc = acc + weight y. */
void at_code_axpy(const at_codec *c, int64_t n, float weight, const float *y, float *acc);

#endif
