/* SPDX-License-Identifier: BSD-3-Clause */
/* Exact sums: the same bytes for any number of ranks, any assignment of clients to them and any order. */
#include <math.h>
#include <zlib.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/comm/exact.h"
#include "tests/mpi/mpi_test.h"

enum { CLIENTS = 13, TENSORS = 4, ELEMENTS = 1000 };
static const int64_t offsets[TENSORS + 1] = {0, 1, 518, 518, ELEMENTS}; /* odd sizes and an empty one */
static const unsigned long expected_crc = 0xab7f1642;                   /* of the sum below, on any machine */
static const char *const names[TENSORS] = {"scale", "w", "none", "head"};

/* The same numbers everywhere (no call of the C library's); magnitudes from 1e-6 to 1. */
static void update_of(int64_t client, float *x) {
  at_stream s = {.seed = 1, .client = (uint64_t)client, .purpose = AT_RNG_TEST};
  for (int i = 0; i < ELEMENTS; i++) {
    x[i] = (float)ldexp(2 * at_rng_uniform(&s, (uint64_t)i) - 1, -3 * (i % 7));
  }
}

static double weight_of(int64_t client) {
  return (double)(client + 1) / (CLIENTS * (CLIENTS + 1) / 2);
}

static at_exact *new_sum(mpi_test *t, int bits) {
  at_kernels k;
  static at_vec vec;
  at_kernels_init(&k, at_isa_detect());
  vec = k.vec;
  at_exact *e = NULL;
  MPI_CHECK_OK(t, at_exact_create(&e, &vec, TENSORS, offsets, names, bits));
  return e;
}

typedef enum order { ROUND_ROBIN, BLOCKS, BACKWARDS, ALL_ON_LAST, ORDERS } order;

static int owner(order o, int64_t client, int ranks) {
  switch (o) {
  case ROUND_ROBIN:
    return (int)(client % ranks);
  case BLOCKS:
    return (int)(client * ranks / CLIENTS);
  case BACKWARDS:
    return ranks - 1 - (int)(client % ranks);
  default:
    return ranks - 1;
  }
}

static at_err sum_clients(at_exact *e, at_comm *c, order o, float *out) {
  float x[ELEMENTS];
  at_exact_begin(e);
  for (int64_t i = 0; i < CLIENTS; i++) {
    int64_t client = o == BACKWARDS ? CLIENTS - 1 - i : i;
    if (owner(o, client, at_comm_size(c)) == at_comm_rank(c)) {
      update_of(client, x);
      at_exact_add(e, client, weight_of(client), x);
    }
  }
  return at_exact_finish(e, c, out);
}

static void gives_the_same_bytes_however_shared(mpi_test *t) {
  at_exact *e = new_sum(t, AT_EXACT_BITS);
  at_comm *alone = NULL;
  MPI_REQUIRE_OK(t, at_comm_split(t->world, t->rank, 0, &alone));
  float want[ELEMENTS];
  MPI_CHECK_OK(t, sum_clients(e, alone, ROUND_ROBIN, want));
  for (int o = 0; o < ORDERS; o++) {
    float got[ELEMENTS];
    memset(got, 0xff, sizeof got);
    MPI_CHECK_OK(t, sum_clients(e, t->world, (order)o, got));
    MPI_CHECK(t, memcmp(got, want, sizeof got) == 0);
  }
  /* And from one start of the program to the next. */
  unsigned long crc = crc32_z(0, (const unsigned char *)want, sizeof want);
  if (crc != expected_crc) {
    mpi_test_note(t, __FILE__, __LINE__, "the sum's CRC is 0x%08lx, not 0x%08lx", crc, expected_crc);
  }
  at_comm_destroy(alone);
  at_exact_destroy(e);
}

static void is_the_weighted_mean(mpi_test *t) {
  at_exact *e = new_sum(t, AT_EXACT_BITS);
  float got[ELEMENTS], x[ELEMENTS];
  double want[ELEMENTS] = {0};
  MPI_CHECK_OK(t, sum_clients(e, t->world, BLOCKS, got));
  for (int64_t c = 0; c < CLIENTS; c++) {
    update_of(c, x);
    for (int i = 0; i < ELEMENTS; i++) {
      want[i] += weight_of(c) * (double)x[i];
    }
  }
  for (int i = 0; i < ELEMENTS; i++) {
    /* Half a grid unit a term, then one rounding to f32. */
    double tolerance = CLIENTS * 0x1p-51 + fabs(want[i]) * 0x1p-24 + 1e-15;
    MPI_CHECK(t, fabs((double)got[i] - want[i]) <= tolerance);
  }
  at_exact_destroy(e);
}

static void may_be_empty(mpi_test *t) {
  at_exact *e = new_sum(t, AT_EXACT_BITS);
  float out[ELEMENTS];
  memset(out, 0xff, sizeof out);
  at_exact_begin(e);
  MPI_CHECK_OK(t, at_exact_finish(e, t->world, out));
  for (int i = 0; i < ELEMENTS; i++) {
    MPI_CHECK(t, out[i] == 0.0f);
  }
  at_exact_destroy(e);
}

static void fill(float *x, float value) {
  for (int i = 0; i < ELEMENTS; i++) {
    x[i] = value;
  }
}

/* Four clients of +-1000 in one tensor: each fits +-2^12, together they might not, whoever holds them. */
static void refuses_what_might_overflow_then_coarsens(mpi_test *t) {
  at_exact *e = new_sum(t, AT_EXACT_BITS);
  float x[ELEMENTS], out[ELEMENTS];
  for (int round = 0; round < 2; round++) {
    at_exact_begin(e);
    for (int64_t c = 0; c < 5; c++) {
      fill(x, 0.5f);
      x[700] = c % 2 == 0 ? 1000.0f : -1000.0f;
      if (c % t->size == t->rank) {
        at_exact_add(e, c, 1.0, x);
      }
    }
    fill(out, -7.0f);
    if (round == 0) {
      MPI_CHECK_FAILS(t, AT_ERR_OVERFLOW, "tensor head", at_exact_finish(e, t->world, out));
      MPI_CHECK(t, out[0] == -7.0f);
      MPI_CHECK_OK(t, at_exact_coarsen(e, 8));
    }
  }
  MPI_CHECK_OK(t, at_exact_finish(e, t->world, out));
  MPI_CHECK(t, out[700] == 1000.0f && out[0] == 2.5f);
  MPI_CHECK(t, at_exact_grids(e)[3] == 42 && at_exact_grids(e)[1] == 50);
  at_exact_destroy(e);
}

/* Exactly at the limit: 4 x 2^60 grid units are allowed, one more unit block is not. */
static void draws_the_line_exactly(mpi_test *t) {
  at_exact *e = new_sum(t, AT_EXACT_BITS);
  float x[ELEMENTS], out[ELEMENTS];
  fill(x, 1024.0f);
  for (int extra = 0; extra < 2; extra++) {
    at_exact_begin(e);
    for (int64_t c = 0; c < 4; c++) {
      if (c % t->size == t->rank) {
        at_exact_add(e, c, 1.0, x);
      }
    }
    if (extra == 1 && t->rank == t->size - 1) {
      float tiny[ELEMENTS] = {0};
      tiny[0] = 0x1p-50f;
      at_exact_add(e, 9, 1.0, tiny);
    }
    if (extra == 0) {
      MPI_CHECK_OK(t, at_exact_finish(e, t->world, out));
      MPI_CHECK(t, out[0] == 4096.0f && out[ELEMENTS - 1] == 4096.0f);
    } else {
      MPI_CHECK_FAILS(t, AT_ERR_OVERFLOW, "tensor scale", at_exact_finish(e, t->world, out));
    }
  }
  at_exact_destroy(e);
}

static void gives_up_on_hopeless_ranges(mpi_test *t) {
  at_exact *e = new_sum(t, AT_EXACT_BITS_MIN);
  float x[ELEMENTS], out[ELEMENTS];
  fill(x, 3e38f);
  at_exact_begin(e);
  at_exact_add(e, 0, 1e200, x); /* finite in double, far beyond any grid */
  MPI_CHECK_FAILS(t, AT_ERR_OVERFLOW, "tensor scale", at_exact_finish(e, t->world, out));
  MPI_CHECK_FAILS(t, AT_ERR_OVERFLOW, "diverged", at_exact_coarsen(e, 1));
  MPI_CHECK_FAILS(t, AT_ERR_ARG, "coarser", at_exact_coarsen(e, 0));
  at_exact_destroy(e);
}

static void names_the_lowest_bad_client(mpi_test *t) {
  const float bad[2] = {NAN, INFINITY};
  at_exact *e = new_sum(t, AT_EXACT_BITS);
  float x[ELEMENTS], out[ELEMENTS];
  for (int kind = 0; kind < 2; kind++) {
    at_exact_begin(e);
    for (int64_t c = CLIENTS - 1; c >= 0; c--) {
      update_of(c, x);
      if (c >= 6) {
        x[c == 6 ? 17 : 900] = bad[kind];
      }
      if (owner(BACKWARDS, c, t->size) == t->rank) {
        at_exact_add(e, c, weight_of(c), x);
      }
    }
    fill(out, -7.0f);
    MPI_CHECK_FAILS(t, AT_ERR_NONFINITE, "client 6 is not finite in tensor w", at_exact_finish(e, t->world, out));
    MPI_CHECK(t, out[5] == -7.0f);
  }
  MPI_CHECK_OK(t, sum_clients(e, t->world, BLOCKS, out)); /* it recovers */
  at_exact_destroy(e);
}

static void refuses_bad_layouts(mpi_test *t) {
  at_kernels k;
  at_kernels_init(&k, AT_ISA_REF);
  at_exact *e = NULL;
  const int64_t falling[3] = {0, 5, 4}, late[2] = {1, 5};
  MPI_CHECK_FAILS(t, AT_ERR_ARG, "must not fall", at_exact_create(&e, &k.vec, 2, falling, NULL, 50));
  MPI_CHECK_FAILS(t, AT_ERR_ARG, "offsets from 0", at_exact_create(&e, &k.vec, 1, late, NULL, 50));
  MPI_CHECK_FAILS(t, AT_ERR_ARG, "want -100 to 200", at_exact_create(&e, &k.vec, TENSORS, offsets, NULL, 201));
  MPI_CHECK(t, e == NULL);
}

/* Rows whose sum in double depends on the order of addition. */
static void sums_rows_in_ascending_client(mpi_test *t) {
  double want[2] = {0, 0};
  for (int64_t c = 0; c < CLIENTS; c++) {
    want[0] += ldexp(1.0 / (double)(c + 3), (int)(c * 11 % 40));
    want[1] += (double)c;
  }
  for (int o = 0; o < ORDERS; o++) {
    int64_t ids[CLIENTS], n = 0;
    double rows[CLIENTS][2];
    for (int64_t i = 0; i < CLIENTS; i++) {
      int64_t c = o == BACKWARDS ? CLIENTS - 1 - i : i;
      if (owner((order)o, c, t->size) == t->rank) {
        ids[n] = c;
        rows[n][0] = ldexp(1.0 / (double)(c + 3), (int)(c * 11 % 40));
        rows[n][1] = (double)c;
        n++;
      }
    }
    double got[2];
    MPI_CHECK_OK(t, at_comm_sum_by_id(t->world, n, ids, 2, rows[0], got));
    MPI_CHECK(t, memcmp(got, want, sizeof got) == 0);
    int64_t n_all = 0, *all = NULL;
    double *table = NULL;
    MPI_CHECK_OK(t, at_comm_gather_by_id(t->world, n, ids, 2, rows[0], &n_all, &all, &table));
    MPI_CHECK(t, n_all == CLIENTS);
    for (int64_t c = 0; c < n_all; c++) {
      MPI_CHECK(t, all[c] == c && table[2 * c + 1] == (double)c);
    }
    at_free(all);
    at_free(table);
  }
}

static void refuses_a_client_given_twice(mpi_test *t) {
  int64_t ids[2] = {t->rank, 77};
  double rows[2] = {1, 2}, sum = 0;
  if (t->size > 1) {
    MPI_CHECK_FAILS(t, AT_ERR_ARG, "client 77 was given twice", at_comm_sum_by_id(t->world, 2, ids, 1, rows, &sum));
  }
  MPI_CHECK_OK(t, at_comm_sum_by_id(t->world, 1, ids, 1, rows, &sum));
  MPI_CHECK(t, sum == t->size);
}

int main(int argc, char **argv) {
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(gives_the_same_bytes_however_shared), MPI_CASE(is_the_weighted_mean),
                       MPI_CASE(may_be_empty), MPI_CASE(refuses_what_might_overflow_then_coarsens),
                       MPI_CASE(draws_the_line_exactly), MPI_CASE(gives_up_on_hopeless_ranges),
                       MPI_CASE(names_the_lowest_bad_client), MPI_CASE(refuses_bad_layouts),
                       MPI_CASE(sums_rows_in_ascending_client), MPI_CASE(refuses_a_client_given_twice));
}
