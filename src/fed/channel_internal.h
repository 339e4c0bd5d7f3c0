/* SPDX-License-Identifier: BSD-3-Clause */
/* What channel.c (rounds) and channel_state.c (what is kept) share. */
#ifndef AT_FED_CHANNEL_INTERNAL_H
#define AT_FED_CHANNEL_INTERNAL_H

#include "src/comm/collective/low_rank.h"
#include "src/comm/collective/reduce.h"
#include "src/comm/collective/secure.h"
#include "src/fed/channel.h"

struct at_channel {
  at_comm *world;    /* borrowed */
  const at_vec *vec; /* borrowed */
  at_channel_cfg cfg;
  int64_t n, *offsets;
  /* one of these */
  at_reduce *reduce;
  at_low_rank *low_rank;
  at_secure *secure;
  /* what is kept */
  at_feedback *memory; /* borrowed from one of the above; NULL: clients have none */
  int64_t n_own;
  const int64_t *own;     /* borrowed */
  at_feedback_row **open; /* [n_own], borrowed from memory */
  void **rows[2];         /* [n_own] each: their vectors */
  int64_t *rounds;        /* [n_own] */
  int64_t *piece;         /* [pieces]: 0, 1, ... */
  /* copies for at_channel_undo; NULL without */
  float *was_client[2], *was_server, *was_shared; /* [n_own][n] each, [n], [q] */
  int64_t *was_round;                             /* [n_own] */
  /* the round */
  int64_t round, asked;
  at_channel_report sum; /* of this rank, but for dropped, passages and reveals, which all know */
  at_err err;
  char message[AT_ERR_MESSAGE_MAX];
};

at_err at_channel_create_state(at_channel *c); /* not collective */
void at_channel_destroy_state(at_channel *c);

#endif
