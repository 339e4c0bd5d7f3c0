/* SPDX-License-Identifier: BSD-3-Clause */
/* A team of threads for the length of one run of a program, over OpenMP. */
#ifndef AT_GRAPH_THREADS_H
#define AT_GRAPH_THREADS_H

/* Calls work(context, me, n) once on each of n threads, me = 0 .. n - 1, and waits for all.  n is `threads`, or less where the
 * system has fewer to give.  Thread 0 is the caller. */
void at_threads_run(int threads, void (*work)(void *context, int me, int n), void *context);

/* Inside such work: wait for the others. */
void at_threads_wait(void);

#endif
