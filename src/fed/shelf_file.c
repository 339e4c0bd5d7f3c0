/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of the shelf: /client i64[rows], /row f32[rows][width], /row_crc32 u32[rows]; written once. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "src/base/alloc.h"
#include "src/fed/shelf_internal.h"

enum { PATH = 4200 };

static void path_of(const at_shelf *s, const at_shelf_shard *d, int64_t file, char path[PATH]) {
  snprintf(path, PATH, "%s/%02lld-%08lld.h5", s->folder, (long long)d->number, (long long)file);
}

static at_err fill(const at_shelf *s, const at_shelf_shard *d, const uint32_t *crc, at_h5 *f) {
  at_h5_desc ids = {.path = "/client",
                    .type = AT_H5_I64,
                    .ndims = 1,
                    .dims = {d->buffered},
                    .units = "1",
                    .description = "Client of each row, of two the later one counts; -1 - client: it has none."};
  at_h5_desc rows = {.path = "/row",
                     .type = AT_H5_F32,
                     .ndims = 2,
                     .dims = {d->buffered, s->spec.width},
                     .units = "1",
                     .description = "What the client keeps between its rounds."};
  at_h5_desc crcs = {.path = "/row_crc32",
                     .type = AT_H5_U32,
                     .ndims = 1,
                     .dims = {d->buffered},
                     .units = "1",
                     .description = "CRC-32 of each row."};
  AT_TRY(at_h5_write(f, &ids, d->ids));
  AT_TRY(at_h5_write(f, &rows, d->buffer));
  AT_TRY(at_h5_write(f, &crcs, crc));
  return s->spec.prov != NULL ? at_provenance_write(s->spec.prov, f) : AT_OK;
}

at_err at_shelf_write(at_shelf *s, at_shelf_shard *d) {
  if (d->buffered == 0) {
    return AT_OK;
  }
  char path[PATH];
  size_t bytes = (size_t)s->spec.width * sizeof *d->buffer;
  uint32_t *crc = NULL;
  at_h5 *f = NULL;
  at_err err;
  path_of(s, d, d->end, path);
  AT_TRY(at_realloc(&d->rows, (size_t)(d->end - d->first + 1), sizeof *d->rows, "files of clients' states"));
  AT_TRY_TO(err, done, at_alloc(&crc, (size_t)d->buffered, sizeof *crc, "checksums"));
  for (int64_t i = 0; i < d->buffered; i++) {
    crc[i] = (uint32_t)crc32_z(0, (const unsigned char *)(d->buffer + i * s->spec.width), bytes);
  }
  AT_TRY_TO(err, done, at_h5_create(&f, path, "clients", d->buffered * (int64_t)bytes));
  err = fill(s, d, crc, f);
  if (err != AT_OK) {
    at_h5_discard(f);
    goto done;
  }
  AT_TRY_TO(err, done, at_h5_commit(f));
  d->rows[d->end++ - d->first] = d->buffered;
  d->written += d->buffered;
  d->buffered = 0;
done:
  at_free(crc);
  return err;
}

static at_err open_file(at_shelf *s, at_shelf_shard *d, int64_t file) {
  if (d->open != NULL && d->open_number == file) {
    return AT_OK;
  }
  char path[PATH];
  path_of(s, d, file, path);
  at_h5_close(d->open);
  d->open = NULL;
  d->open_number = file;
  return at_h5_open_kind(&d->open, path, "clients");
}

at_err at_shelf_read(at_shelf *s, at_shelf_shard *d, const at_shelf_place *p, float *row) {
  size_t bytes = (size_t)s->spec.width * sizeof *row;
  if (p->file == d->end) {
    memcpy(row, d->buffer + p->row * s->spec.width, bytes);
    return AT_OK;
  }
  AT_TRY(open_file(s, d, p->file));
  AT_TRY(at_h5_read_rows(d->open, "/row", AT_H5_F32, p->row, 1, row));
  if ((uint32_t)crc32_z(0, (const unsigned char *)row, bytes) != p->crc) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: the state of client %lld is damaged: its checksum does not fit",
                   at_h5_path(d->open), (long long)p->client);
  }
  return AT_OK;
}

at_err at_shelf_read_ids(at_shelf *s, at_shelf_shard *d, int64_t file, int64_t *n, int64_t **ids, uint32_t **crcs) {
  at_h5_desc found, rows;
  *ids = NULL;
  *crcs = NULL;
  AT_TRY(open_file(s, d, file));
  AT_TRY(at_h5_describe(d->open, "/client", &found));
  AT_TRY(at_h5_describe(d->open, "/row", &rows));
  if (rows.ndims != 2 || rows.dims[0] != found.dims[0] || rows.dims[1] != s->spec.width) {
    return AT_FAIL(AT_ERR_STATE, "%s holds states of another length than this run's %lld", at_h5_path(d->open),
                   (long long)s->spec.width);
  }
  *n = found.dims[0];
  AT_TRY(at_alloc(ids, (size_t)*n, sizeof **ids, "clients of a file"));
  AT_TRY(at_alloc(crcs, (size_t)*n, sizeof **crcs, "checksums of a file"));
  AT_TRY(at_h5_read_rows(d->open, "/client", AT_H5_I64, 0, *n, *ids));
  return at_h5_read_rows(d->open, "/row_crc32", AT_H5_U32, 0, *n, *crcs);
}

/* A file that cannot be removed does no harm. */
void at_shelf_remove(at_shelf *s, const at_shelf_shard *d, int64_t file) {
  char path[PATH];
  path_of(s, d, file, path);
  unlink(path);
}

int64_t at_shelf_file_bytes(const at_shelf *s, const at_shelf_shard *d, int64_t file) {
  char path[PATH];
  struct stat info;
  path_of(s, d, file, path);
  return stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
}
