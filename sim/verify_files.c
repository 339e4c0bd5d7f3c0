/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of a run's files: checksums, provenance, rows of metrics, which checkpoints are there. */
#include <dirent.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/verify.h"
#include "src/base/alloc.h"
#include "src/store/ckpt.h"
#include "src/store/fs.h"
#include "src/store/h5.h"

static void line(const char *verdict, const char *name, const char *fmt, va_list ap) {
  printf("%-7s %-12s ", verdict, name);
  vprintf(fmt, ap);
  printf("\n");
}

void at_check_passed(at_checks *c, const char *name, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  line("ok", name, fmt, ap);
  va_end(ap);
  c->passed++;
}

void at_check_failed(at_checks *c, const char *name, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  line("FAILED", name, fmt, ap);
  va_end(ap);
  c->failed++;
}

/* ---- which files there are ---- */

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool ends_with(const char *name, const char *end) {
  size_t n = strlen(name), m = strlen(end);
  return n >= m && strcmp(name + n - m, end) == 0;
}

static at_err append(at_run_files *f, const char *folder, const char *name) {
  AT_TRY(at_realloc(&f->path, (size_t)f->n + 1, sizeof *f->path, "file names"));
  AT_TRY(at_fs_path(&f->path[f->n], "%s/%s", folder, name));
  f->n++;
  return AT_OK;
}

/* The HDF5 files of one folder, by name. */
static at_err list_folder(at_run_files *f, const char *folder) {
  int64_t first = f->n;
  DIR *d = opendir(folder);
  at_err err = AT_OK;
  if (d == NULL) {
    return AT_FAIL(AT_ERR_FILE, "%s cannot be read: give the folder of a run", folder);
  }
  for (struct dirent *e = readdir(d); e != NULL && err == AT_OK; e = readdir(d)) {
    f->leftovers += strstr(e->d_name, ".tmp-") != NULL;
    if (ends_with(e->d_name, ".h5")) {
      err = append(f, folder, e->d_name);
    }
  }
  closedir(d);
  if (f->n > first) {
    qsort(f->path + first, (size_t)(f->n - first), sizeof *f->path, by_name);
  }
  return err;
}

/* Those of clients' state, where a system has any. */
static at_err list_clients(at_run_files *f, const char *folder) {
  char *clients = NULL;
  AT_TRY(at_fs_path(&clients, "%s/clients", folder));
  at_err err = access(clients, F_OK) == 0 ? list_folder(f, clients) : AT_OK;
  at_free(clients);
  return err;
}

at_err at_run_files_list(at_run_files *out, const char *folder) {
  char *checkpoints = NULL;
  *out = (at_run_files){0};
  AT_TRY(list_folder(out, folder));
  AT_TRY(list_clients(out, folder));
  AT_TRY(at_fs_path(&checkpoints, "%s/checkpoints", folder));
  at_err err = list_folder(out, checkpoints);
  at_free(checkpoints);
  AT_TRY(err);
  return at_ckpt_list(folder, &out->n_rounds, &out->round);
}

void at_run_files_forget(at_run_files *f) {
  for (int64_t i = 0; i < f->n; i++) {
    at_free(f->path[i]);
  }
  at_free(f->path);
  at_free(f->round);
  *f = (at_run_files){0};
}

/* ---- checksums ---- */

at_err at_verify_checksums(at_checks *c, const at_run_files *f) {
  int64_t datasets = 0, bad = 0;
  for (int64_t i = 0; i < f->n; i++) {
    at_h5 *file = NULL;
    int64_t n = 0;
    at_err err = at_h5_open(&file, f->path[i]);
    if (err == AT_OK) {
      err = at_h5_verify(file, &n);
    }
    at_h5_close(file);
    if (err == AT_ERR_MEMORY) {
      return err;
    }
    if (err != AT_OK) {
      at_check_failed(c, "checksums", "%s", at_err_message());
      bad++;
    }
    datasets += n;
  }
  if (bad == 0) {
    at_check_passed(c, "checksums", "%lld datasets in %lld files%s", (long long)datasets, (long long)f->n,
                    f->leftovers > 0 ? " (beside them unfinished ones, which `atoll resume` removes)" : "");
  }
  return AT_OK;
}

/* ---- provenance ---- */

/* What has to be there; what is more, the same everywhere. */
static const struct {
  const char *name;
  bool same;
} entries[] = {{"atoll_version", true}, {"isa", true},          {"threads", true}, {"git_revision", false},
               {"compiler", false},     {"build_flags", false}, {"mpi", false},    {"hdf5", false},
               {"openblas", false},     {"gsl", false},         {"zlib", false},   {"ranks", false},
               {"hosts", false},        {"started", false},     {"config", false}};
enum { N_ENTRIES = sizeof entries / sizeof entries[0] };

/* The hash of the configuration that a file carries. */
static at_err hash_of(const char *name, const char *text, uint64_t *hash) {
  const at_system *system;
  at_opts *set = NULL;
  void *cfg = NULL;
  at_err err = at_config_parse(name, text, &system, &set, &cfg);
  *hash = err == AT_OK ? at_opts_hash(set) : 0;
  at_opts_destroy(set);
  at_free(cfg);
  return err;
}

/* AT_ERR_FORMAT says what is wrong with this file; `first` holds what the first one said. */
static at_err check_entries(at_h5 *f, char *first[N_ENTRIES], uint64_t want) {
  for (int i = 0; i < N_ENTRIES; i++) {
    char *value = NULL;
    at_err err = at_h5_get_attr_text(f, "/provenance", entries[i].name, &value);
    if (err != AT_OK || value[0] == '\0') {
      at_free(value);
      return err == AT_ERR_MEMORY ? err
                                  : AT_FAIL(AT_ERR_FORMAT, "%s does not say its %s", at_h5_path(f), entries[i].name);
    }
    if (strcmp(entries[i].name, "config") == 0) {
      uint64_t hash = 0;
      err = hash_of(at_h5_path(f), value, &hash);
      if (err == AT_OK && hash != want) {
        err = AT_FAIL(AT_ERR_FORMAT, "%s was written under another configuration than config.yaml", at_h5_path(f));
      }
    } else if (entries[i].same && first[i] != NULL && strcmp(first[i], value) != 0) {
      err = AT_FAIL(AT_ERR_FORMAT, "%s says %s = %s, the files before it %s", at_h5_path(f), entries[i].name, value,
                    first[i]);
    }
    if (first[i] == NULL) {
      first[i] = value;
    } else {
      at_free(value);
    }
    AT_TRY(err);
  }
  return AT_OK;
}

static at_err check_round(at_h5 *f, const at_run_files *files, int64_t i) {
  int64_t round = -1, at = i - (files->n - files->n_rounds);
  if (at < 0) {
    return AT_OK;
  }
  AT_TRY(at_h5_get_attr_i64(f, "/", "round", &round));
  return round == files->round[at] ? AT_OK
                                   : AT_FAIL(AT_ERR_FORMAT, "%s holds round %lld", at_h5_path(f), (long long)round);
}

at_err at_verify_provenance(at_checks *c, const at_run_files *f, at_opts *set) {
  char *first[N_ENTRIES] = {NULL};
  int64_t bad = 0;
  at_err err = AT_OK;
  for (int64_t i = 0; i < f->n && err != AT_ERR_MEMORY; i++) {
    at_h5 *file = NULL;
    err = at_h5_open(&file, f->path[i]);
    if (err == AT_OK) {
      err = check_entries(file, first, at_opts_hash(set));
    }
    if (err == AT_OK) {
      err = check_round(file, f, i);
    }
    at_h5_close(file);
    if (err != AT_OK) {
      at_check_failed(c, "provenance", "%s", at_err_message());
      bad++;
    }
  }
  if (bad == 0) {
    at_check_passed(c, "provenance", "%d entries in each file; version %s, isa %s, threads %s, one configuration",
                    N_ENTRIES, first[0], first[1], first[2]);
  }
  for (int i = 0; i < N_ENTRIES; i++) {
    at_free(first[i]);
  }
  return err == AT_ERR_MEMORY ? err : AT_OK;
}

/* ---- metrics ---- */

/* The column /round; at_free. */
static at_err read_rounds(at_h5 *f, int64_t *n, int64_t **rounds) {
  at_h5_desc d;
  *rounds = NULL;
  AT_TRY(at_h5_describe(f, "/round", &d));
  *n = at_h5_count(&d);
  AT_TRY(at_alloc(rounds, (size_t)*n, sizeof **rounds, "rounds"));
  return *n > 0 ? at_h5_read_rows(f, "/round", AT_H5_I64, 0, *n, *rounds) : AT_OK;
}

at_err at_verify_metrics(at_checks *c, const at_run_files *f, const char *folder) {
  int64_t n = 0, *rounds = NULL, wrong = -1, newest = f->n_rounds > 0 ? f->round[f->n_rounds - 1] : 0;
  char *path = NULL;
  at_h5 *file = NULL;
  AT_TRY(at_fs_path(&path, "%s/metrics.h5", folder));
  at_err err = at_h5_open_kind(&file, path, "metrics");
  if (err == AT_OK) {
    err = read_rounds(file, &n, &rounds);
  }
  for (int64_t i = 0; err == AT_OK && i < n && wrong < 0; i++) {
    wrong = rounds[i] == i + 1 ? -1 : i;
  }
  if (err != AT_OK) {
    at_check_failed(c, "metrics", "%s", at_err_message());
  } else if (wrong >= 0) {
    at_check_failed(c, "metrics", "row %lld is about round %lld", (long long)wrong + 1, (long long)rounds[wrong]);
  } else if (n < newest) {
    at_check_failed(c, "metrics", "%lld rows, but there is a checkpoint of round %lld", (long long)n,
                    (long long)newest);
  } else {
    at_check_passed(c, "metrics", "a row for each of %lld rounds", (long long)n);
  }
  at_h5_close(file);
  at_free(rounds);
  at_free(path);
  return err == AT_ERR_MEMORY ? err : AT_OK;
}

double at_verify_seconds(const char *folder, int64_t from, int64_t to) {
  char *path = NULL;
  double *seconds = NULL, sum = -1;
  at_h5 *f = NULL;
  at_err err = at_fs_path(&path, "%s/metrics.h5", folder);
  err = err == AT_OK ? at_h5_open(&f, path) : err;
  err = err == AT_OK ? at_alloc(&seconds, (size_t)(to - from), sizeof *seconds, "seconds") : err;
  err = err == AT_OK ? at_h5_read_rows(f, "/round_seconds", AT_H5_F64, from, to - from, seconds) : err;
  for (int64_t i = 0; err == AT_OK && i < to - from; i++) {
    sum = i == 0 ? seconds[i] : sum + seconds[i];
  }
  at_h5_close(f);
  at_free(seconds);
  at_free(path);
  return sum;
}

/* ---- retention ---- */

at_err at_verify_retention(at_checks *c, const at_run_files *f, const at_run_cfg *cfg) {
  int64_t keep = cfg->checkpoint_keep, every = cfg->checkpoint_every, n = f->n_rounds;
  int64_t due = n > 0 ? f->round[n - 1] / every : 0; /* written for sure */
  int64_t least = keep > 0 && keep < due ? keep : due;
  if (n == 0) {
    at_check_failed(c, "retention", "there is no checkpoint");
  } else if (keep > 0 && n > keep) {
    at_check_failed(c, "retention", "%lld checkpoints, checkpoint.keep = %lld", (long long)n, (long long)keep);
  } else if (n < least) {
    at_check_failed(c, "retention", "%lld checkpoints up to round %lld, expected at least %lld (every %lld rounds, %s)",
                    (long long)n, (long long)f->round[n - 1], (long long)least, (long long)every,
                    keep > 0 ? "the newest are kept" : "all are kept");
  } else {
    at_check_passed(c, "retention", "%lld checkpoint%s, of rounds %lld to %lld", (long long)n, n == 1 ? "" : "s",
                    (long long)f->round[0], (long long)f->round[n - 1]);
  }
  return AT_OK;
}

/* ---- metrics of a replay ---- */

static at_err read_column(at_h5 *f, const char *path, int64_t rows, double *out) {
  return at_h5_read_rows(f, path, AT_H5_F64, 0, rows, out);
}

/* One column of both files, over the rows of the shorter one; *differs where bits do. */
static at_err compare_column(at_h5 *a, at_h5 *b, const char *path, int64_t rows, bool *differs) {
  at_h5_desc x, y;
  double *values = NULL;
  AT_TRY(at_h5_describe(a, path, &x));
  AT_TRY(at_h5_describe(b, path, &y));
  int64_t width = x.ndims > 1 ? x.dims[1] : 1;
  if (x.type != y.type || x.ndims != y.ndims || width != (y.ndims > 1 ? y.dims[1] : 1)) {
    *differs = true;
    return AT_OK;
  }
  size_t count = (size_t)(rows * width);
  AT_TRY(at_alloc(&values, 2 * count, sizeof *values, "columns"));
  at_err err = read_column(a, path, rows, values);
  err = err == AT_OK ? read_column(b, path, rows, values + count) : err;
  *differs = err == AT_OK && memcmp(values, values + count, count * sizeof *values) != 0;
  at_free(values);
  return err;
}

static at_err compare_files(at_h5 *a, at_h5 *b, int64_t *columns, int64_t *rows, char *bad, size_t bad_size) {
  int64_t n = 0, *rounds = NULL;
  char **names = NULL;
  at_err err = read_rounds(b, rows, &rounds);
  at_free(rounds);
  AT_TRY(err);
  AT_TRY(at_h5_list(b, "/", &n, &names));
  for (int64_t i = 0; i < n && err == AT_OK; i++) {
    char path[512];
    at_h5_desc d;
    bool differs = false;
    snprintf(path, sizeof path, "/%s", names[i]);
    if (strcmp(names[i], "provenance") == 0 || strcmp(names[i], "axis") == 0) {
      continue;
    }
    err = at_h5_describe(b, path, &d);
    if (err == AT_OK && (d.flags & AT_H5_VOLATILE) == 0 && d.ndims > 0 && d.dims[0] == *rows) {
      err = compare_column(a, b, path, *rows, &differs);
      ++*columns;
    }
    if (differs && bad[0] == '\0') {
      snprintf(bad, bad_size, "%s", names[i]);
    }
  }
  at_free(names);
  return err;
}

at_err at_verify_same_rows(at_checks *c, const char *path, const char *again) {
  at_h5 *a = NULL, *b = NULL;
  int64_t columns = 0, rows = 0;
  char bad[512] = "";
  at_err err = at_h5_open(&a, path);
  err = err == AT_OK ? at_h5_open(&b, again) : err;
  err = err == AT_OK ? compare_files(a, b, &columns, &rows, bad, sizeof bad) : err;
  if (err != AT_OK) {
    at_check_failed(c, "replay", "%s", at_err_message());
  } else if (bad[0] != '\0') {
    at_check_failed(c, "replay", "column %s of metrics.h5 differs", bad);
  } else {
    at_check_passed(c, "replay", "%lld columns of metrics.h5 are the same up to round %lld", (long long)columns,
                    (long long)rows);
  }
  at_h5_close(a);
  at_h5_close(b);
  return err == AT_ERR_MEMORY ? err : AT_OK;
}
