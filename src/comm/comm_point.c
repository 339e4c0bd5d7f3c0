/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages between two ranks, and collective calls that go on while the caller computes. */
#include "src/base/alloc.h"
#include "src/comm/comm_internal.h"

at_err at_comm_send(at_comm *c, int dest, at_comm_tag tag, const void *buf, int64_t bytes) {
  double begin = at_comm_count_begin(c);
  int64_t step = at_comm_chunk_elements(c, 1);
  for (int64_t at = 0; at < bytes; at += step) {
    int n = (int)(bytes - at < step ? bytes - at : step);
    AT_TRY(at_comm_check(MPI_Send((const char *)buf + at, n, MPI_BYTE, dest, tag, c->mpi), "MPI_Send"));
  }
  at_comm_count_end(c, begin, 1, bytes, 0);
  return AT_OK;
}

at_err at_comm_recv(at_comm *c, int source, at_comm_tag tag, void *buf, int64_t bytes) {
  double begin = at_comm_count_begin(c);
  int64_t step = at_comm_chunk_elements(c, 1);
  for (int64_t at = 0; at < bytes; at += step) {
    int n = (int)(bytes - at < step ? bytes - at : step);
    int came = 0;
    MPI_Status status;
    AT_TRY(at_comm_check(MPI_Recv((char *)buf + at, n, MPI_BYTE, source, tag, c->mpi, &status), "MPI_Recv"));
    AT_TRY(at_comm_check(MPI_Get_count(&status, MPI_BYTE, &came), "MPI_Get_count"));
    if (came != n) {
      return AT_FAIL(AT_ERR_MPI, "a message of rank %d with tag %d has %d bytes where %d were expected", source,
                     (int)tag, came, n);
    }
  }
  at_comm_count_end(c, begin, 0, 0, bytes);
  return AT_OK;
}

struct at_comm_request {
  at_comm *comm;
  int n;
  MPI_Request part[];
};

static at_err request_create(at_comm *c, int64_t n, int64_t step, at_comm_request **out) {
  int64_t parts = c->size == 1 ? 0 : (n + step - 1) / step;
  at_comm_request *r = NULL;
  AT_TRY(at_alloc(&r, 1, sizeof *r + (size_t)parts * sizeof r->part[0], "request"));
  r->comm = c;
  r->n = (int)parts;
  *out = r;
  return AT_OK;
}

at_err at_comm_ibcast(at_comm *c, int root, void *buf, int64_t bytes, at_comm_request **out) {
  double begin = at_comm_count_begin(c);
  int64_t step = at_comm_chunk_elements(c, 1);
  at_comm_request *r = NULL;
  AT_TRY(request_create(c, bytes, step, &r));
  *out = r;
  for (int i = 0; i < r->n; i++) {
    int64_t at = i * step;
    int n = (int)(bytes - at < step ? bytes - at : step);
    AT_TRY(at_comm_check(MPI_Ibcast((char *)buf + at, n, MPI_BYTE, root, c->mpi, &r->part[i]), "MPI_Ibcast"));
  }
  int64_t others = c->size - 1;
  if (c->rank == root) {
    at_comm_count_end(c, begin, others, bytes * others, 0);
  } else {
    at_comm_count_end(c, begin, 0, 0, bytes);
  }
  return AT_OK;
}

at_err at_comm_iallreduce(at_comm *c, at_comm_type type, at_comm_op op, void *buf, int64_t n, at_comm_request **out) {
  double begin = at_comm_count_begin(c);
  int64_t width = 0;
  MPI_Datatype t = at_comm_mpi_type(type, &width);
  int64_t step = at_comm_chunk_elements(c, width);
  at_comm_request *r = NULL;
  AT_TRY(request_create(c, n, step, &r));
  *out = r;
  for (int i = 0; i < r->n; i++) {
    int64_t at = i * step;
    int count = (int)(n - at < step ? n - at : step);
    void *part = (char *)buf + at * width;
    AT_TRY(at_comm_check(MPI_Iallreduce(MPI_IN_PLACE, part, count, t, at_comm_mpi_op(op), c->mpi, &r->part[i]),
                         "MPI_Iallreduce"));
  }
  int64_t moved = at_comm_allreduce_bytes(n * width, c->size);
  at_comm_count_end(c, begin, 2 * (c->size - 1), moved, moved);
  return AT_OK;
}

static void request_end(at_comm_request **request) {
  at_free(*request);
  *request = NULL;
}

at_err at_comm_test(at_comm_request **request, bool *done) {
  *done = true;
  if (*request == NULL) {
    return AT_OK;
  }
  at_comm_request *r = *request;
  double begin = at_comm_count_begin(r->comm);
  int flag = 0;
  AT_TRY(at_comm_check(MPI_Testall(r->n, r->part, &flag, MPI_STATUSES_IGNORE), "MPI_Testall"));
  at_comm_count_time(r->comm, begin);
  *done = flag != 0;
  if (*done) {
    request_end(request);
  }
  return AT_OK;
}

at_err at_comm_wait(at_comm_request **request) {
  if (*request == NULL) {
    return AT_OK;
  }
  at_comm_request *r = *request;
  double begin = at_comm_count_begin(r->comm);
  AT_TRY(at_comm_check(MPI_Waitall(r->n, r->part, MPI_STATUSES_IGNORE), "MPI_Waitall"));
  at_comm_count_time(r->comm, begin);
  request_end(request);
  return AT_OK;
}
