/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading federated data sets: HDF5 files in the layout /examples/<client>/<field> that TensorFlow Federated uses too.
 *
 * Our own files have /validation and /test beside /examples; in files of others these may be missing, and every split but
 * training is then empty.  Rows are counted along the first axis of a field.  Nothing here is collective: each rank opens
 * the file for itself and reads only what its clients need. */
#ifndef AT_DATA_DATASET_H
#define AT_DATA_DATASET_H

#include <stdint.h>

#include "src/base/status.h"
#include "src/store/h5.h"

typedef enum at_split { AT_SPLIT_TRAIN, AT_SPLIT_VALIDATION, AT_SPLIT_TEST, AT_SPLIT_COUNT } at_split;
const char *at_split_group(at_split s); /* "examples", "validation", "test" */

typedef struct at_dataset at_dataset;

/* AT_ERR_FILE: not there; AT_ERR_FORMAT: not HDF5, cut short, or without a client below /examples. */
at_err at_dataset_open(at_dataset **out, const char *path);
void at_dataset_close(at_dataset *d); /* accepts NULL */

int64_t at_dataset_clients(const at_dataset *d);
const char *at_dataset_client(const at_dataset *d, int64_t client); /* names ascend bytewise; valid until close */
int64_t at_dataset_find(const at_dataset *d, const char *name);     /* its number, -1 if there is none */

/* How text was made into tokens: "byte" or "bpe" (see data/tokenizer.h), and how many different tokens there are.  A file
 * that does not say has tokenizer "" and vocab 0. */
const char *at_dataset_tokenizer(const at_dataset *d);
int64_t at_dataset_vocab(const at_dataset *d);

/* Names of the fields of a client's training data; freed with at_free (one block). */
at_err at_dataset_fields(at_dataset *d, int64_t client, int64_t *n, char ***names);
/* Rows of a field, 0 where the client has none in that split. */
at_err at_dataset_rows(at_dataset *d, at_split split, int64_t client, const char *field, int64_t *rows);
/* Type and shape as stored. */
at_err at_dataset_describe(at_dataset *d, at_split split, int64_t client, const char *field, at_h5_desc *out);
/* data <- rows [row0, row0 + n) converted to `type`.  AT_ERR_ARG when they are not all there. */
at_err at_dataset_read(at_dataset *d, at_split split, int64_t client, const char *field, at_h5_type type, int64_t row0,
                       int64_t n, void *data);
/* *out = the whole field as tokens of 8, 16 or 32 bits, to be freed with at_free; checked against its checksum if it has
 * one and is stored in that type.  AT_ERR_FORMAT where a token is not in 0 .. vocab - 1 (if vocab > 0), AT_ERR_ARG where
 * the vocabulary has too many tokens for the type. */
at_err at_dataset_load_u8(at_dataset *d, at_split split, int64_t client, const char *field, int64_t *n, uint8_t **out);
at_err at_dataset_load_u16(at_dataset *d, at_split split, int64_t client, const char *field, int64_t *n,
                           uint16_t **out);
at_err at_dataset_load_i32(at_dataset *d, at_split split, int64_t client, const char *field, int64_t *n, int32_t **out);

#endif
