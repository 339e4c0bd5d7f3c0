/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames: encoded pieces as messages that a receiver can check.
 *
 * A frame is a header of 32 bytes, little endian, and a payload: the segments' bytes one after the other.
 *     0   u32  magic "ATFR"         8   u64  elements            28  u32  crc32 of bytes 0 .. 27 and the payload
 *     4   u8   version, 1          16   u64  payload bytes
 *     5   u8   codec's number      24   u32  round, low half
 *     6   u8   flags: 1 non-finite values found, nothing else sent; 2 has indices; 4 raw: floats as they are; 8 zstd
 *     7   u8   log2 of the block
 * A payload that would not be smaller than the floats themselves is replaced by them (flag 4), and so it is in rounds before the
 * codec's `start`.  The zstd stage is left out where it gains nothing. */
#ifndef AT_COMM_CODEC_FRAME_H
#define AT_COMM_CODEC_FRAME_H

#include "src/comm/codec/codec.h"
#include "src/comm/codec/cut.h"

enum { AT_FRAME_HEADER = 32, AT_FRAME_VERSION = 1 };
enum { AT_FRAME_NONFINITE = 1, AT_FRAME_INDICES = 2, AT_FRAME_RAW = 4, AT_FRAME_ZSTD = 8 };

/* Room that encoding a frame of this shape needs, which is at least what any such frame has. */
int64_t at_frame_room(const at_codec_cfg *cfg, const at_piece *shape);
/* Bytes of such a frame in round `round`, where the codec's sizes are exact; else the most. */
int64_t at_frame_bytes(const at_codec_cfg *cfg, const at_piece *shape, uint64_t round);

/* Encode x[shape->n], finite, into out[at_frame_room].  key->first is ignored: the shape knows.  Returns the frame's bytes. */
int64_t at_frame_encode(at_codec *c, const at_code_key *key, const at_piece *shape, const float *x, uint8_t *out);
/* The frame of a client whose values are not finite. */
int64_t at_frame_encode_nonfinite(at_codec *c, const at_code_key *key, const at_piece *shape, uint8_t *out);

/* Bytes of the frame that begins at in[room], from its header; AT_ERR_FORMAT if that is none. */
at_err at_frame_length(const uint8_t *in, int64_t room, int64_t *bytes);

/* Check everything, then decode into y, or add weight * y to acc as at_codec_add does.  AT_ERR_FORMAT, with y or acc
 * untouched, for a frame that is cut short, damaged, or of another codec, shape or round; AT_ERR_NONFINITE for flag 1.
 * A payload that passes its checksum and is no encoding all the same is an AT_ERR_FORMAT too; y or acc are unspecified then. */
at_err at_frame_decode(at_codec *c, const at_code_key *key, const at_piece *shape, const uint8_t *in, int64_t bytes,
                       float *y);
at_err at_frame_add(at_codec *c, const at_code_key *key, const at_piece *shape, const uint8_t *in, int64_t bytes,
                    float weight, float *acc);

#endif
