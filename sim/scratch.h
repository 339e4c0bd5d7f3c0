/* SPDX-License-Identifier: BSD-3-Clause */
/* Folders for the files of a measurement or a replay, removed afterwards. */
#ifndef AT_SIM_SCRATCH_H
#define AT_SIM_SCRATCH_H

#include <stddef.h>

#include "src/comm/comm.h"

/* A new folder beside `path` (which need not exist), so on the file system that a run there would use; where nobody may
 * write there, in $TMPDIR or /tmp.  *folder on all ranks.  Collective. */
at_err at_scratch_create(char **folder, at_comm *world, const char *path);
/* Remove it with its contents and free the name.  Accepts NULL.  When nobody uses it any more; not collective. */
void at_scratch_remove(char *folder, at_comm *world);

/* The nearest folder above `path` that exists: "." at last. */
void at_scratch_ancestor(char *out, size_t size, const char *path);

#endif
