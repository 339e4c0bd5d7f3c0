/* SPDX-License-Identifier: BSD-3-Clause */
/* A run goes on only as what it was. */
#include "sim/identity.h"

#include "src/base/alloc.h"
#include "src/store/ckpt.h"

at_identity at_identity_of(const at_session *s, const at_opts *set, int64_t data_checksum) {
  return (at_identity){.isa = s->pin.isa,
                       .threads = s->pin.threads,
                       .config_hash = (int64_t)at_opts_hash(set),
                       .data_checksum = data_checksum};
}

at_err at_identity_check(const at_identity *was, const at_identity *now, const char *data) {
  if (was->config_hash != now->config_hash) {
    return AT_FAIL(AT_ERR_STATE, "the checkpoint was written under another configuration: put config.yaml back, or "
                                 "start a new run");
  }
  if (was->data_checksum != now->data_checksum) {
    return AT_FAIL(AT_ERR_STATE,
                   "%s has other contents than the data set that the run began with: put that back, or "
                   "start a new run",
                   data);
  }
  if (was->isa != now->isa) {
    return AT_FAIL(AT_ERR_STATE, "the run began with instruction set %s, this process uses %s: set ATOLL_ISA=%s",
                   at_isa_name((at_isa)was->isa), at_isa_name((at_isa)now->isa), at_isa_name((at_isa)was->isa));
  }
  if (was->threads != now->threads) {
    return AT_FAIL(AT_ERR_STATE,
                   "the run began with %lld threads per rank, this process has %lld: set "
                   "ATOLL_THREADS=%lld",
                   (long long)was->threads, (long long)now->threads, (long long)was->threads);
  }
  return AT_OK;
}

at_err at_identity_find_checkpoint(const at_run *run, at_session *s, bool *found) {
  int64_t n = 0, *rounds = NULL;
  at_err err = AT_OK;
  if (at_comm_rank(s->world) == 0) {
    err = at_ckpt_list(at_run_folder(run), &n, &rounds);
    at_free(rounds);
  }
  AT_TRY(at_comm_agree(s->world, err));
  AT_TRY(at_comm_bcast(s->world, 0, &n, sizeof n));
  *found = n > 0;
  if (n == 0) {
    at_log_info(s->log, "resume", "no checkpoint yet, starting from round 0");
  }
  return AT_OK;
}
