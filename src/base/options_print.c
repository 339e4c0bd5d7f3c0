/* SPDX-License-Identifier: BSD-3-Clause */
/* Options as text: values, the resolved YAML, the help. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/file.h"
#include "src/base/fmt.h"
#include "src/base/options_internal.h"

static const char *format_bytes(char *buf, int64_t bytes) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int u = 0;
  while (u < 4 && bytes != 0 && bytes % 1024 == 0) {
    bytes /= 1024;
    u++;
  }
  snprintf(buf, AT_FMT_MAX, "%" PRId64 " %s", bytes, units[u]);
  return buf;
}

void at_opt_visit_value(const at_opt_entry *e, void (*piece)(void *user, const char *text), void *user) {
  char buf[AT_FMT_MAX] = "";
  const char *text = buf;
  int64_t whole = 0;
  switch (e->opt->type) {
  case AT_OPT_BOOL_TYPE:
    text = *(const bool *)e->field ? "true" : "false";
    break;
  case AT_OPT_INT_TYPE:
    memcpy(&whole, e->field, sizeof whole);
    snprintf(buf, sizeof buf, "%" PRId64, whole);
    break;
  case AT_OPT_BYTES_TYPE:
    memcpy(&whole, e->field, sizeof whole);
    text = format_bytes(buf, whole);
    break;
  case AT_OPT_F64_TYPE:
    at_fmt_f64(buf, *(const double *)e->field);
    break;
  case AT_OPT_ENUM_TYPE:
    text = e->opt->choices[*(const int *)e->field];
    break;
  case AT_OPT_STR_TYPE:
    text = e->text;
    break;
  case AT_OPT_LIST_TYPE:
    for (int64_t i = 0; i < e->list.count; i++) {
      piece(user, e->list.item[i]);
    }
    return;
  }
  piece(user, text);
}

/* Could another reader of YAML take this plain word for something that is not text? */
static bool needs_quotes(const char *s) {
  static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
  if (!isalpha((unsigned char)s[0]) && s[0] != '_' && s[0] != '/') {
    return true;
  }
  for (const char *c = s; *c != '\0'; c++) {
    if (!isalnum((unsigned char)*c) && strchr("_./+-", *c) == NULL) {
      return true;
    }
  }
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (strcasecmp(s, words[i]) == 0) {
      return true;
    }
  }
  return false;
}

static void print_text(FILE *out, const char *s) {
  if (!needs_quotes(s)) {
    fputs(s, out);
    return;
  }
  fputc('"', out);
  for (const unsigned char *c = (const unsigned char *)s; *c != '\0'; c++) {
    if (*c == '"' || *c == '\\') {
      fprintf(out, "\\%c", *c);
    } else if (*c < 0x20 || *c == 0x7F) {
      fprintf(out, "\\x%02X", *c);
    } else {
      fputc(*c, out);
    }
  }
  fputc('"', out);
}

typedef struct list_printer {
  FILE *out;
  int pieces;
} list_printer;

static void print_item(void *user, const char *text) {
  list_printer *p = user;
  fputs(p->pieces++ > 0 ? ", " : "", p->out);
  print_text(p->out, text);
}

static void print_plain(void *user, const char *text) {
  fputs(text, user);
}

void at_opt_print_value(const at_opt_entry *e, FILE *out) {
  list_printer p = {.out = out};
  switch (e->opt->type) {
  case AT_OPT_LIST_TYPE:
    fputc('[', out);
    at_opt_visit_value(e, print_item, &p);
    fputc(']', out);
    break;
  case AT_OPT_STR_TYPE:
  case AT_OPT_ENUM_TYPE:
    at_opt_visit_value(e, print_item, &p);
    break;
  default:
    at_opt_visit_value(e, print_plain, out);
  }
}

/* Does an entry before `i` begin with the first `length` characters of its name? */
static bool prefix_seen(const at_opts *set, int i, size_t length) {
  for (int j = 0; j < i; j++) {
    if (strncmp(set->entry[j].opt->name, set->entry[i].opt->name, length) == 0) {
      return true;
    }
  }
  return false;
}

/* The keys whose names begin with the first `length` characters of `prefix`: values, and sections at their first key. */
static void print_section(const at_opts *set, FILE *out, const char *prefix, size_t length, int depth) {
  for (int i = 0; i < set->count; i++) {
    const at_opt_entry *e = &set->entry[i];
    if (strncmp(e->opt->name, prefix, length) != 0) {
      continue;
    }
    const char *rest = e->opt->name + length, *dot = strchr(rest, '.');
    if (dot == NULL) {
      fprintf(out, "%*s%s%s: ", 2 * depth, "", e->is_set ? "" : "# ", rest);
      if (e->is_set) {
        at_opt_print_value(e, out);
      }
      fprintf(out, "  # %s%s%s%s\n", e->opt->help, e->opt->unit[0] != '\0' ? " [" : "", e->opt->unit,
              e->opt->unit[0] != '\0' ? "]" : "");
      continue;
    }
    size_t longer = (size_t)(dot + 1 - e->opt->name);
    if (!prefix_seen(set, i, longer)) {
      fprintf(out, "%*s%.*s:\n", 2 * depth, "", (int)(dot - rest), rest);
      print_section(set, out, e->opt->name, longer, depth + 1);
    }
  }
}

at_err at_opts_print_yaml(const at_opts *set, FILE *out) {
  print_section(set, out, "", 0, 0);
  if (fflush(out) != 0 || ferror(out)) {
    return AT_FAIL(AT_ERR_FILE, "cannot write the configuration: %s", strerror(errno));
  }
  return AT_OK;
}

typedef struct grown_text {
  char *text; /* owned */
  size_t used, size;
} grown_text;

static ssize_t grow_text(void *cookie, const char *piece, size_t n) {
  grown_text *g = cookie;
  if (g->size - g->used <= n) { /* keeps room for the final zero */
    size_t size = 2 * g->size + n + 1;
    if (at_realloc(&g->text, size, 1, "configuration text") != AT_OK) {
      return 0;
    }
    g->size = size;
  }
  memcpy(g->text + g->used, piece, n);
  g->used += n;
  return (ssize_t)n;
}

at_err at_opts_yaml_text(const at_opts *set, char **out) {
  *out = NULL;
  grown_text g = {.size = 4096};
  AT_TRY(at_alloc(&g.text, g.size, 1, "configuration text"));
  FILE *stream = fopencookie(&g, "w", (cookie_io_functions_t){.write = grow_text});
  at_err err = AT_OK;
  if (stream == NULL) {
    err = AT_FAIL(AT_ERR_MEMORY, "cannot print the configuration: %s", strerror(errno));
  } else {
    err = at_opts_print_yaml(set, stream);
    if (fclose(stream) != 0 && err == AT_OK) {
      err = AT_FAIL(AT_ERR_MEMORY, "cannot print the configuration: %s", strerror(errno));
    }
  }
  if (err != AT_OK) {
    at_free(g.text);
    return err;
  }
  *out = g.text;
  return AT_OK;
}

at_err at_opts_write_yaml(const at_opts *set, const char *path) {
  char *temporary = NULL;
  size_t size = strlen(path) + sizeof ".tmp";
  at_err err = AT_OK;
  AT_TRY(at_alloc(&temporary, size, 1, path));
  snprintf(temporary, size, "%s.tmp", path);
  FILE *out = fopen(temporary, "we");
  if (out == NULL) {
    err = AT_FAIL(AT_ERR_FILE, "%s: cannot create: %s", temporary, strerror(errno));
    goto done;
  }
  err = at_opts_print_yaml(set, out);
  if (fclose(out) != 0 && err == AT_OK) {
    err = AT_FAIL(AT_ERR_FILE, "%s: cannot write: %s", temporary, strerror(errno));
  }
  if (err == AT_OK) {
    err = at_file_publish(temporary, path);
  }
  if (err != AT_OK) {
    unlink(temporary);
  }
done:
  at_free(temporary);
  return err;
}

static void print_help_row(FILE *out, const at_opt *opt) {
  char rule[AT_OPT_RULE_MAX];
  fprintf(out, "  %-26s %s%s%s", opt->name, at_opt_rule(opt, rule), opt->unit[0] != '\0' ? ", in " : "", opt->unit);
  if (opt->preset == NULL) {
    fputs("; must be given", out);
  } else if (opt->preset[0] == '\0') {
    fputs("; default: none", out);
  } else {
    fprintf(out, "; default %s", opt->preset);
  }
  fprintf(out, "\n  %-26s %s\n", "", opt->help);
}

void at_opts_print_help(const at_opts *set, FILE *out) {
  fputs("Keys, for the YAML file (each dot a nested mapping) and as key=value on the command line:\n", out);
  for (int i = 0; i < set->count; i++) {
    if (i == 0 || set->entry[i].table != set->entry[i - 1].table) {
      fprintf(out, "\n%s\n", set->entry[i].table->title);
    }
    print_help_row(out, set->entry[i].opt);
  }
}
