/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums of f32 vectors on a fixed-point grid, the same for any number of ranks and any order. */
#include "src/comm/exact.h"

#include <math.h>
#include <string.h>

#include "src/base/alloc.h"

/* A tensor's bound is kept in units of 2^UNIT grid units, rounded up term by term: an integer sum over terms, which no
 * order changes.  Above LIMIT the sum is refused; a rank's share is cut off at CUT > LIMIT, so that the shares of a
 * million ranks still fit 64 bits. */
enum { UNIT = 20 };
static const int64_t limit = INT64_C(1) << (62 - UNIT);
static const int64_t cut = INT64_C(1) << (63 - UNIT);

struct at_exact {
  const at_vec *vec;        /* borrowed */
  const char *const *names; /* borrowed; may be NULL */
  int64_t n_tensors;
  int64_t *offsets; /* [n_tensors + 1] */
  int64_t *grids;   /* [n_tensors] */
  /* One block, so that one all-reduce carries everything: acc[n], bounds[n_tensors], number of non-finite terms. */
  int64_t *acc;
  int64_t *bounds;
  int64_t *bad_terms;
  bool *overflowed; /* [n_tensors], of the last finish */
  int64_t bad_id;   /* the lowest client with a non-finite term here */
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
  AT_TRY_TO(err, fail, at_alloc(&e->acc, n + tensors + 1, sizeof *e->acc, "exact sum"));
  e->bounds = e->acc + n;
  e->bad_terms = e->bounds + n_tensors;
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
  at_free(e);
}

int64_t *at_exact_grids(at_exact *e) {
  return e->grids;
}

int64_t at_exact_tensors(const at_exact *e) {
  return e->n_tensors;
}

void at_exact_begin(at_exact *e) {
  memset(e->acc, 0, (size_t)(elements(e) + e->n_tensors + 1) * sizeof *e->acc);
  memset(e->overflowed, 0, (size_t)e->n_tensors * sizeof *e->overflowed);
}

/* The bound's units that a term of this largest magnitude takes. */
static int64_t units(double magnitude) {
  double u = ceil(ldexp(magnitude, -UNIT));
  return u < (double)cut ? (int64_t)u : cut;
}

void at_exact_add(at_exact *e, int64_t id, double weight, const float *x) {
  for (int64_t t = 0; t < e->n_tensors; t++) {
    int64_t at = e->offsets[t];
    double most = e->vec->grid_add(weight, (int)e->grids[t], e->offsets[t + 1] - at, x + at, e->acc + at);
    if (isfinite(most)) {
      int64_t sum = e->bounds[t] + units(most);
      e->bounds[t] = sum < cut ? sum : cut;
      continue;
    }
    if (*e->bad_terms == 0 || id < e->bad_id) {
      e->bad_id = id;
      e->bad_tensor = t;
    }
    ++*e->bad_terms;
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

at_err at_exact_finish(at_exact *e, at_comm *comm, float *out) {
  int64_t own_bad = *e->bad_terms;
  /* Unsigned: where the bound says that the range was left, the sum itself may wrap, harmlessly. */
  AT_TRY(at_comm_allreduce(comm, AT_COMM_U64, AT_COMM_SUM, e->acc, elements(e) + e->n_tensors + 1));
  if (*e->bad_terms > 0) {
    AT_TRY(fail_nonfinite(e, comm, own_bad));
  }
  AT_TRY(check_bounds(e));
  for (int64_t t = 0; t < e->n_tensors; t++) {
    int64_t at = e->offsets[t];
    e->vec->grid_get((int)e->grids[t], e->offsets[t + 1] - at, e->acc + at, out + at);
  }
  return AT_OK;
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
