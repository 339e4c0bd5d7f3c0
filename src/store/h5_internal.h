/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of src/store share below h5.h: HDF5 identifiers and how to fail. */
#ifndef AT_STORE_H5_INTERNAL_H
#define AT_STORE_H5_INTERNAL_H

#include <hdf5.h>

#include "src/store/h5.h"

struct at_h5 {
  hid_t id;
  char *path;      /* its final name */
  char *temporary; /* what is being written; NULL when reading */
  bool failed;     /* a write failed: only good for discarding */
};

/* Where and when the elements of a dataset get their place in the file. */
typedef enum at_h5_storage {
  AT_H5_LATE,   /* in one piece, when they are written */
  AT_H5_EARLY,  /* in one piece, at once, and never filled (collective files) */
  AT_H5_GROWING /* in chunks of rows: at_h5_append */
} at_h5_storage;

/* Names of our attributes. */
#define AT_H5_ATTR_UNITS       "units"
#define AT_H5_ATTR_DESCRIPTION "description"
#define AT_H5_ATTR_CRC         "crc32"
#define AT_H5_ATTR_ROW_CRC     "crc32_rows" /* absolute path of the dataset with one CRC-32 a row */
#define AT_H5_ATTR_VOLATILE    "atoll_volatile"
#define AT_H5_ATTR_KIND        "atoll_kind"
#define AT_H5_ATTR_SCHEMA      "atoll_schema"

/* AT_ERR_HDF5: "<what, printf>: <HDF5's innermost words>".  To be called right after the failing call. */
at_err at_h5_fail(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define AT_H5_FAIL(...) at_h5_fail(__FILE__, __LINE__, __VA_ARGS__)
/* Close any identifier; returns err, or the failure of closing if err is AT_OK.  id < 0: nothing to close. */
at_err at_h5_drop(at_err err, hid_t id);
/* Remember that writing failed; returns err. */
at_err at_h5_wrote(at_h5 *f, at_err err);

void at_h5_silence(void); /* HDF5 prints nothing from here on */
/* Access properties that all our files are opened with: format of 1.8, no file locks, strong close. */
at_err at_h5_access(hid_t *fapl);

/* Complete and close the temporary file, which stays; then give it its name.  f is freed by neither.  The two halves
 * of at_h5_commit(). */
at_err at_h5_finish(at_h5 *f);
at_err at_h5_publish(at_h5 *f);
void at_h5_free(at_h5 *f);

/* ---- files in memory (h5_image.c), kept open so that the next image costs only what has changed ---- */

/* As at_h5_create, but nothing goes to disk; at_h5_discard ends it. */
at_err at_h5_create_in_memory(at_h5 **out, const char *path, const char *kind);
/* The bytes that the file would have, into *image, which at_realloc makes longer if *room is less; at_free. */
at_err at_h5_get_image(at_h5 *f, void **image, int64_t *room, int64_t *bytes);
/* A dataset that stays open, with its checksum. */
typedef struct at_h5_kept {
  hid_t dataset, crc_attr;
  uint32_t crc;
} at_h5_kept;
at_err at_h5_keep(at_h5 *f, const at_h5_desc *d, at_h5_storage how, at_h5_kept *out);
/* The whole contents anew. */
at_err at_h5_rewrite(at_h5 *f, const at_h5_desc *d, at_h5_kept *k, const void *data);
/* GROWING: rows[d->dims[0] - first] behind the `first` rows that are there. */
at_err at_h5_append(at_h5 *f, const at_h5_desc *d, at_h5_kept *k, int64_t first, const void *rows);
/* CRC-32 as zlib's, faster. */
uint32_t at_h5_crc(uint32_t crc, const void *data, int64_t bytes);

at_err at_h5_text_type(size_t length, hid_t *type); /* close with at_h5_drop */
hid_t at_h5_type_memory(at_h5_type t);
/* What a stored type is called here. */
at_h5_type at_h5_type_of(hid_t type);
int64_t at_h5_bytes(const at_h5_desc *d);
/* "f32[3,4]" into buf[64] */
const char *at_h5_shape_text(const at_h5_desc *d, char buf[64]);

/* Make the groups on the way to `path` that are missing, and `path` itself as a group if `itself`. */
at_err at_h5_make_groups(hid_t file, const char *path, bool itself);
/* A new, empty dataset of any type, with the groups on the way.  Like all our objects it keeps no times, so that equal
 * contents are equal files. */
at_err at_h5_create_dataset(hid_t file, const char *path, hid_t type, hid_t space, at_h5_storage how, hid_t *out);
/* A new dataset with its texts; no data, no checksum yet.  GROWING: d->dims[0] may be 0. */
at_err at_h5_make(hid_t file, const at_h5_desc *d, at_h5_storage how, hid_t *out);
at_err at_h5_put_attr_text(hid_t object, const char *name, const char *value);
at_err at_h5_put_attr(hid_t object, const char *name, at_h5_type type, const void *value);
/* *found = false where there is no such attribute. */
at_err at_h5_find_attr(hid_t object, const char *name, at_h5_type type, void *value, bool *found);

/* 1: there is such a thing; 0: there is not; -1: the file is too damaged to tell. */
int at_h5_look(at_h5 *f, const char *path);
at_err at_h5_open_dataset(at_h5 *f, const char *path, hid_t *out);
at_err at_h5_describe_id(at_h5 *f, const char *path, hid_t dataset, at_h5_desc *out);
/* The same shape and type, else AT_ERR_STATE. */
at_err at_h5_expect(at_h5 *f, const at_h5_desc *want, const at_h5_desc *found);
/* Elements [first, first + n) of a dataset seen as one row-major run, in memory type t; from or into `data`.
 * xfer: H5P_DEFAULT or a transfer list. */
at_err at_h5_read_run(hid_t dataset, const at_h5_desc *d, int64_t first, int64_t n, void *data);
at_err at_h5_write_run(hid_t dataset, const at_h5_desc *d, hid_t xfer, int64_t first, int64_t n, const void *data);

/* Names met on a walk, one behind the other, then as a sorted block. */
typedef struct at_h5_names {
  char *text; /* free where at_h5_names_sorted is not reached */
  int64_t n, used, room;
  at_err err; /* why at_h5_name_add failed */
} at_h5_names;
herr_t at_h5_name_add(at_h5_names *c, const char *name);
at_err at_h5_names_sorted(at_h5_names *c, int64_t *n, char ***out); /* empties c; at_free (one block) */
/* Element i of data as a double. */
double at_h5_value(at_h5_type type, const void *data, int64_t i);
/* Absolute paths of all datasets, in ascending byte order; at_free (one block). */
at_err at_h5_datasets(at_h5 *f, int64_t *n, char ***paths);

#endif
