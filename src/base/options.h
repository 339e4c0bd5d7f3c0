/* SPDX-License-Identifier: BSD-3-Clause */
/* The option table: every configuration key is declared once, and everything else follows from the declaration:
 * parsing (YAML files and key=value), range checks, --help, the resolved file, and the hash that identifies a run.
 *
 *   typedef struct outer_cfg { double lr; int64_t steps; int opt; char *path; } outer_cfg;
 *   static const char *const opts[] = {"sgd", "nesterov", NULL};
 *   static const at_opt rows[] = {
 *       AT_OPT_F64(outer_cfg, lr, "outer.lr", "0.7", 0, 10, "", "Server step size."),
 *       AT_OPT_INT(outer_cfg, steps, "outer.steps", "500", 1, 1e9, "steps", "Local steps between two rounds."),
 *       AT_OPT_ENUM(outer_cfg, opt, "outer.optimizer", "nesterov", opts, "Server optimiser."),
 *       AT_OPT_STR(outer_cfg, path, "outer.path", NULL, "Where to read.", .is_volatile = true),
 *   };
 *   static const at_opt_table table = AT_OPT_TABLE("Server", rows);
 *
 * Keys are dotted; in YAML each dot is a nested mapping.  A set is built from several tables, each with the struct that
 * receives its values, and fills those structs: defaults at once, then files, then overrides.  Not collective: one rank
 * reads, and the others get the resolved text (at_opts_load_text of at_opts_yaml_text). */
#ifndef AT_BASE_OPTIONS_H
#define AT_BASE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/status.h"

typedef enum at_opt_type {
  AT_OPT_BOOL_TYPE,  /* bool: true or false */
  AT_OPT_INT_TYPE,   /* int64_t: 500, 1e6 */
  AT_OPT_F64_TYPE,   /* double, finite */
  AT_OPT_STR_TYPE,   /* char *, owned by the set; empty only if the default is */
  AT_OPT_ENUM_TYPE,  /* an enum or int: the index into `choices` */
  AT_OPT_LIST_TYPE,  /* at_strlist, owned by the set; [a, b] in YAML, a,b on the command line */
  AT_OPT_BYTES_TYPE, /* int64_t: 4096, 64 MiB, 1.5 GB */
} at_opt_type;

typedef struct at_strlist {
  char **item;
  int64_t count;
} at_strlist;

typedef struct at_opt {
  const char *name; /* "outer.lr" */
  at_opt_type type;
  size_t offset;              /* of the field in the struct */
  const char *preset;         /* default, as a user would write it; NULL: the key must be given */
  double min, max;            /* INT, F64, BYTES; both inclusive */
  const char *const *choices; /* ENUM (and LIST, if not NULL): NULL-terminated */
  const char *unit;           /* "s", "tokens"; "" if it has none */
  const char *help;           /* one sentence */
  bool is_volatile;           /* changes nothing in the results (paths, log level): left out of the hash */
} at_opt;

typedef struct at_opt_table {
  const char *title; /* heading in --help */
  const at_opt *rows;
  int count;
} at_opt_table;

/* Row constructors.  The field's type is checked when compiling.  Trailing arguments are further fields of at_opt. */
#define AT_OPT_OFFSET_(T, f, type) (offsetof(T, f) + 0 * sizeof(&((T *)0)->f == (type *)0))
#define AT_OPT_BOOL(T, f, key, preset_, help_, ...)                                                                 \
  {                                                                                                                 \
    .name = (key), .type = AT_OPT_BOOL_TYPE, .offset = AT_OPT_OFFSET_(T, f, bool), .preset = (preset_), .unit = "", \
    .help = (help_), __VA_ARGS__                                                                                    \
  }
#define AT_OPT_INT(T, f, key, preset_, min_, max_, unit_, help_, ...)                                     \
  {                                                                                                       \
    .name = (key), .type = AT_OPT_INT_TYPE, .offset = AT_OPT_OFFSET_(T, f, int64_t), .preset = (preset_), \
    .min = (min_), .max = (max_), .unit = (unit_), .help = (help_), __VA_ARGS__                           \
  }
#define AT_OPT_F64(T, f, key, preset_, min_, max_, unit_, help_, ...)                                    \
  {                                                                                                      \
    .name = (key), .type = AT_OPT_F64_TYPE, .offset = AT_OPT_OFFSET_(T, f, double), .preset = (preset_), \
    .min = (min_), .max = (max_), .unit = (unit_), .help = (help_), __VA_ARGS__                          \
  }
#define AT_OPT_STR(T, f, key, preset_, help_, ...)                                                                   \
  {                                                                                                                  \
    .name = (key), .type = AT_OPT_STR_TYPE, .offset = AT_OPT_OFFSET_(T, f, char *), .preset = (preset_), .unit = "", \
    .help = (help_), __VA_ARGS__                                                                                     \
  }
#define AT_OPT_ENUM(T, f, key, preset_, choices_, help_, ...)                                                      \
  {                                                                                                                \
    .name = (key), .type = AT_OPT_ENUM_TYPE,                                                                       \
    .offset = offsetof(T, f) + 0 * sizeof(char[sizeof(((T *)0)->f) == sizeof(int) ? 1 : -1]), .preset = (preset_), \
    .choices = (choices_), .unit = "", .help = (help_), __VA_ARGS__                                                \
  }
#define AT_OPT_LIST(T, f, key, preset_, help_, ...)                                                           \
  {                                                                                                           \
    .name = (key), .type = AT_OPT_LIST_TYPE, .offset = AT_OPT_OFFSET_(T, f, at_strlist), .preset = (preset_), \
    .unit = "", .help = (help_), __VA_ARGS__                                                                  \
  }
#define AT_OPT_BYTES(T, f, key, preset_, min_, max_, help_, ...)                                            \
  {                                                                                                         \
    .name = (key), .type = AT_OPT_BYTES_TYPE, .offset = AT_OPT_OFFSET_(T, f, int64_t), .preset = (preset_), \
    .min = (min_), .max = (max_), .unit = "", .help = (help_), __VA_ARGS__                                  \
  }
#define AT_OPT_TABLE(title_, rows_) \
  { .title = (title_), .rows = (rows_), .count = (int)(sizeof(rows_) / sizeof *(rows_)) }

typedef struct at_opts at_opts; /* opaque; owns every string and list in the structs it fills */

at_err at_opts_create(at_opts **out);
void at_opts_destroy(at_opts *set); /* accepts NULL; strings and lists in the structs are gone with it */

/* Add a table and the struct `base` that receives its values (both borrowed for the set's life); defaults are set now.
 * AT_ERR_INTERNAL for a key that exists already or is also a section; AT_ERR_CONFIG for a default that breaks its rule. */
at_err at_opts_add(at_opts *set, const at_opt_table *table, void *base);

/* Set keys from a YAML file: nested mappings of scalars and lists.  AT_ERR_FILE if it cannot be read; AT_ERR_CONFIG, with
 * file and line, for a syntax error, an unknown or repeated key (the nearest valid one is named), an alias, an anchor or a
 * tag, and for a value that breaks its key's rule. */
at_err at_opts_load_file(at_opts *set, const char *path);
at_err at_opts_load_text(at_opts *set, const char *name, const char *text,
                         size_t length);                  /* `name` stands for the path */
at_err at_opts_set(at_opts *set, const char *assignment); /* "outer.lr=0.7", from the command line */
at_err at_opts_set_from(at_opts *set, const char *assignment,
                        const char *origin); /* from elsewhere: "preset gpt-125m" */
/* Assignments as above, ended by NULL, for the keys that nobody has given. */
at_err at_opts_set_absent(at_opts *set, const char *const *assignments, const char *origin);
at_err at_opts_check(const at_opts *set); /* AT_ERR_CONFIG naming a key that must be given and is not */

/* For rules between keys: AT_ERR_CONFIG "KEY = VALUE (ORIGIN): reason".  Returns the code. */
at_err at_opts_reject(const at_opts *set, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool at_opts_is_given(const at_opts *set, const char *key); /* by a file or an override, not by default */
/* Given, and a number, choice or truth value that is not the default: what a resolved file, which gives every key, still tells. */
bool at_opts_is_changed(const at_opts *set, const char *key);

/* The resolved configuration: every key, in nested YAML with unit and help as comments.  Loading it gives the same values
 * to the last bit.  _write_ replaces `path` whole; both AT_ERR_FILE. */
at_err at_opts_print_yaml(const at_opts *set, FILE *out);
at_err at_opts_write_yaml(const at_opts *set, const char *path);
at_err at_opts_yaml_text(const at_opts *set, char **out); /* as a string; the caller frees it with at_free */
void at_opts_print_help(const at_opts *set, FILE *out);

/* Identifies the resolved values, volatile keys left out; does not depend on the order of tables or on origins. */
uint64_t at_opts_hash(const at_opts *set);

#endif
