/* SPDX-License-Identifier: BSD-3-Clause */
/* The option table: strict setters, YAML, messages, the resolved file, the hash. */
#include "src/base/options.h"

#include <stdlib.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "tests/unit/unit.h"

typedef enum kind { KIND_SGD, KIND_NESTEROV } kind;
static const char *const kinds[] = {"sgd", "nesterov", NULL};
static const char *const layers[] = {"attn", "mlp", "head", NULL};

typedef struct outer_cfg {
  double lr, momentum;
  int64_t steps, seed, block;
  kind optimizer;
  bool overlap;
} outer_cfg;

typedef struct data_cfg {
  char *path, *note;
  at_strlist tags, layers;
} data_cfg;

static const at_opt outer_rows[] = {
    AT_OPT_F64(outer_cfg, lr, "outer.lr", "0.7", 0, 10, "", "Server step size."),
    AT_OPT_INT(outer_cfg, steps, "outer.steps", "500", 1, 1e9, "steps", "Local steps between two rounds."),
    AT_OPT_ENUM(outer_cfg, optimizer, "outer.optimizer", "nesterov", kinds, "Server optimiser."),
    AT_OPT_BOOL(outer_cfg, overlap, "comm.overlap", "false", "Send while computing."),
    AT_OPT_F64(outer_cfg, momentum, "outer.nesterov.momentum", "0.9", 0, 1, "", "Momentum."),
    AT_OPT_INT(outer_cfg, seed, "seed", "1", -0x1p63, 0x1p63, "", "Root of all random streams."),
    AT_OPT_BYTES(outer_cfg, block, "comm.block", "64 KiB", 1, 0x1p40, "Bytes sent at once."),
};
static const at_opt data_rows[] = {
    AT_OPT_STR(data_cfg, path, "data.path", NULL, "Data set to read.", .is_volatile = true),
    AT_OPT_STR(data_cfg, note, "data.note", "", "Free text."),
    AT_OPT_LIST(data_cfg, tags, "data.tags", "", "Words."),
    AT_OPT_LIST(data_cfg, layers, "data.layers", "attn,mlp", "Parts to train.", .choices = layers),
};
static const at_opt_table outer_table = AT_OPT_TABLE("Server", outer_rows);
static const at_opt_table data_table = AT_OPT_TABLE("Data", data_rows);

typedef struct fixture {
  at_opts *set;
  outer_cfg o;
  data_cfg d;
} fixture;

static int setup(void **state) {
  static fixture f;
  memset(&f, 0, sizeof f);
  *state = &f;
  return at_opts_create(&f.set) != AT_OK || at_opts_add(f.set, &outer_table, &f.o) != AT_OK ||
         at_opts_add(f.set, &data_table, &f.d) != AT_OK;
}

static int teardown(void **state) {
  at_opts_destroy(((fixture *)*state)->set);
  return 0;
}

static at_err load(fixture *f, const char *text) {
  return at_opts_load_text(f->set, "run.yaml", text, strlen(text));
}

static void test_defaults(void **state) {
  fixture *f = *state;
  assert_true(f->o.lr == 0.7);
  assert_int_equal(f->o.steps, 500);
  assert_int_equal(f->o.optimizer, KIND_NESTEROV);
  assert_false(f->o.overlap);
  assert_int_equal(f->o.block, 65536);
  assert_null(f->d.path);
  assert_string_equal(f->d.note, "");
  assert_int_equal(f->d.tags.count, 0);
  assert_int_equal(f->d.layers.count, 2);
  assert_false(at_opts_is_given(f->set, "outer.lr"));
}

static void test_yaml(void **state) {
  fixture *f = *state;
  assert_ok(load(f, "# a comment\nouter: {lr: 0.1, optimizer: sgd, nesterov: {momentum: 0}}\n"
                    "seed: 1e6\ncomm:\n  overlap: true\n  block: 1.5 GB\n"
                    "data:\n  path: a/b c.h5\n  tags: [x, 'y z', \"t,w\"]\n  layers:\n    - head\n"));
  assert_true(f->o.lr == 0.1);
  assert_true(f->o.momentum == 0);
  assert_int_equal(f->o.optimizer, KIND_SGD);
  assert_int_equal(f->o.seed, 1000000);
  assert_true(f->o.overlap);
  assert_int_equal(f->o.block, 1500000000);
  assert_string_equal(f->d.path, "a/b c.h5");
  assert_int_equal(f->d.tags.count, 3);
  assert_string_equal(f->d.tags.item[1], "y z");
  assert_string_equal(f->d.tags.item[2], "t,w");
  assert_int_equal(f->d.layers.count, 1);
  assert_true(at_opts_is_given(f->set, "outer.lr"));
  assert_ok(at_opts_check(f->set));
  assert_ok(load(f, ""));
  assert_ok(load(f, "outer.lr: 2\n")); /* a dotted key is the same key */
  assert_true(f->o.lr == 2);
}

static void test_overrides(void **state) {
  fixture *f = *state;
  assert_ok(at_opts_set(f->set, "outer.lr=1e-3"));
  assert_true(f->o.lr == 1e-3);
  assert_ok(at_opts_set(f->set, "seed=9223372036854775807"));
  assert_true(f->o.seed == INT64_MAX);
  assert_ok(at_opts_set(f->set, "seed=-3"));
  assert_int_equal(f->o.seed, -3);
  assert_ok(at_opts_set(f->set, "data.tags=[a, b]"));
  assert_int_equal(f->d.tags.count, 2);
  assert_ok(at_opts_set(f->set, "data.tags=c"));
  assert_string_equal(f->d.tags.item[0], "c");
  assert_ok(at_opts_set(f->set, "data.tags="));
  assert_int_equal(f->d.tags.count, 0);
  assert_ok(at_opts_set(f->set, "data.note=a=b"));
  assert_string_equal(f->d.note, "a=b");
  assert_ok(at_opts_set(f->set, "data.note="));
  assert_fails(AT_ERR_CONFIG, "outer.lr = 99 (preset small)", at_opts_set_from(f->set, "outer.lr=99", "preset small"));
}

/* What is not what it should be, by key, and what the message must say besides key, origin and value. */
static void test_bad_values(void **state) {
  fixture *f = *state;
  static const char *const bad[][3] = {
      {"outer.lr", "0.1x", "not a number"},
      {"outer.lr", "1e999", "beyond what a double can hold"},
      {"outer.lr", "1e-999", "beyond what a double can hold"},
      {"outer.lr", "nan", "not a number"},
      {"outer.lr", "inf", "not a number"},
      {"outer.lr", "0x10", "not a number"},
      {"outer.lr", "", "there is no value"},
      {"outer.lr", " 1", "not a number"},
      {"outer.lr", "1 ", "not a number"},
      {"outer.lr", "-0.5", "out of range; expected a number from 0 to 10 (default 0.7)"},
      {"outer.lr", "10.000001", "out of range"},
      {"outer.steps", "1.5", "not an integer"},
      {"outer.steps", "0", "out of range"},
      {"outer.steps", "1e30", "too large for this notation"},
      {"outer.steps", "99999999999999999999", "out of range"},
      {"outer.steps", "7 steps", "not an integer"},
      {"outer.steps", "--7", "not a number"},
      {"comm.overlap", "maybe", "neither true nor false"},
      {"comm.overlap", "1", "neither true nor false"},
      {"outer.optimizer", "adam", "expected one of sgd, nesterov"},
      {"comm.block", "64 XB", "unknown unit"},
      {"comm.block", "0.3 B", "not a whole number of bytes"},
      {"comm.block", "0", "expected a size like 64 MiB from 1 B to 1.0 TiB"},
      {"data.path", "", "there is no value"},
      {"data.path", "a\xff", "not UTF-8"},
      {"data.path", "a\x01", "control characters"},
      {"data.layers", "attn,rnn", "expected a list of attn, mlp, head"},
      {"data.layers", "", "the list is empty"},
      {"data.tags", "a,,b", "an item of the list is empty"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char text[128];
    snprintf(text, sizeof text, "%s=%s", bad[i][0], bad[i][1]);
    assert_fails(AT_ERR_CONFIG, bad[i][2], at_opts_set(f->set, text));
    assert_fails(AT_ERR_CONFIG, "(command line)", at_opts_set(f->set, text));
    assert_fails(AT_ERR_CONFIG, bad[i][0], at_opts_set(f->set, text));
  }
  assert_true(f->o.lr == 0.7); /* a failure leaves the old value */
  assert_int_equal(f->o.optimizer, KIND_NESTEROV);
  assert_int_equal(f->d.layers.count, 2);
  assert_fails(AT_ERR_CONFIG, "expected key=value", at_opts_set(f->set, "outer.lr"));
  assert_fails(AT_ERR_CONFIG, "expected key=value", at_opts_set(f->set, "=1"));
}

static void test_unknown_keys(void **state) {
  fixture *f = *state;
  assert_fails(AT_ERR_CONFIG, "did you mean outer.lr?", at_opts_set(f->set, "outer.rl=1"));
  assert_fails(AT_ERR_CONFIG, "did you mean outer.lr?", at_opts_set(f->set, "lr=1"));
  assert_fails(AT_ERR_CONFIG, "did you mean outer.optimizer?", at_opts_set(f->set, "outer.optimiser=sgd"));
  assert_fails(AT_ERR_CONFIG, "--help lists", at_opts_set(f->set, "completely_else=1"));
  assert_fails(AT_ERR_CONFIG, "a section of keys", at_opts_set(f->set, "outer=1"));
  assert_fails(AT_ERR_CONFIG, "outer.step (run.yaml:3): unknown key; did you mean outer.steps?",
               load(f, "outer:\n  lr: 1\n  step: 3\n"));
  assert_fails(AT_ERR_CONFIG, "did you mean outer?", load(f, "seed: 1\nuoter:\n  lr: 1\n"));
}

static void test_bad_yaml(void **state) {
  fixture *f = *state;
  static const char *const bad[][2] = {
      {"outer: {lr: 0.1x}", "outer.lr = 0.1x (run.yaml:1): not a number"},
      {"outer: {lr: 1}\nouter: {steps: 3}", "outer (run.yaml:2): this section stands in the file twice"},
      {"seed: 1\nseed: 1", "seed (run.yaml:2): the key stands in the file twice, before at run.yaml:1"},
      {"outer: {lr: 1}\nouter.lr: 1", "twice"},
      {"seed: &a 1", "run.yaml:1: anchors"},
      {"seed: *a", "anchors"},
      {"seed: !!int 3", "type tags"},
      {"seed: [1]", "a list where one value belongs"},
      {"seed: {a: 1}", "seed (run.yaml:1): found nested keys; expected an integer"},
      {"seed:", "there is no value"},
      {"data: {path: null}", "there is no value"},
      {"data: {path: ~}", "there is no value"},
      {"outer: 3", "a section of keys"},
      {"outer: [3]", "a section of keys"},
      {"data: {tags: [[a]]}", "the items of a list are plain values"},
      {"- seed", "expected lines of the form"},
      {"seed", "expected lines of the form"},
      {"seed: 1\n---\nseed: 2", "second document"},
      {"seed: [1", "not valid YAML"},
      {"[a, b]: 1", "a key is a plain word"},
      {"data: {note: \"a\\0b\"}", "NUL"},
      {"seed: \"1\n", "not valid YAML"},
      {"? \"x\\n\": 1", "run.yaml:1"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_fails(AT_ERR_CONFIG, bad[i][1], load(f, bad[i][0]));
  }
  char deep[400] = "";
  for (int i = 0; i < 60; i++) {
    strcat(deep, "{a: ");
  }
  assert_fails(AT_ERR_CONFIG, "run.yaml:1", load(f, deep));
  memset(deep, 'k', sizeof deep - 1);
  memcpy(deep + 390, ": 1", 4);
  assert_fails(AT_ERR_CONFIG, "longer than any valid one", load(f, deep));
  assert_fails(AT_ERR_FILE, "cannot read", at_opts_load_file(f->set, "/nonexistent/run.yaml"));
  assert_ok(load(f, "data: {note: \"null\"}")); /* in quotes it is text */
  assert_string_equal(f->d.note, "null");
}

static void test_required_and_rejected(void **state) {
  fixture *f = *state;
  assert_fails(AT_ERR_CONFIG, "data.path must be given: Data set to read.", at_opts_check(f->set));
  assert_ok(load(f, "\nouter: {lr: 3}\n"));
  assert_fails(AT_ERR_CONFIG, "outer.lr = 3 (run.yaml:2): must be below 2 with sgd",
               at_opts_reject(f->set, "outer.lr", "must be below %d with sgd", 2));
  assert_fails(AT_ERR_CONFIG, "data.path: missing", at_opts_reject(f->set, "data.path", "missing"));
}

static void test_clashing_tables(void **state) {
  fixture *f = *state;
  static const at_opt same[] = {AT_OPT_F64(outer_cfg, lr, "outer.lr", "1", 0, 2, "", "Again.")};
  static const at_opt section[] = {AT_OPT_F64(outer_cfg, lr, "outer", "1", 0, 2, "", "A section.")};
  static const at_opt below[] = {AT_OPT_F64(outer_cfg, lr, "seed.lr", "1", 0, 2, "", "Below a key.")};
  static const at_opt wrong[] = {AT_OPT_F64(outer_cfg, lr, "fresh", "3", 0, 2, "", "A default out of range.")};
  const at_opt_table tables[] = {AT_OPT_TABLE("same", same), AT_OPT_TABLE("section", section),
                                 AT_OPT_TABLE("below", below)};
  for (int i = 0; i < 3; i++) {
    assert_fails(AT_ERR_INTERNAL, tables[i].title, at_opts_add(f->set, &tables[i], &f->o));
  }
  const at_opt_table bad = AT_OPT_TABLE("wrong", wrong);
  assert_fails(AT_ERR_CONFIG, "fresh = 3 (default): out of range", at_opts_add(f->set, &bad, &f->o));
}

static void print_to(const at_opts *set, char *text, size_t size) {
  FILE *out = fmemopen(text, size, "w");
  assert_non_null(out);
  assert_ok(at_opts_print_yaml(set, out));
  fclose(out);
}

/* Printing, loading and printing again gives the same text, values and hash: for awkward numbers and words as well. */
static void test_round_trip(void **state) {
  fixture *f = *state;
  static const char *const given[] = {
      "outer.lr=0.1000000000000000055511151231257827",
      "outer.nesterov.momentum=0.3333333333333333",
      "seed=-9223372036854775808",
      "comm.block=1000001 B",
      "data.path=/a: b #c",
      "data.note=say \"yes\"\\\n\tk\xc3\xa4se",
      "data.tags=true,12,a b,null,- x,[z",
  };
  for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
    assert_ok(at_opts_set(f->set, given[i]));
  }
  char first[4096], second[4096];
  print_to(f->set, first, sizeof first);
  char *whole = NULL;
  assert_ok(at_opts_yaml_text(f->set, &whole));
  assert_string_equal(whole, first);
  at_free(whole);
  fixture again;
  memset(&again, 0, sizeof again);
  assert_ok(at_opts_create(&again.set));
  assert_ok(at_opts_add(again.set, &data_table, &again.d)); /* the other way round */
  assert_ok(at_opts_add(again.set, &outer_table, &again.o));
  assert_true(at_opts_hash(again.set) != at_opts_hash(f->set));
  assert_ok(at_opts_load_text(again.set, "resolved", first, strlen(first)));
  assert_memory_equal(&again.o, &f->o, sizeof f->o);
  assert_string_equal(again.d.note, f->d.note);
  assert_int_equal(again.d.tags.count, 6);
  for (int64_t i = 0; i < 6; i++) {
    assert_string_equal(again.d.tags.item[i], f->d.tags.item[i]);
  }
  assert_true(at_opts_hash(again.set) == at_opts_hash(f->set));
  at_opts_destroy(again.set);

  assert_ok(load(f, first));
  print_to(f->set, second, sizeof second);
  assert_string_equal(first, second);
  assert_non_null(strstr(first,
                         "outer:\n  lr: 0.1  # Server step size.\n  steps: 500  # Local steps between two rounds. "
                         "[steps]\n  optimizer: nesterov"));
  assert_non_null(strstr(first, "  nesterov:\n    momentum: 0.3333333333333333"));
}

static void test_long_text(void **state) {
  fixture *f = *state;
  char *text = NULL;
  enum { N = 30000 };
  char *assignment = NULL;
  assert_ok(at_alloc(&assignment, N + 32, 1, "assignment"));
  strcpy(assignment, "data.note=");
  memset(assignment + 10, 'n', N);
  assert_ok(at_opts_set(f->set, assignment));
  assert_ok(at_opts_yaml_text(f->set, &text));
  assert_true(strlen(text) > N);
  assert_ok(load(f, text));
  assert_string_equal(f->d.note, assignment + 10);
  at_free(text);
  at_free(assignment);
}

/* Damaged files end in a message or in values that obey their rules, never in a crash. */
static void test_damaged_yaml(void **state) {
  fixture *f = *state;
  static const char good[] = "outer: {lr: 0.1, optimizer: sgd, nesterov: {momentum: 0}}\nseed: 1e6\ncomm:\n"
                             "  block: 1.5 GB\ndata:\n  path: \"a b\"\n  tags: [x, 'y z']\n";
  static const char bytes[] = "{}[]:,-#&*!|>'\"% \n\t\\0e.~\x80\xff";
  const at_stream s = {.seed = 5, .purpose = AT_RNG_TEST};
  int loaded = 0;
  for (uint64_t i = 0; i < 20000; i++) {
    char text[sizeof good];
    memcpy(text, good, sizeof good);
    for (uint64_t j = 0; j <= i % 3; j++) {
      text[at_rng_below(&s, 8 * i + 2 * j, sizeof good - 1)] =
          bytes[at_rng_below(&s, 8 * i + 2 * j + 1, sizeof bytes - 1)];
    }
    at_err err = at_opts_load_text(f->set, "damaged", text, sizeof good - 1 - i % 5);
    assert_true(err == AT_OK || (err == AT_ERR_CONFIG && strstr(at_err_message(), "damaged:") != NULL));
    assert_true(f->o.lr >= 0 && f->o.lr <= 10 && f->o.block >= 1 && (f->o.optimizer == 0 || f->o.optimizer == 1));
    loaded += err == AT_OK;
  }
  assert_in_range(loaded, 100, 15000); /* both outcomes are common */
}

static void test_hash(void **state) {
  fixture *f = *state;
  uint64_t start = at_opts_hash(f->set);
  assert_ok(at_opts_set(f->set, "data.path=elsewhere"));
  assert_true(at_opts_hash(f->set) == start); /* volatile */
  assert_ok(at_opts_set(f->set, "outer.lr=7e-1"));
  assert_true(at_opts_hash(f->set) == start); /* another way to write the same */
  assert_ok(at_opts_set(f->set, "outer.lr=0.70000000000000007"));
  uint64_t near = at_opts_hash(f->set);
  assert_true(near != start);
  assert_ok(at_opts_set(f->set, "data.tags=ab,c"));
  uint64_t tags = at_opts_hash(f->set);
  assert_ok(at_opts_set(f->set, "data.tags=a,bc"));
  assert_true(at_opts_hash(f->set) != tags && tags != near);
}

static void test_files(void **state) {
  fixture *f = *state;
  char folder[] = "/tmp/atoll-options-XXXXXX", path[64], temporary[72];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/config.yaml", folder);
  snprintf(temporary, sizeof temporary, "%s.tmp", path);
  assert_ok(at_opts_set(f->set, "outer.steps=33"));
  assert_ok(at_opts_write_yaml(f->set, path));
  assert_int_equal(access(temporary, F_OK), -1);
  assert_ok(at_opts_set(f->set, "outer.steps=44"));
  assert_ok(at_opts_load_file(f->set, path));
  assert_int_equal(f->o.steps, 33);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(rmdir(folder), 0);
  assert_fails(AT_ERR_FILE, "cannot create", at_opts_write_yaml(f->set, path));
}

static void test_help(void **state) {
  fixture *f = *state;
  char text[8192] = "";
  FILE *out = fmemopen(text, sizeof text, "w");
  at_opts_print_help(f->set, out);
  fclose(out);
  static const char *const parts[] = {"\nServer\n",
                                      "\nData\n",
                                      "outer.lr",
                                      "a number from 0 to 10; default 0.7",
                                      "Server step size.",
                                      "an integer from 1 to 1000000000, in steps; default 500",
                                      "one of sgd, nesterov; default nesterov",
                                      "must be given",
                                      "default: none"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    assert_non_null(strstr(text, parts[i]));
  }
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(test_defaults),
      T(test_yaml),
      T(test_overrides),
      T(test_bad_values),
      T(test_unknown_keys),
      T(test_bad_yaml),
      T(test_required_and_rejected),
      T(test_clashing_tables),
      T(test_round_trip),
      T(test_long_text),
      T(test_damaged_yaml),
      T(test_hash),
      T(test_files),
      T(test_help),
  };
#undef T
  return cmocka_run_group_tests(tests, NULL, NULL);
}
