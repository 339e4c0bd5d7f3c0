/* SPDX-License-Identifier: BSD-3-Clause */
/* One client's examples while a data set is being built, and as a message between ranks. */
#include "data/examples/block.h"

#include <stdarg.h>
#include <string.h>

int64_t at_field_count(const at_field *f) {
  int64_t n = 1;
  for (int i = 0; i < f->ndims; i++) {
    n *= f->dims[i];
  }
  return n;
}

int64_t at_field_bytes(const at_field *f) {
  return at_field_count(f) * at_h5_type_bytes(f->type);
}

void at_block_reset(at_block *b, const at_field *field, int n_fields) {
  b->field = field;
  b->n_fields = n_fields;
  b->name[0] = 0;
  at_bytes_clear(&b->attrs);
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    for (int i = 0; i < AT_FIELDS_MAX; i++) {
      at_bytes_clear(&b->data[s][i]);
    }
  }
}

void at_block_free(at_block *b) {
  at_bytes_free(&b->attrs);
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    for (int i = 0; i < AT_FIELDS_MAX; i++) {
      at_bytes_free(&b->data[s][i]);
    }
  }
}

void at_block_name(at_block *b, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(b->name, sizeof b->name, fmt, ap);
  va_end(ap);
  for (char *c = b->name; *c != 0; c++) {
    if (*c == '/' || (unsigned char)*c < ' ' || (c == b->name && *c == '.')) {
      *c = '_';
    }
  }
}

void at_block_attr(at_block *b, const char *name, const char *fmt, ...) {
  char value[1024];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(value, sizeof value, fmt, ap);
  va_end(ap);
  at_bytes_put(&b->attrs, name, strlen(name) + 1);
  at_bytes_put(&b->attrs, value, strlen(value) + 1);
}

void at_block_put_many(at_block *b, at_split split, int field, const void *values, int64_t n) {
  at_bytes_put(&b->data[split][field], values, (size_t)(n * at_field_bytes(&b->field[field])));
}

void at_block_put(at_block *b, at_split split, int field, const void *value) {
  at_block_put_many(b, split, field, value, 1);
}

void at_block_put_labelled(at_block *b, at_split split, const void *value, int32_t label) {
  at_block_put(b, split, 0, value);
  at_block_put(b, split, 1, &label);
}

int64_t at_block_rows(const at_block *b, at_split split) {
  return (int64_t)b->data[split][0].len / at_field_bytes(&b->field[0]);
}

static void put_u64(at_bytes *out, uint64_t v) {
  at_bytes_put(out, &v, sizeof v);
}

static void put_run(at_bytes *out, const void *data, size_t n) {
  put_u64(out, n);
  at_bytes_put(out, data, n);
}

static at_err check(const at_block *b, int64_t *rows) {
  *rows = 0;
  if (b->attrs.err != AT_OK) {
    return b->attrs.err;
  }
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    *rows += at_block_rows(b, s);
    for (int i = 0; i < b->n_fields; i++) {
      if (b->data[s][i].err != AT_OK) {
        return b->data[s][i].err;
      }
      if ((int64_t)b->data[s][i].len != at_block_rows(b, s) * at_field_bytes(&b->field[i])) {
        return AT_FAIL(AT_ERR_INTERNAL, "client %s: field %s of split %s has not one value per example", b->name,
                       b->field[i].name, at_split_group(s));
      }
    }
  }
  return AT_OK;
}

at_err at_block_pack(const at_block *b, at_bytes *out) {
  int64_t rows;
  AT_TRY(check(b, &rows));
  if (rows == 0 || b->name[0] == 0) {
    put_u64(out, 0);
    return out->err;
  }
  put_run(out, b->name, strlen(b->name));
  put_run(out, b->attrs.data, b->attrs.len);
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    for (int i = 0; i < b->n_fields; i++) {
      put_run(out, b->data[s][i].data, b->data[s][i].len);
    }
  }
  return out->err;
}

static at_err take_run(const char *data, size_t n, size_t *at, at_bytes *out) {
  uint64_t len = 0;
  if (n - *at >= sizeof len) {
    memcpy(&len, data + *at, sizeof len);
  }
  if (n - *at < sizeof len || n - *at - sizeof len < len) {
    return AT_FAIL(AT_ERR_INTERNAL, "a packed client is cut short at byte %zu of %zu", *at, n);
  }
  at_bytes_clear(out);
  at_bytes_put(out, data + *at + sizeof len, len);
  *at += sizeof len + len;
  return out->err;
}

at_err at_block_unpack(at_block *b, const char *data, size_t n, size_t *at) {
  at_bytes name = {0};
  at_block_reset(b, b->field, b->n_fields);
  at_err err = take_run(data, n, at, &name);
  if (err == AT_OK && name.len > 0) {
    at_block_name(b, "%s", name.data);
    err = take_run(data, n, at, &b->attrs);
    for (int i = 0; err == AT_OK && i < AT_SPLIT_COUNT * b->n_fields; i++) {
      err = take_run(data, n, at, &b->data[i / b->n_fields][i % b->n_fields]);
    }
  }
  at_bytes_free(&name);
  return err;
}
