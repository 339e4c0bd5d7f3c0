/* SPDX-License-Identifier: BSD-3-Clause */
/* PowerSGD over ranks: exact where the mean is of low rank, nothing lost over time, the same bytes on any ranks, and resumed. */
#include "src/comm/collective/low_rank.h"

#include "tests/mpi/reduce_rig.h"

enum { ROWS = 24, COLS = 20, BIAS = 7, N = ROWS * COLS + BIAS, P = 5 };
static const at_matrix tensors[2] = {{ROWS, COLS}, {BIAS, 1}};
static at_kernels kernels;
static float x[N], out[N], want[N];

static at_low_rank *create(mpi_test *t, at_comm *comm, int64_t rank, bool averaged, int64_t start, int inner_kind) {
  at_codec_cfg cfg = {.kind = AT_CODEC_powersgd, .rank = rank, .averaged = averaged, .start = start};
  const at_codec_cfg inner = {.kind = inner_kind};
  const at_reduce_cfg means = rig_config(&inner, AT_ALGORITHM_twophase, 128);
  at_low_rank *l = NULL;
  MPI_CHECK_OK(t, at_low_rank_create(&l, comm, &kernels, &cfg, &means, 2, tensors, P));
  return l;
}

/* Client c's vector: a product of `rank` pairs, the same each round, and its own bias. */
static void low_rank_vector(int64_t c, int64_t rank, float *v) {
  float u[4 * (ROWS + COLS)];
  rig_vector(c, 0, (int64_t)(sizeof u / sizeof *u), u);
  memset(v, 0, N * sizeof *v);
  for (int64_t k = 0; k < rank; k++) {
    for (int i = 0; i < ROWS; i++) {
      for (int j = 0; j < COLS; j++) {
        v[i * COLS + j] += u[k * (ROWS + COLS) + i] * u[k * (ROWS + COLS) + ROWS + j];
      }
    }
  }
  for (int i = 0; i < BIAS; i++) {
    v[ROWS * COLS + i] = (float)(c + i);
  }
}

typedef void (*fill)(int64_t c, int64_t round, float *v);

static void noisy(int64_t c, int64_t round, float *v) {
  rig_vector(c, round, N, v);
}

static at_err run_round(at_low_rank *l, at_comm *comm, rig_place how, int64_t round, fill f, float *mean) {
  at_low_rank_begin(l, round, P);
  for (int64_t c = 0; c < P; c++) {
    if (rig_rank(how, c, P, at_comm_size(comm)) == at_comm_rank(comm)) {
      f(c, round, x);
      at_low_rank_add(l, c, 1.0, x);
    }
  }
  return at_low_rank_finish(l, mean);
}

static void same_rank_two(int64_t c, int64_t round, float *v) {
  (void)c;
  (void)round;
  low_rank_vector(3, 2, v);
}

static void is_exact_on_low_rank(mpi_test *t) {
  at_low_rank *l = create(t, t->world, 2, false, 0, AT_CODEC_f32);
  for (int64_t round = 0; round < 2; round++) {
    MPI_CHECK_OK(t, run_round(l, t->world, BLOCKS, round, same_rank_two, out));
  }
  low_rank_vector(3, 2, want);
  double error = 0, size = 0;
  for (int i = 0; i < N; i++) {
    error += pow((double)out[i] - (double)want[i], 2);
    size += pow((double)want[i], 2);
  }
  MPI_CHECK(t, sqrt(error / size) < 1e-5);
  MPI_CHECK(t, rig_same(t, out, N));
  const at_reduce_report report = at_low_rank_report(l);
  /* Two means of 4 r (rows + columns) bytes beside the bias, both ways, (P-1)/P of each, and headers of one piece each. */
  const int64_t floats = 2 * (ROWS + COLS) + BIAS;
  MPI_CHECK(t, rig_sum(t, report.bytes) == 2 * (P - 1) * (4 * floats + 2 * AT_FRAME_HEADER));
  at_low_rank_destroy(l);
}

/* Over 30 rounds the mean of what came out differs from the mean of what went in by the mean residual alone; in both variants. */
static void loses_nothing_over_time(mpi_test *t) {
  for (int averaged = 0; averaged < 2; averaged++) {
    at_low_rank *l = create(t, t->world, 2, averaged != 0, 0, AT_CODEC_f32);
    static double gap[N];
    static float v[N];
    double size = 0;
    memset(gap, 0, sizeof gap);
    for (int64_t round = 0; round < 30; round++) {
      MPI_CHECK_OK(t, run_round(l, t->world, ROUND_ROBIN, round, noisy, out));
      for (int64_t c = 0; c < P; c++) {
        noisy(c, round, v);
        for (int i = 0; i < N; i++) {
          gap[i] += ((double)out[i] - (double)v[i]) / P;
          size += fabs((double)v[i]) / P / N;
        }
      }
    }
    double residual[N] = {0};
    for (int64_t i = 0; i < at_feedback_count(at_low_rank_memory(l)); i++) {
      for (int k = 0; k < N; k++) {
        residual[k] += (double)at_feedback_get(at_low_rank_memory(l), i)->v[0][k] / P;
      }
    }
    MPI_CHECK_OK(t, at_comm_allreduce(t->world, AT_COMM_F64, AT_COMM_SUM, residual, N));
    for (int i = 0; i < N; i++) {
      MPI_CHECK(t, fabs(gap[i] + residual[i]) < 1e-5 * size);
    }
    at_low_rank_destroy(l);
  }
}

static void zeros(int64_t c, int64_t round, float *v) {
  (void)c;
  (void)round;
  memset(v, 0, N * sizeof *v);
}

static void zeros_stay_zeros(mpi_test *t) {
  at_low_rank *l = create(t, t->world, 3, false, 0, AT_CODEC_f32);
  for (int64_t round = 0; round < 3; round++) {
    MPI_CHECK_OK(t, run_round(l, t->world, LAST, round, zeros, out));
    for (int i = 0; i < N; i++) {
      MPI_CHECK(t, out[i] == 0.0f);
    }
  }
  at_low_rank_destroy(l);
}

static void one_is_broken(int64_t c, int64_t round, float *v) {
  rig_vector(c, round, N, v);
  v[N - 1] = c == 2 ? NAN : v[N - 1];
}

/* The same bytes as on one rank, with 8 bits on top, dense rounds first, and a client that fails in every round. */
static void is_the_same_everywhere(mpi_test *t) {
  at_comm *alone = NULL;
  MPI_REQUIRE_OK(t, at_comm_split(t->world, t->rank, 0, &alone));
  at_low_rank *l = create(t, t->world, 2, false, 2, AT_CODEC_int8), *s = create(t, alone, 2, false, 2, AT_CODEC_int8);
  for (int64_t round = 0; round < 5; round++) {
    MPI_CHECK_OK(t, run_round(l, t->world, ROUND_ROBIN, round, one_is_broken, out));
    MPI_CHECK_OK(t, run_round(s, alone, ROUND_ROBIN, round, one_is_broken, want));
    MPI_CHECK(t, memcmp(out, want, sizeof out) == 0);
    MPI_CHECK(t, at_low_rank_report(l).clients == P - 1 && at_low_rank_report(l).dropped == 1);
    MPI_CHECK(t, rig_same(t, out, N));
  }
  at_low_rank_destroy(l);
  at_low_rank_destroy(s);
  at_comm_destroy(alone);
}

/* Residuals and Q into a new object: it goes on as the old one does. */
static void resumes_bit_for_bit(mpi_test *t) {
  at_low_rank *l = create(t, t->world, 2, false, 0, AT_CODEC_f32), *s = create(t, t->world, 2, false, 0, AT_CODEC_f32);
  for (int64_t round = 0; round < 6; round++) {
    MPI_CHECK_OK(t, run_round(l, t->world, ROUND_ROBIN, round, noisy, out));
    if (round == 2) {
      int64_t count;
      const float *q = at_low_rank_state(l, &count);
      memcpy(at_low_rank_state(s, &count), q, (size_t)count * sizeof *q);
      at_feedback *a = at_low_rank_memory(l), *b = at_low_rank_memory(s);
      for (int64_t i = 0; i < at_feedback_count(a); i++) {
        const at_feedback_row *row = at_feedback_get(a, i);
        MPI_CHECK_OK(t, at_feedback_put(b, at_feedback_layout(a), row->id, row->round, (const float *const *)row->v));
      }
    } else if (round > 2) {
      MPI_CHECK_OK(t, run_round(s, t->world, ROUND_ROBIN, round, noisy, want));
      MPI_CHECK(t, memcmp(out, want, sizeof out) == 0);
    }
  }
  at_low_rank_destroy(l);
  at_low_rank_destroy(s);
}

int main(int argc, char **argv) {
  at_kernels_init(&kernels, at_isa_detect());
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(is_exact_on_low_rank), MPI_CASE(loses_nothing_over_time),
                       MPI_CASE(zeros_stay_zeros), MPI_CASE(is_the_same_everywhere), MPI_CASE(resumes_bit_for_bit));
}
