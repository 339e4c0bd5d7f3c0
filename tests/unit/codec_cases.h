/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of codec configurations that every shared test runs through. */
#ifndef AT_TESTS_CODEC_CASES_H
#define AT_TESTS_CODEC_CASES_H

#include "src/comm/codec/codec.h"

typedef struct codec_case {
  const char *label;
  at_codec_cfg cfg; /* not resolved */
} codec_case;

static const codec_case codec_cases[] = {
    {"f32", {.kind = AT_CODEC_f32}},
    {"fp16", {.kind = AT_CODEC_fp16}},
    {"bf16", {.kind = AT_CODEC_bf16}},
    {"int8", {.kind = AT_CODEC_int8}},
    {"int8 f32 b=64", {.kind = AT_CODEC_int8, .scale = AT_SCALE_F32, .block = 64}},
    {"int8 stochastic", {.kind = AT_CODEC_int8, .rounding = AT_ROUND_STOCHASTIC}},
    {"int4", {.kind = AT_CODEC_int4}},
    {"int4 f32 b=64", {.kind = AT_CODEC_int4, .scale = AT_SCALE_F32, .block = 64}},
    {"int4 stochastic", {.kind = AT_CODEC_int4, .rounding = AT_ROUND_STOCHASTIC, .block = 16}},
    {"sixsigma", {.kind = AT_CODEC_sixsigma}},
    {"e3m0", {.kind = AT_CODEC_e3m0}},
    {"e3m0 b=256", {.kind = AT_CODEC_e3m0, .block = 256}},
    {"qsgd", {.kind = AT_CODEC_qsgd, .levels = 127, .scale = AT_SCALE_F32}},
    {"qsgd l=4", {.kind = AT_CODEC_qsgd, .levels = 4, .block = 64}},
    {"sign l1", {.kind = AT_CODEC_sign, .norm = AT_NORM_L1}},
    {"sign l2", {.kind = AT_CODEC_sign, .norm = AT_NORM_L2}},
    {"topk 1%", {.kind = AT_CODEC_topk, .ratio = 0.01, .value = AT_VALUE_F32}},
    {"topk 10% bitmap", {.kind = AT_CODEC_topk, .ratio = 0.1, .value = AT_VALUE_F32}},
    {"topk 2% gaps f16", {.kind = AT_CODEC_topk, .ratio = 0.02, .index = AT_INDEX_GAPS, .value = AT_VALUE_F16}},
    {"randomk 10%", {.kind = AT_CODEC_randomk, .ratio = 0.1, .value = AT_VALUE_F32}},
    {"randomk 10% scaled", {.kind = AT_CODEC_randomk, .ratio = 0.1, .value = AT_VALUE_F32, .unbiased = true}},
    {"dgc 1%", {.kind = AT_CODEC_dgc, .ratio = 0.01, .value = AT_VALUE_F32, .momentum = 0.9}},
    {"dgc warm-up", {.kind = AT_CODEC_dgc, .ratio = 0.001, .value = AT_VALUE_F16, .index = AT_INDEX_GAPS, .warmup = 8}},
    {"bounded 1e-3", {.kind = AT_CODEC_bounded, .bound = 1e-3, .bound_kind = AT_BOUND_RELATIVE}},
    {"bounded absolute", {.kind = AT_CODEC_bounded, .bound = 1e-2}},
    {"int8 zstd", {.kind = AT_CODEC_int8, .lossless = AT_LOSSLESS_ZSTD, .zstd_level = 1}},
    {"sign from round 2", {.kind = AT_CODEC_sign, .start = 2}},
};
enum { CODEC_CASES = sizeof codec_cases / sizeof *codec_cases };

#endif
