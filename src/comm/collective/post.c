/* SPDX-License-Identifier: BSD-3-Clause */
/* Queues of messages by destination, served in turns. */
#include "src/comm/collective/post.h"

#include "src/base/alloc.h"

/* What may still be on its way when the next turn begins: enough that a link of 1 Gbit/s does not run dry. */
enum { SLACK_BYTES = 65536 };

typedef struct letter {
  int64_t tag, bytes, cookie, next; /* next: of its queue; -1: the last */
  const void *buf;
} letter;

struct at_post {
  at_wire *wire; /* borrowed */
  int ranks, own, turn;
  int64_t room, n, waiting, away_bytes;
  letter *letters;      /* [room] */
  int64_t *head, *tail; /* [ranks]: letters; head -1: nothing waits */
};

at_err at_post_create(at_post **out, at_wire *wire, int ranks, int own, int64_t letters) {
  at_post *p = NULL;
  *out = NULL;
  AT_TRY(at_alloc(&p, 1, sizeof *p, "post"));
  *p = (at_post){.wire = wire, .ranks = ranks, .own = own, .room = letters};
  at_err err = AT_OK;
  AT_TRY_TO(err, fail, at_alloc(&p->letters, (size_t)letters, sizeof *p->letters, "post"));
  AT_TRY_TO(err, fail, at_alloc(&p->head, (size_t)ranks, sizeof *p->head, "post"));
  AT_TRY_TO(err, fail, at_alloc(&p->tail, (size_t)ranks, sizeof *p->tail, "post"));
  *out = p;
  return AT_OK;
fail:
  at_post_destroy(p);
  return err;
}

void at_post_destroy(at_post *p) {
  if (p != NULL) {
    at_free(p->letters);
    at_free(p->head);
    at_free(p->tail);
    at_free(p);
  }
}

void at_post_begin(at_post *p) {
  p->n = p->waiting = p->away_bytes = 0;
  p->turn = (p->own + 1) % p->ranks;
  for (int rank = 0; rank < p->ranks; rank++) {
    p->head[rank] = -1;
  }
}

/* Send what waits for the destination whose turn it is, and go on while little is under way. */
static at_err serve(at_post *p) {
  while (p->waiting > 0) {
    const int64_t first = p->head[p->turn];
    if (first >= 0) {
      const letter *l = &p->letters[first];
      AT_TRY(at_wire_send_known(p->wire, p->turn, l->tag, l->buf, l->bytes, l->cookie));
      p->head[p->turn] = l->next;
      p->away_bytes += l->bytes;
      p->waiting--;
    } else if (p->away_bytes <= SLACK_BYTES) {
      p->turn = (p->turn + 1) % p->ranks;
    } else {
      return AT_OK;
    }
  }
  return AT_OK;
}

at_err at_post_send(at_post *p, int dest, int64_t tag, const void *buf, int64_t bytes, int64_t cookie) {
  if (p->n == p->room) {
    return AT_FAIL(AT_ERR_INTERNAL, "more messages in a round than the %lld announced", (long long)p->room);
  }
  const int64_t at = p->n++;
  p->letters[at] = (letter){.tag = tag, .bytes = bytes, .cookie = cookie, .next = -1, .buf = buf};
  if (p->head[dest] < 0) {
    p->head[dest] = at;
  } else {
    p->letters[p->tail[dest]].next = at;
  }
  p->tail[dest] = at;
  p->waiting++;
  return serve(p);
}

at_err at_post_arrived(at_post *p, int64_t bytes) {
  p->away_bytes -= bytes;
  return serve(p);
}

bool at_post_is_empty(const at_post *p) {
  return p->waiting == 0 && p->away_bytes == 0;
}
