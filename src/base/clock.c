/* SPDX-License-Identifier: BSD-3-Clause */
/* Wall time and memory of this process. */
#include "src/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

double at_clock_now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The line "<key>  123 kB" of /proc/self/status, in bytes. */
static int64_t status_bytes(const char *key) {
  FILE *in = fopen("/proc/self/status", "re");
  if (in == NULL) {
    return -1;
  }
  char line[256];
  int64_t bytes = -1;
  size_t n = strlen(key);
  while (bytes < 0 && fgets(line, sizeof line, in) != NULL) {
    int64_t kib = 0;
    if (strncmp(line, key, n) == 0 && sscanf(line + n, "%" SCNd64 " kB", &kib) == 1) {
      bytes = kib * 1024;
    }
  }
  fclose(in);
  return bytes;
}

int64_t at_process_rss_bytes(void) {
  return status_bytes("VmRSS:");
}

int64_t at_process_peak_rss_bytes(void) {
  return status_bytes("VmHWM:");
}
