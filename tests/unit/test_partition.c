/* SPDX-License-Identifier: BSD-3-Clause */
/* Partitions: each scheme against its definition, dealt and drawn, and for a million clients. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>

#include "data/partition/partition_internal.h"
#include "src/base/alloc.h"

enum { CLIENTS = 6, CLASSES = 10, TRAIN = 3000, TEST = 600 };

static char folder[64], path[96];
static at_examples *set;

static at_err write_client(at_h5 *f, const char *group, int c, int64_t n, int64_t *number) {
  static float x[1000];
  static int32_t y[1000];
  char name[64];
  for (int64_t i = 0; i < n; i++) {
    const at_stream s = {.seed = 9, .purpose = AT_RNG_TEST};
    x[i] = (float)*number;
    y[i] = (int32_t)(sqrt(at_rng_uniform(&s, (uint64_t)(*number)++)) * CLASSES);
  }
  snprintf(name, sizeof name, "/%s/c%d/x", group, c);
  at_h5_desc d = {.path = name, .type = AT_H5_F32, .ndims = 2, .dims = {n, 1}, .units = "1", .description = "x"};
  AT_TRY(at_h5_write(f, &d, x));
  snprintf(name, sizeof name, "/%s/c%d/y", group, c);
  d = (at_h5_desc){.path = name, .type = AT_H5_I32, .ndims = 1, .dims = {n}, .units = "1", .description = "y"};
  return at_h5_write(f, &d, y);
}

/* Six stored clients of 250, 350, ... 750 training rows and 100 held-out ones; row numbers are the inputs, labels are uneven
 * between classes. */
static int make_set(void **state) {
  (void)state;
  at_h5 *f;
  snprintf(folder, sizeof folder, "/tmp/atoll_partition_XXXXXX");
  if (mkdtemp(folder) == NULL) {
    return 1;
  }
  snprintf(path, sizeof path, "%s/set.h5", folder);
  int64_t number = 0;
  at_err err = at_h5_create(&f, path, "data", 0);
  for (int c = 0; err == AT_OK && c < CLIENTS; c++) {
    err = write_client(f, "examples", c, 250 + 100 * c, &number);
    err = err == AT_OK ? write_client(f, "test", c, 100, &number) : err;
  }
  err = err == AT_OK ? at_h5_commit(f) : err;
  return err != AT_OK || at_examples_open(&set, path, NULL) != AT_OK;
}

static int remove_set(void **state) {
  (void)state;
  char command[128];
  at_examples_close(set);
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command) != 0;
}

static int scheme(const char *name) {
  int i = 0;
  while (strcmp(at_partition_table[i].name, name) != 0) {
    i++;
  }
  return i;
}

static at_partition_cfg cfg_of(const char *name, int64_t clients, int64_t per_client) {
  return (at_partition_cfg){.scheme = scheme(name),
                            .clients = clients,
                            .per_client = per_client,
                            .alpha = 0.5,
                            .sigma = 1,
                            .shards = 2,
                            .seed = 7};
}

static at_partition *make(const at_partition_cfg *cfg, at_split split) {
  at_partition *p;
  assert_ok(at_partition_create(&p, set, split, cfg));
  return p;
}

static int64_t rows_of(const at_partition *p, int64_t client, int64_t *row) {
  const int64_t n = at_partition_size(p, client);
  assert_true(n <= at_partition_max_size(p));
  at_partition_rows(p, client, row);
  return n;
}

/* Dealt: every example belongs to exactly one client, the same each time, another with another seed. */
static void deals_every_example_once(void **state) {
  (void)state;
  static int64_t row[TRAIN], again[TRAIN];
  for (int i = 0; at_partition_table[i].name != NULL; i++) {
    at_partition_cfg cfg = cfg_of(at_partition_table[i].name, 37, 0);
    at_partition *p = make(&cfg, AT_SPLIT_TRAIN), *same = make(&cfg, AT_SPLIT_TRAIN);
    cfg.seed = 8;
    at_partition *other = make(&cfg, AT_SPLIT_TRAIN);
    static int seen[TRAIN];
    int64_t total = 0, changed = 0;
    memset(seen, 0, sizeof seen);
    assert_int_equal(at_partition_clients(p), 37);
    for (int64_t k = 0; k < 37; k++) {
      const int64_t n = rows_of(p, k, row);
      assert_int_equal(rows_of(same, k, again), n);
      assert_memory_equal(row, again, (size_t)n * sizeof *row);
      changed += rows_of(other, k, again) != n || memcmp(row, again, (size_t)n * sizeof *row) != 0;
      for (int64_t r = 0; r < n; r++) {
        assert_in_range(row[r], 0, TRAIN - 1);
        assert_int_equal(seen[row[r]]++, 0);
      }
      total += n;
    }
    assert_int_equal(total, TRAIN);
    assert_true(changed > 0);
    at_partition_destroy(p);
    at_partition_destroy(same);
    at_partition_destroy(other);
  }
}

static void iid_sizes_differ_by_one(void **state) {
  (void)state;
  const at_partition_cfg cfg = cfg_of("iid", 37, 0);
  at_partition *p = make(&cfg, AT_SPLIT_TRAIN);
  for (int64_t k = 0; k < 37; k++) {
    assert_in_range(at_partition_size(p, k), TRAIN / 37, TRAIN / 37 + 1);
  }
  at_partition_destroy(p);
}

static void natural_keeps_the_clients(void **state) {
  (void)state;
  static int64_t row[TRAIN];
  at_partition_cfg cfg = cfg_of("natural", 0, 0);
  at_partition *p = make(&cfg, AT_SPLIT_TRAIN);
  assert_int_equal(at_partition_clients(p), CLIENTS);
  for (int64_t k = 0; k < CLIENTS; k++) {
    assert_int_equal(rows_of(p, k, row), 250 + 100 * k);
    assert_int_equal(row[0], at_examples_first(set, AT_SPLIT_TRAIN, k));
  }
  at_partition_destroy(p);
  /* More clients than stored ones: each is of one stored client, and sharers have equal parts. */
  cfg.clients = 20;
  p = make(&cfg, AT_SPLIT_TRAIN);
  for (int64_t k = 0; k < 20; k++) {
    const int64_t n = rows_of(p, k, row), sharers = k % CLIENTS < 2 ? 4 : 3, all = 250 + 100 * (k % CLIENTS);
    assert_in_range(n, all / sharers, all / sharers + 1);
    for (int64_t r = 0; r < n; r++) {
      assert_int_equal(at_examples_owner(set, AT_SPLIT_TRAIN, row[r]), k % CLIENTS);
    }
  }
  at_partition_destroy(p);
  /* Fewer: different ones of the stored. */
  cfg.clients = 3;
  p = make(&cfg, AT_SPLIT_TRAIN);
  int seen[CLIENTS] = {0};
  for (int64_t k = 0; k < 3; k++) {
    rows_of(p, k, row);
    assert_int_equal(seen[at_examples_owner(set, AT_SPLIT_TRAIN, row[0])]++, 0);
  }
  at_partition_destroy(p);
}

static int64_t classes_of(const int64_t *row, int64_t n, int64_t count[CLASSES]) {
  const int32_t *label = at_examples_labels(set, AT_SPLIT_TRAIN);
  int64_t different = 0;
  memset(count, 0, CLASSES * sizeof *count);
  for (int64_t r = 0; r < n; r++) {
    different += count[label[row[r]]]++ == 0;
  }
  return different;
}

/* Two shards of 25 rows each touch at most four classes (a shard may cross one border, as classes have over 25 rows). */
static void shards_hold_few_classes(void **state) {
  (void)state;
  static int64_t row[TRAIN];
  for (int64_t per = 0; per <= 50; per += 50) {
    const at_partition_cfg cfg = cfg_of("shards", 60, per);
    at_partition *p = make(&cfg, AT_SPLIT_TRAIN);
    for (int64_t k = 0; k < 60; k++) {
      int64_t count[CLASSES];
      assert_int_equal(rows_of(p, k, row), 50);
      assert_in_range(classes_of(row, 50, count), 1, 4);
    }
    at_partition_destroy(p);
  }
}

/* The mean over clients of the sum of squared shares of classes: (1 + alpha) / (1 + C alpha) for Dir(alpha) over C classes. */
static double concentration(const at_partition *p, int64_t clients) {
  static int64_t row[TRAIN];
  double sum = 0, of = 0;
  for (int64_t k = 0; k < clients; k++) {
    int64_t count[CLASSES];
    const int64_t n = rows_of(p, k, row);
    classes_of(row, n, count);
    for (int c = 0; c < CLASSES && n > 1; c++) { /* unbiased: pairs of draws of the same class */
      sum += (double)count[c] * (double)(count[c] - 1) / ((double)n * (double)(n - 1));
    }
    of += n > 1;
  }
  return sum / of;
}

static void dirichlet_mixes_classes_as_alpha_says(void **state) {
  (void)state;
  static const double alpha[] = {0.05, 0.5, 5};
  double dealt_before = 2;
  for (int i = 0; i < 3; i++) {
    at_partition_cfg cfg = cfg_of("dirichlet", 2000, 40);
    cfg.alpha = alpha[i];
    at_partition *p = make(&cfg, AT_SPLIT_TRAIN);
    const double want = (1 + alpha[i]) / (1 + CLASSES * alpha[i]), got = concentration(p, 2000);
    if (fabs(got - want) > 0.03 * want + 0.01) {
      fail_msg("alpha = %g: concentration %g, want %g", alpha[i], got, want);
    }
    at_partition_destroy(p);
    cfg.per_client = 0;
    cfg.clients = 30;
    p = make(&cfg, AT_SPLIT_TRAIN);
    const double dealt = concentration(p, 30);
    assert_true(dealt < dealt_before);
    dealt_before = dealt;
    at_partition_destroy(p);
  }
}

/* The logarithm of drawn sizes has the deviation sigma (cut at 1 below and at 50 times above, which 20 and 1 hardly meet). */
static void quantity_sizes_are_lognormal(void **state) {
  (void)state;
  at_partition_cfg cfg = cfg_of("quantity", 4000, 50);
  cfg.sigma = 0.8;
  at_partition *p = make(&cfg, AT_SPLIT_TRAIN);
  double sum = 0, square = 0, mean = 0;
  for (int64_t k = 0; k < 4000; k++) {
    const double n = (double)at_partition_size(p, k), l = log(n);
    assert_true(n >= 1);
    sum += l;
    square += l * l;
    mean += n;
  }
  sum /= 4000;
  assert_true(fabs(sqrt(square / 4000 - sum * sum) - 0.8) < 0.04);
  assert_true(fabs(mean / 4000 - 50) < 3);
  at_partition_destroy(p);
  cfg.per_client = 0;
  cfg.clients = 100;
  p = make(&cfg, AT_SPLIT_TRAIN);
  int64_t least = TRAIN, most = 0;
  for (int64_t k = 0; k < 100; k++) {
    const int64_t n = at_partition_size(p, k);
    least = n < least ? n : least;
    most = n > most ? n : most;
  }
  assert_true(least >= 1 && most > 4 * least);
  at_partition_destroy(p);
}

/* A client has the same mixture of classes in training and in test. */
static void splits_of_a_client_belong_together(void **state) {
  (void)state;
  at_partition_cfg cfg = cfg_of("dirichlet", 300, 300);
  cfg.alpha = 0.05;
  at_partition *train = make(&cfg, AT_SPLIT_TRAIN), *test = make(&cfg, AT_SPLIT_TEST);
  int64_t same = 0, row[300];
  for (int64_t k = 0; k < 300; k++) {
    int64_t top[2] = {0};
    for (int s = 0; s < 2; s++) {
      const int32_t *label = at_examples_labels(set, s == 0 ? AT_SPLIT_TRAIN : AT_SPLIT_TEST);
      int64_t count[CLASSES] = {0};
      const int64_t n = rows_of(s == 0 ? train : test, k, row);
      assert_int_equal(n, s == 0 ? 300 : 60);
      for (int64_t r = 0; r < n; r++) {
        count[label[row[r]]]++;
      }
      for (int c = 1; c < CLASSES; c++) {
        top[s] = count[c] > count[top[s]] ? c : top[s];
      }
    }
    same += top[0] == top[1];
  }
  assert_true(same > 240); /* chance: 30; where two classes are close, samples of 60 may disagree */
  at_partition_destroy(train);
  at_partition_destroy(test);
}

/* A shard's held-out examples are of its classes, dealt or drawn. */
static void held_out_shards_are_of_the_same_classes(void **state) {
  (void)state;
  static int64_t row[TRAIN];
  for (int64_t per = 0; per <= 50; per += 50) {
    const at_partition_cfg cfg = cfg_of("shards", 60, per);
    at_partition *train = make(&cfg, AT_SPLIT_TRAIN), *test = make(&cfg, AT_SPLIT_TEST);
    int64_t strange = 0, total = 0;
    for (int64_t k = 0; k < 60; k++) {
      int64_t count[CLASSES];
      classes_of(row, rows_of(train, k, row), count);
      const int64_t n = rows_of(test, k, row);
      assert_in_range(n, per == 0 ? 1 : 10, per == 0 ? 20 : 10);
      for (int64_t r = 0; r < n; r++) {
        strange += count[at_examples_labels(set, AT_SPLIT_TEST)[row[r]]] == 0;
      }
      total += n;
    }
    assert_int_equal(strange, 0);
    assert_int_equal(total, TEST);
    at_partition_destroy(train);
    at_partition_destroy(test);
  }
}

/* Even where classes go to very few clients, all have an example, and every example is dealt once, of both splits. */
static void nobody_is_left_without_examples(void **state) {
  (void)state;
  static int64_t row[TRAIN];
  static const char *const name[] = {"dirichlet", "combined", "shards"};
  for (int i = 0; i < 3; i++) {
    at_partition_cfg cfg = cfg_of(name[i], 590, 0);
    cfg.alpha = 1e-3;
    for (int s = 0; s < 2; s++) {
      static int seen[TRAIN];
      const at_split split = s == 0 ? AT_SPLIT_TRAIN : AT_SPLIT_TEST;
      at_partition *p = make(&cfg, split);
      int64_t total = 0;
      memset(seen, 0, sizeof seen);
      for (int64_t k = 0; k < 590; k++) {
        const int64_t n = rows_of(p, k, row);
        assert_true(n >= 1);
        total += n;
        for (int64_t r = 0; r < n; r++) {
          assert_int_equal(seen[row[r]]++, 0);
        }
      }
      assert_int_equal(total, s == 0 ? TRAIN : TEST);
      at_partition_destroy(p);
    }
  }
}

/* 1500 clients share 600 held-out examples: each has at least one. */
static void too_few_held_out_examples_are_drawn(void **state) {
  (void)state;
  static int64_t row[TRAIN];
  for (int i = 0; at_partition_table[i].name != NULL; i++) {
    const at_partition_cfg cfg = cfg_of(at_partition_table[i].name, i == AT_PARTITION_natural ? 1400 : 1500, 0);
    at_partition *p = make(&cfg, AT_SPLIT_TEST);
    for (int64_t k = 0; k < at_partition_clients(p); k++) {
      const int64_t n = rows_of(p, k, row);
      assert_in_range(n, 1, at_partition_table[i].size == at_part_varied_size ? AT_PART_MOST : 1);
      assert_in_range(row[0], 0, TEST - 1);
    }
    at_partition_destroy(p);
  }
}

/* Stored clients c1, c3, c5, c7 train; c0 and c4 are only tested, in the mixed set c3 as well. */
static void open_other_set(const char *name, bool is_mixed, at_examples **out) {
  char file[96];
  at_h5 *f;
  int64_t number = 0;
  snprintf(file, sizeof file, "%s/%s.h5", folder, name);
  assert_ok(at_h5_create(&f, file, "data", 0));
  for (int c = 0; c < 4; c++) {
    assert_ok(write_client(f, "examples", 2 * c + 1, 40, &number));
  }
  assert_ok(write_client(f, "test", 0, 7, &number));
  assert_ok(write_client(f, "test", 4, 9, &number));
  if (is_mixed) {
    assert_ok(write_client(f, "test", 3, 11, &number));
  }
  assert_ok(at_h5_commit(f));
  assert_ok(at_examples_open(out, file, NULL));
}

/* Rows of a client, all of the stored client `name`. */
static void check_owner(const at_examples *e, at_split split, const at_partition *p, int64_t client, int64_t want,
                        const char *name) {
  int64_t row[64];
  assert_int_equal(rows_of(p, client, row), want);
  for (int64_t r = 0; r < want; r++) {
    assert_string_equal(at_examples_client(e, at_examples_owner(e, split, row[r])), name);
  }
}

static void natural_clients_are_the_same_in_all_splits(void **state) {
  (void)state;
  static const char *const trained[] = {"c1", "c3", "c5", "c7"}, *const lent[] = {"c0", "c4"};
  for (int i = 0; i < 4; i++) {
    const bool is_mixed = i % 2 == 1, is_drawn = i >= 2;
    const at_partition_cfg cfg = cfg_of("natural", is_drawn ? 4000 : 0, is_drawn ? 40 : 0);
    at_examples *e;
    at_partition *train, *test;
    open_other_set(is_mixed ? "mixed" : "whole", is_mixed, &e);
    assert_ok(at_partition_create(&train, e, AT_SPLIT_TRAIN, &cfg));
    assert_ok(at_partition_create(&test, e, AT_SPLIT_TEST, &cfg));
    assert_int_equal(at_partition_clients(train), is_drawn ? 4000 : 4);
    assert_int_equal(at_partition_clients(test), at_partition_clients(train));
    for (int64_t k = 0; k < at_partition_clients(train); k += is_drawn ? 501 : 1) {
      check_owner(e, AT_SPLIT_TRAIN, train, k, 40, trained[k % 4]);
      if (is_mixed) { /* drawn: 40 times 27 of 160 */
        check_owner(e, AT_SPLIT_TEST, test, k, k % 4 != 1 ? 0 : is_drawn ? 7 : 11, "c3");
      } else { /* drawn: 40 times 16 of 160 */
        check_owner(e, AT_SPLIT_TEST, test, k, is_drawn ? 4 : 7 + 2 * (k % 2), lent[k % 2]);
      }
    }
    at_partition_destroy(train);
    at_partition_destroy(test);
    at_examples_close(e);
  }
}

/* Nothing is kept per client, and any client can be asked for. */
static void serves_a_million_clients(void **state) {
  (void)state;
  static const int64_t some[] = {0, 1, 31337, 999999};
  int64_t *row;
  for (int i = 0; at_partition_table[i].name != NULL; i++) {
    const at_partition_cfg cfg = cfg_of(at_partition_table[i].name, 1000000, 20);
    at_partition *p = make(&cfg, AT_SPLIT_TRAIN);
    assert_true(at_partition_bytes(p) < 100000);
    assert_ok(at_alloc(&row, (size_t)at_partition_max_size(p), sizeof *row, "test"));
    for (int k = 0; k < 4; k++) {
      const int64_t n = rows_of(p, some[k], row);
      assert_true(n >= 1);
      for (int64_t r = 0; r < n; r++) {
        assert_in_range(row[r], 0, TRAIN - 1);
      }
    }
    at_free(row);
    at_partition_destroy(p);
  }
}

static void refuses_what_cannot_be(void **state) {
  (void)state;
  const int64_t before = at_alloc_get_stats().live_bytes;
  at_partition *p;
  at_partition_cfg cfg = cfg_of("iid", TRAIN + 1, 0);
  assert_fails(AT_ERR_CONFIG, "only 3000 examples", at_partition_create(&p, set, AT_SPLIT_TRAIN, &cfg));
  assert_fails(AT_ERR_CONFIG, "no examples in /validation", at_partition_create(&p, set, AT_SPLIT_VALIDATION, &cfg));
  cfg = cfg_of("shards", 2000, 0);
  assert_fails(AT_ERR_CONFIG, "would need 4000", at_partition_create(&p, set, AT_SPLIT_TRAIN, &cfg));
  cfg = cfg_of("natural", 2900, 0);
  assert_fails(AT_ERR_CONFIG, "would share", at_partition_create(&p, set, AT_SPLIT_TRAIN, &cfg));
  assert_null(p);
  assert_int_equal(at_alloc_get_stats().live_bytes, before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(deals_every_example_once),
      cmocka_unit_test(iid_sizes_differ_by_one),
      cmocka_unit_test(natural_keeps_the_clients),
      cmocka_unit_test(shards_hold_few_classes),
      cmocka_unit_test(dirichlet_mixes_classes_as_alpha_says),
      cmocka_unit_test(quantity_sizes_are_lognormal),
      cmocka_unit_test(splits_of_a_client_belong_together),
      cmocka_unit_test(held_out_shards_are_of_the_same_classes),
      cmocka_unit_test(nobody_is_left_without_examples),
      cmocka_unit_test(too_few_held_out_examples_are_drawn),
      cmocka_unit_test(natural_clients_are_the_same_in_all_splits),
      cmocka_unit_test(serves_a_million_clients),
      cmocka_unit_test(refuses_what_cannot_be),
  };
  return cmocka_run_group_tests(tests, make_set, remove_set);
}
