/* SPDX-License-Identifier: BSD-3-Clause */
/* The planner: which nodes run, where every value lives, what may overlay what. */
#ifndef AT_GRAPH_PLAN_H
#define AT_GRAPH_PLAN_H

#include "src/graph/graph_internal.h"

/* A region of memory at run time: an offset into one of the buffers of a run. */
typedef enum at_base {
  AT_BASE_NULL,
  AT_BASE_PARAM,
  AT_BASE_STATE,
  AT_BASE_GRAD,
  AT_BASE_ARENA,
  AT_BASE_CONST,
  AT_BASE_IN,
  AT_BASE_OUT = AT_BASE_IN + AT_BIND_IN,
  AT_BASE_COUNT = AT_BASE_OUT + AT_BIND_OUT
} at_base;

typedef struct at_place_ref {
  int base;
  int64_t offset; /* bytes */
} at_place_ref;

typedef struct at_copy {
  at_place_ref from, to; /* from.base AT_BASE_NULL: zeros */
  size_t bytes;
} at_copy;

/* Ordered nodes and the place of each value; copies to make after the last node. */
typedef struct at_plan {
  int n_step, n_copy;
  int *node;             /* by step */
  bool *swap;            /* by step: exchange in[0] and in[1] (commutative, so that in-place applies) */
  int *chain;            /* by step: the last step of the element-wise chain that it is in; itself if in none */
  at_place_ref *scratch; /* by step */
  at_place_ref *place;   /* by value of the graph */
  bool *local;           /* by value: only lives inside a chain, in AT_CHAIN_BLOCK elements for each thread */
  int threads;
  at_copy *copy;
  size_t arena_bytes, scratch_bytes, const_bytes;
  size_t live_bytes; /* the most in use at one step: no arena for these steps in this order is smaller */
} at_plan;

/* A chain of element-wise steps runs block by block, so that what passes between its steps stays in the first-level
 * cache; bits do not change.  Elements of a block; chains are of more elements than that. */
enum { AT_CHAIN_BLOCK = 2048 };

/* chain[n_step] as above for the steps node[n_step] of g. */
void at_plan_chains(const at_graph *g, const int *node, int n_step, int *chain);

/* Bytes of a step's scratch for one thread; those of the threads follow one another. */
size_t at_plan_scratch(const at_graph *g, const at_node *n);

at_err at_plan_make(at_plan *p, const at_graph *g, const at_output *outs, int n_outs, int threads);
void at_plan_clear(at_plan *p);

#endif
