/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading R's files: unpacking, and R's portable binary form. */
#include "data/tables/rdata.h"

#include <math.h>
#include <string.h>

#include "data/tables/unpack.h"
#include "data/text/inflate.h"
#include "src/base/alloc.h"

/* Types of objects as R numbers them, and flags. */
enum {
  SYMBOL = 1,
  PAIRLIST = 2,
  LANGUAGE = 6,
  CHARACTERS = 9,
  LOGICAL = 10,
  INTEGER = 13,
  REAL = 14,
  TEXTS = 16,
  LIST = 19,
  ALTREP = 238,
  ATTRIBUTED_LIST = 239,
  PERSISTENT = 247,
  MISSING = 251,
  BASE = 252,
  GLOBAL = 253,
  NULL_VALUE = 254,
  REFERENCE = 255,
  HAS_ATTRIBUTES = 0x200,
  HAS_TAG = 0x400,
  DEPTH_MAX = 64,
  LONG_LENGTH = -1,
  NOT_AVAILABLE = -1
};

/* A piece of memory of a file, freed with it. */
typedef struct block {
  struct block *next;
} block;

struct at_r_file {
  const char *path;
  at_bytes raw, text; /* of the file; unpacked */
  size_t at;          /* in text */
  block *blocks;
  char **symbol; /* seen so far, for references */
  int64_t n_symbols, cap_symbols;
};

static at_err take(at_r_file *f, size_t count, size_t size, void *out) {
  block *b = NULL;
  *(void **)out = NULL;
  AT_TRY(at_alloc(&b, 1, 64 + count * size, "R object"));
  b->next = f->blocks;
  f->blocks = b;
  *(void **)out = (char *)b + 64;
  return AT_OK;
}

static at_err broken(const at_r_file *f, const char *what) {
  return AT_FAIL(AT_ERR_FORMAT, "%s: %s at byte %zu of %zu (unpacked)", f->path, what, f->at, f->text.len);
}

static at_err get_bytes(at_r_file *f, size_t n, const unsigned char **p) {
  *p = NULL;
  if (n > f->text.len - f->at) {
    return broken(f, "cut short");
  }
  *p = (const unsigned char *)f->text.data + f->at;
  f->at += n;
  return AT_OK;
}

static int32_t big_i32(const unsigned char *p) {
  return (int32_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]);
}

static at_err get_i32(at_r_file *f, int32_t *v) {
  const unsigned char *p = NULL;
  *v = 0;
  AT_TRY(get_bytes(f, 4, &p));
  *v = big_i32(p);
  return AT_OK;
}

static at_err get_length(at_r_file *f, int64_t *n) {
  int32_t low = 0, high = 0;
  AT_TRY(get_i32(f, &low));
  *n = low;
  if (low == LONG_LENGTH) {
    AT_TRY(get_i32(f, &high));
    AT_TRY(get_i32(f, &low));
    *n = (int64_t)high << 32 | (uint32_t)low;
  }
  return *n >= 0 && (size_t)*n <= f->text.len ? AT_OK : broken(f, "an impossible length");
}

static at_err get_text(at_r_file *f, char **out) {
  int32_t n = 0;
  const unsigned char *p = NULL;
  AT_TRY(get_i32(f, &n));
  *out = NULL;
  if (n == NOT_AVAILABLE) {
    return AT_OK;
  }
  if (n < 0) {
    return broken(f, "an impossible length of a text");
  }
  AT_TRY(get_bytes(f, (size_t)n, &p));
  AT_TRY(take(f, (size_t)n + 1, 1, out));
  memcpy(*out, p, (size_t)n);
  return AT_OK;
}

static at_err get_object(at_r_file *f, int depth, at_r **out, char **name);

static at_err get_vector(at_r_file *f, uint32_t type, int depth, at_r *r) {
  const unsigned char *p = NULL;
  AT_TRY(get_length(f, &r->n));
  const size_t n = (size_t)r->n;
  if (type == LOGICAL || type == INTEGER) {
    r->type = AT_R_INT;
    AT_TRY(get_bytes(f, 4 * n, &p));
    AT_TRY(take(f, n, sizeof *r->integer, &r->integer));
    for (size_t i = 0; i < n; i++) {
      r->integer[i] = big_i32(p + 4 * i);
    }
  } else if (type == REAL) {
    r->type = AT_R_REAL;
    AT_TRY(get_bytes(f, 8 * n, &p));
    AT_TRY(take(f, n, sizeof *r->real, &r->real));
    for (size_t i = 0; i < n; i++) {
      const uint64_t bits = (uint64_t)(uint32_t)big_i32(p + 8 * i) << 32 | (uint32_t)big_i32(p + 8 * i + 4);
      memcpy(&r->real[i], &bits, sizeof bits);
    }
  } else if (type == TEXTS) {
    r->type = AT_R_TEXT;
    AT_TRY(take(f, n, sizeof *r->text, &r->text));
    for (size_t i = 0; i < n; i++) {
      int32_t flags = 0;
      AT_TRY(get_i32(f, &flags));
      if ((flags & 0xFF) != CHARACTERS) {
        return broken(f, "something that is no text");
      }
      AT_TRY(get_text(f, &r->text[i]));
    }
  } else {
    r->type = AT_R_LIST;
    AT_TRY(take(f, n, sizeof *r->item, &r->item));
    for (size_t i = 0; i < n; i++) {
      AT_TRY(get_object(f, depth + 1, &r->item[i], NULL));
    }
  }
  return AT_OK;
}

/* A chain of cells becomes one list with tags. */
static at_err get_pairs(at_r_file *f, uint32_t flags, int depth, at_r *r) {
  int64_t cap = 0;
  at_r **item = NULL;
  char **tag = NULL;
  r->type = AT_R_LIST;
  for (;;) {
    if (r->n == cap) {
      at_r **wide = NULL;
      char **names = NULL;
      cap = cap == 0 ? 8 : 2 * cap;
      AT_TRY(take(f, (size_t)cap, sizeof *wide, &wide));
      AT_TRY(take(f, (size_t)cap, sizeof *names, &names));
      for (int64_t i = 0; i < r->n; i++) {
        wide[i] = item[i];
        names[i] = tag[i];
      }
      item = wide;
      tag = names;
    }
    at_r *ignored = NULL;
    if (flags & HAS_ATTRIBUTES) {
      AT_TRY(get_object(f, depth + 1, &ignored, NULL));
    }
    if (flags & HAS_TAG) {
      AT_TRY(get_object(f, depth + 1, &ignored, &tag[r->n]));
    }
    AT_TRY(get_object(f, depth + 1, &item[r->n++], NULL));
    r->item = item;
    r->tag = tag;
    int32_t next = 0;
    AT_TRY(get_i32(f, &next));
    flags = (uint32_t)next;
    if ((flags & 0xFF) != PAIRLIST) {
      return (flags & 0xFF) == NULL_VALUE ? AT_OK : broken(f, "a list without an end");
    }
  }
}

static at_err note_symbol(at_r_file *f, char *name) {
  if (f->n_symbols == f->cap_symbols) {
    f->cap_symbols = f->cap_symbols == 0 ? 64 : 2 * f->cap_symbols;
    AT_TRY(at_realloc(&f->symbol, (size_t)f->cap_symbols, sizeof *f->symbol, "R symbols"));
  }
  f->symbol[f->n_symbols++] = name;
  return AT_OK;
}

static at_err get_symbol(at_r_file *f, char **name) {
  int32_t flags = 0;
  char *text = NULL;
  AT_TRY(get_i32(f, &flags));
  if ((flags & 0xFF) != CHARACTERS) {
    return broken(f, "a symbol without a name");
  }
  AT_TRY(get_text(f, &text));
  if (name != NULL) {
    *name = text;
  }
  return note_symbol(f, text);
}

static at_err get_reference(at_r_file *f, uint32_t flags, char **name) {
  int32_t number = (int32_t)(flags >> 8);
  if (number == 0) {
    AT_TRY(get_i32(f, &number));
  }
  if (number < 1 || number > f->n_symbols) {
    return broken(f, "a reference to nothing");
  }
  if (name != NULL) {
    *name = f->symbol[number - 1];
  }
  return AT_OK;
}

/* Names of an environment kept elsewhere. */
static at_err get_persistent(at_r_file *f) {
  at_r names = {0};
  int32_t zero = 0;
  AT_TRY(get_i32(f, &zero));
  AT_TRY(get_vector(f, TEXTS, 0, &names));
  return note_symbol(f, NULL);
}

/* Vectors in another form: an arithmetic series, numbers as text, or a wrapper around a vector. */
static at_err expand(at_r_file *f, at_r *state, at_r *r) {
  const at_r *inner = state->type == AT_R_LIST && state->n > 0 ? state->item[0] : state;
  if (state->type == AT_R_REAL && state->n == 3) {
    r->type = AT_R_INT;
    r->n = (int64_t)state->real[0];
    if (r->n < 0 || r->n > INT32_MAX) {
      return broken(f, "an impossible series");
    }
    AT_TRY(take(f, (size_t)r->n, sizeof *r->integer, &r->integer));
    for (int64_t i = 0; i < r->n; i++) {
      r->integer[i] = (int32_t)(state->real[1] + state->real[2] * (double)i);
    }
    return AT_OK;
  }
  at_r *attr = r->attr;
  *r = *inner;
  r->attr = attr != NULL ? attr : inner->attr;
  return AT_OK;
}

static at_err get_altrep(at_r_file *f, int depth, at_r *r) {
  at_r *info = NULL, *state = NULL, *attr = NULL;
  AT_TRY(get_object(f, depth + 1, &info, NULL));
  AT_TRY(get_object(f, depth + 1, &state, NULL));
  AT_TRY(get_object(f, depth + 1, &attr, NULL));
  r->attr = attr->type == AT_R_LIST ? attr : NULL;
  return expand(f, state, r);
}

/* The object at the cursor; *name is set where it is a symbol. */
static at_err get_object(at_r_file *f, int depth, at_r **out, char **name) {
  int32_t word = 0;
  at_r *r = NULL;
  AT_TRY(get_i32(f, &word));
  const uint32_t flags = (uint32_t)word, type = flags & 0xFF;
  if (depth > DEPTH_MAX) {
    return broken(f, "objects nested too deeply");
  }
  AT_TRY(take(f, 1, sizeof *r, &r));
  *out = r;
  switch (type) {
  case NULL_VALUE:
  case GLOBAL:
  case BASE:
  case MISSING:
    return AT_OK;
  case SYMBOL:
    return get_symbol(f, name);
  case REFERENCE:
    return get_reference(f, flags, name);
  case PERSISTENT:
    return get_persistent(f);
  case PAIRLIST:
  case LANGUAGE:
  case ATTRIBUTED_LIST:
    return get_pairs(f, flags, depth, r);
  case ALTREP:
    return get_altrep(f, depth, r);
  case CHARACTERS: {
    char *text = NULL;
    r->type = AT_R_OTHER;
    return get_text(f, &text);
  }
  case LOGICAL:
  case INTEGER:
  case REAL:
  case TEXTS:
  case LIST:
    AT_TRY(get_vector(f, type, depth, r));
    return flags & HAS_ATTRIBUTES ? get_object(f, depth + 1, &r->attr, NULL) : AT_OK;
  default:
    return broken(f, "an object that is no data (a function or an environment)");
  }
}

/* The head of a stream of objects, then one object. */
static at_err get_stream(at_r_file *f, at_r **out) {
  const unsigned char *p = NULL;
  int32_t version = 0, length = 0;
  f->n_symbols = 0;
  AT_TRY(get_bytes(f, 2, &p));
  if (p[0] != 'X' || p[1] != '\n') {
    return broken(f, "not R's portable binary form");
  }
  AT_TRY(get_i32(f, &version));
  AT_TRY(get_bytes(f, 8, &p)); /* the version that wrote it, the oldest that reads it */
  if (version == 3) {
    AT_TRY(get_i32(f, &length));
    AT_TRY(get_bytes(f, (size_t)length, &p)); /* the native encoding */
  } else if (version != 2) {
    return broken(f, "a version of the format other than 2 and 3");
  }
  return get_object(f, 0, out, NULL);
}

const at_r *at_r_find(const at_r *pairs, const char *name) {
  for (int64_t i = 0; pairs != NULL && pairs->tag != NULL && i < pairs->n; i++) {
    if (pairs->tag[i] != NULL && strcmp(pairs->tag[i], name) == 0) {
      return pairs->item[i];
    }
  }
  return NULL;
}

static at_err unpack_file(at_r_file *f) {
  AT_TRY(at_text_load(f->path, &f->raw)); /* gzip is unpacked already */
  const bool bzip2 = f->raw.len > 3 && memcmp(f->raw.data, "BZh", 3) == 0;
  const bool xz = f->raw.len > 6 && memcmp(f->raw.data,
                                           "\xFD"
                                           "7zXZ",
                                           5) == 0;
  if (bzip2 || xz) {
    return bzip2 ? at_unpack_bzip2(f->raw.data, f->raw.len, &f->text) : at_unpack_xz(f->raw.data, f->raw.len, &f->text);
  }
  at_bytes_put(&f->text, f->raw.data, f->raw.len);
  return f->text.err;
}

static at_err read_rda(at_r_file *f, const char *name, const at_r **value) {
  at_r *all = NULL;
  AT_TRY(unpack_file(f));
  if (f->text.len < 5 || (memcmp(f->text.data, "RDX2\n", 5) != 0 && memcmp(f->text.data, "RDX3\n", 5) != 0)) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: is no saved R workspace: it must begin with RDX2 or RDX3", f->path);
  }
  f->at = 5;
  AT_TRY(get_stream(f, &all));
  *value = at_r_find(all, name);
  return *value != NULL ? AT_OK
                        : AT_FAIL(AT_ERR_FORMAT, "%s: has no object %s; its first is %s", f->path, name,
                                  all->n > 0 && all->tag != NULL && all->tag[0] != NULL ? all->tag[0] : "nothing");
}

/* Where an object of a data base is: bytes [place[0], place[0] + place[1]). */
static at_err find_chunk(at_r_file *f, const char *index, const char *name, int64_t place[2]) {
  at_r *all = NULL;
  AT_TRY(at_text_load(index, &f->text));
  f->at = 0;
  AT_TRY(get_stream(f, &all));
  const at_r *names = at_r_find(all->attr, "names");
  for (int64_t i = 0; names != NULL && names->type == AT_R_TEXT && i < names->n && i < all->n; i++) {
    if (names->text[i] == NULL || strcmp(names->text[i], "variables") != 0) {
      continue;
    }
    const at_r *list = all->item[i], *tags = at_r_find(list->attr, "names");
    for (int64_t k = 0; tags != NULL && tags->type == AT_R_TEXT && k < tags->n && k < list->n; k++) {
      const at_r *at = list->item[k];
      if (tags->text[k] != NULL && strcmp(tags->text[k], name) == 0 && at->n == 2 && at->type == AT_R_INT) {
        place[0] = at->integer[0];
        place[1] = at->integer[1];
        return AT_OK;
      }
    }
  }
  return AT_FAIL(AT_ERR_FORMAT, "%s: has no object %s", index, name);
}

static at_err read_rdb(at_r_file *f, const char *name, const at_r **value) {
  char index[1024];
  int64_t place[2] = {0};
  const size_t n = strlen(f->path);
  snprintf(index, sizeof index, "%.*sx", (int)(n - 1), f->path);
  AT_TRY(find_chunk(f, index, name, place));
  AT_TRY(at_text_load(f->path, &f->raw));
  if (place[0] < 0 || place[1] < 6 || (size_t)place[0] + (size_t)place[1] > f->raw.len) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: is cut short: %s is %lld bytes from byte %lld on", f->path, name,
                   (long long)place[1], (long long)place[0]);
  }
  const char *chunk = f->raw.data + place[0];
  const size_t size = (uint32_t)big_i32((const unsigned char *)chunk), packed = (size_t)place[1] - 4;
  size_t used;
  at_bytes_clear(&f->text);
  f->at = 0;
  if (chunk[4] == '2') {
    AT_TRY(at_unpack_bzip2(chunk + 5, packed - 1, &f->text));
  } else if (chunk[4] == 'Z') {
    AT_TRY(at_unpack_lzma2(chunk + 5, packed - 1, &f->text));
  } else {
    AT_TRY(at_text_unzip(chunk + 4, packed, size, &f->text, &used));
  }
  at_r *object = NULL;
  AT_TRY(get_stream(f, &object));
  *value = object;
  return AT_OK;
}

at_err at_r_open(at_r_file **out, const char *path, const char *name, const at_r **value) {
  at_r_file *f;
  const size_t n = strlen(path);
  *out = NULL;
  AT_TRY(at_alloc(&f, 1, sizeof *f, "R file"));
  f->path = path;
  const bool is_base = n > 4 && strcmp(path + n - 4, ".rdb") == 0;
  at_err err = is_base ? read_rdb(f, name, value) : read_rda(f, name, value);
  if (err != AT_OK) {
    at_r_close(f);
    return at_err_trace(err, __FILE__, __LINE__);
  }
  *out = f;
  return AT_OK;
}

void at_r_close(at_r_file *f) {
  if (f == NULL) {
    return;
  }
  while (f->blocks != NULL) {
    block *b = f->blocks;
    f->blocks = b->next;
    at_free(b);
  }
  at_bytes_free(&f->raw);
  at_bytes_free(&f->text);
  at_free(f->symbol);
  at_free(f);
}
