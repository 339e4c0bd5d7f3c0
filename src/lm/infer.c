/* SPDX-License-Identifier: BSD-3-Clause */
/* Inference of a decoder-only transformer with a cache of keys and values.
 *
 * A step appends m tokens: m = 1 when generating, up to CHUNK when a prompt is read, which bounds the memory of the
 * scores.  Queries are laid out [heads][m][head width], so that the heads that share keys are rows of one product. */
#include "src/lm/infer.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/arena.h"

enum { CHUNK = 64 };

typedef struct affine {
  const float *w, *b; /* b is NULL where there is none */
} affine;

typedef struct block {
  affine norm1, qkv, proj, norm2, up, gate, down;
} block;

struct at_infer {
  at_gpt c;
  const at_kernels *k;
  int64_t hd, packed, group, chunk; /* head width; width of queries, keys and values; query heads to a key head */
  const float *embed, *pos, *head;
  affine norm;
  block *blocks;
  at_arena *arena;      /* everything below */
  float *keys, *values; /* [layers][kv_heads][context][hd] */
  int32_t *past;        /* [context]: the tokens */
  int64_t length;       /* of the past */
  float *x, *h;         /* [chunk][width]: residual stream; a part's input or output */
  float *qkv;           /* [chunk][packed] */
  float *q;             /* [heads][chunk][hd]: queries, then what attention gives */
  float *score, *lse;   /* [heads][chunk][context], [heads][chunk] */
  float *up, *gate;     /* [chunk][hidden] */
  float *stat[2];       /* [chunk]: what a norm notes for its derivative, not used */
  float *logits;        /* [vocab] */
};

/* --- parameters ------------------------------------------------------------------------------------------------ */

typedef struct finder {
  const at_gpt *c;
  const at_layout *layout;
  const float *theta;
  char prefix[32];
} finder;

static at_err find(const finder *f, const char *name, const char *part, at_shape shape, const float **out) {
  char full[96], want[96], have[96];
  snprintf(full, sizeof full, "%s%s.%s", f->prefix, name, part);
  const at_tensor *t = at_layout_find(f->layout, full);
  if (t == NULL) {
    return AT_FAIL(AT_ERR_STATE, "the parameters lack %s %s: are they of a model with another configuration?", full,
                   at_shape_text(shape, want, sizeof want));
  }
  if (!at_shape_equal(t->shape, shape)) {
    return AT_FAIL(AT_ERR_STATE, "parameter %s is %s where the model's configuration asks for %s", full,
                   at_shape_text(t->shape, have, sizeof have), at_shape_text(shape, want, sizeof want));
  }
  *out = f->theta + t->offset;
  return AT_OK;
}

static at_err find_linear(const finder *f, const char *name, int64_t in, int64_t out, affine *p) {
  AT_TRY(find(f, name, "weight", AT_SHAPE(in, out), &p->w));
  return f->c->bias ? find(f, name, "bias", AT_SHAPE(out), &p->b) : AT_OK;
}

static at_err find_norm(const finder *f, const char *name, affine *p) {
  AT_TRY(find(f, name, "weight", AT_SHAPE(f->c->width), &p->w));
  return f->c->norm == AT_NORM_LAYER ? find(f, name, "bias", AT_SHAPE(f->c->width), &p->b) : AT_OK;
}

static at_err find_block(const finder *f, int64_t packed, block *b) {
  int64_t width = f->c->width, hidden = f->c->hidden;
  AT_TRY(find_norm(f, "norm1", &b->norm1));
  AT_TRY(find_linear(f, "attn.qkv", width, packed, &b->qkv));
  AT_TRY(find_linear(f, "attn.proj", width, width, &b->proj));
  AT_TRY(find_norm(f, "norm2", &b->norm2));
  AT_TRY(find_linear(f, "mlp.up", width, hidden, &b->up));
  if (f->c->mlp == AT_MLP_SWIGLU) {
    AT_TRY(find_linear(f, "mlp.gate", width, hidden, &b->gate));
  }
  return find_linear(f, "mlp.down", hidden, width, &b->down);
}

static at_err find_all(at_infer *f, const at_layout *layout, const float *theta) {
  const at_gpt *c = &f->c;
  finder at = {.c = c, .layout = layout, .theta = theta};
  AT_TRY(find(&at, "embed", "weight", AT_SHAPE(c->vocab, c->width), &f->embed));
  if (c->pos == AT_POS_LEARNED) {
    AT_TRY(find(&at, "pos", "weight", AT_SHAPE(c->context, c->width), &f->pos));
  }
  AT_TRY(find_norm(&at, "norm", &f->norm));
  if (!c->tied) {
    AT_TRY(find(&at, "head", "weight", AT_SHAPE(c->width, c->vocab), &f->head));
  }
  for (int i = 0; i < c->layers; i++) {
    snprintf(at.prefix, sizeof at.prefix, "blocks.%d.", i);
    AT_TRY(find_block(&at, f->packed, &f->blocks[i]));
  }
  return AT_OK;
}

/* --- memory ---------------------------------------------------------------------------------------------------- */

static at_err allocate(at_infer *f) {
  const at_gpt *c = &f->c;
  int64_t cache = c->layers * c->kv_heads * c->context * f->hd, m = f->chunk;
  struct {
    float **at;
    int64_t n;
  } part[] = {{&f->keys, cache},
              {&f->values, cache},
              {&f->x, m * c->width},
              {&f->h, m * c->width},
              {&f->qkv, m * f->packed},
              {&f->q, m * c->width},
              {&f->score, c->heads * m * c->context},
              {&f->lse, c->heads * m},
              {&f->up, m * c->hidden},
              {&f->gate, m * c->hidden},
              {&f->stat[0], m},
              {&f->stat[1], m},
              {&f->logits, c->vocab}};
  enum { PARTS = sizeof part / sizeof part[0] };
  size_t bytes = (size_t)c->context * sizeof *f->past + 64;
  for (int i = 0; i < PARTS; i++) {
    bytes += (size_t)part[i].n * sizeof(float) + 64; /* each starts at a multiple of 64 */
  }
  AT_TRY(at_arena_create(&f->arena, bytes, "memory of inference"));
  AT_TRY(at_arena_alloc(f->arena, &f->past, (size_t)c->context * sizeof *f->past, 0));
  for (int i = 0; i < PARTS; i++) {
    AT_TRY(at_arena_alloc(f->arena, part[i].at, (size_t)part[i].n * sizeof(float), 0));
  }
  return AT_OK;
}

at_err at_infer_create(at_infer **out, const at_gpt *c, const at_layout *layout, const float *theta,
                       const at_kernels *k) {
  *out = NULL;
  AT_TRY(at_gpt_check(c));
  at_infer *f;
  at_err err;
  AT_TRY(at_alloc(&f, 1, sizeof *f, "inference"));
  f->c = *c;
  f->k = k;
  f->hd = c->width / c->heads;
  f->packed = (c->heads + 2 * c->kv_heads) * f->hd;
  f->group = c->heads / c->kv_heads;
  f->chunk = c->context < CHUNK ? c->context : CHUNK;
  AT_TRY_TO(err, failed, at_alloc(&f->blocks, (size_t)c->layers, sizeof *f->blocks, "inference"));
  AT_TRY_TO(err, failed, find_all(f, layout, theta));
  AT_TRY_TO(err, failed, allocate(f));
  *out = f;
  return AT_OK;
failed:
  at_infer_destroy(f);
  return err;
}

void at_infer_destroy(at_infer *f) {
  if (f != NULL) {
    at_arena_destroy(f->arena);
    at_free(f->blocks);
    at_free(f);
  }
}

/* --- one step -------------------------------------------------------------------------------------------------- */

static void run(const at_infer *f, at_kslot slot, const at_kcall *call) {
  f->k->f32[slot](call);
}

/* y[m][out] = x[m][in] w + b. */
static void linear(const at_infer *f, affine p, const float *x, int64_t m, int64_t in, int64_t out, float *y) {
  run(f, AT_K_matmul, &(at_kcall){.in = {x, p.w}, .out = {y}, .dim = {1, m, out, in}});
  if (p.b != NULL) {
    run(f, AT_K_add, &(at_kcall){.in = {y, p.b}, .out = {y}, .dim = {2, m, out, out, 1, 0, 1}});
  }
}

static void normalise(const at_infer *f, affine p, const float *x, int64_t m, float *y) {
  at_kslot slot = f->c.norm == AT_NORM_RMS ? AT_K_rmsnorm : AT_K_layernorm;
  run(f, slot,
      &(at_kcall){
          .in = {x, p.w, p.b}, .out = {y, f->stat[0], f->stat[1]}, .dim = {m, f->c.width}, .attr = {f->c.norm_eps}});
}

/* x[n] += y[n]. */
static void accumulate(const at_infer *f, int64_t n, float *x, const float *y) {
  run(f, AT_K_add, &(at_kcall){.in = {x, y}, .out = {x}, .dim = {1, n, 1, 1}});
}

/* The new keys and values go behind the old, the queries into f->q. */
static void unpack(at_infer *f, int64_t layer, int64_t m) {
  const at_gpt *c = &f->c;
  const int64_t hd = f->hd;
  const size_t bytes = (size_t)hd * sizeof(float);
  for (int64_t t = 0; t < m; t++) {
    const float *row = f->qkv + t * f->packed;
    for (int64_t i = 0; i < c->heads; i++) {
      memcpy(f->q + (i * m + t) * hd, row + i * hd, bytes);
    }
    for (int64_t i = 0; i < c->kv_heads; i++) {
      const int64_t to = ((layer * c->kv_heads + i) * c->context + f->length + t) * hd;
      memcpy(f->keys + to, row + (c->heads + i) * hd, bytes);
      memcpy(f->values + to, row + (c->heads + c->kv_heads + i) * hd, bytes);
    }
  }
}

/* f->q = softmax(q k^T / sqrt(hd)) v over the keys up to each query's own. */
static void attend(at_infer *f, int64_t layer, int64_t m) {
  const at_gpt *c = &f->c;
  const int64_t n = f->length + m, hd = f->hd, rows = c->heads * m, shared = f->group * m, each = c->context * hd;
  const float *keys = f->keys + layer * c->kv_heads * each, *values = f->values + layer * c->kv_heads * each;
  float *s = f->score;
  run(f, AT_K_matmul,
      &(at_kcall){.in = {f->q, keys}, .out = {s}, .dim = {c->kv_heads, shared, n, hd, 0, 1, shared * hd, each}});
  run(f, AT_K_affine, &(at_kcall){.in = {s}, .out = {s}, .dim = {rows * n}, .attr = {1.0 / sqrt((double)hd)}});
  /* so far below any score that its exponential is 0 */
  run(f, AT_K_causal_fill,
      &(at_kcall){.in = {s}, .out = {s}, .dim = {c->heads, m, n}, .attr = {-1e30, (double)f->length}});
  run(f, AT_K_logsumexp, &(at_kcall){.in = {s}, .out = {f->lse}, .dim = {rows, n}});
  run(f, AT_K_sub, &(at_kcall){.in = {s, f->lse}, .out = {s}, .dim = {2, rows, n, n, 1, 1, 0}});
  run(f, AT_K_exp, &(at_kcall){.in = {s}, .out = {s}, .dim = {rows * n}});
  run(f, AT_K_matmul,
      &(at_kcall){.in = {s, values}, .out = {f->q}, .dim = {c->kv_heads, shared, hd, n, 0, 0, shared * n, each}});
}

static void attention_part(at_infer *f, int64_t layer, int64_t m) {
  const at_gpt *c = &f->c;
  const block *b = &f->blocks[layer];
  normalise(f, b->norm1, f->x, m, f->h);
  linear(f, b->qkv, f->h, m, c->width, f->packed, f->qkv);
  if (c->pos == AT_POS_ROPE) {
    const int64_t turned = c->heads + c->kv_heads;
    run(f, AT_K_rope,
        &(at_kcall){.in = {f->qkv},
                    .out = {f->qkv},
                    .dim = {1, m, turned + c->kv_heads, f->hd, turned, f->length},
                    .attr = {c->rope_base, 1}});
  }
  unpack(f, layer, m);
  attend(f, layer, m);
  float *o = f->qkv; /* [m][width]: back from [heads][m][hd] */
  for (int64_t i = 0; i < c->heads; i++) {
    for (int64_t t = 0; t < m; t++) {
      memcpy(o + t * c->width + i * f->hd, f->q + (i * m + t) * f->hd, (size_t)f->hd * sizeof *o);
    }
  }
  linear(f, b->proj, o, m, c->width, c->width, f->h);
  accumulate(f, m * c->width, f->x, f->h);
}

static void mlp_part(at_infer *f, int64_t layer, int64_t m) {
  const at_gpt *c = &f->c;
  const block *b = &f->blocks[layer];
  const int64_t n = m * c->hidden;
  float *act = f->up;
  normalise(f, b->norm2, f->x, m, f->h);
  linear(f, b->up, f->h, m, c->width, c->hidden, f->up);
  if (c->mlp == AT_MLP_SWIGLU) {
    act = f->gate;
    linear(f, b->gate, f->h, m, c->width, c->hidden, f->gate);
    run(f, AT_K_silu, &(at_kcall){.in = {act}, .out = {act}, .dim = {n}});
    run(f, AT_K_mul, &(at_kcall){.in = {act, f->up}, .out = {act}, .dim = {1, n, 1, 1}});
  } else {
    run(f, AT_K_gelu, &(at_kcall){.in = {act}, .out = {act}, .dim = {n}});
  }
  linear(f, b->down, act, m, c->hidden, c->width, f->h);
  accumulate(f, m * c->width, f->x, f->h);
}

/* Tokens [length, length + m) of the past through all blocks; m <= chunk. */
static void step(at_infer *f, int64_t m) {
  const at_gpt *c = &f->c;
  run(f, AT_K_embed, &(at_kcall){.in = {f->embed, f->past + f->length}, .out = {f->x}, .dim = {m, c->width, c->vocab}});
  if (c->pos == AT_POS_LEARNED) {
    accumulate(f, m * c->width, f->x, f->pos + f->length * c->width);
  }
  for (int64_t i = 0; i < c->layers; i++) {
    attention_part(f, i, m);
    mlp_part(f, i, m);
  }
  f->length += m;
}

/* Move the window so that tokens[n] fit; returns how many tokens of `past` are to be computed.  The outcome is that of
 * feeding them one by one: keep half when full, and again after as many as that leaves room for. */
static int64_t slide(at_infer *f, const int32_t *tokens, int64_t n) {
  const int64_t context = f->c.context, kept = context / 2;
  const int64_t size = kept + 1 + (f->length + n - context - 1) % (context - kept);
  const int64_t fresh = n < size ? n : size, old = size - fresh;
  memmove(f->past, f->past + f->length - old, (size_t)old * sizeof *f->past);
  memcpy(f->past + old, tokens + n - fresh, (size_t)fresh * sizeof *f->past);
  f->length = 0;
  return size;
}

const float *at_infer_feed(at_infer *f, const int32_t *tokens, int64_t n) {
  const at_gpt *c = &f->c;
  int64_t m = 0;
  assert(n >= 1);
  if (f->length + n <= c->context) {
    memcpy(f->past + f->length, tokens, (size_t)n * sizeof *tokens);
  } else {
    n = slide(f, tokens, n);
  }
  for (int64_t left = n; left > 0; left -= m) {
    m = left < f->chunk ? left : f->chunk;
    step(f, m);
  }
  normalise(f, f->norm, f->x + (m - 1) * c->width, 1, f->h);
  run(f, AT_K_matmul,
      &(at_kcall){.in = {f->h, c->tied ? f->embed : f->head},
                  .out = {f->logits},
                  .dim = {1, 1, c->vocab, c->width, 0, c->tied}});
  return f->logits;
}

void at_infer_reset(at_infer *f) {
  f->length = 0;
}

int64_t at_infer_length(const at_infer *f) {
  return f->length;
}

size_t at_infer_bytes(const at_infer *f) {
  return sizeof *f + (size_t)f->c.layers * sizeof *f->blocks + at_arena_size(f->arena);
}
