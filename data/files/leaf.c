/* SPDX-License-Identifier: BSD-3-Clause */
/* The JSON files of LEAF (Caldas et al. 2018): {"users": [...], "user_data": {USER: {"x": [...], "y": [...]}}, ...}.
 *
 * x holds lists of numbers (FEMNIST) or texts of one length (Shakespeare), whose bytes become numbers; y holds numbers, or texts
 * whose first byte is the class.  Users become clients. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/files/files.h"
#include "data/files/json.h"
#include "data/text/inflate.h"
#include "src/base/alloc.h"

enum { PIXELS = 784, BYTES = 256, LABELS_MAX = 1 << 20 };

typedef struct user {
  char name[AT_CLIENT_NAME_MAX];
  size_t at; /* of the data in the text of its file */
  int64_t file;
} user;

typedef struct leaf {
  at_bytes *text; /* [n_files]: those of path, then those of test */
  int64_t n_files, n_train;
  user *item; /* sorted by name, then file; a unit is a name */
  int64_t n, cap;
  int64_t *unit; /* [n_units + 1]: first item */
} leaf;

static const char *path_of(const at_file_set *set, int64_t file) {
  const int64_t n = set->cfg->path.count;
  return file < n ? set->cfg->path.item[file] : set->cfg->test.item[file - n];
}

static at_json cursor(const at_file_set *set, int64_t file, size_t at) {
  const leaf *l = set->data;
  return (at_json){.path = path_of(set, file), .text = l->text[file].data, .len = l->text[file].len, .at = at};
}

static at_err note_users(leaf *l, at_json *j, int64_t file) {
  at_bytes name = {0};
  bool more;
  at_err err = at_json_enter(j, '{', &more);
  while (err == AT_OK && more) {
    if ((err = at_json_key(j, &name)) != AT_OK) {
      break;
    }
    if (l->n == l->cap) {
      l->cap = l->cap < 64 ? 64 : 2 * l->cap;
      if ((err = at_realloc(&l->item, (size_t)l->cap, sizeof *l->item, "users")) != AT_OK) {
        break;
      }
    }
    user *u = &l->item[l->n++];
    *u = (user){.at = j->at, .file = file};
    snprintf(u->name, sizeof u->name, "%s", name.data != NULL ? name.data : "");
    err = at_json_skip(j);
    if (err == AT_OK) {
      err = at_json_next(j, '}', &more);
    }
  }
  at_bytes_free(&name);
  return err;
}

static at_err index_file(at_file_set *set, int64_t file) {
  leaf *l = set->data;
  AT_TRY(at_text_load(path_of(set, file), &l->text[file]));
  at_json j = cursor(set, file, 0);
  at_bytes key = {0};
  bool more, found = false;
  at_err err = at_json_enter(&j, '{', &more);
  while (err == AT_OK && more) {
    err = at_json_key(&j, &key);
    if (err == AT_OK && strcmp(key.data != NULL ? key.data : "", "user_data") == 0) {
      found = true;
      err = note_users(l, &j, file);
    } else if (err == AT_OK) {
      err = at_json_skip(&j);
    }
    if (err == AT_OK) {
      err = at_json_next(&j, '}', &more);
    }
  }
  at_bytes_free(&key);
  return err == AT_OK && !found ? AT_FAIL(AT_ERR_FORMAT, "%s: has no user_data, as LEAF's files do", j.path) : err;
}

static int by_name(const void *a, const void *b) {
  const user *x = a, *y = b;
  const int order = strcmp(x->name, y->name);
  return order != 0 ? order : (x->file > y->file) - (x->file < y->file);
}

/* A list of numbers, or the bytes of a text, into x (replaced). */
static at_err read_input(at_json *j, at_bytes *text, at_bytes *x) {
  at_bytes_clear(x);
  if (at_json_peek(j) == '"') {
    AT_TRY(at_json_string(j, text));
    for (size_t i = 0; i < text->len; i++) {
      const float v = (unsigned char)text->data[i];
      at_bytes_put(x, &v, sizeof v);
    }
    return x->err;
  }
  if (at_json_peek(j) != '[') {
    double v;
    AT_TRY(at_json_number(j, &v));
    const float f = (float)v;
    at_bytes_put(x, &f, sizeof f);
    return x->err;
  }
  bool more;
  AT_TRY(at_json_enter(j, '[', &more));
  while (more) {
    double v;
    AT_TRY(at_json_number(j, &v));
    const float f = (float)v;
    at_bytes_put(x, &f, sizeof f);
    AT_TRY(at_json_next(j, ']', &more));
  }
  return x->err;
}

static at_err read_label(at_json *j, at_bytes *text, int32_t *label) {
  double v = 0;
  if (at_json_peek(j) == '"') {
    AT_TRY(at_json_string(j, text));
    *label = text->len > 0 ? (unsigned char)text->data[0] : 0;
    return AT_OK;
  }
  AT_TRY(at_json_number(j, &v));
  if (v < 0 || v >= LABELS_MAX || v != floor(v)) {
    return at_json_fail(j, "before it a label, a whole number from 0");
  }
  *label = (int32_t)v;
  return AT_OK;
}

typedef struct reading {
  at_bytes text, key, x, *xs, *ys; /* xs: inputs in a row; ys: labels */
  int64_t width;                   /* numbers per input, 0: not known yet */
} reading;

static at_err read_list(at_json *j, reading *r, bool labels) {
  bool more;
  AT_TRY(at_json_enter(j, '[', &more));
  while (more) {
    if (labels) {
      int32_t label = 0;
      AT_TRY(read_label(j, &r->text, &label));
      at_bytes_put(r->ys, &label, sizeof label);
    } else {
      AT_TRY(read_input(j, &r->text, &r->x));
      const int64_t width = (int64_t)(r->x.len / sizeof(float));
      r->width = r->width == 0 ? width : r->width;
      if (width != r->width || width == 0) {
        return at_json_fail(j, "before it an input as long as the first one");
      }
      at_bytes_put(r->xs, r->x.data, r->x.len);
    }
    AT_TRY(at_json_next(j, ']', &more));
  }
  return labels ? r->ys->err : r->xs->err;
}

static at_err read_user(at_json *j, reading *r) {
  bool more;
  AT_TRY(at_json_enter(j, '{', &more));
  while (more) {
    AT_TRY(at_json_key(j, &r->key));
    const char *key = r->key.data != NULL ? r->key.data : "";
    if (strcmp(key, "x") == 0 || strcmp(key, "y") == 0) {
      AT_TRY(read_list(j, r, key[0] == 'y'));
    } else {
      AT_TRY(at_json_skip(j));
    }
    AT_TRY(at_json_next(j, '}', &more));
  }
  return AT_OK;
}

static void free_reading(reading *r) {
  at_bytes_free(&r->text);
  at_bytes_free(&r->key);
  at_bytes_free(&r->x);
}

/* The width of inputs from the first user, the number of classes from all. */
static at_err survey(at_file_set *set) {
  leaf *l = set->data;
  at_bytes xs = {0}, ys = {0};
  reading r = {.xs = &xs, .ys = &ys};
  at_err err = AT_OK;
  for (int64_t i = 0; err == AT_OK && i < l->n; i++) {
    at_json j = cursor(set, l->item[i].file, l->item[i].at);
    at_bytes_clear(&xs);
    at_bytes_clear(&ys);
    err = read_user(&j, &r);
    for (size_t k = 0; err == AT_OK && k < ys.len / sizeof(int32_t); k++) {
      const int32_t label = ((const int32_t *)(const void *)ys.data)[k];
      set->classes = label >= set->classes ? label + 1 : set->classes;
    }
  }
  const bool image = r.width == PIXELS;
  set->field[0] = (at_field){.name = image ? "pixels" : "x",
                             .type = AT_H5_F32,
                             .ndims = image ? 2 : 1,
                             .dims = {image ? 28 : r.width, image ? 28 : 0},
                             .units = "1",
                             .description = "Inputs as in LEAF's files."};
  free_reading(&r);
  at_bytes_free(&xs);
  at_bytes_free(&ys);
  return err;
}

at_err at_leaf_open(at_file_set *set) {
  leaf *l;
  AT_TRY(at_alloc(&l, 1, sizeof *l, "LEAF files"));
  set->data = l;
  l->n_train = set->cfg->path.count;
  l->n_files = l->n_train + set->cfg->test.count;
  AT_TRY(at_alloc(&l->text, (size_t)l->n_files, sizeof *l->text, "LEAF files"));
  for (int64_t f = 0; f < l->n_files; f++) {
    AT_TRY(index_file(set, f));
  }
  if (l->n == 0) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: its user_data is empty: there is no client", path_of(set, 0));
  }
  qsort(l->item, (size_t)l->n, sizeof *l->item, by_name);
  AT_TRY(at_alloc(&l->unit, (size_t)l->n + 1, sizeof *l->unit, "users"));
  for (int64_t i = 0; i < l->n; i++) {
    if (i == 0 || strcmp(l->item[i].name, l->item[i - 1].name) != 0) {
      l->unit[set->n_units++] = i;
    }
  }
  l->unit[set->n_units] = l->n;
  return survey(set);
}

at_err at_leaf_make(void *context, int64_t unit, at_block *out) {
  at_file_set *set = context;
  const leaf *l = set->data;
  const int64_t width = at_field_bytes(&set->field[0]);
  at_bytes xs = {0}, ys = {0};
  reading r = {.xs = &xs, .ys = &ys, .width = at_field_count(&set->field[0])};
  at_err err = AT_OK;
  int64_t number = 0;
  at_block_name(out, "%s", l->item[l->unit[unit]].name);
  for (int64_t i = l->unit[unit]; err == AT_OK && i < l->unit[unit + 1]; i++) {
    at_json j = cursor(set, l->item[i].file, l->item[i].at);
    at_bytes_clear(&xs);
    at_bytes_clear(&ys);
    err = read_user(&j, &r);
    const int64_t n = (int64_t)xs.len / width;
    if (err == AT_OK && n != (int64_t)(ys.len / sizeof(int32_t))) {
      err = AT_FAIL(AT_ERR_FORMAT, "%s: user %s has %lld inputs but %zu labels", j.path, out->name, (long long)n,
                    ys.len / sizeof(int32_t));
    }
    for (int64_t k = 0; err == AT_OK && k < n; k++) {
      const bool tested = l->item[i].file >= l->n_train;
      at_block_put_labelled(out, tested ? AT_SPLIT_TEST : at_file_split(set, out->name, number++), xs.data + k * width,
                            ((const int32_t *)(const void *)ys.data)[k]);
    }
  }
  free_reading(&r);
  at_bytes_free(&xs);
  at_bytes_free(&ys);
  return err;
}

void at_leaf_close(at_file_set *set) {
  leaf *l = set->data;
  if (l != NULL) {
    for (int64_t f = 0; l->text != NULL && f < l->n_files; f++) {
      at_bytes_free(&l->text[f]);
    }
    at_free(l->text);
    at_free(l->item);
    at_free(l->unit);
    at_free(l);
  }
}
