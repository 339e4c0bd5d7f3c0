/* SPDX-License-Identifier: BSD-3-Clause */
/* Order-k Markov models of token streams: the baseline that a language model must beat.
 *
 * Interpolated by Witten-Bell (Bell, Cleary and Witten 1990, method C), down to the uniform distribution over V tokens:
 *   p_j(c | h_j) = (n(h_j c) + t(h_j) p_{j-1}(c | h_{j-1})) / (n(h_j) + t(h_j)),   j = 0 .. k,   p_{-1} = 1 / V,
 * where h_j are the last j tokens, n counts occurrences in the training streams, t(h) how many different tokens followed
 * h; a context that never occurred passes p_{j-1} on.  Each p_j sums to 1.
 *
 * Contexts do not reach across the beginning of a stream: its first tokens have shorter ones, in fitting and in
 * evaluation.  Fit on several windows by several calls.  Results depend on the order of nothing but the sum of logarithms,
 * which runs along the stream. */
#ifndef AT_STATS_MARKOV_H
#define AT_STATS_MARKOV_H

#include <stdint.h>

#include "src/base/status.h"

enum { AT_MARKOV_ORDER_MAX = 8 };

typedef struct at_markov at_markov;

/* order 0 .. 8, vocab 2 .. 65536; (order + 1) tokens must fit 63 bits: bytes up to order 6, 16-bit tokens up to 2.
 * AT_ERR_ARG otherwise. */
at_err at_markov_create(at_markov **out, int order, int64_t vocab);
void at_markov_destroy(at_markov *m); /* accepts NULL */

/* Count one stream of n tokens, each of `width` bytes (1, 2 or 4; unsigned, native byte order); borrowed.
 * AT_ERR_ARG for a token that is not below vocab, AT_ERR_OVERFLOW beyond 2^32 - 2 counted tokens; the model is then
 * unusable. */
at_err at_markov_fit(at_markov *m, const void *tokens, int width, int64_t n);

/* *nats = sum over the stream of -log p_k(token | its context), in nats; 0 for n = 0. */
at_err at_markov_evaluate(const at_markov *m, const void *tokens, int width, int64_t n, double *nats);

/* p_k(token | context), context[n] oldest first; only its last `order` tokens matter.  0 for a token not below vocab. */
double at_markov_probability(const at_markov *m, const int32_t *context, int64_t n, int64_t token);

/* Nats of `tokens` tokens that stand for `bytes` bytes of text, as bits per byte. */
double at_bits_per_byte(double nats, int64_t bytes);

/* Distinct strings of each length 1 .. order + 1 that were seen, in all: the size of the model. */
int64_t at_markov_nodes(const at_markov *m);

#endif
