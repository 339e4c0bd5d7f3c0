/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of options: building, finding, overriding, identifying. */
#include "src/base/options.h"

#include <stdarg.h>
#include <string.h>

#include "src/base/alloc.h"
#include "src/base/fmt.h"
#include "src/base/options_internal.h"

at_err at_opts_create(at_opts **out) {
  return at_alloc(out, 1, sizeof **out, "option set");
}

void at_opts_destroy(at_opts *set) {
  for (int i = 0; set != NULL && i < set->count; i++) {
    at_opt_entry *e = &set->entry[i];
    at_free(e->origin);
    at_free(e->text);
    for (int64_t j = 0; j < e->list.count; j++) {
      at_free(e->list.item[j]);
    }
    at_free(e->list.item);
  }
  if (set != NULL) {
    at_free(set->entry);
  }
  at_free(set);
}

at_opt_entry *at_opts_find(const at_opts *set, const char *key) {
  for (int i = 0; i < set->count; i++) {
    if (strcmp(set->entry[i].opt->name, key) == 0) {
      return &set->entry[i];
    }
  }
  return NULL;
}

bool at_opts_is_section(const at_opts *set, const char *key) {
  size_t n = strlen(key);
  for (int i = 0; i < set->count; i++) {
    const char *name = set->entry[i].opt->name;
    if (strncmp(name, key, n) == 0 && name[n] == '.') {
      return true;
    }
  }
  return false;
}

/* Is some leading part of `name`, up to a dot, a key already? */
static bool stands_below_a_key(const at_opts *set, const char *name) {
  char part[AT_OPT_KEY_MAX];
  for (const char *dot = strchr(name, '.'); dot != NULL; dot = strchr(dot + 1, '.')) {
    snprintf(part, sizeof part, "%.*s", (int)(dot - name), name);
    if (at_opts_find(set, part) != NULL) {
      return true;
    }
  }
  return false;
}

at_err at_opts_add(at_opts *set, const at_opt_table *table, void *base) {
  for (int i = 0; i < table->count; i++) {
    const at_opt *opt = &table->rows[i];
    if (strlen(opt->name) >= AT_OPT_KEY_MAX || at_opts_find(set, opt->name) != NULL ||
        at_opts_is_section(set, opt->name) || stands_below_a_key(set, opt->name)) {
      return AT_FAIL(AT_ERR_INTERNAL, "option table \"%s\": the key %s clashes with another, or is too long",
                     table->title, opt->name);
    }
    if (set->count == set->capacity) {
      int capacity = 2 * set->capacity + 32;
      AT_TRY(at_realloc(&set->entry, (size_t)capacity, sizeof *set->entry, "options"));
      set->capacity = capacity;
    }
    at_opt_entry *e = &set->entry[set->count];
    *e = (at_opt_entry){.opt = opt, .table = table, .field = (char *)base + opt->offset};
    set->count++;
    if (opt->preset != NULL) {
      AT_TRY(at_opt_assign(e, opt->preset, "default"));
      e->is_given = false;
    }
  }
  return AT_OK;
}

/* How far `key` is from meaning `name`: a forgotten section counts as one slip. */
static int distance(const char *key, const char *name) {
  int whole = at_fmt_distance(key, name);
  const char *last_key = strrchr(key, '.'), *last_name = strrchr(name, '.');
  int last = 1 + at_fmt_distance(last_key != NULL ? last_key + 1 : key, last_name != NULL ? last_name + 1 : name);
  return whole < last ? whole : last;
}

at_err at_opts_unknown(const at_opts *set, const char *key, const char *origin) {
  if (at_opts_is_section(set, key)) {
    return AT_FAIL(AT_ERR_CONFIG, "%s (%s): this is a section of keys and takes no value itself; --help lists its keys",
                   key, origin);
  }
  char nearest[AT_OPT_KEY_MAX] = "", section[AT_OPT_KEY_MAX];
  int best = 2 + (int)strlen(key) / 4; /* farther than that is no slip of the fingers */
  for (int i = 0; i < set->count; i++) {
    const char *name = set->entry[i].opt->name;
    int d = distance(key, name);
    if (d < best) {
      best = d;
      snprintf(nearest, sizeof nearest, "%s", name);
    }
    snprintf(section, sizeof section, "%.*s", (int)strcspn(name, "."), name);
    d = at_fmt_distance(key, section);
    if (d < best) {
      best = d;
      snprintf(nearest, sizeof nearest, "%s", section);
    }
  }
  if (nearest[0] != '\0') {
    return AT_FAIL(AT_ERR_CONFIG, "%s (%s): unknown key; did you mean %s?", key, origin, nearest);
  }
  return AT_FAIL(AT_ERR_CONFIG, "%s (%s): unknown key; --help lists the valid ones", key, origin);
}

at_err at_opts_set(at_opts *set, const char *assignment) {
  return at_opts_set_from(set, assignment, "command line");
}

at_err at_opts_set_from(at_opts *set, const char *assignment, const char *origin) {
  const char *equals = strchr(assignment, '=');
  char key[AT_OPT_KEY_MAX];
  if (equals == NULL || equals == assignment || (size_t)(equals - assignment) >= sizeof key) {
    return AT_FAIL(AT_ERR_CONFIG, "%s (%s): expected key=value, for example seed=7", assignment, origin);
  }
  snprintf(key, sizeof key, "%.*s", (int)(equals - assignment), assignment);
  at_opt_entry *e = at_opts_find(set, key);
  if (e == NULL) {
    return at_opts_unknown(set, key, origin);
  }
  return at_opt_assign(e, equals + 1, origin);
}

at_err at_opts_set_absent(at_opts *set, const char *const *assignments, const char *origin) {
  for (int i = 0; assignments[i] != NULL; i++) {
    char key[AT_OPT_KEY_MAX];
    snprintf(key, sizeof key, "%.*s", (int)strcspn(assignments[i], "="), assignments[i]);
    if (!at_opts_is_given(set, key)) {
      AT_TRY(at_opts_set_from(set, assignments[i], origin));
    }
  }
  return AT_OK;
}

at_err at_opts_check(const at_opts *set) {
  for (int i = 0; i < set->count; i++) {
    const at_opt_entry *e = &set->entry[i];
    if (!e->is_set) {
      char rule[AT_OPT_RULE_MAX];
      return AT_FAIL(AT_ERR_CONFIG, "%s must be given: %s Write %s=... with %s", e->opt->name, e->opt->help,
                     e->opt->name, at_opt_rule(e->opt, rule));
    }
  }
  return AT_OK;
}

typedef struct text_buffer {
  char text[128];
  int pieces;
} text_buffer;

static void append_piece(void *user, const char *text) {
  text_buffer *b = user;
  size_t n = strlen(b->text);
  snprintf(b->text + n, sizeof b->text - n, "%s%s", b->pieces > 0 ? "," : "", text);
  b->pieces++;
}

at_err at_opts_reject(const at_opts *set, const char *key, const char *fmt, ...) {
  char reason[AT_ERR_MESSAGE_MAX];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(reason, sizeof reason, fmt, ap);
  va_end(ap);
  const at_opt_entry *e = at_opts_find(set, key);
  if (e == NULL || !e->is_set) {
    return AT_FAIL(AT_ERR_CONFIG, "%s: %s", key, reason);
  }
  text_buffer value = {.pieces = 0};
  at_opt_visit_value(e, append_piece, &value);
  return AT_FAIL(AT_ERR_CONFIG, "%s = %s (%s): %s", key, value.text, e->origin, reason);
}

bool at_opts_is_given(const at_opts *set, const char *key) {
  const at_opt_entry *e = at_opts_find(set, key);
  return e != NULL && e->is_given;
}

bool at_opts_is_changed(const at_opts *set, const char *key) {
  const at_opt_entry *e = at_opts_find(set, key);
  if (e == NULL || !e->is_given || e->opt->preset == NULL || e->opt->type == AT_OPT_STR_TYPE ||
      e->opt->type == AT_OPT_LIST_TYPE) {
    return e != NULL && e->is_given;
  }
  union {
    int64_t number;
    double real;
    int choice;
    bool truth;
  } value = {0};
  at_opt_entry preset = {.opt = e->opt, .table = e->table, .field = &value};
  text_buffer was = {.pieces = 0}, now = {.pieces = 0};
  if (at_opt_assign(&preset, e->opt->preset, "default") != AT_OK) {
    return true;
  }
  at_opt_visit_value(&preset, append_piece, &was);
  at_opt_visit_value(e, append_piece, &now);
  at_free(preset.origin);
  return strcmp(was.text, now.text) != 0;
}

static void hash_piece(void *user, const char *text) { /* FNV-1a (Fowler, Noll and Vo), end marks included */
  uint64_t h = *(uint64_t *)user;
  do {
    h = (h ^ (unsigned char)*text) * 0x100000001B3u;
  } while (*text++ != '\0');
  *(uint64_t *)user = h;
}

uint64_t at_opts_hash(const at_opts *set) {
  uint64_t sum = 0; /* of the keys' hashes, so that order does not matter */
  for (int i = 0; i < set->count; i++) {
    const at_opt_entry *e = &set->entry[i];
    if (e->is_set && !e->opt->is_volatile) {
      uint64_t h = 0xCBF29CE484222325u;
      hash_piece(&h, e->opt->name);
      at_opt_visit_value(e, hash_piece, &h);
      h = (h ^ h >> 32) * 0x9E3779B97F4A7C15u;
      sum += h ^ h >> 29;
    }
  }
  return sum;
}
