/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables in memory, from R's data frames; and as numbers that a model takes. */
#include "data/tables/frame_internal.h"

#include <math.h>
#include <string.h>

#include "src/base/alloc.h"

typedef struct part {
  struct part *next;
} part;

at_err at_frame_take(at_frame *f, size_t count, size_t size, void *out) {
  part *p = NULL;
  *(void **)out = NULL;
  AT_TRY(at_alloc(&p, 1, 64 + count * size, "table"));
  p->next = f->parts;
  f->parts = p;
  *(void **)out = (char *)p + 64;
  return AT_OK;
}

at_err at_frame_text(at_frame *f, const char *text, size_t n, char **out) {
  AT_TRY(at_frame_take(f, n + 1, 1, out));
  memcpy(*out, text, n);
  return AT_OK;
}

void at_frame_free(at_frame *f) {
  for (part *p = f->parts; p != NULL;) {
    part *next = p->next;
    at_free(p);
    p = next;
  }
  *f = (at_frame){0};
}

int64_t at_frame_find(const at_frame *f, const char *name) {
  for (int64_t i = 0; i < f->n; i++) {
    if (strcmp(f->column[i].name, name) == 0) {
      return i;
    }
  }
  return -1;
}

/* Texts become levels in ascending byte order. */
at_err at_frame_levels(at_frame *f, at_column *c, char *const *text) {
  char **sorted = NULL;
  int64_t n = 0;
  AT_TRY(at_frame_take(f, (size_t)f->rows, sizeof *sorted, &sorted));
  AT_TRY(at_frame_take(f, (size_t)f->rows, sizeof *c->code, &c->code));
  for (int64_t i = 0; i < f->rows; i++) {
    if (text[i] != NULL) {
      sorted[n++] = text[i];
    }
  }
  at_frame_sort(sorted, n);
  for (int64_t i = 0; i < n; i++) {
    if (i == 0 || strcmp(sorted[i], sorted[c->n_levels - 1]) != 0) {
      sorted[c->n_levels++] = sorted[i];
    }
  }
  for (int64_t i = 0; i < f->rows; i++) {
    c->code[i] = text[i] == NULL ? -1 : (int32_t)at_frame_search(sorted, c->n_levels, text[i]);
  }
  AT_TRY(at_frame_take(f, (size_t)c->n_levels, sizeof *c->level, &c->level));
  for (int64_t i = 0; i < c->n_levels; i++) {
    AT_TRY(at_frame_text(f, sorted[i], strlen(sorted[i]), &c->level[i]));
  }
  return AT_OK;
}

static at_err fill_factor(at_frame *f, at_column *c, const at_r *v, const at_r *levels) {
  c->n_levels = levels->n;
  AT_TRY(at_frame_take(f, (size_t)levels->n, sizeof *c->level, &c->level));
  AT_TRY(at_frame_take(f, (size_t)f->rows, sizeof *c->code, &c->code));
  for (int64_t i = 0; i < levels->n; i++) {
    const char *text = levels->text[i] != NULL ? levels->text[i] : "NA";
    AT_TRY(at_frame_text(f, text, strlen(text), &c->level[i]));
  }
  for (int64_t i = 0; i < f->rows; i++) {
    c->code[i] = v->integer[i] >= 1 && v->integer[i] <= levels->n ? v->integer[i] - 1 : -1;
  }
  return AT_OK;
}

/* Column c from values [first, first + rows) of v. */
static at_err fill(at_frame *f, at_column *c, const char *name, const at_r *v, int64_t first) {
  AT_TRY(at_frame_text(f, name, strlen(name), &c->name));
  const at_r *levels = at_r_find(v->attr, "levels");
  if (v->type == AT_R_INT && levels != NULL && levels->type == AT_R_TEXT) {
    return fill_factor(f, c, v, levels);
  }
  if (v->type == AT_R_TEXT) {
    return at_frame_levels(f, c, v->text + first);
  }
  AT_TRY(at_frame_take(f, (size_t)f->rows, sizeof *c->number, &c->number));
  for (int64_t i = 0; i < f->rows; i++) {
    c->number[i] = v->type == AT_R_REAL                 ? v->real[first + i]
                   : v->integer[first + i] == INT32_MIN ? NAN
                                                        : v->integer[first + i];
  }
  return AT_OK;
}

static bool is_vector(const at_r *v) {
  return (v->type == AT_R_INT || v->type == AT_R_REAL || v->type == AT_R_TEXT) && v->n > 0;
}

/* Columns of one member: a matrix of `rows` rows has several; 0: it is of no use here. */
static int64_t columns_of(const at_r *v, int64_t rows) {
  return is_vector(v) && v->n % rows == 0 && (v->type != AT_R_TEXT || v->n == rows) ? v->n / rows : 0;
}

at_err at_frame_from_r(at_frame *f, const char *path, const at_r *value) {
  const at_r *names = at_r_find(value->attr, "names");
  if (value->type != AT_R_LIST || names == NULL || names->n != value->n || value->n == 0 ||
      !is_vector(value->item[0])) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: the object is no data frame", path);
  }
  const at_r *last = value->item[value->n - 1], *dim = at_r_find(value->item[0]->attr, "dim");
  f->rows = dim != NULL && dim->type == AT_R_INT && dim->n == 2 ? dim->integer[0] : is_vector(last) ? last->n : 0;
  if (f->rows < 1) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: the data frame has no rows", path);
  }
  int64_t n = 0;
  for (int64_t i = 0; i < value->n; i++) {
    n += columns_of(value->item[i], f->rows);
  }
  AT_TRY(at_frame_take(f, (size_t)n, sizeof *f->column, &f->column));
  for (int64_t i = 0; i < value->n; i++) {
    const at_r *v = value->item[i];
    const int64_t columns = columns_of(v, f->rows);
    for (int64_t k = 0; k < columns; k++) {
      char name[128];
      const char *own = names->text[i] != NULL ? names->text[i] : "V";
      snprintf(name, sizeof name, columns > 1 ? "%s.%lld" : "%s", own, (long long)(k + 1));
      AT_TRY(fill(f, &f->column[f->n++], name, v, k * f->rows));
    }
  }
  return AT_OK;
}

at_err at_features_create(at_features *out, const at_frame *f, const int64_t *skip, int n_skip) {
  *out = (at_features){0};
  AT_TRY(at_alloc(&out->mean, (size_t)f->n, sizeof *out->mean, "features"));
  AT_TRY(at_alloc(&out->scale, (size_t)f->n, sizeof *out->scale, "features"));
  AT_TRY(at_alloc(&out->skip, (size_t)f->n, sizeof *out->skip, "features"));
  for (int i = 0; i < n_skip; i++) {
    if (skip[i] >= 0) {
      out->skip[skip[i]] = true;
    }
  }
  for (int64_t k = 0; k < f->n; k++) {
    const at_column *c = &f->column[k];
    double sum = 0, square = 0, n = 0;
    for (int64_t i = 0; c->number != NULL && i < f->rows; i++) {
      const double v = c->number[i];
      sum += isfinite(v) ? v : 0;
      n += isfinite(v);
    }
    out->mean[k] = n > 0 ? sum / n : 0;
    for (int64_t i = 0; c->number != NULL && i < f->rows; i++) {
      const double d = isfinite(c->number[i]) ? c->number[i] - out->mean[k] : 0;
      square += d * d;
    }
    out->scale[k] = square > 0 ? sqrt(n / square) : 0;
    out->width += out->skip[k] ? 0 : c->number != NULL ? 1 : c->n_levels;
  }
  return AT_OK;
}

void at_features_free(at_features *x) {
  at_free(x->mean);
  at_free(x->scale);
  at_free(x->skip);
}

void at_features_row(const at_features *x, const at_frame *f, int64_t row, float *out) {
  for (int64_t k = 0; k < f->n; k++) {
    const at_column *c = &f->column[k];
    if (x->skip[k]) {
      continue;
    }
    if (c->number != NULL) {
      *out++ = isfinite(c->number[row]) ? (float)((c->number[row] - x->mean[k]) * x->scale[k]) : 0;
      continue;
    }
    for (int64_t l = 0; l < c->n_levels; l++) {
      *out++ = c->code[row] == l;
    }
  }
}
