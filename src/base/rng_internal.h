/* SPDX-License-Identifier: BSD-3-Clause */
/* Tagged draws: words of a stream that never meet its plain ones, for algorithms that need more than one kind. */
#ifndef AT_BASE_RNG_INTERNAL_H
#define AT_BASE_RNG_INTERNAL_H

#include "src/base/rng.h"

/* Tag 0 is the plain stream; a rejected draw moves to the next tag, so bases lie far apart. */
enum { AT_RNG_TAG_PERMUTE = 1 << 16 };

/* The bare generator: ten rounds of Philox4x64. */
void at_rng_philox(const uint64_t ctr[4], const uint64_t key[2], uint64_t out[4]);

void at_rng_tagged_block(const at_stream *s, uint32_t tag, uint64_t block, uint64_t out[4]);
uint64_t at_rng_tagged_below(const at_stream *s, uint32_t tag, uint64_t index, uint64_t n);

#endif
