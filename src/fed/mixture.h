/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients that read mixtures of silos: weights drawn from a symmetric Dirichlet distribution, and a part of each silo of their own.
 *
 * Of every AT_MIXTURE_BLOCK windows of client k, count[k][s] are of silo s (weights to the nearest count, largest remainders first).
 * Silo s is cut among the clients in proportion to their counts, so that the parts are disjoint and together all of it.  A function
 * of (seed, alpha, clients, silos) alone. */
#ifndef AT_FED_MIXTURE_H
#define AT_FED_MIXTURE_H

#include <stdint.h>

#include "src/base/status.h"

enum { AT_MIXTURE_BLOCK = 256 };

typedef struct at_mixture {
  int64_t n_clients, n_silos;
  int32_t *count;  /* [clients][silos] */
  int64_t *before; /* [clients][silos]: counts of the clients before, by silo */
  int64_t *total;  /* [silos] */
} at_mixture;

at_err at_mixture_create(at_mixture **out, uint64_t seed, double alpha, int64_t n_clients, int64_t n_silos);
void at_mixture_destroy(at_mixture *m); /* accepts NULL */
int64_t at_mixture_bytes(const at_mixture *m);

/* The silo of window `cursor` of the client, and its number among the client's windows of that silo.  The order of silos inside a
 * block is random. */
int64_t at_mixture_silo(const at_mixture *m, uint64_t seed, int64_t client, int64_t cursor, int64_t *number);
/* Its part of a silo of so many windows: *first and on; returns how many. */
int64_t at_mixture_part(const at_mixture *m, int64_t client, int64_t silo, int64_t windows, int64_t *first);
/* The silo that it reads most. */
int64_t at_mixture_home(const at_mixture *m, int64_t client);

#endif
