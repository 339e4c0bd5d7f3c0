/* SPDX-License-Identifier: BSD-3-Clause */
/* Sharing the clients of a round among ranks. */
#include "src/fed/deal.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/alloc.h"

typedef struct piece {
  double cost;
  int64_t at;
} piece;

static int longest_first(const void *a, const void *b) {
  const piece *x = a, *y = b;
  int order = (x->cost < y->cost) - (x->cost > y->cost);
  return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

at_err at_deal(int64_t n, const double *cost, int ranks, const double *speed, int *rank, double *makespan) {
  piece *order = NULL;
  double *load = NULL;
  at_err err;
  AT_TRY_TO(err, done, at_alloc(&order, (size_t)n, sizeof *order, "clients by cost"));
  AT_TRY_TO(err, done, at_alloc(&load, (size_t)ranks, sizeof *load, "load of the ranks"));
  for (int64_t i = 0; i < n; i++) {
    order[i] = (piece){cost[i], i};
  }
  qsort(order, (size_t)n, sizeof *order, longest_first);
  double last = 0;
  for (int64_t i = 0; i < n; i++) {
    int best = 0;
    double soonest = INFINITY;
    for (int r = 0; r < ranks; r++) {
      double end = (load[r] + order[i].cost) / speed[r];
      if (end < soonest) {
        soonest = end;
        best = r;
      }
    }
    load[best] += order[i].cost;
    rank[order[i].at] = best;
    last = fmax(last, soonest);
  }
  if (makespan != NULL) {
    *makespan = last;
  }
done:
  at_free(order);
  at_free(load);
  return err;
}

double at_deal_bound(int64_t n, const double *cost, int ranks, const double *speed) {
  double all = 0, largest = 0, speeds = 0, fastest = 0;
  for (int64_t i = 0; i < n; i++) {
    all += cost[i];
    largest = fmax(largest, cost[i]);
  }
  for (int r = 0; r < ranks; r++) {
    speeds += speed[r];
    fastest = fmax(fastest, speed[r]);
  }
  return fmax(all / speeds, largest / fastest);
}
