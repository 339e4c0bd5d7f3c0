/* SPDX-License-Identifier: BSD-3-Clause */
/* Publishing a file by rename. */
#include "src/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "src/base/alloc.h"

static at_err sync_path(const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC);
  if (fd < 0) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot open to flush it: %s", path, strerror(errno));
  }
  /* Some file systems cannot flush a folder and say EINVAL: there is nothing more to do then. */
  int failed = fsync(fd) != 0 && errno != EINVAL ? errno : 0;
  if (close(fd) != 0 && failed == 0) {
    failed = errno;
  }
  if (failed != 0) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot flush to disk: %s", path, strerror(failed));
  }
  return AT_OK;
}

at_err at_file_publish(const char *temporary, const char *path) {
  AT_TRY(sync_path(temporary, O_RDONLY));
  if (rename(temporary, path) != 0) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot rename to %s: %s", temporary, path, strerror(errno));
  }
  char *folder = NULL;
  AT_TRY(at_strdup(&folder, path));
  char *slash = strrchr(folder, '/');
  if (slash != NULL) {
    slash[slash == folder ? 1 : 0] = '\0';
  }
  at_err err = sync_path(slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY);
  at_free(folder);
  return err;
}
