/* SPDX-License-Identifier: BSD-3-Clause */
/* HDF5 files that are either complete or absent: thin checked wrappers for one process.
 *
 * A file is written under a temporary name beside its own; at_h5_commit() flushes, fsyncs, renames and fsyncs the
 * folder.  Each dataset carries `units`, `description` and the CRC-32 of its bytes in memory order (`crc32`), which
 * reading verifies.  Metadata is written in the format of HDF5 1.8, which has checksums of its own.  HDF5 never prints:
 * its innermost message becomes ours.  Nothing here is collective.
 *
 * After a failure of a writing call the file can only be discarded. */
#ifndef AT_STORE_H5_H
#define AT_STORE_H5_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"

enum { AT_H5_MAXDIMS = 8 };

/* id, name, bytes */
#define AT_H5_TYPES(X)                                                   \
  X(F32, f32, 4)                                                         \
  X(F64, f64, 8)                                                         \
  X(I32, i32, 4)                                                         \
  X(I64, i64, 8)                                                         \
  X(U8, u8, 1)                                                           \
  X(U16, u16, 2)                                                         \
  X(U32, u32, 4)                                                         \
  X(U64, u64, 8)                                                         \
  X(TEXT, text, 0)   /* strings: only at_h5_*_text and at_h5_describe */ \
  X(OTHER, other, 0) /* something of another program */

typedef enum at_h5_type {
#define X(id, name, bytes) AT_H5_##id,
  AT_H5_TYPES(X)
#undef X
      AT_H5_TYPE_COUNT
} at_h5_type;
const char *at_h5_type_name(at_h5_type t); /* "f32" */
int64_t at_h5_type_bytes(at_h5_type t);    /* 0 for TEXT and OTHER */

typedef enum at_h5_flag {
  AT_H5_VOLATILE = 1 /* differs from run to run (times): attribute atoll_volatile = 1, ignored by diff */
} at_h5_flag;

/* A dataset: absolute path, type, shape (ndims = 0: a scalar), text for the reader. */
typedef struct at_h5_desc {
  const char *path;
  at_h5_type type;
  int ndims;
  int64_t dims[AT_H5_MAXDIMS];
  const char *units;       /* "1" where there are none */
  const char *description; /* one sentence */
  unsigned flags;          /* at_h5_flag */
} at_h5_desc;
int64_t at_h5_count(const at_h5_desc *d); /* number of elements */

typedef struct at_h5 at_h5; /* an open file */

/* Start the file `path`, of `kind` ("metrics", "checkpoint", ...).  payload_bytes: what will be written, so that the
 * space is reserved first; 0 if unknown.  AT_ERR_FILE: cannot be created, or not enough space (says how much). */
at_err at_h5_create(at_h5 **out, const char *path, const char *kind, int64_t payload_bytes);
/* Complete the file and give it its name; f is freed in any case.  On failure nothing is left behind. */
at_err at_h5_commit(at_h5 *f);
void at_h5_discard(at_h5 *f); /* remove what was written; accepts NULL */

/* Open for reading.  AT_ERR_FILE: no such file, no permission.  AT_ERR_FORMAT: not HDF5, truncated, damaged. */
at_err at_h5_open(at_h5 **out, const char *path);
/* As at_h5_open, and the file must be ours: of `kind` and of this schema version, else AT_ERR_FORMAT. */
at_err at_h5_open_kind(at_h5 **out, const char *path, const char *kind);
void at_h5_close(at_h5 *f); /* accepts NULL */
const char *at_h5_path(const at_h5 *f);

/* ---- writing (missing groups on the way are made) ---- */
at_err at_h5_write(at_h5 *f, const at_h5_desc *d, const void *data);
/* A one-dimensional dataset of n UTF-8 strings. */
at_err at_h5_write_text(at_h5 *f, const char *path, int64_t n, const char *const *s, const char *units,
                        const char *description);
/* Axis `axis` of `dataset` is measured by the one-dimensional dataset `scale` (an HDF5 dimension scale). */
at_err at_h5_set_scale(at_h5 *f, const char *dataset, int axis, const char *scale);
/* Attributes (text: UTF-8 of fixed length) of the group or dataset `object` (made as a group if absent). */
at_err at_h5_set_attr_text(at_h5 *f, const char *object, const char *name, const char *value);
at_err at_h5_set_attr_i64(at_h5 *f, const char *object, const char *name, int64_t value);

/* ---- reading ---- */
bool at_h5_exists(at_h5 *f, const char *path);
/* Type and shape of what is stored; units and description are not filled. */
at_err at_h5_describe(at_h5 *f, const char *path, at_h5_desc *out);
/* Its elements are integers, of whatever width and sign. */
at_err at_h5_is_integer(at_h5 *f, const char *path, bool *is_integer);
/* data <- the whole dataset.  Type and shape must be those of `d`, else AT_ERR_STATE (says both); nothing is
 * converted.  AT_ERR_FORMAT: its checksum does not fit. */
at_err at_h5_read(at_h5 *f, const at_h5_desc *d, void *data);
/* Rows [row0, row0 + n) along the first axis; data in the type `type`, which the stored numbers are converted to
 * (files of other programs); no checksum. */
at_err at_h5_read_rows(at_h5 *f, const char *path, at_h5_type type, int64_t row0, int64_t n, void *data);
/* s[n] strings; the caller frees s with at_free (one block). */
at_err at_h5_read_text(at_h5 *f, const char *path, int64_t *n, char ***s);
at_err at_h5_get_attr_text(at_h5 *f, const char *object, const char *name, char **value); /* at_free */
at_err at_h5_get_attr_i64(at_h5 *f, const char *object, const char *name, int64_t *value);
/* Names of the members of a group in ascending byte order; freed with at_free (one block). */
at_err at_h5_list(at_h5 *f, const char *group, int64_t *n, char ***names);

/* Read every dataset of the file and check it against its checksum (`crc32`, or row by row: see ckpt.h).
 * n_checked: datasets that had one.  AT_ERR_FORMAT names the first bad one. */
at_err at_h5_verify(at_h5 *f, int64_t *n_checked);

#endif
