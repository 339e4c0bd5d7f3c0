/* SPDX-License-Identifier: BSD-3-Clause */
/* Merging adapters into the weights they stand beside, and taking them out again; frames of LoRA-XS. */
#include <string.h>

#include "src/base/alloc.h"
#include "src/nn/adapter_internal.h"
#include "src/nn/svd.h"

static at_err find(const at_layout *l, const char *name, const char *suffix, const at_tensor **out) {
  char full[AT_NAME_MAX + 16];
  snprintf(full, sizeof full, "%s%s", name, suffix);
  *out = at_layout_find(l, full);
  return *out != NULL ? AT_OK : AT_FAIL(AT_ERR_ARG, "there is no tensor %s: is it in another vector?", full);
}

/* The rows that an adapter changes: `rows` pieces of site->out floats, `stride` apart. */
typedef struct target {
  float *x;
  int64_t rows, stride;
} target;

static at_err find_target(const at_adapters *a, const at_adapter_site *s, const at_layout *base, float *x, target *t) {
  bool bias = a->spec[s->spec].kind == AT_ADAPTER_BIAS;
  const at_tensor *w;
  AT_TRY(find(base, s->layer, bias ? ".bias" : ".weight", &w));
  t->rows = bias ? 1 : w->shape.d[0];
  t->stride = w->shape.d[w->shape.nd - 1];
  t->x = x + w->offset + s->column;
  return AT_OK;
}

/* --- one row per kind ----------------------------------------------------------------------------------------------------------- */

/* t += scale * left [rows][rank] right [rank][out], each sum in double and rounded once with the weight. */
static void add_product(const target *t, int64_t out, double scale, const double *left, int64_t rank,
                        const float *right) {
  for (int64_t i = 0; i < t->rows; i++) {
    for (int64_t j = 0; j < out; j++) {
      double sum = 0;
      for (int64_t k = 0; k < rank; k++) {
        sum += left[i * rank + k] * (double)right[k * out + j];
      }
      float *w = t->x + i * t->stride + j;
      *w = (float)((double)*w + scale * sum);
    }
  }
}

static at_err merge_lora(const at_adapted *v, const at_adapter_spec *spec, const at_adapter_site *s, const target *t) {
  const at_tensor *a, *b;
  double *left;
  AT_TRY(find(v->params, s->name, ".lora.a", &a));
  AT_TRY(find(v->params, s->name, ".lora.b", &b));
  AT_TRY(at_alloc(&left, (size_t)a->count, sizeof *left, "merged adapter"));
  for (int64_t i = 0; i < a->count; i++) {
    left[i] = (double)v->theta[a->offset + i];
  }
  add_product(t, s->out, at_adapter_scale(spec), left, spec->rank, v->theta + b->offset);
  at_free(left);
  return AT_OK;
}

static at_err merge_lora_xs(const at_adapted *v, const at_adapter_spec *spec, const at_adapter_site *s,
                            const target *t) {
  const at_tensor *us, *vt, *r;
  double *left;
  AT_TRY(find(v->states, s->name, ".xs.us", &us));
  AT_TRY(find(v->states, s->name, ".xs.vt", &vt));
  AT_TRY(find(v->params, s->name, ".xs.r", &r));
  AT_TRY(at_alloc(&left, (size_t)us->count, sizeof *left, "merged adapter"));
  for (int64_t i = 0; i < s->in; i++) {
    for (int64_t j = 0; j < spec->rank; j++) {
      for (int64_t k = 0; k < spec->rank; k++) {
        left[i * spec->rank + j] +=
            (double)v->state[us->offset + i * spec->rank + k] * (double)v->theta[r->offset + k * spec->rank + j];
      }
    }
  }
  add_product(t, s->out, at_adapter_scale(spec), left, spec->rank, v->state + vt->offset);
  at_free(left);
  return AT_OK;
}

static at_err merge_bias(const at_adapted *v, const at_adapter_spec *spec, const at_adapter_site *s, const target *t) {
  (void)spec;
  const at_tensor *d;
  AT_TRY(find(v->params, s->name, ".offset", &d));
  for (int64_t j = 0; j < s->out; j++) {
    t->x[j] += v->theta[d->offset + j];
  }
  return AT_OK;
}

typedef at_err (*merge)(const at_adapted *v, const at_adapter_spec *spec, const at_adapter_site *s, const target *t);

static const merge merges[] = {
#define X(kind, name) [AT_ADAPTER_##kind] = merge_##name,
    AT_ADAPTERS(X)
#undef X
};

/* --- all of them ---------------------------------------------------------------------------------------------------------------- */

static int64_t site_floats(const at_adapters *a, const at_adapter_site *s) {
  return s->out * (a->spec[s->spec].kind == AT_ADAPTER_BIAS ? 1 : s->in);
}

int64_t at_adapters_saved(const at_adapters *a) {
  int64_t n = 0;
  for (int i = 0; i < a->n_site; i++) {
    n += site_floats(a, &a->site[i]);
  }
  return n;
}

at_err at_adapters_merge(const at_adapters *a, const at_adapted *v, const at_layout *base, float *x, float *saved) {
  target t = {0};
  for (int i = 0; i < a->n_site; i++) { /* before anything changes: is all of it there? */
    AT_TRY(find_target(a, &a->site[i], base, x, &t));
  }
  for (int i = 0; i < a->n_site; i++) {
    const at_adapter_site *s = &a->site[i];
    AT_TRY(find_target(a, s, base, x, &t));
    for (int64_t row = 0; row < t.rows; row++) {
      memcpy(saved + row * s->out, t.x + row * t.stride, (size_t)s->out * sizeof *saved);
    }
    saved += site_floats(a, s);
    AT_TRY(merges[a->spec[s->spec].kind](v, &a->spec[s->spec], s, &t));
  }
  return AT_OK;
}

at_err at_adapters_unmerge(const at_adapters *a, const at_layout *base, float *x, const float *saved) {
  target t = {0};
  saved += at_adapters_saved(a);
  for (int i = a->n_site - 1; i >= 0; i--) { /* two adapters may have changed the same weight */
    const at_adapter_site *s = &a->site[i];
    saved -= site_floats(a, s);
    AT_TRY(find_target(a, s, base, x, &t));
    for (int64_t row = 0; row < t.rows; row++) {
      memcpy(t.x + row * t.stride, saved + row * s->out, (size_t)s->out * sizeof *saved);
    }
  }
  return AT_OK;
}

at_err at_adapters_frames(const at_adapters *a, const at_layout *states, float *state) {
  for (int i = 0; i < a->n_site; i++) {
    const at_adapter_site *s = &a->site[i];
    const at_adapter_spec *spec = &a->spec[s->spec];
    if (spec->kind == AT_ADAPTER_LORA_XS) {
      const at_tensor *us, *vt;
      target t = {0};
      AT_TRY(find_target(a, s, states, state, &t));
      AT_TRY(find(states, s->name, ".xs.us", &us));
      AT_TRY(find(states, s->name, ".xs.vt", &vt));
      AT_TRY(at_svd_truncated(s->in, s->out, t.x, t.stride, spec->rank, state + us->offset, state + vt->offset));
    }
  }
  return AT_OK;
}
