/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll bench WHAT`: measurements of this machine with the program's own parts. */
#include "sim/bench.h"

#include <stdio.h>
#include <string.h>

#include "sim/commands.h"

static const struct {
  const char *name, *usage;
  at_err (*run)(at_session *s, int argc, char **argv); /* collective */
} benches[] = {
    {"graph", "graph preset=NAME [batch=N precision=f32|bf16], or graph [CONFIG.yaml] [key=value ...]; graph --help",
     at_bench_graph},
    {"comm", "comm [key=value ...]      means over ranks by size, codec and algorithm; comm --help", at_bench_comm},
    {"overlap", "overlap [key=value ...]   a mean hidden behind a backward pass; overlap --help", at_bench_overlap},
};
enum { N_BENCHES = sizeof benches / sizeof benches[0] };

at_err at_bench_main(at_session *s, int argc, char **argv) {
  char usage[512] = "";
  for (int i = 0; i < N_BENCHES; i++) {
    if (argc > 0 && strcmp(argv[0], benches[i].name) == 0) {
      return benches[i].run(s, argc - 1, argv + 1);
    }
    snprintf(usage + strlen(usage), sizeof usage - strlen(usage), "%s atoll bench %s", i > 0 ? "\n      " : "",
             benches[i].usage);
  }
  return AT_FAIL(AT_ERR_ARG, "Usage:%s", usage);
}
