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
#include "src/store/publisher.h"

typedef struct at_run at_run;

typedef enum at_run_mode {
  AT_RUN_NEW,   /* made if absent (parents too); AT_ERR_STATE if it already holds a run */
  AT_RUN_RESUME /* must hold config.yaml, else AT_ERR_STATE */
} at_run_mode;

/* AT_ERR_BUSY: another process writes here (names host and process).  AT_ERR_FILE: cannot be written.
 * Leftovers of killed writers (temporary files) are removed.  Collective: same code and message on all ranks. */
at_err at_run_open(at_run **out, at_comm *world, const char *folder, at_run_mode mode);
/* Waits for what is still on its way to disk (at_run_settle tells how that ends), releases the lock.  Accepts NULL. */
void at_run_close(at_run *r);

const char *at_run_folder(const at_run *r);
const char *at_run_path(at_run *r, const char *name); /* "RUN/name"; valid until the next call */
/* False where the file system has no locks: the caller warns.  The same on all ranks. */
bool at_run_is_locked(const at_run *r);

/* What brings this run's files to disk in the background: rank 0's, NULL on the others. */
at_publisher *at_run_publisher(const at_run *r);
/* Until all of them are on disk; before anybody reads them, and at the end.  Collective: same code and message. */
at_err at_run_settle(at_run *r, at_comm *world);
/* A failure in the background so far, without waiting.  Not collective: told on rank 0, which makes the ranks agree. */
at_err at_run_status(const at_run *r);

/* config.yaml, written whole (temporary name, fsync, rename).  Collective. */
at_err at_run_write_config(at_run *r, at_comm *world, const char *yaml);
/* The stored text on all ranks; at_free.  Collective. */
at_err at_run_read_config(at_run *r, at_comm *world, char **yaml);

#endif
