/* SPDX-License-Identifier: BSD-3-Clause */
/* Element-wise chains that run block by block give the bits of the same operations run whole.
 *
 * Random expressions over long vectors (chained) against the same expressions over short pieces (too short for a chain). */
#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/graph/ops.h"
#include "tests/unit/unit.h"

enum { LONG = 5003, PIECE = 1000, OPS = 14, OUTS = 3 };

static uint64_t draw(uint64_t seed, uint64_t i, uint64_t n) {
  at_stream s = {.seed = seed, .purpose = AT_RNG_TEST};
  return at_rng_below(&s, i, n);
}

static at_val apply(at_graph *g, uint64_t op, at_val a, at_val b) {
  switch (op) {
  case 0:
    return at_add(g, a, b);
  case 1:
    return at_mul(g, a, b);
  case 2:
    return at_sub(g, a, b);
  case 3:
    return at_tanh(g, a);
  case 4:
    return at_silu(g, a);
  case 5:
    return at_affine(g, a, 0.5, -0.25);
  case 6:
    return at_maximum(g, a, b);
  case 7:
    return at_where(g, at_less(g, a, b), b, a);
  default:
    return at_neg(g, a);
  }
}

/* A program over vectors of n: two inputs, a scalar input, OUTS results, one of them from the middle. */
static at_program *compile(uint64_t seed, int64_t n, const at_kernels *k) {
  at_graph *g;
  at_val value[3 + OPS];
  at_output outs[OUTS];
  at_program *p;
  assert_ok(at_graph_create(&g, AT_F32));
  value[0] = at_graph_input(g, "x", AT_F32, AT_SHAPE(n));
  value[1] = at_graph_input(g, "y", AT_F32, AT_SHAPE(n));
  value[2] = at_graph_input(g, "s", AT_F32, AT_SCALAR);
  for (int i = 0; i < OPS; i++) {
    at_val a = value[draw(seed, 10 * (uint64_t)i, 2)], b = value[draw(seed, 10 * (uint64_t)i + 1, (uint64_t)(3 + i))];
    if (i > 0) {
      a = value[3 + draw(seed, 10 * (uint64_t)i + 2, (uint64_t)i)];
    }
    value[3 + i] = apply(g, draw(seed, 10 * (uint64_t)i + 3, 9), a, b);
  }
  for (int i = 0; i < OUTS; i++) {
    outs[i] = (at_output){.value = value[3 + OPS - 1 - 4 * i], .slot = AT_SLOT_OUT, .index = i};
  }
  assert_ok(at_program_compile(&p, g, k, outs, OUTS));
  at_graph_destroy(g);
  return p;
}

static void run(const at_program *p, const float *x, const float *y, float *const out[OUTS], int64_t at) {
  static const float scalar = 0.75f;
  at_bind b = {.in = {x + at, y + at, &scalar}, .out = {out[0] + at, out[1] + at, out[2] + at}};
  assert_ok(at_alloc(&b.arena, at_program_arena_bytes(p), 1, "test"));
  at_program_run(p, &b, NULL, NULL);
  at_free(b.arena);
}

static void chains_do_not_change_bits(void **state) {
  (void)state;
  at_kernels k;
  static float x[LONG], y[LONG], whole[OUTS][LONG], parts[OUTS][LONG];
  at_stream s = {.seed = 4, .purpose = AT_RNG_TEST};
  at_kernels_init(&k, at_isa_detect());
  at_rng_fill_normal(&s, 0, 1, x, LONG);
  s.client = 1;
  at_rng_fill_normal(&s, 0, 1, y, LONG);
  for (uint64_t seed = 1; seed <= 60; seed++) {
    at_program *all = compile(seed, LONG, &k), *piece = compile(seed, PIECE, &k);
    at_program *rest = compile(seed, LONG % PIECE, &k);
    run(all, x, y, (float *const[]){whole[0], whole[1], whole[2]}, 0);
    for (int64_t at = 0; at < LONG; at += PIECE) {
      run(at + PIECE <= LONG ? piece : rest, x, y, (float *const[]){parts[0], parts[1], parts[2]}, at);
    }
    assert_memory_equal(whole, parts, sizeof whole);
    at_program_destroy(all);
    at_program_destroy(piece);
    at_program_destroy(rest);
  }
}

/* What passes between the steps of a chain takes a block, not a vector. */
static void chains_save_memory(void **state) {
  (void)state;
  at_kernels k;
  at_graph *g;
  at_program *p;
  at_kernels_init(&k, at_isa_detect());
  assert_ok(at_graph_create(&g, AT_F32));
  at_val x = at_graph_input(g, "x", AT_F32, AT_SHAPE(1000000));
  at_val y = at_mul(g, at_silu(g, x), at_tanh(g, x));
  at_output out = {.value = y, .slot = AT_SLOT_OUT};
  assert_ok(at_program_compile(&p, g, &k, &out, 1));
  assert_true(at_program_arena_bytes(p) < 100000);
  at_program_destroy(p);
  at_graph_destroy(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(chains_do_not_change_bits), cmocka_unit_test(chains_save_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
