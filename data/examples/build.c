/* SPDX-License-Identifier: BSD-3-Clause */
/* Building a data set of examples: clients made by all ranks, written by rank 0. */
#include "data/examples/build.h"

#include <string.h>

#include "data/examples/manifest.h"
#include "src/base/alloc.h"
#include "src/store/provenance.h"

enum { PATH_BYTES = 512, UNITS_PER_WAVE = 4 };

at_err at_data_options(const at_data_args *args, const at_opt_table *table, void *cfg, at_opts **opts) {
  AT_TRY(at_opts_create(opts));
  AT_TRY(at_opts_add(*opts, table, cfg));
  for (int i = 0; i < args->n_assignments; i++) {
    AT_TRY(at_opts_set(*opts, args->assignments[i]));
  }
  return at_opts_check(*opts);
}

at_err at_data_help(FILE *out, const at_opt_table *table, void *cfg) {
  at_opts *opts;
  AT_TRY(at_opts_create(&opts));
  at_err err = at_opts_add(opts, table, cfg);
  if (err == AT_OK) {
    at_opts_print_help(opts, out);
  }
  at_opts_destroy(opts);
  return err;
}

at_err at_data_provenance(const at_data_args *args, const at_opts *opts, at_h5 *file) {
  if (args->isa == NULL) {
    return AT_OK;
  }
  char *yaml = NULL;
  at_provenance *provenance = NULL;
  at_err err = at_comm_agree(args->world, at_opts_yaml_text(opts, &yaml));
  if (err == AT_OK) {
    err = at_provenance_create(&provenance, args->world, yaml, args->isa, args->threads);
  }
  if (err == AT_OK) {
    err = at_comm_agree(args->world, at_comm_rank(args->world) == 0 ? at_provenance_write(provenance, file) : AT_OK);
  }
  at_provenance_destroy(provenance);
  at_free(yaml);
  return err;
}

at_err at_build_open(at_build *b, const at_data_args *args) {
  *b = (at_build){.args = args};
  at_err err = AT_OK;
  if (at_comm_rank(args->world) == 0) {
    err = at_h5_create(&b->file, args->out, "data", 0);
  }
  return at_comm_agree(args->world, err);
}

static at_err store_field(at_build *b, const at_block *block, at_split split, int field) {
  const at_field *f = &block->field[field];
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "/%s/%s/%s", at_split_group(split), block->name, f->name);
  at_h5_desc d = {.path = path,
                  .type = f->type,
                  .ndims = 1 + f->ndims,
                  .dims = {at_block_rows(block, split)},
                  .units = f->units,
                  .description = f->description};
  for (int i = 0; i < f->ndims; i++) {
    d.dims[i + 1] = f->dims[i];
  }
  return at_h5_write(b->file, &d, block->data[split][field].data);
}

static at_err store_attrs(at_build *b, const at_block *block, const char *group) {
  for (size_t at = 0; at < block->attrs.len;) {
    const char *name = block->attrs.data + at, *value = name + strlen(name) + 1;
    AT_TRY(at_h5_set_attr_text(b->file, group, name, value));
    at = (size_t)(value - block->attrs.data) + strlen(value) + 1;
  }
  return AT_OK;
}

/* Rank 0: one client. */
static at_err store(at_build *b, const at_block *block) {
  bool stored = false;
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    const int64_t rows = at_block_rows(block, s);
    char group[PATH_BYTES];
    if (rows == 0) {
      continue;
    }
    snprintf(group, sizeof group, "/%s/%s", at_split_group(s), block->name);
    if (at_h5_exists(b->file, group)) {
      return AT_FAIL(AT_ERR_FORMAT, "two clients are called '%s'", block->name);
    }
    for (int i = 0; i < block->n_fields; i++) {
      AT_TRY(store_field(b, block, s, i));
      b->bytes += (int64_t)block->data[s][i].len;
    }
    AT_TRY(store_attrs(b, block, group));
    b->rows[s] += rows;
    stored = true;
  }
  b->clients += stored;
  return AT_OK;
}

static at_err store_all(at_build *b, at_block *block, const at_bytes *packed) {
  for (size_t at = 0; at < packed->len;) {
    AT_TRY(at_block_unpack(block, packed->data, packed->len, &at));
    AT_TRY(store(b, block));
  }
  return AT_OK;
}

/* Units [first, first + n) into *packed. */
static at_err make_units(const at_build_spec *spec, int64_t first, int64_t n, at_block *block, at_bytes *packed) {
  at_bytes_clear(packed);
  at_bytes_reserve(packed, 0);
  for (int64_t i = first; i < first + n; i++) {
    at_block_reset(block, spec->field, spec->n_fields);
    AT_TRY(spec->make(spec->context, i, block));
    AT_TRY(at_block_pack(block, packed));
  }
  return packed->err;
}

/* What all ranks packed, in their order, to rank 0.  Collective. */
static at_err gather(at_comm *world, const at_bytes *mine, int64_t *bytes, at_bytes *all) {
  AT_TRY(at_comm_allgather_i64(world, (int64_t)mine->len, bytes));
  int64_t total = 0;
  for (int r = 0; r < at_comm_size(world); r++) {
    total += bytes[r];
  }
  at_bytes_clear(all);
  if (at_comm_rank(world) == 0 && at_bytes_reserve(all, (size_t)total)) {
    all->len = (size_t)total;
  }
  AT_TRY(at_comm_agree(world, all->err));
  return at_comm_gatherv(world, 0, mine->data, all->data, bytes);
}

typedef struct wave {
  at_block block;
  at_bytes mine, all;
  int64_t *bytes;
  at_progress *progress;
} wave;

static at_err run_waves(at_build *b, const at_build_spec *spec, wave *w) {
  at_comm *world = b->args->world;
  const int rank = at_comm_rank(world), size = at_comm_size(world);
  for (int64_t base = 0; base < spec->n_units; base += (int64_t)size * UNITS_PER_WAVE) {
    int64_t first = base + (int64_t)rank * UNITS_PER_WAVE, n = spec->n_units - first;
    n = n < 0 ? 0 : n > UNITS_PER_WAVE ? UNITS_PER_WAVE : n;
    AT_TRY(at_comm_agree(world, make_units(spec, first, n, &w->block, &w->mine)));
    AT_TRY(gather(world, &w->mine, w->bytes, &w->all));
    w->block.field = spec->field;
    w->block.n_fields = spec->n_fields;
    AT_TRY(at_comm_agree(world, rank == 0 ? store_all(b, &w->block, &w->all) : AT_OK));
    int64_t done = base + (int64_t)size * UNITS_PER_WAVE;
    at_progress_update(w->progress, done < spec->n_units ? done : spec->n_units, (double)b->bytes, "%s", w->block.name);
  }
  int64_t counts[2 + AT_SPLIT_COUNT] = {b->clients, b->bytes};
  memcpy(counts + 2, b->rows, sizeof b->rows);
  AT_TRY(at_comm_bcast(world, 0, counts, sizeof counts));
  b->clients = counts[0];
  b->bytes = counts[1];
  memcpy(b->rows, counts + 2, sizeof b->rows);
  return AT_OK;
}

at_err at_build_clients(at_build *b, const at_build_spec *spec) {
  at_comm *world = b->args->world;
  wave w = {0};
  at_progress_spec look = {.noun = spec->noun, .unit = "B", .total = spec->n_units};
  at_err err = at_alloc(&w.bytes, (size_t)at_comm_size(world), sizeof *w.bytes, "gather counts");
  if (err == AT_OK) {
    err = at_progress_create(&w.progress, at_comm_rank(world), &look);
  }
  err = at_comm_agree(world, err);
  if (err == AT_OK) {
    err = run_waves(b, spec, &w);
  }
  at_progress_destroy(w.progress);
  at_block_free(&w.block);
  at_bytes_free(&w.mine);
  at_bytes_free(&w.all);
  at_free(w.bytes);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}

static at_err store_head(at_build *b, const at_set_head *h) {
  static const char *const count[AT_SPLIT_COUNT] = {"examples_train", "examples_validation", "examples_test"};
  at_h5 *f = b->file;
  AT_TRY(at_h5_set_attr_text(f, "/", "description", h->description));
  AT_TRY(at_h5_set_attr_text(f, "/", "task", h->classes > 0 ? "classification" : "regression"));
  AT_TRY(at_h5_set_attr_text(f, "/", "input", h->input));
  AT_TRY(at_h5_set_attr_text(f, "/", "target", h->target));
  AT_TRY(at_h5_set_attr_i64(f, "/", "classes", h->classes));
  AT_TRY(at_h5_set_attr_i64(f, "/", "clients", b->clients));
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    AT_TRY(at_h5_set_attr_i64(f, "/", count[s], b->rows[s]));
  }
  if (h->items > 0) {
    AT_TRY(at_h5_set_attr_i64(f, "/", "items", h->items));
  }
  if (h->class_names != NULL && h->classes > 0) {
    AT_TRY(at_h5_write_text(f, "/class_names", h->classes, h->class_names, "1", "What the classes are, by label."));
  }
  return h->dir != NULL && h->dir[0] != 0 ? at_manifest_store(h->dir, f) : AT_OK;
}

at_err at_build_finish(at_build *b, const at_set_head *head, const at_opts *opts) {
  at_comm *world = b->args->world;
  if (b->rows[AT_SPLIT_TRAIN] == 0) {
    return AT_FAIL(AT_ERR_CONFIG, "there is no client with training examples: %lld clients in all",
                   (long long)b->clients);
  }
  AT_TRY(at_data_provenance(b->args, opts, b->file));
  at_err err = AT_OK;
  if (at_comm_rank(world) == 0) {
    err = store_head(b, head);
    if (err == AT_OK) {
      err = at_h5_commit(b->file);
      b->file = NULL;
    }
  }
  AT_TRY(at_comm_agree(world, err));
  at_log_info(b->args->log, "data",
              "file = %s, clients = %lld, train = %lld, validation = %lld, test = %lld, MB = %.1f", b->args->out,
              (long long)b->clients, (long long)b->rows[0], (long long)b->rows[1], (long long)b->rows[2],
              1e-6 * (double)b->bytes);
  return AT_OK;
}

void at_build_discard(at_build *b) {
  at_h5_discard(b->file);
  b->file = NULL;
}

at_err at_build_set(const at_data_args *args, const at_opts *opts, const at_build_spec *spec, const at_set_head *head) {
  at_build b;
  at_err err = at_build_open(&b, args);
  if (err == AT_OK) {
    err = at_build_clients(&b, spec);
  }
  if (err == AT_OK) {
    err = at_build_finish(&b, head, opts);
  }
  at_build_discard(&b);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}
