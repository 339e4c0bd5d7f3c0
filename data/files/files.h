/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll data files`: example sets in the formats that others publish theirs in, as one HDF5 file.
 *
 * Adding a format: a file here with its functions, a row in files.c. */
#ifndef AT_DATA_FILES_FILES_H
#define AT_DATA_FILES_FILES_H

#include "data/examples/block.h"
#include "data/examples/split.h"
#include "data/kinds.h"
#include "src/base/options.h"

typedef struct at_files_cfg {
  int format;
  at_strlist path, test;
  char *label, *client, *description;
  double validation, test_fraction;
  int64_t seed;
} at_files_cfg;

/* An opened set. */
typedef struct at_file_set {
  const at_files_cfg *cfg; /* borrowed; set before open, as rule is */
  at_split_rule rule;
  at_field field[2]; /* input and target */
  int64_t n_units, classes;
  const char *const *class_names; /* [classes] or NULL; of the set */
  void *data;                     /* the format's own */
} at_file_set;

typedef struct at_file_format {
  const char *name, *help;
  at_err (*open)(at_file_set *set);
  at_err (*make)(void *set, int64_t unit, at_block *out);
  void (*close)(at_file_set *set); /* also after a failed open */
} at_file_format;

extern const at_file_format at_file_formats[]; /* ends with name == NULL */

/* The split of example i of a client: training or validation, or test where there are no test files. */
at_split at_file_split(const at_file_set *set, const char *client, int64_t i);

at_err at_idx_open(at_file_set *set);
at_err at_cifar10_open(at_file_set *set);
at_err at_cifar100_open(at_file_set *set);
at_err at_leaf_open(at_file_set *set);
at_err at_csv_open(at_file_set *set);
at_err at_leaf_make(void *set, int64_t unit, at_block *out);
at_err at_csv_make(void *set, int64_t unit, at_block *out);
void at_leaf_close(at_file_set *set);
void at_csv_close(at_file_set *set);

/* What IDX and CIFAR share: all images in one client, as bytes. */
typedef struct at_image_file {
  at_split split; /* TEST, or TRAIN for what the rule divides */
  int64_t n;
  at_bytes image, label; /* [n][bytes of an image], [n] */
} at_image_file;
typedef struct at_images {
  at_image_file *file; /* owned */
  int64_t n_files;
} at_images;
at_err at_images_make(void *set, int64_t unit, at_block *out);
void at_images_close(at_file_set *set);

#endif
