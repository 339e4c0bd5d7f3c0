/* SPDX-License-Identifier: BSD-3-Clause */
/* Folders for the files of a measurement or a replay. */
#include "sim/scratch.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/alloc.h"

enum { PATH_BYTES = 4096 };

void at_scratch_ancestor(char *out, size_t size, const char *path) {
  struct stat s;
  snprintf(out, size, "%s", path);
  do {
    size_t n = strlen(out);
    while (n > 1 && out[n - 1] == '/') {
      out[--n] = '\0';
    }
    char *slash = strrchr(out, '/');
    if (slash == NULL) {
      snprintf(out, size, ".");
    } else {
      slash[slash == out ? 1 : 0] = '\0';
    }
  } while (strcmp(out, ".") != 0 && strcmp(out, "/") != 0 && !(stat(out, &s) == 0 && S_ISDIR(s.st_mode)));
}

static at_err make(char text[PATH_BYTES], const char *path) {
  char near[PATH_BYTES - 32];
  const char *tmp = getenv("TMPDIR");
  at_scratch_ancestor(near, sizeof near, path);
  const char *places[] = {near, tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp"};
  for (int i = 0; i < 2; i++) {
    snprintf(text, PATH_BYTES, "%s/.atoll-XXXXXX", places[i]);
    if (mkdtemp(text) != NULL) {
      return AT_OK;
    }
  }
  return AT_FAIL(AT_ERR_FILE, "no folder for temporary files in %s or %s: %s", places[0], places[1], strerror(errno));
}

at_err at_scratch_create(char **folder, at_comm *world, const char *path) {
  char text[PATH_BYTES] = "";
  *folder = NULL;
  AT_TRY(at_comm_agree(world, at_comm_rank(world) == 0 ? make(text, path) : AT_OK));
  AT_TRY(at_comm_bcast(world, 0, text, sizeof text));
  return at_comm_agree(world, at_strdup(folder, text));
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *walk) {
  (void)s, (void)kind, (void)walk;
  return remove(path);
}

void at_scratch_remove(char *folder, at_comm *world) {
  if (folder != NULL && at_comm_rank(world) == 0) {
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  }
  at_free(folder);
}
