/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers as people read them. */
#include "src/base/fmt.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Three significant digits, without an exponent for 0.001 <= |v| < 10000. */
static const char *three_digits(char *buf, double v) {
  double a = fabs(v);
  int digits = a >= 99.95 ? 0 : a >= 9.995 ? 1 : 2;
  snprintf(buf, AT_FMT_MAX, "%.*f", digits, v);
  return buf;
}

char *at_fmt_bytes(char *buf, int64_t bytes) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double v = (double)bytes;
  int u = 0;
  while (fabs(v) >= 1023.95 && u < 6) {
    v /= 1024;
    u++;
  }
  if (u == 0) {
    snprintf(buf, AT_FMT_MAX, "%" PRId64 " B", bytes);
  } else {
    snprintf(buf, AT_FMT_MAX, "%.1f %s", v, units[u]);
  }
  return buf;
}

char *at_fmt_duration(char *buf, double seconds) {
  if (!(seconds >= 0 && seconds < 1e12)) {
    snprintf(buf, AT_FMT_MAX, "unknown");
  } else if (seconds < 9.95) {
    snprintf(buf, AT_FMT_MAX, "%.1f s", seconds);
  } else {
    int64_t s = (int64_t)(seconds + 0.5);
    if (s < 60) {
      snprintf(buf, AT_FMT_MAX, "%" PRId64 " s", s);
    } else if (s < 3600) {
      snprintf(buf, AT_FMT_MAX, "%" PRId64 " min %02" PRId64 " s", s / 60, s % 60);
    } else if (s < 86400) {
      snprintf(buf, AT_FMT_MAX, "%" PRId64 " h %02" PRId64 " min", s / 3600, s / 60 % 60);
    } else {
      snprintf(buf, AT_FMT_MAX, "%" PRId64 " d %" PRId64 " h", s / 86400, s / 3600 % 24);
    }
  }
  return buf;
}

char *at_fmt_si(char *buf, double value, const char *unit) {
  static const char *const prefixes[] = {"", "k", "M", "G", "T", "P"};
  char digits[AT_FMT_MAX];
  int p = 0;
  while (fabs(value) >= 999.5 && p < 5) {
    value /= 1000;
    p++;
  }
  snprintf(buf, AT_FMT_MAX, "%.20s %s%.20s", three_digits(digits, value), prefixes[p], unit);
  return buf;
}

char *at_fmt_f64(char *buf, double value) {
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(buf, AT_FMT_MAX, "%.*g", digits, value);
    if (strtod(buf, NULL) == value) {
      break;
    }
  }
  return buf;
}

static int least(int a, int b) {
  return a < b ? a : b;
}

int at_fmt_distance(const char *a, const char *b) {
  enum { N = AT_FMT_DISTANCE_MAX + 1 };
  int n = (int)strnlen(a, N - 1), m = (int)strnlen(b, N - 1);
  int d[3][N]; /* the last two rows are needed for a swap */
  for (int j = 0; j <= m; j++) {
    d[0][j] = j;
  }
  for (int i = 1; i <= n; i++) {
    int *now = d[i % 3], *before = d[(i + 2) % 3], *earlier = d[(i + 1) % 3];
    now[0] = i;
    for (int j = 1; j <= m; j++) {
      now[j] = least(least(before[j], now[j - 1]) + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        now[j] = least(now[j], earlier[j - 2] + 1);
      }
    }
  }
  return d[n % 3][m];
}
