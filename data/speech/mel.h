/* SPDX-License-Identifier: BSD-3-Clause */
/* Log-mel spectrograms of one-second clips (Davis and Mermelstein 1980), through FFTW.
 *
 * Frames of 25 ms every 10 ms under a periodic Hann window, filled up to 512 samples; the power spectrum, scaled so that a
 * sine of amplitude 1 peaks at 1, under 40 triangles equally wide on the mel scale 2595 log10(1 + f / 700) from 20 to 7600 Hz; in
 * decibels, cut to -90 .. 0 and stored as 255 (1 + dB / 90) in a byte, so that what the processor's FFT rounds hardly shows. */
#ifndef AT_DATA_SPEECH_MEL_H
#define AT_DATA_SPEECH_MEL_H

#include "data/examples/block.h"
#include "data/examples/build.h"
#include "data/speech/audio.h"

enum { AT_MEL_BANDS = 40, AT_MEL_WINDOW = 400, AT_MEL_HOP = 160 };
enum { AT_MEL_FRAMES = (AT_CLIP_SAMPLES - AT_MEL_WINDOW) / AT_MEL_HOP + 1 /* 98 */ };

/* The field `spectrogram`, u8 [98][40]: frames in time, bands from low to high. */
extern const at_field at_mel_field;
/* What a set's root says of it; ends with a NULL name. */
extern const at_set_attr at_mel_attrs[];

typedef struct at_mel at_mel; /* opaque */
at_err at_mel_create(at_mel **out);
void at_mel_destroy(at_mel *m); /* accepts NULL */
void at_mel_run(at_mel *m, const float clip[AT_CLIP_SAMPLES], uint8_t out[AT_MEL_FRAMES * AT_MEL_BANDS]);

#endif
