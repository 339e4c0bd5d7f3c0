/* SPDX-License-Identifier: BSD-3-Clause */
/* Silos: cleaning, duplicates, splits by name, the table and its packages, files found. */
#include "tests/unit/text_helper.h"

#include "data/text/hashset.h"
#include "data/text/merge.h"
#include "data/text/silos.h"
#include "src/base/alloc.h"

static void expect_clean(const char *in, const char *want) {
  at_bytes out = {0};
  bool kept = at_text_clean(in, strlen(in), &out);
  if (want == NULL) {
    assert_false(kept);
  } else {
    assert_true(kept);
    assert_string_equal(out.data, want);
  }
  at_bytes_free(&out);
}

static void paragraphs_are_cleaned(void **state) {
  (void)state;
  expect_clean("  Several \t blanks\n and   lines\r\n become one. ", "Several blanks and lines become one.");
  expect_clean("A break\vthat stays \v\n\v here.", "A break\nthat stays\nhere.");
  expect_clean("No\u00A0break, wide\u3000blank,\u200B soft\u00ADhyphen, \x01\x7F"
               "controls.",
               "No break, wide blank, softhyphen, controls.");
  expect_clean("日本語の文章は、\n行の終わりに空白を\n持ちません。", "日本語の文章は、行の終わりに空白を持ちません。");
  expect_clean("한국어 문장은 줄 끝에\n빈칸을 가집니다.", "한국어 문장은 줄 끝에 빈칸을 가집니다.");
}

static void short_wordless_and_malformed_paragraphs_go(void **state) {
  (void)state;
  expect_clean("fifteen letters", NULL);
  expect_clean("sixteen letters.", "sixteen letters.");
  expect_clean("十五文字では足りませんから消え", NULL);
  expect_clean("十六文字ならば足りますので残ります", "十六文字ならば足りますので残ります");
  expect_clean("0x00 0x01 0x02 0x03 abcdef", NULL);
  expect_clean("abcdefghijk123456789", "abcdefghijk123456789"); /* 11 of 20: exactly 55 % */
  expect_clean("abcdefghij1234567890", NULL);
  expect_clean("broken \xC3( sequence of bytes", NULL);
  expect_clean("overlong \xC0\x80 sequence of bytes", NULL);
  expect_clean("surrogate \xED\xA0\x80 sequence of bytes", NULL);
  expect_clean("", NULL);
}

static void utf8_round_trips(void **state) {
  (void)state;
  for (uint32_t c = 1; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 97) {
    char s[4];
    uint32_t back = 0;
    size_t n = at_utf8_encode(c, s);
    assert_int_equal(at_utf8_decode(s, n, &back), n);
    assert_int_equal(back, c >= 0xD800 && c <= 0xDFFF ? 0xFFFD : c);
    assert_int_equal(n > 1 ? at_utf8_decode(s, n - 1, &back) : 0, 0);
  }
  assert_true(at_utf8_is_letter('z') && at_utf8_is_letter(0xE9) && at_utf8_is_letter(0x436) &&
              at_utf8_is_letter(0x4E2D));
  assert_false(at_utf8_is_letter('0') || at_utf8_is_letter(0xD7) || at_utf8_is_letter(0x2014) ||
               at_utf8_is_letter(0x3002));
}

static void hash_sets_remember(void **state) {
  (void)state;
  at_hashset set = {0};
  bool fresh;
  assert_false(at_hashset_has(&set, 0));
  assert_false(at_hashset_has(&set, 5));
  for (int pass = 0; pass < 2; pass++) {
    for (uint64_t i = 0; i < 5000; i++) {
      assert_ok(at_hashset_add(&set, i << 12, &fresh)); /* equal low bits: all collide at first */
      assert_int_equal(fresh, pass == 0);
    }
  }
  assert_true(at_hashset_has(&set, 4999ULL << 12));
  assert_false(at_hashset_has(&set, 1));
  at_hashset_free(&set);
}

/* ---- merging ---- */

static void put_document(at_text_sink *sink, const char *name, const char *const *paragraphs) {
  at_text_sink_begin(sink, name);
  for (; *paragraphs != NULL; paragraphs++) {
    at_text_sink_paragraph(sink, *paragraphs, strlen(*paragraphs));
  }
  at_text_sink_end(sink);
}
#define DOC(sink, name, ...) put_document((sink), (name), (const char *const[]){__VA_ARGS__, NULL})

static void duplicates_and_untranslated_text_go(void **state) {
  (void)state;
  at_text_sink english = {0}, german = {0};
  DOC(&english, "a.1", "The first English text.", "The shared licence text.", "The first English text.");
  DOC(&german, "a.1", "Der erste deutsche Text.", "The shared licence text.", "Der erste deutsche Text.");
  DOC(&german, "b.1", "Der erste deutsche Text.");
  DOC(&german, "c.1", "Noch ein deutscher Text.", "Ein Absatz dahinter, neu.");
  at_text_rules rules = {.seed = 1};
  at_hashset seen = {0};
  at_text_silo en = {0}, de = {0};
  assert_ok(at_text_merge(english.packed.data, english.packed.len, NULL, &seen, &rules, &en));
  assert_ok(at_text_merge(german.packed.data, german.packed.len, &seen, NULL, &rules, &de));
  assert_int_equal(en.duplicates, 1);
  assert_int_equal(en.documents, 1);
  assert_int_equal(de.duplicates, 2);
  assert_int_equal(de.foreign, 1);
  assert_int_equal(de.documents, 2); /* b.1 had nothing of its own */
  assert_int_equal(de.paragraphs, 3);
  static const char want[] = "Der erste deutsche Text.\0Noch ein deutscher Text.\n\nEin Absatz dahinter, neu.";
  assert_int_equal(de.split[AT_TEXT_TRAIN].len, sizeof want);
  assert_memory_equal(de.split[AT_TEXT_TRAIN].data, want, sizeof want);
  assert_string_equal(de.name[1], "c.1");
  assert_int_equal(de.offset[1], 25);
  assert_int_equal(de.length[1], sizeof want - 26);
  at_text_silo_free(&en);
  at_text_silo_free(&de);
  at_hashset_free(&seen);
  at_text_sink_free(&english);
  at_text_sink_free(&german);
}

enum { DOCUMENTS = 4000 };

static void put_many(at_text_sink *sink, const char *text) {
  for (int i = 0; i < DOCUMENTS; i++) {
    char name[32], body[96];
    snprintf(name, sizeof name, "page%d.%d", i, 1 + i % 8);
    snprintf(body, sizeof body, "%s %d", text, i);
    DOC(sink, name, body);
  }
}

static void splits_follow_names_alone(void **state) {
  (void)state;
  at_text_sink sinks[2] = {0};
  at_text_silo silo[2] = {0};
  at_text_rules rules = {.seed = 3, .validation = 0.05, .test = 0.1};
  put_many(&sinks[0], "An English page of some length, numbered");
  put_many(&sinks[1], "Eine deutsche Seite von gewisser Länge, Nummer");
  for (int s = 0; s < 2; s++) {
    assert_ok(at_text_merge(sinks[s].packed.data, sinks[s].packed.len, NULL, NULL, &rules, &silo[s]));
    assert_int_equal(silo[s].documents, DOCUMENTS);
  }
  int count[AT_TEXT_SPLITS] = {0};
  for (int i = 0; i < DOCUMENTS; i++) {
    assert_string_equal(silo[0].name[i], silo[1].name[i]);
    assert_int_equal(silo[0].which[i], silo[1].which[i]);
    assert_int_equal(silo[0].which[i], at_text_split_of(&rules, silo[0].name[i], strlen(silo[0].name[i])));
    count[silo[0].which[i]]++;
  }
  /* Binomial: 4000 draws stay within five deviations. */
  assert_in_range(count[AT_TEXT_TEST], 400 - 95, 400 + 95);
  assert_in_range(count[AT_TEXT_VALIDATION], 200 - 69, 200 + 69);
  at_text_rules other = rules;
  other.seed = 4;
  int moved = 0;
  for (int i = 0; i < DOCUMENTS; i++) {
    moved += at_text_split_of(&other, silo[0].name[i], strlen(silo[0].name[i])) != silo[0].which[i];
  }
  assert_true(moved > DOCUMENTS / 10);
  for (int s = 0; s < 2; s++) {
    at_text_silo_free(&silo[s]);
    at_text_sink_free(&sinks[s]);
  }
}

static void a_budget_takes_whole_documents_in_order(void **state) {
  (void)state;
  at_text_sink sink = {0};
  at_text_silo part = {0}, all = {0};
  at_text_rules rules = {.seed = 3, .validation = 0.1, .test = 0.1};
  put_many(&sink, "A page of some length, numbered");
  assert_ok(at_text_merge(sink.packed.data, sink.packed.len, NULL, NULL, &rules, &all));
  rules.max_bytes = 20000;
  assert_ok(at_text_merge(sink.packed.data, sink.packed.len, NULL, NULL, &rules, &part));
  int64_t bytes = 0;
  for (int s = 0; s < AT_TEXT_SPLITS; s++) {
    bytes += (int64_t)part.split[s].len;
  }
  assert_in_range(bytes, 19900, 20000);
  assert_int_equal(part.documents + part.left_out, DOCUMENTS);
  int64_t at = 0; /* a subsequence of all documents, from the whole range, in their old splits */
  for (int64_t i = 0; i < part.documents; i++, at++) {
    while (strcmp(all.name[at], part.name[i]) != 0) {
      at++;
      assert_true(at < all.documents);
    }
    assert_int_equal(all.which[at], part.which[i]);
  }
  assert_true(at > DOCUMENTS * 9 / 10);
  at_text_silo_free(&part);
  at_text_silo_free(&all);
  at_text_sink_free(&sink);
}

/* ---- the table ---- */

static at_err make_list(at_silo_list *out, int n_names, char **names, int n_own, char **own) {
  at_strlist a = {.item = names, .count = n_names}, b = {.item = own, .count = n_own};
  return at_silo_list_create(out, &a, &b, false);
}

static void silos_are_listed(void **state) {
  (void)state;
  at_silo_list list;
  char *all[] = {"all"}, *small[] = {"small"}, *two[] = {"uk", "novels"}, *twice[] = {"de", "de"}, *bad[] = {"xx"};
  char *own[] = {"poems:/a", "/b", "prose:relative/c"}, *pathless[] = {"/a"}, *clash[] = {"de:/a"};
  assert_ok(make_list(&list, 1, all, 0, NULL));
  assert_int_equal(list.count, 14);
  at_silo_list_free(&list);
  assert_ok(make_list(&list, 1, small, 0, NULL));
  assert_int_equal(list.count, 4);
  assert_false(list.item[0].required);
  at_silo_list_free(&list);
  assert_ok(make_list(&list, 2, two, 3, own));
  assert_int_equal(list.count, 4);
  assert_string_equal(list.item[1].name, "novels");
  assert_true(list.item[1].required);
  assert_string_equal(list.item[2].name, "poems");
  assert_int_equal(list.item[2].n_paths, 2);
  assert_int_equal(list.item[3].n_paths, 1);
  at_silo_list_free(&list);
  assert_fails(AT_ERR_CONFIG, "there is no 'xx'", make_list(&list, 1, bad, 0, NULL));
  assert_fails(AT_ERR_CONFIG, "named twice", make_list(&list, 2, twice, 0, NULL));
  assert_fails(AT_ERR_CONFIG, "named twice", make_list(&list, 1, all, 1, clash));
  assert_fails(AT_ERR_CONFIG, "NAME:PATH", make_list(&list, 0, NULL, 1, pathless));
}

/* jobs/fetch-text has a table of its own: both must name the same packages for the same silos. */
static void the_script_fetches_what_the_table_needs(void **state) {
  (void)state;
  at_bytes script = {0};
  FILE *f = fopen("jobs/fetch-text", "r");
  if (f == NULL) {
    print_message("skipped: not started from the root of the tree\n");
    skip();
  }
  for (int c = fgetc(f); c != EOF; c = fgetc(f)) {
    at_bytes_char(&script, (char)c);
  }
  fclose(f);
  int packages = 0, lines = 0;
  for (const at_silo_row *row = at_silo_rows; row->name != NULL; row++) {
    for (int i = 0; i < AT_SILO_PACKAGES_MAX && row->packages[i] != NULL; i++, packages++) {
      char line[128];
      snprintf(line, sizeof line, "\n%-11s %-21s ", row->name, row->packages[i]);
      if (strstr(script.data, line) == NULL) {
        fail_msg("jobs/fetch-text has no line for silo %s, package %s", row->name, row->packages[i]);
      }
    }
    assert_non_null(at_text_reader_find(row->reader));
  }
  char *table = strstr(script.data, "<<'TABLE'\n");
  assert_non_null(table);
  for (char *at = strchr(table, '\n') + 1; strncmp(at, "TABLE", 5) != 0; at = strchr(at, '\n') + 1) {
    lines++;
  }
  assert_int_equal(packages, 23);
  assert_int_equal(lines, packages);
  at_bytes_free(&script);
}

static void expect_files(const at_silo *silo, const char *dir, const char *root, const char *want) {
  at_silo_files files = {0};
  at_bytes found = {0};
  assert_ok(at_silo_files_find(&files, silo, dir, root));
  for (int64_t i = 0; i < files.count; i++) {
    at_bytes_str(&found, files.item[i].name);
    at_bytes_char(&found, ' ');
  }
  assert_string_equal(found.len > 0 ? found.data : "", want);
  at_bytes_free(&found);
  at_silo_files_free(&files);
}

static void files_are_found_in_byte_order(void **state) {
  (void)state;
  static const char *const names[] = {"p/manpages/usr/share/man/man7/wind.7.gz",
                                      "p/manpages/usr/share/man/man2/open.2.gz",
                                      "p/manpages/usr/share/man/man2/Zoo.2.gz",
                                      "p/manpages-dev/usr/share/man/man3/a.3pm",
                                      "p/manpages/usr/share/man/de/man1/xx.1.gz",
                                      "p/manpages/usr/share/man/man7/README",
                                      "p/manpages/usr/share/man/man7/.hidden.7",
                                      "p/manpages-de/usr/share/man/de/man1/b.1",
                                      "root/usr/share/doc/bash/copyright",
                                      "root/usr/share/doc/abc/copyright",
                                      "own/b.txt",
                                      "own/sub/a.txt"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    text_put_file(names[i], "x", 1);
  }
  assert_int_equal(symlink("open.2.gz", text_path("p/manpages/usr/share/man/man2/link.2.gz")), 0);
  at_silo en = {.name = "en", .row = at_silo_find("en")}, de = {.name = "de", .row = at_silo_find("de")};
  at_silo doc = {.name = "copyright", .row = at_silo_find("copyright")};
  char dir[128], root[128], folder[128], file[128];
  snprintf(dir, sizeof dir, "%s", text_path("p"));
  snprintf(root, sizeof root, "%s", text_path("root"));
  expect_files(&en, dir, "", "Zoo.2 open.2 wind.7 a.3pm ");
  expect_files(&de, dir, "", "b.1 ");
  expect_files(&doc, "", root, "abc/copyright bash/copyright ");
  expect_files(&doc, dir, "", "");
  expect_files(&en, "/no/such/folder", "", "");
  snprintf(folder, sizeof folder, "mine:%s", text_path("own"));
  snprintf(file, sizeof file, "%s", text_path("own/sub/a.txt"));
  char *paths[] = {folder, file};
  at_silo mine = {.name = "mine", .paths = paths, .n_paths = 2};
  expect_files(&mine, "", "", "b.txt sub/a.txt a.txt ");
  char *missing[] = {"mine:/no/such/file"};
  at_silo lost = {.name = "mine", .paths = missing, .n_paths = 1};
  at_silo_files files = {0};
  assert_fails(AT_ERR_FILE, "/no/such/file", at_silo_files_find(&files, &lost, "", ""));
  at_silo_files_free(&files);
}

static void manifests_tell_where_packages_come_from(void **state) {
  (void)state;
  static const char manifest[] = "package\tversion\tsha256\tlicence\nmanpages\t6.03-2\tabc\tGPL-2+; Expat\n"
                                 "manpages-dev\t6.04\tdef\tExpat\nmanpages-devel\t9\tx\ty\n";
  char dir[128];
  text_put_file("m/manifest.tsv", manifest, strlen(manifest));
  snprintf(dir, sizeof dir, "%s", text_path("m"));
  at_silo en = {.name = "en", .row = at_silo_find("en")}, tr = {.name = "tr", .row = at_silo_find("tr")};
  at_silo_origin o;
  assert_ok(at_silo_origin_read(&o, &en, dir));
  assert_string_equal(o.packages, "manpages; manpages-dev");
  assert_string_equal(o.versions, "6.03-2; 6.04");
  assert_string_equal(o.sha256, "abc; def");
  assert_string_equal(o.licences, "GPL-2+; Expat; Expat");
  assert_ok(at_silo_origin_read(&o, &tr, dir));
  assert_string_equal(o.packages, "");
  assert_ok(at_silo_origin_read(&o, &en, "/no/such/folder"));
  assert_string_equal(o.versions, "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(paragraphs_are_cleaned),
      cmocka_unit_test(short_wordless_and_malformed_paragraphs_go),
      cmocka_unit_test(utf8_round_trips),
      cmocka_unit_test(hash_sets_remember),
      cmocka_unit_test(duplicates_and_untranslated_text_go),
      cmocka_unit_test(splits_follow_names_alone),
      cmocka_unit_test(a_budget_takes_whole_documents_in_order),
      cmocka_unit_test(silos_are_listed),
      cmocka_unit_test(the_script_fetches_what_the_table_needs),
      cmocka_unit_test(files_are_found_in_byte_order),
      cmocka_unit_test(manifests_tell_where_packages_come_from),
  };
  return cmocka_run_group_tests(tests, text_make_folder, text_remove_folder);
}
