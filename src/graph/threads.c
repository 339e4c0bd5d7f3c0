/* SPDX-License-Identifier: BSD-3-Clause */
/* A team of threads, over OpenMP. */
#include "src/graph/threads.h"

#ifdef _OPENMP
#include <omp.h>
#endif

void at_threads_run(int threads, void (*work)(void *context, int me, int n), void *context) {
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
  work(context, omp_get_thread_num(), omp_get_num_threads());
#else
  (void)threads;
  work(context, 0, 1);
#endif
}

void at_threads_wait(void) {
#ifdef _OPENMP
#pragma omp barrier
#endif
}
