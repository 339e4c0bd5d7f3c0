/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernel: dropout from a counter-based stream, whose key is an input. */
#include <Random123/philox.h>

#include "kernels/ref/real.h"

static uint64_t join(const int32_t *words) {
  return (uint64_t)(uint32_t)words[0] | (uint64_t)(uint32_t)words[1] << 32;
}

void AT_REF(dropout)(const at_kcall *k) {
  const int64_t n = k->dim[0];
  const real *x = k->in[0], scale = (real)(1.0 / (1.0 - k->attr[0]));
  const int32_t *words = k->in[1]; /* seed, client, round, step */
  real *out = k->out[0];
  const double below = k->attr[0] * 0x1p32;
  const philox4x64_key_t key = {{join(words), (uint64_t)k->dim[2] | (uint64_t)k->dim[1] << 32}};
  philox4x64_ctr_t at = {{0, join(words + 6), join(words + 4), join(words + 2)}};
  for (int64_t i = 0; i < n; i += 8, at.v[0]++) {
    const philox4x64_ctr_t draw = philox4x64_R(10, at, key);
    for (int64_t j = 0; j < 8 && i + j < n; j++) {
      const uint32_t word = (uint32_t)(draw.v[j / 2] >> 32 * (j % 2));
      out[i + j] = (double)word < below ? 0 : x[i + j] * scale;
    }
  }
}
