/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages to many ranks, sent to one after the other.
 *
 * In an all-to-all whose messages all start at once, streams of several senders meet at a receiver's link, shares are uneven, and
 * links idle.  Here a rank's messages wait in a queue for each destination, and the queues are served in turns that begin behind the
 * rank itself: while everybody keeps pace, every link carries one stream each way.  The next destination's turn comes when its
 * predecessor has received all but a little.  Receives must have been posted beforehand: a queue may wait for any other. */
#ifndef AT_COMM_POST_H
#define AT_COMM_POST_H

#include "src/comm/collective/wire.h"

typedef struct at_post at_post;

/* Messages go over `wire` (borrowed) to `ranks` ranks from the rank `own`; at most `letters` in a round. */
at_err at_post_create(at_post **out, at_wire *wire, int ranks, int own, int64_t letters);
void at_post_destroy(at_post *p); /* accepts NULL */

void at_post_begin(at_post *p); /* a round; the one before is over */
/* Queue a message, as at_wire_send; its event comes from the wire, and must be told to at_post_arrived. */
at_err at_post_send(at_post *p, int dest, int64_t tag, const void *buf, int64_t bytes, int64_t cookie);
at_err at_post_arrived(at_post *p, int64_t bytes); /* a message sent has arrived */
bool at_post_is_empty(const at_post *p);           /* nothing waits or is under way */

#endif
