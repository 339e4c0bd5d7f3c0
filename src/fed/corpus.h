/* SPDX-License-Identifier: BSD-3-Clause */
/* The token corpus of a federation in memory, and each client's endless stream of training windows over it.
 *
 * A stream is a pure function of (seed, client, cursor): a client's whole position is one integer.  A window is
 * context + 1 consecutive tokens of one silo; windows of a silo do not overlap but for that one token.  When a client
 * has seen all its windows, the next epoch visits them in a new order. */
#ifndef AT_FED_CORPUS_H
#define AT_FED_CORPUS_H

#include <stdint.h>

#include "data/dataset.h"
#include "src/base/status.h"
#include "src/fed/mixture.h"
#include "src/lm/bpe.h"

typedef struct at_tokens {
  void *data; /* owned by the corpus */
  int width;  /* bytes a token: 1 (u8), 2 (u16) or 4 (i32) */
  int64_t n;
} at_tokens;

typedef struct at_silo {
  char *name;
  at_tokens split[AT_SPLIT_COUNT];
} at_silo;

typedef struct at_corpus {
  int64_t n_silos, vocab;
  at_silo *silo;
  char *tokenizer;      /* "byte" or "bpe" */
  at_bpe *bpe;          /* NULL: tokens are bytes */
  int32_t *token_bytes; /* [vocab]: text bytes a token stands for, 1 for the separator; NULL: one each */
  int64_t data_bytes;   /* memory it holds */
  uint32_t checksum;    /* CRC-32 of names, sizes and tokens: two data sets of the same contents have the same */
} at_corpus;

/* Load all silos of the data set `path`.  Not collective: every rank reads. */
at_err at_corpus_load(at_corpus **out, const char *path);
void at_corpus_destroy(at_corpus *c); /* accepts NULL */

/* out[count] = tokens [start, start + count). */
void at_tokens_get(const at_tokens *t, int64_t start, int64_t count, int32_t *out);
/* Text bytes that tokens[n] stand for; negative tokens count nothing. */
int64_t at_corpus_bytes_of(const at_corpus *c, const int32_t *tokens, int64_t n);

/* The text of tokens [start, start + count) as bytes to out (a separator is a 0), which has room for
 * at_corpus_text_bytes(); returns how many. */
int64_t at_corpus_text(const at_corpus *c, const at_tokens *t, int64_t start, int64_t count, uint8_t *out);
int64_t at_corpus_text_bytes(const at_corpus *c, const at_tokens *t, int64_t start, int64_t count);

/* How silos are dealt to clients. */
typedef enum at_reading {
  AT_PARTITION_SILO,     /* client k reads silo k mod S; clients of one silo read disjoint windows */
  AT_PARTITION_IID,      /* every client reads all silos in turn, one window each, disjoint from the other clients' */
  AT_PARTITION_DIRICHLET /* every client reads a mixture of silos (mixture.h), disjoint from the other clients' */
} at_reading;

typedef struct at_streams {
  const at_corpus *corpus; /* borrowed */
  int partition;           /* at_reading */
  int64_t n_clients, context;
  uint64_t seed;
  const at_mixture *mixture; /* AT_PARTITION_DIRICHLET; borrowed */
} at_streams;

/* AT_ERR_CONFIG if a client would have no window: names the silo and what to change. */
at_err at_streams_check(const at_streams *s);
/* Window number `cursor` (0, 1, ...) of client k: which silo, and where its first token is. */
void at_streams_locate(const at_streams *s, int64_t client, int64_t cursor, int64_t *silo, int64_t *start);
/* tokens[context], targets[context]: the inputs of window `cursor` and the tokens that follow them. */
void at_streams_window(const at_streams *s, int64_t client, int64_t cursor, int32_t *tokens, int32_t *targets);
/* Times that client k has seen all its windows when it stands at `cursor`; under AT_PARTITION_DIRICHLET, at the last whole block of
 * AT_MIXTURE_BLOCK windows before it. */
int64_t at_streams_epochs(const at_streams *s, int64_t client, int64_t cursor);
/* The silo a client belongs to: under AT_PARTITION_DIRICHLET the one that it reads most, else as under AT_PARTITION_SILO. */
int64_t at_streams_home(const at_streams *s, int64_t client);

#endif
