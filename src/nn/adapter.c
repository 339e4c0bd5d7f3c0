/* SPDX-License-Identifier: BSD-3-Clause */
/* Injecting adapters into linear layers while a model is built. */
#include "src/nn/adapter.h"

#include <fnmatch.h>
#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/graph/ops.h"
#include "src/nn/adapter_internal.h"

const char *const at_adapter_names[] = {
#define X(kind, name) #name,
    AT_ADAPTERS(X)
#undef X
        NULL};

at_err at_adapters_create(at_adapters **out, const at_adapter_spec *spec, int n) {
  *out = NULL;
  for (int i = 0; i < n; i++) {
    if (spec[i].kind != AT_ADAPTER_BIAS && (spec[i].rank < 1 || !isfinite(spec[i].alpha))) {
      return AT_FAIL(AT_ERR_CONFIG, "the adapter for %s has rank %lld and alpha %g: wanted a rank of at least 1",
                     spec[i].pattern, (long long)spec[i].rank, spec[i].alpha);
    }
  }
  at_adapters *a;
  AT_TRY(at_alloc(&a, 1, sizeof *a, "adapters"));
  at_err err = at_alloc(&a->spec, (size_t)n, sizeof *a->spec, "adapters");
  if (err != AT_OK) {
    at_adapters_destroy(a);
    return err;
  }
  memcpy(a->spec, spec, (size_t)n * sizeof *spec);
  a->n_spec = n;
  *out = a;
  return AT_OK;
}

void at_adapters_destroy(at_adapters *a) {
  if (a != NULL) {
    at_free(a->spec);
    at_free(a->site);
    at_free(a);
  }
}

/* --- one row per kind: what is added to the layer's output [.., out] ----------------------------------------------------------- */

/* A tensor of the adapter at `site`: X + suffix. */
static at_val tensor(at_scope *s, const at_adapter_site *site, const char *suffix, at_shape shape, bool trained,
                     double sd) {
  char name[AT_NAME_MAX + 16];
  snprintf(name, sizeof name, "%s%s", site->name, suffix);
  at_init init = {.kind = sd > 0 ? AT_INIT_NORMAL : AT_INIT_ZERO, .sd = sd};
  return trained ? at_graph_param(s->g, name, shape, init) : at_graph_state(s->g, name, shape, init);
}

static at_val lora(at_scope *s, const at_adapter_spec *spec, const at_adapter_site *site, at_val x) {
  at_val a = tensor(s, site, ".lora.a", AT_SHAPE(site->in, spec->rank), true, 1 / sqrt((double)site->in));
  at_val b = tensor(s, site, ".lora.b", AT_SHAPE(spec->rank, site->out), true, 0);
  at_val low = at_affine(s->g, at_matmul(s->g, x, a, false, false), at_adapter_scale(spec), 0);
  return at_matmul(s->g, low, b, false, false);
}

static at_val lora_xs(at_scope *s, const at_adapter_spec *spec, const at_adapter_site *site, at_val x) {
  if (spec->rank > site->in || spec->rank > site->out) {
    s->status = AT_FAIL(AT_ERR_CONFIG, "layer %s is %lld x %lld: it has no %lld singular values, lower the rank",
                        site->name, (long long)site->in, (long long)site->out, (long long)spec->rank);
    return AT_NONE;
  }
  at_val us = tensor(s, site, ".xs.us", AT_SHAPE(site->in, spec->rank), false, 0);
  at_val vt = tensor(s, site, ".xs.vt", AT_SHAPE(spec->rank, site->out), false, 0);
  at_val r = tensor(s, site, ".xs.r", AT_SHAPE(spec->rank, spec->rank), true, 0);
  at_val low = at_affine(s->g, at_matmul(s->g, x, us, false, false), at_adapter_scale(spec), 0);
  return at_matmul(s->g, at_matmul(s->g, low, r, false, false), vt, false, false);
}

static at_val bias(at_scope *s, const at_adapter_spec *spec, const at_adapter_site *site, at_val x) {
  (void)spec;
  (void)x;
  return tensor(s, site, ".offset", AT_SHAPE(site->out), true, 0);
}

typedef at_val (*delta)(at_scope *s, const at_adapter_spec *spec, const at_adapter_site *site, at_val x);

static const delta deltas[] = {
#define X(kind, name) [AT_ADAPTER_##kind] = name,
    AT_ADAPTERS(X)
#undef X
};

/* --- injection ---------------------------------------------------------------------------------------------------------------- */

static at_err remember(at_adapters *a, const at_adapter_site *site) {
  for (int i = 0; i < a->n_site; i++) {
    if (a->site[i].spec == site->spec && strcmp(a->site[i].name, site->name) == 0) {
      return AT_OK; /* another program of the same model */
    }
  }
  AT_TRY(at_realloc(&a->site, (size_t)a->n_site + 1, sizeof *a->site, "adapters"));
  a->site[a->n_site++] = *site;
  return AT_OK;
}

static at_val inject(at_adapters *a, at_scope *s, const at_linear_site *l, const at_adapter_site *site, at_val y) {
  at_err e = remember(a, site);
  if (e != AT_OK) {
    s->status = e;
    return y;
  }
  const at_adapter_spec *spec = &a->spec[site->spec];
  at_val d = deltas[spec->kind](s, spec, site, l->x);
  if (d == AT_NONE) {
    return y; /* the scope or the graph knows why */
  }
  if (site->out != l->out) {
    d = at_place(s->g, d, at_graph_shape(s->g, d).nd - 1, site->column, l->out);
  }
  return at_add(s->g, y, d);
}

at_val at_adapters_hook(void *adapters, at_scope *s, const at_linear_site *l, at_val y) {
  at_adapters *a = adapters;
  for (int i = 0; i < a->n_spec; i++) {
    at_adapter_site site = {.spec = i, .in = l->in, .out = l->out};
    snprintf(site.layer, sizeof site.layer, "%s", l->name);
    if (fnmatch(a->spec[i].pattern, l->name, 0) == 0) {
      snprintf(site.name, sizeof site.name, "%s", l->name);
      y = inject(a, s, l, &site, y);
      continue;
    }
    for (int k = 0; k < l->n_part; k++, site.column += site.out) {
      site.out = l->part[k].width;
      snprintf(site.name, sizeof site.name, "%s%s", s->prefix, l->part[k].name);
      if (fnmatch(a->spec[i].pattern, site.name, 0) == 0) {
        y = inject(a, s, l, &site, y);
      }
    }
  }
  return y;
}

at_err at_adapters_check(const at_adapters *a) {
  for (int i = 0; i < a->n_spec; i++) {
    bool found = false;
    for (int k = 0; k < a->n_site; k++) {
      found = found || a->site[k].spec == i;
    }
    if (!found) {
      return AT_FAIL(AT_ERR_CONFIG, "no linear layer of the model matches the adapter pattern %s", a->spec[i].pattern);
    }
  }
  return AT_OK;
}

int at_adapters_count(const at_adapters *a) {
  return a->n_site;
}

const at_adapter_site *at_adapters_site(const at_adapters *a, int i) {
  return &a->site[i];
}
