/* SPDX-License-Identifier: BSD-3-Clause */
/* The scripts whose letters can be drawn, each a task of its own: one row of a table. */
#ifndef AT_DATA_GLYPHS_SCRIPT_H
#define AT_DATA_GLYPHS_SCRIPT_H

#include <stdint.h>

enum { AT_SCRIPT_RANGES = 12, AT_SCRIPT_CLASSES_MAX = 96 };

typedef struct at_script {
  const char *name, *help;
  uint32_t range[AT_SCRIPT_RANGES][2]; /* first and last code points, ending with {0, 0}; class k is the k-th of them */
  int upper, lower, pairs; /* classes upper + i and lower + i are the two cases of a letter, i = 0 .. pairs - 1 */
} at_script;

extern const at_script at_scripts[]; /* ends with name == NULL */

int at_script_classes(const at_script *s);
uint32_t at_script_code(const at_script *s, int class);
int at_script_fold(const at_script *s, int class); /* the class of the capital */

#endif
