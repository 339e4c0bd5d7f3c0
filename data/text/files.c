/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of a silo: patterns and folders walked in byte order, symbolic links left aside. */
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/text/reader.h"
#include "data/text/silos.h"
#include "src/base/alloc.h"

enum { DEPTH_MAX = 32 };

static at_err put_file(at_silo_files *files, const char *path, const char *name, int64_t bytes) {
  at_bytes_put(&files->text, &bytes, sizeof bytes);
  at_bytes_put(&files->text, path, strlen(path) + 1);
  at_bytes_put(&files->text, name, strlen(name) + 1);
  return files->text.err;
}

at_err at_silo_files_index(at_silo_files *files) {
  files->count = files->bytes = 0;
  for (size_t at = 0; at < files->text.len;) {
    if (files->count == files->cap) {
      int64_t cap = files->cap > 0 ? 2 * files->cap : 256;
      AT_TRY(at_realloc(&files->item, (size_t)cap, sizeof *files->item, "file list"));
      files->cap = cap;
    }
    at_silo_file *f = &files->item[files->count++];
    memcpy(&f->bytes, files->text.data + at, sizeof f->bytes);
    f->path = files->text.data + at + sizeof f->bytes;
    f->name = f->path + strlen(f->path) + 1;
    at = (size_t)(f->name - files->text.data) + strlen(f->name) + 1;
    files->bytes += f->bytes;
  }
  return AT_OK;
}

void at_silo_files_free(at_silo_files *files) {
  at_free(files->item);
  at_bytes_free(&files->text);
  *files = (at_silo_files){0};
}

static int compare_paths(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Name of a file's documents: relative to the folder it was found in, "open.2" for open.2.gz. */
static at_err take_file(at_silo_files *files, const char *path, size_t root, int64_t bytes,
                        const at_text_reader *reader) {
  if (reader != NULL && strcmp(reader->name, "plain") != 0 && !reader->accepts(path)) {
    return AT_OK;
  }
  at_bytes name = {0};
  at_bytes_str(&name, path + root);
  if (name.err == AT_OK && at_text_has_suffix(name.data, ".gz")) {
    name.data[name.len - 3] = 0;
  }
  at_err err = name.err != AT_OK ? name.err : put_file(files, path, name.data, bytes);
  at_bytes_free(&name);
  return err;
}

/* Paths of what lies in a folder, hidden names left out, ascending; *text holds them, *path points into it. */
static at_err list_folder(const char *folder, at_bytes *text, char ***path, size_t *count) {
  DIR *d = opendir(folder);
  if (d == NULL) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot be listed: %s", folder, strerror(errno));
  }
  *count = 0;
  for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
    if (e->d_name[0] != '.') {
      at_bytes_str(text, folder);
      at_bytes_char(text, '/');
      at_bytes_put(text, e->d_name, strlen(e->d_name) + 1);
      ++*count;
    }
  }
  closedir(d);
  AT_TRY(text->err);
  AT_TRY(at_alloc(path, *count, sizeof **path, "folder list"));
  char *at = text->data;
  for (size_t i = 0; i < *count; i++) {
    (*path)[i] = at;
    at += strlen(at) + 1;
  }
  qsort(*path, *count, sizeof **path, compare_paths);
  return AT_OK;
}

/* `root`: where the document's name begins in the path. */
static at_err walk(at_silo_files *files, const char *path, size_t root, const at_text_reader *reader, int depth) {
  struct stat st;
  if ((depth == 0 ? stat(path, &st) : lstat(path, &st)) != 0 || depth > DEPTH_MAX) {
    return AT_OK; /* gone meanwhile */
  }
  if (S_ISREG(st.st_mode)) {
    return take_file(files, path, root, (int64_t)st.st_size, reader);
  }
  if (!S_ISDIR(st.st_mode)) {
    return AT_OK;
  }
  at_bytes text = {0};
  char **below = NULL;
  size_t n = 0;
  at_err err = list_folder(path, &text, &below, &n);
  for (size_t i = 0; i < n && err == AT_OK; i++) {
    err = walk(files, below[i], root, reader, depth + 1);
  }
  at_free(below);
  at_bytes_free(&text);
  return err;
}

/* Where names of what lies at `path` begin: behind the path of a folder, at the last part of a file's. */
static size_t name_root(const char *path) {
  struct stat st;
  size_t n = strlen(path);
  if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
    return n + (n > 0 && path[n - 1] != '/');
  }
  const char *slash = strrchr(path, '/');
  return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

/* DIR/PACKAGE/PATTERN, where only the pattern's wildcards count as such. */
static at_err full_pattern(at_bytes *out, const char *root, const char *package, const char *pattern) {
  const char *fixed[] = {root, package};
  for (size_t i = 0; i < 2; i++) {
    for (const char *s = fixed[i]; *s != 0; s++) {
      if (strchr("*?[\\", *s) != NULL) {
        at_bytes_char(out, '\\');
      }
      at_bytes_char(out, *s);
    }
    at_bytes_char(out, '/');
  }
  at_bytes_str(out, pattern);
  return out->err;
}

/* Where the name of a matched file begins: at the part of the path that the first wildcard stood for. */
static size_t wildcard_root(const char *path, size_t fixed, const char *pattern) {
  size_t star = strcspn(pattern, "*"), at = fixed + star;
  if (pattern[star] == 0 || name_root(path) == strlen(path) + 1) {
    return name_root(path); /* no wildcard, or a folder */
  }
  while (at > 0 && path[at - 1] != '/') {
    at--;
  }
  return at;
}

static at_err find_glob(at_silo_files *files, const char *root, const char *package, const at_silo_row *row) {
  at_bytes pattern = {0};
  const at_text_reader *reader = at_text_reader_find(row->reader);
  glob_t found;
  AT_TRY(full_pattern(&pattern, root, package, row->glob));
  int status = glob(pattern.data, GLOB_NOSORT, NULL, &found);
  at_bytes_free(&pattern);
  if (status != 0) {
    return status == GLOB_NOMATCH ? AT_OK : AT_FAIL(AT_ERR_FILE, "%s/%s: cannot be searched", root, package);
  }
  qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, compare_paths); /* glob() would follow the locale */
  size_t fixed = strlen(root) + strlen(package) + 2;
  at_err err = AT_OK;
  for (size_t i = 0; i < found.gl_pathc && err == AT_OK; i++) {
    const char *path = found.gl_pathv[i];
    err = walk(files, path, wildcard_root(path, fixed, row->glob), reader, 0);
  }
  globfree(&found);
  return err;
}

static at_err find_own(at_silo_files *files, const at_silo *silo) {
  for (int64_t i = 0; i < silo->n_paths; i++) {
    const char *path = silo->paths[i];
    if (i == 0) {
      path += strlen(silo->name) + 1;
    }
    struct stat st;
    if (stat(path, &st) != 0) {
      return AT_FAIL(AT_ERR_FILE, "silo '%s': %s: %s", silo->name, path, strerror(errno));
    }
    AT_TRY(walk(files, path, name_root(path), NULL, 0));
  }
  return AT_OK;
}

at_err at_silo_files_find(at_silo_files *out, const at_silo *silo, const char *dir, const char *root) {
  const at_silo_row *row = silo->row;
  if (row == NULL) {
    AT_TRY(find_own(out, silo));
  } else if (dir[0] == 0) {
    AT_TRY(find_glob(out, root, ".", row));
  } else {
    for (int i = 0; i < AT_SILO_PACKAGES_MAX && row->packages[i] != NULL; i++) {
      AT_TRY(find_glob(out, dir, row->packages[i], row));
    }
  }
  return at_silo_files_index(out);
}
