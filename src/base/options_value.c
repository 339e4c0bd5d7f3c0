/* SPDX-License-Identifier: BSD-3-Clause */
/* The strict setter of each option type. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/fmt.h"
#include "src/base/options_internal.h"

static const struct {
  const char *name;
  double bytes;
} byte_units[] = {{"TiB", 0x1p40}, {"GiB", 0x1p30}, {"MiB", 0x1p20}, {"KiB", 0x1p10}, {"TB", 1e12},
                  {"GB", 1e9},     {"MB", 1e6},     {"kB", 1e3},     {"B", 1},        {"", 1}};
enum { BYTE_UNITS = sizeof byte_units / sizeof *byte_units };

static void list_choices(const at_opt *opt, char *buf, size_t size) {
  size_t n = strlen(buf);
  for (int i = 0; opt->choices[i] != NULL && n < size; i++) {
    n += (size_t)snprintf(buf + n, size - n, "%s%s", i > 0 ? ", " : "", opt->choices[i]);
  }
}

static const char *bound(char *buf, const at_opt *opt, double v) {
  if (opt->type == AT_OPT_BYTES_TYPE) {
    return at_fmt_bytes(buf, (int64_t)v);
  }
  return at_fmt_f64(buf, v);
}

const char *at_opt_rule(const at_opt *opt, char *buf) {
  static const char *const nouns[] = {
      [AT_OPT_BOOL_TYPE] = "true or false",
      [AT_OPT_INT_TYPE] = "an integer",
      [AT_OPT_F64_TYPE] = "a number",
      [AT_OPT_STR_TYPE] = "text",
      [AT_OPT_ENUM_TYPE] = "one of ",
      [AT_OPT_LIST_TYPE] = "a list",
      [AT_OPT_BYTES_TYPE] = "a size like 64 MiB",
  };
  char low[AT_FMT_MAX], high[AT_FMT_MAX];
  snprintf(buf, AT_OPT_RULE_MAX, "%s", nouns[opt->type]);
  switch (opt->type) {
  case AT_OPT_INT_TYPE:
  case AT_OPT_F64_TYPE:
  case AT_OPT_BYTES_TYPE:
    snprintf(buf, AT_OPT_RULE_MAX, "%s from %s to %s", nouns[opt->type], bound(low, opt, opt->min),
             bound(high, opt, opt->max));
    break;
  case AT_OPT_ENUM_TYPE:
    list_choices(opt, buf, AT_OPT_RULE_MAX);
    break;
  case AT_OPT_LIST_TYPE:
    if (opt->choices != NULL) {
      snprintf(buf, AT_OPT_RULE_MAX, "a list of ");
      list_choices(opt, buf, AT_OPT_RULE_MAX);
    }
    break;
  default:
    break;
  }
  return buf;
}

/* Raise "outer.lr = 0.1x (run.yaml:3): why; expected a number from 0 to 10 (default 0.7)". */
static at_err refuse(const at_opt_entry *e, const char *text, const char *origin, const char *why) {
  char rule[AT_OPT_RULE_MAX];
  const at_opt *opt = e->opt;
  bool has_preset = opt->preset != NULL && opt->preset[0] != '\0';
  return AT_FAIL(AT_ERR_CONFIG, "%s = %.100s (%s): %s; expected %s%s%s%s", opt->name, text, origin, why,
                 at_opt_rule(opt, rule), has_preset ? " (default " : "", has_preset ? opt->preset : "",
                 has_preset ? ")" : "");
}

/* A finite decimal number at the start of `text`; NULL and *rest, or why not. */
static const char *scan_number(const char *text, double *out, const char **rest) {
  size_t n = strspn(text, "+-.0123456789eE"); /* keeps strtod from taking hexadecimal, inf and nan */
  char digits[64];
  if (n == 0) {
    return text[0] == '\0' ? "there is no value" : "not a number";
  }
  if (n >= sizeof digits) {
    return "too many digits";
  }
  memcpy(digits, text, n);
  digits[n] = '\0';
  char *end = NULL;
  errno = 0;
  *out = strtod(digits, &end);
  if (end == digits) {
    return "not a number";
  }
  if (errno == ERANGE) {
    return "beyond what a double can hold";
  }
  *rest = text + (end - digits);
  return NULL;
}

static const char *parse_f64(const at_opt *opt, const char *text, double *out) {
  const char *rest = NULL;
  const char *why = scan_number(text, out, &rest);
  if (why != NULL) {
    return why;
  }
  if (*rest != '\0') {
    return "not a number";
  }
  return *out >= opt->min && *out <= opt->max ? NULL : "out of range";
}

static const char *parse_int(const at_opt *opt, const char *text, int64_t *out) {
  const char *rest = NULL;
  double v = 0;
  const char *why = scan_number(text, &v, &rest);
  if (why != NULL) {
    return why;
  }
  if (*rest != '\0') {
    return "not an integer";
  }
  char *end = NULL;
  errno = 0;
  long long whole = strtoll(text, &end, 10);
  if (*end == '\0') { /* plain digits: exact over all 64 bits */
    if (errno == ERANGE) {
      return "out of range";
    }
  } else if (v == floor(v) && fabs(v) <= 0x1p53) { /* 1e6, 2.0 */
    whole = (long long)v;
  } else {
    return v == floor(v) ? "too large for this notation: write all digits" : "not an integer";
  }
  *out = whole;
  return (double)whole >= opt->min && (double)whole <= opt->max ? NULL : "out of range";
}

static const char *parse_bytes(const at_opt *opt, const char *text, int64_t *out) {
  const char *unit = NULL;
  double v = 0;
  const char *why = scan_number(text, &v, &unit);
  if (why != NULL) {
    return why;
  }
  unit += *unit == ' ';
  for (int i = 0; i < BYTE_UNITS; i++) {
    if (strcmp(unit, byte_units[i].name) == 0) {
      v *= byte_units[i].bytes;
      if (v != floor(v) || fabs(v) > 0x1p53) {
        return "not a whole number of bytes";
      }
      *out = (int64_t)v;
      return v >= opt->min && v <= opt->max ? NULL : "out of range";
    }
  }
  return "unknown unit (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB)";
}

static const char *parse_bool(const char *text, bool *out) {
  *out = strcmp(text, "true") == 0;
  return *out || strcmp(text, "false") == 0 ? NULL : "neither true nor false";
}

static int choice_of(const at_opt *opt, const char *text) {
  for (int i = 0; opt->choices[i] != NULL; i++) {
    if (strcmp(opt->choices[i], text) == 0) {
      return i;
    }
  }
  return -1;
}

/* Can YAML hold this text?  Valid UTF-8 (without surrogates and overlong forms) and no control characters but tab and
 * line feed. */
static bool is_text(const char *s) {
  for (const unsigned char *c = (const unsigned char *)s; *c != '\0';) {
    int more = *c < 0x80 ? 0 : *c >= 0xF0 ? 3 : *c >= 0xE0 ? 2 : 1;
    uint32_t code = more == 0 ? *c : *c & (0x3Fu >> more);
    bool good = *c < 0x80 || (*c >= 0xC2 && *c <= 0xF4);
    c++;
    for (int i = 0; i < more && good; i++, c++) {
      good = (*c & 0xC0) == 0x80;
      code = code << 6 | (*c & 0x3Fu);
    }
    bool is_control = code == 0x7F || (code < 0x20 && code != '\t' && code != '\n') || (code >= 0x80 && code < 0xA0);
    bool is_overlong = (more == 2 && code < 0x800) || (more == 3 && code < 0x10000);
    if (!good || is_control || is_overlong || (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF || code == 0xFEFF ||
        code == 0xFFFE || code == 0xFFFF) {
      return false;
    }
  }
  return true;
}

static at_err note(at_opt_entry *e, const char *origin) {
  char *copy = NULL;
  AT_TRY(at_strdup(&copy, origin));
  at_free(e->origin);
  e->origin = copy;
  e->is_set = e->is_given = true;
  return AT_OK;
}

static at_err assign_text(at_opt_entry *e, const char *text, const char *origin) {
  bool may_be_empty = e->opt->preset != NULL && e->opt->preset[0] == '\0';
  if (text[0] == '\0' && !may_be_empty) {
    return refuse(e, text, origin, "there is no value");
  }
  if (!is_text(text)) {
    return refuse(e, "...", origin, "control characters, or not UTF-8");
  }
  char *copy = NULL;
  AT_TRY(at_strdup(&copy, text));
  at_free(e->text);
  e->text = copy;
  memcpy(e->field, &copy, sizeof copy);
  return note(e, origin);
}

at_err at_opt_assign_list(at_opt_entry *e, const char *const *item, int64_t count, const char *origin) {
  bool may_be_empty = e->opt->preset != NULL && e->opt->preset[0] == '\0';
  if (e->opt->type != AT_OPT_LIST_TYPE) {
    return refuse(e, "[...]", origin, "a list where one value belongs");
  }
  if (count == 0 && !may_be_empty) {
    return refuse(e, "[]", origin, "the list is empty");
  }
  for (int64_t i = 0; i < count; i++) {
    if (item[i][0] == '\0') {
      return refuse(e, "[...]", origin, "an item of the list is empty");
    }
    if (!is_text(item[i])) {
      return refuse(e, "[...]", origin, "control characters, or not UTF-8");
    }
    if (e->opt->choices != NULL && choice_of(e->opt, item[i]) < 0) {
      return refuse(e, item[i], origin, "not one of the choices");
    }
  }
  at_strlist list = {.count = 0};
  at_err err = at_alloc(&list.item, (size_t)count, sizeof *list.item, e->opt->name);
  for (; err == AT_OK && list.count < count; list.count += err == AT_OK) {
    err = at_strdup(&list.item[list.count], item[list.count]);
  }
  if (err == AT_OK) {
    at_strlist old = e->list;
    e->list = list;
    list = old;
    memcpy(e->field, &e->list, sizeof e->list);
    err = note(e, origin);
  }
  for (int64_t i = 0; i < list.count; i++) {
    at_free(list.item[i]);
  }
  at_free(list.item);
  return err;
}

/* "a, b,c" or "[a, b, c]" */
static at_err assign_split(at_opt_entry *e, const char *text, const char *origin) {
  enum { MOST = 256 };
  const char *item[MOST];
  int64_t count = 0;
  char *copy = NULL;
  AT_TRY(at_strdup(&copy, text));
  char *rest = copy;
  size_t n = strlen(copy);
  if (n >= 2 && copy[0] == '[' && copy[n - 1] == ']') {
    copy[n - 1] = '\0';
    rest++;
  }
  while (rest != NULL && *rest != '\0' && count < MOST) {
    char *word = strsep(&rest, ",");
    word += strspn(word, " ");
    size_t length = strlen(word);
    while (length > 0 && word[length - 1] == ' ') {
      word[--length] = '\0';
    }
    item[count++] = word;
  }
  at_err err = count == MOST ? refuse(e, text, origin, "more than 255 items: write the list in the YAML file")
                             : at_opt_assign_list(e, item, count, origin);
  at_free(copy);
  return err;
}

at_err at_opt_assign(at_opt_entry *e, const char *text, const char *origin) {
  const at_opt *opt = e->opt;
  const char *why = NULL;
  union {
    bool yes;
    int64_t whole;
    double real;
    int choice;
  } v = {.whole = 0};
  size_t size = sizeof v.whole;
  switch (opt->type) {
  case AT_OPT_BOOL_TYPE:
    why = parse_bool(text, &v.yes);
    size = sizeof v.yes;
    break;
  case AT_OPT_INT_TYPE:
    why = parse_int(opt, text, &v.whole);
    break;
  case AT_OPT_F64_TYPE:
    why = parse_f64(opt, text, &v.real);
    break;
  case AT_OPT_BYTES_TYPE:
    why = parse_bytes(opt, text, &v.whole);
    break;
  case AT_OPT_ENUM_TYPE:
    v.choice = choice_of(opt, text);
    why = v.choice < 0 ? "not one of the choices" : NULL;
    size = sizeof v.choice;
    break;
  case AT_OPT_STR_TYPE:
    return assign_text(e, text, origin);
  case AT_OPT_LIST_TYPE:
    return assign_split(e, text, origin);
  }
  if (why != NULL) {
    return refuse(e, text, origin, why);
  }
  memcpy(e->field, &v, size);
  return note(e, origin);
}
