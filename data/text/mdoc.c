/* SPDX-License-Identifier: BSD-3-Clause */
/* The mdoc macros of BSD manual pages: words, flags, enclosures, sections, lists; macros inside macro lines. */
#include <string.h>

#include "data/text/troff_internal.h"

typedef enum kind {
  WORDS,
  FLAG,
  ENCLOSE,
  OPEN,
  CLOSE,
  NAME,
  NAME_LINE,
  FUNCTION,
  FUNCTION_OPEN,
  REFERENCE,
  TIGHT,
  PLAIN,
  FIXED,
  SECTION,
  PARAGRAPH,
  ITEM,
  LIST,
  DISPLAY,
  DISPLAY_END,
  LINE,
  LINK,
  NOTHING
} kind;

typedef struct row {
  const char *name;
  kind kind;
  const char *before,
      *after; /* ENCLOSE, OPEN, CLOSE, WORDS: marks; FIXED: the text; WORDS: `after` when it has no word */
} row;

static const row rows[] = {{"Ar", WORDS, "", "file ..."},
                           {"Cm", WORDS, "", ""},
                           {"Ic", WORDS, "", ""},
                           {"Em", WORDS, "", ""},
                           {"Sy", WORDS, "", ""},
                           {"Li", WORDS, "", ""},
                           {"Pa", WORDS, "", "~"},
                           {"Ev", WORDS, "", ""},
                           {"Va", WORDS, "", ""},
                           {"Vt", WORDS, "", ""},
                           {"Er", WORDS, "", ""},
                           {"Dv", WORDS, "", ""},
                           {"Tn", WORDS, "", ""},
                           {"An", WORDS, "", ""},
                           {"Ft", WORDS, "", ""},
                           {"Fa", WORDS, "", ""},
                           {"No", WORDS, "", ""},
                           {"Ad", WORDS, "", ""},
                           {"Cd", WORDS, "", ""},
                           {"Lb", WORDS, "", ""},
                           {"Ms", WORDS, "", ""},
                           {"Mt", WORDS, "", ""},
                           {"Fd", WORDS, "", ""},
                           {"Fr", WORDS, "", ""},
                           {"Sx", WORDS, "", ""},
                           {"Tg", NOTHING, "", ""},
                           {"%A", WORDS, "", ""},
                           {"%B", WORDS, "", ""},
                           {"%C", WORDS, "", ""},
                           {"%D", WORDS, "", ""},
                           {"%I", WORDS, "", ""},
                           {"%J", WORDS, "", ""},
                           {"%N", WORDS, "", ""},
                           {"%O", WORDS, "", ""},
                           {"%P", WORDS, "", ""},
                           {"%Q", WORDS, "", ""},
                           {"%R", WORDS, "", ""},
                           {"%T", WORDS, "", ""},
                           {"%U", WORDS, "", ""},
                           {"%V", WORDS, "", ""},
                           {"St", WORDS, "", ""},
                           {"Fl", FLAG, "-", ""},
                           {"Op", ENCLOSE, "[", "]"},
                           {"Pq", ENCLOSE, "(", ")"},
                           {"Bq", ENCLOSE, "[", "]"},
                           {"Brq", ENCLOSE, "{", "}"},
                           {"Aq", ENCLOSE, "<", ">"},
                           {"In", ENCLOSE, "<", ">"},
                           {"Dq", ENCLOSE, "\u201C", "\u201D"},
                           {"Sq", ENCLOSE, "\u2018", "\u2019"},
                           {"Ql", ENCLOSE, "\u2018", "\u2019"},
                           {"Qq", ENCLOSE, "\"", "\""},
                           {"Oo", OPEN, "[", ""},
                           {"Po", OPEN, "(", ""},
                           {"Bo", OPEN, "[", ""},
                           {"Bro", OPEN, "{", ""},
                           {"Ao", OPEN, "<", ""},
                           {"Do", OPEN, "\u201C", ""},
                           {"So", OPEN, "\u2018", ""},
                           {"Qo", OPEN, "\"", ""},
                           {"Oc", CLOSE, "", "]"},
                           {"Pc", CLOSE, "", ")"},
                           {"Bc", CLOSE, "", "]"},
                           {"Brc", CLOSE, "", "}"},
                           {"Ac", CLOSE, "", ">"},
                           {"Dc", CLOSE, "", "\u201D"},
                           {"Sc", CLOSE, "", "\u2019"},
                           {"Qc", CLOSE, "", "\""},
                           {"Fc", CLOSE, "", ")"},
                           {"Nm", NAME, "", ""},
                           {"Nd", NAME_LINE, "\u2013", ""},
                           {"Fn", FUNCTION, "", ""},
                           {"Fo", FUNCTION_OPEN, "", ""},
                           {"Xr", REFERENCE, "", ""},
                           {"Ns", TIGHT, "", ""},
                           {"Ap", TIGHT, "'", ""},
                           {"Xo", PLAIN, "", ""},
                           {"Xc", PLAIN, "", ""},
                           {"Ta", PLAIN, "", ""},
                           {"Pf", PLAIN, "", ""},
                           {"Ux", FIXED, "UNIX", ""},
                           {"At", FIXED, "AT&T UNIX", ""},
                           {"Bx", FIXED, "BSD", ""},
                           {"Bsx", FIXED, "BSD/OS", ""},
                           {"Fx", FIXED, "FreeBSD", ""},
                           {"Nx", FIXED, "NetBSD", ""},
                           {"Ox", FIXED, "OpenBSD", ""},
                           {"Dx", FIXED, "DragonFly", ""},
                           {"Sh", SECTION, "", ""},
                           {"Ss", SECTION, "", ""},
                           {"Pp", PARAGRAPH, "", ""},
                           {"Lp", PARAGRAPH, "", ""},
                           {"It", ITEM, "", ""},
                           {"Bl", LIST, "", ""},
                           {"El", LIST, "", ""},
                           {"Bd", DISPLAY, "", ""},
                           {"Ed", DISPLAY_END, "", ""},
                           {"Dl", LINE, "", ""},
                           {"D1", LINE, "", ""},
                           {"Lk", LINK, "", ""},
                           {"Dd", NOTHING, "", ""},
                           {"Dt", NOTHING, "", ""},
                           {"Os", NOTHING, "", ""},
                           {"Bk", NOTHING, "", ""},
                           {"Ek", NOTHING, "", ""},
                           {"Sm", NOTHING, "", ""},
                           {"Rs", NOTHING, "", ""},
                           {"Re", NOTHING, "", ""},
                           {"Ex", NOTHING, "", ""},
                           {"Rv", NOTHING, "", ""},
                           {"Hf", NOTHING, "", ""}};

static const row *find_row(const char *name, size_t n) {
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (rows[i].name[0] == name[0] && strlen(rows[i].name) == n && memcmp(rows[i].name, name, n) == 0) {
      return &rows[i];
    }
  }
  return NULL;
}

/* The macro that argument i calls, NULL when it is a word. */
static const row *called(const at_roff *r, int i) {
  const at_roff_arg *a = &r->args[i];
  const char *s = r->words.data + a->at;
  return !a->quoted && a->len >= 2 && a->len <= 3 && ((s[0] >= 'A' && s[0] <= 'Z') || s[0] == '%') ? find_row(s, a->len)
                                                                                                   : NULL;
}

static bool is_one_of(const at_roff *r, int i, const char *marks) {
  const at_roff_arg *a = &r->args[i];
  return a->len == 1 && !a->quoted && strchr(marks, r->words.data[a->at]) != NULL;
}

static bool is_closing(const at_roff *r, int i) {
  return is_one_of(r, i, ".,:;)]?!");
}

/* A blank before the next word, unless it starts a line, follows a tight macro or an opening bracket. */
static void space(at_roff *r) {
  size_t n = r->para.len;
  if (!r->tight && n > 0 && strchr("\n\v (", r->para.data[n - 1]) == NULL) {
    at_bytes_char(&r->para, ' ');
  }
  r->tight = false;
}

static void put_mark(at_roff *r, const char *mark, bool opening) {
  if (opening) {
    space(r);
  }
  at_bytes_str(&r->para, mark);
  r->tight = opening;
}

static void put_word(at_roff *r, int i, const char *before) {
  if (is_closing(r, i)) {
    at_roff_put_arg(r, i);
    r->tight = false;
    return;
  }
  space(r);
  bool opening = is_one_of(r, i, "([");
  if (!opening) {
    at_bytes_str(&r->para, before);
  }
  at_roff_put_arg(r, i);
  r->tight = opening;
}

/* name(arg, arg); arguments from i on, until a macro or a closing mark.  Returns the index behind them. */
static int put_function(at_roff *r, int i, int end) {
  if (i >= end) {
    return i;
  }
  put_word(r, i++, "");
  at_bytes_char(&r->para, '(');
  for (int first = i; i < end && called(r, i) == NULL && !is_closing(r, i); i++) {
    at_bytes_str(&r->para, i > first ? ", " : "");
    at_roff_put_arg(r, i);
  }
  at_bytes_char(&r->para, ')');
  return i;
}

/* name(section) */
static int put_reference(at_roff *r, int i, int end) {
  if (i >= end) {
    return i;
  }
  put_word(r, i++, "");
  if (i < end && called(r, i) == NULL && !is_closing(r, i)) {
    at_bytes_char(&r->para, '(');
    at_roff_put_arg(r, i++);
    at_bytes_char(&r->para, ')');
  }
  return i;
}

/* What a macro prints before its words; returns the index of the next argument. */
static int open_macro(at_roff *r, const row *m, int i, int end) {
  bool bare = i >= end || called(r, i) != NULL || is_closing(r, i);
  switch (m->kind) {
  case FLAG:
    if (bare) {
      space(r);
      at_bytes_str(&r->para, m->before);
      r->tight = i < end && called(r, i) != NULL && called(r, i)->kind == FLAG;
    }
    break;
  case WORDS:
    if (bare && m->after[0] != 0) {
      space(r);
      at_bytes_str(&r->para, m->after);
    }
    break;
  case NAME:
    if (bare && r->page.len > 0) {
      space(r);
      at_bytes_put(&r->para, r->page.data, r->page.len);
    } else if (!bare && r->page.len == 0) {
      at_roff_escape(r, r->words.data + r->args[i].at, r->args[i].len, &r->page, 0);
    }
    break;
  case OPEN:
    put_mark(r, m->before, true);
    break;
  case CLOSE:
    put_mark(r, m->after, false);
    break;
  case NAME_LINE:
    put_mark(r, m->before, true);
    r->tight = false;
    break;
  case FIXED:
    space(r);
    at_bytes_str(&r->para, m->before);
    break;
  case TIGHT:
    at_bytes_str(&r->para, m->before);
    r->tight = true;
    break;
  case FUNCTION:
    return put_function(r, i, end);
  case REFERENCE:
    return put_reference(r, i, end);
  case FUNCTION_OPEN:
    if (!bare) {
      put_word(r, i++, "");
      at_bytes_char(&r->para, '(');
      r->tight = true;
    }
    return i;
  case LINK:
    if (i + 1 < end && !is_closing(r, i + 1)) {
      i++; /* the text rather than the address */
    }
    break;
  default:
    break;
  }
  return i;
}

/* Print arguments from 0 on as macro m would. */
static void put_macro_line(at_roff *r, const row *m) {
  const char *closing[AT_ROFF_ARGS_MAX + 1];
  int n_closing = 0, end = r->n_args;
  while (end > 0 && is_closing(r, end - 1)) {
    end--;
  }
  int i = 0;
  while (m != NULL) {
    if (m->kind == ENCLOSE) {
      put_mark(r, m->before, true);
      closing[n_closing++] = m->after;
    }
    i = open_macro(r, m, i, end);
    const row *next = NULL;
    while (i < end && next == NULL) {
      next = called(r, i);
      if (next == NULL) {
        put_word(r, i, m->kind == FLAG ? m->before : "");
      }
      i++;
    }
    m = next;
  }
  while (n_closing > 0) {
    put_mark(r, closing[--n_closing], false);
  }
  for (i = end; i < r->n_args; i++) {
    put_word(r, i, "");
  }
}

bool at_roff_mdoc(at_roff *r, const char *name, const char *rest, size_t n) {
  static const row plain = {"", PLAIN, "", ""};
  const row *m = find_row(name, strlen(name));
  if (m == NULL) {
    return false;
  }
  at_roff_split(r, rest, n);
  switch (m->kind) {
  case NOTHING:
    break;
  case PARAGRAPH:
  case LIST:
    at_roff_paragraph(r);
    break;
  case SECTION:
    r->fill = true;
    at_roff_paragraph(r);
    put_macro_line(r, &plain);
    at_roff_paragraph(r);
    break;
  case ITEM:
    at_roff_paragraph(r);
    put_macro_line(r, &plain);
    at_roff_break(r);
    break;
  case DISPLAY:
    at_roff_break(r);
    r->fill = !(r->n_args > 0 && r->args[0].len > 1 && strchr("lu", r->words.data[r->args[0].at + 1]) != NULL);
    break;
  case DISPLAY_END:
    at_roff_break(r);
    r->fill = true;
    break;
  case LINE:
    at_roff_break(r);
    put_macro_line(r, &plain);
    at_roff_break(r);
    break;
  default:
    put_macro_line(r, m);
    at_roff_line_end(r);
    break;
  }
  return true;
}
