/* SPDX-License-Identifier: BSD-3-Clause */
/* Playing rounds of a run again in a folder of their own. */
#include "sim/photon/photon.h"
#include "src/base/alloc.h"

static at_err save(at_photon *p) {
  AT_TRY(at_comm_agree(p->s->world, p->metrics != NULL ? at_metrics_flush(p->metrics, true) : AT_OK));
  return at_photon_save(p);
}

/* Goes back where the run did, to checkpoints that are written where the run's were. */
static at_err play(at_photon **run, at_opts *set, at_photon_cfg *cfg, int64_t to) {
  at_photon *p = *run;
  while (p->count.round < to) {
    at_err err = at_photon_play_round(p);
    if (err == AT_ERR_NONFINITE && p->is_spoilt) {
      err = at_photon_roll_back(run, set, cfg);
      p = *run;
    } else if (err == AT_OK && (p->count.round == to || p->count.round % p->cfg->run.checkpoint_every == 0)) {
      err = save(p);
    }
    AT_TRY(err);
  }
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
    AT_TRY_TO(err, done, at_comm_agree(s->world, at_comm_rank(s->world) == 0 ? at_replay_link_start(what) : AT_OK));
    AT_TRY_TO(err, done, at_photon_restore(p));
  }
  at_comm_phase before = at_comm_set_phase(s->world, AT_COMM_TRAIN);
  err = play(&p, set, &c, what->to);
  at_comm_set_phase(s->world, before);
done:
  at_photon_destroy(p);
  return err;
}
