/* SPDX-License-Identifier: BSD-3-Clause */
/* The cross-device core by itself: who is drawn, who plays where, who answers in time, what privacy costs. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/fed/buffered.h"
#include "src/fed/deal.h"
#include "src/fed/draw.h"
#include "src/fed/population.h"
#include "src/fed/privacy.h"
#include "src/stats/rdp.h"

/* ---- populations and draws: on a set of six clients with 2, 4, .. 12 examples of three classes, and on one of 6000 examples ---- */

static char path[] = "/tmp/atoll_crowd_XXXXXX", large_path[] = "/tmp/atoll_crowd_XXXXXX";
static at_examples *set, *large;

enum { LARGE = 6000 };

static void write_client(at_h5 *f, const char *group, int c, int64_t n) {
  static float x[LARGE][2];
  static int32_t y[LARGE];
  char name[64];
  for (int64_t i = 0; i < n; i++) {
    x[i][0] = (float)c;
    x[i][1] = (float)i;
    y[i] = (int32_t)((c + i) % 3);
  }
  snprintf(name, sizeof name, "/%s/c%d/x", group, c);
  at_h5_desc d = {.path = name, .type = AT_H5_F32, .ndims = 2, .dims = {n, 2}, .units = "1", .description = "Input."};
  assert_ok(at_h5_write(f, &d, x));
  snprintf(name, sizeof name, "/%s/c%d/y", group, c);
  d = (at_h5_desc){.path = name, .type = AT_H5_I32, .ndims = 1, .dims = {n}, .units = "1", .description = "Label."};
  assert_ok(at_h5_write(f, &d, y));
}

static void start_file(char *name, at_h5 **f) {
  int fd = mkstemp(name);
  assert_true(fd >= 0);
  close(fd);
  assert_ok(at_h5_create(f, name, "data", 0));
}

static int make_set(void **state) {
  (void)state;
  at_h5 *f;
  start_file(path, &f);
  for (int c = 0; c < 6; c++) {
    write_client(f, "examples", c, 2 + 2 * c);
    write_client(f, "test", c, 3);
  }
  assert_ok(at_h5_commit(f));
  start_file(large_path, &f);
  write_client(f, "examples", 0, LARGE);
  assert_ok(at_h5_commit(f));
  assert_ok(at_examples_open(&set, path, NULL));
  assert_ok(at_examples_open(&large, large_path, NULL));
  return 0;
}

static int remove_set(void **state) {
  (void)state;
  at_examples_close(set);
  at_examples_close(large);
  return unlink(path) + unlink(large_path);
}

static at_population population(const at_examples *of, at_partition_scheme scheme, int64_t clients, int64_t per_client,
                                double sigma) {
  at_population p;
  const at_partition_cfg cfg = {.scheme = scheme,
                                .clients = clients,
                                .per_client = per_client,
                                .alpha = 0.3,
                                .sigma = sigma,
                                .shards = 2,
                                .seed = 5};
  assert_ok(at_population_init(&p, of, &cfg));
  return p;
}

static void natural_clients_are_those_of_the_set(void **state) {
  (void)state;
  at_population p = population(set, AT_PARTITION_natural, 0, 0, 0);
  int64_t row[16];
  assert_int_equal(at_partition_clients(p.split[AT_SPLIT_TRAIN]), 6);
  assert_int_equal(at_population_max_size(&p), 12);
  for (int64_t k = 0; k < 6; k++) {
    assert_int_equal(at_population_size(&p, AT_SPLIT_TRAIN, k), 2 + 2 * k);
    assert_int_equal(at_population_size(&p, AT_SPLIT_TEST, k), 3);
    assert_int_equal(at_population_size(&p, AT_SPLIT_VALIDATION, k), 0);
    at_partition_rows(p.split[AT_SPLIT_TRAIN], k, row);
    assert_int_equal(row[0], at_examples_first(set, AT_SPLIT_TRAIN, k));
    at_partition_rows(p.split[AT_SPLIT_TEST], k, row);
    assert_int_equal(row[0], at_examples_first(set, AT_SPLIT_TEST, k));
  }
  at_population_fini(&p);
}

/* The share of the set that is held out, of what is drawn; at least one. */
static void held_out_counts_are_in_proportion(void **state) {
  (void)state;
  static const int64_t per_client[] = {1, 4, 7, 28}, held_out[] = {1, 2, 3, 12}; /* 18 of 42, rounded */
  for (int i = 0; i < 4; i++) {
    for (int scheme = AT_PARTITION_iid; scheme <= AT_PARTITION_combined; scheme++) {
      at_population p = population(set, scheme, 1000000, per_client[i], 0); /* no deviation: all sizes are the mean */
      assert_int_equal(at_population_size(&p, AT_SPLIT_TRAIN, 123456), per_client[i]);
      assert_int_equal(at_population_size(&p, AT_SPLIT_TEST, 123456), held_out[i]);
      assert_true(at_population_bytes(&p) < 4096);
      at_population_fini(&p);
    }
  }
}

static void iid_clients_share_no_example_when_dealt(void **state) {
  (void)state;
  at_population p = population(set, AT_PARTITION_iid, 10, 0, 0); /* 42 examples */
  int seen[42] = {0};
  for (int64_t k = 0; k < 10; k++) {
    int64_t row[5], n = at_population_size(&p, AT_SPLIT_TRAIN, k);
    assert_in_range(n, 4, 5);
    at_partition_rows(p.split[AT_SPLIT_TRAIN], k, row);
    for (int i = 0; i < n; i++) {
      assert_int_equal(seen[row[i]]++, 0);
    }
  }
  at_population_fini(&p);
}

static void mixtures_hold_what_they_say(void **state) {
  (void)state;
  enum { CLIENTS = 400, SAMPLES = 30 };
  at_population p = population(set, AT_PARTITION_dirichlet, CLIENTS, SAMPLES, 0);
  double first = 0, square = 0;
  for (int64_t k = 0; k < CLIENTS; k++) {
    int64_t row[SAMPLES];
    double count = 0;
    at_partition_rows(p.split[AT_SPLIT_TRAIN], k, row);
    for (int i = 0; i < SAMPLES; i++) {
      assert_in_range(row[i], 0, 41);
      count += at_examples_labels(set, AT_SPLIT_TRAIN)[row[i]] == 0;
    }
    first += count / SAMPLES / CLIENTS;
    square += count / SAMPLES * count / SAMPLES / CLIENTS;
  }
  /* the share of one of 3 classes: mean 1/3, variance a(3a - a)/((3a)^2 (3a + 1)) of Dirichlet(a) plus sampling; within 4 deviations */
  double variance = 2.0 / 9 / (3 * 0.3 + 1), all = variance + (2.0 / 9 - variance) / SAMPLES;
  assert_true(fabs(first - 1.0 / 3) < 4 * sqrt(all / CLIENTS));
  assert_true(fabs(square - first * first - all) < 0.25 * all);
  at_population_fini(&p);
}

static void long_tails_keep_their_mean(void **state) {
  (void)state;
  enum { CLIENTS = 20000 };
  at_population p = population(large, AT_PARTITION_quantity, CLIENTS, 50, 1);
  double mean = 0;
  int64_t most = 0;
  for (int64_t k = 0; k < CLIENTS; k++) {
    int64_t n = at_population_size(&p, AT_SPLIT_TRAIN, k);
    mean += (double)n / CLIENTS;
    most = n > most ? n : most;
  }
  assert_true(fabs(mean - 50) < 4 * 50 * sqrt((M_E - 1) / CLIENTS));
  assert_true(most > 500 && most <= at_population_max_size(&p));
  at_population_fini(&p);
}

static void draws_are_ascending_and_different(void **state) {
  (void)state;
  at_population p = population(set, AT_PARTITION_quantity, 1000, 5, 1);
  for (int kind = 0; kind < AT_DRAW_COUNT; kind++) {
    at_draw d = {.kind = kind, .clients = 1000, .per_round = 300, .seed = 7, .training = p.split[AT_SPLIT_TRAIN]};
    for (int64_t round = 0; round < 5; round++) {
      int64_t n, *ids;
      assert_ok(at_draw_round(&d, round, &n, &ids));
      assert_true(kind == AT_DRAW_poisson || n == (kind == AT_DRAW_cyclic && round == 3 ? 100 : 300));
      for (int64_t i = 0; i < n; i++) {
        assert_in_range(ids[i], 0, 999);
        assert_true(i == 0 || ids[i] > ids[i - 1]);
      }
      at_free(ids);
    }
  }
  at_population_fini(&p);
}

static void a_cycle_visits_all_once(void **state) {
  (void)state;
  enum { CLIENTS = 103 };
  at_draw d = {.kind = AT_DRAW_cyclic, .clients = CLIENTS, .per_round = 10, .seed = 7};
  int seen[CLIENTS] = {0};
  for (int64_t round = 0; round < 11; round++) {
    int64_t n, *ids;
    assert_ok(at_draw_round(&d, round, &n, &ids));
    for (int64_t i = 0; i < n; i++) {
      seen[ids[i]]++;
    }
    at_free(ids);
  }
  for (int i = 0; i < CLIENTS; i++) {
    assert_int_equal(seen[i], 1);
  }
}

/* Both ways to draw by weight: of two rounds' worth of draws of one client, its frequency is in proportion. */
static void weights_count(void **state) {
  (void)state;
  at_population p = population(set, AT_PARTITION_natural, 0, 0, 0); /* 2, 4, .. 12: 42 in all */
  enum { ROUNDS = 6000 };
  double seen[6] = {0};
  at_draw d = {.kind = AT_DRAW_weighted, .clients = 6, .per_round = 1, .seed = 3, .training = p.split[AT_SPLIT_TRAIN]};
  for (int64_t round = 0; round < ROUNDS; round++) {
    int64_t n, *ids;
    assert_ok(at_draw_round(&d, round, &n, &ids));
    seen[ids[0]]++;
    at_free(ids);
  }
  for (int k = 0; k < 6; k++) {
    double share = (2.0 + 2 * k) / 42;
    assert_true(fabs(seen[k] / ROUNDS - share) < 4 * sqrt(share * (1 - share) / ROUNDS));
  }
  at_population_fini(&p);
}

static void poisson_draws_vary_as_they_should(void **state) {
  (void)state;
  enum { ROUNDS = 400 };
  at_draw d = {.kind = AT_DRAW_poisson, .clients = 1000, .per_round = 100, .seed = 1};
  double mean = 0, square = 0;
  for (int64_t round = 0; round < ROUNDS; round++) {
    int64_t n, *ids;
    assert_ok(at_draw_round(&d, round, &n, &ids));
    mean += (double)n / ROUNDS;
    square += (double)(n * n) / ROUNDS;
    at_free(ids);
  }
  assert_true(fabs(mean - 100) < 4 * sqrt(90.0 / ROUNDS));
  assert_true(fabs(square - mean * mean - 90) < 4 * 90 * sqrt(2.0 / ROUNDS));
}

/* ---- dealing ---- */

static void long_tails_are_dealt_evenly(void **state) {
  (void)state;
  enum { CLIENTS = 200, RANKS = 4 };
  at_population p = population(large, AT_PARTITION_quantity, CLIENTS, 100, 1.5);
  double cost[CLIENTS], speed[RANKS] = {1, 1, 1, 1}, uneven[RANKS] = {1, 2, 1, 0.5}, took, load[RANKS] = {0};
  int rank[CLIENTS];
  for (int64_t k = 0; k < CLIENTS; k++) {
    cost[k] = (double)at_population_size(&p, AT_SPLIT_TRAIN, k);
  }
  assert_ok(at_deal(CLIENTS, cost, RANKS, speed, rank, &took));
  for (int k = 0; k < CLIENTS; k++) {
    load[rank[k]] += cost[k];
  }
  for (int r = 0; r < RANKS; r++) {
    assert_true(load[r] <= took);
  }
  assert_true(took <= 1.05 * at_deal_bound(CLIENTS, cost, RANKS, speed));
  assert_ok(at_deal(CLIENTS, cost, RANKS, uneven, rank, &took));
  assert_true(took <= 1.05 * at_deal_bound(CLIENTS, cost, RANKS, uneven));
  at_population_fini(&p);
}

static void one_large_client_bounds_the_makespan(void **state) {
  (void)state;
  double cost[] = {1, 1, 100, 1}, speed[] = {1, 1}, took;
  int rank[4];
  assert_ok(at_deal(4, cost, 2, speed, rank, &took));
  assert_true(took == 100 && at_deal_bound(4, cost, 2, speed) == 100);
  assert_true(rank[0] == rank[1] && rank[1] == rank[3] && rank[2] != rank[0]);
}

/* ---- answers ---- */

static void the_first_in_time_count(void **state) {
  (void)state;
  const double answer[] = {5, 1, INFINITY, 3, 1};
  bool counts[5];
  int64_t have;
  double took;
  assert_ok(at_fleet_close(5, answer, 3, 0, counts, &have, &took));
  assert_true(have == 3 && took == 3 && counts[1] && counts[3] && counts[4] && !counts[0] && !counts[2]);
  assert_ok(at_fleet_close(5, answer, 5, 0, counts, &have, &took));
  assert_true(have == 4 && took == 5);
  assert_ok(
      at_fleet_close(5, answer, 5, 4, counts, &have, &took)); /* the server does not know that nobody else comes */
  assert_true(have == 3 && took == 4 && !counts[0]);
}

static double by_number(const void *context, int64_t client, int64_t ask, double now_s) {
  (void)context, (void)ask, (void)now_s;
  return client % 7 == 0 ? 100 : 1 + (double)client / 1000;
}

static void buffered_steps_are_orderly(void **state) {
  (void)state;
  enum { GOAL = 4, STEPS = 60 };
  at_buffered_spec spec = {
      .clients = 500, .at_work = 20, .goal = GOAL, .max_staleness = 10, .seed = 2, .answer_s = by_number};
  at_buffered *a, *b;
  assert_ok(at_buffered_create(&a, &spec));
  assert_ok(at_buffered_create(&b, &spec));
  double last = 0;
  for (int64_t step = 0; step < STEPS; step++) {
    at_flight one[GOAL], two[GOAL];
    assert_ok(at_buffered_step(a, one));
    assert_ok(at_buffered_step(b, two));
    assert_memory_equal(one, two, sizeof one);
    assert_int_equal(a->version, step + 1);
    assert_true(a->now_s >= last);
    last = a->now_s;
    for (int i = 0; i < GOAL; i++) {
      assert_true(one[i].version <= (double)step && (double)step - one[i].version <= 10);
      assert_true(i == 0 || one[i].client > one[i - 1].client);
    }
  }
  assert_true(a->dropped > 0); /* the slow ones come back too late */
  assert_true(at_buffered_weight(&(at_flight){.version = 3}, 3) == 1 &&
              at_buffered_weight(&(at_flight){.version = 3}, 6) == 0.5);
  at_buffered_destroy(a);
  at_buffered_destroy(b);
}

static void too_few_clients_for_a_buffer_are_refused(void **state) {
  (void)state;
  at_buffered *b;
  at_buffered_spec spec = {.clients = 20, .at_work = 18, .goal = 3, .answer_s = by_number};
  assert_fails(AT_ERR_CONFIG, "20", at_buffered_create(&b, &spec));
}

/* ---- privacy ---- */

/* Published values of epsilon for DP-SGD, all by this accountant and the conversion of Mironov 2017. */
static void epsilon_is_as_published(void **state) {
  (void)state;
  static const struct {
    const char *source;
    double n, batch, sigma, epochs, delta, epsilon;
  } known[] = {
      /* TensorFlow Privacy, tutorials/README.md, MNIST */
      {"TensorFlow Privacy MNIST 1", 60000, 256, 1.3, 15, 1e-5, 1.19},
      {"TensorFlow Privacy MNIST 2", 60000, 256, 1.1, 60, 1e-5, 3.01},
      {"TensorFlow Privacy MNIST 3", 60000, 256, 0.7, 45, 1e-5, 7.10},
      /* TensorFlow Privacy, compute_dp_sgd_privacy_test.py */
      {"TensorFlow Privacy test 0", 60000, 150, 1.3, 15, 1e-5, 0.941870567},
      {"TensorFlow Privacy test 1", 100000, 100, 1.0, 30, 1e-7, 1.70928734},
      /* Abadi et al. 2016, section 3.2: q = 0.01, sigma = 4, 10000 steps */
      {"Abadi et al. 2016", 10000, 100, 4.0, 100, 1e-5, 1.26},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    int64_t rounds = (int64_t)ceil(known[i].epochs * known[i].n / known[i].batch);
    double e = at_rdp_epsilon(known[i].batch / known[i].n, known[i].sigma, rounds, known[i].delta, NULL);
    if (fabs(e / known[i].epsilon - 1) > 0.01) {
      fail_msg("%s: published %g, found %g", known[i].source, known[i].epsilon, e);
    }
    assert_true(at_rdp_epsilon_tight(known[i].batch / known[i].n, known[i].sigma, rounds, known[i].delta, NULL) < e);
  }
}

/* The integral that the series stand for, by Simpson's rule. */
static double integral(double q, double sigma, double alpha) {
  enum { STEPS = 40000 };
  double low = -12 * sigma, high = 12 * sigma + 2 * alpha, h = (high - low) / STEPS, sum = 0;
  for (int i = 0; i <= STEPS; i++) {
    double z = low + i * h, weight = i == 0 || i == STEPS ? 1 : i % 2 ? 4 : 2;
    double log_density = -z * z / (2 * sigma * sigma) - log(sigma * sqrt(2 * M_PI));
    sum += weight * exp(log_density + alpha * log1p(q * expm1((2 * z - 1) / (2 * sigma * sigma))));
  }
  return log(sum * h / 3) / (alpha - 1);
}

static void divergence_is_the_integral(void **state) {
  (void)state;
  static const double q[] = {0.001, 0.02, 0.3}, sigma[] = {0.8, 1.5, 4}, alpha[] = {1.25, 2, 2.5, 3, 7.3, 16};
  for (int i = 0; i < 3; i++) {
    for (int j = 0; j < 3; j++) {
      for (int k = 0; k < 6; k++) {
        double is = at_rdp_round(q[i], sigma[j], alpha[k]), should = integral(q[i], sigma[j], alpha[k]);
        if (fabs(is - should) > 1e-6 * should + 1e-11) {
          fail_msg("q = %g, sigma = %g, alpha = %g: %.12g, integral %.12g", q[i], sigma[j], alpha[k], is, should);
        }
      }
    }
  }
  assert_true(at_rdp_round(1, 2, 8) == 1 && at_rdp_round(0, 2, 8) == 0 && isinf(at_rdp_round(0.1, 0, 8)));
}

static void clipping_bounds_and_noise_has_its_size(void **state) {
  (void)state;
  enum { N = 20000 };
  at_kernels kernels;
  at_kernels_init(&kernels, AT_ISA_REF);
  const at_vec *vec = &kernels.vec;
  at_privacy p = {.noise = 2, .clip = 3, .seed = 11};
  float *x;
  bool clipped;
  assert_ok(at_alloc(&x, N, sizeof *x, "test"));
  for (int i = 0; i < N; i++) {
    x[i] = 1;
  }
  assert_true(fabs(at_privacy_clip(&p, vec, N, x, &clipped) - sqrt(N)) < 1e-9 && clipped);
  double norm = sqrt(vec->sumsq(N, x));
  assert_true(norm <= 3 && norm > 3 - 1e-4);
  at_privacy_clip(&p, vec, N, x, &clipped);
  assert_false(clipped);
  memset(x, 0, N * sizeof *x);
  at_privacy_add_noise(&p, 4, 10, N, x);
  double variance = vec->sumsq(N, x) / N;
  assert_true(fabs(variance / 0.36 - 1) < 4 * sqrt(2.0 / N));
  at_free(x);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(natural_clients_are_those_of_the_set),
      cmocka_unit_test(held_out_counts_are_in_proportion),
      cmocka_unit_test(iid_clients_share_no_example_when_dealt),
      cmocka_unit_test(mixtures_hold_what_they_say),
      cmocka_unit_test(long_tails_keep_their_mean),
      cmocka_unit_test(draws_are_ascending_and_different),
      cmocka_unit_test(a_cycle_visits_all_once),
      cmocka_unit_test(weights_count),
      cmocka_unit_test(poisson_draws_vary_as_they_should),
      cmocka_unit_test(long_tails_are_dealt_evenly),
      cmocka_unit_test(one_large_client_bounds_the_makespan),
      cmocka_unit_test(the_first_in_time_count),
      cmocka_unit_test(buffered_steps_are_orderly),
      cmocka_unit_test(too_few_clients_for_a_buffer_are_refused),
      cmocka_unit_test(epsilon_is_as_published),
      cmocka_unit_test(divergence_is_the_integral),
      cmocka_unit_test(clipping_bounds_and_noise_has_its_size),
  };
  return cmocka_run_group_tests(tests, make_set, remove_set);
}
