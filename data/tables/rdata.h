/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading R's files: saved workspaces (.rda) and lazy-load data bases (.rdb with .rdx), as trees of values.
 *
 * An .rda is RDX2 or RDX3, "\nX\n" and a pairlist of objects in R's portable binary form (XDR, big-endian), packed with gzip,
 * bzip2 or xz, or not at all.  An .rdb is a row of such objects, each with its unpacked size before it and packed with zlib, bzip2 or
 * raw LZMA2; the .rdx names them. */
#ifndef AT_DATA_TABLES_RDATA_H
#define AT_DATA_TABLES_RDATA_H

#include "data/text/bytes.h"

typedef enum at_r_type { AT_R_NULL, AT_R_INT, AT_R_REAL, AT_R_TEXT, AT_R_LIST, AT_R_OTHER } at_r_type;

typedef struct at_r at_r; /* a value; owned by its file */
struct at_r {
  at_r_type type;
  int64_t n;
  int32_t *integer; /* INT (and logical): INT32_MIN is "not available" */
  double *real;     /* REAL: NaN is "not available" */
  char **text;      /* TEXT: NULL is "not available" */
  at_r **item;      /* LIST and pairlists */
  char **tag;       /* pairlists: names of the items, NULL where there are none */
  at_r *attr;       /* attributes as a pairlist, or NULL */
};

typedef struct at_r_file at_r_file;

/* The object `name` of an .rda or .rdb file.  *value lives until close.  AT_ERR_FILE: not there; AT_ERR_FORMAT: damaged (says at which
 * byte), or no such object (names those there are). */
at_err at_r_open(at_r_file **out, const char *path, const char *name, const at_r **value);
void at_r_close(at_r_file *f); /* accepts NULL */

/* The item of this name of a pairlist, or NULL; accepts NULL. */
const at_r *at_r_find(const at_r *pairs, const char *name);

#endif
