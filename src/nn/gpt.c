/* SPDX-License-Identifier: BSD-3-Clause */
/* Decoder-only transformers as graph builders. */
#include "src/nn/gpt.h"

#include <math.h>

#include "src/graph/ops.h"

at_err at_gpt_check(const at_gpt *c) {
  if (c->width % c->heads != 0) {
    return AT_FAIL(AT_ERR_CONFIG, "model.heads = %d does not divide model.width = %lld: choose a divisor", c->heads,
                   (long long)c->width);
  }
  if (c->kv_heads > c->heads || c->heads % c->kv_heads != 0) {
    return AT_FAIL(AT_ERR_CONFIG, "model.kv_heads = %d does not divide model.heads = %d: choose a divisor", c->kv_heads,
                   c->heads);
  }
  if (c->pos == AT_POS_ROPE && (c->width / c->heads) % 2 != 0) {
    return AT_FAIL(AT_ERR_CONFIG,
                   "model.positions = rope needs an even head width, not model.width / model.heads = %lld",
                   (long long)(c->width / c->heads));
  }
  return AT_OK;
}

static at_val linear(at_scope *s, const at_gpt *c, const char *name, at_val x, int64_t out, double gain) {
  return at_layer_linear(s, name, x, out, c->bias, gain);
}

static at_val norm(at_scope *s, const at_gpt *c, const char *name, at_val x) {
  return c->norm == AT_NORM_RMS ? at_layer_rmsnorm(s, name, x, c->norm_eps)
                                : at_layer_layernorm(s, name, x, c->norm_eps);
}

/* What is added to the residual stream starts smaller by 1/sqrt(2 layers), so that its sum does not grow with depth
 * (Radford et al. 2019). */
static double residual_gain(const at_gpt *c) {
  return 1.0 / sqrt(2.0 * c->layers);
}

static at_val attention_part(at_scope *s, const at_gpt *c, at_val x, bool causal) {
  int64_t hd = c->width / c->heads;
  const at_linear_part part[] = {{"attn.q", c->width}, {"attn.k", c->kv_heads * hd}, {"attn.v", c->kv_heads * hd}};
  at_val qkv = at_layer_linear_parts(s, "attn.qkv", norm(s, c, "norm1", x), part, 3, c->bias, 1.0);
  if (c->pos == AT_POS_ROPE) {
    qkv = at_rope(s->g, qkv, c->heads + 2 * c->kv_heads, c->heads + c->kv_heads, c->rope_base);
  }
  at_val o = at_attention(s->g, qkv, c->heads, c->kv_heads, causal);
  return linear(s, c, "attn.proj", o, c->width, residual_gain(c));
}

static at_val mlp_part(at_scope *s, const at_gpt *c, at_val x) {
  at_val h = norm(s, c, "norm2", x);
  at_val up = linear(s, c, "mlp.up", h, c->hidden, 1.0), act;
  if (c->mlp == AT_MLP_SWIGLU) {
    act = at_mul(s->g, at_silu(s->g, linear(s, c, "mlp.gate", h, c->hidden, 1.0)), up);
  } else {
    act = at_gelu(s->g, up);
  }
  return linear(s, c, "mlp.down", act, c->width, residual_gain(c));
}

at_val at_gpt_block(at_scope *s, const at_gpt *c, at_val x, bool causal) {
  if (c->recompute) {
    at_graph_begin_block(s->g);
  }
  x = at_add(s->g, x, attention_part(s, c, x, causal));
  x = at_add(s->g, x, mlp_part(s, c, x));
  at_graph_end_block(s->g);
  return x;
}

at_val at_gpt_build(at_scope *s, const at_gpt *c, at_val tokens) {
  at_graph *g = s->g;
  at_graph_set_precision(g, (at_precision)c->precision);
  at_shape ids = at_graph_shape(g, tokens);
  int64_t t = ids.d[1];
  /* rows of length about 1: as large beside what the blocks add as they need to be, and logits of about 1 when tied */
  at_init init = {.kind = AT_INIT_NORMAL, .sd = 1.0 / sqrt((double)c->width)};
  at_val table = at_scope_param(s, "embed.weight", AT_SHAPE(c->vocab, c->width), init);
  at_val x = at_embed(g, table, tokens);
  if (c->pos == AT_POS_LEARNED) {
    at_val pos = at_scope_param(s, "pos.weight", AT_SHAPE(c->context, c->width), init);
    x = at_add(g, x, t == c->context ? pos : at_slice(g, pos, 0, 0, t));
  }
  for (int i = 0; i < c->layers; i++) {
    size_t mark = at_scope_enter(s, "blocks.%d.", i);
    x = at_gpt_block(s, c, x, true);
    at_scope_leave(s, mark);
  }
  x = at_reshape(g, norm(s, c, "norm", x), AT_SHAPE(ids.d[0] * t, c->width));
  return c->tied ? at_matmul(g, x, table, false, true) : at_layer_linear(s, "head", x, c->vocab, false, 1.0);
}

at_val at_gpt_logits(at_graph *g, const at_gpt *c, at_val tokens) {
  at_scope s;
  at_scope_init(&s, g);
  at_val logits = at_gpt_build(&s, c, tokens);
  if (s.status != AT_OK) {
    logits = AT_NONE;
  }
  at_scope_fini(&s);
  return logits;
}

double at_gpt_train_flops(const at_gpt *c) {
  double d = (double)c->width, hd = d / c->heads, t = (double)c->context;
  double block =
      d * hd * (c->heads + 2 * c->kv_heads) + d * d + (c->mlp == AT_MLP_SWIGLU ? 3.0 : 2.0) * d * (double)c->hidden;
  double products = c->layers * block + d * (double)c->vocab; /* multiply-adds of one token, forward */
  double scores = c->layers * d * t;                          /* two products over half of t keys */
  return 6.0 * products + 2.0 * (1.0 + 2.5) * scores;
}
