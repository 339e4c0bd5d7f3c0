/* SPDX-License-Identifier: BSD-3-Clause */
/* Each element within a bound: multiples of twice the bound, their differences packed by blocks of 32 (after C-Coll, Huang et
 * al. 2023, and cuSZp).
 *
 * eps = bound, or bound times the segment's range;  q = rint(x / (2 eps));  y = q 2 eps: |y - x| <= eps and one rounding, and never
 * more than |x|.  delta = 0 therefore.
 * Payload: the step 2 eps as a double; then for each block of 32 differences q[i] - q[i - 1] a byte w and, unless it is 0, the signs
 * as 4 bytes and the magnitudes with w bits each (a short last block: as many bytes as it needs).  Where a q would exceed
 * 2^29, or the bound is 0, the step is 0 and the floats follow as they are. */
#include <math.h>
#include <string.h>

#include "src/comm/codec/codec_internal.h"

enum { BLOCK = 32, HEAD = 8 };
static const double most_q = 0x1p29, magic = 0x1.8p52;

static at_err check(const at_codec_cfg *cfg) {
  if (!(cfg->bound > 0.0) || !isfinite(cfg->bound)) {
    return AT_FAIL(AT_ERR_CONFIG, "bound = %g: want a positive number", cfg->bound);
  }
  return AT_OK;
}

static void law_of(const at_codec_cfg *cfg, int64_t n, at_codec_law *law) {
  (void)cfg;
  (void)n;
  law->contractive = true;
}

/* A block of n differences of w bits. */
static int64_t block_bytes(int64_t n, int w) {
  return w == 0 ? 1 : 1 + (n + 7) / 8 + (n * w + 7) / 8;
}

static int64_t bytes_of(const at_codec_cfg *cfg, int64_t n, bool *exact) {
  (void)cfg;
  if (exact != NULL) {
    *exact = false;
  }
  const int64_t rest = n % BLOCK;
  return HEAD + n / BLOCK * block_bytes(BLOCK, 31) + (rest > 0 ? block_bytes(rest, 31) : 0);
}

/* 2 eps for this segment; 0 where it must be sent as it is. */
static double step_of(const at_codec_cfg *cfg, int64_t n, const float *x) {
  double low = INFINITY, high = -INFINITY;
  for (int64_t i = 0; i < n; i++) {
    low = (double)x[i] < low ? (double)x[i] : low;
    high = (double)x[i] > high ? (double)x[i] : high;
  }
  double step = 2.0 * cfg->bound * (cfg->bound_kind == AT_BOUND_RELATIVE ? high - low : 1.0);
  if (step == 0.0) { /* all equal: multiples of the value itself are exact */
    step = high != 0.0 ? fabs(high) : 1.0;
  }
  return fmax(fabs(low), fabs(high)) < most_q * step ? step : 0.0;
}

/* Magnitudes of w bits, low bits first. */
static void put_bits(int64_t n, const uint32_t *v, int w, uint8_t *out) {
  uint64_t hold = 0;
  int bits = 0;
  for (int64_t i = 0; i < n; i++) {
    hold |= (uint64_t)v[i] << bits;
    for (bits += w; bits >= 8; bits -= 8) {
      *out++ = (uint8_t)hold;
      hold >>= 8;
    }
  }
  if (bits > 0) {
    *out = (uint8_t)hold;
  }
}

static void get_bits(int64_t n, const uint8_t *in, int w, uint32_t *v) {
  uint64_t hold = 0;
  int bits = 0;
  for (int64_t i = 0; i < n; i++) {
    for (; bits < w; bits += 8) {
      hold |= (uint64_t)*in++ << bits;
    }
    v[i] = (uint32_t)(hold & ((UINT64_C(1) << w) - 1));
    hold >>= w;
    bits -= w;
  }
}

static int64_t put_block(int64_t n, const int32_t *diff, uint8_t *out) {
  uint32_t size[BLOCK], all = 0;
  uint8_t signs[BLOCK / 8] = {0};
  for (int64_t i = 0; i < n; i++) {
    size[i] = diff[i] < 0 ? 0u - (uint32_t)diff[i] : (uint32_t)diff[i];
    all |= size[i];
    signs[i / 8] = (uint8_t)(signs[i / 8] | (diff[i] < 0) << i % 8);
  }
  const int w = all == 0 ? 0 : 32 - __builtin_clz(all);
  out[0] = (uint8_t)w;
  if (w > 0) {
    memcpy(out + 1, signs, (size_t)(n + 7) / 8);
    put_bits(n, size, w, out + 1 + (n + 7) / 8);
  }
  return block_bytes(n, w);
}

static int64_t encode(at_codec *c, const at_code_key *key, int64_t n, const float *x, uint8_t *out) {
  (void)key;
  const double step = step_of(&c->cfg, n, x);
  memcpy(out, &step, sizeof step);
  if (step == 0.0) {
    memcpy(out + HEAD, x, (size_t)(4 * n));
    return HEAD + 4 * n;
  }
  int64_t bytes = HEAD;
  int32_t before = 0, diff[BLOCK];
  for (int64_t at = 0; at < n; at += BLOCK) {
    const int64_t m = n - at < BLOCK ? n - at : BLOCK;
    int32_t q[BLOCK + 1] = {before};
    for (int64_t i = 0; i < m; i++) {
      const double t = (double)x[at + i] / step + magic; /* rounds to an integer, to even */
      q[i + 1] = (int32_t)(t - magic);
    }
    for (int64_t i = 0; i < m; i++) {
      diff[i] = q[i + 1] - q[i]; /* at most 2^30 */
    }
    before = q[m];
    bytes += put_block(m, diff, out + bytes);
  }
  return bytes;
}

/* One block of n differences from in; -1 if it is cut short. */
static int64_t get_block(int64_t n, const uint8_t *in, int64_t room, int32_t *diff) {
  if (room < 1 || in[0] > 31 || room < block_bytes(n, in[0])) {
    return -1;
  }
  const int w = in[0];
  memset(diff, 0, (size_t)n * sizeof *diff);
  if (w > 0) {
    uint32_t size[BLOCK];
    get_bits(n, in + 1 + (n + 7) / 8, w, size);
    for (int64_t i = 0; i < n; i++) {
      diff[i] = (in[1 + i / 8] >> i % 8 & 1) != 0 ? -(int32_t)size[i] : (int32_t)size[i];
    }
  }
  return block_bytes(n, w);
}

static int64_t decode(at_codec *c, const at_code_key *key, int64_t n, const uint8_t *in, int64_t room, float *y) {
  (void)c;
  (void)key;
  double step;
  if (room < HEAD) {
    return -1;
  }
  memcpy(&step, in, sizeof step);
  if (step == 0.0) {
    if (room < HEAD + 4 * n) {
      return -1;
    }
    memcpy(y, in + HEAD, (size_t)(4 * n));
    return HEAD + 4 * n;
  }
  int64_t bytes = HEAD, q = 0;
  int32_t diff[BLOCK];
  for (int64_t at = 0; at < n; at += BLOCK) {
    const int64_t m = n - at < BLOCK ? n - at : BLOCK;
    const int64_t more = get_block(m, in + bytes, room - bytes, diff);
    if (more < 0) {
      return -1;
    }
    bytes += more;
    for (int64_t i = 0; i < m; i++) {
      q += diff[i];
      y[at + i] = (float)((double)q * step);
    }
  }
  return bytes;
}

const at_codec_row at_codec_row_bounded = {
    .name = "bounded",
    .wire = 12,
    .fields = "bound bound_kind",
    .help = "Each element within a bound; differences, packed.",
    .sum = AT_SUM_INTEGER,
    .memory = AT_MEMORY_RESIDUAL,
    .law = law_of,
    .check = check,
    .bytes = bytes_of,
    .encode = encode,
    .decode = decode,
};
