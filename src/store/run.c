/* SPDX-License-Identifier: BSD-3-Clause */
/* Run folders and their lock. */
#include "src/store/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/store/ckpt_internal.h"
#include "src/store/fs.h"

enum { PATH_BYTES = 4096 };

struct at_run {
  char *folder;
  int lock; /* rank 0: descriptor that holds the lock; -1 elsewhere */
  bool is_locked;
  at_publisher *publisher; /* rank 0 */
  at_ckpt_image *kept;     /* rank 0: the last checkpoint that went by an image, or NULL */
  char path[PATH_BYTES];   /* of the last at_run_path */
};

const char *at_run_folder(const at_run *r) {
  return r->folder;
}

const char *at_run_path(at_run *r, const char *name) {
  snprintf(r->path, sizeof r->path, "%s/%s", r->folder, name);
  return r->path;
}

at_publisher *at_run_publisher(const at_run *r) {
  return r->publisher;
}

at_ckpt_image **at_run_kept_image(at_run *r) {
  return &r->kept;
}

at_err at_run_settle(at_run *r, at_comm *world) {
  return at_comm_agree(world, at_publisher_settle(r->publisher));
}

at_err at_run_status(const at_run *r) {
  return at_publisher_status(r->publisher);
}

bool at_run_is_locked(const at_run *r) {
  return r->is_locked;
}

/* ---- the lock ---- */

static at_err busy(at_run *r) {
  char holder[256] = "";
  ssize_t n = pread(r->lock, holder, sizeof holder - 1, 0);
  holder[n > 0 ? n : 0] = '\0';
  holder[strcspn(holder, "\n")] = '\0';
  return AT_FAIL(AT_ERR_BUSY, "%s: another run is writing here (%s): wait for it, stop it, or choose another folder",
                 r->folder, holder[0] != '\0' ? holder : "it did not say who it is");
}

static at_err take_lock(at_run *r, const char *host) {
  const char *path = at_run_path(r, "lock");
  r->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (r->lock < 0) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot be written: %s: choose a folder that you may write to", path,
                   strerror(errno));
  }
  r->is_locked = flock(r->lock, LOCK_EX | LOCK_NB) == 0;
  if (!r->is_locked && errno == EWOULDBLOCK) {
    return busy(r);
  }
  /* A file system without locks leaves is_locked false: the caller warns. */
  char holder[512];
  int n = snprintf(holder, sizeof holder, "process %ld on %s\n", (long)getpid(), host);
  if (ftruncate(r->lock, 0) != 0 || pwrite(r->lock, holder, (size_t)n, 0) != n) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot be written: %s", path, strerror(errno));
  }
  return AT_OK;
}

/* ---- the folder ---- */

static bool exists(at_run *r, const char *name) {
  return access(at_run_path(r, name), F_OK) == 0;
}

/* Temporary files of writers that were killed; we hold the lock, so nobody is writing them. */
static void remove_leftovers(const char *folder) {
  DIR *d = opendir(folder);
  if (d == NULL) {
    return;
  }
  for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
    if (strstr(e->d_name, ".tmp-") != NULL) {
      unlinkat(dirfd(d), e->d_name, 0);
    }
  }
  closedir(d);
}

static bool is_empty(const char *folder) {
  DIR *d = opendir(folder);
  bool empty = true;
  if (d == NULL) {
    return true;
  }
  for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
    empty = empty && e->d_name[0] == '.';
  }
  closedir(d);
  return empty;
}

static at_err open_here(at_run *r, const char *host, at_run_mode mode) {
  if (mode == AT_RUN_RESUME && !exists(r, "config.yaml")) {
    return AT_FAIL(AT_ERR_STATE, "%s: is not a run: it has no config.yaml", r->folder);
  }
  AT_TRY(at_fs_make_folder(r->folder));
  AT_TRY(take_lock(r, host));
  AT_TRY(at_fs_make_folder(at_run_path(r, "checkpoints")));
  remove_leftovers(r->folder);
  remove_leftovers(at_run_path(r, "checkpoints"));
  bool has_run = exists(r, "config.yaml") || exists(r, "metrics.h5") || !is_empty(at_run_path(r, "checkpoints"));
  if (mode == AT_RUN_NEW && has_run) {
    return AT_FAIL(AT_ERR_STATE,
                   "%s: already holds a run: `atoll resume %s` goes on with it; a new one needs a new folder",
                   r->folder, r->folder);
  }
  return AT_OK;
}

at_err at_run_open(at_run **out, at_comm *world, const char *folder, at_run_mode mode) {
  at_run *r = NULL;
  *out = NULL;
  at_err err = at_alloc(&r, 1, sizeof *r, "run");
  if (err == AT_OK) {
    r->lock = -1;
    err = strlen(folder) < PATH_BYTES - 64 ? at_strdup(&r->folder, folder)
                                           : AT_FAIL(AT_ERR_ARG, "the path of the run folder is too long");
  }
  if (err == AT_OK && at_comm_rank(world) == 0) {
    err = open_here(r, at_comm_host(world), mode);
    err = err == AT_OK ? at_publisher_create(&r->publisher) : err;
  }
  err = at_comm_agree(world, err);
  if (err == AT_OK) {
    err = at_comm_bcast(world, 0, &r->is_locked, sizeof r->is_locked);
  }
  if (err != AT_OK) {
    at_run_close(r);
    return at_err_trace(err, __FILE__, __LINE__);
  }
  *out = r;
  return AT_OK;
}

void at_run_close(at_run *r) {
  if (r == NULL) {
    return;
  }
  at_publisher_destroy(r->publisher);
  at_ckpt_image_destroy(r->kept);
  if (r->lock >= 0) {
    close(r->lock);
  }
  at_free(r->folder);
  at_free(r);
}

/* ---- the configuration ---- */

at_err at_run_write_config(at_run *r, at_comm *world, const char *yaml) {
  at_err err = AT_OK;
  if (at_comm_rank(world) == 0) {
    err = at_fs_write_text(at_run_path(r, "config.yaml"), yaml);
  }
  return at_comm_agree(world, err);
}

at_err at_run_read_config(at_run *r, at_comm *world, char **yaml) {
  int64_t bytes = 0;
  at_err err = AT_OK;
  *yaml = NULL;
  if (at_comm_rank(world) == 0) {
    err = at_fs_read_text(at_run_path(r, "config.yaml"), yaml);
    bytes = err == AT_OK ? (int64_t)strlen(*yaml) + 1 : 0;
  }
  AT_TRY(at_comm_agree(world, err));
  AT_TRY(at_comm_bcast(world, 0, &bytes, sizeof bytes));
  if (at_comm_rank(world) != 0) {
    err = at_alloc(yaml, (size_t)bytes, 1, "configuration");
  }
  err = at_comm_agree(world, err);
  if (err == AT_OK) {
    err = at_comm_bcast(world, 0, *yaml, bytes);
  }
  if (err != AT_OK) {
    at_free(*yaml);
    *yaml = NULL;
  }
  return err;
}
