/* SPDX-License-Identifier: BSD-3-Clause */
/* Logging: one line each, payloads as `name = value` pairs, on rank 0 unless said otherwise. */
#ifndef AT_BASE_LOG_H
#define AT_BASE_LOG_H

#include "src/base/status.h"

typedef enum at_log_level { AT_LOG_ERROR, AT_LOG_WARN, AT_LOG_INFO, AT_LOG_DEBUG } at_log_level;

typedef struct at_log at_log; /* opaque; owned by main, borrowed by everybody else */

/* A log of `rank`: rank 0 writes levels up to `level` to stderr, other ranks only errors. */
at_err at_log_create(at_log **out, int rank, at_log_level level);
void at_log_destroy(at_log *log);
/* What is told on the terminal from here on; the file gets `info` at least. */
void at_log_set_level(at_log *log, at_log_level level);
at_log_level at_log_get_level(const at_log *log);
/* Also append to `path` (rank 0 only; others do nothing), with time stamps. */
at_err at_log_open_file(at_log *log, const char *path);
/* "[ 12.3 s] round: round = 3, loss = 2.4"; `topic` names the part that speaks.  NULL log: nothing. */
void at_log_write(at_log *log, at_log_level level, const char *topic, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
#define at_log_info(log, topic, ...)  at_log_write((log), AT_LOG_INFO, (topic), __VA_ARGS__)
#define at_log_warn(log, topic, ...)  at_log_write((log), AT_LOG_WARN, (topic), __VA_ARGS__)
#define at_log_error(log, topic, ...) at_log_write((log), AT_LOG_ERROR, (topic), __VA_ARGS__)
#define at_log_debug(log, topic, ...) at_log_write((log), AT_LOG_DEBUG, (topic), __VA_ARGS__)

#endif
