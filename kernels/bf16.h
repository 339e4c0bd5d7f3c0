/* SPDX-License-Identifier: BSD-3-Clause */
/* Rounding to bf16, the upper half of a float: 8 significant bits and a float's exponents. */
#ifndef AT_BF16_H
#define AT_BF16_H

#include <stdint.h>
#include <string.h>

/* To nearest, ties to even; a NaN stays one. */
static inline float at_bf16_round(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  const uint32_t rounded = u + 0x7fffu + (u >> 16 & 1u), quiet = u | 0x400000u;
  u = ((u & 0x7fffffffu) > 0x7f800000u ? quiet : rounded) & 0xffff0000u;
  memcpy(&x, &u, sizeof x);
  return x;
}

#endif
