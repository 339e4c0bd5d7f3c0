/* SPDX-License-Identifier: BSD-3-Clause */
/* Non-blocking messages and their events. */
#include "src/comm/collective/wire.h"

#include <limits.h>

#include "src/base/alloc.h"
#include "src/comm/comm_internal.h"

typedef struct letter {
  int64_t cookie, bytes;
  int peer;
  bool is_recv;
} letter;

struct at_wire {
  at_comm *comm;  /* borrowed: counts */
  at_comm *route; /* owned: carries */
  at_comm_phase phase;
  int64_t most_tag;
  int room, active;
  MPI_Request *requests; /* [room] of the active messages */
  letter *letters;       /* [room], beside them */
  int *done;             /* [room]: what one test found */
  MPI_Status *status;    /* [room] */
  at_wire_event *events; /* [room]: found and not yet handed out */
  int n_events, next_event;
};

at_err at_wire_create(at_wire **out, at_comm *comm) {
  *out = NULL;
  at_wire *w = NULL;
  at_comm *route = NULL;
  AT_TRY(at_comm_dup(comm, &route));
  const at_err err = at_comm_agree(comm, at_alloc(&w, 1, sizeof *w, "wire"));
  if (err != AT_OK) {
    at_free(w);
    at_comm_destroy(route);
    return at_err_trace(err, __FILE__, __LINE__);
  }
  void *most = NULL;
  int is_set = 0;
  AT_TRY(at_comm_check(MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &most, &is_set), "MPI_Comm_get_attr"));
  *w = (at_wire){.comm = comm, .route = route, .phase = AT_COMM_REDUCE};
  w->most_tag = is_set != 0 ? *(int *)most : 32767;
  *out = w;
  return AT_OK;
}

void at_wire_destroy(at_wire *w) {
  if (w == NULL) {
    return;
  }
  at_comm_destroy(w->route);
  at_free(w->requests);
  at_free(w->letters);
  at_free(w->done);
  at_free(w->status);
  at_free(w->events);
  at_free(w);
}

int64_t at_wire_most_tag(const at_wire *w) {
  return w->most_tag;
}

void at_wire_set_phase(at_wire *w, at_comm_phase phase) {
  w->phase = phase;
}

at_err at_wire_reserve(at_wire *w, int64_t messages) {
  if (messages <= w->room) {
    return AT_OK;
  }
  if (messages > INT_MAX) {
    return AT_FAIL(AT_ERR_ARG, "%lld messages under way at once: take larger pieces", (long long)messages);
  }
  const size_t n = (size_t)messages;
  AT_TRY(at_realloc(&w->requests, n, sizeof *w->requests, "messages"));
  AT_TRY(at_realloc(&w->letters, n, sizeof *w->letters, "messages"));
  AT_TRY(at_realloc(&w->done, n, sizeof *w->done, "messages"));
  AT_TRY(at_realloc(&w->status, n, sizeof *w->status, "messages"));
  AT_TRY(at_realloc(&w->events, n, sizeof *w->events, "messages"));
  w->room = (int)messages;
  return AT_OK;
}

/* The end of what at_comm_count_begin began; a call that moved nothing of others' costs time only. */
static void count(at_wire *w, double begin, int64_t messages, int64_t sent, int64_t received) {
  const at_comm_phase before = at_comm_set_phase(w->comm, w->phase);
  if (messages > 0 || received > 0) {
    at_comm_count_end(w->comm, begin, messages, sent, received);
  } else {
    at_comm_count_time(w->comm, begin);
  }
  at_comm_set_phase(w->comm, before);
}

static at_err check_start(const at_wire *w, int64_t tag, int64_t bytes) {
  if (w->active + w->n_events - w->next_event >= w->room) {
    return AT_FAIL(AT_ERR_INTERNAL, "more messages under way than the %d reserved", w->room);
  }
  if (tag > w->most_tag || bytes > INT_MAX) {
    return AT_FAIL(AT_ERR_ARG, "a message of %lld bytes with tag %lld: the most are %d and %lld; take %s pieces",
                   (long long)bytes, (long long)tag, INT_MAX, (long long)w->most_tag,
                   bytes > INT_MAX ? "smaller" : "larger");
  }
  return AT_OK;
}

static at_err start_send(at_wire *w, bool is_known, int dest, int64_t tag, const void *buf, int64_t bytes,
                         int64_t cookie) {
  AT_TRY(check_start(w, tag, bytes));
  const double begin = at_comm_count_begin(w->comm);
  MPI_Request *r = &w->requests[w->active];
  AT_TRY(is_known ? at_comm_check(MPI_Issend(buf, (int)bytes, MPI_BYTE, dest, (int)tag, w->route->mpi, r), "MPI_Issend")
                  : at_comm_check(MPI_Isend(buf, (int)bytes, MPI_BYTE, dest, (int)tag, w->route->mpi, r), "MPI_Isend"));
  w->letters[w->active++] = (letter){.cookie = cookie, .bytes = bytes, .peer = dest, .is_recv = false};
  const bool is_away = dest != w->comm->rank;
  count(w, begin, is_away, is_away ? bytes : 0, 0);
  return AT_OK;
}

at_err at_wire_send(at_wire *w, int dest, int64_t tag, const void *buf, int64_t bytes, int64_t cookie) {
  return start_send(w, false, dest, tag, buf, bytes, cookie);
}

at_err at_wire_send_known(at_wire *w, int dest, int64_t tag, const void *buf, int64_t bytes, int64_t cookie) {
  return start_send(w, true, dest, tag, buf, bytes, cookie);
}

at_err at_wire_recv(at_wire *w, int source, int64_t tag, void *buf, int64_t room, int64_t cookie) {
  AT_TRY(check_start(w, tag, room));
  MPI_Request *r = &w->requests[w->active];
  AT_TRY(at_comm_check(MPI_Irecv(buf, (int)room, MPI_BYTE, source, (int)tag, w->route->mpi, r), "MPI_Irecv"));
  w->letters[w->active++] = (letter){.cookie = cookie, .peer = source, .is_recv = true};
  return AT_OK;
}

int64_t at_wire_under_way(const at_wire *w) {
  return w->active + w->n_events - w->next_event;
}

/* Turn n finished messages, whose places are done[], into events; the last active ones take their places. */
static at_err collect(at_wire *w, int n, int64_t *received) {
  for (int i = 0; i < n; i++) {
    letter *l = &w->letters[w->done[i]];
    if (l->is_recv) {
      int bytes = 0;
      AT_TRY(at_comm_check(MPI_Get_count(&w->status[i], MPI_BYTE, &bytes), "MPI_Get_count"));
      l->bytes = bytes;
      *received += l->peer != w->comm->rank ? bytes : 0;
    }
    w->events[w->n_events++] = (at_wire_event){.cookie = l->cookie, .bytes = l->bytes};
  }
  int kept = 0;
  for (int i = 0; i < w->active; i++) { /* finished requests are null now */
    if (w->requests[i] != MPI_REQUEST_NULL) {
      w->requests[kept] = w->requests[i];
      w->letters[kept++] = w->letters[i];
    }
  }
  w->active = kept;
  return AT_OK;
}

at_err at_wire_next(at_wire *w, bool block, bool *found, at_wire_event *event) {
  if (w->next_event == w->n_events) {
    w->next_event = w->n_events = 0;
    int n = 0;
    const double begin = at_comm_count_begin(w->comm);
    if (w->active > 0 && block) {
      AT_TRY(at_comm_check(MPI_Waitsome(w->active, w->requests, &n, w->done, w->status), "MPI_Waitsome"));
    } else if (w->active > 0) {
      AT_TRY(at_comm_check(MPI_Testsome(w->active, w->requests, &n, w->done, w->status), "MPI_Testsome"));
    }
    int64_t received = 0;
    if (n > 0) {
      AT_TRY(collect(w, n, &received));
    }
    count(w, begin, 0, 0, received);
  }
  *found = w->next_event < w->n_events;
  if (*found) {
    *event = w->events[w->next_event++];
  }
  return AT_OK;
}
