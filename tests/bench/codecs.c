/* SPDX-License-Identifier: BSD-3-Clause */
/* How fast codecs are on one core: frames of 65536 elements out of a vector that no cache holds, and back.
 *
 *     build/tests/bench/codecs [elements] [repeats]
 * Rates are in bytes of the floats; the last columns compare with memcpy of as many bytes, measured in between.  Each figure is the
 * best of the repeats. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/rng.h"
#include "src/comm/codec/frame.h"
#include "tests/unit/codec_cases.h"

typedef struct bench {
  int64_t n;
  int repeats;
  float *x, *y;
  uint8_t *frames;
  int64_t *bytes; /* of each frame */
  at_cut *cut;
  at_kernels kernels;
  double copy_s;
} bench;

enum { CHUNK = 65536 };

static double smaller(double a, double b) {
  return a < b ? a : b;
}

static void measure_copy(bench *b) {
  const double begin = at_clock_now_s();
  memcpy(b->y, b->x, (size_t)b->n * sizeof *b->y);
  b->copy_s = smaller(b->copy_s, at_clock_now_s() - begin);
}

/* Encode all pieces, one after the other into `frames`; returns the bytes. */
static int64_t encode(bench *b, at_codec *c) {
  const at_code_key key = {.seed = 1};
  int64_t bytes = 0;
  for (int64_t p = 0; p < b->cut->n_pieces; p++) {
    const at_piece shape = at_cut_piece(b->cut, p);
    b->bytes[p] = at_frame_encode(c, &key, &shape, b->x + shape.first, b->frames + bytes);
    bytes += b->bytes[p];
  }
  return bytes;
}

static at_err decode(bench *b, at_codec *c, bool add) {
  const at_code_key key = {.seed = 1};
  int64_t at = 0;
  for (int64_t p = 0; p < b->cut->n_pieces; p++) {
    const at_piece shape = at_cut_piece(b->cut, p);
    float *y = b->y + shape.first;
    AT_TRY(add ? at_frame_add(c, &key, &shape, b->frames + at, b->bytes[p], 0.25f, y)
               : at_frame_decode(c, &key, &shape, b->frames + at, b->bytes[p], y));
    at += b->bytes[p];
  }
  return AT_OK;
}

static at_err run(bench *b, const codec_case *k) {
  at_codec_cfg cfg = k->cfg;
  at_codec *c = NULL;
  AT_TRY(at_codec_resolve(&cfg));
  cfg.start = 0;
  AT_TRY(at_codec_create(&c, &cfg, &b->kernels, CHUNK));
  double best[3] = {1e30, 1e30, 1e30};
  int64_t bytes = 0;
  at_err err = AT_OK;
  for (int r = 0; r < b->repeats && err == AT_OK; r++) {
    measure_copy(b);
    double t[4] = {at_clock_now_s()};
    bytes = encode(b, c);
    t[1] = at_clock_now_s();
    err = decode(b, c, false);
    t[2] = at_clock_now_s();
    err = err == AT_OK ? decode(b, c, true) : err;
    t[3] = at_clock_now_s();
    for (int i = 0; i < 3; i++) {
      best[i] = smaller(best[i], t[i + 1] - t[i]);
    }
  }
  const double gb = 4e-9 * (double)b->n;
  printf("%-18s %8.3f %8.2f %8.2f %8.2f %7.0f %% %7.0f %% %7.0f %%\n", k->label, 8.0 * (double)bytes / (double)b->n,
         gb / best[0], gb / best[1], gb / best[2], 100 * b->copy_s / best[0], 100 * b->copy_s / best[1],
         100 * b->copy_s / best[2]);
  at_codec_destroy(c);
  return err;
}

static at_err run_all(bench *b) {
  const int64_t offsets[2] = {0, b->n};
  AT_TRY(at_cut_create(&b->cut, 1, offsets, CHUNK));
  AT_TRY(at_alloc(&b->x, (size_t)b->n, sizeof *b->x, "vector"));
  AT_TRY(at_alloc(&b->y, (size_t)b->n, sizeof *b->y, "vector"));
  AT_TRY(at_alloc(&b->frames, (size_t)(5 * b->n + 65536), 1, "frames"));
  AT_TRY(at_alloc(&b->bytes, (size_t)b->cut->n_pieces, sizeof *b->bytes, "frames"));
  const at_stream s = {.seed = 1, .purpose = AT_RNG_TEST};
  at_rng_fill_normal(&s, 0, 1e-3, b->x, b->n);
  memset(b->frames, 1, (size_t)(5 * b->n));
  measure_copy(b);
  printf("%s, %lld elements, pieces of %d, best of %d\n", b->kernels.isa_name, (long long)b->n, CHUNK, b->repeats);
  printf("%-18s %8s %8s %8s %8s %9s %9s %9s\n", "codec", "bits", "encode", "decode", "add", "of memcpy", "", "");
  printf("%-18s %8s %8s %8s %8s %9s %9s %9s\n", "", "/element", "GB/s", "GB/s", "GB/s", "encode", "decode", "add");
  static const codec_case more = {"int8 f32", {.kind = AT_CODEC_int8, .scale = AT_SCALE_F32}};
  AT_TRY(run(b, &more));
  for (int i = 0; i < CODEC_CASES; i++) {
    AT_TRY(run(b, &codec_cases[i]));
  }
  printf("memcpy             %35.2f GB/s\n", 4e-9 * (double)b->n / b->copy_s);
  return AT_OK;
}

int main(int argc, char **argv) {
  bench b = {.n = argc > 1 ? atoll(argv[1]) : 1 << 24, .repeats = argc > 2 ? atoi(argv[2]) : 5, .copy_s = 1e30};
  const char *isa = getenv("ATOLL_ISA");
  at_isa level = at_isa_detect();
  if (isa != NULL && at_isa_from_name(isa, &level) != 0) {
    fprintf(stderr, "ATOLL_ISA = %s: not a level\n", isa);
    return 2;
  }
  at_kernels_init(&b.kernels, level);
  const at_err err = run_all(&b);
  if (err != AT_OK) {
    fprintf(stderr, "%s: %s\n", at_err_name(err), at_err_message());
  }
  at_cut_destroy(b.cut);
  at_free(b.x);
  at_free(b.y);
  at_free(b.frames);
  at_free(b.bytes);
  return at_err_exit_code(err);
}
