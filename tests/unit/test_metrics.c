/* SPDX-License-Identifier: BSD-3-Clause */
/* Metrics files, comparing and inspecting files. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/store/diff.h"
#include "src/store/fs.h"
#include "src/store/h5.h"
#include "src/store/inspect.h"
#include "src/store/metrics.h"

static char folder[64];
static char text[1 << 16]; /* what the last report printed */

static int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/atoll_metrics_XXXXXX");
  return mkdtemp(folder) == NULL;
}

static const char *at(const char *name) {
  static char path[4][256];
  static int next = 0;
  next = (next + 1) % 4;
  snprintf(path[next], sizeof path[0], "%s/%s", folder, name);
  return path[next];
}

static int remove_folder(void **state) {
  (void)state;
  static const char *const names[] = {"m.h5",
                                      "n.h5",
                                      "a/metrics.h5",
                                      "b/metrics.h5",
                                      "a/checkpoints/000004.h5",
                                      "b/checkpoints/000004.h5",
                                      "a/checkpoints/000005.h5",
                                      "a/checkpoints",
                                      "b/checkpoints",
                                      "a",
                                      "b"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    remove(at(names[i]));
  }
  return rmdir(folder);
}

static FILE *report(void) {
  memset(text, 0, sizeof text);
  FILE *f = fmemopen(text, sizeof text - 1, "w");
  assert_non_null(f);
  return f;
}

static at_err diff(const char *a, const char *b) {
  FILE *f = report();
  at_err err = at_diff(a, b, f);
  fclose(f);
  return err;
}

static void assert_printed(const char *part) {
  if (strstr(text, part) == NULL) {
    fail_msg("\"%s\" is not in:\n%s", part, text);
  }
}

typedef struct columns {
  int loss, silo, seconds;
} columns;

static at_metrics *new_metrics(const char *path, columns *c) {
  at_metrics *m = NULL;
  assert_ok(at_metrics_create(&m, path, NULL, NULL));
  assert_ok(at_metrics_add(m, "loss", "nats/byte", "validation loss", 1, NULL, false, &c->loss));
  assert_ok(at_metrics_add(m, "silo/loss", "nats/byte", "training loss of a silo", 3, "silo", false, &c->silo));
  assert_ok(at_metrics_add(m, "time/round", "s", "wall time", 1, NULL, true, &c->seconds));
  return m;
}

static void add_row(at_metrics *m, const columns *c, int64_t round, double seconds) {
  at_metrics_set(m, c->loss, 1.0 / (double)(round + 1));
  if (round != 2) {
    at_metrics_set_all(m, c->silo, (double[]){(double)round, 0.5, -1});
  }
  at_metrics_set(m, c->seconds, seconds);
  assert_ok(at_metrics_end_row(m, round));
}

static void write_rounds(const char *path, int64_t rounds, double seconds) {
  columns c;
  at_metrics *m = new_metrics(path, &c);
  for (int64_t r = 0; r < rounds; r++) {
    add_row(m, &c, r, seconds + (double)r);
  }
  assert_ok(at_metrics_flush(m, true));
  at_metrics_destroy(m);
}

static void rows_come_back(void **state) {
  (void)state;
  columns c;
  write_rounds(at("m.h5"), 200, 1);
  at_metrics *m = new_metrics(at("m.h5"), &c);
  assert_ok(at_metrics_load(m, 149));
  assert_int_equal(at_metrics_rows(m), 150);
  assert_true(at_metrics_get(m, c.loss, 149)[0] == 1.0 / 150);
  assert_true(at_metrics_get(m, c.silo, 3)[0] == 3 && at_metrics_get(m, c.silo, 149)[2] == -1);
  assert_true(isnan(at_metrics_get(m, c.silo, 2)[1])); /* was not set */
  /* Going on as if nothing had happened gives the same file. */
  for (int64_t r = 150; r < 200; r++) {
    add_row(m, &c, r, 77);
  }
  at_metrics_destroy(m);
}

static void going_on_gives_the_same_file(void **state) {
  (void)state;
  columns c;
  write_rounds(at("m.h5"), 20, 1);
  write_rounds(at("n.h5"), 15, 1);
  at_metrics *m = new_metrics(at("n.h5"), &c);
  assert_ok(at_metrics_load(m, 9)); /* the checkpoint was of round 9 */
  for (int64_t r = 10; r < 20; r++) {
    add_row(m, &c, r, 77);
  }
  assert_ok(at_metrics_flush(m, true));
  at_metrics_destroy(m);
  assert_ok(diff(at("m.h5"), at("n.h5")));
  assert_printed("equal: 4, different: 0, not compared (times, checksums): 1");
}

static void an_axis_has_names(void **state) {
  (void)state;
  columns c;
  at_metrics *m = new_metrics(at("m.h5"), &c);
  assert_ok(at_metrics_name_axis(m, "silo", 3, (const char *[]){"de", "en", "日本"}));
  for (int64_t r = 0; r < 3; r++) { /* they stay when the file grows */
    add_row(m, &c, r, 1);
    assert_ok(at_metrics_flush(m, true));
  }
  at_metrics_destroy(m);
  at_h5 *f = NULL;
  char **names = NULL;
  int64_t n = 0, checked = 0;
  assert_ok(at_h5_open_kind(&f, at("m.h5"), "metrics"));
  assert_ok(at_h5_read_text(f, "/axis/silo_name", &n, &names));
  assert_int_equal(n, 3);
  assert_string_equal(names[2], "日本");
  assert_ok(at_h5_verify(f, &checked));
  assert_int_equal(checked, 6);
  at_free(names);
  at_h5_close(f);
}

static void rows_may_come_one_by_one(void **state) {
  (void)state;
  columns c;
  at_publisher *p = NULL;
  at_metrics *m = NULL;
  write_rounds(at("n.h5"), 150, 1);
  assert_ok(at_publisher_create(&p));
  assert_ok(at_metrics_create(&m, at("m.h5"), NULL, p));
  assert_ok(at_metrics_add(m, "loss", "nats/byte", "validation loss", 1, NULL, false, &c.loss));
  assert_ok(at_metrics_add(m, "silo/loss", "nats/byte", "training loss of a silo", 3, "silo", false, &c.silo));
  assert_ok(at_metrics_add(m, "time/round", "s", "wall time", 1, NULL, true, &c.seconds));
  for (int64_t r = 0; r < 150; r++) { /* more than one chunk of rows */
    add_row(m, &c, r, 1);
    assert_ok(at_metrics_flush(m, true));
  }
  assert_ok(at_publisher_settle(p));
  assert_ok(diff(at("m.h5"), at("n.h5")));
  at_metrics_destroy(m);
  at_publisher_destroy(p);
}

static void a_failure_in_the_background_is_told_once(void **state) {
  (void)state;
  at_publisher *p = NULL;
  int64_t ticket[3];
  char nowhere[256];
  snprintf(nowhere, sizeof nowhere, "%s/none/m.h5", folder);
  const at_image bad = {.path = nowhere, .data = "x", .bytes = 1, .faults = {-1, -1, -1}};
  const at_image good = {.path = at("m.h5"), .data = "y", .bytes = 1, .faults = {-1, -1, -1}};
  remove(at("m.h5"));
  assert_ok(at_publisher_create(&p));
  assert_ok(at_publisher_put(p, &good, &ticket[0]));
  assert_ok(at_publisher_wait(p, ticket[0]));
  assert_int_equal(access(at("m.h5"), F_OK), 0);
  assert_ok(at_publisher_put(p, &bad, &ticket[1]));
  assert_int_equal(at_publisher_wait(p, ticket[1]), AT_ERR_FILE);
  assert_non_null(strstr(at_err_message(), "none/m.h5"));
  assert_ok(at_publisher_status(p));
  assert_ok(at_publisher_put(p, &good, &ticket[2])); /* and life goes on */
  assert_ok(at_publisher_settle(p));
  at_publisher_destroy(p);
}

static void columns_may_change(void **state) {
  (void)state;
  write_rounds(at("m.h5"), 5, 1);
  at_metrics *m = NULL;
  int loss = 0, fresh = 0, silo = 0;
  assert_ok(at_metrics_create(&m, at("m.h5"), NULL, NULL));
  assert_ok(at_metrics_add(m, "loss", "1", "", 1, NULL, false, &loss));
  assert_ok(at_metrics_add(m, "fresh", "1", "", 2, NULL, false, &fresh));
  assert_ok(at_metrics_load(m, 100));
  assert_true(at_metrics_rows(m) == 5 && isnan(at_metrics_get(m, fresh, 4)[1]));
  at_metrics_destroy(m);
  assert_ok(at_metrics_create(&m, at("m.h5"), NULL, NULL));
  assert_ok(at_metrics_add(m, "silo/loss", "1", "", 4, "silo", false, &silo));
  assert_fails(AT_ERR_STATE, "is f64[5,3] where f64[5,4]", at_metrics_load(m, 100));
  at_metrics_destroy(m);
  columns c;
  m = new_metrics(at("absent.h5"), &c);
  assert_ok(at_metrics_load(m, 100));
  assert_int_equal(at_metrics_rows(m), 0);
  at_metrics_destroy(m);
}

static void mistakes_are_named(void **state) {
  (void)state;
  columns c;
  int h = 0;
  at_metrics *m = new_metrics(at("m.h5"), &c);
  assert_fails(AT_ERR_INTERNAL, "two metrics are called /loss", at_metrics_add(m, "loss", "1", "", 1, NULL, false, &h));
  assert_fails(AT_ERR_INTERNAL, "disagree on the length of /axis/silo",
               at_metrics_add(m, "silo/norm", "1", "", 4, "silo", false, &h));
  add_row(m, &c, 5, 0);
  assert_fails(AT_ERR_INTERNAL, "round 5 come after those of round 5", at_metrics_end_row(m, 5));
  assert_fails(AT_ERR_INTERNAL, "after the first row", at_metrics_add(m, "late", "1", "", 1, NULL, false, &h));
  at_metrics_destroy(m);
}

static void writes_seldom_unless_told(void **state) {
  (void)state;
  columns c;
  struct stat s;
  at_metrics *m = new_metrics(at("m.h5"), &c);
  assert_ok(at_metrics_flush(m, false)); /* the first time at once, though empty */
  assert_int_equal(stat(at("m.h5"), &s), 0);
  assert_int_equal(unlink(at("m.h5")), 0);
  add_row(m, &c, 1, 0);
  assert_ok(at_metrics_flush(m, false));
  assert_int_not_equal(stat(at("m.h5"), &s), 0);
  assert_ok(at_metrics_flush(m, true));
  assert_int_equal(stat(at("m.h5"), &s), 0);
  at_metrics_destroy(m);
}

static void finds_differences(void **state) {
  (void)state;
  write_rounds(at("m.h5"), 5, 1);
  columns c;
  at_metrics *m = new_metrics(at("n.h5"), &c);
  assert_ok(at_metrics_load(m, 0));
  for (int64_t r = 0; r < 5; r++) {
    at_metrics_set(m, c.loss, 1.0 / (double)(r + 1) + (r == 3 ? 0.25 : 0));
    at_metrics_set_all(m, c.silo, (double[]){(double)r, 0.5, r == 1 ? INFINITY : -1});
    assert_ok(at_metrics_end_row(m, r));
  }
  assert_ok(at_metrics_flush(m, true));
  at_metrics_destroy(m);
  assert_fails(AT_ERR_DIFFERENT, "differ in 2 places", diff(at("m.h5"), at("n.h5")));
  assert_printed("1 of 5  0.25\n");
  assert_printed("4 of 15  nan\n");
  write_rounds(at("n.h5"), 6, 1);
  assert_fails(AT_ERR_DIFFERENT, "differ in 3 places", diff(at("m.h5"), at("n.h5")));
  assert_printed("f64[5] / f64[6]  shape");
  at_h5 *f = NULL;
  at_h5_desc round = {.path = "/round", .type = AT_H5_I64, .ndims = 1, .dims = {0}};
  assert_ok(at_h5_create(&f, at("n.h5"), "metrics", 0));
  assert_ok(at_h5_write(f, &round, NULL));
  assert_ok(at_h5_commit(f));
  assert_fails(AT_ERR_DIFFERENT, "differ in 5 places", diff(at("m.h5"), at("n.h5")));
  assert_printed("only in /tmp/atoll_metrics_");
  assert_fails(AT_ERR_FILE, "absent.h5", diff(at("m.h5"), at("absent.h5")));
  assert_fails(AT_ERR_ARG, "two files or two run folders", diff(at("m.h5"), folder));
}

/* -0 is not 0, and a NaN is itself. */
static void compares_bits(void **state) {
  (void)state;
  const float x[4] = {0.0f, NAN, 1.0f, 2.0f}, y[4] = {-0.0f, NAN, 1.0f, 2.0f};
  const char *const s[2] = {"a", "b"}, *const u[2] = {"a", "c"};
  at_h5_desc d = {.path = "/x", .type = AT_H5_F32, .ndims = 1, .dims = {4}, .units = "1", .description = "x"};
  at_h5 *f = NULL;
  for (int i = 0; i < 2; i++) {
    assert_ok(at_h5_create(&f, at(i == 0 ? "m.h5" : "n.h5"), "test", 0));
    assert_ok(at_h5_write(f, &d, i == 0 ? x : y));
    assert_ok(at_h5_write_text(f, "/s", 2, i == 0 ? s : u, "1", "text"));
    assert_ok(at_h5_set_attr_i64(f, "/provenance", "ranks", i)); /* not compared */
    assert_ok(at_h5_commit(f));
  }
  assert_ok(diff(at("m.h5"), at("m.h5")));
  assert_fails(AT_ERR_DIFFERENT, "differ in 2 places", diff(at("m.h5"), at("n.h5")));
  assert_printed("1 of 4  0\n");
  assert_printed("1 of 2  text");
}

static void write_checkpoint(const char *path, double value) {
  at_h5_desc d = {.path = "/theta", .type = AT_H5_F64, .units = "1", .description = "x"};
  at_h5 *f = NULL;
  assert_ok(at_h5_create(&f, path, "checkpoint", 0));
  assert_ok(at_h5_write(f, &d, &value));
  assert_ok(at_h5_commit(f));
}

static void compares_run_folders(void **state) {
  (void)state;
  assert_ok(at_fs_make_folder(at("a/checkpoints")));
  assert_ok(at_fs_make_folder(at("b/checkpoints")));
  write_rounds(at("a/metrics.h5"), 5, 1);
  write_rounds(at("b/metrics.h5"), 5, 100);
  write_checkpoint(at("a/checkpoints/000004.h5"), 1.5);
  write_checkpoint(at("b/checkpoints/000004.h5"), 1.5);
  assert_ok(diff(at("a"), at("b")));
  assert_printed("equal: 5, different: 0");
  write_checkpoint(at("a/checkpoints/000005.h5"), 1.5);
  assert_fails(AT_ERR_DIFFERENT, "differ in 1 places", diff(at("a"), at("b")));
  assert_printed("newest checkpoint: round 5 in");
  assert_int_equal(unlink(at("a/checkpoints/000005.h5")), 0);
  write_checkpoint(at("a/checkpoints/000004.h5"), 1.0);
  assert_fails(AT_ERR_DIFFERENT, "differ in 1 places", diff(at("a"), at("b")));
  assert_printed("1 of 1  0.5");
  assert_int_equal(unlink(at("b/metrics.h5")), 0);
  assert_fails(AT_ERR_DIFFERENT, "differ in 2 places", diff(at("a"), at("b")));
  assert_printed("metrics.h5: only in");
}

static void inspects(void **state) {
  (void)state;
  write_rounds(at("m.h5"), 5, 1);
  FILE *f = report();
  at_err err = at_inspect(at("m.h5"), f);
  fclose(f);
  assert_int_equal(err, AT_OK);
  assert_printed(
      "/loss                                f64[5]           nats/byte          0.2            1     0.456667");
  assert_printed("/silo/loss                           f64[5,3]");
  assert_printed("3  training loss of a silo"); /* three NaN */
  assert_printed("atoll_kind             metrics");
  assert_fails(AT_ERR_FILE, "absent.h5", at_inspect(at("absent.h5"), stdout));
}

static void inspects_many_clients_briefly(void **state) {
  (void)state;
  at_h5 *h = NULL;
  assert_ok(at_h5_create(&h, at("m.h5"), "dataset", 0));
  for (int i = 0; i < 1000; i++) {
    char path[64];
    int32_t label = i;
    snprintf(path, sizeof path, "/examples/client%04d/label", i);
    at_h5_desc d = {.path = path, .type = AT_H5_I32, .units = "1", .description = "label"};
    assert_ok(at_h5_write(h, &d, &label));
  }
  assert_ok(at_h5_set_attr_text(h, "/provenance", "config", "seed: 1\nrounds: 2\n"));
  assert_ok(at_h5_commit(h));
  FILE *f = report();
  at_err err = at_inspect(at("m.h5"), f);
  fclose(f);
  assert_int_equal(err, AT_OK);
  assert_printed("/examples/client0004/label");
  assert_null(strstr(text, "client0005"));
  assert_printed("/examples: and 995 more groups");
  assert_printed("  config\n      seed: 1\n      rounds: 2\n");
}

static void no_memory_is_lost(void **state) {
  (void)state;
  int64_t before = at_alloc_get_stats().live_bytes;
  going_on_gives_the_same_file(state);
  inspects(state);
  compares_bits(state);
  assert_int_equal(at_alloc_get_stats().live_bytes, before);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(rows_come_back),
      CASE(going_on_gives_the_same_file),
      CASE(an_axis_has_names),
      CASE(rows_may_come_one_by_one),
      CASE(a_failure_in_the_background_is_told_once),
      CASE(columns_may_change),
      CASE(mistakes_are_named),
      CASE(writes_seldom_unless_told),
      CASE(finds_differences),
      CASE(compares_bits),
      CASE(compares_run_folders),
      CASE(inspects),
      CASE(inspects_many_clients_briefly),
      CASE(no_memory_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
