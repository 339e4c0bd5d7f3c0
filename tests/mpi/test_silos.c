/* SPDX-License-Identifier: BSD-3-Clause */
/* Hierarchical means: dense in silos, compressed between them, the same bytes for any number of ranks. */
#include "src/comm/collective/silos.h"

#include <math.h>

#include "tests/mpi/reduce_rig.h"

enum { N = 1200, SHARDS = 3, SILOS_MOST = 5 };
static const int64_t offsets[3] = {0, 700, N};
static at_kernels kernels;
static float x[N], mean[N], out[N], want[N], silo_mean[SILOS_MOST][N];
static const at_codec_cfg sign = {.kind = AT_CODEC_sign};

static at_silos *create(mpi_test *t, at_comm *comm, int64_t silos, bool fast) {
  at_silos_cfg cfg = {.silos = silos, .fast = fast, .bits = 40, .outer = rig_config(&sign, AT_ALGORITHM_twophase, 256)};
  cfg.outer.feedback = cfg.outer.server_feedback = true;
  at_silos *s = NULL;
  MPI_CHECK_OK(t, at_silos_create(&s, comm, &kernels, &cfg, 2, offsets));
  return s;
}

/* A step in every silo of this rank, then a round between them. */
static void step_and_round(mpi_test *t, at_silos *s, int64_t round, float *result) {
  int64_t first, here = at_silos_here(s, &first);
  at_comm *inner = at_silos_inner(s);
  for (int64_t k = first; k < first + here; k++) {
    at_silos_step_begin(s);
    for (int64_t shard = 0; shard < SHARDS; shard++) {
      if (shard % at_comm_size(inner) == at_comm_rank(inner)) {
        rig_vector(k * SHARDS + shard, round, N, x);
        at_silos_step_add(s, shard, (double)(shard + 1), 6.0, x);
      }
    }
    MPI_CHECK_OK(t, at_silos_step(s, silo_mean[k]));
  }
  at_silos_round_begin(s, round);
  for (int64_t k = first; k < first + here; k++) {
    at_silos_round_add(s, k, 1.0 + (double)k, silo_mean[k]);
  }
  MPI_CHECK_OK(t, at_silos_round(s, result));
}

static void is_the_same_everywhere(mpi_test *t) {
  at_comm *alone = NULL;
  MPI_REQUIRE_OK(t, at_comm_split(t->world, t->rank, 0, &alone));
  for (int64_t silos = 1; silos <= SILOS_MOST; silos++) {
    at_silos *s = create(t, t->world, silos, false), *one = create(t, alone, silos, false);
    for (int64_t round = 0; round < 3; round++) {
      step_and_round(t, s, round, out);
      step_and_round(t, one, round, want);
      MPI_CHECK(t, memcmp(out, want, sizeof out) == 0);
      MPI_CHECK(t, rig_same(t, out, N));
    }
    at_silos_destroy(s);
    at_silos_destroy(one);
  }
  at_comm_destroy(alone);
}

/* Every silo is somewhere, once with a leader. */
static void silos_are_shared_out(mpi_test *t) {
  for (int64_t silos = 1; silos <= SILOS_MOST; silos++) {
    at_silos *s = create(t, t->world, silos, false);
    int64_t first, here = at_silos_here(s, &first), led[SILOS_MOST] = {0};
    for (int64_t k = first; k < first + here; k++) {
      led[k] = at_silos_leads(s);
    }
    MPI_CHECK(t, here >= 1 && first >= 0 && first + here <= silos);
    MPI_CHECK(t,
              at_silos_leads(s) == (at_silos_outer(s) != NULL) && at_silos_leads(s) == (at_silos_reduction(s) != NULL));
    MPI_CHECK_OK(t, at_comm_allreduce(t->world, AT_COMM_I64, AT_COMM_SUM, led, SILOS_MOST));
    for (int64_t k = 0; k < silos; k++) {
      MPI_CHECK(t, led[k] == 1);
    }
    at_silos_destroy(s);
  }
  at_silos *none = NULL;
  const at_silos_cfg cfg = {.silos = 0};
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "silos = 0", at_silos_create(&none, t->world, &kernels, &cfg, 2, offsets));
}

/* Inner means in floats are the same up to rounding; bytes between silos are far fewer than inside. */
static void fast_is_close_and_bytes_are_counted_apart(mpi_test *t) {
  at_silos *exact = create(t, t->world, 2, false), *fast = create(t, t->world, 2, true);
  step_and_round(t, exact, 0, out);
  int64_t first;
  at_silos_here(exact, &first);
  memcpy(mean, silo_mean[first], sizeof mean);
  step_and_round(t, fast, 0, out);
  for (int i = 0; i < N; i++) {
    MPI_CHECK(t, fabsf(mean[i] - silo_mean[first][i]) < 1e-6f);
  }
  if (t->size == 4) { /* two silos of two */
    const at_comm_phase phase = at_comm_set_phase(t->world, AT_COMM_REDUCE);
    at_comm_set_phase(t->world, phase);
    const int64_t inside = at_comm_get_stats(at_silos_inner(exact), phase).bytes_sent;
    MPI_CHECK(t, inside >= 8 * N);
    if (at_silos_leads(exact)) {
      const int64_t between = at_comm_get_stats(at_silos_outer(exact), phase).bytes_sent;
      MPI_CHECK(t, between > N / 8 && between < 3 * N / 8 + 2000);
    }
  }
  at_silos_destroy(exact);
  at_silos_destroy(fast);
}

/* A mean inside depends on the vectors alone: neither on ranks, nor on a grid that an earlier mean made coarser. */
static void means_inside_leave_no_trace(mpi_test *t) {
  static float shard[SHARDS][N];
  const at_silos_cfg cfg = {.silos = 1, .inner_only = true, .bits = 40};
  at_silos *s = NULL;
  MPI_REQUIRE_OK(t, at_silos_create(&s, t->world, &kernels, &cfg, 2, offsets));
  MPI_CHECK(t, at_silos_reduction(s) == NULL);
  at_comm *inner = at_silos_inner(s);
  for (int pass = 0; pass < 3; pass++) {
    const float scale = pass == 1 ? 1e9f : 1.0f; /* too much for the grid */
    const float *mine[SHARDS];
    double weight[SHARDS];
    int64_t n = 0, ids[SHARDS];
    for (int64_t k = 0; k < SHARDS; k++) {
      rig_vector(k, 0, N, shard[k]);
      for (int i = 0; i < N; i++) {
        shard[k][i] *= scale;
      }
      if (k % at_comm_size(inner) == at_comm_rank(inner)) {
        ids[n] = k;
        weight[n] = (double)(k + 1) / 6;
        mine[n++] = shard[k];
      }
    }
    MPI_CHECK_OK(t, at_silos_mean(s, n, ids, weight, mine, out));
    for (int i = 0; i < N; i++) {
      const double sum = (shard[0][i] + 2.0 * shard[1][i] + 3.0 * shard[2][i]) / 6;
      MPI_CHECK(t, fabs(out[i] - sum) <= 1e-6 * scale * (1 + fabs(sum / scale)));
    }
    if (pass == 0) {
      memcpy(want, out, sizeof out);
    }
  }
  MPI_CHECK(t, memcmp(out, want, sizeof out) == 0 && rig_same(t, out, N));
  at_silos_destroy(s);
}

int main(int argc, char **argv) {
  at_kernels_init(&kernels, at_isa_detect());
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(silos_are_shared_out), MPI_CASE(is_the_same_everywhere),
                       MPI_CASE(fast_is_close_and_bytes_are_counted_apart), MPI_CASE(means_inside_leave_no_trace));
}
