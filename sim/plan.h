/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run will take, as `atoll plan` tells it: a system fills one of these, sim/plan.c compares it with what there is. */
#ifndef AT_SIM_PLAN_H
#define AT_SIM_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/session.h"

enum { AT_PLAN_ROWS = 8 };

/* One part of a sum; names and advice are literals. */
typedef struct at_plan_row {
  const char *name;
  double value;       /* bytes or seconds */
  const char *advice; /* which keys make it smaller */
} at_plan_row;

typedef struct at_plan_sum {
  int n;
  at_plan_row row[AT_PLAN_ROWS];
} at_plan_sum;

typedef struct at_plan_file {
  const char *name;
  double bytes;       /* of one at the end of the run */
  double most;        /* how many of them there are at once, at most */
  const char *advice; /* which keys make it smaller */
} at_plan_file;

struct at_plan {
  int ranks;    /* of the run that is planned */
  int measured; /* ranks that took part in the measurement of time; 0: it was left out */
  double rounds;
  at_plan_sum memory; /* of the rank that needs most, in bytes, without what a process has before it begins */
  double process;     /* that, in bytes */
  int n_files;        /* in the run folder */
  at_plan_file file[AT_PLAN_ROWS];
  double data_file;    /* bytes of the data set's file */
  double client_bytes; /* sent by one client in a round */
  double
      link_bits; /* sent per element that a ring of floats would send: what crosses the links between clients; 0: none */
  bool is_most;  /* those two are the most: sizes of codes depend on the values */
  double rank_bytes;                          /* sent by rank 0 in a round without evaluation */
  double eval_bytes;                          /* and with one, in addition */
  double run_bytes;                           /* sent by rank 0 in all rounds */
  bool has_virtual;                           /* devices or links are declared */
  double virtual_local_s, virtual_exchange_s; /* of a round on them */
  at_plan_sum time;                           /* of the whole run, in seconds; nothing if measured = 0 */
};

/* What the sum's parts make. */
double at_plan_total(const at_plan_sum *s);
/* Append a part; parts of nothing are left out. */
void at_plan_add(at_plan_sum *s, const char *name, double value, const char *advice);

#endif
