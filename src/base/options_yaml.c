/* SPDX-License-Identifier: BSD-3-Clause */
/* Options from YAML: the events of libyaml, held against the option table. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#include "src/base/alloc.h"
#include "src/base/options_internal.h"

enum { ORIGIN_MAX = 512 };

typedef struct loader {
  at_opts *set;
  const char *name; /* of the file */
  yaml_parser_t parser;
  int load; /* number of this load */
  char **section;
  int sections;            /* mappings seen so far, to find repeated ones */
  char origin[ORIGIN_MAX]; /* "file:line" of the last event */
} loader;

/* The next event, with the kinds that a configuration has no use for refused.  The caller deletes it. */
static at_err next(loader *l, yaml_event_t *event) {
  if (!yaml_parser_parse(&l->parser, event)) {
    return AT_FAIL(AT_ERR_CONFIG, "%s:%zu: not valid YAML: %s", l->name, l->parser.problem_mark.line + 1,
                   l->parser.problem != NULL ? l->parser.problem : "it cannot be read");
  }
  snprintf(l->origin, sizeof l->origin, "%s:%zu", l->name, event->start_mark.line + 1);
  const yaml_char_t *anchor = NULL, *tag = NULL;
  switch (event->type) {
  case YAML_SCALAR_EVENT:
    anchor = event->data.scalar.anchor;
    tag = event->data.scalar.tag;
    break;
  case YAML_SEQUENCE_START_EVENT:
    anchor = event->data.sequence_start.anchor;
    tag = event->data.sequence_start.tag;
    break;
  case YAML_MAPPING_START_EVENT:
    anchor = event->data.mapping_start.anchor;
    tag = event->data.mapping_start.tag;
    break;
  case YAML_ALIAS_EVENT:
    anchor = event->data.alias.anchor;
    break;
  default:
    break;
  }
  at_err err = AT_OK;
  if (anchor != NULL) {
    err = AT_FAIL(AT_ERR_CONFIG, "%s: anchors and aliases (here %s) are not supported: write the value out", l->origin,
                  (const char *)anchor);
  } else if (tag != NULL) {
    err = AT_FAIL(AT_ERR_CONFIG, "%s: type tags (here %s) are not supported: each key has its type already", l->origin,
                  (const char *)tag);
  }
  if (err != AT_OK) {
    yaml_event_delete(event);
  }
  return err;
}

/* A scalar without NUL bytes, which would cut it short. */
static at_err scalar_text(loader *l, const yaml_event_t *event, const char **out) {
  *out = (const char *)event->data.scalar.value;
  if (strlen(*out) != event->data.scalar.length) {
    return AT_FAIL(AT_ERR_CONFIG, "%s: a NUL character inside a value", l->origin);
  }
  return AT_OK;
}

static at_err take_scalar(loader *l, at_opt_entry *e, const yaml_event_t *event) {
  const char *text = NULL;
  AT_TRY(scalar_text(l, event, &text));
  /* `key:`, `key: ~` and `key: null` look like values that were forgotten; for text, quotes make them values. */
  bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
  if (is_plain && (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)) {
    char rule[AT_OPT_RULE_MAX];
    return AT_FAIL(AT_ERR_CONFIG, "%s (%s): there is no value; expected %s, or leave the line out", e->opt->name,
                   l->origin, at_opt_rule(e->opt, rule));
  }
  return at_opt_assign(e, text, l->origin);
}

static at_err take_list(loader *l, at_opt_entry *e) {
  char **item = NULL;
  int64_t count = 0;
  char origin[ORIGIN_MAX]; /* the list's own line; items may stand on others */
  snprintf(origin, sizeof origin, "%s", l->origin);
  at_err err = AT_OK;
  for (bool more = true; err == AT_OK && more;) {
    yaml_event_t event;
    const char *text = NULL;
    AT_TRY_TO(err, done, next(l, &event));
    if (event.type == YAML_SEQUENCE_END_EVENT) {
      more = false;
    } else if (event.type != YAML_SCALAR_EVENT) {
      err = AT_FAIL(AT_ERR_CONFIG, "%s (%s): the items of a list are plain values", e->opt->name, l->origin);
    } else if ((err = scalar_text(l, &event, &text)) == AT_OK &&
               (err = at_realloc(&item, (size_t)count + 1, sizeof *item, "list")) == AT_OK &&
               (err = at_strdup(&item[count], text)) == AT_OK) {
      count++;
    }
    yaml_event_delete(&event);
  }
  if (err == AT_OK) {
    err = at_opt_assign_list(e, (const char *const *)item, count, origin);
  }
done:
  for (int64_t i = 0; i < count; i++) {
    at_free(item[i]);
  }
  at_free(item);
  return err;
}

static at_err note_section(loader *l, const char *path) {
  for (int i = 0; i < l->sections; i++) {
    if (strcmp(l->section[i], path) == 0) {
      return AT_FAIL(AT_ERR_CONFIG, "%s (%s): this section stands in the file twice: join the two", path, l->origin);
    }
  }
  AT_TRY(at_realloc(&l->section, (size_t)l->sections + 1, sizeof *l->section, "sections"));
  AT_TRY(at_strdup(&l->section[l->sections], path));
  l->sections++;
  return AT_OK;
}

static at_err take_mapping(loader *l, char *path, size_t length);

/* The value of the key that `path` spells. */
static at_err take_value(loader *l, char *path) {
  char key_origin[ORIGIN_MAX];
  snprintf(key_origin, sizeof key_origin, "%s", l->origin);
  yaml_event_t event;
  AT_TRY(next(l, &event));
  at_opt_entry *e = at_opts_find(l->set, path);
  at_err err = AT_OK;
  if (event.type == YAML_MAPPING_START_EVENT && e == NULL && at_opts_is_section(l->set, path)) {
    err = note_section(l, path);
    err = err == AT_OK ? take_mapping(l, path, strlen(path)) : err;
  } else if (e == NULL) {
    err = at_opts_unknown(l->set, path, key_origin);
  } else if (e->loaded_by == l->load) {
    err =
        AT_FAIL(AT_ERR_CONFIG, "%s (%s): the key stands in the file twice, before at %s", path, key_origin, e->origin);
  } else if (event.type == YAML_SCALAR_EVENT) {
    e->loaded_by = l->load;
    err = take_scalar(l, e, &event);
  } else if (event.type == YAML_SEQUENCE_START_EVENT) {
    e->loaded_by = l->load;
    err = take_list(l, e);
  } else {
    char rule[AT_OPT_RULE_MAX];
    err =
        AT_FAIL(AT_ERR_CONFIG, "%s (%s): found nested keys; expected %s", path, key_origin, at_opt_rule(e->opt, rule));
  }
  yaml_event_delete(&event);
  return err;
}

/* The pairs of a mapping up to its end; `path` holds its own key of `length` characters, and is used as scratch. */
static at_err take_mapping(loader *l, char *path, size_t length) {
  for (;;) {
    yaml_event_t event;
    const char *key = NULL;
    AT_TRY(next(l, &event));
    if (event.type == YAML_MAPPING_END_EVENT) {
      yaml_event_delete(&event);
      return AT_OK;
    }
    at_err err = AT_OK;
    if (event.type != YAML_SCALAR_EVENT) {
      err = AT_FAIL(AT_ERR_CONFIG, "%s: a key is a plain word", l->origin);
    } else {
      err = scalar_text(l, &event, &key);
    }
    if (err == AT_OK) {
      int n = snprintf(path + length, AT_OPT_KEY_MAX - length, "%s%s", length > 0 ? "." : "", key);
      if (n < 0 || (size_t)n >= AT_OPT_KEY_MAX - length) {
        err = AT_FAIL(AT_ERR_CONFIG, "%s: unknown key, longer than any valid one", l->origin);
      }
    }
    yaml_event_delete(&event);
    AT_TRY(err);
    AT_TRY(take_value(l, path));
    path[length] = '\0';
  }
}

/* A stream of at most one document, which is empty or a mapping. */
static at_err take_stream(loader *l) {
  char path[AT_OPT_KEY_MAX] = "";
  int documents = 0;
  for (;;) {
    yaml_event_t event;
    AT_TRY(next(l, &event));
    yaml_event_type_t type = event.type;
    bool is_empty = type == YAML_SCALAR_EVENT && event.data.scalar.length == 0;
    yaml_event_delete(&event);
    switch (type) {
    case YAML_STREAM_END_EVENT:
      return AT_OK;
    case YAML_DOCUMENT_START_EVENT:
      if (++documents > 1) {
        return AT_FAIL(AT_ERR_CONFIG, "%s: a second document begins; one file holds one configuration", l->origin);
      }
      break;
    case YAML_MAPPING_START_EVENT:
      AT_TRY(take_mapping(l, path, 0));
      break;
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
      break;
    default:
      if (!is_empty) {
        return AT_FAIL(AT_ERR_CONFIG, "%s: expected lines of the form `key: value`", l->origin);
      }
    }
  }
}

static at_err load(at_opts *set, const char *name, const char *text, size_t length, FILE *in) {
  loader l = {.set = set, .name = name, .load = ++set->loads};
  if (!yaml_parser_initialize(&l.parser)) {
    return AT_FAIL(AT_ERR_MEMORY, "%s: no memory for the YAML parser", name);
  }
  if (in != NULL) {
    yaml_parser_set_input_file(&l.parser, in);
  } else {
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)text, length);
  }
  at_err err = take_stream(&l);
  yaml_parser_delete(&l.parser);
  for (int i = 0; i < l.sections; i++) {
    at_free(l.section[i]);
  }
  at_free(l.section);
  return err;
}

at_err at_opts_load_text(at_opts *set, const char *name, const char *text, size_t length) {
  return load(set, name, text, length, NULL);
}

at_err at_opts_load_file(at_opts *set, const char *path) {
  FILE *in = fopen(path, "re");
  if (in == NULL) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot read the configuration: %s", path, strerror(errno));
  }
  struct stat s;
  if (fstat(fileno(in), &s) == 0 && S_ISDIR(s.st_mode)) {
    fclose(in);
    return AT_FAIL(AT_ERR_FILE, "%s: cannot read the configuration: it is a folder", path);
  }
  at_err err = load(set, path, NULL, 0, in);
  fclose(in);
  return err;
}
