/* SPDX-License-Identifier: BSD-3-Clause */
/* What is in an HDF5 file, as tables for people. */
#ifndef AT_STORE_INSPECT_H
#define AT_STORE_INSPECT_H

#include <stdio.h>

#include "src/base/status.h"

/* Print groups and datasets of `path` to `out`: name, type, shape, units, smallest, largest and mean of numbers (non-
 * finite ones are counted apart), description; then provenance.  Groups of very many members (clients) are cut short
 * after the first ones.  Not collective. */
at_err at_inspect(const char *path, FILE *out);

#endif
