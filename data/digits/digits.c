/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll data digits`: the handwritten digits of two packages, in one client that a partitioner divides. */
#include "data/examples/build.h"
#include "data/examples/split.h"
#include "data/photos/picture.h"
#include "data/tables/frame.h"
#include "src/base/alloc.h"
#include "src/store/fs.h"

enum { SMALL, LARGE, SMALL_SIDE = 8, SMALL_FULL = 16, LARGE_SIDE = 20, LARGE_ACROSS = 100, LARGE_DOWN = 50, EACH = 5 };

typedef struct digits_cfg {
  char *dir;
  int size;
  double validation, test;
  int64_t seed;
} digits_cfg;

static const char *const sizes[] = {"8", "20", NULL};

static const at_opt option_rows[] = {
    AT_OPT_STR(digits_cfg, dir, "dir", NULL, "Folder that 'jobs/fetch-examples DIR digits' (20: opencv) filled.",
               .is_volatile = true),
    AT_OPT_ENUM(digits_cfg, size, "size", "8", sizes, "1797 digits of 8 x 8 pixels, or 5000 of 20 x 20."),
    AT_OPT_F64(digits_cfg, validation, "validation", "0.1", 0, 0.5, "", "Fraction for validation."),
    AT_OPT_F64(digits_cfg, test, "test", "0.2", 0, 0.5, "", "Fraction for testing."),
    AT_OPT_INT(digits_cfg, seed, "seed", "1", 0, 9007199254740992.0, "", "Decides which digits go where."),
};
static const at_opt_table option_table = AT_OPT_TABLE("Digits", option_rows);

typedef struct digits {
  digits_cfg cfg;
  char *path;
  at_field field[2];
} digits;

at_err at_data_digits_help(FILE *out) {
  digits_cfg cfg;
  return at_data_help(out, &option_table, &cfg);
}

static at_split split_of(const digits *d, int64_t i) {
  const at_split_rule rule = {.seed = (uint64_t)d->cfg.seed, .validation = d->cfg.validation, .test = d->cfg.test};
  return at_split_draw(&rule, "all", (uint64_t)i);
}

/* Rows of 64 numbers from 0 to 16 and the digit. */
static at_err make_small(const digits *d, at_block *out) {
  at_frame f = {0};
  at_err err = at_frame_from_csv(&f, d->path);
  if (err == AT_OK && f.n != SMALL_SIDE * SMALL_SIDE + 1) {
    err = AT_FAIL(AT_ERR_FORMAT, "%s: has %lld columns, where 65 are expected", d->path, (long long)f.n);
  }
  for (int64_t i = 0; err == AT_OK && i < f.rows; i++) {
    float x[SMALL_SIDE * SMALL_SIDE];
    for (int p = 0; p < SMALL_SIDE * SMALL_SIDE && err == AT_OK; p++) {
      const double *v = f.column[p].number;
      if (v == NULL || !(v[i] >= 0 && v[i] <= SMALL_FULL)) {
        err = AT_FAIL(AT_ERR_FORMAT, "%s: column %d of row %lld is not from 0 to 16", d->path, p + 1, (long long)i + 1);
      } else {
        x[p] = (float)v[i] / SMALL_FULL;
      }
    }
    const double *y = f.column[SMALL_SIDE * SMALL_SIDE].number;
    if (err == AT_OK && (y == NULL || !(y[i] >= 0 && y[i] <= 9))) {
      err = AT_FAIL(AT_ERR_FORMAT, "%s: the last column of row %lld is no digit", d->path, (long long)i + 1);
    }
    if (err == AT_OK) {
      at_block_put_labelled(out, split_of(d, i), x, (int32_t)y[i]);
    }
  }
  at_frame_free(&f);
  return err;
}

/* One picture of 50 rows of 100 digits, five rows for each. */
static at_err make_large(const digits *d, at_block *out) {
  at_picture p;
  AT_TRY(at_picture_read(&p, d->path, 1));
  if (p.width != LARGE_SIDE * LARGE_ACROSS || p.height != LARGE_SIDE * LARGE_DOWN) {
    at_picture_free(&p);
    return AT_FAIL(AT_ERR_FORMAT, "%s: is not 2000 x 1000 pixels", d->path);
  }
  for (int64_t i = 0; i < LARGE_ACROSS * LARGE_DOWN; i++) {
    float x[LARGE_SIDE * LARGE_SIDE];
    const uint8_t *corner = p.data + (i / LARGE_ACROSS * p.width + i % LARGE_ACROSS) * LARGE_SIDE;
    for (int r = 0; r < LARGE_SIDE; r++) {
      for (int c = 0; c < LARGE_SIDE; c++) {
        x[r * LARGE_SIDE + c] = (float)corner[r * p.width + c] / 255.0F;
      }
    }
    at_block_put_labelled(out, split_of(d, i), x, (int32_t)(i / (LARGE_ACROSS * EACH)));
  }
  at_picture_free(&p);
  return AT_OK;
}

static at_err make(void *context, int64_t unit, at_block *out) {
  const digits *d = context;
  (void)unit;
  at_block_name(out, "all");
  return d->cfg.size == SMALL ? make_small(d, out) : make_large(d, out);
}

static at_err build(const at_data_args *args, const at_opts *opts, digits *d) {
  static const char *const names[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  const int64_t side = d->cfg.size == SMALL ? SMALL_SIDE : LARGE_SIDE;
  AT_TRY(at_comm_agree(
      args->world, at_fs_path(&d->path, "%s/%s", d->cfg.dir,
                              d->cfg.size == SMALL
                                  ? "python3-sklearn/usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz"
                                  : "opencv-doc/usr/share/doc/opencv-doc/examples/data/digits.png")));
  d->field[0] = (at_field){.name = "pixels",
                           .type = AT_H5_F32,
                           .ndims = 2,
                           .dims = {side, side},
                           .units = "1",
                           .description = "Ink: 0 paper, 1 full; rows from the top."};
  d->field[1] = (at_field){.name = "label", .type = AT_H5_I32, .units = "1", .description = "The digit."};
  const at_set_head head = {.description = "Handwritten digits in one client, for a partitioner to divide.",
                            .input = "pixels",
                            .target = "label",
                            .classes = 10,
                            .class_names = names,
                            .dir = d->cfg.dir};
  const at_build_spec spec = {
      .noun = "client", .field = d->field, .n_fields = 2, .n_units = 1, .make = make, .context = d};
  return at_build_set(args, opts, &spec, &head);
}

at_err at_data_digits_run(const at_data_args *args) {
  digits d = {.path = NULL};
  at_opts *opts = NULL;
  at_err err = at_comm_agree(args->world, at_data_options(args, &option_table, &d.cfg, &opts));
  if (err == AT_OK) {
    err = build(args, opts, &d);
  }
  at_free(d.path);
  at_opts_destroy(opts);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}
