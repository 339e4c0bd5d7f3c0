/* SPDX-License-Identifier: BSD-3-Clause */
/* Dead-node removal, aliasing, in-place reuse and a one-arena layout by liveness. */
#include "src/graph/plan.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/alloc.h"

enum { ALIGN = 64 };

/* A piece of the arena and the steps during which it is in use. */
typedef struct piece {
  int64_t bytes, offset;
  int first, last;
} piece;

typedef struct planner {
  const at_graph *g;
  at_plan *p;
  bool *live;    /* by node */
  int *after;    /* by node: the one that it follows at once, out of turn, or -1 */
  at_val *root;  /* by value: where its bytes are (reshape shares its input's) */
  int *last;     /* by root value: the last step that reads it */
  int *piece_of; /* by root value: its piece, or -1 */
  bool *bound;   /* by root value: lives in a caller's buffer */
  piece *piece;
  int n_piece;
} planner;

static int64_t value_bytes(const at_graph *g, at_val v) {
  const at_value *x = &g->value[v];
  return at_shape_count(x->shape) * (int64_t)at_dtype_bytes(x->dtype);
}

static int64_t padded(int64_t bytes) {
  return bytes <= 0 ? ALIGN : (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* --- which nodes ------------------------------------------------------------------------------------------------------ */

static void mark_live(planner *w, const at_output *outs, int n_outs) {
  const at_graph *g = w->g;
  for (int i = 0; i < n_outs; i++) {
    if (outs[i].value != AT_NONE) {
      w->live[g->value[outs[i].value].node] = true;
    }
  }
  for (int i = g->n_node - 1; i >= 0; i--) {
    for (int k = 0; w->live[i] && k < g->node[i].n_in; k++) {
      w->live[g->value[g->node[i].in[k]].node] = true;
    }
  }
}

static bool runs(const planner *w, int node) {
  const at_node *n = &w->g->node[node];
  return w->live[node] && n->op != AT_OP_leaf && at_op_get(n->op)->kslot >= 0;
}

static void find_roots(planner *w) {
  const at_graph *g = w->g;
  for (int v = 0; v < g->n_value; v++) {
    w->root[v] = v;
    w->last[v] = w->piece_of[v] = -1;
  }
  for (int i = 0; i < g->n_node; i++) {
    const at_node *n = &g->node[i];
    if (w->live[i] && n->op != AT_OP_leaf && !runs(w, i)) {
      w->root[n->out] = w->root[n->in[0]];
    }
  }
}

/* A product that is added up on a parameter waits for the parameter's readers, not for all that was built before it: what it reads
 * need not be kept so long.  The node that it may follow, or -1 if it stays where it is. */
static int follows(const planner *w, int node) {
  const at_graph *g = w->g;
  const at_node *n = &g->node[node];
  const at_val base = w->root[n->in[0]];
  int after = -1;
  if (n->op != AT_OP_matmul_add || g->value[base].leaf != AT_LEAF_PARAM) {
    return -1;
  }
  for (int i = 0; i < node; i++) {
    bool matters = false;
    for (int k = 0; runs(w, i) && k < g->node[i].n_in; k++) {
      matters = matters || w->root[g->node[i].in[k]] == base;
    }
    for (int k = 1; k < n->n_in; k++) {
      matters = matters || g->value[w->root[n->in[k]]].node == i;
    }
    after = matters ? i : after;
  }
  return after >= 0 && g->node[after].op != AT_OP_matmul_add && runs(w, after) ? after : -1;
}

static void add_step(planner *w, int node) {
  const at_node *n = &w->g->node[node];
  for (int k = 0; k < n->n_in; k++) {
    w->last[w->root[n->in[k]]] = w->p->n_step;
  }
  w->p->node[w->p->n_step++] = node;
}

/* In the order that nodes were built in, but for those that follow another at once. */
static void order_steps(planner *w) {
  const int n_node = w->g->n_node;
  find_roots(w);
  for (int i = 0; i < n_node; i++) {
    w->after[i] = runs(w, i) ? follows(w, i) : -1;
  }
  for (int i = 0; i < n_node; i++) {
    if (!runs(w, i) || w->after[i] >= 0) {
      continue;
    }
    add_step(w, i);
    for (int k = i + 1; k < n_node; k++) {
      if (w->after[k] == i) {
        add_step(w, k);
      }
    }
  }
}

/* --- leaves and outputs ----------------------------------------------------------------------------------------------- */

static at_err place_leaves(planner *w) {
  const at_graph *g = w->g;
  int64_t real = (int64_t)at_dtype_bytes(g->real);
  for (int v = 0; v < g->n_value; v++) {
    const at_value *x = &g->value[v];
    if (x->leaf == AT_LEAF_NOT || !w->live[x->node]) {
      continue;
    }
    at_place_ref *r = &w->p->place[v];
    switch (x->leaf) {
    case AT_LEAF_INPUT:
      *r = (at_place_ref){AT_BASE_IN + (int)x->leaf_at, 0};
      break;
    case AT_LEAF_PARAM:
      *r = (at_place_ref){AT_BASE_PARAM, x->leaf_at * real};
      break;
    case AT_LEAF_STATE:
      *r = (at_place_ref){AT_BASE_STATE, x->leaf_at * real};
      break;
    default:
      *r = (at_place_ref){AT_BASE_CONST, (int64_t)w->p->const_bytes};
      w->p->const_bytes += (size_t)padded(value_bytes(g, v));
      break;
    }
    w->bound[v] = true;
  }
  return AT_OK;
}

static at_place_ref output_place(const planner *w, const at_output *o) {
  at_dtype type = o->value == AT_NONE ? w->g->real : w->g->value[o->value].dtype;
  int64_t at = o->offset * (int64_t)at_dtype_bytes(type);
  switch (o->slot) {
  case AT_SLOT_STATE:
    return (at_place_ref){AT_BASE_STATE, at};
  case AT_SLOT_GRAD:
    return (at_place_ref){AT_BASE_GRAD, at};
  case AT_SLOT_PARAM:
    return (at_place_ref){AT_BASE_PARAM, at};
  default:
    return (at_place_ref){AT_BASE_OUT + o->index, at};
  }
}

static int step_of(const planner *w, at_val v) {
  int s = 0;
  while (w->p->node[s] != w->g->value[v].node) {
    s++;
  }
  return s;
}

/* May the output overwrite parameters as it is made?  They must have been read before, or be what the operation overlays. */
static bool can_overwrite(const planner *w, const at_output *o) {
  const at_graph *g = w->g;
  const int step = step_of(w, w->root[o->value]);
  const at_node *n = &g->node[w->p->node[step]];
  const int64_t end = o->offset + at_shape_count(g->value[o->value].shape);
  for (int v = 0; v < g->n_value; v++) {
    const at_value *x = &g->value[v];
    const bool meets =
        x->leaf == AT_LEAF_PARAM && x->leaf_at < end && o->offset < x->leaf_at + at_shape_count(x->shape);
    if (!meets || w->last[v] < step) {
      continue;
    }
    bool overlaid =
        w->last[v] == step && at_op_get(n->op)->in_place && w->root[n->in[0]] == v && x->leaf_at == o->offset;
    for (int k = 1; k < n->n_in; k++) {
      overlaid = overlaid && w->root[n->in[k]] != v;
    }
    if (!overlaid) {
      return false;
    }
  }
  return true;
}

static bool is_free(const planner *w, const at_output *o) {
  return !w->bound[w->root[o->value]] && o->slot != AT_SLOT_STATE && (o->slot != AT_SLOT_PARAM || can_overwrite(w, o));
}

/* An output is written where it is wanted when its bytes are free to live there; otherwise it is copied at the end.
 * State is always copied: the old one may still be read. */
static void place_outputs(planner *w, const at_output *outs, int n_outs, bool params) {
  for (int i = 0; i < n_outs; i++) {
    const at_output *o = &outs[i];
    at_place_ref to = output_place(w, o);
    if ((o->slot == AT_SLOT_PARAM) != params) {
      continue;
    }
    if (o->value == AT_NONE) {
      size_t bytes = (size_t)o->count * at_dtype_bytes(w->g->real);
      w->p->copy[w->p->n_copy++] = (at_copy){.to = to, .bytes = bytes};
      continue;
    }
    at_val r = w->root[o->value];
    if (is_free(w, o)) {
      w->bound[r] = true;
      w->p->place[r] = to;
    } else {
      w->last[r] = w->p->n_step; /* after the last step */
      /* `from` is known once the arena is laid out: until then the value stands in its offset */
      w->p->copy[w->p->n_copy++] =
          (at_copy){.from = {AT_BASE_COUNT, r}, .to = to, .bytes = (size_t)value_bytes(w->g, r)};
    }
  }
}

/* --- the arena -------------------------------------------------------------------------------------------------------- */

static int chain_first(const planner *w, int step) {
  while (step > 0 && w->p->chain[step - 1] == w->p->chain[step]) {
    step--;
  }
  return step;
}

/* The steps of a chain take turns block by block, so what is in use at one of them is in use at all. */
static int chain_last(const planner *w, int step) {
  return step < w->p->n_step ? w->p->chain[step] : step;
}

static int new_piece(planner *w, int64_t bytes, int first, int last) {
  w->piece[w->n_piece] = (piece){.bytes = padded(bytes), .first = first, .last = last};
  return w->n_piece++;
}

/* May output 0 of `n` overlay its input `k` at `step`? */
static bool can_overlay(const planner *w, const at_node *n, int k, int step) {
  const at_graph *g = w->g;
  at_val r = w->root[n->in[k]];
  if (w->bound[r] || w->bound[n->out] || w->last[r] != step || w->piece_of[r] < 0 ||
      w->p->local[r] != w->p->local[n->out] || !at_shape_equal(at_in_shape(g, n, k), g->value[n->out].shape) ||
      g->value[n->in[k]].dtype != g->real) {
    return false;
  }
  for (int i = 0; i < n->n_in; i++) {
    if (i != k && w->root[n->in[i]] == r) {
      return false;
    }
  }
  return true;
}

static void place_output_value(planner *w, const at_node *n, int j, int step) {
  at_val v = n->out + j;
  if (w->bound[v]) {
    return;
  }
  int last = w->last[v] < step ? step : w->last[v];
  bool local = w->p->chain[step] > step && w->last[v] > step && last <= w->p->chain[step];
  w->p->local[v] = local;
  last = local ? last : chain_last(w, last);
  const at_op_row *row = at_op_get(n->op);
  if (j == 0 && row->in_place) {
    bool commutes = n->op == AT_OP_add || n->op == AT_OP_mul;
    for (int k = 0; k < (commutes ? 2 : 1); k++) {
      if (can_overlay(w, n, k, step)) {
        w->piece_of[v] = w->piece_of[w->root[n->in[k]]];
        piece *shared = &w->piece[w->piece_of[v]];
        shared->last = last > shared->last ? last : shared->last;
        w->p->swap[step] = k == 1;
        return;
      }
    }
  }
  if (local) {
    int64_t elements = AT_CHAIN_BLOCK * (int64_t)w->p->threads;
    w->piece_of[v] = new_piece(w, elements * (int64_t)at_dtype_bytes(w->g->real), step, last);
  } else {
    w->piece_of[v] = new_piece(w, value_bytes(w->g, v), chain_first(w, step), last);
  }
}

static int by_size(const void *a, const void *b) {
  const piece *x = *(const piece *const *)a, *y = *(const piece *const *)b;
  if (x->bytes != y->bytes) {
    return x->bytes < y->bytes ? 1 : -1;
  }
  return x < y ? -1 : 1; /* pieces are one array: the order they were made in */
}

static int by_offset(const void *a, const void *b) {
  const piece *x = *(const piece *const *)a, *y = *(const piece *const *)b;
  return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Largest first, each at the lowest gap among those that are in use at the same time. */
static at_err lay_out(planner *w) {
  const piece **order, **busy;
  AT_TRY(at_alloc(&order, (size_t)w->n_piece, sizeof *order, "arena plan"));
  at_err err = at_alloc(&busy, (size_t)w->n_piece, sizeof *busy, "arena plan");
  if (err != AT_OK) {
    at_free(order);
    return err;
  }
  for (int i = 0; i < w->n_piece; i++) {
    order[i] = &w->piece[i];
  }
  qsort(order, (size_t)w->n_piece, sizeof *order, by_size);
  int64_t end = 0;
  for (int i = 0; i < w->n_piece; i++) {
    piece *p = &w->piece[order[i] - w->piece];
    int n_busy = 0;
    for (int k = 0; k < i; k++) {
      if (order[k]->first <= p->last && p->first <= order[k]->last) {
        busy[n_busy++] = order[k];
      }
    }
    qsort(busy, (size_t)n_busy, sizeof *busy, by_offset);
    p->offset = 0;
    for (int k = 0; k < n_busy && p->offset + p->bytes > busy[k]->offset; k++) {
      int64_t after = busy[k]->offset + busy[k]->bytes;
      p->offset = after > p->offset ? after : p->offset;
    }
    end = p->offset + p->bytes > end ? p->offset + p->bytes : end;
  }
  w->p->arena_bytes = (size_t)end;
  at_free(order);
  at_free(busy);
  return AT_OK;
}

/* The most bytes that pieces take at any one step. */
static size_t most_live(const planner *w) {
  int64_t most = 0;
  for (int s = 0; s < w->p->n_step; s++) {
    int64_t live = 0;
    for (int i = 0; i < w->n_piece; i++) {
      live += w->piece[i].first <= s && s <= w->piece[i].last ? w->piece[i].bytes : 0;
    }
    most = live > most ? live : most;
  }
  return (size_t)most;
}

size_t at_plan_scratch(const at_graph *g, const at_node *n) {
  const at_op_row *row = at_op_get(n->op);
  at_kcall k = {0};
  int64_t shift = 0;
  row->lower(g, n, &k, &shift);
  size_t bytes = at_kernel_scratch(at_op_slot(g, n->op), k.dim, at_dtype_bytes(g->real));
  return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static at_err place_values(planner *w) {
  const at_graph *g = w->g;
  at_plan *p = w->p;
  int *scratch_piece;
  AT_TRY(at_alloc(&scratch_piece, (size_t)p->n_step, sizeof *scratch_piece, "arena plan"));
  for (int s = 0; s < p->n_step; s++) {
    const at_node *n = &g->node[p->node[s]];
    for (int j = 0; j < n->n_out; j++) {
      place_output_value(w, n, j, s);
    }
    size_t bytes = at_plan_scratch(g, n) * (size_t)p->threads;
    scratch_piece[s] = bytes ? new_piece(w, (int64_t)bytes, s, s) : -1;
    p->scratch_bytes = bytes > p->scratch_bytes ? bytes : p->scratch_bytes;
  }
  p->live_bytes = most_live(w);
  at_err err = lay_out(w);
  for (int s = 0; err == AT_OK && s < p->n_step; s++) {
    if (scratch_piece[s] >= 0) {
      p->scratch[s] = (at_place_ref){AT_BASE_ARENA, w->piece[scratch_piece[s]].offset};
    }
  }
  for (int v = 0; err == AT_OK && v < g->n_value; v++) {
    at_val r = w->root[v];
    if (w->piece_of[r] >= 0) {
      p->place[r] = (at_place_ref){AT_BASE_ARENA, w->piece[w->piece_of[r]].offset};
    }
    p->place[v] = p->place[r]; /* roots come before what shares them */
    p->local[v] = p->local[r];
  }
  for (int i = 0; err == AT_OK && i < p->n_copy; i++) {
    if (p->copy[i].from.base == AT_BASE_COUNT) {
      p->copy[i].from = p->place[p->copy[i].from.offset];
    }
  }
  at_free(scratch_piece);
  return err;
}

static at_err allocate(planner *w, int n_outs) {
  size_t nodes = (size_t)w->g->n_node, values = (size_t)w->g->n_value;
  at_plan *p = w->p;
  AT_TRY(at_alloc(&p->node, nodes, sizeof *p->node, "plan"));
  AT_TRY(at_alloc(&p->swap, nodes, sizeof *p->swap, "plan"));
  AT_TRY(at_alloc(&p->chain, nodes, sizeof *p->chain, "plan"));
  AT_TRY(at_alloc(&p->local, values, sizeof *p->local, "plan"));
  AT_TRY(at_alloc(&p->scratch, nodes, sizeof *p->scratch, "plan"));
  AT_TRY(at_alloc(&p->place, values, sizeof *p->place, "plan"));
  AT_TRY(at_alloc(&p->copy, (size_t)n_outs, sizeof *p->copy, "plan"));
  AT_TRY(at_alloc(&w->live, nodes, sizeof *w->live, "plan"));
  AT_TRY(at_alloc(&w->after, nodes, sizeof *w->after, "plan"));
  AT_TRY(at_alloc(&w->root, values, sizeof *w->root, "plan"));
  AT_TRY(at_alloc(&w->last, values, sizeof *w->last, "plan"));
  AT_TRY(at_alloc(&w->piece_of, values, sizeof *w->piece_of, "plan"));
  AT_TRY(at_alloc(&w->bound, values, sizeof *w->bound, "plan"));
  return at_alloc(&w->piece, values + nodes, sizeof *w->piece, "plan");
}

at_err at_plan_make(at_plan *p, const at_graph *g, const at_output *outs, int n_outs, int threads) {
  *p = (at_plan){.threads = threads};
  planner w = {.g = g, .p = p};
  at_err err;
  AT_TRY_TO(err, done, allocate(&w, n_outs));
  mark_live(&w, outs, n_outs);
  order_steps(&w);
  at_plan_chains(g, p->node, p->n_step, p->chain);
  AT_TRY_TO(err, done, place_leaves(&w));
  place_outputs(&w, outs, n_outs, false);
  place_outputs(&w, outs, n_outs, true); /* when it is known what else is read to the end */
  AT_TRY_TO(err, done, place_values(&w));
done:
  at_free(w.live);
  at_free(w.after);
  at_free(w.root);
  at_free(w.last);
  at_free(w.piece_of);
  at_free(w.bound);
  at_free(w.piece);
  if (err != AT_OK) {
    at_plan_clear(p);
  }
  return err;
}

void at_plan_clear(at_plan *p) {
  at_free(p->node);
  at_free(p->swap);
  at_free(p->chain);
  at_free(p->local);
  at_free(p->scratch);
  at_free(p->place);
  at_free(p->copy);
  *p = (at_plan){0};
}
