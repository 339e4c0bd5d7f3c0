/* SPDX-License-Identifier: BSD-3-Clause */
/* Cutting one call of an f32 kernel into calls that threads can run side by side.
 *
 * A call is cut along a dimension whose units do not meet: rows of a product, images of a convolution, elements of a chain.
 * Kernels stay what they are, functions of their arguments that know nothing of threads. */
#ifndef AT_SPLIT_H
#define AT_SPLIT_H

#include "kernels/kernels.h"

/* How many units a call with these dimensions falls into; 1 where it is not cut (sums over rows, scatters). */
int64_t at_kernel_units(at_kslot slot, const int64_t *dim);

/* Reduce the call to its units [from, from + count). */
void at_kernel_share(at_kslot slot, at_kcall *call, int64_t from, int64_t count);

/* The units of share `part` of `parts`: [*from, *from + *count), cut at multiples of 16 where there are that many. */
static inline void at_kernel_cut(int64_t units, int part, int parts, int64_t *from, int64_t *count) {
  const int64_t grain = units >= 32 * (int64_t)parts ? 16 : 1, grains = (units + grain - 1) / grain;
  const int64_t first = grains * part / parts * grain, end = grains * (part + 1) / parts * grain;
  *from = first;
  *count = (end < units ? end : units) - first;
}

#endif
