/* SPDX-License-Identifier: BSD-3-Clause */
/* Option-table rows of a reduction's configuration, for any struct that holds one. */
#ifndef AT_COMM_REDUCE_OPTIONS_H
#define AT_COMM_REDUCE_OPTIONS_H

#include "src/comm/codec/codec_options.h"
#include "src/comm/collective/reduce_cfg.h"

/* Rows for field `f` (an at_reduce_cfg) of struct T: "<key>.algorithm", ..., and the codecs' under "<key>.up" and
 * "<key>.down".  `preset` names the codec of both.  The seed is not an option: it is the run's. */
#define AT_REDUCE_OPTIONS(T, f, key, preset)                                                                           \
  AT_OPT_ENUM(T, f.algorithm, key ".algorithm", "twophase", at_algorithm_names, "How updates are averaged."),          \
      AT_OPT_INT(T, f.chunk, key ".chunk", "0", 0, 1 << 30, "elements",                                                \
                 "Elements of a piece, a multiple of 64; 0: as many as take about 32 KiB on the wire."),               \
      AT_OPT_ENUM(T, f.segments, key ".segments", "tensor", at_segments_names,                                         \
                  "Whether codecs' scales and shares end at tensors or at pieces only."),                              \
      AT_OPT_BOOL(T, f.feedback, key ".feedback", "true", "Clients keep what their code lost for the next round."),    \
      AT_OPT_BOOL(T, f.server_feedback, key ".server_feedback", "true", "So do those who encode the mean."),           \
      AT_OPT_F64(T, f.decay, key ".decay", "1", 1e-6, 1, "", "Factor of a client's residual per round it missed."),    \
      AT_OPT_ENUM(T, f.nonfinite, key ".nonfinite", "drop", at_nonfinite_names,                                        \
                  "A client that is not finite is left out, or the round is skipped."),                                \
      AT_OPT_ENUM(T, f.container, key ".container", "auto", at_container_names, "Integers that carry sums of codes."), \
      AT_OPT_INT(T, f.fan_in, key ".fan_in", "2", 2, 1024, "", "Children of a node of the tree."),                     \
      AT_OPT_BYTES(T, f.raw_below, key ".raw_below", "64 KiB", 0, 1e15, "A smaller vector is sent as floats."),        \
      AT_CODEC_OPTIONS(T, f.up, key ".up", preset), AT_CODEC_OPTIONS(T, f.down, key ".down", preset)

/* Resolve what rows with `key` filled for a vector of n elements, as at_reduce_create will.  Codecs that need no feedback, or bear
 * none, get none unless it was asked for.  AT_ERR_CONFIG, naming the key, for what does not go together. */
at_err at_reduce_options_check(const at_opts *set, const char *key, at_reduce_cfg *cfg, int64_t n);

#endif
