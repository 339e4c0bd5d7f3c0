/* SPDX-License-Identifier: BSD-3-Clause */
/* Datasets: whole, by rows, by runs of elements, as text; with their checksums. */
#include <string.h>
#include <zlib.h>

#include "src/base/alloc.h"
#include "src/store/h5_internal.h"

int at_h5_look(at_h5 *f, const char *path) {
  /* Every step of the path must be there before HDF5 may be asked for the next. */
  char part[1024];
  size_t n = strlen(path);
  if (n >= sizeof part) {
    return 0;
  }
  for (size_t i = 2; i <= n; i++) {
    if (path[i] == '/' || path[i] == '\0') {
      memcpy(part, path, i);
      part[i] = '\0';
      htri_t there = H5Lexists(f->id, part, H5P_DEFAULT);
      if (there <= 0) {
        return there < 0 ? -1 : 0;
      }
    }
  }
  return 1;
}

bool at_h5_exists(at_h5 *f, const char *path) {
  return at_h5_look(f, path) > 0;
}

/* ---- making ---- */

static at_err make_space(const at_h5_desc *d, at_h5_storage how, hid_t *space) {
  hsize_t dims[AT_H5_MAXDIMS] = {0};
  for (int i = 0; i < d->ndims; i++) {
    dims[i] = (hsize_t)d->dims[i];
  }
  hsize_t most[AT_H5_MAXDIMS];
  memcpy(most, dims, sizeof most);
  most[0] = how == AT_H5_GROWING ? H5S_UNLIMITED : dims[0];
  *space = d->ndims == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(d->ndims, dims, most);
  return *space < 0 ? AT_H5_FAIL("the shape of %s", d->path) : AT_OK;
}

static at_err make_group(hid_t file, const char *path) {
  htri_t there = H5Lexists(file, path, H5P_DEFAULT);
  if (there > 0) {
    return AT_OK;
  }
  hid_t gcpl = H5Pcreate(H5P_GROUP_CREATE);
  hid_t group = -1;
  at_err err = AT_OK;
  if (there == 0 && gcpl >= 0 && H5Pset_obj_track_times(gcpl, false) >= 0) {
    group = H5Gcreate2(file, path, H5P_DEFAULT, gcpl, H5P_DEFAULT);
  }
  if (group < 0) {
    err = AT_H5_FAIL("making the group %s", path);
  }
  return at_h5_drop(at_h5_drop(err, group), gcpl);
}

at_err at_h5_make_groups(hid_t file, const char *path, bool itself) {
  char part[1024];
  size_t n = strlen(path);
  if (n >= sizeof part) {
    return AT_FAIL(AT_ERR_ARG, "a path of %zu characters in a file: at most %zu are possible", n, sizeof part - 1);
  }
  for (size_t i = 2; i <= n; i++) {
    if (path[i] == '/' || (itself && path[i] == '\0')) {
      memcpy(part, path, i);
      part[i] = '\0';
      AT_TRY(make_group(file, part));
    }
  }
  return AT_OK;
}

/* Chunks of some rows, zeros where there are none yet. */
static herr_t set_chunks(hid_t dcpl, hid_t space) {
  enum { ROWS = 64 };
  hsize_t dims[AT_H5_MAXDIMS];
  int nd = H5Sget_simple_extent_dims(space, dims, NULL);
  dims[0] = ROWS;
  return nd < 1 ? -1 : H5Pset_chunk(dcpl, nd, dims);
}

/* Without times; in one piece and never filled, unless it grows. */
static at_err make_creation(at_h5_storage how, hid_t space, hid_t *dcpl) {
  *dcpl = H5Pcreate(H5P_DATASET_CREATE);
  herr_t code = *dcpl < 0 ? -1 : H5Pset_obj_track_times(*dcpl, false);
  if (code >= 0 && how == AT_H5_GROWING) {
    code = set_chunks(*dcpl, space);
  } else if (code >= 0) {
    code = H5Pset_alloc_time(*dcpl, how == AT_H5_EARLY ? H5D_ALLOC_TIME_EARLY : H5D_ALLOC_TIME_LATE);
    code = code >= 0 ? H5Pset_fill_time(*dcpl, H5D_FILL_TIME_NEVER) : code;
  }
  return code < 0 ? AT_H5_FAIL("making a property list") : AT_OK;
}

at_err at_h5_create_dataset(hid_t file, const char *path, hid_t type, hid_t space, at_h5_storage how, hid_t *out) {
  hid_t dcpl = -1;
  *out = -1;
  AT_TRY(at_h5_make_groups(file, path, false));
  at_err err = make_creation(how, space, &dcpl);
  if (err == AT_OK) {
    *out = H5Dcreate2(file, path, type, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    err = *out < 0 ? AT_H5_FAIL("making the dataset %s", path) : AT_OK;
  }
  return at_h5_drop(err, dcpl);
}

static at_err put_texts(hid_t dataset, const at_h5_desc *d) {
  AT_TRY(at_h5_put_attr_text(dataset, AT_H5_ATTR_UNITS, d->units != NULL ? d->units : "1"));
  AT_TRY(at_h5_put_attr_text(dataset, AT_H5_ATTR_DESCRIPTION, d->description != NULL ? d->description : ""));
  int32_t yes = 1;
  return (d->flags & AT_H5_VOLATILE) != 0 ? at_h5_put_attr(dataset, AT_H5_ATTR_VOLATILE, AT_H5_I32, &yes) : AT_OK;
}

static at_err check_desc(const at_h5_desc *d) {
  if (d->path == NULL || d->path[0] != '/' || d->ndims < 0 || d->ndims > AT_H5_MAXDIMS ||
      at_h5_type_bytes(d->type) == 0) {
    return AT_FAIL(AT_ERR_ARG, "%s: a dataset needs an absolute path, a number type and 0 to %d dimensions",
                   d->path != NULL ? d->path : "(no path)", AT_H5_MAXDIMS);
  }
  for (int i = 0; i < d->ndims; i++) {
    if (d->dims[i] < 0) {
      return AT_FAIL(AT_ERR_ARG, "%s: dimension %d is %lld", d->path, i, (long long)d->dims[i]);
    }
  }
  return AT_OK;
}

at_err at_h5_make(hid_t file, const at_h5_desc *d, at_h5_storage how, hid_t *out) {
  hid_t space = -1;
  *out = -1;
  AT_TRY(check_desc(d));
  AT_TRY(make_space(d, how, &space));
  at_err err = at_h5_create_dataset(file, d->path, at_h5_type_memory(d->type), space, how, out);
  err = at_h5_drop(err, space);
  if (err == AT_OK) {
    err = put_texts(*out, d);
  }
  if (err != AT_OK) {
    err = at_h5_drop(err, *out);
    *out = -1;
  }
  return err;
}

at_err at_h5_write(at_h5 *f, const at_h5_desc *d, const void *data) {
  hid_t dataset = -1;
  at_err err = at_h5_make(f->id, d, AT_H5_LATE, &dataset);
  uint32_t crc = 0;
  if (err == AT_OK) {
    crc = (uint32_t)crc32_z(0, data, (size_t)at_h5_bytes(d));
    err = at_h5_put_attr(dataset, AT_H5_ATTR_CRC, AT_H5_U32, &crc);
  }
  if (err == AT_OK && H5Dwrite(dataset, at_h5_type_memory(d->type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
    err = AT_H5_FAIL("%s: writing %s", f->path, d->path);
  }
  return at_h5_wrote(f, at_h5_drop(err, dataset));
}

/* ---- describing and checking ---- */

at_err at_h5_open_dataset(at_h5 *f, const char *path, hid_t *out) {
  *out = at_h5_exists(f, path) ? H5Dopen2(f->id, path, H5P_DEFAULT) : -1;
  return *out < 0 ? AT_FAIL(AT_ERR_FORMAT, "%s: has no dataset %s", f->path, path) : AT_OK;
}

at_err at_h5_describe_id(at_h5 *f, const char *path, hid_t dataset, at_h5_desc *out) {
  hid_t space = H5Dget_space(dataset);
  hid_t type = H5Dget_type(dataset);
  hsize_t dims[H5S_MAX_RANK] = {0};
  int nd = space < 0 ? -1 : H5Sget_simple_extent_dims(space, dims, NULL);
  at_err err = AT_OK;
  *out = (at_h5_desc){.path = path};
  if (nd < 0 || type < 0) {
    err = AT_H5_FAIL("%s: describing %s", f->path, path);
  } else if (nd > AT_H5_MAXDIMS) {
    err = AT_FAIL(AT_ERR_FORMAT, "%s: %s has %d dimensions; up to %d are understood", f->path, path, nd, AT_H5_MAXDIMS);
  } else {
    out->type = at_h5_type_of(type);
    out->ndims = nd;
    for (int i = 0; i < nd; i++) {
      out->dims[i] = (int64_t)dims[i];
    }
  }
  int32_t is_volatile = 0;
  bool found = false;
  if (err == AT_OK) {
    err = at_h5_find_attr(dataset, AT_H5_ATTR_VOLATILE, AT_H5_I32, &is_volatile, &found);
    out->flags = found && is_volatile != 0 ? AT_H5_VOLATILE : 0;
  }
  return at_h5_drop(at_h5_drop(err, type), space);
}

at_err at_h5_describe(at_h5 *f, const char *path, at_h5_desc *out) {
  hid_t dataset = -1;
  AT_TRY(at_h5_open_dataset(f, path, &dataset));
  return at_h5_drop(at_h5_describe_id(f, path, dataset, out), dataset);
}

at_err at_h5_is_integer(at_h5 *f, const char *path, bool *is_integer) {
  hid_t dataset = -1;
  *is_integer = false;
  AT_TRY(at_h5_open_dataset(f, path, &dataset));
  hid_t type = H5Dget_type(dataset);
  at_err err = type < 0 ? AT_H5_FAIL("%s: describing %s", f->path, path) : AT_OK;
  *is_integer = type >= 0 && H5Tget_class(type) == H5T_INTEGER;
  return at_h5_drop(at_h5_drop(err, type), dataset);
}

at_err at_h5_expect(at_h5 *f, const at_h5_desc *want, const at_h5_desc *found) {
  bool same = want->type == found->type && want->ndims == found->ndims;
  for (int i = 0; same && i < want->ndims; i++) {
    same = want->dims[i] == found->dims[i];
  }
  if (same) {
    return AT_OK;
  }
  char a[64], b[64];
  return AT_FAIL(AT_ERR_STATE, "%s: %s is %s where %s is needed: was it written by another configuration?", f->path,
                 want->path, at_h5_shape_text(found, a), at_h5_shape_text(want, b));
}

/* ---- reading and writing ---- */

at_err at_h5_read(at_h5 *f, const at_h5_desc *d, void *data) {
  hid_t dataset = -1;
  at_h5_desc found;
  uint32_t crc = 0;
  bool has_crc = false;
  AT_TRY(at_h5_open_dataset(f, d->path, &dataset));
  at_err err = at_h5_describe_id(f, d->path, dataset, &found);
  if (err == AT_OK) {
    err = at_h5_expect(f, d, &found);
  }
  if (err == AT_OK && H5Dread(dataset, at_h5_type_memory(d->type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
    err = AT_H5_FAIL("%s: reading %s", f->path, d->path);
  }
  if (err == AT_OK) {
    err = at_h5_find_attr(dataset, AT_H5_ATTR_CRC, AT_H5_U32, &crc, &has_crc);
  }
  if (err == AT_OK && has_crc && crc != crc32_z(0, data, (size_t)at_h5_bytes(d))) {
    err = AT_FAIL(AT_ERR_FORMAT, "%s: %s is damaged: its checksum does not fit", f->path, d->path);
  }
  return at_h5_drop(err, dataset);
}

/* Select rows [row0, row0 + n) of `space`, and make a memory space for them. */
static at_err select_rows(const at_h5_desc *d, int64_t row0, int64_t n, hid_t space, hid_t *memory) {
  hsize_t start[AT_H5_MAXDIMS] = {(hsize_t)row0};
  hsize_t count[AT_H5_MAXDIMS];
  for (int i = 0; i < d->ndims; i++) {
    count[i] = (hsize_t)(i == 0 ? n : d->dims[i]);
  }
  *memory = H5Screate_simple(d->ndims, count, NULL);
  if (*memory < 0 || H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) < 0) {
    return AT_H5_FAIL("selecting rows of %s", d->path);
  }
  return AT_OK;
}

at_err at_h5_read_rows(at_h5 *f, const char *path, at_h5_type type, int64_t row0, int64_t n, void *data) {
  hid_t dataset = -1;
  hid_t memory = -1;
  at_h5_desc d;
  AT_TRY(at_h5_open_dataset(f, path, &dataset));
  hid_t space = H5Dget_space(dataset);
  at_err err = at_h5_describe_id(f, path, dataset, &d);
  if (err == AT_OK && (d.ndims == 0 || row0 < 0 || n < 0 || row0 + n > d.dims[0])) {
    err = AT_FAIL(AT_ERR_ARG, "%s: rows %lld to %lld of %s, which has %lld", f->path, (long long)row0,
                  (long long)(row0 + n), path, (long long)(d.ndims == 0 ? 1 : d.dims[0]));
  }
  if (err == AT_OK && (at_h5_type_bytes(type) == 0 || d.type == AT_H5_TEXT)) {
    err = AT_FAIL(AT_ERR_ARG, "%s: %s cannot be read as %s", f->path, path, at_h5_type_name(type));
  }
  if (err == AT_OK) {
    err = select_rows(&d, row0, n, space, &memory);
  }
  if (err == AT_OK && H5Dread(dataset, at_h5_type_memory(type), memory, space, H5P_DEFAULT, data) < 0) {
    err = AT_H5_FAIL("%s: reading %s", f->path, path);
  }
  return at_h5_drop(at_h5_drop(at_h5_drop(err, memory), space), dataset);
}

/* ---- runs ---- */

typedef struct transfer {
  hid_t dataset, type, xfer;
  void *read;
  const void *written; /* one of the two is NULL */
} transfer;

/* The box start, count of d, one row-major stretch of memory. */
static at_err move_box(const transfer *t, const at_h5_desc *d, const hsize_t *start, const hsize_t *count,
                       int64_t offset) {
  hid_t space = H5Dget_space(t->dataset);
  hid_t memory = H5Screate_simple(d->ndims, count, NULL);
  herr_t code = -1;
  int64_t skip = offset * at_h5_type_bytes(d->type);
  if (space >= 0 && memory >= 0 && H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0) {
    code = t->read != NULL ? H5Dread(t->dataset, t->type, memory, space, t->xfer, (char *)t->read + skip)
                           : H5Dwrite(t->dataset, t->type, memory, space, t->xfer, (const char *)t->written + skip);
  }
  at_err err = code < 0 ? AT_H5_FAIL("%s %s", t->read != NULL ? "reading" : "writing", d->path) : AT_OK;
  return at_h5_drop(at_h5_drop(err, memory), space);
}

/* The largest box that starts at element `first` and holds at most n elements without leaving row-major order;
 * returns its number of elements. */
static int64_t next_box(const at_h5_desc *d, int64_t first, int64_t n, hsize_t *start, hsize_t *count) {
  int64_t inner = 1; /* elements of one index of axis `a` */
  int64_t taken = 0;
  for (int i = 0; i < d->ndims; i++) {
    count[i] = 1;
  }
  for (int a = d->ndims - 1; a >= 0; a--) {
    int64_t at = first / inner % d->dims[a];
    start[a] = (hsize_t)at;
    if (taken == 0 || (taken == inner && n >= inner)) {
      /* All inner axes are taken whole: this one can grow. */
      int64_t most = n / inner;
      int64_t left = d->dims[a] - at;
      count[a] = (hsize_t)(most < left ? most : left);
      taken = (int64_t)count[a] * inner;
    }
    inner *= d->dims[a];
    if (taken != inner) {
      n = 0; /* nothing outside can grow */
    }
  }
  return taken;
}

static at_err move_run(const transfer *t, const at_h5_desc *d, int64_t first, int64_t n) {
  if (d->ndims == 0 && n == 1) {
    herr_t code = t->read != NULL ? H5Dread(t->dataset, t->type, H5S_ALL, H5S_ALL, t->xfer, t->read)
                                  : H5Dwrite(t->dataset, t->type, H5S_ALL, H5S_ALL, t->xfer, t->written);
    return code < 0 ? AT_H5_FAIL("%s %s", t->read != NULL ? "reading" : "writing", d->path) : AT_OK;
  }
  for (int64_t done = 0; done < n;) {
    hsize_t start[AT_H5_MAXDIMS], count[AT_H5_MAXDIMS];
    int64_t took = next_box(d, first + done, n - done, start, count);
    AT_TRY(move_box(t, d, start, count, done));
    done += took;
  }
  return AT_OK;
}

at_err at_h5_read_run(hid_t dataset, const at_h5_desc *d, int64_t first, int64_t n, void *data) {
  transfer t = {.dataset = dataset, .type = at_h5_type_memory(d->type), .xfer = H5P_DEFAULT, .read = data};
  return move_run(&t, d, first, n);
}

at_err at_h5_write_run(hid_t dataset, const at_h5_desc *d, hid_t xfer, int64_t first, int64_t n, const void *data) {
  transfer t = {.dataset = dataset, .type = at_h5_type_memory(d->type), .xfer = xfer, .written = data};
  return move_run(&t, d, first, n);
}
