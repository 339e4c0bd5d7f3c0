/* SPDX-License-Identifier: BSD-3-Clause */
/* What this machine, or the Slurm job on it, has to give. */
#include "sim/limits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "sim/scratch.h"

static const double mebibyte = 1024.0 * 1024.0;

/* A number that a variable of the environment holds; negative: none. */
static double number_of(const char *name) {
  const char *text = getenv(name);
  char *end = NULL;
  double value = text != NULL ? strtod(text, &end) : -1;
  return text != NULL && end != text && isfinite(value) ? value : -1;
}

static void lower(at_limit *l, double value, const char *source) {
  if (value >= 0 && (l->value < 0 || value < l->value)) {
    l->value = value;
    snprintf(l->source, sizeof l->source, "%s", source);
  }
}

/* ---- memory ---- */

/* The number in a file of one line; negative: none ("max", or no such file). */
static double read_number(const char *path) {
  FILE *f = fopen(path, "re");
  double value = -1;
  if (f != NULL) {
    if (fscanf(f, "%lf", &value) != 1) {
      value = -1;
    }
    fclose(f);
  }
  return value;
}

static double kernel_available(void) {
  FILE *f = fopen("/proc/meminfo", "re");
  char line[256];
  double kib = -1;
  while (f != NULL && kib < 0 && fgets(line, sizeof line, f) != NULL) {
    if (sscanf(line, "MemAvailable: %lf kB", &kib) != 1) {
      kib = -1;
    }
  }
  if (f != NULL) {
    fclose(f);
  }
  return kib >= 0 ? kib * 1024 : -1;
}

/* The group of this process in the unified hierarchy, and all above it: each may set a limit. */
static void lower_by_groups(at_limit *l) {
  char line[1024] = "", path[1200];
  FILE *f = fopen("/proc/self/cgroup", "re");
  bool found = false;
  while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
    found = strncmp(line, "0::/", 4) == 0;
  }
  if (f != NULL) {
    fclose(f);
  }
  char *group = found ? line + 3 : NULL;
  if (group != NULL) {
    group[strcspn(group, "\n")] = '\0';
  }
  while (group != NULL) {
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", group);
    double most = read_number(path);
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.current", group);
    double used = read_number(path);
    if (most >= 0) {
      lower(l, fmax(most - fmax(used, 0), 0), "the control group of this process");
    }
    char *slash = strrchr(group, '/');
    group = slash != NULL ? group : NULL;
    if (slash != NULL) {
      *slash = '\0';
    }
  }
}

at_limit at_limit_memory(void) {
  at_limit l = {.value = -1};
  lower(&l, kernel_available(), "available on this machine");
  lower_by_groups(&l);
  double per_node = number_of("SLURM_MEM_PER_NODE"), per_cpu = number_of("SLURM_MEM_PER_CPU");
  double cpus = number_of("SLURM_CPUS_ON_NODE");
  if (per_node > 0) { /* 0: all of the node */
    lower(&l, per_node * mebibyte, "SLURM_MEM_PER_NODE");
  }
  if (per_cpu > 0 && cpus > 0) {
    lower(&l, per_cpu * cpus * mebibyte, "SLURM_MEM_PER_CPU");
  }
  return l;
}

int at_limit_ranks_per_node(int ranks) {
  double nodes = number_of("SLURM_JOB_NUM_NODES");
  return nodes > 1 ? (int)ceil(ranks / nodes) : ranks;
}

/* ---- disk ---- */

at_limit at_limit_disk(const char *path) {
  at_limit l = {.value = -1};
  struct statvfs s;
  char folder[4096];
  at_scratch_ancestor(folder, sizeof folder, path);
  if (statvfs(folder, &s) == 0) {
    lower(&l, (double)s.f_bavail * (double)s.f_frsize, "");
    snprintf(l.source, sizeof l.source, "free in %.100s", folder);
  }
  return l;
}

/* ---- time ---- */

double at_limit_parse_time(const char *text) {
  double days = 0, part[3] = {0};
  int n = 0;
  char *end = NULL;
  const char *dash = strchr(text, '-');
  if (dash != NULL) {
    days = strtod(text, &end);
    if (end != dash) {
      return -1;
    }
    text = dash + 1;
  }
  do {
    part[n] = strtod(text, &end);
    if (end == text || part[n] < 0) {
      return -1;
    }
    text = end + 1;
    n++;
  } while (n < 3 && *end == ':');
  if (*end != '\0') {
    return -1;
  }
  if (dash != NULL) { /* days-hours[:minutes[:seconds]] */
    return 86400 * days + 3600 * part[0] + 60 * part[1] + part[2];
  }
  /* minutes, minutes:seconds, hours:minutes:seconds */
  return n == 3 ? 3600 * part[0] + 60 * part[1] + part[2] : 60 * part[0] + part[1];
}

at_limit at_limit_time(void) {
  static const char *const asked[] = {"SLURM_TIMELIMIT", "SBATCH_TIMELIMIT"};
  at_limit l = {.value = -1};
  double end = number_of("SLURM_JOB_END_TIME");
  if (end > 0) {
    lower(&l, fmax(end - (double)time(NULL), 0), "SLURM_JOB_END_TIME");
    return l;
  }
  for (int i = 0; i < 2; i++) {
    const char *text = getenv(asked[i]);
    if (text != NULL) {
      lower(&l, at_limit_parse_time(text), asked[i]);
    }
  }
  return l;
}
