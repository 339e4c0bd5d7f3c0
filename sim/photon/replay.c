/* SPDX-License-Identifier: BSD-3-Clause */
/* Playing rounds of a run again in a folder of their own. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/photon/photon.h"
#include "src/base/alloc.h"

/* `name` of the run becomes a link in the new folder, wherever that is. */
static at_err link_file(const at_replay *what, const char *name) {
  char from[4200], to[4200], whole[PATH_MAX];
  snprintf(from, sizeof from, "%s/%s", what->folder, name);
  snprintf(to, sizeof to, "%s/%s", what->again, name);
  return realpath(from, whole) != NULL && symlink(whole, to) == 0
             ? AT_OK
             : AT_FAIL(AT_ERR_FILE, "%s cannot be linked to %s: %s", from, to, strerror(errno));
}

/* Where the replay begins, as `atoll resume` would find it.  Rank 0. */
static at_err link_start(const at_replay *what) {
  char checkpoint[64];
  snprintf(checkpoint, sizeof checkpoint, "checkpoints/%06lld.h5", (long long)what->from);
  AT_TRY(link_file(what, checkpoint));
  return link_file(what, "metrics.h5");
}

static at_err play(at_photon *p, int64_t to) {
  while (p->count.round < to) {
    AT_TRY(at_photon_play_round(p));
  }
  AT_TRY(at_comm_agree(p->s->world, p->metrics != NULL ? at_metrics_flush(p->metrics, true) : AT_OK));
  AT_TRY(at_photon_save(p));
  return at_run_settle(p->run, p->s->world);
}

at_err at_photon_replay(at_session *s, at_opts *set, const void *cfg, const at_replay *what) {
  at_photon_cfg c = *(const at_photon_cfg *)cfg;
  char folder[4200];
  at_photon *p = NULL;
  at_err err;
  snprintf(folder, sizeof folder, "%s", what->again);
  c.run.run = folder;
  AT_TRY(at_photon_create(&p, s, set, &c, false));
  if (what->from > 0) {
    AT_TRY_TO(err, done, at_comm_agree(s->world, at_comm_rank(s->world) == 0 ? link_start(what) : AT_OK));
    AT_TRY_TO(err, done, at_photon_restore(p));
  }
  at_comm_phase before = at_comm_set_phase(s->world, AT_COMM_TRAIN);
  err = play(p, what->to);
  at_comm_set_phase(s->world, before);
done:
  at_photon_destroy(p);
  return err;
}
