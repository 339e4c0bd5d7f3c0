/* SPDX-License-Identifier: BSD-3-Clause */
/* Building a data set of examples: ranks share the making of clients, rank 0 writes them in order, so that the file is the
 * same for any number of ranks.
 *
 * The file (kind "data") has the layout of TensorFlow Federated's sets, with splits beside it:
 *   /examples/<client>/<field>    [n, ...]  training
 *   /validation/<client>/<field>  [n, ...]
 *   /test/<client>/<field>        [n, ...]  (a client is only where it has examples)
 *   /class_names                  text [classes], where classes have names
 * Attributes of /: description, task ("classification" or "regression"), input, target (names of fields), classes (0:
 * regression), clients, examples_train, examples_validation, examples_test.  Attributes of a client stand on its group in each
 * split.  /origin/... lists the packages it was made from (see manifest.h). */
#ifndef AT_DATA_EXAMPLES_BUILD_H
#define AT_DATA_EXAMPLES_BUILD_H

#include "data/examples/block.h"
#include "data/kinds.h"
#include "src/base/options.h"
#include "src/base/progress.h"

/* Set up a kind's options from the command line: every rank has the same arguments and gets the same.  *opts is owned by
 * the caller, and must be destroyed after a failure too. */
at_err at_data_options(const at_data_args *args, const at_opt_table *table, void *cfg, at_opts **opts);
/* A kind's print_help, for its one table. */
at_err at_data_help(FILE *out, const at_opt_table *table, void *cfg);
/* Provenance and resolved configuration into rank 0's file (nothing where args->isa is NULL).  Collective. */
at_err at_data_provenance(const at_data_args *args, const at_opts *opts, at_h5 *file);

/* What a set is, for its root. */
typedef struct at_set_head {
  const char *description; /* one sentence */
  const char *input, *target;
  int64_t classes;                /* 0: regression */
  const char *const *class_names; /* [classes] or NULL */
  int64_t items;                  /* attribute: inputs are numbers of so many different things; 0: they are not */
  const char *dir;                /* folder of packages, for its manifest.tsv; "" or NULL: none */
} at_set_head;

typedef struct at_build_spec {
  const char *noun;      /* of a unit, for the progress line: "face" */
  const at_field *field; /* [n_fields] */
  int n_fields;
  int64_t n_units;
  /* Make unit number `unit` (one client, or none: leave the name empty).  Called on one rank for each unit. */
  at_err (*make)(void *context, int64_t unit, at_block *out);
  void *context;
} at_build_spec;

/* Zero-initialise before use. */
typedef struct at_build {
  const at_data_args *args; /* borrowed */
  at_h5 *file;              /* rank 0 */
  int64_t clients, rows[AT_SPLIT_COUNT], bytes;
} at_build;

/* Start the file.  Collective. */
at_err at_build_open(at_build *b, const at_data_args *args);
/* Make and write all units, in their order; the counts in b are the same on all ranks.  Collective.  Two clients of one name are
 * an AT_ERR_FORMAT. */
at_err at_build_clients(at_build *b, const at_build_spec *spec);
/* Write the root and provenance, and give the file its name.  AT_ERR_CONFIG when no client has training data.
 * Collective. */
at_err at_build_finish(at_build *b, const at_set_head *head, const at_opts *opts);
/* After a failure; does nothing after at_build_finish. */
void at_build_discard(at_build *b);
/* All of the above: open, clients, finish or discard.  Collective. */
at_err at_build_set(const at_data_args *args, const at_opts *opts, const at_build_spec *spec, const at_set_head *head);

#endif
