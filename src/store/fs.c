/* SPDX-License-Identifier: BSD-3-Clause */
/* Folders, small texts, and reserving space. */
#include "src/store/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/file.h"
#include "src/base/fmt.h"

at_err at_fs_path(char **out, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  AT_TRY(at_alloc(out, (size_t)n + 1, 1, "path"));
  va_start(ap, fmt);
  vsnprintf(*out, (size_t)n + 1, fmt, ap);
  va_end(ap);
  return AT_OK;
}

static at_err make_one(const char *path) {
  if (mkdir(path, 0777) == 0 || errno == EEXIST) {
    return AT_OK;
  }
  return AT_FAIL(AT_ERR_FILE, "%s: cannot make this folder: %s", path, strerror(errno));
}

at_err at_fs_make_folder(const char *path) {
  char *part = NULL;
  AT_TRY(at_strdup(&part, path));
  at_err err = AT_OK;
  for (char *p = part + 1; part[0] != '\0' && *p != '\0' && err == AT_OK; p++) {
    if (*p == '/') {
      *p = '\0';
      err = make_one(part);
      *p = '/';
    }
  }
  if (err == AT_OK) {
    err = make_one(part);
  }
  at_free(part);
  struct stat s;
  if (err == AT_OK && (stat(path, &s) != 0 || !S_ISDIR(s.st_mode))) {
    err = AT_FAIL(AT_ERR_FILE, "%s: is in the way: a folder was expected", path);
  }
  return err;
}

/* 0 or an errno.  A file system that cannot reserve behind the end has the file extended instead. */
static int reserve(int fd, off_t bytes) {
  int code = 0;
  do {
    code = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, bytes) == 0 ? 0 : errno;
  } while (code == EINTR);
  if (code != EOPNOTSUPP && code != ENOSYS && code != EINVAL) {
    return code;
  }
  do {
    code = posix_fallocate(fd, 0, bytes);
  } while (code == EINTR);
  return code;
}

static at_err no_space(const char *path, int64_t bytes, int code) {
  char want[AT_FMT_MAX];
  char have[AT_FMT_MAX] = "an unknown amount";
  struct statvfs s;
  if (statvfs(path, &s) == 0) {
    at_fmt_bytes(have, (int64_t)(s.f_bavail * s.f_frsize));
  }
  return AT_FAIL(AT_ERR_FILE, "%s: cannot reserve %s (%lld bytes; %s free): %s: make room or write elsewhere", path,
                 at_fmt_bytes(want, bytes), (long long)bytes, have, strerror(code));
}

at_err at_fs_reserve(const char *path, int64_t bytes) {
  if (bytes <= 0) {
    return AT_OK;
  }
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot open: %s", path, strerror(errno));
  }
  int code = reserve(fd, (off_t)bytes);
  if (close(fd) != 0 && code == 0) {
    code = errno;
  }
  return code == 0 ? AT_OK : no_space(path, bytes, code);
}

static at_err write_all(int fd, const char *path, const char *text) {
  size_t left = strlen(text);
  while (left > 0) {
    ssize_t n = write(fd, text, left);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return AT_FAIL(AT_ERR_FILE, "%s: cannot write: %s", path, strerror(errno));
    }
    text += n;
    left -= (size_t)n;
  }
  return AT_OK;
}

at_err at_fs_write_text(const char *path, const char *text) {
  char *temporary = NULL;
  AT_TRY(at_fs_path(&temporary, "%s.tmp-%ld", path, (long)getpid()));
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  at_err err = AT_OK;
  if (fd < 0) {
    err = AT_FAIL(AT_ERR_FILE, "%s: cannot be written: %s", path, strerror(errno));
  } else {
    err = write_all(fd, path, text);
    if (close(fd) != 0 && err == AT_OK) {
      err = AT_FAIL(AT_ERR_FILE, "%s: cannot write: %s", path, strerror(errno));
    }
    if (err == AT_OK) {
      err = at_file_publish(temporary, path);
    }
    if (err != AT_OK) {
      unlink(temporary);
    }
  }
  at_free(temporary);
  return err;
}

at_err at_fs_read_text(const char *path, char **text) {
  *text = NULL;
  FILE *f = fopen(path, "rbe");
  if (f == NULL) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot be read: %s", path, strerror(errno));
  }
  at_err err = AT_OK;
  size_t used = 0;
  size_t got = 0;
  do {
    AT_TRY_TO(err, done, at_realloc(text, used + 65537, 1, "text of a file"));
    got = fread(*text + used, 1, 65536, f);
    used += got;
  } while (got > 0);
  if (ferror(f)) {
    err = AT_FAIL(AT_ERR_FILE, "%s: cannot be read: %s", path, strerror(errno));
    goto done;
  }
  (*text)[used] = '\0';
done:
  if (err != AT_OK) {
    at_free(*text);
    *text = NULL;
  }
  fclose(f);
  return err;
}

at_err at_fs_sync(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fsync(fd) != 0) {
    at_err err = AT_FAIL(AT_ERR_FILE, "%s: cannot be brought to disk: %s", path, strerror(errno));
    if (fd >= 0) {
      close(fd);
    }
    return err;
  }
  close(fd);
  return AT_OK;
}
