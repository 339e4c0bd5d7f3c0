/* SPDX-License-Identifier: BSD-3-Clause */
/* Files on their way in: compression, encodings, R and SWORD containers, damage, noise. */
#include "tests/unit/text_helper.h"

#include <iconv.h>
#include <zlib.h>

#include "data/text/inflate.h"
#include "src/base/rng.h"

static const char page[] = ".SH NAME OF THE PAGE\nThe pilot knows every rock in the bay.\n";
static const char page_text[] = "NAME OF THE PAGE|The pilot knows every rock in the bay.";

static const char *put_gzip(const char *name, const char *text, size_t n, off_t keep) {
  const char *path = text_path(name);
  gzFile f = gzopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(gzwrite(f, text, (unsigned)n), (int)n);
  assert_int_equal(gzclose(f), Z_OK);
  if (keep > 0) {
    assert_int_equal(truncate(path, keep), 0);
  }
  return path;
}

/* Read one file; its documents, to be freed. */
static char *read_file(const char *reader, const char *path, const char *language, at_text_sink *sink) {
  *sink = (at_text_sink){0};
  assert_ok(at_text_read_file(reader != NULL ? at_text_reader_find(reader) : NULL, path, "doc", language, sink));
  return text_render(sink);
}

static void expect_file(const char *path, const char *language, const char *want) {
  at_text_sink sink;
  char *found = read_file(NULL, path, language, &sink);
  assert_string_equal(found, want);
  assert_int_equal(sink.skipped, 0);
  at_text_sink_free(&sink);
  free(found);
}

static void expect_skipped(const char *reader, const char *path, const char *problem) {
  at_text_sink sink;
  char *found = read_file(reader, path, "", &sink);
  assert_string_equal(found, "");
  assert_int_equal(sink.files, 1);
  assert_int_equal(sink.skipped, 1);
  if (strstr(sink.problem, problem) == NULL) {
    fail_msg("wanted \"%s\" in \"%s\"", problem, sink.problem);
  }
  assert_non_null(strstr(sink.problem, text_folder)); /* names the file */
  at_text_sink_free(&sink);
  free(found);
}

static void plain_and_gzipped_pages(void **state) {
  (void)state;
  char want[128];
  snprintf(want, sizeof want, "<doc>%s", page_text);
  expect_file(text_put_file("pilot.7", page, strlen(page)), "en", want);
  expect_file(put_gzip("pilot.7.gz", page, strlen(page), 0), "en", want);
  expect_file(text_put_file("no_suffix", ".TH PILOT 7\n.PP\nFound by its first line.\n", 40), "en",
              "<doc>Found by its first line.");
  expect_file(text_put_file("bom.txt", "\xEF\xBB\xBFWith a byte-order mark.", 26), "", "<doc>With a byte-order mark.");
  expect_file(text_put_file("empty.txt", "", 0), "", "");
  expect_file(text_put_file("blank.1", "\n\n \n", 4), "", "");
}

static void damaged_files_are_skipped_with_their_reason(void **state) {
  (void)state;
  char noise[4096];
  for (size_t i = 0; i < sizeof noise; i++) {
    noise[i] = (char)(i * i * 31 % 251);
  }
  expect_skipped(NULL, put_gzip("cut.1.gz", noise, sizeof noise, 200), "cut short");
  expect_skipped(NULL, put_gzip("header.1.gz", page, strlen(page), 12), "cut short");
  expect_skipped(NULL,
                 text_put_file("binary.1",
                               "\x7F"
                               "ELF\0\0\0\1",
                               8),
                 "not text");
  expect_skipped(NULL, text_put_file("garbage.1.gz", "\x1F\x8B\x08\x00garbage follows here", 24), "damaged");
  expect_skipped(NULL, text_path("is/not/there.1"), "cannot be opened");
  expect_skipped("rdb", text_put_file("short.rdb", "\0\0\0", 3), "expected zlib data");
  expect_skipped("rdb",
                 text_put_file("bzip2.rdb",
                               "\0\0\1\0"
                               "2BZh91AY&SY",
                               15),
                 "bzip2 or xz is not read");
  expect_skipped("sword", text_put_file("odd.bzs", "12345", 5), "entries of 12 bytes");
  expect_skipped("sword", text_put_file("lonely.bzs", "123456789012", 12), "cannot be opened");
}

static void one_bad_file_leaves_no_trace(void **state) {
  (void)state;
  at_text_sink sink = {0};
  const at_text_reader *man = at_text_reader_find("man");
  assert_ok(at_text_read_file(man, text_put_file("a.1", page, strlen(page)), "a.1", "", &sink));
  assert_ok(at_text_read_file(man, text_put_file("b.1", "\0\1", 2), "b.1", "", &sink));
  assert_ok(at_text_read_file(man, text_put_file("c.1", page, strlen(page)), "c.1", "", &sink));
  char *found = text_render(&sink), want[256];
  snprintf(want, sizeof want, "<a.1>%s<c.1>%s", page_text, page_text);
  assert_string_equal(found, want);
  assert_int_equal(sink.files, 3);
  assert_int_equal(sink.skipped, 1);
  free(found);
  at_text_sink_free(&sink);
}

static void legacy_encodings_follow_the_language(void **state) {
  (void)state;
  static const struct {
    const char *language, *encoding, *text;
  } cases[] = {
      {"ru", "KOI8-R", "Лоцман знает каждую скалу."},
      {"ja", "EUC-JP", "水先案内人は湾のすべての岩を知っています。"},
      {"pl", "ISO-8859-2", "Pilot zna każdą skałę w zatoce."},
      {"de", "ISO-8859-1", "Der Lotse kennt jede Klippe schön genau."},
      {"zh_CN", "GB18030", "领航员知道海湾里的每一块岩石在哪里。"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char old[256], *in = (char *)cases[i].text, *out = old, want[256];
    size_t left = strlen(in), room = sizeof old;
    iconv_t cd = iconv_open(cases[i].encoding, "UTF-8");
    assert_true(cd != (iconv_t)-1);
    assert_int_equal(iconv(cd, &in, &left, &out, &room), 0);
    iconv_close(cd);
    assert_false(at_utf8_valid(old, (size_t)(out - old)));
    snprintf(want, sizeof want, "<doc>%s", cases[i].text);
    expect_file(text_put_file("legacy.1", old, (size_t)(out - old)), cases[i].language, want);
    expect_file(text_put_file("modern.1", cases[i].text, strlen(cases[i].text)), cases[i].language, want);
  }
}

/* ---- containers ---- */

static void put_u32_be(at_bytes *b, uint32_t v) {
  const char out[4] = {(char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v};
  at_bytes_put(b, out, 4);
}

static void put_u32_le(at_bytes *b, uint32_t v) {
  const char out[4] = {(char)v, (char)(v >> 8), (char)(v >> 16), (char)(v >> 24)};
  at_bytes_put(b, out, 4);
}

static size_t put_zlib(at_bytes *b, const at_bytes *raw) {
  uLongf n = compressBound(raw->len);
  assert_true(at_bytes_reserve(b, n));
  assert_int_equal(compress((Bytef *)b->data + b->len, &n, (const Bytef *)raw->data, raw->len), Z_OK);
  b->len += n;
  return n;
}

/* A character vector of R; the last line is "not available". */
static void put_lines(at_bytes *x, const char *title, int lines) {
  put_u32_be(x, 16);
  put_u32_be(x, (uint32_t)lines + 2);
  put_u32_be(x, 0x00040009);
  put_u32_be(x, (uint32_t)strlen(title));
  at_bytes_str(x, title);
  for (int i = 0; i < lines; i++) {
    char line[64];
    snprintf(line, sizeof line, "%s", i % 2 == 0 ? "" : "A line of the novel as it was written.");
    put_u32_be(x, 0x00040009);
    put_u32_be(x, (uint32_t)strlen(line));
    at_bytes_str(x, line);
  }
  put_u32_be(x, 9);
  put_u32_be(x, UINT32_MAX);
}

/* A data base of two objects: a list of (numbers, lines) with attributes, and lines alone. */
static void make_rdb(at_bytes *out) {
  at_bytes x = {0};
  at_bytes_put(&x, "X\n", 2);
  put_u32_be(&x, 3);
  put_u32_be(&x, 0x00040003);
  put_u32_be(&x, 0x00030500);
  put_u32_be(&x, 5);
  at_bytes_str(&x, "UTF-8");
  put_u32_be(&x, 19 | 0x200); /* a list with attributes */
  put_u32_be(&x, 3);
  put_u32_be(&x, 13);
  put_u32_be(&x, 2);
  put_u32_be(&x, 7);
  put_u32_be(&x, 8);
  put_u32_be(&x, 14);
  put_u32_be(&x, 1);
  put_u32_be(&x, 0);
  put_u32_be(&x, 0);
  put_lines(&x, "THE FIRST NOVEL", 40);
  put_u32_be(&x, 2 | 0x400); /* attributes: a pairlist with a tag */
  put_u32_be(&x, 1);
  put_u32_be(&x, 9);
  put_u32_be(&x, 5);
  at_bytes_str(&x, "names");
  put_u32_be(&x, 254);
  put_u32_be(&x, 254);
  put_u32_be(out, (uint32_t)x.len);
  put_zlib(out, &x);
  at_bytes_clear(&x);
  at_bytes_put(&x, "X\n", 2);
  put_u32_be(&x, 2);
  put_u32_be(&x, 0);
  put_u32_be(&x, 0);
  put_lines(&x, "The Second", 40);
  put_u32_be(out, (uint32_t)x.len);
  put_zlib(out, &x);
  at_bytes_free(&x);
}

static void r_data_bases_give_their_lines(void **state) {
  (void)state;
  at_bytes rdb = {0};
  make_rdb(&rdb);
  char *found = text_read("rdb", rdb.data, rdb.len);
  assert_int_equal(strncmp(found, "<page.1/THE FIRST NOVEL>A line of the novel as it was written.|A line", 65), 0);
  assert_non_null(strstr(found, "<page.1/The Second>A line of the novel"));
  free(found);
  /* Cut anywhere but between two objects it is an error, which leaves nothing behind. */
  for (size_t n = 0; n < rdb.len; n += 7) {
    at_text_sink sink;
    found = read_file("rdb", text_put_file("cut.rdb", rdb.data, n), "", &sink);
    assert_true(n == 0 || (sink.skipped == 1) == (sink.packed.len == 0));
    at_text_sink_free(&sink);
    free(found);
  }
  at_bytes_free(&rdb);
}

static void sword_modules_give_chapters(void **state) {
  (void)state;
  static const char *const books[] = {
      "<title>dropped, before any chapter</title><chapter osisID=\"Ion.1\" sID=\"c1\"/><div sID=\"p1\" type=\"x-p\"/>"
      "<w lemma=\"x\">Now</w> the <w>word</w> came,<note n=\"1\">not<note>nested</note>e</note>to <q "
      "who=\"a\">Jonah</q>."
      "<div eID=\"p1\" type=\"x-p\"/><lg><l>Out of the storm I called,</l><l>and a boat came by.</l></lg>"
      "<chapter eID=\"c1\"/>between chapters nothing is kept<chapter osisID=\"Ion.2\" sID=\"c2\"/>",
      "The second chapter, in another block.<chapter eID=\"c2\"/>"};
  at_bytes index = {0}, packed = {0};
  for (int i = 0; i < 2; i++) {
    at_bytes raw = {0};
    at_bytes_str(&raw, books[i]);
    put_u32_le(&index, (uint32_t)packed.len);
    size_t n = put_zlib(&packed, &raw);
    put_u32_le(&index, (uint32_t)n);
    put_u32_le(&index, (uint32_t)raw.len);
    for (int empty = 0; empty < 3; empty++) { /* an empty block between */
      put_u32_le(&index, 0);
    }
    at_bytes_free(&raw);
  }
  text_put_file("nt.bzz", packed.data, packed.len);
  expect_file(text_put_file("nt.bzs", index.data, index.len), "",
              "<Ion.1>Now the word came, to Jonah.|Out of the storm I called,\nand a boat came by."
              "<Ion.2>The second chapter, in another block.");
  text_put_file("nt.bzz", packed.data, packed.len - 9);
  expect_skipped("sword", text_path("nt.bzs"), "beyond the end");
  packed.data[packed.len / 4] ^= 0x55;
  text_put_file("nt.bzz", packed.data, packed.len);
  expect_skipped("sword", text_path("nt.bzs"), "damaged");
  at_bytes_free(&index);
  at_bytes_free(&packed);
}

static void zlib_blocks_are_bounded(void **state) {
  (void)state;
  at_bytes raw = {0}, packed = {0}, out = {0};
  for (int i = 0; i < 100000; i++) {
    at_bytes_char(&raw, 'x');
  }
  size_t n = put_zlib(&packed, &raw), used;
  at_bytes_str(&packed, "trailing");
  assert_ok(at_text_unzip(packed.data, packed.len, raw.len, &out, &used));
  assert_int_equal(used, n);
  assert_int_equal(out.len, raw.len);
  assert_fails(AT_ERR_FORMAT, "damaged", at_text_unzip(packed.data, n, raw.len - 1, &out, &used));
  assert_fails(AT_ERR_FORMAT, "cut short", at_text_unzip(packed.data, n - 1, raw.len, &out, &used));
  assert_int_equal(out.len, raw.len); /* unchanged by the failures */
  at_bytes_free(&raw);
  at_bytes_free(&packed);
  at_bytes_free(&out);
}

/* Readers meet any valid UTF-8; text_render checks what comes out. */
static void readers_survive_noise(void **state) {
  (void)state;
  static const char *const bits[] = {".",
                                     "'",
                                     "\\",
                                     "\\f",
                                     "\\(",
                                     "\\[",
                                     "\\*[",
                                     "\\n(",
                                     "\\{",
                                     "\\}",
                                     "\n",
                                     "\n.",
                                     ".if ",
                                     ".ie ",
                                     ".el ",
                                     ".de X\n",
                                     ".ds a ",
                                     ".TP\n",
                                     ".IP ",
                                     ".Op ",
                                     ".Fl ",
                                     ".Fn ",
                                     ".Xr ",
                                     ".Nm ",
                                     "Ns ",
                                     "\"",
                                     "\"\"",
                                     "=item ",
                                     "=begin x\n\n",
                                     "=cut\n\n",
                                     "B<",
                                     "C<< ",
                                     " >>",
                                     "L<",
                                     "E<",
                                     ">",
                                     "<",
                                     "</",
                                     "<!--",
                                     "-->",
                                     "<pre>",
                                     "&#x",
                                     "&amp",
                                     ";",
                                     "<chapter osisID=\"a\"",
                                     "%\n",
                                     "\b",
                                     "Chapter I\n",
                                     "\u00E9",
                                     "\u65E5\u672C",
                                     "word word words ",
                                     " ",
                                     "(",
                                     ")",
                                     "+1",
                                     ">2",
                                     "\\h'",
                                     "\\o",
                                     "\\c\n",
                                     "\\\n"};
  enum { BITS = sizeof bits / sizeof bits[0], ROUNDS = 3000 };
  at_stream s = {.seed = 7, .purpose = AT_RNG_TEST};
  uint64_t draw = 0;
  for (int round = 0; round < ROUNDS; round++) {
    at_bytes text = {0};
    uint64_t pieces = at_rng_below(&s, draw++, 60);
    for (uint64_t i = 0; i < pieces; i++) {
      at_bytes_str(&text, bits[at_rng_below(&s, draw++, BITS)]);
    }
    for (const at_text_reader *r = at_text_readers; r->name != NULL; r++) {
      if (!r->binary && text.len > 0) {
        free(text_read(r->name, text.data, text.len));
      }
    }
    at_bytes_free(&text);
  }
}

/* A data base whose unpacked object is damaged must not be followed out of its bounds. */
static void r_objects_survive_noise(void **state) {
  (void)state;
  at_bytes rdb = {0}, raw = {0};
  make_rdb(&rdb);
  size_t used;
  assert_ok(at_text_unzip(rdb.data + 4, rdb.len - 4, 1 << 20, &raw, &used));
  at_stream s = {.seed = 8, .purpose = AT_RNG_TEST};
  for (uint64_t round = 0; round < 500; round++) {
    at_bytes bad = {0}, file = {0};
    at_bytes_put(&bad, raw.data, raw.len);
    for (uint64_t k = 0; k < 3; k++) {
      bad.data[at_rng_below(&s, 8 * round + 2 * k, 120)] = (char)at_rng_below(&s, 8 * round + 2 * k + 1, 256);
    }
    put_u32_be(&file, (uint32_t)bad.len);
    put_zlib(&file, &bad);
    at_text_sink sink = {0};
    at_text_source src = {.path = "x", .name = "x", .language = "", .text = file.data, .len = file.len};
    assert_ok(at_text_read_rdb(&src, &sink));
    free(text_render(&sink));
    at_text_sink_free(&sink);
    at_bytes_free(&bad);
    at_bytes_free(&file);
  }
  at_bytes_free(&rdb);
  at_bytes_free(&raw);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_and_gzipped_pages),       cmocka_unit_test(damaged_files_are_skipped_with_their_reason),
      cmocka_unit_test(one_bad_file_leaves_no_trace),  cmocka_unit_test(legacy_encodings_follow_the_language),
      cmocka_unit_test(r_data_bases_give_their_lines), cmocka_unit_test(sword_modules_give_chapters),
      cmocka_unit_test(zlib_blocks_are_bounded),       cmocka_unit_test(readers_survive_noise),
      cmocka_unit_test(r_objects_survive_noise),
  };
  return cmocka_run_group_tests(tests, text_make_folder, text_remove_folder);
}
