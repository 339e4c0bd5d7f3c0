/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of systems, and how any of them is configured, started and resumed. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sim/federate/federate.h"
#include "sim/photon/photon.h"
#include "sim/session.h"
#include "src/base/alloc.h"
#include "src/store/run.h"

static const char *const reduce_names[] = {"exact", "fast", "codec", "secure", NULL};
static const char *const log_names[] = {"error", "warn", "info", "debug", NULL};

static const at_opt run_rows[] = {
    AT_OPT_STR(at_run_cfg, system, "system", "", "The system that this configuration is for."),
    AT_OPT_STR(at_run_cfg, run, "run", "runs/latest", "Folder of the run: configuration, metrics, checkpoints, log.",
               .is_volatile = true),
    AT_OPT_STR(at_run_cfg, data, "data", NULL, "Federated data set (HDF5), as made by `atoll data`.",
               .is_volatile = true),
    AT_OPT_INT(at_run_cfg, seed, "seed", "1", 0, 9e15, "", "Decides every random number of the run."),
    AT_OPT_ENUM(
        at_run_cfg, reduce, "reduce", "exact", reduce_names,
        "Means over clients: exact (fixed point, the same bytes on any number of ranks), fast (f32, half the bytes), "
        "codec (compressed as exchange.* says, the same bytes too), or secure (masked; an emulation, hides nothing)."),
    AT_OPT_INT(at_run_cfg, checkpoint_every, "checkpoint.every", "1", 1, 1e9, "rounds",
               "Rounds between two checkpoints.", .is_volatile = true),
    AT_OPT_INT(at_run_cfg, checkpoint_keep, "checkpoint.keep", "2", 0, 1e9, "files",
               "How many of the newest checkpoints stay; 0 keeps all.", .is_volatile = true),
    AT_OPT_F64(at_run_cfg, watchdog_s, "watchdog.seconds", "600", 0, 1e6, "s",
               "A rank without any progress for so long is named and ends the job (exit code 76); 0: wait for ever.",
               .is_volatile = true),
    AT_OPT_ENUM(at_run_cfg, log_level, "log.level", "info", log_names, "What is told on the terminal.",
                .is_volatile = true),
};
const at_opt_table at_run_table = AT_OPT_TABLE("Run", run_rows);

static const at_system *const systems[] = {&at_photon_system, &at_federate_system};

const at_system *at_system_at(int i) {
  return i < (int)(sizeof systems / sizeof systems[0]) ? systems[i] : NULL;
}

const at_system *at_system_find(const char *name) {
  for (int i = 0; at_system_at(i) != NULL; i++) {
    if (strcmp(at_system_at(i)->name, name) == 0) {
      return at_system_at(i);
    }
  }
  return NULL;
}

at_err at_config_create(const at_system *system, at_opts **set, void **cfg) {
  *set = NULL;
  AT_TRY(at_alloc(cfg, 1, system->cfg_bytes, "configuration"));
  AT_TRY(at_opts_create(set));
  AT_TRY(at_opts_add(*set, &at_run_table, *cfg));
  for (int i = 0; system->tables[i] != NULL; i++) {
    AT_TRY(at_opts_add(*set, system->tables[i], *cfg));
  }
  return AT_OK;
}

at_err at_config_load(const at_system *system, const char *path, at_opts **set, void **cfg) {
  AT_TRY(at_config_create(system, set, cfg));
  return at_opts_load_file(*set, path);
}

at_err at_system_help(const at_system *system, FILE *out) {
  at_opts *set = NULL;
  void *cfg = NULL;
  at_err err = at_config_create(system, &set, &cfg);
  if (err == AT_OK) {
    fprintf(out,
            "Usage: atoll %s CONFIG.yaml [key=value ...]\n\n%s\n\nRun it on several ranks with `mpirun -n RANKS atoll "
            "%s ...` or `srun --mpi=pmix atoll %s ...`;\nCONFIG.yaml may be - for no file.  Stop it with SIGUSR1 or "
            "SIGTERM: it saves itself and `atoll resume RUN` goes on.\n\n",
            system->name, system->summary, system->name, system->name);
    at_opts_print_help(set, out);
  }
  at_opts_destroy(set);
  at_free(cfg);
  return err;
}

/* Rank 0's part: read everything, settle it. */
static at_err read_options(const at_system *system, at_opts *set, void *cfg, int argc, char **argv) {
  if (strcmp(argv[0], "-") != 0) {
    AT_TRY(at_opts_load_file(set, argv[0]));
  }
  for (int i = 1; i < argc; i++) {
    AT_TRY(at_opts_set(set, argv[i]));
  }
  at_run_cfg *run = cfg;
  if (run->system[0] != '\0' && strcmp(run->system, system->name) != 0) {
    return at_opts_reject(set, "system", "this configuration is not for `atoll %s`", system->name);
  }
  if (run->system[0] == '\0') {
    char text[64];
    snprintf(text, sizeof text, "system=%s", system->name);
    AT_TRY(at_opts_set(set, text));
  }
  AT_TRY(at_opts_check(set));
  return system->resolve(set, cfg);
}

/* The resolved text travels from rank 0 to the others. */
static at_err share_options(at_session *s, at_opts *set) {
  char *text = NULL;
  int64_t length = 0;
  bool root = at_comm_rank(s->world) == 0;
  at_err err = root ? at_opts_yaml_text(set, &text) : AT_OK;
  AT_TRY_TO(err, done, at_comm_agree(s->world, err));
  length = root ? (int64_t)strlen(text) : 0;
  AT_TRY_TO(err, done, at_comm_bcast(s->world, 0, &length, sizeof length));
  err = root ? AT_OK : at_alloc(&text, (size_t)length + 1, 1, "resolved configuration");
  AT_TRY_TO(err, done, at_comm_agree(s->world, err));
  AT_TRY_TO(err, done, at_comm_bcast(s->world, 0, text, length));
  err = root ? AT_OK : at_opts_load_text(set, "resolved configuration", text, (size_t)length);
  err = at_comm_agree(s->world, err);
done:
  at_free(text);
  return err;
}

at_err at_system_configure(at_session *s, const at_system *system, int argc, char **argv, at_opts **set, void **cfg) {
  at_err err = at_config_create(system, set, cfg);
  if (err == AT_OK && at_comm_rank(s->world) == 0) {
    err = read_options(system, *set, *cfg, argc, argv);
  }
  AT_TRY(at_comm_agree(s->world, err));
  AT_TRY(share_options(s, *set));
  at_log_set_level(s->log, (at_log_level)((at_run_cfg *)*cfg)->log_level);
  return AT_OK;
}

static at_err run_system(at_session *s, const at_system *system, int argc, char **argv, bool resume) {
  at_opts *set = NULL;
  void *cfg = NULL;
  at_err err = at_system_configure(s, system, argc, argv, &set, &cfg);
  if (err == AT_OK) {
    err = system->run(s, set, cfg, resume);
  }
  at_opts_destroy(set);
  at_free(cfg);
  return err;
}

at_err at_system_main(at_session *s, const at_system *system, int argc, char **argv) {
  if (argc >= 1 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
    return at_comm_rank(s->world) == 0 ? at_system_help(system, stdout) : AT_OK;
  }
  if (argc < 1) {
    return AT_FAIL(AT_ERR_ARG, "%s needs a configuration file (or - for none), then key=value ...; try --help",
                   system->name);
  }
  return run_system(s, system, argc, argv, false);
}

/* The system that a line of a resolved configuration names; NULL if it is about something else. */
static const at_system *system_in(const char *line) {
  char name[64];
  bool named = sscanf(line, "system: \"%63[^\"\n]\"", name) == 1 || sscanf(line, "system: %63s", name) == 1;
  return named ? at_system_find(name) : NULL;
}

at_err at_config_find_system(const char *path, const at_system **out) {
  char line[256];
  FILE *f = fopen(path, "r");
  *out = NULL;
  if (f == NULL) {
    return AT_FAIL(AT_ERR_FILE, "%s cannot be read: %s", path, strerror(errno));
  }
  while (*out == NULL && fgets(line, sizeof line, f) != NULL) {
    *out = system_in(line);
  }
  fclose(f);
  return *out != NULL ? AT_OK
                      : AT_FAIL(AT_ERR_FORMAT, "%s names no system of this program: it needs a line like `system: %s`",
                                path, systems[0]->name);
}

at_err at_config_parse(const char *name, const char *text, const at_system **system, at_opts **set, void **cfg) {
  *system = NULL;
  *set = NULL;
  *cfg = NULL;
  for (const char *line = text; *system == NULL && line != NULL; line = strchr(line, '\n')) {
    line += *line == '\n';
    *system = system_in(line);
  }
  if (*system == NULL) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: its configuration names no system of this program", name);
  }
  AT_TRY(at_config_create(*system, set, cfg));
  AT_TRY(at_opts_load_text(*set, name, text, strlen(text)));
  AT_TRY(at_opts_check(*set));
  return (*system)->resolve(*set, *cfg);
}

at_err at_resume_main(at_session *s, int argc, char **argv) {
  if (argc != 1 || argv[0][0] == '-') {
    return AT_FAIL(AT_ERR_ARG, "Usage: atoll resume RUN   (go on from the newest good checkpoint of the folder RUN)");
  }
  char path[4096], override[4200];
  snprintf(path, sizeof path, "%s/config.yaml", argv[0]);
  snprintf(override, sizeof override, "run=%s", argv[0]); /* the folder may have moved */
  if (access(path, R_OK) != 0) {
    return AT_FAIL(AT_ERR_FILE, "%s cannot be read: give the folder of a run (it holds config.yaml)", path);
  }
  const at_system *system;
  AT_TRY(at_config_find_system(path, &system));
  return run_system(s, system, 2, (char *[]){path, override}, true);
}
