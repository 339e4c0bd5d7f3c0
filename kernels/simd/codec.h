/* SPDX-License-Identifier: BSD-3-Clause */
/* The codec kernels that a vector level does better than the reference, as a row of the table. */
#ifndef AT_SIMD_CODEC_H
#define AT_SIMD_CODEC_H

#include "kernels/simd/codec_bits.h"
#include "kernels/simd/codec_select.h"

void AT_SIMD(codec)(at_codec_kernels *k) {
  k->finite = codec_finite;
  k->sum_abs = codec_sum_abs;
  k->sum_squares = codec_sum_squares;
  k->f16_pack = codec_f16_pack;
  k->f16_unpack = codec_f16_unpack;
  k->bf16_pack = codec_bf16_pack;
  k->bf16_unpack = codec_bf16_unpack;
  k->block_pack = codec_block_pack;
  k->block_unpack = codec_block_unpack;
  k->block_add = codec_block_add;
  k->block_tops = codec_block_tops;
  k->block_codes = codec_block_codes;
  k->e3m0_pack = codec_e3m0_pack;
  k->e3m0_unpack = codec_e3m0_unpack;
  k->sign_pack = codec_sign_pack;
  k->sign_unpack = codec_sign_unpack;
  k->sign_add = codec_sign_add;
  k->bucket_pack = codec_bucket_pack;
  k->select_top = codec_select_top;
  k->select_least = codec_select_least;
  k->words = codec_words;
  k->mask_add = codec_mask_add;
}

#endif
