/* SPDX-License-Identifier: BSD-3-Clause */
/* Collective calls, cut into pieces that one MPI call can take. */
#include <limits.h>
#include <string.h>

#include "src/comm/comm_internal.h"

MPI_Datatype at_comm_mpi_type(at_comm_type t, int64_t *bytes) {
  static const int64_t width[AT_COMM_TYPE_COUNT] = {4, 8, 8, 8, 1, 2, 4};
  *bytes = width[t];
  switch (t) {
  case AT_COMM_F32:
    return MPI_FLOAT;
  case AT_COMM_F64:
    return MPI_DOUBLE;
  case AT_COMM_I64:
    return MPI_INT64_T;
  case AT_COMM_U64:
    return MPI_UINT64_T;
  case AT_COMM_I8:
    return MPI_INT8_T;
  case AT_COMM_I16:
    return MPI_INT16_T;
  case AT_COMM_I32:
    return MPI_INT32_T;
  default:
    return MPI_DATATYPE_NULL;
  }
}

MPI_Op at_comm_mpi_op(at_comm_op op) {
  switch (op) {
  case AT_COMM_SUM:
    return MPI_SUM;
  case AT_COMM_MAX:
    return MPI_MAX;
  case AT_COMM_MIN:
    return MPI_MIN;
  default:
    return MPI_OP_NULL;
  }
}

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static int64_t sum(const int64_t *bytes, int n) {
  int64_t total = 0;
  for (int i = 0; i < n; i++) {
    total += bytes[i];
  }
  return total;
}

at_err at_comm_barrier(at_comm *c) {
  double begin = at_comm_count_begin(c);
  at_comm_phase before = at_comm_set_phase(c, AT_COMM_CONTROL);
  at_err err = at_comm_check(MPI_Barrier(c->mpi), "MPI_Barrier");
  at_comm_count_end(c, begin, 0, 0, 0);
  at_comm_set_phase(c, before);
  return err;
}

at_err at_comm_bcast(at_comm *c, int root, void *buf, int64_t bytes) {
  if (c->size == 1 || bytes == 0) {
    return AT_OK;
  }
  double begin = at_comm_count_begin(c);
  int64_t step = at_comm_chunk_elements(c, 1);
  for (int64_t at = 0; at < bytes; at += step) {
    int n = (int)smaller(step, bytes - at);
    AT_TRY(at_comm_check(MPI_Bcast((char *)buf + at, n, MPI_BYTE, root, c->mpi), "MPI_Bcast"));
  }
  if (c->rank == root) {
    at_comm_count_end(c, begin, c->size - 1, bytes * (c->size - 1), 0);
  } else {
    at_comm_count_end(c, begin, 0, 0, bytes);
  }
  return AT_OK;
}

/* MPI libraries hold a copy of what they reduce: in pieces of this many bytes that stays small, and is as fast. */
static const int64_t reduce_piece = INT64_C(1) << 23;

at_err at_comm_allreduce(at_comm *c, at_comm_type type, at_comm_op op, void *buf, int64_t n) {
  if (c->size == 1 || n == 0) {
    return AT_OK;
  }
  double begin = at_comm_count_begin(c);
  int64_t width = 0;
  MPI_Datatype t = at_comm_mpi_type(type, &width);
  int64_t step = smaller(at_comm_chunk_elements(c, width), reduce_piece / width);
  for (int64_t at = 0; at < n; at += step) {
    int count = (int)smaller(step, n - at);
    void *part = (char *)buf + at * width;
    AT_TRY(at_comm_check(MPI_Allreduce(MPI_IN_PLACE, part, count, t, at_comm_mpi_op(op), c->mpi), "MPI_Allreduce"));
  }
  int64_t moved = at_comm_allreduce_bytes(n * width, c->size);
  at_comm_count_end(c, begin, 2 * (c->size - 1), moved, moved);
  return AT_OK;
}

at_err at_comm_reduce(at_comm *c, int root, at_comm_type type, at_comm_op op, void *buf, int64_t n) {
  if (c->size == 1 || n == 0) {
    return AT_OK;
  }
  double begin = at_comm_count_begin(c);
  int64_t width = 0;
  MPI_Datatype t = at_comm_mpi_type(type, &width);
  int64_t step = at_comm_chunk_elements(c, width);
  for (int64_t at = 0; at < n; at += step) {
    int count = (int)smaller(step, n - at);
    void *part = (char *)buf + at * width;
    const void *send = c->rank == root ? MPI_IN_PLACE : part;
    void *recv = c->rank == root ? part : NULL;
    AT_TRY(at_comm_check(MPI_Reduce(send, recv, count, t, at_comm_mpi_op(op), root, c->mpi), "MPI_Reduce"));
  }
  if (c->rank == root) {
    at_comm_count_end(c, begin, 0, 0, n * width * (c->size - 1));
  } else {
    at_comm_count_end(c, begin, 1, n * width, 0);
  }
  return AT_OK;
}

/* The root's part of a gather of more bytes than one call takes; the others send. */
static at_err gather_by_messages(at_comm *c, int root, const void *send, char *recv, const int64_t *bytes) {
  if (c->rank != root) {
    return at_comm_send(c, root, AT_TAG_GATHER, send, bytes[c->rank]);
  }
  for (int r = 0; r < c->size; r++) {
    if (r == root) {
      memmove(recv, send, (size_t)bytes[r]);
    } else {
      AT_TRY(at_comm_recv(c, r, AT_TAG_GATHER, recv, bytes[r]));
    }
    recv += bytes[r];
  }
  return AT_OK;
}

/* Fill the communicator's counts, and displacements behind them, as MPI wants them. */
static void fill_counts(at_comm *c, const int64_t *bytes) {
  int at = 0;
  for (int r = 0; r < c->size; r++) {
    c->counts[r] = (int)bytes[r];
    c->counts[c->size + r] = at;
    at += c->counts[r];
  }
}

/* One MPI call can take all of it. */
static bool fits(const at_comm *c, int64_t total) {
  return total <= at_comm_chunk_elements(c, 1);
}

at_err at_comm_gatherv(at_comm *c, int root, const void *send, void *recv, const int64_t *bytes) {
  int64_t own = bytes[c->rank];
  if (c->size == 1) {
    memmove(recv, send, (size_t)own);
    return AT_OK;
  }
  int64_t total = sum(bytes, c->size);
  if (!fits(c, total)) {
    return gather_by_messages(c, root, send, recv, bytes);
  }
  double begin = at_comm_count_begin(c);
  fill_counts(c, bytes);
  const int *counts = c->counts;
  const int *displs = c->counts + c->size;
  bool in_place = c->rank == root && send == (char *)recv + displs[root];
  AT_TRY(at_comm_check(
      MPI_Gatherv(in_place ? MPI_IN_PLACE : send, (int)own, MPI_BYTE, recv, counts, displs, MPI_BYTE, root, c->mpi),
      "MPI_Gatherv"));
  if (c->rank == root) {
    at_comm_count_end(c, begin, 0, 0, total - own);
  } else {
    at_comm_count_end(c, begin, 1, own, 0);
  }
  return AT_OK;
}

/* The blocks one after the other, each broadcast by its owner. */
static at_err allgather_by_blocks(at_comm *c, const void *send, char *recv, const int64_t *bytes) {
  int64_t step = at_comm_chunk_elements(c, 1);
  for (int r = 0; r < c->size; r++) {
    if (r == c->rank) {
      memmove(recv, send, (size_t)bytes[r]);
    }
    for (int64_t at = 0; at < bytes[r]; at += step) {
      int n = (int)smaller(step, bytes[r] - at);
      AT_TRY(at_comm_check(MPI_Bcast(recv + at, n, MPI_BYTE, r, c->mpi), "MPI_Bcast"));
    }
    recv += bytes[r];
  }
  return AT_OK;
}

static at_err allgather_at_once(at_comm *c, const void *send, void *recv, const int64_t *bytes) {
  fill_counts(c, bytes);
  const int *counts = c->counts;
  const int *displs = c->counts + c->size;
  bool in_place = send == (char *)recv + displs[c->rank];
  return at_comm_check(
      MPI_Allgatherv(in_place ? MPI_IN_PLACE : send, counts[c->rank], MPI_BYTE, recv, counts, displs, MPI_BYTE, c->mpi),
      "MPI_Allgatherv");
}

at_err at_comm_allgatherv(at_comm *c, const void *send, void *recv, const int64_t *bytes) {
  int64_t total = sum(bytes, c->size);
  if (c->size == 1) {
    memmove(recv, send, (size_t)total);
    return AT_OK;
  }
  double begin = at_comm_count_begin(c);
  if (fits(c, total)) {
    AT_TRY(allgather_at_once(c, send, recv, bytes));
  } else {
    AT_TRY(allgather_by_blocks(c, send, recv, bytes));
  }
  at_comm_count_end(c, begin, c->size - 1, total - bytes[(c->rank + 1) % c->size], total - bytes[c->rank]);
  return AT_OK;
}

at_err at_comm_allgather_i64(at_comm *c, int64_t value, int64_t *out) {
  double begin = at_comm_count_begin(c);
  AT_TRY(at_comm_check(MPI_Allgather(&value, 1, MPI_INT64_T, out, 1, MPI_INT64_T, c->mpi), "MPI_Allgather"));
  int64_t others = c->size - 1;
  at_comm_count_end(c, begin, others, others * 8, others * 8);
  return AT_OK;
}

/* Send n_send bytes to `dest` while n_recv bytes come from `source`.  A side that is through talks to nobody. */
static at_err exchange(at_comm *c, int dest, const char *send, int64_t n_send, int source, char *recv, int64_t n_recv) {
  int64_t step = at_comm_chunk_elements(c, 1);
  while (n_send > 0 || n_recv > 0) {
    int s = (int)smaller(step, n_send);
    int r = (int)smaller(step, n_recv);
    AT_TRY(
        at_comm_check(MPI_Sendrecv(send, s, MPI_BYTE, s > 0 ? dest : MPI_PROC_NULL, AT_TAG_EXCHANGE, recv, r, MPI_BYTE,
                                   r > 0 ? source : MPI_PROC_NULL, AT_TAG_EXCHANGE, c->mpi, MPI_STATUS_IGNORE),
                      "MPI_Sendrecv"));
    send += s;
    recv += r;
    n_send -= s;
    n_recv -= r;
  }
  return AT_OK;
}

at_err at_comm_alltoallv(at_comm *c, const void *send, const int64_t *send_bytes, void *recv,
                         const int64_t *recv_bytes) {
  double begin = at_comm_count_begin(c);
  const char *own = (const char *)send + sum(send_bytes, c->rank);
  if (send_bytes[c->rank] > 0) { /* either buffer may be NULL where nothing goes */
    memcpy((char *)recv + sum(recv_bytes, c->rank), own, (size_t)send_bytes[c->rank]);
  }
  int64_t sent = 0;
  int64_t received = 0;
  for (int s = 1; s < c->size; s++) {
    int dest = (c->rank + s) % c->size;
    int source = (c->rank - s + c->size) % c->size;
    const char *from = (const char *)send + sum(send_bytes, dest);
    char *to = (char *)recv + sum(recv_bytes, source);
    AT_TRY(exchange(c, dest, from, send_bytes[dest], source, to, recv_bytes[source]));
    sent += send_bytes[dest];
    received += recv_bytes[source];
  }
  at_comm_count_end(c, begin, c->size - 1, sent, received);
  return AT_OK;
}
