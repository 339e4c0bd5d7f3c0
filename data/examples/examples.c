/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading data sets of labelled examples: rows of inputs and targets. */
#include "data/examples/examples_internal.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"

at_err at_examples_open(at_examples **out, const char *path, const char *test) {
  at_examples *e = NULL;
  at_err err;
  *out = NULL;
  AT_TRY(at_alloc(&e, 1, sizeof *e, "examples"));
  AT_TRY_TO(err, fail, at_h5_open(&e->file[0], path));
  if (test != NULL && test[0] != 0) {
    AT_TRY_TO(err, fail, at_h5_open(&e->file[1], test));
  }
  AT_TRY_TO(err, fail, at_examples_index(e));
  AT_TRY_TO(err, fail, at_examples_load_targets(e));
  *out = e;
  return AT_OK;
fail:
  at_examples_close(e);
  return err;
}

void at_examples_close(at_examples *e) {
  if (e == NULL) {
    return;
  }
  at_h5_close(e->file[0]);
  at_h5_close(e->file[1]);
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    at_free(e->split[s].first);
    at_free(e->split[s].label);
    at_free(e->split[s].value);
    at_free(e->split[s].held);
  }
  at_free(e->names);
  at_free(e->client);
  at_free(e);
}

const at_example_task *at_examples_task(const at_examples *e) {
  return &e->task;
}

const char *at_examples_path(const at_examples *e) {
  return at_h5_path(e->file[0]);
}

int64_t at_examples_clients(const at_examples *e) {
  return e->n_clients;
}

const char *at_examples_client(const at_examples *e, int64_t client) {
  return e->client[client];
}

static int by_client(const void *name, const void *client) {
  return strcmp(name, *(char *const *)client);
}

int64_t at_examples_find(const at_examples *e, const char *name) {
  char **at = bsearch(name, e->client, (size_t)e->n_clients, sizeof *e->client, by_client);
  return at != NULL ? at - e->client : -1;
}

int64_t at_examples_total(const at_examples *e, at_split split) {
  return e->split[split].first[e->n_clients];
}

int64_t at_examples_first(const at_examples *e, at_split split, int64_t client) {
  return e->split[split].first[client];
}

int64_t at_examples_rows(const at_examples *e, at_split split, int64_t client) {
  return e->split[split].first[client + 1] - e->split[split].first[client];
}

int64_t at_examples_owner(const at_examples *e, at_split split, int64_t row) {
  const int64_t *first = e->split[split].first;
  int64_t low = 0, high = e->n_clients;
  while (high - low > 1) { /* first[low] <= row < first[high] */
    const int64_t mid = low + (high - low) / 2;
    if (first[mid] <= row) {
      low = mid;
    } else {
      high = mid;
    }
  }
  return low;
}

const int32_t *at_examples_labels(const at_examples *e, at_split split) {
  return e->split[split].label;
}

const float *at_examples_targets(const at_examples *e, at_split split) {
  return e->split[split].value;
}

int64_t at_examples_bytes(const at_examples *e) {
  int64_t bytes = 0;
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    const int64_t total = at_examples_total(e, s);
    bytes += (e->n_clients + 1) * (int64_t)sizeof(int64_t) + total * (int64_t)sizeof(float);
    bytes += e->split[s].held != NULL ? total * e->task.inputs * at_h5_type_bytes(e->held_type) : 0;
  }
  return bytes;
}

/* u8 stays u8; everything else is held as f32. */
static at_h5_type memory_type(const at_examples *e) {
  return e->task.stored == AT_H5_U8 ? AT_H5_U8 : AT_H5_F32;
}

/* data <- rows [row, row + n) of one client. */
static at_err read_client(at_examples *e, at_split split, int64_t client, int64_t row, int64_t n, at_h5_type type,
                          void *data) {
  char path[AT_EXAMPLE_PATH];
  at_h5 *f;
  AT_TRY(at_examples_field(e, split, client, e->task.input, &f, path));
  return at_h5_read_rows(f, path, type, row, n, data);
}

at_err at_examples_hold(at_examples *e, int64_t most) {
  const at_h5_type type = memory_type(e);
  const int64_t width = e->task.inputs * at_h5_type_bytes(type);
  int64_t need = 0;
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    need += at_examples_total(e, s) * width;
  }
  if (most > 0 && need > most) {
    return AT_FAIL(AT_ERR_CONFIG, "%s: its inputs take %lld bytes of memory, more than the %lld allowed",
                   at_examples_path(e), (long long)need, (long long)most);
  }
  e->held_type = type;
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    char *data = NULL;
    if (e->split[s].held != NULL) {
      continue;
    }
    AT_TRY(at_alloc(&data, (size_t)at_examples_total(e, s), (size_t)width, "examples"));
    for (int64_t c = 0; c < e->n_clients; c++) {
      const int64_t n = at_examples_rows(e, s, c);
      at_err err = n > 0 ? read_client(e, s, c, 0, n, type, data + e->split[s].first[c] * width) : AT_OK;
      if (err != AT_OK) {
        at_free(data);
        return at_err_trace(err, __FILE__, __LINE__);
      }
    }
    e->split[s].held = data;
  }
  return AT_OK;
}

static void spread(const uint8_t *from, float *to, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    to[i] = (float)from[i] / 255.0F;
  }
}

/* Rows of one client from the file. */
static at_err read_file(at_examples *e, at_split split, int64_t client, int64_t row, int64_t n, float *x) {
  const int64_t count = n * e->task.inputs;
  AT_TRY(read_client(e, split, client, row, n, AT_H5_F32, x));
  for (int64_t i = 0; e->task.stored == AT_H5_U8 && i < count; i++) {
    x[i] /= 255.0F;
  }
  return AT_OK;
}

/* x <- rows [row0, row0 + n). */
static at_err read_inputs(at_examples *e, at_split split, int64_t row0, int64_t n, float *x) {
  const at_example_split *s = &e->split[split];
  const int64_t inputs = e->task.inputs;
  if (s->held != NULL && e->held_type == AT_H5_U8) {
    spread((const uint8_t *)s->held + row0 * inputs, x, n * inputs);
    return AT_OK;
  }
  if (s->held != NULL) {
    memcpy(x, (const float *)s->held + row0 * inputs, (size_t)(n * inputs) * sizeof *x);
    return AT_OK;
  }
  for (int64_t done = 0; done < n;) {
    const int64_t client = at_examples_owner(e, split, row0 + done);
    int64_t take = s->first[client + 1] - row0 - done;
    take = take < n - done ? take : n - done;
    AT_TRY(read_file(e, split, client, row0 + done - s->first[client], take, x + done * inputs));
    done += take;
  }
  return AT_OK;
}

static at_err check_rows(const at_examples *e, at_split split, int64_t row0, int64_t n) {
  const int64_t total = at_examples_total(e, split);
  return row0 >= 0 && n >= 0 && row0 <= total - n
             ? AT_OK
             : AT_FAIL(AT_ERR_ARG, "%s: rows %lld to %lld of /%s, which has %lld", at_examples_path(e), (long long)row0,
                       (long long)(row0 + n), at_split_group(split), (long long)total);
}

static void copy_targets(const at_example_split *s, int64_t row0, int64_t n, int32_t *label, float *target) {
  if (label != NULL && s->label != NULL) {
    memcpy(label, s->label + row0, (size_t)n * sizeof *label);
  }
  if (target != NULL && s->value != NULL) {
    memcpy(target, s->value + row0, (size_t)n * sizeof *target);
  }
}

at_err at_examples_read(at_examples *e, at_split split, int64_t row0, int64_t n, float *x, int32_t *label,
                        float *target) {
  AT_TRY(check_rows(e, split, row0, n));
  copy_targets(&e->split[split], row0, n, label, target);
  return x != NULL ? read_inputs(e, split, row0, n, x) : AT_OK;
}

at_err at_examples_gather(at_examples *e, at_split split, int64_t n, const int64_t *row, float *x, int32_t *label,
                          float *target) {
  for (int64_t i = 0; i < n;) {
    int64_t run = 1;
    while (i + run < n && row[i + run] == row[i] + run) {
      run++;
    }
    AT_TRY(at_examples_read(e, split, row[i], run, x != NULL ? x + i * e->task.inputs : NULL,
                            label != NULL ? label + i : NULL, target != NULL ? target + i : NULL));
    i += run;
  }
  return AT_OK;
}
