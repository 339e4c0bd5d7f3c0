/* SPDX-License-Identifier: BSD-3-Clause */
/* Emulated secure aggregation: sums equal the plain integer sum bit for bit, whoever drops out; masks hide single vectors. */
#include "src/comm/collective/secure.h"

#include "src/comm/exact.h"
#include "tests/mpi/reduce_rig.h"

enum { N = 777, P = 6, BITS = 40 };
static const int64_t ids[P] = {2, 3, 5, 8, 13, 21};
static at_kernels kernels;
static float x[N], out[N], want[N];

static double weight_of(int64_t i) {
  return (double)(i + 1) / 21;
}

/* The sum of the clients whose bit is set, by exact integers without masks. */
static void plain_sum(mpi_test *t, unsigned who, int64_t round) {
  const int64_t offsets[2] = {0, N};
  at_exact *e = NULL;
  MPI_CHECK_OK(t, at_exact_create(&e, &kernels.vec, 1, offsets, NULL, BITS));
  at_exact_begin(e);
  for (int64_t i = 0; i < P; i++) {
    if ((who >> i & 1) != 0 && i % t->size == t->rank) {
      rig_vector(ids[i], round, N, x);
      at_exact_add(e, ids[i], weight_of(i), x);
    }
  }
  MPI_CHECK_OK(t, at_exact_finish(e, t->world, want));
  at_exact_destroy(e);
}

static void sums_survive_dropouts(mpi_test *t) {
  at_secure *s = NULL;
  MPI_REQUIRE_OK(t, at_secure_create(&s, t->world, &kernels, N, BITS, 9));
  /* All; one missing, first, last or in between; all but two; one; nobody. */
  const unsigned sets[] = {0x3f, 0x3e, 0x1f, 0x3b, 0x21, 0x12, 0x04, 0x00};
  for (int k = 0; k < 8; k++) {
    at_secure_begin(s, k, P, ids);
    for (int64_t i = 0; i < P; i++) {
      if ((sets[k] >> i & 1) != 0 && (i + k) % t->size == t->rank) {
        bool took = false;
        rig_vector(ids[i], k, N, x);
        MPI_CHECK_OK(t, at_secure_add(s, ids[i], weight_of(i), x, &took));
        MPI_CHECK(t, took);
      }
    }
    int64_t survivors = 0, reveals = 0;
    MPI_CHECK_OK(t, at_secure_finish(s, out, &survivors, &reveals));
    plain_sum(t, sets[k], k);
    MPI_CHECK(t, memcmp(out, want, sizeof out) == 0);
    const int64_t here = __builtin_popcount(sets[k]);
    MPI_CHECK(t, survivors == here && reveals == here * (P - here));
    MPI_CHECK(t, rig_same(t, out, N));
  }
  at_secure_destroy(s);
}

/* A masked vector looks like noise, differs every round, and does not reveal what it hides: half of its bits are set, and they
 * agree with the plain integers' in half of the cases. */
static void masks_hide(mpi_test *t) {
  at_secure *s = NULL;
  MPI_REQUIRE_OK(t, at_secure_create(&s, t->world, &kernels, N, BITS, 9));
  static uint64_t a[N], b[N], plain[N];
  rig_vector(5, 0, N, x);
  at_secure_begin(s, 0, P, ids);
  MPI_CHECK_OK(t, at_secure_mask(s, 5, 1.0, x, a));
  at_secure_begin(s, 1, P, ids);
  MPI_CHECK_OK(t, at_secure_mask(s, 5, 1.0, x, b));
  MPI_CHECK_FAILS(t, AT_ERR_ARG, "client 4", at_secure_mask(s, 4, 1.0, x, b));
  memset(plain, 0, sizeof plain);
  kernels.vec.grid_add(1.0, BITS, N, x, (int64_t *)plain);
  int64_t set = 0, like_plain = 0, like_other = 0;
  for (int i = 0; i < N; i++) {
    set += __builtin_popcountll(a[i]);
    like_plain += __builtin_popcountll(~(a[i] ^ plain[i]));
    like_other += __builtin_popcountll(~(a[i] ^ b[i]));
  }
  const double half = 32.0 * N, deviation = sqrt(16.0 * N);
  MPI_CHECK(t, fabs((double)set - half) < 5 * deviation);
  MPI_CHECK(t, fabs((double)like_plain - half) < 5 * deviation);
  MPI_CHECK(t, fabs((double)like_other - half) < 5 * deviation);
  at_secure_destroy(s);
}

static void what_does_not_fit_drops_out(mpi_test *t) {
  at_secure *s = NULL;
  MPI_REQUIRE_OK(t, at_secure_create(&s, t->world, &kernels, N, BITS, 9));
  const float bad[3] = {NAN, INFINITY, 1e12f};
  for (int k = 0; k < 3; k++) {
    at_secure_begin(s, k, P, ids);
    for (int64_t i = 0; i < P; i++) {
      if (i % t->size == t->rank) {
        bool took = false;
        rig_vector(ids[i], k, N, x);
        x[5] = i == 3 ? bad[k] : x[5];
        MPI_CHECK_OK(t, at_secure_add(s, ids[i], weight_of(i), x, &took));
        MPI_CHECK(t, took == (i != 3));
      }
    }
    int64_t survivors = 0;
    MPI_CHECK_OK(t, at_secure_finish(s, out, &survivors, NULL));
    plain_sum(t, 0x37, k);
    MPI_CHECK(t, survivors == P - 1 && memcmp(out, want, sizeof out) == 0);
  }
  at_secure_begin(s, 5, P, ids);
  MPI_CHECK_FAILS(t, AT_ERR_ARG, "client 7", at_secure_add(s, 7, 1.0, want, NULL));
  if (t->size > 1) {
    MPI_CHECK_OK(t, at_secure_add(s, 8, 1.0, want, NULL)); /* by every rank */
    MPI_CHECK_FAILS(t, AT_ERR_ARG, "client 8 takes part twice", at_secure_finish(s, out, NULL, NULL));
  }
  at_secure_destroy(s);
}

int main(int argc, char **argv) {
  at_kernels_init(&kernels, at_isa_detect());
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(sums_survive_dropouts), MPI_CASE(masks_hide),
                       MPI_CASE(what_does_not_fit_drops_out));
}
