/* SPDX-License-Identifier: BSD-3-Clause */
/* Collects and writes where a file comes from. */
#include "src/store/provenance.h"

#include <cblas.h>
#include <gsl/gsl_version.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "src/base/alloc.h"
#include "src/store/fs.h"
#include "src/store/h5_internal.h"

#ifndef AT_GIT_REVISION
#define AT_GIT_REVISION "unknown"
#endif
#ifndef AT_BUILD_FLAGS
#define AT_BUILD_FLAGS "unknown"
#endif

enum { ENTRIES_MAX = 64, HOST_BYTES = 256 };

typedef struct entry {
  const char *name;
  char *value; /* owned */
} entry;

struct at_provenance {
  int n;
  entry entries[ENTRIES_MAX];
};

static const char *const slurm[][2] = {
    {"SLURM_CLUSTER_NAME", "slurm_cluster_name"},   {"SLURM_JOB_ID", "slurm_job_id"},
    {"SLURM_JOB_NAME", "slurm_job_name"},           {"SLURM_JOB_PARTITION", "slurm_job_partition"},
    {"SLURM_JOB_NUM_NODES", "slurm_job_num_nodes"}, {"SLURM_NTASKS", "slurm_ntasks"},
    {"SLURM_CPUS_PER_TASK", "slurm_cpus_per_task"}, {"SLURM_ARRAY_JOB_ID", "slurm_array_job_id"},
    {"SLURM_ARRAY_TASK_ID", "slurm_array_task_id"}, {"SLURM_RESTART_COUNT", "slurm_restart_count"},
};

static at_err add(at_provenance *p, const char *name, const char *value) {
  if (p->n == ENTRIES_MAX) {
    return AT_FAIL(AT_ERR_INTERNAL, "more than %d entries of provenance", ENTRIES_MAX);
  }
  AT_TRY(at_strdup(&p->entries[p->n].value, value));
  p->entries[p->n].name = name;
  p->n++;
  return AT_OK;
}

static at_err add_number(at_provenance *p, const char *name, int value) {
  char text[16];
  snprintf(text, sizeof text, "%d", value);
  return add(p, name, text);
}

/* ---- hosts ---- */

static int by_name(const void *a, const void *b) {
  return strcmp(a, b);
}

/* "node1 (4 ranks), node2 (4 ranks)" of the sorted names[n][HOST_BYTES], into a new string. */
static at_err list_hosts(char *names, int n, char **out) {
  size_t room = (size_t)n * (HOST_BYTES + 24) + 1;
  size_t at = 0;
  AT_TRY(at_alloc(out, room, 1, "host names"));
  for (int i = 0; i < n;) {
    const char *name = names + (size_t)i * HOST_BYTES;
    int same = 1;
    while (i + same < n && strcmp(name, name + (size_t)same * HOST_BYTES) == 0) {
      same++;
    }
    at += (size_t)snprintf(*out + at, room - at, "%s%s (%d rank%s)", i == 0 ? "" : ", ", name, same,
                           same == 1 ? "" : "s");
    i += same;
  }
  return AT_OK;
}

static at_err gather_hosts(at_comm *world, char *names, int64_t *bytes) {
  char own[HOST_BYTES] = "";
  snprintf(own, sizeof own, "%s", at_comm_host(world));
  for (int r = 0; r < at_comm_size(world); r++) {
    bytes[r] = HOST_BYTES;
  }
  AT_TRY(at_comm_allgatherv(world, own, names, bytes));
  qsort(names, (size_t)at_comm_size(world), HOST_BYTES, by_name);
  return AT_OK;
}

static at_err add_hosts(at_provenance *p, at_comm *world) {
  char *names = NULL, *list = NULL;
  int64_t *bytes = NULL;
  size_t ranks = (size_t)at_comm_size(world);
  at_err err = at_alloc(&names, ranks, HOST_BYTES, "host names");
  if (err == AT_OK) {
    err = at_alloc(&bytes, ranks, sizeof *bytes, "host names");
  }
  err = at_comm_agree(world, err);
  if (err == AT_OK) {
    err = gather_hosts(world, names, bytes);
  }
  if (err == AT_OK) {
    err = list_hosts(names, at_comm_size(world), &list);
  }
  if (err == AT_OK) {
    err = add(p, "hosts", list);
  }
  at_free(names);
  at_free(bytes);
  at_free(list);
  return err;
}

/* ---- the rest ---- */

static at_err add_libraries(at_provenance *p) {
  char mpi[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  char hdf5[48];
  int length = 0;
  unsigned major = 0, minor = 0, release = 0;
  if (MPI_Get_library_version(mpi, &length) != MPI_SUCCESS) {
    return AT_FAIL(AT_ERR_MPI, "MPI does not tell its version");
  }
  if (H5get_libversion(&major, &minor, &release) < 0) {
    return AT_H5_FAIL("asking for HDF5's version");
  }
  snprintf(hdf5, sizeof hdf5, "%u.%u.%u", major, minor, release);
  AT_TRY(add(p, "mpi", mpi));
  AT_TRY(add(p, "hdf5", hdf5));
  AT_TRY(add(p, "openblas", openblas_get_config()));
  AT_TRY(add(p, "gsl", gsl_version));
  return add(p, "zlib", zlibVersion());
}

static at_err add_time(at_provenance *p) {
  char text[32];
  time_t now = time(NULL);
  struct tm utc;
  gmtime_r(&now, &utc);
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return add(p, "started", text);
}

static at_err fill(at_provenance *p, at_comm *world, const char *config, const char *isa, int threads) {
  AT_TRY(add(p, "atoll_version", AT_VERSION));
  AT_TRY(add(p, "git_revision", AT_GIT_REVISION));
#ifdef __clang__
  AT_TRY(add(p, "compiler", __VERSION__));
#else
  AT_TRY(add(p, "compiler", "gcc " __VERSION__));
#endif
  AT_TRY(add(p, "build_flags", AT_BUILD_FLAGS));
  AT_TRY(add_libraries(p));
  AT_TRY(add_number(p, "ranks", at_comm_size(world)));
  AT_TRY(add_number(p, "threads", threads));
  AT_TRY(add(p, "isa", isa));
  for (size_t i = 0; i < sizeof slurm / sizeof slurm[0]; i++) {
    const char *value = getenv(slurm[i][0]);
    if (value != NULL) {
      AT_TRY(add(p, slurm[i][1], value));
    }
  }
  AT_TRY(add_time(p));
  return add(p, "config", config);
}

at_err at_provenance_create(at_provenance **out, at_comm *world, const char *config, const char *isa, int threads) {
  at_provenance *p = NULL;
  *out = NULL;
  at_err err = at_alloc(&p, 1, sizeof *p, "provenance");
  if (err == AT_OK) {
    err = fill(p, world, config, isa, threads);
  }
  err = at_comm_agree(world, err);
  if (err == AT_OK) {
    err = at_comm_agree(world, add_hosts(p, world));
  }
  if (err != AT_OK) {
    at_provenance_destroy(p);
    return at_err_trace(err, __FILE__, __LINE__);
  }
  *out = p;
  return AT_OK;
}

void at_provenance_destroy(at_provenance *p) {
  if (p == NULL) {
    return;
  }
  for (int i = 0; i < p->n; i++) {
    at_free(p->entries[i].value);
  }
  at_free(p);
}

const char *at_provenance_get(const at_provenance *p, const char *name) {
  for (int i = 0; i < p->n; i++) {
    if (strcmp(p->entries[i].name, name) == 0) {
      return p->entries[i].value;
    }
  }
  return NULL;
}

at_err at_provenance_write(const at_provenance *p, at_h5 *f) {
  for (int i = 0; p != NULL && i < p->n; i++) {
    AT_TRY(at_h5_set_attr_text(f, "/provenance", p->entries[i].name, p->entries[i].value));
  }
  return AT_OK;
}
