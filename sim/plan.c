/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll plan`: what a run will take, beside what there is, and which key to change where it does not fit. */
#include "sim/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/commands.h"
#include "sim/limits.h"
#include "src/base/alloc.h"
#include "src/base/fmt.h"

double at_plan_total(const at_plan_sum *s) {
  double sum = 0;
  for (int i = 0; i < s->n; i++) {
    sum += s->row[i].value;
  }
  return sum;
}

void at_plan_add(at_plan_sum *s, const char *name, double value, const char *advice) {
  if (value > 0 && s->n < AT_PLAN_ROWS) {
    s->row[s->n++] = (at_plan_row){name, value, advice};
  }
}

/* ---- the tables ---- */

/* A size as people read it, and exactly. */
static void bytes_line(const char *indent, const char *name, double bytes, const char *remark) {
  char text[AT_FMT_MAX];
  printf("%s%-*s %12s  %15.0f B%s%s\n", indent, 32 - (int)strlen(indent), name,
         at_fmt_bytes(text, (int64_t)fmin(bytes, 9e18)), bytes, remark[0] != '\0' ? "  " : "", remark);
}

static void seconds_line(const char *indent, const char *name, double seconds, const char *remark) {
  char text[AT_FMT_MAX];
  printf("%s%-*s %12s  %15.3f s%s%s\n", indent, 32 - (int)strlen(indent), name, at_fmt_duration(text, seconds), seconds,
         remark[0] != '\0' ? "  " : "", remark);
}

/* "of 22.1 GiB (available on this machine): fits" */
static void judge(char *out, size_t size, double wanted, const at_limit *l, const char *have) {
  if (l->value < 0) {
    snprintf(out, size, "limit unknown");
  } else {
    snprintf(out, size, "of %s (%s): %s", have, l->source, wanted <= l->value ? "fits" : "TOO MUCH");
  }
}

/* The largest part and what makes it smaller, into `advice`. */
static void advise(char *advice, size_t size, const char *what, const at_plan_sum *s) {
  const at_plan_row *most = &s->row[0];
  for (int i = 1; i < s->n; i++) {
    most = s->row[i].value > most->value ? &s->row[i] : most;
  }
  size_t n = strlen(advice);
  snprintf(advice + n, size - n, "%stoo much %s, most of it %s: %s", n > 0 ? "; " : "", what, most->name, most->advice);
}

enum { ADVICE = 768 };

static void show_memory(const at_plan *p, int nodes, char advice[ADVICE]) {
  char remark[256], have[AT_FMT_MAX], name[64];
  int ranks = nodes > 0 ? (p->ranks + nodes - 1) / nodes : at_limit_ranks_per_node(p->ranks);
  double node = ranks * (at_plan_total(&p->memory) + p->process);
  at_limit limit = at_limit_memory();
  bytes_line("", "memory per rank", at_plan_total(&p->memory), "beside the program itself");
  for (int i = 0; i < p->memory.n; i++) {
    bytes_line("  ", p->memory.row[i].name, p->memory.row[i].value, "");
  }
  judge(remark, sizeof remark, node, &limit, at_fmt_bytes(have, (int64_t)limit.value));
  bytes_line("", "program and libraries", p->process, "per rank");
  snprintf(name, sizeof name, "memory of a node (%d rank%s)", ranks, ranks == 1 ? "" : "s");
  bytes_line("", name, node, remark);
  if (limit.value >= 0 && node > limit.value) {
    advise(advice, ADVICE, "memory", &p->memory);
  }
}

static void show_files(const at_plan *p, const char *run, char advice[ADVICE]) {
  char remark[256], have[AT_FMT_MAX], name[64];
  at_plan_sum disk = {0};
  at_limit limit = at_limit_disk(run);
  for (int i = 0; i < p->n_files; i++) {
    const at_plan_file *f = &p->file[i];
    at_plan_add(&disk, f->name, f->bytes * f->most, f->advice);
    remark[0] = '\0';
    if (f->most > 1) {
      snprintf(remark, sizeof remark, "up to %.0f at once", f->most);
    }
    snprintf(name, sizeof name, "%s file", f->name);
    bytes_line("", name, f->bytes, remark);
  }
  judge(remark, sizeof remark, at_plan_total(&disk), &limit, at_fmt_bytes(have, (int64_t)limit.value));
  bytes_line("", "disk over the run", at_plan_total(&disk), remark);
  bytes_line("", "data set file", p->data_file, "is there already");
  if (limit.value >= 0 && at_plan_total(&disk) > limit.value) {
    advise(advice, ADVICE, "disk", &disk);
  }
}

static void show_traffic(const at_plan *p) {
  char remark[96];
  snprintf(remark, sizeof remark, "for the model%s%s", p->is_most ? ", at most" : "",
           p->link_bits > 0 ? "" : ", nothing between clients");
  if (p->link_bits > 0) {
    snprintf(remark, sizeof remark, "for the model%s, %.3g bits an element", p->is_most ? ", at most" : "",
             p->link_bits);
  }
  bytes_line("", "sent by a client in a round", p->client_bytes, remark);
  bytes_line("", "sent by rank 0 in a round", p->rank_bytes, "over MPI, without evaluation");
  bytes_line("  ", "for an evaluation", p->eval_bytes, "");
  bytes_line("", "sent by rank 0 over the run", p->run_bytes, "without checkpoints");
}

static void show_virtual(const at_plan *p) {
  if (p->has_virtual) {
    seconds_line("", "virtual time of a round", p->virtual_local_s + p->virtual_exchange_s,
                 "on the declared devices and links, without faults");
    seconds_line("  ", "local work", p->virtual_local_s, "");
    seconds_line("  ", "exchange between clients", p->virtual_exchange_s, "");
    seconds_line("", "virtual time of the run", p->rounds * (p->virtual_local_s + p->virtual_exchange_s), "");
  }
}

static void show_time(const at_plan *p, char advice[ADVICE]) {
  char remark[256], have[AT_FMT_MAX];
  at_limit limit = at_limit_time();
  if (p->measured == 0) {
    printf("%-32s %12s  the run does not fit into the memory that there is\n", "time", "not measured");
    return;
  }
  double total = at_plan_total(&p->time);
  judge(remark, sizeof remark, total, &limit, at_fmt_duration(have, limit.value));
  seconds_line("", "time", total, limit.value >= 0 ? remark : "");
  for (int i = 0; i < p->time.n; i++) {
    seconds_line("  ", p->time.row[i].name, p->time.row[i].value, "");
  }
  seconds_line("", "time of a round", total / p->rounds, "all in all");
  if (p->measured != p->ranks) {
    printf("Time was measured on %d rank%s: each of the %d is taken to be as fast, and their network to cost nothing;\n"
           "`mpirun -n %d atoll plan` measures it.\n",
           p->measured, p->measured == 1 ? "" : "s", p->ranks, p->ranks);
  }
  if (limit.value >= 0 && total > limit.value) {
    advise(advice, ADVICE, "time", &p->time);
  }
}

/* What does not fit is a failure, so that a script can stop there. */
static at_err show(const at_plan *p, int nodes, const at_run_cfg *run, const char *system) {
  char advice[ADVICE] = "";
  printf("%s on %d rank%s, %.0f round%s\n", system, p->ranks, p->ranks == 1 ? "" : "s", p->rounds,
         p->rounds == 1 ? "" : "s");
  show_memory(p, nodes, advice);
  show_files(p, run->run, advice);
  show_traffic(p);
  show_virtual(p);
  show_time(p, advice);
  fflush(stdout); /* before what may follow on stderr */
  return advice[0] == '\0' ? AT_OK : AT_FAIL(AT_ERR_STATE, "%s", advice);
}

/* ---- the command ---- */

typedef struct request {
  int ranks, nodes; /* 0: as many as there are */
  const at_system *system;
  int argc;
  char **argv; /* configuration, key=value ... */
} request;

static at_err parse_number(const char *option, const char *text, int *out) {
  char *end = NULL;
  long n = strtol(text, &end, 10);
  if (end == text || *end != '\0' || n < 1 || n > 1000000) {
    return AT_FAIL(AT_ERR_ARG, "%s %s: expected a number from 1 to 1000000", option, text);
  }
  *out = (int)n;
  return AT_OK;
}

static at_err parse(request *r, int argc, char **argv) {
  for (; argc >= 2 && strncmp(argv[0], "--", 2) == 0; argc -= 2, argv += 2) {
    int *out = strcmp(argv[0], "--ranks") == 0 ? &r->ranks : strcmp(argv[0], "--nodes") == 0 ? &r->nodes : NULL;
    if (out == NULL) {
      break;
    }
    AT_TRY(parse_number(argv[0], argv[1], out));
  }
  if (argc < 1 || (argv[0][0] == '-' && argv[0][1] != '\0')) {
    return AT_FAIL(AT_ERR_ARG, "Usage: atoll plan [--ranks N] [--nodes M] CONFIG.yaml [key=value ...]");
  }
  r->argc = argc;
  r->argv = argv;
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], "system=", 7) == 0) {
      r->system = at_system_find(argv[i] + 7);
    }
  }
  return AT_OK;
}

/* Read on rank 0 alone: the others follow by its number. */
static at_err find_system(at_session *s, request *r) {
  int64_t number = -1;
  at_err err = AT_OK;
  if (at_comm_rank(s->world) == 0) {
    if (r->system == NULL && strcmp(r->argv[0], "-") == 0) {
      err = AT_FAIL(AT_ERR_ARG, "without a configuration file, say which system: system=%s", at_system_at(0)->name);
    } else if (r->system == NULL) {
      err = at_config_find_system(r->argv[0], &r->system);
      if (err == AT_ERR_FORMAT) {
        err = AT_FAIL(AT_ERR_CONFIG, "%s names no system: say system=%s here or `system: %s` there", r->argv[0],
                      at_system_at(0)->name, at_system_at(0)->name);
      }
    }
    for (int i = 0; err == AT_OK && number < 0; i++) {
      number = at_system_at(i) == r->system ? i : number;
    }
  }
  AT_TRY(at_comm_agree(s->world, err));
  AT_TRY(at_comm_bcast(s->world, 0, &number, sizeof number));
  r->system = at_system_at((int)number);
  return AT_OK;
}

at_err at_plan_main(at_session *s, int argc, char **argv) {
  request r = {0};
  at_opts *set = NULL;
  void *cfg = NULL;
  at_plan plan = {0};
  AT_TRY(parse(&r, argc, argv));
  AT_TRY(find_system(s, &r));
  plan.ranks = r.ranks > 0 ? r.ranks : at_comm_size(s->world);
  at_err err = at_system_configure(s, r.system, r.argc, r.argv, &set, &cfg);
  if (err == AT_OK) {
    err = r.system->plan(s, set, cfg, plan.ranks, &plan);
  }
  if (err == AT_OK) {
    err = at_comm_agree(s->world, at_comm_rank(s->world) == 0 ? show(&plan, r.nodes, cfg, r.system->name) : AT_OK);
  }
  at_opts_destroy(set);
  at_free(cfg);
  return err;
}
