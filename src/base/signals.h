/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals that ask a run to save itself and stop: SIGUSR1 (Slurm's --signal), SIGTERM, SIGINT. */
#ifndef AT_BASE_SIGNALS_H
#define AT_BASE_SIGNALS_H

#include "src/base/status.h"

/* Catch the three.  A second SIGINT ends the process at once with exit code 130: a user who asks twice means it. */
at_err at_signals_init(void);
/* The first of the signals caught so far, 0 if none.  Local: ranks agree on it by a reduction. */
int at_signals_pending(void);

#endif
