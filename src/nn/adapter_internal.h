/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two files of adapters share. */
#ifndef AT_NN_ADAPTER_INTERNAL_H
#define AT_NN_ADAPTER_INTERNAL_H

#include "src/nn/adapter.h"

struct at_adapters {
  at_adapter_spec *spec;
  int n_spec, n_site;
  at_adapter_site *site;
};

static inline double at_adapter_scale(const at_adapter_spec *s) {
  return s->alpha / (double)s->rank;
}

#endif
