/* SPDX-License-Identifier: BSD-3-Clause */
/* A queue of messages of which few are on their way. */
#include "src/comm/collective/post.h"

#include "src/base/alloc.h"

/* What may be on its way: enough that links do not run dry, little enough that shares stay even.  Doubled within a round whenever
 * everything has arrived and more waits: the ranks compute between polls, and links stood still. */
enum { WINDOW_LEAST = 262144, WINDOW_MOST = 1 << 24 };

typedef struct letter {
  int dest;
  int64_t tag, bytes, cookie;
  const void *buf;
} letter;

struct at_post {
  at_wire *wire; /* borrowed */
  int64_t room, n, next, away_bytes, window;
  bool was_away;   /* something was on its way when last looked */
  letter *letters; /* [room], of which those from `next` on wait */
};

at_err at_post_create(at_post **out, at_wire *wire, int64_t letters) {
  at_post *p = NULL;
  *out = NULL;
  AT_TRY(at_alloc(&p, 1, sizeof *p, "post"));
  *p = (at_post){.wire = wire, .room = letters};
  const at_err err = at_alloc(&p->letters, (size_t)letters, sizeof *p->letters, "post");
  if (err != AT_OK) {
    at_post_destroy(p);
    return err;
  }
  *out = p;
  return AT_OK;
}

void at_post_destroy(at_post *p) {
  if (p != NULL) {
    at_free(p->letters);
    at_free(p);
  }
}

void at_post_begin(at_post *p) {
  p->n = p->next = p->away_bytes = 0;
  p->window = WINDOW_LEAST;
  p->was_away = false;
}

/* Send what waits, while little is on its way. */
static at_err serve(at_post *p) {
  while (p->next < p->n && p->away_bytes < p->window) {
    const letter *l = &p->letters[p->next++];
    p->away_bytes += l->bytes;
    AT_TRY(at_wire_send_known(p->wire, l->dest, l->tag, l->buf, l->bytes, l->cookie));
  }
  return AT_OK;
}

at_err at_post_send(at_post *p, int dest, int64_t tag, const void *buf, int64_t bytes, int64_t cookie) {
  if (p->n == p->room) {
    return AT_FAIL(AT_ERR_INTERNAL, "more messages in a round than the %lld announced", (long long)p->room);
  }
  p->letters[p->n++] = (letter){.dest = dest, .tag = tag, .bytes = bytes, .cookie = cookie, .buf = buf};
  return serve(p);
}

void at_post_arrived(at_post *p, int64_t bytes) {
  p->away_bytes -= bytes;
}

at_err at_post_serve(at_post *p) {
  if (p->was_away && p->away_bytes == 0 && p->next < p->n && p->window < WINDOW_MOST) {
    p->window *= 2;
  }
  const at_err err = serve(p);
  p->was_away = p->away_bytes > 0;
  return err;
}

bool at_post_waits(const at_post *p) {
  return p->next < p->n;
}

bool at_post_is_empty(const at_post *p) {
  return p->next == p->n && p->away_bytes == 0;
}
