/* SPDX-License-Identifier: BSD-3-Clause */
/* Reader of HTML and XML: tags go, block elements end paragraphs, scripts and listings are dropped. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "data/text/markup_internal.h"
#include "data/text/reader.h"

enum { TAG_MAX = 15, NAME_MAX_BYTES = 128 };

typedef enum action { INLINE, BLOCK, LINE, DROP, DROP_OSIS, CHAPTER } action;

static action action_of(const char *tag) {
  static const struct {
    const char *tag;
    action action;
  } table[] = {{"p", BLOCK},    {"div", BLOCK},      {"li", BLOCK},      {"ul", BLOCK},         {"ol", BLOCK},
               {"h1", BLOCK},   {"h2", BLOCK},       {"h3", BLOCK},      {"h4", BLOCK},         {"h5", BLOCK},
               {"h6", BLOCK},   {"dt", BLOCK},       {"dd", BLOCK},      {"tr", BLOCK},         {"td", BLOCK},
               {"th", BLOCK},   {"table", BLOCK},    {"title", BLOCK},   {"section", BLOCK},    {"article", BLOCK},
               {"item", BLOCK}, {"list", BLOCK},     {"lg", BLOCK},      {"para", BLOCK},       {"blockquote", BLOCK},
               {"body", BLOCK}, {"note", DROP_OSIS}, {"rdg", DROP_OSIS}, {"figure", DROP_OSIS}, {"chapter", CHAPTER},
               {"br", LINE},    {"lb", LINE},        {"l", LINE},        {"script", DROP},      {"style", DROP},
               {"nav", DROP},   {"pre", DROP},       {"head", DROP},     {"svg", DROP},         {"math", DROP}};
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    if (strcmp(table[i].tag, tag) == 0) {
      return table[i].action;
    }
  }
  return INLINE;
}

static void paragraph(at_markup *m) {
  if (m->open) {
    at_text_sink_paragraph(m->sink, m->para.data, m->para.len);
  }
  at_bytes_clear(&m->para);
}

/* The value of attribute `name` in the tag s[0..n); false when it has none. */
static bool attribute(const char *s, size_t n, const char *name, char *out, size_t room) {
  size_t len = strlen(name);
  for (size_t i = 1; i + len + 2 < n; i++) {
    if (isspace((unsigned char)s[i - 1]) && memcmp(s + i, name, len) == 0 && s[i + len] == '=' &&
        (s[i + len + 1] == '"' || s[i + len + 1] == '\'')) {
      const char *value = s + i + len + 2, *end = memchr(value, s[i + len + 1], n - (i + len + 2));
      snprintf(out, room, "%.*s", end == NULL ? 0 : (int)(end - value), value);
      return end != NULL;
    }
  }
  return false;
}

/* <chapter osisID="Gen.1" sID="..."/> begins a document, <chapter eID="..."/> or </chapter> ends it. */
static void chapter(at_markup *m, const char *s, size_t n, bool closing) {
  char name[NAME_MAX_BYTES];
  bool begins = !closing && attribute(s, n, "osisID", name, sizeof name);
  paragraph(m);
  if (m->open) {
    at_text_sink_end(m->sink);
  }
  m->open = begins;
  if (begins) {
    at_text_sink_begin(m->sink, name);
  }
}

/* The inside s[0..n) of a tag, without < and >. */
static void put_tag(at_markup *m, const char *s, size_t n) {
  bool closing = n > 0 && s[0] == '/';
  bool single = n > 0 && s[n - 1] == '/';
  char tag[TAG_MAX + 1];
  size_t len = 0;
  for (size_t i = closing; i < n && len < TAG_MAX && !isspace((unsigned char)s[i]) && s[i] != '/'; i++) {
    tag[len++] = (char)tolower((unsigned char)s[i]);
  }
  tag[len] = 0;
  if (m->drop[0] != 0) {
    if (!single && strcmp(tag, m->drop) == 0) {
      m->drop_depth += closing ? -1 : 1;
      m->drop[0] = m->drop_depth > 0 ? m->drop[0] : 0;
      m->gap = true;
    }
    return;
  }
  action a = action_of(tag);
  if ((a == DROP || (a == DROP_OSIS && m->osis)) && !closing && !single) {
    memcpy(m->drop, tag, len + 1);
    m->drop_depth = 1;
  } else if (a == CHAPTER && m->osis) {
    chapter(m, s, n, closing);
  } else if (a == BLOCK) {
    paragraph(m);
  } else if (a == LINE && m->para.len > 0) {
    at_bytes_char(&m->para, AT_TEXT_HARD_BREAK);
  }
}

/* &name; or &#number; at s[0]: its length, 0 when it is only an ampersand. */
static size_t put_entity(at_markup *m, const char *s, size_t n) {
  static const struct {
    const char *name, *text;
  } table[] = {{"lt", "<"},          {"gt", ">"},          {"amp", "&"},        {"quot", "\""},
               {"apos", "'"},        {"nbsp", " "},        {"copy", "\u00A9"},  {"mdash", "\u2014"},
               {"ndash", "\u2013"},  {"hellip", "\u2026"}, {"lsquo", "\u2018"}, {"rsquo", "\u2019"},
               {"ldquo", "\u201C"},  {"rdquo", "\u201D"},  {"laquo", "\u00AB"}, {"raquo", "\u00BB"},
               {"eacute", "\u00E9"}, {"rarr", "\u2192"},   {"larr", "\u2190"},  {"times", "\u00D7"}};
  const char *end = memchr(s, ';', n < 12 ? n : 12);
  if (end == NULL) {
    return 0;
  }
  size_t len = (size_t)(end - s) - 1;
  if (len >= 2 && s[1] == '#') {
    bool hex = s[2] == 'x' || s[2] == 'X';
    at_bytes_utf8(&m->para, (uint32_t)strtoul(s + (hex ? 3 : 2), NULL, hex ? 16 : 10));
    return len + 2;
  }
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    if (strlen(table[i].name) == len && memcmp(table[i].name, s + 1, len) == 0) {
      at_bytes_str(&m->para, table[i].text);
      return len + 2;
    }
  }
  return 0;
}

/* The end of the construct that begins with < at s[0]: a comment, CDATA, or tag.  Its length; 0 when it is plain text. */
static size_t extent(const char *s, size_t n, bool *tag) {
  static const char *const ends[][2] = {{"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}};
  *tag = false;
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    size_t len = strlen(ends[i][0]);
    if (n >= len && memcmp(s, ends[i][0], len) == 0) {
      const char *end = memmem(s + len, n - len, ends[i][1], strlen(ends[i][1]));
      return end == NULL ? n : (size_t)(end - s) + strlen(ends[i][1]);
    }
  }
  if (n < 2 || !(isalpha((unsigned char)s[1]) || s[1] == '/' || s[1] == '!')) {
    return 0;
  }
  char quote = 0;
  for (size_t i = 1; i < n; i++) {
    if (quote != 0) {
      quote = s[i] == quote ? 0 : quote;
    } else if ((s[i] == '"' || s[i] == '\'') && s[i - 1] == '=') {
      quote = s[i];
    } else if (s[i] == '>') {
      *tag = s[1] != '!';
      return i + 1;
    }
  }
  return n;
}

void at_markup_feed(at_markup *m, const char *text, size_t n) {
  for (size_t i = 0; i < n;) {
    size_t used = 0;
    bool tag = false;
    if (text[i] == '<') {
      used = extent(text + i, n - i, &tag);
      if (tag) {
        put_tag(m, text + i + 1, used - 2);
      } else if (used > 12 && memcmp(text + i, "<![CDATA[", 9) == 0 && m->drop[0] == 0) {
        at_bytes_put(&m->para, text + i + 9, used - 12);
      }
    } else if (text[i] == '&' && m->drop[0] == 0) {
      used = put_entity(m, text + i, n - i);
    }
    if (used == 0) {
      if (m->drop[0] == 0) {
        if (m->gap && isalnum((unsigned char)text[i])) {
          at_bytes_char(&m->para, ' ');
        }
        m->gap = false;
        at_bytes_char(&m->para, text[i]);
      }
      used = 1;
    }
    i += used;
  }
}

at_err at_markup_finish(at_markup *m) {
  paragraph(m);
  if (m->open) {
    at_text_sink_end(m->sink);
  }
  at_err err = m->para.err;
  at_bytes_free(&m->para);
  return err != AT_OK ? err : at_text_sink_error(m->sink);
}

at_err at_text_read_markup(const at_text_source *src, at_text_sink *sink) {
  at_markup m = {.sink = sink, .open = true};
  at_text_sink_begin(sink, src->name);
  at_markup_feed(&m, src->text, src->len);
  return at_markup_finish(&m);
}
