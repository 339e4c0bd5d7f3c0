/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that look at files: inspect and diff.  Rank 0 works, the others learn the outcome. */
#include "sim/commands.h"
#include "src/store/diff.h"
#include "src/store/inspect.h"

at_err at_inspect_main(at_session *s, int argc, char **argv) {
  if (argc != 1) {
    return AT_FAIL(AT_ERR_ARG, "Usage: atoll inspect FILE.h5");
  }
  return at_comm_agree(s->world, at_comm_rank(s->world) == 0 ? at_inspect(argv[0], stdout) : AT_OK);
}

at_err at_diff_main(at_session *s, int argc, char **argv) {
  if (argc != 2) {
    return AT_FAIL(AT_ERR_ARG, "Usage: atoll diff A B   (two HDF5 files, or two run folders)");
  }
  return at_comm_agree(s->world, at_comm_rank(s->world) == 0 ? at_diff(argv[0], argv[1], stdout) : AT_OK);
}
