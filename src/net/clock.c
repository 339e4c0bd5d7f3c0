/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtual clock and the table of devices. */
#include "src/net/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RECENT = sizeof(((at_virtual_clock *)0)->recent) / sizeof(double) };

#define DEVICES(X)                                                                               \
  X("h100-sxm", 989e12, 80e9, 0.40, "NVIDIA H100 SXM data sheet: 989 TFLOP/s BF16 dense, 80 GB") \
  X("a100-80g", 312e12, 80e9, 0.45, "NVIDIA A100 data sheet: 312 TFLOP/s BF16 dense, 80 GB")     \
  X("v100-16g", 15.7e12, 16e9, 0.60, "NVIDIA V100 SXM2 data sheet: 15.7 TFLOP/s FP32, 16 GB")    \
  X("epyc-core", 0.1e12, 4e9, 0.80, "one Zen 4 core, measured SGEMM rate of about 100 GFLOP/s")  \
  X("pi4", 24e9, 4e9, 0.50, "Raspberry Pi 4: 4 Cortex-A72 at 1.5 GHz, 4 FP32 operations a cycle and core")

static const at_device devices[] = {
#define X(name, flops, memory, efficiency, source) {name, flops, memory, efficiency, source},
    DEVICES(X)
#undef X
};
const char *const at_device_names[] = {"none",
#define X(name, flops, memory, efficiency, source) name,
                                       DEVICES(X)
#undef X
                                           NULL};

const at_device *at_device_at(int i) {
  return i < (int)(sizeof devices / sizeof devices[0]) ? &devices[i] : NULL;
}

const at_device *at_device_find(const char *name) {
  for (int i = 0; at_device_at(i) != NULL; i++) {
    if (strcmp(devices[i].name, name) == 0) {
      return &devices[i];
    }
  }
  return NULL;
}

double at_device_s(const at_device *d, double flops, double slowdown) {
  return flops * slowdown / (d->flops_per_s * d->efficiency);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Of n values, which are put in order; 0 of none. */
static double median(double *v, int64_t n) {
  qsort(v, (size_t)n, sizeof *v, by_value);
  return n > 0 ? 0.5 * (v[(n - 1) / 2] + v[n / 2]) : 0;
}

double at_clock_deadline_s(const at_virtual_clock *c, double factor) {
  int n = c->rounds < RECENT ? (int)c->rounds : RECENT;
  if (n == 0 || factor <= 0) {
    return 0;
  }
  double sorted[RECENT];
  memcpy(sorted, c->recent, (size_t)n * sizeof *sorted);
  return factor * median(sorted, n);
}

at_clock_round at_clock_wait(const double *client_s, int64_t n, double deadline_s, bool *on_time, double *sorted) {
  at_clock_round r = {0};
  bool waited = false;
  double slowest = 0;
  for (int64_t i = 0; i < n; i++) {
    on_time[i] = isfinite(client_s[i]) && (deadline_s <= 0 || client_s[i] <= deadline_s);
    if (on_time[i]) {
      sorted[r.on_time++] = client_s[i];
      slowest = fmax(slowest, client_s[i]);
    }
    waited = waited || !on_time[i];
  }
  r.local_s = waited && deadline_s > 0 ? deadline_s : slowest; /* who is missing is known only then */
  r.typical_s = median(sorted, r.on_time);
  return r;
}

double at_clock_advance(at_virtual_clock *c, const at_clock_round *r, double exchange_s) {
  c->now_s += r->local_s + exchange_s;
  if (r->on_time > 0) {
    c->recent[(int64_t)c->rounds % RECENT] = r->typical_s;
    c->rounds++;
  }
  return r->local_s + exchange_s;
}
