/* SPDX-License-Identifier: BSD-3-Clause */
/* Compares files and run folders bit for bit. */
#include "src/store/diff.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/store/ckpt.h"
#include "src/store/fs.h"
#include "src/store/h5_internal.h"

typedef struct tally {
  FILE *out;
  int64_t equal, different, ignored;
  bool has_head; /* the table's first line is printed */
} tally;

/* One line of the table, for something that differs. */
static void line(tally *t, const char *path, const char *elements, const char *most) {
  if (!t->has_head) {
    fprintf(t->out, "%-44s %28s  %s\n", "dataset", "elements that differ", "largest difference");
    t->has_head = true;
  }
  fprintf(t->out, "%-44s %28s  %s\n", path, elements, most);
  t->different++;
}

/* ---- numbers ---- */

typedef struct gap {
  int64_t count; /* elements with other bits */
  double most;   /* largest |a - b|; NaN where a NaN or infinity takes part */
} gap;

static void compare_block(at_h5_type type, const char *a, const char *b, int64_t n, gap *g) {
  int64_t width = at_h5_type_bytes(type);
  for (int64_t i = 0; i < n; i++) {
    if (memcmp(a + i * width, b + i * width, (size_t)width) == 0) {
      continue;
    }
    double d = fabs(at_h5_value(type, a, i) - at_h5_value(type, b, i));
    g->most = isnan(d) || d > g->most ? d : g->most; /* once NaN, it stays: nothing is larger */
    g->count++;
  }
}

enum { BLOCK = 1 << 20 };

static at_err compare_runs(const at_h5_desc *d, hid_t a, hid_t b, char *buf, gap *g) {
  int64_t n = at_h5_count(d);
  char *second = buf + BLOCK * at_h5_type_bytes(d->type);
  for (int64_t at = 0; at < n; at += BLOCK) {
    int64_t some = n - at < BLOCK ? n - at : BLOCK;
    AT_TRY(at_h5_read_run(a, d, at, some, buf));
    AT_TRY(at_h5_read_run(b, d, at, some, second));
    compare_block(d->type, buf, second, some, g);
  }
  return AT_OK;
}

static at_err compare_numbers(tally *t, at_h5 *a, at_h5 *b, const at_h5_desc *d) {
  hid_t x = -1, y = -1;
  char *buf = NULL;
  gap g = {0};
  at_err err = at_alloc(&buf, 2 * (size_t)BLOCK, (size_t)at_h5_type_bytes(d->type), "compared numbers");
  if (err == AT_OK) {
    err = at_h5_open_dataset(a, d->path, &x);
  }
  if (err == AT_OK) {
    err = at_h5_open_dataset(b, d->path, &y);
  }
  if (err == AT_OK) {
    err = compare_runs(d, x, y, buf, &g);
  }
  at_free(buf);
  err = at_h5_drop(at_h5_drop(err, x), y);
  if (err == AT_OK && g.count > 0) {
    char elements[64], most[32];
    snprintf(elements, sizeof elements, "%lld of %lld", (long long)g.count, (long long)at_h5_count(d));
    snprintf(most, sizeof most, "%.6g", g.most);
    line(t, d->path, elements, most);
  }
  t->equal += err == AT_OK && g.count == 0;
  return err;
}

static at_err compare_text(tally *t, at_h5 *a, at_h5 *b, const char *path) {
  int64_t n = 0, m = 0, differ = 0;
  char **x = NULL, **y = NULL;
  at_err err = at_h5_read_text(a, path, &n, &x);
  if (err == AT_OK) {
    err = at_h5_read_text(b, path, &m, &y);
  }
  for (int64_t i = 0; err == AT_OK && i < n && i < m; i++) {
    differ += strcmp(x[i], y[i]) != 0;
  }
  at_free(x);
  at_free(y);
  if (err == AT_OK && differ > 0) {
    char elements[64];
    snprintf(elements, sizeof elements, "%lld of %lld", (long long)differ, (long long)n);
    line(t, path, elements, "text");
  }
  t->equal += err == AT_OK && differ == 0;
  return err;
}

/* ---- files ---- */

static bool same_shape(const at_h5_desc *a, const at_h5_desc *b) {
  bool same = a->type == b->type && a->ndims == b->ndims;
  for (int i = 0; same && i < a->ndims; i++) {
    same = a->dims[i] == b->dims[i];
  }
  return same;
}

/* Checksums of rows follow from the rows. */
static bool is_checksum(at_h5 *f, const char *path) {
  static const char suffix[] = "_crc32";
  char base[1024];
  size_t n = strlen(path), s = sizeof suffix - 1;
  if (n <= s || n >= sizeof base || strcmp(path + n - s, suffix) != 0) {
    return false;
  }
  memcpy(base, path, n - s);
  base[n - s] = '\0';
  return at_h5_exists(f, base);
}

static at_err compare_dataset(tally *t, at_h5 *a, at_h5 *b, const char *path) {
  at_h5_desc x, y;
  AT_TRY(at_h5_describe(a, path, &x));
  AT_TRY(at_h5_describe(b, path, &y));
  if (((x.flags | y.flags) & AT_H5_VOLATILE) != 0 || is_checksum(a, path)) {
    t->ignored++;
    return AT_OK;
  }
  if (!same_shape(&x, &y)) {
    char s[64], u[64], both[160];
    snprintf(both, sizeof both, "%s / %s", at_h5_shape_text(&x, s), at_h5_shape_text(&y, u));
    line(t, path, both, "shape");
    return AT_OK;
  }
  if (x.type == AT_H5_TEXT) {
    return compare_text(t, a, b, path);
  }
  if (x.type == AT_H5_OTHER) {
    fprintf(t->out, "%s: not compared: neither numbers nor text\n", path);
    t->ignored++;
    return AT_OK;
  }
  return compare_numbers(t, a, b, &x);
}

static void one_side(tally *t, at_h5 *f, const char *path) {
  char where[160];
  snprintf(where, sizeof where, "only in %.140s", at_h5_path(f));
  line(t, path, where, "-");
}

/* Both lists are sorted. */
static at_err compare_lists(tally *t, at_h5 *a, at_h5 *b, char **x, int64_t n, char **y, int64_t m) {
  int64_t i = 0, j = 0;
  while (i < n || j < m) {
    int order = i == n ? 1 : j == m ? -1 : strcmp(x[i], y[j]);
    if (order < 0) {
      one_side(t, a, x[i++]);
    } else if (order > 0) {
      one_side(t, b, y[j++]);
    } else {
      AT_TRY(compare_dataset(t, a, b, x[i]));
      i++;
      j++;
    }
  }
  return AT_OK;
}

static at_err compare_open(tally *t, at_h5 *a, at_h5 *b) {
  char **x = NULL, **y = NULL;
  int64_t n = 0, m = 0;
  at_err err = at_h5_datasets(a, &n, &x);
  if (err == AT_OK) {
    err = at_h5_datasets(b, &m, &y);
  }
  if (err == AT_OK) {
    err = compare_lists(t, a, b, x, n, y, m);
  }
  at_free(x);
  at_free(y);
  return err;
}

static at_err compare_files(tally *t, const char *a, const char *b) {
  at_h5 *f = NULL, *g = NULL;
  at_err err = at_h5_open(&f, a);
  if (err == AT_OK) {
    err = at_h5_open(&g, b);
  }
  if (err == AT_OK) {
    fprintf(t->out, "%s\n%s\n", a, b);
    t->has_head = false;
    err = compare_open(t, f, g);
  }
  at_h5_close(f);
  at_h5_close(g);
  return err;
}

/* ---- run folders ---- */

static at_err compare_in(tally *t, const char *a, const char *b, const char *name) {
  char *x = NULL, *y = NULL;
  at_err err = at_fs_path(&x, "%s/%s", a, name);
  if (err == AT_OK) {
    err = at_fs_path(&y, "%s/%s", b, name);
  }
  if (err == AT_OK) {
    bool in_a = access(x, F_OK) == 0, in_b = access(y, F_OK) == 0;
    if (in_a && in_b) {
      err = compare_files(t, x, y);
    } else if (in_a || in_b) {
      fprintf(t->out, "%s: only in %s\n", name, in_a ? a : b);
      t->different++;
    }
  }
  at_free(x);
  at_free(y);
  return err;
}

static bool holds(const int64_t *rounds, int64_t n, int64_t round) {
  for (int64_t i = 0; i < n; i++) {
    if (rounds[i] == round) {
      return true;
    }
  }
  return false;
}

static at_err compare_checkpoints(tally *t, const char *a, const char *b, const int64_t *x, int64_t n, const int64_t *y,
                                  int64_t m) {
  int64_t last_a = n > 0 ? x[n - 1] : -1, last_b = m > 0 ? y[m - 1] : -1;
  if (last_a != last_b) {
    fprintf(t->out, "newest checkpoint: round %lld in %s, round %lld in %s\n", (long long)last_a, a, (long long)last_b,
            b);
    t->different++;
  }
  for (int64_t i = 0; i < n; i++) {
    char name[64];
    if (holds(y, m, x[i])) {
      snprintf(name, sizeof name, "checkpoints/%06lld.h5", (long long)x[i]);
      AT_TRY(compare_in(t, a, b, name));
    }
  }
  return AT_OK;
}

static at_err compare_runs_of(tally *t, const char *a, const char *b) {
  int64_t n = 0, m = 0, *x = NULL, *y = NULL;
  at_err err = compare_in(t, a, b, "metrics.h5");
  if (err == AT_OK) {
    err = compare_in(t, a, b, "evaluation.h5");
  }
  if (err == AT_OK) {
    err = at_ckpt_list(a, &n, &x);
  }
  if (err == AT_OK) {
    err = at_ckpt_list(b, &m, &y);
  }
  if (err == AT_OK) {
    err = compare_checkpoints(t, a, b, x, n, y, m);
  }
  at_free(x);
  at_free(y);
  return err;
}

static bool is_folder(const char *path) {
  struct stat s;
  return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

at_err at_diff(const char *a, const char *b, FILE *out) {
  tally t = {.out = out};
  if (is_folder(a) != is_folder(b) && access(a, F_OK) == 0 && access(b, F_OK) == 0) {
    return AT_FAIL(AT_ERR_ARG, "%s and %s: give two files or two run folders", a, b);
  }
  AT_TRY(is_folder(a) ? compare_runs_of(&t, a, b) : compare_files(&t, a, b));
  fprintf(out, "equal: %lld, different: %lld, not compared (times, checksums): %lld\n", (long long)t.equal,
          (long long)t.different, (long long)t.ignored);
  if (t.different > 0) {
    return AT_FAIL(AT_ERR_DIFFERENT, "%s and %s differ in %lld places", a, b, (long long)t.different);
  }
  if (t.equal == 0) {
    return AT_FAIL(AT_ERR_FORMAT, "%s and %s hold nothing that could be compared", a, b);
  }
  return AT_OK;
}
