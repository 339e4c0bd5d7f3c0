/* SPDX-License-Identifier: BSD-3-Clause */
/* Status codes, and the chain of causes of the calling thread's last failure. */
#include "src/base/status.h"

#include <stdarg.h>
#include <string.h>

enum { TRACE_MAX = 24 };

typedef struct place {
  const char *file;
  int line;
} place;

typedef struct chain {
  at_err code;
  char message[AT_ERR_MESSAGE_MAX];
  place at[TRACE_MAX];
  int depth;   /* places kept */
  int skipped; /* places passed after `at` was full */
} chain;

static _Thread_local chain last;

typedef struct row {
  const char *name, *text;
  int exit_code;
} row;

static const row rows[AT_ERR_COUNT] = {
#define X(name, text, code) {#name, text, code},
    AT_ERRORS(X)
#undef X
};

static const row unknown = {"UNKNOWN", "unknown status code", 70};

static const row *row_of(at_err e) {
  return (unsigned)e < AT_ERR_COUNT ? &rows[e] : &unknown;
}

const char *at_err_name(at_err e) {
  return row_of(e)->name;
}

const char *at_err_text(at_err e) {
  return row_of(e)->text;
}

int at_err_exit_code(at_err e) {
  return row_of(e)->exit_code;
}

at_err at_err_raise(at_err code, const char *file, int line, const char *fmt, ...) {
  /* Formatted aside first: the arguments may include the message that is about to be replaced. */
  char text[AT_ERR_MESSAGE_MAX];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  at_err_adopt(code, n < 0 ? fmt : text);
  return at_err_trace(code, file, line);
}

at_err at_err_trace(at_err code, const char *file, int line) {
  if (last.depth < TRACE_MAX) {
    last.at[last.depth] = (place){file, line};
    last.depth++;
  } else {
    last.skipped++;
  }
  return code;
}

const char *at_err_message(void) {
  return last.message;
}

void at_err_adopt(at_err code, const char *message) {
  last.code = code;
  last.depth = 0;
  last.skipped = 0;
  size_t n = strlen(message);
  if (n >= sizeof last.message) {
    n = sizeof last.message - 1;
  }
  memmove(last.message, message, n);
  last.message[n] = '\0';
}

void at_err_print_trace(FILE *out) {
  for (int i = 0; i < last.depth; i++) {
    fprintf(out, "  %s %s:%d\n", i == 0 ? "raised at" : "via", last.at[i].file, last.at[i].line);
  }
  if (last.skipped > 0) {
    fprintf(out, "  and %d more\n", last.skipped);
  }
}
