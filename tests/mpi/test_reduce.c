/* SPDX-License-Identifier: BSD-3-Clause */
/* Reductions: every codec over every algorithm gives the same bytes on all ranks, for any ranks and any assignment of clients. */
#include "src/comm/collective/reduce.h"

#include "tests/mpi/reduce_rig.h"
#include "tests/unit/codec_cases.h"

enum { N = 3001, CHUNK = 256, TENSORS = 3, SLOTS = 64 };
static const int64_t offsets[TENSORS + 1] = {0, 1000, 1003, N};
static at_kernels kernels;

static at_reduce_cfg config(const at_codec_cfg *codec, at_algorithm algorithm) {
  at_reduce_cfg cfg = rig_config(codec, algorithm, CHUNK);
  cfg.down = codec->kind == AT_CODEC_dgc ? (at_codec_cfg){.kind = AT_CODEC_f32} : *codec;
  return cfg;
}

static bool has_feedback(const at_codec_cfg *codec) {
  const bool refuses = codec->unbiased || codec->kind == AT_CODEC_qsgd;
  return at_codec_remembers(codec) != AT_MEMORY_NONE && !refuses;
}

static float x[SLOTS * N], out[N], want[N];

/* One round of clients 0 .. p - 1. */
static at_err run_round(at_reduce *r, at_comm *comm, rig_place how, int64_t p, int64_t round, bool lend, float *mean) {
  at_reduce_begin(r, round, p);
  int64_t k = 0;
  for (int64_t c = p - 1; c >= 0; c--) { /* backwards: the order of adding does not matter */
    if (rig_rank(how, c, p, at_comm_size(comm)) != at_comm_rank(comm)) {
      continue;
    }
    float *v = x + (lend ? k++ * N : 0);
    rig_vector(c, round, N, v);
    if (lend) {
      at_reduce_lend(r, c, 1.0 + (double)(c % 2), v);
    } else {
      at_reduce_add(r, c, 1.0 + (double)(c % 2), v);
      memset(v, 0xff, N * sizeof *v); /* it is free again */
    }
  }
  return at_reduce_run(r, mean);
}

static bool is_allowed(const at_codec_cfg *codec, at_algorithm a) {
  const bool is_hop = a == AT_ALGORITHM_ring || a == AT_ALGORITHM_doubling || a == AT_ALGORITHM_tree;
  if (a == AT_ALGORITHM_integer || a == AT_ALGORITHM_allreduce) {
    return at_codec_summable(codec) == AT_SUM_INTEGER && !(codec->kind == AT_CODEC_bounded && codec->bound_kind != 0);
  }
  return !(is_hop && codec->kind == AT_CODEC_dgc);
}

/* P clients over all ranks and over one rank: equal bytes; over two rounds with memory. */
static void check_case(mpi_test *t, at_comm *alone, int i, at_algorithm a, const int64_t *ps, int n_ps) {
  const at_codec_cfg *codec = &codec_cases[i].cfg;
  if (!is_allowed(codec, a)) {
    return;
  }
  const bool hops = a == AT_ALGORITHM_ring || a == AT_ALGORITHM_doubling || a == AT_ALGORITHM_tree;
  at_reduce_cfg cfg = config(codec, a);
  cfg.feedback = !hops && has_feedback(codec);
  cfg.server_feedback = cfg.feedback && cfg.down.kind != AT_CODEC_f32;
  at_reduce *r = NULL, *s = NULL;
  MPI_REQUIRE_OK(t, at_reduce_create(&r, t->world, &kernels, &cfg, TENSORS, offsets, SLOTS));
  MPI_REQUIRE_OK(t, at_reduce_create(&s, alone, &kernels, &cfg, TENSORS, offsets, SLOTS));
  int64_t round = 0;
  const int repeats = cfg.feedback ? 2 : 1; /* what is kept shows in the second */
  for (int k = 0; k < n_ps; k++) {
    for (int repeat = 0; repeat < repeats; repeat++, round++) {
      const rig_place how = cfg.feedback ? ROUND_ROBIN : (rig_place)(round % PLACES);
      memset(out, 0xff, sizeof out);
      MPI_CHECK_OK(t, run_round(r, t->world, how, ps[k], round, round % 2 == 0, out));
      MPI_CHECK_OK(t, run_round(s, alone, how, ps[k], round, round % 4 < 2, want));
      const bool same = memcmp(out, want, sizeof out) == 0, all = rig_same(t, out, N);
      if (!same || !all) {
        mpi_test_note(t, __FILE__, __LINE__, "%s over %s, P = %lld, round %lld: %s", codec_cases[i].label,
                      at_algorithm_names[a], (long long)ps[k], (long long)round,
                      all ? "not what one rank gives" : "ranks differ");
      }
      MPI_CHECK(t, at_reduce_get_report(r).clients == ps[k] && at_reduce_get_report(r).dropped == 0);
    }
  }
  at_reduce_destroy(r);
  at_reduce_destroy(s);
}

static void each_codec(mpi_test *t, at_algorithm a) {
  /* Two codecs meet all numbers of clients on any number of ranks, the others over 2, 3 and 4 ranks together. */
  static const int64_t all[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 16};
  static const int64_t few[4][4] = {{3, 8, 9, 16}, {1, 2, 3, 4}, {5, 6, 7, 16}, {3, 4, 8, 9}};
  const int64_t *some = few[(t->size - 1) % 4];
  at_comm *alone = NULL;
  MPI_REQUIRE_OK(t, at_comm_split(t->world, t->rank, 0, &alone));
  for (int i = 0; i < CODEC_CASES; i++) {
    const bool thorough =
        codec_cases[i].cfg.kind == AT_CODEC_f32 || strcmp(codec_cases[i].label, "int8 stochastic") == 0;
    check_case(t, alone, i, a, thorough ? all : some, thorough ? 10 : 4);
  }
  at_comm_destroy(alone);
}

static void twophase_is_the_same_everywhere(mpi_test *t) {
  each_codec(t, AT_ALGORITHM_twophase);
}
static void star_is_the_same_everywhere(mpi_test *t) {
  each_codec(t, AT_ALGORITHM_star);
}
static void gather_is_the_same_everywhere(mpi_test *t) {
  each_codec(t, AT_ALGORITHM_gather);
}
static void ring_is_the_same_everywhere(mpi_test *t) {
  each_codec(t, AT_ALGORITHM_ring);
}
static void doubling_is_the_same_everywhere(mpi_test *t) {
  each_codec(t, AT_ALGORITHM_doubling);
}
static void tree_is_the_same_everywhere(mpi_test *t) {
  each_codec(t, AT_ALGORITHM_tree);
}
static void integer_is_the_same_everywhere(mpi_test *t) {
  each_codec(t, AT_ALGORITHM_integer);
}
static void allreduce_is_the_same_everywhere(mpi_test *t) {
  each_codec(t, AT_ALGORITHM_allreduce);
}

/* One client a rank, and one rank without: for larger numbers of ranks, which tests/run-ranks starts. */
static void one_client_a_rank(mpi_test *t) {
  const int64_t ps[] = {t->size, t->size > 1 ? t->size - 1 : 1};
  at_comm *alone = NULL;
  MPI_REQUIRE_OK(t, at_comm_split(t->world, t->rank, 0, &alone));
  for (int i = 0; i < CODEC_CASES; i++) {
    const char *label = codec_cases[i].label;
    if (strcmp(label, "f32") == 0 || strcmp(label, "int8 stochastic") == 0 || strcmp(label, "topk 1%") == 0) {
      for (int a = AT_ALGORITHM_twophase; a < AT_ALGORITHM_COUNT; a++) {
        check_case(t, alone, i, (at_algorithm)a, ps, 2);
      }
    }
  }
  at_comm_destroy(alone);
}

int main(int argc, char **argv) {
  at_kernels_init(&kernels, at_isa_detect());
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(twophase_is_the_same_everywhere), MPI_CASE(star_is_the_same_everywhere),
                       MPI_CASE(gather_is_the_same_everywhere), MPI_CASE(ring_is_the_same_everywhere),
                       MPI_CASE(doubling_is_the_same_everywhere), MPI_CASE(tree_is_the_same_everywhere),
                       MPI_CASE(integer_is_the_same_everywhere), MPI_CASE(allreduce_is_the_same_everywhere),
                       MPI_CASE(one_client_a_rank));
}
