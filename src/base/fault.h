/* SPDX-License-Identifier: BSD-3-Clause */
/* Named places where a test may kill the process, to prove that nothing is lost there.
 *
 * ATOLL_FAULT=name:n kills the calling process with SIGKILL at the n-th passage (from 1) of the point `name`;
 * ATOLL_FAULT_RANK=r limits it to one rank, ATOLL_FAULT_SIGNAL=s takes the signal of number s instead (15: SIGTERM).
 * Unset, a point costs one branch. */
#ifndef AT_BASE_FAULT_H
#define AT_BASE_FAULT_H

#define AT_FAULT_POINTS(X)                                                               \
  X(STEP, "step")                           /* in the middle of a local training step */ \
  X(CHECKPOINT_WRITE, "checkpoint_write")   /* some datasets written, others not */      \
  X(CHECKPOINT_FSYNC, "checkpoint_fsync")   /* all written, before fsync */              \
  X(CHECKPOINT_RENAME, "checkpoint_rename") /* on disk under its temporary name */       \
  X(METRICS_RENAME, "metrics_rename")

typedef enum at_fault {
  AT_FAULT_NONE = -1, /* a point that is none */
#define X(id, name) AT_FAULT_##id,
  AT_FAULT_POINTS(X)
#undef X
      AT_FAULT_COUNT
} at_fault;

void at_fault_init(int rank);        /* reads the environment once */
void at_fault_point(at_fault where); /* signals go to the process, whichever thread came by */

#endif
