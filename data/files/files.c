/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll data files`: options and the table of formats. */
#include "data/files/files.h"

#include <string.h>

#include "data/examples/build.h"

const at_file_format at_file_formats[] = {
    {"idx", "MNIST's files, IMAGES,LABELS in pairs, gzipped or not; one client, for a partitioner to divide.",
     at_idx_open, at_images_make, at_images_close},
    {"cifar10", "CIFAR-10's binary batches; one client.", at_cifar10_open, at_images_make, at_images_close},
    {"cifar100", "CIFAR-100's binary files, fine labels; one client.", at_cifar100_open, at_images_make,
     at_images_close},
    {"leaf", "LEAF's JSON files; users are clients.", at_leaf_open, at_leaf_make, at_leaf_close},
    {"csv", "A table; label names the column to predict (the last), client the one of clients (none).", at_csv_open,
     at_csv_make, at_csv_close},
    {NULL, NULL, NULL, NULL, NULL},
};

static const char *const format_names[] = {"idx", "cifar10", "cifar100", "leaf", "csv", NULL};

static const at_opt option_rows[] = {
    AT_OPT_ENUM(at_files_cfg, format, "format", NULL, format_names, "What the files are; see below."),
    AT_OPT_LIST(at_files_cfg, path, "path", NULL, "Files of training data.", .is_volatile = true),
    AT_OPT_LIST(at_files_cfg, test, "test", "", "Files of test data; none: test_fraction of each client's examples.",
                .is_volatile = true),
    AT_OPT_F64(at_files_cfg, validation, "validation", "0", 0, 0.5, "",
               "Fraction of each client's training examples kept for validation."),
    AT_OPT_F64(at_files_cfg, test_fraction, "test_fraction", "0.1", 0, 0.5, "", "Without test files: their fraction."),
    AT_OPT_INT(at_files_cfg, seed, "seed", "1", 0, 9007199254740992.0, "", "Decides which examples go where."),
    AT_OPT_STR(at_files_cfg, label, "label", "", "csv: the column to be predicted."),
    AT_OPT_STR(at_files_cfg, client, "client", "", "csv: the column whose values are clients."),
    AT_OPT_STR(at_files_cfg, description, "description", "", "A sentence about the set, for its card."),
};
static const at_opt_table option_table = AT_OPT_TABLE("Data set from files", option_rows);

at_err at_data_files_help(FILE *out) {
  at_files_cfg cfg;
  AT_TRY(at_data_help(out, &option_table, &cfg));
  fprintf(out, "\nFormats:\n");
  for (const at_file_format *f = at_file_formats; f->name != NULL; f++) {
    fprintf(out, "  %-10s %s\n", f->name, f->help);
  }
  return AT_OK;
}

at_split at_file_split(const at_file_set *set, const char *client, int64_t i) {
  return at_split_draw(&set->rule, client, (uint64_t)i);
}

static at_err build(const at_data_args *args, const at_opts *opts, at_file_set *set) {
  const at_file_format *format = &at_file_formats[set->cfg->format];
  char text[256];
  set->field[1] = (at_field){.name = "label", .type = AT_H5_I32, .units = "1", .description = "Class, from 0."};
  AT_TRY(at_comm_agree(args->world, format->open(set)));
  snprintf(text, sizeof text, "Examples from %s files.", format->name);
  const at_set_head head = {.description = set->cfg->description[0] != 0 ? set->cfg->description : text,
                            .input = set->field[0].name,
                            .target = set->field[1].name,
                            .classes = set->classes,
                            .class_names = set->class_names};
  const at_build_spec spec = {.noun = "client",
                              .field = set->field,
                              .n_fields = 2,
                              .n_units = set->n_units,
                              .make = format->make,
                              .context = set};
  return at_build_set(args, opts, &spec, &head);
}

at_err at_data_files_run(const at_data_args *args) {
  at_files_cfg cfg;
  at_opts *opts = NULL;
  at_file_set set = {.cfg = &cfg};
  at_err err = at_comm_agree(args->world, at_data_options(args, &option_table, &cfg, &opts));
  if (err == AT_OK) {
    set.rule = (at_split_rule){
        .seed = (uint64_t)cfg.seed, .validation = cfg.validation, .test = cfg.test.count > 0 ? 0 : cfg.test_fraction};
    err = build(args, opts, &set);
    at_file_formats[cfg.format].close(&set);
  }
  at_opts_destroy(opts);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}
