/* SPDX-License-Identifier: BSD-3-Clause */
/* Counter-based random streams: Philox4x64-10 (Salmon et al. 2011) from Random123.
 *
 * A draw is a pure function of (seed, purpose, client, round, step, index): no state to save, none to share, and
 * never a rank number.  key = (seed, purpose), counter = (index / 4, step, round, client). */
#ifndef AT_BASE_RNG_H
#define AT_BASE_RNG_H

#include <gsl/gsl_rng.h>
#include <stdint.h>

/* What a stream is for.  Numbers are part of the results: append, never renumber. */
#define AT_RNG_PURPOSES(X)                                                       \
  X(INIT, 1)     /* initial weights; client = parameter index */                 \
  X(SAMPLING, 2) /* which clients take part in a round */                        \
  X(STREAM, 3)   /* order of a client's training windows; round = epoch */       \
  X(DROPOUT, 4)                                                                  \
  X(GENERATE, 5)  /* sampling text from a model */                               \
  X(SPLIT, 6)     /* train/validation/test splits of data sets */                \
  X(PARTITION, 7) /* assigning data to clients */                                \
  X(FAULT, 8)     /* emulated client failures */                                 \
  X(QUANTISE, 9)  /* stochastic rounding of codecs */                            \
  X(TEST, 10)     /* tests and benchmarks */                                     \
  X(LANGEVIN, 11) /* noise of Langevin dynamics; step = optimiser step */        \
  X(AUGMENT, 12)  /* how built examples are varied; client = hash of its name */ \
  X(SHUFFLE, 13)  /* order of a client's examples; step = epoch */               \
  X(DEVICE, 14)   /* what device and link a client has */                        \
  X(PRIVACY, 15)  /* noise of differential privacy */                            \
  X(EVALUATE, 16) /* which clients are tested */

typedef enum at_purpose {
#define X(name, number) AT_RNG_##name = number,
  AT_RNG_PURPOSES(X)
#undef X
} at_purpose;

typedef struct at_stream {
  uint64_t seed, client, round, step;
  at_purpose purpose;
} at_stream;

void at_rng_block(const at_stream *s, uint64_t block, uint64_t out[4]); /* draws 4*block .. 4*block+3 */
uint64_t at_rng_u64(const at_stream *s, uint64_t index);
double at_rng_uniform(const at_stream *s, uint64_t index); /* in [0,1), 53 bits */
double at_rng_normal(const at_stream *s, uint64_t index);  /* standard normal by Box-Muller on block `index` */
uint64_t at_rng_below(const at_stream *s, uint64_t index, uint64_t n); /* in [0,n), n >= 1, unbiased (Lemire) */
/* out[n] = f32 normals with the given mean and deviation.  Element i depends on i alone: words 4*(i/4) .. of its block,
 * two Box-Muller pairs a block (so it differs from at_rng_normal(s, i)). */
void at_rng_fill_normal(const at_stream *s, double mean, double sd, float *out, int64_t n);
/* out[n] = elements first .. first + n - 1 of what at_rng_fill_normal gives. */
void at_rng_fill_normal_from(const at_stream *s, int64_t first, double mean, double sd, float *out, int64_t n);
/* k distinct numbers of 0..n-1 in ascending order, 0 <= k <= n; out[k].  O(k) memory; depends on the stream only. */
void at_rng_choose(const at_stream *s, int64_t n, int64_t k, int64_t *out);
/* Position `i` of a keyed permutation of 0..n-1 (Feistel network with cycle walking: no memory). */
uint64_t at_rng_permute(const at_stream *s, uint64_t n, uint64_t i);

/* A gsl_rng that draws the stream in order from index 0; free with gsl_rng_free.  NULL when out of memory. */
gsl_rng *at_rng_gsl(const at_stream *s);

#endif
