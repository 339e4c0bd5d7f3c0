/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run of a program costs beside its kernels, and what threads bring.
 *
 * Microseconds of one run: the best of many series, which other processes disturbed least. */
#include <stdio.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/isa.h"
#include "src/graph/ops.h"

enum { RUNS = 1000, SERIES = 200 };

/* A program of `nodes` additions of two scalars, or with wide = 1 of rows that threads share. */
static at_err compile(const at_kernels *k, int nodes, int64_t wide, at_program **p) {
  at_graph *g;
  AT_TRY(at_graph_create(&g, AT_F32));
  at_val x = at_graph_input(g, "x", AT_F32, AT_SHAPE(wide, wide)), y = x;
  for (int i = 0; i < nodes; i++) {
    y = wide == 1 ? at_add(g, y, x) : at_matmul(g, y, x, false, false);
  }
  const at_output out = {.value = nodes > 0 ? y : AT_NONE, .slot = AT_SLOT_OUT, .count = 0};
  at_err err = at_program_compile(p, g, k, &out, 1);
  at_graph_destroy(g);
  return err;
}

static at_err measure(const at_kernels *k, int nodes, int64_t wide, double *best_us) {
  at_program *p;
  void *arena = NULL;
  float *x = NULL;
  AT_TRY(compile(k, nodes, wide, &p));
  at_err err = at_alloc(&arena, at_program_arena_bytes(p) + 1, 1, "bench");
  if (err == AT_OK) {
    err = at_alloc(&x, 2 * (size_t)(wide * wide), sizeof *x, "bench");
  }
  *best_us = 1e30;
  const int runs = wide == 1 ? RUNS : 1;
  for (int s = 0; err == AT_OK && s < SERIES; s++) {
    const at_bind b = {.in = {x}, .out = {x + wide * wide}, .arena = arena};
    double start = at_clock_now_s();
    for (int r = 0; r < runs; r++) {
      at_program_run(p, &b, NULL, NULL);
    }
    double us = (at_clock_now_s() - start) * 1e6 / runs;
    *best_us = us < *best_us ? us : *best_us;
  }
  at_free(arena);
  at_free(x);
  at_program_destroy(p);
  return err;
}

static at_err bench(at_isa isa) {
  static at_kernels k;
  double empty, ten, product[2];
  at_kernels_init(&k, isa);
  AT_TRY(measure(&k, 0, 1, &empty));
  AT_TRY(measure(&k, 10, 1, &ten));
  printf("isa %s\nempty program                        %9.3f us a run\n", k.isa_name, empty);
  printf("10 additions of scalars              %9.3f us, %.3f us each\n", ten, (ten - empty) / 10);
  for (int threads = 1; threads <= 2; threads++) {
    k.threads = threads;
    AT_TRY(measure(&k, 0, 1, &empty));
    AT_TRY(measure(&k, 2, 768, &product[threads - 1]));
    printf("%d thread(s): empty %.3f us; two products of n = 768: %.0f us\n", threads, empty, product[threads - 1]);
  }
  printf("2 threads are %.2fx as fast as one\n", product[0] / product[1]);
  return AT_OK;
}

int main(int argc, char **argv) {
  (void)argc;
  at_pin pin;
  at_err err = at_isa_pin(argv, &pin);
  if (err == AT_OK) {
    err = bench(pin.isa);
  }
  if (err != AT_OK) {
    fprintf(stderr, "%s\n", at_err_message());
  }
  return at_err_exit_code(err);
}
