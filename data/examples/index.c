/* SPDX-License-Identifier: BSD-3-Clause */
/* What is in a file of examples: clients, fields, numbers of rows, targets. */
#include <stdlib.h>
#include <string.h>

#include "data/examples/examples_internal.h"
#include "src/base/alloc.h"

/* The file and group of a split; *f is NULL where there is none. */
static const char *place(at_examples *e, at_split split, at_h5 **f) {
  const bool second = split == AT_SPLIT_TEST && e->file[1] != NULL;
  const char *group = second ? "examples" : at_split_group(split);
  char path[32];
  snprintf(path, sizeof path, "/%s", group);
  *f = e->file[second];
  if (!at_h5_exists(*f, path)) {
    *f = NULL;
  }
  return group;
}

at_err at_examples_field(at_examples *e, at_split split, int64_t client, const char *field, at_h5 **f,
                         char path[AT_EXAMPLE_PATH]) {
  const char *group = place(e, split, f);
  if (*f == NULL) {
    return AT_OK;
  }
  int n = snprintf(path, AT_EXAMPLE_PATH, "/%s/%s%s%s", group, e->client[client], field[0] != 0 ? "/" : "", field);
  return n < AT_EXAMPLE_PATH ? AT_OK : AT_FAIL(AT_ERR_FORMAT, "%s: the name of a client is too long", at_h5_path(*f));
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All names of all splits, sorted, each once. */
static at_err join(at_examples *e, char **list[AT_SPLIT_COUNT], const int64_t n[AT_SPLIT_COUNT]) {
  int64_t count = 0, bytes = 0;
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    count += n[s];
    for (int64_t i = 0; i < n[s]; i++) {
      bytes += (int64_t)strlen(list[s][i]) + 1;
    }
  }
  AT_TRY(at_alloc(&e->client, (size_t)count, sizeof *e->client, "client names"));
  AT_TRY(at_alloc(&e->names, (size_t)bytes, 1, "client names"));
  char *to = e->names;
  int64_t k = 0;
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    for (int64_t i = 0; i < n[s]; i++) {
      e->client[k++] = to;
      to = stpcpy(to, list[s][i]) + 1;
    }
  }
  qsort(e->client, (size_t)count, sizeof *e->client, by_bytes);
  for (int64_t i = 0; i < count; i++) {
    if (i == 0 || strcmp(e->client[i], e->client[e->n_clients - 1]) != 0) {
      e->client[e->n_clients++] = e->client[i];
    }
  }
  return AT_OK;
}

static at_err find_clients(at_examples *e) {
  char **list[AT_SPLIT_COUNT] = {NULL};
  int64_t n[AT_SPLIT_COUNT] = {0};
  at_err err = AT_OK;
  if (!at_h5_exists(e->file[0], "/examples")) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: is no federated data set: it has no group /examples; 'atoll data' builds one",
                   at_examples_path(e));
  }
  for (int s = 0; err == AT_OK && s < AT_SPLIT_COUNT; s++) {
    at_h5 *f;
    char path[32];
    snprintf(path, sizeof path, "/%s", place(e, s, &f));
    err = f != NULL ? at_h5_list(f, path, &n[s], &list[s]) : AT_OK;
  }
  if (err == AT_OK && n[AT_SPLIT_TRAIN] == 0) {
    err = AT_FAIL(AT_ERR_FORMAT, "%s: its group /examples is empty: there is no client", at_examples_path(e));
  }
  if (err == AT_OK) {
    err = join(e, list, n);
  }
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    at_free(list[s]);
  }
  return err;
}

/* The name of a field: what the attribute of / says, else the first of `usual` that a client has. */
static at_err find_field(at_examples *e, const char *attr, const char *const *usual, char out[AT_FIELD_NAME]) {
  char *said = NULL;
  at_err err = at_h5_get_attr_text(e->file[0], "/", attr, &said);
  out[0] = 0;
  if (err == AT_OK) {
    snprintf(out, AT_FIELD_NAME, "%s", said);
    at_free(said);
    return AT_OK;
  }
  if (err != AT_ERR_FORMAT) {
    return err;
  }
  for (int64_t c = 0; out[0] == 0 && c < e->n_clients; c++) {
    for (int i = 0; out[0] == 0 && usual[i] != NULL; i++) {
      at_h5 *f;
      char path[AT_EXAMPLE_PATH];
      AT_TRY(at_examples_field(e, AT_SPLIT_TRAIN, c, usual[i], &f, path));
      if (f != NULL && at_h5_exists(f, path)) {
        snprintf(out, AT_FIELD_NAME, "%s", usual[i]);
      }
    }
  }
  return out[0] != 0 ? AT_OK
                     : AT_FAIL(AT_ERR_FORMAT, "%s: client %s has no field for the %s, such as %s", at_examples_path(e),
                               e->client[0], attr, usual[0]);
}

/* The shape of the first client's inputs is that of all. */
static at_err check_shape(at_examples *e, const char *client, const at_h5_desc *d, bool *first) {
  at_example_task *t = &e->task;
  bool same = d->ndims >= 1 && d->ndims - 1 <= AT_EXAMPLE_DIMS && d->type != AT_H5_TEXT && d->type != AT_H5_OTHER;
  if (!same) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: %s of client %s is not rows of numbers in 1 to %d dimensions",
                   at_examples_path(e), t->input, client, AT_EXAMPLE_DIMS);
  }
  if (*first) {
    *first = false;
    t->ndims = d->ndims - 1;
    t->inputs = 1;
    t->stored = d->type;
    for (int i = 0; i < t->ndims; i++) {
      t->dims[i] = d->dims[i + 1];
      t->inputs *= t->dims[i];
    }
  }
  same = t->ndims == d->ndims - 1 && t->stored == d->type;
  for (int i = 0; same && i < t->ndims; i++) {
    same = t->dims[i] == d->dims[i + 1];
  }
  return same ? AT_OK
              : AT_FAIL(AT_ERR_FORMAT, "%s: %s of client %s has another shape or type than that of the first client",
                        at_examples_path(e), t->input, client);
}

static at_err count_rows(at_examples *e, at_split split, int64_t client, int64_t *rows, bool *first) {
  char path[AT_EXAMPLE_PATH];
  at_h5 *f;
  at_h5_desc x, y;
  *rows = 0;
  AT_TRY(at_examples_field(e, split, client, e->task.input, &f, path));
  if (f == NULL || !at_h5_exists(f, path)) {
    return AT_OK;
  }
  AT_TRY(at_h5_describe(f, path, &x));
  AT_TRY(check_shape(e, e->client[client], &x, first));
  AT_TRY(at_examples_field(e, split, client, e->task.target, &f, path));
  AT_TRY(at_h5_describe(f, path, &y));
  if (y.ndims != 1 || y.dims[0] != x.dims[0]) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: client %s has %lld examples but %lld targets", at_h5_path(f), e->client[client],
                   (long long)x.dims[0], (long long)(y.ndims == 1 ? y.dims[0] : 0));
  }
  *rows = x.dims[0];
  return AT_OK;
}

at_err at_examples_index(at_examples *e) {
  static const char *const inputs[] = {"pixels", "image", "x", "features", "spectrogram", NULL};
  static const char *const targets[] = {"label", "labels", "y", NULL};
  bool first = true;
  AT_TRY(find_clients(e));
  AT_TRY(find_field(e, "input", inputs, e->task.input));
  AT_TRY(find_field(e, "target", targets, e->task.target));
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    at_example_split *split = &e->split[s];
    AT_TRY(at_alloc(&split->first, (size_t)e->n_clients + 1, sizeof *split->first, "client rows"));
    for (int64_t c = 0; c < e->n_clients; c++) {
      int64_t rows;
      AT_TRY(count_rows(e, s, c, &rows, &first));
      split->first[c + 1] = split->first[c] + rows;
    }
  }
  return e->split[AT_SPLIT_TRAIN].first[e->n_clients] > 0
             ? AT_OK
             : AT_FAIL(AT_ERR_FORMAT, "%s: no client has a training example", at_examples_path(e));
}

/* Targets of one split: labels if the first are integers. */
static at_err load_split(at_examples *e, at_split split, bool is_regression) {
  at_example_split *s = &e->split[split];
  const size_t total = (size_t)s->first[e->n_clients];
  if (is_regression) {
    AT_TRY(at_alloc(&s->value, total, sizeof *s->value, "targets"));
  } else {
    AT_TRY(at_alloc(&s->label, total, sizeof *s->label, "labels"));
  }
  for (int64_t c = 0; c < e->n_clients; c++) {
    const int64_t at = s->first[c], n = s->first[c + 1] - at;
    char path[AT_EXAMPLE_PATH];
    at_h5 *f;
    if (n == 0) {
      continue;
    }
    AT_TRY(at_examples_field(e, split, c, e->task.target, &f, path));
    AT_TRY(is_regression ? at_h5_read_rows(f, path, AT_H5_F32, 0, n, s->value + at)
                         : at_h5_read_rows(f, path, AT_H5_I32, 0, n, s->label + at));
  }
  return AT_OK;
}

/* Labels are 0 .. classes - 1; where the file does not say how many, the largest decides. */
static at_err check_labels(at_examples *e) {
  int64_t most = -1;
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    const at_example_split *split = &e->split[s];
    for (int64_t i = 0; i < split->first[e->n_clients]; i++) {
      const int32_t label = split->label[i];
      if (label < 0 || (e->task.classes > 0 && label >= e->task.classes)) {
        const int64_t c = at_examples_owner(e, s, i);
        return AT_FAIL(AT_ERR_FORMAT, "%s: label of example %lld of client %s in /%s is %d, which is not in 0 .. %lld",
                       at_examples_path(e), (long long)(i - split->first[c]), e->client[c], at_split_group(s), label,
                       (long long)(e->task.classes > 0 ? e->task.classes - 1 : INT32_MAX));
      }
      most = label > most ? label : most;
    }
  }
  e->task.classes = e->task.classes > 0 ? e->task.classes : most + 1;
  return AT_OK;
}

/* Whether the targets are numbers: what `classes` says, else their type. */
static at_err find_kind(at_examples *e, bool *is_regression) {
  at_err err = at_h5_get_attr_i64(e->file[0], "/", "classes", &e->task.classes);
  if (err != AT_ERR_FORMAT) {
    AT_TRY(err);
    *is_regression = e->task.classes == 0;
    return e->task.classes >= 0 ? AT_OK
                                : AT_FAIL(AT_ERR_FORMAT, "%s: its attribute classes is negative", at_examples_path(e));
  }
  int64_t c = 0;
  while (e->split[AT_SPLIT_TRAIN].first[c + 1] == 0) {
    c++;
  }
  char path[AT_EXAMPLE_PATH];
  at_h5 *f;
  bool is_integer;
  AT_TRY(at_examples_field(e, AT_SPLIT_TRAIN, c, e->task.target, &f, path));
  AT_TRY(at_h5_is_integer(f, path, &is_integer));
  *is_regression = !is_integer;
  e->task.classes = 0;
  return AT_OK;
}

at_err at_examples_load_targets(at_examples *e) {
  bool is_regression;
  AT_TRY(find_kind(e, &is_regression));
  for (int s = 0; s < AT_SPLIT_COUNT; s++) {
    AT_TRY(load_split(e, s, is_regression));
  }
  return is_regression ? AT_OK : check_labels(e);
}
