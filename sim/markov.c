/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll markov RUN`: byte Markov models of the text that a run consumed, and of all training text, as a yardstick.
 * Whatever the tokens are, the models see the bytes of their text.
 *
 * Four models (orders 2 and 4; consumed windows, full corpus), dealt to the ranks, into RUN/markov.h5. */
#include "src/stats/markov.h"

#include <math.h>
#include <string.h>

#include "sim/commands.h"
#include "sim/photon/photon.h"
#include "src/base/alloc.h"

typedef struct model {
  const char *name;
  int order;
  bool full; /* fitted on all training text, not only on what was consumed */
} model;
static const model models[] = {
    {"order-2", 2, false}, {"order-4", 4, false}, {"order-2-full", 2, true}, {"order-4-full", 4, true}};
enum { N_MODELS = sizeof models / sizeof models[0] };

typedef struct yardstick {
  at_session *s;
  const char *folder;
  at_opts *set;
  at_photon_cfg *cfg;
  at_corpus *corpus;
  at_streams streams;
  int64_t *facts; /* [clients][AT_FACT_COUNT] */
  at_provenance *prov;
} yardstick;

/* How far each client has read, from the newest checkpoint. */
static at_err load_facts(yardstick *y) {
  int64_t n, *rounds;
  AT_TRY(at_ckpt_list(y->folder, &n, &rounds));
  int64_t newest = n > 0 ? rounds[n - 1] : -1;
  at_free(rounds);
  if (newest < 0) {
    return AT_FAIL(AT_ERR_FILE, "%s has no checkpoint: is it the folder of a run?", y->folder);
  }
  char *path;
  at_h5 *f = NULL;
  AT_TRY(at_ckpt_path(&path, y->folder, newest));
  at_err err = at_h5_open_kind(&f, path, "checkpoint");
  at_free(path);
  AT_TRY(err);
  at_h5_desc d = {.path = "/clients/facts"};
  err = at_h5_describe(f, d.path, &d);
  if (err == AT_OK) {
    d.path = "/clients/facts";
    y->streams.n_clients = d.dims[0];
    err = at_alloc(&y->facts, (size_t)at_h5_count(&d), sizeof *y->facts, "client facts");
  }
  if (err == AT_OK) {
    err = at_h5_read(f, &d, y->facts);
  }
  at_h5_close(f);
  return err;
}

static at_err load(yardstick *y) {
  char path[4096];
  snprintf(path, sizeof path, "%s/config.yaml", y->folder);
  AT_TRY(at_config_load(&at_photon_system, path, &y->set, (void **)&y->cfg));
  AT_TRY(at_corpus_load(&y->corpus, y->cfg->run.data));
  if (y->corpus->bpe == NULL && y->corpus->vocab > 256) {
    return AT_FAIL(AT_ERR_STATE, "%s: its %lld tokens cannot be turned into bytes, which the Markov models are of",
                   y->cfg->run.data, (long long)y->corpus->vocab);
  }
  y->streams = (at_streams){.corpus = y->corpus,
                            .partition = y->cfg->partition,
                            .context = y->cfg->context,
                            .seed = (uint64_t)y->cfg->run.seed};
  return load_facts(y);
}

/* Bytes of tokens [start, start + count) for a moment; at_free. */
static at_err text_of(const yardstick *y, const at_tokens *t, int64_t start, int64_t count, uint8_t **out,
                      int64_t *bytes) {
  AT_TRY(at_alloc(out, (size_t)at_corpus_text_bytes(y->corpus, t, start, count), 1, "text"));
  *bytes = at_corpus_text(y->corpus, t, start, count, *out);
  return AT_OK;
}

static at_err fit(const yardstick *y, at_markov *m, const at_tokens *t, int64_t start, int64_t count) {
  uint8_t *text;
  int64_t bytes = 0;
  AT_TRY(text_of(y, t, start, count, &text, &bytes));
  at_err err = at_markov_fit(m, text, 1, bytes);
  at_free(text);
  return err;
}

/* Each consumed window once, however many epochs saw it. */
static at_err fit_consumed(const yardstick *y, at_markov *m) {
  int64_t most = 0, context = y->cfg->context, n_silos = y->corpus->n_silos;
  for (int64_t s = 0; s < n_silos; s++) {
    int64_t n = y->corpus->silo[s].split[AT_SPLIT_TRAIN].n / context;
    most = n > most ? n : most;
  }
  unsigned char *seen;
  AT_TRY(at_alloc(&seen, (size_t)(n_silos * (most + 1)), 1, "marks of consumed windows"));
  at_err err = AT_OK;
  for (int64_t k = 0; err == AT_OK && k < y->streams.n_clients; k++) {
    for (int64_t c = 0; err == AT_OK && c < y->facts[k * AT_FACT_COUNT + AT_FACT_CURSOR]; c++) {
      int64_t silo, start;
      at_streams_locate(&y->streams, k, c, &silo, &start);
      unsigned char *mark = &seen[silo * (most + 1) + start / context];
      const at_tokens *t = &y->corpus->silo[silo].split[AT_SPLIT_TRAIN];
      err = *mark ? AT_OK : fit(y, m, t, start, context + 1);
      *mark = 1;
    }
  }
  at_free(seen);
  return err;
}

static at_err fit_full(const yardstick *y, at_markov *m) {
  for (int64_t s = 0; s < y->corpus->n_silos; s++) {
    const at_tokens *t = &y->corpus->silo[s].split[AT_SPLIT_TRAIN];
    AT_TRY(fit(y, m, t, 0, t->n));
  }
  return AT_OK;
}

/* Nats of the first n + 1 held-out tokens of a silo without those of the first, which the language model is given; and
 * the bytes they stand for. */
static at_err silo_nats(const yardstick *y, const at_markov *m, const at_tokens *t, int64_t n, double *nats,
                        int64_t *bytes) {
  uint8_t *text;
  double first;
  const int64_t given = at_corpus_text_bytes(y->corpus, t, 0, 1);
  AT_TRY(text_of(y, t, 0, n + 1, &text, bytes));
  at_err err = at_markov_evaluate(m, text, 1, *bytes, nats);
  if (err == AT_OK) {
    err = at_markov_evaluate(m, text, 1, given, &first);
  }
  at_free(text);
  AT_TRY(err);
  *nats -= first;
  *bytes -= given;
  return AT_OK;
}

/* The same held-out tokens that the language model predicts: bits per byte by silo into row, then the mixed nats. */
static at_err evaluate(const yardstick *y, const at_markov *m, double *row) {
  int64_t n_silos = y->corpus->n_silos, context = y->cfg->context;
  row[n_silos] = 0;
  for (int64_t s = 0; s < n_silos; s++) {
    const at_tokens *t = &y->corpus->silo[s].split[AT_SPLIT_VALIDATION];
    int64_t windows = (t->n - 1) / context, bytes = 0;
    int64_t n = (windows < y->cfg->eval_windows ? windows : y->cfg->eval_windows) * context;
    double nats = 0;
    AT_TRY(silo_nats(y, m, t, n, &nats, &bytes));
    row[s] = at_bits_per_byte(nats, bytes);
    row[n_silos] += nats / (double)n / (double)n_silos;
  }
  return AT_OK;
}

static at_err run_model(const yardstick *y, const model *what, double *row) {
  at_markov *m;
  AT_TRY(at_markov_create(&m, what->order, y->corpus->bpe != NULL ? AT_BPE_BYTES : y->corpus->vocab));
  at_err err = what->full ? fit_full(y, m) : fit_consumed(y, m);
  if (err == AT_OK) {
    err = evaluate(y, m, row);
  }
  at_markov_destroy(m);
  return err;
}

static at_err write_model(at_h5 *f, const char *name, int64_t n_silos, const double *row) {
  double mixed = 0;
  for (int64_t s = 0; s < n_silos; s++) {
    mixed += row[s] / (double)n_silos;
  }
  struct {
    const char *name, *units;
    int ndims;
    const double *data;
  } set[] = {{"bits_per_byte", "bits/byte", 1, row},
             {"mixed_nats_per_token", "nats/token", 0, row + n_silos},
             {"mixed_bits_per_byte", "bits/byte", 0, &mixed}};
  for (size_t i = 0; i < sizeof set / sizeof set[0]; i++) {
    char path[128];
    snprintf(path, sizeof path, "/models/%s/%s", name, set[i].name);
    at_h5_desc d = {.path = path,
                    .type = AT_H5_F64,
                    .ndims = set[i].ndims,
                    .dims = {n_silos},
                    .units = set[i].units,
                    .description = "Validation loss of an interpolated Markov model."};
    AT_TRY(at_h5_write(f, &d, set[i].data));
  }
  return AT_OK;
}

static at_err write_file(const yardstick *y, const double *rows) {
  char path[4096];
  const char *names[y->corpus->n_silos];
  at_h5 *f;
  int64_t n = y->corpus->n_silos;
  for (int64_t s = 0; s < n; s++) {
    names[s] = y->corpus->silo[s].name;
  }
  snprintf(path, sizeof path, "%s/markov.h5", y->folder);
  AT_TRY(at_h5_create(&f, path, "markov", 0));
  at_err err = at_h5_write_text(f, "/silo", n, names, "1", "Name of each silo.");
  for (int i = 0; err == AT_OK && i < N_MODELS; i++) {
    err = write_model(f, models[i].name, n, rows + i * (n + 1));
  }
  if (err == AT_OK) {
    err = at_provenance_write(y->prov, f);
  }
  if (err != AT_OK) {
    at_h5_discard(f);
    return err;
  }
  return at_h5_commit(f);
}

static at_err run_models(yardstick *y) {
  int64_t width = y->corpus->n_silos + 1, n_local = 0, n_all, ids[N_MODELS], *all_ids = NULL;
  double *rows = NULL, *all = NULL;
  at_comm *world = y->s->world;
  at_err err = at_alloc(&rows, (size_t)(N_MODELS * width), sizeof *rows, "losses");
  for (int i = 0; err == AT_OK && i < N_MODELS; i++) {
    /* dealt from the largest, so that two ranks share the long ones */
    int m = N_MODELS - 1 - i;
    if (i % at_comm_size(world) == at_comm_rank(world)) {
      ids[n_local] = m;
      err = run_model(y, &models[m], rows + n_local++ * width);
    }
  }
  AT_TRY_TO(err, done, at_comm_agree(world, err));
  AT_TRY_TO(err, done, at_comm_gather_by_id(world, n_local, ids, (int)width, rows, &n_all, &all_ids, &all));
  err = at_comm_agree(world, at_comm_rank(world) == 0 ? write_file(y, all) : AT_OK);
done:
  at_free(rows);
  at_free(all);
  at_free(all_ids);
  return err;
}

static at_err say_provenance(yardstick *y) {
  char *yaml = NULL;
  AT_TRY(at_comm_agree(y->s->world, at_opts_yaml_text(y->set, &yaml)));
  at_err err = at_provenance_create(&y->prov, y->s->world, yaml, at_isa_name(y->s->pin.isa), y->s->pin.threads);
  at_free(yaml);
  return err;
}

at_err at_markov_main(at_session *s, int argc, char **argv) {
  if (argc != 1) {
    return AT_FAIL(AT_ERR_ARG, "Usage: atoll markov RUN");
  }
  yardstick y = {.s = s, .folder = argv[0]};
  at_err err = at_comm_agree(s->world, load(&y));
  if (err == AT_OK) {
    err = say_provenance(&y);
  }
  if (err == AT_OK) {
    err = run_models(&y);
  }
  at_provenance_destroy(y.prov);
  at_corpus_destroy(y.corpus);
  at_opts_destroy(y.set);
  at_free(y.cfg);
  at_free(y.facts);
  return err;
}
