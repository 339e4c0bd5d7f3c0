/* SPDX-License-Identifier: BSD-3-Clause */
/* How much scratch a convolution needs, whichever way it is done. */
#ifndef AT_CONV_SCRATCH_H
#define AT_CONV_SCRATCH_H

#include "kernels/minimal_shape.h"

/* Floats. */
static inline size_t at_conv_floats(at_kslot slot, const at_conv *s) {
  const size_t direct = at_conv_direct_floats(slot, s), minimal = at_minimal_floats(slot, s);
  return direct > minimal ? direct : minimal;
}

/* Reals of scratch where the inputs are rounded first: images with margins, even if there are none, and a row of one; or both inputs
 * as a whole, which stand behind what the kernel itself needs, from *inputs on. */
static inline size_t at_conv_rounded(at_kslot slot, const at_conv *s, size_t *inputs) {
  const int64_t x = s->n * s->h * s->w * s->c, y = s->n * s->oh * s->ow * s->oc;
  const int64_t w = s->kh * s->kw * s->group_c * s->oc, row = (s->w + 2 * s->pw + s->sw) * s->c;
  *inputs = (at_conv_floats(slot, s) + (size_t)row + 15) / 16 * 16;
  return *inputs + (size_t)(x + y + w);
}

#endif
