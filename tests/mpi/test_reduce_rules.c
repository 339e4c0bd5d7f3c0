/* SPDX-License-Identifier: BSD-3-Clause */
/* Reductions: bytes, clients that fail, memory over a resume, free choices, and configurations that are refused. */
#include "src/comm/collective/reduce_internal.h"
#include "src/comm/collective/reduce_options.h"
#include "tests/mpi/reduce_rig.h"

enum { MOST = 16384, CLIENTS = 64 };
static at_kernels kernels;
static float x[MOST], out[MOST], want[MOST];
static const at_codec_cfg f32 = {.kind = AT_CODEC_f32}, int8 = {.kind = AT_CODEC_int8, .scale = AT_SCALE_F32},
                          int4 = {.kind = AT_CODEC_int4}, bf16 = {.kind = AT_CODEC_bf16},
                          sign = {.kind = AT_CODEC_sign},
                          topk = {.kind = AT_CODEC_topk, .ratio = 0.02, .value = AT_VALUE_F32};

static at_reduce *create_on(mpi_test *t, at_comm *comm, const at_reduce_cfg *cfg, int64_t n, int64_t slots) {
  at_reduce *r = NULL;
  const int64_t offsets[2] = {0, n};
  MPI_CHECK_OK(t, at_reduce_create(&r, comm, &kernels, cfg, 1, offsets, slots));
  return r;
}

static at_reduce *create(mpi_test *t, const at_reduce_cfg *cfg, int64_t n) {
  return create_on(t, t->world, cfg, n, CLIENTS);
}

/* ---- the owner rule ---- */

/* Owners that keep their exact mean: ranks drift apart, and a comparison must see it. */
static void a_broken_owner_rule_shows(mpi_test *t) {
  enum { N = 2000 };
  const at_algorithm all[] = {AT_ALGORITHM_twophase, AT_ALGORITHM_star, AT_ALGORITHM_ring, AT_ALGORITHM_tree};
  for (int a = 0; a < 4; a++) {
    const at_reduce_cfg cfg = rig_config(&int4, all[a], 256);
    at_reduce *r = create(t, &cfg, N);
    for (int broken = 0; broken < 2; broken++) {
      r->breaks_owner_rule = broken != 0;
      at_err err = rig_round(r, t->world, ROUND_ROBIN, 5, 0, N, x, out);
      const bool notices = err == AT_ERR_INTERNAL || (err == AT_OK && !rig_same(t, out, N));
      MPI_CHECK(t, notices == (broken != 0 && (t->size > 1 || a >= 2)));
    }
    at_reduce_destroy(r);
  }
}

/* ---- bytes ---- */

/* Bytes of all participants together, by the formulas, headers included. */
static int64_t expected_bytes(const at_reduce *r, int64_t p) {
  int64_t m = 0, log2 = 0, pieces = r->cut->n_pieces;
  for (int64_t j = 0; j < pieces; j++) {
    const at_piece shape = at_cut_piece(r->cut, j);
    m += at_frame_bytes(&r->cfg.up, &shape, 0);
  }
  while (INT64_C(2) << log2 <= p) {
    log2++;
  }
  const int64_t folded = p - (INT64_C(1) << log2);
  switch (r->cfg.algorithm) {
  case AT_ALGORITHM_gather:
    return p * (p - 1) * m;
  case AT_ALGORITHM_doubling:
    return ((p - folded) * log2 + 2 * folded) * m;
  case AT_ALGORITHM_integer: { /* codes of a byte up, sums of two down */
    const int64_t n = r->cut->n / pieces;
    return p * (at_comm_allreduce_bytes(4 * (r->cut->n / 256), (int)p) + pieces * (n * 3 * (p - 1) / p));
  }
  case AT_ALGORITHM_allreduce:
    return p * (at_comm_allreduce_bytes(4 * (r->cut->n / 256), (int)p) +
                pieces * at_comm_allreduce_bytes((r->cut->n / pieces) * 2, (int)p));
  default:
    return 2 * (p - 1) * m; /* twophase, star, ring and tree */
  }
}

static void bytes_are_the_formulas(mpi_test *t) {
  enum { N = 8192 };
  const at_algorithm all[] = {AT_ALGORITHM_twophase, AT_ALGORITHM_star, AT_ALGORITHM_gather,  AT_ALGORITHM_ring,
                              AT_ALGORITHM_doubling, AT_ALGORITHM_tree, AT_ALGORITHM_integer, AT_ALGORITHM_allreduce};
  for (int a = 0; a < 8; a++) {
    const at_reduce_cfg cfg = rig_config(&int8, all[a], 512);
    at_reduce *r = create(t, &cfg, N);
    for (int64_t p = 1; p <= 9; p++) {
      MPI_CHECK_OK(t, rig_round(r, t->world, ROUND_ROBIN, p, 0, N, x, out));
      const int64_t bytes = rig_sum(t, at_reduce_get_report(r).bytes), by_formula = expected_bytes(r, p);
      if (bytes != by_formula) {
        mpi_test_note(t, __FILE__, __LINE__, "%s, P = %lld: %lld bytes where the formula has %lld",
                      at_algorithm_names[all[a]], (long long)p, (long long)bytes, (long long)by_formula);
      }
    }
    at_reduce_destroy(r);
  }
}

/* What really moved, one client on each rank: both ways 2 m (P-1)/P from every rank; and headers are small. */
static void ranks_move_what_is_counted(mpi_test *t) {
  enum { N = 6144 }; /* 12 pieces: for 1, 2, 3 and 4 owners */
  const at_reduce_cfg cfg = rig_config(&int8, AT_ALGORITHM_twophase, 512);
  at_reduce *r = create(t, &cfg, N);
  const at_comm_phase phase = at_comm_set_phase(t->world, AT_COMM_METRICS);
  at_comm_set_phase(t->world, phase);
  const at_comm_stats before = at_comm_get_stats(t->world, phase);
  MPI_CHECK_OK(t, rig_round(r, t->world, ROUND_ROBIN, t->size, 0, N, x, out));
  const at_comm_stats after = at_comm_get_stats(t->world, phase);
  const int64_t p = t->size, m = N + 4 * N / 256 + 12 * AT_FRAME_HEADER;
  if (12 % p == 0) {
    MPI_CHECK(t, after.bytes_sent - before.bytes_sent == 2 * m * (p - 1) / p);
    MPI_CHECK(t, after.bytes_recv - before.bytes_recv == 2 * m * (p - 1) / p);
    MPI_CHECK(t, rig_sum(t, at_reduce_get_report(r).bytes) == rig_sum(t, after.bytes_sent - before.bytes_sent));
  }
  at_reduce_destroy(r);
}

/* ---- clients that fail ---- */

/* The mean of clients 0, 2 and 5 of six: 1 is absent, 3 is not finite, 4 has no weight. */
static void the_rest_counts(mpi_test *t) {
  enum { N = 1500 };
  const at_algorithm all[] = {AT_ALGORITHM_twophase, AT_ALGORITHM_star, AT_ALGORITHM_gather, AT_ALGORITHM_ring,
                              AT_ALGORITHM_doubling, AT_ALGORITHM_tree, AT_ALGORITHM_integer};
  for (int a = 0; a < 7; a++) {
    at_reduce_cfg cfg = rig_config(&int8, all[a], 256);
    cfg.feedback = a < 3;
    at_reduce *r = create(t, &cfg, N), *only = create(t, &cfg, N);
    for (int which = 0; which < 2; which++) {
      at_reduce *s = which == 0 ? r : only;
      at_reduce_begin(s, 0, 6);
      for (int64_t c = 0; c < 6; c++) {
        rig_vector(c, 0, N, x);
        x[N - 1] = c == 3 ? NAN : x[N - 1];
        const bool counts = c == 0 || c == 2 || c == 5;
        if (c != 1 && (counts || which == 0) && rig_rank(ROUND_ROBIN, c, 6, t->size) == t->rank) {
          at_reduce_add(s, c, c == 4 ? 0.0 : 1.0 + (double)c, x);
        }
      }
      MPI_CHECK_OK(t, at_reduce_run(s, which == 0 ? out : want));
      MPI_CHECK(t, at_reduce_get_report(s).clients == 3 && at_reduce_get_report(s).dropped == 1 - which);
    }
    MPI_CHECK(t, memcmp(out, want, N * sizeof *out) == 0);
    at_reduce_destroy(r);
    at_reduce_destroy(only);
  }
}

static void nobody_gives_zeros(mpi_test *t) {
  const at_reduce_cfg cfg = rig_config(&int8, AT_ALGORITHM_twophase, 256);
  at_reduce *r = create(t, &cfg, 300);
  out[299] = 5.0f;
  at_reduce_begin(r, 0, 0);
  MPI_CHECK_OK(t, at_reduce_run(r, out));
  MPI_CHECK(t, out[299] == 0.0f && at_reduce_get_report(r).clients == 0);
  at_reduce_destroy(r);
  r = create(t, &cfg, 0); /* an empty vector */
  MPI_CHECK_OK(t, rig_round(r, t->world, ROUND_ROBIN, 3, 0, 0, x, out));
  at_reduce_destroy(r);
}

/* skip: one bad client fails the round for all; out, and everybody's memory, are as before; NaN step leaves e unchanged. */
static void skipping_leaves_everything(mpi_test *t) {
  enum { N = 600, P = 4 };
  at_reduce_cfg cfg = rig_config(&sign, AT_ALGORITHM_twophase, 256);
  cfg.feedback = cfg.server_feedback = true;
  cfg.nonfinite = AT_NONFINITE_SKIP;
  at_reduce *r = create(t, &cfg, N);
  static float v[P][N], before[P][N], server[N];
  int64_t first, count;
  for (int64_t round = 0; round < 3; round++) {
    at_reduce_begin(r, round, P);
    for (int64_t c = 0; c < P; c++) {
      rig_vector(c, round, N, v[c]);
      v[c][17] = round == 1 && c == 2 ? INFINITY : v[c][17];
      if (rig_rank(ROUND_ROBIN, c, P, t->size) == t->rank) {
        at_reduce_lend(r, c, 1.0, v[c]);
      }
    }
    float *residual = at_reduce_server_residual(r, &first, &count);
    if (round != 1) {
      MPI_CHECK_OK(t, at_reduce_run(r, out));
      memcpy(server, residual, (size_t)count * sizeof *server);
      memcpy(want, out, sizeof out);
      for (int64_t i = 0; i < at_feedback_count(at_reduce_memory(r)); i++) {
        memcpy(before[i], at_feedback_get(at_reduce_memory(r), i)->v[0], sizeof before[i]);
      }
      continue;
    }
    MPI_CHECK_FAILS(t, AT_ERR_NONFINITE, "client 2 is not finite", at_reduce_run(r, out));
    MPI_CHECK(t, memcmp(want, out, N * sizeof *out) == 0);
    MPI_CHECK(t, memcmp(server, residual, (size_t)count * sizeof *server) == 0);
    for (int64_t i = 0; i < at_feedback_count(at_reduce_memory(r)); i++) {
      MPI_CHECK(t, memcmp(before[i], at_feedback_get(at_reduce_memory(r), i)->v[0], sizeof before[i]) == 0);
    }
  }
  at_reduce_begin(r, 3, 1);
  at_reduce_add(r, t->rank, 1.0, v[0]);
  MPI_CHECK_FAILS(t, AT_ERR_ARG, "lend vectors", at_reduce_run(r, out));
  at_reduce_destroy(r);
}

static void misuse_is_everybodys(mpi_test *t) {
  const at_reduce_cfg cfg = rig_config(&int8, AT_ALGORITHM_twophase, 256);
  at_reduce *r = create_on(t, t->world, &cfg, 300, 2);
  rig_vector(0, 0, 300, x);
  at_reduce_begin(r, 0, 1);
  if (t->rank == 0) {
    at_reduce_add(r, 4, -1.0, x);
  }
  MPI_CHECK_FAILS(t, AT_ERR_ARG, "client 4 has the weight -1", at_reduce_run(r, out));
  at_reduce_begin(r, 0, 1);
  at_reduce_add(r, 4, 1.0, x);
  if (t->size > 1) {
    MPI_CHECK_FAILS(t, AT_ERR_ARG, "client 4 takes part twice", at_reduce_run(r, out));
  }
  at_reduce_begin(r, 0, 1);
  for (int64_t c = 0; c < 3 && t->rank == t->size - 1; c++) {
    at_reduce_add(r, c, 1.0, x);
  }
  MPI_CHECK_FAILS(t, AT_ERR_ARG, "client 2 is one too many", at_reduce_run(r, out));
  at_reduce_begin(r, 0, 1);
  if (t->rank == 0) {
    at_reduce_add(r, 0, 1.0, x);
    at_reduce_lend(r, 1, 1.0, x);
  }
  MPI_CHECK_FAILS(t, AT_ERR_ARG, "all lent or all added", at_reduce_run(r, out));
  MPI_CHECK_OK(t, rig_round(r, t->world, ROUND_ROBIN, t->size, 1, 300, x, out)); /* it recovers */
  at_reduce_destroy(r);
}

/* ---- resume ---- */

static int other_rank(void *context, int64_t id) {
  return (int)((id + 1) % *(const int *)context);
}

/* Take clients' rows and the shared-out server residual from one reduction to another. */
static void carry_over(mpi_test *t, at_reduce *from, at_reduce *to, int64_t n) {
  at_feedback *a = at_reduce_memory(from), *b = at_reduce_memory(to);
  for (int64_t i = 0; i < at_feedback_count(a); i++) {
    const at_feedback_row *row = at_feedback_get(a, i);
    MPI_CHECK_OK(t, at_feedback_put(b, at_feedback_layout(a), row->id, row->round, (const float *const *)row->v));
  }
  MPI_CHECK_OK(t, at_feedback_move(b, t->world, other_rank, &t->size));
  for (int64_t i = 0; i < at_feedback_count(b); i++) {
    MPI_CHECK(t, other_rank(&t->size, at_feedback_get(b, i)->id) == t->rank);
  }
  int64_t first, count;
  const float *residual = at_reduce_server_residual(from, &first, &count);
  float *other = at_reduce_server_residual(to, &first, &count);
  memcpy(other, residual, (size_t)count * sizeof *other);
  MPI_CHECK(t, rig_sum(t, count) == n);
}

static void resumes_bit_for_bit(mpi_test *t) {
  enum { N = 1500, P = 5, ROUNDS = 6 };
  const at_codec_cfg *codecs[] = {&int4, &sign, &topk};
  const at_algorithm algorithms[] = {AT_ALGORITHM_twophase, AT_ALGORITHM_star};
  for (int k = 0; k < 6; k++) {
    at_reduce_cfg cfg = rig_config(codecs[k / 2], algorithms[k % 2], 256);
    cfg.feedback = cfg.server_feedback = true;
    at_reduce *r = create(t, &cfg, N), *resumed = create(t, &cfg, N);
    for (int64_t round = 0; round < ROUNDS; round++) {
      MPI_CHECK_OK(t, rig_round(r, t->world, ROUND_ROBIN, P, round, N, x, out));
      if (round == 2) {
        carry_over(t, r, resumed, N);
      } else if (round > 2) {
        at_reduce_begin(resumed, round, P);
        for (int64_t c = 0; c < P; c++) {
          if (other_rank(&t->size, c) == t->rank) {
            rig_vector(c, round, N, x);
            at_reduce_add(resumed, c, 1.0, x);
          }
        }
        MPI_CHECK_OK(t, at_reduce_run(resumed, want));
        MPI_CHECK(t, memcmp(out, want, N * sizeof *out) == 0);
      }
    }
    at_reduce_destroy(r);
    at_reduce_destroy(resumed);
  }
}

/* ---- the rest ---- */

/* Progress comes from polling alone. */
static void polls_to_the_end(mpi_test *t) {
  enum { N = 5000 };
  const at_algorithm all[] = {AT_ALGORITHM_twophase, AT_ALGORITHM_ring, AT_ALGORITHM_integer};
  for (int a = 0; a < 3; a++) {
    const at_reduce_cfg cfg = rig_config(&int8, all[a], 512);
    at_reduce *r = create(t, &cfg, N);
    MPI_CHECK_OK(t, rig_round(r, t->world, ROUND_ROBIN, 4, 0, N, x, want));
    static float v[4][N];
    at_reduce_begin(r, 0, 4);
    for (int64_t c = 0; c < 4; c++) {
      rig_vector(c, 0, N, v[c]);
      if (c % t->size == t->rank) {
        at_reduce_lend(r, c, 1.0, v[c]);
      }
    }
    MPI_CHECK_OK(t, at_reduce_start(r, out));
    int64_t polls = 0;
    while (!at_reduce_is_done(r)) {
      at_reduce_poll_hook(r);
      polls++;
    }
    MPI_CHECK(t, polls >= 1);
    MPI_CHECK_OK(t, at_reduce_finish(r));
    MPI_CHECK(t, memcmp(out, want, N * sizeof *out) == 0);
    at_reduce_destroy(r);
  }
}

/* twophase, star, gather and auto are one thing where the mean travels as floats; auto takes the cheaper. */
static void automatic_choice_is_free(mpi_test *t) {
  const at_algorithm all[] = {AT_ALGORITHM_twophase, AT_ALGORITHM_star, AT_ALGORITHM_gather, AT_ALGORITHM_auto};
  const at_codec_cfg *codecs[] = {&topk, &f32};
  for (int k = 0; k < 2; k++) {
    for (int a = 0; a < 4; a++) {
      at_reduce_cfg cfg = rig_config(codecs[k], all[a], 4096);
      cfg.down = f32;
      at_reduce *r = create(t, &cfg, MOST);
      MPI_CHECK_OK(t, rig_round(r, t->world, BLOCKS, 9, 0, MOST, x, a == 0 ? want : out));
      MPI_CHECK(t, a == 0 || memcmp(out, want, MOST * sizeof *out) == 0);
      if (all[a] == AT_ALGORITHM_auto) {
        const int chosen = at_reduce_get_report(r).algorithm;
        MPI_CHECK(t, chosen == (k == 0 ? AT_ALGORITHM_gather : AT_ALGORITHM_twophase));
      }
      at_reduce_destroy(r);
    }
  }
}

/* Ranks in reverse order: integers and two-phase do not care. */
static void order_of_ranks_is_free(mpi_test *t) {
  enum { N = 3000 };
  static float integers[N];
  at_comm *reversed = NULL;
  MPI_REQUIRE_OK(t, at_comm_split(t->world, 0, -t->rank, &reversed));
  MPI_CHECK(t, at_comm_rank(reversed) == t->size - 1 - t->rank);
  const at_algorithm all[] = {AT_ALGORITHM_twophase, AT_ALGORITHM_integer, AT_ALGORITHM_allreduce};
  for (int a = 0; a < 3; a++) {
    const at_reduce_cfg cfg = rig_config(&int8, all[a], 256);
    at_reduce *r = create(t, &cfg, N), *s = create_on(t, reversed, &cfg, N, CLIENTS);
    MPI_CHECK_OK(t, rig_round(r, t->world, ROUND_ROBIN, 9, 0, N, x, want));
    MPI_CHECK_OK(t, rig_round(s, reversed, BLOCKS, 9, 0, N, x, out));
    MPI_CHECK(t, memcmp(out, want, N * sizeof *out) == 0);
    if (all[a] == AT_ALGORITHM_integer) {
      memcpy(integers, out, sizeof integers);
    }
    at_reduce_destroy(r);
    at_reduce_destroy(s);
  }
  MPI_CHECK(t, memcmp(out, integers, sizeof integers) == 0); /* nor do integers care how they are added */
  at_comm_destroy(reversed);
}

static void small_vectors_go_raw(mpi_test *t) {
  enum { N = 1000 };
  at_reduce_cfg cfg = rig_config(&sign, AT_ALGORITHM_ring, 256);
  cfg.raw_below = 4 * N + 1;
  at_reduce *r = create(t, &cfg, N);
  MPI_CHECK(t, at_reduce_config(r)->up.kind == AT_CODEC_f32 && at_reduce_config(r)->algorithm == AT_ALGORITHM_auto);
  at_reduce_destroy(r);
  cfg.raw_below = 4 * N;
  r = create(t, &cfg, N);
  MPI_CHECK(t, at_reduce_config(r)->up.kind == AT_CODEC_sign);
  at_reduce_destroy(r);
}

/* Pieces by codec: about 32 KiB each, and 32 of them where the vector allows it. */
static void pieces_fit_the_wire(mpi_test *t) {
  const at_codec_cfg *codecs[] = {&f32, &int8, &int4, &sign, &topk};
  const int64_t sizes[] = {100, 100000, 3000000, 400000000};
  for (int k = 0; k < 5; k++) {
    for (int i = 0; i < 4; i++) {
      at_reduce_cfg cfg = rig_config(codecs[k], AT_ALGORITHM_twophase, 0);
      MPI_CHECK_OK(t, at_reduce_resolve(&cfg, sizes[i]));
      const int64_t bytes = at_codec_bytes(&cfg.up, cfg.chunk, NULL);
      MPI_CHECK(t, cfg.chunk % 4096 == 0 && cfg.chunk >= 4096 && bytes <= 32768 + 200);
      MPI_CHECK(t, cfg.chunk == 4096 || sizes[i] / cfg.chunk >= 32);
      MPI_CHECK(t, i < 3 || bytes > 24000 || cfg.chunk == 1 << 20);
    }
  }
}

typedef struct run_cfg {
  at_reduce_cfg outer;
} run_cfg;

/* Options: presets, what they resolve to, and what is refused by its key. */
static void options_resolve(mpi_test *t) {
  static const at_opt rows[] = {AT_REDUCE_OPTIONS(run_cfg, outer, "outer", "int8")};
  static const at_opt_table table = AT_OPT_TABLE("Exchange", rows);
  static const struct {
    const char *set[3], *complaint; /* complaint NULL: fine */
    bool feedback, server_feedback;
  } cases[] = {
      {{NULL}, NULL, true, true},
      {{"outer.up.codec=qsgd"}, NULL, false, true},
      {{"outer.up.codec=int4", "outer.up.rounding=stochastic", "outer.down.codec=f32"}, NULL, false, false},
      {{"outer.algorithm=ring"}, NULL, false, false},
      {{"outer.feedback=false", "outer.up.block=64"}, NULL, false, true},
      {{"outer.algorithm=ring", "outer.feedback=true"}, "outer.algorithm", false, false},
      {{"outer.up.ratio=0.1"}, "outer.up.ratio", false, false},
      {{"outer.algorithm=integer", "outer.up.codec=sign"}, "do not add", false, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    at_opts *set = NULL;
    run_cfg cfg;
    MPI_CHECK_OK(t, at_opts_create(&set));
    MPI_CHECK_OK(t, at_opts_add(set, &table, &cfg));
    for (int k = 0; k < 3 && cases[i].set[k] != NULL; k++) {
      MPI_CHECK_OK(t, at_opts_set(set, cases[i].set[k]));
    }
    if (cases[i].complaint != NULL) {
      MPI_CHECK_FAILS(t, AT_ERR_CONFIG, cases[i].complaint, at_reduce_options_check(set, "outer", &cfg.outer, 100000));
    } else {
      MPI_CHECK_OK(t, at_reduce_options_check(set, "outer", &cfg.outer, 100000));
      MPI_CHECK(t, cfg.outer.feedback == cases[i].feedback && cfg.outer.server_feedback == cases[i].server_feedback);
    }
    at_opts_destroy(set);
  }
}

static void refuse(mpi_test *t, at_reduce_cfg cfg, const char *complaint) {
  const int64_t offsets[2] = {0, 100};
  at_reduce *r = NULL;
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, complaint, at_reduce_create(&r, t->world, &kernels, &cfg, 1, offsets, 1));
  MPI_CHECK(t, r == NULL);
}

static void refuses_what_does_not_fit(mpi_test *t) {
  const at_codec_cfg dgc = {.kind = AT_CODEC_dgc, .ratio = 0.1, .value = AT_VALUE_F32, .momentum = 0.9};
  const at_codec_cfg power = {.kind = AT_CODEC_powersgd, .rank = 1},
                     wild = {.kind = AT_CODEC_bounded, .bound = 1, .bound_kind = AT_BOUND_RELATIVE};
  at_reduce_cfg cfg = rig_config(&int8, AT_ALGORITHM_ring, 256);
  cfg.feedback = true;
  refuse(t, cfg, "cannot mend what hops lose");
  refuse(t, rig_config(&sign, AT_ALGORITHM_integer, 256), "codes of sign do not add");
  refuse(t, rig_config(&wild, AT_ALGORITHM_integer, 256), "absolute bound");
  refuse(t, rig_config(&power, AT_ALGORITHM_twophase, 256), "at_low_rank_create");
  refuse(t, rig_config(&dgc, AT_ALGORITHM_twophase, 256), "cannot carry the mean");
  cfg = rig_config(&dgc, AT_ALGORITHM_twophase, 256);
  cfg.down = f32;
  refuse(t, cfg, "dgc without feedback");
  cfg = rig_config(&int8, AT_ALGORITHM_tree, 256);
  cfg.fan_in = 1;
  refuse(t, cfg, "fan_in = 1");
  refuse(t, rig_config(&int8, AT_ALGORITHM_twophase, 100), "multiple of 64");
  cfg = rig_config(&bf16, AT_ALGORITHM_twophase, 256);
  cfg.feedback = true;
  cfg.decay = 2.0;
  refuse(t, cfg, "decay = 2");
}

int main(int argc, char **argv) {
  at_kernels_init(&kernels, at_isa_detect());
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(a_broken_owner_rule_shows), MPI_CASE(bytes_are_the_formulas),
                       MPI_CASE(ranks_move_what_is_counted), MPI_CASE(the_rest_counts), MPI_CASE(nobody_gives_zeros),
                       MPI_CASE(skipping_leaves_everything), MPI_CASE(misuse_is_everybodys),
                       MPI_CASE(resumes_bit_for_bit), MPI_CASE(polls_to_the_end), MPI_CASE(automatic_choice_is_free),
                       MPI_CASE(order_of_ranks_is_free), MPI_CASE(small_vectors_go_raw), MPI_CASE(pieces_fit_the_wire),
                       MPI_CASE(options_resolve), MPI_CASE(refuses_what_does_not_fit));
}
