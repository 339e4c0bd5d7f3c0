/* SPDX-License-Identifier: BSD-3-Clause */
/* Exact sums of long vectors, whose shares ranks add up: the integers' own sum, whoever holds which terms and in what form. */
#include <math.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/comm/exact.h"
#include "tests/mpi/mpi_test.h"

enum { CLIENTS = 7, TENSORS = 5, ELEMENTS = 301007 };
static const int64_t offsets[TENSORS + 1] = {0, 1, 65537, 65537, 65540, ELEMENTS};
static const int64_t bits[TENSORS] = {50, 50, 50, 42, 30};

typedef struct bench {
  at_kernels k;
  at_exact *e;
  float *x;      /* [CLIENTS][ELEMENTS] */
  int64_t *sums; /* [ELEMENTS] */
  float *want, *out;
} bench;

static double weight_of(int64_t client) {
  return (double)(client + 1) / (CLIENTS * (CLIENTS + 1) / 2);
}

/* Everybody knows all clients, and adds them up in the plainest way. */
static bench *set_up(mpi_test *t) {
  static bench b;
  b = (bench){0};
  at_kernels_init(&b.k, at_isa_detect());
  MPI_CHECK_OK(t, at_alloc(&b.x, (size_t)CLIENTS * ELEMENTS, sizeof *b.x, "vectors"));
  MPI_CHECK_OK(t, at_alloc(&b.sums, ELEMENTS, sizeof *b.sums, "sums"));
  MPI_CHECK_OK(t, at_alloc(&b.want, ELEMENTS, sizeof *b.want, "sums"));
  MPI_CHECK_OK(t, at_alloc(&b.out, ELEMENTS, sizeof *b.out, "sums"));
  MPI_CHECK_OK(t, at_exact_create(&b.e, &b.k.vec, TENSORS, offsets, NULL, AT_EXACT_BITS));
  for (int64_t tensor = 0; tensor < TENSORS; tensor++) {
    at_exact_grids(b.e)[tensor] = bits[tensor];
    for (int64_t c = 0; c < CLIENTS; c++) {
      const at_stream s = {.seed = 2, .client = (uint64_t)c, .purpose = AT_RNG_TEST};
      for (int64_t i = offsets[tensor]; i < offsets[tensor + 1]; i++) {
        float *x = b.x + c * ELEMENTS + i;
        *x = (float)ldexp(2 * at_rng_uniform(&s, (uint64_t)i) - 1, -3 * (int)(i % 7));
        b.sums[i] += (int64_t)rint(weight_of(c) * (double)*x * ldexp(1.0, (int)bits[tensor]));
      }
    }
    for (int64_t i = offsets[tensor]; i < offsets[tensor + 1]; i++) {
      b.want[i] = (float)((double)b.sums[i] * ldexp(1.0, -(int)bits[tensor]));
    }
  }
  return &b;
}

static void tear_down(bench *b) {
  at_exact_destroy(b->e);
  at_free(b->x);
  at_free(b->sums);
  at_free(b->want);
  at_free(b->out);
}

/* Of `ranks` ranks: all on the last one; as even as can be; each of the first few has one, the last one the rest. */
typedef enum deal { ALL_ON_LAST, ROUND_ROBIN, ONE_EACH, DEALS } deal;

static int owner(deal d, int64_t client, int ranks) {
  return d == ROUND_ROBIN ? (int)(client % ranks) : d == ONE_EACH && client < ranks ? (int)client : ranks - 1;
}

/* mode 0: all lent; 1: all added; 2: every other one. */
static at_err sum(mpi_test *t, bench *b, deal d, int mode, int64_t *loans) {
  *loans = 0;
  at_exact_begin(b->e);
  for (int64_t c = 0; c < CLIENTS; c++) {
    if (owner(d, c, t->size) == t->rank) {
      const bool lends = mode == 0 || (mode == 2 && c % 2 == 0);
      *loans += lends ? 1 : 2;
      (lends ? at_exact_lend : at_exact_add)(b->e, c, weight_of(c), b->x + c * ELEMENTS);
    }
  }
  return at_exact_finish(b->e, t->world, b->out);
}

static void is_the_sum_of_the_integers(mpi_test *t) {
  bench *b = set_up(t);
  for (int d = 0; d < DEALS; d++) {
    for (int mode = 0; mode < 3; mode++) {
      int64_t loans;
      memset(b->out, 0xff, ELEMENTS * sizeof *b->out);
      const at_comm_phase before = at_comm_set_phase(t->world, AT_COMM_REDUCE);
      const int64_t sent = at_comm_get_stats(t->world, AT_COMM_REDUCE).bytes_sent;
      MPI_CHECK_OK(t, sum(t, b, (deal)d, mode, &loans));
      const int64_t now = at_comm_get_stats(t->world, AT_COMM_REDUCE).bytes_sent - sent;
      at_comm_set_phase(t->world, before);
      MPI_CHECK(t, memcmp(b->out, b->want, ELEMENTS * sizeof *b->out) == 0);
      MPI_CHECK(t, now == at_exact_bytes(ELEMENTS, TENSORS, t->size, t->rank, loans));
    }
  }
  tear_down(b);
}

/* One term a rank costs what floats would cost, and little more. */
static void costs_what_floats_cost(mpi_test *t) {
  const int64_t floats = at_comm_allreduce_bytes(4 * INT64_C(1000000), t->size);
  const int64_t one = at_exact_bytes(1000000, TENSORS, t->size, t->rank, 1);
  MPI_CHECK(t, one >= floats - 16 * t->size && one <= floats + 64 * t->size);
  MPI_CHECK(t, at_exact_width(1000000, t->size) == 4 && at_exact_width(4095, t->size) == 8);
}

static void refuses_without_a_trace(mpi_test *t) {
  bench *b = set_up(t);
  int64_t loans;
  const float bad[3] = {NAN, INFINITY, 1e30f};
  for (int kind = 0; kind < 3; kind++) {
    const float kept = b->x[5 * ELEMENTS + 70000];
    b->x[5 * ELEMENTS + 70000] = bad[kind];
    b->out[3] = -7.0f;
    const at_err want = kind < 2 ? AT_ERR_NONFINITE : AT_ERR_OVERFLOW;
    MPI_CHECK_FAILS(t, want, kind < 2 ? "client 5" : "range", sum(t, b, ROUND_ROBIN, 0, &loans));
    MPI_CHECK(t, b->out[3] == -7.0f);
    b->x[5 * ELEMENTS + 70000] = kept;
  }
  MPI_CHECK_OK(t, sum(t, b, ROUND_ROBIN, 0, &loans));
  MPI_CHECK(t, memcmp(b->out, b->want, ELEMENTS * sizeof *b->out) == 0);
  tear_down(b);
}

int main(int argc, char **argv) {
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(is_the_sum_of_the_integers), MPI_CASE(costs_what_floats_cost),
                       MPI_CASE(refuses_without_a_trace));
}
