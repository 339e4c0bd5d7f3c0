/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel table: every computation a program can ask for, as pure functions over pointers.
 *
 * A table is filled from the bottom: the reference version of every slot first, then the ones that the chosen
 * instruction set does better; no slot is ever empty.  The reference source is compiled twice, for f32 and f64;
 * f64 tables hold reference slots only.  Kernels know nothing of MPI, HDF5, graphs or malloc: what they need beyond
 * their arguments they take from `scratch`.
 *
 * Numerics, for all slots: row-major, contiguous unless strides are given; `real` is float or double by table;
 * index arrays are int32_t; accumulation is in `real` or wider (the reference sums in double); no fast-math; exp, tanh and erf
 * are the kernels' own (kernels/approx.h), never the C library's, so that a level's bits do not depend on the C library.
 * NaN and infinities propagate.  Any dimension may be 0.  Outputs never overlap inputs unless the slot says "in place".
 * A level's results do not depend on alignment, nor on time, nor on anything but its arguments. */
#ifndef AT_KERNELS_H
#define AT_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* avx512bf16 differs from avx512 in products of bf16 alone. */
typedef enum at_isa { AT_ISA_REF, AT_ISA_AVX2, AT_ISA_AVX512, AT_ISA_AVX512BF16, AT_ISA_COUNT } at_isa;

enum { AT_KIN = 8, AT_KOUT = 4, AT_KDIM = 32, AT_KATTR = 4, AT_KND = 6 /* most dimensions of a strided slot */ };

/* One call of one kernel. */
typedef struct at_kcall {
  const void *in[AT_KIN];
  void *out[AT_KOUT];
  void *scratch; /* as many bytes as the slot's at_kernel_scratch() says; 64-byte aligned; not zeroed */
  int64_t dim[AT_KDIM];
  double attr[AT_KATTR];
} at_kcall;
typedef void (*at_kernel)(const at_kcall *k);

/* The slots.  Notation: in/out/dim/attr are the at_kcall's arrays.
 *
 * Element-wise with broadcasting: dim[0] = nd (0..6), dim[1..nd] = output shape, then nd strides (in elements, 0 where
 * broadcast) of in[0], then nd strides of in[1] (binary slots).  out[0] is contiguous.  Fast versions must recognise:
 * both contiguous; one a scalar; in[1] broadcast over leading dimensions (a row added to every row); in[1] broadcast over
 * trailing dimensions (a column).  In place (out[0] == in[0]) is allowed when in[0] is contiguous.
 *   add sub mul div
 *   copy_strided              out = in[0] (unary: broadcasting, transposing, slicing: only the strides say which)
 *
 * Element-wise, contiguous, n = dim[0]; in place allowed:
 *   affine                    out = attr[0] * in + attr[1]
 *   neg exp log sqrt tanh sigmoid square recip
 *   erf
 *   gelu                      x/2 * (1 + erf(x/sqrt(2)))   (exact form)
 *   gelu_bwd                  in: x, dy; out = dy * gelu'(x)
 *   silu                      x * sigmoid(x)
 *   silu_bwd                  in: x, dy
 *
 * reduce_sum                  out[outer][inner] = sum over mid of in[outer][mid][inner]; dim: outer, mid, inner.
 *                             Order of the sum: fixed per (outer, mid, inner); error O(mid/8 * eps) or better.
 * logsumexp                   out[rows] = log sum exp in[rows][n]; dim: rows, n; shifted by the row's maximum
 * place                       out (contiguous, shape dim[1..nd]) = 0 except a box that receives in[0]: dim[0] = nd, then
 *                             output shape, then box start (nd), then box shape (nd).  The transpose of a slice.
 * join                        in: a [outer][na], b [outer][nb]; out [outer][na + nb]; dim: outer, na, nb
 * causal_fill                 in [batch][t][s]; out = in where s_index <= t_index + attr[1], else attr[0];
 *                             dim: batch, t, s.  In place allowed.
 * onehot                      in: i32 [n]; out [n][classes] of 0/1; dim: n, classes; an index
 *                             outside 0..classes-1: a row of zeros
 *
 * matmul                      C[b] = op(A[b]) op(B[b]); in: A, B; out: C [m][n]; dim: batch, m, n, k, ta, tb,
 *                             stride_a, stride_b (elements between batches, 0 to reuse), lda (elements between stored
 *                             rows of A; 0: no gaps).  ta: A is stored [k][m].
 *                             tb: B is stored [n][k].  k = 0 gives zeros.  scratch (NULL: BLAS multiplies)
 * matmul_bf16                 the same with A and B rounded to bf16 (nearest even), products and sums in f32 or wider.  scratch
 * matmul_add                  out = C + s op(A) op(B); in: C [m][n], A, B, s [1]; dim as matmul's, batch 1.  In place allowed.  The levels
 *                             sum over at most AT_PRODUCT_DEPTH steps of k before they scale.  scratch
 * matmul_add_bf16             the same with A and B rounded to bf16.  scratch
 * embed                       out[n][d] = table[ids[n]]; in: table [rows][d], ids i32; dim: n, d, rows;
 *                             an id outside 0..rows-1 gives a row of zeros, and is skipped by embed_bwd
 * embed_bwd                   out[rows][d] = sum of dy rows by id; in: dy [n][d], ids; dim: n, d, rows.  Adds in
 *                             ascending n.
 * layernorm                   in: x [rows][n], g [n], b [n]; out: y, mean [rows], rstd [rows]; dim: rows, n; attr[0] eps.
 *                             y = (x - mean) * rstd * g + b, rstd = 1/sqrt(var + eps), var biased, two passes
 * layernorm_bwd               in: x, g, mean, rstd, dy; out: dx, dg [n], db [n]; scratch
 * rmsnorm                     in: x, g; out: y, rrms [rows]; y = x * rrms * g, rrms = 1/sqrt(mean(x^2) + eps)
 * rmsnorm_bwd                 in: x, g, rrms, dy; out: dx, dg; scratch
 * rope                        rotary positions on packed heads: in/out [batch][t][heads_total][hd]; the first `rotated`
 *                             heads turn, the others are copied.  Pairs (2i, 2i+1) by angle (t0 + t) * base^(-2i/hd);
 *                             dim: batch, t, heads_total, hd, rotated, t0; attr: base, sign (+1, or -1 for the inverse).
 *                             Angles in double.  In place allowed.
 * attention                   causal or full attention on packed qkv [batch][t][(hq + 2 hkv) * hd] (queries, then keys,
 *                             then values; query head h reads key head h / (hq/hkv)); out: o [batch][t][hq * hd],
 *                             lse [batch][hq][t]; dim: batch, t, hq, hkv, hd, causal; attr[0] scale.  Online softmax
 *                             over blocks of keys: no t x t matrix in memory.  scratch
 * attention_bwd               in: qkv, o, lse, do; out: dqkv; same dims; scratch
 * xent                        in: logits [rows][v], target i32 [rows]; out: loss [1] (sum over rows of -log p, times
 *                             attr[0]; accumulated in double), lse [rows]; dim: rows, v; target outside
 *                             0..v-1: row is skipped (its lse is still given, its dlogits are 0)
 * xent_bwd                    in: logits, target, lse, dloss [1]; out: dlogits = dloss * attr[0] * (softmax - onehot);
 *                             dim: rows, v.  In place allowed
 *
 * Comparing and choosing.  maximum minimum less less_equal equal: binary with broadcasting as above; the last three give 1 or
 * 0.  maximum and minimum: NaN if either is.
 * where                       out = in[0] != 0 ? in[1] : in[2]; dim: nd, shape, then nd strides of each of the three inputs
 * relu                        x < 0 ? 0 : x.  abs.  sign: -1, 0 or 1.  softplus: log(1 + exp(x)).  All as affine above.
 * clamp                       x < attr[0] ? attr[0] : x > attr[1] ? attr[1] : x; dim[0] = n
 * relu_bwd                    in: dy, y; out = y > 0 ? dy : 0.  In place allowed.  dim[0] = n
 * clamp_bwd                   in: dy, x; out = attr[0] <= x <= attr[1] ? dy : 0.  In place allowed.  dim[0] = n
 * softmax                     out[rows][n]; dim: rows, n; shifted by the row's maximum.  In place allowed.
 * length_fill                 in: x [batch][rows][s], length i32 [batch]; out = x where s_index < length, else attr[0];
 *                             dim: batch, rows, s.  In place allowed.
 * dropout                     in: x, key i32 [8] (low and high words of seed, client, round, step); out = x / (1 - attr[0]), or
 *                             0 with probability attr[0]: where word i of the Philox4x64-10 stream with key (seed,
 *                             dim[2] | dim[1] << 32) and counter (i / 8, step, round, client), in 32-bit words, low half
 *                             first, is below attr[0] 2^32.  dim: n, tag, purpose.  In place allowed.
 *
 * Indices along a dimension of [outer][mid][inner].
 * argmax                      out: i32 [outer][inner]: the first of the largest; NaN is above all.  dim: outer, mid, inner
 * topk                        in [rows][n]; out: i32 [rows][k] in descending order of value; equal ones by index; NaN is
 *                             above all.  dim: rows, n, k (k <= n)
 * take                        in: x [outer][mid][inner], index i32 [outer][count][inner]; out [outer][count][inner]; an index
 *                             outside 0..mid-1 gives 0, and is skipped by put.  dim: outer, mid, count, inner
 * put                         in: dy [outer][count][inner], index; out [outer][mid][inner] = sums.  Same dim
 * to_real                     in: i32; out: real.  dim[0] = n
 * to_int                      in: real; out: i32, towards 0; the nearest i32 if outside; NaN gives 0.  dim[0] = n
 *
 * Convolutions: channels are last; w [kh][kw][c/groups][oc], outputs of group g are the channels oc/groups * g ...;
 * dim: n, h, w, c, oc, kh, kw, stride_h, stride_w, pad_h, pad_w, groups, oh, ow (zeros around; kernels/conv_shape.h).
 * With stride 1, 3 x 3 or 5 x 5 kernels and 16 channels or more the vector versions in f32 work on tiles of x of 4 x 4 or 6 x 6
 * (kernels/simd/minimal.h): error at most 4e-6 of the largest element, and a NaN or an infinity spreads over its tiles.
 * conv2d                      in: x [n][h][w][c], w; out: y [n][oh][ow][oc] = sum of x(oy stride - pad + ky, ..) w(ky, ..).
 * conv2d_dx                   in: dy, w; out: dx (the transpose in x).  scratch
 * conv2d_dw                   in: x, dy; out: dw (the transpose in w).  scratch
 * conv2d_bf16 conv2d_dx_bf16 conv2d_dw_bf16   the same three with both inputs rounded to bf16 (nearest even), sums in f32 or wider.
 *                             scratch
 * unfold                      in: x; out [n][oh ow][kh kw c]: the patches that a convolution multiplies; same dim (oc unread,
 *                             groups 1)
 * fold                        in: dp [n][oh ow][kh kw c]; out: dx [n][h][w][c]: its transpose
 * Pooling: dim: n, h, w, c, oh, ow, kh, kw, stride_h, stride_w, pad_h, pad_w, whole.  kh = 0: adaptive, output o sees rows
 * floor(o h / oh) up to ceil((o + 1) h / oh), and columns alike (kernels/pool_shape.h).
 * avgpool                     in: x [n][h][w][c]; out [n][oh][ow][c]: the mean of what lies inside the image, or (whole) the sum
 *                             over kh kw
 * avgpool_bwd                 in: dy; out: dx: its transpose.  Same dim
 * maxpool                     out: y, and i32 index [n][oh][ow][c]: row * w + column of the first largest; NaN is above all
 *
 * Rows of channels, x [batch][rows][c].
 * moments                     out: mean [batch][c], variance [batch][c] (biased); dim: batch, rows, c
 * rows_affine                 in: x, a [batch][c], b [batch][c]; out = x a + b.  Same dim.  In place allowed.
 * rows_dot                    in: x, y (same shape); out: sum over rows of x y, of x; each [batch][c].  Same dim
 */
/* clang-format off */
#define AT_KERNEL_SLOTS(X)                                                                                             \
  X(add) X(sub) X(mul) X(div) X(copy_strided)                                                                          \
  X(affine) X(neg) X(exp) X(log) X(sqrt) X(tanh) X(sigmoid) X(square) X(recip) X(erf)                                  \
  X(gelu) X(gelu_bwd) X(silu) X(silu_bwd)                                                                              \
  X(reduce_sum) X(logsumexp) X(place) X(causal_fill) X(onehot)                                                         \
  X(matmul) X(matmul_bf16) X(matmul_add) X(matmul_add_bf16) X(embed) X(embed_bwd)                                                                                   \
  X(layernorm) X(layernorm_bwd) X(rmsnorm) X(rmsnorm_bwd) X(rope) X(attention) X(attention_bwd) X(xent) X(xent_bwd) \
  X(join) X(maximum) X(minimum) X(less) X(less_equal) X(equal) X(where)                                                \
  X(relu) X(relu_bwd) X(clamp) X(clamp_bwd) X(abs) X(sign) X(softplus)                                                 \
  X(softmax) X(length_fill) X(dropout) X(argmax) X(topk) X(take) X(put) X(to_real) X(to_int)                           \
  X(conv2d) X(conv2d_dx) X(conv2d_dw) X(conv2d_bf16) X(conv2d_dx_bf16) X(conv2d_dw_bf16) X(unfold) X(fold) X(avgpool) X(avgpool_bwd) X(maxpool)                           \
  X(moments) X(rows_affine) X(rows_dot)
/* clang-format on */

typedef enum at_kslot {
#define X(name) AT_K_##name,
  AT_KERNEL_SLOTS(X)
#undef X
      AT_K_COUNT
} at_kslot;

/* Fused vector work on flat f32 parameter vectors (optimisers, norms, exact sums).  n elements each; vectors do not
 * overlap unless equal.  Sums accumulate in double in a fixed order that depends on n alone. */
typedef struct at_adamw {
  double lr, beta1, beta2, eps, weight_decay;
  double bias1, bias2; /* 1 - beta1^t, 1 - beta2^t */
  double grad_scale;   /* the gradient is multiplied by this first (clipping) */
} at_adamw;

typedef struct at_momentum {
  double lr, momentum, weight_decay, grad_scale;
  int nesterov;
} at_momentum;

/* A step of Langevin dynamics at a temperature T, in the potential whose gradient is g (and weight_decay / 2 |w|^2). */
typedef struct at_langevin {
  double lr, temperature, weight_decay, grad_scale;
  double beta, eps; /* of the preconditioner */
} at_langevin;

typedef struct at_vec {
  /* Decoupled AdamW (Loshchilov and Hutter 2019): m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
   * w -= lr * (m/bias1) / (sqrt(v/bias2) + eps) + lr * wd * w.  All in place. */
  void (*adamw)(const at_adamw *a, int64_t n, const float *g, float *w, float *m, float *v);
  void (*sgd)(double lr, int64_t n, const float *g, float *w); /* w = w - (float)lr * g, two roundings */
  /* g' = grad_scale g + weight_decay w; m = momentum m + g'; w -= lr m, or with nesterov lr (g' + momentum m).  In place. */
  void (*momentum)(const at_momentum *a, int64_t n, const float *g, float *w, float *m);
  /* g' as above; w = w - lr g' + sqrt(2 lr T) xi, with xi standard normal (Welling and Teh 2011).  v not NULL: v = beta v +
   * (1 - beta) g'^2 and then, with G = 1 / (sqrt(v) + eps), w = w - lr G g' + sqrt(2 lr T G) xi (Li et al. 2016, without
   * the derivative of G). */
  void (*langevin)(const at_langevin *a, int64_t n, const float *g, const float *xi, float *w, float *v);
  void (*lerp)(double a, int64_t n, const float *x, float *y);        /* y = y + (float)a * (x - y), three roundings */
  void (*axpy)(double a, int64_t n, const float *x, float *y);        /* y = y + (float)a * x, two roundings */
  void (*sub)(int64_t n, const float *a, const float *b, float *out); /* out = a - b; out may be a or b */
  double (*sumsq)(int64_t n, const float *x);                         /* NaN if x holds a NaN or infinity */
  double (*dot)(int64_t n, const float *x, const float *y);
  /* acc[i] += rint(weight * x[i] * 2^bits) as int64, weight * x in double; ties to even.  Returns the largest magnitude of
   * the added terms in grid units, as double (NaN if a term is not finite).  acc is unspecified after a magnitude of 2^63 or more, or NaN. */
  double (*grid_add)(double weight, int bits, int64_t n, const float *x, int64_t *acc);
  void (*grid_get)(int bits, int64_t n, const int64_t *acc, float *out); /* out = (float)((double)acc * 2^-bits) */
  double (*largest)(int64_t n, const float *x); /* magnitude; NaN if x holds a NaN or infinity */
} at_vec;

typedef struct at_kernels {
  const char *isa_name; /* "ref", "avx2", "avx512", "avx512bf16" */
  at_isa isa;
  int threads; /* that programs compiled for this table run on; 1 from at_kernels_init, to be changed before use */
  at_kernel f32[AT_K_COUNT];
  at_kernel f64[AT_K_COUNT]; /* reference versions */
  at_vec vec;
} at_kernels;

at_isa at_isa_detect(void); /* the best level this processor and operating system support */
const char *at_isa_name(at_isa isa);
int at_isa_from_name(const char *name, at_isa *out); /* 0 if known, -1 if not */
void at_kernels_init(at_kernels *k, at_isa isa);     /* fill the table for `isa` (must be supported) */
const char *at_kernel_name(at_kslot slot);

/* Bytes of scratch a slot needs for these dimensions, for elements of `real_bytes` (4 or 8); the largest over all levels,
 * so that a plan does not depend on the instruction set. */
size_t at_kernel_scratch(at_kslot slot, const int64_t *dim, size_t real_bytes);

#endif
