/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums of f32 vectors on a fixed-point grid, the same for any number of ranks and any order. */
#include "src/comm/exact.h"

#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/comm/exact_exchange.h"

/* A tensor's bound is kept in units of 2^UNIT grid units, rounded up term by term: an integer sum over terms, which no
 * order changes.  Above LIMIT the sum is refused; a rank's share is cut off at CUT > LIMIT, so that the shares of a
 * million ranks still fit 64 bits. */
enum { UNIT = 20 };
static const int64_t limit = INT64_C(1) << (62 - UNIT);
static const int64_t cut = INT64_C(1) << (63 - UNIT);

/* A term that is not in the sum yet. */
typedef struct loan {
  double weight;
  const float *x; /* borrowed */
} loan;

struct at_exact {
  const at_vec *vec;        /* borrowed */
  const char *const *names; /* borrowed; may be NULL */
  int64_t n_tensors;
  int64_t *offsets; /* [n_tensors + 1] */
  int64_t *grids;   /* [n_tensors] */
  /* One block, so that one all-reduce carries everything: acc[n], bounds[n_tensors], number of non-finite terms; behind it the number of
   * ranks out of memory. */
  int64_t *acc;
  int64_t *bounds;
  int64_t *bad_terms;
  int64_t *bare_ranks;
  bool has_sum; /* acc holds terms; else it is not even zero */
  int64_t n_loans, loans_room;
  loan *loans;
  at_exact_exchange *exchange; /* NULL until needed */
  bool *overflowed;            /* [n_tensors], of the last finish */
  int64_t bad_id;              /* the lowest client with a non-finite term here */
  int64_t bad_tensor;
};

static int64_t elements(const at_exact *e) {
  return e->offsets[e->n_tensors];
}

static const char *name_of(const at_exact *e, int64_t t) {
  return e->names != NULL ? e->names[t] : "(unnamed)";
}

static at_err check_shape(int64_t n_tensors, const int64_t *offsets, int bits) {
  if (n_tensors < 1 || offsets[0] != 0) {
    return AT_FAIL(AT_ERR_ARG, "an exact sum needs at least one tensor and offsets from 0");
  }
  for (int64_t t = 0; t < n_tensors; t++) {
    if (offsets[t + 1] < offsets[t]) {
      return AT_FAIL(AT_ERR_ARG, "offsets of an exact sum must not fall: tensor %lld", (long long)t);
    }
  }
  if (bits < AT_EXACT_BITS_MIN || bits > AT_EXACT_BITS_MAX) {
    return AT_FAIL(AT_ERR_ARG, "a grid of 2^-%d: want %d to %d bits", bits, AT_EXACT_BITS_MIN, AT_EXACT_BITS_MAX);
  }
  return AT_OK;
}

at_err at_exact_create(at_exact **out, const at_vec *vec, int64_t n_tensors, const int64_t *offsets,
                       const char *const *names, int bits) {
  *out = NULL;
  AT_TRY(check_shape(n_tensors, offsets, bits));
  at_exact *e = NULL;
  AT_TRY(at_alloc(&e, 1, sizeof *e, "exact sum"));
  e->vec = vec;
  e->names = names;
  e->n_tensors = n_tensors;
  size_t tensors = (size_t)n_tensors;
  size_t n = (size_t)offsets[n_tensors];
  at_err err = AT_OK;
  AT_TRY_TO(err, fail, at_alloc(&e->offsets, tensors + 1, sizeof *e->offsets, "exact sum offsets"));
  AT_TRY_TO(err, fail, at_alloc(&e->grids, tensors, sizeof *e->grids, "exact sum grids"));
  AT_TRY_TO(err, fail, at_alloc(&e->overflowed, tensors, sizeof *e->overflowed, "exact sum flags"));
  AT_TRY_TO(err, fail, at_alloc(&e->acc, n + tensors + 2, sizeof *e->acc, "exact sum"));
  e->bounds = e->acc + n;
  e->bad_terms = e->bounds + n_tensors;
  e->bare_ranks = e->bad_terms + 1;
  memcpy(e->offsets, offsets, (tensors + 1) * sizeof *offsets);
  for (int64_t t = 0; t < n_tensors; t++) {
    e->grids[t] = bits;
  }
  *out = e;
  return AT_OK;
fail:
  at_exact_destroy(e);
  return err;
}

void at_exact_destroy(at_exact *e) {
  if (e == NULL) {
    return;
  }
  at_free(e->offsets);
  at_free(e->grids);
  at_free(e->overflowed);
  at_free(e->acc);
  at_free(e->loans);
  at_exact_exchange_destroy(e->exchange);
  at_free(e);
}

int64_t *at_exact_grids(at_exact *e) {
  return e->grids;
}

int64_t at_exact_tensors(const at_exact *e) {
  return e->n_tensors;
}

void at_exact_begin(at_exact *e) {
  memset(e->bounds, 0, (size_t)(e->n_tensors + 2) * sizeof *e->bounds);
  e->has_sum = false;
  e->n_loans = 0;
  memset(e->overflowed, 0, (size_t)e->n_tensors * sizeof *e->overflowed);
}

/* The bound's units that a term of this largest magnitude takes. */
static int64_t units(double magnitude) {
  double u = ceil(ldexp(magnitude, -UNIT));
  return u < (double)cut ? (int64_t)u : cut;
}

/* A term of tensor t is at most this large, or not finite. */
static void note_term(at_exact *e, int64_t id, int64_t t, double most) {
  if (isfinite(most)) {
    int64_t sum = e->bounds[t] + units(most);
    e->bounds[t] = sum < cut ? sum : cut;
    return;
  }
  if (*e->bad_terms == 0 || id < e->bad_id) {
    e->bad_id = id;
    e->bad_tensor = t;
  }
  ++*e->bad_terms;
}

/* acc[n] = or += a term; what is new is cleared while it is in a core's cache. */
static double put(const at_exact *e, bool is_new, double weight, int bits, int64_t n, const float *x, int64_t *acc) {
  enum { BLOCK = 1024 };
  double most = 0.0;
  for (int64_t i = 0; is_new && i < n; i += BLOCK) {
    const int64_t m = n - i < BLOCK ? n - i : BLOCK;
    memset(acc + i, 0, (size_t)m * sizeof *acc);
    const double top = e->vec->grid_add(weight, bits, m, x + i, acc + i);
    most = isnan(most) || top <= most ? most : top; /* a NaN stays */
  }
  return is_new ? most : e->vec->grid_add(weight, bits, n, x, acc);
}

void at_exact_add(at_exact *e, int64_t id, double weight, const float *x) {
  for (int64_t t = 0; t < e->n_tensors; t++) {
    int64_t at = e->offsets[t];
    note_term(e, id, t, put(e, !e->has_sum, weight, (int)e->grids[t], e->offsets[t + 1] - at, x + at, e->acc + at));
  }
  e->has_sum = true;
}

void at_exact_lend(at_exact *e, int64_t id, double weight, const float *x) {
  if (e->n_loans == e->loans_room) {
    if (at_realloc(&e->loans, (size_t)e->n_loans + 8, sizeof *e->loans, "terms of an exact sum") != AT_OK) {
      at_exact_add(e, id, weight, x); /* this needs no memory */
      return;
    }
    e->loans_room = e->n_loans + 8;
  }
  for (int64_t t = 0; t < e->n_tensors; t++) {
    /* Rounding never changes an order: the largest element has the largest term. */
    const double size = e->vec->largest(e->offsets[t + 1] - e->offsets[t], x + e->offsets[t]);
    const double most = rint(fabs(weight) * size * ldexp(1.0, (int)e->grids[t]));
    note_term(e, id, t, most);
  }
  e->loans[e->n_loans++] = (loan){.weight = weight, .x = x};
}

/* The tensor that element `at` lies in, empty ones apart. */
static int64_t tensor_of(const at_exact *e, int64_t at) {
  int64_t low = 0, high = e->n_tensors;
  while (high - low > 1) {
    const int64_t mid = low + (high - low) / 2;
    *(e->offsets[mid] <= at ? &low : &high) = mid;
  }
  return low;
}

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* sum[n] = all terms of this rank, of elements first .. first + n - 1. */
static void terms(void *exact, int64_t first, int64_t n, int64_t *sum) {
  const at_exact *e = exact;
  const int64_t end = first + n;
  if (e->has_sum) {
    memmove(sum, e->acc + first, (size_t)n * sizeof *sum);
  } else if (e->n_loans == 0) {
    memset(sum, 0, (size_t)n * sizeof *sum);
  }
  for (int64_t t = tensor_of(e, first), at = first; at < end; t++) {
    const int64_t to = smaller(e->offsets[t + 1], end);
    for (int64_t l = 0; l < e->n_loans; l++) {
      put(e, l == 0 && !e->has_sum, e->loans[l].weight, (int)e->grids[t], to - at, e->loans[l].x + at,
          sum + (at - first));
    }
    at = to;
  }
}

static void add_other(void *exact, double weight, int64_t first, int64_t n, const float *x, int64_t *sum) {
  const at_exact *e = exact;
  const int64_t end = first + n;
  for (int64_t t = tensor_of(e, first), at = first; at < end; t++) {
    const int64_t to = smaller(e->offsets[t + 1], end);
    e->vec->grid_add(weight, (int)e->grids[t], to - at, x + (at - first), sum + (at - first));
    at = to;
  }
}

static void result(void *exact, int64_t first, int64_t n, const int64_t *sum, float *out) {
  const at_exact *e = exact;
  const int64_t end = first + n;
  for (int64_t t = tensor_of(e, first), at = first; at < end; t++) {
    const int64_t to = smaller(e->offsets[t + 1], end);
    e->vec->grid_get((int)e->grids[t], to - at, sum + (at - first), out + (at - first));
    at = to;
  }
}

/* Somebody's term is not finite: all ranks fail alike, naming the lowest client. */
static at_err fail_nonfinite(const at_exact *e, at_comm *comm, int64_t own_bad) {
  int64_t first = own_bad > 0 ? e->bad_id : INT64_MAX;
  AT_TRY(at_comm_allreduce(comm, AT_COMM_I64, AT_COMM_MIN, &first, 1));
  at_err err = AT_OK;
  if (own_bad > 0 && first == e->bad_id) {
    err = AT_FAIL(AT_ERR_NONFINITE, "the update of client %lld is not finite in tensor %s", (long long)e->bad_id,
                  name_of(e, e->bad_tensor));
  }
  return at_comm_agree(comm, err);
}

static at_err check_bounds(at_exact *e) {
  int64_t first = -1;
  for (int64_t t = e->n_tensors - 1; t >= 0; t--) {
    e->overflowed[t] = e->bounds[t] > limit;
    first = e->overflowed[t] ? t : first;
  }
  if (first < 0) {
    return AT_OK;
  }
  return AT_FAIL(AT_ERR_OVERFLOW,
                 "the sum of tensor %s may leave the range of its grid (+-2^%lld at a least bit of 2^%lld)",
                 name_of(e, first), (long long)(62 - e->grids[first]), (long long)-e->grids[first]);
}

/* The block as one all-reduce: short vectors. */
static at_err add_up(at_exact *e, at_comm *comm) {
  terms(e, 0, elements(e), e->acc);
  e->has_sum = true;
  e->n_loans = 0;
  return at_comm_allreduce(comm, AT_COMM_U64, AT_COMM_SUM, e->acc, elements(e) + e->n_tensors + 1);
}

/* Everybody learns the bounds, and has memory for the exchange. */
static at_err make_ready(at_exact *e, at_comm *comm) {
  at_err err = AT_OK;
  if (e->exchange == NULL || at_exact_exchange_ranks(e->exchange) != at_comm_size(comm)) {
    at_exact_exchange_destroy(e->exchange);
    err = at_exact_exchange_create(&e->exchange, at_comm_size(comm));
  }
  *e->bare_ranks = err != AT_OK;
  AT_TRY(at_comm_allreduce(comm, AT_COMM_U64, AT_COMM_SUM, e->bounds, e->n_tensors + 2));
  return *e->bare_ranks > 0 ? at_comm_agree(comm, err) : AT_OK;
}

at_err at_exact_finish(at_exact *e, at_comm *comm, float *out) {
  const bool has_shares = at_exact_has_shares(elements(e), at_comm_size(comm));
  int64_t own_bad = *e->bad_terms;
  AT_TRY(has_shares ? make_ready(e, comm) : add_up(e, comm));
  if (*e->bad_terms > 0) {
    AT_TRY(fail_nonfinite(e, comm, own_bad));
  }
  AT_TRY(check_bounds(e));
  if (has_shares) {
    const bool is_one = e->n_loans == 1 && !e->has_sum;
    const at_exact_side side = {.n_terms = e->n_loans + (e->has_sum ? 2 : 0),
                                .weight = is_one ? e->loans[0].weight : 0.0,
                                .x = is_one ? e->loans[0].x : NULL,
                                .context = e,
                                .terms = terms,
                                .add = add_other,
                                .result = result};
    return at_exact_exchange_run(e->exchange, comm, elements(e), &side, out);
  }
  result(e, 0, elements(e), e->acc, out);
  return AT_OK;
}

int64_t at_exact_memory(int64_t n, int ranks, bool adds) {
  const bool has_shares = at_exact_has_shares(n, ranks);
  return (adds || !has_shares ? 8 * n : 0) + (has_shares ? at_exact_exchange_memory() : 0);
}

int at_exact_width(int64_t n, int ranks) {
  return at_exact_has_shares(n, ranks) ? 4 : 8;
}

int64_t at_exact_bytes(int64_t n, int64_t tensors, int ranks, int rank, int64_t loans) {
  return ranks == 1 ? 0
         : at_exact_has_shares(n, ranks)
             ? at_exact_exchange_sent(n, ranks, rank, loans) + at_comm_allreduce_bytes((tensors + 2) * 8, ranks)
             : at_comm_allreduce_bytes((n + tensors + 1) * 8, ranks);
}

at_err at_exact_coarsen(at_exact *e, int drop) {
  if (drop < 1) {
    return AT_FAIL(AT_ERR_ARG, "a grid can only be made coarser by 1 or more bits, not by %d", drop);
  }
  for (int64_t t = 0; t < e->n_tensors; t++) {
    if (e->overflowed[t] && e->grids[t] - drop < AT_EXACT_BITS_MIN) {
      return AT_FAIL(AT_ERR_OVERFLOW, "tensor %s does not fit even a grid of 2^%lld: the updates have diverged",
                     name_of(e, t), (long long)-e->grids[t]);
    }
  }
  for (int64_t t = 0; t < e->n_tensors; t++) {
    e->grids[t] -= e->overflowed[t] ? drop : 0;
  }
  return AT_OK;
}
