/* SPDX-License-Identifier: BSD-3-Clause */
/* The tag stripper that HTML, XML and OSIS share. */
#ifndef AT_DATA_TEXT_MARKUP_INTERNAL_H
#define AT_DATA_TEXT_MARKUP_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "data/text/sink.h"

typedef struct at_markup {
  at_text_sink *sink; /* borrowed; a document is open in it while `open` */
  at_bytes para;      /* owned */
  bool osis;          /* documents are <chapter>s, notes and variant readings are dropped */
  bool open;
  char drop[16]; /* the element whose contents are being dropped, "" when none */
  int drop_depth;
  bool gap; /* something was dropped: the next letter begins a word */
} at_markup;

/* Strip text[0..n), any number of times; a tag must not be cut. */
void at_markup_feed(at_markup *m, const char *text, size_t n);
/* End the paragraph, and the document if one is open; frees para and returns its failure. */
at_err at_markup_finish(at_markup *m);

#endif
