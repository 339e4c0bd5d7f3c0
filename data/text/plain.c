/* SPDX-License-Identifier: BSD-3-Clause */
/* Reader of plain text: paragraphs between blank lines; books by chapters, other long files in pieces of 16 KB. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "data/text/reader.h"

enum { NAME_MAX_BYTES = 512, PIECE_BYTES = 16384, WHOLE_BYTES = 2 * PIECE_BYTES, HEADING_MAX = 80 };

/* Next line of text[0..n) at *i, without its end; false behind the last. */
static bool next_line(const char *text, size_t n, size_t *i, const char **s, size_t *len) {
  if (*i >= n) {
    return false;
  }
  *s = text + *i;
  const char *end = memchr(*s, '\n', n - *i);
  *len = end == NULL ? n - *i : (size_t)(end - *s);
  *i += *len + 1;
  while (*len > 0 && isspace((unsigned char)(*s)[*len - 1])) {
    --*len;
  }
  return true;
}

/* "Chapter 12", "CHAPTER XII.", "Volume II", "Book 3: The Title" */
static bool is_heading(const char *s, size_t n) {
  static const char *const words[] = {"chapter ", "volume ", "book ", "part "};
  while (n > 0 && (*s == ' ' || *s == '\t')) {
    s++;
    n--;
  }
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    size_t len = strlen(words[i]);
    if (n > len && n <= HEADING_MAX && isupper((unsigned char)s[0]) && strncasecmp(s, words[i], len) == 0) {
      size_t at = len;
      while (at < n && (isdigit((unsigned char)s[at]) || strchr("IVXLC", s[at]) != NULL)) {
        at++;
      }
      return at > len && (at == n || strchr(".: ", s[at]) != NULL);
    }
  }
  return false;
}

typedef struct writer {
  const at_text_source *src;
  at_text_sink *sink;
  at_bytes para;
  size_t piece; /* bytes of the document so far */
  int number;   /* of the document, from 1; 0 when there is only one */
} writer;

static void begin(writer *w) {
  char name[NAME_MAX_BYTES];
  if (w->number > 0) {
    snprintf(name, sizeof name, "%s/%d", w->src->name, w->number);
  }
  at_text_sink_begin(w->sink, w->number > 0 ? name : w->src->name);
  w->piece = 0;
}

static void turn(writer *w) {
  at_text_sink_end(w->sink);
  w->number++;
  begin(w);
}

static void flush(writer *w) {
  at_text_sink_paragraph(w->sink, w->para.data, w->para.len);
  at_bytes_clear(&w->para);
}

/* A line that is indented or begins with a mark of a list keeps its break before it. */
static bool stands_alone(const char *s) {
  return s[0] == ' ' || s[0] == '\t' || ((s[0] == '-' || s[0] == '*' || s[0] == '+') && s[1] == ' ');
}

at_err at_text_read_plain(const at_text_source *src, at_text_sink *sink) {
  writer w = {.src = src, .sink = sink};
  const char *s;
  size_t i = 0, n;
  int headings = 0;
  while (next_line(src->text, src->len, &i, &s, &n)) {
    headings += is_heading(s, n);
  }
  bool book = headings >= 2;
  w.number = book ? 0 : src->len > WHOLE_BYTES;
  begin(&w);
  bool blank = true;
  for (i = 0; next_line(src->text, src->len, &i, &s, &n);) {
    if (book && blank && is_heading(s, n)) {
      turn(&w);
    }
    if (n == 0) {
      flush(&w);
      if (!book && w.number > 0 && w.piece >= PIECE_BYTES) {
        turn(&w);
      }
    } else {
      if (w.para.len > 0) {
        at_bytes_char(&w.para, stands_alone(s) ? AT_TEXT_HARD_BREAK : '\n');
      }
      at_bytes_put(&w.para, s, n);
      w.piece += n;
    }
    blank = n == 0;
  }
  flush(&w);
  at_text_sink_end(sink);
  at_err err = w.para.err;
  at_bytes_free(&w.para);
  return err != AT_OK ? err : at_text_sink_error(sink);
}
