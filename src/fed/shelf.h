/* SPDX-License-Identifier: BSD-3-Clause */
/* What stateful clients keep between their rounds: a row of `width` f32 for each client that was visited, on disk.
 *
 * Clients are dealt to logical shards (client mod shards), shards to ranks (shard mod ranks), and a client is played where its shard is:
 * no row ever travels.  A shard is a log: rows are appended to a buffer in memory; a full buffer becomes a file,
 * FOLDER/SS-NNNNNNNN.h5, which is written whole and never changed; an index in memory tells where the newest row of each client
 * is.  So a rank needs one buffer a shard and a few bytes a visited client, the files hold visited clients only, nothing is ever
 * half written, and the files' bytes do not depend on the number of ranks.  Old files whose rows were mostly replaced are
 * cleaned: what still counts is appended again.
 *
 * A round that must be played again is taken back with at_shelf_rollback.  A checkpoint holds at_shelf_marks: the files it counts
 * on stay until no checkpoint needs them.  Marks also hold a digest of all rows, so a restored shelf is checked to be the same. */
#ifndef AT_FED_SHELF_H
#define AT_FED_SHELF_H

#include "src/comm/comm.h"
#include "src/store/provenance.h"

typedef struct at_shelf at_shelf;

/* One row a shard in a checkpoint. */
typedef struct at_shelf_mark {
  int64_t first, end; /* numbers of its files: first .. end - 1 */
  int64_t clients;    /* visited */
  int64_t digest;     /* over all rows */
} at_shelf_mark;
enum { AT_SHELF_MARK_WIDTH = sizeof(at_shelf_mark) / sizeof(int64_t) };

typedef struct at_shelf_spec {
  const char *folder; /* of the files; copied, made if absent */
  int64_t width;      /* f32 a row */
  int64_t shards;
  int64_t memory; /* bytes of all buffers together; at least one row a shard is kept */
  int rank, ranks;
  const at_provenance *prov; /* borrowed */
} at_shelf_spec;

at_err at_shelf_create(at_shelf **out, const at_shelf_spec *spec);
void at_shelf_destroy(at_shelf *s); /* accepts NULL; files stay */

bool at_shelf_is_home(const at_shelf *s, int64_t client); /* is its shard on this rank? */
size_t at_shelf_bytes(const at_shelf *s);                 /* memory on this rank now */
int64_t at_shelf_clients(const at_shelf *s);              /* visited, of this rank's shards */
int64_t at_shelf_disk_bytes(const at_shelf *s);           /* of the files of this rank's shards */

/* row[width] <- what the client keeps; *found = false and row untouched if it was never visited.  Home only. */
at_err at_shelf_get(at_shelf *s, int64_t client, float *row, bool *found);
/* Replace it.  Home only. */
at_err at_shelf_put(at_shelf *s, int64_t client, const float *row);
/* Puts since the last commit hold, or never were: what was before is appended again. */
void at_shelf_commit(at_shelf *s);
at_err at_shelf_rollback(at_shelf *s);

/* Write what is in memory, clean, and fill mark[shards] for a checkpoint, the same on all ranks.  Collective. */
at_err at_shelf_save(at_shelf *s, at_comm *world, at_shelf_mark *mark);
/* Remove files that neither the shelf nor the marks of kept checkpoints need: oldest[shards] are those of the oldest one.  Not
 * collective. */
void at_shelf_forget(at_shelf *s, const at_shelf_mark *oldest);
/* Become what mark[shards] says; files of an abandoned future are removed.  AT_ERR_FORMAT: files are missing or hold something else.
 * Not collective. */
at_err at_shelf_restore(at_shelf *s, const at_shelf_mark *mark);

#endif
