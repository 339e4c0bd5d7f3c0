/* SPDX-License-Identifier: BSD-3-Clause */
/* PowerSGD (Vogels et al. 2019): matrices sent as a product of two thin ones, by one step of the power method.
 *
 * For each matrix A = M + E (rows x cols) of each client, with Q (cols x r) the same for all and kept between rounds:
 *     P = A Q;  mean over clients;  orthonormalise;  Ql = A^T P;  mean = Qbar;  result = P Qbar^T;  Q = Qbar
 *     E = A - P Ql^T, or (`averaged`) A - P Qbar^T
 * Here is what one rank computes; src/comm/collective/low_rank.h makes the two means.  All loops run in a fixed order on one thread, so
 * that equal inputs give equal bytes everywhere.
 *
 * A matrix is compressed only if 2 r (rows + cols) < rows cols; the rest of the vector ("dense") travels beside P as it is.
 * Buffers: p[at_powersgd_p] = for each compressed matrix r columns of `rows`, then all dense elements;
 *          q[at_powersgd_q] = for each compressed matrix r columns of `cols`. */
#ifndef AT_COMM_CODEC_POWERSGD_H
#define AT_COMM_CODEC_POWERSGD_H

#include "src/comm/codec/codec.h"

/* A tensor of the vector; those follow one another without gaps.  Orders above 2: rows = the first dimension; a vector: cols = 1. */
typedef struct at_matrix {
  int64_t rows, cols;
} at_matrix;

typedef struct at_powersgd at_powersgd;

/* cfg: resolved, of kind powersgd.  k: borrowed.  The seed gives the first Q. */
at_err at_powersgd_create(at_powersgd **out, const at_codec_cfg *cfg, const at_kernels *k, int64_t n_tensors,
                          const at_matrix *tensors, uint64_t seed);
void at_powersgd_destroy(at_powersgd *s); /* accepts NULL */

int64_t at_powersgd_n(const at_powersgd *s); /* elements of the vector */
int64_t at_powersgd_p(const at_powersgd *s);
int64_t at_powersgd_q(const at_powersgd *s);

/* p = A Q and the dense elements of a[n]. */
void at_powersgd_project(const at_powersgd *s, const float *a, float *p);
/* Columns of each P by modified Gram-Schmidt in f64; a column shorter than 1e-30 becomes zeros. */
void at_powersgd_orthonormalise(at_powersgd *s, float *p);
void at_powersgd_back(const at_powersgd *s, const float *a, const float *p, float *q); /* q = A^T P */
/* out[n] = P Q^T and the dense elements. */
void at_powersgd_expand(const at_powersgd *s, const float *p, const float *q, float *out);
/* a = a - P Q^T, dense elements 0. */
void at_powersgd_residual(const at_powersgd *s, const float *p, const float *q, float *a);
/* Keep qbar as the next round's Q.  Columns of zeros, which would stay so for ever, are drawn anew from (seed, round). */
void at_powersgd_keep(at_powersgd *s, uint64_t round, const float *qbar);

/* The kept Q [at_powersgd_q], for checkpoints: may be read, and overwritten between rounds. */
float *at_powersgd_state(at_powersgd *s);

#endif
