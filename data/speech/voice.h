/* SPDX-License-Identifier: BSD-3-Clause */
/* Synthetic speech by libespeak-ng.
 *
 * The library keeps what it did in mind (phases, noise), and has no way to forget it, so that a word sounds a little different
 * after others.  Each call here therefore speaks in a child process of its own, which alone loads the library: the same list
 * gives the same sound, whatever was said before and on whichever rank.  The child makes no MPI call. */
#ifndef AT_DATA_SPEECH_VOICE_H
#define AT_DATA_SPEECH_VOICE_H

#include "data/speech/audio.h"

typedef struct at_utterance {
  const char *text;
  int rate_wpm; /* 80 to 450 */
  int pitch;    /* 0 to 100; 50 is the voice's own */
} at_utterance;

enum { AT_VOICE_VERSION = 64 };

/* Speak `n` texts with the variant of an accent ("f1" of "en-us"), in order: out[n], zero-initialised by the caller, each to be freed
 * with at_sound_free after a failure too.  version: of the library (NULL: not wanted).  accent NULL, n 0: only look
 * whether the library works.  AT_ERR_CONFIG: the library, its data, or such a voice is not there. */
at_err at_voice_speak(const char *accent, const char *variant, const at_utterance *text, int64_t n, at_sound *out,
                      char version[AT_VOICE_VERSION]);

#endif
