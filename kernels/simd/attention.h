/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector kernel: attention by blocks with an online softmax (Dao et al. 2022, algorithm 1).  Formulas: ref/attention.c;
 * layout of the blocks: attention_block.h. */
#include "kernels/simd/attention_block.h"
#include "kernels/simd/slots.h"

/* A block of queries on its way over the keys: largest score, sum of exponentials. */
typedef struct running {
  vf top[QV], sum[QV];
} running;

/* The new maximum over the block's scores; hidden scores become -infinity on the way. */
static void raise_top(const block *b, float *scores, running *r) {
  for (int i = 0; i < STRIPS; i++) {
    const strip p = strip_at(b, i);
    for (int64_t j = 0; j < p.n; j++) {
      float *row = scores + (p.key + j) * QB;
      if (i > 0) { /* in the triangle, key j is hidden from the j queries before it */
        float *edge = row + p.vector * AT_VW;
        vf_store(edge, vf_select(vm_first(j), vf_set1(-INFINITY), vf_load(edge)));
      }
      AT_UNROLL
      for (int v = 0; v < QV; v++) {
        if (v >= p.vector) {
          r->top[v] = vf_max(vf_load(row + v * AT_VW), r->top[v]);
        }
      }
    }
  }
}

/* scores = exp(scores - top), and their sums. */
static void exponentials(const block *b, float *scores, running *r) {
  for (int v = 0; v < QV; v++) {
    const vf top = r->top[v];
    const int64_t n = keys_of_vector(b, v);
    float *column = scores + v * AT_VW;
    vf sum = r->sum[v];
    for (int64_t j = 0; j < n; j++) {
      const vf e = vf_exp_neg(vf_sub(vf_load(column + j * QB), top));
      sum = vf_add(sum, e);
      vf_store(column + j * QB, e);
    }
    r->sum[v] = sum;
  }
}

/* Rows of x[rows][hd] times factor[row], to out. */
static void scale_rows(int64_t rows, int64_t hd, const float *x, const float *factor, float *out, int64_t ldo) {
  for (int64_t i = 0; i < rows; i++) {
    const vf f = vf_set1(factor[i]);
    const float *from = x + i * hd;
    float *to = out + i * ldo;
#define BODY(j, lanes) vf_store_lanes(to + (j), lanes, vf_mul(f, vf_load_lanes(from + (j), lanes)))
    AT_ROW_EACH(hd, BODY);
#undef BODY
  }
}

/* One block of queries of one head.  scratch: at_attention_floats. */
static void attend(const shape *s, int64_t i0, const float *q, const float *key, const float *value, float *scratch,
                   float *o, float *lse) {
  float *qt = scratch, *scores = qt + s->hd * QB, *acc = scores + KB * QB, *factor = acc + s->hd * QB;
  running r;
  block b = block_at(s, i0, 0);
  transpose_rows(b.rows, s->hd, q, s->width, s->scale, qt);
  for (int v = 0; v < QV; v++) {
    r.top[v] = vf_set1(-INFINITY);
    r.sum[v] = vf_zero();
  }
  for (; b.keys > 0; b = block_at(s, i0, b.j0 + KB)) {
    running old = r;
    products(s, &b, key + b.j0 * s->width, qt, scores);
    raise_top(&b, scores, &r);
    if (b.j0 > 0) {
      for (int v = 0; v < QV; v++) {
        const vf shrink = vf_exp_neg(vf_sub(old.top[v], r.top[v]));
        r.sum[v] = vf_mul(r.sum[v], shrink);
        vf_store(factor + v * AT_VW, shrink);
      }
      scale_rows(b.rows, s->hd, acc, factor, acc, s->hd);
    }
    exponentials(&b, scores, &r);
    gather_keys(s, &b, scores, value + b.j0 * s->width, acc, s->hd, b.j0 > 0);
  }
  float logs[QB];
  for (int v = 0; v < QV; v++) {
    vf_store(factor + v * AT_VW, vf_div(vf_set1(1.0f), r.sum[v]));
    vf_store(logs + v * AT_VW, vf_add(r.top[v], vf_log(r.sum[v])));
  }
  const block first = block_at(s, i0, 0);
  scale_rows(first.rows, s->hd, acc, factor, o, s->hq * s->hd);
  memcpy(lse, logs, (size_t)first.rows * sizeof *lse);
}

void AT_SIMD(attention)(const at_kcall *k) {
  const shape s = shape_of(k);
  for (int64_t b = 0; b < s.batch; b++) {
    const float *rows = (const float *)k->in[0] + b * s.t * s.width;
    for (int64_t h = 0; h < s.hq; h++) {
      const float *key = rows + (s.hq + h / (s.hq / s.hkv)) * s.hd, *value = key + s.hkv * s.hd;
      for (int64_t i0 = 0; i0 < s.t; i0 += QB) {
        attend(&s, i0, rows + i0 * s.width + h * s.hd, key, value, k->scratch,
               (float *)k->out[0] + ((b * s.t + i0) * s.hq + h) * s.hd, (float *)k->out[1] + (b * s.hq + h) * s.t + i0);
      }
    }
  }
}
