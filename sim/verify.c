/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll verify RUN`: checks of the files, then rounds that are played again and must come out the same. */
#include "sim/verify.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "sim/commands.h"
#include "sim/scratch.h"
#include "src/base/alloc.h"
#include "src/base/fmt.h"
#include "src/base/rng.h"
#include "src/store/ckpt.h"
#include "src/store/diff.h"
#include "src/store/fs.h"

typedef struct verify_cfg {
  char *data;
  int64_t round;
  double seconds;
  bool replay;
} verify_cfg;

#define T verify_cfg
static const at_opt rows[] = {
    AT_OPT_BOOL(T, replay, "replay", "true", "Play rounds between two checkpoints again and compare."),
    AT_OPT_INT(T, round, "round", "0", 0, 1e9, "",
               "Play the rounds between the checkpoints around this one; 0: any two."),
    AT_OPT_F64(T, seconds, "seconds", "600", 0, 1e9, "s",
               "Play again only what took the run no longer than this; a given round is played however long it took."),
    AT_OPT_STR(T, data, "data", "", "Where the data set is now; empty: where it was."),
};
#undef T
static const at_opt_table table = AT_OPT_TABLE("Verification", rows);

typedef struct verification {
  at_session *s;
  const verify_cfg *cfg;
  const char *folder;
  const at_system *system;
  at_opts *set; /* of the run */
  void *run_cfg;
  at_run_files files; /* rank 0 */
  at_checks checks;   /* rank 0 */
} verification;

/* ---- what to play again ---- */

/* The instruction set and threads decide bits.  From the newest checkpoint; rank 0. */
static at_err check_identity(const verification *v) {
  char *isa = NULL, *threads = NULL, own[16];
  at_h5 *f = NULL;
  snprintf(own, sizeof own, "%d", v->s->pin.threads);
  at_err err = at_h5_open_kind(&f, v->files.path[v->files.n - 1], "checkpoint");
  err = err == AT_OK ? at_h5_get_attr_text(f, "/provenance", "isa", &isa) : err;
  err = err == AT_OK ? at_h5_get_attr_text(f, "/provenance", "threads", &threads) : err;
  if (err == AT_OK && strcmp(isa, at_isa_name(v->s->pin.isa)) != 0) {
    err = AT_FAIL(AT_ERR_STATE,
                  "not played again: the run used instruction set %s, this process uses %s: set ATOLL_ISA=%s", isa,
                  at_isa_name(v->s->pin.isa), isa);
  } else if (err == AT_OK && strcmp(threads, own) != 0) {
    err = AT_FAIL(AT_ERR_STATE,
                  "not played again: the run had %s threads per rank, this process has %s: set ATOLL_THREADS=%s",
                  threads, own, threads);
  }
  at_h5_close(f);
  at_free(isa);
  at_free(threads);
  return err;
}

/* Rounds of the checkpoint before number i: the start has none. */
static int64_t before(const at_run_files *f, int64_t i) {
  return i > 0 ? f->round[i - 1] : 0;
}

/* One stretch between two checkpoints, or between the start and the first: the one that was asked for, else any that is
 * short enough, by the time of day. */
static at_err choose(const verification *v, at_replay *out) {
  const at_run_files *f = &v->files;
  int64_t fitting = 0, chosen = -1;
  at_stream draw = {.seed = (uint64_t)time(NULL), .purpose = AT_RNG_SAMPLING};
  for (int64_t i = 0; i < f->n_rounds; i++) {
    bool asked = v->cfg->round > before(f, i) && v->cfg->round <= f->round[i];
    bool fits = at_verify_seconds(v->folder, before(f, i), f->round[i]) <= v->cfg->seconds;
    if (asked || (v->cfg->round == 0 && fits && at_rng_below(&draw, (uint64_t)i, (uint64_t)++fitting) == 0)) {
      chosen = i;
    }
  }
  if (chosen < 0 && v->cfg->round > 0) {
    return AT_FAIL(AT_ERR_ARG, "round = %lld: the newest checkpoint is of round %lld", (long long)v->cfg->round,
                   (long long)(f->n_rounds > 0 ? f->round[f->n_rounds - 1] : 0));
  }
  if (chosen < 0) {
    return AT_FAIL(AT_ERR_STATE,
                   "not played again: no two checkpoints are less than %.0f s of the run apart: keep two that are "
                   "(checkpoint.keep=2 and a lower checkpoint.every), or raise seconds",
                   v->cfg->seconds);
  }
  out->from = before(f, chosen);
  out->to = f->round[chosen];
  return AT_OK;
}

/* ---- playing it again ---- */

static void show(FILE *text) {
  char part[4096];
  rewind(text);
  while (fgets(part, sizeof part, text) != NULL) {
    printf("        %s", part);
  }
}

/* Rank 0: bit for bit, as `atoll diff` compares. */
static at_err compare(verification *v, const at_replay *r) {
  char *was = NULL, *is = NULL, *metrics = NULL, *metrics_again = NULL;
  FILE *differences = tmpfile();
  at_err err = differences != NULL ? AT_OK : AT_FAIL(AT_ERR_FILE, "no temporary file: %s", strerror(errno));
  AT_TRY(err);
  AT_TRY_TO(err, done, at_ckpt_path(&was, r->folder, r->to));
  AT_TRY_TO(err, done, at_ckpt_path(&is, r->again, r->to));
  AT_TRY_TO(err, done, at_fs_path(&metrics, "%s/metrics.h5", r->folder));
  AT_TRY_TO(err, done, at_fs_path(&metrics_again, "%s/metrics.h5", r->again));
  err = at_diff(was, is, differences);
  if (err == AT_OK) {
    at_check_passed(&v->checks, "replay", "round%s %lld to %lld come out the same, bit for bit",
                    r->to - r->from == 1 ? "" : "s", (long long)r->from + 1, (long long)r->to);
  } else if (err == AT_ERR_DIFFERENT) {
    show(differences);
    at_check_failed(&v->checks, "replay", "rounds %lld to %lld come out differently: see above", (long long)r->from + 1,
                    (long long)r->to);
  } else {
    goto done;
  }
  err = at_verify_same_rows(&v->checks, metrics, metrics_again);
done:
  fclose(differences);
  at_free(was);
  at_free(is);
  at_free(metrics);
  at_free(metrics_again);
  return err;
}

static at_err replay(verification *v) {
  at_comm *world = v->s->world;
  bool root = at_comm_rank(world) == 0;
  at_replay r = {.folder = v->folder};
  char *scratch = NULL, *again = NULL;
  int64_t ends[2] = {0};
  at_err err = root ? check_identity(v) : AT_OK;
  err = root && err == AT_OK ? choose(v, &r) : err;
  AT_TRY(at_comm_agree(world, err));
  ends[0] = r.from;
  ends[1] = r.to;
  AT_TRY(at_comm_bcast(world, 0, ends, sizeof ends));
  r.from = ends[0];
  r.to = ends[1];
  AT_TRY_TO(err, done, at_scratch_create(&scratch, world, v->folder));
  AT_TRY_TO(err, done, at_comm_agree(world, at_fs_path(&again, "%s/run", scratch)));
  r.again = again;
  at_log_set_level(v->s->log, AT_LOG_WARN);
  AT_TRY_TO(err, done, v->system->replay(v->s, v->set, v->run_cfg, &r));
  err = at_comm_agree(world, root ? compare(v, &r) : AT_OK);
done:
  at_free(again);
  at_scratch_remove(scratch, world);
  return err;
}

/* ---- all checks ---- */

static at_err check_files(verification *v) {
  AT_TRY(at_run_files_list(&v->files, v->folder));
  AT_TRY(at_verify_checksums(&v->checks, &v->files));
  AT_TRY(at_verify_provenance(&v->checks, &v->files, v->set));
  AT_TRY(at_verify_metrics(&v->checks, &v->files, v->folder));
  return at_verify_retention(&v->checks, &v->files, v->run_cfg);
}

static at_err configure(verification *v) {
  char path[4200], run[4200], data[4200];
  int64_t number = -1;
  at_err err = AT_OK;
  snprintf(path, sizeof path, "%s/config.yaml", v->folder);
  snprintf(run, sizeof run, "run=%s", v->folder); /* it may have moved */
  snprintf(data, sizeof data, "data=%s", v->cfg->data);
  if (at_comm_rank(v->s->world) == 0) {
    err = at_config_find_system(path, &v->system);
    for (int i = 0; err == AT_OK && number < 0; i++) {
      number = at_system_at(i) == v->system ? i : -1;
    }
  }
  AT_TRY(at_comm_agree(v->s->world, err));
  AT_TRY(at_comm_bcast(v->s->world, 0, &number, sizeof number));
  v->system = at_system_at((int)number);
  return at_system_configure(v->s, v->system, v->cfg->data[0] != '\0' ? 3 : 2, (char *[]){path, run, data}, &v->set,
                             &v->run_cfg);
}

/* Differences count for more than checks that could not be made. */
static at_err verify(verification *v) {
  bool root = at_comm_rank(v->s->world) == 0;
  int64_t failed = 0;
  AT_TRY(configure(v));
  AT_TRY(at_comm_agree(v->s->world, root ? check_files(v) : AT_OK));
  failed = v->checks.failed;
  AT_TRY(at_comm_bcast(v->s->world, 0, &failed, sizeof failed));
  at_err err = v->cfg->replay && failed == 0 ? replay(v) : AT_OK;
  if (root) {
    printf("%d passed, %d failed%s\n", v->checks.passed, v->checks.failed,
           v->cfg->replay && failed > 0 ? ", nothing played again" : "");
    fflush(stdout); /* before what may follow on stderr */
  }
  failed = v->checks.failed;
  AT_TRY(err);
  AT_TRY(at_comm_bcast(v->s->world, 0, &failed, sizeof failed));
  return failed == 0 ? AT_OK : AT_FAIL(AT_ERR_DIFFERENT, "%s: %lld checks failed", v->folder, (long long)failed);
}

at_err at_verify_main(at_session *s, int argc, char **argv) {
  verify_cfg cfg;
  at_opts *set = NULL;
  bool help = argc >= 1 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0);
  if (argc < 1) {
    return AT_FAIL(AT_ERR_ARG, "Usage: atoll verify RUN [key=value ...]; try --help");
  }
  AT_TRY(at_opts_create(&set));
  at_err err = at_opts_add(set, &table, &cfg);
  for (int i = 1; err == AT_OK && !help && i < argc; i++) {
    err = at_opts_set(set, argv[i]);
  }
  if (err == AT_OK && help && at_comm_rank(s->world) == 0) {
    printf(
        "Usage: atoll verify RUN [key=value ...]\n\nChecks the files of a run (checksums, provenance, rows of metrics, "
        "which checkpoints are there), then plays the rounds\nbetween two checkpoints again, on any number of ranks, "
        "and compares bit for bit.  Changes nothing in RUN.\nExit code 0: all is well; 1: something is wrong; 4: it "
        "could not be played again.\n\n");
    at_opts_print_help(set, stdout);
  } else if (err == AT_OK && !help) {
    verification v = {.s = s, .cfg = &cfg, .folder = argv[0]};
    err = verify(&v);
    at_run_files_forget(&v.files);
    at_opts_destroy(v.set);
    at_free(v.run_cfg);
  }
  at_opts_destroy(set);
  return err;
}
