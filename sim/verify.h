/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll verify`: what its parts share, and what a system is asked to play again. */
#ifndef AT_SIM_VERIFY_H
#define AT_SIM_VERIFY_H

#include <stdint.h>

#include "sim/session.h"

/* Play the rounds from+1 .. to of the run in `folder` again, beginning at its checkpoint of round `from` (0: at the start),
 * and leave the checkpoint of round `to` and metrics.h5 in the run folder `again`, which is new.  Nothing is changed in
 * `folder`. */
struct at_replay {
  const char *folder, *again;
  int64_t from, to;
};

/* `name` of the run becomes a link in the new folder.  Rank 0. */
at_err at_replay_link(const at_replay *what, const char *name); /* replay.c */
/* Where the replay begins, as `atoll resume` would find it: the checkpoint of round `from`, and metrics.h5.  Rank 0. */
at_err at_replay_link_start(const at_replay *what);

/* The table of checks: lines on stdout, by rank 0. */
typedef struct at_checks {
  int passed, failed;
} at_checks;

void at_check_passed(at_checks *c, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void at_check_failed(at_checks *c, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The files of a run. */
typedef struct at_run_files {
  int64_t n;
  char **path;              /* [n], owned: metrics.h5 and others, then checkpoints in the order of their rounds */
  int64_t n_rounds, *round; /* checkpoints, owned */
  int64_t leftovers;        /* of writers that were killed */
} at_run_files;

at_err at_run_files_list(at_run_files *out, const char *folder);
void at_run_files_forget(at_run_files *f);

/* verify_files.c: one line each, more where something is wrong.  What comes back is not about the run, but about the
 * check: AT_ERR_MEMORY and the like. */
at_err at_verify_checksums(at_checks *c, const at_run_files *f);
at_err at_verify_provenance(at_checks *c, const at_run_files *f, at_opts *set);
at_err at_verify_metrics(at_checks *c, const at_run_files *f, const char *folder);
at_err at_verify_retention(at_checks *c, const at_run_files *f, const at_run_cfg *cfg);
/* Rows of metrics that two files have in common are the same; only columns that do not depend on the machine's speed. */
at_err at_verify_same_rows(at_checks *c, const char *path, const char *again);
/* Seconds that the rounds after `from` up to `to` took, from column round_seconds; negative: not known. */
double at_verify_seconds(const char *folder, int64_t from, int64_t to);

#endif
