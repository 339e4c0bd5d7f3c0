/* SPDX-License-Identifier: BSD-3-Clause */
/* What the sources of frames share. */
#ifndef AT_DATA_TABLES_FRAME_INTERNAL_H
#define AT_DATA_TABLES_FRAME_INTERNAL_H

#include "data/tables/frame.h"

/* Zeroed memory that is freed with the frame. */
at_err at_frame_take(at_frame *f, size_t count, size_t size, void *out);
at_err at_frame_text(at_frame *f, const char *text, size_t n, char **out);
/* Fill level and code from text[rows] (NULL: not available). */
at_err at_frame_levels(at_frame *f, at_column *c, char *const *text);
void at_frame_sort(char **text, int64_t n);
int64_t at_frame_search(char *const *sorted, int64_t n, const char *text); /* its place */

#endif
