/* SPDX-License-Identifier: BSD-3-Clause */
/* What the schemes share. */
#ifndef AT_DATA_PARTITION_PARTITION_INTERNAL_H
#define AT_DATA_PARTITION_PARTITION_INTERNAL_H

#include "data/partition/partition.h"
#include "src/base/rng.h"

struct at_partition {
  at_partition_cfg cfg;
  const at_examples *examples; /* borrowed */
  at_split split, base;        /* this one; the one that says who a client is: training */
  int64_t clients, total, base_total, classes, max_size;
  bool is_drawn;
  double each;                       /* drawn: examples of a client of weight 1 */
  int64_t *first, *row;              /* dealt: [clients + 1], [total]; NULL: worked out when asked for */
  int64_t *by_class;                 /* [total]: rows in ascending order of class */
  int64_t *class_first, *base_first; /* [classes + 1]: into by_class; the same of the base */
  int64_t *stored, n_stored;         /* by client: those of the set that clients are made of */
  bool is_lent;                      /* whole clients are held out */
};

/* What a stream of a partition is for; `round` of the stream. */
typedef enum at_part_use { AT_PART_SIZE = 1, AT_PART_MIXTURE, AT_PART_ORDER, AT_PART_PICK } at_part_use;
/* Streams of SIZE and MIXTURE are the same for all splits. */
at_stream at_part_stream(const at_partition *p, at_part_use use, int64_t client, int64_t class);

/* Room for the table, all zero. */
at_err at_part_allocate(at_partition *p);
/* A table with clients that have nothing: each gets an example of those that have most. */
at_err at_part_leave_none_empty(at_partition *p);
/* The logarithm of a Gamma(alpha, 1) variate (Marsaglia and Tsang 2000), which does not underflow for small alpha. */
double at_part_log_gamma(const at_stream *s, double alpha);
/* The mean-one lognormal size of a client. */
double at_part_weight(const at_partition *p, int64_t client);
/* p->each examples; the same times at_part_weight, at least 1 and at most AT_PART_MOST times as many. */
enum { AT_PART_MOST = 50 };
int64_t at_part_equal_size(const at_partition *p, int64_t client);
int64_t at_part_varied_size(const at_partition *p, int64_t client);
/* Deal rows in a random order, client k getting a share of weight[k] (NULL: equal ones), each at least one. */
at_err at_part_deal_shares(at_partition *p, const double *weight);
/* Deal every class in shares of Gamma(alpha) times weight[k] (NULL: 1). */
at_err at_part_deal_classes(at_partition *p, const double *weight);
at_err at_part_weights(const at_partition *p, double **weight); /* [clients], at_free */
/* n rows of a mixture of classes drawn by Dir(alpha). */
void at_part_draw_mixture(const at_partition *p, int64_t client, int64_t n, int64_t *row);
/* min(n, total) different rows. */
void at_part_draw_any(const at_partition *p, int64_t client, int64_t n, int64_t *row);

at_err at_iid_deal(at_partition *p);
at_err at_quantity_deal(at_partition *p);
at_err at_dirichlet_deal(at_partition *p);
at_err at_combined_deal(at_partition *p);
at_err at_shards_deal(at_partition *p);
void at_shards_draw(const at_partition *p, int64_t client, int64_t n, int64_t *row);
at_err at_natural_deal(at_partition *p);
int64_t at_natural_size(const at_partition *p, int64_t client);
void at_natural_draw(const at_partition *p, int64_t client, int64_t n, int64_t *row);

#endif
