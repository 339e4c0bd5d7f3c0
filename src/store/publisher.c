/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread that brings file images to disk. */
#include "src/store/publisher.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/file.h"
#include "src/store/fs.h"

/* ---- one image ---- */

enum { PIECES = 8 };

static at_err write_piece(int fd, const char *path, const char *data, int64_t bytes) {
  while (bytes > 0) {
    ssize_t n = write(fd, data, (size_t)bytes);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return AT_FAIL(AT_ERR_FILE, "%s: cannot write: %s", path, strerror(errno));
    }
    data += n;
    bytes -= n;
  }
  return AT_OK;
}

static at_err write_pieces(int fd, const at_image *image) {
  for (int i = 0; i < PIECES; i++) {
    int64_t at = image->bytes * i / PIECES, end = image->bytes * (i + 1) / PIECES;
    if (i > 0) {
      at_fault_point(image->faults.write);
    }
    AT_TRY(write_piece(fd, image->path, (const char *)image->data + at, end - at));
  }
  return AT_OK;
}

static at_err write_temporary(const at_image *image, const char *temporary) {
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot be written: %s", image->path, strerror(errno));
  }
  at_err err = at_fs_reserve(temporary, image->bytes);
  if (err == AT_OK) {
    err = write_pieces(fd, image);
  }
  at_fault_point(image->faults.fsync);
  if (err == AT_OK && fsync(fd) != 0) {
    err = AT_FAIL(AT_ERR_FILE, "%s: cannot be brought to disk: %s", image->path, strerror(errno));
  }
  if (close(fd) != 0 && err == AT_OK) {
    err = AT_FAIL(AT_ERR_FILE, "%s: cannot write: %s", image->path, strerror(errno));
  }
  return err;
}

at_err at_image_publish(const at_image *image) {
  char *temporary = NULL;
  AT_TRY(at_fs_path(&temporary, "%s.tmp-%ld", image->path, (long)getpid()));
  at_err err = write_temporary(image, temporary);
  if (err == AT_OK) {
    at_fault_point(image->faults.rename);
    err = at_file_publish(temporary, image->path);
  }
  if (err != AT_OK) {
    unlink(temporary);
  }
  at_free(temporary);
  return err == AT_OK && image->then != NULL ? image->then(image->context) : err;
}

/* ---- the thread ---- */

enum { ROOM = 4 };

struct at_publisher {
  pthread_t thread;
  pthread_mutex_t mutex; /* guards all below */
  pthread_cond_t changed;
  bool runs, ends;
  at_image queue[ROOM]; /* image number i at i % ROOM; its path is owned */
  int64_t put, done;    /* how many */
  at_err err;           /* not told yet */
  char message[AT_ERR_MESSAGE_MAX];
};

static void finish_one(at_publisher *p) {
  at_image *image = &p->queue[p->done++ % ROOM];
  at_free((char *)image->path);
  image->path = NULL;
}

static void *work(void *context) {
  at_publisher *p = context;
  pthread_mutex_lock(&p->mutex);
  while (!p->ends || p->done < p->put) {
    if (p->done == p->put) {
      pthread_cond_wait(&p->changed, &p->mutex);
      continue;
    }
    at_image image = p->queue[p->done % ROOM];
    pthread_mutex_unlock(&p->mutex);
    at_err err = at_image_publish(&image);
    pthread_mutex_lock(&p->mutex);
    finish_one(p);
    if (err != AT_OK) {
      p->err = err;
      snprintf(p->message, sizeof p->message, "%s", at_err_message());
    }
    while (err != AT_OK && p->done < p->put) {
      finish_one(p);
    }
    pthread_cond_broadcast(&p->changed);
  }
  pthread_mutex_unlock(&p->mutex);
  return NULL;
}

static at_err start(at_publisher *p) {
  sigset_t all, before;
  sigfillset(&all);
  if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) {
    return AT_FAIL(AT_ERR_INTERNAL, "cannot prepare the thread that writes files");
  }
  int code = pthread_create(&p->thread, NULL, work, p);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  p->runs = code == 0;
  return code == 0 ? AT_OK : AT_FAIL(AT_ERR_MEMORY, "cannot start the thread that writes files: %s", strerror(code));
}

/* ---- its users ---- */

at_err at_publisher_create(at_publisher **out) {
  at_publisher *p = NULL;
  *out = NULL;
  AT_TRY(at_alloc(&p, 1, sizeof *p, "publisher"));
  if (pthread_mutex_init(&p->mutex, NULL) != 0 || pthread_cond_init(&p->changed, NULL) != 0) {
    at_free(p);
    return AT_FAIL(AT_ERR_INTERNAL, "cannot prepare the thread that writes files");
  }
  *out = p;
  return AT_OK;
}

void at_publisher_destroy(at_publisher *p) {
  if (p == NULL) {
    return;
  }
  pthread_mutex_lock(&p->mutex);
  p->ends = true;
  pthread_cond_broadcast(&p->changed);
  pthread_mutex_unlock(&p->mutex);
  if (p->runs) {
    pthread_join(p->thread, NULL);
  }
  pthread_cond_destroy(&p->changed);
  pthread_mutex_destroy(&p->mutex);
  at_free(p);
}

/* With the mutex held. */
static at_err tell(at_publisher *p) {
  at_err err = p->err;
  if (err != AT_OK) {
    at_err_adopt(err, p->message);
    p->err = AT_OK;
  }
  return err;
}

static at_err wait_until(at_publisher *p, int64_t done) {
  pthread_mutex_lock(&p->mutex);
  while (p->done < done) {
    pthread_cond_wait(&p->changed, &p->mutex);
  }
  at_err err = tell(p);
  pthread_mutex_unlock(&p->mutex);
  return err;
}

at_err at_publisher_put(at_publisher *p, const at_image *image, int64_t *ticket) {
  char *path = NULL;
  *ticket = 0;
  if (p == NULL) {
    return at_image_publish(image);
  }
  AT_TRY(wait_until(p, p->put - ROOM + 1));
  AT_TRY(at_strdup(&path, image->path));
  at_err err = p->runs ? AT_OK : start(p);
  if (err != AT_OK) {
    at_free(path);
    return err;
  }
  pthread_mutex_lock(&p->mutex);
  at_image *slot = &p->queue[p->put % ROOM];
  *slot = *image;
  slot->path = path;
  *ticket = ++p->put;
  pthread_cond_broadcast(&p->changed);
  pthread_mutex_unlock(&p->mutex);
  return AT_OK;
}

at_err at_publisher_wait(at_publisher *p, int64_t ticket) {
  return p != NULL ? wait_until(p, ticket) : AT_OK;
}

at_err at_publisher_settle(at_publisher *p) {
  return p != NULL ? wait_until(p, p->put) : AT_OK;
}

at_err at_publisher_status(at_publisher *p) {
  return at_publisher_wait(p, 0);
}
