/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernels: scaled dot-product attention on packed queries, keys and values, and its derivative.
 *
 * For one query:  s_j = scale q.k_j,  p = softmax(s),  o = sum p_j v_j,  lse = log sum exp s.
 * Derivative (Dao et al. 2022, appendix B.2):  ds_j = p_j (do.v_j - do.o), with p_j = exp(s_j - lse);
 * dq = scale sum ds_j k_j;  dk_j += scale ds_j q;  dv_j += p_j do. */
#include "kernels/ref/real.h"

typedef struct shape {
  int64_t batch, t, hq, hkv, hd, width; /* width: of a packed row */
  int causal;
  double scale;
} shape;

static shape shape_of(const at_kcall *k) {
  const int64_t *d = k->dim;
  return (shape){d[0], d[1], d[2], d[3], d[4], (d[2] + 2 * d[3]) * d[4], d[5] != 0, k->attr[0]};
}

static double dot(int64_t n, const real *a, const real *b) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) {
    sum += (double)a[i] * (double)b[i];
  }
  return sum;
}

/* One query against `keys` keys.  p: `keys` doubles of scratch. */
static void attend(const shape *s, int64_t keys, const real *q, const real *key, const real *value, double *p, real *o,
                   real *lse) {
  double top = -INFINITY;
  for (int64_t j = 0; j < keys; j++) {
    p[j] = s->scale * dot(s->hd, q, key + j * s->width);
    top = p[j] > top ? p[j] : top;
  }
  double sum = 0.0;
  for (int64_t j = 0; j < keys; j++) {
    p[j] = at_exp_f64(p[j] - top);
    sum += p[j];
  }
  for (int64_t i = 0; i < s->hd; i++) {
    double acc = 0.0;
    for (int64_t j = 0; j < keys; j++) {
      acc += p[j] * (double)value[j * s->width + i];
    }
    o[i] = (real)(acc / sum);
  }
  *lse = (real)(top + at_log_f64(sum));
}

void AT_REF(attention)(const at_kcall *k) {
  const shape s = shape_of(k);
  const real *qkv = k->in[0];
  real *o = k->out[0], *lse = k->out[1];
  for (int64_t b = 0; b < s.batch; b++) {
    const real *rows = qkv + b * s.t * s.width;
    for (int64_t h = 0; h < s.hq; h++) {
      const real *key = rows + (s.hq + h / (s.hq / s.hkv)) * s.hd, *value = key + s.hkv * s.hd;
      for (int64_t i = 0; i < s.t; i++) {
        attend(&s, s.causal ? i + 1 : s.t, rows + i * s.width + h * s.hd, key, value, k->scratch,
               o + ((b * s.t + i) * s.hq + h) * s.hd, lse + (b * s.hq + h) * s.t + i);
      }
    }
  }
}

/* Adds one query's share to dq, dk, dv (double, rows of width hd). */
static void attend_bwd(const shape *s, int64_t keys, const real *q, const real *key, const real *value, const real *o,
                       double lse, const real *d_o, double *dq, double *dk, double *dv) {
  const double d = dot(s->hd, d_o, o);
  for (int64_t j = 0; j < keys; j++) {
    const real *kj = key + j * s->width, *vj = value + j * s->width;
    const double p = at_exp_f64(s->scale * dot(s->hd, q, kj) - lse);
    const double ds = s->scale * p * (dot(s->hd, d_o, vj) - d);
    for (int64_t i = 0; i < s->hd; i++) {
      dq[i] += ds * (double)kj[i];
      dk[j * s->hd + i] += ds * (double)q[i];
      dv[j * s->hd + i] += p * (double)d_o[i];
    }
  }
}

void AT_REF(attention_bwd)(const at_kcall *k) {
  const shape s = shape_of(k);
  const real *qkv = k->in[0], *o = k->in[1], *lse = k->in[2], *d_o = k->in[3];
  real *dqkv = k->out[0];
  const int64_t group = s.hkv > 0 ? s.hq / s.hkv : 0;
  double *dq = k->scratch, *dk = dq + s.hd, *dv = dk + s.t * s.hd;
  for (int64_t b = 0; b < s.batch; b++) {
    const real *rows = qkv + b * s.t * s.width;
    real *drows = dqkv + b * s.t * s.width;
    for (int64_t kv = 0; kv < s.hkv; kv++) {
      const int64_t at_key = (s.hq + kv) * s.hd, at_value = at_key + s.hkv * s.hd;
      memset(dk, 0, (size_t)(2 * s.t * s.hd) * sizeof *dk);
      for (int64_t h = kv * group; h < (kv + 1) * group; h++) {
        for (int64_t i = 0; i < s.t; i++) {
          const int64_t at_o = ((b * s.t + i) * s.hq + h) * s.hd;
          memset(dq, 0, (size_t)s.hd * sizeof *dq);
          attend_bwd(&s, s.causal ? i + 1 : s.t, rows + i * s.width + h * s.hd, rows + at_key, rows + at_value,
                     o + at_o, (double)lse[(b * s.hq + h) * s.t + i], d_o + at_o, dq, dk, dv);
          for (int64_t e = 0; e < s.hd; e++) {
            drows[i * s.width + h * s.hd + e] = (real)dq[e];
          }
        }
      }
      for (int64_t i = 0; i < s.t; i++) {
        for (int64_t e = 0; e < s.hd; e++) {
          drows[i * s.width + at_key + e] = (real)dk[i * s.hd + e];
          drows[i * s.width + at_value + e] = (real)dv[i * s.hd + e];
        }
      }
    }
  }
}
