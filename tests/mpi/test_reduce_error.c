/* SPDX-License-Identifier: BSD-3-Clause */
/* Reductions: how far the mean is from the true one, by codec and algorithm, and what does not overflow. */
#include "tests/mpi/reduce_rig.h"

enum { MOST = 16384, CLIENTS = 64 };
static at_kernels kernels;
static float x[MOST], out[MOST], want[MOST];
static const at_codec_cfg f32 = {.kind = AT_CODEC_f32}, int8 = {.kind = AT_CODEC_int8, .scale = AT_SCALE_F32},
                          int4 = {.kind = AT_CODEC_int4}, fp16 = {.kind = AT_CODEC_fp16};

static at_reduce *create_on(mpi_test *t, at_comm *comm, const at_reduce_cfg *cfg, int64_t n, int64_t slots) {
  at_reduce *r = NULL;
  const int64_t offsets[2] = {0, n};
  MPI_CHECK_OK(t, at_reduce_create(&r, comm, &kernels, cfg, 1, offsets, slots));
  return r;
}

static at_reduce *create(mpi_test *t, const at_reduce_cfg *cfg, int64_t n) {
  return create_on(t, t->world, cfg, n, CLIENTS);
}

/* Sums of p clients' vectors and of their magnitudes, in double. */
static void reference(int64_t p, int64_t n, double *sum, double *size) {
  for (int64_t i = 0; i < n; i++) {
    sum[i] = size[i] = 0;
  }
  for (int64_t c = 0; c < p; c++) {
    rig_vector(c, 0, n, x);
    for (int64_t i = 0; i < n; i++) {
      sum[i] += (double)x[i];
      size[i] += fabs((double)x[i]);
    }
  }
}

static void floats_are_within_rounding(mpi_test *t) {
  enum { N = 2000 };
  static double sum[N], size[N];
  const at_algorithm all[] = {AT_ALGORITHM_twophase, AT_ALGORITHM_star,     AT_ALGORITHM_gather,
                              AT_ALGORITHM_ring,     AT_ALGORITHM_doubling, AT_ALGORITHM_tree};
  const int64_t ps[] = {2, 5, 16, 64};
  for (int a = 0; a < 6; a++) {
    const at_reduce_cfg cfg = rig_config(&f32, all[a], 512);
    at_reduce *r = create(t, &cfg, N);
    for (int k = 0; k < (all[a] == AT_ALGORITHM_ring ? 3 : 4); k++) {
      const double p = (double)ps[k];
      reference(ps[k], N, sum, size);
      MPI_CHECK_OK(t, rig_round(r, t->world, BLOCKS, ps[k], 0, N, x, out));
      for (int i = 0; i < N; i++) {
        MPI_CHECK(t, fabs((double)out[i] * p - sum[i]) <= p * 0x1p-24 * size[i] + 2 * 0x1p-24 * fabs(sum[i]));
      }
    }
    at_reduce_destroy(r);
  }
}

/* Half a step of each block of v, as the codec would choose it; top as of at_block. */
static void half_steps(int64_t n, int64_t block, double top, const float *v, double *eps) {
  for (int64_t i = 0; i < n; i += block) {
    double most = 0;
    for (int64_t k = i; k < n && k < i + block; k++) {
      most = fmax(most, fabs((double)v[k]));
    }
    for (int64_t k = i; k < n && k < i + block; k++) {
      eps[k] += 0.5 * most / top * (1 + 0x1p-7);
    }
  }
}

/* Two-phase: at most the mean error of the inputs and that of the mean, however many clients. */
static void twophase_quantises_twice(mpi_test *t) {
  enum { N = 2048 };
  static double sum[N], size[N], in[N], last[N];
  const at_codec_cfg *codecs[] = {&int8, &int4};
  for (int k = 0; k < 2; k++) {
    const int64_t block = codecs[k] == &int8 ? 256 : 32;
    const double top = codecs[k] == &int8 ? 127 : 7;
    const at_reduce_cfg cfg = rig_config(codecs[k], AT_ALGORITHM_twophase, 512);
    at_reduce *r = create(t, &cfg, N);
    for (int64_t p = 1; p <= 64; p *= 4) {
      memset(in, 0, sizeof in);
      memset(last, 0, sizeof last);
      for (int64_t c = 0; c < p; c++) {
        rig_vector(c, 0, N, x);
        half_steps(N, block, top, x, in);
      }
      reference(p, N, sum, size);
      for (int i = 0; i < N; i++) {
        in[i] /= (double)p;
        want[i] = (float)(fabs(sum[i]) / (double)p + in[i]);
      }
      half_steps(N, block, top, want, last);
      MPI_CHECK_OK(t, rig_round(r, t->world, ROUND_ROBIN, p, 0, N, x, out));
      for (int i = 0; i < N; i++) {
        MPI_CHECK(t, fabs((double)out[i] - sum[i] / (double)p) <= in[i] + last[i] + 1e-6);
      }
    }
    at_reduce_destroy(r);
  }
}

/* Root of the mean square error of the mean of p clients with int8; aligned: they have one vector but for a tenth of noise. */
static double rms(mpi_test *t, at_algorithm a, int64_t p, bool aligned) {
  const at_reduce_cfg cfg = rig_config(&int8, a, 4096);
  at_reduce *r = create(t, &cfg, MOST);
  static double sum[MOST];
  memset(sum, 0, sizeof sum);
  at_reduce_begin(r, 0, p);
  for (int64_t c = 0; c < p; c++) {
    const at_stream own = {.seed = 3, .client = (uint64_t)c, .purpose = AT_RNG_TEST};
    const at_stream common = {.seed = 4, .purpose = AT_RNG_TEST};
    at_rng_fill_normal(&own, 0, aligned ? 0.1 : 1, x, MOST);
    at_rng_fill_normal(&common, 0, aligned ? 1 : 0, want, MOST);
    for (int i = 0; i < MOST; i++) {
      x[i] += want[i];
      sum[i] += (double)x[i] / (double)p;
    }
    if (rig_rank(BLOCKS, c, p, t->size) == t->rank) {
      at_reduce_add(r, c, 1.0, x);
    }
  }
  MPI_CHECK_OK(t, at_reduce_run(r, out));
  double error = 0;
  for (int i = 0; i < MOST; i++) {
    error += pow((double)out[i] - sum[i], 2) / MOST;
  }
  at_reduce_destroy(r);
  return sqrt(error);
}

static bool is_about(double got, double want_it) {
  return fabs(got / want_it - 1) < 0.12;
}

/* The figures of int8 with blocks of 256 on vectors of unit variance: what hops cost and two-phase does not. */
static void ring_error_grows(mpi_test *t) {
  const double ring8 = rms(t, AT_ALGORITHM_ring, 8, true), ring8i = rms(t, AT_ALGORITHM_ring, 8, false);
  const double two8 = rms(t, AT_ALGORITHM_twophase, 8, true), two8i = rms(t, AT_ALGORITHM_twophase, 8, false);
  const double two64 = rms(t, AT_ALGORITHM_twophase, 64, true), two64i = rms(t, AT_ALGORITHM_twophase, 64, false);
  const double ring32 = rms(t, AT_ALGORITHM_ring, 32, true);
  if (t->rank == 0) {
    printf("[   LINE   ] --- rms of the mean, P = 8: ring %.4f aligned, %.4f independent; two-phase %.4f, %.4f;\n"
           "[   LINE   ] --- P = 64: two-phase %.4f, %.4f; P = 32: ring %.4f aligned\n",
           ring8, ring8i, two8, two8i, two64, two64i, ring32);
  }
  MPI_CHECK(t, is_about(ring8, 0.012) && is_about(ring8i, 0.0053));
  MPI_CHECK(t,
            is_about(two8, 0.0071) && is_about(two8i, 0.0037) && is_about(two64, 0.0065) && is_about(two64i, 0.0013));
  MPI_CHECK(t, ring32 > 1.7 * ring8 && two64 <= two8);
}

/* Integer sums and two-phase of the same codec come out close, and the integers' error is one quantisation. */
static void integers_quantise_once(mpi_test *t) {
  enum { N = 2048 };
  static double sum[N], size[N];
  const at_reduce_cfg cfg = rig_config(&int8, AT_ALGORITHM_integer, 512);
  at_reduce *r = create(t, &cfg, N);
  MPI_CHECK_OK(t, rig_round(r, t->world, ROUND_ROBIN, 8, 0, N, x, out));
  reference(8, N, sum, size);
  float most = 0;
  for (int64_t c = 0; c < 8; c++) {
    rig_vector(c, 0, N, x);
    for (int i = 0; i < N; i++) {
      most = fmaxf(most, fabsf(x[i]));
    }
  }
  for (int i = 0; i < N; i++) {
    MPI_CHECK(t, fabs((double)out[i] - sum[i] / 8) <= 0.5 * (double)most / 127 * (1 + 1e-3));
  }
  at_reduce_destroy(r);
}

/* ---- overflow ---- */

static void fp16_does_not_overflow(mpi_test *t) {
  enum { N = 1000 };
  const at_algorithm all[] = {AT_ALGORITHM_twophase, AT_ALGORITHM_ring, AT_ALGORITHM_doubling, AT_ALGORITHM_tree};
  for (int a = 0; a < 4; a++) {
    const at_reduce_cfg cfg = rig_config(&fp16, all[a], 512);
    at_reduce *r = create(t, &cfg, N);
    at_reduce_begin(r, 0, 64);
    for (int64_t c = 0; c < 64; c++) {
      for (int i = 0; i < N; i++) {
        x[i] = i % 2 == 0 ? 6e4f : 1e-3f;
      }
      if (rig_rank(BLOCKS, c, 64, t->size) == t->rank) {
        at_reduce_add(r, c, 1.0, x);
      }
    }
    MPI_CHECK_OK(t, at_reduce_run(r, out));
    for (int i = 0; i < N; i++) {
      MPI_CHECK(t, fabsf(out[i] / (i % 2 == 0 ? 6e4f : 1e-3f) - 1) < 0x1p-9f);
    }
    MPI_CHECK(t, at_reduce_get_report(r).saturated == 0);
    at_reduce_destroy(r);
  }
}

static void containers_hold_their_sums(mpi_test *t) {
  enum { N = 64, MANY = 259 };
  at_reduce_cfg cfg = rig_config(&int8, AT_ALGORITHM_integer, 64);
  cfg.container = AT_CONTAINER_I16;
  at_reduce *r = create_on(t, t->world, &cfg, N, MANY);
  for (int i = 0; i < N; i++) {
    out[i] = 7.0f;
  }
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "at most 258", rig_round(r, t->world, BLOCKS, MANY, 0, N, x, out));
  MPI_CHECK(t, out[0] == 7.0f);
  MPI_CHECK_OK(t, rig_round(r, t->world, BLOCKS, MANY - 1, 1, N, x, out)); /* 258 still fit, and it recovered */
  at_reduce_destroy(r);
  cfg.container = AT_CONTAINER_AUTO;
  r = create_on(t, t->world, &cfg, N, MANY);
  for (int k = 0; k < 2; k++) { /* all codes at their largest: 16 bits up to 258 clients, 32 beyond */
    const int64_t p = MANY - 1 + k;
    at_reduce_begin(r, k, p);
    for (int64_t c = 0; c < p; c++) {
      for (int i = 0; i < N; i++) {
        x[i] = i % 2 == 0 ? 1.0f : -1.0f;
      }
      if (rig_rank(BLOCKS, c, p, t->size) == t->rank) {
        at_reduce_add(r, c, 1.0, x);
      }
    }
    MPI_CHECK_OK(t, at_reduce_run(r, out));
    MPI_CHECK(t, fabsf(out[0] - 1) < 1e-4f && out[1] == -out[0]);
  }
  at_reduce_destroy(r);
}

static void bounded_sums_must_fit(mpi_test *t) {
  const at_codec_cfg bounded = {.kind = AT_CODEC_bounded, .bound = 1e-3};
  const at_reduce_cfg cfg = rig_config(&bounded, AT_ALGORITHM_integer, 64);
  at_reduce *r = create(t, &cfg, 100);
  MPI_CHECK_OK(t, rig_round(r, t->world, ROUND_ROBIN, 7, 0, 100, x, out));
  static double sum[100], size[100];
  reference(7, 100, sum, size);
  for (int i = 0; i < 100; i++) {
    MPI_CHECK(t, fabs((double)out[i] - sum[i] / 7) <= 1e-3 * (1 + 1e-6));
  }
  at_reduce_begin(r, 1, 2);
  for (int i = 0; i < 100; i++) {
    x[i] = 1e7f;
  }
  if (t->rank == t->size - 1) {
    at_reduce_add(r, 1, 1.0, x);
  }
  MPI_CHECK_FAILS(t, AT_ERR_OVERFLOW, "take a larger bound", at_reduce_run(r, out));
  at_reduce_destroy(r);
}

int main(int argc, char **argv) {
  at_kernels_init(&kernels, at_isa_detect());
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(floats_are_within_rounding), MPI_CASE(twophase_quantises_twice),
                       MPI_CASE(ring_error_grows), MPI_CASE(integers_quantise_once), MPI_CASE(fp16_does_not_overflow),
                       MPI_CASE(containers_hold_their_sums), MPI_CASE(bounded_sums_must_fit));
}
