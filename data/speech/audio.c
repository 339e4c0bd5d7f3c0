/* SPDX-License-Identifier: BSD-3-Clause */
/* WAV files, resampling, clips. */
#include "data/speech/audio.h"

#include <math.h>
#include <string.h>

#include "data/text/inflate.h"
#include "src/base/alloc.h"

enum { ZEROS = 16, PCM = 1, HEAD = 12, CHUNK = 8, FMT = 16, MOST_HZ = 384000 };

void at_sound_free(at_sound *s) {
  at_free(s->x);
  *s = (at_sound){0};
}

static uint32_t u32_at(const unsigned char *p) {
  return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

typedef struct wav {
  const char *path;
  const unsigned char *p;
  size_t len, fmt, data, data_bytes; /* places of the chunks' contents; 0: not there */
  int channels, bytes;               /* of a sample */
} wav;

static at_err find_chunks(wav *w) {
  if (w->len < HEAD || memcmp(w->p, "RIFF", 4) != 0 || memcmp(w->p + 8, "WAVE", 4) != 0) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: is no WAV file: it must have RIFF at byte 0 and WAVE at byte 8", w->path);
  }
  for (size_t at = HEAD; w->data == 0 && at < w->len;) {
    if (w->len - at < CHUNK) {
      return AT_FAIL(AT_ERR_FORMAT, "%s: is cut short at byte %zu, in the head of a chunk", w->path, w->len);
    }
    const uint32_t n = u32_at(w->p + at + 4);
    if (w->len - at - CHUNK < n) {
      return AT_FAIL(AT_ERR_FORMAT, "%s: is cut short at byte %zu of %zu, in the chunk that begins at byte %zu",
                     w->path, w->len, at + CHUNK + n, at);
    }
    if (memcmp(w->p + at, "fmt ", 4) == 0 && n >= FMT) {
      w->fmt = at + CHUNK;
    } else if (memcmp(w->p + at, "data", 4) == 0) {
      w->data = at + CHUNK;
      w->data_bytes = n;
    }
    at += CHUNK + (size_t)n + (n & 1);
  }
  if (w->data == 0 || w->fmt == 0) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: has no %s chunk up to byte %zu", w->path, w->fmt == 0 ? "fmt" : "data",
                   w->fmt == 0 && w->data != 0 ? w->data : w->len);
  }
  return AT_OK;
}

static at_err read_format(wav *w, int64_t *rate_hz) {
  const unsigned char *f = w->p + w->fmt;
  const int code = f[0] | f[1] << 8, bits = f[14] | f[15] << 8;
  w->channels = f[2] | f[3] << 8;
  w->bytes = bits / 8;
  *rate_hz = u32_at(f + 4);
  if (code != PCM) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: format %d at byte %zu is not PCM (1)", w->path, code, w->fmt);
  }
  if (w->channels != 1 && w->channels != 2) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: %d channels at byte %zu, where 1 or 2 are expected", w->path, w->channels,
                   w->fmt + 2);
  }
  if (*rate_hz < 1000 || *rate_hz > MOST_HZ) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: %lld Hz at byte %zu is not from 1000 to %d", w->path, (long long)*rate_hz,
                   w->fmt + 4, MOST_HZ);
  }
  return bits == 8 || bits == 16 ? AT_OK
                                 : AT_FAIL(AT_ERR_FORMAT, "%s: %d bits at byte %zu, where 8 or 16 are expected",
                                           w->path, bits, w->fmt + 14);
}

static at_err parse(wav *w, at_sound *out) {
  AT_TRY(find_chunks(w));
  AT_TRY(read_format(w, &out->rate_hz));
  out->n = (int64_t)(w->data_bytes / (size_t)(w->channels * w->bytes));
  AT_TRY(at_alloc(&out->x, (size_t)out->n + 1, sizeof *out->x, "sound"));
  const unsigned char *p = w->p + w->data;
  for (int64_t i = 0; i < out->n; i++) {
    int sum = 0;
    for (int c = 0; c < w->channels; c++, p += w->bytes) {
      sum += w->bytes == 1 ? (p[0] - 128) * 256 : (int16_t)(p[0] | p[1] << 8);
    }
    out->x[i] = (float)sum / (32768.0F * (float)w->channels);
  }
  return AT_OK;
}

at_err at_sound_read_wav(at_sound *out, const char *path) {
  at_bytes text = {0};
  at_sound_free(out);
  at_err err = at_text_load(path, &text);
  if (err == AT_OK) {
    wav w = {.path = path, .p = (const unsigned char *)text.data, .len = text.len};
    err = parse(&w, out);
  }
  at_bytes_free(&text);
  if (err != AT_OK) {
    at_sound_free(out);
  }
  return err;
}

static int64_t divisor(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t r = a % b;
    a = b;
    b = r;
  }
  return a;
}

/* weight[phase][tap]: taps of an output that lies phase / up behind an input. */
static void fill_weights(double *weight, int64_t up, int64_t taps, double cut) {
  const double pi = 3.14159265358979323846;
  for (int64_t phase = 0; phase < up; phase++) {
    for (int64_t k = 0; k < taps; k++) {
      const double t = ((double)(k - taps / 2) - (double)phase / (double)up) * cut, at = t / ZEROS;
      const double sinc = t == 0 ? 1 : sin(pi * t) / (pi * t);
      weight[phase * taps + k] = fabs(at) < 1 ? cut * sinc * 0.5 * (1 + cos(pi * at)) : 0;
    }
  }
}

at_err at_sound_resample(at_sound *out, const at_sound *in, int64_t rate_hz) {
  const int64_t common = divisor(rate_hz, in->rate_hz), up = rate_hz / common, down = in->rate_hz / common;
  const double cut = up < down ? (double)up / (double)down : 1;
  const int64_t half = (int64_t)ceil(ZEROS / cut) + 1, taps = 2 * half + 1;
  double *weight = NULL;
  at_sound_free(out);
  out->rate_hz = rate_hz;
  out->n = (in->n * up + down - 1) / down;
  AT_TRY(at_alloc(&out->x, (size_t)out->n + 1, sizeof *out->x, "sound"));
  at_err err = at_alloc(&weight, (size_t)(up * taps), sizeof *weight, "resampling weights");
  if (err != AT_OK) {
    at_sound_free(out);
    return err;
  }
  fill_weights(weight, up, taps, cut);
  for (int64_t i = 0; i < out->n; i++) {
    const int64_t centre = i * down / up, phase = i * down % up;
    double sum = 0;
    for (int64_t k = 0; k < taps; k++) {
      const int64_t j = centre + k - half;
      sum += j >= 0 && j < in->n ? weight[phase * taps + k] * (double)in->x[j] : 0;
    }
    out->x[i] = (float)sum;
  }
  at_free(weight);
  return AT_OK;
}

void at_sound_clip(const at_sound *in, float clip[AT_CLIP_SAMPLES]) {
  const int64_t n = in->n < AT_CLIP_SAMPLES ? in->n : AT_CLIP_SAMPLES;
  double energy = 0, most = 0;
  int64_t from = 0;
  for (int64_t i = 0; i < in->n; i++) {
    const double x = (double)in->x[i], gone = i >= n ? (double)in->x[i - n] : 0;
    energy += x * x - gone * gone;
    if (i >= n && energy > most * (1 + 1e-9)) {
      from = i - n + 1;
    }
    most = i < n || energy > most * (1 + 1e-9) ? energy : most;
  }
  memset(clip, 0, AT_CLIP_SAMPLES * sizeof *clip);
  if (n > 0) {
    memcpy(clip + (AT_CLIP_SAMPLES - n) / 2, in->x + from, (size_t)n * sizeof *clip);
  }
}
