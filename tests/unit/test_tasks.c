/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled tasks: programs by batch size, running statistics, what is trained, initial values. */
#include <math.h>

#include "src/base/alloc.h"
#include "src/base/rng.h"
#include "src/nn/classifier.h"
#include "src/nn/lm_task.h"
#include "src/nn/optim.h"
#include "tests/unit/unit.h"

enum { MOST = 16 };

typedef struct fixture {
  at_kernels k;
  at_classifier_task *task;
  int64_t n_theta, n_state;
  float *theta, *state, *x;
  int32_t label[MOST];
} fixture;

static at_model small_resnet(void) {
  at_model m;
  assert_ok(at_model_preset("resnet18", &m));
  m.input = AT_SHAPE(8, 8, 3);
  m.classes = 5;
  m.resnet.stages = 2;
  m.resnet.width[0] = 4;
  m.resnet.width[1] = 6;
  m.resnet.blocks[0] = m.resnet.blocks[1] = 1;
  return m;
}

static void open_fixture(fixture *f, const at_model *m, const at_classifier_options *o) {
  at_kernels_init(&f->k, at_isa_detect());
  assert_ok(at_classifier_task_create(&f->task, m, o, &f->k));
  at_task *t = at_classifier_task_get(f->task);
  f->n_theta = at_task_params(t)->count;
  f->n_state = at_task_states(t)->count;
  int64_t features = at_shape_count(m->input);
  assert_ok(at_alloc(&f->theta, (size_t)f->n_theta, sizeof(float), "test"));
  assert_ok(at_alloc(&f->state, (size_t)f->n_state, sizeof(float), "test"));
  assert_ok(at_alloc(&f->x, (size_t)(MOST * features), sizeof(float), "test"));
  assert_ok(at_task_init(t, 3, f->theta, f->state));
  at_stream s = {.seed = 5, .purpose = AT_RNG_TEST};
  at_rng_fill_normal(&s, 0.5, 1, f->x, MOST * features);
  for (int i = 0; i < MOST; i++) {
    f->label[i] = (int32_t)at_rng_below(&s, (uint64_t)(1 << 20) + (uint64_t)i, (uint64_t)m->classes);
  }
}

static void close_fixture(fixture *f) {
  at_classifier_task_destroy(f->task);
  at_free(f->theta);
  at_free(f->state);
  at_free(f->x);
}

static at_batch batch_of(const fixture *f, int64_t n) {
  return (at_batch){.n = n, .x = f->x, .label = f->label};
}

/* A second batch of a size allocates nothing; the arena serves the largest, so that small batches after it are as they were. */
static void test_memo(void **state) {
  (void)state;
  at_model m = small_resnet();
  fixture f;
  open_fixture(&f, &m, NULL);
  at_task *t = at_classifier_task_get(f.task);
  const at_program *small, *large, *again;
  assert_ok(at_task_program(t, AT_PASS_TRAIN, 3, &small));
  size_t bytes = at_task_bytes(t);
  at_batch b = batch_of(&f, 3);
  at_score score[3];
  float *grad, first[4];
  float *kept;
  assert_ok(at_alloc(&kept, (size_t)f.n_state, sizeof(float), "test"));
  memcpy(kept, f.state, (size_t)f.n_state * sizeof(float));
  assert_ok(at_classifier_task_grad(f.task, f.theta, kept, &b, &score[0], &grad, NULL, NULL));
  memcpy(first, grad, sizeof first);
  assert_ok(at_task_program(t, AT_PASS_TRAIN, 16, &large));
  assert_true(at_task_bytes(t) > bytes && large != small);
  assert_ok(at_task_program(t, AT_PASS_TRAIN, 3, &again));
  assert_ptr_equal(small, again);
  int64_t calls = at_alloc_get_stats().calls;
  assert_ok(at_classifier_task_grad(f.task, f.theta, f.state, &b, &score[1], &grad, NULL, NULL));
  assert_int_equal(at_alloc_get_stats().calls, calls);
  assert_true(score[0].loss == score[1].loss);
  assert_memory_equal(first, grad, sizeof first);
  assert_memory_equal(kept, f.state, (size_t)f.n_state * sizeof(float));
  at_free(kept);
  close_fixture(&f);
}

/* Training moves the running statistics, by (1 - 0.1) old + 0.1 batch; evaluation reads them and leaves them. */
static void test_running_statistics(void **state) {
  (void)state;
  at_model m = small_resnet();
  fixture f;
  open_fixture(&f, &m, NULL);
  const at_layout *l = at_task_states(at_classifier_task_get(f.task));
  const at_tensor *mean = at_layout_find(l, "stem_bn.mean"), *var = at_layout_find(l, "stem_bn.var");
  assert_true(f.state[mean->offset] == 0 && f.state[var->offset] == 1);
  at_batch b = batch_of(&f, MOST);
  at_score score;
  float *grad;
  assert_ok(at_classifier_task_grad(f.task, f.theta, f.state, &b, &score, &grad, NULL, NULL));
  float once = f.state[mean->offset];
  assert_true(once != 0);
  assert_ok(at_classifier_task_grad(f.task, f.theta, f.state, &b, &score, &grad, NULL, NULL));
  assert_float_equal(f.state[mean->offset], once * 1.9f, 1e-6f * fabsf(once) + 1e-7f);
  float before = f.state[var->offset];
  assert_ok(at_classifier_task_eval(f.task, f.theta, f.state, &b, &score));
  assert_true(f.state[var->offset] == before);
  close_fixture(&f);
}

/* A batch of one is evaluated as in a larger batch; rows without label do not count. */
static void test_eval_by_rows(void **state) {
  (void)state;
  at_model m = small_resnet();
  fixture f;
  open_fixture(&f, &m, NULL);
  at_batch all = batch_of(&f, 5);
  at_score whole, part;
  double loss = 0, hits = 0;
  f.label[2] = -1;
  assert_ok(at_classifier_task_eval(f.task, f.theta, f.state, &all, &whole));
  for (int i = 0; i < 5; i++) {
    at_batch one = {.n = 1, .x = f.x + i * 192, .label = f.label + i};
    assert_ok(at_classifier_task_eval(f.task, f.theta, f.state, &one, &part));
    assert_true(i != 2 || (part.loss == 0 && part.hits == 0));
    loss += part.loss;
    hits += part.hits;
  }
  assert_float_equal(whole.loss, loss, 1e-4);
  assert_true(whole.hits == hits);
  close_fixture(&f);
}

/* Every family of classifiers learns 16 examples by heart. */
static void test_learning(void **state) {
  (void)state;
  static const char *const names[] = {"logreg", "mlp", "leaf_cnn", "resnet18", "vit_tiny"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    at_model m = small_resnet();
    if (strcmp(names[i], "resnet18") != 0) {
      assert_ok(at_model_preset(names[i], &m));
      m.input = AT_SHAPE(8, 8, 3);
      m.classes = 5;
    }
    if (m.family == AT_FAMILY_LEAF_CNN) {
      m.leaf_cnn = (at_leaf_cnn){.channels = {4, 8}, .dense = 32};
    } else if (m.family == AT_FAMILY_VIT) {
      m.vit = (at_vit){.patch = 4, .width = 16, .hidden = 32, .layers = 2, .heads = 2};
    }
    fixture f;
    open_fixture(&f, &m, NULL);
    at_batch b = batch_of(&f, MOST);
    at_score score;
    float *grad, *mv;
    assert_ok(at_alloc(&mv, 2 * (size_t)f.n_theta, sizeof *mv, "test"));
    at_optim o = {.kind = AT_OPTIM_ADAMW, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8};
    at_moments mom = {mv, mv + f.n_theta, 0};
    for (int step = 0; step < 60; step++) {
      assert_ok(at_classifier_task_grad(f.task, f.theta, f.state, &b, &score, &grad, NULL, NULL));
      at_optim_step(&o, &f.k.vec, 0.01, f.n_theta, grad, f.theta, &mom);
    }
    if (!(score.loss < 0.3) || score.hits < 15) {
      fail_msg("%s: loss %.3f, %g of 16 right", names[i], score.loss, score.hits);
    }
    at_free(mv);
    close_fixture(&f);
  }
}

/* Training the head alone: theta is the head, the rest is state with the same initial values, and the gradient is the same. */
static void test_trained_part(void **state) {
  (void)state;
  static const char *const head[] = {"head.*", NULL};
  at_model m = small_resnet();
  fixture whole, part;
  open_fixture(&whole, &m, NULL);
  open_fixture(&part, &m, &(at_classifier_options){.train = head});
  assert_int_equal(part.n_theta, 6 * 5 + 5);
  assert_int_equal(part.n_theta + part.n_state, whole.n_theta + whole.n_state);
  const at_tensor *w = at_layout_find(at_task_params(at_classifier_task_get(whole.task)), "head.weight");
  assert_memory_equal(whole.theta + w->offset, part.theta, (size_t)w->count * sizeof(float));
  at_batch b = batch_of(&whole, 7);
  at_score score[2];
  float *grad[2];
  assert_ok(at_classifier_task_grad(whole.task, whole.theta, whole.state, &b, &score[0], &grad[0], NULL, NULL));
  assert_ok(at_classifier_task_grad(part.task, part.theta, part.state, &b, &score[1], &grad[1], NULL, NULL));
  assert_true(score[0].loss == score[1].loss);
  assert_memory_equal(grad[0] + w->offset, grad[1], (size_t)part.n_theta * sizeof(float));
  close_fixture(&whole);
  close_fixture(&part);
}

/* Smoothing adds the distance to the even distribution: with equal logits it changes nothing, otherwise it does. */
static void test_smoothing(void **state) {
  (void)state;
  at_model m;
  assert_ok(at_model_preset("logreg", &m));
  m.input = AT_SHAPE(192);
  m.classes = 5;
  fixture hard, soft;
  open_fixture(&hard, &m, NULL);
  open_fixture(&soft, &m, &(at_classifier_options){.smoothing = 0.2});
  at_batch b = batch_of(&hard, MOST);
  at_score s[2];
  float *grad;
  for (int zero = 0; zero < 2; zero++) {
    assert_ok(at_classifier_task_grad(hard.task, hard.theta, NULL, &b, &s[0], &grad, NULL, NULL));
    assert_ok(at_classifier_task_grad(soft.task, hard.theta, NULL, &b, &s[1], &grad, NULL, NULL));
    assert_true(zero ? fabs(s[0].loss - s[1].loss) < 1e-6 && fabs(s[0].loss - log(5)) < 1e-6
                     : fabs(s[0].loss - s[1].loss) > 1e-3);
    memset(hard.theta, 0, (size_t)hard.n_theta * sizeof(float));
  }
  close_fixture(&hard);
  close_fixture(&soft);
}

static void test_misuse(void **state) {
  (void)state;
  at_kernels k;
  at_kernels_init(&k, AT_ISA_REF);
  at_model m;
  at_classifier_task *t;
  assert_ok(at_model_preset("gpt_d64", &m));
  assert_fails(AT_ERR_CONFIG, "predicts tokens", at_classifier_task_create(&t, &m, NULL, &k));
  assert_null(t);
  at_lm_task *lm;
  at_gpt bad = {.vocab = 8, .context = 4, .width = 6, .hidden = 8, .layers = 1, .heads = 4, .kv_heads = 4};
  assert_fails(AT_ERR_CONFIG, "model.heads", at_lm_task_create(&lm, &bad, 1, 1, &k));
  assert_null(lm);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_memo),     cmocka_unit_test(test_running_statistics), cmocka_unit_test(test_eval_by_rows),
      cmocka_unit_test(test_learning), cmocka_unit_test(test_trained_part),       cmocka_unit_test(test_smoothing),
      cmocka_unit_test(test_misuse),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
