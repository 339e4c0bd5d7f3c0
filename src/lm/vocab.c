/* SPDX-License-Identifier: BSD-3-Clause */
/* Vocabularies as tables of byte strings. */
#include "src/lm/vocab.h"

#include "src/base/alloc.h"

static at_err vocab_alloc(at_vocab **out, int32_t n, int64_t bytes) {
  at_err err;
  AT_TRY(at_alloc(out, 1, sizeof **out, "vocabulary"));
  AT_TRY_TO(err, failed, at_alloc(&(*out)->start, (size_t)n + 1, sizeof *(*out)->start, "vocabulary"));
  AT_TRY_TO(err, failed, at_alloc(&(*out)->bytes, (size_t)bytes, 1, "vocabulary"));
  return AT_OK;
failed:
  at_vocab_destroy(*out);
  *out = NULL;
  return err;
}

at_err at_vocab_create_room(at_vocab **out, int32_t extra, int32_t longest) {
  AT_TRY(vocab_alloc(out, 256 + extra, 255 + (int64_t)extra * longest));
  (*out)->n = 256;
  for (int32_t i = 1; i < 256; i++) { /* token 0 is empty */
    (*out)->start[i + 1] = i;
    (*out)->bytes[i - 1] = (uint8_t)i;
  }
  return AT_OK;
}

at_err at_vocab_create_bytes(at_vocab **out) {
  return at_vocab_create_room(out, 0, 0);
}

void at_vocab_destroy(at_vocab *v) {
  if (v != NULL) {
    at_free(v->start);
    at_free(v->bytes);
    at_free(v);
  }
}

const uint8_t *at_vocab_bytes(const at_vocab *v, int32_t token, size_t *length) {
  *length = (size_t)(v->start[token + 1] - v->start[token]);
  return v->bytes + v->start[token];
}
