/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing a checkpoint: skeleton by rank 0, space reserved, parts by all, then its name. */
#include "src/store/ckpt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/fault.h"
#include "src/comm/comm_mpi.h"
#include "src/comm/watchdog.h"
#include "src/store/ckpt_internal.h"
#include "src/store/fs.h"

typedef struct writer {
  at_comm *world;
  const at_provenance *prov;
  int64_t round;
  int n;
  const at_ckpt_item *items;
  uint32_t *crcs;  /* [n] of replicated items */
  char *path;      /* of the checkpoint */
  at_h5 *skeleton; /* rank 0 */
  char temporary[4096];
} writer;

/* ---- before anything is written ---- */

static at_err check_rows(const at_ckpt_item *it) {
  const at_h5_desc *d = &it->desc;
  if (d->ndims < 1) {
    return AT_FAIL(AT_ERR_ARG, "%s: rows need the number of clients as first dimension", d->path);
  }
  for (int64_t i = 0; i < it->n_local; i++) {
    if (it->ids[i] < 0 || it->ids[i] >= d->dims[0] || (i > 0 && it->ids[i] <= it->ids[i - 1])) {
      return AT_FAIL(AT_ERR_ARG, "%s: clients must be ascending and below %lld; number %lld is %lld", d->path,
                     (long long)d->dims[0], (long long)i, (long long)it->ids[i]);
    }
  }
  return AT_OK;
}

static at_err check_items(int n, const at_ckpt_item *items) {
  for (int i = 0; i < n; i++) {
    const at_ckpt_item *it = &items[i];
    if (it->desc.ndims < 0 || it->desc.ndims > AT_H5_MAXDIMS || strlen(it->desc.path) > AT_CKPT_PATH - 32) {
      return AT_FAIL(AT_ERR_ARG, "%s: cannot be an item of a checkpoint", it->desc.path);
    }
    if (it->kind == AT_CKPT_ROWS) {
      AT_TRY(check_rows(it));
    }
  }
  return AT_OK;
}

static const char *data_of(const at_ckpt_item *it, int64_t element) {
  return (const char *)it->data + element * at_h5_type_bytes(it->desc.type);
}

/* Checksums of the replicated items, each rank its slice. */
static at_err sum_replicated(writer *w) {
  for (int i = 0; i < w->n; i++) {
    const at_ckpt_item *it = &w->items[i];
    if (it->kind != AT_CKPT_REPLICATED) {
      continue;
    }
    at_ckpt_part own = at_ckpt_slice(&it->desc, at_comm_rank(w->world), at_comm_size(w->world));
    int64_t bytes = own.n * at_h5_type_bytes(it->desc.type);
    uint32_t crc = at_h5_crc(0, data_of(it, own.first), bytes);
    AT_TRY(at_ckpt_combine(w->world, &it->desc, crc, &w->crcs[i]));
  }
  return AT_OK;
}

/* ---- rank 0: the skeleton ---- */

static at_err make_item(at_h5 *f, const at_ckpt_item *it, uint32_t crc) {
  hid_t dataset = -1;
  at_err err = at_h5_make(f->id, &it->desc, AT_H5_EARLY, &dataset);
  if (err == AT_OK && it->kind == AT_CKPT_REPLICATED) {
    err = at_h5_put_attr(dataset, AT_H5_ATTR_CRC, AT_H5_U32, &crc);
  }
  if (err == AT_OK && it->kind == AT_CKPT_ROWS) {
    char path[AT_CKPT_PATH];
    hid_t crcs = -1;
    at_h5_desc d = at_ckpt_row_crcs(&it->desc, path);
    err = at_h5_put_attr_text(dataset, AT_H5_ATTR_ROW_CRC, path);
    if (err == AT_OK) {
      err = at_h5_make(f->id, &d, AT_H5_EARLY, &crcs);
    }
    err = at_h5_drop(err, crcs);
  }
  if (err == AT_OK) {
    err = at_ckpt_write_layout(f, it);
  }
  return at_h5_wrote(f, at_h5_drop(err, dataset));
}

static int64_t payload(const writer *w) {
  int64_t bytes = 0;
  for (int i = 0; i < w->n; i++) {
    const at_h5_desc *d = &w->items[i].desc;
    bytes += at_h5_bytes(d) + 2048 + (w->items[i].kind == AT_CKPT_ROWS ? d->dims[0] * 4 : 0);
  }
  return bytes;
}

/* Every dataset in its place, all space reserved, nothing of the data written yet. */
static at_err build(writer *w) {
  AT_TRY(at_h5_create(&w->skeleton, w->path, "checkpoint", payload(w)));
  at_h5 *f = w->skeleton;
  AT_TRY(at_h5_set_attr_i64(f, "/", "round", w->round));
  AT_TRY(at_provenance_write(w->prov, f));
  for (int i = 0; i < w->n; i++) {
    AT_TRY(make_item(f, &w->items[i], w->crcs[i]));
  }
  AT_TRY(at_h5_finish(f));
  struct stat s;
  if (stat(f->temporary, &s) != 0) {
    return AT_FAIL(AT_ERR_FILE, "%s: %s", f->temporary, strerror(errno));
  }
  return at_fs_reserve(f->temporary, (int64_t)s.st_size);
}

/* ---- all ranks: the data ---- */

static at_err write_slice(const writer *w, const at_ckpt_item *it, hid_t dataset) {
  at_ckpt_part own = at_ckpt_slice(&it->desc, at_comm_rank(w->world), at_comm_size(w->world));
  int64_t step = AT_CKPT_STEP / at_h5_type_bytes(it->desc.type);
  for (int64_t at = 0; at < own.n; at += step) {
    int64_t some = own.n - at < step ? own.n - at : step;
    int64_t first = own.first + at;
    AT_TRY(at_h5_write_run(dataset, &it->desc, H5P_DEFAULT, first, some, data_of(it, first)));
  }
  return AT_OK;
}

/* Collective, as MPI-IO reads the file's structure once for all ranks. */
static hid_t open_dataset(const writer *w, hid_t file, const char *path, at_err *err) {
  at_comm_enter(w->world);
  hid_t dataset = H5Dopen2(file, path, H5P_DEFAULT);
  at_comm_leave(w->world);
  if (dataset < 0 && *err == AT_OK) {
    *err = AT_H5_FAIL("opening %s", path);
  }
  return dataset;
}

static at_err write_item(const writer *w, const at_ckpt_item *it, hid_t file) {
  at_err err = AT_OK;
  hid_t dataset = open_dataset(w, file, it->desc.path, &err);
  if (it->kind == AT_CKPT_REPLICATED) {
    err = err == AT_OK ? write_slice(w, it, dataset) : err;
    return at_h5_drop(err, dataset);
  }
  char path[AT_CKPT_PATH];
  at_h5_desc d = at_ckpt_row_crcs(&it->desc, path);
  hid_t crcs = open_dataset(w, file, d.path, &err);
  err = at_comm_agree(w->world, err);
  if (err == AT_OK) {
    err = at_ckpt_write_rows(w->world, it, dataset, crcs);
  }
  return at_h5_drop(at_h5_drop(err, dataset), crcs);
}

/* Open the skeleton with MPI-IO on all ranks. */
static at_err open_shared(const writer *w, hid_t *file) {
  hid_t fapl = -1;
  *file = -1;
  AT_TRY(at_h5_access(&fapl));
  at_err err = AT_OK;
  if (H5Pset_fapl_mpio(fapl, at_comm_raw(w->world), MPI_INFO_NULL) < 0 ||
      H5Pset_all_coll_metadata_ops(fapl, true) < 0) {
    err = AT_H5_FAIL("preparing MPI-IO");
  }
  if (err == AT_OK) {
    at_comm_enter(w->world);
    *file = H5Fopen(w->temporary, H5F_ACC_RDWR, fapl);
    at_comm_leave(w->world);
    err = *file < 0 ? AT_H5_FAIL("%s: cannot be opened with MPI-IO", w->temporary) : AT_OK;
  }
  return at_h5_drop(err, fapl);
}

/* The file is open on all ranks or on none: where MPI-IO opened it on some only, closing it would wait for ever. */
static at_err agree_on_open(const writer *w, at_err err) {
  int64_t opened = err == AT_OK;
  at_err all = at_comm_agree(w->world, err);
  if (all == AT_OK) {
    return AT_OK;
  }
  AT_TRY(at_comm_allreduce(w->world, AT_COMM_I64, AT_COMM_MAX, &opened, 1));
  if (opened != 0) {
    at_comm_abort(w->world, all);
  }
  return all;
}

static at_err write_shared(const writer *w) {
  hid_t file = -1;
  at_err err = AT_OK;
  if (access(w->temporary, W_OK) != 0) {
    err = AT_FAIL(AT_ERR_FILE,
                  "%s: cannot be written from %s: %s: the run folder must be on a file system that all hosts share",
                  w->temporary, at_comm_host(w->world), strerror(errno));
  }
  AT_TRY(at_comm_agree(w->world, err));
  AT_TRY(agree_on_open(w, open_shared(w, &file)));
  for (int i = 0; i < w->n && err == AT_OK; i++) {
    if (i > 0) {
      at_fault_point(AT_FAULT_CHECKPOINT_WRITE);
    }
    err = at_comm_agree(w->world, write_item(w, &w->items[i], file));
  }
  at_comm_enter(w->world);
  if (H5Fclose(file) < 0 && err == AT_OK) {
    err = AT_H5_FAIL("%s: cannot be completed", w->temporary);
  }
  at_comm_leave(w->world);
  err = at_comm_agree(w->world, err);
  if (err == AT_OK) {
    at_fault_point(AT_FAULT_CHECKPOINT_FSYNC);
    err = at_comm_agree(w->world, at_fs_sync(w->temporary));
  }
  return err;
}

/* ---- afterwards ---- */

static at_err write_all(writer *w) {
  bool is_root = at_comm_rank(w->world) == 0;
  AT_TRY(sum_replicated(w));
  at_err err = is_root ? build(w) : AT_OK;
  if (err == AT_OK && is_root) {
    snprintf(w->temporary, sizeof w->temporary, "%s", w->skeleton->temporary);
  }
  AT_TRY(at_comm_agree(w->world, err));
  AT_TRY(at_comm_bcast(w->world, 0, w->temporary, sizeof w->temporary));
  AT_TRY(write_shared(w));
  at_fault_point(AT_FAULT_CHECKPOINT_RENAME);
  err = is_root ? at_h5_publish(w->skeleton) : AT_OK;
  return at_comm_agree(w->world, err);
}

at_err at_ckpt_write(at_run *run, at_comm *world, const at_provenance *prov, int64_t round, int n_items,
                     const at_ckpt_item *items, int keep) {
  writer w = {.world = world, .prov = prov, .round = round, .n = n_items, .items = items};
  at_comm_phase before = at_comm_set_phase(world, AT_COMM_CHECKPOINT);
  at_err err = at_run_settle(run, world); /* what was begun before is in place first */
  if (err == AT_OK) {
    err = check_items(n_items, items);
  }
  if (err == AT_OK) {
    err = at_alloc(&w.crcs, (size_t)n_items, sizeof *w.crcs, "checkpoint checksums");
  }
  if (err == AT_OK) {
    err = at_ckpt_path(&w.path, at_run_folder(run), round);
  }
  err = at_comm_agree(world, err);
  if (err == AT_OK) {
    err = write_all(&w);
  }
  if (err != AT_OK) {
    at_h5_discard(w.skeleton);
  } else {
    at_h5_free(w.skeleton);
    err = at_comm_agree(world, at_comm_rank(world) == 0 ? at_ckpt_retain(at_run_folder(run), round, keep) : AT_OK);
  }
  at_comm_set_phase(world, before);
  at_free(w.crcs);
  at_free(w.path);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}

at_err at_ckpt_begin(at_run *run, at_comm *world, const at_provenance *prov, int64_t round, int n_items,
                     const at_ckpt_item *items, int keep) {
  if (at_ckpt_kept_bytes(n_items, items) == 0) {
    return at_ckpt_write(run, world, prov, round, n_items, items, keep);
  }
  at_comm_phase before = at_comm_set_phase(world, AT_COMM_CHECKPOINT);
  at_err err = check_items(n_items, items);
  if (err == AT_OK && at_comm_rank(world) == 0) {
    err = at_ckpt_image_put(run, prov, round, n_items, items, keep);
  }
  err = at_comm_agree(world, err);
  at_comm_set_phase(world, before);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}

/* ---- its length ---- */

/* Long enough that HDF5 gives the dataset a place of its own in the file, as it does for longer ones. */
enum { SHORT_ELEMENTS = 16384 };

/* Cut the dimensions, the last one first to be kept; how many bytes the dataset and its checksums lose by it. */
static int64_t shorten(at_ckpt_item *it) {
  at_h5_desc *d = &it->desc;
  int64_t before = at_h5_bytes(d), rows = d->ndims > 0 ? d->dims[0] : 0, room = SHORT_ELEMENTS;
  for (int i = d->ndims - 1; i >= 0; i--) {
    d->dims[i] = d->dims[i] < room ? d->dims[i] : room;
    room /= d->dims[i] > 0 ? d->dims[i] : 1;
    room = room > 0 ? room : 1;
  }
  int64_t lost = before - at_h5_bytes(d);
  return it->kind == AT_CKPT_ROWS ? lost + 4 * (rows - d->dims[0]) : lost;
}

/* Opening and closing gives back the room that HDF5 had taken for more structure: as when the data are written. */
static at_err length_when_closed(const char *path, int64_t *bytes) {
  hid_t fapl = -1;
  struct stat s;
  AT_TRY(at_h5_access(&fapl));
  hid_t file = H5Fopen(path, H5F_ACC_RDWR, fapl);
  at_err err = at_h5_drop(file < 0 ? AT_H5_FAIL("%s: cannot be opened", path) : AT_OK, fapl);
  if (file >= 0 && H5Fclose(file) < 0 && err == AT_OK) {
    err = AT_H5_FAIL("%s: cannot be completed", path);
  }
  AT_TRY(err);
  if (stat(path, &s) != 0) {
    return AT_FAIL(AT_ERR_FILE, "%s: %s", path, strerror(errno));
  }
  *bytes = (int64_t)s.st_size;
  return AT_OK;
}

at_err at_ckpt_measure(const char *folder, const at_provenance *prov, int n_items, const at_ckpt_item *items,
                       int64_t *bytes) {
  if (at_ckpt_kept_bytes(n_items, items) > 0) {
    return at_ckpt_image_measure(prov, n_items, items, bytes);
  }
  writer w = {.prov = prov, .n = n_items};
  at_ckpt_item *cut = NULL;
  int64_t lost = 0;
  at_err err;
  AT_TRY_TO(err, done, at_alloc(&cut, (size_t)n_items, sizeof *cut, "checkpoint items"));
  AT_TRY_TO(err, done, at_alloc(&w.crcs, (size_t)n_items, sizeof *w.crcs, "checkpoint checksums"));
  AT_TRY_TO(err, done, at_fs_path(&w.path, "%s/measured.h5", folder));
  for (int i = 0; i < n_items; i++) {
    cut[i] = items[i];
    lost += shorten(&cut[i]);
  }
  w.items = cut;
  AT_TRY_TO(err, done, build(&w));
  AT_TRY_TO(err, done, length_when_closed(w.skeleton->temporary, bytes));
  *bytes += lost;
done:
  at_h5_discard(w.skeleton);
  at_free(w.crcs);
  at_free(w.path);
  at_free(cut);
  return err;
}
