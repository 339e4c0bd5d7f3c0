/* SPDX-License-Identifier: BSD-3-Clause */
/* A cursor over JSON text: a program walks the values that it knows and skips the others. */
#ifndef AT_DATA_FILES_JSON_H
#define AT_DATA_FILES_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "data/text/bytes.h"

typedef struct at_json {
  const char *path, *text; /* borrowed; text[len] is 0 */
  size_t len, at;
} at_json;

/* Every function stands at a value (blanks before it are skipped) and moves behind it.  AT_ERR_FORMAT names path and
 * byte. */
char at_json_peek(at_json *j);                           /* the first character of the value, 0 at the end */
at_err at_json_number(at_json *j, double *out);          /* true and false are 1 and 0 */
at_err at_json_string(at_json *j, at_bytes *out);        /* replaces *out; escapes resolved, UTF-8 */
at_err at_json_skip(at_json *j);                         /* any value */
at_err at_json_enter(at_json *j, char open, bool *more); /* '[' or '{'; *more: it is not empty */
at_err at_json_next(at_json *j, char close, bool *more); /* behind a member: a comma, or `close` */
at_err at_json_key(at_json *j, at_bytes *out);           /* a string and its colon */
at_err at_json_fail(const at_json *j, const char *wanted);

#endif
