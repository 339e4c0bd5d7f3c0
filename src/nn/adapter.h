/* SPDX-License-Identifier: BSD-3-Clause */
/* Adapters: few trained parameters beside the frozen weights of linear layers, injected by name into any model.
 *
 * A linear layer x W + b with W [in][out] becomes, in the columns that an adapter applies to,
 *     lora     x W + b + (alpha / rank) (x A) B           A [in][rank], B [rank][out] trained (Hu et al. 2022)
 *     lora_xs  x W + b + (alpha / rank) ((x U S) R) V^T   R [rank][rank] trained; U S and V^T frozen, from W's singular value
 *                                                         decomposition (Bałazy et al. 2024)
 *     bias     x W + b + d                                d [out] trained
 * All start as the layer without them.  Tensors of the adapter of layer (or part) X: parameters X.lora.a, X.lora.b; X.xs.r, with
 * state X.xs.us [in][rank], X.xs.vt [rank][out]; X.offset.
 *
 * Usual use: a task whose `train` patterns match nothing of the base (or the head alone), so that theta is the adapters and the
 * base is state; its hook is at_adapters_hook with an at_adapters; then at_task_init or a checkpoint for the base, and
 * at_adapters_frames. */
#ifndef AT_NN_ADAPTER_H
#define AT_NN_ADAPTER_H

#include "src/nn/layers.h"

#define AT_ADAPTERS(X) X(LORA, lora) X(LORA_XS, lora_xs) X(BIAS, bias)
typedef enum at_adapter_kind {
#define X(kind, name) AT_ADAPTER_##kind,
  AT_ADAPTERS(X)
#undef X
      AT_ADAPTER_COUNT
} at_adapter_kind;
extern const char *const at_adapter_names[]; /* by kind; ends with NULL */

typedef struct at_adapter_spec {
  const char
      *pattern; /* fnmatch, of the names of linear layers ("blocks.*.mlp.up") and of their parts ("blocks.*.attn.q") */
  at_adapter_kind kind;
  int64_t rank; /* LORA, LORA_XS */
  double alpha; /* LORA, LORA_XS */
} at_adapter_spec;

/* Where an adapter was injected. */
typedef struct at_adapter_site {
  char name[AT_NAME_MAX];  /* of the layer or part */
  char layer[AT_NAME_MAX]; /* of the layer */
  int spec;                /* index of its spec */
  int64_t in, out, column; /* columns column .. column + out - 1 of the layer's weight */
} at_adapter_site;

typedef struct at_adapters at_adapters;

/* spec[n] is copied, its patterns are borrowed.  Every spec applies to every layer, and to every part of other layers, that its
 * pattern matches. */
at_err at_adapters_create(at_adapters **out, const at_adapter_spec *spec, int n);
void at_adapters_destroy(at_adapters *a);
/* The at_linear_hook that injects; its context is an at_adapters. */
at_val at_adapters_hook(void *adapters, at_scope *s, const at_linear_site *site, at_val y);

/* After a model was built: where adapters are.  AT_ERR_CONFIG if a pattern matched nothing. */
at_err at_adapters_check(const at_adapters *a);
int at_adapters_count(const at_adapters *a);
const at_adapter_site *at_adapters_site(const at_adapters *a, int i);

/* Fill the frozen frames of lora_xs in `state` from the weights that are there.  Weights must have been loaded. */
at_err at_adapters_frames(const at_adapters *a, const at_layout *states, float *state);

/* The vectors of an adapted task. */
typedef struct at_adapted {
  const at_layout *params, *states;
  const float *theta, *state;
} at_adapted;

/* Merge: the weights (and biases) in x[base] become those with which the layers alone do what layers and adapters do, each
 * rounded once.  `base` is the layout of the plain model's parameters, or v->states itself.  saved[at_adapters_saved()] receives
 * what was there before.  AT_ERR_ARG if a bias is to be merged into a layer that has none. */
at_err at_adapters_merge(const at_adapters *a, const at_adapted *v, const at_layout *base, float *x, float *saved);
/* Undo the merge bit for bit. */
at_err at_adapters_unmerge(const at_adapters *a, const at_layout *base, float *x, const float *saved);
int64_t at_adapters_saved(const at_adapters *a); /* floats */

#endif
