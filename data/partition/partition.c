/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of schemes, and what all partitions have. */
#include <stddef.h>

#include "data/partition/partition_internal.h"
#include "src/base/alloc.h"

const at_partition_row at_partition_table[] = {
    {"natural", "The clients of the set itself; several share one where more are wanted.", false, at_natural_deal,
     at_natural_size, at_natural_draw},
    {"iid", "Examples at random, the same number for each.", false, at_iid_deal, at_part_equal_size, at_part_draw_any},
    {"dirichlet", "Classes mixed by a Dirichlet distribution of concentration alpha.", true, at_dirichlet_deal,
     at_part_equal_size, at_part_draw_mixture},
    {"shards", "Sorted by class and cut into shards, so many for each (McMahan et al. 2017).", true, at_shards_deal,
     at_part_equal_size, at_shards_draw},
    {"quantity", "Examples at random, sizes lognormal with sigma.", false, at_quantity_deal, at_part_varied_size,
     at_part_draw_any},
    {"combined", "dirichlet and quantity at once.", true, at_combined_deal, at_part_varied_size, at_part_draw_mixture},
    {NULL, NULL, false, NULL, NULL, NULL},
};

static const char *const schemes[] = {"natural", "iid", "dirichlet", "shards", "quantity", "combined", NULL};

static const at_opt option_rows[] = {
    AT_OPT_ENUM(at_partition_cfg, scheme, "partition.scheme", "natural", schemes,
                "How examples become clients: as the set has them, iid, dirichlet, shards, quantity, combined."),
    AT_OPT_INT(at_partition_cfg, clients, "partition.clients", "0", 0, 1e12, "clients",
               "Logical clients; 0: as many as the set has."),
    AT_OPT_INT(at_partition_cfg, per_client, "partition.per_client", "0", 0, 1e9, "examples",
               "Examples that each client draws for itself; 0: all examples are dealt out, each once."),
    AT_OPT_F64(at_partition_cfg, alpha, "partition.alpha", "0.5", 1e-4, 1e6, "",
               "dirichlet, combined: concentration; small: few classes per client."),
    AT_OPT_F64(at_partition_cfg, sigma, "partition.sigma", "1", 0, 5, "",
               "quantity, combined: deviation of the logarithm of sizes."),
    AT_OPT_INT(at_partition_cfg, shards, "partition.shards", "2", 1, 1e6, "", "shards: for each client."),
    AT_OPT_INT(at_partition_cfg, seed, "partition.seed", "1", 0, 9007199254740992.0, "", "Decides the partition."),
};
const at_opt_table at_partition_options = AT_OPT_TABLE("Partition", option_rows);

/* Rows in order of class, ascending within one. */
static at_err sort_by_class(at_partition *p) {
  const int32_t *label = at_examples_labels(p->examples, p->split);
  int64_t *next;
  p->classes = at_examples_task(p->examples)->classes;
  AT_TRY(at_alloc(&p->by_class, (size_t)p->total, sizeof *p->by_class, "partition"));
  AT_TRY(at_alloc(&p->class_first, (size_t)p->classes + 1, sizeof *p->class_first, "partition"));
  AT_TRY(at_alloc(&next, (size_t)p->classes + 1, sizeof *next, "partition"));
  for (int64_t i = 0; i < p->total; i++) {
    p->class_first[label[i] + 1]++;
  }
  for (int64_t c = 0; c < p->classes; c++) {
    p->class_first[c + 1] += p->class_first[c];
    next[c] = p->class_first[c];
  }
  for (int64_t i = 0; i < p->total; i++) {
    p->by_class[next[label[i]]++] = i;
  }
  at_free(next);
  return AT_OK;
}

static at_err find_stored(at_partition *p) {
  const int64_t n = at_examples_clients(p->examples);
  AT_TRY(at_alloc(&p->stored, (size_t)n, sizeof *p->stored, "partition"));
  for (int64_t c = 0; c < n; c++) {
    if (at_examples_rows(p->examples, p->split, c) > 0) {
      p->stored[p->n_stored++] = c;
    }
  }
  return AT_OK;
}

static at_err check(const at_partition *p, const at_partition_row *row) {
  const char *path = at_examples_path(p->examples);
  if (p->total == 0) {
    return AT_FAIL(AT_ERR_CONFIG, "%s: has no examples in /%s to be partitioned", path, at_split_group(p->split));
  }
  if (row->by_class && at_examples_task(p->examples)->classes == 0) {
    return AT_FAIL(AT_ERR_CONFIG, "partition.scheme = %s: %s has no classes; use natural, iid or quantity", row->name,
                   path);
  }
  if (p->cfg.per_client == 0 && p->clients > p->total) {
    return AT_FAIL(AT_ERR_CONFIG,
                   "partition.clients = %lld: %s has only %lld examples in /%s to deal out; lower it, or let each "
                   "client draw its own with partition.per_client",
                   (long long)p->clients, path, (long long)p->total, at_split_group(p->split));
  }
  return AT_OK;
}

static at_err set_up(at_partition *p) {
  const at_partition_row *row = &at_partition_table[p->cfg.scheme];
  AT_TRY(find_stored(p));
  p->clients = p->cfg.clients > 0 ? p->cfg.clients : p->n_stored;
  AT_TRY(check(p, row));
  if (row->by_class) {
    AT_TRY(sort_by_class(p));
  }
  if (p->cfg.per_client > 0) {
    const bool varied = row->size == at_part_varied_size;
    const int64_t most = p->cfg.per_client * (varied ? AT_PART_MOST : 1);
    p->max_size = most < p->total ? most : p->total;
    return AT_OK;
  }
  AT_TRY(at_alloc(&p->first, (size_t)p->clients + 1, sizeof *p->first, "partition"));
  AT_TRY(at_alloc(&p->row, (size_t)p->total, sizeof *p->row, "partition"));
  AT_TRY(row->deal(p));
  for (int64_t k = 0; k < p->clients; k++) {
    const int64_t n = at_partition_size(p, k);
    p->max_size = n > p->max_size ? n : p->max_size;
  }
  return AT_OK;
}

at_err at_partition_create(at_partition **out, const at_examples *e, at_split split, const at_partition_cfg *cfg) {
  at_partition *p;
  *out = NULL;
  AT_TRY(at_alloc(&p, 1, sizeof *p, "partition"));
  p->cfg = *cfg;
  p->examples = e;
  p->split = split;
  p->total = at_examples_total(e, split);
  at_err err = set_up(p);
  if (err != AT_OK) {
    at_partition_destroy(p);
    return at_err_trace(err, __FILE__, __LINE__);
  }
  *out = p;
  return AT_OK;
}

void at_partition_destroy(at_partition *p) {
  if (p != NULL) {
    at_free(p->first);
    at_free(p->row);
    at_free(p->by_class);
    at_free(p->class_first);
    at_free(p->stored);
    at_free(p);
  }
}

int64_t at_partition_clients(const at_partition *p) {
  return p->clients;
}

int64_t at_partition_size(const at_partition *p, int64_t client) {
  return p->first != NULL ? p->first[client + 1] - p->first[client] : at_partition_table[p->cfg.scheme].size(p, client);
}

int64_t at_partition_max_size(const at_partition *p) {
  return p->max_size;
}

void at_partition_rows(const at_partition *p, int64_t client, int64_t *row) {
  const int64_t n = at_partition_size(p, client);
  if (p->first == NULL) {
    at_partition_table[p->cfg.scheme].draw(p, client, n, row);
    return;
  }
  for (int64_t i = 0; i < n; i++) {
    row[i] = p->row[p->first[client] + i];
  }
}

int64_t at_partition_bytes(const at_partition *p) {
  const int64_t words = (p->first != NULL ? p->clients + 1 + p->total : 0) +
                        (p->by_class != NULL ? p->total + p->classes + 1 : 0) + at_examples_clients(p->examples);
  return (int64_t)sizeof *p + words * (int64_t)sizeof(int64_t);
}
