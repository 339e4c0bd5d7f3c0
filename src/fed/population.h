/* SPDX-License-Identifier: BSD-3-Clause */
/* Populations: which examples each of any number of simulated clients has, as a function of its number alone.
 *
 * Nothing is stored by client, so a population of a million takes no memory: the examples of a client are worked out when it is
 * visited, the same wherever that happens.
 *
 *   natural    client k has the data of client k of the set; of a population larger than the set, client k draws its own
 *              `samples` examples from set client k mod (clients of the set)
 *   iid        the examples, in random order, are dealt out `samples` at a time; once they are used up they are dealt again in
 *              another order, so that clients share no example while clients * samples <= examples
 *   dirichlet  client k mixes the classes by a draw from a symmetric Dirichlet distribution (Hsu et al. 2019), and draws
 *              `samples` examples by that mixture, with replacement
 *
 * Where `skew` is positive, a client has samples * exp(skew z - skew^2 / 2) examples, z normal: a long tail with the same mean,
 * cut at 32 * samples.  The held-out examples of a client come by the same rule from the held-out split, so a client is tested on
 * the distribution that it trains on; where a set holds out whole clients (none has both), client k is tested on the k-th of those. */
#ifndef AT_FED_POPULATION_H
#define AT_FED_POPULATION_H

#include "data/examples/examples.h"

#define AT_POPULATIONS(X) X(natural) X(iid) X(dirichlet)
typedef enum at_population_kind {
#define X(name) AT_POPULATION_##name,
  AT_POPULATIONS(X)
#undef X
      AT_POPULATION_COUNT
} at_population_kind;
extern const char *const at_population_names[]; /* NULL-terminated */

typedef struct at_population_spec {
  at_examples *set; /* borrowed */
  int kind;         /* at_population_kind */
  int64_t clients;  /* 0: natural: as many as the set has with training data */
  int64_t samples;  /* training examples of a client, mean; 0: natural: all it has */
  double alpha;     /* dirichlet */
  double skew;
  uint64_t seed;
} at_population_spec;

typedef struct at_population at_population;

/* AT_ERR_CONFIG: a set without labels, samples or clients missing where they are needed. */
at_err at_population_create(at_population **out, const at_population_spec *spec);
void at_population_destroy(at_population *p); /* accepts NULL */

int64_t at_population_clients(const at_population *p);
/* Examples of a client in a split; training: at least 1. */
int64_t at_population_count(const at_population *p, at_split split, int64_t client);
/* Most that any client can have in any split. */
int64_t at_population_most(const at_population *p);
/* row[count] = their row numbers in the set (data/examples/examples.h). */
at_err at_population_rows(const at_population *p, at_split split, int64_t client, int64_t *row);

#endif
