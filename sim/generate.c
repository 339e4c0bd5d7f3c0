/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll generate`: text from the language model of a checkpoint.  Rank 0 works, the others learn the outcome. */
#include <string.h>
#include <sys/stat.h>

#include "data/tokenizer.h"
#include "sim/commands.h"
#include "sim/photon/photon.h"
#include "src/base/alloc.h"
#include "src/lm/infer.h"
#include "src/lm/sample.h"
#include "src/lm/words.h"
#include "src/store/fs.h"

typedef struct generate_cfg {
  int64_t tokens, top_k, seed, samples, client;
  double temperature, top_p;
  bool may_end;
  char *tokenizer;
} generate_cfg;

#define T generate_cfg
static const at_opt rows[] = {
    AT_OPT_INT(T, tokens, "tokens", "200", 0, 1e9, "tokens",
               "Length of the continuation; a character that is open then is still finished."),
    AT_OPT_F64(T, temperature, "temperature", "0.8", 0, 100, "",
               "Below 1: likelier tokens more often; 0: always the likeliest; 1: as the model says."),
    AT_OPT_INT(T, top_k, "top_k", "0", 0, 1e9, "tokens", "Choose among the k likeliest tokens only; 0: among all."),
    AT_OPT_F64(T, top_p, "top_p", "0.95", 1e-9, 1, "",
               "Choose among the likeliest tokens that together have this probability."),
    AT_OPT_INT(T, seed, "seed", "1", 0, 9e15, "", "Decides every choice: the same seed gives the same text."),
    AT_OPT_INT(T, samples, "samples", "1", 1, 1e9, "texts", "How many continuations; a line --- stands between two."),
    AT_OPT_BOOL(T, may_end, "may_end", "false", "The model may end the text where it would end a document."),
    AT_OPT_INT(T, client, "client", "-1", -1, 1e9, "",
               "Use this client's own model (method local_only keeps them); -1: the model of all."),
    AT_OPT_STR(T, tokenizer, "tokenizer", "",
               "File with the tokenizer, such as the data set; if not given, RUN/tokenizer.h5, else tokens are bytes.",
               .is_volatile = true),
};
#undef T
static const at_opt_table table = AT_OPT_TABLE("Sampling", rows);

/* --- the model of a checkpoint ---------------------------------------------------------------------------------- */

typedef struct stored_model {
  at_gpt gpt;
  at_layout layout; /* tensors' names are in `names` */
  char **names;
  float *theta;
  bool own_models; /* each client has its own */
} stored_model;

static void forget_model(stored_model *m) {
  at_free(m->layout.tensor);
  at_free(m->names);
  at_free(m->theta);
  *m = (stored_model){0};
}

static at_err read_config(at_h5 *f, stored_model *m) {
  const at_system *system;
  char *text = NULL;
  at_opts *set = NULL;
  void *cfg = NULL;
  AT_TRY(at_h5_get_attr_text(f, "/provenance", "config", &text));
  at_err err = at_config_parse(at_h5_path(f), text, &system, &set, &cfg);
  if (err == AT_OK && system != &at_photon_system) {
    err = AT_FAIL(AT_ERR_STATE, "%s is a checkpoint of `atoll %s`, which trains no language model", at_h5_path(f),
                  system->name);
  }
  if (err == AT_OK) {
    m->gpt = at_photon_model(cfg, 0); /* the vocabulary is that of the parameters */
    m->own_models = at_photon_methods[((at_photon_cfg *)cfg)->method].own_model;
  }
  at_opts_destroy(set);
  at_free(cfg);
  at_free(text);
  return err;
}

/* Tensor i from its columns; it must lie inside the vector. */
static at_err place_tensor(at_h5 *f, stored_model *m, int64_t i, int64_t offset, int32_t nd, const int64_t *dims) {
  at_tensor *t = &m->layout.tensor[i];
  *t = (at_tensor){.name = m->names[i], .shape = {.nd = nd}, .offset = offset, .count = 1};
  bool fits = offset >= 0 && nd >= 0 && nd <= AT_KND;
  for (int j = 0; fits && j < nd; j++) {
    t->shape.d[j] = dims[j];
    fits = dims[j] >= 1 && dims[j] <= m->layout.count / t->count;
    t->count *= fits ? dims[j] : 1;
  }
  return fits && offset <= m->layout.count - t->count
             ? AT_OK
             : AT_FAIL(AT_ERR_FORMAT, "%s: tensor %s does not fit into /model/theta", at_h5_path(f), t->name);
}

static at_err read_layout(at_h5 *f, stored_model *m) {
  int64_t n = 0, *offset = NULL, *shape = NULL;
  int32_t *nd = NULL;
  at_err err;
  AT_TRY(at_h5_read_text(f, "/model/theta_layout/name", &n, &m->names));
  at_h5_desc offsets = {.path = "/model/theta_layout/offset", .type = AT_H5_I64, .ndims = 1, .dims = {n}};
  at_h5_desc shapes = {.path = "/model/theta_layout/shape", .type = AT_H5_I64, .ndims = 2, .dims = {n, AT_KND}};
  at_h5_desc nds = {.path = "/model/theta_layout/ndims", .type = AT_H5_I32, .ndims = 1, .dims = {n}};
  AT_TRY_TO(err, done, at_alloc(&m->layout.tensor, (size_t)n, sizeof *m->layout.tensor, "layout"));
  AT_TRY_TO(err, done, at_alloc(&offset, (size_t)n, sizeof *offset, "layout"));
  AT_TRY_TO(err, done, at_alloc(&shape, (size_t)n * AT_KND, sizeof *shape, "layout"));
  AT_TRY_TO(err, done, at_alloc(&nd, (size_t)n, sizeof *nd, "layout"));
  AT_TRY_TO(err, done, at_h5_read(f, &offsets, offset));
  AT_TRY_TO(err, done, at_h5_read(f, &shapes, shape));
  AT_TRY_TO(err, done, at_h5_read(f, &nds, nd));
  m->layout.n = (int)n;
  for (int64_t i = 0; err == AT_OK && i < n; i++) {
    err = place_tensor(f, m, i, offset[i], nd[i], shape + i * AT_KND);
  }
done:
  at_free(offset);
  at_free(shape);
  at_free(nd);
  return err;
}

/* One client's parameters: a row, whose checksum is among those of the whole file. */
static at_err read_client(at_h5 *f, stored_model *m, int64_t client) {
  at_h5_desc d;
  int64_t checked;
  if (!at_h5_exists(f, "/clients/theta")) {
    return AT_FAIL(AT_ERR_ARG, "client = %lld: the clients in %s have no models of their own, leave it out",
                   (long long)client, at_h5_path(f));
  }
  AT_TRY(at_h5_verify(f, &checked));
  AT_TRY(at_h5_describe(f, "/clients/theta", &d));
  if (d.type != AT_H5_F32 || d.ndims != 2 || d.dims[1] != m->layout.count) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: /clients/theta does not have the shape of /model/theta", at_h5_path(f));
  }
  if (client >= d.dims[0]) {
    return AT_FAIL(AT_ERR_ARG, "client = %lld: %s has the clients 0 to %lld", (long long)client, at_h5_path(f),
                   (long long)d.dims[0] - 1);
  }
  return at_h5_read_rows(f, d.path, AT_H5_F32, client, 1, m->theta);
}

static at_err read_theta(at_h5 *f, stored_model *m, int64_t client) {
  at_h5_desc d;
  AT_TRY(at_h5_describe(f, "/model/theta", &d));
  if (d.type != AT_H5_F32 || d.ndims != 1) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: /model/theta is not a vector of f32", at_h5_path(f));
  }
  m->layout.count = d.dims[0];
  AT_TRY(at_alloc(&m->theta, (size_t)d.dims[0], sizeof *m->theta, "parameters"));
  if (client >= 0) {
    return read_client(f, m, client);
  }
  if (m->own_models) {
    return AT_FAIL(AT_ERR_ARG, "%s: its clients were trained alone and share no model: choose one with client=NUMBER",
                   at_h5_path(f));
  }
  return at_h5_read(f, &d, m->theta);
}

/* Tokens without a tokenizer of as many cannot be turned into text. */
static at_err settle_vocab(at_h5 *f, stored_model *m, const at_vocab *vocab) {
  const at_tensor *embed = at_layout_find(&m->layout, "embed.weight");
  if (embed == NULL || embed->shape.nd != 2) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: has no embed.weight, so it is not a language model", at_h5_path(f));
  }
  m->gpt.vocab = embed->shape.d[0];
  return m->gpt.vocab == vocab->n
             ? AT_OK
             : AT_FAIL(AT_ERR_STATE,
                       "%s: a vocabulary of %lld tokens, but the tokenizer has %d: name the file of the data set "
                       "or the tokenizer.h5 of the run with tokenizer=FILE",
                       at_h5_path(f), (long long)m->gpt.vocab, vocab->n);
}

static at_err read_model(stored_model *m, const char *path, const at_vocab *vocab, int64_t client) {
  at_h5 *f;
  *m = (stored_model){0};
  AT_TRY(at_h5_open_kind(&f, path, "checkpoint"));
  at_err err = read_config(f, m);
  if (err == AT_OK) {
    err = read_theta(f, m, client);
  }
  if (err == AT_OK) {
    err = read_layout(f, m);
  }
  if (err == AT_OK) {
    err = settle_vocab(f, m, vocab);
  }
  at_h5_close(f);
  if (err != AT_OK) {
    forget_model(m);
  }
  return err;
}

/* The newest checkpoint of a run; a damaged one is passed over. */
static at_err read_newest(stored_model *m, const char *folder, const at_vocab *vocab, int64_t client, at_log *log) {
  int64_t n, *rounds;
  at_err err = AT_ERR_FORMAT;
  AT_TRY(at_ckpt_list(folder, &n, &rounds));
  if (n == 0) {
    at_free(rounds);
    return AT_FAIL(AT_ERR_FILE, "%s has no checkpoint: give the folder of a run, or a file of its checkpoints", folder);
  }
  for (int64_t i = n - 1; err == AT_ERR_FORMAT && i >= 0; i--) {
    char *path = NULL;
    err = at_ckpt_path(&path, folder, rounds[i]);
    if (err == AT_OK) {
      err = read_model(m, path, vocab, client);
    }
    if (err == AT_ERR_FORMAT && i > 0) {
      at_log_warn(log, "generate", "%s; trying the checkpoint before", at_err_message());
    }
    at_free(path);
  }
  at_free(rounds);
  return err;
}

/* --- text --------------------------------------------------------------------------------------------------------- */

typedef struct writer {
  const generate_cfg *cfg;
  const at_bpe *bpe;
  const uint8_t *prompt;
  size_t bytes; /* of the prompt */
  size_t fixed; /* of those, the ones that the tokens below stand for; the model's first tokens begin with the rest */
  int32_t *tokens; /* [n]: of the prompt, behind a separator, as at the start of a document */
  int64_t n;
  at_infer *infer;
  at_sampling sampling;
  at_sampler *sampler;
} writer;

/* Where the last word of the prompt begins.  It may be the beginning of a longer one, whose tokens are others. */
static size_t last_word(const writer *w) {
  size_t start = 0;
  for (size_t at = 0; at < w->bytes; at += at_word_length(w->prompt + at, w->bytes - at)) {
    start = at;
  }
  return start;
}

static at_err read_prompt(writer *w) {
  at_utf8_guard guard = {0};
  at_bpe_encoder *encoder;
  if (!at_utf8_push(&guard, w->prompt, w->bytes)) {
    return AT_FAIL(AT_ERR_ARG, "the prompt is not UTF-8: is the terminal set to another encoding?");
  }
  w->fixed = w->bpe->n_merges > 0 && w->cfg->tokens > 0 ? last_word(w) : w->bytes;
  AT_TRY(at_alloc(&w->tokens, w->fixed + 1, sizeof *w->tokens, "prompt"));
  w->tokens[0] = w->bpe->vocab->separator;
  AT_TRY(at_bpe_encoder_create(&encoder, w->bpe));
  at_err err = at_bpe_encode(encoder, w->prompt, w->fixed, w->tokens + 1, &w->n);
  at_bpe_encoder_destroy(encoder);
  w->n++;
  return err;
}

/* What a token adds to the text: its bytes without those that the prompt has already.  Returns how many. */
static size_t put_token(writer *w, int32_t token, at_utf8_guard *guard, FILE *out) {
  size_t n;
  const uint8_t *bytes = at_vocab_bytes(w->bpe->vocab, token, &n);
  const size_t known = n < w->sampling.start_bytes ? n : w->sampling.start_bytes;
  (void)at_utf8_push(guard, bytes, n); /* it was chosen so */
  w->sampling.start += known;
  w->sampling.start_bytes -= known;
  fwrite(bytes + known, 1, n - known, out);
  if (at_utf8_may_end(guard)) {
    fflush(out); /* whole characters can be watched */
  }
  return n - known;
}

static at_err write_text(writer *w, uint64_t text, FILE *out) {
  at_utf8_guard guard = {0};
  int32_t token;
  (void)at_utf8_push(&guard, w->prompt, w->fixed); /* it may */
  w->sampling.start = w->prompt + w->fixed;
  w->sampling.start_bytes = w->bytes - w->fixed;
  fwrite(w->prompt, 1, w->bytes, out);
  at_infer_reset(w->infer);
  const float *logits = at_infer_feed(w->infer, w->tokens, w->n);
  int64_t made = 0;
  for (uint64_t i = 0; made < w->cfg->tokens || !at_utf8_may_end(&guard); i++) {
    if (i > 0) {
      logits = at_infer_feed(w->infer, &token, 1);
    }
    AT_TRY(at_sampler_pick(w->sampler, logits, &guard, made >= w->cfg->tokens, text, i, &token));
    if (token == w->bpe->vocab->separator) {
      break;
    }
    made += put_token(w, token, &guard, out) > 0;
  }
  fputc('\n', out);
  return AT_OK;
}

static at_err write_all(writer *w, FILE *out) {
  for (int64_t i = 0; i < w->cfg->samples; i++) {
    if (i > 0) {
      fputs("---\n", out);
    }
    AT_TRY(write_text(w, (uint64_t)i, out));
  }
  return fflush(out) == 0 && !ferror(out) ? AT_OK : AT_FAIL(AT_ERR_FILE, "the text cannot be written: disk full?");
}

/* The tokenizer that the user names, or that of the run; a run without one has bytes for tokens. */
static at_err read_tokenizer(at_bpe **out, const char *given, const char *path, bool is_folder) {
  char *beside = NULL;
  if (given[0] != 0) {
    return at_tokenizer_load(given, out);
  }
  const char *slash = strrchr(path, '/');
  if (is_folder) {
    AT_TRY(at_fs_path(&beside, "%s/tokenizer.h5", path));
  } else { /* RUN/checkpoints/NNNNNN.h5 */
    AT_TRY(at_fs_path(&beside, "%.*s../tokenizer.h5", slash == NULL ? 0 : (int)(slash - path) + 1, path));
  }
  at_err err = at_tokenizer_load(beside, out);
  at_free(beside);
  return err == AT_ERR_FILE ? at_bpe_create(out, 0, NULL) : err;
}

static at_err generate(at_session *s, const generate_cfg *cfg, const char *path, const char *prompt) {
  at_bpe *bpe = NULL;
  stored_model m = {0};
  struct stat st;
  writer w = {.cfg = cfg,
              .prompt = (const uint8_t *)prompt,
              .bytes = strlen(prompt),
              .sampling = {.temperature = cfg->temperature,
                           .top_k = cfg->top_k,
                           .top_p = cfg->top_p,
                           .seed = (uint64_t)cfg->seed,
                           .may_end = cfg->may_end}};
  at_err err;
  const bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
  AT_TRY(read_tokenizer(&bpe, cfg->tokenizer, path, folder));
  w.bpe = bpe;
  AT_TRY_TO(err, done, read_prompt(&w));
  AT_TRY_TO(err, done,
            folder ? read_newest(&m, path, bpe->vocab, cfg->client, s->log)
                   : read_model(&m, path, bpe->vocab, cfg->client));
  AT_TRY_TO(err, done, at_infer_create(&w.infer, &m.gpt, &m.layout, m.theta, s->kernels));
  AT_TRY_TO(err, done, at_sampler_create(&w.sampler, bpe->vocab, &w.sampling));
  err = write_all(&w, stdout);
done:
  at_sampler_destroy(w.sampler);
  at_infer_destroy(w.infer);
  at_free(w.tokens);
  forget_model(&m);
  at_bpe_destroy(bpe);
  return err;
}

/* --- the command --------------------------------------------------------------------------------------------------- */

static void print_help(const at_opts *set, FILE *out) {
  fprintf(out,
          "Usage: atoll generate CHECKPOINT.h5|RUN \"prompt\" [key=value ...]\n\n"
          "Prints the prompt and how a language model goes on.  RUN, the folder of a run, stands for its newest good "
          "checkpoint.\nThe prompt is taken for the start of a document; it may be empty (\"\").  The text is valid "
          "UTF-8 whatever the model\ndoes.  Example:\n\n    atoll generate runs/latest \"The \" tokens=400 "
          "temperature=0.7\n\n");
  at_opts_print_help(set, out);
}

static at_err command(at_session *s, int argc, char **argv) {
  generate_cfg cfg;
  at_opts *set = NULL;
  bool help = argc >= 1 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0);
  if (argc < 2 && !help) {
    return AT_FAIL(AT_ERR_ARG, "Usage: atoll generate CHECKPOINT.h5|RUN \"prompt\" [key=value ...]; try --help");
  }
  AT_TRY(at_opts_create(&set));
  at_err err = at_opts_add(set, &table, &cfg);
  for (int i = 2; err == AT_OK && !help && i < argc; i++) {
    err = at_opts_set(set, argv[i]);
  }
  if (err == AT_OK && help) {
    print_help(set, stdout);
  } else if (err == AT_OK) {
    err = generate(s, &cfg, argv[0], argv[1]);
  }
  at_opts_destroy(set);
  return err;
}

at_err at_generate_main(at_session *s, int argc, char **argv) {
  return at_comm_agree(s->world, at_comm_rank(s->world) == 0 ? command(s, argc, argv) : AT_OK);
}
