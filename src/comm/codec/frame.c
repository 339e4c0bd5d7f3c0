/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing and checking frames. */
#include "src/comm/codec/frame.h"

#include <string.h>

#include "src/comm/codec/codec_internal.h"

static const uint32_t magic = 0x52465441; /* "ATFR" */
enum { AT_CRC = 28 };

typedef struct header {
  uint32_t magic;
  uint8_t version, codec, flags, log2_block;
  uint64_t elements, payload;
  uint32_t round, crc;
} header;
_Static_assert(sizeof(header) == AT_FRAME_HEADER, "a header is written as it lies in memory");

/* ---- sizes ---- */

static int64_t payload_most(const at_codec_cfg *cfg, const at_piece *shape) {
  int64_t bytes = 0;
  for (int64_t s = 0; s < shape->n_segments; s++) {
    bytes += at_codec_bytes(cfg, shape->ends[s] - (s > 0 ? shape->ends[s - 1] : 0), NULL);
  }
  return bytes;
}

int64_t at_frame_room(const at_codec_cfg *cfg, const at_piece *shape) {
  const int64_t payload = payload_most(cfg, shape), raw = 4 * shape->n;
  return AT_FRAME_HEADER + (payload > raw ? payload : raw);
}

int64_t at_frame_bytes(const at_codec_cfg *cfg, const at_piece *shape, uint64_t round) {
  const int64_t payload = payload_most(cfg, shape), raw = 4 * shape->n;
  return AT_FRAME_HEADER + (payload < raw && round >= (uint64_t)cfg->start ? payload : raw);
}

/* ---- encoding ---- */

static uint32_t checksum(const at_codec *c, const header *h, const uint8_t *payload) {
  return c->k.crc32(c->k.crc32(0, AT_CRC, (const uint8_t *)h), (int64_t)h->payload, payload);
}

static header header_of(const at_codec *c, const at_code_key *key, const at_piece *shape) {
  const int64_t block = c->row->preset_block > 0 ? c->cfg.block : 1;
  return (header){.magic = magic,
                  .version = AT_FRAME_VERSION,
                  .codec = c->row->wire,
                  .log2_block = (uint8_t)__builtin_ctzll((unsigned long long)block),
                  .elements = (uint64_t)shape->n,
                  .round = (uint32_t)key->round};
}

static int64_t finish(const at_codec *c, header *h, uint8_t *out) {
  h->crc = checksum(c, h, out + AT_FRAME_HEADER);
  memcpy(out, h, sizeof *h);
  return AT_FRAME_HEADER + (int64_t)h->payload;
}

static int64_t encode_segments(at_codec *c, const at_code_key *key, const at_piece *shape, const float *x,
                               uint8_t *out) {
  at_code_key k = *key;
  int64_t bytes = 0, from = 0;
  for (int64_t s = 0; s < shape->n_segments; s++) {
    k.first = shape->first + from;
    bytes += at_codec_encode(c, &k, shape->ends[s] - from, x + from, out + bytes);
    from = shape->ends[s];
  }
  return bytes;
}

/* Put the payload through zstd where that gains something. */
static void squeeze(at_codec *c, header *h, uint8_t *payload) {
  if (c->squeeze == NULL || h->payload == 0) {
    return;
  }
  const size_t room = (size_t)c->squeezed_room;
  const size_t bytes = ZSTD_compress2(c->squeeze, c->squeezed, room, payload, (size_t)h->payload);
  if (!ZSTD_isError(bytes) && bytes < h->payload) {
    memcpy(payload, c->squeezed, bytes);
    h->payload = bytes;
    h->flags |= AT_FRAME_ZSTD;
  }
}

int64_t at_frame_encode(at_codec *c, const at_code_key *key, const at_piece *shape, const float *x, uint8_t *out) {
  header h = header_of(c, key, shape);
  uint8_t *payload = out + AT_FRAME_HEADER;
  const int64_t raw = 4 * shape->n;
  int64_t bytes = raw;
  if (key->round >= (uint64_t)c->cfg.start && c->cfg.kind != AT_CODEC_f32) {
    bytes = encode_segments(c, key, shape, x, payload);
    h.flags = c->row->has_indices ? AT_FRAME_INDICES : 0;
  }
  if (bytes >= raw) {
    memcpy(payload, x, (size_t)raw);
    bytes = raw;
    h.flags = AT_FRAME_RAW;
  }
  h.payload = (uint64_t)bytes;
  squeeze(c, &h, payload);
  return finish(c, &h, out);
}

int64_t at_frame_encode_nonfinite(at_codec *c, const at_code_key *key, const at_piece *shape, uint8_t *out) {
  header h = header_of(c, key, shape);
  h.flags = AT_FRAME_NONFINITE;
  return finish(c, &h, out);
}

/* ---- decoding ---- */

at_err at_frame_length(const uint8_t *in, int64_t room, int64_t *bytes) {
  header h;
  if (room < AT_FRAME_HEADER) {
    return AT_FAIL(AT_ERR_FORMAT, "a frame of %lld bytes: its header alone has %d", (long long)room, AT_FRAME_HEADER);
  }
  memcpy(&h, in, sizeof h);
  if (h.magic != magic || h.version != AT_FRAME_VERSION) {
    return AT_FAIL(AT_ERR_FORMAT, "not a frame of version %d: it begins with %08x, version %d", AT_FRAME_VERSION,
                   h.magic, h.version);
  }
  if (h.payload > (uint64_t)(room - AT_FRAME_HEADER)) {
    return AT_FAIL(AT_ERR_FORMAT, "a frame cut short: %llu bytes of payload announced, %lld there",
                   (unsigned long long)h.payload, (long long)(room - AT_FRAME_HEADER));
  }
  *bytes = AT_FRAME_HEADER + (int64_t)h.payload;
  return AT_OK;
}

/* All that can be known before a value is written. */
static at_err check(const at_codec *c, const at_code_key *key, const at_piece *shape, const uint8_t *in, int64_t bytes,
                    header *h) {
  int64_t length = 0;
  AT_TRY(at_frame_length(in, bytes, &length));
  memcpy(h, in, sizeof *h);
  const header want = header_of(c, key, shape);
  if (length != bytes) {
    return AT_FAIL(AT_ERR_FORMAT, "a frame of %lld bytes announces %lld", (long long)bytes, (long long)length);
  }
  if (h->crc != checksum(c, h, in + AT_FRAME_HEADER)) {
    return AT_FAIL(AT_ERR_FORMAT, "a damaged frame: its checksum does not fit");
  }
  if (h->codec != want.codec || h->log2_block != want.log2_block || h->elements != want.elements ||
      h->round != want.round) {
    return AT_FAIL(AT_ERR_FORMAT,
                   "a frame of codec %d, block 2^%d, %llu elements, round %u where codec %d, block 2^%d, %llu "
                   "elements, round %u was expected",
                   h->codec, h->log2_block, (unsigned long long)h->elements, h->round, want.codec, want.log2_block,
                   (unsigned long long)want.elements, want.round);
  }
  if ((h->flags & AT_FRAME_NONFINITE) != 0) {
    return AT_FAIL(AT_ERR_NONFINITE, "client %llu sent no values: they are not finite",
                   (unsigned long long)key->client);
  }
  return AT_OK;
}

/* The payload as its codec wrote it: *p of *bytes. */
static at_err expand(at_codec *c, const header *h, const uint8_t **p, int64_t *bytes) {
  *bytes = (int64_t)h->payload;
  if ((h->flags & AT_FRAME_ZSTD) == 0) {
    return AT_OK;
  }
  if (c->expand == NULL) {
    return AT_FAIL(AT_ERR_FORMAT, "a frame with a zstd stage where none was agreed on");
  }
  const size_t n = ZSTD_decompressDCtx(c->expand, c->squeezed, (size_t)c->squeezed_room, *p, (size_t)h->payload);
  if (ZSTD_isError(n)) {
    return AT_FAIL(AT_ERR_FORMAT, "zstd: %s", ZSTD_getErrorName(n));
  }
  *p = c->squeezed;
  *bytes = (int64_t)n;
  return AT_OK;
}

static at_err decode_segments(at_codec *c, const at_code_key *key, const at_piece *shape, const uint8_t *in,
                              int64_t room, const float *weight, float *y) {
  at_code_key k = *key;
  int64_t at = 0, from = 0;
  for (int64_t s = 0; s < shape->n_segments; s++) {
    const int64_t n = shape->ends[s] - from;
    k.first = shape->first + from;
    const int64_t bytes = weight == NULL ? at_codec_decode(c, &k, n, in + at, room - at, y + from)
                                         : at_codec_add(c, &k, n, in + at, room - at, *weight, y + from);
    if (bytes < 0) {
      return AT_FAIL(AT_ERR_FORMAT, "a frame of %s does not hold segment %lld of %lld", c->row->name, (long long)s,
                     (long long)shape->n_segments);
    }
    at += bytes;
    from = shape->ends[s];
  }
  return at == room
             ? AT_OK
             : AT_FAIL(AT_ERR_FORMAT, "a frame of %s has %lld bytes too many", c->row->name, (long long)(room - at));
}

/* Into y, or with a weight added to it. */
static at_err take(at_codec *c, const at_code_key *key, const at_piece *shape, const uint8_t *in, int64_t bytes,
                   const float *weight, float *y) {
  header h;
  AT_TRY(check(c, key, shape, in, bytes, &h));
  const uint8_t *payload = in + AT_FRAME_HEADER;
  int64_t room = 0;
  AT_TRY(expand(c, &h, &payload, &room));
  if ((h.flags & AT_FRAME_RAW) == 0) {
    return decode_segments(c, key, shape, payload, room, weight, y);
  }
  if (room != 4 * shape->n) {
    return AT_FAIL(AT_ERR_FORMAT, "a raw frame of %lld bytes for %lld floats", (long long)room, (long long)shape->n);
  }
  float *raw = weight == NULL ? y : c->y;
  memcpy(raw, payload, (size_t)room);
  if (weight != NULL) {
    at_code_axpy(c, shape->n, *weight, raw, y);
  }
  return AT_OK;
}

at_err at_frame_decode(at_codec *c, const at_code_key *key, const at_piece *shape, const uint8_t *in, int64_t bytes,
                       float *y) {
  return take(c, key, shape, in, bytes, NULL, y);
}

at_err at_frame_add(at_codec *c, const at_code_key *key, const at_piece *shape, const uint8_t *in, int64_t bytes,
                    float weight, float *acc) {
  return take(c, key, shape, in, bytes, &weight, acc);
}
