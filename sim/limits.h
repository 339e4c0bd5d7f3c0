/* SPDX-License-Identifier: BSD-3-Clause */
/* What this machine, or the Slurm job on it, has to give: memory, disk, time. */
#ifndef AT_SIM_LIMITS_H
#define AT_SIM_LIMITS_H

typedef struct at_limit {
  double value;     /* bytes or seconds; negative: unknown */
  char source[128]; /* who says so: "SLURM_MEM_PER_NODE" */
} at_limit;

/* Memory that this node can still give: the least of what the kernel calls available, what the control group of this
 * process leaves, and SLURM_MEM_PER_NODE or SLURM_MEM_PER_CPU. */
at_limit at_limit_memory(void);
/* Free bytes of the file system that holds, or would hold, `path`. */
at_limit at_limit_disk(const char *path);
/* Seconds until the job ends: SLURM_JOB_END_TIME, or the SLURM_TIMELIMIT or SBATCH_TIMELIMIT that it will get. */
at_limit at_limit_time(void);
/* Ranks of `ranks` on the fullest node: SLURM_JOB_NUM_NODES shares them out evenly; elsewhere there is one node. */
int at_limit_ranks_per_node(int ranks);
/* "90", "1:30:00", "2-12", "2-12:30" as Slurm reads them (minutes; hours, minutes, seconds; days), in seconds; negative:
 * not a time. */
double at_limit_parse_time(const char *text);

#endif
