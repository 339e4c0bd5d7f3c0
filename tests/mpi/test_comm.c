/* SPDX-License-Identifier: BSD-3-Clause */
/* Checked MPI: results, chunking, counting, agreement. */
#include <math.h>

#include "src/base/alloc.h"
#include "tests/mpi/mpi_test.h"

static at_comm_stats total(const at_comm *c) {
  at_comm_stats sum = {0};
  for (int p = 0; p < AT_COMM_PHASE_COUNT; p++) {
    at_comm_stats s = at_comm_get_stats(c, (at_comm_phase)p);
    sum.calls += s.calls;
    sum.messages_sent += s.messages_sent;
    sum.bytes_sent += s.bytes_sent;
    sum.bytes_recv += s.bytes_recv;
    sum.seconds += s.seconds;
  }
  return sum;
}

static int64_t over_ranks(mpi_test *t, int64_t value) {
  MPI_CHECK_OK(t, at_comm_allreduce(t->world, AT_COMM_I64, AT_COMM_SUM, &value, 1));
  return value;
}

/* Chunks of one element, of a few, and more than all. */
static const int64_t chunks[] = {1, 24, 1 << 20};
enum { CHUNKS = sizeof chunks / sizeof chunks[0] };

static void reduces_integers_and_floats(mpi_test *t) {
  for (int k = 0; k < CHUNKS; k++) {
    at_comm *c = NULL;
    MPI_REQUIRE_OK(t, at_comm_dup(t->world, &c));
    at_comm_set_chunk(c, chunks[k]);
    int64_t i[7];
    double d[7];
    float f[7];
    uint64_t u[1] = {UINT64_MAX};
    for (int j = 0; j < 7; j++) {
      i[j] = t->rank * 10 + j;
      d[j] = -i[j];
      f[j] = (float)j;
    }
    MPI_CHECK_OK(t, at_comm_allreduce(c, AT_COMM_I64, AT_COMM_SUM, i, 7));
    MPI_CHECK_OK(t, at_comm_allreduce(c, AT_COMM_F64, AT_COMM_MIN, d, 7));
    MPI_CHECK_OK(t, at_comm_allreduce(c, AT_COMM_F32, AT_COMM_SUM, f, 7));
    MPI_CHECK_OK(t, at_comm_allreduce(c, AT_COMM_U64, AT_COMM_SUM, u, 1));
    int p = t->size;
    for (int j = 0; j < 7; j++) {
      MPI_CHECK(t, i[j] == 5 * p * (p - 1) + p * j);
      MPI_CHECK(t, d[j] == -10 * (p - 1) - j);
      MPI_CHECK(t, f[j] == (float)(p * j));
    }
    MPI_CHECK(t, u[0] == 0 - (uint64_t)p);
    int64_t m[3] = {t->rank, -t->rank, 5};
    MPI_CHECK_OK(t, at_comm_reduce(c, p - 1, AT_COMM_I64, AT_COMM_MAX, m, 3));
    MPI_CHECK(t, t->rank != p - 1 || (m[0] == p - 1 && m[1] == 0 && m[2] == 5));
    at_comm_destroy(c);
  }
}

static void broadcasts_and_sends(mpi_test *t) {
  for (int k = 0; k < CHUNKS; k++) {
    at_comm *c = NULL;
    MPI_REQUIRE_OK(t, at_comm_dup(t->world, &c));
    at_comm_set_chunk(c, chunks[k]);
    char text[64] = "";
    if (t->rank == t->size - 1) {
      snprintf(text, sizeof text, "a message that is longer than a chunk");
    }
    MPI_CHECK_OK(t, at_comm_bcast(c, t->size - 1, text, sizeof text));
    MPI_CHECK(t, strcmp(text, "a message that is longer than a chunk") == 0);
    if (t->size > 1 && t->rank == 0) {
      MPI_CHECK_OK(t, at_comm_send(c, 1, AT_TAG_TEST, text, 11));
    }
    if (t->rank == 1) {
      char got[11] = "";
      MPI_CHECK_OK(t, at_comm_recv(c, 0, AT_TAG_TEST, got, sizeof got));
      MPI_CHECK(t, memcmp(got, "a message t", sizeof got) == 0);
    }
    at_comm_destroy(c);
  }
}

/* Rank r owns r + 1 bytes of the value 'a' + r. */
static void gathers_blocks(mpi_test *t) {
  for (int k = 0; k < CHUNKS; k++) {
    at_comm *c = NULL;
    MPI_REQUIRE_OK(t, at_comm_dup(t->world, &c));
    at_comm_set_chunk(c, chunks[k]);
    int64_t bytes[64];
    char want[64 * 65 / 2];
    int n = 0;
    for (int r = 0; r < t->size; r++) {
      bytes[r] = r + 1;
      memset(want + n, 'a' + r, (size_t)r + 1);
      n += r + 1;
    }
    char own[64];
    memset(own, 'a' + t->rank, sizeof own);
    char got[sizeof want] = "";
    MPI_CHECK_OK(t, at_comm_allgatherv(c, own, got, bytes));
    MPI_CHECK(t, memcmp(got, want, (size_t)n) == 0);
    char root_got[sizeof want] = "";
    MPI_CHECK_OK(t, at_comm_gatherv(c, 0, own, t->rank == 0 ? root_got : NULL, bytes));
    MPI_CHECK(t, t->rank != 0 || memcmp(root_got, want, (size_t)n) == 0);
    /* In its own place. */
    char place[sizeof want] = "";
    int at = t->rank * (t->rank + 1) / 2;
    memset(place + at, 'a' + t->rank, (size_t)t->rank + 1);
    MPI_CHECK_OK(t, at_comm_allgatherv(c, place + at, place, bytes));
    MPI_CHECK(t, memcmp(place, want, (size_t)n) == 0);
    int64_t squares[64];
    MPI_CHECK_OK(t, at_comm_allgather_i64(c, (int64_t)t->rank * t->rank, squares));
    MPI_CHECK(t, squares[t->size - 1] == (int64_t)(t->size - 1) * (t->size - 1));
    at_comm_destroy(c);
  }
}

/* Rank r sends (r + 2 q) % 5 bytes of the value 16 r + q to rank q. */
static void exchanges_blocks(mpi_test *t) {
  for (int k = 0; k < CHUNKS; k++) {
    at_comm *c = NULL;
    MPI_REQUIRE_OK(t, at_comm_dup(t->world, &c));
    at_comm_set_chunk(c, chunks[k]);
    int64_t out_bytes[16], in_bytes[16];
    unsigned char out[128], in[128] = {0}, want[128];
    int n_out = 0, n_in = 0;
    for (int q = 0; q < t->size; q++) {
      out_bytes[q] = (t->rank + 2 * q) % 5;
      in_bytes[q] = (q + 2 * t->rank) % 5;
      memset(out + n_out, 16 * t->rank + q, (size_t)out_bytes[q]);
      memset(want + n_in, 16 * q + t->rank, (size_t)in_bytes[q]);
      n_out += (int)out_bytes[q];
      n_in += (int)in_bytes[q];
    }
    MPI_CHECK_OK(t, at_comm_alltoallv(c, out, out_bytes, in, in_bytes));
    MPI_CHECK(t, memcmp(in, want, (size_t)n_in) == 0);
    at_comm_destroy(c);
  }
}

static void counts_what_the_header_says(mpi_test *t) {
  at_comm *c = NULL;
  MPI_REQUIRE_OK(t, at_comm_dup(t->world, &c));
  int p = t->size;
  float x[1000] = {0};
  at_comm_phase before = at_comm_set_phase(c, AT_COMM_GRADIENT);
  MPI_CHECK_OK(t, at_comm_allreduce(c, AT_COMM_F32, AT_COMM_SUM, x, 1000));
  at_comm_stats s = at_comm_get_stats(c, AT_COMM_GRADIENT);
  MPI_CHECK(t, s.bytes_sent == 2 * 4000 * (p - 1) / p && s.bytes_recv == s.bytes_sent);
  MPI_CHECK(t, s.messages_sent == 2 * (p - 1));
  MPI_CHECK(t, s.calls == (p > 1) && s.seconds >= 0);
  at_comm_set_phase(c, AT_COMM_BROADCAST);
  MPI_CHECK_OK(t, at_comm_bcast(c, 0, x, 100));
  s = at_comm_get_stats(c, AT_COMM_BROADCAST);
  MPI_CHECK(t, s.bytes_sent == (t->rank == 0 ? 100 * (p - 1) : 0));
  MPI_CHECK(t, s.bytes_recv == (t->rank == 0 ? 0 : 100));
  at_comm_set_phase(c, AT_COMM_GATHER);
  int64_t bytes[64];
  for (int r = 0; r < p; r++) {
    bytes[r] = 3 + r;
  }
  char out[4096];
  MPI_CHECK_OK(t, at_comm_allgatherv(c, x, out, bytes));
  MPI_CHECK_OK(t, at_comm_gatherv(c, 0, x, out, bytes));
  MPI_CHECK_OK(t, at_comm_reduce(c, 0, AT_COMM_F32, AT_COMM_MAX, x, 10));
  at_comm_set_phase(c, before);
  /* What all send is what all receive, whatever the call. */
  at_comm_stats all = total(c);
  MPI_CHECK(t, over_ranks(t, all.bytes_sent) == over_ranks(t, all.bytes_recv));
  MPI_CHECK(t, p == 1 || all.bytes_sent > 0);
  at_comm_destroy(c);
}

static void accounts_rings_without_overflow(mpi_test *t) {
  MPI_CHECK(t, at_comm_allreduce_bytes(1000, 4) == 1500);
  MPI_CHECK(t, at_comm_allreduce_bytes(7, 3) == 9); /* 9.33 */
  MPI_CHECK(t, at_comm_allreduce_bytes(123, 1) == 0);
  MPI_CHECK(t, at_comm_allreduce_bytes(INT64_C(1) << 60, 4096) == (INT64_C(1) << 61) - (INT64_C(1) << 49));
}

static void splits_and_leaves_out(mpi_test *t) {
  at_comm *half = NULL;
  MPI_REQUIRE_OK(t, at_comm_split(t->world, t->rank % 2, -t->rank, &half));
  int64_t sum = t->rank;
  MPI_CHECK_OK(t, at_comm_allreduce(half, AT_COMM_I64, AT_COMM_SUM, &sum, 1));
  int64_t want = 0;
  int members = 0;
  for (int r = t->rank % 2; r < t->size; r += 2) {
    want += r;
    members++;
  }
  MPI_CHECK(t, sum == want && at_comm_size(half) == members);
  MPI_CHECK(t, at_comm_rank(half) == members - 1 - t->rank / 2); /* ordered by falling rank */
  MPI_CHECK(t, at_comm_world_rank(half) == t->rank && strlen(at_comm_host(half)) > 0);
  at_comm_destroy(half);
  at_comm *leader = NULL;
  MPI_REQUIRE_OK(t, at_comm_split(t->world, t->rank == 0 ? 0 : -1, 0, &leader));
  MPI_CHECK(t, (leader != NULL) == (t->rank == 0));
  at_comm_destroy(leader);
}

static at_err fail_here(int rank) {
  return AT_FAIL(AT_ERR_FORMAT, "rank %d found a bad file", rank);
}

static void agrees_on_the_lowest_failing_rank(mpi_test *t) {
  MPI_CHECK_OK(t, at_comm_agree(t->world, AT_OK));
  /* All but rank 0 fail. */
  at_err err = t->rank == 0 ? AT_OK : fail_here(t->rank);
  at_err all = at_comm_agree(t->world, err);
  MPI_CHECK(t, all == (t->size == 1 ? AT_OK : AT_ERR_FORMAT));
  MPI_CHECK(t, t->size == 1 || strcmp(at_err_message(), "rank 1 found a bad file") == 0);
  /* The last rank fails, with another code than an earlier failure left behind elsewhere. */
  err = t->rank == t->size - 1 ? AT_FAIL(AT_ERR_MEMORY, "only the last") : AT_OK;
  MPI_CHECK_FAILS(t, AT_ERR_MEMORY, "only the last", at_comm_agree(t->world, err));
}

static void overlaps_with_computation(mpi_test *t) {
  for (int k = 0; k < CHUNKS; k++) {
    at_comm *c = NULL;
    MPI_REQUIRE_OK(t, at_comm_dup(t->world, &c));
    at_comm_set_chunk(c, chunks[k]);
    int64_t x[50];
    int32_t y[50] = {0};
    for (int i = 0; i < 50; i++) {
      x[i] = i + t->rank;
      y[i] = t->rank == 0 ? i : 0;
    }
    at_comm_request *sum = NULL, *copy = NULL;
    MPI_CHECK_OK(t, at_comm_iallreduce(c, AT_COMM_I64, AT_COMM_SUM, x, 50, &sum));
    MPI_CHECK_OK(t, at_comm_ibcast(c, 0, y, sizeof y, &copy));
    bool done = false;
    while (!done) {
      MPI_CHECK_OK(t, at_comm_test(&sum, &done));
    }
    MPI_CHECK_OK(t, at_comm_wait(&copy));
    MPI_CHECK(t, sum == NULL && copy == NULL);
    MPI_CHECK_OK(t, at_comm_test(&sum, &done));
    MPI_CHECK(t, done);
    for (int i = 0; i < 50; i++) {
      MPI_CHECK(t, x[i] == (int64_t)t->size * i + t->size * (t->size - 1) / 2 && y[i] == i);
    }
    at_comm_destroy(c);
  }
}

static void reports_errors_of_mpi(mpi_test *t) {
  char byte = 0;
  MPI_CHECK_FAILS(t, AT_ERR_MPI, "MPI_Send failed: MPI_ERR_RANK",
                  at_comm_send(t->world, t->size, AT_TAG_TEST, &byte, 1));
}

static void frees_all_memory(mpi_test *t) {
  int64_t before = at_alloc_get_stats().live_bytes;
  at_comm *c = NULL;
  MPI_REQUIRE_OK(t, at_comm_dup(t->world, &c));
  at_comm_destroy(c);
  MPI_CHECK(t, at_alloc_get_stats().live_bytes == before);
}

int main(int argc, char **argv) {
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(reduces_integers_and_floats), MPI_CASE(broadcasts_and_sends),
                       MPI_CASE(gathers_blocks), MPI_CASE(exchanges_blocks), MPI_CASE(counts_what_the_header_says),
                       MPI_CASE(accounts_rings_without_overflow), MPI_CASE(splits_and_leaves_out),
                       MPI_CASE(agrees_on_the_lowest_failing_rank), MPI_CASE(overlaps_with_computation),
                       MPI_CASE(reports_errors_of_mpi), MPI_CASE(frees_all_memory));
}
