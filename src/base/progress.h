/* SPDX-License-Identifier: BSD-3-Clause */
/* Progress of a long piece of work: how far, how fast, how long still.
 *
 *   round 12/80  15 %  loss 2.41  31.2 ktok/s  1 min 20 s left
 *
 * On a terminal one line is rewritten; elsewhere lines come at growing intervals (at once, then after 2 s, 4 s, ... 60 s).
 * Only rank 0 writes. */
#ifndef AT_BASE_PROGRESS_H
#define AT_BASE_PROGRESS_H

#include <stdint.h>
#include <stdio.h>

#include "src/base/status.h"

typedef struct at_progress at_progress; /* opaque; a NULL one is accepted everywhere and does nothing */

typedef struct at_progress_spec {
  const char *noun;      /* what is counted: "round"; borrowed */
  const char *unit;      /* of the rate, without "/s": "tok"; NULL: no rate; borrowed */
  int64_t start;         /* done already (after a resume) */
  int64_t total;         /* done at the end */
  FILE *out;             /* NULL: stderr; borrowed */
  double (*now_s)(void); /* NULL: at_clock_now_s */
} at_progress_spec;

/* *out = NULL on ranks other than 0. */
at_err at_progress_create(at_progress **out, int rank, const at_progress_spec *spec);
/* `done` of the total are done; `units` of the rate's unit were worked off since creation.  The printf-style note (may
 * be "") stands in the middle.  The first call shows at once. */
void at_progress_update(at_progress *p, int64_t done, double units, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Show the last state with the time it took, end the line, and free.  Accepts NULL. */
void at_progress_destroy(at_progress *p);

#endif
