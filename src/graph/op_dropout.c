/* SPDX-License-Identifier: BSD-3-Clause */
/* Dropout from counter-based streams.  The mask is drawn again in the derivative rather than kept. */
#include "src/base/rng.h"
#include "src/graph/graph_internal.h"
#include "src/graph/op_rows.h"
#include "src/graph/ops.h"

/* in x, key i32 [8]; i = site; f = probability */
static at_err infer_dropout(const at_graph *g, const at_node *n, at_shape *out) {
  *out = at_in_shape(g, n, 0);
  if (at_shape_count(at_in_shape(g, n, 1)) != AT_KEY_WORDS) {
    char a[96];
    return AT_FAIL(AT_ERR_INTERNAL, "dropout: the key is %s, not [%d]",
                   at_shape_text(at_in_shape(g, n, 1), a, sizeof a), AT_KEY_WORDS);
  }
  if (n->f[0] < 0 || n->f[0] >= 1 || n->i[0] < 0 || n->i[0] >= AT_DROPOUT_SITES) {
    return AT_FAIL(AT_ERR_ARG, "dropout: probability %g at site %lld: wanted [0, 1) and a site below %d", n->f[0],
                   (long long)n->i[0], AT_DROPOUT_SITES);
  }
  return AT_OK;
}

static void lower_dropout(const at_graph *g, const at_node *n, at_kcall *k, int64_t *shift) {
  (void)shift;
  k->dim[0] = at_shape_count(at_in_shape(g, n, 0));
  k->dim[1] = 1 + n->i[0]; /* tag 0 is the plain stream (src/base/rng_internal.h) */
  k->dim[2] = AT_RNG_DROPOUT;
  k->attr[0] = n->f[0];
}

/* Linear in x with a diagonal matrix: its own transpose. */
static void vjp_dropout(at_graph *g, const at_node *n, const at_val *dout, at_val *din) {
  din[0] = at_graph_node(g, AT_OP_dropout, (at_val[]){dout[0], n->in[1]}, 2, n->i, 1, n->f, 1);
}

const at_op_row at_op_row_dropout = {.name = "dropout",
                                     .n_in = 2,
                                     .n_out = 1,
                                     .kslot = AT_K_dropout,
                                     .i32_in = 1u << 1,
                                     .infer = infer_dropout,
                                     .lower = lower_dropout,
                                     .vjp = vjp_dropout,
                                     .in_place = true,
                                     .flops = at_flops_elements};

at_val at_dropout(at_graph *g, at_val x, at_val key, double p, int site) {
  if (p == 0) {
    return x;
  }
  return at_graph_node(g, AT_OP_dropout, (at_val[]){x, key}, 2, (int64_t[]){site}, 1, &p, 1);
}

void at_dropout_key(uint64_t seed, uint64_t client, uint64_t round, uint64_t step, int32_t key[AT_KEY_WORDS]) {
  const uint64_t word[4] = {seed, client, round, step};
  for (int i = 0; i < 4; i++) {
    key[2 * i] = (int32_t)(uint32_t)word[i];
    key[2 * i + 1] = (int32_t)(uint32_t)(word[i] >> 32);
  }
}
