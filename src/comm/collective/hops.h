/* SPDX-License-Identifier: BSD-3-Clause */
/* What each participant of ring, doubling and tree does with a piece, as a list of steps. */
#ifndef AT_COMM_HOPS_H
#define AT_COMM_HOPS_H

#include "src/comm/collective/reduce.h"

/* One step.  acc is the participant's partial sum of `count` clients; code is a frame of its partial mean. */
typedef enum at_hop_do {
  AT_HOP_ENCODE,  /* code = C(acc / count), keyed by (client, stage) */
  AT_HOP_SEND,    /* code to `peer` with `tag` */
  AT_HOP_RECV,    /* wait for a frame of `peer` with `tag` */
  AT_HOP_ADD,     /* acc += more * D(received) */
  AT_HOP_SELF,    /* acc = count * D(code): what the others use */
  AT_HOP_MEAN,    /* acc = acc / count, count = 1 */
  AT_HOP_PASS,    /* the received frame, unchanged, becomes code */
  AT_HOP_TAKE,    /* result = D(code) */
  AT_HOP_TAKE_ACC /* result = acc */
} at_hop_do;

typedef struct at_hop {
  at_hop_do what;
  int64_t peer;   /* node */
  int64_t tag;    /* of a message between these two about this piece: 0 .. at_hops_tags - 1 */
  int64_t count;  /* clients in acc after the step; ADD, SELF */
  int64_t more;   /* clients in what is added */
  uint64_t key;   /* ENCODE: node whose id keys it; AT_CODE_SHARED: nobody's */
  uint32_t stage; /* ENCODE and decoders of its frame */
} at_hop;

/* Most steps of one participant, and most different tags, for p participants. */
int64_t at_hops_most(int algorithm, int64_t p, int64_t fan_in);
int64_t at_hops_tags(int algorithm, int64_t p, int64_t fan_in);

/* Write the steps of node v of p for a piece whose ring owner is `owner`; returns how many.  steps[at_hops_most]. */
int64_t at_hops_plan(int algorithm, int64_t p, int64_t fan_in, int64_t v, int64_t owner, at_hop *steps);

#endif
