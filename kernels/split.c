/* SPDX-License-Identifier: BSD-3-Clause */
/* Along which dimension each slot can be cut, and how far its operands are apart there. */
#include "kernels/split.h"

enum { ELEMENT = 4 /* bytes: of a float or an index */ };

/* The dimension that is cut: its index in dim[] and how many elements of each operand belong to one unit of it. */
typedef struct cut {
  int axis; /* -1: none */
  int64_t in[AT_KIN], out[AT_KOUT];
} cut;

static const cut whole = {.axis = -1};

static cut flat(int inputs) {
  cut c = {.axis = 0, .out = {1}};
  for (int i = 0; i < inputs; i++) {
    c.in[i] = 1;
  }
  return c;
}

/* The first axis longer than 1 of a call with strides. */
static cut strided(const int64_t *d, int inputs) {
  const int nd = (int)d[0];
  int axis = 0;
  while (axis < nd && d[1 + axis] == 1) {
    axis++;
  }
  if (axis == nd) {
    return whole;
  }
  cut c = {.axis = 1 + axis, .out = {1}};
  for (int i = axis + 1; i < nd; i++) {
    c.out[0] *= d[1 + i];
  }
  for (int i = 0; i < inputs; i++) {
    c.in[i] = d[1 + nd * (i + 1) + axis];
  }
  return c;
}

static cut product(const int64_t *d) {
  const int64_t m = d[1], n = d[2], k = d[3];
  if (d[0] != 1) {
    return (cut){.axis = 0, .in = {d[6], d[7]}, .out = {m * n}};
  }
  return (cut){.axis = 1, .in = {d[4] ? 1 : d[8] ? d[8] : k}, .out = {n}};
}

/* C, A, B and the scale, of one product. */
static cut product_add(const int64_t *d) {
  return (cut){.axis = 1, .in = {d[2], d[4] ? 1 : d[8] ? d[8] : d[3]}, .out = {d[2]}};
}

static cut attention(at_kslot slot, const int64_t *d) {
  const int64_t t = d[1], hq = d[2], qkv = t * (hq + 2 * d[3]) * d[4], o = t * hq * d[4], lse = t * hq;
  return slot == AT_K_attention ? (cut){.axis = 0, .in = {qkv}, .out = {o, lse}}
                                : (cut){.axis = 0, .in = {qkv, o, lse, o}, .out = {qkv}};
}

/* Images: in[0] and out[0] of a convolution or a pooling, from the larger side to the smaller one or back. */
static cut images(int64_t large, int64_t small, int back) {
  return (cut){.axis = 0, .in = {back ? small : large}, .out = {back ? large : small, back ? 0 : small}};
}

static cut cut_of(at_kslot slot, const int64_t *d) {
  switch (slot) {
  case AT_K_add:
  case AT_K_sub:
  case AT_K_mul:
  case AT_K_div:
  case AT_K_maximum:
  case AT_K_minimum:
  case AT_K_less:
  case AT_K_less_equal:
  case AT_K_equal:
    return strided(d, 2);
  case AT_K_copy_strided:
    return strided(d, 1);
  case AT_K_where:
    return strided(d, 3);
  case AT_K_affine:
  case AT_K_neg:
  case AT_K_exp:
  case AT_K_log:
  case AT_K_sqrt:
  case AT_K_tanh:
  case AT_K_sigmoid:
  case AT_K_square:
  case AT_K_recip:
  case AT_K_erf:
  case AT_K_gelu:
  case AT_K_silu:
  case AT_K_relu:
  case AT_K_abs:
  case AT_K_sign:
  case AT_K_softplus:
  case AT_K_clamp:
    return flat(1);
  case AT_K_gelu_bwd:
  case AT_K_silu_bwd:
  case AT_K_relu_bwd:
  case AT_K_clamp_bwd:
    return flat(2);
  case AT_K_matmul:
  case AT_K_matmul_bf16:
    return product(d);
  case AT_K_matmul_add:
  case AT_K_matmul_add_bf16:
    return product_add(d);
  case AT_K_embed:
    return (cut){.axis = 0, .in = {0, 1}, .out = {d[1]}};
  case AT_K_layernorm:
    return (cut){.axis = 0, .in = {d[1]}, .out = {d[1], 1, 1}};
  case AT_K_rmsnorm:
    return (cut){.axis = 0, .in = {d[1]}, .out = {d[1], 1}};
  case AT_K_softmax:
    return (cut){.axis = 0, .in = {d[1]}, .out = {d[1]}};
  case AT_K_xent_bwd:
    return (cut){.axis = 0, .in = {d[1], 1, 1}, .out = {d[1]}};
  case AT_K_rope:
    return (cut){.axis = 0, .in = {d[1] * d[2] * d[3]}, .out = {d[1] * d[2] * d[3]}};
  case AT_K_attention:
  case AT_K_attention_bwd:
    return attention(slot, d);
  case AT_K_conv2d:
  case AT_K_conv2d_bf16:
    return images(d[1] * d[2] * d[3], d[12] * d[13] * d[4], 0);
  case AT_K_conv2d_dx:
  case AT_K_conv2d_dx_bf16:
    return images(d[1] * d[2] * d[3], d[12] * d[13] * d[4], 1);
  case AT_K_maxpool:
  case AT_K_avgpool:
  case AT_K_avgpool_bwd:
    return images(d[1] * d[2] * d[3], d[4] * d[5] * d[3], slot == AT_K_avgpool_bwd);
  case AT_K_moments:
    return (cut){.axis = 0, .in = {d[1] * d[2]}, .out = {d[2], d[2]}};
  case AT_K_rows_affine:
    return (cut){.axis = 0, .in = {d[1] * d[2], d[2], d[2]}, .out = {d[1] * d[2]}};
  case AT_K_rows_dot:
    return (cut){.axis = 0, .in = {d[1] * d[2], d[1] * d[2]}, .out = {d[2], d[2]}};
  default:
    return whole;
  }
}

int64_t at_kernel_units(at_kslot slot, const int64_t *dim) {
  const cut c = cut_of(slot, dim);
  return c.axis < 0 ? 1 : dim[c.axis];
}

void at_kernel_share(at_kslot slot, at_kcall *call, int64_t from, int64_t count) {
  const cut c = cut_of(slot, call->dim);
  const int product =
      slot == AT_K_matmul || slot == AT_K_matmul_bf16 || slot == AT_K_matmul_add || slot == AT_K_matmul_add_bf16;
  if (product && c.axis == 1 && call->dim[4] && call->dim[8] == 0) {
    call->dim[8] = call->dim[1]; /* its rows are columns in memory, which stay as far apart as they are */
  }
  call->dim[c.axis] = count;
  for (int i = 0; i < AT_KIN; i++) {
    if (c.in[i] != 0) {
      call->in[i] = (const char *)call->in[i] + from * c.in[i] * ELEMENT;
    }
  }
  for (int i = 0; i < AT_KOUT; i++) {
    if (c.out[i] != 0) {
      call->out[i] = (char *)call->out[i] + from * c.out[i] * ELEMENT;
    }
  }
}
