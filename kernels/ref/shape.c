/* SPDX-License-Identifier: BSD-3-Clause */
/* Reference kernels that move values without computing: placing a box, joining, masking, one-hot rows, embedding rows. */
#include "kernels/ref/real.h"

void AT_REF(place)(const at_kcall *k) {
  const int nd = (int)k->dim[0];
  const int64_t *shape = k->dim + 1, *start = shape + nd, *box = start + nd;
  const real *in = k->in[0];
  real *out = k->out[0];
  int64_t total = 1, boxed = 1, offset = 0, stride[AT_KND];
  for (int i = nd - 1; i >= 0; i--) {
    stride[i] = total;
    offset += start[i] * total;
    total *= shape[i];
    boxed *= box[i];
  }
  memset(out, 0, (size_t)total * sizeof *out);
  if (boxed == 0) {
    return;
  }
  const int64_t run = nd > 0 ? box[nd - 1] : 1;
  int64_t index[AT_KND] = {0};
  for (int64_t done = 0; done < boxed; done += run) {
    memcpy(out + offset, in + done, (size_t)run * sizeof *out);
    for (int i = nd - 2; i >= 0; i--) {
      offset += stride[i];
      if (++index[i] < box[i]) {
        break;
      }
      index[i] = 0;
      offset -= stride[i] * box[i];
    }
  }
}

void AT_REF(join)(const at_kcall *k) {
  const int64_t outer = k->dim[0], na = k->dim[1], nb = k->dim[2];
  const real *a = k->in[0], *b = k->in[1];
  real *out = k->out[0];
  for (int64_t o = 0; o < outer; o++, a += na, b += nb, out += na + nb) {
    memcpy(out, a, (size_t)na * sizeof *out);
    memcpy(out + na, b, (size_t)nb * sizeof *out);
  }
}

void AT_REF(causal_fill)(const at_kcall *k) {
  const int64_t batch = k->dim[0], t = k->dim[1], s = k->dim[2];
  const real *in = k->in[0], fill = (real)k->attr[0];
  real *out = k->out[0];
  for (int64_t row = 0; row < batch * t; row++, in += s, out += s) {
    int64_t keep = row % t + (int64_t)k->attr[1] + 1;
    keep = keep < 0 ? 0 : keep > s ? s : keep;
    if (out != in && keep > 0) {
      memcpy(out, in, (size_t)keep * sizeof *out);
    }
    for (int64_t j = keep; j < s; j++) {
      out[j] = fill;
    }
  }
}

void AT_REF(onehot)(const at_kcall *k) {
  const int64_t n = k->dim[0], classes = k->dim[1];
  const int32_t *id = k->in[0];
  real *out = k->out[0];
  memset(out, 0, (size_t)(n * classes) * sizeof *out);
  for (int64_t i = 0; i < n; i++) {
    if (id[i] >= 0 && id[i] < classes) {
      out[i * classes + id[i]] = 1;
    }
  }
}

void AT_REF(embed)(const at_kcall *k) {
  const int64_t n = k->dim[0], d = k->dim[1], rows = k->dim[2];
  const real *table = k->in[0];
  const int32_t *id = k->in[1];
  real *out = k->out[0];
  for (int64_t i = 0; i < n; i++, out += d) {
    if (id[i] >= 0 && id[i] < rows) {
      memcpy(out, table + id[i] * d, (size_t)d * sizeof *out);
    } else {
      memset(out, 0, (size_t)d * sizeof *out);
    }
  }
}

void AT_REF(embed_bwd)(const at_kcall *k) {
  const int64_t n = k->dim[0], d = k->dim[1], rows = k->dim[2];
  const real *dy = k->in[0];
  const int32_t *id = k->in[1];
  real *table = k->out[0];
  memset(table, 0, (size_t)(rows * d) * sizeof *table);
  for (int64_t i = 0; i < n; i++, dy += d) {
    if (id[i] >= 0 && id[i] < rows) {
      real *row = table + id[i] * d;
      for (int64_t j = 0; j < d; j++) {
        row[j] += dy[j];
      }
    }
  }
}
