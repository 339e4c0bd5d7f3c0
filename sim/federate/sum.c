/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums over the clients of a round as they finish, exact or fast: nothing is kept of a client once it is added. */
#include <math.h>
#include <string.h>

#include "sim/federate/federate.h"
#include "src/base/alloc.h"

at_err at_fed_sum_create(at_federate *f, at_fed_sum *s, int64_t n, int n_tensors) {
  *s = (at_fed_sum){.vec = &f->s->kernels->vec, .n = n};
  if (f->cfg->run.reduce == AT_REDUCE_FAST) {
    return at_federate_vector(f, &s->fast, n, "sum of updates");
  }
  f->planned_bytes += (size_t)(n + n_tensors + 1) * sizeof(int64_t);
  int64_t none[2] = {0, 1};
  return f->is_planned ? at_exact_create(&s->exact, s->vec, 1, none, NULL, (int)f->cfg->grid_bits)
                       : at_exact_create(&s->exact, s->vec, n_tensors, f->offsets, f->names, (int)f->cfg->grid_bits);
}

void at_fed_sum_destroy(at_fed_sum *s) {
  at_exact_destroy(s->exact);
  at_free(s->fast);
  *s = (at_fed_sum){0};
}

void at_fed_sum_begin(at_fed_sum *s) {
  if (s->exact != NULL) {
    at_exact_begin(s->exact);
  } else {
    memset(s->fast, 0, (size_t)s->n * sizeof *s->fast);
  }
}

void at_fed_sum_add(at_fed_sum *s, int64_t client, double weight, const float *x) {
  if (s->exact != NULL) {
    at_exact_add(s->exact, client, weight, x);
  } else {
    s->vec->axpy(weight, s->n, x, s->fast);
  }
}

at_err at_fed_sum_finish(at_fed_sum *s, at_comm *world, float *out) {
  if (s->exact != NULL) {
    at_err err = at_exact_finish(s->exact, world, out);
    if (err == AT_ERR_OVERFLOW) {
      AT_TRY(at_exact_coarsen(s->exact, 8));
      return AT_ERR_OVERFLOW;
    }
    return err;
  }
  AT_TRY(at_comm_allreduce(world, AT_COMM_F32, AT_COMM_SUM, s->fast, s->n));
  memcpy(out, s->fast, (size_t)s->n * sizeof *out);
  return isfinite(s->vec->sumsq(s->n, out)) ? AT_OK
                                            : AT_FAIL(AT_ERR_NONFINITE, "the mean over the clients is not finite");
}
