/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that are not systems: each takes the arguments after its name.  All return the same code on every rank. */
#ifndef AT_SIM_COMMANDS_H
#define AT_SIM_COMMANDS_H

#include "sim/session.h"

at_err at_bench_main(at_session *s, int argc, char **argv);    /* bench.c */
at_err at_plan_main(at_session *s, int argc, char **argv);     /* plan.c */
at_err at_verify_main(at_session *s, int argc, char **argv);   /* verify.c */
at_err at_generate_main(at_session *s, int argc, char **argv); /* generate.c */
at_err at_markov_main(at_session *s, int argc, char **argv);   /* markov.c */
at_err at_table_main(at_session *s, int argc, char **argv);    /* table.c */
at_err at_inspect_main(at_session *s, int argc, char **argv);  /* files.c */
at_err at_diff_main(at_session *s, int argc, char **argv);     /* files.c */

#endif
