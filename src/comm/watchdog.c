/* SPDX-License-Identifier: BSD-3-Clause */
/* The watchdog's thread: writes its rank's line, reads the others', and ends a job that stands still. */
#include "src/comm/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/comm/comm_internal.h"

enum { LINE = 384, SAY = 1024, NAMED = 4 };

/* What a rank's line says. */
typedef struct line {
  char host[201], phase[32];
  long process;
  int64_t round, tick;
  double idle_s; /* without progress */
  int waits;
} line;

/* What this thread has seen of a rank. */
typedef struct sighting {
  int64_t tick;   /* of the line when last read */
  double stale_s; /* since it changed */
} sighting;

struct at_watchdog {
  at_comm *world;
  char *heartbeat, *stalled, *advice;
  double limit_s, tick_s;
  pthread_t thread;
  pthread_mutex_t mutex; /* guards `ends` */
  pthread_cond_t wake;
  bool ends;
  /* the thread's */
  int64_t ticks, beats;
  double idle_s; /* of this rank */
  line *lines;   /* [ranks] */
  sighting *seen;
};

void at_comm_beat(at_comm *c) {
  /* One thread writes. */
  int64_t n = atomic_load_explicit(&c->family->beats, memory_order_relaxed);
  atomic_store_explicit(&c->family->beats, n + 1, memory_order_relaxed);
}

void at_comm_enter(at_comm *c) {
  atomic_store_explicit(&c->family->waits, true, memory_order_relaxed);
  at_comm_beat(c);
}

void at_comm_leave(at_comm *c) {
  atomic_store_explicit(&c->family->waits, false, memory_order_relaxed);
  at_comm_beat(c);
}

/* ---- lines ---- */

static void own_line(const at_watchdog *w, line *l) {
  const at_comm_family *f = w->world->family;
  *l = (line){.process = (long)getpid(), .round = f->round, .tick = w->ticks, .idle_s = w->idle_s, .waits = f->waits};
  snprintf(l->host, sizeof l->host, "%.200s", f->host);
  snprintf(l->phase, sizeof l->phase, "%.30s", at_comm_phase_name(f->phase));
}

/* Opened and closed each time, so that a network file system brings it to the other hosts.  What cannot be written now
 * may be at the next tick. */
static void write_line(const at_watchdog *w) {
  line l;
  char text[LINE + 1];
  own_line(w, &l);
  int n = snprintf(text, sizeof text,
                   "rank %d on %s process %ld phase %s round %" PRId64 " idle %.1f waits %d tick %" PRId64,
                   w->world->rank, l.host, l.process, l.phase, l.round, l.idle_s, l.waits, l.tick);
  memset(text + n, ' ', (size_t)(LINE - n));
  text[LINE - 1] = '\n';
  int file = open(w->heartbeat, O_WRONLY | O_CLOEXEC);
  if (file >= 0) {
    ssize_t written = pwrite(file, text, LINE, (off_t)w->world->rank * LINE);
    (void)written;
    close(file);
  }
}

/* False for a line that is not there yet, or was caught in the middle of being written. */
static bool read_line(int file, int rank, line *l) {
  char text[LINE + 1] = "";
  int number = -1;
  line read = {.tick = -1};
  if (pread(file, text, LINE, (off_t)rank * LINE) != LINE || text[LINE - 1] != '\n') {
    return false;
  }
  int n = sscanf(text, "rank %d on %200s process %ld phase %31s round %" SCNd64 " idle %lf waits %d tick %" SCNd64,
                 &number, read.host, &read.process, read.phase, &read.round, &read.idle_s, &read.waits, &read.tick);
  if (n != 8 || number != rank) {
    return false;
  }
  *l = read;
  return true;
}

/* ---- the look at the others ---- */

static void forget(at_watchdog *w) {
  for (int r = 0; r < w->world->size; r++) {
    w->seen[r] = (sighting){.tick = -1};
  }
}

static void look(at_watchdog *w) {
  int file = open(w->heartbeat, O_RDONLY | O_CLOEXEC);
  for (int r = 0; r < w->world->size; r++) {
    sighting *s = &w->seen[r];
    if (r == w->world->rank) {
      own_line(w, &w->lines[r]);
      continue;
    }
    if (file >= 0 && read_line(file, r, &w->lines[r]) && w->lines[r].tick != s->tick) {
      *s = (sighting){.tick = w->lines[r].tick};
    } else {
      s->stale_s += w->tick_s;
    }
  }
  if (file >= 0) {
    close(file);
  }
}

/* Half the limit is at least five ticks without a new line. */
static bool is_gone(const at_watchdog *w, int r) {
  return w->seen[r].stale_s >= w->limit_s / 2;
}

static bool stands_still(const at_watchdog *w, int r) {
  return !w->lines[r].waits && w->lines[r].idle_s >= w->limit_s;
}

/* ---- the end ---- */

static void add(char *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(char *text, const char *fmt, ...) {
  size_t n = strlen(text);
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text + n, SAY - n, fmt, ap);
  va_end(ap);
}

static void add_place(char *text, const line *l) {
  if (l->round >= 0) {
    add(text, "in phase %s, round %" PRId64, l->phase, l->round);
  } else {
    add(text, "in phase %s", l->phase);
  }
}

static void add_culprit(const at_watchdog *w, char *text, int r) {
  const line *l = &w->lines[r];
  bool gone = is_gone(w, r);
  add(text, "rank %d", r);
  if (l->process != 0) {
    add(text, " on %s (process %ld)", l->host, l->process);
  }
  add(text, gone ? " gives no sign of life (stopped, dead or cut off), last seen " : " is at a standstill ");
  if (l->process != 0) {
    add_place(text, l);
  } else {
    add(text, "never");
  }
}

/* One line about the ranks of one kind; how many there are. */
static int name_ranks(const at_watchdog *w, char *text, bool (*is_one)(const at_watchdog *w, int r)) {
  int n = 0;
  for (int r = 0; r < w->world->size; r++) {
    if (is_one(w, r)) {
      add(text, n > 0 && n < NAMED ? "; " : "");
      if (n++ < NAMED) {
        add_culprit(w, text, r);
      }
    }
  }
  if (n > NAMED) {
    add(text, "; and %d more", n - NAMED);
  }
  return n;
}

/* Ranks that hold the others up; false if there are none.  Where some are gone, what stands still may do so because of
 * them, in a place that does not know that it waits. */
static bool name_culprits(const at_watchdog *w, char *text) {
  const line *own = &w->lines[w->world->rank];
  bool any = name_ranks(w, text, is_gone) > 0 || name_ranks(w, text, stands_still) > 0;
  if (any && own->waits) {
    add(text, "; rank %d waits ", w->world->rank);
    add_place(text, own);
  }
  return any;
}

/* All wait for each other: their calls do not match, or the network has failed. */
static bool name_deadlock(const at_watchdog *w, char *text) {
  int odd = 0;
  for (int r = 0; r < w->world->size; r++) {
    const line *l = &w->lines[r];
    if (l->idle_s < 2 * w->limit_s || !l->waits) {
      return false;
    }
    bool differs = strcmp(l->phase, w->lines[0].phase) != 0 || l->round != w->lines[0].round;
    odd = odd == 0 && differs ? r : odd;
  }
  add(text, "all ranks wait for each other: rank 0 on %s ", w->lines[0].host);
  add_place(text, &w->lines[0]);
  if (odd > 0) {
    add(text, ", rank %d on %s ", odd, w->lines[odd].host);
    add_place(text, &w->lines[odd]);
  }
  return true;
}

/* Only one rank gets to make the file, and speaks; the others leave it the time. */
static _Noreturn void end_job(const at_watchdog *w, const char *why) {
  char text[SAY] = "";
  add(text, "atoll: no progress for %.3g s: %s; %s\n", w->limit_s, why, w->advice);
  text[SAY - 2] = text[SAY - 2] != '\0' ? '\n' : '\0';
  int file = open(w->stalled, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file >= 0 || errno != EEXIST) {
    fputs(text, stderr);
    fflush(stderr);
    if (file >= 0) {
      ssize_t written = write(file, text, strlen(text));
      (void)written;
      close(file);
    }
  } else {
    sleep(2);
  }
  _exit(at_err_exit_code(AT_ERR_STALLED));
}

/* Somebody has spoken.  Opening asks the server where a network file system is involved. */
static bool is_over(const at_watchdog *w) {
  int file = open(w->stalled, O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    close(file);
  }
  return file >= 0;
}

static void tick(at_watchdog *w) {
  if (is_over(w)) { /* this rank was stopped, and is woken by the launcher that ends the job */
    _exit(at_err_exit_code(AT_ERR_STALLED));
  }
  int64_t beats = w->world->family->beats;
  w->idle_s = beats == w->beats ? w->idle_s + w->tick_s : 0;
  w->beats = beats;
  w->ticks++;
  write_line(w);
  if (w->idle_s < w->limit_s / 4) {
    forget(w);
    return;
  }
  look(w);
  char why[SAY] = "";
  if (w->idle_s >= w->limit_s && (name_culprits(w, why) || name_deadlock(w, why))) {
    end_job(w, why);
  }
}

/* ---- the thread ---- */

/* A moment from now on the monotonic clock. */
static struct timespec after(double seconds) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  double whole = floor(seconds);
  t.tv_sec += (time_t)whole;
  t.tv_nsec += (long)((seconds - whole) * 1e9);
  if (t.tv_nsec >= 1000000000) {
    t.tv_sec++;
    t.tv_nsec -= 1000000000;
  }
  return t;
}

static void *run(void *context) {
  at_watchdog *w = context;
  pthread_mutex_lock(&w->mutex);
  while (!w->ends) {
    struct timespec next = after(w->tick_s);
    while (!w->ends && pthread_cond_timedwait(&w->wake, &w->mutex, &next) != ETIMEDOUT) {
    }
    if (!w->ends) {
      pthread_mutex_unlock(&w->mutex);
      tick(w);
      pthread_mutex_lock(&w->mutex);
    }
  }
  pthread_mutex_unlock(&w->mutex);
  return NULL;
}

/* The thread takes no signals: they are for the one that works. */
static at_err start_thread(at_watchdog *w) {
  sigset_t all, before;
  pthread_condattr_t attributes;
  sigfillset(&all);
  if (pthread_condattr_init(&attributes) != 0 || pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
      pthread_mutex_init(&w->mutex, NULL) != 0 || pthread_cond_init(&w->wake, &attributes) != 0 ||
      pthread_sigmask(SIG_SETMASK, &all, &before) != 0) {
    return AT_FAIL(AT_ERR_INTERNAL, "cannot prepare the watchdog's thread");
  }
  int code = pthread_create(&w->thread, NULL, run, w);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_condattr_destroy(&attributes);
  return code == 0 ? AT_OK : AT_FAIL(AT_ERR_MEMORY, "cannot start the watchdog's thread: %s", strerror(code));
}

static void release(at_watchdog *w) {
  at_free(w->heartbeat);
  at_free(w->stalled);
  at_free(w->advice);
  at_free(w->lines);
  at_free(w->seen);
  at_free(w);
}

static at_err join(char **out, const char *folder, const char *name) {
  size_t room = strlen(folder) + strlen(name) + 2;
  AT_TRY(at_alloc(out, room, 1, "watchdog"));
  snprintf(*out, room, "%s/%s", folder, name);
  return AT_OK;
}

static at_err prepare(at_watchdog *w, const char *folder, const char *advice) {
  size_t ranks = (size_t)w->world->size;
  AT_TRY(join(&w->heartbeat, folder, "heartbeat"));
  AT_TRY(join(&w->stalled, folder, "stalled"));
  AT_TRY(at_strdup(&w->advice, advice));
  AT_TRY(at_alloc(&w->lines, ranks, sizeof *w->lines, "watchdog"));
  AT_TRY(at_alloc(&w->seen, ranks, sizeof *w->seen, "watchdog"));
  if (w->world->rank != 0) {
    return AT_OK;
  }
  unlink(w->stalled);
  int file = open(w->heartbeat, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0 || ftruncate(file, (off_t)ranks * LINE) != 0) {
    at_err err = AT_FAIL(AT_ERR_FILE, "%s: cannot be written: %s", w->heartbeat, strerror(errno));
    if (file >= 0) {
      close(file);
    }
    return err;
  }
  close(file);
  return AT_OK;
}

at_err at_watchdog_start(at_watchdog **out, at_comm *world, const char *folder, double seconds, const char *advice) {
  *out = NULL;
  if (seconds <= 0) {
    return AT_OK;
  }
  at_watchdog *w = NULL;
  AT_TRY(at_comm_agree(world, at_alloc(&w, 1, sizeof *w, "watchdog")));
  w->world = world;
  w->limit_s = seconds;
  w->tick_s = fmin(seconds / 10, fmax(1, world->size / 500.0)); /* at most 500 lines a second in the file */
  at_err err = at_comm_agree(world, prepare(w, folder, advice));
  if (err != AT_OK) {
    release(w);
    return at_err_trace(err, __FILE__, __LINE__);
  }
  write_line(w);
  err = start_thread(w);
  bool runs = err == AT_OK;
  err = at_comm_agree(world, err);
  if (err != AT_OK) {
    if (runs) {
      at_watchdog_stop(w);
    } else {
      release(w);
    }
    return at_err_trace(err, __FILE__, __LINE__);
  }
  *out = w;
  return AT_OK;
}

void at_watchdog_stop(at_watchdog *w) {
  if (w == NULL) {
    return;
  }
  pthread_mutex_lock(&w->mutex);
  w->ends = true;
  pthread_cond_signal(&w->wake);
  pthread_mutex_unlock(&w->mutex);
  pthread_join(w->thread, NULL);
  pthread_cond_destroy(&w->wake);
  pthread_mutex_destroy(&w->mutex);
  if (w->world->rank == 0) {
    unlink(w->heartbeat);
  }
  release(w);
}
