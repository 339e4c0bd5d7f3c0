/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of silos, the silos a user names, and what the manifest says of their packages. */
#include "data/text/silos.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "data/text/inflate.h"
#include "src/base/alloc.h"

#define MAN(lang) "usr/share/man/" lang "/man*"

const at_silo_row at_silo_rows[] = {
    {"en", "English manual pages", "en", "man", "usr/share/man/man*", {"manpages", "manpages-dev"}, true, false},
    {"novels",
     "English novels",
     "en",
     "rdb",
     "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb",
     {"r-cran-janeaustenr"},
     false,
     false},
    {"bible",
     "English Bible",
     "en",
     "sword",
     "usr/share/sword/modules/texts/ztext/engWEB*/*.bzs",
     {"sword-text-web"},
     false,
     false},
    {"fortunes",
     "English fortune cookies",
     "en",
     "fortunes",
     "usr/share/games/fortunes",
     {"fortunes", "fortunes-min"},
     false,
     false},
    {"perl", "Perl manual", "en", "pod", "usr/share/perl/*/pod", {"perl-doc"}, false, false},
    {"de", "German manual pages", "de", "man", MAN("de"), {"manpages-de", "manpages-de-dev"}, false, true},
    {"fr", "French manual pages", "fr", "man", MAN("fr"), {"manpages-fr", "manpages-fr-dev"}, false, true},
    {"ru", "Russian manual pages", "ru", "man", MAN("ru"), {"manpages-ru", "manpages-ru-dev"}, false, true},
    {"ja", "Japanese manual pages", "ja", "man", MAN("ja"), {"manpages-ja", "manpages-ja-dev"}, false, true},
    {"pl", "Polish manual pages", "pl", "man", MAN("pl"), {"manpages-pl", "manpages-pl-dev"}, false, true},
    {"zh", "Chinese manual pages, simplified", "zh_CN", "man", MAN("zh_CN"), {"manpages-zh"}, false, true},
    {"es", "Spanish manual pages", "es", "man", MAN("es"), {"manpages-es", "manpages-es-dev"}, true, true},
    {"uk", "Ukrainian manual pages", "uk", "man", MAN("uk"), {"manpages-uk", "manpages-uk-dev"}, true, true},
    {"tr", "Turkish manual pages", "tr", "man", MAN("tr"), {"manpages-tr"}, true, true},
    {"licences", "licence texts of a system", "en", "plain", "usr/share/common-licenses", {NULL}, false, false},
    {"copyright", "copyright files of a system", "en", "plain", "usr/share/doc/*/copyright", {NULL}, false, false},
    {NULL, NULL, NULL, NULL, NULL, {NULL}, false, false},
};

const at_silo_row *at_silo_find(const char *name) {
  for (const at_silo_row *row = at_silo_rows; row->name != NULL; row++) {
    if (strcmp(row->name, name) == 0) {
      return row;
    }
  }
  return NULL;
}

static at_err unknown_silo(const char *name) {
  char known[512] = "";
  for (const at_silo_row *row = at_silo_rows; row->name != NULL; row++) {
    size_t n = strlen(known);
    snprintf(known + n, sizeof known - n, " %s", row->name);
  }
  return AT_FAIL(AT_ERR_CONFIG, "silos: there is no '%s'; expected all, small, or some of%s (others: silo=NAME:PATH)",
                 name, known);
}

static at_err add(at_silo_list *list, const at_silo *silo) {
  for (int64_t i = 0; i < list->count; i++) {
    if (strcmp(list->item[i].name, silo->name) == 0) {
      return AT_FAIL(AT_ERR_CONFIG, "silo '%s' is named twice; give the second another name", silo->name);
    }
  }
  AT_TRY(at_realloc(&list->item, (size_t)list->count + 1, sizeof *list->item, "silos"));
  list->item[list->count++] = *silo;
  return AT_OK;
}

static at_err add_row(at_silo_list *list, const at_silo_row *row, bool required) {
  at_silo silo = {.row = row, .required = required};
  snprintf(silo.name, sizeof silo.name, "%s", row->name);
  return add(list, &silo);
}

static at_err add_named(at_silo_list *list, const char *name, bool system) {
  bool all = strcmp(name, "all") == 0, small = strcmp(name, "small") == 0;
  if (!all && !small) {
    const at_silo_row *row = at_silo_find(name);
    return row == NULL ? unknown_silo(name) : add_row(list, row, true);
  }
  for (const at_silo_row *row = at_silo_rows; row->name != NULL; row++) {
    if ((all && (system || row->packages[0] != NULL)) || (small && row->small)) {
      AT_TRY(add_row(list, row, false));
    }
  }
  return AT_OK;
}

/* Length of the name in "name:path", 0 when the item is a path alone. */
static size_t name_length(const char *item) {
  size_t n = 0;
  while (isalnum((unsigned char)item[n]) || item[n] == '_' || item[n] == '-') {
    n++;
  }
  return item[n] == ':' && n < AT_SILO_NAME_MAX ? n : 0;
}

static at_err add_own(at_silo_list *list, const at_strlist *own) {
  int64_t first = list->count;
  for (int64_t i = 0; i < own->count; i++) {
    size_t n = name_length(own->item[i]);
    if (n > 0) {
      at_silo silo = {.paths = own->item + i, .n_paths = 1};
      memcpy(silo.name, own->item[i], n);
      AT_TRY(add(list, &silo));
    } else if (list->count == first) {
      return AT_FAIL(AT_ERR_CONFIG, "silo: expected NAME:PATH[,PATH...], found '%s'", own->item[i]);
    } else {
      list->item[list->count - 1].n_paths++;
    }
  }
  return AT_OK;
}

at_err at_silo_list_create(at_silo_list *out, const at_strlist *names, const at_strlist *own, bool system) {
  at_err err = AT_OK;
  *out = (at_silo_list){0};
  for (int64_t i = 0; i < names->count && err == AT_OK; i++) {
    err = add_named(out, names->item[i], system);
  }
  if (err == AT_OK) {
    err = add_own(out, own);
  }
  if (err != AT_OK) {
    at_silo_list_free(out);
    return at_err_trace(err, __FILE__, __LINE__);
  }
  return AT_OK;
}

void at_silo_list_free(at_silo_list *list) {
  at_free(list->item);
  *list = (at_silo_list){0};
}

static void append(char *to, size_t room, const char *s, size_t n) {
  size_t at = strlen(to);
  snprintf(to + at, room - at, "%s%.*s", at > 0 ? "; " : "", (int)n, s);
}

/* The line of `package` in the manifest, NULL when there is none. */
static const char *manifest_line(const at_bytes *manifest, const char *package) {
  size_t n = strlen(package);
  for (const char *line = manifest->data; line != NULL && *line != 0;) {
    if (strncmp(line, package, n) == 0 && line[n] == '\t') {
      return line;
    }
    line = strchr(line, '\n');
    line += line != NULL;
  }
  return NULL;
}

static void read_line(at_silo_origin *out, const char *line) {
  struct {
    char *to;
    size_t room;
  } column[] = {{out->packages, sizeof out->packages},
                {out->versions, sizeof out->versions},
                {out->sha256, sizeof out->sha256},
                {out->licences, sizeof out->licences}};
  for (size_t i = 0; i < sizeof column / sizeof column[0]; i++) {
    size_t n = strcspn(line, "\t\n");
    append(column[i].to, column[i].room, line, n);
    line += n + (line[n] == '\t');
  }
}

at_err at_silo_origin_read(at_silo_origin *out, const at_silo *silo, const char *dir) {
  *out = (at_silo_origin){0};
  if (silo->row == NULL || dir[0] == 0) {
    return AT_OK;
  }
  at_bytes path = {0}, manifest = {0};
  at_bytes_str(&path, dir);
  at_bytes_str(&path, "/manifest.tsv");
  at_err err = path.err != AT_OK ? path.err : at_text_load(path.data, &manifest);
  for (int i = 0; err == AT_OK && i < AT_SILO_PACKAGES_MAX && silo->row->packages[i] != NULL; i++) {
    const char *line = manifest_line(&manifest, silo->row->packages[i]);
    if (line != NULL) {
      read_line(out, line);
    }
  }
  at_bytes_free(&path);
  at_bytes_free(&manifest);
  return err == AT_ERR_FILE ? AT_OK : err; /* a folder filled by hand has no manifest */
}
