/* SPDX-License-Identifier: BSD-3-Clause */
/* Learning merges: counts of all pairs, kept up to date in the words that a merge changes, with a heap over the pairs.
 *
 * A merge changes only words that hold its pair, and only lowers the counts of pairs that existed before; those with the
 * new token are new.  So an entry of the heap is right or too high: it is put back with its count when it comes up. */
#include <string.h>

#include "src/base/alloc.h"
#include "src/lm/bpe.h"

typedef struct pair {
  int64_t count;
  int32_t left, right;
  int32_t places; /* node + 1 of the list of words that hold it (or once did), 0: empty */
} pair;

typedef struct node {
  int32_t word, next; /* next: as places */
} node;

typedef struct entry {
  int64_t count;
  int32_t pair;
} entry;

typedef struct trainer {
  const at_word_table *words;
  at_bpe *bpe;
  int32_t *token;  /* of word w from words->word[w].start on */
  int32_t *length; /* [words->n]: tokens of a word */
  pair *pair;
  int64_t n_pairs, cap_pairs;
  at_pair_map map; /* to numbers of pairs */
  node *node;
  int64_t n_nodes, cap_nodes;
  int32_t unused; /* list of nodes */
  entry *heap;    /* at most one entry a pair */
  int64_t n_heap, cap_heap;
} trainer;

/* --- pairs and where they are -------------------------------------------------------------------------------------- */

static at_err note_place(trainer *t, pair *p, int32_t word) {
  if (p->places != 0 && t->node[p->places - 1].word == word) {
    return AT_OK;
  }
  int32_t at = t->unused;
  if (at != 0) {
    t->unused = t->node[at - 1].next;
  } else {
    if (t->n_nodes == t->cap_nodes) {
      if (t->n_nodes >= INT32_MAX / 2) {
        return AT_FAIL(AT_ERR_OVERFLOW, "the sample has too many different words: take a smaller one");
      }
      const int64_t cap = t->cap_nodes > 0 ? 2 * t->cap_nodes : 4096;
      AT_TRY(at_realloc(&t->node, (size_t)cap, sizeof *t->node, "places of pairs"));
      t->cap_nodes = cap;
    }
    at = (int32_t)++t->n_nodes;
  }
  t->node[at - 1] = (node){.word = word, .next = p->places};
  p->places = at;
  return AT_OK;
}

/* The pair gains `count` occurrences in a word. */
static at_err gain(trainer *t, int32_t left, int32_t right, int32_t word, int64_t count) {
  int32_t i;
  AT_TRY(at_pair_map_add(&t->map, left, right, (int32_t)t->n_pairs, &i));
  if (i == t->n_pairs) {
    if (t->n_pairs == t->cap_pairs) {
      const int64_t cap = t->cap_pairs > 0 ? 2 * t->cap_pairs : 4096;
      AT_TRY(at_realloc(&t->pair, (size_t)cap, sizeof *t->pair, "pairs"));
      t->cap_pairs = cap;
    }
    t->pair[t->n_pairs++] = (pair){.left = left, .right = right};
  }
  t->pair[i].count += count;
  return note_place(t, &t->pair[i], word);
}

/* It is there and loses them. */
static void lose(trainer *t, int32_t left, int32_t right, int64_t count) {
  t->pair[at_pair_map_find(&t->map, left, right)].count -= count;
}

/* --- the heap: the most frequent pair on top ------------------------------------------------------------------------ */

static int compare_bytes(const at_vocab *v, int32_t a, int32_t b) {
  size_t n, m;
  const uint8_t *x = at_vocab_bytes(v, a, &n), *y = at_vocab_bytes(v, b, &m);
  const int order = memcmp(x, y, n < m ? n : m);
  return order != 0 ? order : (n > m) - (n < m);
}

static bool before(const trainer *t, entry a, entry b) {
  if (a.count != b.count) {
    return a.count > b.count;
  }
  const pair *p = &t->pair[a.pair], *q = &t->pair[b.pair];
  int order = compare_bytes(t->bpe->vocab, p->left, q->left);
  order = order != 0 ? order : compare_bytes(t->bpe->vocab, p->right, q->right);
  order = order != 0 ? order : (p->left > q->left) - (p->left < q->left);
  return order != 0 ? order < 0 : p->right < q->right;
}

static void sift_down(trainer *t, int64_t i) {
  const entry moved = t->heap[i];
  for (int64_t child = 2 * i + 1; child < t->n_heap; child = 2 * i + 1) {
    if (child + 1 < t->n_heap && before(t, t->heap[child + 1], t->heap[child])) {
      child++;
    }
    if (!before(t, t->heap[child], moved)) {
      break;
    }
    t->heap[i] = t->heap[child];
    i = child;
  }
  t->heap[i] = moved;
}

static at_err push(trainer *t, int32_t p) {
  if (t->n_heap == t->cap_heap) {
    const int64_t cap = t->cap_heap > 0 ? 2 * t->cap_heap : 4096;
    AT_TRY(at_realloc(&t->heap, (size_t)cap, sizeof *t->heap, "heap of pairs"));
    t->cap_heap = cap;
  }
  const entry fresh = {.count = t->pair[p].count, .pair = p};
  int64_t i = t->n_heap++;
  for (; i > 0 && before(t, fresh, t->heap[(i - 1) / 2]); i = (i - 1) / 2) {
    t->heap[i] = t->heap[(i - 1) / 2];
  }
  t->heap[i] = fresh;
  return AT_OK;
}

/* The most frequent pair leaves the heap; -1 if none occurs often enough. */
static int32_t pop(trainer *t) {
  while (t->n_heap > 0) {
    entry *top = &t->heap[0];
    const int32_t p = top->pair;
    const int64_t count = t->pair[p].count;
    const bool current = top->count == count;
    if (current || count < 2 * AT_BPE_UNIT) {
      *top = t->heap[--t->n_heap];
    } else {
      top->count = count;
    }
    if (t->n_heap > 0) {
      sift_down(t, 0);
    }
    if (current) {
      return count < 2 * AT_BPE_UNIT ? -1 : p;
    }
  }
  return -1;
}

/* --- merging ---------------------------------------------------------------------------------------------------------- */

/* Put (left, right) together in one word, from the left. */
static at_err rewrite(trainer *t, int32_t w, int32_t left, int32_t right, int32_t fresh) {
  int32_t *s = t->token + t->words->word[w].start;
  const int32_t n = t->length[w];
  const int64_t count = t->words->word[w].count;
  int32_t kept = 0;
  for (int32_t i = 0; i < n; kept++) {
    if (i + 1 == n || s[i] != left || s[i + 1] != right) {
      s[kept] = s[i++];
      continue;
    }
    lose(t, left, right, count);
    if (kept > 0) { /* what stands before may be a fresh token already */
      lose(t, s[kept - 1], left, count);
      AT_TRY(gain(t, s[kept - 1], fresh, w, count));
    }
    i += 2;
    if (i < n) {
      lose(t, right, s[i], count);
      AT_TRY(gain(t, fresh, s[i], w, count));
    }
    s[kept] = fresh;
  }
  t->length[w] = kept;
  return AT_OK;
}

static at_err merge_pair(trainer *t, int32_t p) {
  const int32_t left = t->pair[p].left, right = t->pair[p].right, fresh = t->bpe->vocab->n;
  const int64_t n_before = t->n_pairs;
  AT_TRY(at_bpe_add(t->bpe, left, right));
  int32_t place = t->pair[p].places;
  t->pair[p].places = 0; /* every occurrence goes */
  while (place != 0) {
    const node here = t->node[place - 1];
    t->node[place - 1].next = t->unused;
    t->unused = place;
    AT_TRY(rewrite(t, here.word, left, right, fresh));
    place = here.next;
  }
  for (int64_t i = n_before; i < t->n_pairs; i++) {
    AT_TRY(push(t, (int32_t)i));
  }
  return AT_OK;
}

/* Words as bytes, and their pairs. */
static at_err begin(trainer *t) {
  const at_word_table *words = t->words;
  AT_TRY(at_alloc(&t->token, (size_t)words->n_bytes, sizeof *t->token, "tokens of the words"));
  AT_TRY(at_alloc(&t->length, (size_t)words->n, sizeof *t->length, "tokens of the words"));
  for (int64_t i = 0; i < words->n_bytes; i++) {
    t->token[i] = words->bytes[i];
  }
  for (int64_t w = 0; w < words->n; w++) {
    const int32_t *s = t->token + words->word[w].start;
    t->length[w] = words->word[w].length;
    for (int32_t i = 0; i + 1 < t->length[w]; i++) {
      AT_TRY(gain(t, s[i], s[i + 1], (int32_t)w, words->word[w].count));
    }
  }
  for (int64_t i = 0; i < t->n_pairs; i++) {
    AT_TRY(push(t, (int32_t)i));
  }
  return AT_OK;
}

at_err at_bpe_train(at_bpe **out, const at_word_table *words, int32_t n_merges) {
  trainer t = {.words = words};
  at_err err;
  *out = NULL;
  AT_TRY_TO(err, done, at_bpe_create_room(&t.bpe, n_merges));
  AT_TRY_TO(err, done, begin(&t));
  while (t.bpe->n_merges < n_merges) {
    const int32_t best = pop(&t);
    if (best < 0) {
      break;
    }
    AT_TRY_TO(err, done, merge_pair(&t, best));
  }
  *out = t.bpe;
  t.bpe = NULL;
done:
  at_bpe_destroy(t.bpe);
  at_free(t.token);
  at_free(t.length);
  at_free(t.pair);
  at_free(t.node);
  at_free(t.heap);
  at_pair_map_free(&t.map);
  return err;
}
