/* SPDX-License-Identifier: BSD-3-Clause */
/* Are two states the same, bit for bit?  Dataset by dataset, provenance and volatile data (times) apart. */
#ifndef AT_STORE_DIFF_H
#define AT_STORE_DIFF_H

#include <stdio.h>

#include "src/base/status.h"

/* Compare two HDF5 files, or two run folders (metrics.h5, evaluation.h5, the newest checkpoints, and every older checkpoint
 * that both still have).  Prints a table to `out`: dataset, elements that differ, largest absolute difference; equal datasets
 * only as a count.  Floats are compared by their bits (NaN equals the same NaN; -0 is not 0).
 * AT_ERR_DIFFERENT: something differs or is present on one side only.  Not collective. */
at_err at_diff(const char *a, const char *b, FILE *out);

#endif
