/* SPDX-License-Identifier: BSD-3-Clause */
/* Positions as plain numbers, as gaps in variable-length bytes, or as a bitmap; values as floats or halves. */
#include "src/comm/codec/sparse.h"

#include <string.h>

at_err at_sparse_check(const at_codec_cfg *cfg) {
  if (!(cfg->ratio > 0.0) || cfg->ratio > 1.0) {
    return AT_FAIL(AT_ERR_CONFIG, "ratio = %g: %s takes a share in (0, 1]", cfg->ratio, at_codec_names[cfg->kind]);
  }
  return AT_OK;
}

int64_t at_sparse_scratch_bytes(const at_codec_cfg *cfg, int64_t n) {
  (void)cfg;
  return 4 * n * (int64_t)sizeof(uint32_t);
}

at_sparse_scratch at_sparse_scratch_of(const at_codec *c) {
  uint32_t *u = c->scratch;
  float *value = c->scratch;
  return (at_sparse_scratch){.at = u, .keys = u + c->most, .value = value + 3 * c->most};
}

int at_sparse_index(const at_codec_cfg *cfg, int64_t n, int64_t k) {
  if (cfg->index != AT_INDEX_AUTO) {
    return cfg->index;
  }
  return k > n / 32 ? AT_INDEX_BITMAP : AT_INDEX_U32;
}

static int64_t varint_bytes(uint32_t v) {
  return 1 + (v >= 1u << 7) + (v >= 1u << 14) + (v >= 1u << 21) + (v >= 1u << 28);
}

int64_t at_sparse_index_bytes(const at_codec_cfg *cfg, int64_t n, int64_t k) {
  switch (at_sparse_index(cfg, n, k)) {
  case AT_INDEX_BITMAP:
    return (n + 7) / 8;
  case AT_INDEX_GAPS:
    return k * varint_bytes((uint32_t)n);
  default:
    return 4 * k;
  }
}

int64_t at_sparse_value_bytes(const at_codec_cfg *cfg, int64_t k) {
  return cfg->value == AT_VALUE_F16 ? 2 * k : 4 * k;
}

static uint8_t *put_varint(uint8_t *p, uint32_t v) {
  for (; v >= 128; v >>= 7) {
    *p++ = (uint8_t)(v | 128u);
  }
  *p++ = (uint8_t)v;
  return p;
}

/* NULL where the number does not end before `end`, or has more than 32 bits. */
static const uint8_t *get_varint(const uint8_t *p, const uint8_t *end, uint32_t *v) {
  uint64_t u = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    if (p == end) {
      return NULL;
    }
    u |= (uint64_t)(*p & 127u) << shift;
    if ((*p++ & 128u) == 0) {
      *v = (uint32_t)u;
      return u <= UINT32_MAX ? p : NULL;
    }
  }
  return NULL;
}

static int64_t put_positions(const at_codec_cfg *cfg, int64_t n, int64_t k, const uint32_t *at, uint8_t *out) {
  uint8_t *p = out;
  uint32_t next = 0;
  switch (at_sparse_index(cfg, n, k)) {
  case AT_INDEX_BITMAP:
    memset(out, 0, (size_t)(n + 7) / 8);
    for (int64_t i = 0; i < k; i++) {
      out[at[i] / 8] = (uint8_t)(out[at[i] / 8] | 1u << at[i] % 8);
    }
    return (n + 7) / 8;
  case AT_INDEX_GAPS:
    for (int64_t i = 0; i < k; i++) {
      p = put_varint(p, at[i] - next);
      next = at[i] + 1;
    }
    return p - out;
  default:
    memcpy(out, at, (size_t)(4 * k));
    return 4 * k;
  }
}

static int64_t get_bitmap(int64_t n, int64_t k, const uint8_t *in, uint32_t *at) {
  int64_t m = 0;
  for (int64_t byte = 0; byte < (n + 7) / 8; byte++) {
    for (uint32_t bits = in[byte]; bits != 0; bits &= bits - 1) {
      if (m == k) {
        return -1;
      }
      at[m++] = (uint32_t)(8 * byte) + (uint32_t)__builtin_ctz(bits);
    }
  }
  return m == k ? (n + 7) / 8 : -1;
}

static int64_t get_gaps(int64_t k, const uint8_t *in, int64_t room, uint32_t *at) {
  const uint8_t *p = in, *end = in + room;
  uint64_t next = 0;
  for (int64_t i = 0; i < k; i++) {
    uint32_t gap;
    p = get_varint(p, end, &gap);
    if (p == NULL || next + gap > UINT32_MAX) {
      return -1;
    }
    at[i] = (uint32_t)(next + gap);
    next += (uint64_t)gap + 1;
  }
  return p - in;
}

static int64_t get_positions(const at_codec_cfg *cfg, int64_t n, int64_t k, const uint8_t *in, int64_t room,
                             uint32_t *at) {
  const int form = at_sparse_index(cfg, n, k);
  if (form != AT_INDEX_GAPS && room < at_sparse_index_bytes(cfg, n, k)) {
    return -1;
  }
  if (form == AT_INDEX_BITMAP) {
    return get_bitmap(n, k, in, at);
  }
  if (form == AT_INDEX_GAPS) {
    return get_gaps(k, in, room, at);
  }
  memcpy(at, in, (size_t)(4 * k));
  return 4 * k;
}

int64_t at_sparse_put_values(at_codec *c, int64_t k, const float *value, uint8_t *out) {
  if (c->cfg.value == AT_VALUE_F16) {
    c->saturated += c->k.f16_pack(k, value, out);
  } else {
    memcpy(out, value, (size_t)(4 * k));
  }
  return at_sparse_value_bytes(&c->cfg, k);
}

int64_t at_sparse_get_values(at_codec *c, int64_t k, const uint8_t *in, int64_t room, float *value) {
  const int64_t bytes = at_sparse_value_bytes(&c->cfg, k);
  if (room < bytes) {
    return -1;
  }
  if (c->cfg.value == AT_VALUE_F16) {
    c->k.f16_unpack(k, in, value);
  } else {
    memcpy(value, in, (size_t)bytes);
  }
  return bytes;
}

int64_t at_sparse_put(at_codec *c, int64_t n, int64_t k, const uint32_t *at, const float *x, uint8_t *out) {
  float *value = at_sparse_scratch_of(c).value;
  for (int64_t i = 0; i < k; i++) {
    value[i] = x[at[i]];
  }
  const int64_t bytes = put_positions(&c->cfg, n, k, at, out);
  return bytes + at_sparse_put_values(c, k, value, out + bytes);
}

int64_t at_sparse_get(at_codec *c, int64_t n, int64_t k, const uint8_t *in, int64_t room, uint32_t *at, float *value) {
  const int64_t bytes = get_positions(&c->cfg, n, k, in, room, at);
  if (bytes < 0) {
    return -1;
  }
  for (int64_t i = 0; i < k; i++) {
    if (at[i] >= n || (i > 0 && at[i] <= at[i - 1])) {
      return -1;
    }
  }
  const int64_t more = at_sparse_get_values(c, k, in + bytes, room - bytes, value);
  return more < 0 ? -1 : bytes + more;
}
