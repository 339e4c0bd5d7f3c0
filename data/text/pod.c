/* SPDX-License-Identifier: BSD-3-Clause */
/* Reader of Perl's plain old documentation: commands go, formatting codes leave their text. */
#include <stdlib.h>
#include <string.h>

#include "data/text/reader.h"

enum { NESTING_MAX = 16 };

static const char *entity(const char *name, size_t n) {
  static const struct {
    const char *name, *text;
  } table[] = {
      {"lt", "<"},          {"gt", ">"},          {"verbar", "|"},      {"sol", "/"},           {"amp", "&"},
      {"quot", "\""},       {"nbsp", " "},        {"shy", ""},          {"copy", "\u00A9"},     {"eacute", "\u00E9"},
      {"egrave", "\u00E8"}, {"aacute", "\u00E1"}, {"iacute", "\u00ED"}, {"oacute", "\u00F3"},   {"uuml", "\u00FC"},
      {"auml", "\u00E4"},   {"ouml", "\u00F6"},   {"szlig", "\u00DF"},  {"ccedil", "\u00E7"},   {"ntilde", "\u00F1"},
      {"aring", "\u00E5"},  {"oslash", "\u00F8"}, {"Oslash", "\u00D8"}, {"lchevron", "\u00AB"}, {"rchevron", "\u00BB"}};
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    if (strlen(table[i].name) == n && memcmp(table[i].name, name, n) == 0) {
      return table[i].text;
    }
  }
  return NULL;
}

/* E<name>, E<number>, E<0xhex>, E<0octal> */
static void put_entity(const char *s, size_t n, at_bytes *out) {
  const char *text = entity(s, n);
  if (text != NULL) {
    at_bytes_str(out, text);
  } else if (n > 0 && n < 12 && s[0] >= '0' && s[0] <= '9') {
    char number[12];
    memcpy(number, s, n);
    number[n] = 0;
    at_bytes_utf8(out, (uint32_t)strtoul(number, NULL, 0));
  }
}

/* L<text|target>: the text; L<page/section>: section or page. */
static void put_link(const char *s, size_t n, at_bytes *out, void put(const char *, size_t, at_bytes *, int),
                     int depth) {
  const char *bar = memchr(s, '|', n);
  const char *slash = memchr(s, '/', n);
  bool is_url = slash != NULL && slash + 1 < s + n && slash[1] == '/';
  if (bar != NULL) {
    n = (size_t)(bar - s);
  } else if (slash != NULL && !is_url) {
    const char *section = slash + 1;
    size_t len = (size_t)(s + n - section);
    if (len >= 2 && section[0] == '"' && section[len - 1] == '"') {
      section++;
      len -= 2;
    }
    n = len > 0 ? len : (size_t)(slash - s);
    s = len > 0 ? section : s;
  }
  put(s, n, out, depth);
}

/* The formatting code at s[0], its letter, and '<' at s[1]: *body, *len = what is inside; returns its whole length, or 0
 * when it is not closed.  Codes with several brackets, C<< a > b >>, end at the same number of them. */
static size_t code_extent(const char *s, size_t n, const char **body, size_t *len) {
  size_t open = 1;
  while (open < n && s[open] == '<') {
    open++;
  }
  open--;
  if (open > 1 && open + 1 < n && s[open + 1] != ' ' && s[open + 1] != '\t' && s[open + 1] != '\n') {
    open = 1; /* C<<=> without the blank: a single bracket and text */
  }
  size_t depth = 0;
  for (size_t i = 1 + open; i < n; i++) {
    if (open > 1) {
      size_t close = 0;
      while (close < open && i + close < n && s[i + close] == '>') {
        close++;
      }
      if (close == open && (s[i - 1] == ' ' || s[i - 1] == '\t' || s[i - 1] == '\n')) {
        *body = s + 1 + open;
        *len = i - 1 - open;
        return i + open;
      }
    } else if (s[i] == '<' && s[i - 1] >= 'A' && s[i - 1] <= 'Z') {
      depth++;
    } else if (s[i] == '>' && depth-- == 0) {
      *body = s + 2;
      *len = i - 2;
      return i + 1;
    }
  }
  return 0;
}

static void put_text(const char *s, size_t n, at_bytes *out, int depth) {
  for (size_t i = 0; i < n;) {
    const char *body;
    size_t len, whole = 0;
    if (i + 1 < n && s[i + 1] == '<' && s[i] >= 'A' && s[i] <= 'Z' && depth < NESTING_MAX) {
      whole = code_extent(s + i, n - i, &body, &len);
    }
    if (whole == 0) {
      at_bytes_char(out, s[i++]);
      continue;
    }
    char code = s[i];
    i += whole;
    if (code == 'E') {
      put_entity(body, len, out);
    } else if (code == 'L') {
      put_link(body, len, out, put_text, depth + 1);
    } else if (code != 'X' && code != 'Z') {
      put_text(body, len, out, depth + 1);
    }
  }
}

static bool is_command(const char *s, size_t n, const char *name) {
  size_t len = strlen(name);
  return n > len && s[0] == '=' && memcmp(s + 1, name, len) == 0 &&
         (n == len + 1 || s[len + 1] < 'a' || s[len + 1] > 'z');
}

typedef struct state {
  at_bytes out;
  bool pod;      /* inside documentation, not code */
  int foreign;   /* inside =begin ... =end */
  bool verbatim; /* the last paragraph was; the next one goes on */
  bool item;     /* what is held is the heading of a list item; its text follows */
} state;

static void flush(state *st, at_text_sink *sink) {
  at_text_sink_paragraph(sink, st->out.data, st->out.len);
  at_bytes_clear(&st->out);
  st->verbatim = st->item = false;
}

/* The heading of an item: a bullet goes, a number stands before the text, all else has a line of its own. */
static void put_item(state *st, const char *s, size_t n) {
  while (n > 0 && (s[0] == ' ' || s[0] == '\t' || s[0] == '\n')) {
    s++;
    n--;
  }
  while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t')) {
    n--;
  }
  if (!(n == 1 && s[0] == '*')) {
    put_text(s, n, &st->out, 0);
    at_bytes_char(&st->out, n <= 3 ? ' ' : AT_TEXT_HARD_BREAK);
  }
  st->item = true;
}

/* =head1 Text is a paragraph; =item Text stays in one with the text that follows. */
static void put_command(state *st, const char *s, size_t n, at_text_sink *sink) {
  bool item = is_command(s, n, "item");
  if (!(item && st->item)) {
    flush(st, sink);
  }
  if (item) {
    put_item(st, s + 5, n - 5);
  } else if (n > 6 && memcmp(s, "=head", 5) == 0) {
    put_text(s + 6, n - 6, &st->out, 0);
    flush(st, sink);
  }
}

static void put_paragraph(state *st, const char *s, size_t n, at_text_sink *sink) {
  if (s[0] == '=' && n > 1 && s[1] >= 'a' && s[1] <= 'z') {
    st->pod = !is_command(s, n, "cut");
    st->foreign += is_command(s, n, "begin") ? 1 : is_command(s, n, "end") && st->foreign > 0 ? -1 : 0;
    if (st->pod && st->foreign == 0) {
      put_command(st, s, n, sink);
    }
    return;
  }
  if (!st->pod || st->foreign > 0) {
    return;
  }
  bool verbatim = s[0] == ' ' || s[0] == '\t';
  if (!(verbatim && st->verbatim) && !st->item) {
    flush(st, sink);
  }
  st->verbatim = st->item = false;
  if (verbatim) {
    for (size_t i = 0; i < n; i++) {
      at_bytes_char(&st->out, s[i] == '\n' ? AT_TEXT_HARD_BREAK : s[i]);
    }
    at_bytes_char(&st->out, AT_TEXT_HARD_BREAK);
    st->verbatim = true;
  } else {
    put_text(s, n, &st->out, 0);
  }
}

static bool is_blank(const char *s, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r') {
      return false;
    }
  }
  return true;
}

at_err at_text_read_pod(const at_text_source *src, at_text_sink *sink) {
  state st = {0};
  at_text_sink_begin(sink, src->name);
  size_t start = 0, i = 0; /* the paragraph begins at start */
  while (i <= src->len) {
    const char *s = src->text + i, *end = memchr(s, '\n', src->len - i);
    size_t n = end == NULL ? src->len - i : (size_t)(end - s);
    if (is_blank(s, n)) {
      if (i > start) {
        put_paragraph(&st, src->text + start, i - start - 1, sink);
      }
      start = i + n + 1;
    } else if (end == NULL) {
      put_paragraph(&st, src->text + start, src->len - start, sink);
    }
    i += n + 1;
  }
  flush(&st, sink);
  at_text_sink_end(sink);
  at_err err = st.out.err;
  at_bytes_free(&st.out);
  return err != AT_OK ? err : at_text_sink_error(sink);
}
