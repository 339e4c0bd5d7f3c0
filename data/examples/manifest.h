/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a set comes from: the manifest.tsv that the jobs/fetch-* scripts leave beside the packages. */
#ifndef AT_DATA_EXAMPLES_MANIFEST_H
#define AT_DATA_EXAMPLES_MANIFEST_H

#include "src/store/h5.h"

/* Datasets /origin/package, version, sha256 and licence: the columns of DIR/manifest.tsv.  A folder without a manifest
 * gives none; AT_ERR_FORMAT names the line that has not four columns. */
at_err at_manifest_store(const char *dir, at_h5 *f);

#endif
