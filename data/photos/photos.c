/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll data photos`: patches of photographs, in which each picture is a client; whole pictures are held out.
 *
 * Many photographs are soft in most places: of the patches of a picture, which do not overlap, those of the largest gradient
 * energy are kept, in their order.  Fields: image u8 [n][side][side][3] and energy f32 [n], the mean square of the differences
 * between neighbouring grey values (0 to 1). */
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "data/examples/build.h"
#include "data/examples/split.h"
#include "data/photos/picture.h"
#include "src/base/alloc.h"
#include "src/store/fs.h"

typedef struct photo_cfg {
  char *dir;
  at_strlist path;
  int64_t side, most, seed;
  double keep, validation, test;
} photo_cfg;

static const at_opt option_rows[] = {
    AT_OPT_STR(photo_cfg, dir, "dir", "", "Folder that 'jobs/fetch-examples DIR photos' filled.", .is_volatile = true),
    AT_OPT_LIST(photo_cfg, path, "path", "", "Pictures of your own, PNG or JPEG, besides or instead.",
                .is_volatile = true),
    AT_OPT_INT(photo_cfg, side, "side", "96", 8, 1024, "pixels", "Height and width of patches."),
    AT_OPT_INT(photo_cfg, most, "most", "100", 1, 1e6, "patches", "Most patches of one picture."),
    AT_OPT_F64(photo_cfg, keep, "keep", "0.5", 0.001, 1, "", "Share of a picture's patches kept, by gradient energy."),
    AT_OPT_F64(photo_cfg, validation, "validation", "0.1", 0, 0.5, "", "Share of pictures for validation."),
    AT_OPT_F64(photo_cfg, test, "test", "0.2", 0, 0.5, "", "Share of pictures for testing."),
    AT_OPT_INT(photo_cfg, seed, "seed", "1", 0, 9007199254740992.0, "", "Decides which pictures go where."),
};
static const at_opt_table option_table = AT_OPT_TABLE("Photographs", option_rows);

/* Where packages have photographs; the rest of their pictures is drawn. */
static const char *const patterns[] = {
    "lomiri-wallpapers-16.04/usr/share/backgrounds/[!u]*.jpg",
    ("lxqt-themes/usr/share/lxqt/wallpapers/{Butterfly*,Valendas,after-the-rain,appleflower,beam,butterfly,cloud,drop,"
     "flowers,fog,this-is-not-windows}.*"),
    "mate-backgrounds/usr/share/backgrounds/mate/nature/*.jpg",
};

typedef struct photos {
  photo_cfg cfg;
  glob_t found;
  at_field field[2];
} photos;

at_err at_data_photos_help(FILE *out) {
  photo_cfg cfg;
  return at_data_help(out, &option_table, &cfg);
}

typedef struct patch {
  int64_t row, column;
  double energy;
} patch;

static double grey(const at_picture *p, int64_t y, int64_t x) {
  const uint8_t *c = p->data + (y * p->width + x) * 3;
  return (0.299 * c[0] + 0.587 * c[1] + 0.114 * c[2]) / 255;
}

static double energy_of(const at_picture *p, int64_t row, int64_t column, int64_t side) {
  double sum = 0;
  for (int64_t y = row; y < row + side - 1; y++) {
    for (int64_t x = column; x < column + side - 1; x++) {
      const double here = grey(p, y, x), right = grey(p, y, x + 1) - here, below = grey(p, y + 1, x) - here;
      sum += right * right + below * below;
    }
  }
  return sum / (double)(2 * (side - 1) * (side - 1));
}

static int by_energy(const void *a, const void *b) {
  const patch *x = a, *y = b;
  const int order = (x->energy < y->energy) - (x->energy > y->energy);
  return order != 0         ? order
         : x->row != y->row ? (x->row > y->row) - (x->row < y->row)
                            : (x->column > y->column) - (x->column < y->column);
}

static int by_place(const void *a, const void *b) {
  const patch *x = a, *y = b;
  return x->row != y->row ? (x->row > y->row) - (x->row < y->row) : (x->column > y->column) - (x->column < y->column);
}

/* The patches to keep, in their order in the picture. */
static at_err choose(const photos *f, const at_picture *p, patch **out, int64_t *n) {
  const int64_t side = f->cfg.side, down = p->height / side, across = p->width / side;
  AT_TRY(at_alloc(out, (size_t)(down * across) + 1, sizeof **out, "patches"));
  for (int64_t i = 0; i < down * across; i++) {
    const int64_t row = i / across * side, column = i % across * side;
    (*out)[i] = (patch){.row = row, .column = column, .energy = energy_of(p, row, column, side)};
  }
  qsort(*out, (size_t)(down * across), sizeof **out, by_energy);
  *n = (int64_t)(f->cfg.keep * (double)(down * across) + 0.5);
  *n = *n > f->cfg.most ? f->cfg.most : *n;
  qsort(*out, (size_t)*n, sizeof **out, by_place);
  return AT_OK;
}

static void put_patch(const photos *f, const at_picture *p, const patch *at, at_split split, uint8_t *buffer,
                      at_block *out) {
  const int64_t side = f->cfg.side;
  for (int64_t y = 0; y < side; y++) {
    memcpy(buffer + y * side * 3, p->data + ((at->row + y) * p->width + at->column) * 3, (size_t)side * 3);
  }
  const float energy = (float)at->energy;
  at_block_put(out, split, 0, buffer);
  at_block_put(out, split, 1, &energy);
}

static at_err make(void *context, int64_t unit, at_block *out) {
  const photos *f = context;
  const char *path = f->found.gl_pathv[unit], *slash = strrchr(path, '/');
  const at_split_rule rule = {.seed = (uint64_t)f->cfg.seed, .validation = f->cfg.validation, .test = f->cfg.test};
  at_picture p;
  patch *chosen = NULL;
  uint8_t *buffer = NULL;
  int64_t n = 0;
  AT_TRY(at_picture_read(&p, path, 3));
  at_block_name(out, "%s", slash != NULL ? slash + 1 : path);
  at_block_attr(out, "pixels", "%lld x %lld", (long long)p.width, (long long)p.height);
  at_err err = choose(f, &p, &chosen, &n);
  err = err == AT_OK ? at_alloc(&buffer, (size_t)(f->cfg.side * f->cfg.side * 3), 1, "patch") : err;
  for (int64_t i = 0; err == AT_OK && i < n; i++) {
    put_patch(f, &p, &chosen[i], at_split_draw(&rule, out->name, 0), buffer, out);
  }
  at_free(buffer);
  at_free(chosen);
  at_picture_free(&p);
  return err;
}

/* Every rank looks for itself: the folder is the same, and glob sorts. */
static at_err find(photos *f) {
  int flags = GLOB_BRACE;
  for (size_t i = 0; f->cfg.dir[0] != 0 && i < sizeof patterns / sizeof patterns[0]; i++) {
    char *pattern;
    AT_TRY(at_fs_path(&pattern, "%s/%s", f->cfg.dir, patterns[i]));
    const int code = glob(pattern, flags, NULL, &f->found);
    at_free(pattern);
    if (code != 0 && code != GLOB_NOMATCH) {
      return AT_FAIL(AT_ERR_FILE, "%s: cannot be searched for photographs", f->cfg.dir);
    }
    flags |= GLOB_APPEND;
  }
  for (int64_t i = 0; i < f->cfg.path.count; i++) {
    if (glob(f->cfg.path.item[i], flags | GLOB_NOCHECK, NULL, &f->found) != 0) {
      return AT_FAIL(AT_ERR_FILE, "%s: cannot be found", f->cfg.path.item[i]);
    }
    flags |= GLOB_APPEND;
  }
  return f->found.gl_pathc > 0
             ? AT_OK
             : AT_FAIL(AT_ERR_CONFIG,
                       "there is no photograph%s%s: 'jobs/fetch-examples DIR photos' fetches some for dir=DIR; "
                       "path=FILE,... names your own",
                       f->cfg.dir[0] != 0 ? " below " : "", f->cfg.dir);
}

static at_err build(const at_data_args *args, const at_opts *opts, photos *f) {
  AT_TRY(at_comm_agree(args->world, find(f)));
  f->field[0] = (at_field){.name = "image",
                           .type = AT_H5_U8,
                           .ndims = 3,
                           .dims = {f->cfg.side, f->cfg.side, 3},
                           .units = "1/255",
                           .description = "Patches: red, green, blue."};
  f->field[1] = (at_field){.name = "energy",
                           .type = AT_H5_F32,
                           .units = "1",
                           .description = "Mean square of differences between neighbouring grey values."};
  const at_set_head head = {.description = "Patches of photographs: a client is a picture.",
                            .input = "image",
                            .target = "energy",
                            .dir = f->cfg.dir};
  const at_build_spec spec = {.noun = "picture",
                              .field = f->field,
                              .n_fields = 2,
                              .n_units = (int64_t)f->found.gl_pathc,
                              .make = make,
                              .context = f};
  return at_build_set(args, opts, &spec, &head);
}

at_err at_data_photos_run(const at_data_args *args) {
  photos f = {.found = {0}};
  at_opts *opts = NULL;
  at_err err = at_comm_agree(args->world, at_data_options(args, &option_table, &f.cfg, &opts));
  if (err == AT_OK) {
    err = build(args, opts, &f);
  }
  if (f.found.gl_pathv != NULL) {
    globfree(&f.found);
  }
  at_opts_destroy(opts);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}
