/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiling and running some values of a graph once, on reference kernels, in f64. */
#ifndef AT_TESTS_GRAPH_RUN_H
#define AT_TESTS_GRAPH_RUN_H

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/graph/ops.h"
#include "tests/unit/unit.h"

/* All parameters normal with deviation sd, from a fixed stream.  Returns an array that the caller frees with at_free. */
static inline double *random_params(const at_graph *g, double sd) {
  int64_t n = at_graph_params(g)->count;
  double *theta;
  assert_ok(at_alloc(&theta, (size_t)n, sizeof *theta, "test"));
  at_stream s = {.seed = 11, .purpose = AT_RNG_TEST};
  for (int64_t i = 0; i < n; i++) {
    theta[i] = sd * at_rng_normal(&s, (uint64_t)i);
  }
  return theta;
}

/* result[k] receives value[k] (AT_NONE: left alone), one program for all; inputs may be NULL. */
static inline void run_values(at_graph *g, const at_val *value, int n, const double *theta, const void *const *inputs,
                              int n_inputs, void *const *result) {
  static at_kernels kernels;
  at_output outs[AT_BIND_OUT];
  at_bind b = {.param = theta};
  int used = 0;
  assert_ok(at_graph_status(g));
  assert_true(n <= AT_BIND_OUT);
  at_kernels_init(&kernels, AT_ISA_REF);
  for (int k = 0; k < n; k++) {
    if (value[k] != AT_NONE) {
      outs[used++] = (at_output){.value = value[k], .slot = AT_SLOT_OUT, .index = k};
    }
    b.out[k] = result[k];
  }
  for (int k = 0; k < n_inputs; k++) {
    b.in[k] = inputs[k];
  }
  at_program *p;
  assert_ok(at_program_compile(&p, g, &kernels, outs, used));
  assert_ok(at_alloc(&b.arena, at_program_arena_bytes(p), 1, "test"));
  at_program_run(p, &b, NULL, NULL);
  at_program_destroy(p);
  at_free(b.arena);
}

/* One list of values, laid one behind the other in `result`; an AT_NONE gives `count[k]` zeros. */
static inline void run_list(at_graph *g, const at_val *value, const int64_t *count, int n, const double *theta,
                            double *result) {
  static at_kernels kernels;
  at_output *outs;
  at_program *p;
  int64_t at = 0;
  assert_ok(at_graph_status(g));
  at_kernels_init(&kernels, AT_ISA_REF);
  assert_ok(at_alloc(&outs, (size_t)n, sizeof *outs, "test"));
  for (int k = 0; k < n; k++) {
    outs[k] = (at_output){.value = value[k], .slot = AT_SLOT_GRAD, .offset = at, .count = count[k]};
    at += count[k];
  }
  at_bind b = {.param = theta, .grad = result};
  assert_ok(at_program_compile(&p, g, &kernels, outs, n));
  assert_ok(at_alloc(&b.arena, at_program_arena_bytes(p), 1, "test"));
  at_program_run(p, &b, NULL, NULL);
  at_program_destroy(p);
  at_free(b.arena);
  at_free(outs);
}

#endif
