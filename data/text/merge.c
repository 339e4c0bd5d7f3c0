/* SPDX-License-Identifier: BSD-3-Clause */
/* From packed documents to a silo: duplicates dropped, documents assigned to splits, bytes put in a row. */
#include "data/text/merge.h"

#include <stdlib.h>
#include <string.h>

#include "data/text/sink.h"
#include "src/base/alloc.h"
#include "src/base/rng.h"

enum { DRAW_SPLIT = 0, DRAW_ORDER = 1 }; /* indices in the stream of a name */

static at_stream stream_of(const at_text_rules *rules, const char *name, size_t n) {
  return (at_stream){.seed = rules->seed, .purpose = AT_RNG_SPLIT, .client = at_text_hash(name, n)};
}

at_text_split at_text_split_of(const at_text_rules *rules, const char *name, size_t n) {
  at_stream s = stream_of(rules, name, n);
  double u = at_rng_uniform(&s, DRAW_SPLIT);
  return u < rules->test ? AT_TEXT_TEST : u < rules->test + rules->validation ? AT_TEXT_VALIDATION : AT_TEXT_TRAIN;
}

/* A document on the way: its text in `all`, its name in out->names. */
typedef struct piece {
  size_t text, len, name, name_len;
  uint64_t order;
  int64_t index;
  bool kept;
} piece;

typedef struct pieces {
  piece *p;
  int64_t count, cap;
  at_bytes all;
} pieces;

/* Append the fresh paragraphs of a document to list->all. */
static at_err join_paragraphs(const at_text_document *doc, const at_hashset *reference, at_hashset *seen,
                              at_text_silo *out, at_bytes *all, size_t start) {
  const char *body = doc->body;
  for (uint32_t i = 0; i < doc->paragraphs; i++) {
    at_text_paragraph p = at_text_next_paragraph(&body);
    bool fresh;
    AT_TRY(at_hashset_add(seen, p.hash, &fresh));
    if (!fresh) {
      out->duplicates++;
    } else if (reference != NULL && at_hashset_has(reference, p.hash)) {
      out->foreign++;
    } else {
      if (all->len > start) {
        at_bytes_put(all, "\n\n", 2);
      }
      at_bytes_put(all, p.text, p.len);
      out->paragraphs++;
    }
  }
  return all->err;
}

static at_err collect(const char *packed, size_t n, const at_hashset *reference, at_hashset *seen,
                      const at_text_rules *rules, at_text_silo *out, pieces *list) {
  at_text_document doc;
  for (size_t at = 0; at_text_next_document(packed, n, &at, &doc);) {
    size_t start = list->all.len;
    AT_TRY(join_paragraphs(&doc, reference, seen, out, &list->all, start));
    if (list->all.len == start) {
      continue;
    }
    if (list->count == list->cap) {
      int64_t cap = list->cap > 0 ? 2 * list->cap : 256;
      AT_TRY(at_realloc(&list->p, (size_t)cap, sizeof *list->p, "documents"));
      list->cap = cap;
    }
    at_stream s = stream_of(rules, doc.name, doc.name_len);
    list->p[list->count] = (piece){.text = start,
                                   .len = list->all.len - start,
                                   .name = out->names.len,
                                   .name_len = doc.name_len,
                                   .order = at_rng_u64(&s, DRAW_ORDER),
                                   .index = list->count,
                                   .kept = true};
    list->count++;
    at_bytes_put(&out->names, doc.name, doc.name_len);
    at_bytes_char(&out->names, 0);
  }
  return out->names.err;
}

static int by_order(const void *a, const void *b) {
  const piece *x = a, *y = b;
  return x->order != y->order ? (x->order < y->order ? -1 : 1) : x->index < y->index ? -1 : 1;
}

static int by_index(const void *a, const void *b) {
  const piece *x = a, *y = b;
  return x->index < y->index ? -1 : 1;
}

/* Mark the documents that fit into max_bytes, separators included. */
static void choose(pieces *list, int64_t max_bytes, at_text_silo *out) {
  if (max_bytes == 0 || list->count == 0) {
    return;
  }
  int64_t used = 0;
  bool full = false;
  qsort(list->p, (size_t)list->count, sizeof *list->p, by_order);
  for (int64_t i = 0; i < list->count; i++) {
    int64_t size = (int64_t)list->p[i].len + 1;
    full = full || used + size > max_bytes;
    list->p[i].kept = !full;
    used += full ? 0 : size;
    out->left_out += full;
  }
  qsort(list->p, (size_t)list->count, sizeof *list->p, by_index);
}

static at_err place(const pieces *list, const at_text_rules *rules, at_text_silo *out) {
  size_t n = (size_t)list->count;
  AT_TRY(at_alloc(&out->name, n, sizeof *out->name, "document names"));
  AT_TRY(at_alloc(&out->which, n, sizeof *out->which, "document splits"));
  AT_TRY(at_alloc(&out->offset, n, sizeof *out->offset, "document offsets"));
  AT_TRY(at_alloc(&out->length, n, sizeof *out->length, "document lengths"));
  for (int64_t i = 0; i < list->count; i++) {
    const piece *p = &list->p[i];
    if (!p->kept) {
      continue;
    }
    char *name = out->names.data + p->name;
    at_text_split which = at_text_split_of(rules, name, p->name_len);
    at_bytes *to = &out->split[which];
    int64_t d = out->documents++;
    out->name[d] = name;
    out->which[d] = (uint8_t)which;
    out->offset[d] = (int64_t)to->len;
    out->length[d] = (int64_t)p->len;
    at_bytes_put(to, list->all.data + p->text, p->len);
    at_bytes_char(to, AT_TEXT_SEPARATOR);
    AT_TRY(to->err);
  }
  return AT_OK;
}

at_err at_text_merge(const char *packed, size_t n, const at_hashset *reference, at_hashset *seen,
                     const at_text_rules *rules, at_text_silo *out) {
  at_hashset own = {0};
  pieces list = {0};
  at_err err;
  AT_TRY_TO(err, done, collect(packed, n, reference, seen != NULL ? seen : &own, rules, out, &list));
  choose(&list, rules->max_bytes, out);
  AT_TRY_TO(err, done, place(&list, rules, out));
done:
  at_hashset_free(&own);
  at_bytes_free(&list.all);
  at_free(list.p);
  return err;
}

void at_text_silo_free(at_text_silo *silo) {
  for (int i = 0; i < AT_TEXT_SPLITS; i++) {
    at_bytes_free(&silo->split[i]);
  }
  at_bytes_free(&silo->names);
  at_free(silo->name);
  at_free(silo->which);
  at_free(silo->offset);
  at_free(silo->length);
  *silo = (at_text_silo){0};
}
