/* SPDX-License-Identifier: BSD-3-Clause */
/* The manifest of a folder of packages as datasets. */
#include "data/examples/manifest.h"

#include <string.h>

#include "data/text/bytes.h"
#include "data/text/inflate.h"
#include "src/base/alloc.h"
#include "src/store/fs.h"

enum { COLUMNS = 4 };

static const char *const column_name[COLUMNS] = {"package", "version", "sha256", "licence"};
static const char *const column_help[COLUMNS] = {"Debian package that data was taken from.", "Its version.",
                                                 "SHA-256 of its .deb.", "Licences it names."};

/* Cut text into cells in place: cell[column * rows + row]. */
static at_err cut(const char *path, char *text, int64_t rows, const char **cell) {
  for (int64_t r = -1; r < rows; r++) { /* row -1 is the heading */
    for (int c = 0; c < COLUMNS; c++) {
      const size_t n = strcspn(text, "\t\n");
      if ((text[n] == '\n') != (c == COLUMNS - 1)) {
        return AT_FAIL(AT_ERR_FORMAT, "%s: line %lld has not %d columns", path, (long long)(r + 2), COLUMNS);
      }
      text[n] = 0;
      if (r >= 0) {
        cell[c * rows + r] = text;
      }
      text += n + 1;
    }
  }
  return AT_OK;
}

static at_err store(const char *path, at_bytes *text, at_h5 *f) {
  const char **cell = NULL;
  int64_t lines = 0;
  for (size_t i = 0; i < text->len; i++) {
    lines += text->data[i] == '\n';
  }
  if (lines < 2) {
    return AT_OK;
  }
  const int64_t rows = lines - 1;
  AT_TRY(at_alloc(&cell, (size_t)(rows * COLUMNS), sizeof *cell, "manifest"));
  at_err err = cut(path, text->data, rows, cell);
  for (int c = 0; err == AT_OK && c < COLUMNS; c++) {
    char name[64];
    snprintf(name, sizeof name, "/origin/%s", column_name[c]);
    err = at_h5_write_text(f, name, rows, cell + c * rows, "1", column_help[c]);
  }
  at_free(cell);
  return err;
}

at_err at_manifest_store(const char *dir, at_h5 *f) {
  char *path = NULL;
  at_bytes text = {0};
  AT_TRY(at_fs_path(&path, "%s/manifest.tsv", dir));
  at_err err = at_text_load(path, &text);
  err = err == AT_OK ? store(path, &text, f) : err == AT_ERR_FILE ? AT_OK : err;
  at_bytes_free(&text);
  at_free(path);
  return err;
}
