/* SPDX-License-Identifier: BSD-3-Clause */
/* Log-mel spectrograms. */
#include "data/speech/mel.h"

#include <fftw3.h>
#include <math.h>
#include <string.h>

#include "src/base/alloc.h"

enum { POINTS = 512, BINS = POINTS / 2 + 1, FLOOR_DB = 90 };
static const double lowest_hz = 20, highest_hz = 7600, pi = 3.14159265358979323846;

const at_field at_mel_field = {.name = "spectrogram",
                               .type = AT_H5_U8,
                               .ndims = 2,
                               .dims = {AT_MEL_FRAMES, AT_MEL_BANDS},
                               .units = "90/255 dB",
                               .description = "Log-mel spectrogram: frames in time, bands from low to high."};

const at_set_attr at_mel_attrs[] = {
    {"sample_rate_hz", "16000"},
    {"clip_s", "1"},
    {"window", "periodic Hann of 0.025 s, filled up to 512 samples"},
    {"hop_s", "0.010"},
    {"bands", "40 triangles on the mel scale 2595 log10(1 + f / 700), 20 to 7600 Hz"},
    {"scale", "255 (1 + dB / 90), from -90 to 0 dB of a full-scale sine"},
    {NULL, NULL},
};

struct at_mel {
  double window[AT_MEL_WINDOW], weight[AT_MEL_BANDS][BINS];
  float *in;
  fftwf_complex *out;
  fftwf_plan plan;
};

static double mel_of(double hz) {
  return 2595 * log10(1 + hz / 700);
}

static void fill(at_mel *m) {
  const double low = mel_of(lowest_hz), step = (mel_of(highest_hz) - low) / (AT_MEL_BANDS + 1);
  double sum = 0;
  for (int i = 0; i < AT_MEL_WINDOW; i++) {
    m->window[i] = 0.5 * (1 - cos(2 * pi * i / AT_MEL_WINDOW));
    sum += m->window[i];
  }
  for (int i = 0; i < AT_MEL_WINDOW; i++) {
    m->window[i] *= 2 / sum;
  }
  for (int b = 0; b < AT_MEL_BANDS; b++) {
    for (int k = 0; k < BINS; k++) {
      const double away = fabs((mel_of((double)k * AT_CLIP_HZ / POINTS) - low) / step - (b + 1));
      m->weight[b][k] = away < 1 ? 1 - away : 0;
    }
  }
}

at_err at_mel_create(at_mel **out) {
  at_mel *m;
  *out = NULL;
  AT_TRY(at_alloc(&m, 1, sizeof *m, "spectrogram"));
  m->in = fftwf_alloc_real(POINTS);
  m->out = fftwf_alloc_complex(BINS);
  /* An estimated plan is the same each time; a measured one is not. */
  m->plan = m->in != NULL && m->out != NULL ? fftwf_plan_dft_r2c_1d(POINTS, m->in, m->out, FFTW_ESTIMATE) : NULL;
  if (m->plan == NULL) {
    at_mel_destroy(m);
    return AT_FAIL(AT_ERR_MEMORY, "FFTW makes no plan for %d points", (int)POINTS);
  }
  fill(m);
  *out = m;
  return AT_OK;
}

void at_mel_destroy(at_mel *m) {
  if (m != NULL) {
    if (m->plan != NULL) {
      fftwf_destroy_plan(m->plan);
    }
    fftwf_free(m->in);
    fftwf_free(m->out);
    at_free(m);
  }
}

void at_mel_run(at_mel *m, const float clip[AT_CLIP_SAMPLES], uint8_t out[AT_MEL_FRAMES * AT_MEL_BANDS]) {
  for (int f = 0; f < AT_MEL_FRAMES; f++) {
    double power[BINS];
    memset(m->in, 0, POINTS * sizeof *m->in);
    for (int i = 0; i < AT_MEL_WINDOW; i++) {
      m->in[i] = (float)(m->window[i] * (double)clip[f * AT_MEL_HOP + i]);
    }
    fftwf_execute(m->plan);
    for (int k = 0; k < BINS; k++) {
      const double re = (double)m->out[k][0], im = (double)m->out[k][1];
      power[k] = re * re + im * im;
    }
    for (int b = 0; b < AT_MEL_BANDS; b++) {
      double sum = 0;
      for (int k = 0; k < BINS; k++) {
        sum += m->weight[b][k] * power[k];
      }
      const double level = 255 * (1 + 10 * log10(sum + 1e-30) / FLOOR_DB);
      out[f * AT_MEL_BANDS + b] = (uint8_t)(fmax(0, fmin(255, level)) + 0.5);
    }
  }
}
