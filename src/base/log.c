/* SPDX-License-Identifier: BSD-3-Clause */
/* Log lines to stderr and to a file. */
#include "src/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/clock.h"

enum { LINE_MAX_BYTES = 4096 };

struct at_log {
  int rank;
  at_log_level level;
  double start_s;
  FILE *file; /* owned; NULL if none */
  bool is_tty;
};

static const char *const marks[] = {"error: ", "warning: ", "", ""};

at_err at_log_create(at_log **out, int rank, at_log_level level) {
  AT_TRY(at_alloc(out, 1, sizeof **out, "log"));
  **out = (at_log){.rank = rank, .level = level, .start_s = at_clock_now_s(), .is_tty = isatty(STDERR_FILENO) == 1};
  return AT_OK;
}

void at_log_destroy(at_log *log) {
  if (log != NULL && log->file != NULL) {
    fclose(log->file);
  }
  at_free(log);
}

void at_log_set_level(at_log *log, at_log_level level) {
  log->level = level;
}

at_log_level at_log_get_level(const at_log *log) {
  return log->level;
}

at_err at_log_open_file(at_log *log, const char *path) {
  if (log->rank != 0) {
    return AT_OK;
  }
  FILE *file = fopen(path, "ae");
  if (file == NULL) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot append to the log: %s", path, strerror(errno));
  }
  if (log->file != NULL) {
    fclose(log->file);
  }
  log->file = file;
  return AT_OK;
}

static void write_file(at_log *log, const char *mark, const char *topic, const char *text) {
  char stamp[32];
  struct timespec now;
  struct tm utc;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &utc);
  strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &utc);
  if (fprintf(log->file, "%s %s%s: %s\n", stamp, mark, topic, text) < 0 || fflush(log->file) != 0) {
    /* A full disk must not stop the run; say it once and go on without the file. */
    fprintf(stderr, "warning: log: cannot write the log file any more: %s\n", strerror(errno));
    fclose(log->file);
    log->file = NULL;
  }
}

void at_log_write(at_log *log, at_log_level level, const char *topic, const char *fmt, ...) {
  if (log == NULL || (log->rank != 0 && level != AT_LOG_ERROR)) {
    return;
  }
  bool told = level <= log->level, kept = log->file != NULL && (told || level <= AT_LOG_INFO);
  if (!told && !kept) {
    return;
  }
  char text[LINE_MAX_BYTES];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  for (char *c = text; *c != '\0'; c++) {
    if (*c == '\n' || *c == '\r') {
      *c = ' ';
    }
  }
  char who[24] = "";
  if (log->rank != 0) {
    snprintf(who, sizeof who, "rank %d: ", log->rank);
  }
  if (told) { /* on a terminal a progress line may be standing: wipe it */
    fprintf(stderr, "%s[%8.1f s] %s%s%s: %s\n", log->is_tty ? "\r\033[K" : "", at_clock_now_s() - log->start_s,
            marks[level], who, topic, text);
  }
  if (kept) {
    write_file(log, marks[level], topic, text);
  }
}
