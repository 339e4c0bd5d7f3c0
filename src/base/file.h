/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing files so that a reader never meets half of one. */
#ifndef AT_BASE_FILE_H
#define AT_BASE_FILE_H

#include "src/base/status.h"

/* fsync the finished file `temporary`, rename it to `path`, and fsync the folder: after a crash at any moment, `path` is
 * the old file or the whole new one.  Both names are in one folder.  AT_ERR_FILE; `temporary` is then left to the caller. */
at_err at_file_publish(const char *temporary, const char *path);

#endif
