/* SPDX-License-Identifier: BSD-3-Clause */
/* atoll: a table of commands. */
#include <stdlib.h>
#include <string.h>

#include "data/kinds.h"
#include "sim/commands.h"
#include "sim/session.h"
#include "src/base/fault.h"
#include "src/base/signals.h"
#include "src/comm/collective/reduce_cfg.h"
#include "src/net/clock.h"
#include "src/store/provenance.h"

static at_err list_main(at_session *s, int argc, char **argv);
static at_err data_main(at_session *s, int argc, char **argv);

typedef struct command {
  const char *name, *usage, *help;
  at_err (*run)(at_session *s, int argc, char **argv); /* arguments after the command's name */
} command;

static const command commands[] = {
    {"resume", "RUN", "Go on from the newest good checkpoint.", at_resume_main},
    {"plan", "[--ranks N] [--nodes M] CONFIG.yaml [key=value ...]",
     "Memory, files, bytes and time of a run before it is started, and what to change where something does not fit.",
     at_plan_main},
    {"verify", "RUN [key=value ...]",
     "Check a run: checksums, provenance, retention, and rounds that are played again; exit code 1 if something is "
     "wrong.",
     at_verify_main},
    {"data", "KIND OUT.h5 [key=value ...]", "Build a federated data set.", data_main},
    {"generate", "CHECKPOINT.h5 \"prompt\" [key=value ...]", "Sample text from a language model.", at_generate_main},
    {"markov", "RUN", "Byte Markov models of the text that a run consumed, as a yardstick.", at_markov_main},
    {"table", "RUN [RUN ...]", "Losses of several runs side by side.", at_table_main},
    {"inspect", "FILE.h5", "What is in a file, as tables.", at_inspect_main},
    {"diff", "A B", "Compare two files or runs, tensor by tensor; exit code 1 at a difference.", at_diff_main},
    {"bench", "WHAT [key=value ...]", "Measure this machine: `graph` times a training step by operation.",
     at_bench_main},
    {"list", "", "Systems, methods, data sets, codecs, devices.", list_main},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *out) {
  fprintf(out, "atoll " AT_VERSION ": federated and adaptive learning of foundation models, over MPI\n\n");
  for (int i = 0; at_system_at(i) != NULL; i++) {
    fprintf(out, "  atoll %s CONFIG.yaml [key=value ...]\n      %s\n", at_system_at(i)->name, at_system_at(i)->summary);
  }
  for (int i = 0; i < N_COMMANDS; i++) {
    fprintf(out, "  atoll %s %s\n      %s\n", commands[i].name, commands[i].usage, commands[i].help);
  }
  fprintf(
      out,
      "\n`atoll COMMAND --help` tells more.  Exit codes: 0 done, 1 states differ, 2 bad arguments or configuration, "
      "3 files,\n4 in use or does not fit, 5 memory, 6 MPI or HDF5, 7 numbers, 75 interrupted and saved (resume "
      "it), 76 stalled.\nATOLL_ISA=ref|avx2|avx512|avx512bf16 pins the instruction set, ATOLL_THREADS the threads of a "
      "rank.\n");
}

static at_err list_main(at_session *s, int argc, char **argv) {
  (void)argc, (void)argv;
  if (at_comm_rank(s->world) != 0) {
    return AT_OK;
  }
  printf("systems\n");
  for (int i = 0; at_system_at(i) != NULL; i++) {
    printf("  %-14s %s\n", at_system_at(i)->name, at_system_at(i)->summary);
    at_system_at(i)->list(stdout);
  }
  printf("data sets\n");
  for (int i = 0; at_data_kinds[i].name != NULL; i++) {
    printf("  %-14s %s\n", at_data_kinds[i].name, at_data_kinds[i].help);
  }
  printf("codecs (exchange.up.codec, exchange.down.codec)\n");
  for (int i = 0; at_codec_names[i] != NULL; i++) {
    printf("  %-14s %s\n", at_codec_names[i], at_codec_help(i));
  }
  printf("algorithms (exchange.algorithm)\n ");
  for (int i = 0; at_algorithm_names[i] != NULL; i++) {
    printf(" %s", at_algorithm_names[i]);
  }
  printf("\ndevices (net.device)\n");
  for (int i = 0; at_device_at(i) != NULL; i++) {
    printf("  %-14s %s\n", at_device_at(i)->name, at_device_at(i)->source);
  }
  return AT_OK;
}

static at_err data_main(at_session *s, int argc, char **argv) {
  const at_data_kind *kind = argc > 0 ? at_data_kind_find(argv[0]) : NULL;
  if (kind == NULL) {
    return AT_FAIL(AT_ERR_ARG, "Usage: atoll data KIND OUT.h5 [key=value ...]; `atoll list` shows the kinds%s%s",
                   argc > 0 ? ", there is no " : "", argc > 0 ? argv[0] : "");
  }
  if (argc == 1 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
    return at_comm_rank(s->world) == 0 ? kind->print_help(stdout) : AT_OK;
  }
  at_data_args args = {.world = s->world,
                       .log = s->log,
                       .out = argv[1],
                       .n_assignments = argc - 2,
                       .assignments = (const char *const *)(argv + 2),
                       .isa = s->kernels->isa_name,
                       .threads = s->pin.threads};
  return kind->run(&args);
}

static at_err dispatch(at_session *s, int argc, char **argv) {
  const at_system *system = at_system_find(argv[1]);
  if (system != NULL) {
    return at_system_main(s, system, argc - 2, argv + 2);
  }
  for (int i = 0; i < N_COMMANDS; i++) {
    if (strcmp(argv[1], commands[i].name) != 0) {
      continue;
    }
    bool help = argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0);
    if (help && commands[i].run != data_main && commands[i].run != at_generate_main &&
        commands[i].run != at_verify_main) {
      if (at_comm_rank(s->world) == 0) {
        printf("Usage: atoll %s %s\n%s\n", commands[i].name, commands[i].usage, commands[i].help);
      }
      return AT_OK;
    }
    return commands[i].run(s, argc - 2, argv + 2);
  }
  return AT_FAIL(AT_ERR_ARG, "there is no command %s: `atoll --help` lists them", argv[1]);
}

/* Results depend on both, so all ranks must have the same. */
static at_err check_pins(at_comm *world, at_pin pin) {
  int64_t most[] = {(int64_t)pin.isa, -(int64_t)pin.isa, pin.threads, -pin.threads};
  AT_TRY(at_comm_allreduce(world, AT_COMM_I64, AT_COMM_MAX, most, 4));
  if (most[0] != -most[1]) {
    return AT_FAIL(AT_ERR_CONFIG, "ranks use instruction sets from %s to %s: set ATOLL_ISA=%s on all of them",
                   at_isa_name((at_isa)-most[1]), at_isa_name((at_isa)most[0]), at_isa_name((at_isa)-most[1]));
  }
  if (most[2] != -most[3]) {
    return AT_FAIL(AT_ERR_CONFIG, "ranks have from %lld to %lld threads: set ATOLL_THREADS to the same on all of them",
                   (long long)-most[3], (long long)most[2]);
  }
  return AT_OK;
}

/* Everything between the start and the end of MPI. */
static at_err session(int argc, char **argv, at_session *s) {
  at_fault_init(at_comm_rank(s->world));
  at_err err = at_log_create(&s->log, at_comm_rank(s->world), AT_LOG_INFO);
  if (err == AT_OK) {
    err = at_signals_init();
  }
  AT_TRY(at_comm_agree(s->world, err));
  AT_TRY(check_pins(s->world, s->pin));
  return dispatch(s, argc, argv);
}

/* The session, if pinning went well everywhere, and what became of it. */
static at_err run(int argc, char **argv, at_comm *world, at_pin pin, at_err pinned) {
  static at_kernels kernels; /* written here, once */
  at_session s = {.world = world, .kernels = &kernels, .pin = pin};
  at_err err = at_comm_agree(world, pinned);
  if (err == AT_OK) {
    at_kernels_init(&kernels, pin.isa);
    kernels.threads = pin.threads;
    err = session(argc, argv, &s);
  }
  if (err == AT_ERR_MPI) {
    at_comm_abort(world, err);
  }
  /* one message for all ranks: commands agree before they return */
  if (err != AT_OK && err != AT_ERR_DIFFERENT && at_comm_rank(world) == 0) {
    fprintf(stderr, "atoll: %s\n", at_err_message());
    if (getenv("ATOLL_TRACE") != NULL) {
      at_err_print_trace(stderr);
    }
  }
  at_log_destroy(s.log);
  return err;
}

int main(int argc, char **argv) {
  if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
    print_usage(argc < 2 ? stderr : stdout);
    return argc < 2 ? 2 : 0;
  }
  if (strcmp(argv[1], "--version") == 0) {
    printf("atoll " AT_VERSION "\n");
    return 0;
  }
  at_pin pin = {0};
  at_comm *world = NULL;
  at_err pinned = at_isa_pin(argv, &pin); /* a failure waits until it can be told once */
  at_err err = at_comm_init(&argc, &argv, &world);
  if (err != AT_OK) {
    fprintf(stderr, "atoll: %s\n", at_err_message());
    return at_err_exit_code(err);
  }
  err = run(argc, argv, world, pin, pinned);
  at_comm_fini(world);
  return at_err_exit_code(err);
}
