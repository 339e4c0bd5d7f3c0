/* SPDX-License-Identifier: BSD-3-Clause */
/* Inference of a decoder-only transformer (src/nn/gpt.h), token by token, with the keys and values of the past kept.
 *
 * The kernels are called directly; nothing is allocated after creation.  The memory of the past is `context` tokens.
 * When it is full, the oldest are dropped so that context / 2 (rounded down) remain, which are computed anew at the
 * positions 0, 1, ...; the token that did not fit follows them.  What is computed for a text does not depend on whether
 * it was fed at once or in pieces, but for rounding. */
#ifndef AT_LM_INFER_H
#define AT_LM_INFER_H

#include "src/nn/gpt.h"

typedef struct at_infer at_infer;

/* layout: where the parameters are in theta, by their names; it may hold others too and is not needed afterwards.
 * theta [layout count] and k are borrowed for the object's life.
 * AT_ERR_CONFIG: a model that cannot be.  AT_ERR_STATE: a parameter is missing or has another shape (says which). */
at_err at_infer_create(at_infer **out, const at_gpt *c, const at_layout *layout, const float *theta,
                       const at_kernels *k);
void at_infer_destroy(at_infer *f); /* accepts NULL */

/* Append tokens[n], n >= 1.  Returns logits [vocab] of what follows the last of them, valid until the next call.
 * A token outside 0 .. vocab - 1 counts as an embedding of zeros. */
const float *at_infer_feed(at_infer *f, const int32_t *tokens, int64_t n);
void at_infer_reset(at_infer *f); /* forget the past: the next token is the first */

int64_t at_infer_length(const at_infer *f); /* tokens of the past that it sees now */
size_t at_infer_bytes(const at_infer *f);   /* memory it holds, theta left out */

#endif
