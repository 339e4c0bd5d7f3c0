/* SPDX-License-Identifier: BSD-3-Clause */
/* What the store needs of the file system beyond HDF5: folders, small texts, and space that is really there. */
#ifndef AT_STORE_FS_H
#define AT_STORE_FS_H

#include <stdint.h>

#include "src/base/status.h"

/* A printf into a new string; at_free. */
at_err at_fs_path(char **out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

at_err at_fs_make_folder(const char *path); /* with parents; fine if it is there */

/* Make sure that the existing file `path` can grow to `bytes` bytes; its length does not change where the file system can
 * do that, else it becomes `bytes`.  AT_ERR_FILE says how much is wanted and how much is free. */
at_err at_fs_reserve(const char *path, int64_t bytes);

/* Write the whole text under a temporary name, then rename (see base/file.h). */
at_err at_fs_write_text(const char *path, const char *text);
at_err at_fs_read_text(const char *path, char **text); /* at_free */

/* fsync by name. */
at_err at_fs_sync(const char *path);

#endif
