/* SPDX-License-Identifier: BSD-3-Clause */
/* The cost model against hand-computed and published figures; the virtual clock's deadlines and drop-outs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "src/net/clock.h"

static const at_codec_cost plain = {.ratio = 1};

/* A 7B model in 16 bits, four clients, 10 Gbit/s (Sani et al. 2025). */
static void topologies_match_the_published_case(void **state) {
  (void)state;
  at_link link = {.bytes_per_s = 1.25e9};
  double bytes = 6.657e9 * 2;
  assert_float_equal(at_net_round_s(AT_TOPOLOGY_ps, &link, &plain, 4, bytes, 0), 42.6, 0.05);
  assert_float_equal(at_net_round_s(AT_TOPOLOGY_ar, &link, &plain, 4, bytes, 0), 31.95, 0.01);
  assert_float_equal(at_net_round_s(AT_TOPOLOGY_rar, &link, &plain, 4, bytes, 0), 15.98, 0.01);
  assert_float_equal(at_net_break_even(1.92, 500), 2.91, 0.005);
  assert_float_equal(at_net_ring_attempts(4, 0.1), 1 / 0.6561, 1e-12);
}

static void extensions_add_up(void **state) {
  (void)state;
  at_link link = {.bytes_per_s = 100, .latency_s = 0.5};
  assert_float_equal(at_net_round_s(AT_TOPOLOGY_ps, &link, &plain, 4, 1000, 0), 40 + 2, 1e-12);
  assert_float_equal(at_net_round_s(AT_TOPOLOGY_rar, &link, &plain, 4, 1000, 0), 15 + 3, 1e-12);
  assert_float_equal(at_net_round_s(AT_TOPOLOGY_ps, &link, &plain, 4, 1000, 500), 40 + 2 + 8, 1e-12);
  link.half_duplex = true;
  assert_float_equal(at_net_round_s(AT_TOPOLOGY_ps, &link, &plain, 4, 1000, 0), 80 + 2, 1e-12);
  link = (at_link){.bytes_per_s = 100, .streams = 2};
  assert_float_equal(at_net_round_s(AT_TOPOLOGY_ar, &link, &plain, 4, 1000, 0), 60, 1e-12); /* half of 100 B/s */
  at_codec_cost codec = {.ratio = 4, .encode_s_per_byte = 1e-3, .decode_s_per_byte = 2e-3};
  link = (at_link){.bytes_per_s = 100};
  assert_float_equal(at_net_round_s(AT_TOPOLOGY_rar, &link, &codec, 4, 1000, 0), 15.0 / 4 + 3, 1e-12);
  assert_float_equal(at_net_round_s(AT_TOPOLOGY_rar, &link, &plain, 1, 1000, 0), 0, 0);
}

/* Two ranks, 10 MB/s of link: a ring of 20 MB takes 2 s, coding at 40 MB/s
 * a half, a half, a half and once of n. */
static void pieces_hide_the_faster(void **state) {
  (void)state;
  const double n = 2e7, coding = n * (0.5 + 0.5 + 0.5 + 1) / 4e7;
  at_link link = {.bytes_per_s = 1e7};
  at_codec_cost codec = {1, 1 / 4e7, 1 / 4e7};
  assert_float_equal(at_net_collective_s(AT_NET_ring, &link, &codec, 2, n, 0), 2 + coding, 1e-9);
  assert_float_equal(at_net_pipelined_s(AT_NET_ring, &link, &codec, 2, n, 0, 1), 2 + coding, 1e-9);
  assert_float_equal(at_net_pipelined_s(AT_NET_ring, &link, &codec, 2, n, 0, 100), 2 + coding / 50, 1e-9);
  link.bytes_per_s = 1e9; /* now the cores are what is slow */
  assert_float_equal(at_net_pipelined_s(AT_NET_ring, &link, &codec, 2, n, 0, 100), coding + 0.02 / 50, 1e-9);
}

/* 20 MB at 10 MB/s; what the plain algorithms move is known. */
static void collectives_move_what_they_must(void **state) {
  (void)state;
  at_link link = {.bytes_per_s = 1e7};
  double n = 2e7;
  assert_float_equal(at_net_collective_s(AT_NET_ring, &link, &plain, 4, n, 0), 2 * 2 * 0.75, 1e-12);
  assert_float_equal(at_net_collective_s(AT_NET_rabenseifner, &link, &plain, 4, n, 0), 3, 1e-12);
  assert_float_equal(at_net_collective_s(AT_NET_recursive_doubling, &link, &plain, 4, n, 0), 4, 1e-12);
  assert_float_equal(at_net_collective_s(AT_NET_star, &link, &plain, 4, n, 0), 12, 1e-12);
  assert_float_equal(at_net_collective_s(AT_NET_tree, &link, &plain, 4, n, 0), 8, 1e-12);
  for (int a = 0; a < AT_NET_ALGORITHM_COUNT; a++) {
    double before = -1;
    for (double bytes = 0; bytes < 1e6; bytes = 2 * bytes + 1000) {
      double s = at_net_collective_s((at_net_algorithm)a, &link, &plain, 5, bytes, 1e-10);
      assert_true(s > before); /* more bytes, more time */
      before = s;
    }
    assert_true(at_net_collective_s((at_net_algorithm)a, &link, &plain, 1, n, 1) == 0);
  }
}

static void clock_waits_for_the_slowest_or_the_deadline(void **state) {
  (void)state;
  at_virtual_clock c = {0};
  bool on_time[3];
  double sorted[3];
  assert_true(at_clock_deadline_s(&c, 2) == 0);
  at_clock_round r = at_clock_wait((double[]){1, 3, 2}, 3, 0, on_time, sorted);
  assert_float_equal(r.local_s, 3, 0);
  assert_float_equal(at_clock_advance(&c, &r, 3), 3 + 3, 1e-12);
  double deadline = at_clock_deadline_s(&c, 2);
  assert_float_equal(deadline, 4, 1e-12);
  r = at_clock_wait((double[]){1, INFINITY, 9}, 3, deadline, on_time, sorted);
  assert_true(on_time[0] && !on_time[1] && !on_time[2]);
  assert_int_equal(r.on_time, 1);
  assert_float_equal(r.local_s, 4, 1e-12);
  at_clock_advance(&c, &r, 1);
  assert_float_equal(c.now_s, 6 + 4 + 1, 1e-12);
  assert_float_equal(at_clock_deadline_s(&c, 1), 1.5, 1e-12); /* of 2 and 1: waiting in vain does not count */
  r = at_clock_wait((double[]){INFINITY}, 1, deadline, on_time, sorted);
  assert_true(r.on_time == 0 && r.local_s == deadline);
  at_clock_advance(&c, &r, 0);
  assert_float_equal(at_clock_deadline_s(&c, 1), 1.5, 1e-12);
}

static void devices_are_found_by_name(void **state) {
  (void)state;
  const at_device *d = at_device_find("a100-80g");
  assert_non_null(d);
  assert_float_equal(at_device_s(d, d->flops_per_s * d->efficiency, 2), 2, 1e-12);
  assert_null(at_device_find("abacus"));
  for (int i = 0; at_device_at(i) != NULL; i++) { /* after "none" */
    assert_ptr_equal(at_device_find(at_device_names[i + 1]), at_device_at(i));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(topologies_match_the_published_case),
      cmocka_unit_test(extensions_add_up),
      cmocka_unit_test(pieces_hide_the_faster),
      cmocka_unit_test(collectives_move_what_they_must),
      cmocka_unit_test(clock_waits_for_the_slowest_or_the_deadline),
      cmocka_unit_test(devices_are_found_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
