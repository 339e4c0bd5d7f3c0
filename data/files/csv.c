/* SPDX-License-Identifier: BSD-3-Clause */
/* CSV files as examples: `label` names the column to be predicted, `client` the one whose values are clients. */
#include "data/files/files.h"
#include "data/tables/sets.h"
#include "src/base/alloc.h"

at_err at_csv_open(at_file_set *set) {
  const at_files_cfg *cfg = set->cfg;
  at_table *t;
  if (cfg->path.count != 1 || cfg->test.count != 0) {
    return AT_FAIL(AT_ERR_CONFIG, "format=csv: give one file as path, and none as test");
  }
  AT_TRY(at_alloc(&t, 1, sizeof *t, "table"));
  set->data = t;
  t->rule = set->rule;
  AT_TRY(at_frame_from_csv(&t->frame, cfg->path.item[0]));
  const char *label = cfg->label[0] != 0 ? cfg->label : t->frame.column[t->frame.n - 1].name;
  AT_TRY(at_table_set_up(t, cfg->path.item[0], label, cfg->client, NULL));
  set->field[0] = t->field[0];
  set->field[1] = t->field[1];
  set->n_units = t->n_units;
  set->classes = at_table_classes(t);
  set->class_names = at_table_class_names(t);
  return AT_OK;
}

at_err at_csv_make(void *set, int64_t unit, at_block *out) {
  return at_table_make(((at_file_set *)set)->data, unit, out);
}

void at_csv_close(at_file_set *set) {
  if (set->data != NULL) {
    at_table_free(set->data);
    at_free(set->data);
  }
}
