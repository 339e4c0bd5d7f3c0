/* SPDX-License-Identifier: BSD-3-Clause */
/* Populations: the examples of each simulated client, worked out from its number. */
#include "src/fed/population.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"

const char *const at_population_names[] = {
#define X(name) #name,
    AT_POPULATIONS(X)
#undef X
        NULL};

enum { TAIL = 32, CLASSES_MAX = 4096 };

struct at_population {
  at_population_spec spec;
  int64_t n_home, *home;                               /* set clients with training data */
  int64_t n_own[AT_SPLIT_COUNT], *own[AT_SPLIT_COUNT]; /* clients of a held-out split that none of them is in */
  int64_t *sorted[AT_SPLIT_COUNT];                     /* rows by class (dirichlet) */
  int64_t *class_first[AT_SPLIT_COUNT];                /* [classes + 1] */
  int64_t home_most;
};

/* Draw `step` of what belongs to a client in a split. */
static at_stream stream_of(const at_population *p, at_split split, int64_t client, uint64_t step) {
  return (at_stream){.seed = p->spec.seed,
                     .purpose = AT_RNG_PARTITION,
                     .client = (uint64_t)client,
                     .round = (uint64_t)split,
                     .step = step};
}
enum { DRAW_SIZE, DRAW_ROWS, DRAW_MIXTURE, DRAW_ORDER };

static at_err find_homes(at_population *p) {
  const at_examples *set = p->spec.set;
  int64_t n = at_examples_clients(set);
  AT_TRY(at_alloc(&p->home, (size_t)n, sizeof *p->home, "clients of the set"));
  for (int64_t i = 0; i < n; i++) {
    if (at_examples_rows(set, AT_SPLIT_TRAIN, i) > 0) {
      p->home[p->n_home++] = i;
    }
    for (int s = 0; s < AT_SPLIT_COUNT; s++) {
      int64_t rows = at_examples_rows(set, (at_split)s, i);
      p->home_most = rows > p->home_most ? rows : p->home_most;
    }
  }
  return p->n_home > 0 ? AT_OK
                       : AT_FAIL(AT_ERR_FORMAT, "%s: no client has training examples", at_examples_path(p->spec.set));
}

/* Held-out data may be of clients of their own (families of fonts, say). */
static at_err find_own(at_population *p, at_split split) {
  const at_examples *set = p->spec.set;
  int64_t n = at_examples_clients(set);
  for (int64_t i = 0; i < p->n_home; i++) {
    if (at_examples_rows(set, split, p->home[i]) > 0) {
      return AT_OK;
    }
  }
  AT_TRY(at_alloc(&p->own[split], (size_t)n, sizeof *p->home, "clients of the set"));
  for (int64_t i = 0; i < n; i++) {
    if (at_examples_rows(set, split, i) > 0) {
      p->own[split][p->n_own[split]++] = i;
    }
  }
  return AT_OK;
}

/* Whose data client k has in a split. */
static int64_t home_of(const at_population *p, at_split split, int64_t client) {
  return p->n_own[split] > 0 ? p->own[split][client % p->n_own[split]] : p->home[client % p->n_home];
}

/* A counting sort of the rows of a split by class. */
static at_err sort_split(at_population *p, at_split split) {
  const at_examples *set = p->spec.set;
  int64_t classes = at_examples_task(set)->classes, total = at_examples_total(set, split);
  const int32_t *label = at_examples_labels(set, split);
  int64_t *first;
  AT_TRY(at_alloc(&p->class_first[split], (size_t)classes + 2, sizeof *first, "rows by class"));
  AT_TRY(at_alloc(&p->sorted[split], (size_t)total, sizeof *first, "rows by class"));
  first = p->class_first[split];
  for (int64_t i = 0; i < total; i++) {
    first[label[i] + 2]++;
  }
  for (int64_t c = 2; c <= classes + 1; c++) {
    first[c] += first[c - 1];
  }
  for (int64_t i = 0; i < total;
       i++) { /* afterwards first[c + 1] is where class c ends: the table has moved down by one */
    p->sorted[split][first[label[i] + 1]++] = i;
  }
  return AT_OK;
}

static at_err check(const at_population_spec *s) {
  const at_example_task *task = at_examples_task(s->set);
  if (task->classes < 1 || task->classes > CLASSES_MAX) {
    return AT_FAIL(AT_ERR_CONFIG, "%s has no classes, or more than %d: it cannot be learned by a classifier",
                   at_examples_path(s->set), CLASSES_MAX);
  }
  if (s->kind != AT_POPULATION_natural && (s->clients < 1 || s->samples < 1)) {
    return AT_FAIL(AT_ERR_CONFIG, "partition %s needs a number of clients and of samples for each, both at least 1",
                   at_population_names[s->kind]);
  }
  if (s->skew > 0 && s->samples < 1) {
    return AT_FAIL(AT_ERR_CONFIG, "sizes with a tail need a number of samples for each client, at least 1");
  }
  return AT_OK;
}

at_err at_population_create(at_population **out, const at_population_spec *spec) {
  *out = NULL;
  AT_TRY(check(spec));
  at_population *p;
  at_err err;
  AT_TRY(at_alloc(&p, 1, sizeof *p, "population"));
  p->spec = *spec;
  AT_TRY_TO(err, fail, find_homes(p));
  if (p->spec.clients == 0) {
    p->spec.clients = p->n_home;
  }
  if (p->spec.clients > p->n_home && p->spec.samples == 0 && spec->kind == AT_POPULATION_natural) {
    err = AT_FAIL(AT_ERR_CONFIG, "%s has %lld clients, %lld are asked for: say how many samples each of them draws",
                  at_examples_path(spec->set), (long long)p->n_home, (long long)spec->clients);
    goto fail;
  }
  AT_TRY_TO(err, fail, find_own(p, AT_SPLIT_VALIDATION));
  AT_TRY_TO(err, fail, find_own(p, AT_SPLIT_TEST));
  for (int s = 0; s < AT_SPLIT_COUNT && spec->kind == AT_POPULATION_dirichlet; s++) {
    AT_TRY_TO(err, fail, sort_split(p, (at_split)s));
  }
  *out = p;
  return AT_OK;
fail:
  at_population_destroy(p);
  return err;
}

void at_population_destroy(at_population *p) {
  if (p == NULL) {
    return;
  }
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    at_free(p->sorted[s]);
    at_free(p->class_first[s]);
    at_free(p->own[s]);
  }
  at_free(p->home);
  at_free(p);
}

int64_t at_population_clients(const at_population *p) {
  return p->spec.clients;
}

int64_t at_population_most(const at_population *p) {
  int64_t drawn = p->spec.samples * (p->spec.skew > 0 ? TAIL : 1);
  bool is_whole = p->spec.kind == AT_POPULATION_natural && (p->spec.samples == 0 || p->home_most < drawn);
  return is_whole ? p->home_most : drawn;
}

/* Training examples that the rule asks for. */
static int64_t wanted(const at_population *p, int64_t client) {
  const at_population_spec *s = &p->spec;
  if (s->skew <= 0) {
    return s->samples;
  }
  at_stream draw = stream_of(p, AT_SPLIT_TRAIN, client, DRAW_SIZE);
  double size = (double)s->samples * exp(s->skew * at_rng_normal(&draw, 0) - s->skew * s->skew / 2);
  return (int64_t)fmin(fmax(rint(size), 1), (double)(TAIL * s->samples));
}

/* Of another split, as large a share as the whole set has there, at least one example. */
static int64_t share(const at_population *p, at_split split, int64_t n) {
  int64_t total = at_examples_total(p->spec.set, split), train = at_examples_total(p->spec.set, AT_SPLIT_TRAIN);
  if (split == AT_SPLIT_TRAIN || total == 0) {
    return split == AT_SPLIT_TRAIN ? n : 0;
  }
  int64_t part = (int64_t)rint((double)n * fmin((double)total / (double)train, 1));
  return part > 0 ? part : 1;
}

int64_t at_population_count(const at_population *p, at_split split, int64_t client) {
  const at_population_spec *s = &p->spec;
  if (s->kind != AT_POPULATION_natural) {
    return share(p, split, wanted(p, client));
  }
  int64_t rows = at_examples_rows(s->set, split, home_of(p, split, client));
  if (s->samples == 0) {
    return rows;
  }
  int64_t n = split == AT_SPLIT_TRAIN ? wanted(p, client) : at_population_most(p);
  return n < rows ? n : rows;
}

static void natural_rows(const at_population *p, at_split split, int64_t client, int64_t n, int64_t *row) {
  int64_t home = home_of(p, split, client), rows = at_examples_rows(p->spec.set, split, home);
  int64_t first = at_examples_first(p->spec.set, split, home);
  at_stream draw = stream_of(p, split, client, DRAW_ROWS);
  if (n < rows) {
    at_rng_choose(&draw, rows, n, row);
  }
  for (int64_t i = 0; i < n; i++) {
    row[i] = first + (n < rows ? row[i] : i);
  }
}

static void dealt_rows(const at_population *p, at_split split, int64_t client, int64_t n, int64_t *row) {
  int64_t total = at_examples_total(p->spec.set, split), stride = share(p, split, p->spec.samples);
  for (int64_t i = 0; i < n; i++) {
    int64_t at = client * stride + i;
    at_stream deal = stream_of(p, split, at / total, DRAW_ORDER); /* one order for each time they are dealt */
    row[i] = (int64_t)at_rng_permute(&deal, (uint64_t)total, (uint64_t)(at % total));
  }
}

/* The client's mixture of classes as a cumulative distribution over those that the split has. */
static at_err mixture(const at_population *p, at_split split, int64_t client, int64_t classes, double *cumulative) {
  double alpha[CLASSES_MAX], sum = 0;
  at_stream draw = stream_of(p, AT_SPLIT_TRAIN, client, DRAW_MIXTURE);
  gsl_rng *rng = at_rng_gsl(&draw);
  if (rng == NULL) {
    return AT_FAIL(AT_ERR_MEMORY, "no memory for a random stream");
  }
  for (int64_t c = 0; c < classes; c++) {
    alpha[c] = p->spec.alpha;
  }
  gsl_ran_dirichlet(rng, (size_t)classes, alpha, cumulative);
  gsl_rng_free(rng);
  const int64_t *first = p->class_first[split];
  for (int64_t c = 0; c < classes; c++) {
    sum += first[c + 1] > first[c] ? cumulative[c] : 0;
    cumulative[c] = sum;
  }
  if (sum <= 0) { /* the split has none of the client's classes: all it has, alike */
    for (int64_t c = 0; c < classes; c++) {
      cumulative[c] = sum += (double)(first[c + 1] - first[c]);
    }
  }
  return AT_OK;
}

static at_err mixed_rows(const at_population *p, at_split split, int64_t client, int64_t n, int64_t *row) {
  int64_t classes = at_examples_task(p->spec.set)->classes;
  double cumulative[CLASSES_MAX];
  const int64_t *first = p->class_first[split];
  at_stream draw = stream_of(p, split, client, DRAW_ROWS);
  AT_TRY(mixture(p, split, client, classes, cumulative));
  for (int64_t i = 0; i < n; i++) {
    double u = at_rng_uniform(&draw, 2 * (uint64_t)i) * cumulative[classes - 1];
    int64_t c = 0;
    while (c < classes - 1 && (cumulative[c] <= u || first[c + 1] == first[c])) {
      c++;
    }
    while (first[c + 1] == first[c]) { /* u at the very end */
      c--;
    }
    uint64_t size = (uint64_t)(first[c + 1] - first[c]);
    at_stream pick = draw;
    pick.step += 16 + (uint64_t)i; /* Lemire's method may take several numbers */
    row[i] = p->sorted[split][first[c] + (int64_t)at_rng_below(&pick, 0, size)];
  }
  return AT_OK;
}

at_err at_population_rows(const at_population *p, at_split split, int64_t client, int64_t *row) {
  int64_t n = at_population_count(p, split, client);
  switch ((at_population_kind)p->spec.kind) {
  case AT_POPULATION_natural:
    natural_rows(p, split, client, n, row);
    return AT_OK;
  case AT_POPULATION_iid:
    dealt_rows(p, split, client, n, row);
    return AT_OK;
  default:
    return mixed_rows(p, split, client, n, row);
  }
}
