/* SPDX-License-Identifier: BSD-3-Clause */
/* One client's examples while a data set is being built: the fields of each split in a row, name, and attributes. */
#ifndef AT_DATA_EXAMPLES_BLOCK_H
#define AT_DATA_EXAMPLES_BLOCK_H

#include "data/dataset.h"
#include "data/text/bytes.h"

enum { AT_FIELDS_MAX = 8, AT_FIELD_DIMS = 3, AT_CLIENT_NAME_MAX = 200 };

/* What each example has; ndims and dims are those of one example. */
typedef struct at_field {
  const char *name;
  at_h5_type type;
  int ndims;
  int64_t dims[AT_FIELD_DIMS];
  const char *units, *description;
} at_field;
int64_t at_field_count(const at_field *f); /* numbers per example */
int64_t at_field_bytes(const at_field *f); /* bytes per example */

/* Zero-initialise, then at_block_reset; memory is kept from client to client. */
typedef struct at_block {
  const at_field *field; /* [n_fields], borrowed */
  int n_fields;
  char name[AT_CLIENT_NAME_MAX]; /* of the client; "" : there is none */
  at_bytes data[AT_SPLIT_COUNT][AT_FIELDS_MAX];
  at_bytes attrs; /* name, 0, value, 0, ... */
} at_block;

void at_block_reset(at_block *b, const at_field *field, int n_fields);
void at_block_free(at_block *b);
/* The client's name, printf style; what HDF5 cannot have in one ('/', control characters, a leading '.') becomes '_'. */
void at_block_name(at_block *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An attribute of the client, printf style. */
void at_block_attr(at_block *b, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Append one example's value of field number `field`: at_field_bytes() bytes.  Memory failures are found by pack. */
void at_block_put(at_block *b, at_split split, int field, const void *value);
/* The same for n examples at once. */
void at_block_put_many(at_block *b, at_split split, int field, const void *values, int64_t n);
int64_t at_block_rows(const at_block *b, at_split split);
/* Two fields: `value` to field 0, `label` to field 1. */
void at_block_put_labelled(at_block *b, at_split split, const void *value, int32_t label);

/* Append the block to *out as one message; a block without a name or without examples appends an empty one.
 * AT_ERR_INTERNAL when the fields of a split do not have the same number of examples. */
at_err at_block_pack(const at_block *b, at_bytes *out);
/* The block at data[*at]; *at moves behind it. */
at_err at_block_unpack(at_block *b, const char *data, size_t n, size_t *at);

#endif
