/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows by client: from the ranks that have them to the file, and back to whoever asks. */
#include <string.h>
#include <zlib.h>

#include "src/base/alloc.h"
#include "src/store/ckpt_internal.h"

static uint32_t crc_of(const void *row, int64_t bytes) {
  return (uint32_t)crc32_z(0, row, (size_t)bytes);
}

static char *row_at(const at_ckpt_item *item, int64_t i) {
  return item->rows != NULL ? item->rows[i] : (char *)item->data + i * at_ckpt_row_bytes(&item->desc);
}

/* ---- long rows: each rank its own ---- */

/* Each client on exactly one rank? */
static at_err check_cover(at_comm *world, const at_ckpt_item *item) {
  int64_t clients = item->desc.dims[0];
  int64_t *owners = NULL;
  AT_TRY(at_comm_agree(world, at_alloc(&owners, (size_t)clients, sizeof *owners, "checkpoint rows")));
  for (int64_t i = 0; i < item->n_local; i++) {
    owners[item->ids[i]]++;
  }
  at_err err = at_comm_allreduce(world, AT_COMM_I64, AT_COMM_SUM, owners, clients);
  for (int64_t i = 0; i < clients && err == AT_OK; i++) {
    if (owners[i] != 1) {
      err = AT_FAIL(AT_ERR_ARG, "%s: client %lld is on %lld ranks: each client must be on exactly one rank",
                    item->desc.path, (long long)i, (long long)owners[i]);
    }
  }
  at_free(owners);
  return err;
}

static at_err write_long(at_comm *world, const at_ckpt_item *item, hid_t rows, hid_t crcs) {
  AT_TRY(check_cover(world, item));
  const at_h5_desc *d = &item->desc;
  char path[AT_CKPT_PATH];
  at_h5_desc dc = at_ckpt_row_crcs(d, path);
  int64_t n = at_ckpt_row_elements(d);
  int64_t step = AT_CKPT_STEP / at_h5_type_bytes(d->type);
  for (int64_t i = 0; i < item->n_local; i++) {
    const char *row = row_at(item, i);
    uint32_t crc = crc_of(row, at_ckpt_row_bytes(d));
    for (int64_t at = 0; at < n; at += step) {
      int64_t some = n - at < step ? n - at : step;
      AT_TRY(at_h5_write_run(rows, d, H5P_DEFAULT, item->ids[i] * n + at, some, row + at * at_h5_type_bytes(d->type)));
    }
    AT_TRY(at_h5_write_run(crcs, &dc, H5P_DEFAULT, item->ids[i], 1, &crc));
  }
  return AT_OK;
}

static at_err read_long(at_h5 *f, const at_ckpt_item *item, hid_t rows, hid_t crcs) {
  const at_h5_desc *d = &item->desc;
  char path[AT_CKPT_PATH];
  at_h5_desc dc = at_ckpt_row_crcs(d, path);
  int64_t n = at_ckpt_row_elements(d);
  int64_t step = AT_CKPT_STEP / at_h5_type_bytes(d->type);
  for (int64_t i = 0; i < item->n_local; i++) {
    char *row = row_at(item, i);
    uint32_t crc = 0;
    for (int64_t at = 0; at < n; at += step) {
      int64_t some = n - at < step ? n - at : step;
      AT_TRY(at_h5_read_run(rows, d, item->ids[i] * n + at, some, row + at * at_h5_type_bytes(d->type)));
    }
    AT_TRY(at_h5_read_run(crcs, &dc, item->ids[i], 1, &crc));
    if (crc != crc_of(row, at_ckpt_row_bytes(d))) {
      return AT_FAIL(AT_ERR_FORMAT, "%s: row %lld of %s is damaged: its checksum does not fit", f->path,
                     (long long)item->ids[i], d->path);
    }
  }
  return AT_OK;
}

/* ---- short rows, in batches: rows [first, first + n), of which rank q handles [first + q * each, ...) ---- */

typedef struct batch {
  int64_t first, n, each;
} batch;

static at_ckpt_part block_of(const batch *b, int rank) {
  int64_t at = b->each * rank < b->n ? b->each * rank : b->n;
  int64_t left = b->n - at;
  return (at_ckpt_part){b->first + at, left < b->each ? left : b->each};
}

/* Rows of a batch: at most 64 MiB for each of up to 16 ranks, so that counts of bytes stay small and memory bounded. */
static int64_t batch_rows(const at_h5_desc *d, int size) {
  int64_t bytes = (INT64_C(1) << 26) * (size < 16 ? size : 16);
  int64_t row = at_ckpt_row_bytes(d);
  int64_t rows = row == 0 ? d->dims[0] : bytes / row;
  return rows < d->dims[0] ? rows : d->dims[0];
}

static batch batch_at(const at_h5_desc *d, int64_t first, int64_t rows, int size) {
  int64_t n = d->dims[0] - first < rows ? d->dims[0] - first : rows;
  return (batch){first, n, (n + size - 1) / size};
}

/* What travels with a row. */
typedef struct label {
  int64_t id, crc;
} label;

/* Everything one rank needs to move batches. */
typedef struct mover {
  int64_t *send, *recv, *bytes_out, *bytes_in; /* [ranks]: rows, then bytes, to and from each */
  label *labels, *arrived;                     /* [n_local], [block] */
  char *outgoing;                              /* own rows of a batch, where they do not lie together; else NULL */
  char *incoming, *block;                      /* [block] rows: as they arrive, in order of id */
  uint32_t *crcs;                              /* [block] */
  bool *seen;                                  /* [block] */
} mover;

/* block: rows of a batch that a rank handles; step: rows of a batch. */
static at_err mover_alloc(mover *m, const at_ckpt_item *item, int64_t block, int64_t step, int size) {
  size_t ranks = (size_t)size, rows = (size_t)block, row = (size_t)at_ckpt_row_bytes(&item->desc);
  AT_TRY(at_alloc(&m->send, 4 * ranks, sizeof *m->send, "checkpoint counts"));
  m->recv = m->send + ranks;
  m->bytes_out = m->recv + ranks;
  m->bytes_in = m->bytes_out + ranks;
  AT_TRY(at_alloc(&m->labels, (size_t)item->n_local, sizeof *m->labels, "checkpoint rows"));
  if (item->rows != NULL) {
    AT_TRY(at_alloc(&m->outgoing, (size_t)(item->n_local < step ? item->n_local : step), row, "checkpoint rows"));
  }
  AT_TRY(at_alloc(&m->arrived, rows, sizeof *m->arrived, "checkpoint rows"));
  AT_TRY(at_alloc(&m->incoming, rows, row, "checkpoint rows"));
  AT_TRY(at_alloc(&m->block, rows, row, "checkpoint rows"));
  AT_TRY(at_alloc(&m->crcs, rows, sizeof *m->crcs, "checkpoint rows"));
  return at_alloc(&m->seen, rows, sizeof *m->seen, "checkpoint rows");
}

static void mover_free(mover *m) {
  at_free(m->send);
  at_free(m->labels);
  at_free(m->arrived);
  at_free(m->outgoing);
  at_free(m->incoming);
  at_free(m->block);
  at_free(m->crcs);
  at_free(m->seen);
}

static at_err exchange(at_comm *world, mover *m, const void *out, void *in, int64_t bytes_each) {
  for (int q = 0; q < at_comm_size(world); q++) {
    m->bytes_out[q] = m->send[q] * bytes_each;
    m->bytes_in[q] = m->recv[q] * bytes_each;
  }
  return at_comm_alltoallv(world, out, m->bytes_out, in, m->bytes_in);
}

/* Everybody tells everybody how many rows will come; this rank's must be exactly its block. */
static at_err announce(at_comm *world, mover *m, const at_ckpt_item *item, const batch *b) {
  int size = at_comm_size(world);
  int64_t total = 0;
  for (int q = 0; q < size; q++) {
    at_ckpt_part p = block_of(b, q);
    m->send[q] =
        at_ckpt_lower(item->ids, item->n_local, p.first + p.n) - at_ckpt_lower(item->ids, item->n_local, p.first);
    m->bytes_out[q] = m->bytes_in[q] = sizeof *m->send;
  }
  AT_TRY(at_comm_alltoallv(world, m->send, m->bytes_out, m->recv, m->bytes_in));
  for (int q = 0; q < size; q++) {
    total += m->recv[q];
  }
  at_ckpt_part own = block_of(b, at_comm_rank(world));
  at_err err = AT_OK;
  if (total != own.n) {
    err = AT_FAIL(AT_ERR_ARG,
                  "%s: %lld rows were given for the %lld clients from %lld on: each client must be on exactly one rank",
                  item->desc.path, (long long)total, (long long)own.n, (long long)own.first);
  }
  return at_comm_agree(world, err);
}

/* Own rows of a batch, one after the other. */
static const char *pack(const mover *m, const at_ckpt_item *item, const batch *b, int64_t from) {
  int64_t bytes = at_ckpt_row_bytes(&item->desc), to = at_ckpt_lower(item->ids, item->n_local, b->first + b->n);
  if (m->outgoing == NULL) {
    return row_at(item, from);
  }
  for (int64_t i = from; i < to; i++) {
    memcpy(m->outgoing + (i - from) * bytes, row_at(item, i), (size_t)bytes);
  }
  return m->outgoing;
}

/* Bring what arrived into the order of the file. */
static at_err place(mover *m, const at_ckpt_item *item, at_ckpt_part own) {
  int64_t row = at_ckpt_row_bytes(&item->desc);
  memset(m->seen, 0, (size_t)own.n);
  for (int64_t i = 0; i < own.n; i++) {
    int64_t at = m->arrived[i].id - own.first;
    if (m->seen[at]) {
      return AT_FAIL(AT_ERR_ARG, "%s: client %lld was given twice", item->desc.path, (long long)m->arrived[i].id);
    }
    m->seen[at] = true;
    m->crcs[at] = (uint32_t)m->arrived[i].crc;
    memcpy(m->block + at * row, m->incoming + i * row, (size_t)row);
  }
  return AT_OK;
}

static at_err write_batch(at_comm *world, const at_ckpt_item *item, mover *m, const batch *b, hid_t rows, hid_t crcs,
                          at_err *disk) {
  const at_h5_desc *d = &item->desc;
  int64_t bytes = at_ckpt_row_bytes(d);
  int64_t elements = at_ckpt_row_elements(d);
  char path[AT_CKPT_PATH];
  at_h5_desc dc = at_ckpt_row_crcs(d, path);
  AT_TRY(announce(world, m, item, b));
  int64_t from = at_ckpt_lower(item->ids, item->n_local, b->first);
  AT_TRY(exchange(world, m, m->labels + from, m->arrived, sizeof *m->labels));
  AT_TRY(exchange(world, m, pack(m, item, b, from), m->incoming, bytes));
  at_ckpt_part own = block_of(b, at_comm_rank(world));
  AT_TRY(at_comm_agree(world, place(m, item, own)));
  if (*disk == AT_OK) {
    *disk = at_h5_write_run(rows, d, H5P_DEFAULT, own.first * elements, own.n * elements, m->block);
  }
  if (*disk == AT_OK) {
    *disk = at_h5_write_run(crcs, &dc, H5P_DEFAULT, own.first, own.n, m->crcs);
  }
  return AT_OK;
}

static at_err write_short(at_comm *world, const at_ckpt_item *item, hid_t rows, hid_t crcs) {
  const at_h5_desc *d = &item->desc;
  int size = at_comm_size(world);
  int64_t step = batch_rows(d, size);
  mover m = {0};
  at_err err = at_comm_agree(world, mover_alloc(&m, item, (step + size - 1) / size, step, size));
  at_err disk = AT_OK;
  for (int64_t i = 0; err == AT_OK && i < item->n_local; i++) {
    m.labels[i] = (label){item->ids[i], crc_of(row_at(item, i), at_ckpt_row_bytes(d))};
  }
  for (int64_t at = 0; err == AT_OK && at < d->dims[0]; at += step) {
    batch b = batch_at(d, at, step, size);
    err = write_batch(world, item, &m, &b, rows, crcs, &disk);
  }
  mover_free(&m);
  return err == AT_OK ? disk : err;
}

at_err at_ckpt_write_rows(at_comm *world, const at_ckpt_item *item, hid_t rows, hid_t crcs) {
  bool is_long = at_ckpt_row_bytes(&item->desc) >= AT_CKPT_LONG_ROW;
  at_err err = is_long ? write_long(world, item, rows, crcs) : write_short(world, item, rows, crcs);
  return at_comm_agree(world, err);
}

/* ---- reading short rows: each rank reads and checks a block, all get the batch, each takes what it wants ---- */

typedef struct reader {
  int64_t *bytes; /* [ranks] */
  char *rows;     /* [batch] rows */
  uint32_t *crcs; /* [block] */
} reader;

static at_err read_block(at_h5 *f, const at_ckpt_item *item, hid_t rows, hid_t crcs, at_ckpt_part own, reader *r,
                         char *out) {
  const at_h5_desc *d = &item->desc;
  char path[AT_CKPT_PATH];
  at_h5_desc dc = at_ckpt_row_crcs(d, path);
  int64_t bytes = at_ckpt_row_bytes(d);
  int64_t elements = at_ckpt_row_elements(d);
  AT_TRY(at_h5_read_run(rows, d, own.first * elements, own.n * elements, out));
  AT_TRY(at_h5_read_run(crcs, &dc, own.first, own.n, r->crcs));
  for (int64_t i = 0; i < own.n; i++) {
    if (r->crcs[i] != crc_of(out + i * bytes, bytes)) {
      return AT_FAIL(AT_ERR_FORMAT, "%s: row %lld of %s is damaged: its checksum does not fit", f->path,
                     (long long)(own.first + i), d->path);
    }
  }
  return AT_OK;
}

static at_err read_batch(at_comm *world, at_h5 *f, const at_ckpt_item *item, hid_t rows, hid_t crcs, const batch *b,
                         reader *r) {
  int64_t bytes = at_ckpt_row_bytes(&item->desc);
  at_ckpt_part own = block_of(b, at_comm_rank(world));
  char *own_rows = r->rows + (own.first - b->first) * bytes;
  AT_TRY(at_comm_agree(world, read_block(f, item, rows, crcs, own, r, own_rows)));
  for (int q = 0; q < at_comm_size(world); q++) {
    r->bytes[q] = block_of(b, q).n * bytes;
  }
  AT_TRY(at_comm_allgatherv(world, own_rows, r->rows, r->bytes));
  int64_t i = at_ckpt_lower(item->ids, item->n_local, b->first);
  for (; i < item->n_local && item->ids[i] < b->first + b->n; i++) {
    memcpy(row_at(item, i), r->rows + (item->ids[i] - b->first) * bytes, (size_t)bytes);
  }
  return AT_OK;
}

static at_err read_short(at_comm *world, at_h5 *f, const at_ckpt_item *item, hid_t rows, hid_t crcs) {
  const at_h5_desc *d = &item->desc;
  int size = at_comm_size(world);
  int64_t step = batch_rows(d, 1); /* every rank holds a whole batch */
  reader r = {0};
  at_err err = at_alloc(&r.bytes, (size_t)size, sizeof *r.bytes, "checkpoint counts");
  if (err == AT_OK) {
    err = at_alloc(&r.rows, (size_t)step, (size_t)at_ckpt_row_bytes(d), "checkpoint rows");
  }
  if (err == AT_OK) {
    err = at_alloc(&r.crcs, (size_t)((step + size - 1) / size), sizeof *r.crcs, "checkpoint rows");
  }
  err = at_comm_agree(world, err);
  for (int64_t at = 0; err == AT_OK && at < d->dims[0]; at += step) {
    batch b = batch_at(d, at, step, size);
    err = read_batch(world, f, item, rows, crcs, &b, &r);
  }
  at_free(r.bytes);
  at_free(r.rows);
  at_free(r.crcs);
  return err;
}

static at_err open_both(at_h5 *f, const at_ckpt_item *item, hid_t *rows, hid_t *crcs) {
  char path[AT_CKPT_PATH];
  at_h5_desc want = at_ckpt_row_crcs(&item->desc, path);
  at_h5_desc found;
  AT_TRY(at_h5_open_dataset(f, item->desc.path, rows));
  AT_TRY(at_h5_open_dataset(f, path, crcs));
  AT_TRY(at_h5_describe_id(f, path, *crcs, &found));
  return at_h5_expect(f, &want, &found);
}

at_err at_ckpt_read_rows(at_comm *world, at_h5 *f, const at_ckpt_item *item) {
  hid_t rows = -1, crcs = -1;
  at_err err = at_comm_agree(world, open_both(f, item, &rows, &crcs));
  if (err == AT_OK) {
    bool is_long = at_ckpt_row_bytes(&item->desc) >= AT_CKPT_LONG_ROW;
    err = is_long ? read_long(f, item, rows, crcs) : read_short(world, f, item, rows, crcs);
  }
  err = at_h5_drop(at_h5_drop(err, rows), crcs);
  return at_comm_agree(world, err);
}
