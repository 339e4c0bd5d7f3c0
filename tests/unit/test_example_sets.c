/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading sets of examples: a pair of files as TensorFlow Federated has them, made with h5py, byte for byte; and what is refused. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "data/examples/examples.h"
#include "src/base/alloc.h"

static char folder[64];

static const char *in_folder(const char *name) {
  static char path[4][256];
  static int next;
  char *p = path[next++ % 4];
  snprintf(p, sizeof path[0], "%s/%s", folder, name);
  return p;
}

/* Three clients that are not in order, one without test data and one with nothing else; x.bin and y.bin hold what a reader must
 * find. */
static const char script[] =
    "import h5py, numpy as np, sys\n"
    "d = sys.argv[1]\n"
    "r = np.random.RandomState(3)\n"
    "for kind, sizes in (('train', {'f2': 4, 'f1': 3, 'f0_a': 5}), ('test', {'f1': 2, 'f0_a': 1, 'f3': 2})):\n"
    "  xs, ys = {}, {}\n"
    "  with h5py.File(d + '/' + kind + '.h5', 'w') as f:\n"
    "    for c, n in sizes.items():\n"
    "      xs[c] = r.rand(n, 28, 28).astype('f4'); ys[c] = r.randint(0, 62, n).astype('i4')\n"
    "      f['examples/' + c + '/pixels'] = xs[c]\n"
    "      f.create_dataset('examples/' + c + '/label', data=ys[c], chunks=(1,), compression='gzip')\n"
    "  for v, name in ((xs, 'x'), (ys, 'y')):\n"
    "    np.concatenate([v[c] for c in sorted(v)]).tofile(d + '/' + kind + '.' + name)\n"
    "with h5py.File(d + '/cifar.h5', 'w') as f:\n"
    "  f['examples/0/image'] = np.arange(2 * 32 * 32 * 3).astype('u1').reshape(2, 32, 32, 3)\n"
    "  f['examples/0/label'] = np.array([7, 99], 'i8')\n"
    "with h5py.File(d + '/uneven.h5', 'w') as f:\n"
    "  f['examples/0/x'] = np.zeros((3, 4), 'f4'); f['examples/0/y'] = np.zeros(2, 'i4')\n"
    "with h5py.File(d + '/negative.h5', 'w') as f:\n"
    "  f['examples/0/x'] = np.zeros((3, 4), 'f4'); f['examples/0/y'] = np.array([0, 1, -1])\n"
    "with h5py.File(d + '/shapes.h5', 'w') as f:\n"
    "  f['examples/0/x'] = np.zeros((3, 4), 'f4'); f['examples/0/y'] = np.zeros(3, 'i4')\n"
    "  f['examples/1/x'] = np.zeros((3, 5), 'f4'); f['examples/1/y'] = np.zeros(3, 'i4')\n"
    "with h5py.File(d + '/numbers.h5', 'w') as f:\n"
    "  f['examples/0/x'] = np.zeros((3, 4), 'f8'); f['examples/0/y'] = np.array([0.5, 1, 2])\n"
    "with h5py.File(d + '/other.h5', 'w') as f:\n"
    "  f['examples/0/words'] = np.zeros((3, 4), 'f4')\n";

static int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/atoll_sets_XXXXXX");
  if (mkdtemp(folder) == NULL) {
    return 1;
  }
  FILE *f = fopen(in_folder("make.py"), "w");
  if (f == NULL || fputs(script, f) < 0 || fclose(f) != 0) {
    return 1;
  }
  const char *python = getenv("ATOLL_PYTHON");
  char command[512];
  snprintf(command, sizeof command, "%s %s/make.py %s", python != NULL ? python : "python3", folder, folder);
  return system(command);
}

static int remove_folder(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command) != 0;
}

static void *load(const char *name, size_t bytes) {
  FILE *f = fopen(in_folder(name), "rb");
  char *data;
  assert_non_null(f);
  assert_ok(at_alloc(&data, bytes + 1, 1, "test"));
  assert_int_equal(fread(data, 1, bytes + 1, f), bytes);
  fclose(f);
  return data;
}

static void check_split(at_examples *e, at_split split, const char *kind, int64_t n) {
  char name[32];
  snprintf(name, sizeof name, "%s.x", kind);
  float *want_x = load(name, (size_t)n * 784 * 4), *x;
  snprintf(name, sizeof name, "%s.y", kind);
  int32_t *want_y = load(name, (size_t)n * 4), *y;
  assert_ok(at_alloc(&x, (size_t)n, 784 * 4, "test"));
  assert_ok(at_alloc(&y, (size_t)n, 4, "test"));
  assert_int_equal(at_examples_total(e, split), n);
  assert_ok(at_examples_read(e, split, 0, n, x, y, NULL));
  assert_memory_equal(x, want_x, (size_t)n * 784 * 4);
  assert_memory_equal(y, want_y, (size_t)n * 4);
  assert_memory_equal(at_examples_labels(e, split), want_y, (size_t)n * 4);
  const int64_t rows[] = {n - 1, 0, 1, 1};
  assert_ok(at_examples_gather(e, split, 4, rows, x, y, NULL));
  for (int i = 0; i < 4; i++) {
    assert_memory_equal(x + i * 784, want_x + rows[i] * 784, 784 * 4);
    assert_int_equal(y[i], want_y[rows[i]]);
  }
  assert_fails(AT_ERR_ARG, "rows", at_examples_read(e, split, n - 1, 2, x, y, NULL));
  assert_fails(AT_ERR_ARG, "rows", at_examples_read(e, split, -1, 2, x, y, NULL));
  at_free(want_x);
  at_free(want_y);
  at_free(x);
  at_free(y);
}

static void reads_a_federated_pair_byte_for_byte(void **state) {
  (void)state;
  const int64_t before = at_alloc_get_stats().live_bytes;
  at_examples *e;
  assert_ok(at_examples_open(&e, in_folder("train.h5"), in_folder("test.h5")));
  const at_example_task *t = at_examples_task(e);
  assert_int_equal(t->ndims, 2);
  assert_int_equal(t->dims[0], 28);
  assert_int_equal(t->inputs, 784);
  assert_true(t->classes > 0 && t->classes <= 62);
  assert_int_equal(at_examples_clients(e), 4);
  static const struct {
    const char *name;
    int train, test;
  } want[] = {{"f0_a", 5, 1}, {"f1", 3, 2}, {"f2", 4, 0}, {"f3", 0, 2}};
  for (int c = 0; c < 4; c++) {
    assert_string_equal(at_examples_client(e, c), want[c].name);
    assert_int_equal(at_examples_rows(e, AT_SPLIT_TRAIN, c), want[c].train);
    assert_int_equal(at_examples_rows(e, AT_SPLIT_TEST, c), want[c].test);
    assert_int_equal(at_examples_rows(e, AT_SPLIT_VALIDATION, c), 0);
  }
  assert_int_equal(at_examples_owner(e, AT_SPLIT_TRAIN, 4), 0);
  assert_int_equal(at_examples_owner(e, AT_SPLIT_TRAIN, 5), 1);
  assert_int_equal(at_examples_owner(e, AT_SPLIT_TRAIN, 11), 2);
  assert_int_equal(at_examples_owner(e, AT_SPLIT_TEST, 3), 3);
  for (int pass = 0; pass < 2; pass++) { /* from the file, then from memory */
    check_split(e, AT_SPLIT_TRAIN, "train", 12);
    check_split(e, AT_SPLIT_TEST, "test", 5);
    assert_ok(at_examples_hold(e, 0));
  }
  at_examples_close(e);
  assert_int_equal(at_alloc_get_stats().live_bytes, before);
}

static void scales_bytes(void **state) {
  (void)state;
  at_examples *e;
  float x[2 * 3072], y[2 * 3072];
  int32_t label[2];
  assert_ok(at_examples_open(&e, in_folder("cifar.h5"), NULL));
  assert_int_equal(at_examples_task(e)->classes, 100);
  assert_int_equal(at_examples_task(e)->ndims, 3);
  assert_ok(at_examples_read(e, AT_SPLIT_TRAIN, 0, 2, x, label, NULL));
  assert_int_equal(label[1], 99);
  for (int i = 0; i < 2 * 3072; i++) {
    assert_true(x[i] == (float)(i % 256) / 255.0F);
  }
  assert_fails(AT_ERR_CONFIG, "6144 bytes", at_examples_hold(e, 6143));
  assert_ok(at_examples_hold(e, 6144));
  assert_ok(at_examples_read(e, AT_SPLIT_TRAIN, 0, 2, y, label, NULL));
  assert_memory_equal(x, y, sizeof x);
  at_examples_close(e);
}

static void reads_numbers_to_be_predicted(void **state) {
  (void)state;
  at_examples *e;
  float x[12], y[3];
  assert_ok(at_examples_open(&e, in_folder("numbers.h5"), ""));
  assert_int_equal(at_examples_task(e)->classes, 0);
  assert_null(at_examples_labels(e, AT_SPLIT_TRAIN));
  assert_ok(at_examples_read(e, AT_SPLIT_TRAIN, 0, 3, x, NULL, y));
  assert_true(y[0] == 0.5F && y[2] == 2);
  at_examples_close(e);
}

static void refuses_what_is_no_set(void **state) {
  (void)state;
  const int64_t before = at_alloc_get_stats().live_bytes;
  at_examples *e;
  assert_fails(AT_ERR_FILE, "none.h5", at_examples_open(&e, in_folder("none.h5"), NULL));
  assert_fails(AT_ERR_FORMAT, "make.py", at_examples_open(&e, in_folder("make.py"), NULL));
  assert_fails(AT_ERR_FORMAT, "3 examples but 2 targets", at_examples_open(&e, in_folder("uneven.h5"), NULL));
  assert_fails(AT_ERR_FORMAT, "label of example 2 of client 0", at_examples_open(&e, in_folder("negative.h5"), NULL));
  assert_fails(AT_ERR_FORMAT, "client 1 has another shape", at_examples_open(&e, in_folder("shapes.h5"), NULL));
  assert_fails(AT_ERR_FORMAT, "no field for the input", at_examples_open(&e, in_folder("other.h5"), NULL));
  assert_null(e);
  assert_int_equal(at_alloc_get_stats().live_bytes, before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_a_federated_pair_byte_for_byte),
      cmocka_unit_test(scales_bytes),
      cmocka_unit_test(reads_numbers_to_be_predicted),
      cmocka_unit_test(refuses_what_is_no_set),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
