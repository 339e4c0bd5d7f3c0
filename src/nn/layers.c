/* SPDX-License-Identifier: BSD-3-Clause */
/* Layers with named parameters. */
#include "src/nn/layers.h"

#include <fnmatch.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/graph/norms.h"

/* --- the scope ------------------------------------------------------------------------------------------------------------ */

void at_scope_init(at_scope *s, at_graph *g) {
  *s = (at_scope){.g = g};
}

void at_scope_fini(at_scope *s) {
  at_free(s->update);
  *s = (at_scope){0};
}

at_err at_scope_status(const at_scope *s) {
  return s->status != AT_OK ? s->status : at_graph_status(s->g);
}

size_t at_scope_enter(at_scope *s, const char *format, ...) {
  size_t mark = strlen(s->prefix);
  va_list args;
  va_start(args, format);
  vsnprintf(s->prefix + mark, sizeof s->prefix - mark, format, args);
  va_end(args);
  return mark;
}

void at_scope_leave(at_scope *s, size_t mark) {
  s->prefix[mark] = '\0';
}

static void scope_fail(at_scope *s, at_err e) {
  s->status = s->status == AT_OK ? e : s->status;
}

static bool is_trained(const at_scope *s, const char *name) {
  for (int i = 0; s->train != NULL && s->train[i] != NULL; i++) {
    if (fnmatch(s->train[i], name, 0) == 0) {
      return true;
    }
  }
  return s->train == NULL;
}

/* prefix + name + part into full[AT_NAME_MAX]. */
static void full_name(at_scope *s, const char *name, const char *part, char *full) {
  int n = snprintf(full, AT_NAME_MAX, "%s%s%s", s->prefix, name, part);
  if (n >= AT_NAME_MAX) {
    scope_fail(s, AT_FAIL(AT_ERR_ARG, "the name %s... is longer than %d", full, AT_NAME_MAX - 1));
  }
}

static at_val param(at_scope *s, const char *name, const char *part, at_shape shape, at_init init) {
  char full[AT_NAME_MAX];
  full_name(s, name, part, full);
  return is_trained(s, full) ? at_graph_param(s->g, full, shape, init) : at_graph_state(s->g, full, shape, init);
}

at_val at_scope_param(at_scope *s, const char *name, at_shape shape, at_init init) {
  return param(s, name, "", shape, init);
}

static void add_update(at_scope *s, int state, at_val next) {
  at_err e = at_realloc(&s->update, (size_t)s->n_update + 1, sizeof *s->update, "state updates");
  if (e != AT_OK) {
    scope_fail(s, e);
    return;
  }
  s->update[s->n_update++] = (at_state_update){state, next};
}

/* --- layers ------------------------------------------------------------------------------------------------------------------ */

static int64_t last_axis(const at_graph *g, at_val x) {
  at_shape s = at_graph_shape(g, x);
  return s.nd > 0 ? s.d[s.nd - 1] : 1;
}

static at_val ones(at_scope *s, const char *name, const char *part, int64_t n) {
  return param(s, name, part, AT_SHAPE(n), (at_init){.kind = AT_INIT_ONE});
}

static at_val zeros(at_scope *s, const char *name, const char *part, int64_t n) {
  return param(s, name, part, AT_SHAPE(n), (at_init){.kind = AT_INIT_ZERO});
}

static at_val linear(at_scope *s, const char *name, at_val x, int64_t out, const at_linear_part *part, int n_part,
                     bool bias, double gain) {
  if (x == AT_NONE) {
    return AT_NONE;
  }
  int64_t in = last_axis(s->g, x);
  at_init init = {.kind = AT_INIT_NORMAL, .sd = gain / sqrt((double)in)};
  at_val w = param(s, name, ".weight", AT_SHAPE(in, out), init);
  at_val b = bias ? zeros(s, name, ".bias", out) : AT_NONE;
  at_val y = at_linear(s->g, x, w, b);
  if (s->hook == NULL) {
    return y;
  }
  char full[AT_NAME_MAX];
  full_name(s, name, "", full);
  at_linear_site site = {.name = full, .x = x, .in = in, .out = out, .part = part, .n_part = n_part};
  return s->hook(s->hook_context, s, &site, y);
}

at_val at_layer_linear(at_scope *s, const char *name, at_val x, int64_t out, bool bias, double gain) {
  return linear(s, name, x, out, NULL, 0, bias, gain);
}

at_val at_layer_linear_parts(at_scope *s, const char *name, at_val x, const at_linear_part *part, int n_part, bool bias,
                             double gain) {
  int64_t out = 0;
  for (int i = 0; i < n_part; i++) {
    out += part[i].width;
  }
  return linear(s, name, x, out, part, n_part, bias, gain);
}

at_val at_layer_conv(at_scope *s, const char *name, at_val x, int64_t out, int64_t kernel, int64_t stride, int64_t pad,
                     bool bias) {
  int64_t in = last_axis(s->g, x);
  at_init init = {.kind = AT_INIT_NORMAL, .sd = sqrt(2.0 / (double)(kernel * kernel * in))};
  at_val w = param(s, name, ".weight", AT_SHAPE(kernel, kernel, in, out), init);
  at_val y = at_conv2d(s->g, x, w, (at_window2d){.stride = {stride, stride}, .pad = {pad, pad}}, 1);
  return bias ? at_add(s->g, y, zeros(s, name, ".bias", out)) : y;
}

at_val at_layer_layernorm(at_scope *s, const char *name, at_val x, double eps) {
  at_val gain = ones(s, name, ".weight", last_axis(s->g, x));
  return at_layernorm(s->g, x, gain, zeros(s, name, ".bias", last_axis(s->g, x)), eps);
}

at_val at_layer_rmsnorm(at_scope *s, const char *name, at_val x, double eps) {
  return at_rmsnorm(s->g, x, ones(s, name, ".weight", last_axis(s->g, x)), eps);
}

at_val at_layer_batchnorm(at_scope *s, const char *name, at_val x) {
  int64_t c = last_axis(s->g, x);
  char mean[AT_NAME_MAX], var[AT_NAME_MAX];
  full_name(s, name, ".mean", mean);
  full_name(s, name, ".var", var);
  at_bn bn = {.gain = ones(s, name, ".weight", c),
              .bias = zeros(s, name, ".bias", c),
              .mix = AT_NONE,
              .run_mean = at_graph_state(s->g, mean, AT_SHAPE(c), (at_init){.kind = AT_INIT_ZERO}),
              .run_var = at_graph_state(s->g, var, AT_SHAPE(c), (at_init){.kind = AT_INIT_ONE}),
              .eps = 1e-5,
              .momentum = 0.1,
              .mode = s->training ? AT_BN_TRAIN : AT_BN_EVAL};
  at_bn_result r = at_batchnorm(s->g, x, &bn);
  if (s->training && r.y != AT_NONE) {
    int last = at_graph_states(s->g)->n - 1;
    add_update(s, last - 1, r.run_mean);
    add_update(s, last, r.run_var);
  }
  return r.y;
}

/* --- layouts ------------------------------------------------------------------------------------------------------------------ */

at_err at_layout_copy(const at_layout *from, const float *x, const at_layout *to, float *y, int *copied) {
  *copied = 0;
  for (int i = 0; i < to->n; i++) {
    const at_tensor *t = &to->tensor[i], *f = at_layout_find(from, t->name);
    if (f == NULL) {
      continue;
    }
    if (!at_shape_equal(f->shape, t->shape)) {
      char a[96], b[96];
      return AT_FAIL(AT_ERR_ARG, "%s is %s here and %s there", t->name, at_shape_text(t->shape, b, sizeof b),
                     at_shape_text(f->shape, a, sizeof a));
    }
    memcpy(y + t->offset, x + f->offset, (size_t)t->count * sizeof *y);
    ++*copied;
  }
  return AT_OK;
}
