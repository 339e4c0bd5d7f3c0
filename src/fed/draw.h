/* SPDX-License-Identifier: BSD-3-Clause */
/* Which clients take part in a round.  A function of seed and round: nothing is remembered.
 *
 *   uniform   `per_round` different clients, all sets of that size alike
 *   weighted  `per_round` different clients, one after the other with probability in proportion to their training examples
 *   cyclic    all clients once in random order, `per_round` a round (fewer in the last), then all again in another order
 *   poisson   every client by itself with probability per_round / clients, as accounting for privacy assumes */
#ifndef AT_FED_DRAW_H
#define AT_FED_DRAW_H

#include "data/partition/partition.h"

#define AT_DRAWS(X) X(uniform) X(weighted) X(cyclic) X(poisson)
typedef enum at_draw_kind {
#define X(name) AT_DRAW_##name,
  AT_DRAWS(X)
#undef X
      AT_DRAW_COUNT
} at_draw_kind;
extern const char *const at_draw_names[]; /* NULL-terminated */

typedef struct at_draw {
  int kind; /* at_draw_kind */
  int64_t clients, per_round;
  uint64_t seed;
  const at_partition *training; /* weighted; borrowed */
} at_draw;

/* *ids = the clients of round `round` (from 0), ascending, at_free; may be none with poisson. */
at_err at_draw_round(const at_draw *d, int64_t round, int64_t *n, int64_t **ids);

#endif
