/* SPDX-License-Identifier: BSD-3-Clause */
/* Convolution rates on one core by layer: forward, derivative in the input, derivative in the weights.
 *
 * FLOPs: two for each product of an output with a weight, border or not.  CPU seconds, so that neighbours on the machine disturb
 * little; the best of at least 5 runs. */
#include <stdio.h>
#include <time.h>

#include "src/base/alloc.h"
#include "src/base/isa.h"

typedef struct layer {
  const char *name;
  int64_t n, size, c, oc, kernel, stride, pad;
} layer;

static const layer layers[] = {
    {"ResNet-18 stem", 32, 32, 3, 64, 3, 1, 1},
    {"ResNet-18 64", 32, 32, 64, 64, 3, 1, 1},
    {"ResNet-18 64-128 /2", 32, 32, 64, 128, 3, 2, 1},
    {"ResNet-18 128", 32, 16, 128, 128, 3, 1, 1},
    {"ResNet-18 256", 32, 8, 256, 256, 3, 1, 1},
    {"ResNet-18 512", 32, 4, 512, 512, 3, 1, 1},
    {"LEAF 1-32", 20, 28, 1, 32, 5, 1, 2},
    {"LEAF 32-64", 20, 14, 32, 64, 5, 1, 2},
};

static double cpu_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static at_err fill(float **v, int64_t n) {
  AT_TRY(at_alloc(v, (size_t)n, sizeof **v, "benchmark"));
  for (int64_t i = 0; i < n; i++) {
    (*v)[i] = (float)(i % 251) / 251.0f - 0.5f;
  }
  return AT_OK;
}

static at_err measure(const at_kernels *k, const layer *l) {
  static const at_kslot slot[3] = {AT_K_conv2d, AT_K_conv2d_dx, AT_K_conv2d_dw};
  const int64_t out = (l->size + 2 * l->pad - l->kernel) / l->stride + 1;
  float *x, *w, *y;
  AT_TRY(fill(&x, l->n * l->size * l->size * l->c));
  AT_TRY(fill(&w, l->kernel * l->kernel * l->c * l->oc));
  AT_TRY(fill(&y, l->n * out * out * l->oc));
  float *in[3][2] = {{x, w}, {y, w}, {x, y}}, *to[3] = {y, x, w};
  const double flops = 2.0 * (double)(l->n * out * out * l->oc * l->kernel * l->kernel * l->c);
  printf("%-20s %7.2f", l->name, flops * 1e-9);
  for (int s = 0; s < 3; s++) {
    at_kcall call = {.in = {in[s][0], in[s][1]},
                     .out = {to[s]},
                     .dim = {l->n, l->size, l->size, l->c, l->oc, l->kernel, l->kernel, l->stride, l->stride, l->pad,
                             l->pad, 1, out, out}};
    AT_TRY(at_alloc(&call.scratch, at_kernel_scratch(slot[s], call.dim, sizeof(float)), 1, "benchmark"));
    double best = 1e9;
    for (int run = 0, runs = 5 + (int)(2e8 / flops); run < runs; run++) {
      double start = cpu_s();
      k->f32[slot[s]](&call);
      start = cpu_s() - start;
      best = start < best ? start : best;
    }
    printf(" %9.1f", flops / best * 1e-9);
    at_free(call.scratch);
  }
  printf("\n");
  at_free(x);
  at_free(w);
  at_free(y);
  return AT_OK;
}

int main(void) {
  static at_kernels k;
  at_kernels_init(&k, at_isa_detect());
  printf("%s, GFLOP/s\n%-20s %7s %9s %9s %9s\n", k.isa_name, "layer", "GFLOP", "forward", "dx", "dw");
  for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
    if (measure(&k, &layers[i]) != AT_OK) {
      fprintf(stderr, "%s\n", at_err_message());
      return 1;
    }
  }
  return 0;
}
