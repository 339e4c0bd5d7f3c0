/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of `atoll bench` share: timings over all ranks, and what a link and this machine's cores were measured to do. */
#ifndef AT_SIM_BENCH_H
#define AT_SIM_BENCH_H

#include "sim/session.h"
#include "src/comm/collective/reduce.h"
#include "src/net/cost.h"

/* Measurements that all ranks take part in; arguments after their names.  Collective. */
at_err at_bench_graph(at_session *s, int argc, char **argv);   /* bench_graph.c */
at_err at_bench_comm(at_session *s, int argc, char **argv);    /* bench_comm.c */
at_err at_bench_overlap(at_session *s, int argc, char **argv); /* bench_overlap.c */

enum { AT_BENCH_REPEATS_MAX = 101 };

/* Seconds over repeats: median, least, most. */
typedef struct at_bench_time {
  double median_s, least_s, most_s;
} at_bench_time;
/* Of t[n], which is sorted. */
at_bench_time at_bench_time_of(double *t, int n);
/* `body` once to warm up, then `repeats` times: each from a barrier to the end of the slowest rank.  Collective. */
at_err at_bench_repeat(at_comm *world, int repeats, at_err (*body)(void *context), void *context, at_bench_time *out);

/* The slowest link between neighbours, measured while all ranks send to the next and receive from the one before: payload rate
 * from streams of half a second and a second, a message's latency from messages of a byte.  One rank: a link without cost.  Collective. */
at_err at_bench_link(at_comm *world, at_link *out);

/* Rates of this machine's cores while all ranks work, bytes of floats per second; the slowest rank's. */
typedef struct at_bench_rates {
  double encode, decode, add, copy; /* add: decode and add; copy: memcpy of as many bytes, in between */
} at_bench_rates;
/* Of a codec over frames of `chunk` elements out of x[n].  Collective. */
at_err at_bench_codec(at_comm *world, const at_kernels *k, const at_codec_cfg *cfg, int64_t chunk, int64_t n,
                      const float *x, at_bench_rates *out);

#endif
