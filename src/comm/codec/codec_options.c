/* SPDX-License-Identifier: BSD-3-Clause */
/* Refuses options that the chosen codec does not look at: a setting without effect is a mistake. */
#include "src/comm/codec/codec_options.h"

#include <stdio.h>
#include <string.h>

static const char *const general[] = {"start", "lossless", "zstd_level"};
static const char *const particular[] = {"block", "rounding", "scale",    "norm",      "levels", "ratio",
                                         "index", "value",    "unbiased", "momentum",  "clip",   "warmup",
                                         "rank",  "averaged", "bound",    "bound_kind"};
enum { GENERAL = sizeof general / sizeof *general, PARTICULAR = sizeof particular / sizeof *particular };

/* `word` is one of the space-separated words. */
static bool has_word(const char *words, const char *word) {
  const size_t n = strlen(word);
  for (const char *p = strstr(words, word); p != NULL; p = strstr(p + 1, word)) {
    if ((p == words || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0')) {
      return true;
    }
  }
  return false;
}

at_err at_codec_options_check(const at_opts *set, const char *key, at_codec_cfg *cfg) {
  char name[128];
  const char *used = at_codec_options_used(cfg->kind);
  for (int i = 0; i < PARTICULAR; i++) {
    snprintf(name, sizeof name, "%s.%s", key, particular[i]);
    if (at_opts_is_changed(set, name) && !has_word(used, particular[i])) {
      return at_opts_reject(set, name, "%s takes %s%s%s, %s and %s", at_codec_names[cfg->kind], used,
                            used[0] != '\0' ? " " : "", general[0], general[1], general[GENERAL - 1]);
    }
  }
  const at_err err = at_codec_resolve(cfg);
  if (err != AT_OK) {
    char why[AT_ERR_MESSAGE_MAX];
    snprintf(why, sizeof why, "%s", at_err_message());
    snprintf(name, sizeof name, "%s.codec", key);
    return at_opts_reject(set, name, "%s", why);
  }
  return AT_OK;
}
