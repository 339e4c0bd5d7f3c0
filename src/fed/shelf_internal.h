/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the shelf share: a shard with its index and its buffer. */
#ifndef AT_FED_SHELF_INTERNAL_H
#define AT_FED_SHELF_INTERNAL_H

#include "src/fed/shelf.h"
#include "src/store/h5.h"

/* Where a row is: in file `file` of the shard, which is the buffer if file = end. */
typedef struct at_shelf_place {
  int64_t client; /* -1: this slot of the index is free */
  int64_t file;
  int32_t row;
  uint32_t crc; /* of the row */
} at_shelf_place;

typedef struct at_shelf_shard {
  int64_t number, first, end; /* files */
  int64_t *rows;              /* [end - first] of each file */
  int64_t written;            /* their sum */
  int64_t *ids;               /* [cap] of the buffer */
  float *buffer;              /* [cap][width] */
  int64_t buffered;
  at_shelf_place *index; /* open addressing; slots is a power of two */
  int64_t slots, clients;
  uint64_t digest;
  at_h5 *open; /* the file that was read last */
  int64_t open_number;
} at_shelf_shard;

typedef struct at_shelf_undo {
  int64_t shard;
  at_shelf_place before; /* file = -1: there was none */
} at_shelf_undo;

struct at_shelf {
  at_shelf_spec spec;
  char *folder;
  int64_t cap, n_shards; /* rows of a buffer; shards here */
  at_shelf_shard *shard;
  at_shelf_undo *undo;
  int64_t n_undo, undo_cap;
};

/* shelf_index.c */
at_shelf_place *at_shelf_find(const at_shelf_shard *d, int64_t client); /* NULL if it has none */
/* Set a client's place; the digest follows.  *before: what it was. */
at_err at_shelf_move(at_shelf_shard *d, const at_shelf_place *to, at_shelf_place *before);
void at_shelf_unset(at_shelf_shard *d, int64_t client);

/* shelf_file.c */
at_err at_shelf_write(at_shelf *s, at_shelf_shard *d); /* the buffer becomes a file */
at_err at_shelf_read(at_shelf *s, at_shelf_shard *d, const at_shelf_place *p, float *row);
at_err at_shelf_read_ids(at_shelf *s, at_shelf_shard *d, int64_t file, int64_t *n, int64_t **ids, uint32_t **crcs);
void at_shelf_remove(at_shelf *s, const at_shelf_shard *d, int64_t file);
int64_t at_shelf_file_bytes(const at_shelf *s, const at_shelf_shard *d, int64_t file);

#endif
