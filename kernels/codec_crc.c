/* SPDX-License-Identifier: BSD-3-Clause */
/* CRC-32 by carry-less multiplication (Gopal et al. 2009), where the processor has it; elsewhere zlib's.
 *
 * A message is a polynomial over GF(2); 64 bytes at a time are folded onto the next 64 by multiplying with x^n mod P, which keeps the
 * remainder.  What is left, 16 bytes and the tail, goes through zlib.  Bits are reflected, as the wire has them. */
#include <immintrin.h>
#include <zlib.h>

#include "kernels/codec_ref.h"

uint32_t at_ref_crc32(uint32_t crc, int64_t n, const uint8_t *p) {
  return (uint32_t)crc32_z(crc, p, (size_t)n);
}

#define AT_CLMUL __attribute__((target("pclmul,sse4.1")))

/* v moved on by the distance that the two constants of k stand for, plus `next`. */
AT_CLMUL static inline __m128i fold(__m128i v, __m128i k, __m128i next) {
  const __m128i low = _mm_clmulepi64_si128(v, k, 0x00), high = _mm_clmulepi64_si128(v, k, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

AT_CLMUL static inline __m128i load(const uint8_t *p) {
  return _mm_loadu_si128((const __m128i *)(const void *)p);
}

AT_CLMUL uint32_t at_clmul_crc32(uint32_t crc, int64_t n, const uint8_t *p) {
  if (n < 256) {
    return at_ref_crc32(crc, n, p);
  }
  const __m128i by_64 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4); /* x^480, x^544 mod P */
  const __m128i by_16 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0); /* x^96, x^160 mod P */
  __m128i a = _mm_xor_si128(load(p), _mm_cvtsi32_si128((int)~crc));
  __m128i b = load(p + 16), c = load(p + 32), d = load(p + 48);
  for (p += 64, n -= 64; n >= 64; p += 64, n -= 64) {
    a = fold(a, by_64, load(p));
    b = fold(b, by_64, load(p + 16));
    c = fold(c, by_64, load(p + 32));
    d = fold(d, by_64, load(p + 48));
  }
  a = fold(fold(fold(a, by_16, b), by_16, c), by_16, d);
  uint8_t rest[16];
  _mm_storeu_si128((__m128i *)(void *)rest, a);
  const uint32_t none = UINT32_MAX; /* zlib inverts it to a register of zeros */
  return at_ref_crc32(at_ref_crc32(none, sizeof rest, rest), n, p);
}
