/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll data table`: tables from R packages, MovieLens among them. */
#include <string.h>

#include "data/tables/sets.h"
#include "src/base/alloc.h"
#include "src/store/fs.h"

#define MLBENCH   "r-cran-mlbench", "usr/lib/R/site-library/mlbench/data/"
#define KERNLAB   "r-cran-kernlab", "usr/lib/R/site-library/kernlab/data/"
#define MODELDATA "r-cran-modeldata", "usr/lib/R/site-library/modeldata/data/Rdata.rdb"
#define DSLABS    "r-cran-dslabs", "usr/lib/R/site-library/dslabs/data/Rdata.rdb"

const at_table_row at_table_rows[] = {
    {"movielens", "Ratings of films; users are clients.", DSLABS, "movielens", NULL, "userId", NULL},
    {"letters", "Letters by 16 numbers of their shape.", MLBENCH "LetterRecognition.rda", "LetterRecognition", "lettr",
     NULL, NULL},
    {"shuttle", "States of a space shuttle's radiators.", MLBENCH "Shuttle.rda", "Shuttle", "Class", NULL, NULL},
    {"satellite", "Ground by satellite pixels.", MLBENCH "Satellite.rda", "Satellite", "classes", NULL, NULL},
    {"dna", "Splice junctions.", MLBENCH "DNA.rda", "DNA", "Class", NULL, NULL},
    {"vowel", "Vowels; speakers are clients.", MLBENCH "Vowel.rda", "Vowel", "Class", "V1", NULL},
    {"vehicle", "Vehicles by their silhouettes.", MLBENCH "Vehicle.rda", "Vehicle", "Class", NULL, NULL},
    {"pima", "Diabetes.", MLBENCH "PimaIndiansDiabetes.rda", "PimaIndiansDiabetes", "diabetes", NULL, NULL},
    {"breast", "Tumours.", MLBENCH "BreastCancer.rda", "BreastCancer", "Class", NULL, "Id"},
    {"soybean", "Diseases of soybeans.", MLBENCH "Soybean.rda", "Soybean", "Class", NULL, NULL},
    {"ionosphere", "Radar returns.", MLBENCH "Ionosphere.rda", "Ionosphere", "Class", NULL, NULL},
    {"sonar", "Sonar returns of rocks and cylinders.", MLBENCH "Sonar.rda", "Sonar", "Class", NULL, NULL},
    {"glass", "Kinds of glass.", MLBENCH "Glass.rda", "Glass", "Type", NULL, NULL},
    {"housing", "House prices, a number.", MLBENCH "BostonHousing.rda", "BostonHousing", "medv", NULL, NULL},
    {"spam", "Mails by frequencies of words.", KERNLAB "spam.rda", "spam", "type", NULL, NULL},
    {"income", "Brackets of income.", KERNLAB "income.rda", "income", "INCOME", NULL, NULL},
    {"musk", "Molecules.", KERNLAB "musk.rda", "musk", "Class", NULL, NULL},
    {"lending", "Loans.", MODELDATA, "lending_club", "Class", NULL, NULL},
    {"churn", "Customers who left.", MODELDATA, "mlc_churn", "churn", NULL, NULL},
    {"ames", "House prices, a number; quarters are clients.", MODELDATA, "ames", "Sale_Price", "Neighborhood", NULL},
    {"gapminder", "Life expectancy, a number; countries are clients.", DSLABS, "gapminder", "life_expectancy",
     "country", NULL},
    {.name = NULL},
};

typedef struct table_cfg {
  char *dir, *name;
  double validation, test;
  int64_t seed;
} table_cfg;

static const at_opt option_rows[] = {
    AT_OPT_STR(table_cfg, dir, "dir", NULL, "Folder that 'jobs/fetch-examples DIR tables' filled.",
               .is_volatile = true),
    AT_OPT_STR(table_cfg, name, "name", NULL, "Which table; see below."),
    AT_OPT_F64(table_cfg, validation, "validation", "0.1", 0, 0.5, "",
               "Fraction of each client's rows for validation."),
    AT_OPT_F64(table_cfg, test, "test", "0.2", 0, 0.5, "", "Fraction of each client's rows for testing."),
    AT_OPT_INT(table_cfg, seed, "seed", "1", 0, 9007199254740992.0, "", "Decides which rows go where."),
};
static const at_opt_table option_table = AT_OPT_TABLE("Table", option_rows);

at_err at_data_table_help(FILE *out) {
  table_cfg cfg;
  AT_TRY(at_data_help(out, &option_table, &cfg));
  fprintf(out, "\nTables:\n");
  for (const at_table_row *r = at_table_rows; r->name != NULL; r++) {
    fprintf(out, "  %-10s %s (%s)\n", r->name, r->help, r->package);
  }
  return AT_OK;
}

static at_err load(const at_table_row *row, const char *path, at_table *t) {
  at_r_file *file;
  const at_r *value;
  AT_TRY(at_r_open(&file, path, row->object, &value));
  at_err err = at_frame_from_r(&t->frame, path, value);
  at_r_close(file);
  AT_TRY(err);
  return row->target != NULL ? at_table_set_up(t, path, row->target, row->client, row->skip)
                             : at_table_set_up_ratings(t, path, row->client, "movieId", "rating");
}

static at_err build(const at_data_args *args, const at_opts *opts, const at_table_row *row, const table_cfg *cfg) {
  char *path = NULL;
  at_table t = {.rule = {.seed = (uint64_t)cfg->seed, .validation = cfg->validation, .test = cfg->test}};
  at_err err = at_fs_path(&path, "%s/%s/%s", cfg->dir, row->package, row->path);
  err = at_comm_agree(args->world, err == AT_OK ? load(row, path, &t) : err);
  if (err == AT_OK) {
    const at_set_head head = {.description = row->help,
                              .input = t.field[0].name,
                              .target = t.field[1].name,
                              .classes = at_table_classes(&t),
                              .class_names = at_table_class_names(&t),
                              .items = t.n_items,
                              .dir = cfg->dir};
    const at_build_spec spec = {
        .noun = "client", .field = t.field, .n_fields = 2, .n_units = t.n_units, .make = at_table_make, .context = &t};
    err = at_build_set(args, opts, &spec, &head);
  }
  at_table_free(&t);
  at_free(path);
  return err;
}

at_err at_data_table_run(const at_data_args *args) {
  table_cfg cfg;
  at_opts *opts = NULL;
  const at_table_row *row = at_table_rows;
  at_err err = at_comm_agree(args->world, at_data_options(args, &option_table, &cfg, &opts));
  if (err == AT_OK) {
    while (row->name != NULL && strcmp(row->name, cfg.name) != 0) {
      row++;
    }
    err = row->name != NULL
              ? build(args, opts, row, &cfg)
              : at_opts_reject(opts, "name", "there is no such table; `atoll data table --help` lists them");
  }
  at_opts_destroy(opts);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}
