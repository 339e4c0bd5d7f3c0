/* SPDX-License-Identifier: BSD-3-Clause */
/* Mapping the examples of a data set to any number of logical clients: one scheme, one file, one row of a table.
 *
 * Two ways.  Dealt (per_client = 0): every example of the split belongs to exactly one client, so there are at most as many clients
 * as examples; a table of all rows is kept.  Drawn (per_client > 0): each client draws its own examples as a function of (seed,
 * client), different ones within the client as far as there are enough, but clients may share some; nothing is kept per client, so a
 * million clients cost what one costs.
 *
 * What makes a client (its mixture of classes, its size) does not depend on the split, so partitions of training and test with the
 * same configuration belong together. */
#ifndef AT_DATA_PARTITION_PARTITION_H
#define AT_DATA_PARTITION_PARTITION_H

#include "data/examples/examples.h"
#include "src/base/options.h"

typedef struct at_partition_cfg {
  int scheme;         /* row of at_partition_rows_table */
  int64_t clients;    /* logical clients; 0: as many as the set has in this split */
  int64_t per_client; /* examples drawn by each; 0: all examples are dealt out */
  double alpha;       /* dirichlet, combined: concentration */
  double sigma;       /* quantity, combined: of the logarithm of sizes */
  int64_t shards;     /* shards: per client */
  int64_t seed;
} at_partition_cfg;

/* Keys partition.scheme, .clients, .per_client, .alpha, .sigma, .shards, .seed, to be added to a system's options. */
extern const at_opt_table at_partition_options;

typedef struct at_partition at_partition; /* opaque */

typedef struct at_partition_row {
  const char *name, *help;
  bool by_class;                                                                /* needs labels */
  at_err (*deal)(at_partition *p);                                              /* fill first and row */
  int64_t (*size)(const at_partition *p, int64_t client);                       /* of a drawn client */
  void (*draw)(const at_partition *p, int64_t client, int64_t n, int64_t *row); /* n = size */
} at_partition_row;
extern const at_partition_row at_partition_table[]; /* ends with name == NULL */

/* e is borrowed for the partition's life.  AT_ERR_CONFIG: more clients than examples (or than a scheme can serve), a scheme by classes
 * for a set without, a split without examples. */
at_err at_partition_create(at_partition **out, const at_examples *e, at_split split, const at_partition_cfg *cfg);
void at_partition_destroy(at_partition *p); /* accepts NULL */

int64_t at_partition_clients(const at_partition *p);
/* Examples of a client.  Dealt by dirichlet or combined, it may be 0. */
int64_t at_partition_size(const at_partition *p, int64_t client);
int64_t at_partition_max_size(const at_partition *p); /* no client has more */
/* row[size]: row numbers of the client's examples, for at_examples_gather.  Allocates nothing. */
void at_partition_rows(const at_partition *p, int64_t client, int64_t *row);
int64_t at_partition_bytes(const at_partition *p); /* memory it holds */

#endif
