/* SPDX-License-Identifier: BSD-3-Clause */
/* Communicators: making, counting, agreeing on failures, and the end of a job that cannot be saved. */
#include "src/comm/comm.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/comm/comm_internal.h"
#include "src/comm/comm_mpi.h"
#include "src/comm/watchdog.h"

static const int64_t default_chunk = INT64_C(1) << 30;

static const char *const phase_names[AT_COMM_PHASE_COUNT] = {
#define X(id, name) name,
    AT_COMM_PHASES(X)
#undef X
};

const char *at_comm_phase_name(at_comm_phase phase) {
  return phase_names[phase];
}

at_err at_comm_check(int code, const char *call) {
  if (code == MPI_SUCCESS) {
    return AT_OK;
  }
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) {
    snprintf(text, sizeof text, "error code %d", code);
  }
  return AT_FAIL(AT_ERR_MPI, "%s failed: %s", call, text);
}

/* ---- making ---- */

/* Wrap `mpi`, which the new object owns from here on, also on failure. */
static at_err wrap(at_comm **out, MPI_Comm mpi, at_comm_family *family, int64_t chunk) {
  at_comm *c = NULL;
  at_err err = at_alloc(&c, 1, sizeof *c, "communicator");
  if (err == AT_OK) {
    *c = (at_comm){.mpi = mpi, .family = family, .chunk = chunk};
    err = at_comm_check(MPI_Comm_rank(mpi, &c->rank), "MPI_Comm_rank");
  }
  if (err == AT_OK) {
    err = at_comm_check(MPI_Comm_size(mpi, &c->size), "MPI_Comm_size");
  }
  if (err == AT_OK) {
    err = at_alloc(&c->counts, 2 * (size_t)c->size, sizeof *c->counts, "communicator counts");
  }
  if (err != AT_OK) {
    if (MPI_Comm_free(&mpi) != MPI_SUCCESS) {
      err = AT_ERR_MPI;
    }
    at_free(c);
    return at_err_trace(err, __FILE__, __LINE__);
  }
  *out = c;
  return AT_OK;
}

at_err at_comm_init(int *argc, char ***argv, at_comm **world) {
  int provided = MPI_THREAD_SINGLE;
  *world = NULL;
  /* We share no file pointers.  Open MPI's way of sharing them takes a semaphore a file, which a killed run leaves behind. */
  if (setenv("OMPI_MCA_sharedfp", "individual", 0) != 0) {
    return AT_FAIL(AT_ERR_MEMORY, "cannot set the environment of MPI");
  }
  AT_TRY(at_comm_check(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread"));
  if (provided < MPI_THREAD_FUNNELED) {
    return AT_FAIL(AT_ERR_MPI,
                   "this MPI library offers no threads (wanted MPI_THREAD_FUNNELED): use another build of it");
  }
  AT_TRY(at_comm_check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler"));
  AT_TRY(at_comm_check(MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler"));
  at_comm_family *family = NULL;
  AT_TRY(at_alloc(&family, 1, sizeof *family, "communicator family"));
  family->round = -1;
  int length = 0;
  MPI_Comm mpi = MPI_COMM_NULL;
  at_err err = AT_OK;
  AT_TRY_TO(err, fail, at_comm_check(MPI_Get_processor_name(family->host, &length), "MPI_Get_processor_name"));
  AT_TRY_TO(err, fail, at_comm_check(MPI_Comm_dup(MPI_COMM_WORLD, &mpi), "MPI_Comm_dup"));
  AT_TRY_TO(err, fail, wrap(world, mpi, family, default_chunk));
  family->world_rank = (*world)->rank;
  return AT_OK;
fail:
  at_free(family);
  return err;
}

void at_comm_destroy(at_comm *c) {
  if (c == NULL) {
    return;
  }
  at_err err = at_comm_check(MPI_Comm_free(&c->mpi), "MPI_Comm_free");
  if (err != AT_OK) {
    at_comm_abort(c, err);
  }
  at_free(c->counts);
  at_free(c);
}

void at_comm_fini(at_comm *world) {
  if (world == NULL) {
    return;
  }
  at_comm_family *family = world->family;
  at_comm_destroy(world);
  at_free(family);
  /* What a failing MPI_Finalize leaves behind is the launcher's business: everything of ours is closed. */
  (void)at_comm_check(MPI_Finalize(), "MPI_Finalize");
}

at_err at_comm_split(at_comm *parent, int color, int key, at_comm **out) {
  MPI_Comm mpi = MPI_COMM_NULL;
  *out = NULL;
  AT_TRY(at_comm_check(MPI_Comm_split(parent->mpi, color < 0 ? MPI_UNDEFINED : color, key, &mpi), "MPI_Comm_split"));
  return mpi == MPI_COMM_NULL ? AT_OK : wrap(out, mpi, parent->family, parent->chunk);
}

at_err at_comm_dup(at_comm *parent, at_comm **out) {
  MPI_Comm mpi = MPI_COMM_NULL;
  *out = NULL;
  AT_TRY(at_comm_check(MPI_Comm_dup(parent->mpi, &mpi), "MPI_Comm_dup"));
  return wrap(out, mpi, parent->family, parent->chunk);
}

int at_comm_rank(const at_comm *c) {
  return c->rank;
}

int at_comm_size(const at_comm *c) {
  return c->size;
}

int at_comm_world_rank(const at_comm *c) {
  return c->family->world_rank;
}

const char *at_comm_host(const at_comm *c) {
  return c->family->host;
}

MPI_Comm at_comm_raw(const at_comm *c) {
  return c->mpi;
}

void at_comm_set_chunk(at_comm *c, int64_t bytes) {
  c->chunk = bytes > 0 ? bytes : 1;
}

int at_comm_chunk_elements(const at_comm *c, int64_t bytes) {
  int64_t n = c->chunk / bytes;
  return n < 1 ? 1 : n > INT_MAX ? INT_MAX : (int)n;
}

/* ---- counting ---- */

at_comm_phase at_comm_set_phase(at_comm *c, at_comm_phase phase) {
  at_comm_phase before = c->family->phase;
  c->family->phase = phase;
  return before;
}

void at_comm_set_round(at_comm *c, int64_t round) {
  c->family->round = round;
}

at_comm_stats at_comm_get_stats(const at_comm *c, at_comm_phase phase) {
  return c->stats[phase];
}

int64_t at_comm_allreduce_bytes(int64_t bytes, int ranks) {
  /* 2 n (P - 1) / P without the product's overflow: n = q P + r. */
  int64_t whole = bytes / ranks;
  int64_t rest = bytes % ranks;
  return 2 * whole * (ranks - 1) + 2 * rest * (ranks - 1) / ranks;
}

double at_comm_count_begin(at_comm *c) {
  at_comm_enter(c);
  return MPI_Wtime();
}

void at_comm_count_end(at_comm *c, double begin_s, int64_t messages, int64_t sent, int64_t received) {
  at_comm_stats *s = &c->stats[c->family->phase];
  s->calls++;
  s->messages_sent += messages;
  s->bytes_sent += sent;
  s->bytes_recv += received;
  at_comm_count_time(c, begin_s);
}

void at_comm_count_time(at_comm *c, double begin_s) {
  c->stats[c->family->phase].seconds += MPI_Wtime() - begin_s;
  at_comm_leave(c);
}

/* ---- failure ---- */

void at_comm_abort(const at_comm *c, at_err err) {
  const at_comm_family *f = c->family;
  fprintf(stderr, "atoll: rank %d on %s, phase %s, round %lld: %s: %s\n", f->world_rank, f->host,
          at_comm_phase_name(f->phase), (long long)f->round, at_err_text(err), at_err_message());
  fflush(NULL);
  (void)MPI_Abort(MPI_COMM_WORLD, at_err_exit_code(err)); /* does not come back where it works */
  _exit(at_err_exit_code(err));
}

typedef struct verdict {
  int32_t code;
  char message[AT_ERR_MESSAGE_MAX];
} verdict;

static at_err agree(at_comm *c, at_err err) {
  int64_t first = err == AT_OK ? c->size : c->rank;
  AT_TRY(at_comm_allreduce(c, AT_COMM_I64, AT_COMM_MIN, &first, 1));
  if (first == c->size) {
    return AT_OK;
  }
  verdict v = {.code = (int32_t)err};
  if (first == c->rank) {
    snprintf(v.message, sizeof v.message, "%s", at_err_message());
  }
  AT_TRY(at_comm_bcast(c, (int)first, &v, sizeof v));
  if (first != c->rank) {
    at_err_adopt((at_err)v.code, v.message);
  }
  return (at_err)v.code;
}

at_err at_comm_agree(at_comm *c, at_err err) {
  if (err == AT_ERR_MPI) {
    at_comm_abort(c, err);
  }
  at_comm_phase before = at_comm_set_phase(c, AT_COMM_CONTROL);
  at_err all = agree(c, err);
  if (all == AT_ERR_MPI) {
    at_comm_abort(c, all);
  }
  at_comm_set_phase(c, before);
  return all;
}
