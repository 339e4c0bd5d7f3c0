/* SPDX-License-Identifier: BSD-3-Clause */
/* Which font files become clients: found below a folder, looked at by all ranks, filtered by what they draw. */
#ifndef AT_DATA_GLYPHS_FACES_H
#define AT_DATA_GLYPHS_FACES_H

#include "data/glyphs/render.h"
#include "data/text/bytes.h"
#include "src/comm/comm.h"

/* Why a file is left out, in the order of the filters. */
#define AT_FACE_VERDICTS(X)                                             \
  X(KEPT, "kept")                                                       \
  X(NOT_READ, "cannot be read")                                         \
  X(NOT_OUTLINE, "is a collection or no TrueType or OpenType outlines") \
  X(NO_CHARSET, "lacks letters")                                        \
  X(BLANK, "draws letters blank")                                       \
  X(UNICASE, "draws letters alike")                                     \
  X(UNLIKE, "does not look like its letters")                           \
  X(DUPLICATE, "draws the same as an earlier file")

typedef enum at_verdict {
#define X(id, text) AT_FACE_##id,
  AT_FACE_VERDICTS(X)
#undef X
      AT_VERDICTS
} at_verdict;
const char *at_verdict_text(at_verdict v);

/* What is known of a file; plain bytes that travel between ranks. */
typedef struct at_face_record {
  uint64_t verdict, hits, hits_folded, hash; /* hits: letters nearest to the mean of their class (of the case folded) */
  char family[AT_FACE_NAME], style[AT_FACE_NAME];
} at_face_record;

typedef struct at_face_list {
  at_bytes text;          /* paths, each ended by 0, ascending */
  const char **path;      /* [n], into text */
  at_face_record *record; /* [n], the same on all ranks */
  int64_t n;
  int64_t count[AT_VERDICTS], families; /* of the files kept */
  /* Letters nearest to the mean of their class, of all files that have the letters and of those kept, in percent. */
  double nearest_all, nearest_all_folded, nearest_kept, nearest_kept_folded;
  double glyphs_per_s; /* of this rank, opening of files included */
} at_face_list;

/* Find and judge.  Collective.  AT_ERR_FILE when there is no folder `dir`, AT_ERR_CONFIG when there is no font file below
 * it. */
at_err at_face_list_create(at_face_list *out, at_comm *world, const char *dir, const at_script *script);
void at_face_list_free(at_face_list *list);

#endif
