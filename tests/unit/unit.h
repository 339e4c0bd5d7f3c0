/* SPDX-License-Identifier: BSD-3-Clause */
/* What every unit test starts with: cmocka and its headers in the order it wants, and checks for at_err. */
#ifndef AT_TESTS_UNIT_H
#define AT_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/status.h"

/* The call succeeds; its message is printed if not. */
#define assert_ok(expr)                                             \
  do {                                                              \
    at_err assert_e_ = (expr);                                      \
    if (assert_e_ != AT_OK) {                                       \
      fail_msg("%s: %s", at_err_name(assert_e_), at_err_message()); \
    }                                                               \
  } while (0)

/* The call fails with `code`, and its message holds `part`. */
#define assert_fails(code, part, expr)                                                                 \
  do {                                                                                                 \
    at_err assert_e_ = (expr);                                                                         \
    if (assert_e_ != (code) || strstr(at_err_message(), (part)) == NULL) {                             \
      fail_msg("wanted %s with \"%s\", got %s: %s", at_err_name(code), (part), at_err_name(assert_e_), \
               assert_e_ == AT_OK ? "" : at_err_message());                                            \
    }                                                                                                  \
  } while (0)

#endif
