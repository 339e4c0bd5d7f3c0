/* SPDX-License-Identifier: BSD-3-Clause */
/* Sampling from logits, masked by the UTF-8 guard. */
#include "src/lm/sample.h"

#include <math.h>
#include <string.h>

#include "kernels/approx.h"
#include "src/base/alloc.h"
#include "src/base/rng.h"

typedef struct candidate {
  double weight; /* first the logit, then exp((logit - largest) / temperature) */
  int32_t token;
} candidate;

struct at_sampler {
  const at_vocab *vocab;
  const at_sampling *set;
  candidate *heap; /* [vocab] */
  int64_t n;       /* candidates in the heap; those taken from it stand behind it, the latest first */
};

at_err at_sampler_create(at_sampler **out, const at_vocab *vocab, const at_sampling *settings) {
  AT_TRY(at_alloc(out, 1, sizeof **out, "sampler"));
  at_err err = at_alloc(&(*out)->heap, (size_t)vocab->n, sizeof *(*out)->heap, "sampler");
  if (err != AT_OK) {
    at_free(*out);
    *out = NULL;
    return err;
  }
  (*out)->vocab = vocab;
  (*out)->set = settings;
  return AT_OK;
}

void at_sampler_destroy(at_sampler *s) {
  if (s != NULL) {
    at_free(s->heap);
    at_free(s);
  }
}

/* --- who may follow -------------------------------------------------------------------------------------------- */

static bool is_inside(const uint8_t *bytes, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if ((bytes[i] & 0xc0) != 0x80) { /* begins a character */
      return false;
    }
  }
  return true;
}

static bool may_follow(const at_sampler *s, int32_t token, const at_utf8_guard *guard, bool closing) {
  const at_sampling *set = s->set;
  if (token == s->vocab->separator) {
    return set->may_end && !closing && set->start_bytes == 0 && at_utf8_may_end(guard);
  }
  size_t n;
  const uint8_t *bytes = at_vocab_bytes(s->vocab, token, &n);
  const size_t shared = n < set->start_bytes ? n : set->start_bytes;
  if (shared > 0 && memcmp(bytes, set->start, shared) != 0) {
    return false;
  }
  return n > 0 && at_utf8_accepts(guard, bytes, n) && (!closing || is_inside(bytes, n));
}

/* The candidates in the order of their numbers, and the largest logit. */
static at_err collect(at_sampler *s, const float *logits, const at_utf8_guard *guard, bool closing, double *largest) {
  s->n = 0;
  *largest = -INFINITY;
  for (int32_t i = 0; i < s->vocab->n; i++) {
    if (!may_follow(s, i, guard, closing)) {
      continue;
    }
    if (isnan(logits[i]) || logits[i] == INFINITY) {
      return AT_FAIL(AT_ERR_NONFINITE, "the model's logit of token %d is %g: its parameters are broken", i,
                     (double)logits[i]);
    }
    s->heap[s->n++] = (candidate){.weight = logits[i], .token = i};
    *largest = fmax(*largest, logits[i]);
  }
  if (s->n == 0) {
    return AT_FAIL(AT_ERR_STATE, "no token of the vocabulary can go on with this text: it lacks bytes");
  }
  return *largest > -INFINITY ? AT_OK : AT_FAIL(AT_ERR_NONFINITE, "all logits of the model are -infinity");
}

/* --- a heap, the likeliest on top -------------------------------------------------------------------------------- */

static bool before(candidate a, candidate b) {
  return a.weight > b.weight || (a.weight == b.weight && a.token < b.token);
}

static void sift(candidate *heap, int64_t n, int64_t i) {
  candidate moved = heap[i];
  for (int64_t child = 2 * i + 1; child < n; child = 2 * i + 1) {
    if (child + 1 < n && before(heap[child + 1], heap[child])) {
      child++;
    }
    if (!before(heap[child], moved)) {
      break;
    }
    heap[i] = heap[child];
    i = child;
  }
  heap[i] = moved;
}

/* The likeliest goes behind the heap; returns its weight. */
static double take(at_sampler *s) {
  candidate top = s->heap[0];
  s->heap[0] = s->heap[--s->n];
  sift(s->heap, s->n, 0);
  s->heap[s->n] = top;
  return top.weight;
}

/* --- choosing --------------------------------------------------------------------------------------------------- */

static int32_t likeliest(const at_sampler *s) {
  candidate best = s->heap[0];
  for (int64_t i = 1; i < s->n; i++) {
    best = before(s->heap[i], best) ? s->heap[i] : best;
  }
  return best.token;
}

/* Take the nucleus off the heap: returns how many, and their weight in all. */
static int64_t take_nucleus(at_sampler *s, double *sum) {
  const at_sampling *set = s->set;
  const int64_t most = set->top_k > 0 && set->top_k < s->n ? set->top_k : s->n;
  const int64_t all = s->n;
  int64_t kept = 0;
  double total = 0;
  if (most < all) {
    for (int64_t i = 0; i < most; i++) {
      total += take(s);
    }
  } else {
    for (int64_t i = 0; i < all; i++) {
      total += s->heap[i].weight;
    }
  }
  for (*sum = 0; kept < most && *sum < set->top_p * total; kept++) {
    *sum += all - s->n > kept ? s->heap[all - 1 - kept].weight : take(s);
  }
  return kept;
}

at_err at_sampler_pick(at_sampler *s, const float *logits, const at_utf8_guard *guard, bool closing, uint64_t text,
                       uint64_t position, int32_t *token) {
  double largest, sum, reached = 0;
  AT_TRY(collect(s, logits, guard, closing, &largest));
  if (s->set->temperature == 0) {
    *token = likeliest(s);
    return AT_OK;
  }
  const int64_t all = s->n;
  for (int64_t i = 0; i < all; i++) {
    s->heap[i].weight = at_exp_f64((s->heap[i].weight - largest) / s->set->temperature);
  }
  for (int64_t i = all / 2 - 1; i >= 0; i--) {
    sift(s->heap, all, i);
  }
  const int64_t kept = take_nucleus(s, &sum);
  const at_stream stream = {.seed = s->set->seed, .purpose = AT_RNG_GENERATE, .client = text, .step = position};
  const double goal = at_rng_uniform(&stream, 0) * sum;
  for (int64_t i = 0; i < kept && reached <= goal; i++) {
    const candidate *c = &s->heap[all - 1 - i];
    if (c->weight > 0) { /* so that rounding of the sum never chooses an impossible one */
      *token = c->token;
    }
    reached += c->weight;
  }
  return AT_OK;
}
