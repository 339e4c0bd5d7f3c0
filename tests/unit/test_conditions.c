/* SPDX-License-Identifier: BSD-3-Clause */
/* Fates of clients that are drawn: how often, within which bounds, and by a deadline. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "src/fed/conditions.h"

enum { CLIENTS = 100, ROUNDS = 100, TAU = 8 };
static const double many = (double)CLIENTS * ROUNDS;

static at_ask ask_for(int client, int round, double deadline_s) {
  return (at_ask){.seed = 7, .client = client, .round = round, .steps = TAU, .flops = 1, .deadline_s = deadline_s};
}

/* Within four standard deviations of what is expected. */
static void assert_share(double count, double p) {
  assert_true(fabs(count - many * p) < 4 * sqrt(many * p * (1 - p)));
}

static void faults_are_as_frequent_as_declared(void **state) {
  (void)state;
  const at_conditions c = {.dropouts = 0.1,
                           .nan = 0.2,
                           .outliers = 0.05,
                           .outlier_factor = 1e3,
                           .failures = 0.5,
                           .server_nan = 0.25,
                           .retries = 2,
                           .step_s = 1,
                           .stragglers = 0.3,
                           .straggler_factor = 4};
  double vanished = 0, spoilt = 0, outlying = 0, failed = 0, again = 0, server = 0, slow = 0;
  for (int k = 0; k < CLIENTS; k++) {
    for (int r = 0; r < ROUNDS; r++) {
      const at_ask a = ask_for(k, r, 0);
      const at_fate f = at_conditions_fate(&c, &a);
      const double spoil = at_conditions_spoil(&c, 7, k, r);
      assert_true(f.failures >= 0 && f.failures <= 3);
      assert_true(isinf(f.seconds) || f.steps == (f.failures == 3 ? 0 : TAU));
      vanished += isinf(f.seconds) != 0;
      slow += f.failures == 0 && f.seconds == 4 * TAU;
      failed += f.failures == 3;
      again += f.failures >= 1;
      spoilt += isnan(spoil) != 0;
      outlying += spoil == 1e3;
      server += at_conditions_spoil_server(&c, 7, r, k);
    }
  }
  assert_share(vanished, 0.1);
  assert_share(spoilt, 0.2);
  assert_share(outlying, 0.8 * 0.05);
  assert_share(again, 0.9 * 0.5);
  assert_share(failed, 0.9 * 0.125);
  assert_share(slow, 0.9 * 0.5 * 0.3);
  assert_share(server, 0.25);
}

static void attempts_take_their_time(void **state) {
  (void)state;
  const at_conditions c = {.failures = 0.5, .retries = 2, .step_s = 2};
  for (int k = 0; k < CLIENTS; k++) {
    const at_ask a = ask_for(k, 0, 0);
    const at_fate f = at_conditions_fate(&c, &a);
    double steps = (double)f.steps;
    for (int64_t i = 0; i < f.failures; i++) {
      const int64_t done = at_conditions_breaks_off(&c, &a, i);
      assert_in_range(done, 0, TAU - 1);
      steps += (double)done;
    }
    assert_true(f.failures > 2 || at_conditions_breaks_off(&c, &a, f.failures) < 0);
    assert_true(f.seconds == 2 * steps);
  }
}

/* At the deadline there are as many steps as fit, or none: then the client is late. */
static void late_clients_are_shortened(void **state) {
  (void)state;
  at_conditions c = {.step_s = 1, .spread = 1, .failures = 0.2, .retries = 1, .late = AT_LATE_SHORTEN};
  int cut = 0, late = 0;
  for (int k = 0; k < 10 * CLIENTS; k++) {
    const at_ask a = ask_for(k, 3, 6), patient = ask_for(k, 3, 0);
    const at_fate f = at_conditions_fate(&c, &a), whole = at_conditions_fate(&c, &patient);
    assert_int_equal(f.failures, whole.failures);
    if (whole.seconds <= 6) {
      assert_true(f.seconds == whole.seconds && f.steps == whole.steps);
    } else if (f.seconds <= 6) {
      assert_in_range(f.steps, 1, TAU - 1);
      cut++;
    } else {
      assert_true(f.seconds == whole.seconds);
      late++;
    }
  }
  assert_true(cut > 100 && late > 10);
  c.late = AT_LATE_LEAVE_OUT;
  const at_ask a = ask_for(0, 3, 1e-3);
  assert_int_equal(at_conditions_fate(&c, &a).steps, TAU);
}

/* Nothing to do takes no time, and cannot break off. */
static void no_steps(void **state) {
  (void)state;
  const at_conditions c = {.step_s = 1, .failures = 1, .retries = 2, .late = AT_LATE_SHORTEN};
  at_ask a = ask_for(1, 1, 5);
  a.steps = 0;
  const at_fate f = at_conditions_fate(&c, &a);
  assert_true(f.seconds == 0 && f.failures == 0 && f.steps == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(faults_are_as_frequent_as_declared),
      cmocka_unit_test(attempts_take_their_time),
      cmocka_unit_test(late_clients_are_shortened),
      cmocka_unit_test(no_steps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
