/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of data set kinds. */
#include "data/kinds.h"

#include <string.h>

#include "data/text/text.h"

const at_data_kind at_data_kinds[] = {
    {"text", "Languages and genres from Debian packages, from this system, or from your own files; a silo each.",
     at_data_text_run, at_data_text_print_help},
    {"files", "Examples in the formats of others: MNIST's IDX, CIFAR, LEAF's JSON.", at_data_files_run,
     at_data_files_help},
    {NULL, NULL, NULL, NULL},
};

const at_data_kind *at_data_kind_find(const char *name) {
  for (const at_data_kind *k = at_data_kinds; k->name != NULL; k++) {
    if (strcmp(k->name, name) == 0) {
      return k;
    }
  }
  return NULL;
}
