/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll table RUN...`: held-out losses of several runs side by side, from their evaluation.h5 and markov.h5. */
#include <math.h>
#include <string.h>

#include "sim/commands.h"
#include "src/base/alloc.h"
#include "src/store/h5.h"

enum { MAX_COLUMNS = 16, NAME = 16 };

typedef struct column {
  char name[NAME];
  double *bpb; /* [n_silos] */
  double mixed;
  double mixed_nats;
  int64_t tokens;
  bool own_models;
} column;

typedef struct table {
  int64_t n_silos;
  char **silo; /* one block */
  int n;
  column column[MAX_COLUMNS];
} table;

static at_err read_numbers(at_h5 *f, const char *path, int ndims, int64_t n, double *out) {
  at_h5_desc d = {.path = path, .type = AT_H5_F64, .ndims = ndims, .dims = {n}};
  return at_h5_read(f, &d, out);
}

static at_err check_silos(at_h5 *f, table *t) {
  char **silo;
  int64_t n;
  AT_TRY(at_h5_read_text(f, "/silo", &n, &silo));
  if (t->silo == NULL) {
    t->silo = silo;
    t->n_silos = n;
    return AT_OK;
  }
  bool same = n == t->n_silos;
  for (int64_t s = 0; same && s < n; s++) {
    same = strcmp(silo[s], t->silo[s]) == 0;
  }
  at_free(silo);
  return same ? AT_OK : AT_FAIL(AT_ERR_STATE, "%s is of another data set than the first run", at_h5_path(f));
}

static at_err read_column(at_h5 *f, table *t, const char *group, const char *name) {
  if (t->n == MAX_COLUMNS) {
    return AT_FAIL(AT_ERR_ARG, "a table has at most %d columns", MAX_COLUMNS);
  }
  column *c = &t->column[t->n];
  char path[128];
  snprintf(c->name, sizeof c->name, "%s", name);
  AT_TRY(at_alloc(&c->bpb, (size_t)t->n_silos, sizeof *c->bpb, "table column"));
  t->n++;
  snprintf(path, sizeof path, "%.90s/bits_per_byte", group);
  AT_TRY(read_numbers(f, path, 1, t->n_silos, c->bpb));
  snprintf(path, sizeof path, "%.90s/mixed_nats_per_token", group);
  AT_TRY(read_numbers(f, path, 0, 0, &c->mixed_nats));
  snprintf(path, sizeof path, "%.90s/mixed_bits_per_byte", group);
  return read_numbers(f, path, 0, 0, &c->mixed);
}

static at_err read_evaluation(at_h5 *f, table *t) {
  char *method = NULL;
  int64_t own = 0, tokens = 0;
  AT_TRY(check_silos(f, t));
  AT_TRY(at_h5_get_attr_text(f, "/", "method", &method));
  at_err err = read_column(f, t, "/validation", method);
  at_free(method);
  AT_TRY(err);
  AT_TRY(at_h5_get_attr_i64(f, "/", "own_models", &own));
  AT_TRY(at_h5_get_attr_i64(f, "/", "tokens", &tokens));
  t->column[t->n - 1].own_models = own != 0;
  t->column[t->n - 1].tokens = tokens;
  return AT_OK;
}

/* Groups of markov.h5: one per order and per text that the model was fitted on. */
static at_err read_markov(at_h5 *f, table *t) {
  char **group = NULL;
  int64_t n;
  AT_TRY(check_silos(f, t));
  AT_TRY(at_h5_list(f, "/models", &n, &group));
  at_err err = AT_OK;
  for (int64_t i = 0; err == AT_OK && i < n; i++) {
    char path[128];
    snprintf(path, sizeof path, "/models/%.80s", group[i]);
    err = read_column(f, t, path, group[i]);
  }
  at_free(group);
  return err;
}

static at_err read_file(table *t, const char *run, const char *name, const char *kind, bool needed,
                        at_err (*read)(at_h5 *f, table *t)) {
  char path[4096];
  at_h5 *f = NULL;
  snprintf(path, sizeof path, "%s/%s", run, name);
  FILE *there = fopen(path, "r");
  if (there == NULL && !needed) {
    return AT_OK;
  }
  if (there == NULL) {
    return AT_FAIL(AT_ERR_FILE, "%s is missing: is %s a finished run?", path, run);
  }
  fclose(there);
  AT_TRY(at_h5_open_kind(&f, path, kind));
  at_err err = read(f, t);
  at_h5_close(f);
  return err;
}

static void print_table(const table *t, FILE *out) {
  int wide = 14;
  for (int64_t s = 0; s < t->n_silos; s++) {
    wide = (int)strlen(t->silo[s]) > wide ? (int)strlen(t->silo[s]) : wide;
  }
  fprintf(out, "Validation loss in bits per byte; lower is better.\n\n%-*s", wide, "silo");
  for (int c = 0; c < t->n; c++) {
    fprintf(out, " %13s", t->column[c].name);
  }
  fprintf(out, "\n");
  for (int64_t s = 0; s < t->n_silos; s++) {
    fprintf(out, "%-*s", wide, t->silo[s]);
    for (int c = 0; c < t->n; c++) {
      fprintf(out, " %13.3f", t->column[c].bpb[s]);
    }
    fprintf(out, "\n");
  }
  fprintf(out, "%-*s", wide, "mixed");
  for (int c = 0; c < t->n; c++) {
    fprintf(out, " %13.3f", t->column[c].mixed);
  }
  fprintf(out, "\n%-*s", wide, "  nats/token");
  for (int c = 0; c < t->n; c++) {
    fprintf(out, " %13.3f", t->column[c].mixed_nats);
  }
  fprintf(out, "\n\nmixed: mean over silos, each silo weighing the same");
  for (int c = 0; c < t->n; c++) {
    if (t->column[c].own_models) {
      fprintf(out, ".  %s: by silo each model on its own silo, mixed the mean over all its models", t->column[c].name);
    }
  }
  fprintf(out, ".\n");
  for (int c = 0; c < t->n; c++) {
    if (t->column[c].tokens > 0) {
      fprintf(out, "%s: %.2f million tokens.  ", t->column[c].name, (double)t->column[c].tokens * 1e-6);
    }
  }
  fprintf(out, "\n");
}

static at_err tabulate(int argc, char **argv) {
  table t = {0};
  at_err err = AT_OK;
  for (int i = 0; err == AT_OK && i < argc; i++) {
    err = read_file(&t, argv[i], "evaluation.h5", "evaluation", true, read_evaluation);
  }
  for (int i = 0; err == AT_OK && i < argc; i++) {
    err = read_file(&t, argv[i], "markov.h5", "markov", false, read_markov);
  }
  if (err == AT_OK) {
    print_table(&t, stdout);
  }
  for (int c = 0; c < t.n; c++) {
    at_free(t.column[c].bpb);
  }
  at_free(t.silo);
  return err;
}

at_err at_table_main(at_session *s, int argc, char **argv) {
  if (argc < 1) {
    return AT_FAIL(AT_ERR_ARG, "Usage: atoll table RUN [RUN ...]");
  }
  return at_comm_agree(s->world, at_comm_rank(s->world) == 0 ? tabulate(argc, argv) : AT_OK);
}
