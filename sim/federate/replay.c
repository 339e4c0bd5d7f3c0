/* SPDX-License-Identifier: BSD-3-Clause */
/* Playing rounds of a run again in a folder of their own. */
#include <dirent.h>
#include <string.h>

#include "sim/federate/federate.h"

/* The files of clients' state one by one: those of later rounds are unlinked when the earlier state is restored. */
static at_err link_states(const at_replay *what) {
  char folder[4600], name[300];
  at_err err = AT_OK;
  snprintf(folder, sizeof folder, "%s/clients", what->folder);
  DIR *dir = opendir(folder);
  for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL && err == AT_OK; e = readdir(dir)) {
    if (strstr(e->d_name, ".h5") != NULL && e->d_name[0] != '.') {
      snprintf(name, sizeof name, "clients/%s", e->d_name);
      err = at_replay_link(what, name);
    }
  }
  if (dir != NULL) {
    closedir(dir);
  }
  return err;
}

/* Where the replay begins, with the clients' state.  Rank 0. */
static at_err link_start(const at_replay *what) {
  AT_TRY(at_replay_link_start(what));
  return link_states(what);
}

static at_err play(at_federate *f, int64_t to) {
  while (f->count.round < to) {
    AT_TRY(at_federate_play_round(f));
  }
  AT_TRY(at_comm_agree(f->s->world, f->metrics != NULL ? at_metrics_flush(f->metrics, true) : AT_OK));
  return at_federate_save(f);
}

at_err at_federate_replay(at_session *s, at_opts *set, const void *cfg, const at_replay *what) {
  at_federate_cfg c = *(const at_federate_cfg *)cfg;
  char folder[4200];
  at_federate *f = NULL;
  at_err err;
  snprintf(folder, sizeof folder, "%s", what->again);
  c.run.run = folder;
  AT_TRY(at_federate_create(&f, s, set, &c, false));
  if (what->from > 0) {
    AT_TRY_TO(err, done, at_comm_agree(s->world, f->rank == 0 ? link_start(what) : AT_OK));
    AT_TRY_TO(err, done, at_federate_restore(f));
  }
  at_comm_phase before = at_comm_set_phase(s->world, AT_COMM_TRAIN);
  err = play(f, what->to);
  at_comm_set_phase(s->world, before);
done:
  at_federate_destroy(f);
  return err;
}
