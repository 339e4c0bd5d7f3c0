/* SPDX-License-Identifier: BSD-3-Clause */
/* Sound as numbers: WAV files, other sampling rates, clips of one length. */
#ifndef AT_DATA_SPEECH_AUDIO_H
#define AT_DATA_SPEECH_AUDIO_H

#include "data/text/bytes.h"

enum { AT_CLIP_HZ = 16000, AT_CLIP_SAMPLES = 16000 /* one second */ };

/* Zero-initialise before use. */
typedef struct at_sound {
  float *x; /* [n], -1 to 1, owned */
  int64_t n;
  int64_t rate_hz;
} at_sound;
void at_sound_free(at_sound *s);

/* A WAV file: RIFF, PCM of 8 or 16 bits, one channel or two (whose mean is taken), 1 to 384 kHz.
 * AT_ERR_FILE: cannot be read.  AT_ERR_FORMAT names the byte. */
at_err at_sound_read_wav(at_sound *out, const char *path);
/* *out (replaced) <- `in` at another rate, by a Hann-windowed sinc 16 zeros wide on each side, which cuts off at the lower of the two
 * Nyquist frequencies. */
at_err at_sound_resample(at_sound *out, const at_sound *in, int64_t rate_hz);
/* The second of greatest energy; shorter sound is put in the middle of silence. */
void at_sound_clip(const at_sound *in, float clip[AT_CLIP_SAMPLES]);

#endif
