/* SPDX-License-Identifier: BSD-3-Clause */
/* What every command works with, and what a system must offer to be one row of the table in sim/systems.c. */
#ifndef AT_SIM_SESSION_H
#define AT_SIM_SESSION_H

#include "kernels/kernels.h"
#include "src/base/isa.h"
#include "src/base/log.h"
#include "src/base/options.h"
#include "src/comm/comm.h"

/* The process: made by main, borrowed by everybody else. */
typedef struct at_session {
  at_comm *world;
  at_log *log;
  const at_kernels *kernels;
  at_pin pin;
} at_session;

/* Keys that every system has. */
typedef struct at_run_cfg {
  char *system, *run, *data;
  int64_t seed, checkpoint_every, checkpoint_keep;
  double watchdog_s;
  int reduce, log_level;
} at_run_cfg;
enum { AT_REDUCE_EXACT, AT_REDUCE_FAST, AT_REDUCE_CODEC, AT_REDUCE_SECURE };
extern const at_opt_table at_run_table;

typedef struct at_plan at_plan;     /* sim/plan.h */
typedef struct at_replay at_replay; /* sim/verify.h */

typedef struct at_system {
  const char *name, *summary;
  size_t cfg_bytes;               /* size of its configuration struct, which begins with an at_run_cfg */
  const at_opt_table *tables[12]; /* besides at_run_table; NULL-terminated; fields in the same struct */
  /* Settle what depends on several keys, and refuse what cannot be; rank 0 only, cfg is filled. */
  at_err (*resolve)(at_opts *set, void *cfg);
  /* Do it.  Collective. */
  at_err (*run)(at_session *s, at_opts *set, void *cfg, bool resume);
  void (*list)(FILE *out); /* its methods, a line each */
  /* `atoll plan` and `atoll verify`: see sim/plan.h and sim/verify.h.  Collective. */
  at_err (*plan)(at_session *s, at_opts *set, const void *cfg, int ranks, at_plan *out);
  at_err (*replay)(at_session *s, at_opts *set, const void *cfg, const at_replay *what);
} at_system;

const at_system *at_system_find(const char *name); /* NULL if there is none */
const at_system *at_system_at(int i);              /* NULL past the last */

/* `atoll SYSTEM CONFIG.yaml [key=value ...]`.  Rank 0 reads, all ranks get the resolved values.  Collective. */
at_err at_system_main(at_session *s, const at_system *system, int argc, char **argv);
/* Options and values of a configuration file (or "-") and key=value pairs: read and settled by rank 0, the same on all.
 * Whatever comes back, the caller frees *set with at_opts_destroy, then *cfg with at_free.  Collective. */
at_err at_system_configure(at_session *s, const at_system *system, int argc, char **argv, at_opts **set, void **cfg);
/* The system that a YAML file is for; only that key is looked at.  AT_ERR_FILE, AT_ERR_FORMAT.  Not collective. */
at_err at_config_find_system(const char *path, const at_system **out);
/* `atoll resume RUN`. */
at_err at_resume_main(at_session *s, int argc, char **argv);
/* A system's keys at their defaults, and the struct they fill.  Whatever comes back, the caller frees *set with
 * at_opts_destroy, then *cfg with at_free. */
at_err at_config_create(const at_system *system, at_opts **set, void **cfg);
/* The configuration that a YAML file holds; at_opts_destroy(*set), then at_free(*cfg).  Not collective. */
at_err at_config_load(const at_system *system, const char *path, at_opts **set, void **cfg);
/* The configuration that a file carries as its provenance: resolved YAML `text`, found in `name`.  Whatever comes back,
 * the caller frees *set with at_opts_destroy, then *cfg with at_free.  AT_ERR_FORMAT, AT_ERR_CONFIG.  Not collective. */
at_err at_config_parse(const char *name, const char *text, const at_system **system, at_opts **set, void **cfg);
/* Keys, defaults and one sentence each. */
at_err at_system_help(const at_system *system, FILE *out);

#endif
