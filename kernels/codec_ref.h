/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference codec kernels that other files of this folder use, by name. */
#ifndef AT_KERNELS_CODEC_REF_H
#define AT_KERNELS_CODEC_REF_H

#include "kernels/codec.h"

/* kernels/codec_ref_block.c */
void at_ref_block_pack(const at_block *b, int64_t n, const float *x, uint8_t *scales, uint8_t *codes);
void at_ref_block_unpack(const at_block *b, int64_t n, const uint8_t *scales, const uint8_t *codes, float *y);
void at_ref_block_add(const at_block *b, int64_t n, const uint8_t *scales, const uint8_t *codes, float weight,
                      float *acc);
void at_ref_block_tops(int64_t n, int block, const float *x, float *tops);
void at_ref_block_codes(const at_block *b, int64_t n, const float *x, const float *scales, int16_t *q);
void at_ref_e3m0_pack(int block, int64_t n, const float *x, uint8_t *scales, uint8_t *codes);
void at_ref_e3m0_unpack(int block, int64_t n, const uint8_t *scales, const uint8_t *codes, float *y);

/* kernels/codec_crc.c; the second needs a processor with carry-less multiplication */
uint32_t at_ref_crc32(uint32_t crc, int64_t n, const uint8_t *p);
uint32_t at_clmul_crc32(uint32_t crc, int64_t n, const uint8_t *p);

/* kernels/codec_ref_select.c */
void at_ref_select_top(int64_t n, const float *x, int64_t k, uint32_t *keys, uint32_t *index);
int64_t at_ref_select_least(int64_t n, const float *x, float least, int64_t room, uint32_t *index);

/* The pieces of select_top, for levels that make the passes over x their own.  A key is a magnitude's bits. */
enum { AT_SELECT_BINS = 4096 }; /* of a key's upper 12 bits below the sign: 31 - 12 = 19 bits remain */
static inline uint32_t at_select_bin(uint32_t key) {
  return key >> 19;
}
/* From the histogram of all keys: the highest bin whose keys, with all above, are at least k >= 1. */
uint32_t at_select_cut(const uint32_t *bins, int64_t k);
/* From candidates key[m] at position at[m] (ascending), all keys of bin `cut` and above: index[k], 1 <= k <= m. */
void at_select_finish(int64_t m, const uint32_t *key, const uint32_t *at, uint32_t cut, int64_t k, uint32_t *index);

#endif
