/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of reductions share: clients' vectors, where clients live, and a comparison over all ranks. */
#ifndef AT_TESTS_REDUCE_RIG_H
#define AT_TESTS_REDUCE_RIG_H

#include <math.h>
#include <zlib.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/comm/collective/reduce.h"
#include "tests/mpi/mpi_test.h"

/* Client c's vector in a round, from normals of different sizes. */
static inline void rig_vector(int64_t client, int64_t round, int64_t n, float *x) {
  const at_stream s = {.seed = 77, .client = (uint64_t)client, .round = (uint64_t)round, .purpose = AT_RNG_TEST};
  at_rng_fill_normal(&s, 0.01 * (double)(client % 5), 1.0 + 0.2 * (double)(client % 3), x, n);
}

/* Which rank has client c. */
typedef enum rig_place { ROUND_ROBIN, BLOCKS, LAST, PLACES } rig_place;
static inline int rig_rank(rig_place how, int64_t c, int64_t clients, int ranks) {
  return how == ROUND_ROBIN ? (int)(c % ranks) : how == BLOCKS ? (int)(c * ranks / clients) : ranks - 1;
}

/* The same bits on all ranks. */
static inline bool rig_same(mpi_test *t, const float *v, int64_t n) {
  const int64_t crc = (int64_t)crc32_z(0, (const unsigned char *)v, (size_t)n * sizeof *v);
  int64_t low = crc, high = crc;
  MPI_CHECK_OK(t, at_comm_allreduce(t->world, AT_COMM_I64, AT_COMM_MIN, &low, 1));
  MPI_CHECK_OK(t, at_comm_allreduce(t->world, AT_COMM_I64, AT_COMM_MAX, &high, 1));
  return low == high;
}

/* The sum over ranks. */
static inline int64_t rig_sum(mpi_test *t, int64_t v) {
  MPI_CHECK_OK(t, at_comm_allreduce(t->world, AT_COMM_I64, AT_COMM_SUM, &v, 1));
  return v;
}

/* Both directions by one codec. */
static inline at_reduce_cfg rig_config(const at_codec_cfg *codec, at_algorithm algorithm, int64_t chunk) {
  return (at_reduce_cfg){
      .up = *codec, .down = *codec, .algorithm = (int)algorithm, .chunk = chunk, .decay = 1.0, .fan_in = 2, .seed = 5};
}

/* One round of clients 0 .. p - 1 of weight 1, each added at once; x[n] is scratch. */
static inline at_err rig_round(at_reduce *r, at_comm *comm, rig_place how, int64_t p, int64_t round, int64_t n,
                               float *x, float *mean) {
  at_reduce_begin(r, round, p);
  for (int64_t c = 0; c < p; c++) {
    if (rig_rank(how, c, p, at_comm_size(comm)) == at_comm_rank(comm)) {
      rig_vector(c, round, n, x);
      at_reduce_add(r, c, 1.0, x);
    }
  }
  return at_reduce_run(r, mean);
}

#endif
