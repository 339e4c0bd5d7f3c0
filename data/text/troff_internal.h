/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of one manual page being read, shared by the man, mdoc and escape parts of the troff reader. */
#ifndef AT_DATA_TEXT_TROFF_INTERNAL_H
#define AT_DATA_TEXT_TROFF_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "data/text/bytes.h"
#include "data/text/sink.h"
#include "src/base/status.h"

enum { AT_ROFF_NAME_MAX = 32, AT_ROFF_ARGS_MAX = 64, AT_ROFF_DEPTH_MAX = 16 };

typedef struct at_roff_string {
  char name[AT_ROFF_NAME_MAX];
  size_t value, len; /* in at_roff.values */
} at_roff_string;

typedef struct at_roff_arg {
  size_t at, len; /* in at_roff.words */
  bool quoted;
} at_roff_arg;

typedef struct at_roff {
  at_text_sink *sink; /* borrowed */
  at_bytes para;      /* the paragraph so far, escapes resolved */
  at_bytes line;      /* a line whose continuations were joined */
  at_bytes words;     /* arguments of the macro at hand, quotes removed, escapes not yet resolved */
  at_roff_arg args[AT_ROFF_ARGS_MAX];
  int n_args;
  at_bytes values;         /* bodies of strings */
  at_bytes macros;         /* names that the page defines with .de, each followed by a blank */
  at_roff_string *strings; /* owned */
  int n_strings, cap_strings;
  char skip_end[AT_ROFF_NAME_MAX]; /* skipping until the request of this name; "" when not */
  int skip_depth;                  /* open \{ of a conditional that is false */
  bool else_true;                  /* what the next .el does */
  bool fill, tag, joined;          /* fill mode; the next line is the tag of a list; \c: the next line goes on */
  size_t link_at;                  /* length of para at .UR */
  at_bytes link;                   /* its address */
  at_bytes page;                   /* .Nm of the page */
  bool tight;                      /* mdoc: no blank before the next word */
} at_roff;

/* Resolve escapes of s[0..n) into *out; sets r->joined at \c. */
void at_roff_escape(at_roff *r, const char *s, size_t n, at_bytes *out, int depth);
/* The UTF-8 text of the special character `name`, NULL when unknown. */
const char *at_roff_char(const char *name, size_t n);
const at_roff_string *at_roff_string_find(const at_roff *r, const char *name, size_t n);
/* The value of a condition's number: registers are 0, except that \n(.g (this is groff) is 1. */
long at_roff_number(const char *s, size_t n);

void at_roff_paragraph(at_roff *r); /* end the paragraph */
void at_roff_break(at_roff *r);     /* a line break that stays */
void at_roff_line_end(at_roff *r);  /* end of an input line that gave text */
/* Split s[0..n) into r->args. */
void at_roff_split(at_roff *r, const char *s, size_t n);
/* Append argument i, escapes resolved, to the paragraph. */
void at_roff_put_arg(at_roff *r, int i);

/* Run an mdoc macro; false when `name` is none. */
bool at_roff_mdoc(at_roff *r, const char *name, const char *rest, size_t n);

#endif
