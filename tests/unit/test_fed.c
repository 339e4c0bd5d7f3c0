/* SPDX-License-Identifier: BSD-3-Clause */
/* Server optimisers, schedules, local steps and client streams. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/rng.h"
#include "src/fed/corpus.h"
#include "src/fed/outer.h"
#include "src/nn/optim.h"

enum { N = 257 };

static void fill(float *x, uint64_t key) {
  at_stream s = {.seed = key, .purpose = AT_RNG_TEST};
  at_rng_fill_normal(&s, 0, 1, x, N);
}

/* With v_0 = theta_0 and m_0 = 0 the two rules are the same sequence. */
static void fedmom_is_fednesterov(void **state) {
  (void)state;
  static float a[N], b[N], ma[N], mb[N], delta[N];
  at_outer mom = {.kind = AT_OUTER_fedmom, .lr = 0.7, .momentum = 0.9}, nest = mom;
  nest.kind = AT_OUTER_fednesterov;
  fill(a, 1);
  memcpy(b, a, sizeof a);
  at_outer_start(&mom, N, a, ma, NULL);
  at_outer_start(&nest, N, b, mb, NULL);
  for (int r = 1; r <= 50; r++) {
    fill(delta, 100 + (uint64_t)r);
    at_outer_step(&mom, r, N, delta, a, ma, NULL);
    at_outer_step(&nest, r, N, delta, b, mb, NULL);
    double gap = 0, norm = 0;
    for (int i = 0; i < N; i++) {
      gap += (a[i] - b[i]) * (a[i] - b[i]);
      norm += b[i] * b[i];
    }
    assert_true(sqrt(gap / norm) < 1e-5);
  }
}

/* Every rule goes down a quadratic: theta itself is its gradient. */
static void every_rule_descends(void **state) {
  (void)state;
  for (int kind = 0; kind < AT_OUTER_COUNT; kind++) {
    at_outer o = {.kind = kind, .lr = 0.05, .momentum = 0.5, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-9};
    o.lr = kind == AT_OUTER_fedadagrad ? 0.15 : o.lr; /* its steps become shorter with every one */
    float theta[2] = {1, -2}, m[2], v[2];
    at_outer_start(&o, 2, theta, m, v);
    for (int r = 1; r <= 40; r++) {
      float delta[2] = {theta[0], theta[1]};
      at_outer_step(&o, r, 2, delta, theta, m, v);
    }
    assert_true(fabsf(theta[0]) < 0.5f && fabsf(theta[1]) < 1.0f);
  }
}

static void first_steps_by_hand(void **state) {
  (void)state;
  float theta[1] = {1}, m[1], v[1], delta[1] = {0.5f};
  at_outer o = {.kind = AT_OUTER_fednesterov, .lr = 0.7, .momentum = 0.9};
  at_outer_start(&o, 1, theta, m, v);
  double step = at_outer_step(&o, 1, 1, delta, theta, m, v);
  assert_float_equal(step, 0.7 * 1.9 * 0.5, 1e-6); /* first gain is lr (1 + mu) */
  o = (at_outer){.kind = AT_OUTER_fedadam, .lr = 0.1, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-9};
  theta[0] = 1;
  at_outer_start(&o, 1, theta, m, v);
  at_outer_step(&o, 1, 1, delta, theta, m, v);
  assert_float_equal(theta[0], 0.9f, 1e-6); /* bias correction: the first step has length lr */
  o.kind = AT_OUTER_fedadagrad;
  theta[0] = 1;
  at_outer_start(&o, 1, theta, m, v);
  at_outer_step(&o, 1, 1, delta, theta, m, v);
  assert_float_equal(theta[0], 0.99f, 1e-6); /* without it: lr (1 - b1) */
}

static void schedule_warms_up_and_falls(void **state) {
  (void)state;
  at_schedule s = {.lr_max = 2, .final_fraction = 0.1, .warmup = 4, .period = 24};
  assert_float_equal(at_schedule_lr(&s, 0), 0.5, 1e-12);
  assert_float_equal(at_schedule_lr(&s, 3), 2.0, 1e-12);
  assert_float_equal(at_schedule_lr(&s, 14), 2 * (0.1 + 0.9 * 0.5), 1e-12);
  assert_float_equal(at_schedule_lr(&s, 24), 0.2, 1e-12);
  assert_float_equal(at_schedule_lr(&s, 1000), 0.2, 1e-12);
}

static void adamw_by_hand_and_clipping(void **state) {
  (void)state;
  at_kernels k;
  at_kernels_init(&k, at_isa_detect());
  at_optim o = {.kind = AT_OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 1};
  float w[1] = {1}, g[1] = {4}, m[1] = {0}, v[1] = {0};
  at_moments mom = {m, v, 0};
  at_step_info info = at_optim_step(&o, &k.vec, 0.01, 1, g, w, &mom);
  assert_true(info.clipped && !info.skipped);
  assert_float_equal(info.grad_norm, 4, 1e-6);
  assert_float_equal(w[0], 1 - 0.01 * (1 + 0.1), 1e-6); /* first step: m/sqrt(v) is the sign */
  assert_float_equal(m[0], 0.1, 1e-6);                  /* of the clipped gradient 1 */
  g[0] = NAN;
  float before = w[0];
  info = at_optim_step(&o, &k.vec, 0.01, 1, g, w, &mom);
  assert_true(info.skipped && w[0] == before && mom.t == 1);
}

/* --- streams ------------------------------------------------------------------------------------------------------ */

enum { SILO_TOKENS = 1001, CONTEXT = 10 };

static at_corpus small_corpus(at_silo *silo, uint8_t tokens[][SILO_TOKENS], int n) {
  for (int s = 0; s < n; s++) {
    for (int i = 0; i < SILO_TOKENS; i++) {
      tokens[s][i] = (uint8_t)(100 * s + i % 97);
    }
    silo[s] = (at_silo){.name = "silo", .split = {{.data = tokens[s], .width = 1, .n = SILO_TOKENS - 200 * s}}};
  }
  return (at_corpus){.n_silos = n, .vocab = 256, .silo = silo};
}

/* In one epoch of all clients every window of every silo is seen exactly once, whatever the number of clients. */
static void clients_share_silos_without_overlap(void **state) {
  (void)state;
  static uint8_t tokens[2][SILO_TOKENS];
  at_silo silo[2];
  at_corpus c = small_corpus(silo, tokens, 2);
  for (int64_t clients = 2; clients <= 7; clients++) {
    at_streams s = {.corpus = &c, .partition = AT_PARTITION_SILO, .n_clients = clients, .context = CONTEXT, .seed = 3};
    int seen[2][SILO_TOKENS / CONTEXT] = {{0}}, total = 0;
    assert_int_equal(at_streams_check(&s), AT_OK);
    for (int64_t k = 0; k < clients; k++) {
      int64_t where, start;
      for (int64_t cursor = 0;; cursor++) {
        at_streams_locate(&s, k, cursor, &where, &start);
        int *mark = &seen[where][start / CONTEXT];
        assert_int_equal(at_streams_epochs(&s, k, cursor), *mark != 0);
        if (*mark != 0) {
          break; /* the next epoch begins */
        }
        (*mark)++;
        total++;
      }
    }
    assert_int_equal(total, 100 + 80);
  }
}

/* Every epoch visits the same windows, each once, in an order of its own. */
static void epochs_have_orders_of_their_own(void **state) {
  (void)state;
  static uint8_t tokens[1][SILO_TOKENS];
  at_silo silo[1];
  at_corpus c = small_corpus(silo, tokens, 1);
  at_streams s = {.corpus = &c, .partition = AT_PARTITION_SILO, .n_clients = 1, .context = CONTEXT, .seed = 3};
  int last[SILO_TOKENS / CONTEXT] = {0}, windows = 100;
  for (int epoch = 0; epoch < 4; epoch++) {
    int at_same_place = 0, seen[SILO_TOKENS / CONTEXT] = {0};
    for (int i = 0; i < windows; i++) {
      int64_t where, start;
      at_streams_locate(&s, 0, (int64_t)epoch * windows + i, &where, &start);
      assert_int_equal(seen[start / CONTEXT]++, 0);
      at_same_place += epoch > 0 && last[i] == start;
      last[i] = (int)start;
      assert_int_equal(at_streams_epochs(&s, 0, (int64_t)epoch * windows + i), epoch);
    }
    assert_true(at_same_place < windows / 10);
  }
}

static void windows_are_tokens_and_their_successors(void **state) {
  (void)state;
  static uint8_t tokens[2][SILO_TOKENS];
  at_silo silo[2];
  at_corpus c = small_corpus(silo, tokens, 2);
  for (int partition = 0; partition < 2; partition++) {
    at_streams s = {.corpus = &c, .partition = partition, .n_clients = 3, .context = CONTEXT, .seed = 9};
    for (int64_t cursor = 0; cursor < 300; cursor++) {
      int32_t in[CONTEXT], target[CONTEXT];
      int64_t where, start;
      at_streams_locate(&s, 1, cursor, &where, &start);
      at_streams_window(&s, 1, cursor, in, target);
      assert_true(start % CONTEXT == 0 && start + CONTEXT < silo[where].split[0].n);
      for (int i = 0; i < CONTEXT; i++) {
        assert_int_equal(in[i], tokens[where][start + i]);
        assert_int_equal(target[i], tokens[where][start + i + 1]);
      }
      if (partition == AT_PARTITION_IID) {
        assert_int_equal(where, (1 + cursor) % 2);
      }
    }
  }
}

static void too_many_clients_are_refused(void **state) {
  (void)state;
  static uint8_t tokens[2][SILO_TOKENS];
  at_silo silo[2];
  at_corpus c = small_corpus(silo, tokens, 2);
  at_streams s = {.corpus = &c, .partition = AT_PARTITION_SILO, .n_clients = 170, .context = CONTEXT};
  assert_int_equal(at_streams_check(&s), AT_ERR_CONFIG);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fedmom_is_fednesterov),
      cmocka_unit_test(every_rule_descends),
      cmocka_unit_test(first_steps_by_hand),
      cmocka_unit_test(schedule_warms_up_and_falls),
      cmocka_unit_test(adamw_by_hand_and_clipping),
      cmocka_unit_test(clients_share_silos_without_overlap),
      cmocka_unit_test(epochs_have_orders_of_their_own),
      cmocka_unit_test(windows_are_tokens_and_their_successors),
      cmocka_unit_test(too_many_clients_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
