/* SPDX-License-Identifier: BSD-3-Clause */
/* Small checkpoints: rank 0 keeps the file in memory, renews what has changed, and has its image brought to disk. */
#include <string.h>

#include "src/base/alloc.h"
#include "src/store/ckpt_internal.h"
#include "src/store/publisher.h"

/* Above this, copies in memory would cost more than they save. */
#define IMAGE_BYTES (INT64_C(16) << 20)

typedef struct kept_item {
  at_h5_desc desc;
  char path[AT_CKPT_PATH]; /* desc.path */
  const at_layout *layout; /* borrowed, only compared */
  at_h5_kept kept;
} kept_item;

struct at_ckpt_image {
  at_h5 *file;
  const at_provenance *prov; /* borrowed, only compared */
  hid_t round_attr;
  int n;
  kept_item *items;
  void *image;
  int64_t room, ticket;
  const char *folder; /* the run's; for what follows when the file is in place */
  int64_t round;
  int keep;
};

int64_t at_ckpt_kept_bytes(int n, const at_ckpt_item *items) {
  int64_t bytes = 0;
  for (int i = 0; i < n; i++) {
    if (items[i].kind != AT_CKPT_REPLICATED) {
      return 0;
    }
    bytes += at_h5_bytes(&items[i].desc);
  }
  return bytes <= IMAGE_BYTES ? 2 * bytes : 0;
}

void at_ckpt_image_destroy(at_ckpt_image *c) {
  if (c != NULL) {
    at_h5_discard(c->file);
    at_free(c->items);
    at_free(c->image);
    at_free(c);
  }
}

/* ---- the file in memory ---- */

/* It was made of the same items, which may have other data now. */
static bool fits(const at_ckpt_image *c, const at_provenance *prov, int n, const at_ckpt_item *items) {
  bool same = c != NULL && c->prov == prov && c->n == n;
  for (int i = 0; same && i < n; i++) {
    const at_h5_desc *a = &c->items[i].desc, *b = &items[i].desc;
    same = strcmp(a->path, b->path) == 0 && a->type == b->type && a->ndims == b->ndims &&
           memcmp(a->dims, b->dims, (size_t)a->ndims * sizeof *a->dims) == 0 && c->items[i].layout == items[i].layout;
  }
  return same;
}

static at_err keep_item(at_h5 *f, kept_item *k, const at_ckpt_item *item) {
  k->desc = item->desc;
  k->layout = item->layout;
  snprintf(k->path, sizeof k->path, "%s", item->desc.path);
  k->desc.path = k->path;
  AT_TRY(at_h5_keep(f, &item->desc, AT_H5_EARLY, &k->kept));
  return at_h5_wrote(f, at_ckpt_write_layout(f, item));
}

static at_err make(at_ckpt_image *c, const char *path, int n, const at_ckpt_item *items) {
  AT_TRY(at_alloc(&c->items, (size_t)n, sizeof *c->items, "checkpoint items"));
  AT_TRY(at_h5_create_in_memory(&c->file, path, "checkpoint"));
  AT_TRY(at_h5_set_attr_i64(c->file, "/", "round", 0));
  c->round_attr = H5Aopen(c->file->id, "round", H5P_DEFAULT);
  if (c->round_attr < 0) {
    return AT_H5_FAIL("%s: opening the round", path);
  }
  AT_TRY(at_provenance_write(c->prov, c->file));
  for (int i = 0; i < n; i++) {
    AT_TRY(keep_item(c->file, &c->items[i], &items[i]));
    c->n++;
  }
  return AT_OK;
}

static at_err create(at_ckpt_image **out, const at_provenance *prov, const char *path, int n,
                     const at_ckpt_item *items) {
  at_ckpt_image *c = NULL;
  *out = NULL;
  AT_TRY(at_alloc(&c, 1, sizeof *c, "checkpoint"));
  c->prov = prov;
  at_err err = make(c, path, n, items);
  if (err != AT_OK) {
    at_ckpt_image_destroy(c);
    return err;
  }
  *out = c;
  return AT_OK;
}

static at_err renew(at_ckpt_image *c, int64_t round, const at_ckpt_item *items) {
  if (H5Awrite(c->round_attr, at_h5_type_memory(AT_H5_I64), &round) < 0) {
    return at_h5_wrote(c->file, AT_H5_FAIL("writing the round of a checkpoint"));
  }
  for (int i = 0; i < c->n; i++) {
    AT_TRY(at_h5_rewrite(c->file, &items[i].desc, &c->items[i].kept, items[i].data));
  }
  return AT_OK;
}

/* ---- writing and measuring ---- */

static at_err retain(void *context) {
  const at_ckpt_image *c = context;
  return at_ckpt_retain(c->folder, c->round, c->keep);
}

static at_err put(at_ckpt_image *c, at_run *run, const char *path, int64_t round, const at_ckpt_item *items, int keep) {
  int64_t bytes = 0;
  AT_TRY(renew(c, round, items));
  AT_TRY(at_h5_get_image(c->file, &c->image, &c->room, &bytes));
  c->folder = at_run_folder(run);
  c->round = round;
  c->keep = keep;
  at_image image = {.path = path,
                    .data = c->image,
                    .bytes = bytes,
                    .faults = {AT_FAULT_CHECKPOINT_WRITE, AT_FAULT_CHECKPOINT_FSYNC, AT_FAULT_CHECKPOINT_RENAME},
                    .then = retain,
                    .context = c};
  return at_publisher_put(at_run_publisher(run), &image, &c->ticket);
}

at_err at_ckpt_image_put(at_run *run, const at_provenance *prov, int64_t round, int n, const at_ckpt_item *items,
                         int keep) {
  at_ckpt_image **kept = at_run_kept_image(run);
  char *path = NULL;
  AT_TRY(at_publisher_wait(at_run_publisher(run), *kept != NULL ? (*kept)->ticket : 0));
  at_err err;
  AT_TRY_TO(err, done, at_ckpt_path(&path, at_run_folder(run), round));
  if (!fits(*kept, prov, n, items)) {
    at_ckpt_image_destroy(*kept);
    *kept = NULL;
    AT_TRY_TO(err, done, create(kept, prov, path, n, items));
  }
  err = put(*kept, run, path, round, items, keep);
done:
  at_free(path);
  return err;
}

at_err at_ckpt_image_measure(const at_provenance *prov, int n, const at_ckpt_item *items, int64_t *bytes) {
  at_ckpt_image *c = NULL;
  AT_TRY(create(&c, prov, "checkpoint", n, items));
  at_err err = at_h5_get_image(c->file, &c->image, &c->room, bytes);
  at_ckpt_image_destroy(c);
  return err;
}
