/* SPDX-License-Identifier: BSD-3-Clause */
/* Kills the process at a named place when the environment asks for it. */
#include "src/base/fault.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[AT_FAULT_COUNT] = {
#define X(id, name) name,
    AT_FAULT_POINTS(X)
#undef X
};

/* Process state by nature: it mirrors the environment, and ends the process. */
static long passages_left[AT_FAULT_COUNT]; /* 0: not armed */
static int signal_number;

void at_fault_init(int rank) {
  memset(passages_left, 0, sizeof passages_left);
  const char *spec = getenv("ATOLL_FAULT");
  const char *only = getenv("ATOLL_FAULT_RANK"), *number = getenv("ATOLL_FAULT_SIGNAL");
  signal_number = number != NULL ? (int)strtol(number, NULL, 10) : SIGKILL;
  if (spec == NULL || (only != NULL && strtol(only, NULL, 10) != rank)) {
    return;
  }
  size_t length = strcspn(spec, ":");
  for (int i = 0; i < AT_FAULT_COUNT; i++) {
    if (strlen(names[i]) == length && strncmp(names[i], spec, length) == 0) {
      long n = spec[length] == ':' ? strtol(spec + length + 1, NULL, 10) : 1;
      passages_left[i] = n > 0 ? n : 0;
    }
  }
}

void at_fault_point(at_fault where) {
  if (where != AT_FAULT_NONE && passages_left[where] != 0 && --passages_left[where] == 0) {
    kill(getpid(), signal_number);
  }
}
