/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading a checkpoint: the newest good one, each rank its part, checked, then shared. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/alloc.h"
#include "src/store/ckpt_internal.h"

/* What the file has must be what the item is; nothing is read yet but the layout. */
static at_err check_item(at_h5 *f, const at_ckpt_item *it) {
  at_h5_desc found;
  if (at_h5_look(f, it->desc.path) == 0) {
    return AT_FAIL(AT_ERR_STATE, "%s: has no %s: was it written by another configuration?", f->path, it->desc.path);
  }
  AT_TRY(at_h5_describe(f, it->desc.path, &found));
  AT_TRY(at_h5_expect(f, &it->desc, &found));
  return at_ckpt_check_layout(f, it);
}

static at_err check_items(at_h5 *f, int n, const at_ckpt_item *items) {
  for (int i = 0; i < n; i++) {
    AT_TRY(check_item(f, &items[i]));
  }
  return AT_OK;
}

/* This rank's slice of a replicated item, and the checksum that the whole should have. */
static at_err read_slice(at_h5 *f, const at_ckpt_item *it, at_ckpt_part own, char *out, uint32_t *want) {
  hid_t dataset = -1;
  bool found = false;
  int64_t width = at_h5_type_bytes(it->desc.type);
  int64_t step = AT_CKPT_STEP / width;
  AT_TRY(at_h5_open_dataset(f, it->desc.path, &dataset));
  at_err err = at_h5_find_attr(dataset, AT_H5_ATTR_CRC, AT_H5_U32, want, &found);
  if (err == AT_OK && !found) {
    err = AT_FAIL(AT_ERR_FORMAT, "%s: %s has no checksum", f->path, it->desc.path);
  }
  for (int64_t at = 0; at < own.n && err == AT_OK; at += step) {
    int64_t some = own.n - at < step ? own.n - at : step;
    err = at_h5_read_run(dataset, &it->desc, own.first + at, some, out + at * width);
  }
  return at_h5_drop(err, dataset);
}

static at_err share(at_comm *world, const at_ckpt_item *it, const char *own_data) {
  int size = at_comm_size(world);
  int64_t *bytes = NULL;
  AT_TRY(at_comm_agree(world, at_alloc(&bytes, (size_t)size, sizeof *bytes, "checkpoint counts")));
  for (int r = 0; r < size; r++) {
    bytes[r] = at_ckpt_slice(&it->desc, r, size).n * at_h5_type_bytes(it->desc.type);
  }
  at_err err = at_comm_allgatherv(world, own_data, it->data, bytes);
  at_free(bytes);
  return err;
}

static at_err read_replicated(at_comm *world, at_h5 *f, const at_ckpt_item *it) {
  at_ckpt_part own = at_ckpt_slice(&it->desc, at_comm_rank(world), at_comm_size(world));
  int64_t width = at_h5_type_bytes(it->desc.type);
  char *own_data = (char *)it->data + own.first * width;
  uint32_t want = 0, whole = 0;
  AT_TRY(at_comm_agree(world, read_slice(f, it, own, own_data, &want)));
  uint32_t crc = at_h5_crc(0, own_data, own.n * width);
  AT_TRY(at_ckpt_combine(world, &it->desc, crc, &whole));
  at_err err = AT_OK;
  if (whole != want) {
    err = AT_FAIL(AT_ERR_FORMAT, "%s: %s is damaged: its checksum does not fit", f->path, it->desc.path);
  }
  AT_TRY(at_comm_agree(world, err));
  return share(world, it, own_data);
}

static at_err load_one(at_comm *world, const char *path, int n, const at_ckpt_item *items) {
  at_h5 *f = NULL;
  at_err err = at_h5_open_kind(&f, path, "checkpoint");
  if (err == AT_OK) {
    err = check_items(f, n, items);
  }
  err = at_comm_agree(world, err);
  for (int i = 0; i < n && err == AT_OK; i++) {
    err = items[i].kind == AT_CKPT_ROWS ? at_ckpt_read_rows(world, f, &items[i]) : read_replicated(world, f, &items[i]);
  }
  at_h5_close(f);
  return err;
}

/* The rounds that rank 0 sees, on all ranks. */
static at_err list_shared(at_comm *world, const char *folder, int64_t *n, int64_t **rounds) {
  at_err err = AT_OK;
  *rounds = NULL;
  if (at_comm_rank(world) == 0) {
    err = at_ckpt_list(folder, n, rounds);
  }
  AT_TRY(at_comm_agree(world, err));
  AT_TRY(at_comm_bcast(world, 0, n, sizeof *n));
  if (at_comm_rank(world) != 0) {
    err = at_alloc(rounds, (size_t)*n, sizeof **rounds, "checkpoint rounds");
  }
  AT_TRY(at_comm_agree(world, err));
  return at_comm_bcast(world, 0, *rounds, *n * (int64_t)sizeof **rounds);
}

static at_err load_round(const char *folder, at_comm *world, int64_t round, int n, const at_ckpt_item *items) {
  char *path = NULL;
  AT_TRY(at_comm_agree(world, at_ckpt_path(&path, folder, round)));
  at_err err = load_one(world, path, n, items);
  at_free(path);
  return err;
}

/* Damage, as opposed to a good file that does not fit, or trouble of our own. */
static bool is_damage(at_err err) {
  return err == AT_ERR_FORMAT || err == AT_ERR_HDF5 || err == AT_ERR_FILE;
}

static at_err load_newest(const char *folder, at_comm *world, at_log *log, int n, const at_ckpt_item *items,
                          int64_t *loaded) {
  int64_t n_rounds = 0;
  int64_t *rounds = NULL;
  at_err err = list_shared(world, folder, &n_rounds, &rounds);
  bool is_loaded = false;
  for (int64_t i = n_rounds - 1; i >= 0 && err == AT_OK && !is_loaded; i--) {
    err = load_round(folder, world, rounds[i], n, items);
    is_loaded = err == AT_OK;
    if (is_loaded) {
      *loaded = rounds[i];
    } else if (is_damage(err)) {
      at_log_warn(log, "checkpoint", "skipped: %s", at_err_message());
      err = AT_OK;
    }
  }
  at_free(rounds);
  if (err == AT_OK && !is_loaded) {
    return AT_FAIL(AT_ERR_FILE, "%s: has no good checkpoint (%lld damaged)", folder, (long long)n_rounds);
  }
  return err;
}

at_err at_ckpt_load(at_run *run, at_comm *world, at_log *log, int64_t round, int n_items, const at_ckpt_item *items,
                    int64_t *loaded) {
  at_comm_phase before = at_comm_set_phase(world, AT_COMM_CHECKPOINT);
  *loaded = -1;
  at_err err = at_run_settle(run, world);
  if (err != AT_OK) {
    at_comm_set_phase(world, before);
    return at_err_trace(err, __FILE__, __LINE__);
  }
  if (round < 0) {
    err = load_newest(at_run_folder(run), world, log, n_items, items, loaded);
  } else {
    err = load_round(at_run_folder(run), world, round, n_items, items);
    *loaded = err == AT_OK ? round : -1;
  }
  at_comm_set_phase(world, before);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}

at_err at_ckpt_load_from(const char *path, at_comm *world, at_log *log, int n_items, const at_ckpt_item *items) {
  struct stat st;
  int64_t loaded, is_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
  AT_TRY(at_comm_bcast(world, 0, &is_folder, sizeof is_folder)); /* as rank 0 sees it */
  at_comm_phase before = at_comm_set_phase(world, AT_COMM_CHECKPOINT);
  at_err err =
      is_folder ? load_newest(path, world, log, n_items, items, &loaded) : load_one(world, path, n_items, items);
  at_comm_set_phase(world, before);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}
