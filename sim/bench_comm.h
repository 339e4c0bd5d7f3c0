/* SPDX-License-Identifier: BSD-3-Clause */
/* The table that `atoll bench comm` measures, and the file that keeps it. */
#ifndef AT_SIM_BENCH_COMM_H
#define AT_SIM_BENCH_COMM_H

#include "sim/bench.h"
#include "src/store/provenance.h"

typedef struct at_bench_row {
  const char *codec, *algorithm;
  int64_t bytes; /* of the vector */
  int64_t sent;  /* payload of the rank that sent or received most, by one mean */
  at_bench_time time;
  double allreduce_s, model_s, error; /* model_s: NaN where there is none; error: of the mean, relative to its norm */
} at_bench_row;

typedef struct at_bench_codec_row {
  const char *codec;
  at_bench_rates rates;
} at_bench_codec_row;

typedef struct at_bench_table {
  int64_t ranks, repeats, n_rows, n_codecs;
  at_link link;
  at_bench_row *rows;
  at_bench_codec_row *codecs;
} at_bench_table;

/* Write the table to `path`, whole.  prov: as collected, borrowed.  Not collective. */
at_err at_bench_write(const at_bench_table *t, const at_provenance *prov, const char *path);

#endif
