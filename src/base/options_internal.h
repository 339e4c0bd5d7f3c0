/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the option table share. */
#ifndef AT_BASE_OPTIONS_INTERNAL_H
#define AT_BASE_OPTIONS_INTERNAL_H

#include "src/base/options.h"

/* One key of a set, with the value's owner and history. */
typedef struct at_opt_entry {
  const at_opt *opt;         /* borrowed from its table */
  const at_opt_table *table; /* borrowed */
  void *field;               /* where the value lives; borrowed */
  char *origin;              /* owned: "default", "run.yaml:12", "command line" */
  char *text;                /* owned: a STR's value */
  at_strlist list;           /* owned: a LIST's value */
  bool is_set, is_given;     /* has any value; has one that is not the default */
  int loaded_by;             /* number of the load that set it last: finds duplicates */
} at_opt_entry;

struct at_opts {
  at_opt_entry *entry; /* owned */
  int count, capacity;
  int loads;
};

enum { AT_OPT_KEY_MAX = 128, AT_OPT_RULE_MAX = 256 };

at_opt_entry *at_opts_find(const at_opts *set, const char *key);                 /* NULL if unknown */
bool at_opts_is_section(const at_opts *set, const char *key);                    /* some key begins with "key." */
at_err at_opts_unknown(const at_opts *set, const char *key, const char *origin); /* raises */

/* The strict setters.  A failure leaves the old value.  `origin` is copied. */
at_err at_opt_assign(at_opt_entry *e, const char *text, const char *origin);
at_err at_opt_assign_list(at_opt_entry *e, const char *const *item, int64_t count, const char *origin);
/* "a number from 0 to 10"; into buf[AT_OPT_RULE_MAX], which is returned */
const char *at_opt_rule(const at_opt *opt, char *buf);

void at_opt_print_value(const at_opt_entry *e, FILE *out); /* as YAML */
/* The value as text for messages and hashing, exactly; a list calls back once for each item. */
void at_opt_visit_value(const at_opt_entry *e, void (*piece)(void *user, const char *text), void *user);

#endif
