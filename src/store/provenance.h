/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a file comes from: what decided its numbers, written as attributes of /provenance into every file of a run. */
#ifndef AT_STORE_PROVENANCE_H
#define AT_STORE_PROVENANCE_H

#include "src/base/status.h"
#include "src/comm/comm.h"
#include "src/store/h5.h"

#define AT_VERSION "0.1.0"
enum { AT_SCHEMA_VERSION = 1 }; /* of all our files; raised when a reader would misunderstand */

typedef struct at_provenance at_provenance;

/* Collect: version, git revision, compiler, libraries (MPI, HDF5, OpenBLAS, GSL, zlib), ranks, hosts, Slurm variables,
 * start time (UTC), and the caller's configuration (resolved YAML text), instruction set and threads per rank.
 * All strings are copied.  Collective over the world (host names are gathered). */
at_err at_provenance_create(at_provenance **out, at_comm *world, const char *config, const char *isa, int threads);
void at_provenance_destroy(at_provenance *p); /* accepts NULL */

/* One entry ("isa", "hosts", "slurm_job_id", ...); NULL if there is none. */
const char *at_provenance_get(const at_provenance *p, const char *name);
/* Write all entries into f.  p may be NULL (tests): nothing is written.  Not collective. */
at_err at_provenance_write(const at_provenance *p, at_h5 *f);

#endif
