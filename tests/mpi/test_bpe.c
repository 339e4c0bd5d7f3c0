/* SPDX-License-Identifier: BSD-3-Clause */
/* Byte-pair text on several ranks: the same merges and tokens for any number of them, and the text of a byte set again. */
#include <sys/stat.h>

#include "data/dataset.h"
#include "data/kinds.h"
#include "data/text/learn.h"
#include "data/tokenizer.h"
#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "tests/mpi/mpi_test.h"

static char folder[64];

static void put_file(mpi_test *t, const char *silo, int i, const char *text) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, silo);
  mkdir(path, 0755);
  snprintf(path, sizeof path, "%s/%s/%02d.txt", folder, silo, i);
  FILE *f = fopen(path, "wb");
  MPI_CHECK(t, f != NULL && fputs(text, f) >= 0);
  if (f != NULL) {
    fclose(f);
  }
}

/* Two silos of different languages and sizes, sentences of drawn words. */
static void make_texts(mpi_test *t) {
  static const char *const word[2][8] = {
      {"small", "island", "reef", "water", "under", "lagoon", "walking", "the"},
      {"маленький", "остров", "рифы", "вода", "под", "лагуна", "идёт", "и"},
  };
  for (int silo = 0; silo < 2; silo++) {
    for (int i = 0; i < 40; i++) {
      char text[8192] = "";
      size_t n = 0;
      at_stream s = {.seed = 1, .purpose = AT_RNG_TEST, .client = (uint64_t)silo, .step = (uint64_t)i};
      const uint64_t words = silo == 0 ? 700 + 5 * (uint64_t)i : 40;
      for (uint64_t w = 0; w < words; w++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", word[silo][at_rng_below(&s, 4 * w, 8)],
                              w % 9 == 8 ? ".\n\n" : " ");
      }
      put_file(t, silo == 0 ? "en" : "ru", i, text);
    }
  }
}

/* One folder with texts for all ranks, made by rank 0. */
static void make_folder(mpi_test *t) {
  snprintf(folder, sizeof folder, "/tmp/atoll_bpe_XXXXXX");
  if (t->rank == 0) {
    MPI_CHECK(t, mkdtemp(folder) != NULL);
    make_texts(t);
  }
  MPI_CHECK_OK(t, at_comm_bcast(t->world, 0, folder, sizeof folder));
}

static void remove_folder(mpi_test *t) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  MPI_CHECK_OK(t, at_comm_barrier(t->world));
  MPI_CHECK(t, t->rank != 0 || system(command) == 0);
}

static const char *in_folder(const char *name) {
  static char path[4][128];
  static int next;
  char *p = path[next++ % 4];
  snprintf(p, sizeof path[0], "%s/%s", folder, name);
  return p;
}

/* A set of both silos; `more` is one more option. */
static at_err build(at_comm *c, const char *out, const char *tokenizer, const char *more) {
  char silo[192];
  snprintf(silo, sizeof silo, "silo=en:%s/en,ru:%s/ru", folder, folder);
  const char *const assignments[] = {silo, "validation=0.1", "test=0.1", "seed=3", tokenizer, more};
  at_data_args args = {.world = c, .out = in_folder(out), .n_assignments = 6, .assignments = assignments};
  return at_data_kind_find("text")->run(&args);
}

/* The same merges, tokens and documents in both files. */
static void check_equal(mpi_test *t, const char *one, const char *other) {
  static const char *const field[] = {"split", "offset", "length", "bytes"};
  at_bpe *a = NULL, *b = NULL;
  at_dataset *x = NULL, *y = NULL;
  MPI_CHECK_OK(t, at_tokenizer_load(in_folder(one), &a));
  MPI_CHECK_OK(t, at_tokenizer_load(in_folder(other), &b));
  MPI_CHECK(t, a != NULL && b != NULL && at_bpe_equal(a, b));
  MPI_CHECK_OK(t, at_dataset_open(&x, in_folder(one)));
  MPI_CHECK_OK(t, at_dataset_open(&y, in_folder(other)));
  for (int64_t silo = 0; silo < 2; silo++) {
    for (int s = 0; s < AT_SPLIT_COUNT; s++) {
      int64_t n = 0, m = 0;
      uint16_t *p = NULL, *q = NULL;
      MPI_CHECK_OK(t, at_dataset_load_u16(x, (at_split)s, silo, "tokens", &n, &p));
      MPI_CHECK_OK(t, at_dataset_load_u16(y, (at_split)s, silo, "tokens", &m, &q));
      MPI_CHECK(t, n > 0 && n == m && memcmp(p, q, (size_t)n * sizeof *p) == 0);
      at_free(p);
      at_free(q);
    }
  }
  at_dataset_close(x);
  at_dataset_close(y);
  for (size_t i = 0; i < 2 * sizeof field / sizeof field[0]; i++) {
    char path[64];
    at_h5 *f = NULL, *g = NULL;
    at_h5_desc d, e;
    int64_t u[80] = {0}, v[80] = {0};
    snprintf(path, sizeof path, "/documents/%s/%s", i % 2 == 0 ? "en" : "ru", field[i / 2]);
    MPI_CHECK_OK(t, at_h5_open(&f, in_folder(one)));
    MPI_CHECK_OK(t, at_h5_open(&g, in_folder(other)));
    MPI_CHECK_OK(t, at_h5_describe(f, path, &d));
    MPI_CHECK_OK(t, at_h5_describe(g, path, &e));
    MPI_CHECK(t, d.dims[0] == 40 && e.dims[0] == 40);
    MPI_CHECK_OK(t, at_h5_read_rows(f, path, AT_H5_I64, 0, 40, u));
    MPI_CHECK_OK(t, at_h5_read_rows(g, path, AT_H5_I64, 0, 40, v));
    MPI_CHECK(t, memcmp(u, v, sizeof u) == 0);
    at_h5_close(f);
    at_h5_close(g);
  }
  at_bpe_destroy(a);
  at_bpe_destroy(b);
}

static void the_same_on_any_number_of_ranks(mpi_test *t) {
  /* the sample: all of the text; evenly spaced pieces of a part; less than one document */
  static const char *const sample[] = {"bpe_sample_bytes=2 MB", "bpe_sample_bytes=140 kB", "bpe_sample_bytes=1024"};
  at_comm *alone = NULL;
  make_folder(t);
  MPI_REQUIRE_OK(t, at_comm_split(t->world, t->rank == 0 ? 0 : -1, 0, &alone));
  for (int i = 0; i < 3; i++) {
    MPI_REQUIRE_OK(t, build(t->world, "all.h5", "tokenizer=bpe", sample[i]));
    if (t->rank == 0) {
      MPI_CHECK_OK(t, build(alone, "one.h5", "tokenizer=bpe", sample[i]));
      check_equal(t, "all.h5", "one.h5");
    }
  }
  at_comm_destroy(alone);
  remove_folder(t);
}

/* Document by document, the tokens stand for the bytes of the set without a tokenizer, and are fewer. */
static void check_documents(mpi_test *t, int64_t silo, const char *name) {
  at_bpe *b = NULL;
  at_dataset *pairs = NULL, *bytes = NULL;
  at_h5 *f = NULL, *g = NULL;
  int64_t table[2][3][40]; /* of pairs and bytes: split, offset, length */
  static const char *const field[] = {"split", "offset", "length"};
  MPI_CHECK_OK(t, at_tokenizer_load(in_folder("pairs.h5"), &b));
  MPI_CHECK_OK(t, at_dataset_open(&pairs, in_folder("pairs.h5")));
  MPI_CHECK_OK(t, at_dataset_open(&bytes, in_folder("bytes.h5")));
  MPI_CHECK(t, at_dataset_vocab(pairs) == b->vocab->n && at_dataset_vocab(bytes) == 256);
  MPI_CHECK_OK(t, at_h5_open(&f, in_folder("pairs.h5")));
  MPI_CHECK_OK(t, at_h5_open(&g, in_folder("bytes.h5")));
  for (int i = 0; i < 3; i++) {
    char path[64];
    snprintf(path, sizeof path, "/documents/%s/%s", name, field[i]);
    MPI_CHECK_OK(t, at_h5_read_rows(f, path, AT_H5_I64, 0, 40, table[0][i]));
    MPI_CHECK_OK(t, at_h5_read_rows(g, path, AT_H5_I64, 0, 40, table[1][i]));
  }
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    int64_t n = 0, m = 0;
    int32_t *tokens = NULL;
    uint8_t *want = NULL;
    MPI_CHECK_OK(t, at_dataset_load_i32(pairs, (at_split)s, silo, "tokens", &n, &tokens));
    MPI_CHECK_OK(t, at_dataset_load_u8(bytes, (at_split)s, silo, "tokens", &m, &want));
    MPI_CHECK(t, 2 * n < m);
    for (int d = 0; d < 40; d++) {
      uint8_t text[8192];
      if (table[0][0][d] != s) {
        continue;
      }
      const int32_t *from = tokens + table[0][1][d];
      const int64_t length = at_bpe_decode(b, from, table[0][2][d], text);
      MPI_CHECK(t, table[1][0][d] == s && length == table[1][2][d]);
      MPI_CHECK(t, memcmp(text, want + table[1][1][d], (size_t)length) == 0);
      MPI_CHECK(t, from[table[0][2][d]] == 0);
    }
    at_free(tokens);
    at_free(want);
  }
  at_h5_close(f);
  at_h5_close(g);
  at_dataset_close(pairs);
  at_dataset_close(bytes);
  at_bpe_destroy(b);
}

static void the_text_comes_back(mpi_test *t) {
  make_folder(t);
  MPI_REQUIRE_OK(t, build(t->world, "bytes.h5", "tokenizer=byte", "test=0.1"));
  MPI_REQUIRE_OK(t, build(t->world, "pairs.h5", "tokenizer=bpe", "vocab=400"));
  if (t->rank == 0) {
    check_documents(t, 0, "en");
    check_documents(t, 1, "ru");
  }
  remove_folder(t);
}

/* Words dealt to the ranks in turn, one with counts everywhere: learned as if one rank had counted them all. */
static void words_are_added_up(mpi_test *t) {
  at_word_table mine = {0}, all = {0};
  at_bpe *found = NULL, *want = NULL;
  int64_t n_words = 0;
  for (int i = 0; i < 300; i++) {
    char word[16];
    const int n = snprintf(word, sizeof word, "w%dx%d", i % 50, i * i % 13);
    if (i % t->size == t->rank) {
      MPI_CHECK_OK(t, at_word_table_add(&mine, (const uint8_t *)word, (size_t)n, AT_BPE_UNIT, NULL));
    }
    MPI_CHECK_OK(t, at_word_table_add(&all, (const uint8_t *)word, (size_t)n, AT_BPE_UNIT, NULL));
  }
  const int64_t different = all.n + 1;
  MPI_CHECK_OK(t, at_word_table_add(&mine, (const uint8_t *)"everywhere", 10, AT_BPE_UNIT, NULL));
  MPI_CHECK_OK(t, at_word_table_add(&all, (const uint8_t *)"everywhere", 10, t->size * AT_BPE_UNIT, NULL));
  MPI_REQUIRE_OK(t, at_text_learn(t->world, &mine, 100, &found, &n_words));
  MPI_CHECK(t, n_words == different);
  MPI_CHECK_OK(t, at_bpe_train(&want, &all, 100));
  MPI_CHECK(t, want->n_merges > 50 && at_bpe_equal(found, want));
  at_bpe_destroy(found);
  at_bpe_destroy(want);
  at_word_table_free(&all);
}

static void bad_options_are_told(mpi_test *t) {
  make_folder(t);
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "add tokenizer=bpe", build(t->world, "x.h5", "tokenizer=byte", "vocab=500"));
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "vocab", build(t->world, "x.h5", "tokenizer=bpe", "vocab=70000"));
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "one of byte, bpe", build(t->world, "x.h5", "tokenizer=words", "test=0.1"));
  remove_folder(t);
}

static void frees_all_memory(mpi_test *t) {
  make_folder(t);
  const int64_t before = at_alloc_get_stats().live_bytes;
  MPI_CHECK_OK(t, build(t->world, "x.h5", "tokenizer=bpe", "vocab=400"));
  MPI_CHECK_FAILS(t, AT_ERR_FILE, "missing/x.h5", build(t->world, "missing/x.h5", "tokenizer=bpe", "vocab=400"));
  MPI_CHECK(t, at_alloc_get_stats().live_bytes == before);
  remove_folder(t);
}

int main(int argc, char **argv) {
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(the_same_on_any_number_of_ranks), MPI_CASE(the_text_comes_back),
                       MPI_CASE(words_are_added_up), MPI_CASE(bad_options_are_told), MPI_CASE(frees_all_memory));
}
