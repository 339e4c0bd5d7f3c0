/* SPDX-License-Identifier: BSD-3-Clause */
/* Checking every dataset of a file against its checksum. */
#include <zlib.h>

#include "src/base/alloc.h"
#include "src/store/h5_internal.h"

static const int64_t most_bytes = INT64_C(1) << 24; /* read at once */

static at_err damaged(at_h5 *f, const char *path) {
  return AT_FAIL(AT_ERR_FORMAT, "%s: %s is damaged: its checksum does not fit", f->path, path);
}

/* The whole dataset against one checksum. */
static at_err check_whole(at_h5 *f, hid_t dataset, const at_h5_desc *d, uint32_t want) {
  int64_t n = at_h5_count(d);
  int64_t step = most_bytes / at_h5_type_bytes(d->type);
  unsigned char *buf = NULL;
  AT_TRY(at_alloc(&buf, (size_t)(n < step ? n : step), (size_t)at_h5_type_bytes(d->type), "checked data"));
  uint32_t crc = 0;
  at_err err = AT_OK;
  for (int64_t at = 0; at < n && err == AT_OK; at += step) {
    int64_t some = n - at < step ? n - at : step;
    err = at_h5_read_run(dataset, d, at, some, buf);
    crc = (uint32_t)crc32_z(crc, buf, (size_t)(some * at_h5_type_bytes(d->type)));
  }
  at_free(buf);
  return err == AT_OK && crc != want ? damaged(f, d->path) : err;
}

/* Row by row against the dataset `path_crc`. */
static at_err check_rows(at_h5 *f, hid_t dataset, const at_h5_desc *d, const char *path_crc) {
  int64_t rows = d->ndims == 0 ? 1 : d->dims[0];
  int64_t row = rows == 0 ? 0 : at_h5_count(d) / rows; /* elements */
  int64_t bytes = row * at_h5_type_bytes(d->type);
  uint32_t *want = NULL;
  unsigned char *buf = NULL;
  at_h5_desc crcs = {.path = path_crc, .type = AT_H5_U32, .ndims = 1, .dims = {rows}};
  at_err err = AT_OK;
  AT_TRY_TO(err, done, at_alloc(&want, (size_t)rows, sizeof *want, "row checksums"));
  AT_TRY_TO(err, done, at_h5_read(f, &crcs, want));
  int64_t step = bytes == 0 ? rows : most_bytes / bytes > 0 ? most_bytes / bytes : 1;
  step = step < rows ? step : rows;
  AT_TRY_TO(err, done, at_alloc(&buf, (size_t)step, (size_t)bytes, "checked rows"));
  for (int64_t at = 0; at < rows; at += step) {
    int64_t some = rows - at < step ? rows - at : step;
    AT_TRY_TO(err, done, at_h5_read_run(dataset, d, at * row, some * row, buf));
    for (int64_t i = 0; i < some; i++) {
      if (crc32_z(0, buf + i * bytes, (size_t)bytes) != want[at + i]) {
        err = AT_FAIL(AT_ERR_FORMAT, "%s: row %lld of %s is damaged: its checksum does not fit", f->path,
                      (long long)(at + i), d->path);
        goto done;
      }
    }
  }
done:
  at_free(want);
  at_free(buf);
  return err;
}

static at_err check_numbers(at_h5 *f, const char *path, const at_h5_desc *d, int64_t *n_checked) {
  hid_t dataset = -1;
  uint32_t crc = 0;
  bool whole = false;
  AT_TRY(at_h5_open_dataset(f, path, &dataset));
  at_err err = at_h5_find_attr(dataset, AT_H5_ATTR_CRC, AT_H5_U32, &crc, &whole);
  htri_t by_rows = err == AT_OK && !whole ? H5Aexists(dataset, AT_H5_ATTR_ROW_CRC) : 0;
  if (err == AT_OK && whole) {
    err = check_whole(f, dataset, d, crc);
  }
  if (err == AT_OK && by_rows > 0) {
    char *path_crc = NULL;
    err = at_h5_get_attr_text(f, path, AT_H5_ATTR_ROW_CRC, &path_crc);
    if (err == AT_OK) {
      err = check_rows(f, dataset, d, path_crc);
    }
    at_free(path_crc);
  }
  *n_checked += err == AT_OK && (whole || by_rows > 0);
  return at_h5_drop(err, dataset);
}

static at_err check(at_h5 *f, const char *path, int64_t *n_checked) {
  at_h5_desc d;
  AT_TRY(at_h5_describe(f, path, &d));
  if (d.type == AT_H5_TEXT) {
    int64_t n = 0;
    char **s = NULL;
    at_err err = at_h5_read_text(f, path, &n, &s); /* verifies */
    at_free(s);
    *n_checked += err == AT_OK;
    return err;
  }
  return d.type == AT_H5_OTHER ? AT_OK : check_numbers(f, path, &d, n_checked);
}

at_err at_h5_verify(at_h5 *f, int64_t *n_checked) {
  int64_t n = 0;
  char **paths = NULL;
  *n_checked = 0;
  AT_TRY(at_h5_datasets(f, &n, &paths));
  at_err err = AT_OK;
  for (int64_t i = 0; i < n && err == AT_OK; i++) {
    err = check(f, paths[i], n_checked);
  }
  at_free(paths);
  /* What HDF5 itself finds unreadable in a file that it could open is damage, too. */
  return err == AT_ERR_HDF5 ? AT_FAIL(AT_ERR_FORMAT, "%s", at_err_message()) : err;
}
