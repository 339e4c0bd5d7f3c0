/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers as people read them, and names as they mistype them. */
#ifndef AT_BASE_FMT_H
#define AT_BASE_FMT_H

#include <stddef.h>
#include <stdint.h>

enum { AT_FMT_MAX = 48 };

/* Each writes into buf (AT_FMT_MAX bytes) and returns it, for use as a printf argument. */
char *at_fmt_bytes(char *buf, int64_t bytes);               /* "512 B", "1.5 MiB" */
char *at_fmt_duration(char *buf, double seconds);           /* "0.4 s", "1 min 20 s", "3 h 05 min", "2 d 4 h" */
char *at_fmt_si(char *buf, double value, const char *unit); /* 31200, "tok/s": "31.2 ktok/s" */
char *at_fmt_f64(char *buf, double value);                  /* the shortest text that reads back as the same double */

/* How many insertions, deletions, replacements and swaps of neighbours turn a into b (at most AT_FMT_DISTANCE_MAX
 * characters of each are looked at). */
enum { AT_FMT_DISTANCE_MAX = 64 };
int at_fmt_distance(const char *a, const char *b);

#endif
