/* SPDX-License-Identifier: BSD-3-Clause */
/* Collective checkpoints: one list of items is both what is written and what is read back, on any number of ranks.
 *
 * A checkpoint is RUN/checkpoints/NNNNNN.h5 (NNNNNN the round).  The bytes of its datasets do not depend on the number
 * of ranks.  Writing: rank 0 creates the file under a temporary name with every dataset allocated, reserves the space,
 * and the outcome is agreed on; only then do all ranks open it with MPI-IO and write contiguous parts, independently
 * of each other; fsync; rename; fsync of the folder.  So a full disk is an error with the bytes needed, never a hang,
 * and a crash at any point leaves the previous checkpoint as the newest.
 *
 * Where all items are replicated and small (16 MiB), at_ckpt_begin takes a shorter way to the same file: rank 0 has all
 * the data, keeps the file's structure in memory, and a thread brings the image to disk (see publisher.h) while the next
 * round is under way.  What it promises is the same, only later: a crash at any point leaves the newest complete
 * checkpoint, whose metrics are on disk before it is. */
#ifndef AT_STORE_CKPT_H
#define AT_STORE_CKPT_H

#include <stdint.h>

#include "src/base/log.h"
#include "src/base/status.h"
#include "src/comm/comm.h"
#include "src/graph/graph.h"
#include "src/store/h5.h"
#include "src/store/provenance.h"
#include "src/store/run.h"

typedef enum at_ckpt_kind {
  AT_CKPT_REPLICATED, /* all ranks hold the same dims[0] x dims[1] x ... (ndims = 0: a scalar, such as a counter) */
  AT_CKPT_ROWS        /* dims[0] clients in all, of dims[1] x ... each; every client's row on exactly one rank */
} at_ckpt_kind;

/* ids: the client of each row on this rank, ascending, in 0..dims[0]-1.  Writing: each client on one rank.  Reading:
 * any, also the same client on several ranks.
 * rows: where each row of this rank is, for rows that do not lie one after the other; NULL: they do, in data.
 * layout: the tensors of a replicated vector, or NULL; their names, shapes and offsets are stored beside it as the
 * group <path>_layout, and compared when read.  All pointers are borrowed. */
typedef struct at_ckpt_item {
  at_h5_desc desc; /* path such as "/outer/m"; for ROWS, dims[0] counts all clients */
  at_ckpt_kind kind;
  void *data;              /* whole array, or [n_local] rows in the order of ids */
  void *const *rows;       /* ROWS: [n_local], instead of data */
  int64_t n_local;         /* ROWS */
  const int64_t *ids;      /* ROWS: [n_local] */
  const at_layout *layout; /* REPLICATED */
} at_ckpt_item;

/* Write the items as the checkpoint of `round`, replacing one of the same round; then remove those of later rounds (a
 * future that was abandoned by going back) and all but the newest `keep` (0: keep all).  A ROWS item gets a second
 * dataset <path>_crc32: u32, one per row.
 * Same code and message on all ranks; on failure the earlier checkpoints are as they were.  Collective. */
at_err at_ckpt_write(at_run *run, at_comm *world, const at_provenance *prov, int64_t round, int n_items,
                     const at_ckpt_item *items, int keep);

/* The same, but the file may follow in the background: items may change when this returns, and the earlier checkpoints
 * are removed once this one is in place.  A failure that comes later is told by the next of at_run_status,
 * at_run_settle and the functions here; at_run_settle before the end, or before anybody looks.  The layouts and prov live
 * as long as the run.  Collective. */
at_err at_ckpt_begin(at_run *run, at_comm *world, const at_provenance *prov, int64_t round, int n_items,
                     const at_ckpt_item *items, int keep);
/* Memory that at_ckpt_begin keeps on rank 0 for such items; 0 where it does as at_ckpt_write. */
int64_t at_ckpt_kept_bytes(int n_items, const at_ckpt_item *items);

/* *bytes: how long the file would be that at_ckpt_begin makes of the items, whose data are not touched.  Writes a file of
 * the same structure, but of short datasets, into `folder`, and removes it.  Not collective. */
at_err at_ckpt_measure(const char *folder, const at_provenance *prov, int n_items, const at_ckpt_item *items,
                       int64_t *bytes);

/* Fill the items from the newest checkpoint all of whose datasets are good, or from that of `round` if not negative.
 * A damaged newer one is skipped with a warning to `log` (may be NULL).  *loaded: the round.
 * AT_ERR_STATE: a good checkpoint that does not fit the items (other shape, layout or type: says which).
 * AT_ERR_FILE: there is none.  On failure the contents of the items are unspecified.  Collective. */
at_err at_ckpt_load(at_run *run, at_comm *world, at_log *log, int64_t round, int n_items, const at_ckpt_item *items,
                    int64_t *loaded);

/* As at_ckpt_load from another run's folder (its newest good checkpoint), or from one file.  Collective. */
at_err at_ckpt_load_from(const char *path, at_comm *world, at_log *log, int n_items, const at_ckpt_item *items);

/* Rounds of the checkpoints in `folder` (a run's), ascending; at_free.  None: n = 0.  Not collective. */
at_err at_ckpt_list(const char *folder, int64_t *n, int64_t **rounds);
/* "FOLDER/checkpoints/000012.h5"; at_free. */
at_err at_ckpt_path(char **out, const char *folder, int64_t round);

#endif
