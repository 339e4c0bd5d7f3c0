/* SPDX-License-Identifier: BSD-3-Clause */
/* Wall time and memory of this process: for progress, logs and measurements, never for results. */
#ifndef AT_BASE_CLOCK_H
#define AT_BASE_CLOCK_H

#include <stdint.h>

double at_clock_now_s(void); /* seconds since an arbitrary fixed moment; never goes back */

/* Resident memory, now and at its largest, from /proc/self/status; -1 where that file is missing. */
int64_t at_process_rss_bytes(void);
int64_t at_process_peak_rss_bytes(void);

#endif
