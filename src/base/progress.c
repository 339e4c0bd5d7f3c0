/* SPDX-License-Identifier: BSD-3-Clause */
/* The progress line. */
#include "src/base/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/fmt.h"

static const double tty_interval_s = 0.2, first_interval_s = 2, last_interval_s = 60;

struct at_progress {
  at_progress_spec spec;
  bool is_tty;
  double start_s;
  double next_s;     /* nothing is shown before */
  double interval_s; /* not on a terminal: from this line to the next */
  int64_t done;
  double units;
  bool updated; /* there is something to show */
  char note[160];
};

at_err at_progress_create(at_progress **out, int rank, const at_progress_spec *spec) {
  *out = NULL;
  if (rank != 0) {
    return AT_OK;
  }
  AT_TRY(at_alloc(out, 1, sizeof **out, "progress"));
  at_progress *p = *out;
  p->spec = *spec;
  p->spec.out = spec->out != NULL ? spec->out : stderr;
  p->spec.now_s = spec->now_s != NULL ? spec->now_s : at_clock_now_s;
  int fd = fileno(p->spec.out);
  p->is_tty = fd >= 0 && isatty(fd) == 1;
  p->start_s = p->spec.now_s();
  p->next_s = p->start_s;
  p->interval_s = first_interval_s;
  return AT_OK;
}

static void show(at_progress *p, double now_s, bool last) {
  const at_progress_spec *s = &p->spec;
  FILE *out = s->out;
  char text[AT_FMT_MAX];
  double elapsed_s = now_s - p->start_s;
  int64_t fresh = p->done - s->start;
  fprintf(out, "%s%s %" PRId64 "/%" PRId64, p->is_tty ? "\r\033[K" : "", s->noun, p->done, s->total);
  if (s->total > 0) {
    fprintf(out, "  %d %%", (int)(100.0 * (double)p->done / (double)s->total));
  }
  if (p->note[0] != '\0') {
    fprintf(out, "  %s", p->note);
  }
  if (s->unit != NULL && p->units > 0 && elapsed_s > 0) {
    char unit[AT_FMT_MAX];
    snprintf(unit, sizeof unit, "%s/s", s->unit);
    fprintf(out, "  %s", at_fmt_si(text, p->units / elapsed_s, unit));
  }
  if (last) {
    fprintf(out, "  took %s", at_fmt_duration(text, elapsed_s));
  } else if (fresh > 0 && p->done < s->total) {
    double left_s = elapsed_s / (double)fresh * (double)(s->total - p->done);
    fprintf(out, "  %s left", at_fmt_duration(text, left_s));
  }
  fputs(p->is_tty && !last ? "" : "\n", out);
  fflush(out);
}

void at_progress_update(at_progress *p, int64_t done, double units, const char *fmt, ...) {
  if (p == NULL) {
    return;
  }
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(p->note, sizeof p->note, fmt, ap);
  va_end(ap);
  p->done = done;
  p->units = units;
  p->updated = true;
  double now_s = p->spec.now_s();
  if (now_s < p->next_s) {
    return;
  }
  show(p, now_s, false);
  if (p->is_tty) {
    p->next_s = now_s + tty_interval_s;
  } else {
    p->next_s = now_s + p->interval_s;
    p->interval_s = 2 * p->interval_s < last_interval_s ? 2 * p->interval_s : last_interval_s;
  }
}

void at_progress_destroy(at_progress *p) {
  if (p != NULL && p->updated) {
    show(p, p->spec.now_s(), true);
  }
  at_free(p);
}
