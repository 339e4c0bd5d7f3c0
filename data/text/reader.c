/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of text readers, and how a file finds its own. */
#include "data/text/reader.h"

#include <ctype.h>
#include <string.h>

#include "data/text/inflate.h"
#include "data/text/utf8.h"

bool at_text_has_suffix(const char *path, const char *suffix) {
  size_t n = strlen(path), m = strlen(suffix);
  return n >= m && strcmp(path + n - m, suffix) == 0;
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? path : slash + 1;
}

/* name.1 to name.9, with letters behind the digit (name.3pm), perhaps .gz: a manual page */
static bool accepts_page(const char *path) {
  const char *base = base_name(path);
  size_t n = strlen(base);
  if (at_text_has_suffix(base, ".gz")) {
    n -= 3;
  }
  size_t letters = n;
  while (letters > 0 && isalpha((unsigned char)base[letters - 1])) {
    letters--;
  }
  return letters >= 3 && n - letters <= 5 && base[letters - 1] >= '1' && base[letters - 1] <= '9' &&
         base[letters - 2] == '.';
}

static bool accepts_pod(const char *path) {
  return at_text_has_suffix(path, ".pod");
}

static bool accepts_fortunes(const char *path) {
  return strstr(path, "/fortunes/") != NULL && strchr(base_name(path), '.') == NULL;
}

static bool accepts_rdb(const char *path) {
  return at_text_has_suffix(path, ".rdb");
}

static bool accepts_sword(const char *path) {
  return at_text_has_suffix(path, ".bzs");
}

static bool accepts_markup(const char *path) {
  static const char *const suffixes[] = {".html", ".htm", ".xhtml", ".xml", ".page"};
  for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
    if (at_text_has_suffix(path, suffixes[i])) {
      return true;
    }
  }
  return false;
}

static bool accepts_plain(const char *path) {
  (void)path;
  return true;
}

const at_text_reader at_text_readers[] = {
    {"man", "manual pages in troff, man or mdoc macros", false, accepts_page, at_text_read_troff},
    {"pod", "Perl documentation", false, accepts_pod, at_text_read_pod},
    {"fortunes", "fortune cookies: texts between lines with a %", false, accepts_fortunes, at_text_read_fortunes},
    {"rdb", "R lazy-load data bases: their vectors of lines", true, accepts_rdb, at_text_read_rdb},
    {"sword", "SWORD zText modules: OSIS text by chapter", true, accepts_sword, at_text_read_sword},
    {"markup", "HTML and XML without their tags", false, accepts_markup, at_text_read_markup},
    {"plain", "plain text, by chapters or in pieces of 16 KB", false, accepts_plain, at_text_read_plain},
    {NULL, NULL, false, NULL, NULL},
};

const at_text_reader *at_text_reader_find(const char *name) {
  for (const at_text_reader *r = at_text_readers; r->name != NULL; r++) {
    if (strcmp(r->name, name) == 0) {
      return r;
    }
  }
  return NULL;
}

/* By the name; a file that only `plain` would take is looked at: troff and markup show in the first characters. */
static const at_text_reader *choose(const char *path, const at_bytes *text) {
  const at_text_reader *r = at_text_readers;
  while (!r->accepts(path)) {
    r++;
  }
  if (strcmp(r->name, "plain") != 0 || text->len < 4) {
    return r;
  }
  const char *s = text->data;
  if (strncmp(s, ".\\\"", 3) == 0 || strncmp(s, "'\\\"", 3) == 0 || strncmp(s, ".TH ", 4) == 0 ||
      strncmp(s, ".Dd ", 4) == 0) {
    return at_text_reader_find("man");
  }
  return strncmp(s, "<?xml", 5) == 0 || strncasecmp(s, "<!doctype", 9) == 0 || strncasecmp(s, "<html", 5) == 0
             ? at_text_reader_find("markup")
             : r;
}

at_err at_text_read_file(const at_text_reader *reader, const char *path, const char *name, const char *language,
                         at_text_sink *sink) {
  at_bytes text = {0};
  size_t before = sink->packed.len;
  sink->files++;
  at_err err = at_text_load(path, &text);
  if (err == AT_OK) {
    reader = reader != NULL ? reader : choose(path, &text);
    err = reader->binary ? AT_OK : at_utf8_ensure(&text, language);
  }
  if (err == AT_OK && text.len > 0) {
    at_text_source src = {.path = path, .name = name, .language = language, .text = text.data, .len = text.len};
    if (!reader->binary && text.len >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0) {
      src.text += 3; /* a byte-order mark */
      src.len -= 3;
    }
    err = reader->read(&src, sink);
  }
  at_bytes_free(&text);
  if (err == AT_OK || err == AT_ERR_MEMORY) {
    return err;
  }
  sink->packed.len = before; /* nothing of a file that is damaged in its middle */
  if (sink->skipped++ == 0) {
    const char *message = at_err_message();
    snprintf(sink->problem, sizeof sink->problem, "%s%s%s", strstr(message, path) != NULL ? "" : path,
             strstr(message, path) != NULL ? "" : ": ", message);
  }
  return AT_OK;
}
