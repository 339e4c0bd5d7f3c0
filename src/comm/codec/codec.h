/* SPDX-License-Identifier: BSD-3-Clause */
/* Codecs: how a vector of floats becomes fewer bytes, and back.
 *
 * A codec is one row of one table (its file registers nothing; codec.c lists the rows).  It works on segments, which are
 * stretches of one tensor; frame.h puts segments into messages.  All bytes are a function of (configuration, key, values): no
 * rank, no instruction set, no order of calls enters.
 *
 * Two properties are declared by each codec and proved by the tests (C = encode, D = decode):
 *     unbiased      E D(C(x)) = x,  E||D(C(x)) - x||^2 <= w ||x||^2
 *     contractive   ||D(C(x)) - x||^2 <= (1 - delta) ||x||^2; what error feedback needs (feedback.h) */
#ifndef AT_COMM_CODEC_H
#define AT_COMM_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/codec.h"
#include "src/base/status.h"

/* name, number on the wire (append, never reuse) */
#define AT_CODECS(X)                                                                                 \
  X(f32, 0)       /* as it is */                                                                     \
  X(fp16, 1)      /* IEEE half precision, saturating */                                              \
  X(bf16, 2)      /* the upper half of a float */                                                    \
  X(int8, 3)      /* block-scaled integers, |q| <= 127 */                                            \
  X(int4, 4)      /* the same with |q| <= 7, two to a byte */                                        \
  X(sixsigma, 5)  /* 256 buckets over six standard deviations, bucket means sent (hivemind) */       \
  X(e3m0, 6)      /* sign and power of two in 4 bits (Douillard et al. 2025, Streaming DiLoCo) */    \
  X(qsgd, 7)      /* stochastic levels of the bucket's norm (Alistarh et al. 2017) */                \
  X(sign, 8)      /* one bit and a scale (Karimireddy et al. 2019; Tang et al. 2021) */              \
  X(topk, 9)      /* the largest by magnitude */                                                     \
  X(randomk, 10)  /* positions drawn from a seed that all share */                                   \
  X(dgc, 11)      /* sampled threshold over momentum-corrected sums (Lin et al. 2018) */             \
  X(bounded, 12)  /* each element within a bound; differences, packed (Huang et al. 2023, C-Coll) */ \
  X(powersgd, 13) /* low rank (Vogels et al. 2019): a pair of all-reduces, see powersgd.h */

typedef enum at_codec_kind {
#define X(name, wire) AT_CODEC_##name,
  AT_CODECS(X)
#undef X
      AT_CODEC_COUNT
} at_codec_kind;

/* Choices of the options below, NULL-terminated, in the order of their enums. */
extern const char *const at_codec_names[],
    *const at_rounding_names[], *const at_scale_names[], *const at_norm_names[], *const at_index_names[],
                                                                                     *const at_value_names[],
                                                                                         *const at_bound_names[],
                                                                                             *const at_lossless_names[];
typedef enum at_rounding { AT_ROUND_NEAREST, AT_ROUND_STOCHASTIC } at_rounding;
typedef enum at_scale { AT_SCALE_BF16, AT_SCALE_F32 } at_scale;
typedef enum at_norm { AT_NORM_L1, AT_NORM_L2 } at_norm;
typedef enum at_index { AT_INDEX_AUTO, AT_INDEX_U32, AT_INDEX_GAPS, AT_INDEX_BITMAP } at_index;
typedef enum at_value { AT_VALUE_F16, AT_VALUE_F32 } at_value;
typedef enum at_bound { AT_BOUND_ABSOLUTE, AT_BOUND_RELATIVE } at_bound;
typedef enum at_lossless { AT_LOSSLESS_NONE, AT_LOSSLESS_ZSTD } at_lossless;

/* Configuration; AT_CODEC_OPTIONS (codec_options.h) makes option-table rows of it.  Fields a codec does not use are
 * ignored (its row names those it does). */
typedef struct at_codec_cfg {
  int kind;           /* at_codec_kind */
  int64_t block;      /* int8, int4, e3m0, qsgd: elements of a block, a power of two; 0: the codec's own */
  int rounding;       /* int8, int4 */
  int scale;          /* int8, int4, qsgd: type of a block's scale */
  int norm;           /* sign */
  int64_t levels;     /* qsgd: 1 .. 127; up to 7 take 4 bits */
  double ratio;       /* topk, randomk, dgc: share of the elements that is sent, (0, 1] */
  int index;          /* topk, dgc */
  int value;          /* topk, randomk, dgc: type of what is sent */
  bool unbiased;      /* randomk: scale by d/k */
  double momentum;    /* dgc */
  double clip;        /* dgc: norm limit of all clients together; 0: none */
  int64_t warmup;     /* dgc: rounds of rising sparsity: 75, 93.75, 98.44, 99.6 %, then the ratio */
  int64_t rank;       /* powersgd */
  bool averaged;      /* powersgd: residuals lose the mean's reconstruction, not the client's own */
  double bound;       /* bounded */
  int bound_kind;     /* bounded: absolute, or relative to the segment's range */
  int64_t start;      /* rounds that are sent as f32 before compression begins */
  int lossless;       /* a last stage over the payload */
  int64_t zstd_level; /* 1 .. 19 */
} at_codec_cfg;

/* What a codec declares for a segment of n elements.  `contractive` holds while every block of `block` elements has a largest
 * magnitude of 0 or within [least, most]; outside, errors still do not exceed the values, up to the type's range. */
typedef struct at_codec_law {
  bool unbiased, contractive;
  bool expected; /* the contraction holds in the mean over draws only */
  double w, delta;
  int64_t block;
  double least, most;
} at_codec_law;

typedef enum at_codec_sum {
  AT_SUM_NONE,    /* decode before each addition */
  AT_SUM_INTEGER, /* codes add as integers when all share their scales */
  AT_SUM_LINEAR   /* encoded values add as floats */
} at_codec_sum;

/* What must be kept between rounds per client: nothing; a residual e; DGC's sum v and momentum u. */
typedef enum at_codec_memory { AT_MEMORY_NONE, AT_MEMORY_RESIDUAL, AT_MEMORY_MOMENTUM } at_codec_memory;

typedef struct at_codec at_codec; /* opaque; holds all scratch, so one per thread */

/* Check `cfg`, and put the codec's own values where it says 0.  AT_ERR_CONFIG names the field and what it may be. */
at_err at_codec_resolve(at_codec_cfg *cfg);

/* A codec for segments, and frames, of up to `most` elements (< 2^31).  k: borrowed.  cfg is resolved and copied.
 * AT_ERR_ARG for powersgd, which is not a codec of segments. */
at_err at_codec_create(at_codec **out, const at_codec_cfg *cfg, const at_kernels *k, int64_t most);
void at_codec_destroy(at_codec *c); /* accepts NULL */

const at_codec_cfg *at_codec_config(const at_codec *c); /* resolved */
const char *at_codec_name(const at_codec *c);
int64_t at_codec_saturated(const at_codec *c); /* elements that fp16 clipped so far */

at_codec_law at_codec_declare(const at_codec_cfg *cfg, int64_t n);
at_codec_sum at_codec_summable(const at_codec_cfg *cfg);
at_codec_memory at_codec_remembers(const at_codec_cfg *cfg);
const char *at_codec_options_used(int kind); /* "block rounding scale" */
const char *at_codec_help(int kind);         /* one sentence */

/* Payload bytes of a segment of n elements, from the formula of the codec's file; where *exact is false (varints, bounded,
 * zstd) it is the largest.  exact may be NULL. */
int64_t at_codec_bytes(const at_codec_cfg *cfg, int64_t n, bool *exact);

/* Where a segment's random numbers come from.  Not a rank, not a call order.  DGC and randomk look at the round too. */
typedef struct at_code_key {
  uint64_t seed, client, round; /* round counts from 0 */
  uint32_t stage;               /* of a collective: 0 where clients encode, 1.. further on; below 256 */
  int64_t first;                /* of the segment (or frame) in the whole vector; below 2^56 */
} at_code_key;
#define AT_CODE_SHARED UINT64_MAX /* the client where what is drawn must be the same for all */

/* The key's stream for stochastic rounding. */
at_dither at_code_dither(const at_code_key *key);

/* One segment, without a frame.  x[n]: finite.  Returns the bytes written to out[at_codec_bytes]. */
int64_t at_codec_encode(at_codec *c, const at_code_key *key, int64_t n, const float *x, uint8_t *out);
/* y[n] from in; returns the bytes consumed, or -1 where `in` (of `room` bytes) is not such a segment. */
int64_t at_codec_decode(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float *y);
/* acc = acc + weight * y, each product and sum rounded once, whatever the codec. */
int64_t at_codec_add(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float weight,
                     float *acc);

/* Elements whose mask byte is 0 are decoded as 0 by sign, and do not count in its scale (1-bit Adam: coordinates without a
 * second moment).  mask: of the whole vector, borrowed, the same for all; NULL: none. */
void at_codec_set_mask(at_codec *c, const uint8_t *mask);

/* DGC's share of round `round`. */
double at_dgc_ratio(const at_codec_cfg *cfg, uint64_t round);

#endif
