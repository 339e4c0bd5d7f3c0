/* SPDX-License-Identifier: BSD-3-Clause */
/* Running one kernel call at any level and element type on the same made-up inputs, between guards.
 *
 * A case names a slot, its dimensions and attributes, and its operands' sizes; inputs come from a counter-based hash, so
 * that every run of a case sees the same values.  Operands are heap blocks of exact size (an address sanitizer sees one float
 * too far) whose first element stands `offset` elements behind an aligned address; outputs have guard values behind them. */
#ifndef AT_TESTS_KERNELS_HARNESS_H
#define AT_TESTS_KERNELS_HARNESS_H

#include <math.h>
#include <stdlib.h>

#include "kernels/kernels.h"
#include "kernels/split.h"
#include "tests/unit/unit.h"

enum { KT_GUARD = 24 };

/* How an input is made.  Values are multiples of 2^-12, so that f32 and f64 see the same. */
typedef enum kt_fill {
  KT_NONE,     /* no such input */
  KT_NORMAL,   /* about normal, deviation 1 */
  KT_POSITIVE, /* in [0.25, 2.25) */
  KT_WIDE,     /* uniform in [-8, 8) */
  KT_INDEX,    /* i32 in [-1, modulus) */
  KT_GIVEN     /* copied from `given` (doubles) */
} kt_fill;

typedef struct kt_in {
  kt_fill fill;
  int64_t n;
  int modulus;
  const double *given;
} kt_in;

typedef struct kt_case {
  at_kslot slot;
  int64_t dim[AT_KDIM];
  double attr[AT_KATTR];
  kt_in in[AT_KIN];
  int64_t out[AT_KOUT]; /* elements; 0: no such output */
  int in_place;         /* out[0] is in[0] */
} kt_case;

/* What a run gave, as doubles (exact for either type). */
typedef struct kt_result {
  double *out[AT_KOUT];
} kt_result;

static inline uint64_t kt_hash(uint64_t x) {
  x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9u;
  return x ^ (x >> 32);
}

static inline double kt_uniform(uint64_t stream, int64_t i) {
  return (double)(kt_hash(kt_hash(stream + 1) + (uint64_t)i) >> 11) * 0x1p-53;
}

static inline double kt_value(const kt_in *in, int which, int64_t i) {
  const uint64_t s = 8 * (uint64_t)which;
  double v;
  switch (in->fill) {
  case KT_GIVEN:
    return in->given[i];
  case KT_INDEX:
    return floor(kt_uniform(s, i) * (in->modulus + 1)) - 1.0;
  case KT_POSITIVE:
    v = 0.25 + 2.0 * kt_uniform(s, i);
    break;
  case KT_WIDE:
    v = 16.0 * kt_uniform(s, i) - 8.0;
    break;
  default:
    v = 0.0;
    for (int j = 0; j < 4; j++) {
      v += sqrt(3.0) * (kt_uniform(s + (uint64_t)j, i) - 0.5);
    }
  }
  return rint(v * 4096.0) / 4096.0;
}

/* A block of n elements of `size` bytes, `offset` elements behind a 64-byte boundary, and guards behind if `guarded`. */
typedef struct kt_block {
  void *base, *data;
} kt_block;

static inline kt_block kt_block_new(int64_t n, size_t size, int offset, int guarded) {
  const size_t bytes = ((size_t)n + (size_t)offset + (guarded ? KT_GUARD : 0)) * size;
  kt_block b = {NULL, NULL};
  assert_int_equal(posix_memalign(&b.base, 64, bytes + (bytes == 0)), 0);
  b.data = (char *)b.base + (size_t)offset * size;
  return b;
}

static inline void kt_store(void *data, int64_t i, size_t size, double v) {
  if (size == 4) {
    ((float *)data)[i] = (float)v;
  } else {
    ((double *)data)[i] = v;
  }
}

static inline double kt_load(const void *data, int64_t i, size_t size) {
  return size == 4 ? (double)((const float *)data)[i] : ((const double *)data)[i];
}

static inline kt_block kt_input(const kt_case *c, int which, size_t size, int offset, int guarded) {
  const kt_in *in = &c->in[which];
  kt_block b = kt_block_new(in->n, size, offset, guarded);
  for (int64_t i = 0; i < in->n; i++) {
    const double v = kt_value(in, which, i);
    if (in->fill == KT_INDEX) {
      ((int32_t *)b.data)[i] = (int32_t)v;
    } else {
      kt_store(b.data, i, size, v);
    }
  }
  return b;
}

static inline void kt_guard_set(const kt_block *b, int64_t n, size_t size) {
  for (int64_t i = n; i < n + KT_GUARD; i++) {
    kt_store(b->data, i, size, 12345.0);
  }
}

static inline void kt_guard_check(const kt_case *c, const kt_block *b, int64_t n, size_t size) {
  for (int64_t i = n; i < n + KT_GUARD; i++) {
    if (kt_load(b->data, i, size) != 12345.0) {
      fail_msg("%s wrote %d elements behind its output", at_kernel_name(c->slot), (int)(i - n) + 1);
    }
  }
}

/* Runs `c` with `kernel` on elements of `size` bytes (4 or 8); operands `offset` elements off alignment. */
static inline kt_result kt_run(const kt_case *c, at_kernel kernel, size_t size, int offset) {
  kt_block in[AT_KIN] = {{0}}, out[AT_KOUT] = {{0}};
  at_kcall call = {.in = {0}};
  kt_result r = {{0}};
  double nothing = 0.0;
  for (int i = 0; i < AT_KOUT; i++) {
    call.out[i] = &nothing; /* where an output is empty */
  }
  memcpy(call.dim, c->dim, sizeof call.dim);
  memcpy(call.attr, c->attr, sizeof call.attr);
  for (int i = 0; i < AT_KIN && c->in[i].fill != KT_NONE; i++) {
    in[i] = kt_input(c, i, c->in[i].fill == KT_INDEX ? 4 : size, offset + i, c->in_place && i == 0);
    call.in[i] = in[i].data;
  }
  for (int i = 0; i < AT_KOUT && c->out[i] > 0; i++) {
    if (c->in_place && i == 0) {
      assert_true(c->out[0] == c->in[0].n);
      out[0] = in[0];
    } else {
      out[i] = kt_block_new(c->out[i], size, 2 * offset + i, 1);
      for (int64_t j = 0; j < c->out[i]; j++) {
        kt_store(out[i].data, j, size, NAN); /* so that an element left out is seen */
      }
    }
    kt_guard_set(&out[i], c->out[i], size);
    call.out[i] = out[i].data;
  }
  const size_t bytes = at_kernel_scratch(c->slot, c->dim, size);
  kt_block scratch = kt_block_new((int64_t)bytes, 1, 0, 0);
  memset(scratch.data, 0xff, bytes); /* NaN: scratch is not promised to be zero */
  call.scratch = scratch.data;
  kernel(&call);
  for (int i = 0; i < AT_KOUT && c->out[i] > 0; i++) {
    kt_guard_check(c, &out[i], c->out[i], size);
    r.out[i] = malloc((size_t)c->out[i] * sizeof(double));
    assert_non_null(r.out[i]);
    for (int64_t j = 0; j < c->out[i]; j++) {
      r.out[i][j] = kt_load(out[i].data, j, size);
    }
    if (!(c->in_place && i == 0)) {
      free(out[i].base);
    }
  }
  for (int i = 0; i < AT_KIN && c->in[i].fill != KT_NONE; i++) {
    free(in[i].base);
  }
  free(scratch.base);
  return r;
}

static inline void kt_result_free(kt_result *r) {
  for (int i = 0; i < AT_KOUT; i++) {
    free(r->out[i]);
  }
}

/* The largest |got - want| over the largest |want| of the tensor; infinity if one is NaN or infinite where the other is not. */
static inline double kt_error(int64_t n, const double *got, const double *want) {
  double scale = 0.0, worst = 0.0;
  for (int64_t i = 0; i < n; i++) {
    if (isnan(want[i]) != isnan(got[i]) || (isinf(want[i]) && got[i] != want[i])) {
      return INFINITY;
    }
    if (isfinite(want[i])) {
      scale = fmax(scale, fabs(want[i]));
      worst = fmax(worst, fabs(got[i] - want[i]));
    }
  }
  return worst == 0.0 ? 0.0 : worst / scale;
}

/* The kernel that kt_in_shares runs three times, each on a third of the call. */
static struct kt_shared {
  at_kslot slot;
  at_kernel kernel;
} kt_shared;

static inline void kt_in_shares(const at_kcall *call) {
  for (int part = 2; part >= 0; part--) {
    int64_t from, count;
    at_kcall share = *call;
    at_kernel_cut(at_kernel_units(kt_shared.slot, call->dim), part, 3, &from, &count);
    at_kernel_share(kt_shared.slot, &share, from, count);
    kt_shared.kernel(&share);
  }
}

/* A call cut into shares gives the same bits; BLAS may give others. */
static inline void kt_check_shares(const kt_case *c, const at_kernels *level, const kt_result *whole) {
  if (at_kernel_units(c->slot, c->dim) == 1) {
    return;
  }
  const int is_product = c->slot == AT_K_matmul || c->slot == AT_K_matmul_bf16 || c->slot == AT_K_matmul_add ||
                         c->slot == AT_K_matmul_add_bf16;
  const double tolerance = is_product && level->isa > AT_ISA_REF && level->isa < AT_ISA_AVX512BF16 ? 1e-4 : 0.0;
  kt_shared = (struct kt_shared){c->slot, level->f32[c->slot]};
  kt_result shares = kt_run(c, kt_in_shares, 4, 0);
  for (int i = 0; i < AT_KOUT && c->out[i] > 0; i++) {
    if (!(kt_error(c->out[i], shares.out[i], whole->out[i]) <= tolerance)) {
      fail_msg("%s %s, dim %d %d %d %d %d: output %d is another in shares", level->isa_name, at_kernel_name(c->slot),
               (int)c->dim[0], (int)c->dim[1], (int)c->dim[2], (int)c->dim[3], (int)c->dim[4], i);
    }
  }
  kt_result_free(&shares);
}

/* Runs `c` at `isa` in f32 and compares each output with the f64 reference: error relative to the tensor's largest element at
 * most `tolerance`.  Runs it again off alignment and in shares and wants the same bits. */
static inline void kt_check(const kt_case *c, at_isa isa, double tolerance) {
  at_kernels level;
  at_kernels_init(&level, isa);
  kt_result want = kt_run(c, level.f64[c->slot], 8, 0), got = kt_run(c, level.f32[c->slot], 4, 0);
  for (int i = 0; i < AT_KOUT && c->out[i] > 0; i++) {
    const double error = kt_error(c->out[i], got.out[i], want.out[i]);
    if (!(error <= tolerance)) {
      fail_msg("%s %s, dim %d %d %d %d %d %d %d, output %d: error %.3g, tolerance %.3g", level.isa_name,
               at_kernel_name(c->slot), (int)c->dim[0], (int)c->dim[1], (int)c->dim[2], (int)c->dim[3], (int)c->dim[4],
               (int)c->dim[5], (int)c->dim[6], i, error, tolerance);
    }
  }
  for (int offset = 1; offset < 4; offset += 2) {
    kt_result again = kt_run(c, level.f32[c->slot], 4, offset);
    for (int i = 0; i < AT_KOUT && c->out[i] > 0; i++) {
      for (int64_t j = 0; j < c->out[i]; j++) {
        if (again.out[i][j] != got.out[i][j] && !(isnan(got.out[i][j]) && isnan(again.out[i][j]))) {
          fail_msg("%s %s: bits depend on alignment", level.isa_name, at_kernel_name(c->slot));
        }
      }
    }
    kt_result_free(&again);
  }
  kt_check_shares(c, &level, &got);
  kt_result_free(&want);
  kt_result_free(&got);
}

/* The same at every level this processor has, the reference first. */
static inline void kt_check_levels(const kt_case *c, double tolerance) {
  for (int isa = AT_ISA_REF; isa <= (int)at_isa_detect(); isa++) {
    kt_check(c, (at_isa)isa, tolerance);
  }
}

/* A group of tests runs the levels the processor has; this test says which it lacks by being skipped. */
static inline void kt_test_all_levels_present(void **state) {
  (void)state;
  for (int isa = (int)at_isa_detect() + 1; isa < AT_ISA_COUNT; isa++) {
    print_message("this processor has no %s: its kernels are not tested here\n", at_isa_name((at_isa)isa));
  }
  if ((int)at_isa_detect() != AT_ISA_COUNT - 1) {
    skip();
  }
}

#endif
