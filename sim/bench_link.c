/* SPDX-License-Identifier: BSD-3-Clause */
/* What a link and cores do: the measurements that `atoll bench` compares with and that its model is fed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/bench.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/comm/codec/frame.h"
#include "src/comm/collective/wire.h"

/* ---- timings ---- */

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

at_bench_time at_bench_time_of(double *t, int n) {
  qsort(t, (size_t)n, sizeof *t, ascending);
  return (at_bench_time){.median_s = 0.5 * (t[(n - 1) / 2] + t[n / 2]), .least_s = t[0], .most_s = t[n - 1]};
}

at_err at_bench_repeat(at_comm *world, int repeats, at_err (*body)(void *context), void *context, at_bench_time *out) {
  double t[AT_BENCH_REPEATS_MAX + 1];
  for (int i = 0; i <= repeats; i++) {
    AT_TRY(at_comm_barrier(world));
    const double begin = at_clock_now_s();
    AT_TRY(at_comm_agree(world, body(context)));
    t[i] = at_clock_now_s() - begin;
  }
  AT_TRY(at_comm_allreduce(world, AT_COMM_F64, AT_COMM_MAX, t, repeats + 1));
  *out = at_bench_time_of(t + 1, repeats);
  return AT_OK;
}

/* ---- links ---- */

/* Two messages under way: on throttled links a deeper queue makes the stream slower than any mean is. */
enum { MESSAGE = 32768, WINDOW = 2, PINGS = 21 };

typedef struct line {
  at_comm *world;
  at_wire *wire;
  uint8_t *in, *out; /* [WINDOW * MESSAGE] */
  int64_t messages, bytes;
} line;

/* Send `messages` of `bytes` to the next rank, and receive as many, a window of them under way. */
static at_err stream(void *context) {
  line *l = context;
  const int ranks = at_comm_size(l->world), next = (at_comm_rank(l->world) + 1) % ranks,
            last = (at_comm_rank(l->world) + ranks - 1) % ranks;
  int64_t sent = 0, received = 0, left = 2 * l->messages;
  for (; received < l->messages && received < WINDOW; received++) {
    AT_TRY(at_wire_recv(l->wire, last, 0, l->in + received * MESSAGE, MESSAGE, received * 2));
  }
  for (; sent < l->messages && sent < WINDOW; sent++) {
    AT_TRY(at_wire_send_known(l->wire, next, 0, l->out + sent * MESSAGE, l->bytes, sent * 2 + 1));
  }
  while (left > 0) {
    at_wire_event e;
    bool found = false;
    AT_TRY(at_wire_next(l->wire, true, &found, &e));
    left -= found;
    const int64_t place = e.cookie / 2 * MESSAGE;
    if (found && e.cookie % 2 == 0 && received < l->messages) {
      AT_TRY(at_wire_recv(l->wire, last, 0, l->in + place, MESSAGE, e.cookie));
      received++;
    } else if (found && e.cookie % 2 == 1 && sent < l->messages) {
      AT_TRY(at_wire_send_known(l->wire, next, 0, l->out + place, l->bytes, e.cookie));
      sent++;
    }
  }
  return AT_OK;
}

static at_err time_stream(line *l, int64_t messages, int64_t bytes, int repeats, double *s) {
  at_bench_time t;
  l->messages = messages;
  l->bytes = bytes;
  AT_TRY(at_bench_repeat(l->world, repeats, stream, l, &t));
  *s = t.median_s;
  return AT_OK;
}

/* A length that takes about half a second, and twice as much: what starting and ending costs is in both. */
static at_err measure_line(line *l, at_link *out) {
  double probe = 0, once = 0, twice = 0, ping = 0;
  AT_TRY(time_stream(l, PINGS, 1, 5, &ping));
  AT_TRY(time_stream(l, 8, MESSAGE, 1, &probe));
  const int64_t n = (int64_t)fmin(fmax(8 * 0.5 / probe, 16), 1 << 14);
  AT_TRY(time_stream(l, n, MESSAGE, 5, &once));
  AT_TRY(time_stream(l, 2 * n, MESSAGE, 5, &twice));
  const double seconds = fmax(twice - once, 0.25 * twice); /* of n messages, on a link that others disturb, too */
  *out = (at_link){.bytes_per_s = (double)n * MESSAGE / seconds, .latency_s = ping / PINGS};
  return at_comm_bcast(l->world, 0, out, sizeof *out);
}

at_err at_bench_link(at_comm *world, at_link *out) {
  *out = (at_link){.bytes_per_s = INFINITY};
  if (at_comm_size(world) == 1) {
    return AT_OK;
  }
  line l = {.world = world};
  at_err err = AT_OK;
  AT_TRY(at_wire_create(&l.wire, world));
  err = at_wire_reserve(l.wire, 2 * WINDOW);
  err = err == AT_OK ? at_alloc(&l.in, WINDOW * MESSAGE, 1, "stream") : err;
  err = err == AT_OK ? at_alloc(&l.out, WINDOW * MESSAGE, 1, "stream") : err;
  err = at_comm_agree(world, err);
  err = err == AT_OK ? measure_line(&l, out) : err;
  at_wire_destroy(l.wire);
  at_free(l.in);
  at_free(l.out);
  return err;
}

/* ---- codecs ---- */

typedef struct mill {
  at_codec *codec;
  at_cut *cut;
  const float *x;
  float *y;
  uint8_t *frames;
  int64_t *bytes; /* [pieces] */
} mill;

enum { ENCODE, DECODE, ADD, COPY, JOBS };

static at_err work(mill *m, int job) {
  const at_code_key key = {.seed = 1};
  int64_t at = 0;
  if (job == COPY) {
    memcpy(m->y, m->x, (size_t)m->cut->n * sizeof *m->y);
    return AT_OK;
  }
  for (int64_t p = 0; p < m->cut->n_pieces; at += m->bytes[p++]) {
    const at_piece shape = at_cut_piece(m->cut, p);
    float *y = m->y + shape.first;
    if (job == ENCODE) {
      m->bytes[p] = at_frame_encode(m->codec, &key, &shape, m->x + shape.first, m->frames + at);
    } else {
      AT_TRY(job == DECODE ? at_frame_decode(m->codec, &key, &shape, m->frames + at, m->bytes[p], y)
                           : at_frame_add(m->codec, &key, &shape, m->frames + at, m->bytes[p], 0.25f, y));
    }
  }
  return AT_OK;
}

/* All ranks at the same job at the same time; medians over rounds, the slowest rank's. */
static at_err run_mill(at_comm *world, mill *m, double *seconds) {
  enum { ROUNDS = 7 };
  double t[JOBS][ROUNDS];
  for (int r = 0; r < ROUNDS; r++) {
    for (int job = 0; job < JOBS; job++) {
      AT_TRY(at_comm_barrier(world));
      const double begin = at_clock_now_s();
      const at_err err = work(m, job);
      t[job][r] = at_clock_now_s() - begin;
      AT_TRY(at_comm_agree(world, err));
    }
  }
  for (int job = 0; job < JOBS; job++) {
    seconds[job] = at_bench_time_of(t[job], ROUNDS).median_s;
  }
  return at_comm_allreduce(world, AT_COMM_F64, AT_COMM_MAX, seconds, JOBS);
}

static at_err make_mill(mill *m, const at_kernels *k, const at_codec_cfg *cfg, int64_t chunk, int64_t n) {
  const int64_t offsets[2] = {0, n};
  AT_TRY(at_cut_create(&m->cut, 1, offsets, chunk));
  AT_TRY(at_codec_create(&m->codec, cfg, k, chunk));
  int64_t room = 0;
  for (int64_t p = 0; p < m->cut->n_pieces; p++) {
    const at_piece shape = at_cut_piece(m->cut, p);
    room += at_frame_room(cfg, &shape);
  }
  AT_TRY(at_alloc(&m->y, (size_t)n, sizeof *m->y, "vector"));
  AT_TRY(at_alloc(&m->frames, (size_t)room, 1, "frames"));
  return at_alloc(&m->bytes, (size_t)m->cut->n_pieces, sizeof *m->bytes, "frames");
}

at_err at_bench_codec(at_comm *world, const at_kernels *k, const at_codec_cfg *cfg, int64_t chunk, int64_t n,
                      const float *x, at_bench_rates *out) {
  mill m = {.x = x};
  double s[JOBS] = {0};
  at_err err = at_comm_agree(world, make_mill(&m, k, cfg, chunk, n));
  err = err == AT_OK ? run_mill(world, &m, s) : err;
  const double bytes = 4.0 * (double)n;
  *out = (at_bench_rates){bytes / s[ENCODE], bytes / s[DECODE], bytes / s[ADD], bytes / s[COPY]};
  at_codec_destroy(m.codec);
  at_cut_destroy(m.cut);
  at_free(m.y);
  at_free(m.frames);
  at_free(m.bytes);
  return err;
}
