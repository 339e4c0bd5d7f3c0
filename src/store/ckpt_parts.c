/* SPDX-License-Identifier: BSD-3-Clause */
/* Who writes which part of a checkpoint, names of checkpoints, and the layout of flat vectors. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "src/base/alloc.h"
#include "src/store/ckpt_internal.h"
#include "src/store/fs.h"

/* ---- parts ---- */

enum { SMALL_BYTES = 65536 };

at_ckpt_part at_ckpt_slice(const at_h5_desc *d, int rank, int size) {
  int64_t n = at_h5_count(d);
  if (n * at_h5_type_bytes(d->type) < SMALL_BYTES) {
    return (at_ckpt_part){0, rank == 0 ? n : 0};
  }
  int64_t each = (n + size - 1) / size;
  int64_t first = each * rank < n ? each * rank : n;
  int64_t left = n - first;
  return (at_ckpt_part){first, left < each ? left : each};
}

at_err at_ckpt_combine(at_comm *world, const at_h5_desc *d, uint32_t own, uint32_t *whole) {
  int size = at_comm_size(world);
  int64_t *crcs = NULL;
  AT_TRY(at_comm_agree(world, at_alloc(&crcs, (size_t)size, sizeof *crcs, "checksums")));
  at_err err = at_comm_allgather_i64(world, own, crcs);
  uLong crc = 0;
  for (int r = 0; r < size && err == AT_OK; r++) {
    int64_t bytes = at_ckpt_slice(d, r, size).n * at_h5_type_bytes(d->type);
    crc = bytes == 0 ? crc : crc32_combine(crc, (uLong)crcs[r], (z_off_t)bytes);
  }
  *whole = (uint32_t)crc;
  at_free(crcs);
  return err;
}

int64_t at_ckpt_row_elements(const at_h5_desc *d) {
  int64_t n = 1;
  for (int i = 1; i < d->ndims; i++) {
    n *= d->dims[i];
  }
  return n;
}

int64_t at_ckpt_row_bytes(const at_h5_desc *d) {
  return at_ckpt_row_elements(d) * at_h5_type_bytes(d->type);
}

int64_t at_ckpt_lower(const int64_t *ids, int64_t n, int64_t id) {
  int64_t low = 0;
  while (low < n) {
    int64_t middle = low + (n - low) / 2;
    if (ids[middle] < id) {
      low = middle + 1;
    } else {
      n = middle;
    }
  }
  return low;
}

at_h5_desc at_ckpt_row_crcs(const at_h5_desc *d, char path[AT_CKPT_PATH]) {
  snprintf(path, AT_CKPT_PATH, "%s_crc32", d->path);
  return (at_h5_desc){.path = path,
                      .type = AT_H5_U32,
                      .ndims = 1,
                      .dims = {d->dims[0]},
                      .units = "1",
                      .description = "CRC-32 of the bytes of each row",
                      .flags = d->flags};
}

/* ---- names ---- */

at_err at_ckpt_path(char **out, const char *folder, int64_t round) {
  return at_fs_path(out, "%s/checkpoints/%06lld.h5", folder, (long long)round);
}

static int by_value(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a;
  int64_t y = *(const int64_t *)b;
  return x < y ? -1 : x > y;
}

/* The round that a file name stands for, or -1. */
static int64_t round_of(const char *name) {
  char *end = NULL;
  size_t digits = strspn(name, "0123456789");
  if (digits < 6 || digits > 18 || strcmp(name + digits, ".h5") != 0) {
    return -1;
  }
  return strtoll(name, &end, 10);
}

at_err at_ckpt_list(const char *folder, int64_t *n, int64_t **rounds) {
  char *path = NULL;
  *n = 0;
  AT_TRY(at_alloc(rounds, 0, sizeof **rounds, "checkpoint rounds"));
  AT_TRY(at_fs_path(&path, "%s/checkpoints", folder));
  DIR *d = opendir(path);
  at_free(path);
  if (d == NULL) {
    return AT_OK;
  }
  at_err err = AT_OK;
  for (struct dirent *e = readdir(d); e != NULL && err == AT_OK; e = readdir(d)) {
    int64_t round = round_of(e->d_name);
    if (round >= 0) {
      err = at_realloc(rounds, (size_t)*n + 1, sizeof **rounds, "checkpoint rounds");
      if (err == AT_OK) {
        (*rounds)[(*n)++] = round;
      }
    }
  }
  closedir(d);
  if (err == AT_OK) {
    qsort(*rounds, (size_t)*n, sizeof **rounds, by_value);
  } else {
    at_free(*rounds);
    *rounds = NULL;
    *n = 0;
  }
  return err;
}

/* ---- retention ---- */

static at_err remove_round(const char *folder, int64_t round) {
  char *path = NULL;
  AT_TRY(at_ckpt_path(&path, folder, round));
  at_err err = AT_OK;
  if (unlink(path) != 0 && errno != ENOENT) {
    err = AT_FAIL(AT_ERR_FILE, "%s: cannot be removed: %s", path, strerror(errno));
  }
  at_free(path);
  return err;
}

at_err at_ckpt_retain(const char *folder, int64_t newest, int keep) {
  int64_t n = 0;
  int64_t *rounds = NULL;
  AT_TRY(at_ckpt_list(folder, &n, &rounds));
  at_err err = AT_OK;
  int kept = 0;
  for (int64_t i = n - 1; i >= 0 && err == AT_OK; i--) {
    bool wanted = rounds[i] <= newest && (keep == 0 || kept < keep);
    kept += wanted;
    err = wanted ? AT_OK : remove_round(folder, rounds[i]);
  }
  at_free(rounds);
  return err;
}

/* ---- layouts ---- */

typedef struct columns {
  const char **names;
  int64_t *offsets, *shapes; /* [n], [n][AT_KND]: 0 behind the last dimension */
  int32_t *nd;
} columns;

static at_err columns_alloc(columns *c, size_t n) {
  *c = (columns){0};
  AT_TRY(at_alloc(&c->names, n, sizeof *c->names, "layout"));
  AT_TRY(at_alloc(&c->offsets, n, sizeof *c->offsets, "layout"));
  AT_TRY(at_alloc(&c->shapes, n * AT_KND, sizeof *c->shapes, "layout"));
  return at_alloc(&c->nd, n, sizeof *c->nd, "layout");
}

static void columns_free(columns *c) {
  at_free(c->names);
  at_free(c->offsets);
  at_free(c->shapes);
  at_free(c->nd);
}

/* Descriptions of the columns in the group <path>_layout; `paths` holds their names. */
typedef struct column_descs {
  char names[AT_CKPT_PATH], offsets[AT_CKPT_PATH], shapes[AT_CKPT_PATH], nd[AT_CKPT_PATH];
  at_h5_desc offset, shape, dims;
} column_descs;

static void describe_columns(column_descs *c, const char *path, int64_t n) {
  snprintf(c->names, sizeof c->names, "%s_layout/name", path);
  snprintf(c->offsets, sizeof c->offsets, "%s_layout/offset", path);
  snprintf(c->shapes, sizeof c->shapes, "%s_layout/shape", path);
  snprintf(c->nd, sizeof c->nd, "%s_layout/ndims", path);
  c->offset = (at_h5_desc){.path = c->offsets,
                           .type = AT_H5_I64,
                           .ndims = 1,
                           .dims = {n},
                           .units = "elements",
                           .description = "where the tensor starts in the flat vector"};
  c->shape = (at_h5_desc){.path = c->shapes,
                          .type = AT_H5_I64,
                          .ndims = 2,
                          .dims = {n, AT_KND},
                          .units = "1",
                          .description = "row-major shape of the tensor; 0 behind its last dimension"};
  c->dims = (at_h5_desc){.path = c->nd,
                         .type = AT_H5_I32,
                         .ndims = 1,
                         .dims = {n},
                         .units = "1",
                         .description = "number of dimensions of the tensor"};
}

static void fill_columns(columns *c, const at_layout *l) {
  for (int i = 0; i < l->n; i++) {
    const at_tensor *t = &l->tensor[i];
    c->names[i] = t->name;
    c->offsets[i] = t->offset;
    c->nd[i] = t->shape.nd;
    for (int j = 0; j < t->shape.nd; j++) {
      c->shapes[i * AT_KND + j] = t->shape.d[j];
    }
  }
}

at_err at_ckpt_write_layout(at_h5 *f, const at_ckpt_item *item) {
  if (item->layout == NULL) {
    return AT_OK;
  }
  columns c;
  column_descs d;
  int n = item->layout->n;
  describe_columns(&d, item->desc.path, n);
  at_err err = columns_alloc(&c, (size_t)n);
  if (err == AT_OK) {
    fill_columns(&c, item->layout);
    err = at_h5_write_text(f, d.names, n, c.names, "1", "name of the tensor");
  }
  if (err == AT_OK) {
    err = at_h5_write(f, &d.offset, c.offsets);
  }
  if (err == AT_OK) {
    err = at_h5_write(f, &d.shape, c.shapes);
  }
  if (err == AT_OK) {
    err = at_h5_write(f, &d.dims, c.nd);
  }
  columns_free(&c);
  return err;
}

/* Compare what the file has (names, c) with the layout. */
static at_err compare(at_h5 *f, const at_ckpt_item *item, char **names, const columns *c) {
  const at_layout *l = item->layout;
  for (int i = 0; i < l->n; i++) {
    const at_tensor *t = &l->tensor[i];
    at_shape stored = {.nd = c->nd[i] >= 0 && c->nd[i] <= AT_KND ? c->nd[i] : 0};
    memcpy(stored.d, c->shapes + (int64_t)i * AT_KND, sizeof stored.d);
    if (strcmp(names[i], t->name) != 0 || c->offsets[i] != t->offset || !at_shape_equal(stored, t->shape)) {
      char a[96], b[96];
      return AT_FAIL(
          AT_ERR_STATE,
          "%s: tensor %d of %s is %s %s, this model's is %s %s: resume with the configuration that it was written with",
          f->path, i, item->desc.path, names[i], at_shape_text(stored, a, sizeof a), t->name,
          at_shape_text(t->shape, b, sizeof b));
    }
  }
  return AT_OK;
}

at_err at_ckpt_check_layout(at_h5 *f, const at_ckpt_item *item) {
  if (item->layout == NULL) {
    return AT_OK;
  }
  columns c;
  column_descs d;
  char **names = NULL;
  int64_t n = 0;
  describe_columns(&d, item->desc.path, item->layout->n);
  at_err err = columns_alloc(&c, (size_t)item->layout->n);
  if (err == AT_OK) {
    err = at_h5_read_text(f, d.names, &n, &names);
  }
  if (err == AT_OK && n != item->layout->n) {
    err = AT_FAIL(AT_ERR_STATE,
                  "%s: %s has %lld tensors, this model has %d: resume with the configuration that it was written with",
                  f->path, item->desc.path, (long long)n, item->layout->n);
  }
  if (err == AT_OK) {
    err = at_h5_read(f, &d.offset, c.offsets);
  }
  if (err == AT_OK) {
    err = at_h5_read(f, &d.shape, c.shapes);
  }
  if (err == AT_OK) {
    err = at_h5_read(f, &d.dims, c.nd);
  }
  if (err == AT_OK) {
    err = compare(f, item, names, &c);
  }
  at_free(names);
  columns_free(&c);
  return err;
}
