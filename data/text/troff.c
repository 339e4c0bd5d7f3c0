/* SPDX-License-Identifier: BSD-3-Clause */
/* Reader of manual pages: enough of troff and of the man macros to recover the running text.
 *
 * It resolves conditionals as a terminal would (n true, t false, registers 0), skips macro definitions, tables,
 * equations and pictures, and drops the arguments of requests it does not know.  Macros that the page defines itself
 * print their arguments. */
#include <string.h>

#include "data/text/reader.h"
#include "data/text/troff_internal.h"
#include "src/base/alloc.h"

static void put_line(at_roff *r, const char *s, size_t n, int depth);

void at_roff_paragraph(at_roff *r) {
  if (r->para.len > 0) {
    at_text_sink_paragraph(r->sink, r->para.data, r->para.len);
  }
  at_bytes_clear(&r->para);
  r->tag = r->joined = r->tight = false;
  r->link_at = 0;
}

void at_roff_break(at_roff *r) {
  if (r->para.len > 0 && r->para.data[r->para.len - 1] != AT_TEXT_HARD_BREAK) {
    at_bytes_char(&r->para, AT_TEXT_HARD_BREAK);
  }
  r->tight = false;
}

void at_roff_line_end(at_roff *r) {
  if (r->joined) {
    r->joined = false;
  } else if (r->tag) {
    r->tag = false;
    at_roff_break(r);
  } else {
    at_bytes_char(&r->para, r->fill ? '\n' : AT_TEXT_HARD_BREAK);
  }
}

void at_roff_split(at_roff *r, const char *s, size_t n) {
  at_bytes_clear(&r->words);
  r->n_args = 0;
  for (size_t i = 0; i < n && r->n_args < AT_ROFF_ARGS_MAX;) {
    if (s[i] == ' ' || s[i] == '\t') {
      i++;
      continue;
    }
    at_roff_arg *a = &r->args[r->n_args++];
    *a = (at_roff_arg){.at = r->words.len, .quoted = s[i] == '"'};
    i += a->quoted;
    while (i < n && (a->quoted || (s[i] != ' ' && s[i] != '\t'))) {
      if (a->quoted && s[i] == '"') {
        if (i + 1 >= n || s[i + 1] != '"') {
          break;
        }
        i++; /* "" inside quotes is one quote */
      } else if (s[i] == '\\' && i + 1 < n) {
        at_bytes_char(&r->words, s[i++]);
      }
      at_bytes_char(&r->words, s[i++]);
    }
    i += a->quoted && i < n;
    a->len = r->words.len - a->at;
  }
  if (r->words.err != AT_OK) {
    r->n_args = 0;
  }
}

void at_roff_put_arg(at_roff *r, int i) {
  if (i < r->n_args && r->args[i].len > 0) {
    at_roff_escape(r, r->words.data + r->args[i].at, r->args[i].len, &r->para, 0);
  }
}

static void put_args(at_roff *r, int first, const char *between) {
  for (int i = first; i < r->n_args; i++) {
    if (i > first) {
      at_bytes_str(&r->para, between);
    }
    at_roff_put_arg(r, i);
  }
  if (first < r->n_args) {
    at_roff_line_end(r);
  }
}

static void put_text(at_roff *r, const char *s, size_t n) {
  size_t blank = 0;
  while (blank < n && (s[blank] == ' ' || s[blank] == '\t')) {
    blank++;
  }
  if (blank == n) {
    at_roff_paragraph(r);
    return;
  }
  if (blank > 0 && r->fill && !r->joined) {
    at_roff_break(r);
  }
  r->joined = false;
  at_roff_escape(r, s, n, &r->para, 0);
  at_roff_line_end(r);
}

/* .UE and .ME: the address itself when no text stood between, then the argument close behind. */
static void end_link(at_roff *r) {
  bool empty = r->para.len <= r->link_at;
  if (empty && r->link.len > 0) {
    at_roff_escape(r, r->link.data, r->link.len, &r->para, 0);
  } else if (r->para.len > 0 && r->para.data[r->para.len - 1] == '\n') {
    r->para.len--;
  }
  at_roff_put_arg(r, 0);
  at_bytes_clear(&r->link);
  at_roff_line_end(r);
}

static void begin_link(at_roff *r) {
  at_bytes_clear(&r->link);
  if (r->n_args > 0) {
    at_bytes_put(&r->link, r->words.data + r->args[0].at, r->args[0].len);
  }
  r->link_at = r->para.len;
}

/* .ds name value, .as name value */
static void define_string(at_roff *r, const char *s, size_t n, bool append) {
  size_t len = 0;
  while (len < n && s[len] != ' ' && s[len] != '\t') {
    len++;
  }
  if (len == 0 || len >= AT_ROFF_NAME_MAX) {
    return;
  }
  size_t at = len;
  while (at < n && (s[at] == ' ' || s[at] == '\t')) {
    at++;
  }
  at += at < n && s[at] == '"';
  const at_roff_string *old = append ? at_roff_string_find(r, s, len) : NULL;
  if (r->n_strings == r->cap_strings) {
    int cap = r->cap_strings > 0 ? 2 * r->cap_strings : 32;
    at_err err = at_realloc(&r->strings, (size_t)cap, sizeof *r->strings, "troff strings");
    if (err != AT_OK) {
      r->para.err = err;
      return;
    }
    r->cap_strings = cap;
    old = append ? at_roff_string_find(r, s, len) : NULL;
  }
  at_roff_string new = {.value = r->values.len};
  if (old != NULL && at_bytes_reserve(&r->values, old->len)) {
    at_bytes_put(&r->values, r->values.data + old->value, old->len);
  }
  at_bytes_put(&r->values, s + at, n - at);
  if (r->values.err == AT_OK) {
    memcpy(new.name, s, len);
    new.len = r->values.len - new.value;
    r->strings[r->n_strings++] = new;
  }
}

/* .de name [end], .ig [end]: skip to the end request, which is ".." when not given. */
static void skip_definition(at_roff *r, bool named) {
  int end = named ? 1 : 0;
  if (named && r->n_args > 0) {
    at_bytes_put(&r->macros, r->words.data + r->args[0].at, r->args[0].len);
    at_bytes_char(&r->macros, ' ');
  }
  strcpy(r->skip_end, ".");
  if (end < r->n_args && r->args[end].len > 0 && r->args[end].len < AT_ROFF_NAME_MAX) {
    memset(r->skip_end, 0, sizeof r->skip_end);
    memcpy(r->skip_end, r->words.data + r->args[end].at, r->args[end].len);
  }
}

/* The condition of .if at s[*i]; moves *i behind it. */
static bool condition(at_roff *r, const char *s, size_t n, size_t *i) {
  bool negate = false;
  while (*i < n && (s[*i] == '!' || s[*i] == ' ')) {
    negate ^= s[*i] == '!';
    ++*i;
  }
  size_t start = *i;
  bool value = false;
  if (start >= n) {
    return false;
  }
  char c = s[start];
  bool lone = start + 1 >= n || s[start + 1] == ' ' || s[start + 1] == '\t' || s[start + 1] == '\\';
  if (strchr("ntoev", c) != NULL && lone) {
    value = c == 'n' || c == 'o';
    *i = start + 1;
  } else if (strchr("\"'`|", c) != NULL) { /* 'one'other' */
    const char *mid = memchr(s + start + 1, c, n - start - 1);
    const char *end = mid == NULL ? NULL : memchr(mid + 1, c, (size_t)(s + n - mid) - 1);
    if (end != NULL) {
      at_bytes left = {0}, right = {0};
      at_roff_escape(r, s + start + 1, (size_t)(mid - s) - start - 1, &left, 0);
      at_roff_escape(r, mid + 1, (size_t)(end - mid) - 1, &right, 0);
      value = left.len == right.len && (left.len == 0 || memcmp(left.data, right.data, left.len) == 0);
      at_bytes_free(&left);
      at_bytes_free(&right);
    }
    *i = end == NULL ? n : (size_t)(end - s) + 1;
  } else {
    int open = 0; /* blanks belong to the number between parentheses only */
    while (*i < n && (open > 0 || (s[*i] != ' ' && s[*i] != '\t')) &&
           !(s[*i] == '\\' && *i + 1 < n && s[*i + 1] == '{')) {
      bool named = s[*i] == '(' && *i >= start + 2 && s[*i - 1] == 'n' && s[*i - 2] == '\\'; /* \n(xx, a register */
      open += named ? 0 : s[*i] == '(' ? 1 : s[*i] == ')' ? -1 : 0;
      ++*i;
    }
    bool number = strchr("0123456789(-+\\", c) != NULL;
    value = number ? at_roff_number(s + start, *i - start) > 0
                   : c == 'd' && at_roff_string_find(r, s + start + 1, *i - start - 1) != NULL;
  }
  return value != negate;
}

/* Openings \{ minus closings \} in a line. */
static int count_blocks(const char *s, size_t n) {
  int depth = 0;
  for (size_t i = 0; i + 1 < n; i++) {
    if (s[i] == '\\') {
      depth += s[i + 1] == '{' ? 1 : s[i + 1] == '}' ? -1 : 0;
      i++;
    }
  }
  return depth;
}

static void branch(at_roff *r, const char *s, size_t n, bool taken, int depth) {
  if (!taken) {
    int open = count_blocks(s, n);
    r->skip_depth = open > 0 ? open : 0;
    return;
  }
  size_t i = 0;
  while (i < n && (s[i] == ' ' || s[i] == '\t')) {
    i++;
  }
  while (i + 1 < n && s[i] == '\\' && s[i + 1] == '{') {
    i += 2;
    while (i < n && s[i] == ' ') {
      i++;
    }
  }
  if (i < n) {
    put_line(r, s + i, n - i, depth + 1);
  }
}

typedef enum action {
  PARAGRAPH,
  BREAK,
  WORDS,
  ALTERNATE,
  SECTION,
  TAG,
  MORE_TAG,
  ITEM,
  NOFILL,
  FILL,
  SKIP,
  DEFINE,
  IGNORE_TEXT,
  STRING,
  APPEND,
  IF,
  IF_ELSE,
  ELSE,
  LOOP,
  LINK,
  LINK_END,
  ADDRESS,
  TEXT,
  NOTHING
} action;

typedef struct row {
  const char *name;
  action action;
  const char *end; /* SKIP: the request that ends it */
} row;

static const row rows[] = {
    {"PP", PARAGRAPH, NULL}, {"P", PARAGRAPH, NULL},   {"LP", PARAGRAPH, NULL},    {"HP", PARAGRAPH, NULL},
    {"sp", PARAGRAPH, NULL}, {"Sp", PARAGRAPH, NULL},  {"bp", PARAGRAPH, NULL},    {"br", BREAK, NULL},
    {"RS", BREAK, NULL},     {"RE", BREAK, NULL},      {"in", BREAK, NULL},        {"ti", BREAK, NULL},
    {"ce", BREAK, NULL},     {"B", WORDS, NULL},       {"I", WORDS, NULL},         {"SM", WORDS, NULL},
    {"SB", WORDS, NULL},     {"R", WORDS, NULL},       {"C", WORDS, NULL},         {"CW", WORDS, NULL},
    {"OP", WORDS, NULL},     {"AP", WORDS, NULL},      {"BR", ALTERNATE, NULL},    {"BI", ALTERNATE, NULL},
    {"IR", ALTERNATE, NULL}, {"IB", ALTERNATE, NULL},  {"RB", ALTERNATE, NULL},    {"RI", ALTERNATE, NULL},
    {"CR", ALTERNATE, NULL}, {"RC", ALTERNATE, NULL},  {"CB", ALTERNATE, NULL},    {"SH", SECTION, NULL},
    {"SS", SECTION, NULL},   {"TP", TAG, NULL},        {"TQ", MORE_TAG, NULL},     {"IP", ITEM, NULL},
    {"nf", NOFILL, NULL},    {"EX", NOFILL, NULL},     {"Vb", NOFILL, NULL},       {"CS", NOFILL, NULL},
    {"DS", NOFILL, NULL},    {"Ds", NOFILL, NULL},     {"fi", FILL, NULL},         {"EE", FILL, NULL},
    {"Ve", FILL, NULL},      {"CE", FILL, NULL},       {"DE", FILL, NULL},         {"De", FILL, NULL},
    {"SY", PARAGRAPH, NULL}, {"YS", PARAGRAPH, NULL},  {"TS", SKIP, "TE"},         {"EQ", SKIP, "EN"},
    {"PS", SKIP, "PE"},      {"SO", SKIP, "SE"},       {"de", DEFINE, NULL},       {"de1", DEFINE, NULL},
    {"dei", DEFINE, NULL},   {"am", DEFINE, NULL},     {"am1", DEFINE, NULL},      {"ig", IGNORE_TEXT, NULL},
    {"ds", STRING, NULL},    {"ds1", STRING, NULL},    {"as", APPEND, NULL},       {"as1", APPEND, NULL},
    {"if", IF, NULL},        {"ie", IF_ELSE, NULL},    {"el", ELSE, NULL},         {"while", LOOP, NULL},
    {"UR", LINK, NULL},      {"MT", LINK, NULL},       {"UE", LINK_END, NULL},     {"ME", LINK_END, NULL},
    {"URL", ADDRESS, NULL},  {"MTO", ADDRESS, NULL},   {"nop", TEXT, NULL},        {"IX", NOTHING, NULL},
    {"TH", NOTHING, NULL},   {"INDEX", NOTHING, NULL}, {"UNINDEX", NOTHING, NULL}, {"BS", NOTHING, NULL},
    {"BE", NOTHING, NULL},   {"VS", NOTHING, NULL},    {"VE", NOTHING, NULL},      {"AS", NOTHING, NULL},
    {"UN", NOTHING, NULL},   {"PD", NOTHING, NULL},    {"UC", NOTHING, NULL},      {"AT", NOTHING, NULL}};

static const row *find_row(const char *name) {
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (rows[i].name[0] == name[0] && strcmp(rows[i].name, name) == 0) {
      return &rows[i];
    }
  }
  return NULL;
}

/* Does the page define this macro itself? */
static bool is_defined(const at_roff *r, const char *name) {
  size_t n = strlen(name);
  for (const char *at = r->macros.len > 0 ? strstr(r->macros.data, name) : NULL; at != NULL;
       at = strstr(at + 1, name)) {
    if ((at == r->macros.data || at[-1] == ' ') && at[n] == ' ') {
      return true;
    }
  }
  return false;
}

static void list_item(at_roff *r) {
  at_roff_paragraph(r);
  size_t before = r->para.len;
  at_roff_put_arg(r, 0);
  if (r->para.len > before + 4) {
    at_roff_break(r);
  } else if (r->para.len > before) {
    at_bytes_char(&r->para, ' ');
  }
}

/* A link with its text and what follows: .URL address text after */
static void whole_link(at_roff *r) {
  at_roff_put_arg(r, r->n_args > 1 && r->args[1].len > 0 ? 1 : 0);
  at_roff_put_arg(r, 2);
  at_roff_line_end(r);
}

static void run_text_macro(at_roff *r, const row *m) {
  switch (m->action) {
  case WORDS:
    put_args(r, 0, " ");
    break;
  case ALTERNATE:
    put_args(r, 0, "");
    break;
  case SECTION:
    r->fill = true;
    at_roff_paragraph(r);
    put_args(r, 0, " ");
    if (r->n_args > 0) {
      at_roff_paragraph(r);
    }
    break;
  case TAG:
    at_roff_paragraph(r);
    r->tag = true;
    break;
  case MORE_TAG:
    at_roff_break(r);
    r->tag = true;
    break;
  case ITEM:
    list_item(r);
    break;
  case LINK:
    begin_link(r);
    break;
  case LINK_END:
    end_link(r);
    break;
  case ADDRESS:
    whole_link(r);
    break;
  default:
    break;
  }
}

/* A request or macro with its arguments at s[0..n). */
static void run_macro(at_roff *r, const char *name, const char *s, size_t n, int depth) {
  const row *m = find_row(name);
  if (m == NULL) {
    if (!at_roff_mdoc(r, name, s, n) && is_defined(r, name)) {
      at_roff_split(r, s, n);
      put_args(r, 0, " ");
    }
    return;
  }
  size_t i = 0;
  bool holds = false;
  switch (m->action) {
  case PARAGRAPH:
    at_roff_paragraph(r);
    break;
  case BREAK:
    at_roff_break(r);
    break;
  case NOFILL:
  case FILL:
    at_roff_break(r);
    r->fill = m->action == FILL;
    break;
  case SKIP:
    strcpy(r->skip_end, m->end);
    break;
  case DEFINE:
  case IGNORE_TEXT:
    at_roff_split(r, s, n);
    skip_definition(r, m->action == DEFINE);
    break;
  case STRING:
  case APPEND:
    define_string(r, s, n, m->action == APPEND);
    break;
  case IF:
  case IF_ELSE:
  case LOOP:
    holds = condition(r, s, n, &i) && m->action != LOOP;
    r->else_true = !holds;
    branch(r, s + i, n - i, holds, depth);
    break;
  case ELSE:
    branch(r, s, n, r->else_true, depth);
    break;
  case TEXT:
    put_text(r, s, n);
    break;
  case NOTHING:
    break;
  default:
    at_roff_split(r, s, n);
    run_text_macro(r, m);
  }
}

/* Length of s[0..n) before a comment \" and the blanks in front of it. */
static size_t without_comment(const char *s, size_t n) {
  for (size_t i = 0; i + 1 < n; i++) {
    if (s[i] == '\\') {
      if (s[i + 1] == '"' || s[i + 1] == '#') {
        n = i;
        break;
      }
      i++;
    }
  }
  while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t') && !(n > 1 && s[n - 2] == '\\')) {
    n--;
  }
  return n;
}

static void put_control(at_roff *r, const char *s, size_t n, int depth) {
  size_t i = 1, len = 0;
  char name[AT_ROFF_NAME_MAX];
  n = without_comment(s, n);
  while (i < n && (s[i] == ' ' || s[i] == '\t')) {
    i++;
  }
  while (i < n && s[i] != ' ' && s[i] != '\t' && s[i] != '\\' && len + 1 < sizeof name) {
    name[len++] = s[i++];
  }
  name[len] = 0;
  while (i < n && (s[i] == ' ' || s[i] == '\t')) {
    i++;
  }
  if (len > 0) {
    run_macro(r, name, s + i, n - i, depth);
  }
}

/* Is this the request r->skip_end? */
static bool ends_skip(const at_roff *r, const char *s, size_t n) {
  size_t len = strlen(r->skip_end);
  return n > len && s[0] == '.' && memcmp(s + 1, r->skip_end, len) == 0 &&
         (n == len + 1 || s[len + 1] == ' ' || s[len + 1] == '\t' || s[len + 1] == '\\');
}

static void put_line(at_roff *r, const char *s, size_t n, int depth) {
  if (depth > AT_ROFF_DEPTH_MAX) {
    return;
  }
  if (r->skip_end[0] != 0) {
    if (ends_skip(r, s, n)) {
      r->skip_end[0] = 0;
    }
  } else if (r->skip_depth > 0) {
    int open = r->skip_depth + count_blocks(s, n);
    r->skip_depth = open > 0 ? open : 0;
  } else if (n > 0 && (s[0] == '.' || s[0] == '\'')) {
    put_control(r, s, n, depth);
  } else if (!(n >= 2 && s[0] == '\\' && (s[1] == '"' || s[1] == '#'))) {
    put_text(r, s, n);
  }
}

/* Does the line end in an odd number of backslashes, so that the next one continues it? */
static bool is_continued(const char *s, size_t n) {
  size_t slashes = 0;
  while (slashes < n && s[n - 1 - slashes] == '\\') {
    slashes++;
  }
  return slashes % 2 == 1;
}

at_err at_text_read_troff(const at_text_source *src, at_text_sink *sink) {
  at_roff r = {.sink = sink, .fill = true};
  at_text_sink_begin(sink, src->name);
  for (size_t i = 0; i < src->len;) {
    const char *s = src->text + i, *end = memchr(s, '\n', src->len - i);
    size_t n = end == NULL ? src->len - i : (size_t)(end - s);
    i += n + 1;
    n -= n > 0 && s[n - 1] == '\r';
    if (is_continued(s, n)) {
      at_bytes_put(&r.line, s, n - 1);
    } else if (r.line.len > 0) {
      at_bytes_put(&r.line, s, n);
      put_line(&r, r.line.data, r.line.len, 0);
      at_bytes_clear(&r.line);
    } else {
      put_line(&r, s, n, 0);
    }
  }
  at_roff_paragraph(&r);
  at_text_sink_end(sink);
  at_err err = r.para.err;
  at_bytes *buffers[] = {&r.para, &r.line, &r.words, &r.values, &r.macros, &r.link, &r.page};
  for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
    err = err != AT_OK ? err : buffers[i]->err;
    at_bytes_free(buffers[i]);
  }
  at_free(r.strings);
  return err != AT_OK ? err : at_text_sink_error(sink);
}
