/* SPDX-License-Identifier: BSD-3-Clause */
/* The folder that rounds are played again in: links to where they begin. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/verify.h"
#include "src/base/alloc.h"
#include "src/store/fs.h"

at_err at_replay_link(const at_replay *what, const char *name) {
  char *from = NULL, *to = NULL, whole[PATH_MAX];
  at_err err = at_fs_path(&from, "%s/%s", what->folder, name);
  AT_TRY_TO(err, done, err);
  AT_TRY_TO(err, done, at_fs_path(&to, "%s/%s", what->again, name));
  if (realpath(from, whole) == NULL || symlink(whole, to) != 0) {
    err = AT_FAIL(AT_ERR_FILE, "%s cannot be linked to %s: %s", from, to, strerror(errno));
  }
done:
  at_free(from);
  at_free(to);
  return err;
}

at_err at_replay_link_start(const at_replay *what) {
  char checkpoint[64];
  snprintf(checkpoint, sizeof checkpoint, "checkpoints/%06lld.h5", (long long)what->from);
  AT_TRY(at_replay_link(what, checkpoint));
  return at_replay_link(what, "metrics.h5");
}
