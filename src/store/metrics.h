/* SPDX-License-Identifier: BSD-3-Clause */
/* metrics.h5: one row of numbers a round, columns registered once, the whole file rewritten and renamed each time.
 *
 * The file is kept in memory, where a new row costs little; what goes to disk is its image (see publisher.h).
 *
 * /round is i64[rounds] and the dimension scale of every column; a column is f64[rounds] or f64[rounds][width]
 * under its name.  Only rank 0 has such an object; nothing here is collective. */
#ifndef AT_STORE_METRICS_H
#define AT_STORE_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/status.h"
#include "src/store/provenance.h"
#include "src/store/publisher.h"

typedef struct at_metrics at_metrics;

/* Nothing is read or written yet.  path is copied; prov is borrowed, may be NULL.  publisher: borrowed; NULL: the file is
 * on disk when at_metrics_flush returns. */
at_err at_metrics_create(at_metrics **out, const char *path, const at_provenance *prov, at_publisher *publisher);
void at_metrics_destroy(at_metrics *m); /* does not write, waits for the publisher; accepts NULL */

/* A new column; before the first row.  width 1: a number a round; more: one per silo, layer, ... (`axis` names what).
 * is_volatile: depends on the machine's speed (times), not compared by diff.  *column: its handle.
 * name may hold slashes ("bytes/reduce_sent").  Text is copied. */
at_err at_metrics_add(at_metrics *m, const char *name, const char *units, const char *description, int width,
                      const char *axis, bool is_volatile, int *column);

/* Names of the places along an axis, stored beside its numbers as /axis/<axis>_name; before the first flush.  Copied. */
at_err at_metrics_name_axis(at_metrics *m, const char *axis, int n, const char *const *names);

/* Values of the row in the making; what is not set is NaN. */
void at_metrics_set(at_metrics *m, int column, double value);             /* width 1 */
void at_metrics_set_all(at_metrics *m, int column, const double *values); /* values[width] */
/* The row is complete and belongs to `round`, which must be larger than the last one's. */
at_err at_metrics_end_row(at_metrics *m, int64_t round);

int64_t at_metrics_rows(const at_metrics *m);
/* Column values of a finished row: pointer to width numbers; valid until the next row. */
const double *at_metrics_get(const at_metrics *m, int column, int64_t row);

/* Rewrite the file: now if `force` (at each checkpoint and at the end), else only if ten seconds have passed since the
 * last time.  With a publisher the file follows in the background, before any image that is put later. */
at_err at_metrics_flush(at_metrics *m, bool force);
/* Resume: read the rows up to and including round `last` from the file into the registered columns (columns that the
 * file lacks become NaN; a column of another width is AT_ERR_STATE).  No file: no rows.  Before the first row. */
at_err at_metrics_load(at_metrics *m, int64_t last);

#endif
