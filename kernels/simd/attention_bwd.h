/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector kernel: the derivative of attention, by blocks, from the stored log-sum-exp (Dao et al. 2022, algorithm 4).
 * Formulas: ref/attention.c; layout of the blocks: attention_block.h. */
#include "kernels/simd/attention_block.h"
#include "kernels/simd/slots.h"

AT_ROW_SUM(row_dot, (int64_t n, const float *x, const float *y),
           vf_mul(vf_load_lanes(x + j, lanes), vf_load_lanes(y + j, lanes)))

/* p = exp(p - lse) and ds = p (ds - d), for every key of the block that a query sees; 0 where it does not. */
static void probabilities(const block *b, const float *lse, const float *d, float *p, float *ds) {
  for (int v = 0; v < QV; v++) {
    const vf l = vf_load(lse + v * AT_VW), dv = vf_load(d + v * AT_VW);
    const int64_t n = keys_of_vector(b, v), triangle = b->seen + v * AT_VW;
    for (int64_t j = 0; j < n; j++) {
      float *pj = p + j * QB + v * AT_VW, *dj = ds + j * QB + v * AT_VW;
      vf prob = vf_exp(vf_sub(vf_load(pj), l));
      if (j > triangle) { /* hidden from the queries before it */
        prob = vf_select(vm_first(j - triangle), vf_zero(), prob);
      }
      vf_store(pj, prob);
      vf_store(dj, vf_mul(prob, vf_sub(vf_load(dj), dv)));
    }
  }
}

/* out[keys][hd] += Wt X: each key's sum over its queries; X: rows of the block's queries. */
static void gather_queries(const shape *s, const block *b, const float *wt, const float *x, int64_t ldx, float *out) {
  for (int i = 0; i < STRIPS; i++) {
    const strip p = strip_at(b, i);
    if (p.n > 0) {
      const int64_t lane = p.vector * AT_VW;
      at_gemm_run(&(at_gemm){p.n, s->hd, b->rows - lane, wt + p.key * QB + lane, QB, 0, x + lane * ldx, ldx,
                             out + p.key * s->width, s->width, 1});
    }
  }
}

/* One head's pointers, at the first position of its sequence; rows of q, key, value, dq, dkey, dvalue are `width` apart, of
 * o and d_o hq * hd. */
typedef struct head {
  const float *q, *key, *value, *o, *d_o, *lse;
  float *dq, *dkey, *dvalue;
} head;

/* One block of queries: writes its dq, adds its shares to dkey and dvalue.  scratch: at_attention_bwd_floats.  The factor
 * `scale` enters through the transposed queries, and through the transposed output gradients into ds. */
static void attend_bwd(const shape *s, const head *h, int64_t i0, float *scratch) {
  const int64_t ldo = s->hq * s->hd;
  const float *q = h->q + i0 * s->width, *o = h->o + i0 * ldo, *d_o = h->d_o + i0 * ldo;
  float *qt = scratch, *dot = qt + s->hd * QB, *p = dot + s->hd * QB, *ds = p + KB * QB;
  float lse[QB] = {0}, d[QB] = {0};
  block b = block_at(s, i0, 0);
  transpose_rows(b.rows, s->hd, q, s->width, s->scale, qt);
  transpose_rows(b.rows, s->hd, d_o, ldo, s->scale, dot);
  for (int64_t i = 0; i < b.rows; i++) {
    lse[i] = h->lse[i0 + i];
    d[i] = s->scale * row_dot(s->hd, o + i * ldo, d_o + i * ldo);
  }
  for (; b.keys > 0; b = block_at(s, i0, b.j0 + KB)) {
    const int64_t at = b.j0 * s->width;
    products(s, &b, h->key + at, qt, p);
    products(s, &b, h->value + at, dot, ds);
    probabilities(&b, lse, d, p, ds);
    gather_queries(s, &b, p, d_o, ldo, h->dvalue + at);
    gather_queries(s, &b, ds, q, s->width, h->dkey + at);
    gather_keys(s, &b, ds, h->key + at, h->dq + i0 * s->width, s->width, b.j0 > 0);
  }
}

static void zero_rows(const shape *s, float *x) {
  for (int64_t i = 0; i < s->t; i++) {
    memset(x + i * s->width, 0, (size_t)s->hd * sizeof *x);
  }
}

void AT_SIMD(attention_bwd)(const at_kcall *k) {
  const shape s = shape_of(k);
  const float *qkv = k->in[0], *o = k->in[1], *lse = k->in[2], *d_o = k->in[3];
  float *dqkv = k->out[0];
  for (int64_t b = 0; b < s.batch; b++) {
    const int64_t at = b * s.t * s.width;
    for (int64_t kv = 0; kv < s.hkv; kv++) {
      const int64_t at_key = at + (s.hq + kv) * s.hd, at_value = at_key + s.hkv * s.hd, group = s.hq / s.hkv;
      zero_rows(&s, dqkv + at_key);
      zero_rows(&s, dqkv + at_value);
      for (int64_t h = kv * group; h < (kv + 1) * group; h++) {
        const int64_t at_q = at + h * s.hd, at_o = (b * s.t * s.hq + h) * s.hd;
        const head one = {qkv + at_q,  qkv + at_key,  qkv + at_value, o + at_o, d_o + at_o, lse + (b * s.hq + h) * s.t,
                          dqkv + at_q, dqkv + at_key, dqkv + at_value};
        for (int64_t i0 = 0; i0 < s.t; i0 += QB) {
          attend_bwd(&s, &one, i0, k->scratch);
        }
      }
    }
  }
}
