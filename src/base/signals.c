/* SPDX-License-Identifier: BSD-3-Clause */
/* Catches the signals that ask for an orderly end. */
#include "src/base/signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* A handler has no argument to carry state: these two are the process's. */
static volatile sig_atomic_t first, interrupts;

static void handle(int signal_number) {
  if (first == 0) {
    first = signal_number;
  }
  if (signal_number == SIGINT && ++interrupts == 2) {
    _exit(130);
  }
}

at_err at_signals_init(void) {
  static const int caught[] = {SIGUSR1, SIGTERM, SIGINT};
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) {
    if (sigaction(caught[i], &action, NULL) != 0) {
      return AT_FAIL(AT_ERR_INTERNAL, "cannot catch signal %d: %s", caught[i], strerror(errno));
    }
  }
  return AT_OK;
}

int at_signals_pending(void) {
  return first;
}
