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

/* The graph, the configuration and a name prefix travel together through the builders. */
typedef struct builder {
  at_graph *g;
  const at_gpt *c;
  char prefix[64];
} builder;

static at_val param(const builder *b, const char *name, const char *part, at_shape shape, at_init_kind kind,
                    double sd) {
  char full[96];
  snprintf(full, sizeof full, "%.32s%.32s.%s", b->prefix, name, part);
  return at_graph_param(b->g, full, shape, (at_init){.kind = kind, .sd = sd});
}

/* Weights start with deviation 1/sqrt(in) times `gain`, which keeps the size of what passes through. */
static at_val linear(const builder *b, const char *name, at_val x, int64_t in, int64_t out, double gain) {
  at_val w = param(b, name, "weight", AT_SHAPE(in, out), AT_INIT_NORMAL, gain / sqrt((double)in));
  at_val bias = AT_NONE;
  if (b->c->bias) {
    bias = param(b, name, "bias", AT_SHAPE(out), AT_INIT_ZERO, 0);
  }
  return at_linear(b->g, x, w, bias);
}

static at_val norm(const builder *b, const char *name, at_val x) {
  at_val gain = param(b, name, "weight", AT_SHAPE(b->c->width), AT_INIT_ONE, 0);
  if (b->c->norm == AT_NORM_RMS) {
    return at_rmsnorm(b->g, x, gain, b->c->norm_eps);
  }
  at_val bias = param(b, name, "bias", AT_SHAPE(b->c->width), AT_INIT_ZERO, 0);
  return at_layernorm(b->g, x, gain, bias, b->c->norm_eps);
}

/* What is added to the residual stream starts smaller by 1/sqrt(2 layers), so that its sum does not grow with depth
 * (Radford et al. 2019). */
static double residual_gain(const at_gpt *c) {
  return 1.0 / sqrt(2.0 * c->layers);
}

static at_val attention_part(const builder *b, at_val x) {
  const at_gpt *c = b->c;
  int64_t hd = c->width / c->heads, packed = (c->heads + 2 * c->kv_heads) * hd;
  at_val qkv = linear(b, "attn.qkv", norm(b, "norm1", x), c->width, packed, 1.0);
  if (c->pos == AT_POS_ROPE) {
    qkv = at_rope(b->g, qkv, c->heads + 2 * c->kv_heads, c->heads + c->kv_heads, c->rope_base);
  }
  at_val o = at_attention(b->g, qkv, c->heads, c->kv_heads, true);
  return linear(b, "attn.proj", o, c->width, c->width, residual_gain(c));
}

static at_val mlp_part(const builder *b, at_val x) {
  const at_gpt *c = b->c;
  at_val h = norm(b, "norm2", x);
  at_val up = linear(b, "mlp.up", h, c->width, c->hidden, 1.0), act;
  if (c->mlp == AT_MLP_SWIGLU) {
    act = at_mul(b->g, at_silu(b->g, linear(b, "mlp.gate", h, c->width, c->hidden, 1.0)), up);
  } else {
    act = at_gelu(b->g, up);
  }
  return linear(b, "mlp.down", act, c->hidden, c->width, residual_gain(c));
}

at_val at_gpt_logits(at_graph *g, const at_gpt *c, at_val tokens) {
  builder b = {.g = g, .c = c};
  at_shape ids = at_graph_shape(g, tokens);
  int64_t t = ids.d[1];
  /* rows of length about 1: as large beside what the blocks add as they need to be, and logits of about 1 when tied */
  double sd = 1.0 / sqrt((double)c->width);
  at_val table = param(&b, "embed", "weight", AT_SHAPE(c->vocab, c->width), AT_INIT_NORMAL, sd);
  at_val x = at_embed(g, table, tokens);
  if (c->pos == AT_POS_LEARNED) {
    at_val pos = param(&b, "pos", "weight", AT_SHAPE(c->context, c->width), AT_INIT_NORMAL, sd);
    x = at_add(g, x, t == c->context ? pos : at_slice(g, pos, 0, 0, t));
  }
  for (int i = 0; i < c->layers; i++) {
    snprintf(b.prefix, sizeof b.prefix, "blocks.%d.", i);
    if (c->recompute) {
      at_graph_begin_block(g);
    }
    x = at_add(g, x, attention_part(&b, x));
    x = at_add(g, x, mlp_part(&b, x));
    at_graph_end_block(g);
  }
  b.prefix[0] = '\0';
  x = at_reshape(g, norm(&b, "norm", x), AT_SHAPE(ids.d[0] * t, c->width));
  if (c->tied) {
    return at_matmul(g, x, table, false, true);
  }
  return at_matmul(g, x, param(&b, "head", "weight", AT_SHAPE(c->width, c->vocab), AT_INIT_NORMAL, sd), false, false);
}

double at_gpt_train_flops(const at_gpt *c) {
  double d = (double)c->width, hd = d / c->heads, t = (double)c->context;
  double block =
      d * hd * (c->heads + 2 * c->kv_heads) + d * d + (c->mlp == AT_MLP_SWIGLU ? 3.0 : 2.0) * d * (double)c->hidden;
  double products = c->layers * block + d * (double)c->vocab; /* multiply-adds of one token, forward */
  double scores = c->layers * d * t;                          /* two products over half of t keys */
  return 6.0 * products + 2.0 * (1.0 + 2.5) * scores;
}
