/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of metrics in memory, and the file that is rewritten whole. */
#include "src/store/metrics.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/store/fs.h"
#include "src/store/h5_internal.h"

static const double flush_s = 10;

typedef struct column {
  char *path, *units, *description; /* path: "/name" */
  char *axis;                       /* "/axis/silo"; NULL for width 1 */
  int width;
  bool is_volatile;
  double *row;    /* [width]: of the row in the making */
  double *values; /* [room][width] */
  at_h5_kept kept;
} column;

/* Names along an axis. */
typedef struct axis_names {
  char *path; /* "/axis/silo_name" */
  int n;
  char **names; /* [n] */
} axis_names;

struct at_metrics {
  char *path;
  const at_provenance *prov;
  int n;
  column *columns;
  int n_named;
  axis_names *named;
  int64_t rows, room;
  int64_t *rounds;         /* [room] */
  at_publisher *publisher; /* borrowed */
  at_h5 *file;             /* in memory, from the first flush on */
  at_h5_kept kept_rounds;
  int64_t rows_in_file;
  void *image; /* of the file, as it goes to disk */
  int64_t image_room, ticket;
  double last_flush_s;
  bool is_flushed; /* last_flush_s is set */
};

at_err at_metrics_create(at_metrics **out, const char *path, const at_provenance *prov, at_publisher *publisher) {
  at_metrics *m = NULL;
  *out = NULL;
  AT_TRY(at_alloc(&m, 1, sizeof *m, "metrics"));
  m->prov = prov;
  m->publisher = publisher;
  at_err err = at_strdup(&m->path, path);
  if (err != AT_OK) {
    at_metrics_destroy(m);
    return err;
  }
  *out = m;
  return AT_OK;
}

static void column_free(column *c) {
  at_free(c->path);
  at_free(c->units);
  at_free(c->description);
  at_free(c->axis);
  at_free(c->row);
  at_free(c->values);
}

static void names_free(axis_names *a) {
  for (int i = 0; a->names != NULL && i < a->n; i++) {
    at_free(a->names[i]);
  }
  at_free(a->names);
  at_free(a->path);
}

void at_metrics_destroy(at_metrics *m) {
  if (m == NULL) {
    return;
  }
  (void)at_publisher_wait(m->publisher, m->ticket); /* it is about m->image; who must know has asked before */
  for (int i = 0; i < m->n; i++) {
    column_free(&m->columns[i]);
  }
  for (int i = 0; i < m->n_named; i++) {
    names_free(&m->named[i]);
  }
  at_free(m->named);
  at_h5_discard(m->file);
  at_free(m->image);
  at_free(m->columns);
  at_free(m->rounds);
  at_free(m->path);
  at_free(m);
}

static void clear_row(column *c) {
  for (int j = 0; j < c->width; j++) {
    c->row[j] = NAN;
  }
}

static at_err check_new(const at_metrics *m, const column *c) {
  if (m->rows > 0) {
    return AT_FAIL(AT_ERR_INTERNAL, "metric %s comes after the first row", c->path);
  }
  if (strcmp(c->path, "/round") == 0) {
    return AT_FAIL(AT_ERR_INTERNAL, "the metric %s is there by itself", c->path);
  }
  for (int i = 0; i < m->n; i++) {
    const column *other = &m->columns[i];
    if (strcmp(other->path, c->path) == 0) {
      return AT_FAIL(AT_ERR_INTERNAL, "two metrics are called %s", c->path);
    }
    if (c->axis != NULL && other->axis != NULL && strcmp(c->axis, other->axis) == 0 && c->width != other->width) {
      return AT_FAIL(AT_ERR_INTERNAL, "metrics %s and %s disagree on the length of %s", c->path, other->path, c->axis);
    }
  }
  return AT_OK;
}

static at_err column_fill(column *c, const char *name, const char *units, const char *description, const char *axis) {
  AT_TRY(at_fs_path(&c->path, "/%s", name));
  AT_TRY(at_strdup(&c->units, units));
  AT_TRY(at_strdup(&c->description, description));
  if (c->width > 1) {
    AT_TRY(at_fs_path(&c->axis, "/axis/%s", axis != NULL ? axis : "index"));
  }
  AT_TRY(at_alloc(&c->row, (size_t)c->width, sizeof *c->row, "metrics"));
  clear_row(c);
  return AT_OK;
}

at_err at_metrics_add(at_metrics *m, const char *name, const char *units, const char *description, int width,
                      const char *axis, bool is_volatile, int *handle) {
  column c = {.width = width, .is_volatile = is_volatile};
  if (width < 1) {
    return AT_FAIL(AT_ERR_INTERNAL, "metric %s has %d values a round", name, width);
  }
  at_err err = column_fill(&c, name, units, description, axis);
  if (err == AT_OK) {
    err = check_new(m, &c);
  }
  if (err == AT_OK) {
    err = at_realloc(&m->columns, (size_t)m->n + 1, sizeof *m->columns, "metrics");
  }
  if (err != AT_OK) {
    column_free(&c);
    return err;
  }
  m->columns[m->n] = c;
  *handle = m->n++;
  return AT_OK;
}

static at_err names_fill(axis_names *a, const char *axis, const char *const *names) {
  AT_TRY(at_fs_path(&a->path, "/axis/%s_name", axis));
  AT_TRY(at_alloc(&a->names, (size_t)a->n, sizeof *a->names, "names of an axis"));
  for (int i = 0; i < a->n; i++) {
    AT_TRY(at_strdup(&a->names[i], names[i]));
  }
  return AT_OK;
}

at_err at_metrics_name_axis(at_metrics *m, const char *axis, int n, const char *const *names) {
  axis_names a = {.n = n};
  at_err err = names_fill(&a, axis, names);
  if (err == AT_OK) {
    err = at_realloc(&m->named, (size_t)m->n_named + 1, sizeof *m->named, "names of an axis");
  }
  if (err != AT_OK) {
    names_free(&a);
    return err;
  }
  m->named[m->n_named++] = a;
  return AT_OK;
}

void at_metrics_set(at_metrics *m, int handle, double value) {
  m->columns[handle].row[0] = value;
}

void at_metrics_set_all(at_metrics *m, int handle, const double *values) {
  column *c = &m->columns[handle];
  memcpy(c->row, values, (size_t)c->width * sizeof *values);
}

static at_err make_room(at_metrics *m, int64_t rows) {
  if (rows <= m->room) {
    return AT_OK;
  }
  int64_t room = 2 * rows + 64;
  AT_TRY(at_realloc(&m->rounds, (size_t)room, sizeof *m->rounds, "metrics"));
  for (int i = 0; i < m->n; i++) {
    column *c = &m->columns[i];
    AT_TRY(at_realloc(&c->values, (size_t)room * (size_t)c->width, sizeof *c->values, "metrics"));
  }
  m->room = room;
  return AT_OK;
}

at_err at_metrics_end_row(at_metrics *m, int64_t round) {
  if (m->rows > 0 && round <= m->rounds[m->rows - 1]) {
    return AT_FAIL(AT_ERR_INTERNAL, "metrics of round %lld come after those of round %lld", (long long)round,
                   (long long)m->rounds[m->rows - 1]);
  }
  AT_TRY(make_room(m, m->rows + 1));
  for (int i = 0; i < m->n; i++) {
    column *c = &m->columns[i];
    memcpy(c->values + m->rows * c->width, c->row, (size_t)c->width * sizeof *c->row);
    clear_row(c);
  }
  m->rounds[m->rows++] = round;
  return AT_OK;
}

int64_t at_metrics_rows(const at_metrics *m) {
  return m->rows;
}

const double *at_metrics_get(const at_metrics *m, int handle, int64_t row) {
  const column *c = &m->columns[handle];
  return c->values + row * c->width;
}

/* ---- the file ---- */

static at_h5_desc round_desc(int64_t rows) {
  return (at_h5_desc){.path = "/round",
                      .type = AT_H5_I64,
                      .ndims = 1,
                      .dims = {rows},
                      .units = "1",
                      .description = "communication round that the row is about"};
}

static at_h5_desc column_desc(const column *c, int64_t rows) {
  return (at_h5_desc){.path = c->path,
                      .type = AT_H5_F64,
                      .ndims = c->width > 1 ? 2 : 1,
                      .dims = {rows, c->width > 1 ? c->width : 0},
                      .units = c->units,
                      .description = c->description,
                      .flags = c->is_volatile ? AT_H5_VOLATILE : 0};
}

/* The numbers 0, 1, ... along a column's second dimension; columns of one axis share them. */
static at_err write_axis(at_h5 *f, const column *c) {
  if (!at_h5_exists(f, c->axis)) {
    int64_t *index = NULL;
    AT_TRY(at_alloc(&index, (size_t)c->width, sizeof *index, "axis"));
    for (int j = 0; j < c->width; j++) {
      index[j] = j;
    }
    at_h5_desc d = {.path = c->axis,
                    .type = AT_H5_I64,
                    .ndims = 1,
                    .dims = {c->width},
                    .units = "1",
                    .description = "number, from 0"};
    at_err err = at_h5_write(f, &d, index);
    at_free(index);
    AT_TRY(err);
  }
  return at_h5_set_scale(f, c->path, 1, c->axis);
}

/* The file in memory, with columns and no rows. */
static at_err make_columns(at_metrics *m) {
  at_h5 *f = m->file;
  AT_TRY(at_provenance_write(m->prov, f));
  at_h5_desc round = round_desc(0);
  AT_TRY(at_h5_keep(f, &round, AT_H5_GROWING, &m->kept_rounds));
  for (int i = 0; i < m->n; i++) {
    column *c = &m->columns[i];
    at_h5_desc d = column_desc(c, 0);
    AT_TRY(at_h5_keep(f, &d, AT_H5_GROWING, &c->kept));
    AT_TRY(at_h5_set_scale(f, c->path, 0, "/round"));
    if (c->axis != NULL) {
      AT_TRY(write_axis(f, c));
    }
  }
  return AT_OK;
}

static at_err write_names(const at_metrics *m) {
  for (int i = 0; i < m->n_named; i++) {
    const axis_names *a = &m->named[i];
    AT_TRY(at_h5_write_text(m->file, a->path, a->n, (const char *const *)a->names, "1", "name"));
  }
  return AT_OK;
}

/* The rows that the file does not have yet. */
static at_err append_rows(at_metrics *m) {
  at_h5_desc round = round_desc(m->rows);
  int64_t first = m->rows_in_file;
  AT_TRY(at_h5_append(m->file, &round, &m->kept_rounds, first, m->rounds + first));
  for (int i = 0; i < m->n; i++) {
    column *c = &m->columns[i];
    at_h5_desc d = column_desc(c, m->rows);
    AT_TRY(at_h5_append(m->file, &d, &c->kept, first, c->values + first * c->width));
  }
  m->rows_in_file = m->rows;
  return AT_OK;
}

/* The image that went before must be on disk: its memory is used again. */
static at_err write_file(at_metrics *m) {
  AT_TRY(at_publisher_wait(m->publisher, m->ticket));
  if (m->file == NULL) {
    AT_TRY(at_h5_create_in_memory(&m->file, m->path, "metrics"));
    AT_TRY(at_h5_wrote(m->file, make_columns(m)));
    AT_TRY(at_h5_wrote(m->file, write_names(m)));
  }
  AT_TRY(at_h5_wrote(m->file, append_rows(m)));
  int64_t bytes = 0;
  AT_TRY(at_h5_get_image(m->file, &m->image, &m->image_room, &bytes));
  at_image image = {.path = m->path,
                    .data = m->image,
                    .bytes = bytes,
                    .faults = {AT_FAULT_NONE, AT_FAULT_NONE, AT_FAULT_METRICS_RENAME}};
  return at_publisher_put(m->publisher, &image, &m->ticket);
}

at_err at_metrics_flush(at_metrics *m, bool force) {
  double now = at_clock_now_s();
  if (!force && m->is_flushed && now - m->last_flush_s < flush_s) {
    return AT_OK;
  }
  AT_TRY(make_room(m, 1)); /* so that no column is NULL */
  AT_TRY(write_file(m));
  m->last_flush_s = now;
  m->is_flushed = true;
  return AT_OK;
}

/* ---- going on ---- */

static at_err load_column(at_h5 *f, column *c, int64_t stored) {
  if (!at_h5_exists(f, c->path)) {
    for (int64_t i = 0; i < stored * c->width; i++) {
      c->values[i] = NAN;
    }
    return AT_OK;
  }
  at_h5_desc d = column_desc(c, stored);
  return at_h5_read(f, &d, c->values);
}

static at_err load_rows(at_metrics *m, at_h5 *f, int64_t last) {
  at_h5_desc found;
  AT_TRY(at_h5_describe(f, "/round", &found));
  int64_t stored = at_h5_count(&found);
  at_h5_desc round = round_desc(stored);
  AT_TRY(make_room(m, stored));
  AT_TRY(at_h5_read(f, &round, m->rounds));
  for (int i = 0; i < m->n; i++) {
    AT_TRY(load_column(f, &m->columns[i], stored));
  }
  m->rows = 0;
  while (m->rows < stored && m->rounds[m->rows] <= last) {
    m->rows++;
  }
  return AT_OK;
}

at_err at_metrics_load(at_metrics *m, int64_t last) {
  at_h5 *f = NULL;
  if (access(m->path, F_OK) != 0) {
    return AT_OK;
  }
  AT_TRY(at_h5_open_kind(&f, m->path, "metrics"));
  at_err err = load_rows(m, f, last);
  at_h5_close(f);
  return err;
}
