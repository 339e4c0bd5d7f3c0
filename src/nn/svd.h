/* SPDX-License-Identifier: BSD-3-Clause */
/* Truncated singular value decompositions of weight matrices, by LAPACK in double. */
#ifndef AT_NN_SVD_H
#define AT_NN_SVD_H

#include <stdint.h>

#include "src/base/status.h"

/* w [rows][cols] with `stride` floats from row to row is nearest to us [rows][rank] times vt [rank][cols], with orthonormal rows
 * of vt and columns of us orthogonal, as long as the singular values, in falling order.  Of each pair the element of largest
 * magnitude in vt's row is positive.  1 <= rank <= min(rows, cols).  AT_ERR_NONFINITE if w is not finite. */
at_err at_svd_truncated(int64_t rows, int64_t cols, const float *w, int64_t stride, int64_t rank, float *us, float *vt);

#endif
