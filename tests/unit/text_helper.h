/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of text readers share: documents as one string, and a folder for files. */
#ifndef AT_TESTS_TEXT_HELPER_H
#define AT_TESTS_TEXT_HELPER_H

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/text/reader.h"
#include "data/text/utf8.h"

/* "<name>paragraph|paragraph<name>..."; every document is checked to be valid UTF-8 without bytes of value 0. */
static inline char *text_render(const at_text_sink *sink) {
  at_bytes out = {0};
  at_text_document doc;
  for (size_t at = 0; at_text_next_document(sink->packed.data, sink->packed.len, &at, &doc);) {
    const char *body = doc.body;
    at_bytes_char(&out, '<');
    at_bytes_put(&out, doc.name, doc.name_len);
    at_bytes_char(&out, '>');
    assert_true(doc.paragraphs > 0);
    for (uint32_t i = 0; i < doc.paragraphs; i++) {
      at_text_paragraph p = at_text_next_paragraph(&body);
      assert_true(at_utf8_valid(p.text, p.len));
      assert_null(memchr(p.text, 0, p.len));
      assert_true(p.hash == at_text_hash(p.text, p.len));
      at_bytes_str(&out, i > 0 ? "|" : "");
      at_bytes_put(&out, p.text, p.len);
    }
  }
  char *copy = strdup(out.len > 0 ? out.data : "");
  at_bytes_free(&out);
  return copy;
}

/* What `reader` makes of `text`; to be freed. */
static inline char *text_read(const char *reader, const char *text, size_t n) {
  at_text_sink sink = {0};
  at_text_source src = {.path = "dir/page.1", .name = "page.1", .language = "", .text = text, .len = n};
  assert_ok(at_text_reader_find(reader)->read(&src, &sink));
  char *out = text_render(&sink);
  at_text_sink_free(&sink);
  return out;
}

static inline void text_expect(const char *reader, const char *text, const char *want) {
  char *found = text_read(reader, text, strlen(text));
  assert_string_equal(found, want);
  free(found);
}

static char text_folder[64];

static inline int text_make_folder(void **state) {
  (void)state;
  snprintf(text_folder, sizeof text_folder, "/tmp/atoll_text_XXXXXX");
  return mkdtemp(text_folder) == NULL;
}

static inline int text_remove_folder(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", text_folder);
  return system(command) != 0;
}

/* The path of `name` in the folder; folders on the way are made. */
static inline const char *text_path(const char *name) {
  static char path[4][512];
  static int next;
  char *p = path[next++ % 4];
  snprintf(p, sizeof path[0], "%s/%s", text_folder, name);
  for (char *at = p + strlen(text_folder) + 1; (at = strchr(at, '/')) != NULL; at++) {
    *at = 0;
    mkdir(p, 0755);
    *at = '/';
  }
  return p;
}

static inline const char *text_put_file(const char *name, const void *data, size_t n) {
  const char *path = text_path(name);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(data, 1, n, f), n);
  assert_int_equal(fclose(f), 0);
  return path;
}

#endif
