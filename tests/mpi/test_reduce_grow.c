/* SPDX-License-Identifier: BSD-3-Clause */
/* Reductions of vectors that are still being computed: the bytes and the memory of reductions of finished ones. */
#include <math.h>

#include "src/base/rng.h"
#include "src/comm/collective/reduce.h"
#include "tests/mpi/mpi_test.h"

enum { N = 40000, CHUNK = 4096, ROUNDS = 3 };
static const int64_t offsets[4] = {0, 5000, 5003, N};

static const struct {
  int codec, algorithm;
} ways[] = {{AT_CODEC_bf16, AT_ALGORITHM_twophase}, {AT_CODEC_int8, AT_ALGORITHM_twophase},
            {AT_CODEC_int4, AT_ALGORITHM_star},     {AT_CODEC_sign, AT_ALGORITHM_twophase},
            {AT_CODEC_topk, AT_ALGORITHM_gather},   {AT_CODEC_f32, AT_ALGORITHM_twophase}};

static at_reduce *new_reduce(mpi_test *t, const at_kernels *k, int way) {
  at_reduce_cfg cfg = {.algorithm = ways[way].algorithm,
                       .chunk = CHUNK,
                       .segments = AT_SEGMENTS_TENSOR,
                       .feedback = ways[way].codec != AT_CODEC_f32,
                       .server_feedback = true,
                       .decay = 1.0,
                       .seed = 3};
  at_reduce *r = NULL;
  cfg.up.kind = ways[way].codec;
  cfg.up.ratio = 0.01;
  cfg.down.kind = ways[way].algorithm == AT_ALGORITHM_gather ? AT_CODEC_f32 : ways[way].codec;
  MPI_CHECK_OK(t, at_reduce_create(&r, t->world, k, &cfg, 3, offsets, 1));
  MPI_CHECK(t, at_reduce_can_grow(r));
  MPI_CHECK_OK(t, at_reduce_prepare_growth(r));
  return r;
}

static void fill(int rank, int64_t round, float *x) {
  const at_stream s = {.seed = 4, .client = (uint64_t)rank, .round = (uint64_t)round, .purpose = AT_RNG_TEST};
  at_rng_fill_normal(&s, 0, 1.0, x, N);
}

/* The last rank has a client in even rounds only. */
static bool has_client(const mpi_test *t, int64_t round) {
  return t->rank < t->size - 1 || t->size == 1 || round % 2 == 0;
}

static at_err run_plain(mpi_test *t, at_reduce *r, int64_t round, const float *x, float *out) {
  at_reduce_begin(r, round, t->size);
  if (has_client(t, round)) {
    at_reduce_lend(r, t->rank, 1.0 + t->rank, x);
  }
  return at_reduce_run(r, out);
}

/* Parts become final back to front, and the first of them only with finish. */
static at_err run_growing(mpi_test *t, at_reduce *r, int64_t round, const float *x, float *out) {
  static float grown[N];
  for (int64_t i = 0; i < N; i++) {
    grown[i] = NAN;
  }
  at_reduce_begin(r, round, t->size);
  at_reduce_let_grow(r);
  if (has_client(t, round)) {
    at_reduce_lend(r, t->rank, 1.0 + t->rank, grown);
  }
  at_err err = at_reduce_start(r, out);
  for (int64_t end = N, part = 777; err == AT_OK && end > 3000; end -= part) {
    part = end - 3000 < 777 ? end - 3000 : 777;
    memcpy(grown + end - part, x + end - part, (size_t)part * sizeof *x);
    at_reduce_release(r, end - part, part);
    at_reduce_poll_hook(r);
  }
  memcpy(grown, x, 3000 * sizeof *x);
  return err == AT_OK ? at_reduce_finish(r) : err;
}

static void same_memory(mpi_test *t, at_reduce *a, at_reduce *b) {
  at_feedback *f = at_reduce_memory(a), *g = at_reduce_memory(b);
  int64_t first = 0, count = 0;
  MPI_CHECK(t, (f == NULL) == (g == NULL));
  for (int64_t i = 0; f != NULL && i < at_feedback_count(f); i++) {
    const at_feedback_row *x = at_feedback_get(f, i), *y = at_feedback_get(g, i);
    MPI_CHECK(t, x->id == y->id && x->round == y->round);
    MPI_CHECK(t, memcmp(x->v[0], y->v[0], N * sizeof(float)) == 0);
  }
  const float *x = at_reduce_server_residual(a, &first, &count), *y = at_reduce_server_residual(b, &first, &count);
  MPI_CHECK(t, (x == NULL) == (y == NULL));
  MPI_CHECK(t, x == NULL || memcmp(x, y, (size_t)count * sizeof *x) == 0);
}

/* ---- tests ---- */

static void gives_the_same_bytes(mpi_test *t) {
  static float x[N], want[N], got[N];
  at_kernels k;
  at_kernels_init(&k, at_isa_detect());
  for (int way = 0; way < (int)(sizeof ways / sizeof *ways); way++) {
    at_reduce *plain = new_reduce(t, &k, way), *growing = new_reduce(t, &k, way);
    for (int64_t round = 0; round < ROUNDS; round++) {
      fill(t->rank, round, x);
      MPI_CHECK_OK(t, run_plain(t, plain, round, x, want));
      MPI_CHECK_OK(t, run_growing(t, growing, round, x, got));
      MPI_CHECK(t, memcmp(want, got, sizeof want) == 0);
      same_memory(t, plain, growing);
    }
    MPI_CHECK(t, at_reduce_get_report(plain).bytes == at_reduce_get_report(growing).bytes);
    at_reduce_destroy(plain);
    at_reduce_destroy(growing);
  }
}

/* Rank 0's vector turns out not to be finite in a late part: nobody's memory has seen the round, and the plain way leaves it out. */
static void undoes_what_is_not_finite(mpi_test *t) {
  static float x[N], want[N], got[N];
  at_kernels k;
  at_kernels_init(&k, at_isa_detect());
  for (int way = 0; way < (int)(sizeof ways / sizeof *ways); way++) {
    at_reduce *plain = new_reduce(t, &k, way), *growing = new_reduce(t, &k, way);
    for (int64_t round = 0; round < ROUNDS; round++) {
      fill(t->rank, round, x);
      x[7000] = round == 1 && t->rank == 0 ? INFINITY : x[7000];
      MPI_CHECK_OK(t, run_plain(t, plain, round, x, want));
      const bool is_bad = round == 1 && (t->size > 1 || has_client(t, round));
      if (is_bad) {
        MPI_CHECK_FAILS(t, AT_ERR_NONFINITE, "not finite", run_growing(t, growing, round, x, got));
        MPI_CHECK_OK(t, run_plain(t, growing, round, x, got));
      } else {
        MPI_CHECK_OK(t, run_growing(t, growing, round, x, got));
      }
      MPI_CHECK(t, memcmp(want, got, sizeof want) == 0);
      same_memory(t, plain, growing);
    }
    at_reduce_destroy(plain);
    at_reduce_destroy(growing);
  }
}

static void says_what_cannot_grow(mpi_test *t) {
  at_kernels k;
  at_kernels_init(&k, AT_ISA_REF);
  static const int hops[2] = {AT_ALGORITHM_ring, AT_ALGORITHM_integer};
  for (int i = 0; i < 3; i++) {
    at_reduce_cfg cfg = {.algorithm = i < 2 ? hops[i] : AT_ALGORITHM_twophase,
                         .feedback = i == 2,
                         .decay = i == 2 ? 0.9 : 1.0,
                         .seed = 3};
    cfg.up.kind = cfg.down.kind = AT_CODEC_int8;
    at_reduce *r = NULL;
    MPI_REQUIRE_OK(t, at_reduce_create(&r, t->world, &k, &cfg, 3, offsets, 1));
    MPI_CHECK(t, !at_reduce_can_grow(r));
    at_reduce_destroy(r);
  }
}

int main(int argc, char **argv) {
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(gives_the_same_bytes), MPI_CASE(undoes_what_is_not_finite),
                       MPI_CASE(says_what_cannot_grow));
}
