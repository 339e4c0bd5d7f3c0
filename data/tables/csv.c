/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames from CSV. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/tables/frame_internal.h"
#include "data/text/inflate.h"
#include "src/base/alloc.h"

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

void at_frame_sort(char **text, int64_t n) {
  qsort(text, (size_t)n, sizeof *text, by_bytes);
}

int64_t at_frame_search(char *const *sorted, int64_t n, const char *text) {
  return (char *const *)bsearch(&text, sorted, (size_t)n, sizeof *sorted, by_bytes) - sorted;
}

/* Cells of a table, row by row, as texts cut out in place. */
typedef struct cells {
  const char *path;
  char **cell; /* owned; [n] */
  int64_t n, cap, columns;
  char comma;
} cells;

static at_err add(cells *c, char *text) {
  if (c->n == c->cap) {
    c->cap = c->cap == 0 ? 1024 : 2 * c->cap;
    AT_TRY(at_realloc(&c->cell, (size_t)c->cap, sizeof *c->cell, "CSV cells"));
  }
  c->cell[c->n++] = text;
  return AT_OK;
}

static char *trim(char *from, char *to) {
  while (from < to && (*from == ' ' || *from == '\t')) {
    from++;
  }
  while (to > from && strchr(" \t\r", to[-1]) != NULL) {
    to--;
  }
  *to = 0;
  return from;
}

/* One cell from p on; returns where it ends: at a comma, a line feed or the end. */
static char *cut_cell(const cells *c, char *p, char **text) {
  if (*p != '"') {
    char *end = p;
    while (*end != 0 && *end != '\n' && *end != c->comma) {
      end++;
    }
    *text = p;
    return end;
  }
  char *to = *text = ++p;
  while (*p != 0 && (*p != '"' || p[1] == '"')) {
    p += *p == '"';
    *to++ = *p++;
  }
  p += *p == '"';
  *to = 0;
  return p;
}

static at_err cut(cells *c, at_bytes *text) {
  char *p = text->data, *end = text->data + text->len;
  int64_t line = 1, in_line = 0;
  while (p < end) {
    char *cell;
    const bool quoted = *p == '"';
    char *stop = cut_cell(c, p, &cell);
    const char mark = *stop;
    if (mark != 0 && mark != '\n' && mark != c->comma && mark != '\r') {
      return AT_FAIL(AT_ERR_FORMAT, "%s: line %lld, byte %lld: something stands behind a quoted text", c->path,
                     (long long)line, (long long)(stop - text->data));
    }
    if (mark == '\r') {
      *stop++ = 0;
    }
    const char ends = *stop;
    const bool is_empty_line = in_line == 0 && !quoted && ends != c->comma && *trim(p, stop) == 0;
    if (!is_empty_line) {
      AT_TRY(add(c, quoted ? cell : trim(p, stop)));
      in_line++;
    }
    p = stop + 1;
    if (ends == c->comma) {
      continue;
    }
    if (in_line > 0 && c->columns == 0) {
      c->columns = in_line;
    }
    if (in_line > 0 && in_line != c->columns) {
      return AT_FAIL(AT_ERR_FORMAT, "%s: line %lld, byte %lld has %lld cells, the first line %lld", c->path,
                     (long long)line, (long long)(stop - text->data), (long long)in_line, (long long)c->columns);
    }
    in_line = 0;
    line++;
  }
  return AT_OK;
}

static bool is_missing(const char *s) {
  return *s == 0 || strcmp(s, "NA") == 0 || strcmp(s, "?") == 0;
}

static bool is_number(const char *s, double *v) {
  char *end;
  *v = strtod(s, &end);
  return end != s && *end == 0;
}

static at_err fill_column(at_frame *f, const cells *c, int64_t k, bool named) {
  at_column *column = &f->column[k];
  char **text = NULL, name[32];
  bool numbers = true;
  snprintf(name, sizeof name, "V%lld", (long long)(k + 1));
  const char *own = named ? c->cell[k] : name;
  AT_TRY(at_frame_text(f, own, strlen(own), &column->name));
  AT_TRY(at_frame_take(f, (size_t)f->rows, sizeof *column->number, &column->number));
  AT_TRY(at_frame_take(f, (size_t)f->rows, sizeof *text, &text));
  for (int64_t i = 0; i < f->rows; i++) {
    char *s = c->cell[(i + named) * c->columns + k];
    const bool missing = is_missing(s);
    text[i] = missing ? NULL : s;
    column->number[i] = NAN;
    numbers = (missing || is_number(s, &column->number[i])) && numbers;
  }
  if (!numbers) {
    column->number = NULL;
    return at_frame_levels(f, column, text);
  }
  return AT_OK;
}

static at_err fill(at_frame *f, const cells *c) {
  const int64_t lines = c->columns > 0 ? c->n / c->columns : 0;
  bool named = false;
  double v;
  for (int64_t k = 0; k < c->columns && lines > 1; k++) {
    named = named || (!is_number(c->cell[k], &v) && !is_missing(c->cell[k]) && is_number(c->cell[c->columns + k], &v));
  }
  f->rows = lines - named;
  if (f->rows < 1) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: has no rows", c->path);
  }
  AT_TRY(at_frame_take(f, (size_t)c->columns, sizeof *f->column, &f->column));
  for (f->n = 0; f->n < c->columns; f->n++) {
    AT_TRY(fill_column(f, c, f->n, named));
  }
  return AT_OK;
}

/* The separator that the first line has most of. */
static char find_comma(const at_bytes *text) {
  static const char marks[] = ",;\t";
  int64_t count[3] = {0};
  for (size_t i = 0; i < text->len && text->data[i] != '\n'; i++) {
    const char *m = text->data[i] != 0 ? strchr(marks, text->data[i]) : NULL;
    if (m != NULL) {
      count[m - marks]++;
    }
  }
  return count[1] > count[0] && count[1] >= count[2] ? ';' : count[2] > count[0] ? '\t' : ',';
}

at_err at_frame_from_csv(at_frame *f, const char *path) {
  at_bytes text = {0};
  at_err err = at_text_load(path, &text);
  cells c = {.path = path};
  if (err == AT_OK && (text.len == 0 || memchr(text.data, 0, text.len) != NULL)) {
    err = AT_FAIL(AT_ERR_FORMAT, "%s: is no text", path);
  }
  if (err == AT_OK) {
    c.comma = find_comma(&text);
    err = cut(&c, &text);
  }
  if (err == AT_OK) {
    err = fill(f, &c);
  }
  at_free(c.cell);
  at_bytes_free(&text);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}
