/* SPDX-License-Identifier: BSD-3-Clause */
/* The folder of a run: a lock, config.yaml, log.txt, metrics.h5, checkpoints/NNNNNN.h5.
 *
 * The lock is an flock on RUN/lock held by rank 0 for the life of the object; it ends with the process, however that
 * ends.  The file names its holder. */
#ifndef AT_STORE_RUN_H
#define AT_STORE_RUN_H

#include <stdbool.h>

#include "src/base/status.h"
#include "src/comm/comm.h"

typedef struct at_run at_run;

typedef enum at_run_mode {
  AT_RUN_NEW,   /* made if absent (parents too); AT_ERR_STATE if it already holds a run */
  AT_RUN_RESUME /* must hold config.yaml, else AT_ERR_STATE */
} at_run_mode;

/* AT_ERR_BUSY: another process writes here (names host and process).  AT_ERR_FILE: cannot be written.
 * Leftovers of killed writers (temporary files) are removed.  Collective: same code and message on all ranks. */
at_err at_run_open(at_run **out, at_comm *world, const char *folder, at_run_mode mode);
void at_run_close(at_run *r); /* releases the lock; accepts NULL */

const char *at_run_folder(const at_run *r);
const char *at_run_path(at_run *r, const char *name); /* "RUN/name"; valid until the next call */
/* False where the file system has no locks: the caller warns.  The same on all ranks. */
bool at_run_is_locked(const at_run *r);

/* config.yaml, written whole (temporary name, fsync, rename).  Collective. */
at_err at_run_write_config(at_run *r, at_comm *world, const char *yaml);
/* The stored text on all ranks; at_free.  Collective. */
at_err at_run_read_config(at_run *r, at_comm *world, char **yaml);

#endif
