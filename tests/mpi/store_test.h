/* SPDX-License-Identifier: BSD-3-Clause */
/* Folders for the storage tests: one that all ranks share, and a small file system to fill. */
#ifndef AT_TESTS_STORE_TEST_H
#define AT_TESTS_STORE_TEST_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "src/store/run.h"
#include "tests/mpi/mpi_test.h"

/* A new folder, the same name on all ranks. */
static inline void shared_folder(mpi_test *t, char folder[64]) {
  if (t->rank == 0) {
    snprintf(folder, 64, "/tmp/atoll_store_XXXXXX");
    MPI_CHECK(t, mkdtemp(folder) != NULL);
  }
  MPI_CHECK_OK(t, at_comm_bcast(t->world, 0, folder, 64));
}

static inline int remove_entry(const char *path, const struct stat *s, int kind, struct FTW *where) {
  (void)s;
  (void)kind;
  (void)where;
  return remove(path);
}

static inline void drop_folder(mpi_test *t, const char *folder) {
  MPI_CHECK_OK(t, at_comm_barrier(t->world));
  if (t->rank == 0) {
    MPI_CHECK(t, nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0);
  }
}

/* Number of entries of a folder, on rank 0; the same on all ranks. */
static inline int64_t entries(mpi_test *t, const char *path) {
  int64_t n = 0;
  MPI_CHECK_OK(t, at_comm_barrier(t->world));
  if (t->rank == 0) {
    DIR *d = opendir(path);
    for (struct dirent *e = d != NULL ? readdir(d) : NULL; e != NULL; e = readdir(d)) {
      n += e->d_name[0] != '.';
    }
    if (d != NULL) {
      closedir(d);
    }
  }
  MPI_CHECK_OK(t, at_comm_bcast(t->world, 0, &n, sizeof n));
  return n;
}

/* A file system of `size` ("1m") at the new folder `path`; false on all ranks where we may not mount. */
static inline bool mount_small(mpi_test *t, const char *path, const char *size) {
  int64_t ok = 0;
  if (t->rank == 0) {
    char options[32];
    snprintf(options, sizeof options, "size=%s", size);
    ok = mkdir(path, 0700) == 0 && mount("none", path, "tmpfs", 0, options) == 0;
  }
  MPI_CHECK_OK(t, at_comm_bcast(t->world, 0, &ok, sizeof ok));
  return ok != 0;
}

static inline void unmount_small(mpi_test *t, const char *path) {
  MPI_CHECK_OK(t, at_comm_barrier(t->world));
  if (t->rank == 0) {
    MPI_CHECK(t, umount2(path, MNT_DETACH) == 0);
  }
}

/* Flip a bit of the byte at `at` (negative: from the end) on rank 0. */
static inline void flip(mpi_test *t, const char *path, long at) {
  MPI_CHECK_OK(t, at_comm_barrier(t->world)); /* the others may still be reading */
  if (t->rank == 0) {
    int fd = open(path, O_RDWR);
    unsigned char byte = 0;
    off_t where = at >= 0 ? (off_t)at : lseek(fd, 0, SEEK_END) + at;
    MPI_CHECK(t, pread(fd, &byte, 1, where) == 1);
    byte ^= 1;
    MPI_CHECK(t, pwrite(fd, &byte, 1, where) == 1);
    close(fd);
  }
  MPI_CHECK_OK(t, at_comm_barrier(t->world));
}

#endif
