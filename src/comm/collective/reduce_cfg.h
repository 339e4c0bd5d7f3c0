/* SPDX-License-Identifier: BSD-3-Clause */
/* How a reduction is configured (reduce.h has the algorithms); for those who declare options and need nothing else. */
#ifndef AT_COMM_REDUCE_CFG_H
#define AT_COMM_REDUCE_CFG_H

#include "src/comm/codec/codec.h"

#define AT_ALGORITHMS(X) X(auto) X(twophase) X(star) X(gather) X(ring) X(doubling) X(tree) X(integer) X(allreduce)
typedef enum at_algorithm {
#define X(name) AT_ALGORITHM_##name,
  AT_ALGORITHMS(X)
#undef X
      AT_ALGORITHM_COUNT
} at_algorithm;
extern const char *const at_algorithm_names[],
    *const at_nonfinite_names[], *const at_segments_names[], *const at_container_names[]; /* NULL-terminated */

/* A client with values that are not finite is left out; or the whole round fails, with all memory as it was (lend only). */
typedef enum at_nonfinite { AT_NONFINITE_DROP, AT_NONFINITE_SKIP } at_nonfinite;
/* Where codecs' segments end: at tensors and pieces, or at pieces only. */
typedef enum at_segments { AT_SEGMENTS_TENSOR, AT_SEGMENTS_CHUNK } at_segments;
/* Integers that carry sums of codes: the smallest that holds P of them, or one by choice. */
typedef enum at_container { AT_CONTAINER_AUTO, AT_CONTAINER_I8, AT_CONTAINER_I16, AT_CONTAINER_I32 } at_container;

typedef struct at_reduce_cfg {
  at_codec_cfg up;      /* of clients' vectors; hops and integers: of everything */
  at_codec_cfg down;    /* of the mean (twophase, star) */
  int algorithm;        /* at_algorithm */
  int64_t chunk;        /* elements of a piece, a multiple of 64; 0: see at_reduce_resolve */
  int segments;         /* at_segments */
  bool feedback;        /* clients keep what their code lost (not with hops) */
  bool server_feedback; /* owners keep what the mean's code lost (twophase, star) */
  double decay;         /* of a client's residual per round it missed */
  int nonfinite;        /* at_nonfinite */
  int container;        /* at_container; integer, allreduce */
  int64_t fan_in;       /* tree */
  int64_t raw_below;    /* a vector of fewer bytes goes as f32 both ways, by twophase or gather */
  uint64_t seed;        /* of stochastic codecs */
} at_reduce_cfg;

/* What a message costs beside its bytes, in bytes, where `auto` chooses: 50 microseconds at 1 Gbit/s. */
enum { AT_MESSAGE_BYTES = 6250 };

/* Fill in what is left open (blocks of codecs, chunk = 0: as many elements as take about 32 KiB on the wire, but 32 pieces where
 * the vector allows it), and apply raw_below, for vectors of n elements.  AT_ERR_CONFIG for what does not go together. */
at_err at_reduce_resolve(at_reduce_cfg *cfg, int64_t n);

#endif
