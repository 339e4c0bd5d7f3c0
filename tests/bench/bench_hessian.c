/* SPDX-License-Identifier: BSD-3-Clause */
/* What a Hessian-vector product costs beside a gradient: the CNN of LEAF for 28 x 28 images (Caldas et al. 2018), batch 20.
 *
 * CPU seconds on one core, the best of 10 runs each, in turn. */
#include <stdio.h>
#include <time.h>

#include "src/base/alloc.h"
#include "src/base/isa.h"
#include "src/graph/hessian.h"
#include "src/graph/ops.h"

enum { BATCH = 20, CLASSES = 62, PARAMS = 8, RUNS = 10 };

static double cpu_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static at_val par(at_graph *g, const char *name, at_shape s, double sd) {
  return at_graph_param(g, name, s, (at_init){.kind = AT_INIT_NORMAL, .sd = sd});
}

static at_val cnn_loss(at_graph *g) {
  const at_window2d conv = {.stride = {1, 1}, .pad = {2, 2}}, pool = {.kernel = {2, 2}, .stride = {2, 2}};
  at_val x = at_graph_input(g, "images", AT_F32, AT_SHAPE(BATCH, 28, 28, 1));
  at_val target = at_graph_input(g, "labels", AT_I32, AT_SHAPE(BATCH));
  x = at_conv2d(g, x, par(g, "conv1.w", AT_SHAPE(5, 5, 1, 32), 0.2), conv, 1);
  x = at_maxpool(g, at_relu(g, at_add(g, x, par(g, "conv1.b", AT_SHAPE(32), 0.1))), pool);
  x = at_conv2d(g, x, par(g, "conv2.w", AT_SHAPE(5, 5, 32, 64), 0.04), conv, 1);
  x = at_maxpool(g, at_relu(g, at_add(g, x, par(g, "conv2.b", AT_SHAPE(64), 0.1))), pool);
  x = at_reshape(g, x, AT_SHAPE(BATCH, 3136));
  x = at_relu(g, at_linear(g, x, par(g, "fc1.w", AT_SHAPE(3136, 2048), 0.02), par(g, "fc1.b", AT_SHAPE(2048), 0.1)));
  x = at_linear(g, x, par(g, "fc2.w", AT_SHAPE(2048, CLASSES), 0.02), par(g, "fc2.b", AT_SHAPE(CLASSES), 0.1));
  return at_cross_entropy(g, x, target, 1.0 / BATCH);
}

/* Programs for a gradient and for a product with the state vector. */
static at_err compile(const at_kernels *k, at_graph *g, at_program **gradient, at_program **product) {
  at_val loss = cnn_loss(g), wrt[PARAMS], v[PARAMS], d[2][PARAMS];
  at_program **program[2] = {gradient, product};
  AT_TRY(at_graph_status(g));
  const at_layout *l = at_graph_params(g);
  for (int i = 0; i < PARAMS; i++) {
    wrt[i] = at_graph_param_value(g, i);
    v[i] = at_graph_state(g, l->tensor[i].name, l->tensor[i].shape, (at_init){.kind = AT_INIT_ZERO});
  }
  AT_TRY(at_graph_vjp(g, &loss, NULL, 1, wrt, PARAMS, d[0]));
  AT_TRY(at_graph_hvp(g, loss, wrt, v, PARAMS, d[1]));
  for (int p = 0; p < 2; p++) {
    at_output outs[PARAMS];
    for (int i = 0; i < PARAMS; i++) {
      outs[i] = (at_output){
          .value = d[p][i], .slot = AT_SLOT_GRAD, .offset = l->tensor[i].offset, .count = l->tensor[i].count};
    }
    AT_TRY(at_program_compile(program[p], g, k, outs, PARAMS));
  }
  return AT_OK;
}

static double best_of(double best, const at_program *p, const at_bind *b) {
  double start = cpu_s();
  at_program_run(p, b, NULL, NULL);
  start = cpu_s() - start;
  return start < best ? start : best;
}

static at_err bench(void) {
  static at_kernels k;
  static float images[BATCH * 28 * 28];
  static int32_t labels[BATCH];
  at_graph *g;
  at_program *gradient, *product;
  at_kernels_init(&k, at_isa_detect());
  AT_TRY(at_graph_create(&g, AT_F32));
  AT_TRY(compile(&k, g, &gradient, &product));
  const at_layout *l = at_graph_params(g);
  float *theta, *v, *grad;
  AT_TRY(at_alloc(&theta, (size_t)l->count, sizeof *theta, "benchmark"));
  AT_TRY(at_alloc(&v, (size_t)l->count, sizeof *v, "benchmark"));
  AT_TRY(at_alloc(&grad, (size_t)l->count, sizeof *grad, "benchmark"));
  at_layout_init(l, 1, theta);
  at_layout_init(l, 2, v);
  for (int i = 0; i < BATCH * 28 * 28; i++) {
    images[i] = (float)(i % 251) / 251.0f;
    labels[i % BATCH] = i % CLASSES;
  }
  size_t arena = at_program_arena_bytes(gradient), more = at_program_arena_bytes(product);
  at_bind b = {.param = theta, .state = v, .grad = grad, .in = {images, labels}};
  AT_TRY(at_alloc(&b.arena, arena > more ? arena : more, 1, "benchmark"));
  double once = 1e9, twice = 1e9;
  for (int run = 0; run < RUNS; run++) {
    once = best_of(once, gradient, &b);
    twice = best_of(twice, product, &b);
  }
  at_program_stats s = at_program_get_stats(gradient), t = at_program_get_stats(product);
  printf("%s, LEAF CNN, batch %d\n", k.isa_name, BATCH);
  printf("gradient               %8.2f ms %7.2f GFLOP %7.1f MB of arena\n", once * 1e3, s.flops * 1e-9,
         (double)arena * 1e-6);
  printf("Hessian-vector product %8.2f ms %7.2f GFLOP %7.1f MB of arena: %.2f gradients\n", twice * 1e3, t.flops * 1e-9,
         (double)more * 1e-6, twice / once);
  at_program_destroy(gradient);
  at_program_destroy(product);
  at_graph_destroy(g);
  void *all[] = {theta, v, grad, b.arena};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    at_free(all[i]);
  }
  return AT_OK;
}

int main(void) {
  if (bench() != AT_OK) {
    fprintf(stderr, "%s\n", at_err_message());
    return 1;
  }
  return 0;
}
