/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of compressed exchange: what follows from others, and what does not go together. */
#include <string.h>

#include "sim/photon/photon.h"
#include "src/comm/collective/reduce_options.h"

static const at_opt rows[] = {
    AT_REDUCE_OPTIONS(at_photon_cfg, exchange, "exchange", "f32"),
    AT_OPT_BOOL(at_photon_cfg, overlap, "exchange.overlap", "true",
                "Gradients are exchanged while the backward pass runs, where no rank plays two clients and the codec "
                "takes vectors piece by piece (ddp, centralised); results are the same.",
                .is_volatile = true),
};
const at_opt_table at_photon_exchange_table = AT_OPT_TABLE("Exchange (reduce = codec)", rows);

/* Some key of the section that begins so is not at its default. */
static bool is_changed(const at_opts *set, const char *prefix) {
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (strncmp(rows[i].name, prefix, strlen(prefix)) == 0 && at_opts_is_changed(set, rows[i].name)) {
      return true;
    }
  }
  return false;
}

/* The first such key. */
static const char *changed_key(const at_opts *set) {
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (at_opts_is_changed(set, rows[i].name)) {
      return rows[i].name;
    }
  }
  return NULL;
}

/* Codecs whose code of a mean would be no use: the mean of sparse vectors is not sparse. */
static bool is_for_clients_only(int kind) {
  return kind == AT_CODEC_topk || kind == AT_CODEC_randomk || kind == AT_CODEC_dgc || kind == AT_CODEC_powersgd;
}

static bool is_sparse(int kind) {
  return kind == AT_CODEC_topk || kind == AT_CODEC_randomk || kind == AT_CODEC_dgc;
}

/* A codec is asked for by naming it; other ways of adding have no use for it. */
static at_err settle_way(at_opts *set, at_photon_cfg *c) {
  const char *key = changed_key(set);
  if (key == NULL || c->run.reduce == AT_REDUCE_CODEC) {
    return AT_OK;
  }
  if (!at_opts_is_given(set, "reduce")) {
    return at_opts_set_from(set, "reduce=codec", "derived from other keys");
  }
  if (c->run.reduce == AT_REDUCE_SECURE) {
    return at_opts_reject(set, key,
                          "reduce = secure masks integers on a grid that all share: codes with scales or "
                          "positions of their own cannot be masked; take reduce=codec, or leave it out");
  }
  return at_opts_reject(set, key, "it has a meaning for reduce = codec only");
}

/* Keys that were not given follow from those that were. */
static void derive(const at_opts *set, at_reduce_cfg *r) {
  bool is_twophase =
      r->algorithm == AT_ALGORITHM_twophase || r->algorithm == AT_ALGORITHM_star || r->algorithm == AT_ALGORITHM_auto;
  if (!at_opts_is_given(set, "exchange.down.codec") && !is_changed(set, "exchange.down.") && is_twophase &&
      !is_for_clients_only(r->up.kind)) {
    r->down = r->up;
  }
  if (!at_opts_is_given(set, "exchange.algorithm") && is_sparse(r->up.kind)) {
    r->algorithm = AT_ALGORITHM_auto;
  }
  if (!at_opts_is_given(set, "exchange.raw_below")) {
    r->raw_below = 0; /* a model is never small enough to do without the codec that was asked for */
  }
}

/* The two means of powersgd have a codec of their own, `down`, and the clients' residuals are part of the method. */
static at_err check_powersgd(at_opts *set, at_reduce_cfg *r) {
  if (at_opts_is_given(set, "exchange.feedback") && !r->feedback) {
    return at_opts_reject(set, "exchange.feedback", "powersgd keeps what it leaves out: leave it at true");
  }
  AT_TRY(at_codec_options_check(set, "exchange.up", &r->up));
  at_reduce_cfg means = *r;
  means.up = means.down;
  means.feedback = means.server_feedback = false;
  if (means.down.kind == AT_CODEC_dgc || means.down.kind == AT_CODEC_powersgd) {
    return at_opts_reject(set, "exchange.down.codec", "the two means of powersgd take any codec but dgc and powersgd");
  }
  AT_TRY(at_codec_options_check(set, "exchange.down", &r->down));
  r->feedback = true;
  r->server_feedback = false;
  return at_reduce_resolve(&means, 1 << 20);
}

static at_err check_codec(at_opts *set, at_reduce_cfg *r) {
  int64_t chunk = r->chunk, raw_below = r->raw_below;
  if (chunk % 64 != 0) {
    return at_opts_reject(set, "exchange.chunk", "want a multiple of 64");
  }
  r->raw_below = 0; /* which vectors are small is known with the model */
  AT_TRY(at_reduce_options_check(set, "exchange", r, 1 << 20));
  r->chunk = chunk;
  r->raw_below = raw_below;
  return AT_OK;
}

at_err at_photon_settle_exchange(at_opts *set, at_photon_cfg *c) {
  const at_photon_method_row *method = &at_photon_methods[c->method];
  at_reduce_cfg *r = &c->exchange;
  AT_TRY(settle_way(set, c));
  if (c->run.reduce != AT_REDUCE_CODEC && c->run.reduce != AT_REDUCE_SECURE) {
    return AT_OK;
  }
  if (method->own_model) {
    return at_opts_reject(set, "reduce", "method = %s exchanges nothing: leave it at exact", method->name);
  }
  if (c->run.reduce == AT_REDUCE_SECURE) {
    return AT_OK;
  }
  derive(set, r);
  if (method->keeps_moments && r->nonfinite == AT_NONFINITE_SKIP) {
    return at_opts_reject(set, "exchange.nonfinite", "method = %s encodes gradients as they come: leave it at drop",
                          method->name);
  }
  return r->up.kind == AT_CODEC_powersgd ? check_powersgd(set, r) : check_codec(set, r);
}
