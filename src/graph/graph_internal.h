/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of src/graph share: nodes, values, and the row that describes an operation. */
#ifndef AT_GRAPH_GRAPH_INTERNAL_H
#define AT_GRAPH_GRAPH_INTERNAL_H

#include "src/graph/graph.h"

/* clang-format off */
#define AT_OPS(X)                                                                                                      \
  X(leaf)                                                                                                              \
  X(add) X(sub) X(mul) X(div) X(affine) X(neg) X(exp) X(log) X(sqrt) X(tanh) X(sigmoid) X(square) X(recip) X(erf)      \
  X(gelu) X(gelu_bwd) X(silu) X(silu_bwd) X(reshape) X(permute) X(broadcast) X(slice) X(place) X(sum) X(logsumexp)     \
  X(matmul) X(embed) X(embed_bwd) X(onehot) X(layernorm) X(layernorm_bwd) X(rmsnorm) X(rmsnorm_bwd) X(rope)            \
  X(attention) X(attention_bwd) X(causal_fill) X(xent) X(xent_bwd)                                                     \
  X(join) X(maximum) X(minimum) X(less) X(less_equal) X(equal) X(where)                                                \
  X(relu) X(relu_bwd) X(clamp) X(clamp_bwd) X(abs) X(sign) X(softplus)                                                 \
  X(softmax) X(length_fill) X(stop_gradient) X(straight_through) X(dropout)                                            \
  X(argmax) X(topk) X(take) X(put) X(to_real) X(to_int)                                                                \
  X(conv2d) X(conv2d_dx) X(conv2d_dw) X(unfold) X(fold) X(avgpool) X(avgpool_bwd) X(maxpool)                           \
  X(moments) X(rows_affine) X(rows_dot) X(matmul_add)
/* clang-format on */

typedef enum at_op {
#define X(name) AT_OP_##name,
  AT_OPS(X)
#undef X
      AT_OP_COUNT
} at_op;

enum { AT_NATTR_I = 8, AT_NATTR_F = 2 };

/* One application of an operation.  Its outputs are the values out .. out + n_out - 1. */
typedef struct at_node {
  at_op op;
  int n_in, n_out;
  at_val in[AT_KIN], out;
  int64_t i[AT_NATTR_I]; /* integer attributes; meaning by operation */
  double f[AT_NATTR_F];
  int block; /* marked block it was built in; 0: none */
  int copy;  /* of which recomputation it is; 0: the original.  Copies are not merged with originals. */
} at_node;

typedef enum at_leaf_kind { AT_LEAF_NOT, AT_LEAF_INPUT, AT_LEAF_PARAM, AT_LEAF_STATE, AT_LEAF_CONST } at_leaf_kind;

typedef struct at_value {
  int node; /* that makes it */
  at_dtype dtype;
  at_shape shape;
  at_leaf_kind leaf;
  int64_t leaf_at; /* input number, or element offset in the flat parameter or state vector */
  double fill;     /* AT_LEAF_CONST */
} at_value;

typedef struct at_op_row {
  const char *name;
  int n_in, n_out;
  int kslot;      /* at_kslot, or -1: no kernel (leaf; or the output is the first input's bytes, as in reshape) */
  int kslot_bf16; /* the kernel at precision bf16, with the same arguments; 0: no other */
  /* Types: bit k of i32_in (i32_out) is set where input (output) k is i32; all others are the graph's real type.  `moves`:
   * takes both types, and the output has the type of input 0. */
  unsigned i32_in, i32_out;
  bool moves;
  /* Check the inputs' shapes and give each output's. */
  at_err (*infer)(const at_graph *g, const at_node *n, at_shape *out);
  /* Fill dim and attr of the kernel call; *in0_shift: elements to skip at the start of in[0]. */
  void (*lower)(const at_graph *g, const at_node *n, at_kcall *k, int64_t *in0_shift);
  /* din[i] = cotangent of input i as nodes, AT_NONE where there is none; dout[j] may be AT_NONE.  NULL: not differentiable
   * directly (see decompose, forward). */
  void (*vjp)(at_graph *g, const at_node *n, const at_val *dout, at_val *din);
  /* The first output in terms of operations that have a vjp of their own.  Fused operations only. */
  at_val (*decompose)(at_graph *g, const at_node *n);
  /* For the fused derivative of another operation: rebuild the forward node's inputs.  `fwd_in[i]` is which of this
   * node's inputs is input i of the forward operation, `cot_in` which is the cotangent; `grad_of[j]` which forward input
   * output j is the derivative for. */
  at_op forward;
  int fwd_in[4], cot_in, grad_of[4];
  bool in_place; /* out[0] may overlay in[0] */
  /* Why the derivative is not the function's (tests check what the operation promises instead); NULL where it is. */
  const char *exempt;
  /* Floating-point operations of one call. */
  double (*flops)(const at_graph *g, const at_node *n);
} at_op_row;

const at_op_row *at_op_get(at_op op);
/* The kernel slot of an operation that has one. */
at_kslot at_op_slot(const at_graph *g, at_op op);

struct at_graph {
  at_dtype real;
  at_precision precision;
  at_err status;
  int n_node, cap_node, n_value, cap_value, n_input;
  at_node *node;
  at_value *value;
  at_layout param, state;
  int cap_param, cap_state;
  at_val *param_value; /* by parameter number */
  int32_t *table;      /* hash of nodes: node + 1, or 0 */
  int table_size;      /* a power of two */
  int block, n_blocks; /* the marked block being built, or 0; how many there are */
  int n_copies;        /* recomputations so far */
};

/* Append (or find) a node; fills out and the outputs' values.  Returns its first output, or AT_NONE. */
at_val at_graph_node(at_graph *g, at_op op, const at_val *in, int n_in, const int64_t *i, int n_i, const double *f,
                     int n_f);
/* As above when another operation stands for the same inputs with no attributes. */
at_val at_graph_node0(at_graph *g, at_op op, const at_val *in, int n_in);
/* Node `n` again on other inputs, as part of recomputation `copy` (from 1).  Returns its first output, or AT_NONE. */
at_val at_graph_copy(at_graph *g, const at_node *n, const at_val *in, int copy);
/* A value that equals no other, to differentiate with respect to where the result does not depend on it (which is linear in
 * it): reading it gives NaN. */
at_val at_graph_fresh(at_graph *g, at_shape shape);
/* at_graph_vjp; with `through`, wrt values may depend on one another and each gets its whole cotangent. */
at_err at_graph_sweep(at_graph *g, const at_val *out, const at_val *cot, int n_out, const at_val *wrt, int n_wrt,
                      bool through, at_val *grad);
/* cone[value count, zeroed]: marks the values that in[] are computed from, themselves included. */
void at_graph_cone(const at_graph *g, const at_val *in, int n_in, bool *cone);
/* Remember a failure (the first one stays) and return AT_NONE. */
at_val at_graph_fail(at_graph *g, at_err e);
static inline const at_value *at_graph_value(const at_graph *g, at_val v) {
  return &g->value[v];
}
static inline at_shape at_in_shape(const at_graph *g, const at_node *n, int i) {
  return g->value[n->in[i]].shape;
}

#endif
