/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of silos (languages and genres), the silos a user names, and the files that each consists of. */
#ifndef AT_DATA_TEXT_SILOS_H
#define AT_DATA_TEXT_SILOS_H

#include <stdbool.h>
#include <stdint.h>

#include "data/text/bytes.h"
#include "src/base/options.h"
#include "src/base/status.h"

enum { AT_SILO_PACKAGES_MAX = 3, AT_SILO_NAME_MAX = 64 };

typedef struct at_silo_row {
  const char *name, *help;
  const char *language; /* ISO 639, as manual pages use it */
  const char *reader;   /* a row of at_text_readers */
  const char *glob;     /* of files and folders (taken with all below them), inside a package or the root of a system */
  const char *packages[AT_SILO_PACKAGES_MAX]; /* Debian packages, NULL-terminated; none: only of an installed system */
  bool small;                                 /* in the small set */
  bool translated; /* drop paragraphs that the English pages have too: they were not translated */
} at_silo_row;

extern const at_silo_row at_silo_rows[]; /* ends with name == NULL */
const at_silo_row *at_silo_find(const char *name);

/* A silo to be built.  `paths` are what the user named (then row is NULL), else they follow from the row. */
typedef struct at_silo {
  char name[AT_SILO_NAME_MAX];
  const at_silo_row *row;
  bool required; /* named one by one, not through all or small: must be there */
  char **paths;  /* borrowed from the option list */
  int64_t n_paths;
} at_silo;

typedef struct at_silo_list {
  at_silo *item; /* owned */
  int64_t count;
} at_silo_list;

/* The silos of `names` (those of the table, or "all" or "small") followed by those of `own`
 * (name:path, path, name:path, ...).  "all" has the silos without packages only with `system`.
 * AT_ERR_CONFIG for an unknown or repeated name, or a path without one. */
at_err at_silo_list_create(at_silo_list *out, const at_strlist *names, const at_strlist *own, bool system);
void at_silo_list_free(at_silo_list *list);

typedef struct at_silo_file {
  const char *path, *name; /* in at_silo_files.text; name: that of its documents */
  int64_t bytes;
} at_silo_file;

typedef struct at_silo_files {
  at_silo_file *item; /* owned; in ascending order of path within each source, sources in their order */
  int64_t count, cap, bytes;
  at_bytes text; /* owned: { i64 bytes, path, 0, name, 0 } per file, so that one buffer holds it all */
} at_silo_files;

/* Find the files of a silo: below DIR/PACKAGE/ for each package, or below `root` when dir is "" (root "/": this system).
 * Symbolic links below the folders are not followed.  No files: AT_OK and count 0, but AT_ERR_FILE for a path that the
 * user named. */
at_err at_silo_files_find(at_silo_files *out, const at_silo *silo, const char *dir, const char *root);
/* Rebuild item from text (after receiving it). */
at_err at_silo_files_index(at_silo_files *files);
void at_silo_files_free(at_silo_files *files);

/* What DIR/manifest.tsv says of the packages of a silo, each list separated by "; ".  Empty strings without a manifest. */
typedef struct at_silo_origin {
  char packages[256], versions[256], sha256[512], licences[4096];
} at_silo_origin;
at_err at_silo_origin_read(at_silo_origin *out, const at_silo *silo, const char *dir);

#endif
