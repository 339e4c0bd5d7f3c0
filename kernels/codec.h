/* SPDX-License-Identifier: BSD-3-Clause */
/* Hot loops of codecs: casts, block quantisers, signs, the selection of the largest, random words.
 *
 * One table, filled from the bottom as at_kernels is.  All levels give the same bits: every product is rounded where the
 * reference rounds it, sums run in the lanes of kernels/vec.h, and random words depend on the element alone.  Input is finite
 * (`finite` asks); what the others make of NaN and infinities is unspecified but stays inside the output.  Any n may be 0; codes
 * and scales may have any alignment and are little endian. */
#ifndef AT_KERNELS_CODEC_H
#define AT_KERNELS_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"

/* Random words: Philox4x32-10 (Salmon et al. 2011), whose multiplications vector units have.
 *
 * Word i comes from element i alone, in groups of 64 so that 16 counters run side by side and words come out in order:
 *     counter = (16 (i / 64) + i % 16 as 64 bits, low half first; high[0]; high[1]),  output word (i % 64) / 16.
 * Key and high words are a stream's (src/comm/codec/frame.c draws them from seed, client, round and place). */
typedef struct at_dither {
  uint32_t key[2], high[2];
} at_dither;

enum { AT_DITHER_GROUP = 64 };

/* A block quantiser.  n elements are cut into blocks, the last one may be short; each block has a scale s > 0 and an integer
 * code q per element, |q| <= top, which stands for q * s (an exact product: s has few enough bits).
 *     s = absmax / top, or ||block||_2 / top, rounded up to the stored type, at least 2^-126.  Values beyond what
 *         float holds (top * s) are clipped.
 *     nearest     q = x / s rounded to a nearest integer, exactly: |x - q s| <= s/2
 *     stochastic  q = floor(x / s) + (u < fraction), u = (word >> 8) 2^-24
 * Codes: 8 bits, two's complement; or 4 bits, q + 8, low nibble first, an unused last nibble holds 8. */
typedef struct at_block {
  int bits;                /* 8 or 4 */
  int top;                 /* 1 .. 127, or 1 .. 7 */
  int block;               /* a power of two, 16 .. AT_BLOCK_MAX */
  int scale_bytes;         /* 2: bf16; 4: f32 of 17 significant bits */
  bool norm2;              /* the scale comes from the L2 norm */
  const at_dither *dither; /* NULL: nearest; else borrowed */
} at_block;

enum { AT_BLOCK_MAX = 4096 };

static inline int64_t at_blocks(int64_t n, int block) {
  return (n + block - 1) / block;
}

typedef struct at_codec_kernels {
  /* ---- of a whole vector ---- */
  /* All of x[n], or all of x + e where e is not NULL, are finite. */
  bool (*finite)(int64_t n, const float *x, const float *e);
  double (*sum_abs)(int64_t n, const float *x);
  double (*sum_squares)(int64_t n, const float *x);
  /* zlib's CRC-32 of n bytes after those that gave `crc` (0 at the start). */
  uint32_t (*crc32)(uint32_t crc, int64_t n, const uint8_t *p);

  /* ---- casts, to nearest even ---- */
  /* IEEE half precision; beyond +-65504 saturates.  Returns how many elements did. */
  int64_t (*f16_pack)(int64_t n, const float *x, uint8_t *out);
  void (*f16_unpack)(int64_t n, const uint8_t *in, float *y);
  void (*bf16_pack)(int64_t n, const float *x,
                    uint8_t *out); /* the largest floats round to infinity: clipped instead */
  void (*bf16_unpack)(int64_t n, const uint8_t *in, float *y);

  /* ---- block quantisers; scales[at_blocks(n)] of scale_bytes, codes[n * bits / 8, rounded up] ---- */
  void (*block_pack)(const at_block *b, int64_t n, const float *x, uint8_t *scales, uint8_t *codes);
  void (*block_unpack)(const at_block *b, int64_t n, const uint8_t *scales, const uint8_t *codes, float *y);
  /* acc = acc + weight * y, two roundings */
  void (*block_add)(const at_block *b, int64_t n, const uint8_t *scales, const uint8_t *codes, float weight,
                    float *acc);
  /* The same in two steps, for scales that are shared: largest magnitude of each block; codes for given scales. */
  void (*block_tops)(int64_t n, int block, const float *x, float *tops);
  void (*block_codes)(const at_block *b, int64_t n, const float *x, const float *scales, int16_t *q);

  /* ---- E3M0: a scale byte E stands for s = 2^(E - 127), E = 8 .. 254; code 0 = zero, 1 .. 7 = s 2^(code - 7), sign in
   * bit 3; two to a byte, low nibble first.  Round to the nearest level; s is the power of two nearest to absmax. ---- */
  void (*e3m0_pack)(int block, int64_t n, const float *x, uint8_t *scales, uint8_t *codes);
  void (*e3m0_unpack)(int block, int64_t n, const uint8_t *scales, const uint8_t *codes, float *y);

  /* ---- signs: bit = (x >= 0), element i in bit i % 8 of byte i / 8, unused bits 0 ---- */
  void (*sign_pack)(int64_t n, const float *x, uint8_t *bits);
  void (*sign_unpack)(int64_t n, const uint8_t *bits, float s, float *y); /* +s or -s */
  void (*sign_add)(int64_t n, const uint8_t *bits, float s, float weight, float *acc);

  /* ---- 256 buckets ---- */
  /* code = clamp(rint((x - mean) * inv) + 128, 0, 255) */
  void (*bucket_pack)(int64_t n, const float *x, float mean, float inv, uint8_t *codes);

  /* ---- selection by magnitude; n < 2^31; magnitudes compare as their bit patterns do ---- */
  /* index[k] = where the k largest of x[n] are, ascending; ties go to the lower index; 0 <= k <= n.
   * keys[2 n]: scratch. */
  void (*select_top)(int64_t n, const float *x, int64_t k, uint32_t *keys, uint32_t *index);
  /* index = where |x| >= least, ascending, at most `room` of them.  Returns how many there are, written or not. */
  int64_t (*select_least)(int64_t n, const float *x, float least, int64_t room, uint32_t *index);

  /* ---- random words ---- */
  void (*words)(const at_dither *d, int64_t first, int64_t n,
                uint32_t *out); /* words first .. first + n - 1; first % 64 = 0 */
  /* acc[i] += or -= (negative) words 2 i and 2 i + 1 as one number, low half first, mod 2^64 */
  void (*mask_add)(const at_dither *d, bool negative, int64_t n, uint64_t *acc);
} at_codec_kernels;

void at_codec_kernels_init(at_codec_kernels *k, at_isa isa); /* `isa` must be supported */

extern const at_codec_kernels at_ref_codec;
void at_avx2_codec(at_codec_kernels *k); /* overwrite what the level does better */
void at_avx512_codec(at_codec_kernels *k);

#endif
