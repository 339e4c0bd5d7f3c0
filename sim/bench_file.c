/* SPDX-License-Identifier: BSD-3-Clause */
/* The HDF5 file of `atoll bench comm`: one column a dataset, /means by row and /codecs by codec. */
#include "sim/bench_comm.h"

#include <string.h>

#include "src/base/alloc.h"

/* A column of numbers at `path`, each taken from a record of `stride` bytes. */
static at_err write_column(at_h5 *f, const char *path, at_h5_type type, int64_t n, const void *first, size_t stride,
                           const char *units, const char *description) {
  uint64_t *column = NULL; /* both types have eight bytes */
  AT_TRY(at_alloc(&column, (size_t)n, sizeof *column, "column"));
  for (int64_t i = 0; i < n; i++) {
    memcpy(&column[i], (const char *)first + (size_t)i * stride, sizeof *column);
  }
  const at_h5_desc d = {.path = path,
                        .type = type,
                        .ndims = 1,
                        .dims = {n},
                        .units = units,
                        .description = description,
                        .flags = AT_H5_VOLATILE};
  const at_err err = at_h5_write(f, &d, column);
  at_free(column);
  return err;
}

static at_err write_names(at_h5 *f, const char *path, int64_t n, const void *first, size_t stride,
                          const char *description) {
  const char **names = NULL;
  AT_TRY(at_alloc(&names, (size_t)n, sizeof *names, "names"));
  for (int64_t i = 0; i < n; i++) {
    memcpy(&names[i], (const char *)first + (size_t)i * stride, sizeof *names);
  }
  const at_err err = at_h5_write_text(f, path, n, names, "1", description);
  at_free((void *)names);
  return err;
}

static at_err write_means(const at_bench_table *t, at_h5 *f) {
  const at_bench_row *r = t->rows;
  const size_t z = sizeof *r;
  const int64_t n = t->n_rows;
  AT_TRY(write_names(f, "/means/codec", n, &r->codec, z, "How vectors were compressed."));
  AT_TRY(write_names(f, "/means/algorithm", n, &r->algorithm, z, "How they were averaged."));
  AT_TRY(write_column(f, "/means/bytes", AT_H5_I64, n, &r->bytes, z, "bytes", "Length of a rank's vector of f32."));
  AT_TRY(write_column(f, "/means/sent", AT_H5_I64, n, &r->sent, z, "bytes",
                      "Payload that the busiest rank sent, or received, for one mean."));
  AT_TRY(write_column(f, "/means/seconds", AT_H5_F64, n, &r->time.median_s, z, "s",
                      "Until the slowest rank had the mean, median."));
  AT_TRY(write_column(f, "/means/seconds_least", AT_H5_F64, n, &r->time.least_s, z, "s", "The fastest repeat."));
  AT_TRY(write_column(f, "/means/seconds_most", AT_H5_F64, n, &r->time.most_s, z, "s", "The slowest repeat."));
  AT_TRY(write_column(f, "/means/allreduce", AT_H5_F64, n, &r->allreduce_s, z, "s",
                      "MPI_Allreduce of the same vector of f32, median."));
  AT_TRY(write_column(f, "/means/model", AT_H5_F64, n, &r->model_s, z, "s",
                      "The cost model, from the measured link and cores; NaN: none."));
  return write_column(f, "/means/error", AT_H5_F64, n, &r->error, z, "1",
                      "L2 error of the mean over the L2 norm of the exact mean.");
}

static at_err write_codecs(const at_bench_table *t, at_h5 *f) {
  const at_bench_codec_row *c = t->codecs;
  const size_t z = sizeof *c;
  const int64_t n = t->n_codecs;
  AT_TRY(write_names(f, "/codecs/codec", n, &c->codec, z, "How vectors were compressed."));
  AT_TRY(write_column(f, "/codecs/encode", AT_H5_F64, n, &c->rates.encode, z, "bytes/s",
                      "Rate of encoding while all ranks do, bytes of f32, slowest rank."));
  AT_TRY(write_column(f, "/codecs/decode", AT_H5_F64, n, &c->rates.decode, z, "bytes/s", "Rate of decoding."));
  AT_TRY(write_column(f, "/codecs/add", AT_H5_F64, n, &c->rates.add, z, "bytes/s", "Rate of decoding and adding."));
  return write_column(f, "/codecs/copy", AT_H5_F64, n, &c->rates.copy, z, "bytes/s",
                      "Rate of memcpy, measured in between.");
}

static at_err write_all(const at_bench_table *t, const at_provenance *prov, at_h5 *f) {
  const at_h5_desc number = {.type = AT_H5_F64, .flags = AT_H5_VOLATILE};
  at_h5_desc d = number;
  AT_TRY(at_provenance_write(prov, f));
  AT_TRY(at_h5_set_attr_i64(f, "/means", "ranks", t->ranks));
  AT_TRY(at_h5_set_attr_i64(f, "/means", "repeats", t->repeats));
  d.path = "/link/rate";
  d.units = "bytes/s";
  d.description = "Payload rate between neighbours while all ranks send and receive; infinite for one rank.";
  AT_TRY(at_h5_write(f, &d, &t->link.bytes_per_s));
  d.path = "/link/latency";
  d.units = "s";
  d.description = "Of one message of a byte.";
  AT_TRY(at_h5_write(f, &d, &t->link.latency_s));
  AT_TRY(write_means(t, f));
  return write_codecs(t, f);
}

at_err at_bench_write(const at_bench_table *t, const at_provenance *prov, const char *path) {
  at_h5 *f = NULL;
  AT_TRY(at_h5_create(&f, path, "bench", 0));
  const at_err err = write_all(t, prov, f);
  if (err != AT_OK) {
    at_h5_discard(f);
    return err;
  }
  return at_h5_commit(f);
}
