/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading federated data sets in the layout /examples/<client>/<field>. */
#include "data/dataset.h"

#include <string.h>

#include "src/base/alloc.h"

enum { PATH_BYTES = 1024 };

struct at_dataset {
  at_h5 *file;   /* owned */
  char **client; /* owned, one block */
  int64_t n_clients;
  char *tokenizer; /* owned */
  int64_t vocab;
};

const char *at_split_group(at_split s) {
  static const char *const group[AT_SPLIT_COUNT] = {"examples", "validation", "test"};
  return group[s];
}

/* Files of others have neither attribute. */
static at_err read_tokenizer(at_dataset *d) {
  at_err err = at_h5_get_attr_text(d->file, "/", "tokenizer", &d->tokenizer);
  if (err == AT_ERR_FORMAT) {
    err = at_strdup(&d->tokenizer, "");
  }
  AT_TRY(err);
  err = at_h5_get_attr_i64(d->file, "/", "vocab", &d->vocab);
  if (err == AT_ERR_HDF5) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: its attribute vocab is not a number", at_h5_path(d->file));
  }
  if (err == AT_ERR_FORMAT) {
    d->vocab = 0;
    err = AT_OK;
  }
  if (err == AT_OK && (d->vocab < 0 || d->vocab > INT32_MAX)) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: its attribute vocab = %lld is not from 0 to 2^31 - 1", at_h5_path(d->file),
                   (long long)d->vocab);
  }
  return err;
}

static at_err read_clients(at_dataset *d, const char *path) {
  if (!at_h5_exists(d->file, "/examples")) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: is no federated data set: it has no group /examples; 'atoll data' builds one",
                   path);
  }
  AT_TRY(at_h5_list(d->file, "/examples", &d->n_clients, &d->client));
  if (d->n_clients == 0) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: its group /examples is empty: there is no client", path);
  }
  return AT_OK;
}

at_err at_dataset_open(at_dataset **out, const char *path) {
  at_dataset *d = NULL;
  at_err err;
  *out = NULL;
  AT_TRY(at_alloc(&d, 1, sizeof *d, "data set"));
  AT_TRY_TO(err, fail, at_h5_open(&d->file, path));
  AT_TRY_TO(err, fail, read_clients(d, path));
  AT_TRY_TO(err, fail, read_tokenizer(d));
  *out = d;
  return AT_OK;
fail:
  at_dataset_close(d);
  return err;
}

void at_dataset_close(at_dataset *d) {
  if (d != NULL) {
    at_h5_close(d->file);
    at_free(d->client);
    at_free(d->tokenizer);
    at_free(d);
  }
}

int64_t at_dataset_clients(const at_dataset *d) {
  return d->n_clients;
}

const char *at_dataset_client(const at_dataset *d, int64_t client) {
  return d->client[client];
}

int64_t at_dataset_find(const at_dataset *d, const char *name) {
  int64_t low = 0, high = d->n_clients;
  while (low < high) {
    int64_t mid = low + (high - low) / 2;
    int order = strcmp(d->client[mid], name);
    if (order == 0) {
      return mid;
    }
    low = order < 0 ? mid + 1 : low;
    high = order < 0 ? high : mid;
  }
  return -1;
}

const char *at_dataset_tokenizer(const at_dataset *d) {
  return d->tokenizer;
}

int64_t at_dataset_vocab(const at_dataset *d) {
  return d->vocab;
}

static at_err path_of(const at_dataset *d, at_split split, int64_t client, const char *field, char out[PATH_BYTES]) {
  if (client < 0 || client >= d->n_clients) {
    return AT_FAIL(AT_ERR_ARG, "%s: client %lld of %lld", at_h5_path(d->file), (long long)client,
                   (long long)d->n_clients);
  }
  int n = snprintf(out, PATH_BYTES, "/%s/%s%s%s", at_split_group(split), d->client[client], field[0] != 0 ? "/" : "",
                   field);
  return n < PATH_BYTES ? AT_OK : AT_FAIL(AT_ERR_ARG, "%s: the name of a field is too long", at_h5_path(d->file));
}

at_err at_dataset_fields(at_dataset *d, int64_t client, int64_t *n, char ***names) {
  char path[PATH_BYTES];
  *names = NULL;
  AT_TRY(path_of(d, AT_SPLIT_TRAIN, client, "", path));
  return at_h5_list(d->file, path, n, names);
}

at_err at_dataset_rows(at_dataset *d, at_split split, int64_t client, const char *field, int64_t *rows) {
  char path[PATH_BYTES];
  at_h5_desc desc;
  *rows = 0;
  AT_TRY(path_of(d, split, client, field, path));
  if (!at_h5_exists(d->file, path)) {
    return AT_OK;
  }
  AT_TRY(at_h5_describe(d->file, path, &desc));
  *rows = desc.ndims > 0 ? desc.dims[0] : 1;
  return AT_OK;
}

at_err at_dataset_describe(at_dataset *d, at_split split, int64_t client, const char *field, at_h5_desc *out) {
  char path[PATH_BYTES];
  AT_TRY(path_of(d, split, client, field, path));
  AT_TRY(at_h5_describe(d->file, path, out));
  out->path = NULL; /* the text lives on this stack */
  return AT_OK;
}

at_err at_dataset_read(at_dataset *d, at_split split, int64_t client, const char *field, at_h5_type type, int64_t row0,
                       int64_t n, void *data) {
  char path[PATH_BYTES];
  AT_TRY(path_of(d, split, client, field, path));
  return at_h5_read_rows(d->file, path, type, row0, n, data);
}

/* The whole one-dimensional field as `type`. */
static at_err load(at_dataset *d, at_split split, int64_t client, const char *field, at_h5_type type, int64_t *n,
                   void **out) {
  char path[PATH_BYTES];
  at_h5_desc desc;
  *n = 0;
  *out = NULL;
  AT_TRY(path_of(d, split, client, field, path));
  AT_TRY(at_h5_describe(d->file, path, &desc));
  if (desc.ndims != 1) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: %s has %d dimensions; tokens have one", at_h5_path(d->file), path, desc.ndims);
  }
  bool is_integer;
  AT_TRY(at_h5_is_integer(d->file, path, &is_integer));
  if (!is_integer) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: %s does not hold integers; tokens are", at_h5_path(d->file), path);
  }
  AT_TRY(at_alloc(out, (size_t)desc.dims[0], (size_t)at_h5_type_bytes(type), "tokens"));
  desc.path = path;
  at_err err = desc.type == type ? at_h5_read(d->file, &desc, *out)
                                 : at_h5_read_rows(d->file, path, type, 0, desc.dims[0], *out);
  if (err != AT_OK) {
    at_free(*out);
    *out = NULL;
    return at_err_trace(err, __FILE__, __LINE__);
  }
  *n = desc.dims[0];
  return AT_OK;
}

static int64_t token_at(at_h5_type type, const void *data, int64_t i) {
  return type == AT_H5_U8    ? ((const uint8_t *)data)[i]
         : type == AT_H5_U16 ? ((const uint16_t *)data)[i]
                             : ((const int32_t *)data)[i];
}

/* The whole field as tokens of `type`, which has room for `most` different ones. */
static at_err load_tokens(at_dataset *d, at_split split, int64_t client, const char *field, at_h5_type type,
                          int64_t most, int64_t *n, void **out) {
  *out = NULL;
  if (d->vocab > most) {
    return AT_FAIL(AT_ERR_ARG, "%s: its %lld tokens do not fit %s", at_h5_path(d->file), (long long)d->vocab,
                   type == AT_H5_U8 ? "bytes" : "16 bits");
  }
  AT_TRY(load(d, split, client, field, type, n, out));
  for (int64_t i = 0; d->vocab > 0 && i < *n; i++) {
    const int64_t token = token_at(type, *out, i);
    if (token < 0 || token >= d->vocab) {
      at_free(*out);
      *out = NULL;
      return AT_FAIL(AT_ERR_FORMAT, "%s: %s of client %s: token %lld is %lld, which is not in 0 .. %lld",
                     at_h5_path(d->file), field, d->client[client], (long long)i, (long long)token,
                     (long long)d->vocab - 1);
    }
  }
  return AT_OK;
}

at_err at_dataset_load_u8(at_dataset *d, at_split split, int64_t client, const char *field, int64_t *n, uint8_t **out) {
  void *data;
  at_err err = load_tokens(d, split, client, field, AT_H5_U8, 1 << 8, n, &data);
  *out = data;
  return err;
}

at_err at_dataset_load_u16(at_dataset *d, at_split split, int64_t client, const char *field, int64_t *n,
                           uint16_t **out) {
  void *data;
  at_err err = load_tokens(d, split, client, field, AT_H5_U16, 1 << 16, n, &data);
  *out = data;
  return err;
}

at_err at_dataset_load_i32(at_dataset *d, at_split split, int64_t client, const char *field, int64_t *n,
                           int32_t **out) {
  void *data;
  at_err err = load_tokens(d, split, client, field, AT_H5_I32, INT32_MAX, n, &data);
  *out = data;
  return err;
}
