/* SPDX-License-Identifier: BSD-3-Clause */
/* A cursor over JSON text (RFC 8259). */
#include "data/files/json.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 64 };

at_err at_json_fail(const at_json *j, const char *wanted) {
  return AT_FAIL(AT_ERR_FORMAT, "%s: expected %s at byte %zu of %zu", j->path, wanted, j->at, j->len);
}

char at_json_peek(at_json *j) {
  while (j->at < j->len && memchr(" \t\r\n", j->text[j->at], 4) != NULL) {
    j->at++;
  }
  return j->at < j->len ? j->text[j->at] : 0;
}

at_err at_json_number(at_json *j, double *out) {
  const char c = at_json_peek(j);
  char *end = NULL;
  if (c == 't' || c == 'f') {
    *out = c == 't';
    return at_json_skip(j);
  }
  if (c != '-' && (c < '0' || c > '9')) {
    return at_json_fail(j, "a number");
  }
  *out = strtod(j->text + j->at, &end);
  j->at = (size_t)(end - j->text);
  return AT_OK;
}

/* The four hexadecimal digits of an escape. */
static bool take_hex(at_json *j, uint32_t *out) {
  *out = 0;
  for (int i = 0; i < 4; i++, j->at++) {
    const char c = j->at < j->len ? j->text[j->at] : 0;
    const char *digits = "0123456789abcdef";
    const char *d = c != 0 ? strchr(digits, c | 32) : NULL;
    if (d == NULL) {
      return false;
    }
    *out = *out << 4 | (uint32_t)(d - digits);
  }
  return true;
}

static bool take_escape(at_json *j, at_bytes *out) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  const char c = j->at < j->len ? j->text[j->at++] : 0;
  const char *f = c != 0 ? strchr(from, c) : NULL;
  uint32_t code, low;
  if (f != NULL) {
    at_bytes_char(out, to[f - from]);
    return true;
  }
  if (c != 'u' || !take_hex(j, &code)) {
    return false;
  }
  if (code >= 0xD800 && code < 0xDC00) {
    if (j->len - j->at < 6 || j->text[j->at] != '\\' || j->text[j->at + 1] != 'u') {
      return false;
    }
    j->at += 2;
    if (!take_hex(j, &low) || low < 0xDC00 || low > 0xDFFF) {
      return false;
    }
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  at_bytes_utf8(out, code);
  return true;
}

at_err at_json_string(at_json *j, at_bytes *out) {
  at_bytes_clear(out);
  if (at_json_peek(j) != '"') {
    return at_json_fail(j, "a string");
  }
  j->at++;
  while (j->at < j->len && j->text[j->at] != '"') {
    const char c = j->text[j->at++];
    if (c != '\\') {
      at_bytes_char(out, c);
    } else if (!take_escape(j, out)) {
      return at_json_fail(j, "a valid escape");
    }
  }
  if (j->at == j->len) {
    return at_json_fail(j, "the end of a string");
  }
  j->at++;
  at_bytes_put(out, "", 0);
  return out->err;
}

at_err at_json_enter(at_json *j, char open, bool *more) {
  if (at_json_peek(j) != open) {
    return at_json_fail(j, open == '[' ? "a list" : "an object");
  }
  j->at++;
  *more = at_json_peek(j) != (open == '[' ? ']' : '}');
  j->at += !*more;
  return AT_OK;
}

at_err at_json_next(at_json *j, char close, bool *more) {
  const char c = at_json_peek(j);
  if (c != ',' && c != close) {
    return at_json_fail(j, close == ']' ? "a comma or ]" : "a comma or }");
  }
  *more = c == ',';
  j->at++;
  return AT_OK;
}

at_err at_json_key(at_json *j, at_bytes *out) {
  AT_TRY(at_json_string(j, out));
  if (at_json_peek(j) != ':') {
    return at_json_fail(j, "a colon");
  }
  j->at++;
  return AT_OK;
}

/* By counting brackets: what is skipped is not checked further. */
at_err at_json_skip(at_json *j) {
  int depth = 0;
  at_bytes text = {0};
  at_err err = AT_OK;
  do {
    const char c = at_json_peek(j);
    if (c == 0) {
      err = at_json_fail(j, "a value");
    } else if (c == '"') {
      err = at_json_string(j, &text);
    } else if (c == '[' || c == '{') {
      depth++;
      j->at++;
      err = depth > DEPTH_MAX ? at_json_fail(j, "less deeply nested values") : AT_OK;
    } else if (c == ']' || c == '}') {
      depth--;
      j->at++;
    } else if (c == ',' || c == ':') {
      j->at++;
    } else {
      const size_t n = strcspn(j->text + j->at, " \t\r\n,:[]{}\"");
      j->at += n;
    }
  } while (err == AT_OK && depth > 0);
  at_bytes_free(&text);
  return err;
}
