/* SPDX-License-Identifier: BSD-3-Clause */
/* HDF5 files that are kept in memory: datasets that stay open, and the image of the whole. */
#include <string.h>

#include "kernels/codec_ref.h"
#include "src/base/alloc.h"
#include "src/store/h5_internal.h"

uint32_t at_h5_crc(uint32_t crc, const void *data, int64_t bytes) {
  return __builtin_cpu_supports("pclmul") ? at_clmul_crc32(crc, bytes, data) : at_ref_crc32(crc, bytes, data);
}

/* ---- the image ---- */

static inline uint32_t rotate(uint32_t x, int bits) {
  return x << bits | x >> (32 - bits);
}

/* The hash lookup3 (Jenkins 2006) of 44 bytes: three words at a time are added to a, b, c and mixed. */
static uint32_t superblock_sum(const unsigned char *p) {
  uint32_t word[11], a, b, c;
  memcpy(word, p, sizeof word);
  a = b = c = 0xdeadbeef + (uint32_t)sizeof word;
  for (int i = 0; i < 9; i += 3) {
    a += word[i], b += word[i + 1], c += word[i + 2];
    a = (a - c) ^ rotate(c, 4), c += b;
    b = (b - a) ^ rotate(a, 6), a += c;
    c = (c - b) ^ rotate(b, 8), b += a;
    a = (a - c) ^ rotate(c, 16), c += b;
    b = (b - a) ^ rotate(a, 19), a += c;
    c = (c - b) ^ rotate(b, 4), b += a;
  }
  a += word[9], b += word[10];
  c = (c ^ b) - rotate(b, 14);
  a = (a ^ c) - rotate(c, 11);
  b = (b ^ a) - rotate(a, 25);
  c = (c ^ b) - rotate(b, 16);
  a = (a ^ c) - rotate(c, 4);
  b = (b ^ a) - rotate(a, 14);
  return (c ^ b) - rotate(b, 24);
}

/* HDF5 before 2.0 clears the mark of an open file in an image, but leaves the checksum that had been made with it. */
static at_err mend_superblock(const at_h5 *f, unsigned char *image, int64_t bytes) {
  enum { VERSION = 8, FLAGS = 11, SUM = 44 };
  if (bytes < SUM + 4 || image[VERSION] != 2 || image[VERSION + 1] != 8 || image[VERSION + 2] != 8) {
    return AT_FAIL(AT_ERR_HDF5, "%s: this version of HDF5 makes files of another kind than was asked for", f->path);
  }
  image[FLAGS] = 0;
  uint32_t sum = superblock_sum(image);
  memcpy(image + SUM, &sum, sizeof sum);
  return AT_OK;
}

at_err at_h5_get_image(at_h5 *f, void **image, int64_t *room, int64_t *bytes) {
  if (f->failed) {
    return AT_FAIL(AT_ERR_HDF5, "%s: not kept, because making it failed before", f->path);
  }
  /* Only the second time does HDF5 give back what the first has left free at the end. */
  bool flushed = H5Fflush(f->id, H5F_SCOPE_GLOBAL) >= 0 && H5Fflush(f->id, H5F_SCOPE_GLOBAL) >= 0;
  ssize_t n = flushed ? H5Fget_file_image(f->id, NULL, 0) : -1;
  if (n < 0) {
    return AT_H5_FAIL("%s: cannot be completed", f->path);
  }
  if (n > *room) {
    AT_TRY(at_realloc(image, (size_t)n, 1, "image of a file"));
    *room = n;
  }
  *bytes = H5Fget_file_image(f->id, *image, (size_t)*room);
  return *bytes == n ? mend_superblock(f, *image, n) : AT_H5_FAIL("%s: cannot be completed", f->path);
}

at_err at_h5_keep(at_h5 *f, const at_h5_desc *d, at_h5_storage how, at_h5_kept *k) {
  *k = (at_h5_kept){.dataset = -1, .crc_attr = -1};
  at_err err = at_h5_make(f->id, d, how, &k->dataset);
  if (err == AT_OK) {
    err = at_h5_put_attr(k->dataset, AT_H5_ATTR_CRC, AT_H5_U32, &k->crc);
  }
  if (err == AT_OK) {
    k->crc_attr = H5Aopen(k->dataset, AT_H5_ATTR_CRC, H5P_DEFAULT);
    err = k->crc_attr < 0 ? AT_H5_FAIL("%s: opening the checksum of %s", f->path, d->path) : AT_OK;
  }
  return at_h5_wrote(f, err);
}

static at_err put_crc(at_h5 *f, const at_h5_desc *d, const at_h5_kept *k) {
  if (H5Awrite(k->crc_attr, at_h5_type_memory(AT_H5_U32), &k->crc) < 0) {
    return at_h5_wrote(f, AT_H5_FAIL("%s: writing the checksum of %s", f->path, d->path));
  }
  return AT_OK;
}

at_err at_h5_rewrite(at_h5 *f, const at_h5_desc *d, at_h5_kept *k, const void *data) {
  k->crc = at_h5_crc(0, data, at_h5_bytes(d));
  if (H5Dwrite(k->dataset, at_h5_type_memory(d->type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
    return at_h5_wrote(f, AT_H5_FAIL("%s: writing %s", f->path, d->path));
  }
  return put_crc(f, d, k);
}

at_err at_h5_append(at_h5 *f, const at_h5_desc *d, at_h5_kept *k, int64_t first, const void *rows) {
  hsize_t dims[AT_H5_MAXDIMS];
  for (int i = 0; i < d->ndims; i++) {
    dims[i] = (hsize_t)d->dims[i];
  }
  if (H5Dset_extent(k->dataset, dims) < 0) {
    return at_h5_wrote(f, AT_H5_FAIL("%s: more rows of %s", f->path, d->path));
  }
  int64_t all = at_h5_count(d), row = d->dims[0] > 0 ? all / d->dims[0] : 0;
  AT_TRY(at_h5_wrote(f, at_h5_write_run(k->dataset, d, H5P_DEFAULT, first * row, all - first * row, rows)));
  k->crc = at_h5_crc(k->crc, rows, (all - first * row) * at_h5_type_bytes(d->type));
  return put_crc(f, d, k);
}
