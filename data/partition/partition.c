/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of schemes, and what all partitions have. */
#include <math.h>
#include <string.h>

#include "data/partition/partition_internal.h"
#include "src/base/alloc.h"

const char *const at_partition_names[] = {
#define X(name) #name,
    AT_PARTITION_SCHEMES(X)
#undef X
        NULL};

const at_partition_row at_partition_table[] = {
    [AT_PARTITION_natural] = {"natural", "The clients of the set itself; several share one where more are wanted.",
                              true, false, "", at_natural_deal, at_natural_size, at_natural_draw},
    [AT_PARTITION_iid] = {"iid", "Examples at random, the same number for each.", false, false, "", at_iid_deal,
                          at_part_equal_size, at_part_draw_any},
    [AT_PARTITION_dirichlet] = {"dirichlet", "Classes mixed by a Dirichlet distribution of concentration alpha.", false,
                                true, "alpha", at_dirichlet_deal, at_part_equal_size, at_part_draw_mixture},
    [AT_PARTITION_shards] = {"shards", "Sorted by class and cut into shards, so many for each (McMahan et al. 2017).",
                             false, true, "shards", at_shards_deal, at_part_equal_size, at_shards_draw},
    [AT_PARTITION_quantity] = {"quantity", "Examples at random, sizes lognormal with sigma.", false, false, "sigma",
                               at_quantity_deal, at_part_varied_size, at_part_draw_any},
    [AT_PARTITION_combined] = {"combined", "dirichlet and quantity at once.", false, true, "alpha sigma",
                               at_combined_deal, at_part_varied_size, at_part_draw_mixture},
    {NULL, NULL, false, false, NULL, NULL, NULL, NULL},
};

at_err at_partition_check(const at_opts *set, const at_partition_cfg *cfg) {
  static const char *const particular[] = {"partition.alpha", "partition.sigma", "partition.shards"};
  const at_partition_row *row = &at_partition_table[cfg->scheme];
  for (int i = 0; i < 3; i++) {
    if (at_opts_is_changed(set, particular[i]) && strstr(row->keys, strchr(particular[i], '.') + 1) == NULL) {
      return at_opts_reject(set, particular[i], "means nothing to partition.scheme=%s: leave it out", row->name);
    }
  }
  return AT_OK;
}

/* first[c] = how many examples are of lower classes than c. */
static at_err count_classes(const at_partition *p, at_split split, int64_t **first) {
  const int32_t *label = at_examples_labels(p->examples, split);
  const int64_t total = at_examples_total(p->examples, split);
  AT_TRY(at_alloc(first, (size_t)p->classes + 1, sizeof **first, "partition"));
  for (int64_t i = 0; i < total; i++) {
    (*first)[label[i] + 1]++;
  }
  for (int64_t c = 0; c < p->classes; c++) {
    (*first)[c + 1] += (*first)[c];
  }
  return AT_OK;
}

/* Rows in order of class, ascending within one. */
static at_err sort_by_class(at_partition *p) {
  const int32_t *label = at_examples_labels(p->examples, p->split);
  int64_t *next;
  p->classes = at_examples_task(p->examples)->classes;
  AT_TRY(at_alloc(&p->by_class, (size_t)p->total, sizeof *p->by_class, "partition"));
  AT_TRY(count_classes(p, p->split, &p->class_first));
  AT_TRY(count_classes(p, p->base, &p->base_first));
  AT_TRY(at_alloc(&next, (size_t)p->classes + 1, sizeof *next, "partition"));
  memcpy(next, p->class_first, (size_t)p->classes * sizeof *next);
  for (int64_t i = 0; i < p->total; i++) {
    p->by_class[next[label[i]]++] = i;
  }
  at_free(next);
  return AT_OK;
}

/* Stored clients with examples in a split; into `list` unless it is NULL. */
static int64_t stored_in(const at_examples *e, at_split split, int64_t *list) {
  int64_t n = 0;
  for (int64_t c = 0; c < at_examples_clients(e); c++) {
    if (at_examples_rows(e, split, c) > 0) {
      if (list != NULL) {
        list[n] = c;
      }
      n++;
    }
  }
  return n;
}

/* Those of the base, unless none of them has examples in this split. */
static at_err find_stored(at_partition *p) {
  AT_TRY(at_alloc(&p->stored, (size_t)at_examples_clients(p->examples), sizeof *p->stored, "partition"));
  p->n_stored = stored_in(p->examples, p->base, p->stored);
  p->is_lent = true;
  for (int64_t i = 0; i < p->n_stored && p->is_lent; i++) {
    p->is_lent = at_examples_rows(p->examples, p->split, p->stored[i]) == 0;
  }
  if (p->is_lent) {
    p->n_stored = stored_in(p->examples, p->split, p->stored);
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
  if (p->cfg.per_client == 0 && p->clients > p->base_total) {
    return AT_FAIL(AT_ERR_CONFIG,
                   "partition.clients = %lld: %s has only %lld examples in /%s to deal out; lower it, or let each "
                   "client draw its own with partition.per_client",
                   (long long)p->clients, path, (long long)p->base_total, at_split_group(p->base));
  }
  return AT_OK;
}

static int64_t most_of(const at_partition *p, const at_partition_row *row) {
  int64_t most = 0;
  if (p->first == NULL && !row->by_client) {
    const double each = p->each * (row->size == at_part_varied_size ? AT_PART_MOST : 1);
    return (int64_t)fmax(1, fmin((double)p->total, floor(each + 0.5)));
  }
  for (int64_t k = 0; k < (row->by_client ? p->n_stored : p->clients); k++) {
    const int64_t n = row->by_client ? at_examples_rows(p->examples, p->split, p->stored[k]) : at_partition_size(p, k);
    most = n > most ? n : most;
  }
  return p->is_drawn && p->each < (double)most ? (int64_t)fmax(1, floor(p->each + 0.5)) : most;
}

static at_err set_up(at_partition *p) {
  const at_partition_row *row = &at_partition_table[p->cfg.scheme];
  p->clients = p->cfg.clients > 0 ? p->cfg.clients : stored_in(p->examples, p->base, NULL);
  AT_TRY(check(p, row));
  /* Too few held-out examples to be dealt: drawn, one or so for each. */
  p->is_drawn = p->cfg.per_client > 0 || (p->clients > p->total && !row->by_client);
  p->each = p->cfg.per_client > 0 ? (double)p->cfg.per_client * fmin(1, (double)p->total / (double)p->base_total)
                                  : (double)p->total / (double)p->clients;
  if (row->by_client) {
    AT_TRY(find_stored(p));
  }
  if (row->by_class) {
    AT_TRY(sort_by_class(p));
  }
  if (!p->is_drawn) {
    AT_TRY(row->deal(p));
  }
  p->max_size = most_of(p, row);
  return AT_OK;
}

at_err at_partition_create(at_partition **out, const at_examples *e, at_split split, const at_partition_cfg *cfg) {
  at_partition *p;
  *out = NULL;
  AT_TRY(at_alloc(&p, 1, sizeof *p, "partition"));
  p->cfg = *cfg;
  p->examples = e;
  p->split = split;
  p->base = at_examples_total(e, AT_SPLIT_TRAIN) > 0 ? AT_SPLIT_TRAIN : split;
  p->total = at_examples_total(e, split);
  p->base_total = at_examples_total(e, p->base);
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
    at_free(p->base_first);
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
                        (p->by_class != NULL ? p->total + 2 * (p->classes + 1) : 0) +
                        (p->stored != NULL ? at_examples_clients(p->examples) : 0);
  return (int64_t)sizeof *p + words * (int64_t)sizeof(int64_t);
}
