/* SPDX-License-Identifier: BSD-3-Clause */
/* Status codes and the chain of causes behind a failure.
 *
 * Every fallible function returns at_err.  The first failure raises a message with AT_FAIL; callers pass it
 * up with AT_TRY, which notes where it went by.  The chain belongs to the calling thread (as errno does) and
 * is overwritten by the next AT_FAIL.  Nothing here is collective: see at_comm_agree() for how ranks agree.
 *
 * Three kinds of failure, three means: assert() for our own bugs, AT_ERR_ARG/CONFIG for the caller's mistakes,
 * checked returns for MPI, HDF5 and files. */
#ifndef AT_BASE_STATUS_H
#define AT_BASE_STATUS_H

#include <stdbool.h>
#include <stdio.h>

/* name, what it means, exit code of the program when it reaches main */
#define AT_ERRORS(X)                                             \
  X(OK, "success", 0)                                            \
  X(ARG, "bad argument", 2)                                      \
  X(CONFIG, "bad configuration", 2)                              \
  X(FILE, "file error", 3)                                       \
  X(FORMAT, "bad file contents", 3)                              \
  X(STATE, "state does not fit this run", 4)                     \
  X(BUSY, "in use by another process", 4)                        \
  X(MEMORY, "out of memory", 5)                                  \
  X(MPI, "MPI failure", 6)                                       \
  X(HDF5, "HDF5 failure", 6)                                     \
  X(NONFINITE, "non-finite number", 7)                           \
  X(OVERFLOW, "number out of range", 7)                          \
  X(DIFFERENT, "states differ", 1)                               \
  X(INTERRUPTED, "interrupted by a signal; resume to go on", 75) \
  X(STALLED, "a rank stopped making progress", 76)               \
  X(INTERNAL, "internal error", 70)

typedef enum at_err {
#define X(name, text, code) AT_ERR_##name,
  AT_ERRORS(X)
#undef X
      AT_ERR_COUNT
} at_err;
#define AT_OK AT_ERR_OK

enum { AT_ERR_MESSAGE_MAX = 1024 };

const char *at_err_name(at_err e); /* "CONFIG" */
const char *at_err_text(at_err e); /* "bad configuration" */
int at_err_exit_code(at_err e);    /* what main returns */

/* Start a chain: store the code and a message (printf style; what was expected, what was found, what to try).
 * Returns `code`, so that `return AT_FAIL(...)` reads well. */
at_err at_err_raise(at_err code, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Note that `code` passed `file:line`; returns it unchanged. */
at_err at_err_trace(at_err code, const char *file, int line);

const char *at_err_message(void); /* of the last failure; "" if none; valid until the next */
/* Adopt a failure that another rank raised: the message becomes this thread's. */
void at_err_adopt(at_err code, const char *message);
void at_err_print_trace(FILE *out); /* the places it went by, innermost first, one line each */

#define AT_FAIL(code, ...) at_err_raise((code), __FILE__, __LINE__, __VA_ARGS__)

#define AT_TRY(expr)                                      \
  do {                                                    \
    at_err at_try_e_ = (expr);                            \
    if (at_try_e_ != AT_OK) {                             \
      return at_err_trace(at_try_e_, __FILE__, __LINE__); \
    }                                                     \
  } while (0)

/* As AT_TRY for functions with a clean-up label: `err` keeps the code. */
#define AT_TRY_TO(err, label, expr)            \
  do {                                         \
    (err) = (expr);                            \
    if ((err) != AT_OK) {                      \
      at_err_trace((err), __FILE__, __LINE__); \
      goto label;                              \
    }                                          \
  } while (0)

#endif
