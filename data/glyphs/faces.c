/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding font files and filtering them by what they draw.
 *
 * A file whose map of characters has every letter may still draw empty boxes, capitals for small letters, ornaments, or
 * the pictures of another file.  So each is drawn once to look at it (blank, alike), all together give the mean picture of
 * each class, and each is drawn again to see how many of its letters are nearest to the mean of their own class. */
#include "data/glyphs/faces.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "src/base/alloc.h"
#include "src/base/clock.h"

/* Filters, as shares of the letters (Latin: 54 of 62 pictures differ, 6 of 26 pairs alike, 24 of 62 near their mean). */
static const double least_different = 54.0 / 62, most_alike = 6.0 / 26, least_hits = 24.0 / 62;

const char *at_verdict_text(at_verdict v) {
  static const char *const text[AT_VERDICTS] = {
#define X(id, words) words,
      AT_FACE_VERDICTS(X)
#undef X
  };
  return text[v];
}

/* ---- finding ---- */

static bool is_font(const char *name) {
  const char *dot = strrchr(name, '.');
  static const char *const endings[] = {".ttf", ".otf", ".ttc", ".pfb", ".pfa"};
  for (size_t i = 0; dot != NULL && i < sizeof endings / sizeof endings[0]; i++) {
    if (strcasecmp(dot, endings[i]) == 0) {
      return true;
    }
  }
  return false;
}

static int by_name(const FTSENT **a, const FTSENT **b) {
  return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Rank 0.  Symbolic links are not followed: packages link to the fonts of others. */
static at_err find(const char *dir, at_bytes *text) {
  char *roots[] = {(char *)(uintptr_t)dir, NULL};
  FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
  if (tree == NULL) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot be read: %s", dir, strerror(errno));
  }
  at_err err = AT_OK;
  for (FTSENT *e = fts_read(tree); e != NULL && err == AT_OK; e = fts_read(tree)) {
    if (e->fts_info == FTS_NS || e->fts_info == FTS_DNR || e->fts_info == FTS_ERR) {
      err = AT_FAIL(AT_ERR_FILE, "%s: cannot be read: %s", e->fts_path, strerror(e->fts_errno));
    } else if (e->fts_info == FTS_F && is_font(e->fts_name)) {
      at_bytes_put(text, e->fts_path, strlen(e->fts_path) + 1);
    }
  }
  fts_close(tree);
  return err != AT_OK ? err : text->err;
}

static at_err index_paths(at_face_list *l, const char *dir) {
  for (size_t i = 0; i < l->text.len; i++) {
    l->n += l->text.data[i] == 0;
  }
  if (l->n == 0) {
    return AT_FAIL(AT_ERR_CONFIG, "%s: there is no font file below it; 'jobs/fetch-fonts %s small' fetches some", dir,
                   dir);
  }
  AT_TRY(at_alloc(&l->path, (size_t)l->n, sizeof *l->path, "font files"));
  AT_TRY(at_alloc(&l->record, (size_t)l->n, sizeof *l->record, "font files"));
  const char *p = l->text.data;
  for (int64_t i = 0; i < l->n; i++) {
    l->path[i] = p;
    p += strlen(p) + 1;
  }
  return AT_OK;
}

static at_err find_all(at_face_list *l, at_comm *world, const char *dir) {
  const int rank = at_comm_rank(world);
  AT_TRY(at_comm_agree(world, rank == 0 ? find(dir, &l->text) : AT_OK));
  int64_t bytes = (int64_t)l->text.len;
  AT_TRY(at_comm_bcast(world, 0, &bytes, sizeof bytes));
  if (rank != 0 && at_bytes_reserve(&l->text, (size_t)bytes)) {
    l->text.len = (size_t)bytes;
  }
  at_bytes_reserve(&l->text, 0);
  AT_TRY(at_comm_agree(world, l->text.err));
  AT_TRY(at_comm_bcast(world, 0, l->text.data, bytes));
  return at_comm_agree(world, index_paths(l, dir));
}

/* ---- looking ---- */

typedef struct judge {
  at_face_list *list;
  at_comm *world;
  const at_script *script;
  at_fonts *fonts;
  int n;          /* classes */
  uint8_t *image; /* [n][AT_GLYPH_PIXELS]: of one face */
  int64_t *sum;   /* [n][AT_GLYPH_PIXELS], and how many faces */
  float *mean;    /* [n][AT_GLYPH_PIXELS] */
  int64_t drawn;
} judge;

static void draw_all(judge *j, at_face *face) {
  for (int k = 0; k < j->n; k++) {
    at_face_draw(face, k, &at_bend_none, j->image + (size_t)k * AT_GLYPH_PIXELS);
  }
  j->drawn += j->n;
}

static const uint8_t *image_of(const judge *j, int class) {
  return j->image + (size_t) class * AT_GLYPH_PIXELS;
}

static bool is_blank(const uint8_t *image) {
  for (int i = 0; i < AT_GLYPH_PIXELS; i++) {
    if (image[i] != 0) {
      return false;
    }
  }
  return true;
}

static bool same(const judge *j, int a, int b) {
  return memcmp(image_of(j, a), image_of(j, b), AT_GLYPH_PIXELS) == 0;
}

static at_verdict look_at(const judge *j) {
  int alike = 0, different = 0;
  for (int k = 0; k < j->n; k++) {
    bool seen = false;
    if (is_blank(image_of(j, k))) {
      return AT_FACE_BLANK;
    }
    for (int i = 0; i < k && !seen; i++) {
      seen = same(j, i, k);
    }
    different += !seen;
  }
  for (int i = 0; i < j->script->pairs; i++) {
    alike += same(j, j->script->upper + i, j->script->lower + i);
  }
  return alike > (int)(most_alike * j->script->pairs) || different < (int)(least_different * j->n) ? AT_FACE_UNICASE
                                                                                                   : AT_FACE_KEPT;
}

static uint64_t hash_images(const judge *j) {
  uint64_t h = 14695981039346656037U;
  for (size_t i = 0; i < (size_t)j->n * AT_GLYPH_PIXELS; i++) {
    h = (h ^ j->image[i]) * 1099511628211U;
  }
  return h;
}

/* First look: the verdict so far, names, and what the face adds to the means. */
static at_err first_look(judge *j, int64_t i) {
  static const at_verdict of_fault[AT_FACE_FAULTS] = {AT_FACE_KEPT, AT_FACE_NOT_READ, AT_FACE_NOT_OUTLINE,
                                                      AT_FACE_NO_CHARSET};
  at_face_record *r = &j->list->record[i];
  at_face *face;
  at_face_fault fault;
  AT_TRY(at_face_open(j->fonts, j->list->path[i], j->script, &face, &fault));
  r->verdict = of_fault[fault];
  if (face == NULL) {
    return AT_OK;
  }
  snprintf(r->family, sizeof r->family, "%s", at_face_family(face));
  snprintf(r->style, sizeof r->style, "%s", at_face_style(face));
  draw_all(j, face);
  at_face_close(face);
  r->verdict = look_at(j);
  r->hash = hash_images(j);
  if (r->verdict == AT_FACE_KEPT) {
    for (size_t p = 0; p < (size_t)j->n * AT_GLYPH_PIXELS; p++) {
      j->sum[p] += j->image[p];
    }
    j->sum[(size_t)j->n * AT_GLYPH_PIXELS]++;
  }
  return AT_OK;
}

static int nearest(const judge *j, const uint8_t *image) {
  double best = 0;
  int at = -1;
  for (int k = 0; k < j->n; k++) {
    const float *m = j->mean + (size_t)k * AT_GLYPH_PIXELS;
    float part[8] = {0}; /* eight sums, so that they can be added side by side */
    for (int p = 0; p < AT_GLYPH_PIXELS; p += 8) {
      for (int q = 0; q < 8; q++) {
        const float d = (float)image[p + q] - m[p + q];
        part[q] += d * d;
      }
    }
    const double d = (double)(part[0] + part[4]) + (part[1] + part[5]) + (part[2] + part[6]) + (part[3] + part[7]);
    if (at < 0 || d < best) {
      best = d;
      at = k;
    }
  }
  return at;
}

/* Second look: how many letters are nearest to the mean of their class. */
static at_err second_look(judge *j, int64_t i) {
  at_face_record *r = &j->list->record[i];
  at_face *face;
  at_face_fault fault;
  if (r->verdict != AT_FACE_KEPT && r->verdict < AT_FACE_BLANK) {
    return AT_OK;
  }
  AT_TRY(at_face_open(j->fonts, j->list->path[i], j->script, &face, &fault));
  if (face == NULL) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot be read a second time", j->list->path[i]);
  }
  draw_all(j, face);
  at_face_close(face);
  for (int k = 0; k < j->n; k++) {
    const int guess = nearest(j, image_of(j, k));
    r->hits += guess == k;
    r->hits_folded += at_script_fold(j->script, guess) == at_script_fold(j->script, k);
  }
  if (r->verdict == AT_FACE_KEPT && (double)r->hits_folded < least_hits * j->n - 1e-9) {
    r->verdict = AT_FACE_UNLIKE;
  }
  return AT_OK;
}

/* Each rank's records to all: every other rank's are zero. */
static at_err share(judge *j) {
  const int64_t words = j->list->n * (int64_t)(sizeof(at_face_record) / sizeof(uint64_t));
  return at_comm_allreduce(j->world, AT_COMM_U64, AT_COMM_SUM, j->list->record, words);
}

static void clear_others(judge *j) {
  for (int64_t i = 0; i < j->list->n; i++) {
    if (i % at_comm_size(j->world) != at_comm_rank(j->world)) {
      j->list->record[i] = (at_face_record){0};
    }
  }
}

static at_err look_all(judge *j, at_err (*look)(judge *, int64_t)) {
  at_err err = AT_OK;
  clear_others(j);
  for (int64_t i = at_comm_rank(j->world); err == AT_OK && i < j->list->n; i += at_comm_size(j->world)) {
    err = look(j, i);
  }
  AT_TRY(at_comm_agree(j->world, err));
  return share(j);
}

static at_err make_means(judge *j) {
  const size_t pixels = (size_t)j->n * AT_GLYPH_PIXELS;
  AT_TRY(at_comm_allreduce(j->world, AT_COMM_I64, AT_COMM_SUM, j->sum, (int64_t)pixels + 1));
  const double faces = j->sum[pixels] > 0 ? (double)j->sum[pixels] : 1;
  for (size_t p = 0; p < pixels; p++) {
    j->mean[p] = (float)((double)j->sum[p] / faces);
  }
  return AT_OK;
}

/* ---- the outcome ---- */

static int by_hash(const void *a, const void *b, void *list) {
  const at_face_list *l = list;
  const int64_t i = *(const int64_t *)a, k = *(const int64_t *)b;
  const uint64_t x = l->record[i].hash, y = l->record[k].hash;
  return x != y ? (x > y) - (x < y) : (i > k) - (i < k);
}

static int by_family(const void *a, const void *b, void *list) {
  const at_face_list *l = list;
  return strcmp(l->record[*(const int64_t *)a].family, l->record[*(const int64_t *)b].family);
}

static at_err drop_duplicates(at_face_list *l) {
  int64_t *order, n = 0;
  AT_TRY(at_alloc(&order, (size_t)l->n, sizeof *order, "font files"));
  for (int64_t i = 0; i < l->n; i++) {
    if (l->record[i].verdict == AT_FACE_KEPT) {
      order[n++] = i;
    }
  }
  qsort_r(order, (size_t)n, sizeof *order, by_hash, l);
  for (int64_t i = 1; i < n; i++) {
    if (l->record[order[i]].hash == l->record[order[i - 1]].hash) {
      l->record[order[i]].verdict = AT_FACE_DUPLICATE;
    }
  }
  qsort_r(order, (size_t)n, sizeof *order, by_family, l);
  const char *last = NULL;
  for (int64_t i = 0; i < n; i++) {
    const at_face_record *r = &l->record[order[i]];
    if (r->verdict == AT_FACE_KEPT && (last == NULL || strcmp(last, r->family) != 0)) {
      l->families++;
      last = r->family;
    }
  }
  at_free(order);
  return AT_OK;
}

static void score(at_face_list *l, int classes) {
  double all = 0, kept = 0, hits[4] = {0};
  for (int64_t i = 0; i < l->n; i++) {
    const at_face_record *r = &l->record[i];
    l->count[r->verdict]++;
    const bool is_kept = r->verdict == AT_FACE_KEPT;
    if (is_kept || r->verdict >= AT_FACE_BLANK) {
      all += classes;
      hits[0] += (double)r->hits;
      hits[1] += (double)r->hits_folded;
      kept += is_kept ? classes : 0;
      hits[2] += is_kept ? (double)r->hits : 0;
      hits[3] += is_kept ? (double)r->hits_folded : 0;
    }
  }
  l->nearest_all = all > 0 ? 100 * hits[0] / all : 0;
  l->nearest_all_folded = all > 0 ? 100 * hits[1] / all : 0;
  l->nearest_kept = kept > 0 ? 100 * hits[2] / kept : 0;
  l->nearest_kept_folded = kept > 0 ? 100 * hits[3] / kept : 0;
}

static at_err judge_all(judge *j) {
  const size_t pixels = (size_t)j->n * AT_GLYPH_PIXELS;
  at_err err = at_alloc(&j->image, pixels, 1, "glyphs");
  err = err == AT_OK ? at_alloc(&j->sum, pixels + 1, sizeof *j->sum, "glyphs") : err;
  err = err == AT_OK ? at_alloc(&j->mean, pixels, sizeof *j->mean, "glyphs") : err;
  err = err == AT_OK ? at_fonts_open(&j->fonts) : err;
  AT_TRY(at_comm_agree(j->world, err));
  const double start = at_clock_now_s();
  AT_TRY(look_all(j, first_look));
  const double seconds = at_clock_now_s() - start;
  j->list->glyphs_per_s = seconds > 0 ? (double)j->drawn / seconds : 0;
  AT_TRY(make_means(j));
  AT_TRY(look_all(j, second_look));
  AT_TRY(at_comm_agree(j->world, drop_duplicates(j->list)));
  score(j->list, j->n);
  return AT_OK;
}

at_err at_face_list_create(at_face_list *out, at_comm *world, const char *dir, const at_script *script) {
  *out = (at_face_list){0};
  judge j = {.list = out, .world = world, .script = script, .n = at_script_classes(script)};
  at_err err = find_all(out, world, dir);
  if (err == AT_OK) {
    err = judge_all(&j);
  }
  at_fonts_close(j.fonts);
  at_free(j.image);
  at_free(j.sum);
  at_free(j.mean);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}

void at_face_list_free(at_face_list *list) {
  at_bytes_free(&list->text);
  at_free(list->path);
  at_free(list->record);
}
