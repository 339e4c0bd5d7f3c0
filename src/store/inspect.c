/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints what an HDF5 file holds. */
#include "src/store/inspect.h"

#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/store/fs.h"
#include "src/store/h5_internal.h"

/* Of a group of more than MANY members (clients), only the first FEW groups are listed; its datasets always are. */
enum { MANY = 100, FEW = 5, BLOCK = 1 << 18 };

/* ---- numbers ---- */

typedef struct summary {
  int64_t n, other; /* finite numbers; NaN and infinities */
  double least, most, sum;
} summary;

static void add_block(at_h5_type type, const void *data, int64_t n, summary *s) {
  for (int64_t i = 0; i < n; i++) {
    double v = at_h5_value(type, data, i);
    if (!isfinite(v)) {
      s->other++;
      continue;
    }
    s->least = s->n == 0 || v < s->least ? v : s->least;
    s->most = s->n == 0 || v > s->most ? v : s->most;
    s->sum += v;
    s->n++;
  }
}

static at_err summarise(hid_t dataset, const at_h5_desc *d, summary *s) {
  void *buf = NULL;
  int64_t n = at_h5_count(d);
  *s = (summary){0};
  AT_TRY(at_alloc(&buf, BLOCK, (size_t)at_h5_type_bytes(d->type), "inspected numbers"));
  at_err err = AT_OK;
  for (int64_t at = 0; at < n && err == AT_OK; at += BLOCK) {
    int64_t some = n - at < BLOCK ? n - at : BLOCK;
    err = at_h5_read_run(dataset, d, at, some, buf);
    if (err == AT_OK) {
      add_block(d->type, buf, some, s);
    }
  }
  at_free(buf);
  return err;
}

static void print_summary(FILE *out, const at_h5_desc *d, const summary *s) {
  if (s->n == 0) {
    fprintf(out, " %12s %12s %12s", "-", "-", "-");
  } else if (d->ndims == 0) {
    fprintf(out, " %12.6g %12s %12s", s->least, "", "");
  } else {
    fprintf(out, " %12.6g %12.6g %12.6g", s->least, s->most, s->sum / (double)s->n);
  }
  fprintf(out, " %9lld", (long long)s->other);
}

/* The text attribute, or "" where it has none, or one of another kind. */
static at_err text_of(at_h5 *f, const char *path, const char *name, char **text) {
  at_err err = at_h5_get_attr_text(f, path, name, text);
  return err == AT_ERR_FORMAT ? at_strdup(text, "") : err;
}

static at_err print_dataset(at_h5 *f, const char *path, hid_t dataset, FILE *out) {
  at_h5_desc d;
  summary s = {0};
  char *units = NULL, *description = NULL;
  char shape[64];
  at_err err = at_h5_describe_id(f, path, dataset, &d);
  if (err == AT_OK && at_h5_type_bytes(d.type) > 0) {
    err = summarise(dataset, &d, &s);
  }
  if (err == AT_OK) {
    err = text_of(f, path, AT_H5_ATTR_UNITS, &units);
  }
  if (err == AT_OK) {
    err = text_of(f, path, AT_H5_ATTR_DESCRIPTION, &description);
  }
  if (err == AT_OK) {
    fprintf(out, "%-36s %-16s %-8s", path, at_h5_shape_text(&d, shape), units);
    print_summary(out, &d, &s);
    fprintf(out, "  %s\n", description);
  }
  at_free(units);
  at_free(description);
  return err;
}

/* ---- attributes ---- */

static herr_t count_name(hid_t object, const char *name, const H5A_info_t *info, void *data) {
  (void)object;
  (void)info;
  return at_h5_name_add(data, name);
}

static void print_text(FILE *out, const char *name, const char *text) {
  const char *end = strchr(text, '\n');
  if (end == NULL || end[1] == '\0') {
    fprintf(out, "  %-22s %.*s\n", name, end == NULL ? (int)strlen(text) : (int)(end - text), text);
    return;
  }
  fprintf(out, "  %s\n", name);
  while (*text != '\0') {
    int n = (int)strcspn(text, "\n");
    fprintf(out, "      %.*s\n", n, text);
    text += n + (text[n] == '\n');
  }
}

static at_err print_attribute(at_h5 *f, const char *object, hid_t id, const char *name, FILE *out) {
  hid_t attr = H5Aopen(id, name, H5P_DEFAULT);
  hid_t type = attr < 0 ? -1 : H5Aget_type(attr);
  hid_t space = attr < 0 ? -1 : H5Aget_space(attr);
  at_err err = AT_OK;
  bool found = false;
  H5T_class_t kind = type < 0 ? H5T_NO_CLASS : H5Tget_class(type);
  if (space < 0) {
    err = AT_H5_FAIL("%s: opening the attribute %s of %s", f->path, name, object);
  } else if (H5Sget_simple_extent_npoints(space) != 1) {
    fprintf(out, "  %-22s (several values)\n", name);
  } else if (kind == H5T_STRING) {
    char *text = NULL;
    err = at_h5_get_attr_text(f, object, name, &text);
    if (err == AT_OK) {
      print_text(out, name, text);
    }
    at_free(text);
  } else if (kind == H5T_INTEGER) {
    int64_t value = 0;
    err = at_h5_find_attr(id, name, AT_H5_I64, &value, &found);
    fprintf(out, "  %-22s %lld\n", name, (long long)value);
  } else if (kind == H5T_FLOAT) {
    double value = 0;
    err = at_h5_find_attr(id, name, AT_H5_F64, &value, &found);
    fprintf(out, "  %-22s %.17g\n", name, value);
  }
  return at_h5_drop(at_h5_drop(at_h5_drop(err, type), space), attr);
}

/* The attributes of a group, under its name. */
static at_err print_attributes(at_h5 *f, const char *path, hid_t group, FILE *out) {
  at_h5_names c = {0};
  char **names = NULL;
  int64_t n = 0;
  if (H5Aiterate2(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, count_name, &c) < 0) {
    at_err err = c.err != AT_OK ? c.err : AT_H5_FAIL("%s: listing the attributes of %s", f->path, path);
    at_free(c.text);
    return err;
  }
  at_err err = at_h5_names_sorted(&c, &n, &names);
  if (err == AT_OK && n > 0) {
    fprintf(out, "%s\n", path);
  }
  for (int64_t i = 0; i < n && err == AT_OK; i++) {
    err = print_attribute(f, path, group, names[i], out);
  }
  at_free(names);
  return err;
}

/* ---- the walk ---- */

static at_err walk(at_h5 *f, const char *path, FILE *out, bool attributes);

static at_err visit(at_h5 *f, const char *path, FILE *out, bool attributes) {
  hid_t id = H5Oopen(f->id, path, H5P_DEFAULT);
  if (id < 0) {
    return AT_H5_FAIL("%s: opening %s", f->path, path);
  }
  at_err err = AT_OK;
  H5I_type_t kind = H5Iget_type(id);
  if (kind == H5I_GROUP) {
    err = attributes ? print_attributes(f, path, id, out) : AT_OK;
    err = at_h5_drop(err, id);
    return err == AT_OK ? walk(f, path, out, attributes) : err;
  }
  if (kind == H5I_DATASET && !attributes) {
    err = print_dataset(f, path, id, out);
  }
  return at_h5_drop(err, id);
}

static bool is_group(at_h5 *f, const char *path) {
  H5O_info_t info;
  return H5Oget_info_by_name2(f->id, path, &info, H5O_INFO_BASIC, H5P_DEFAULT) >= 0 && info.type == H5O_TYPE_GROUP;
}

/* The members of a group: datasets on one pass, attributes of groups on another. */
static at_err walk(at_h5 *f, const char *path, FILE *out, bool attributes) {
  int64_t n = 0, groups = 0;
  char **names = NULL;
  AT_TRY(at_h5_list(f, path, &n, &names));
  at_err err = AT_OK;
  for (int64_t i = 0; i < n && err == AT_OK; i++) {
    char *member = NULL;
    err = at_fs_path(&member, "%s/%s", strcmp(path, "/") == 0 ? "" : path, names[i]);
    if (err == AT_OK) {
      groups += is_group(f, member);
      bool is_shown = n <= MANY || groups <= FEW || !is_group(f, member);
      err = is_shown ? visit(f, member, out, attributes) : AT_OK;
    }
    at_free(member);
  }
  if (n > MANY && groups > FEW && !attributes) {
    fprintf(out, "%s: and %lld more groups\n", path, (long long)(groups - FEW));
  }
  at_free(names);
  return err;
}

at_err at_inspect(const char *path, FILE *out) {
  at_h5 *f = NULL;
  AT_TRY(at_h5_open(&f, path));
  fprintf(out, "%s\n\n", path);
  fprintf(out, "%-36s %-16s %-8s %12s %12s %12s %9s  %s\n", "dataset", "type", "units", "smallest", "largest", "mean",
          "nonfinite", "description");
  at_err err = walk(f, "/", out, false);
  if (err == AT_OK) {
    fprintf(out, "\nattributes\n");
    err = visit(f, "/", out, true);
  }
  at_h5_close(f);
  return err;
}
