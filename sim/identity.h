/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run must not change between its checkpoints, and whether there is one to go on from. */
#ifndef AT_SIM_IDENTITY_H
#define AT_SIM_IDENTITY_H

#include "sim/session.h"
#include "src/store/run.h"

/* Part of the counters of every checkpoint: numbers of 64 bits, which HDF5 stores as a row. */
typedef struct at_identity {
  int64_t isa, threads, config_hash, data_checksum;
} at_identity;

/* Of this process under these options. */
at_identity at_identity_of(const at_session *s, const at_opts *set, int64_t data_checksum);
/* AT_ERR_STATE naming what differs and what would be right; data: the key's value, for the message. */
at_err at_identity_check(const at_identity *was, const at_identity *now, const char *data);

/* *found: the run has a checkpoint; if not, that is logged.  Collective. */
at_err at_identity_find_checkpoint(const at_run *run, at_session *s, bool *found);

#endif
