/* SPDX-License-Identifier: BSD-3-Clause */
/* The binary files of CIFAR-10 and CIFAR-100 (Krizhevsky 2009): records of one or two label bytes and 3 x 32 x 32 bytes,
 * colour by colour; they become [32][32][3]. */
#include "data/files/files.h"
#include "data/text/inflate.h"
#include "src/base/alloc.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, IMAGE = 3 * PLANE };

static at_err read_batch(const char *path, int labels, int64_t classes, at_image_file *out) {
  at_bytes raw = {0};
  const size_t record = (size_t)labels + IMAGE;
  at_err err = at_text_load(path, &raw);
  if (err == AT_OK && (raw.len == 0 || raw.len % record != 0)) {
    err = AT_FAIL(AT_ERR_FORMAT, "%s: is cut short at byte %zu: records of CIFAR-%lld take %zu bytes", path, raw.len,
                  (long long)classes, record);
  }
  out->n = err == AT_OK ? (int64_t)(raw.len / record) : 0;
  if (err == AT_OK && at_bytes_reserve(&out->image, (size_t)out->n * IMAGE)) {
    out->image.len = (size_t)out->n * IMAGE;
  }
  for (int64_t i = 0; err == AT_OK && out->image.err == AT_OK && i < out->n; i++) {
    const unsigned char *r = (const unsigned char *)raw.data + (size_t)i * record;
    char *image = out->image.data + i * IMAGE;
    if (r[labels - 1] >= classes) {
      err = AT_FAIL(AT_ERR_FORMAT, "%s: label %d at byte %zu is not in 0 .. %lld", path, r[labels - 1],
                    (size_t)i * record + (size_t)labels - 1, (long long)classes - 1);
      break;
    }
    at_bytes_char(&out->label, (char)r[labels - 1]);
    for (int p = 0; p < PLANE; p++) {
      for (int c = 0; c < 3; c++) {
        image[p * 3 + c] = (char)r[labels + c * PLANE + p];
      }
    }
  }
  at_bytes_free(&raw);
  err = err == AT_OK ? out->image.err : err;
  return err == AT_OK ? out->label.err : err;
}

static at_err open_set(at_file_set *set, int labels, int64_t classes) {
  const at_strlist *list[2] = {&set->cfg->path, &set->cfg->test};
  at_images *images;
  AT_TRY(at_alloc(&images, 1, sizeof *images, "images"));
  set->data = images;
  AT_TRY(at_alloc(&images->file, (size_t)(list[0]->count + list[1]->count), sizeof *images->file, "images"));
  set->field[0] = (at_field){.name = "image",
                             .type = AT_H5_U8,
                             .ndims = 3,
                             .dims = {SIDE, SIDE, 3},
                             .units = "1/255",
                             .description = "Images, red, green and blue from 0 to 255."};
  set->n_units = 1;
  set->classes = classes;
  for (int l = 0; l < 2; l++) {
    for (int64_t i = 0; i < list[l]->count; i++) {
      at_image_file *file = &images->file[images->n_files++];
      file->split = l == 0 ? AT_SPLIT_TRAIN : AT_SPLIT_TEST;
      AT_TRY(read_batch(list[l]->item[i], labels, classes, file));
    }
  }
  return AT_OK;
}

at_err at_cifar10_open(at_file_set *set) {
  return open_set(set, 1, 10);
}

at_err at_cifar100_open(at_file_set *set) {
  return open_set(set, 2, 100);
}
