/* SPDX-License-Identifier: BSD-3-Clause */
/* A watchdog over the ranks: one that is silent for too long is named, and the job ends instead of waiting for ever.
 *
 * Every rank has a thread that makes no MPI calls.  It looks at its rank's signs of progress (each call of src/comm, each
 * at_comm_beat) and keeps them as the rank's line in the file FOLDER/heartbeat, where the other ranks' threads can read
 * them.  When its rank has shown no progress for the given time, it looks for the culprits: ranks whose line is not
 * written any more (stopped, dead, cut off), and ranks at a standstill outside of communication.  If there are any, or if
 * all ranks have waited for each other for twice the time, one rank says so in one line on stderr and in FOLDER/stalled,
 * and all end with the exit code of AT_ERR_STALLED; the launcher takes the others along.
 *
 * Time is counted in the thread's own ticks (a tenth of the limit, and about a second at most), not on a clock: a job that was
 * suspended as a whole goes on.  Clocks of hosts are not compared. */
#ifndef AT_COMM_WATCHDOG_H
#define AT_COMM_WATCHDOG_H

#include "src/base/status.h"
#include "src/comm/comm.h"

typedef struct at_watchdog at_watchdog;

/* Watch over the ranks of `world` with files in `folder`, which all hosts share.  seconds: how long is too long; 0: no
 * watchdog, *out = NULL.  advice: ends the line, for example how to resume.  Both texts are copied.  AT_ERR_FILE: the
 * files cannot be written.  Same code on all ranks.  Collective. */
at_err at_watchdog_start(at_watchdog **out, at_comm *world, const char *folder, double seconds, const char *advice);
/* After the last round, before the world is released.  Accepts NULL.  Not collective. */
void at_watchdog_stop(at_watchdog *w);

/* A sign of progress of the calling rank between two calls of src/comm.  Costs a store. */
void at_comm_beat(at_comm *c);
/* The rank is about to wait for the others in a collective call of another library (MPI-IO), and is through with it. */
void at_comm_enter(at_comm *c);
void at_comm_leave(at_comm *c);

#endif
