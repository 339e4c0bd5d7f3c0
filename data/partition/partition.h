/* SPDX-License-Identifier: BSD-3-Clause */
/* Mapping the examples of a data set to any number of logical clients: one scheme, one file, one row of a table.
 *
 * Two ways.  Dealt (per_client = 0): every example of the split belongs to exactly one client, and every client has at least one, so
 * there are at most as many clients as examples; a table of all rows is kept (natural: nothing).  Drawn (per_client > 0): each client
 * draws its own examples as a function of (seed, client), different ones within the client as far as there are enough, but clients may
 * share some; nothing is kept per client, so a million clients cost what one costs.
 *
 * The training split says who a client is: its stored client, its mixture of classes, its size.  Partitions of the other splits with
 * the same configuration belong to the same clients:
 *
 * - Their counts are those of training times the share that the split has of the set (as many examples as training: 1; never more), at
 *   least one.
 * - natural: client k has the held-out examples of the stored client whose training examples it has, none where that one has none.
 *   A set may hold out whole clients (no stored client has examples in both splits): then client k is lent those of the k-th of them,
 *   starting over where there are fewer.
 * - By class: the same mixture; shards: the same stretches of the same classes.
 * - Held-out examples that are too few for the clients to have one each are drawn instead of dealt; dealt by natural, the clients that
 *   share a stored client may then have one of its examples in common.
 *
 * Of a set without training examples, each split stands for itself. */
#ifndef AT_DATA_PARTITION_PARTITION_H
#define AT_DATA_PARTITION_PARTITION_H

#include "data/examples/examples.h"
#include "src/base/options.h"

#define AT_PARTITION_SCHEMES(X) X(natural) X(iid) X(dirichlet) X(shards) X(quantity) X(combined)
typedef enum at_partition_scheme {
#define X(name) AT_PARTITION_##name,
  AT_PARTITION_SCHEMES(X)
#undef X
} at_partition_scheme;
extern const char *const at_partition_names[]; /* NULL-terminated */

typedef struct at_partition_cfg {
  int scheme;         /* at_partition_scheme: row of at_partition_table */
  int64_t clients;    /* logical clients; 0: as many as the set has with training examples */
  int64_t per_client; /* training examples drawn by each (their mean: quantity, combined); 0: all are dealt out */
  double alpha;       /* dirichlet, combined: concentration */
  double sigma;       /* quantity, combined: of the logarithm of sizes */
  int64_t shards;     /* shards: per client */
  uint64_t seed;      /* of the run: no key of its own */
} at_partition_cfg;

/* Rows of a table of options (src/base/options.h): the keys partition.*, for the field f of a configuration T. */
#define AT_PARTITION_OPTS(T, f)                                                                                 \
  AT_OPT_ENUM(T, f.scheme, "partition.scheme", "natural", at_partition_names,                                   \
              "How examples become clients: as the set has them, iid, dirichlet, shards, quantity, combined."), \
      AT_OPT_INT(T, f.clients, "partition.clients", "0", 0, 1e12, "clients",                                    \
                 "Clients there are; 0: as many as the set has."),                                              \
      AT_OPT_INT(T, f.per_client, "partition.per_client", "0", 0, 1e9, "examples",                              \
                 "Training examples that each client draws for itself; 0: all are dealt out, each once."),      \
      AT_OPT_F64(T, f.alpha, "partition.alpha", "0.5", 1e-4, 1e6, "",                                           \
                 "dirichlet, combined: concentration; small: few classes per client."),                         \
      AT_OPT_F64(T, f.sigma, "partition.sigma", "1", 0, 5, "",                                                  \
                 "quantity, combined: deviation of the logarithm of sizes."),                                   \
      AT_OPT_INT(T, f.shards, "partition.shards", "2", 1, 1e6, "", "shards: for each client.")

/* AT_ERR_CONFIG, once all keys are set: one of them means nothing to the scheme. */
at_err at_partition_check(const at_opts *set, const at_partition_cfg *cfg);

typedef struct at_partition at_partition; /* opaque */

typedef struct at_partition_row {
  const char *name, *help;
  bool by_client, by_class;                                                     /* needs stored clients, labels */
  const char *keys;                                                             /* of alpha, sigma, shards: its own */
  at_err (*deal)(at_partition *p);                                              /* check, fill first and row */
  int64_t (*size)(const at_partition *p, int64_t client);                       /* where there is no table */
  void (*draw)(const at_partition *p, int64_t client, int64_t n, int64_t *row); /* n = size */
} at_partition_row;
extern const at_partition_row at_partition_table[]; /* ends with name == NULL */

/* e is borrowed for the partition's life.  AT_ERR_CONFIG: more clients than examples (or than a scheme can serve), a scheme by classes
 * for a set without, a split without examples. */
at_err at_partition_create(at_partition **out, const at_examples *e, at_split split, const at_partition_cfg *cfg);
void at_partition_destroy(at_partition *p); /* accepts NULL */

int64_t at_partition_clients(const at_partition *p);
/* Examples of a client: at least 1, but for held-out ones of natural, where it may be 0. */
int64_t at_partition_size(const at_partition *p, int64_t client);
int64_t at_partition_max_size(const at_partition *p); /* no client has more */
/* row[size]: row numbers of the client's examples, for at_examples_gather.  Allocates nothing. */
void at_partition_rows(const at_partition *p, int64_t client, int64_t *row);
int64_t at_partition_bytes(const at_partition *p); /* memory it holds */

#endif
