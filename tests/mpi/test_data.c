/* SPDX-License-Identifier: BSD-3-Clause */
/* Building federated text on several ranks: the same data for any number of them, and failures that all ranks share. */
#include "data/dataset.h"
#include "tests/mpi/data_test.h"

/* Packages as jobs/fetch-text leaves them: English pages, German ones of which some are not translated, one damaged. */
static void make_packages(mpi_test *t) {
  static const char manifest[] = "package\tversion\tsha256\tlicence\nmanpages\t1.0\tabc\tExpat\n";
  put_file(t, "pk/manifest.tsv", manifest, strlen(manifest));
  for (int i = 0; i < 60; i++) {
    char name[96], page[512];
    snprintf(name, sizeof name, "pk/manpages/usr/share/man/man%d/page%d.%d", 1 + i % 3, i, 1 + i % 3);
    snprintf(page, sizeof page,
             ".SH NAME OF THIS PAGE\nThe English text of page %d.\n.PP\nNever translated, page %d.\n", i, i);
    put_file(t, name, page, strlen(page));
    snprintf(name, sizeof name, "pk/manpages-de/usr/share/man/de/man%d/page%d.%d", 1 + i % 3, i, 1 + i % 3);
    snprintf(page, sizeof page,
             ".SH NAME OF THIS PAGE\nDer deutsche Text von Seite %d.\n.PP\nNever translated, page %d.\n", i, i);
    put_file(t, name, page, i == 7 ? 0 : strlen(page));
  }
  put_file(t, "pk/manpages-de/usr/share/man/de/man1/damaged.1", "\0\1\2", 3);
}

static at_dataset *open_set(mpi_test *t, const char *name) {
  char path[128];
  at_dataset *d = NULL;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  MPI_CHECK_OK(t, at_dataset_open(&d, path));
  return d;
}

/* Tokens and documents of both files are equal. */
static void check_equal(mpi_test *t, const char *one, const char *other) {
  at_dataset *a = open_set(t, one), *b = open_set(t, other);
  if (a == NULL || b == NULL || at_dataset_clients(a) != at_dataset_clients(b)) {
    MPI_CHECK(t, false);
    at_dataset_close(a);
    at_dataset_close(b);
    return;
  }
  for (int64_t c = 0; c < at_dataset_clients(a); c++) {
    MPI_CHECK(t, strcmp(at_dataset_client(a, c), at_dataset_client(b, c)) == 0);
    for (int s = 0; s < AT_SPLIT_COUNT; s++) {
      int64_t n = 0, m = 0;
      uint8_t *x = NULL, *y = NULL;
      MPI_CHECK_OK(t, at_dataset_rows(a, (at_split)s, c, "tokens", &n));
      MPI_CHECK_OK(t, at_dataset_rows(b, (at_split)s, c, "tokens", &m));
      MPI_CHECK(t, n == m);
      if (n > 0 && n == m) {
        MPI_CHECK_OK(t, at_dataset_load_u8(a, (at_split)s, c, "tokens", &n, &x));
        MPI_CHECK_OK(t, at_dataset_load_u8(b, (at_split)s, c, "tokens", &m, &y));
        MPI_CHECK(t, memcmp(x, y, (size_t)n) == 0);
      }
      at_free(x);
      at_free(y);
    }
  }
  at_dataset_close(a);
  at_dataset_close(b);
}

static int64_t attribute(mpi_test *t, const char *file, const char *silo, const char *name) {
  char path[128], group[64];
  at_h5 *f = NULL;
  int64_t value = -1;
  snprintf(path, sizeof path, "%s/%s", folder, file);
  snprintf(group, sizeof group, "/examples/%s", silo);
  MPI_CHECK_OK(t, at_h5_open_kind(&f, path, "data"));
  if (f != NULL) {
    MPI_CHECK_OK(t, at_h5_get_attr_i64(f, group, name, &value));
  }
  at_h5_close(f);
  return value;
}

static void builds_the_same_on_any_number_of_ranks(mpi_test *t) {
  char dir[96];
  make_folder(t);
  if (t->rank == 0) {
    make_packages(t);
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  snprintf(dir, sizeof dir, "dir=%s/pk", folder);
  MPI_REQUIRE_OK(t, BUILD(t->world, "text", "all.h5", dir, "validation=0.1", "test=0.2"));
  at_comm *alone = NULL;
  MPI_REQUIRE_OK(t, at_comm_split(t->world, t->rank == 0 ? 0 : -1, 0, &alone));
  if (t->rank == 0) {
    MPI_CHECK_OK(t, BUILD(alone, "text", "one.h5", dir, "validation=0.1", "test=0.2"));
    check_equal(t, "all.h5", "one.h5");
    MPI_CHECK(t, attribute(t, "all.h5", "en", "documents") == 60);
    MPI_CHECK(t, attribute(t, "all.h5", "en", "duplicates") == 59);
    MPI_CHECK(t, attribute(t, "all.h5", "de", "documents") == 59);
    MPI_CHECK(t, attribute(t, "all.h5", "de", "untranslated") == 60);
    MPI_CHECK(t, attribute(t, "all.h5", "de", "files") == 61);
    MPI_CHECK(t, attribute(t, "all.h5", "de", "files_skipped") == 1);
  }
  at_comm_destroy(alone);
  remove_folder(t);
}

/* Whether the English pages are a silo of the set or not, the German one is the same. */
static void translations_do_not_depend_on_the_selection(mpi_test *t) {
  char dir[96];
  make_folder(t);
  if (t->rank == 0) {
    make_packages(t);
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  snprintf(dir, sizeof dir, "dir=%s/pk", folder);
  MPI_REQUIRE_OK(t, BUILD(t->world, "text", "de.h5", dir, "silos=de"));
  MPI_REQUIRE_OK(t, BUILD(t->world, "text", "de_en.h5", dir, "silos=de,en"));
  if (t->rank == 0) {
    at_dataset *both = open_set(t, "de_en.h5"), *one = open_set(t, "de.h5");
    MPI_CHECK(t, at_dataset_clients(one) == 1 && at_dataset_clients(both) == 2);
    int64_t n = 0, m = 0;
    uint8_t *x = NULL, *y = NULL;
    MPI_CHECK_OK(t, at_dataset_load_u8(one, AT_SPLIT_TRAIN, 0, "tokens", &n, &x));
    MPI_CHECK_OK(t, at_dataset_load_u8(both, AT_SPLIT_TRAIN, 0, "tokens", &m, &y));
    MPI_CHECK(t, n == m && n > 0 && memcmp(x, y, (size_t)n) == 0);
    at_free(x);
    at_free(y);
    at_dataset_close(both);
    at_dataset_close(one);
  }
  remove_folder(t);
}

static void reads_files_of_the_user(mpi_test *t) {
  char silo[256];
  make_folder(t);
  if (t->rank == 0) {
    put_file(t, "a/one.txt", "The first text of a user.\n", 26);
    put_file(t, "a/two.html", "<p>The second text, in HTML.</p>", 32);
    put_file(t, "b.pod", "=pod\n\nA third text, in POD.\n", 28);
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  snprintf(silo, sizeof silo, "silo=mine:%s/a,%s/b.pod,other:%s/b.pod", folder, folder, folder);
  MPI_REQUIRE_OK(t, BUILD(t->world, "text", "mine.h5", silo, "validation=0", "test=0"));
  if (t->rank == 0) {
    at_dataset *d = open_set(t, "mine.h5");
    MPI_CHECK(t, at_dataset_clients(d) == 2);
    int64_t n = 0;
    uint8_t *text = NULL;
    MPI_CHECK_OK(t, at_dataset_load_u8(d, AT_SPLIT_TRAIN, 0, "tokens", &n, &text));
    static const char want[] = "The first text of a user.\0The second text, in HTML.\0A third text, in POD.";
    MPI_CHECK(t, n == sizeof want && memcmp(text, want, sizeof want) == 0);
    at_free(text);
    at_dataset_close(d);
  }
  remove_folder(t);
}

static void failures_are_shared_and_leave_nothing(mpi_test *t) {
  char dir[96];
  make_folder(t);
  if (t->rank == 0) {
    make_packages(t);
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  snprintf(dir, sizeof dir, "dir=%s/pk", folder);
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "jobs/fetch-text", BUILD(t->world, "text", "x.h5", "seed=1"));
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "no text was found", BUILD(t->world, "text", "x.h5", "dir=/no/such/folder"));
  MPI_CHECK_FAILS(t, AT_ERR_FILE, "jobs/fetch-text", BUILD(t->world, "text", "x.h5", dir, "silos=fr"));
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "system=true", BUILD(t->world, "text", "x.h5", dir, "silos=licences"));
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "there is no 'xx'", BUILD(t->world, "text", "x.h5", dir, "silos=xx"));
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "give one of them", BUILD(t->world, "text", "x.h5", dir, "system=true"));
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "less than a tenth",
                  BUILD(t->world, "text", "x.h5", dir, "validation=0.5", "test=0.5"));
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "dirr", BUILD(t->world, "text", "x.h5", "dirr=/tmp"));
  MPI_CHECK_FAILS(t, AT_ERR_FILE, "/no/such/file", BUILD(t->world, "text", "x.h5", "silo=a:/no/such/file"));
  MPI_CHECK_FAILS(t, AT_ERR_FILE, "missing/x.h5", BUILD(t->world, "text", "missing/x.h5", dir));
  char path[128];
  snprintf(path, sizeof path, "%s/x.h5", folder);
  MPI_CHECK(t, access(path, F_OK) != 0);
  remove_folder(t);
}

static void frees_all_memory(mpi_test *t) {
  char dir[96];
  make_folder(t);
  if (t->rank == 0) {
    make_packages(t);
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  snprintf(dir, sizeof dir, "dir=%s/pk", folder);
  int64_t before = at_alloc_get_stats().live_bytes;
  MPI_CHECK_OK(t, BUILD(t->world, "text", "all.h5", dir));
  MPI_CHECK_FAILS(t, AT_ERR_FILE, "none of its files", BUILD(t->world, "text", "x.h5", dir, "silos=en,fr"));
  MPI_CHECK(t, at_alloc_get_stats().live_bytes == before);
  remove_folder(t);
}

int main(int argc, char **argv) {
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(builds_the_same_on_any_number_of_ranks),
                       MPI_CASE(translations_do_not_depend_on_the_selection), MPI_CASE(reads_files_of_the_user),
                       MPI_CASE(failures_are_shared_and_leave_nothing), MPI_CASE(frees_all_memory));
}
