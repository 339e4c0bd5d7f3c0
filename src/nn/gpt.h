/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoder-only transformers as graph builders: GPT-like (LayerNorm, GELU, learned positions) and Llama-like (RMSNorm,
 * SwiGLU, rotary positions, grouped queries), pre-norm, all linear weights stored [in][out].
 *
 * Parameters, in order: embed.weight [vocab][width]; pos.weight [context][width] when learned; then for each block b
 * blocks.b.{norm1.weight, attn.qkv.weight, attn.proj.weight, norm2.weight, mlp.up.weight, mlp.gate.weight (SwiGLU),
 * mlp.down.weight}, each norm with .bias under LayerNorm, each linear with .bias when `bias`; norm.weight;
 * head.weight [width][vocab] unless tied. */
#ifndef AT_NN_GPT_H
#define AT_NN_GPT_H

#include "src/nn/layers.h"

typedef enum at_norm_kind { AT_NORM_LAYER, AT_NORM_RMS } at_norm_kind;
typedef enum at_mlp_kind { AT_MLP_GELU, AT_MLP_SWIGLU } at_mlp_kind;
typedef enum at_pos_kind { AT_POS_LEARNED, AT_POS_ROPE } at_pos_kind;

typedef struct at_gpt {
  int64_t vocab, context, width, hidden;
  int layers, heads, kv_heads;
  int norm, mlp, pos; /* at_norm_kind, at_mlp_kind, at_pos_kind */
  int precision;      /* at_precision, of matrix products other than those inside attention */
  bool tied, bias;
  bool recompute; /* keep only what enters each block; compute the rest again for the gradient */
  double rope_base, norm_eps;
} at_gpt;

/* AT_ERR_CONFIG naming the key that does not fit (heads against width, ...). */
at_err at_gpt_check(const at_gpt *c);
/* tokens i32 [batch][t] with t <= context -> logits [batch * t][vocab].  Declares the parameters, so once per graph. */
at_val at_gpt_logits(at_graph *g, const at_gpt *c, at_val tokens);
/* The same in a scope.  Linear layers have the names above without ".weight"; the columns of attn.qkv are attn.q, attn.k and
 * attn.v. */
at_val at_gpt_build(at_scope *s, const at_gpt *c, at_val tokens);
/* One block (names without "blocks.b.") on x [batch][t][width]. */
at_val at_gpt_block(at_scope *s, const at_gpt *c, at_val x, bool causal);
/* FLOPs of one trained token (forward and backward), causal attention counted half. */
double at_gpt_train_flops(const at_gpt *c);

#endif
