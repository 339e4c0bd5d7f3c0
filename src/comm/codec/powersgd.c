/* SPDX-License-Identifier: BSD-3-Clause */
/* PowerSGD's row in the table of codecs. */
#include <math.h>

#include "src/comm/codec/codec_internal.h"

static at_err check(const at_codec_cfg *cfg) {
  if (cfg->rank < 1 || cfg->rank > 64) {
    return AT_FAIL(AT_ERR_CONFIG, "rank = %lld: powersgd takes 1 to 64", (long long)cfg->rank);
  }
  return AT_OK;
}

/* A projection onto r directions never adds, and takes nothing away that is sure for a single step. */
static void law_of(const at_codec_cfg *cfg, int64_t n, at_codec_law *law) {
  (void)cfg;
  (void)n;
  law->contractive = true;
}

/* A square matrix of n elements: 4 r (rows + columns). */
static int64_t bytes_of(const at_codec_cfg *cfg, int64_t n, bool *exact) {
  (void)exact;
  const int64_t side = (int64_t)ceil(sqrt((double)n));
  const int64_t bytes = 8 * cfg->rank * side;
  return bytes < 4 * n ? bytes : 4 * n;
}

const at_codec_row at_codec_row_powersgd = {
    .name = "powersgd",
    .wire = 13,
    .fields = "rank averaged start",
    .help = "Low rank by one step of the power method; for matrices.",
    .sum = AT_SUM_LINEAR,
    .memory = AT_MEMORY_RESIDUAL,
    .check = check,
    .law = law_of,
    .bytes = bytes_of,
};
