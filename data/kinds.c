/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of data set kinds. */
#include "data/kinds.h"

#include <string.h>

#include "data/text/text.h"

const at_data_kind at_data_kinds[] = {
    {"text", "Languages and genres from Debian packages, from this system, or from your own files; a silo each.",
     at_data_text_run, at_data_text_print_help},
    {"glyphs", "Letters and digits drawn from fonts; a font face each, families kept together across splits.",
     at_data_glyphs_run, at_data_glyphs_help},
    {"digits", "Handwritten digits of 8 x 8 or 20 x 20 pixels.", at_data_digits_run, at_data_digits_help},
    {"table", "Tables from R packages, MovieLens with users as clients among them.", at_data_table_run,
     at_data_table_help},
    {"photos", "Patches of photographs; a picture each.", at_data_photos_run, at_data_photos_help},
    {"files", "Examples in the formats of others: MNIST's IDX, CIFAR, LEAF's JSON, CSV.", at_data_files_run,
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
