/* SPDX-License-Identifier: BSD-3-Clause */
/* Option-table rows of a codec's configuration, for any struct that holds one. */
#ifndef AT_COMM_CODEC_OPTIONS_H
#define AT_COMM_CODEC_OPTIONS_H

#include "src/base/options.h"
#include "src/comm/codec/codec.h"

/* Rows for field `f` (an at_codec_cfg) of struct T, with keys "<key>.codec", "<key>.block", ...; `preset` names a codec. */
#define AT_CODEC_OPTIONS(T, f, key, preset)                                                                            \
  AT_OPT_ENUM(T, f.kind, key ".codec", preset, at_codec_names, "How updates are compressed."),                         \
      AT_OPT_INT(T, f.block, key ".block", "0", 0, 4096, "elements",                                                   \
                 "Elements that share a scale, a power of two; 0: 256 for int8, 32 for int4 and e3m0, 512 for qsgd."), \
      AT_OPT_ENUM(T, f.rounding, key ".rounding", "nearest", at_rounding_names, "How int8 and int4 round."),           \
      AT_OPT_ENUM(T, f.scale, key ".scale", "bf16", at_scale_names, "Type of a block's scale, rounded up."),           \
      AT_OPT_ENUM(T, f.norm, key ".norm", "l1", at_norm_names,                                                         \
                  "Scale of sign: l1 is contractive; l2 is not on spiky vectors."),                                    \
      AT_OPT_INT(T, f.levels, key ".levels", "127", 1, 127, "", "Levels of qsgd."),                                    \
      AT_OPT_F64(T, f.ratio, key ".ratio", "0.01", 1e-9, 1, "", "Share of the elements that is sent."),                \
      AT_OPT_ENUM(T, f.index, key ".index", "auto", at_index_names, "How positions of sent elements are written."),    \
      AT_OPT_ENUM(T, f.value, key ".value", "f32", at_value_names, "Type of the sent elements of sparse codecs."),     \
      AT_OPT_BOOL(T, f.unbiased, key ".unbiased", "false", "Scale randomk by d/k."),                                   \
      AT_OPT_F64(T, f.momentum, key ".momentum", "0.9", 0, 1, "", "Momentum inside dgc."),                             \
      AT_OPT_F64(T, f.clip, key ".clip", "0", 0, 1e30, "", "Norm limit of dgc over all clients; 0: none."),            \
      AT_OPT_INT(T, f.warmup, key ".warmup", "0", 0, 1e9, "rounds", "Rounds of rising sparsity of dgc."),              \
      AT_OPT_INT(T, f.rank, key ".rank", "1", 1, 64, "", "Rank of powersgd."),                                         \
      AT_OPT_BOOL(T, f.averaged, key ".averaged", "false",                                                             \
                  "powersgd: residuals lose the mean's reconstruction, not the client's own."),                        \
      AT_OPT_F64(T, f.bound, key ".bound", "1e-3", 1e-30, 1e30, "", "Largest error of bounded."),                      \
      AT_OPT_ENUM(T, f.bound_kind, key ".bound_kind", "relative", at_bound_names,                                      \
                  "Whether the bound is absolute or a share of the segment's range."),                                 \
      AT_OPT_INT(T, f.start, key ".start", "0", 0, 1e9, "rounds", "Rounds sent as f32 before compression begins."),    \
      AT_OPT_ENUM(T, f.lossless, key ".lossless", "none", at_lossless_names, "Lossless stage over the payload."),      \
      AT_OPT_INT(T, f.zstd_level, key ".zstd_level", "1", 1, 19, "", "Effort of zstd.")

/* Resolve the configuration that rows with `key` filled.  AT_ERR_CONFIG for an option that was given and that this codec does
 * not look at, and for what at_codec_resolve refuses. */
at_err at_codec_options_check(const at_opts *set, const char *key, at_codec_cfg *cfg);

#endif
