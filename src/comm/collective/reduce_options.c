/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks a reduction's options together. */
#include "src/comm/collective/reduce_options.h"

#include <stdio.h>

static bool is_given(const at_opts *set, const char *key, const char *name) {
  char full[128];
  snprintf(full, sizeof full, "%s.%s", key, name);
  return at_opts_is_given(set, full);
}

/* Feedback by default is for codecs that gain by it. */
static bool gains_by_feedback(const at_codec_cfg *codec, int algorithm) {
  const bool is_hop =
      algorithm == AT_ALGORITHM_ring || algorithm == AT_ALGORITHM_doubling || algorithm == AT_ALGORITHM_tree;
  return !is_hop && at_codec_remembers(codec) != AT_MEMORY_NONE && !at_codec_declare(codec, 1 << 16).unbiased;
}

at_err at_reduce_options_check(const at_opts *set, const char *key, at_reduce_cfg *cfg, int64_t n) {
  char name[128];
  snprintf(name, sizeof name, "%s.up", key);
  AT_TRY(at_codec_options_check(set, name, &cfg->up));
  snprintf(name, sizeof name, "%s.down", key);
  AT_TRY(at_codec_options_check(set, name, &cfg->down));
  if (!is_given(set, key, "feedback")) {
    cfg->feedback = gains_by_feedback(&cfg->up, cfg->algorithm);
  }
  if (!is_given(set, key, "server_feedback")) {
    cfg->server_feedback = gains_by_feedback(&cfg->down, cfg->algorithm);
  }
  if (at_reduce_resolve(cfg, n) != AT_OK) {
    char why[AT_ERR_MESSAGE_MAX];
    snprintf(why, sizeof why, "%s", at_err_message());
    snprintf(name, sizeof name, "%s.algorithm", key);
    return at_opts_reject(set, name, "%s", why);
  }
  return AT_OK;
}
