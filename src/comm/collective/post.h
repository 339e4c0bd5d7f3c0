/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages to many ranks, in order, few on their way at a time.
 *
 * In an all-to-all whose messages all start at once, streams of several senders meet at a receiver's link, whoever gets a larger share
 * runs ahead, and links idle at the end.  Here messages leave in the order given, and the next one leaves when enough of those before
 * it have arrived: destinations that alternate in the order get even shares, however their links compete.  Receives must have been
 * posted beforehand: a message may wait for any other. */
#ifndef AT_COMM_POST_H
#define AT_COMM_POST_H

#include "src/comm/collective/wire.h"

typedef struct at_post at_post;

/* Messages go over `wire` (borrowed); at most `letters` in a round. */
at_err at_post_create(at_post **out, at_wire *wire, int64_t letters);
void at_post_destroy(at_post *p); /* accepts NULL */

void at_post_begin(at_post *p); /* a round; the one before is over */
/* Queue a message, as at_wire_send; its event comes from the wire, and must be told to at_post_arrived. */
at_err at_post_send(at_post *p, int dest, int64_t tag, const void *buf, int64_t bytes, int64_t cookie);
void at_post_arrived(at_post *p, int64_t bytes); /* a message sent has arrived */
at_err at_post_serve(at_post *p);                /* send what may go now: after arrivals */
bool at_post_waits(const at_post *p);            /* some may not go yet */
bool at_post_is_empty(const at_post *p);         /* nothing waits or is under way */

#endif
