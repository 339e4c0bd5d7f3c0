/* SPDX-License-Identifier: BSD-3-Clause */
/* Pinning the instruction set and the number of threads of this process, libraries included.
 *
 * Bits of results depend on both, so they are part of a run's identity.  OpenBLAS, oneDNN and OpenMP read their environment
 * when they are loaded, before main: setting it later has no effect, so the process starts itself over once. */
#ifndef AT_BASE_ISA_H
#define AT_BASE_ISA_H

#include "kernels/kernels.h"
#include "src/base/status.h"

typedef struct at_pin {
  at_isa isa;
  int threads; /* per rank */
} at_pin;

/* Read ATOLL_ISA (ref, avx2, avx512, avx512bf16; unset: the best that this processor has) and ATOLL_THREADS (1 .. 1024; unset: 1).  Where
 * the libraries' variables differ from what follows, set them and execute this program again with the same arguments:
 * call it first in main, before MPI_Init.  argv ends with NULL.  AT_ERR_CONFIG for a value that is unknown or that this
 * processor does not support; AT_ERR_INTERNAL if the program cannot be executed again. */
at_err at_isa_pin(char **argv, at_pin *out);

#endif
