/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps of ring, recursive doubling and tree.
 *
 * Frames hold partial means: a receiver multiplies by the number of clients in it.  Whoever decodes a frame uses the key of the
 * one who encoded it, which is why steps carry it. */
#include "src/comm/collective/hops.h"

enum { STAGE_FINAL = 255, STAGE_HOP = 1 };
enum { TAG_RESULT = 0, TAG_FOLD = 1, TAG_LEVEL = 2 };

typedef struct script {
  at_hop *steps;
  int64_t n;
} script;

static void put(script *s, at_hop h) {
  s->steps[s->n++] = h;
}

/* Code of acc, by which clients and at which stage. */
static void encode(script *s, uint64_t key, uint32_t stage) {
  put(s, (at_hop){.what = AT_HOP_ENCODE, .key = key, .stage = stage});
}

static void send(script *s, int64_t peer, int64_t tag) {
  put(s, (at_hop){.what = AT_HOP_SEND, .peer = peer, .tag = tag});
}

static void recv(script *s, int64_t peer, int64_t tag) {
  put(s, (at_hop){.what = AT_HOP_RECV, .peer = peer, .tag = tag});
}

/* acc += more * D(received), encoded by `key` at `stage`; then acc holds `count`. */
static void add(script *s, int64_t more, int64_t count, uint64_t key, uint32_t stage) {
  put(s, (at_hop){.what = AT_HOP_ADD, .more = more, .count = count, .key = key, .stage = stage});
}

/* The final mean: encoded once, decoded by its owner too, then sent on. */
static void settle(script *s) {
  put(s, (at_hop){.what = AT_HOP_MEAN});
  encode(s, AT_CODE_SHARED, STAGE_FINAL);
  put(s, (at_hop){.what = AT_HOP_TAKE, .key = AT_CODE_SHARED, .stage = STAGE_FINAL});
}

static void take_result(script *s, int64_t from) {
  recv(s, from, TAG_RESULT);
  put(s, (at_hop){.what = AT_HOP_PASS});
  put(s, (at_hop){.what = AT_HOP_TAKE, .key = AT_CODE_SHARED, .stage = STAGE_FINAL});
}

/* ---- ring: from the owner's successor round to the owner, then round again with unchanged bytes ---- */

static void plan_ring(script *s, int64_t p, int64_t v, int64_t owner) {
  const int64_t place = (v - owner - 1 + p) % p, next = (v + 1) % p, before = (v - 1 + p) % p;
  if (place > 0) {
    recv(s, before, TAG_FOLD);
    add(s, place, place + 1, (uint64_t)before, STAGE_HOP);
  }
  if (v == owner) {
    settle(s);
    if (p > 1) {
      send(s, next, TAG_RESULT);
    }
    return;
  }
  encode(s, (uint64_t)v, STAGE_HOP);
  send(s, next, TAG_FOLD);
  take_result(s, before);
  if (next != owner) {
    send(s, next, TAG_RESULT);
  }
}

/* ---- recursive doubling: p folds onto a power of two, pairs exchange at every level, the rest is told ---- */

static int64_t log2_of(int64_t p) {
  int64_t l = 0;
  while (INT64_C(2) << l <= p) {
    l++;
  }
  return l;
}

/* Place u of the folded 2^levels nodes: its node, and how many clients stand in places below u. */
static int64_t unfolded(int64_t u, int64_t extra) {
  return u < extra ? 2 * u + 1 : u + extra;
}

static int64_t clients_below(int64_t u, int64_t extra) {
  return u + (u < extra ? u : extra);
}

static void plan_doubling(script *s, int64_t p, int64_t v) {
  const int64_t levels = log2_of(p), extra = p - (INT64_C(1) << levels);
  if (v < 2 * extra && v % 2 == 0) { /* folded away */
    encode(s, (uint64_t)v, STAGE_HOP);
    send(s, v + 1, TAG_FOLD);
    take_result(s, v + 1);
    return;
  }
  int64_t count = 1;
  const int64_t u = v < 2 * extra ? v / 2 : v - extra;
  if (u < extra) {
    recv(s, v - 1, TAG_FOLD);
    add(s, 1, ++count, (uint64_t)v - 1, STAGE_HOP);
  }
  for (int64_t l = 0; l < levels; l++) {
    const int64_t size = INT64_C(1) << l, first = u / size * size, other = first ^ size,
                  partner = unfolded(u ^ size, extra);
    const int64_t more = clients_below(other + size, extra) - clients_below(other, extra);
    const uint32_t stage = STAGE_HOP + 1 + (uint32_t)l;
    const uint64_t own_key = (uint64_t)unfolded(first, extra), other_key = (uint64_t)unfolded(other, extra);
    encode(s, own_key, stage); /* a group has one value, and so must have one code */
    send(s, partner, TAG_LEVEL + l);
    put(s, (at_hop){.what = AT_HOP_SELF, .count = count, .key = own_key, .stage = stage});
    recv(s, partner, TAG_LEVEL + l);
    count += more;
    add(s, more, count, other_key, stage);
  }
  if (extra == 0) {
    put(s, (at_hop){.what = AT_HOP_MEAN});
    put(s, (at_hop){.what = AT_HOP_TAKE_ACC});
    return;
  }
  settle(s);
  if (u < extra) {
    send(s, v - 1, TAG_RESULT);
  }
}

/* ---- tree: node v's children are f v + 1 .. f v + f ---- */

static int64_t subtree(int64_t p, int64_t f, int64_t v) {
  int64_t n = 0;
  for (int64_t low = v, high = v; low < p; low = f * low + 1, high = f * high + f) {
    n += (high < p ? high : p - 1) - low + 1;
  }
  return n;
}

static void plan_tree(script *s, int64_t p, int64_t f, int64_t v) {
  int64_t count = 1;
  for (int64_t c = f * v + 1; c <= f * v + f && c < p; c++) {
    const int64_t more = subtree(p, f, c);
    count += more;
    recv(s, c, TAG_FOLD + (c - 1) % f);
    add(s, more, count, (uint64_t)c, STAGE_HOP);
  }
  if (v == 0) {
    settle(s);
  } else {
    encode(s, (uint64_t)v, STAGE_HOP);
    send(s, (v - 1) / f, TAG_FOLD + (v - 1) % f);
    take_result(s, (v - 1) / f);
  }
  for (int64_t c = f * v + 1; c <= f * v + f && c < p; c++) {
    send(s, c, TAG_RESULT);
  }
}

int64_t at_hops_most(int algorithm, int64_t p, int64_t fan_in) {
  return algorithm == AT_ALGORITHM_ring ? 9 : algorithm == AT_ALGORITHM_doubling ? 8 + 5 * log2_of(p) : 8 + 3 * fan_in;
}

int64_t at_hops_tags(int algorithm, int64_t p, int64_t fan_in) {
  return algorithm == AT_ALGORITHM_ring       ? 2
         : algorithm == AT_ALGORITHM_doubling ? TAG_LEVEL + log2_of(p)
                                              : TAG_FOLD + fan_in;
}

int64_t at_hops_plan(int algorithm, int64_t p, int64_t fan_in, int64_t v, int64_t owner, at_hop *steps) {
  script s = {.steps = steps};
  if (algorithm == AT_ALGORITHM_ring) {
    plan_ring(&s, p, v, owner);
  } else if (algorithm == AT_ALGORITHM_doubling) {
    plan_doubling(&s, p, v);
  } else {
    plan_tree(&s, p, fan_in, v);
  }
  return s.n;
}
