/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll data glyphs`: letters drawn from fonts, in which each font face is a client, as a writer is in FEMNIST.
 *
 * Fields as in TensorFlow Federated's EMNIST: pixels [n][28][28] and label i32 [n]; ink is 1, paper 0.  Examples of a client go
 * letter by letter, the takes of a letter in a row; the first take is the letter as it is, the others are bent at random,
 * as a function of (seed, client, letter, take). */
#include <string.h>

#include "data/examples/build.h"
#include "data/examples/split.h"
#include "data/glyphs/faces.h"
#include "src/base/alloc.h"
#include "src/base/rng.h"

enum { SPLIT_FAMILY = 0, PIXELS_F32 = 0 };

typedef struct glyph_cfg {
  char *dir, *script;
  int64_t takes, seed, faces;
  double bend, validation, test;
  int split, pixels;
} glyph_cfg;

static const char *const splits[] = {"family", "take", NULL};
static const char *const types[] = {"f32", "u8", NULL};

static const at_opt option_rows[] = {
    AT_OPT_STR(glyph_cfg, dir, "dir", NULL, "Folder with fonts, such as jobs/fetch-fonts fills.", .is_volatile = true),
    AT_OPT_STR(glyph_cfg, script, "script", "latin", "What is drawn; see below."),
    AT_OPT_INT(glyph_cfg, takes, "takes", "4", 1, 1000, "",
               "Pictures of each letter in each face, all but the first bent."),
    AT_OPT_F64(glyph_cfg, bend, "bend", "1", 0, 3, "",
               "How much: at 1 up to 8 degrees, 10 % shear, 10 % size, 1.5 pixels, 0.4 pixels of weight."),
    AT_OPT_INT(glyph_cfg, faces, "faces", "0", 0, 1e9, "", "Use so many faces, evenly over all; 0: all there are."),
    AT_OPT_ENUM(glyph_cfg, split, "split", "family", splits,
                "What is held out: whole families of fonts, or some pictures of every face."),
    AT_OPT_F64(glyph_cfg, validation, "validation", "0.1", 0, 0.5, "", "Fraction for validation."),
    AT_OPT_F64(glyph_cfg, test, "test", "0.1", 0, 0.5, "", "Fraction for testing."),
    AT_OPT_ENUM(glyph_cfg, pixels, "pixels", "f32", types, "Type of pixels: f32 from 0 to 1, or u8 from 0 to 255."),
    AT_OPT_INT(glyph_cfg, seed, "seed", "1", 0, 9007199254740992.0, "", "Decides splits and bends."),
};
static const at_opt_table option_table = AT_OPT_TABLE("Glyphs", option_rows);

typedef struct glyphs {
  glyph_cfg cfg;
  const at_script *script;
  at_face_list list;
  int64_t *unit; /* [n_units]: numbers of the faces kept */
  int64_t n_units;
  char (*name)[AT_CLIENT_NAME_MAX]; /* [n_units]: of the clients, all different */
  at_fonts *fonts;
  at_field field[2];
} glyphs;

at_err at_data_glyphs_help(FILE *out) {
  glyph_cfg cfg;
  AT_TRY(at_data_help(out, &option_table, &cfg));
  fprintf(out, "\nScripts:\n");
  for (const at_script *s = at_scripts; s->name != NULL; s++) {
    fprintf(out, "  %-10s %3d classes: %s\n", s->name, at_script_classes(s), s->help);
  }
  return AT_OK;
}

static at_err find_script(glyphs *g, const at_opts *opts) {
  for (g->script = at_scripts; g->script->name != NULL; g->script++) {
    if (strcmp(g->script->name, g->cfg.script) == 0) {
      return AT_OK;
    }
  }
  return at_opts_reject(opts, "script", "there is no such script; `atoll data glyphs --help` lists them");
}

/* A uniform draw from -1 to 1. */
static double swing(const at_stream *s, uint64_t i) {
  return 2 * at_rng_uniform(s, i) - 1;
}

static at_bend draw_bend(const glyphs *g, uint64_t client, int class, int64_t take) {
  const at_stream s = {.seed = (uint64_t)g->cfg.seed,
                       .purpose = AT_RNG_AUGMENT,
                       .client = client,
                       .round = at_script_code(g->script, class),
                       .step = (uint64_t)take};
  const double much = g->cfg.bend, turn = much * 0.14 * swing(&s, 0), shear = much * 0.1 * swing(&s, 1);
  const double w = 1 + much * 0.1 * swing(&s, 2), h = 1 + much * 0.1 * swing(&s, 3);
  /* Turn by a small angle (its sine and cosine to the third order), after shear and size. */
  const double sine = turn - turn * turn * turn / 6, cosine = 1 - turn * turn / 2;
  return (at_bend){.a = cosine * w,
                   .b = (cosine * shear - sine) * h,
                   .c = sine * w,
                   .d = (sine * shear + cosine) * h,
                   .dx = much * 1.5 * swing(&s, 4),
                   .dy = much * 1.5 * swing(&s, 5),
                   .weight = much * 0.4 * swing(&s, 6)};
}

static void put_image(const glyphs *g, at_block *out, at_split split, const uint8_t *image, int class) {
  float pixels[AT_GLYPH_PIXELS];
  for (int i = 0; g->cfg.pixels == PIXELS_F32 && i < AT_GLYPH_PIXELS; i++) {
    pixels[i] = (float)image[i] / 255.0F;
  }
  at_block_put_labelled(out, split, g->cfg.pixels == PIXELS_F32 ? (const void *)pixels : image, class);
}

static at_err make_client(void *context, int64_t unit, at_block *out) {
  const glyphs *g = context;
  const char *path = g->list.path[g->unit[unit]];
  const at_face_record *r = &g->list.record[g->unit[unit]];
  const at_split_rule rule = {.seed = (uint64_t)g->cfg.seed, .validation = g->cfg.validation, .test = g->cfg.test};
  const at_split family = at_split_draw(&rule, r->family, 0);
  const uint64_t client = at_name_hash(g->name[unit]);
  at_face *face;
  at_face_fault fault;
  uint8_t image[AT_GLYPH_PIXELS];
  AT_TRY(at_face_open(g->fonts, path, g->script, &face, &fault));
  if (face == NULL) {
    return AT_FAIL(AT_ERR_FILE, "%s: changed while the set was being built", path);
  }
  at_block_name(out, "%s", g->name[unit]);
  at_block_attr(out, "family", "%s", r->family);
  at_block_attr(out, "style", "%s", r->style);
  at_block_attr(out, "file", "%s", path + strlen(g->cfg.dir) + (path[strlen(g->cfg.dir)] == '/'));
  for (int k = 0; k < at_script_classes(g->script); k++) {
    for (int64_t take = 0; take < g->cfg.takes; take++) {
      const at_bend bend = take == 0 ? at_bend_none : draw_bend(g, client, k, take);
      at_face_draw(face, k, &bend, image);
      put_image(g, out,
                g->cfg.split == SPLIT_FAMILY ? family
                                             : at_split_draw(&rule, g->name[unit], (uint64_t)(k * g->cfg.takes + take)),
                image, k);
    }
  }
  at_face_close(face);
  return AT_OK;
}

/* Names of clients: family and style, numbered where several faces share them. */
static void name_clients(glyphs *g) {
  for (int64_t i = 0; i < g->n_units; i++) {
    const at_face_record *r = &g->list.record[g->unit[i]];
    int64_t same = 1;
    for (int64_t k = 0; k < i; k++) {
      const at_face_record *o = &g->list.record[g->unit[k]];
      same += strcmp(o->family, r->family) == 0 && strcmp(o->style, r->style) == 0;
    }
    if (same == 1) {
      snprintf(g->name[i], sizeof g->name[i], "%s %s", r->family, r->style);
    } else {
      snprintf(g->name[i], sizeof g->name[i], "%s %s %lld", r->family, r->style, (long long)same);
    }
  }
}

static at_err choose_faces(glyphs *g) {
  const at_face_list *l = &g->list;
  const int64_t kept = l->count[AT_FACE_KEPT], want = g->cfg.faces;
  if (kept == 0) {
    return AT_FAIL(AT_ERR_CONFIG, "none of the %lld font files below %s draws all letters of %s", (long long)l->n,
                   g->cfg.dir, g->script->name);
  }
  if (want > kept) {
    return AT_FAIL(AT_ERR_CONFIG, "faces = %lld: there are only %lld below %s", (long long)want, (long long)kept,
                   g->cfg.dir);
  }
  AT_TRY(at_alloc(&g->unit, (size_t)kept, sizeof *g->unit, "faces"));
  AT_TRY(at_alloc(&g->name, (size_t)kept, sizeof *g->name, "faces"));
  for (int64_t i = 0, k = 0; i < l->n; i++) {
    if (l->record[i].verdict != AT_FACE_KEPT) {
      continue;
    }
    if (want == 0 || k * want / kept != (k + 1) * want / kept) {
      g->unit[g->n_units++] = i;
    }
    k++;
  }
  name_clients(g);
  return at_fonts_open(&g->fonts);
}

static void report(const at_data_args *args, const glyphs *g) {
  const at_face_list *l = &g->list;
  for (int v = AT_FACE_KEPT + 1; v < AT_VERDICTS; v++) {
    if (l->count[v] > 0) {
      at_log_info(args->log, "data", "left out: %lld files, each %s", (long long)l->count[v], at_verdict_text(v));
    }
  }
  at_log_info(
      args->log, "data",
      "font files = %lld, faces = %lld, families = %lld, nearest class mean of all = %.1f %% (%.1f %% with case "
      "ignored), of those kept = %.1f %% (%.1f %%), glyphs/s per rank = %.0f",
      (long long)l->n, (long long)l->count[AT_FACE_KEPT], (long long)l->families, l->nearest_all, l->nearest_all_folded,
      l->nearest_kept, l->nearest_kept_folded, l->glyphs_per_s);
}

static void encode(uint32_t code, char out[8]) {
  at_bytes b = {0};
  at_bytes_utf8(&b, code);
  snprintf(out, 8, "%s", b.data != NULL ? b.data : "");
  at_bytes_free(&b);
}

static at_err build(const at_data_args *args, const at_opts *opts, glyphs *g) {
  char text[256], code[AT_SCRIPT_CLASSES_MAX][8];
  const char *names[AT_SCRIPT_CLASSES_MAX];
  const bool is_f32 = g->cfg.pixels == PIXELS_F32;
  AT_TRY(at_face_list_create(&g->list, args->world, g->cfg.dir, g->script));
  report(args, g);
  AT_TRY(at_comm_agree(args->world, choose_faces(g)));
  g->field[0] = (at_field){.name = "pixels",
                           .type = is_f32 ? AT_H5_F32 : AT_H5_U8,
                           .ndims = 2,
                           .dims = {AT_GLYPH_SIDE, AT_GLYPH_SIDE},
                           .units = is_f32 ? "1" : "1/255",
                           .description = "Ink: 0 paper, full at the largest value; rows from the top."};
  g->field[1] =
      (at_field){.name = "label", .type = AT_H5_I32, .units = "1", .description = "The letter: a row of /class_names."};
  const int classes = at_script_classes(g->script);
  for (int k = 0; k < classes; k++) {
    encode(at_script_code(g->script, k), code[k]);
    names[k] = code[k];
  }
  snprintf(text, sizeof text, "Letters drawn from fonts (%s): a client is a font face, like a writer.",
           g->script->name);
  const at_set_head head = {.description = text,
                            .input = "pixels",
                            .target = "label",
                            .classes = classes,
                            .class_names = names,
                            .dir = g->cfg.dir};
  const at_build_spec spec = {
      .noun = "face", .field = g->field, .n_fields = 2, .n_units = g->n_units, .make = make_client, .context = g};
  return at_build_set(args, opts, &spec, &head);
}

at_err at_data_glyphs_run(const at_data_args *args) {
  glyphs g = {.n_units = 0};
  at_opts *opts = NULL;
  at_err err = at_comm_agree(args->world, at_data_options(args, &option_table, &g.cfg, &opts));
  if (err == AT_OK) {
    err = at_comm_agree(args->world, find_script(&g, opts));
  }
  if (err == AT_OK) {
    err = build(args, opts, &g);
  }
  at_face_list_free(&g.list);
  at_fonts_close(g.fonts);
  at_free(g.unit);
  at_free(g.name);
  at_opts_destroy(opts);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}
