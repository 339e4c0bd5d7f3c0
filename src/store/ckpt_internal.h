/* SPDX-License-Identifier: BSD-3-Clause */
/* What writing and reading checkpoints share. */
#ifndef AT_STORE_CKPT_INTERNAL_H
#define AT_STORE_CKPT_INTERNAL_H

#include "src/store/ckpt.h"
#include "src/store/h5_internal.h"

/* Bytes in one write or read, below what MPI-IO layers mishandle. */
#define AT_CKPT_STEP (INT64_C(1) << 28)
/* Rows of at least this many bytes are written by the rank that has them; shorter ones are first brought to the rank
 * that writes their part of the file, so that a million small rows become a few long writes. */
#define AT_CKPT_LONG_ROW 65536

/* A part of [0, n): [first, first + n). */
typedef struct at_ckpt_part {
  int64_t first, n;
} at_ckpt_part;

/* The elements of a replicated item that this rank writes or reads; small items are left to rank 0. */
at_ckpt_part at_ckpt_slice(const at_h5_desc *d, int rank, int size);
/* CRC-32 of a whole replicated item from the CRC of each rank's slice.  Collective. */
at_err at_ckpt_combine(at_comm *world, const at_h5_desc *d, uint32_t own, uint32_t *whole);

int64_t at_ckpt_row_elements(const at_h5_desc *d);
int64_t at_ckpt_row_bytes(const at_h5_desc *d);
/* Index of the first of ids[n] that is not below `id`. */
int64_t at_ckpt_lower(const int64_t *ids, int64_t n, int64_t id);
/* "<path>_crc32" with the shape of the checksums of the rows of d; path buffer given by the caller. */
enum { AT_CKPT_PATH = 512 };
at_h5_desc at_ckpt_row_crcs(const at_h5_desc *d, char path[AT_CKPT_PATH]);

/* Write the rows of an item and their checksums into the open datasets.  A rank's own trouble with the disk does not
 * stop it from serving the others; outcome agreed on.  Collective. */
at_err at_ckpt_write_rows(at_comm *world, const at_ckpt_item *item, hid_t rows, hid_t crcs);
/* Fill the rows of an item from the open file.  As above. */
at_err at_ckpt_read_rows(at_comm *world, at_h5 *f, const at_ckpt_item *item);

/* Remove the checkpoints of rounds after `newest`, and all but the last `keep` (0: keep all). */
at_err at_ckpt_retain(const char *folder, int64_t newest, int keep);

/* The file in memory from which rank 0 takes the images of a run's small checkpoints; the run owns it. */
typedef struct at_ckpt_image at_ckpt_image;
at_ckpt_image **at_run_kept_image(at_run *run);
void at_ckpt_image_destroy(at_ckpt_image *c); /* once its image is on disk; accepts NULL */
/* at_ckpt_begin's part of rank 0. */
at_err at_ckpt_image_put(at_run *run, const at_provenance *prov, int64_t round, int n, const at_ckpt_item *items,
                         int keep);
at_err at_ckpt_image_measure(const at_provenance *prov, int n, const at_ckpt_item *items, int64_t *bytes);

/* The layout beside a vector. */
at_err at_ckpt_write_layout(at_h5 *f, const at_ckpt_item *item);
at_err at_ckpt_check_layout(at_h5 *f, const at_ckpt_item *item);

#endif
