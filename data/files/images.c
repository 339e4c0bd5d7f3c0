/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of images without clients of their own: one client, which a partitioner divides. */
#include "data/files/files.h"
#include "src/base/alloc.h"

at_err at_images_make(void *context, int64_t unit, at_block *out) {
  const at_file_set *set = context;
  const at_images *images = set->data;
  const int64_t width = at_field_bytes(&set->field[0]);
  int64_t number = 0;
  (void)unit;
  at_block_name(out, "all");
  for (int64_t f = 0; f < images->n_files; f++) {
    const at_image_file *file = &images->file[f];
    for (int64_t i = 0; i < file->n; i++) {
      const at_split split = file->split == AT_SPLIT_TEST ? AT_SPLIT_TEST : at_file_split(set, "all", number++);
      at_block_put_labelled(out, split, file->image.data + i * width, (unsigned char)file->label.data[i]);
    }
  }
  return AT_OK;
}

void at_images_close(at_file_set *set) {
  at_images *images = set->data;
  for (int64_t f = 0; images != NULL && f < images->n_files; f++) {
    at_bytes_free(&images->file[f].image);
    at_bytes_free(&images->file[f].label);
  }
  if (images != NULL) {
    at_free(images->file);
  }
  at_free(images);
}
