/* SPDX-License-Identifier: BSD-3-Clause */
/* IDX files, the format of MNIST and its kin: images and labels in pairs of files, gzipped or not.
 *
 * A file is two zero bytes, the type of its elements (8: unsigned bytes), the number of dimensions, each dimension as a
 * big-endian u32, and the elements. */
#include <string.h>

#include "data/files/files.h"
#include "data/text/inflate.h"
#include "src/base/alloc.h"

typedef struct idx {
  int ndims;
  int64_t dims[4], head, count; /* count: elements behind `head` bytes */
} idx;

static at_err read_head(const char *path, const at_bytes *b, int ndims, idx *out) {
  const unsigned char *p = (const unsigned char *)b->data;
  if (b->len < 4 || p[0] != 0 || p[1] != 0 || p[2] != 8) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: is no IDX file of bytes: it must begin with 0, 0, 8", path);
  }
  out->ndims = p[3];
  if (out->ndims != ndims && !(ndims == 3 && out->ndims == 4)) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: has %d dimensions at byte 3, where %d are expected; give images,labels in pairs",
                   path, out->ndims, ndims);
  }
  out->head = 4 + 4 * out->ndims;
  out->count = 1;
  for (int i = 0; i < out->ndims && (int64_t)b->len >= out->head; i++) {
    const unsigned char *d = p + 4 + 4 * i;
    out->dims[i] = (int64_t)d[0] << 24 | d[1] << 16 | d[2] << 8 | d[3];
    if (out->dims[i] < 1 || out->dims[i] > 1 << 28 || out->count > INT64_MAX / 2 / out->dims[i]) {
      return AT_FAIL(AT_ERR_FORMAT, "%s: dimension %d at byte %d is %lld", path, i, 4 + 4 * i, (long long)out->dims[i]);
    }
    out->count *= out->dims[i];
  }
  if ((int64_t)b->len < out->head || (int64_t)b->len - out->head < out->count) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: is cut short at byte %zu of %lld", path, b->len,
                   (long long)(out->head + out->count));
  }
  return AT_OK;
}

/* Drop the head: data begins with the first element. */
static void strip(at_bytes *b, const idx *h) {
  memmove(b->data, b->data + h->head, (size_t)h->count);
  b->len = (size_t)h->count;
}

static at_err read_pair(at_file_set *set, const char *images, const char *labels, at_image_file *out, bool first) {
  idx x = {0}, y = {0};
  at_field *f = &set->field[0];
  AT_TRY(at_text_load(images, &out->image));
  AT_TRY(read_head(images, &out->image, 3, &x));
  AT_TRY(at_text_load(labels, &out->label));
  AT_TRY(read_head(labels, &out->label, 1, &y));
  if (x.dims[0] != y.dims[0]) {
    return AT_FAIL(AT_ERR_FORMAT, "%s has %lld images, but %s has %lld labels", images, (long long)x.dims[0], labels,
                   (long long)y.dims[0]);
  }
  if (first) {
    f->ndims = x.ndims - 1;
    memcpy(f->dims, x.dims + 1, sizeof f->dims);
  }
  if (f->ndims != x.ndims - 1 || memcmp(f->dims, x.dims + 1, (size_t)f->ndims * sizeof *f->dims) != 0) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: its images have another size than those of the first file", images);
  }
  strip(&out->image, &x);
  strip(&out->label, &y);
  out->n = x.dims[0];
  for (int64_t i = 0; i < out->n; i++) {
    const int64_t label = (unsigned char)out->label.data[i];
    set->classes = label >= set->classes ? label + 1 : set->classes;
  }
  return AT_OK;
}

at_err at_idx_open(at_file_set *set) {
  const at_strlist *list[2] = {&set->cfg->path, &set->cfg->test};
  at_images *images;
  AT_TRY(at_alloc(&images, 1, sizeof *images, "images"));
  set->data = images;
  AT_TRY(at_alloc(&images->file, (size_t)(list[0]->count + list[1]->count), sizeof *images->file, "images"));
  set->field[0] = (at_field){
      .name = "pixels", .type = AT_H5_U8, .units = "1/255", .description = "Images, 0 to 255 as in the IDX file."};
  set->n_units = 1;
  for (int l = 0; l < 2; l++) {
    if (list[l]->count % 2 != 0) {
      return AT_FAIL(AT_ERR_CONFIG, "format=idx: give files in pairs, %s=IMAGES,LABELS", l == 0 ? "path" : "test");
    }
    for (int64_t i = 0; i < list[l]->count; i += 2) {
      at_image_file *file = &images->file[images->n_files++];
      file->split = l == 0 ? AT_SPLIT_TRAIN : AT_SPLIT_TEST;
      AT_TRY(read_pair(set, list[l]->item[i], list[l]->item[i + 1], file, images->n_files == 1));
    }
  }
  return AT_OK;
}
