/* SPDX-License-Identifier: BSD-3-Clause */
/* Residuals and momenta of clients, and encoding with them. */
#include "src/comm/codec/feedback.h"

#include <math.h>
#include <string.h>
#include <zlib.h>

#include "src/base/alloc.h"
#include "src/comm/codec/codec_internal.h"

struct at_feedback {
  at_codec_cfg cfg;
  const at_cut *cut; /* borrowed */
  double decay;
  int vectors;
  uint64_t layout;
  int64_t count, room;
  at_feedback_row **rows; /* ascending id; each owned */
};

/* What of a codec decides which residuals fit: its kind, block and share. */
static uint64_t layout_of(const at_codec_cfg *cfg, const at_cut *cut) {
  const int64_t mark[3] = {cfg->kind, cfg->block, (int64_t)(cfg->ratio * 1e9)};
  const uint64_t crc = crc32_z(0, (const unsigned char *)mark, sizeof mark);
  return at_cut_hash(cut) ^ crc << 16;
}

at_err at_feedback_create(at_feedback **out, const at_codec_cfg *cfg, const at_cut *cut, double decay) {
  *out = NULL;
  const at_codec_law law = at_codec_declare(cfg, cut->chunk);
  if (law.unbiased && law.w >= 1.0) {
    return AT_FAIL(
        AT_ERR_CONFIG,
        "error feedback over %s, whose variance is up to %.3g times the values: residuals would grow; switch "
        "feedback off",
        at_codec_names[cfg->kind], law.w);
  }
  if (!(decay > 0.0) || decay > 1.0) {
    return AT_FAIL(AT_ERR_CONFIG, "decay = %g: want (0, 1]", decay);
  }
  at_feedback *f = NULL;
  AT_TRY(at_alloc(&f, 1, sizeof *f, "error feedback"));
  f->cfg = *cfg;
  f->cut = cut;
  f->decay = decay;
  f->vectors = cfg->kind == AT_CODEC_f32 ? 0 : at_codec_remembers(cfg) == AT_MEMORY_MOMENTUM ? 2 : 1;
  f->layout = layout_of(cfg, cut);
  *out = f;
  return AT_OK;
}

static void row_destroy(at_feedback_row *row) {
  at_free(row->v[0]);
  at_free(row->v[1]);
  at_free(row);
}

void at_feedback_destroy(at_feedback *f) {
  if (f == NULL) {
    return;
  }
  for (int64_t i = 0; i < f->count; i++) {
    row_destroy(f->rows[i]);
  }
  at_free(f->rows);
  at_free(f);
}

int at_feedback_vectors(const at_feedback *f) {
  return f->vectors;
}

int64_t at_feedback_elements(const at_feedback *f) {
  return f->cut->n;
}

uint64_t at_feedback_layout(const at_feedback *f) {
  return f->layout;
}

/* ---- rows ---- */

/* Where the row of `id` is, or would be. */
static int64_t place_of(const at_feedback *f, int64_t id) {
  int64_t low = 0, high = f->count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (f->rows[middle]->id < id) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

static at_err row_create(const at_feedback *f, int64_t id, at_feedback_row **out) {
  at_feedback_row *row = NULL;
  AT_TRY(at_alloc(&row, 1, sizeof *row, "residual"));
  row->id = id;
  row->round = -1;
  for (int i = 0; i < f->vectors; i++) {
    const at_err err = at_alloc(&row->v[i], (size_t)f->cut->n, sizeof *row->v[i], "residual of a client");
    if (err != AT_OK) {
      row_destroy(row);
      return at_err_trace(err, __FILE__, __LINE__);
    }
  }
  *out = row;
  return AT_OK;
}

at_err at_feedback_open(at_feedback *f, int64_t id, at_feedback_row **row) {
  const int64_t at = place_of(f, id);
  if (at < f->count && f->rows[at]->id == id) {
    *row = f->rows[at];
    return AT_OK;
  }
  if (f->count == f->room) {
    const int64_t room = f->room > 0 ? 2 * f->room : 8;
    AT_TRY(at_realloc(&f->rows, (size_t)room, sizeof *f->rows, "residuals"));
    f->room = room;
  }
  at_feedback_row *made = NULL;
  AT_TRY(row_create(f, id, &made));
  memmove(f->rows + at + 1, f->rows + at, (size_t)(f->count - at) * sizeof *f->rows);
  f->rows[at] = made;
  f->count++;
  *row = made;
  return AT_OK;
}

int64_t at_feedback_count(const at_feedback *f) {
  return f->count;
}

const at_feedback_row *at_feedback_get(const at_feedback *f, int64_t i) {
  return f->rows[i];
}

at_err at_feedback_put(at_feedback *f, uint64_t layout, int64_t id, int64_t round, const float *const v[2]) {
  if (layout != f->layout) {
    return AT_FAIL(AT_ERR_STATE,
                   "the residual of client %lld belongs to another layout (%016llx, this run's is %016llx): the model, "
                   "the pieces or the codec changed; start without residuals or go back",
                   (long long)id, (unsigned long long)layout, (unsigned long long)f->layout);
  }
  at_feedback_row *row = NULL;
  AT_TRY(at_feedback_open(f, id, &row));
  row->round = round;
  for (int i = 0; i < f->vectors; i++) {
    memcpy(row->v[i], v[i], (size_t)f->cut->n * sizeof *v[i]);
  }
  return AT_OK;
}

void at_feedback_drop(at_feedback *f, int64_t id) {
  const int64_t at = place_of(f, id);
  if (at < f->count && f->rows[at]->id == id) {
    row_destroy(f->rows[at]);
    f->count--;
    memmove(f->rows + at, f->rows + at + 1, (size_t)(f->count - at) * sizeof *f->rows);
  }
}

/* ---- encoding ---- */

void at_feedback_advance(const at_feedback *f, at_feedback_row *row, int64_t round) {
  const int64_t missed = row->round < 0 ? 0 : round - row->round - 1;
  row->round = round;
  if (missed < 1 || f->decay == 1.0) {
    return;
  }
  const float factor = (float)pow(f->decay, (double)missed);
  for (int v = 0; v < f->vectors; v++) {
    for (int64_t i = 0; i < f->cut->n; i++) {
      row->v[v][i] *= factor;
    }
  }
}

float at_feedback_factor(const at_feedback *f, double norm, int64_t clients) {
  const double most = f->cfg.clip / sqrt((double)clients);
  return f->vectors < 2 || f->cfg.clip == 0.0 || norm <= most ? 1.0f : (float)(most / norm);
}

/* Encode a, and decode as everybody will. */
static at_err encode(at_codec *c, const at_code_key *key, const at_piece *shape, const float *a, float *y, uint8_t *out,
                     int64_t *bytes) {
  *bytes = at_frame_encode(c, key, shape, a, out);
  return at_frame_decode(c, key, shape, out, *bytes, y);
}

static at_err encode_residual(at_codec *c, const at_code_key *key, const at_piece *shape, const float *x, float *e,
                              float *y, uint8_t *out, int64_t *bytes) {
  for (int64_t i = 0; i < shape->n; i++) {
    e[i] = x[i] + e[i];
  }
  AT_TRY(encode(c, key, shape, e, y, out, bytes));
  for (int64_t i = 0; i < shape->n; i++) {
    e[i] = e[i] - y[i];
  }
  return AT_OK;
}

static at_err encode_momentum(at_codec *c, const at_code_key *key, const at_piece *shape, const float *x, float factor,
                              float *const v[2], float *y, uint8_t *out, int64_t *bytes) {
  const float m = (float)at_codec_config(c)->momentum;
  float *sum = v[0] + shape->first, *momentum = v[1] + shape->first;
  for (int64_t i = 0; i < shape->n; i++) {
    momentum[i] = m * momentum[i] + factor * x[i];
    sum[i] = sum[i] + momentum[i];
  }
  AT_TRY(encode(c, key, shape, sum, y, out, bytes));
  for (int64_t i = 0; i < shape->n; i++) {
    if (y[i] != 0.0f) {
      sum[i] = 0.0f;
      momentum[i] = 0.0f;
    }
  }
  return AT_OK;
}

at_err at_feedback_encode(const at_feedback *f, at_feedback_row *row, at_codec *c, const at_code_key *key,
                          const at_piece *shape, const float *x, float factor, float *y, uint8_t *out, int64_t *bytes) {
  if (f->vectors == 2) {
    return encode_momentum(c, key, shape, x, factor, row->v, y, out, bytes);
  }
  if (f->vectors == 1) {
    return encode_residual(c, key, shape, x, row->v[0] + shape->first, y, out, bytes);
  }
  return encode(c, key, shape, x, y, out, bytes);
}
