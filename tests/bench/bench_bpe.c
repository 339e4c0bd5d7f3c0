/* SPDX-License-Identifier: BSD-3-Clause */
/* Rates of the byte-pair tokenizer on one core: counting words, learning, encoding, decoding; and bytes per token.
 *
 * Usage: bench_bpe [DATA.h5 [VOCAB]]: the silos of a byte data set, 2 MB of each for learning; without arguments, drawn
 * words with frequencies by Zipf's law.  Processor time of this process; each text is encoded once, the first time its
 * words are met included. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data/dataset.h"
#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/lm/bpe.h"

enum { SAMPLE = 2000000, DRAWN = 16000000, DIFFERENT = 100000 };

typedef struct text {
  const char *name;
  uint8_t *bytes;
  int64_t n;
} text;

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Word number r of syllables that follow from r. */
static int64_t put_word(uint64_t r, uint8_t *to) {
  const at_stream s = {.seed = 1, .purpose = AT_RNG_TEST, .client = r};
  const uint64_t syllables = 1 + at_rng_below(&s, 0, 4);
  int64_t n = 0;
  to[n++] = ' ';
  for (uint64_t i = 1; i <= syllables; i++) {
    to[n++] = (uint8_t) "bcdfghklmnprstvw"[at_rng_below(&s, 4 * i, 16)];
    to[n++] = (uint8_t) "aeiou"[at_rng_below(&s, 4 * i + 100, 5)];
  }
  return n;
}

static at_err draw(text *out) {
  const at_stream s = {.seed = 2, .purpose = AT_RNG_TEST};
  out->name = "drawn words";
  AT_TRY(at_alloc(&out->bytes, DRAWN + 16, 1, "text"));
  for (uint64_t i = 0; out->n < DRAWN; i++) {
    out->n += put_word((uint64_t)pow(DIFFERENT, at_rng_uniform(&s, i)), out->bytes + out->n);
  }
  return AT_OK;
}

static at_err run(const text *texts, int64_t n_texts, int32_t vocab) {
  at_word_table words = {0};
  at_bpe *bpe;
  at_bpe_encoder *encoder;
  double start = seconds(), sample = 0, encoding = 0, decoding = 0, bytes = 0;
  for (int64_t i = 0; i < n_texts; i++) {
    const int64_t n = texts[i].n < SAMPLE ? texts[i].n : SAMPLE;
    AT_TRY(at_word_table_count(&words, texts[i].bytes, (size_t)n, AT_BPE_UNIT));
    sample += (double)n;
  }
  const double counted = seconds();
  AT_TRY(at_bpe_train(&bpe, &words, vocab - AT_BPE_BYTES));
  const double learned = seconds();
  printf("count  %7.1f MB/s (%.1f MB, %lld different words)\n", 1e-6 * sample / (counted - start), 1e-6 * sample,
         (long long)words.n);
  printf("learn  %7.2f s (%d merges)\n", learned - counted, bpe->n_merges);
  AT_TRY(at_bpe_encoder_create(&encoder, bpe));
  for (int64_t i = 0; i < n_texts; i++) {
    int32_t *tokens;
    uint8_t *back;
    int64_t count;
    AT_TRY(at_alloc(&tokens, (size_t)texts[i].n, sizeof *tokens, "tokens"));
    AT_TRY(at_alloc(&back, (size_t)texts[i].n, 1, "text"));
    start = seconds();
    AT_TRY(at_bpe_encode(encoder, texts[i].bytes, (size_t)texts[i].n, tokens, &count));
    const double encoded = seconds();
    const int64_t n = at_bpe_decode(bpe, tokens, count, back);
    decoding += seconds() - encoded;
    encoding += encoded - start;
    bytes += (double)n;
    printf("  %-12s %.2f bytes/token%s\n", texts[i].name, (double)n / (double)count,
           n == texts[i].n && memcmp(back, texts[i].bytes, (size_t)n) == 0 ? "" : ", DIFFERENT when decoded");
    at_free(tokens);
    at_free(back);
  }
  printf("encode %7.1f MB/s\ndecode %7.1f MB/s\n", 1e-6 * bytes / encoding, 1e-6 * bytes / decoding);
  at_bpe_encoder_destroy(encoder);
  at_bpe_destroy(bpe);
  at_word_table_free(&words);
  return AT_OK;
}

static at_err run_set(const char *path, int32_t vocab) {
  at_dataset *d;
  text *texts;
  AT_TRY(at_dataset_open(&d, path));
  const int64_t n = at_dataset_clients(d);
  AT_TRY(at_alloc(&texts, (size_t)n, sizeof *texts, "silos"));
  for (int64_t i = 0; i < n; i++) {
    texts[i].name = at_dataset_client(d, i);
    AT_TRY(at_dataset_load_u8(d, AT_SPLIT_TRAIN, i, "tokens", &texts[i].n, &texts[i].bytes));
  }
  AT_TRY(run(texts, n, vocab));
  for (int64_t i = 0; i < n; i++) {
    at_free(texts[i].bytes);
  }
  at_free(texts);
  at_dataset_close(d);
  return AT_OK;
}

static at_err run_drawn(void) {
  text one = {0};
  AT_TRY(draw(&one));
  AT_TRY(run(&one, 1, 4096));
  at_free(one.bytes);
  return AT_OK;
}

int main(int argc, char **argv) {
  if ((argc > 1 ? run_set(argv[1], argc > 2 ? atoi(argv[2]) : 4096) : run_drawn()) != AT_OK) {
    fprintf(stderr, "%s\n", at_err_message());
    return 1;
  }
  return 0;
}
