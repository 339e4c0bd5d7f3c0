/* SPDX-License-Identifier: BSD-3-Clause */
/* Dirichlet mixtures of silos, and teams of ranks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "src/fed/corpus.h"
#include "src/fed/teams.h"

enum { CLIENTS = 5, SILOS = 3, CONTEXT = 4, WINDOWS = 700 };
static uint8_t text[SILOS][WINDOWS * CONTEXT + 1];

/* Clients' windows are disjoint, all are dealt, and silos come as often as the counts say. */
static void parts_are_disjoint_and_whole(void **state) {
  (void)state;
  at_silo silo[SILOS];
  for (int s = 0; s < SILOS; s++) {
    silo[s] =
        (at_silo){.name = "silo", .split = {{.data = text[s], .width = 1, .n = (WINDOWS - 100 * s) * CONTEXT + 1}}};
  }
  at_corpus c = {.n_silos = SILOS, .vocab = 256, .silo = silo};
  at_mixture *m = NULL;
  assert_int_equal(at_mixture_create(&m, 7, 1.0, CLIENTS, SILOS), AT_OK);
  at_streams s = {.corpus = &c,
                  .partition = AT_PARTITION_DIRICHLET,
                  .n_clients = CLIENTS,
                  .context = CONTEXT,
                  .seed = 7,
                  .mixture = m};
  static int owner[SILOS][WINDOWS];
  memset(owner, 0, sizeof owner);
  int64_t dealt = 0;
  for (int64_t k = 0; k < CLIENTS; k++) {
    int64_t seen[SILOS] = {0};
    for (int64_t cursor = 0; cursor < 64 * AT_MIXTURE_BLOCK; cursor++) { /* long enough for all of the smallest part */
      int64_t where, start;
      at_streams_locate(&s, k, cursor, &where, &start);
      int *mark = &owner[where][start / CONTEXT];
      assert_true(start % CONTEXT == 0 && (*mark == 0 || *mark == k + 1));
      dealt += *mark == 0;
      *mark = (int)k + 1;
      seen[where]++;
    }
    for (int64_t i = 0; i < SILOS; i++) {
      assert_int_equal(seen[i], 64 * m->count[k * SILOS + i]);
      assert_true(m->count[k * SILOS + i] <= m->count[k * SILOS + at_mixture_home(m, k)]);
    }
  }
  assert_int_equal(dealt, 3 * WINDOWS - 300);
  at_mixture_destroy(m);
}

static void alpha_decides_how_alike_clients_are(void **state) {
  (void)state;
  at_mixture *few = NULL, *even = NULL, *many = NULL;
  assert_int_equal(at_mixture_create(&few, 3, 1e-3, CLIENTS, SILOS), AT_OK);
  assert_int_equal(at_mixture_create(&even, 3, 1e6, CLIENTS, SILOS), AT_OK);
  for (int64_t k = 0; k < CLIENTS; k++) {
    assert_int_equal(few->count[k * SILOS + at_mixture_home(few, k)], AT_MIXTURE_BLOCK);
    for (int64_t s = 0; s < SILOS; s++) {
      assert_in_range(even->count[k * SILOS + s], AT_MIXTURE_BLOCK / SILOS - 1, AT_MIXTURE_BLOCK / SILOS + 2);
    }
  }
  assert_int_equal(at_mixture_create(&many, 3, 1, 1, AT_MIXTURE_BLOCK + 1), AT_ERR_CONFIG);
  at_mixture_destroy(few);
  at_mixture_destroy(even);
}

/* Every rank has a place in one team, counted from 0, and teams have the places that there are. */
static void teams_share_out_the_ranks(void **state) {
  (void)state;
  for (int ranks = 1; ranks <= 9; ranks++) {
    for (int64_t places = 1; places <= 9; places++) {
      int sizes[9] = {0};
      int64_t shared = 0;
      for (int r = 0; r < ranks; r++) {
        at_team t = at_team_of(r, ranks, places);
        assert_int_equal(t.teams, ranks < places ? ranks : places);
        assert_int_equal(t.index, sizes[t.team]++);
        assert_true(t.index < t.size);
        shared += t.index == 0 ? at_team_share(places, t.team, t.teams) : 0;
      }
      for (int r = 0; r < ranks; r++) {
        at_team t = at_team_of(r, ranks, places);
        assert_int_equal(t.size, sizes[t.team]);
      }
      assert_int_equal(shared, places);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parts_are_disjoint_and_whole),
      cmocka_unit_test(alpha_decides_how_alike_clients_are),
      cmocka_unit_test(teams_share_out_the_ranks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
