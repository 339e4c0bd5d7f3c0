/* SPDX-License-Identifier: BSD-3-Clause */
/* Truncated singular value decompositions by LAPACK's dgesdd, which OpenBLAS brings along. */
#include "src/nn/svd.h"

#include <limits.h>
#include <math.h>

#include "src/base/alloc.h"

/* Fortran: all by reference, the length of the string at the end. */
extern void dgesdd_(const char *job, const int *m, const int *n, double *a, const int *lda, double *s, double *u,
                    const int *ldu, double *vt, const int *ldvt, double *work, const int *lwork, int *iwork, int *info,
                    size_t job_length);

/* LAPACK's matrices are stored by columns: what it sees is the transpose w^T [cols] x [rows] = v s u^T. */
typedef struct svd {
  int rows, cols, k; /* k = min(rows, cols) */
  double *a, *s;
  double *v;  /* column j at v + j cols */
  double *ut; /* element (j, i) at ut + j + i k */
  double *work;
  int *iwork;
} svd;

static at_err decompose(svd *d) {
  int lwork = -1, info = 0;
  double best = 0;
  for (int pass = 0; pass < 2; pass++) { /* the first asks how much work space is best */
    dgesdd_("S", &d->cols, &d->rows, d->a, &d->cols, d->s, d->v, &d->cols, d->ut, &d->k, pass ? d->work : &best, &lwork,
            d->iwork, &info, 1);
    if (info != 0) {
      return AT_FAIL(AT_ERR_NONFINITE, "no singular values of a %d x %d matrix (LAPACK's info %d): is it finite?",
                     d->rows, d->cols, info);
    }
    if (pass == 0) {
      lwork = (int)best;
      AT_TRY(at_alloc(&d->work, (size_t)lwork, sizeof *d->work, "singular values"));
    }
  }
  return AT_OK;
}

static void keep(const svd *d, int64_t rank, float *us, float *vt) {
  for (int j = 0; j < (int)rank; j++) {
    const double *v = d->v + (int64_t)j * d->cols;
    double most = 0;
    for (int i = 0; i < d->cols; i++) {
      most = fabs(v[i]) > fabs(most) ? v[i] : most;
    }
    double sign = most < 0 ? -1 : 1;
    for (int i = 0; i < d->cols; i++) {
      vt[(int64_t)j * d->cols + i] = (float)(sign * v[i]);
    }
    for (int i = 0; i < d->rows; i++) {
      us[i * rank + j] = (float)(sign * d->s[j] * d->ut[j + (int64_t)i * d->k]);
    }
  }
}

at_err at_svd_truncated(int64_t rows, int64_t cols, const float *w, int64_t stride, int64_t rank, float *us,
                        float *vt) {
  int64_t least = rows < cols ? rows : cols;
  if (rank < 1 || rank > least || rows > INT_MAX || cols > INT_MAX) {
    return AT_FAIL(AT_ERR_ARG, "rank %lld of a %lld x %lld matrix: wanted 1 to %lld", (long long)rank, (long long)rows,
                   (long long)cols, (long long)least);
  }
  svd d = {.rows = (int)rows, .cols = (int)cols, .k = (int)least};
  size_t k = (size_t)least;
  at_err err;
  AT_TRY_TO(err, done, at_alloc(&d.a, (size_t)(rows * cols), sizeof *d.a, "singular values"));
  AT_TRY_TO(err, done, at_alloc(&d.s, k, sizeof *d.s, "singular values"));
  AT_TRY_TO(err, done, at_alloc(&d.v, k * (size_t)cols, sizeof *d.v, "singular values"));
  AT_TRY_TO(err, done, at_alloc(&d.ut, k * (size_t)rows, sizeof *d.ut, "singular values"));
  AT_TRY_TO(err, done, at_alloc(&d.iwork, 8 * k, sizeof *d.iwork, "singular values"));
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t j = 0; j < cols; j++) {
      d.a[i * cols + j] = (double)w[i * stride + j];
    }
  }
  AT_TRY_TO(err, done, decompose(&d));
  keep(&d, rank, us, vt);
done:
  at_free(d.a);
  at_free(d.s);
  at_free(d.v);
  at_free(d.ut);
  at_free(d.work);
  at_free(d.iwork);
  return err;
}
