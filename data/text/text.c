/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll data text`: options, the loop over silos, reading shared by the ranks, writing by rank 0 (bytes at once, other
 * tokens when all silos are read). */
#include "data/text/text.h"

#include <string.h>

#include "data/examples/build.h"
#include "data/text/pool.h"
#include "data/text/reader.h"
#include "data/text/text_internal.h"
#include "src/base/alloc.h"
#include "src/base/progress.h"

static const char *const tokenizers[] = {"byte", "bpe", NULL};

static const at_opt option_rows[] = {
    AT_OPT_STR(at_text_cfg, dir, "dir", "", "Folder that jobs/fetch-text filled with packages.", .is_volatile = true),
    AT_OPT_BOOL(at_text_cfg, system, "system", "false", "Read what is installed on this machine instead."),
    AT_OPT_LIST(at_text_cfg, silos, "silos", "all",
                "Silos of the table: all, small (en, es, tr, uk), or their names; what is not there is left out of all "
                "and small."),
    AT_OPT_LIST(
        at_text_cfg, silo, "silo", "",
        "Silos of your own, NAME:PATH[,PATH...],...: files and folders of manual pages, POD, HTML, XML or text."),
    AT_OPT_F64(at_text_cfg, validation, "validation", "0.05", 0, 0.5, "", "Fraction of documents for validation."),
    AT_OPT_F64(at_text_cfg, test, "test", "0.05", 0, 0.5, "", "Fraction of documents for testing."),
    AT_OPT_BYTES(at_text_cfg, max_bytes, "max_bytes_per_silo", "0", 0, 1e12,
                 "Most text per silo, whole documents; 0: all there is."),
    /* 26 of the seeds 0 to 600 spreads the bytes of the 14 silos best: 3 to 9 % of each in validation and in test. */
    AT_OPT_INT(at_text_cfg, seed, "seed", "26", 0, 9007199254740992.0, "", "Decides which documents go where."),
    AT_OPT_ENUM(at_text_cfg, tokenizer, "tokenizer", "byte", tokenizers,
                "How text becomes tokens: its bytes, or byte pairs learned from the training text."),
    AT_OPT_INT(at_text_cfg, vocab, "vocab", "4096", AT_BPE_BYTES, AT_BPE_VOCAB_MAX, "tokens",
               "With tokenizer=bpe: tokens, bytes included; fewer if the text is too small for so many."),
    AT_OPT_BYTES(at_text_cfg, sample_bytes, "bpe_sample_bytes", "2 MB", 1024, 1e9,
                 "With tokenizer=bpe: training text of each silo that the pairs are learned from."),
};
static const at_opt_table option_table = AT_OPT_TABLE("Text data set", option_rows);

typedef struct summary {
  const char *name;
  at_text_counts counts;
  int64_t documents, duplicates, untranslated, bytes[AT_TEXT_SPLITS];
} summary;

typedef struct build {
  const at_data_args *args;
  at_text_cfg cfg;
  at_opts *opts;
  at_silo_list list;
  at_hashset english; /* rank 0: paragraphs of the English pages */
  bool have_english;
  at_h5 *file;       /* rank 0 */
  at_text_pool pool; /* with tokenizer=bpe; item i is that of built[i] */
  at_progress *progress;
  int64_t bytes;  /* of text so far */
  summary *built; /* owned; rank 0 */
  int64_t n_built;
} build;

/* The pages that translations are compared with. */
static bool is_english(const at_silo *silo) {
  return silo->row != NULL && strcmp(silo->row->name, "en") == 0;
}

at_err at_data_text_print_help(FILE *out) {
  at_text_cfg cfg;
  AT_TRY(at_data_help(out, &option_table, &cfg));
  fprintf(out, "\nSilos of the table:\n");
  for (const at_silo_row *row = at_silo_rows; row->name != NULL; row++) {
    fprintf(out, "  %-10s %s\n", row->name, row->help);
  }
  fprintf(out, "\nReaders of your own files:\n");
  for (const at_text_reader *r = at_text_readers; r->name != NULL; r++) {
    fprintf(out, "  %-10s %s\n", r->name, r->help);
  }
  return AT_OK;
}

/* Every rank has the same arguments and gets the same values or the same failure. */
static at_err read_options(build *b) {
  AT_TRY(at_data_options(b->args, &option_table, &b->cfg, &b->opts));
  bool table = b->cfg.system || b->cfg.dir[0] != 0;
  if (!table && b->cfg.silo.count == 0) {
    return AT_FAIL(AT_ERR_CONFIG,
                   "no source of text was named: fetch packages with 'jobs/fetch-text DIR small' and add "
                   "dir=DIR; or, without a network, add system=true for the pages of this machine; or "
                   "silo=NAME:PATH for texts of your own");
  }
  if (b->cfg.system && b->cfg.dir[0] != 0) {
    return at_opts_reject(b->opts, "system", "dir is given too; give one of them");
  }
  if (b->cfg.tokenizer == AT_TEXT_BYTE && at_opts_is_given(b->opts, "vocab")) {
    return at_opts_reject(b->opts, "vocab", "there are 256 bytes; add tokenizer=bpe for another number");
  }
  if (b->cfg.validation + b->cfg.test > 0.9) {
    return at_opts_reject(b->opts, "validation", "with test it leaves less than a tenth for training");
  }
  const at_strlist none = {0};
  return at_silo_list_create(&b->list, table ? &b->cfg.silos : &none, &b->cfg.silo, b->cfg.system);
}

/* Rank 0 finds the files of a silo, everybody gets the list.  Collective. */
static at_err share_files(build *b, const at_silo *silo, at_silo_files *files) {
  at_comm *world = b->args->world;
  at_err err = AT_OK;
  int rank = at_comm_rank(world);
  if (rank == 0) {
    err = at_silo_files_find(files, silo, b->cfg.system ? "" : b->cfg.dir, "");
  }
  AT_TRY(at_comm_agree(world, err));
  int64_t n = (int64_t)files->text.len;
  AT_TRY(at_comm_bcast(world, 0, &n, sizeof n));
  if (rank != 0 && at_bytes_reserve(&files->text, (size_t)n)) {
    files->text.len = (size_t)n;
  }
  AT_TRY(at_comm_agree(world, files->text.err));
  AT_TRY(at_comm_bcast(world, 0, files->text.data, n));
  return at_comm_agree(world, rank == 0 ? AT_OK : at_silo_files_index(files));
}

/* Read this rank's share: a run of files, cut by bytes. */
static at_err read_share(build *b, const at_silo *silo, const at_silo_files *files, at_text_sink *sink) {
  at_bytes_reserve(&sink->packed, 0); /* a rank without files sends nothing from a valid address */
  const at_silo_row *row = silo->row;
  const at_text_reader *reader = row != NULL ? at_text_reader_find(row->reader) : NULL;
  int64_t rank = at_comm_rank(b->args->world), size = at_comm_size(b->args->world), before = 0;
  for (int64_t i = 0; i < files->count; i++) {
    const at_silo_file *f = &files->item[i];
    int64_t owner = files->bytes > 0 ? (int64_t)((double)before / (double)files->bytes * (double)size) : 0;
    before += f->bytes;
    if (owner == rank) {
      AT_TRY(at_text_read_file(reader, f->path, f->name, row != NULL ? row->language : "", sink));
    }
  }
  return at_text_sink_error(sink);
}

/* Documents of all ranks to rank 0, in the order of the files.  Collective. */
static at_err gather(build *b, const at_text_sink *sink, at_bytes *packed, at_text_counts *counts) {
  at_comm *world = b->args->world;
  int64_t *bytes = NULL, both[2] = {sink->files, sink->skipped};
  int size = at_comm_size(world);
  at_err err = at_comm_agree(world, at_alloc(&bytes, (size_t)size, sizeof *bytes, "gather counts"));
  if (err == AT_OK) {
    err = at_comm_allgather_i64(world, (int64_t)sink->packed.len, bytes);
  }
  if (err == AT_OK) {
    int64_t total = 0;
    for (int r = 0; r < size; r++) {
      total += bytes[r];
    }
    if (at_comm_rank(world) == 0 && at_bytes_reserve(packed, (size_t)total)) {
      packed->len = (size_t)total;
    }
    err = at_comm_agree(world, packed->err);
  }
  if (err == AT_OK) {
    err = at_comm_gatherv(world, 0, sink->packed.data, packed->data, bytes);
  }
  if (err == AT_OK) {
    err = at_comm_allreduce(world, AT_COMM_I64, AT_COMM_SUM, both, 2);
  }
  *counts = (at_text_counts){.files = both[0], .skipped = both[1]};
  at_free(bytes);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}

/* Say how many files were skipped, and why the first was.  Collective. */
static at_err report_skipped(build *b, const at_silo *silo, at_text_sink *sink, int64_t skipped) {
  at_comm *world = b->args->world;
  int64_t first = sink->skipped > 0 ? at_comm_rank(world) : at_comm_size(world);
  if (skipped == 0) {
    return AT_OK;
  }
  AT_TRY(at_comm_allreduce(world, AT_COMM_I64, AT_COMM_MIN, &first, 1));
  AT_TRY(at_comm_bcast(world, (int)first, sink->problem, sizeof sink->problem));
  at_log_warn(b->args->log, "data", "silo %s: %lld files skipped; the first: %s", silo->name, (long long)skipped,
              sink->problem);
  return AT_OK;
}

static void note_silo(build *b, const at_silo *silo, const at_text_silo *text, const at_text_counts *counts) {
  summary *s = &b->built[b->n_built++];
  *s = (summary){.name = silo->name,
                 .counts = *counts,
                 .documents = text->documents,
                 .duplicates = text->duplicates,
                 .untranslated = text->foreign};
  for (int i = 0; i < AT_TEXT_SPLITS; i++) {
    s->bytes[i] = (int64_t)text->split[i].len;
    b->bytes += s->bytes[i];
  }
}

/* Text bytes per token of what was held out, or of the training text where nothing was. */
static double bytes_per_token(const summary *s, const at_text_waiting *w) {
  const int64_t held_out = s->bytes[AT_TEXT_VALIDATION] + s->bytes[AT_TEXT_TEST];
  return held_out > 0 ? (double)held_out / (double)(w->tokens[AT_TEXT_VALIDATION] + w->tokens[AT_TEXT_TEST])
                      : (double)s->bytes[AT_TEXT_TRAIN] / (double)w->tokens[AT_TEXT_TRAIN];
}

static void report_tokenizer(const build *b) {
  at_log *log = b->args->log;
  const at_text_pool *pool = &b->pool;
  for (int64_t i = 0; i < b->n_built; i++) {
    at_log_info(log, "data", "silo = %s, held-out bytes per token = %.2f", b->built[i].name,
                bytes_per_token(&b->built[i], &pool->item[i]));
  }
  at_log_info(log, "data",
              "tokenizer = bpe, vocab = %d, different words = %lld, learned in s = %.1f, encoded MB/s per rank = %.0f",
              pool->bpe->vocab->n, (long long)pool->n_words, pool->learn_seconds, 1e-6 * pool->encode_rate);
  if (pool->bpe->vocab->n < b->cfg.vocab) {
    at_log_warn(log, "data", "the text gives only %d tokens of the %lld asked for: no other pair occurs twice",
                pool->bpe->vocab->n, (long long)b->cfg.vocab);
  }
}

/* What was built, once the progress line is out of the way. */
static void report(const build *b) {
  at_log *log = b->args->log;
  const bool wanted[AT_TEXT_SPLITS] = {true, b->cfg.validation > 0, b->cfg.test > 0};
  static const char *const name[AT_TEXT_SPLITS] = {"training", "validation", "test"};
  for (int64_t i = 0; i < b->n_built; i++) {
    const summary *s = &b->built[i];
    at_log_info(log, "data",
                "silo = %s, files = %lld, documents = %lld, train_MB = %.2f, validation_MB = %.2f, test_MB = %.2f, "
                "duplicates = %lld, untranslated = %lld",
                s->name, (long long)s->counts.files, (long long)s->documents, 1e-6 * (double)s->bytes[AT_TEXT_TRAIN],
                1e-6 * (double)s->bytes[AT_TEXT_VALIDATION], 1e-6 * (double)s->bytes[AT_TEXT_TEST],
                (long long)s->duplicates, (long long)s->untranslated);
    for (int j = 0; j < AT_TEXT_SPLITS; j++) {
      if (wanted[j] && s->bytes[j] == 0) {
        at_log_warn(log, "data", "silo %s has no %s text: %lld documents are too few; change seed or the fractions",
                    s->name, name[j], (long long)s->documents);
      }
    }
  }
  if (b->pool.bpe != NULL && at_comm_rank(b->args->world) == 0) {
    report_tokenizer(b);
  }
  at_log_info(log, "data", "file = %s, silos = %lld, MB = %.2f", b->args->out, (long long)b->n_built,
              1e-6 * (double)b->bytes);
}

/* Rank 0: merge what was gathered; *text is the silo if it is to be kept, else empty. */
static at_err merge_silo(build *b, const at_silo *silo, const at_bytes *packed, const at_text_counts *counts,
                         bool store, at_text_silo *text) {
  at_text_rules rules = {.seed = (uint64_t)b->cfg.seed,
                         .validation = b->cfg.validation,
                         .test = b->cfg.test,
                         .max_bytes = b->cfg.max_bytes};
  bool english = is_english(silo);
  bool translated = silo->row != NULL && silo->row->translated && b->have_english;
  AT_TRY(at_text_merge(packed->data, packed->len, translated ? &b->english : NULL, english ? &b->english : NULL, &rules,
                       text));
  b->have_english = b->have_english || english;
  if (store && text->documents > 0) {
    note_silo(b, silo, text, counts);
    return AT_OK;
  }
  if (store && (silo->row == NULL || counts->files > 0)) {
    at_log_warn(b->args->log, "data", "silo %s is left out: its %lld files hold no text", silo->name,
                (long long)counts->files);
  }
  at_text_silo_free(text);
  return AT_OK;
}

/* Rank 0. */
static at_err store_bytes(build *b, const at_silo *silo, const at_text_silo *text, const at_text_counts *counts) {
  at_text_tokens tokens = {.type = AT_H5_U8, .offset = text->offset, .length = text->length};
  for (int s = 0; s < AT_TEXT_SPLITS; s++) {
    tokens.data[s] = text->split[s].data;
    tokens.n[s] = (int64_t)text->split[s].len;
  }
  return at_text_store_silo(b->file, silo, text, &tokens, counts, &b->cfg);
}

/* Merge and write what rank 0 gathered, or keep it until its tokenizer is there.  Collective. */
static at_err finish_silo(build *b, const at_silo *silo, const at_bytes *packed, const at_text_counts *counts,
                          bool store) {
  at_comm *world = b->args->world;
  at_text_silo text = {0};
  int rank = at_comm_rank(world);
  at_err err = at_comm_agree(world, rank == 0 ? merge_silo(b, silo, packed, counts, store, &text) : AT_OK);
  int64_t documents = text.documents;
  if (err == AT_OK) {
    err = at_comm_bcast(world, 0, &documents, sizeof documents);
  }
  if (err == AT_OK && documents > 0 && b->cfg.tokenizer == AT_TEXT_BYTE) {
    err = at_comm_agree(world, rank == 0 ? store_bytes(b, silo, &text, counts) : AT_OK);
  } else if (err == AT_OK && documents > 0) {
    err = at_text_pool_add(&b->pool, world, silo, &text, counts);
  }
  at_text_silo_free(&text);
  return err;
}

/* Build one silo; with `store` false only to know its paragraphs.  Collective. */
static at_err build_silo(build *b, const at_silo *silo, bool store) {
  at_comm *world = b->args->world;
  at_silo_files files = {0};
  at_text_sink sink = {0};
  at_bytes packed = {0};
  at_text_counts counts;
  at_err err;
  AT_TRY_TO(err, done, share_files(b, silo, &files));
  if (files.count == 0 && silo->required && silo->row->packages[0] == NULL) {
    err = AT_FAIL(AT_ERR_CONFIG, "silo '%s' is read from an installed system only: add system=true", silo->name);
    goto done;
  }
  if (files.count == 0 && silo->required) {
    err = AT_FAIL(AT_ERR_FILE, "silo '%s': none of its files is there; 'jobs/fetch-text %s %s' fetches them",
                  silo->name, b->cfg.dir[0] != 0 ? b->cfg.dir : "DIR", silo->name);
    goto done;
  }
  AT_TRY_TO(err, done, at_comm_agree(world, read_share(b, silo, &files, &sink)));
  AT_TRY_TO(err, done, gather(b, &sink, &packed, &counts));
  AT_TRY_TO(err, done, report_skipped(b, silo, &sink, counts.skipped));
  at_text_sink_free(&sink);
  err = finish_silo(b, silo, &packed, &counts, store);
done:
  at_silo_files_free(&files);
  at_text_sink_free(&sink);
  at_bytes_free(&packed);
  return err;
}

/* Translations are compared with the English pages even where those are no silo of this set. */
static at_err read_reference(build *b) {
  bool needed = false;
  for (int64_t i = 0; i < b->list.count; i++) {
    const at_silo_row *row = b->list.item[i].row;
    if (is_english(&b->list.item[i])) {
      return AT_OK;
    }
    needed = needed || (row != NULL && row->translated);
  }
  at_silo english = {.name = "en", .row = at_silo_find("en")};
  return needed ? build_silo(b, &english, false) : AT_OK;
}

static at_err build_all(build *b) {
  int64_t n = b->list.count;
  AT_TRY(read_reference(b));
  /* The English pages stand first in the table, but a user may have named them later. */
  int64_t done = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (int64_t i = 0; i < n; i++) {
      const at_silo *silo = &b->list.item[i];
      if (is_english(silo) == (pass == 0)) {
        AT_TRY(build_silo(b, silo, true));
        at_progress_update(b->progress, ++done, (double)b->bytes, "%s", silo->name);
      }
    }
  }
  int64_t built = b->n_built;
  AT_TRY(at_comm_bcast(b->args->world, 0, &built, sizeof built));
  if (built == 0) {
    return AT_FAIL(AT_ERR_CONFIG,
                   "no text was found for any of the %lld silos asked for: 'jobs/fetch-text %s' fetches "
                   "the packages; system=true reads this machine's pages; silo=NAME:PATH your own texts",
                   (long long)n, b->cfg.dir[0] != 0 ? b->cfg.dir : "DIR");
  }
  return AT_OK;
}

static at_err run(build *b) {
  at_comm *world = b->args->world;
  int rank = at_comm_rank(world);
  AT_TRY(at_comm_agree(world, read_options(b)));
  at_progress_spec spec = {.noun = "silo", .unit = "B", .total = b->list.count};
  at_err err = at_alloc(&b->built, (size_t)b->list.count, sizeof *b->built, "silo summaries");
  if (err == AT_OK) {
    err = at_progress_create(&b->progress, rank, &spec);
  }
  if (err == AT_OK && rank == 0) {
    err = at_h5_create(&b->file, b->args->out, "data", 0);
  }
  AT_TRY(at_comm_agree(world, err));
  AT_TRY(build_all(b));
  if (b->cfg.tokenizer == AT_TEXT_BPE) {
    AT_TRY(at_text_pool_finish(&b->pool, world, b->file, &b->cfg));
  }
  AT_TRY(at_data_provenance(b->args, b->opts, b->file));
  if (rank == 0) {
    err = at_text_store_root(b->file, &b->cfg, b->pool.bpe != NULL ? b->pool.bpe->vocab->n : AT_BPE_BYTES);
    if (err == AT_OK) {
      err = at_h5_commit(b->file);
      b->file = NULL;
    }
  }
  return at_comm_agree(world, err);
}

at_err at_data_text_run(const at_data_args *args) {
  build b = {.args = args};
  at_err err = run(&b);
  at_progress_destroy(b.progress);
  if (err == AT_OK) {
    report(&b);
  }
  at_h5_discard(b.file);
  at_free(b.built);
  at_text_pool_free(&b.pool);
  at_hashset_free(&b.english);
  at_silo_list_free(&b.list);
  at_opts_destroy(b.opts);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}
