/* SPDX-License-Identifier: BSD-3-Clause */
/* Order-k Markov models with Witten-Bell interpolation.
 *
 * A node stands for a string of 1 .. k+1 tokens.  It has its number of occurrences and, as a context, how many tokens and
 * how many different ones followed it.  So the string "abc" is at once the count of c behind "ab" and the context "abc",
 * and one look-up per order and token serves both.  One hash table per length; the empty context is kept apart. */
#include "src/stats/markov.h"

#include <math.h>
#include <string.h>

#include "src/base/alloc.h"

enum { FIRST_SLOTS = 1 << 10, KEY_BITS = 63, LENGTHS_MAX = AT_MARKOV_ORDER_MAX + 1 };
static const uint32_t NO_NODE = UINT32_MAX;

typedef struct node {
  uint64_t key; /* the tokens, `bits` each, newest lowest */
  uint32_t count, followed, distinct;
} node;

typedef struct table {
  node *node; /* owned: [count], room for cap */
  int64_t count, cap;
  uint32_t *slot; /* owned: [slots], a power of two; index of a node, NO_NODE where free */
  int64_t slots;
} table;

struct at_markov {
  int order, bits;
  int64_t vocab;
  uint64_t followed;          /* tokens counted, of the empty context */
  uint32_t distinct;          /* different ones */
  table strings[LENGTHS_MAX]; /* strings of length j + 1 */
  uint64_t mask[LENGTHS_MAX]; /* of a key of length j + 1 */
};

static uint64_t mix(uint64_t k) {
  k *= 0x9E3779B97F4A7C15ULL;
  k ^= k >> 29;
  k *= 0xBF58476D1CE4E5B9ULL;
  return k ^ k >> 32;
}

/* The node of `key`, or NO_NODE; *slot is where it is or belongs. */
static uint32_t find(const table *t, uint64_t key, uint64_t *slot) {
  uint64_t mask = (uint64_t)t->slots - 1, i = mix(key) & mask;
  while (t->slot[i] != NO_NODE && t->node[t->slot[i]].key != key) {
    i = (i + 1) & mask;
  }
  *slot = i;
  return t->slot[i];
}

static at_err grow(table *t) {
  int64_t slots = t->slots > 0 ? 4 * t->slots : FIRST_SLOTS;
  uint32_t *slot = NULL;
  AT_TRY(at_realloc(&t->node, (size_t)(slots / 2), sizeof *t->node, "Markov model"));
  t->cap = slots / 2;
  AT_TRY(at_alloc(&slot, (size_t)slots, sizeof *slot, "Markov model"));
  memset(slot, 0xFF, (size_t)slots * sizeof *slot);
  at_free(t->slot);
  t->slot = slot;
  t->slots = slots;
  for (int64_t i = 0; i < t->count; i++) {
    uint64_t at;
    find(t, t->node[i].key, &at);
    t->slot[at] = (uint32_t)i;
  }
  return AT_OK;
}

static at_err find_or_add(table *t, uint64_t key, uint32_t *out) {
  uint64_t slot;
  *out = find(t, key, &slot);
  if (*out != NO_NODE) {
    return AT_OK;
  }
  if (t->count == t->cap) {
    AT_TRY(grow(t));
    find(t, key, &slot);
  }
  *out = (uint32_t)t->count;
  t->slot[slot] = *out;
  t->node[t->count++] = (node){.key = key};
  return AT_OK;
}

at_err at_markov_create(at_markov **out, int order, int64_t vocab) {
  *out = NULL;
  if (order < 0 || order > AT_MARKOV_ORDER_MAX || vocab < 2 || vocab > 65536) {
    return AT_FAIL(AT_ERR_ARG, "a Markov model has order 0 to %d and 2 to 65536 tokens; found %d and %lld",
                   AT_MARKOV_ORDER_MAX, order, (long long)vocab);
  }
  int bits = 1;
  while ((int64_t)1 << bits < vocab) {
    bits++;
  }
  if ((order + 1) * bits > KEY_BITS) {
    return AT_FAIL(AT_ERR_ARG, "a Markov model of %lld tokens has at most order %d; found %d", (long long)vocab,
                   KEY_BITS / bits - 1, order);
  }
  at_markov *m = NULL;
  AT_TRY(at_alloc(&m, 1, sizeof *m, "Markov model"));
  m->order = order;
  m->bits = bits;
  m->vocab = vocab;
  for (int j = 0; j <= order; j++) {
    m->mask[j] = ((uint64_t)1 << ((j + 1) * bits)) - 1;
    at_err err = grow(&m->strings[j]);
    if (err != AT_OK) {
      at_markov_destroy(m);
      return at_err_trace(err, __FILE__, __LINE__);
    }
  }
  *out = m;
  return AT_OK;
}

void at_markov_destroy(at_markov *m) {
  if (m != NULL) {
    for (int j = 0; j < LENGTHS_MAX; j++) {
      at_free(m->strings[j].node);
      at_free(m->strings[j].slot);
    }
    at_free(m);
  }
}

static uint64_t token_at(const void *tokens, int width, int64_t i) {
  return width == 1   ? ((const uint8_t *)tokens)[i]
         : width == 2 ? ((const uint16_t *)tokens)[i]
                      : ((const uint32_t *)tokens)[i];
}

static at_err check_stream(const at_markov *m, const void *tokens, int width, int64_t n) {
  if ((width != 1 && width != 2 && width != 4) || n < 0) {
    return AT_FAIL(AT_ERR_ARG, "a stream has tokens of 1, 2 or 4 bytes; found %d, %lld of them", width, (long long)n);
  }
  for (int64_t i = 0; i < n; i++) {
    if (token_at(tokens, width, i) >= (uint64_t)m->vocab) {
      return AT_FAIL(AT_ERR_ARG, "token %lld is %llu; the model has %lld", (long long)i,
                     (unsigned long long)token_at(tokens, width, i), (long long)m->vocab);
    }
  }
  return AT_OK;
}

/* Count the token at the end of `history` behind its contexts.  last[j] is the node of the string of length j + 1 that ends
 * at the token before; it becomes that of the string that ends here.  `depth`: length of the longest string. */
static at_err count_token(at_markov *m, uint64_t history, int depth, uint32_t last[LENGTHS_MAX]) {
  for (int j = depth; j >= 0; j--) {
    uint32_t at;
    AT_TRY(find_or_add(&m->strings[j], history & m->mask[j], &at));
    bool fresh = m->strings[j].node[at].count++ == 0;
    if (j == 0) {
      m->followed++;
      m->distinct += fresh;
    } else {
      node *context = &m->strings[j - 1].node[last[j - 1]];
      context->followed++;
      context->distinct += fresh;
    }
    last[j] = at; /* context j of the next token; length j + 1 is done with last[j] as a context already */
  }
  return AT_OK;
}

at_err at_markov_fit(at_markov *m, const void *tokens, int width, int64_t n) {
  AT_TRY(check_stream(m, tokens, width, n));
  if (m->followed + (uint64_t)n >= NO_NODE) {
    return AT_FAIL(AT_ERR_OVERFLOW, "a Markov model counts up to 2^32 - 2 tokens; it would be %llu",
                   (unsigned long long)(m->followed + (uint64_t)n));
  }
  uint64_t history = 0;
  uint32_t last[LENGTHS_MAX];
  for (int64_t i = 0; i < n; i++) {
    history = history << m->bits | token_at(tokens, width, i);
    AT_TRY(count_token(m, history, i < m->order ? (int)i : m->order, last));
  }
  return AT_OK;
}

/* p_k of the token at the end of `history`; last[] as in count_token, NO_NODE where a string never occurred. */
static double probability(const at_markov *m, uint64_t history, int depth, uint32_t last[LENGTHS_MAX]) {
  uint32_t here[LENGTHS_MAX];
  double p = 1.0 / (double)m->vocab;
  for (int j = 0; j <= depth; j++) {
    /* A string that never occurred makes all longer ones unseen too. */
    uint64_t slot;
    here[j] = j > 0 && here[j - 1] == NO_NODE ? NO_NODE : find(&m->strings[j], history & m->mask[j], &slot);
    double count = here[j] == NO_NODE ? 0 : m->strings[j].node[here[j]].count;
    double followed = (double)m->followed, distinct = m->distinct;
    if (j > 0) {
      bool known = last[j - 1] != NO_NODE;
      followed = known ? m->strings[j - 1].node[last[j - 1]].followed : 0;
      distinct = known ? m->strings[j - 1].node[last[j - 1]].distinct : 0;
    }
    if (followed > 0) {
      p = (count + distinct * p) / (followed + distinct);
    }
  }
  memcpy(last, here, sizeof(uint32_t) * (size_t)(depth + 1));
  return p;
}

at_err at_markov_evaluate(const at_markov *m, const void *tokens, int width, int64_t n, double *nats) {
  const double least = 1e-200; /* products of probabilities are kept above, so that one logarithm serves many tokens */
  *nats = 0;
  AT_TRY(check_stream(m, tokens, width, n));
  uint64_t history = 0;
  uint32_t last[LENGTHS_MAX];
  double product = 1;
  for (int64_t i = 0; i < n; i++) {
    history = history << m->bits | token_at(tokens, width, i);
    product *= probability(m, history, i < m->order ? (int)i : m->order, last);
    if (product < least) {
      *nats -= log(product);
      product = 1;
    }
  }
  *nats -= log(product);
  return AT_OK;
}

double at_markov_probability(const at_markov *m, const int32_t *context, int64_t n, int64_t token) {
  if (token < 0 || token >= m->vocab) {
    return 0;
  }
  int64_t start = n > m->order ? n - m->order : 0;
  uint64_t history = 0;
  uint32_t last[LENGTHS_MAX];
  double p = 0;
  for (int64_t i = start; i <= n; i++) {
    history = history << m->bits | (uint64_t)(i < n ? context[i] : token);
    p = probability(m, history, (int)(i - start), last);
  }
  return p;
}

double at_bits_per_byte(double nats, int64_t bytes) {
  return bytes > 0 ? nats / ((double)bytes * log(2.0)) : 0;
}

int64_t at_markov_nodes(const at_markov *m) {
  int64_t n = 0;
  for (int j = 0; j <= m->order; j++) {
    n += m->strings[j].count;
  }
  return n;
}
