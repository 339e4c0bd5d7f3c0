/* SPDX-License-Identifier: BSD-3-Clause */
/* A model as a graph: typed values, leaves, operations (src/graph/ops.h) and reverse-mode differentiation.
 *
 * A graph is append-only and its nodes are in topological order.  Equal nodes are built once (hash consing).  Builders
 * return a value, or AT_NONE after a failure; they accept AT_NONE and pass it on, so a model is built without a check at
 * each line and at_graph_status() is asked once at the end. */
#ifndef AT_GRAPH_GRAPH_H
#define AT_GRAPH_GRAPH_H

#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/status.h"

typedef enum at_dtype { AT_F32, AT_F64, AT_I32 } at_dtype;
size_t at_dtype_bytes(at_dtype t);
const char *at_dtype_name(at_dtype t);

/* Row-major; nd = 0 is a scalar (one element). */
typedef struct at_shape {
  int nd;
  int64_t d[AT_KND];
} at_shape;
#define AT_SHAPE(...) ((at_shape){.nd = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), .d = {__VA_ARGS__}})
#define AT_SCALAR     ((at_shape){.nd = 0})
int64_t at_shape_count(at_shape s);
bool at_shape_equal(at_shape a, at_shape b);
/* "[2, 3]" into buf (also returned). */
const char *at_shape_text(at_shape s, char *buf, size_t bytes);

typedef int32_t at_val; /* a value of a graph */
#define AT_NONE ((at_val)-1)

typedef struct at_graph at_graph;

/* A graph whose real values are AT_F32, or AT_F64 (reference kernels only: for checking derivatives). */
at_err at_graph_create(at_graph **out, at_dtype real);
void at_graph_destroy(at_graph *g);
at_err at_graph_status(const at_graph *g); /* the first failure of any builder */
at_dtype at_graph_real(const at_graph *g);
at_shape at_graph_shape(const at_graph *g, at_val v);
int at_graph_node_count(const at_graph *g);

/* What matrix products and convolutions read of their inputs: all of them, or their upper halves (bf16, rounded to nearest even), with sums in f32;
 * everything else is f32, as are the values between. */
typedef enum at_precision { AT_PRECISION_F32, AT_PRECISION_BF16 } at_precision;
extern const char *const at_precision_names[]; /* "f32", "bf16", NULL */
/* For all programs compiled later.  Graphs of AT_F64 take no notice. */
void at_graph_set_precision(at_graph *g, at_precision p);

/* --- leaves --------------------------------------------------------------------------------------------------- */

/* How a parameter starts. */
typedef enum at_init_kind { AT_INIT_ZERO, AT_INIT_ONE, AT_INIT_NORMAL /* mean 0, deviation sd */ } at_init_kind;
typedef struct at_init {
  at_init_kind kind;
  double sd;
} at_init;

/* One tensor of a flat vector. */
typedef struct at_tensor {
  const char *name; /* owned by the layout */
  at_shape shape;
  int64_t offset, count; /* elements */
  at_init init;
} at_tensor;

/* A flat vector with a name -> (offset, shape) index, so that a collective, an optimiser and a checkpoint each see one
 * contiguous buffer. */
typedef struct at_layout {
  int n;
  at_tensor *tensor;
  int64_t count; /* elements in all */
} at_layout;
/* The tensor called `name`, or NULL. */
const at_tensor *at_layout_find(const at_layout *l, const char *name);
/* theta[layout count] = initial values; tensor i draws from stream (seed, INIT, client i). */
void at_layout_init(const at_layout *l, uint64_t seed, float *theta);

/* Bound at run time: inputs by the number they were declared in (0, 1, ...). */
at_val at_graph_input(at_graph *g, const char *name, at_dtype type, at_shape shape);
int at_graph_input_count(const at_graph *g);
/* A parameter: the next piece of the flat parameter vector. */
at_val at_graph_param(at_graph *g, const char *name, at_shape shape, at_init init);
/* State that is neither trained nor an input (running statistics): the next piece of the flat state vector. */
at_val at_graph_state(at_graph *g, const char *name, at_shape shape, at_init init);
/* A constant tensor with every element `value`. */
at_val at_graph_const(at_graph *g, double value, at_shape shape);

/* Nodes built between the two are a block whose values are not kept for differentiation but computed again when it needs
 * them, from the values that enter the block (Chen et al. 2016): less memory, one more forward pass.  Blocks do not nest. */
void at_graph_begin_block(at_graph *g);
void at_graph_end_block(at_graph *g);

const at_layout *at_graph_params(const at_graph *g); /* borrowed */
const at_layout *at_graph_states(const at_graph *g);
at_val at_graph_param_value(const at_graph *g, int i);

/* --- differentiation ------------------------------------------------------------------------------------------- */

/* grad[i] = sum_j d out[j] / d wrt[i] applied to cot[j] (vector-Jacobian product), as new nodes of the same graph, so
 * that the result can be differentiated again.  cot NULL: every out is a scalar with cotangent 1.  A wrt[] that no out
 * depends on gets AT_NONE.  `wrt` values are treated as independent: a path from one through another is not followed.
 * Fused operations use their fast derivative here and their decomposition when that is differentiated again. */
at_err at_graph_vjp(at_graph *g, const at_val *out, const at_val *cot, int n_out, const at_val *wrt, int n_wrt,
                    at_val *grad);

/* --- programs -------------------------------------------------------------------------------------------------- */

/* Where an output of a program goes. */
typedef enum at_slot { AT_SLOT_STATE, AT_SLOT_GRAD, AT_SLOT_OUT, AT_SLOT_PARAM } at_slot;
typedef struct at_output {
  at_val value; /* AT_NONE: zeros, `count` of them */
  at_slot slot;
  int index;      /* AT_SLOT_OUT: which out buffer */
  int64_t offset; /* elements into the slot's buffer */
  int64_t count;  /* used when value is AT_NONE */
} at_output;

enum { AT_BIND_IN = 8, AT_BIND_OUT = 8 };
/* The buffers of one run; all borrowed. */
typedef struct at_bind {
  const void *param; /* written too, if there are outputs of AT_SLOT_PARAM: then it must not be constant */
  void *state;       /* read and written */
  void *grad;
  const void *in[AT_BIND_IN];
  void *out[AT_BIND_OUT];
  void *arena; /* at_program_arena_bytes(), 64-byte aligned; contents do not matter */
} at_bind;

typedef struct at_program at_program;
/* Called between kernels, so that non-blocking collectives make progress. */
typedef void (*at_poll)(void *context);

/* Compile: drop dead nodes, choose in-place, lay every intermediate out in one arena.  The graph may be destroyed
 * afterwards; `k` is borrowed for the program's life. */
at_err at_program_compile(at_program **out, const at_graph *g, const at_kernels *k, const at_output *outs, int n_outs);
void at_program_destroy(at_program *p);
size_t at_program_arena_bytes(const at_program *p);
/* Run once.  Allocates nothing.  poll may be NULL. */
void at_program_run(const at_program *p, const at_bind *b, at_poll poll, void *context);

/* A part of the gradient that does not change any more once a run has polled so many times.  Parts that are copied after the last
 * step are in no list. */
typedef struct at_ready {
  int polls;
  int64_t offset, count; /* elements of AT_SLOT_GRAD */
} at_ready;
/* The parts by ascending polls; returns how many.  Borrowed. */
int at_program_ready(const at_program *p, const at_ready **out);

typedef struct at_program_stats {
  int nodes; /* kernels called per run */
  size_t arena_bytes, scratch_bytes, const_bytes;
  size_t live_bytes; /* the most in use at one kernel, below which no arena can be */
  double flops;      /* multiply and add counted apart; causal attention counted half */
} at_program_stats;
at_program_stats at_program_get_stats(const at_program *p);

/* Time by kind of operation, over the calls of one or more runs. */
typedef struct at_profile {
  const char *name;   /* NULL: not in the program */
  int calls, chained; /* chained: of these, in element-wise chains */
  double seconds, flops;
  double bytes; /* of inputs and outputs, each counted once */
} at_profile;
int at_profile_rows(void); /* how many rows a profile has: one per operation */
/* As at_program_run, and add to rows[at_profile_rows()] what each operation took by the clock now_s. */
void at_program_profile(const at_program *p, const at_bind *b, double (*now_s)(void), at_profile *rows);

#endif
