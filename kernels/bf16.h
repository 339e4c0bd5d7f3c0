/* SPDX-License-Identifier: BSD-3-Clause */
/* Products of matrices in bf16: how a float is rounded, and how the levels cut a product into blocks, from which scratch follows.
 *
 * bf16 is the upper half of a float: 8 significant bits and a float's exponents.  Rounding is to nearest, ties to even; a NaN
 * stays one. */
#ifndef AT_BF16_H
#define AT_BF16_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline float at_bf16_round(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  const uint32_t rounded = u + 0x7fffu + (u >> 16 & 1u), quiet = u | 0x400000u;
  u = ((u & 0x7fffffffu) > 0x7f800000u ? quiet : rounded) & 0xffff0000u;
  memcpy(&x, &u, sizeof x);
  return x;
}

/* A block of B is [AT_BF16_DEPTH][AT_BF16_COLUMNS], one of A [AT_BF16_ROWS][AT_BF16_DEPTH]. */
enum {
  AT_BF16_DEPTH = 512,
  AT_BF16_ROWS = 128,
  AT_BF16_COLUMNS = 512,
  AT_BF16_PANEL = 32 /* blocks are whole ones */
};

/* Elements of a block of at most `most`, rounded up to whole panels. */
static inline int64_t at_bf16_block(int64_t n, int64_t most) {
  return n >= most ? most : (n + AT_BF16_PANEL - 1) / AT_BF16_PANEL * AT_BF16_PANEL;
}

/* Bytes that hold both blocks as floats (or, packed, as pairs of bf16 in rows of 16). */
static inline size_t at_bf16_bytes(int64_t m, int64_t n, int64_t k) {
  const int64_t depth = at_bf16_block(k, AT_BF16_DEPTH);
  return (size_t)((at_bf16_block(m, AT_BF16_ROWS) + at_bf16_block(n, AT_BF16_COLUMNS)) * depth) * sizeof(float);
}

#endif
