/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of src/comm share: the communicator's insides and the counting of a call. */
#ifndef AT_COMM_COMM_INTERNAL_H
#define AT_COMM_COMM_INTERNAL_H

#include <mpi.h>
#include <stdatomic.h>

#include "src/comm/comm.h"

/* Shared by a world and all that was made from it; owned by the world.  Written by the thread that communicates; the
 * watchdog's thread looks at what is atomic. */
typedef struct at_comm_family {
  _Atomic at_comm_phase phase;
  _Atomic int64_t round;
  _Atomic int64_t beats; /* grows with every sign of progress */
  _Atomic bool waits;    /* inside communication */
  int world_rank;
  char host[MPI_MAX_PROCESSOR_NAME + 1];
} at_comm_family;

struct at_comm {
  MPI_Comm mpi;
  at_comm_family *family;
  int rank, size;
  int64_t chunk; /* most bytes in one MPI call */
  int *counts;   /* [2 * size], owned: counts and displacements of the call under way */
  at_comm_stats stats[AT_COMM_PHASE_COUNT];
};

/* AT_OK, or AT_ERR_MPI with the library's text for `code` of the call named `call`. */
at_err at_comm_check(int code, const char *call);

/* Between these two the calling rank is inside communication; what it exchanged is added to the set phase. */
double at_comm_count_begin(at_comm *c);
void at_comm_count_end(at_comm *c, double begin_s, int64_t messages, int64_t sent, int64_t received);
void at_comm_count_time(at_comm *c, double begin_s); /* seconds only */

/* Elements of `bytes` each in one MPI call: at least 1, within int. */
int at_comm_chunk_elements(const at_comm *c, int64_t bytes);

MPI_Datatype at_comm_mpi_type(at_comm_type t, int64_t *bytes);
MPI_Op at_comm_mpi_op(at_comm_op op);

#endif
