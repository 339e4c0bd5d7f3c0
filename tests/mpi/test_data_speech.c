/* SPDX-License-Identifier: BSD-3-Clause */
/* Spoken words: WAV files made by the test, spectrograms of sines, and two synthetic voices. */
#include <math.h>

#include "data/speech/mel.h"
#include "data/speech/voice.h"
#include "tests/mpi/data_test.h"

static const double pi = 3.14159265358979323846;

typedef struct wav_spec {
  int channels, bits, rate_hz, n;
  double hz;
} wav_spec;

static void put_le(unsigned char *p, unsigned v, int bytes) {
  for (int i = 0; i < bytes; i++) {
    p[i] = (unsigned char)(v >> 8 * i);
  }
}

/* A sine of amplitude 1/2; a second channel is silent.  Returns the length in bytes; a chunk that nobody knows lies before the data. */
static size_t make_wav(unsigned char *b, wav_spec s) {
  const int bytes = s.bits / 8, frame = bytes * s.channels;
  memcpy(b, "RIFF    WAVEfmt ", 16);
  put_le(b + 16, 16, 4);
  put_le(b + 20, 1, 2);
  put_le(b + 22, (unsigned)s.channels, 2);
  put_le(b + 24, (unsigned)s.rate_hz, 4);
  put_le(b + 28, (unsigned)(s.rate_hz * frame), 4);
  put_le(b + 32, (unsigned)frame, 2);
  put_le(b + 34, (unsigned)s.bits, 2);
  memcpy(b + 36, "LIST\3\0\0\0abc\0data", 16);
  put_le(b + 52, (unsigned)(s.n * frame), 4);
  for (int i = 0; i < s.n; i++) {
    const int x = (int)lround(16384 * sin(2 * pi * s.hz * i / s.rate_hz));
    for (int c = 0; c < s.channels; c++) {
      const int v = c == 0 ? x : 0;
      put_le(b + 56 + i * frame + c * bytes, s.bits == 8 ? (unsigned)(v / 256 + 128) : (unsigned)v & 0xffff, bytes);
    }
  }
  put_le(b + 4, (unsigned)(48 + s.n * frame), 4);
  return 56 + (size_t)(s.n * frame);
}

static unsigned char bytes[1 << 18];

static void put_wav(mpi_test *t, const char *name, wav_spec s) {
  put_file(t, name, bytes, make_wav(bytes, s));
}

static int loudest_band(const uint8_t *frame) {
  int best = 0;
  for (int b = 1; b < AT_MEL_BANDS; b++) {
    best = frame[b] > frame[best] ? b : best;
  }
  return best;
}

/* A sine is in its band at its level, silence is 0, for every rate, width and number of channels. */
static void reads_and_resamples(mpi_test *t) {
  static const wav_spec spec[] = {{1, 16, 16000, 16000, 1000}, {1, 8, 8000, 8000, 1000},   {2, 16, 22050, 22050, 1000},
                                  {1, 16, 44100, 44100, 1000}, {2, 8, 11025, 11025, 1000}, {1, 16, 8000, 4000, 1000}};
  static float clip[AT_CLIP_SAMPLES];
  static uint8_t picture[AT_MEL_FRAMES * AT_MEL_BANDS];
  at_mel *mel;
  make_folder(t);
  MPI_REQUIRE_OK(t, at_mel_create(&mel));
  for (int i = 0; t->rank == 0 && i < 6; i++) {
    at_sound in = {0}, out = {0};
    put_wav(t, "a.wav", spec[i]);
    MPI_CHECK_OK(t, at_sound_read_wav(&in, in_folder("a.wav")));
    MPI_CHECK(t, in.n == spec[i].n && in.rate_hz == spec[i].rate_hz);
    MPI_CHECK_OK(t, at_sound_resample(&out, &in, AT_CLIP_HZ));
    MPI_CHECK(t, llabs(out.n - (int64_t)spec[i].n * AT_CLIP_HZ / spec[i].rate_hz) <= 1);
    const double amplitude = 0.5 / spec[i].channels;
    for (int64_t k = 200; k < out.n - 200; k += 7) { /* the sine itself, within what 8 bits round */
      const double right = amplitude * sin(2 * pi * 1000 * (double)k / AT_CLIP_HZ);
      MPI_CHECK(t, fabs((double)out.x[k] - right) < (spec[i].bits == 8 ? 0.008 : 0.001));
    }
    at_sound_clip(&out, clip);
    at_mel_run(mel, clip, picture);
    const uint8_t *middle = picture + AT_MEL_FRAMES / 2 * AT_MEL_BANDS;
    const double db = (middle[loudest_band(middle)] / 255.0 - 1) * 90;
    MPI_CHECK(t, loudest_band(middle) == 13); /* 1000 mel of 31.7 to 2775.7 in 41 steps: the 14th or 15th centre */
    MPI_CHECK(t, fabs(db - 20 * log10(amplitude)) < 3);
    MPI_CHECK(t,
              spec[i].n * 2 > spec[i].rate_hz || picture[0] == 0); /* half a second stands in the middle of silence */
    at_sound_free(&in);
    at_sound_free(&out);
  }
  at_mel_destroy(mel);
  remove_folder(t);
}

/* What is above the lower Nyquist frequency is gone. */
static void resampling_does_not_fold(mpi_test *t) {
  static float x[8000];
  at_sound in = {.x = x, .n = 8000, .rate_hz = 44100}, out = {0};
  for (int i = 0; i < 8000; i++) {
    x[i] = (float)sin(2 * pi * 9500 * i / 44100);
  }
  MPI_REQUIRE_OK(t, at_sound_resample(&out, &in, AT_CLIP_HZ));
  for (int64_t k = 100; k < out.n - 100; k++) {
    MPI_CHECK(t, fabsf(out.x[k]) < 0.005F);
  }
  at_sound_free(&out);
}

/* The clip of a longer sound is its loudest second. */
static void clips_the_loudest_second(mpi_test *t) {
  static float x[40000], clip[AT_CLIP_SAMPLES];
  const at_sound in = {.x = x, .n = 40000, .rate_hz = AT_CLIP_HZ};
  for (int i = 12345; i < 12345 + AT_CLIP_SAMPLES; i++) {
    x[i] = 0.5F;
  }
  at_sound_clip(&in, clip);
  MPI_CHECK(t, clip[0] == 0.5F && clip[AT_CLIP_SAMPLES - 1] == 0.5F);
}

static const char *wavs(const char *key, const char *name) {
  static char text[4][200];
  static int next;
  char *s = text[next++ % 4];
  snprintf(s, sizeof text[0], "%s=%s/%s", key, folder, name);
  return s;
}

static void reads_folders(mpi_test *t) {
  const wav_spec s = {1, 8, 8000, 4000, 500};
  make_folder(t);
  if (t->rank == 0) {
    static const char *const name[] = {"in/ann/1.wav",     "in/ann/digits/2.WAV", "in/ann/yes_3.wav",
                                       "in/bob/yes/a.wav", "in/bob/digits/1.wav", "in/bob/yes_p.wav",
                                       "in/yes/cy_1.wav",  "test/dan/1.wav"};
    for (int i = 0; i < 8; i++) {
      put_wav(t, name[i], s);
    }
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  CHECK_SAME_ON_ANY_RANKS(t, "files", "format=wav", wavs("path", "in"), wavs("test", "test"), "words=yes,one");
  if (t->rank == 0) {
    at_examples *e = open_examples(t, "all.h5");
    const int32_t *label = at_examples_labels(e, AT_SPLIT_TRAIN);
    MPI_CHECK(t, at_examples_clients(e) == 4 && at_examples_total(e, AT_SPLIT_TRAIN) == 5);
    MPI_CHECK(t, at_examples_task(e)->dims[0] == 98 && at_examples_task(e)->dims[1] == 40);
    MPI_CHECK(t, at_examples_rows(e, AT_SPLIT_TRAIN, at_examples_find(e, "ann")) == 2);
    MPI_CHECK(t, label[0] == 1 && label[1] == 0 && label[2] == 1 && label[3] == 0 && label[4] == 0);
    MPI_CHECK(t, at_examples_find(e, "cy") == 2 && at_examples_rows(e, AT_SPLIT_TEST, at_examples_find(e, "dan")) == 1);
    at_examples_close(e);
  }
  MPI_REQUIRE_OK(t, BUILD(t->world, "files", "w.h5", "format=wav", wavs("path", "in"), "test_fraction=0"));
  if (t->rank == 0) { /* a, cy, one, two, yes, yes_p */
    at_examples *e = open_examples(t, "w.h5");
    MPI_CHECK(t, at_examples_task(e)->classes == 6 && at_examples_total(e, AT_SPLIT_TRAIN) == 7);
    at_examples_close(e);
  }
  MPI_REQUIRE_OK(
      t, BUILD(t->world, "files", "f.h5", "format=wav", wavs("path", "in"), "test_fraction=0", "folders=digits"));
  if (t->rank == 0) {
    at_examples *e = open_examples(t, "f.h5");
    MPI_CHECK(t, at_examples_task(e)->classes == 2 && at_examples_total(e, AT_SPLIT_TRAIN) == 2);
    at_examples_close(e);
  }
  remove_folder(t);
}

/* One byte at a time made wrong: the message names it. */
static void names_what_is_wrong(mpi_test *t) {
  static const struct {
    size_t at;
    unsigned char value;
    const char *message;
  } wrong[] = {
      {0, 'X', "RIFF at byte 0"},       {9, 'X', "WAVE at byte 8"}, {20, 3, "format 3 at byte 20 is not PCM"},
      {22, 3, "3 channels at byte 22"}, {26, 9, "Hz at byte 24"},   {34, 24, "24 bits at byte 34"},
      {12, 'X', "no fmt chunk"},        {48, 'X', "no data chunk"}, {55, 1, "in the chunk that begins at byte 48"}};
  make_folder(t);
  const size_t n = make_wav(bytes, (wav_spec){1, 16, 8000, 100, 500});
  for (int i = 0; i < 9; i++) {
    if (t->rank == 0) {
      const unsigned char right = bytes[wrong[i].at];
      bytes[wrong[i].at] = wrong[i].value;
      put_file(t, "in/a/yes.wav", bytes, n);
      bytes[wrong[i].at] = right;
    }
    MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
    MPI_CHECK_FAILS(t, AT_ERR_FORMAT, wrong[i].message,
                    BUILD(t->world, "files", "x.h5", "format=wav", wavs("path", "in")));
    MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  }
  if (t->rank == 0) {
    put_file(t, "in/a/yes.wav", bytes, n - 1);
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "cut short at byte 255 of 256",
                  BUILD(t->world, "files", "x.h5", "format=wav", wavs("path", "in")));
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "no WAV file of the words",
                  BUILD(t->world, "files", "x.h5", "format=wav", wavs("path", "in"), "words=no"));
  MPI_CHECK_FAILS(t, AT_ERR_FILE, "no folder", BUILD(t->world, "files", "x.h5", "format=wav", wavs("path", "none")));
  remove_folder(t);
}

/* Two voices, three words; what was said before a call changes nothing. */
static void speaks(mpi_test *t) {
  if (at_voice_speak(NULL, NULL, NULL, 0, NULL, NULL) != AT_OK) {
    MPI_SKIP(t, "libespeak-ng or its data is missing: jobs/setup installs them");
    return;
  }
  const at_utterance say = {.text = "seven", .rate_wpm = 150, .pitch = 45};
  at_sound once = {0}, twice[2] = {{0}};
  MPI_CHECK_OK(t, at_voice_speak("en-us", "f1", &say, 1, &once, NULL));
  MPI_CHECK_OK(t, at_voice_speak("en-us", "f1", (const at_utterance[]){say, say}, 2, twice, NULL));
  MPI_CHECK(t,
            once.n > 4000 && once.n == twice[0].n && memcmp(once.x, twice[0].x, (size_t)once.n * sizeof(float)) == 0);
  at_sound_free(&once);
  at_sound_free(&twice[0]);
  at_sound_free(&twice[1]);
  make_folder(t);
  CHECK_SAME_ON_ANY_RANKS(t, "speech", "voices=f1,m7", "accents=en-us", "words=yes,no,7", "takes=3", "test=0.5",
                          "validation=0", "seed=3");
  MPI_REQUIRE_OK(t, BUILD(t->world, "speech", "again.h5", "voices=f1,m7", "accents=en-us", "words=yes,no,7", "takes=3",
                          "test=0.5", "validation=0", "seed=3"));
  if (t->rank == 0) {
    check_same_file(t, "all.h5", "again.h5");
    at_examples *e = open_examples(t, "all.h5");
    static float x[9][AT_MEL_FRAMES * AT_MEL_BANDS];
    MPI_CHECK(t, at_examples_clients(e) == 2 && at_examples_task(e)->classes == 3);
    MPI_CHECK(t, at_examples_total(e, AT_SPLIT_TRAIN) == 9 && at_examples_total(e, AT_SPLIT_TEST) == 9);
    MPI_CHECK_OK(t, at_examples_read(e, AT_SPLIT_TRAIN, 0, 9, x[0], NULL, NULL));
    for (int i = 0; i < 9; i++) { /* no two clips are the same, and none is silent or noise alone */
      double most = 0;
      for (int k = 0; k < AT_MEL_FRAMES * AT_MEL_BANDS; k++) {
        most = fmax(most, (double)x[i][k]);
      }
      MPI_CHECK(t, most > 0.6 && (i == 0 || memcmp(x[i], x[i - 1], sizeof x[0]) != 0));
    }
    at_examples_close(e);
    at_h5 *f;
    char *said = NULL;
    MPI_CHECK_OK(t, at_h5_open(&f, in_folder("all.h5")));
    MPI_CHECK_OK(t, at_h5_get_attr_text(f, "/", "synthetic", &said));
    MPI_CHECK(t, said != NULL && strncmp(said, "yes", 3) == 0);
    at_free(said);
    at_h5_close(f);
  }
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "no voice 'none'", BUILD(t->world, "speech", "x.h5", "voices=none"));
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "no accent 'en-xx'", BUILD(t->world, "speech", "x.h5", "accents=en-xx"));
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "above fast", BUILD(t->world, "speech", "x.h5", "slow=200", "fast=150"));
  remove_folder(t);
}

static void frees_all_memory(mpi_test *t) {
  make_folder(t);
  if (t->rank == 0) {
    put_wav(t, "in/a/yes.wav", (wav_spec){1, 16, 8000, 4000, 500});
    put_file(t, "bad/a/yes.wav", "RIFF", 4);
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  const int64_t before = at_alloc_get_stats().live_bytes;
  MPI_CHECK_OK(t, BUILD(t->world, "files", "a.h5", "format=wav", wavs("path", "in"), "test_fraction=0"));
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "no WAV file",
                  BUILD(t->world, "files", "b.h5", "format=wav", wavs("path", "bad"), "test_fraction=0"));
  MPI_CHECK(t, at_alloc_get_stats().live_bytes == before);
  remove_folder(t);
}

int main(int argc, char **argv) {
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(reads_and_resamples), MPI_CASE(resampling_does_not_fold),
                       MPI_CASE(clips_the_loudest_second), MPI_CASE(reads_folders), MPI_CASE(names_what_is_wrong),
                       MPI_CASE(speaks), MPI_CASE(frees_all_memory));
}
