/* SPDX-License-Identifier: BSD-3-Clause */
/* PowerSGD: its row in the table of codecs, and the products of one rank. */
#include "src/comm/codec/powersgd.h"

#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/comm/codec/codec_internal.h"

/* ---- the row ---- */

static at_err check(const at_codec_cfg *cfg) {
  if (cfg->rank < 1 || cfg->rank > 64) {
    return AT_FAIL(AT_ERR_CONFIG, "rank = %lld: powersgd takes 1 to 64", (long long)cfg->rank);
  }
  return AT_OK;
}

/* A projection onto r directions never adds, and takes nothing away that is sure for a single step. */
static void law_of(const at_codec_cfg *cfg, int64_t n, at_codec_law *law) {
  (void)cfg;
  (void)n;
  law->contractive = true;
}

/* A square matrix of n elements: 4 r (rows + columns). */
static int64_t bytes_of(const at_codec_cfg *cfg, int64_t n, bool *exact) {
  (void)exact;
  const int64_t side = (int64_t)ceil(sqrt((double)n));
  const int64_t bytes = 8 * cfg->rank * side;
  return bytes < 4 * n ? bytes : 4 * n;
}

const at_codec_row at_codec_row_powersgd = {
    .name = "powersgd",
    .wire = 13,
    .fields = "rank averaged start",
    .help = "Low rank by one step of the power method; for matrices.",
    .sum = AT_SUM_LINEAR,
    .memory = AT_MEMORY_RESIDUAL,
    .check = check,
    .law = law_of,
    .bytes = bytes_of,
};

/* ---- matrices ---- */

/* A tensor and where its parts are. */
typedef struct part {
  int64_t rows, cols, at; /* at: in the vector */
  int64_t p, q;           /* in the buffers; q is -1 for a dense tensor */
} part;

struct at_powersgd {
  const at_vec *vec; /* borrowed */
  int64_t r, n, n_parts, p_size, q_size, most_rows;
  uint64_t seed;
  part *parts;   /* [n_parts] */
  float *q;      /* [q_size], kept between rounds */
  double *basis; /* [r * most_rows], of orthonormalise */
};

static bool is_worth_it(int64_t r, const at_matrix *m) {
  return 2 * r * (m->rows + m->cols) < m->rows * m->cols;
}

static void lay_out(at_powersgd *s, int64_t n_tensors, const at_matrix *tensors) {
  for (int64_t t = 0; t < n_tensors; t++) {
    const at_matrix *m = &tensors[t];
    part *p = &s->parts[t];
    *p = (part){.rows = m->rows, .cols = m->cols, .at = s->n, .q = -1};
    if (is_worth_it(s->r, m)) {
      p->p = s->p_size;
      p->q = s->q_size;
      s->p_size += s->r * m->rows;
      s->q_size += s->r * m->cols;
      s->most_rows = m->rows > s->most_rows ? m->rows : s->most_rows;
    }
    s->n += m->rows * m->cols;
  }
  for (int64_t t = 0; t < n_tensors; t++) { /* dense elements stand behind all columns */
    part *p = &s->parts[t];
    if (p->q < 0) {
      p->p = s->p_size;
      s->p_size += p->rows * p->cols;
    }
  }
}

/* Column k of part t's Q, drawn from (seed, round). */
static void draw(const at_powersgd *s, uint64_t round, int64_t t, int64_t k, float *column) {
  const at_stream stream = {.seed = s->seed,
                            .client = AT_CODE_SHARED,
                            .round = round,
                            .step = (uint64_t)(t * s->r + k),
                            .purpose = AT_RNG_QUANTISE};
  at_rng_fill_normal(&stream, 0.0, 1.0, column, s->parts[t].cols);
}

at_err at_powersgd_create(at_powersgd **out, const at_codec_cfg *cfg, const at_kernels *k, int64_t n_tensors,
                          const at_matrix *tensors, uint64_t seed) {
  *out = NULL;
  if (cfg->kind != AT_CODEC_powersgd) {
    return AT_FAIL(AT_ERR_ARG, "powersgd was given the configuration of %s", at_codec_names[cfg->kind]);
  }
  at_powersgd *s = NULL;
  AT_TRY(at_alloc(&s, 1, sizeof *s, "powersgd"));
  s->vec = &k->vec;
  s->r = cfg->rank;
  s->seed = seed;
  s->n_parts = n_tensors;
  at_err err = AT_OK;
  AT_TRY_TO(err, fail, at_alloc(&s->parts, (size_t)n_tensors, sizeof *s->parts, "powersgd layout"));
  lay_out(s, n_tensors, tensors);
  AT_TRY_TO(err, fail, at_alloc(&s->q, (size_t)s->q_size, sizeof *s->q, "powersgd state"));
  AT_TRY_TO(err, fail, at_alloc(&s->basis, (size_t)(s->r * s->most_rows), sizeof *s->basis, "powersgd basis"));
  for (int64_t t = 0; t < n_tensors; t++) {
    for (int64_t c = 0; s->parts[t].q >= 0 && c < s->r; c++) {
      draw(s, 0, t, c, s->q + s->parts[t].q + c * s->parts[t].cols);
    }
  }
  *out = s;
  return AT_OK;
fail:
  at_powersgd_destroy(s);
  return err;
}

void at_powersgd_destroy(at_powersgd *s) {
  if (s == NULL) {
    return;
  }
  at_free(s->parts);
  at_free(s->q);
  at_free(s->basis);
  at_free(s);
}

int64_t at_powersgd_n(const at_powersgd *s) {
  return s->n;
}

int64_t at_powersgd_p(const at_powersgd *s) {
  return s->p_size;
}

int64_t at_powersgd_q(const at_powersgd *s) {
  return s->q_size;
}

float *at_powersgd_state(at_powersgd *s) {
  return s->q;
}

/* ---- products ---- */

void at_powersgd_project(const at_powersgd *s, const float *a, float *p) {
  for (int64_t t = 0; t < s->n_parts; t++) {
    const part *m = &s->parts[t];
    if (m->q < 0) {
      memcpy(p + m->p, a + m->at, (size_t)(m->rows * m->cols) * sizeof *p);
      continue;
    }
    for (int64_t i = 0; i < m->rows; i++) {
      for (int64_t c = 0; c < s->r; c++) {
        const double v = s->vec->dot(m->cols, a + m->at + i * m->cols, s->q + m->q + c * m->cols);
        p[m->p + c * m->rows + i] = (float)v;
      }
    }
  }
}

static double inner(int64_t n, const double *a, const double *b) {
  double lane[4] = {0};
  for (int64_t i = 0; i < n; i++) {
    lane[i % 4] += a[i] * b[i];
  }
  return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

static void orthonormalise(int64_t r, int64_t n, double *basis, float *p) {
  for (int64_t c = 0; c < r; c++) {
    double *v = basis + c * n;
    for (int64_t i = 0; i < n; i++) {
      v[i] = (double)p[c * n + i];
    }
    for (int64_t k = 0; k < c; k++) {
      const double *u = basis + k * n, along = inner(n, u, v);
      for (int64_t i = 0; i < n; i++) {
        v[i] -= along * u[i];
      }
    }
    const double norm = sqrt(inner(n, v, v)), inv = norm < 1e-30 ? 0.0 : 1.0 / norm;
    for (int64_t i = 0; i < n; i++) {
      v[i] *= inv;
      p[c * n + i] = (float)v[i];
    }
  }
}

void at_powersgd_orthonormalise(at_powersgd *s, float *p) {
  for (int64_t t = 0; t < s->n_parts; t++) {
    if (s->parts[t].q >= 0) {
      orthonormalise(s->r, s->parts[t].rows, s->basis, p + s->parts[t].p);
    }
  }
}

void at_powersgd_back(const at_powersgd *s, const float *a, const float *p, float *q) {
  memset(q, 0, (size_t)s->q_size * sizeof *q);
  for (int64_t t = 0; t < s->n_parts; t++) {
    const part *m = &s->parts[t];
    for (int64_t i = 0; m->q >= 0 && i < m->rows; i++) {
      for (int64_t c = 0; c < s->r; c++) {
        s->vec->axpy((double)p[m->p + c * m->rows + i], m->cols, a + m->at + i * m->cols, q + m->q + c * m->cols);
      }
    }
  }
}

/* a += sign * P Q^T for a compressed part. */
static void add_product(const at_powersgd *s, const part *m, float sign, const float *p, const float *q, float *a) {
  for (int64_t i = 0; i < m->rows; i++) {
    for (int64_t c = 0; c < s->r; c++) {
      const double f = (double)(sign * p[m->p + c * m->rows + i]);
      s->vec->axpy(f, m->cols, q + m->q + c * m->cols, a + m->at + i * m->cols);
    }
  }
}

void at_powersgd_expand(const at_powersgd *s, const float *p, const float *q, float *out) {
  for (int64_t t = 0; t < s->n_parts; t++) {
    const part *m = &s->parts[t];
    const size_t bytes = (size_t)(m->rows * m->cols) * sizeof *out;
    if (m->q < 0) {
      memcpy(out + m->at, p + m->p, bytes);
    } else {
      memset(out + m->at, 0, bytes);
      add_product(s, m, 1.0f, p, q, out);
    }
  }
}

void at_powersgd_residual(const at_powersgd *s, const float *p, const float *q, float *a) {
  for (int64_t t = 0; t < s->n_parts; t++) {
    const part *m = &s->parts[t];
    if (m->q < 0) {
      memset(a + m->at, 0, (size_t)(m->rows * m->cols) * sizeof *a);
    } else {
      add_product(s, m, -1.0f, p, q, a);
    }
  }
}

void at_powersgd_keep(at_powersgd *s, uint64_t round, const float *qbar) {
  memcpy(s->q, qbar, (size_t)s->q_size * sizeof *qbar);
  for (int64_t t = 0; t < s->n_parts; t++) {
    const part *m = &s->parts[t];
    for (int64_t c = 0; m->q >= 0 && c < s->r; c++) {
      float *column = s->q + m->q + c * m->cols;
      if (s->vec->dot(m->cols, column, column) < 1e-60) {
        draw(s, round + 1, t, c, column);
      }
    }
  }
}
