/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages between ranks that go on while the caller computes.
 *
 * A message is started with a cookie; when it is through, the cookie comes back as an event.  Starting and polling allocate nothing
 * once at_wire_reserve made room.  Payload is counted on the communicator, in the phase that was set when the wire was made or reset;
 * what a rank sends to itself is delivered and not counted. */
#ifndef AT_COMM_WIRE_H
#define AT_COMM_WIRE_H

#include "src/comm/comm.h"

typedef struct at_wire at_wire;

typedef struct at_wire_event {
  int64_t cookie;
  int64_t bytes; /* received, or sent */
} at_wire_event;

/* Messages over a copy of `comm` (borrowed, for counting), so that tags are the caller's own.  Collective. */
at_err at_wire_create(at_wire **out, at_comm *comm);
void at_wire_destroy(at_wire *w); /* collective; accepts NULL; no message may be under way */

int64_t at_wire_most_tag(const at_wire *w); /* tags are 0 .. this; at least 32767 */
/* Room for `messages` under way at once; never shrinks. */
at_err at_wire_reserve(at_wire *w, int64_t messages);
void at_wire_set_phase(at_wire *w, at_comm_phase phase);

/* Start a message; buf may not be touched before its event.  recv: of at most `room` bytes.  bytes, room < 2^31.
 * send_known: the event comes only when the receiver has begun to receive, which takes the receiver's progress. */
at_err at_wire_send(at_wire *w, int dest, int64_t tag, const void *buf, int64_t bytes, int64_t cookie);
at_err at_wire_send_known(at_wire *w, int dest, int64_t tag, const void *buf, int64_t bytes, int64_t cookie);
at_err at_wire_recv(at_wire *w, int source, int64_t tag, void *buf, int64_t room, int64_t cookie);

int64_t at_wire_under_way(const at_wire *w);
/* Make progress.  *found tells whether an event was there; it is handed out once.  block: wait for one, unless nothing is under
 * way. */
at_err at_wire_next(at_wire *w, bool block, bool *found, at_wire_event *event);

#endif
