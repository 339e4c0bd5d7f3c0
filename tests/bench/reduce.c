/* SPDX-License-Identifier: BSD-3-Clause */
/* How long a mean over ranks takes by codec and algorithm, against MPI_Allreduce of the floats.
 *
 *     mpirun -n 4 build/tests/bench/reduce [elements] [repeats] [chunk] [bytes/s of a link]
 * One client a rank, its vector lent.  Times are medians of the repeats, from a barrier to the slowest rank's end.  With a link's rate
 * the last column compares with what rank 0 sent, or received, over that rate. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/rng.h"
#include "src/comm/collective/reduce.h"

typedef struct bench {
  at_comm *world;
  at_kernels kernels;
  int64_t n, chunk;
  int repeats;
  double link_Bps;
  float *x, *out;
  double allreduce_s;
} bench;

enum { MOST_REPEATS = 101 };

typedef struct row {
  const char *label;
  at_codec_cfg up, down;
  at_algorithm algorithm;
} row;

#define TOPK \
  { .kind = AT_CODEC_topk, .ratio = 0.01, .index = AT_INDEX_GAPS, .value = AT_VALUE_F16 }
static const row rows[] = {
    {"f32", {.kind = AT_CODEC_f32}, {.kind = AT_CODEC_f32}, AT_ALGORITHM_twophase},
    {"bf16", {.kind = AT_CODEC_bf16}, {.kind = AT_CODEC_bf16}, AT_ALGORITHM_twophase},
    {"int8", {.kind = AT_CODEC_int8}, {.kind = AT_CODEC_int8}, AT_ALGORITHM_twophase},
    {"int8", {.kind = AT_CODEC_int8}, {.kind = AT_CODEC_int8}, AT_ALGORITHM_ring},
    {"int8", {.kind = AT_CODEC_int8}, {.kind = AT_CODEC_int8}, AT_ALGORITHM_doubling},
    {"int8", {.kind = AT_CODEC_int8}, {.kind = AT_CODEC_int8}, AT_ALGORITHM_star},
    {"int8", {.kind = AT_CODEC_int8}, {.kind = AT_CODEC_int8}, AT_ALGORITHM_integer},
    {"int8", {.kind = AT_CODEC_int8}, {.kind = AT_CODEC_int8}, AT_ALGORITHM_allreduce},
    {"int4", {.kind = AT_CODEC_int4, .block = 64}, {.kind = AT_CODEC_int4, .block = 64}, AT_ALGORITHM_twophase},
    {"e3m0", {.kind = AT_CODEC_e3m0}, {.kind = AT_CODEC_e3m0}, AT_ALGORITHM_twophase},
    {"sign", {.kind = AT_CODEC_sign}, {.kind = AT_CODEC_sign}, AT_ALGORITHM_twophase},
    {"topk 1 %", TOPK, {.kind = AT_CODEC_f32}, AT_ALGORITHM_gather},
    {"topk 1 %", TOPK, TOPK, AT_ALGORITHM_twophase},
};

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* Seconds of the slowest rank, the median of several runs of `body`. */
static at_err median(bench *b, at_err (*body)(bench *, void *), void *context, double *out) {
  double t[MOST_REPEATS];
  for (int i = 0; i < b->repeats; i++) {
    AT_TRY(at_comm_barrier(b->world));
    const double begin = at_clock_now_s();
    AT_TRY(body(b, context));
    t[i] = at_clock_now_s() - begin;
    AT_TRY(at_comm_allreduce(b->world, AT_COMM_F64, AT_COMM_MAX, &t[i], 1));
  }
  qsort(t, (size_t)b->repeats, sizeof *t, ascending);
  *out = t[b->repeats / 2];
  return AT_OK;
}

static at_err run_allreduce(bench *b, void *context) {
  (void)context;
  memcpy(b->out, b->x, (size_t)b->n * sizeof *b->x);
  return at_comm_allreduce(b->world, AT_COMM_F32, AT_COMM_SUM, b->out, b->n);
}

static at_err run_reduce(bench *b, void *context) {
  at_reduce *r = context;
  at_reduce_begin(r, 0, at_comm_size(b->world));
  at_reduce_lend(r, at_comm_rank(b->world), 1.0, b->x);
  return at_reduce_run(r, b->out);
}

static void print(const bench *b, const char *label, const char *algorithm, double s, int64_t bytes) {
  if (at_comm_rank(b->world) != 0) {
    return;
  }
  printf("%-10s %-10s %10.2f ms %8.2f MB %7.2f x", label, algorithm, 1e3 * s, 1e-6 * (double)bytes, b->allreduce_s / s);
  if (b->link_Bps > 0) {
    printf(" %6.1f %% over bytes/rate", 100 * (s * b->link_Bps / (double)bytes - 1));
  }
  printf("\n");
}

static at_err run_row(bench *b, const row *w) {
  const at_reduce_cfg cfg = {.up = w->up,
                             .down = w->down,
                             .algorithm = (int)w->algorithm,
                             .chunk = b->chunk,
                             .decay = 1.0,
                             .fan_in = 2,
                             .seed = 1};
  const int64_t offsets[2] = {0, b->n};
  at_reduce *r = NULL;
  AT_TRY(at_reduce_create(&r, b->world, &b->kernels, &cfg, 1, offsets, 1));
  double s = 0;
  const at_comm_stats before = at_comm_get_stats(b->world, AT_COMM_REDUCE);
  const at_err err = median(b, run_reduce, r, &s);
  const at_comm_stats after = at_comm_get_stats(b->world, AT_COMM_REDUCE);
  at_reduce_destroy(r);
  AT_TRY(err);
  const int64_t sent = after.bytes_sent - before.bytes_sent, received = after.bytes_recv - before.bytes_recv;
  print(b, w->label, at_algorithm_names[w->algorithm], s, (sent > received ? sent : received) / b->repeats);
  return AT_OK;
}

static at_err run_all(bench *b) {
  AT_TRY(at_alloc(&b->x, (size_t)b->n, sizeof *b->x, "vector"));
  AT_TRY(at_alloc(&b->out, (size_t)b->n, sizeof *b->out, "vector"));
  const at_stream s = {.seed = 1, .client = (uint64_t)at_comm_rank(b->world), .purpose = AT_RNG_TEST};
  at_rng_fill_normal(&s, 0, 1e-3, b->x, b->n);
  at_comm_set_phase(b->world, AT_COMM_REDUCE);
  AT_TRY(median(b, run_allreduce, NULL, &b->allreduce_s));
  if (at_comm_rank(b->world) == 0) {
    printf("%s, %d ranks, %.1f MiB of floats, pieces of %lld (0: by codec), median of %d\n", b->kernels.isa_name,
           at_comm_size(b->world), 4.0 * (double)b->n / (1 << 20), (long long)b->chunk, b->repeats);
  }
  print(b, "MPI", "allreduce", b->allreduce_s, at_comm_allreduce_bytes(4 * b->n, at_comm_size(b->world)));
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    AT_TRY(run_row(b, &rows[i]));
  }
  return AT_OK;
}

int main(int argc, char **argv) {
  bench b = {.n = argc > 1 ? atoll(argv[1]) : 1 << 22,
             .repeats = argc > 2 ? atoi(argv[2]) : 5,
             .chunk = argc > 3 ? atoll(argv[3]) : 0,
             .link_Bps = argc > 4 ? atof(argv[4]) : 0};
  b.repeats = b.repeats < 1 ? 1 : b.repeats > MOST_REPEATS ? MOST_REPEATS : b.repeats;
  at_kernels_init(&b.kernels, at_isa_detect());
  at_err err = at_comm_init(&argc, &argv, &b.world);
  if (err == AT_OK) {
    err = run_all(&b);
  }
  if (err != AT_OK) {
    fprintf(stderr, "%s: %s\n", at_err_name(err), at_err_message());
  }
  at_free(b.x);
  at_free(b.out);
  at_comm_fini(b.world);
  return at_err_exit_code(err);
}
