/* SPDX-License-Identifier: BSD-3-Clause */
/* Names: of members, of datasets; strings as datasets; dimension scales. */
#include <hdf5_hl.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "src/base/alloc.h"
#include "src/store/h5_internal.h"

/* ---- many strings in one block: pointers, then characters ---- */

/* s[n] with room for `bytes` characters (terminators included); s[0] points to where they go. */
static at_err block_alloc(char ***out, int64_t n, int64_t bytes) {
  size_t pointers = (size_t)n * sizeof(char *);
  AT_TRY(at_alloc(out, pointers + (size_t)bytes, 1, "names"));
  if (n > 0) {
    (*out)[0] = (char *)*out + pointers;
  }
  return AT_OK;
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static herr_t add_name(at_h5_names *c, const char *prefix, const char *name) {
  int64_t need = (int64_t)(strlen(prefix) + strlen(name) + 1);
  if (c->used + need > c->room) {
    c->room = 2 * (c->used + need) + 4096;
    c->err = at_realloc(&c->text, (size_t)c->room, 1, "names");
  }
  if (c->err != AT_OK) {
    return -1;
  }
  snprintf(c->text + c->used, (size_t)need, "%s%s", prefix, name);
  c->used += need;
  c->n++;
  return 0;
}

herr_t at_h5_name_add(at_h5_names *c, const char *name) {
  return add_name(c, "", name);
}

at_err at_h5_names_sorted(at_h5_names *c, int64_t *n, char ***out) {
  at_err err = block_alloc(out, c->n, c->used);
  if (err == AT_OK && c->n > 0) {
    char *at = (*out)[0];
    memcpy(at, c->text, (size_t)c->used);
    for (int64_t i = 0; i < c->n; i++) {
      (*out)[i] = at;
      at += strlen(at) + 1;
    }
    qsort(*out, (size_t)c->n, sizeof **out, by_bytes);
  }
  *n = err == AT_OK ? c->n : 0;
  at_free(c->text);
  *c = (at_h5_names){0};
  return err;
}

static herr_t on_link(hid_t group, const char *name, const H5L_info_t *info, void *data) {
  (void)group;
  (void)info;
  return add_name(data, "", name);
}

at_err at_h5_list(at_h5 *f, const char *group, int64_t *n, char ***out) {
  at_h5_names c = {0};
  *n = 0;
  *out = NULL;
  hid_t id = H5Gopen2(f->id, group, H5P_DEFAULT);
  if (id < 0) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: has no group %s", f->path, group);
  }
  at_err err = AT_OK;
  if (H5Literate(id, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, on_link, &c) < 0) {
    err = c.err != AT_OK ? c.err : AT_H5_FAIL("%s: listing %s", f->path, group);
  }
  err = at_h5_drop(err, id);
  if (err != AT_OK) {
    at_free(c.text);
    return err;
  }
  return at_h5_names_sorted(&c, n, out);
}

static herr_t on_object(hid_t file, const char *name, const H5O_info_t *info, void *data) {
  (void)file;
  return info->type == H5O_TYPE_DATASET ? add_name(data, "/", name) : 0;
}

at_err at_h5_datasets(at_h5 *f, int64_t *n, char ***out) {
  at_h5_names c = {0};
  *n = 0;
  *out = NULL;
  if (H5Ovisit2(f->id, H5_INDEX_NAME, H5_ITER_NATIVE, on_object, &c, H5O_INFO_BASIC) < 0) {
    at_err err = c.err != AT_OK ? c.err : AT_H5_FAIL("%s: walking through its objects", f->path);
    at_free(c.text);
    return err == AT_ERR_HDF5 ? AT_FAIL(AT_ERR_FORMAT, "%s", at_err_message()) : err;
  }
  return at_h5_names_sorted(&c, n, out);
}

/* ---- strings as a dataset: fixed length, so that they can have a checksum ---- */

static at_err write_cells(at_h5 *f, const char *path, int64_t n, size_t length, const char *cells, hid_t *dataset) {
  hid_t type = -1;
  hsize_t dims[1] = {(hsize_t)n};
  hid_t space = H5Screate_simple(1, dims, NULL);
  uint32_t crc = (uint32_t)crc32_z(0, (const unsigned char *)cells, (size_t)n * length);
  at_err err = space < 0 ? AT_H5_FAIL("%s: the shape of %s", f->path, path) : at_h5_text_type(length, &type);
  if (err == AT_OK) {
    err = at_h5_create_dataset(f->id, path, type, space, AT_H5_LATE, dataset);
  }
  if (err == AT_OK && H5Dwrite(*dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, cells) < 0) {
    err = AT_H5_FAIL("%s: writing %s", f->path, path);
  }
  if (err == AT_OK) {
    err = at_h5_put_attr(*dataset, AT_H5_ATTR_CRC, AT_H5_U32, &crc);
  }
  return at_h5_drop(at_h5_drop(err, type), space);
}

at_err at_h5_write_text(at_h5 *f, const char *path, int64_t n, const char *const *s, const char *units,
                        const char *description) {
  size_t length = 1;
  char *cells = NULL;
  hid_t dataset = -1;
  for (int64_t i = 0; i < n; i++) {
    length = strlen(s[i]) > length ? strlen(s[i]) : length;
  }
  AT_TRY(at_h5_wrote(f, at_alloc(&cells, (size_t)n, length, "text dataset")));
  for (int64_t i = 0; i < n; i++) {
    memcpy(cells + (size_t)i * length, s[i], strlen(s[i]));
  }
  at_err err = write_cells(f, path, n, length, cells, &dataset);
  if (err == AT_OK) {
    err = at_h5_put_attr_text(dataset, AT_H5_ATTR_UNITS, units);
  }
  if (err == AT_OK) {
    err = at_h5_put_attr_text(dataset, AT_H5_ATTR_DESCRIPTION, description);
  }
  at_free(cells);
  return at_h5_wrote(f, at_h5_drop(err, dataset));
}

static at_err read_fixed(at_h5 *f, const char *path, hid_t dataset, hid_t type, int64_t n, char ***s) {
  size_t length = H5Tget_size(type);
  char *cells = NULL;
  AT_TRY(at_alloc(&cells, (size_t)n, length, "text dataset"));
  at_err err = block_alloc(s, n, n * ((int64_t)length + 1));
  if (err == AT_OK && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, cells) < 0) {
    err = AT_H5_FAIL("%s: reading %s", f->path, path);
  }
  uint32_t crc = 0;
  bool has_crc = false;
  if (err == AT_OK) {
    err = at_h5_find_attr(dataset, AT_H5_ATTR_CRC, AT_H5_U32, &crc, &has_crc);
  }
  if (err == AT_OK && has_crc && crc != crc32_z(0, (unsigned char *)cells, (size_t)n * length)) {
    err = AT_FAIL(AT_ERR_FORMAT, "%s: %s is damaged: its checksum does not fit", f->path, path);
  }
  for (int64_t i = 0; err == AT_OK && i < n; i++) {
    (*s)[i] = (*s)[0] + i * ((int64_t)length + 1);
    memcpy((*s)[i], cells + (size_t)i * length, length);
  }
  at_free(cells);
  return err;
}

/* Strings of other programs: each in memory of HDF5's, given back here. */
static at_err read_variable(at_h5 *f, const char *path, hid_t dataset, hid_t type, int64_t n, char ***s) {
  char **cells = NULL;
  AT_TRY(at_alloc(&cells, (size_t)n, sizeof *cells, "text dataset"));
  hid_t space = H5Dget_space(dataset);
  at_err err = AT_OK;
  if (space < 0 || H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, cells) < 0) {
    err = AT_H5_FAIL("%s: reading %s", f->path, path);
  } else {
    int64_t bytes = 0;
    for (int64_t i = 0; i < n; i++) {
      bytes += cells[i] != NULL ? (int64_t)strlen(cells[i]) + 1 : 1;
    }
    err = block_alloc(s, n, bytes);
    char *at = err == AT_OK && n > 0 ? (*s)[0] : NULL;
    for (int64_t i = 0; err == AT_OK && i < n; i++) {
      size_t length = cells[i] != NULL ? strlen(cells[i]) : 0;
      (*s)[i] = at;
      memcpy(at, cells[i] != NULL ? cells[i] : "", length);
      at += length + 1;
    }
    if (H5Dvlen_reclaim(type, space, H5P_DEFAULT, cells) < 0 && err == AT_OK) {
      err = AT_H5_FAIL("%s: reading %s", f->path, path);
    }
  }
  at_free(cells);
  return at_h5_drop(err, space);
}

at_err at_h5_read_text(at_h5 *f, const char *path, int64_t *n, char ***s) {
  hid_t dataset = -1;
  at_h5_desc d;
  *n = 0;
  *s = NULL;
  AT_TRY(at_h5_open_dataset(f, path, &dataset));
  hid_t type = H5Dget_type(dataset);
  at_err err = at_h5_describe_id(f, path, dataset, &d);
  if (err == AT_OK && d.type != AT_H5_TEXT) {
    err = AT_FAIL(AT_ERR_FORMAT, "%s: %s holds numbers, text was expected", f->path, path);
  }
  if (err == AT_OK) {
    int64_t cells = at_h5_count(&d);
    err = H5Tis_variable_str(type) > 0 ? read_variable(f, path, dataset, type, cells, s)
                                       : read_fixed(f, path, dataset, type, cells, s);
    *n = err == AT_OK ? cells : 0;
  }
  if (err != AT_OK) {
    at_free(*s);
    *s = NULL;
  }
  return at_h5_drop(at_h5_drop(err, type), dataset);
}

/* ---- dimension scales ---- */

static at_err attach(at_h5 *f, hid_t dataset, int axis, hid_t scale, const char *name) {
  htri_t is_scale = H5DSis_scale(scale);
  if (is_scale == 0 && H5DSset_scale(scale, name) < 0) {
    return AT_H5_FAIL("%s: making %s a dimension scale", f->path, name);
  }
  if (is_scale < 0 || H5DSattach_scale(dataset, scale, (unsigned)axis) < 0 ||
      H5DSset_label(dataset, (unsigned)axis, name) < 0) {
    return AT_H5_FAIL("%s: attaching the scale %s", f->path, name);
  }
  return AT_OK;
}

at_err at_h5_set_scale(at_h5 *f, const char *dataset, int axis, const char *scale) {
  hid_t d = -1;
  hid_t s = -1;
  at_err err = at_h5_open_dataset(f, dataset, &d);
  if (err == AT_OK) {
    err = at_h5_open_dataset(f, scale, &s);
  }
  if (err == AT_OK) {
    const char *slash = strrchr(scale, '/');
    err = attach(f, d, axis, s, slash != NULL ? slash + 1 : scale);
  }
  return at_h5_wrote(f, at_h5_drop(at_h5_drop(err, s), d));
}
