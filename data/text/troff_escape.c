/* SPDX-License-Identifier: BSD-3-Clause */
/* Troff escapes: fonts, sizes, motions and registers go, characters and strings become UTF-8 text. */
#include <stdlib.h>
#include <string.h>

#include "data/text/troff_internal.h"
#include "data/text/utf8.h"

/* A name after an escape letter at s[i]: x, (xx or [name].  Returns the index behind it. */
static size_t take_name(const char *s, size_t n, size_t i, const char **name, size_t *len) {
  *name = s + i;
  *len = 0;
  if (i >= n) {
    return n;
  }
  if (s[i] == '(') {
    *name = s + i + 1;
    *len = n - i - 1 < 2 ? n - i - 1 : 2;
    return i + 1 + *len;
  }
  if (s[i] == '[') {
    const char *end = memchr(s + i, ']', n - i);
    size_t stop = end == NULL ? n : (size_t)(end - s);
    *name = s + i + 1;
    *len = stop - i - 1;
    return end == NULL ? n : stop + 1;
  }
  uint32_t c;
  size_t step = at_utf8_decode(s + i, n - i, &c);
  *len = step > 0 ? step : 1;
  return i + *len;
}

/* An argument between delimiters at s[i], as in \h'1i'; returns the index behind it. */
static size_t take_quoted(const char *s, size_t n, size_t i, const char **body, size_t *len) {
  *body = s + n;
  *len = 0;
  if (i >= n) {
    return n;
  }
  const char *end = memchr(s + i + 1, s[i], n - i - 1);
  *body = s + i + 1;
  *len = end == NULL ? n - i - 1 : (size_t)(end - s) - i - 1;
  return end == NULL ? n : (size_t)(end - s) + 1;
}

/* \s: a size, as N, +N, -N, (NN, [..], '..'. */
static size_t skip_size(const char *s, size_t n, size_t i) {
  const char *body;
  size_t len;
  if (i < n && (s[i] == '+' || s[i] == '-')) {
    i++;
  }
  if (i < n && s[i] == '\'') {
    return take_quoted(s, n, i, &body, &len);
  }
  if (i < n && (s[i] == '(' || s[i] == '[')) {
    return take_name(s, n, i, &body, &len);
  }
  if (i + 1 < n && s[i] >= '1' && s[i] <= '3' && s[i + 1] >= '0' && s[i + 1] <= '9') {
    return i + 2;
  }
  return i < n && s[i] >= '0' && s[i] <= '9' ? i + 1 : i;
}

const at_roff_string *at_roff_string_find(const at_roff *r, const char *name, size_t n) {
  for (int i = r->n_strings - 1; i >= 0; i--) {
    if (strlen(r->strings[i].name) == n && memcmp(r->strings[i].name, name, n) == 0) {
      return &r->strings[i];
    }
  }
  return NULL;
}

/* Strings that the man macros define themselves. */
static const char *standard_string(const char *name, size_t n) {
  static const struct {
    const char *name, *text;
  } table[] = {{"R", "\u00AE"},  {"Tm", "\u2122"}, {"lq", "\u201C"}, {"rq", "\u201D"}, {"L\"", "\""},     {"R\"", "\""},
               {"Lq", "\u201C"}, {"Rq", "\u201D"}, {"C+", "C++"},    {"--", "\u2014"}, {"Aq", "'"},       {"q", "\""},
               {"Le", "\u2264"}, {"Ge", "\u2265"}, {"Ne", "\u2260"}, {"Lt", "<"},      {"Gt", ">"},       {"Ba", "|"},
               {"Am", "&"},      {"PI", "pi"},     {"Gr", "*"},      {"Na", "NaN"},    {"If", "infinity"}};
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    if (strlen(table[i].name) == n && memcmp(table[i].name, name, n) == 0) {
      return table[i].text;
    }
  }
  return NULL;
}

static void put_string(at_roff *r, const char *name, size_t n, at_bytes *out, int depth) {
  const at_roff_string *found = at_roff_string_find(r, name, n);
  if (found != NULL && depth < AT_ROFF_DEPTH_MAX) {
    /* The body is copied: resolving it must not read from a buffer that may move. */
    at_bytes body = {0};
    at_bytes_put(&body, r->values.data + found->value, found->len);
    if (body.err == AT_OK && body.len > 0) {
      at_roff_escape(r, body.data, body.len, out, depth + 1);
    }
    at_bytes_free(&body);
  } else if (found == NULL) {
    const char *text = standard_string(name, n);
    if (text != NULL) {
      at_bytes_str(out, text);
    }
  }
}

/* \[name]: a table entry, \[uXXXX], \[charNNN], or two names to be composed, of which the first is kept. */
static void put_char(const char *name, size_t n, at_bytes *out) {
  const char *blank = memchr(name, ' ', n);
  if (blank != NULL) {
    n = (size_t)(blank - name);
  }
  const char *text = at_roff_char(name, n);
  if (text != NULL) {
    at_bytes_str(out, text);
  } else if (n >= 5 && n <= 32 && name[0] == 'u') {
    char hex[33];
    memcpy(hex, name + 1, n - 1);
    hex[n - 1] = 0;
    for (char *at = hex; *at != 0;) { /* u0061_0301: a letter and its accents */
      char *end;
      unsigned long c = strtoul(at, &end, 16);
      if (end == at) {
        return;
      }
      at_bytes_utf8(out, (uint32_t)c);
      at = *end == '_' ? end + 1 : end;
      if (*end != '_' && *end != 0) {
        return;
      }
    }
  }
}

/* Letters whose argument between quotes only moves or draws. */
static bool is_motion(char c) {
  return c != 0 && strchr("hvlLDXRSHxbBAwoZC", c) != NULL;
}

/* Escape letter at s[i] (behind the backslash); returns the index behind the escape. */
static size_t one_escape(at_roff *r, const char *s, size_t n, size_t i, at_bytes *out, int depth) {
  const char *name;
  size_t len;
  char c = s[i];
  switch (c) {
  case 'f':
  case 'F':
  case 'm':
  case 'M':
  case 'k':
  case 'Y':
  case 'V':
  case 'O':
  case 'g':
    return take_name(s, n, i + 1, &name, &len);
  case 'n':
    i = i + 1 < n && (s[i + 1] == '+' || s[i + 1] == '-') ? i + 1 : i;
    return take_name(s, n, i + 1, &name, &len);
  case '$':
    return take_name(s, n, i + 1, &name, &len);
  case 's':
    return skip_size(s, n, i + 1);
  case '*':
    i = take_name(s, n, i + 1, &name, &len);
    put_string(r, name, len, out, depth);
    return i;
  case '(':
  case '[':
    i = take_name(s, n, i, &name, &len);
    put_char(name, len, out);
    return i;
  case 'N':
    i = take_quoted(s, n, i + 1, &name, &len);
    if (len > 0) {
      at_bytes_utf8(out, (uint32_t)atoi(name));
    }
    return i;
  case '"':
  case '#':
    return n; /* a comment */
  case 'c':
    r->joined = true;
    return n;
  case '\\':
  case 'e':
  case 'E':
    at_bytes_char(out, '\\');
    return i + 1;
  case '-':
    at_bytes_char(out, '-');
    return i + 1;
  case ' ':
  case '0':
  case '~':
  case 't':
    at_bytes_char(out, ' ');
    return i + 1;
  case '\'':
    at_bytes_str(out, "\u00B4");
    return i + 1;
  case '&':
  case ')':
  case '/':
  case ',':
  case ':':
  case '%':
  case '{':
  case '}':
  case '|':
  case '^':
  case '!':
  case 'p':
  case 'r':
  case 'u':
  case 'd':
  case 'a':
  case 'z':
  case '?':
    return i + 1;
  default:
    break;
  }
  if (is_motion(c)) {
    i = take_quoted(s, n, i + 1, &name, &len);
    if (c == 'C') {
      put_char(name, len, out);
    } else if (c == 'o' || c == 'Z' || c == 'b') {
      at_roff_escape(r, name, len, out, depth + 1);
    }
    return i;
  }
  uint32_t cp;
  size_t step = at_utf8_decode(s + i, n - i, &cp);
  at_bytes_put(out, s + i, step > 0 ? step : 1);
  return i + (step > 0 ? step : 1);
}

void at_roff_escape(at_roff *r, const char *s, size_t n, at_bytes *out, int depth) {
  if (depth > AT_ROFF_DEPTH_MAX) {
    return;
  }
  for (size_t i = 0; i < n;) {
    const char *slash = memchr(s + i, '\\', n - i);
    size_t plain = slash == NULL ? n - i : (size_t)(slash - s) - i;
    at_bytes_put(out, s + i, plain);
    i += plain + 1;
    if (slash != NULL && i < n) {
      i = one_escape(r, s, n, i, out, depth);
    }
  }
}

typedef struct cursor {
  const char *s, *end;
} cursor;

static long expression(cursor *c, int depth);

static void skip_blanks(cursor *c) {
  while (c->s < c->end && (*c->s == ' ' || *c->s == '\t')) {
    c->s++;
  }
}

static long operand(cursor *c, int depth) {
  long sign = 1, value = 0;
  skip_blanks(c);
  while (c->s < c->end && (*c->s == '-' || *c->s == '+' || *c->s == '!')) {
    sign = *c->s == '-' ? -sign : sign;
    c->s++;
  }
  if (c->s < c->end && *c->s == '(' && depth < AT_ROFF_DEPTH_MAX) {
    c->s++;
    value = expression(c, depth + 1);
    c->s += c->s < c->end && *c->s == ')';
  } else if (c->s + 1 < c->end && c->s[0] == '\\' && c->s[1] == 'n') {
    const char *name;
    size_t len, left = (size_t)(c->end - c->s);
    c->s += take_name(c->s, left, 2, &name, &len);
    value = len == 2 && memcmp(name, ".g", 2) == 0;
  } else {
    while (c->s < c->end && *c->s >= '0' && *c->s <= '9') {
      value = value < 1000000 ? 10 * value + (*c->s - '0') : value;
      c->s++;
    }
    while (c->s < c->end && strchr(".0123456789icpPmMnuvsf", *c->s) != NULL) {
      c->s++; /* decimals and the unit */
    }
  }
  return sign * value;
}

static long expression(cursor *c, int depth) {
  long value = operand(c, depth);
  skip_blanks(c);
  while (c->s < c->end && strchr("+-*/%<>=&:", *c->s) != NULL) {
    char op = *c->s++;
    bool equal = c->s < c->end && *c->s == '=';
    c->s += equal;
    const char *before = c->s;
    long right = operand(c, depth);
    skip_blanks(c);
    value = op == '+'   ? value + right
            : op == '-' ? value - right
            : op == '*' ? value * (right % 1000)
            : op == '/' ? (right != 0 ? value / right : 0)
            : op == '%' ? (right != 0 ? value % right : 0)
            : op == '<' ? (equal ? value <= right : value < right)
            : op == '>' ? (equal ? value >= right : value > right)
            : op == '=' ? value == right
            : op == '&' ? (value > 0 && right > 0)
                        : (value > 0 || right > 0);
    const long most = 1000000000;
    value = value > most ? most : value < -most ? -most : value;
    if (c->s == before) {
      break;
    }
  }
  return value;
}

long at_roff_number(const char *s, size_t n) {
  cursor c = {s, s + n};
  return expression(&c, 0);
}
