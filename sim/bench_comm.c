/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll bench comm`: means of vectors over the ranks it was started on, by size, codec and algorithm, against MPI_Allreduce. */
#include "sim/bench_comm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/comm/codec/codec_options.h"
#include "src/comm/codec/frame.h"
#include "src/comm/exact.h"

typedef struct comm_cfg {
  int64_t least, most, repeats, chunk, fan_in;
  at_strlist codecs, algorithms;
  at_codec_cfg codec; /* what all codecs share */
  char *out;
} comm_cfg;

static const char *const ways[] = {"fast",     "exact", "twophase", "star",      "gather", "ring",
                                   "doubling", "tree",  "integer",  "allreduce", NULL};
static const at_opt rows[] = {
    AT_OPT_BYTES(comm_cfg, least, "least", "1 MiB", 256, 1e12, "Length of the shortest vector of f32."),
    AT_OPT_BYTES(comm_cfg, most, "most", "16 MiB", 256, 1e12, "Length of the longest; lengths grow by factors of 4."),
    AT_OPT_LIST(comm_cfg, codecs, "codecs", "f32,bf16,int8,int4,e3m0,sign,topk", "Codecs, both ways.",
                .choices = at_codec_names),
    AT_OPT_LIST(comm_cfg, algorithms, "algorithms", "fast,exact,twophase,gather,ring,doubling,integer",
                "Algorithms; fast (MPI's own sum) and exact (fixed point) are what `reduce` chooses from in a run.",
                .choices = ways),
    AT_OPT_INT(comm_cfg, repeats, "repeats", "5", 1, AT_BENCH_REPEATS_MAX, "", "Means timed, after one to warm up."),
    AT_OPT_INT(comm_cfg, chunk, "chunk", "0", 0, 1 << 30, "elements",
               "Elements of a piece, a multiple of 64; 0: as many as take about 32 KiB on the wire."),
    AT_OPT_INT(comm_cfg, fan_in, "fan_in", "2", 2, 1024, "", "Children of a node of the tree."),
    AT_OPT_INT(comm_cfg, codec.block, "block", "0", 0, 4096, "elements",
               "Elements that share a scale; 0: the codec's own."),
    AT_OPT_ENUM(comm_cfg, codec.rounding, "rounding", "nearest", at_rounding_names, "How int8 and int4 round."),
    AT_OPT_F64(comm_cfg, codec.ratio, "ratio", "0.01", 1e-9, 1, "", "Share of the elements that sparse codecs send."),
    AT_OPT_ENUM(comm_cfg, codec.index, "index", "gaps", at_index_names, "How sparse codecs write positions."),
    AT_OPT_ENUM(comm_cfg, codec.value, "value", "f16", at_value_names, "Type of the elements sparse codecs send."),
    AT_OPT_STR(comm_cfg, out, "out", "", "HDF5 file to write.", .is_volatile = true),
};
static const at_opt_table table = AT_OPT_TABLE("bench comm", rows);

typedef struct bench {
  at_session *s;
  comm_cfg *cfg;
  at_bench_table t;
  at_bench_rates *rates; /* of the codec in work */
  int64_t n;
  float *x, *out, *mean; /* [n]; mean: exact, on rank 0 */
  double mean_norm, allreduce_s;
  at_reduce *reduce;
  at_exact *exact;
} bench;

/* ---- vectors ---- */

/* Rank `rank`'s vector: normals of standard deviation 1e-3. */
static void fill(int rank, int64_t n, float *x) {
  const at_stream s = {.seed = 1, .client = (uint64_t)rank, .purpose = AT_RNG_TEST};
  at_rng_fill_normal(&s, 0, 1e-3, x, n);
}

/* The mean in double, which rank 0 works out alone: links may be slow. */
static at_err make_mean(bench *b, double *sum) {
  const int ranks = at_comm_size(b->s->world);
  for (int rank = 0; rank < ranks; rank++) {
    fill(rank, b->n, b->mean);
    for (int64_t i = 0; i < b->n; i++) {
      sum[i] += (double)b->mean[i];
    }
  }
  b->mean_norm = 0;
  for (int64_t i = 0; i < b->n; i++) {
    b->mean[i] = (float)(sum[i] / ranks);
    b->mean_norm += (double)b->mean[i] * (double)b->mean[i];
  }
  return AT_OK;
}

static at_err make_vectors(bench *b) {
  const bool is_root = at_comm_rank(b->s->world) == 0;
  double *sum = NULL;
  AT_TRY(at_alloc(&b->x, (size_t)b->n, sizeof *b->x, "vector"));
  AT_TRY(at_alloc(&b->out, (size_t)b->n, sizeof *b->out, "vector"));
  AT_TRY(at_alloc(&b->mean, is_root ? (size_t)b->n : 0, sizeof *b->mean, "vector"));
  fill(at_comm_rank(b->s->world), b->n, b->x);
  if (!is_root) {
    return AT_OK;
  }
  AT_TRY(at_alloc(&sum, (size_t)b->n, sizeof *sum, "vector"));
  const at_err err = make_mean(b, sum);
  at_free(sum);
  return err;
}

/* Of what stands in out; root only. */
static double error_of_mean(const bench *b) {
  double e = 0;
  for (int64_t i = 0; i < b->n; i++) {
    const double d = (double)b->out[i] - (double)b->mean[i];
    e += d * d;
  }
  return sqrt(e / b->mean_norm);
}

/* ---- what is timed ---- */

/* MPI's sum, in place of a copy. */
static at_err run_allreduce(void *context) {
  bench *b = context;
  memcpy(b->out, b->x, (size_t)b->n * sizeof *b->x);
  return at_comm_allreduce(b->s->world, AT_COMM_F32, AT_COMM_SUM, b->out, b->n);
}

/* As `reduce: fast` does it: a weighted sum, then MPI's. */
static at_err run_fast(void *context) {
  bench *b = context;
  memset(b->out, 0, (size_t)b->n * sizeof *b->out);
  b->s->kernels->vec.axpy(1.0 / at_comm_size(b->s->world), b->n, b->x, b->out);
  return at_comm_allreduce(b->s->world, AT_COMM_F32, AT_COMM_SUM, b->out, b->n);
}

static at_err run_exact(void *context) {
  bench *b = context;
  at_exact_begin(b->exact);
  at_exact_lend(b->exact, at_comm_rank(b->s->world), 1.0 / at_comm_size(b->s->world), b->x);
  return at_exact_finish(b->exact, b->s->world, b->out);
}

static at_err run_reduce(void *context) {
  bench *b = context;
  at_reduce_begin(b->reduce, 0, at_comm_size(b->s->world));
  at_reduce_lend(b->reduce, at_comm_rank(b->s->world), 1.0, b->x);
  return at_reduce_run(b->reduce, b->out);
}

/* ---- the model ---- */

static const struct {
  at_algorithm algorithm;
  at_net_algorithm model;
} models[] = {{AT_ALGORITHM_twophase, AT_NET_two_phase},          {AT_ALGORITHM_star, AT_NET_star},
              {AT_ALGORITHM_gather, AT_NET_sparse_allgather},     {AT_ALGORITHM_ring, AT_NET_ring},
              {AT_ALGORITHM_doubling, AT_NET_recursive_doubling}, {AT_ALGORITHM_tree, AT_NET_tree}};

/* What the model says of the mean of b->reduce, from the measured link and cores; NaN for what it does not know. */
static double model_s(const bench *b, const at_bench_rates *rates) {
  const at_reduce_cfg *cfg = at_reduce_config(b->reduce);
  const at_cut *cut = at_reduce_cut(b->reduce);
  int64_t wire = 0;
  for (int64_t p = 0; p < cut->n_pieces; p++) {
    const at_piece shape = at_cut_piece(cut, p);
    wire += at_frame_bytes(&cfg->up, &shape, 0);
  }
  const double bytes = 4.0 * (double)b->n;
  const at_codec_cost cost = {bytes / (double)wire, 1 / rates->encode, 0.5 / rates->decode + 0.5 / rates->add};
  for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
    if ((int)models[i].algorithm == cfg->algorithm) {
      return at_net_pipelined_s(models[i].model, &b->t.link, &cost, at_comm_size(b->s->world), bytes, 0,
                                (double)cut->n_pieces);
    }
  }
  return NAN;
}

/* ---- rows ---- */

static void print_row(const bench *b, const at_bench_row *r) {
  printf("%8.2f  %-9s %-10s %9.2f %9.2f %9.2f %9.3f %8.2f ", (double)r->bytes / 1048576, r->codec, r->algorithm,
         1e3 * r->time.median_s, 1e3 * r->time.least_s, 1e3 * r->time.most_s, 1e-6 * (double)r->sent,
         r->allreduce_s / r->time.median_s);
  if (isfinite(r->model_s) && at_comm_size(b->s->world) > 1) {
    printf("%9.2f %+6.1f ", 1e3 * r->model_s, 100 * (r->model_s / r->time.median_s - 1));
  } else {
    printf("%9s %6s ", "-", "-");
  }
  if (strcmp(r->algorithm, "MPI") == 0) {
    printf("%10s\n", "a sum");
  } else {
    printf("%10.2e\n", r->error);
  }
  fflush(stdout);
}

/* Time `body`, and add its row. */
static at_err add_row(bench *b, const char *codec, const char *way, at_err (*body)(void *),
                      const at_bench_rates *rates) {
  at_comm *world = b->s->world;
  at_bench_row r = {.codec = codec, .algorithm = way, .bytes = 4 * b->n, .model_s = NAN};
  const at_comm_stats before = at_comm_get_stats(world, AT_COMM_REDUCE);
  AT_TRY(at_bench_repeat(world, (int)b->cfg->repeats, body, b, &r.time));
  const at_comm_stats after = at_comm_get_stats(world, AT_COMM_REDUCE);
  const int64_t sent = after.bytes_sent - before.bytes_sent, received = after.bytes_recv - before.bytes_recv;
  r.sent = (sent > received ? sent : received) / (b->cfg->repeats + 1);
  AT_TRY(at_comm_allreduce(world, AT_COMM_I64, AT_COMM_MAX, &r.sent, 1));
  r.allreduce_s = b->allreduce_s > 0 ? b->allreduce_s : r.time.median_s;
  r.model_s = rates != NULL ? model_s(b, rates) : NAN;
  if (at_comm_rank(world) != 0) {
    return AT_OK;
  }
  r.error = body == run_allreduce ? NAN : error_of_mean(b);
  AT_TRY(at_realloc(&b->t.rows, (size_t)b->t.n_rows + 1, sizeof *b->t.rows, "rows"));
  b->t.rows[b->t.n_rows++] = r;
  print_row(b, &r);
  return AT_OK;
}

static bool has_way(const comm_cfg *cfg, const char *name) {
  for (int64_t i = 0; i < cfg->algorithms.count; i++) {
    if (strcmp(cfg->algorithms.item[i], name) == 0) {
      return true;
    }
  }
  return false;
}

/* What needs no codec: MPI's own, and the two that a run chooses from. */
static at_err bench_plain(bench *b) {
  const int64_t offsets[2] = {0, b->n};
  b->allreduce_s = 0;
  AT_TRY(add_row(b, "f32", "MPI", run_allreduce, NULL));
  if (at_comm_rank(b->s->world) == 0) {
    b->allreduce_s = b->t.rows[b->t.n_rows - 1].time.median_s;
  }
  AT_TRY(at_comm_bcast(b->s->world, 0, &b->allreduce_s, sizeof b->allreduce_s));
  if (has_way(b->cfg, "fast")) {
    AT_TRY(add_row(b, "f32", "fast", run_fast, NULL));
  }
  if (!has_way(b->cfg, "exact")) {
    return AT_OK;
  }
  AT_TRY(at_comm_agree(b->s->world, at_exact_create(&b->exact, &b->s->kernels->vec, 1, offsets, NULL, AT_EXACT_BITS)));
  const at_err err = add_row(b, "f32", "exact", run_exact, NULL);
  at_exact_destroy(b->exact);
  b->exact = NULL;
  return err;
}

static int named(const char *const *names, const char *name) {
  for (int i = 0; names[i] != NULL; i++) {
    if (strcmp(names[i], name) == 0) {
      return i;
    }
  }
  return -1;
}

static at_reduce_cfg reduce_cfg(const bench *b, int codec, int algorithm) {
  at_reduce_cfg cfg = {.up = b->cfg->codec,
                       .algorithm = algorithm,
                       .chunk = b->cfg->chunk,
                       .decay = 1.0,
                       .fan_in = b->cfg->fan_in,
                       .seed = 1};
  cfg.up.kind = codec;
  cfg.up.block = codec == AT_CODEC_int4 && cfg.up.block > 64 ? 64 : cfg.up.block;
  cfg.down = cfg.up;
  if (algorithm == AT_ALGORITHM_gather) { /* whose mean does not travel */
    cfg.down = (at_codec_cfg){.kind = AT_CODEC_f32};
  }
  return cfg;
}

static at_err bench_codec(bench *b, const char *name) {
  const int64_t offsets[2] = {0, b->n};
  at_bench_rates rates = {0};
  for (int64_t i = 0; i < b->cfg->algorithms.count; i++) {
    const char *way = b->cfg->algorithms.item[i];
    const int algorithm = named(at_algorithm_names, way);
    at_reduce_cfg cfg = reduce_cfg(b, named(at_codec_names, name), algorithm);
    if (algorithm < 0 || at_reduce_resolve(&cfg, b->n) != AT_OK) {
      continue; /* what does not go together, the same on all ranks; the help says so */
    }
    AT_TRY(at_reduce_create(&b->reduce, b->s->world, b->s->kernels, &cfg, 1, offsets, 1));
    at_err err = AT_OK;
    if (rates.encode == 0) {
      err = at_bench_codec(b->s->world, b->s->kernels, &cfg.up, cfg.chunk, b->n, b->x, &rates);
    }
    err = err == AT_OK ? add_row(b, name, way, run_reduce, &rates) : err;
    at_reduce_destroy(b->reduce);
    AT_TRY(err);
  }
  if (4 * b->n * 4 > b->cfg->most && rates.encode > 0) { /* the longest */
    AT_TRY(at_realloc(&b->t.codecs, (size_t)b->t.n_codecs + 1, sizeof *b->t.codecs, "codecs"));
    b->t.codecs[b->t.n_codecs++] = (at_bench_codec_row){name, rates};
  }
  return AT_OK;
}

static at_err bench_size(bench *b) {
  at_err err = at_comm_agree(b->s->world, make_vectors(b));
  err = err == AT_OK ? bench_plain(b) : err;
  for (int64_t i = 0; i < b->cfg->codecs.count && err == AT_OK; i++) {
    err = bench_codec(b, b->cfg->codecs.item[i]);
  }
  at_free(b->x);
  at_free(b->out);
  at_free(b->mean);
  b->x = b->out = b->mean = NULL;
  return err;
}

/* ---- the whole ---- */

static void print_head(const bench *b) {
  const at_link *l = &b->t.link;
  printf("ranks = %d, isa = %s, repeats = %lld", at_comm_size(b->s->world), b->s->kernels->isa_name,
         (long long)b->cfg->repeats);
  if (isfinite(l->bytes_per_s)) {
    printf(", link = %.2f Mbit/s of payload each way, %.0f us a message", 8e-6 * l->bytes_per_s, 1e6 * l->latency_s);
  }
  printf("\n%8s  %-9s %-10s %9s %9s %9s %9s %8s %9s %6s %10s\n", "vector", "codec", "algorithm", "median", "least",
         "most", "sent", "MPI's", "model", "off", "error");
  printf("%8s  %-9s %-10s %9s %9s %9s %9s %8s %9s %6s %10s\n", "MiB", "", "", "ms", "ms", "ms", "MB", "over it", "ms",
         "%", "of mean");
}

static void print_codecs(const bench *b) {
  printf("\n%-9s %9s %9s %9s %9s   %s\n", "codec", "encode", "decode", "add", "memcpy",
         "GB/s of f32 per rank, all at once; share of memcpy");
  for (int64_t i = 0; i < b->t.n_codecs; i++) {
    const at_bench_rates *r = &b->t.codecs[i].rates;
    printf("%-9s %9.2f %9.2f %9.2f %9.2f   %.0f %% %.0f %%\n", b->t.codecs[i].codec, 1e-9 * r->encode, 1e-9 * r->decode,
           1e-9 * r->add, 1e-9 * r->copy, 100 * r->encode / r->copy, 100 * r->decode / r->copy);
  }
}

static at_err measure(bench *b) {
  at_comm_set_phase(b->s->world, AT_COMM_SETUP);
  AT_TRY(at_bench_link(b->s->world, &b->t.link));
  at_comm_set_phase(b->s->world, AT_COMM_REDUCE);
  b->t.ranks = at_comm_size(b->s->world);
  b->t.repeats = b->cfg->repeats;
  if (at_comm_rank(b->s->world) == 0) {
    print_head(b);
  }
  for (int64_t bytes = b->cfg->least; bytes <= b->cfg->most; bytes *= 4) {
    b->n = bytes / 4;
    AT_TRY(bench_size(b));
  }
  if (at_comm_rank(b->s->world) == 0) {
    print_codecs(b);
  }
  return AT_OK;
}

static at_err save(bench *b, const at_opts *set) {
  char *yaml = NULL;
  at_provenance *prov = NULL;
  AT_TRY(at_opts_yaml_text(set, &yaml));
  at_err err = at_provenance_create(&prov, b->s->world, yaml, at_isa_name(b->s->pin.isa), b->s->pin.threads);
  if (err == AT_OK) {
    err = at_comm_agree(b->s->world, at_comm_rank(b->s->world) == 0 ? at_bench_write(&b->t, prov, b->cfg->out) : AT_OK);
  }
  at_provenance_destroy(prov);
  at_free(yaml);
  return err;
}

static void print_help(const at_opts *set, FILE *out) {
  fprintf(
      out,
      "Usage: atoll bench comm [key=value ...]      under mpirun or srun; on slow links:\n"
      "       tests/net/run 4 100mbit -- atoll bench comm\n\n"
      "Means of vectors of f32, one a rank, by length, codec and algorithm.  Columns:\n"
      "  median, least, most   time from a barrier to the slowest rank's end\n"
      "  sent                  payload of the busiest rank, one direction\n"
      "  MPI's over it         time of MPI_Allreduce of the floats over this time: above 1 is a gain\n"
      "  model, off            what the cost model says from the link and cores as measured at the start\n"
      "  error of mean         L2, relative to the exact mean of normal numbers; no feedback\n"
      "Then what cores do while all ranks work at once.  What does not go together (a ring of dgc, integers of topk)\n"
      "is left out; powersgd is not in the table.  gather sends no mean, so its error is that of one encoding.\n\n");
  at_opts_print_help(set, out);
}

static at_err configure(at_opts *set, comm_cfg *cfg, int argc, char **argv) {
  AT_TRY(at_opts_add(set, &table, cfg));
  for (int i = 0; i < argc; i++) {
    AT_TRY(at_opts_set(set, argv[i]));
  }
  if (cfg->most < cfg->least) {
    return at_opts_reject(set, "most", "is below least = %lld", (long long)cfg->least);
  }
  return AT_OK;
}

at_err at_bench_comm(at_session *s, int argc, char **argv) {
  comm_cfg cfg = {0};
  at_opts *set = NULL;
  bench b = {.s = s, .cfg = &cfg};
  AT_TRY(at_comm_agree(s->world, at_opts_create(&set)));
  const bool help = argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0);
  at_err err = at_comm_agree(s->world, configure(set, &cfg, help ? 0 : argc, argv));
  if (err == AT_OK && help) {
    if (at_comm_rank(s->world) == 0) {
      print_help(set, stdout);
    }
  } else if (err == AT_OK) {
    err = measure(&b);
    if (err == AT_OK && cfg.out[0] != '\0') {
      err = save(&b, set);
    }
  }
  at_free(b.t.rows);
  at_free(b.t.codecs);
  at_opts_destroy(set);
  return err;
}
