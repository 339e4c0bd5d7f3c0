/* SPDX-License-Identifier: BSD-3-Clause */
/* Going back to the last checkpoint after a server step that made the global model not finite. */
#include "sim/photon/photon.h"

/* The run is taken down and brought up as `atoll resume` would, so that nothing of the spoilt rounds is left.  It happens at most
 * once, so that what it costs does not matter. */
at_err at_photon_roll_back(at_photon **p, at_opts *set, at_photon_cfg *cfg) {
  at_session *s = (*p)->s;
  const int64_t round = (*p)->count.round + 1, halvings = (*p)->count.halvings + 1;
  if (halvings > 1) {
    return AT_FAIL(AT_ERR_NONFINITE,
                   "the global model is not finite after the server step of round %lld, though outer.lr was halved: "
                   "lower outer.lr or local.lr",
                   (long long)round);
  }
  AT_TRY(at_run_settle((*p)->run, s->world)); /* the checkpoint may be on its way to disk */
  at_photon_destroy(*p);
  *p = NULL;
  AT_TRY(at_photon_create(p, s, set, cfg, true));
  (*p)->count.halvings = halvings;
  at_log_warn(s->log, "round",
              "round = %lld: the global model is not finite after the server step: back to round %lld, outer.lr = %g",
              (long long)round, (long long)(*p)->count.round, cfg->outer_lr / 2);
  return AT_OK;
}
