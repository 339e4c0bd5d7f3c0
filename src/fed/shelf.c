/* SPDX-License-Identifier: BSD-3-Clause */
/* What stateful clients keep between their rounds: putting, getting, taking back, saving, restoring. */
#include "src/fed/shelf.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "src/base/alloc.h"
#include "src/fed/shelf_internal.h"

enum { FILES = 64 }; /* of a shard, beside those that its clients fill */

static at_err make_shards(at_shelf *s) {
  const at_shelf_spec *c = &s->spec;
  int64_t row_bytes = c->width * (int64_t)sizeof(float);
  s->cap = c->memory / c->shards / row_bytes;
  s->cap = s->cap > 0 ? s->cap : 1;
  s->n_shards = c->shards > c->rank ? (c->shards - c->rank + c->ranks - 1) / c->ranks : 0;
  AT_TRY(at_alloc(&s->shard, (size_t)s->n_shards, sizeof *s->shard, "shards of clients' states"));
  for (int64_t i = 0; i < s->n_shards; i++) {
    at_shelf_shard *d = &s->shard[i];
    d->number = c->rank + i * c->ranks;
    AT_TRY(at_alloc(&d->ids, (size_t)s->cap, sizeof *d->ids, "clients' states in memory"));
    AT_TRY(at_alloc(&d->buffer, (size_t)(s->cap * c->width), sizeof *d->buffer, "clients' states in memory"));
  }
  return AT_OK;
}

at_err at_shelf_create(at_shelf **out, const at_shelf_spec *spec) {
  *out = NULL;
  at_shelf *s;
  at_err err;
  AT_TRY(at_alloc(&s, 1, sizeof *s, "clients' states"));
  s->spec = *spec;
  AT_TRY_TO(err, fail, at_strdup(&s->folder, spec->folder));
  AT_TRY_TO(err, fail, make_shards(s));
  if (mkdir(s->folder, 0777) != 0 && errno != EEXIST) {
    err = AT_FAIL(AT_ERR_FILE, "%s cannot be made: %s", s->folder, strerror(errno));
    goto fail;
  }
  *out = s;
  return AT_OK;
fail:
  at_shelf_destroy(s);
  return err;
}

void at_shelf_destroy(at_shelf *s) {
  if (s == NULL) {
    return;
  }
  for (int64_t i = 0; i < s->n_shards; i++) {
    at_shelf_shard *d = &s->shard[i];
    at_h5_close(d->open);
    at_free(d->rows);
    at_free(d->ids);
    at_free(d->buffer);
    at_free(d->index);
  }
  at_free(s->shard);
  at_free(s->undo);
  at_free(s->folder);
  at_free(s);
}

bool at_shelf_is_home(const at_shelf *s, int64_t client) {
  return client % s->spec.shards % s->spec.ranks == s->spec.rank;
}

size_t at_shelf_bytes(const at_shelf *s) {
  size_t bytes = (size_t)s->undo_cap * sizeof *s->undo;
  for (int64_t i = 0; i < s->n_shards; i++) {
    bytes += (size_t)s->cap * ((size_t)s->spec.width * sizeof(float) + sizeof(int64_t));
    bytes += (size_t)s->shard[i].slots * sizeof(at_shelf_place);
  }
  return bytes;
}

int64_t at_shelf_clients(const at_shelf *s) {
  int64_t n = 0;
  for (int64_t i = 0; i < s->n_shards; i++) {
    n += s->shard[i].clients;
  }
  return n;
}

int64_t at_shelf_disk_bytes(const at_shelf *s) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < s->n_shards; i++) {
    for (int64_t file = s->shard[i].first; file < s->shard[i].end; file++) {
      bytes += at_shelf_file_bytes(s, &s->shard[i], file);
    }
  }
  return bytes;
}

static int64_t shard_of(const at_shelf *s, int64_t client) {
  return client % s->spec.shards / s->spec.ranks;
}

at_err at_shelf_get(at_shelf *s, int64_t client, float *row, bool *found) {
  at_shelf_shard *d = &s->shard[shard_of(s, client)];
  const at_shelf_place *p = at_shelf_find(d, client);
  *found = p != NULL;
  return p != NULL ? at_shelf_read(s, d, p, row) : AT_OK;
}

/* Append a row and point to it. */
static at_err append(at_shelf *s, at_shelf_shard *d, int64_t client, const float *row, at_shelf_place *before) {
  size_t bytes = (size_t)s->spec.width * sizeof *row;
  if (d->buffered == s->cap) {
    AT_TRY(at_shelf_write(s, d));
  }
  at_shelf_place to = {.client = client,
                       .file = d->end,
                       .row = (int32_t)d->buffered,
                       .crc = (uint32_t)crc32_z(0, (const unsigned char *)row, bytes)};
  AT_TRY(at_shelf_move(d, &to, before));
  d->ids[d->buffered] = client;
  memcpy(d->buffer + d->buffered * s->spec.width, row, bytes);
  d->buffered++;
  return AT_OK;
}

at_err at_shelf_put(at_shelf *s, int64_t client, const float *row) {
  int64_t shard = shard_of(s, client);
  if (s->n_undo == s->undo_cap) {
    int64_t cap = s->undo_cap > 0 ? 2 * s->undo_cap : 64;
    AT_TRY(at_realloc(&s->undo, (size_t)cap, sizeof *s->undo, "clients' states of a round"));
    s->undo_cap = cap;
  }
  at_shelf_place before;
  AT_TRY(append(s, &s->shard[shard], client, row, &before));
  s->undo[s->n_undo++] = (at_shelf_undo){shard, before};
  return AT_OK;
}

void at_shelf_commit(at_shelf *s) {
  s->n_undo = 0;
}

/* A row that says that its client has none: the files are read in order, and this one must outdo the row that is taken back. */
static at_err append_none(at_shelf *s, at_shelf_shard *d, int64_t client) {
  if (d->buffered == s->cap) {
    AT_TRY(at_shelf_write(s, d));
  }
  d->ids[d->buffered] = -1 - client;
  memset(d->buffer + d->buffered * s->spec.width, 0, (size_t)s->spec.width * sizeof *d->buffer);
  d->buffered++;
  at_shelf_unset(d, client);
  return AT_OK;
}

static at_err take_back(at_shelf *s, at_shelf_shard *d, const at_shelf_place *before, float *row) {
  at_shelf_place now;
  if (before->file < 0) {
    return append_none(s, d, before->client);
  }
  AT_TRY(at_shelf_read(s, d, before, row));
  return append(s, d, before->client, row, &now);
}

at_err at_shelf_rollback(at_shelf *s) {
  float *row;
  at_err err = at_alloc(&row, (size_t)s->spec.width, sizeof *row, "state of a client");
  while (err == AT_OK && s->n_undo > 0) {
    const at_shelf_undo *u = &s->undo[--s->n_undo];
    err = take_back(s, &s->shard[u->shard], &u->before, row);
  }
  at_free(row);
  return err;
}

/* ---- cleaning ---- */

/* What still counts in the oldest file goes to the end of the log. */
static at_err clean_oldest(at_shelf *s, at_shelf_shard *d) {
  int64_t n, *ids;
  uint32_t *crcs;
  float *row = NULL;
  int64_t file = d->first;
  at_shelf_place before;
  at_err err = at_shelf_read_ids(s, d, file, &n, &ids, &crcs);
  if (err == AT_OK) {
    err = at_alloc(&row, (size_t)s->spec.width, sizeof *row, "state of a client");
  }
  for (int64_t i = 0; err == AT_OK && i < n; i++) {
    const at_shelf_place *p = at_shelf_find(d, ids[i]);
    if (p != NULL && p->file == file && p->row == i) {
      at_shelf_place from = *p;
      err = at_shelf_read(s, d, &from, row);
      err = err == AT_OK ? append(s, d, ids[i], row, &before) : err;
    }
  }
  if (err == AT_OK) {
    d->written -= d->rows[0];
    d->first++;
    memmove(d->rows, d->rows + 1, (size_t)(d->end - d->first) * sizeof *d->rows);
  }
  at_free(ids);
  at_free(crcs);
  at_free(row);
  return err;
}

static at_err tidy(at_shelf *s, at_shelf_shard *d) {
  int64_t stop = d->end; /* what is cleaned now is not cleaned again */
  while (d->first < stop &&
         (d->written > 2 * d->clients + s->cap || d->end - d->first > FILES + 2 * d->clients / s->cap)) {
    AT_TRY(clean_oldest(s, d));
  }
  return at_shelf_write(s, d);
}

/* ---- checkpoints ---- */

at_err at_shelf_save(at_shelf *s, at_comm *world, at_shelf_mark *mark) {
  at_err err = AT_OK;
  memset(mark, 0, (size_t)s->spec.shards * sizeof *mark);
  for (int64_t i = 0; i < s->n_shards && err == AT_OK; i++) {
    at_shelf_shard *d = &s->shard[i];
    err = tidy(s, d);
    mark[d->number] = (at_shelf_mark){d->first, d->end, d->clients, (int64_t)d->digest};
  }
  AT_TRY(at_comm_agree(world, err));
  return at_comm_allreduce(world, AT_COMM_I64, AT_COMM_SUM, mark, s->spec.shards * AT_SHELF_MARK_WIDTH);
}

/* Files of a shard outside of first .. end - 1, and what killed writers left of it; others look like nothing of it. */
static void remove_outside(at_shelf *s, const at_shelf_shard *d, int64_t first, int64_t end) {
  DIR *dir = opendir(s->folder);
  for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
    long long shard, file;
    int length = 0;
    bool named = sscanf(e->d_name, "%lld-%lld.h5%n", &shard, &file, &length) == 2 && length > 0 && shard == d->number;
    if (named && strncmp(e->d_name + length, ".tmp-", 5) == 0) {
      (void)unlinkat(dirfd(dir), e->d_name, 0); /* one that stays does no harm */
    } else if (named && e->d_name[length] == '\0' && (file < first || file >= end)) {
      at_shelf_remove(s, d, file);
    }
  }
  if (dir != NULL) {
    closedir(dir);
  }
}

void at_shelf_forget(at_shelf *s, const at_shelf_mark *oldest) {
  for (int64_t i = 0; i < s->n_shards; i++) {
    at_shelf_shard *d = &s->shard[i];
    remove_outside(s, d, oldest[d->number].first, d->end);
  }
}

/* All rows of one file into the index. */
static at_err recall_file(at_shelf *s, at_shelf_shard *d, int64_t file) {
  int64_t n = 0, *ids;
  uint32_t *crcs;
  at_shelf_place before;
  at_err err = at_shelf_read_ids(s, d, file, &n, &ids, &crcs);
  for (int64_t i = 0; err == AT_OK && i < n; i++) {
    at_shelf_place p = {.client = ids[i], .file = file, .row = (int32_t)i, .crc = crcs[i]};
    if (ids[i] >= 0) {
      err = at_shelf_move(d, &p, &before);
    } else if (at_shelf_find(d, -1 - ids[i]) != NULL) {
      at_shelf_unset(d, -1 - ids[i]);
    }
  }
  if (err == AT_OK) {
    d->rows[file - d->first] = n;
    d->written += n;
  }
  at_free(ids);
  at_free(crcs);
  return err;
}

static at_err restore_shard(at_shelf *s, at_shelf_shard *d, const at_shelf_mark *m) {
  d->first = m->first;
  d->end = m->end;
  d->buffered = d->written = d->clients = 0;
  d->digest = 0;
  at_free(d->index);
  d->index = NULL;
  d->slots = 0;
  AT_TRY(at_realloc(&d->rows, (size_t)(d->end - d->first), sizeof *d->rows, "files of clients' states"));
  for (int64_t file = d->first; file < d->end; file++) {
    AT_TRY(recall_file(s, d, file));
  }
  if (d->clients != m->clients || (int64_t)d->digest != m->digest) {
    return AT_FAIL(AT_ERR_FORMAT,
                   "%s: the states of shard %lld are not those of the checkpoint: %lld clients, expected %lld",
                   s->folder, (long long)d->number, (long long)d->clients, (long long)m->clients);
  }
  remove_outside(s, d, 0, d->end);
  return AT_OK;
}

at_err at_shelf_restore(at_shelf *s, const at_shelf_mark *mark) {
  s->n_undo = 0;
  for (int64_t i = 0; i < s->n_shards; i++) {
    AT_TRY(restore_shard(s, &s->shard[i], &mark[s->shard[i].number]));
  }
  return AT_OK;
}
