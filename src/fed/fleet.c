/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices, links and availability of clients. */
#include "src/fed/fleet.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/net/clock.h"

enum { DAY_S = 86400, LINE = 512 };

/* A device as observed or drawn. */
typedef struct device {
  double flops_per_s, down_bytes_per_s, up_bytes_per_s;
  double on_from_s, on_for_s, period_s;
} device;

struct at_fleet {
  at_fleet_spec spec;
  const at_device *kind;
  int64_t n_lines; /* of the trace */
  device *line;
};

static at_err parse(const char *path, int number, const char *text, device *d) {
  char rest;
  int n = sscanf(text, " %lf , %lf , %lf , %lf , %lf , %lf %c", &d->flops_per_s, &d->down_bytes_per_s,
                 &d->up_bytes_per_s, &d->on_from_s, &d->on_for_s, &d->period_s, &rest);
  bool good = n == 6 && d->flops_per_s > 0 && d->down_bytes_per_s > 0 && d->up_bytes_per_s > 0 && d->on_from_s >= 0 &&
              d->on_for_s > 0 && d->period_s >= d->on_for_s && isfinite(d->flops_per_s + d->period_s + d->on_from_s) &&
              isfinite(d->down_bytes_per_s + d->up_bytes_per_s);
  return good
             ? AT_OK
             : AT_FAIL(AT_ERR_FORMAT,
                       "%s, line %d: expected six numbers: flops_per_s, down_bytes_per_s, up_bytes_per_s, all above 0, "
                       "on_from_s, on_for_s, and a period_s that is no shorter",
                       path, number);
}

static at_err read_trace(at_fleet *f) {
  const char *path = f->spec.trace;
  FILE *in = fopen(path, "r");
  if (in == NULL) {
    return AT_FAIL(AT_ERR_FILE, "%s cannot be read: %s", path, strerror(errno));
  }
  char text[LINE];
  at_err err = AT_OK;
  for (int number = 1; err == AT_OK && fgets(text, sizeof text, in) != NULL; number++) {
    text[strcspn(text, "#\r\n")] = '\0';
    if (text[strspn(text, " \t")] == '\0') {
      continue;
    }
    err = at_realloc(&f->line, (size_t)f->n_lines + 1, sizeof *f->line, "trace of devices");
    err = err == AT_OK ? parse(path, number, text, &f->line[f->n_lines++]) : err;
  }
  fclose(in);
  AT_TRY(err);
  return f->n_lines > 0 ? AT_OK : AT_FAIL(AT_ERR_FORMAT, "%s has no device: it needs a line for each", path);
}

at_err at_fleet_create(at_fleet **out, const at_fleet_spec *spec) {
  *out = NULL;
  at_fleet *f;
  AT_TRY(at_alloc(&f, 1, sizeof *f, "fleet"));
  f->spec = *spec;
  at_err err = AT_OK;
  if (spec->trace != NULL && spec->trace[0] != '\0') {
    err = read_trace(f);
  } else {
    f->kind = at_device_find(spec->device);
    if (f->kind == NULL) {
      err = AT_FAIL(AT_ERR_CONFIG, "no device is called %s: `atoll list` names them", spec->device);
    }
  }
  if (err != AT_OK) {
    at_fleet_destroy(f);
    return err;
  }
  *out = f;
  return AT_OK;
}

void at_fleet_destroy(at_fleet *f) {
  if (f != NULL) {
    at_free(f->line);
    at_free(f);
  }
}

static device device_of(const at_fleet *f, int64_t client) {
  const at_fleet_spec *s = &f->spec;
  at_stream draw = {.seed = s->seed, .purpose = AT_RNG_DEVICE, .client = (uint64_t)client};
  if (f->line != NULL) {
    return f->line[at_rng_below(&draw, 0, (uint64_t)f->n_lines)];
  }
  double link = exp(s->spread * at_rng_normal(&draw, 1));
  return (device){.flops_per_s = f->kind->flops_per_s * f->kind->efficiency / exp(s->spread * at_rng_normal(&draw, 0)),
                  .down_bytes_per_s = s->down_bytes_per_s * link,
                  .up_bytes_per_s = s->up_bytes_per_s * link,
                  .on_from_s = DAY_S * at_rng_uniform(&draw, 8),
                  .on_for_s = DAY_S * s->on_share,
                  .period_s = DAY_S};
}

static bool is_on(const device *d, double now_s) {
  double at = fmod(now_s + d->period_s - fmod(d->on_from_s, d->period_s), d->period_s);
  return at < d->on_for_s;
}

double at_fleet_answer_s(const at_fleet *f, int64_t client, int64_t ask, double now_s, const at_errand *e) {
  at_stream drop = {.seed = f->spec.seed, .purpose = AT_RNG_FAULT, .client = (uint64_t)client, .round = (uint64_t)ask};
  if (f->spec.dropout > 0 && at_rng_uniform(&drop, 0) < f->spec.dropout) {
    return INFINITY;
  }
  device d = device_of(f, client);
  if (!is_on(&d, now_s)) {
    return INFINITY;
  }
  return e->flops / d.flops_per_s + e->down_bytes / d.down_bytes_per_s + e->up_bytes / d.up_bytes_per_s;
}

typedef struct answer {
  double s;
  int64_t at;
} answer;

static int earliest_first(const void *a, const void *b) {
  const answer *x = a, *y = b;
  int order = (x->s > y->s) - (x->s < y->s);
  return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

at_err at_fleet_close(int64_t n, const double *answer_s, int64_t wanted, double deadline_s, bool *counts, int64_t *have,
                      double *took) {
  answer *order;
  AT_TRY(at_alloc(&order, (size_t)n, sizeof *order, "answers"));
  for (int64_t i = 0; i < n; i++) {
    order[i] = (answer){answer_s[i], i};
    counts[i] = false;
  }
  qsort(order, (size_t)n, sizeof *order, earliest_first);
  double limit = deadline_s > 0 ? deadline_s : INFINITY, last = 0;
  for (*have = 0; *have < n && *have < wanted; ++*have) {
    const answer *next = &order[*have];
    if (!isfinite(next->s) || next->s > limit) {
      break;
    }
    counts[next->at] = true;
    last = next->s;
  }
  *took = *have < wanted && deadline_s > 0 ? deadline_s : last;
  at_free(order);
  return AT_OK;
}
