/* SPDX-License-Identifier: BSD-3-Clause */
/* Folders of spoken words as WAV files, made into the same spectrograms as synthetic speech, to which they are a test.
 *
 * Below a folder that is given, a folder is a speaker and becomes a client: SPEAKER/WORD.wav, SPEAKER/WORD_2.wav or
 * SPEAKER/WORD/any.wav, with other folders between; a folder of a word holds files of many speakers, WORD/SPEAKER_any.wav. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/files/files.h"
#include "data/speech/mel.h"
#include "data/speech/words.h"
#include "src/base/alloc.h"
#include "src/store/fs.h"

enum { DEPTH = 8, WORD_MAX = 64 };

typedef struct clip {
  char *path; /* owned */
  char speaker[AT_CLIENT_NAME_MAX], word[WORD_MAX];
  int32_t label;
  bool is_test;
} clip;

typedef struct wav_set {
  at_words words;
  const at_strlist *folders; /* borrowed */
  bool given;                /* words that are not of the list are left out */
  clip *item;
  int64_t n, cap;
  int64_t *unit; /* [n_units + 1]: first item */
  at_mel *mel;
} wav_set;

/* Where a walk is: folders below the one that was given. */
typedef struct walk {
  wav_set *set;
  bool is_test;
  const char *folder[DEPTH];
  int depth;
} walk;

static bool ends_in_wav(const char *name) {
  const size_t n = strlen(name);
  return n > 4 && strcasecmp(name + n - 4, ".wav") == 0;
}

/* The length of a name without .wav and the number of a take: word, word_2. */
static size_t without_number(const char *name) {
  const size_t stem = strlen(name) - 4;
  size_t n = stem;
  while (n > 0 && name[n - 1] >= '0' && name[n - 1] <= '9') {
    n--;
  }
  return n < stem && n > 1 && name[n - 1] == '_' ? n - 1 : stem;
}

/* Whether files of the folder that the walk is in are wanted. */
static bool is_wanted(const walk *w) {
  const at_strlist *list = w->set->folders;
  for (int64_t i = 0; w->depth > 0 && i < list->count; i++) {
    if (strcmp(w->folder[w->depth - 1], list->item[i]) == 0) {
      return true;
    }
  }
  return list->count == 0;
}

/* Speaker and word of a file; false: it is of no word in the list. */
static bool place(const walk *w, const char *name, clip *c) {
  const wav_set *s = w->set;
  const char *speaker = w->depth > 0 ? w->folder[0] : "all", *word = name;
  size_t speaker_len = strlen(speaker), word_len = without_number(name);
  for (int d = w->depth - 1; s->given && d >= 0; d--) {
    if (at_words_find(&s->words, w->folder[d], strlen(w->folder[d])) >= 0) {
      word = w->folder[d];
      word_len = strlen(word);
      if (d == 0) {
        speaker = name;
        speaker_len = strcspn(name, "_.");
      }
      break;
    }
  }
  snprintf(c->speaker, sizeof c->speaker, "%.*s", (int)speaker_len, speaker);
  word = at_words_spoken(word, &word_len);
  snprintf(c->word, sizeof c->word, "%.*s", (int)word_len, word);
  c->label = s->given ? at_words_find(&s->words, word, word_len) : 0;
  return c->label >= 0;
}

static at_err add(const walk *w, const char *path, const char *name) {
  wav_set *s = w->set;
  clip c = {.is_test = w->is_test};
  if (!is_wanted(w) || !place(w, name, &c)) {
    return AT_OK;
  }
  if (s->n == s->cap) {
    s->cap = s->cap < 64 ? 64 : 2 * s->cap;
    AT_TRY(at_realloc(&s->item, (size_t)s->cap, sizeof *s->item, "clips"));
  }
  AT_TRY(at_strdup(&c.path, path));
  s->item[s->n++] = c;
  return AT_OK;
}

static at_err visit(walk *w, const char *folder);

static at_err visit_entry(walk *w, const char *folder, const char *name) {
  char *path;
  struct stat st;
  at_err err = AT_OK;
  AT_TRY(at_fs_path(&path, "%s/%s", folder, name));
  if (name[0] == '.' || stat(path, &st) != 0) {
    err = AT_OK;
  } else if (S_ISDIR(st.st_mode)) {
    if (w->depth == DEPTH) {
      err = AT_FAIL(AT_ERR_CONFIG, "%s: lies more than %d folders deep", path, DEPTH);
    } else {
      w->folder[w->depth++] = name;
      err = visit(w, path);
      w->depth--;
    }
  } else if (ends_in_wav(name)) {
    err = add(w, path, name);
  }
  at_free(path);
  return err;
}

static at_err visit(walk *w, const char *folder) {
  DIR *d = opendir(folder);
  at_err err = AT_OK;
  if (d == NULL) {
    return AT_FAIL(AT_ERR_FILE, "%s: is no folder that can be read", folder);
  }
  for (struct dirent *e; err == AT_OK && (e = readdir(d)) != NULL;) {
    err = visit_entry(w, folder, e->d_name);
  }
  closedir(d);
  return err;
}

/* The walk finds files in any order. */
static int by_speaker(const void *a, const void *b) {
  const clip *x = a, *y = b;
  int order = strcmp(x->speaker, y->speaker);
  order = order != 0 ? order : (int)x->is_test - (int)y->is_test;
  order = order != 0 ? order : strcmp(x->word, y->word);
  return order != 0 ? order : strcmp(x->path, y->path);
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Without a list of words: all that there are, sorted. */
static at_err find_words(wav_set *s) {
  for (int64_t i = 0; i < s->n; i++) {
    if (at_words_find(&s->words, s->item[i].word, strlen(s->item[i].word)) < 0) {
      if (s->words.n == AT_WORDS_MAX) {
        return AT_FAIL(AT_ERR_CONFIG,
                       "format=wav: there are more than %d words; choose some with words=", AT_WORDS_MAX);
      }
      s->words.word[s->words.n++] = s->item[i].word;
    }
  }
  qsort(s->words.word, (size_t)s->words.n, sizeof *s->words.word, by_bytes);
  for (int64_t i = 0; i < s->n; i++) {
    s->item[i].label = at_words_find(&s->words, s->item[i].word, strlen(s->item[i].word));
  }
  return AT_OK;
}

static at_err find_clips(at_file_set *set) {
  wav_set *s = set->data;
  const at_strlist *list[2] = {&set->cfg->path, &set->cfg->test};
  for (int l = 0; l < 2; l++) {
    for (int64_t i = 0; i < list[l]->count; i++) {
      walk w = {.set = s, .is_test = l == 1};
      AT_TRY(visit(&w, list[l]->item[i]));
    }
  }
  if (s->n == 0) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: has no WAV file%s below it", set->cfg->path.item[0],
                   s->given ? " of the words" : "");
  }
  qsort(s->item, (size_t)s->n, sizeof *s->item, by_speaker);
  return s->given ? AT_OK : find_words(s);
}

at_err at_wav_open(at_file_set *set) {
  wav_set *s;
  AT_TRY(at_alloc(&s, 1, sizeof *s, "clips"));
  set->data = s;
  s->folders = &set->cfg->folders;
  AT_TRY(at_words_resolve(&set->cfg->words, &s->words));
  s->given = s->words.n > 0;
  AT_TRY(find_clips(set));
  AT_TRY(at_alloc(&s->unit, (size_t)s->n + 1, sizeof *s->unit, "speakers"));
  for (int64_t i = 0; i < s->n; i++) {
    if (i == 0 || strcmp(s->item[i].speaker, s->item[i - 1].speaker) != 0) {
      s->unit[set->n_units++] = i;
    }
  }
  s->unit[set->n_units] = s->n;
  set->field[0] = at_mel_field;
  set->attr = at_mel_attrs;
  set->classes = s->words.n;
  set->class_names = s->words.word;
  return at_mel_create(&s->mel);
}

static at_err put(const at_file_set *set, const clip *c, int64_t number, at_block *out) {
  const wav_set *s = set->data;
  const at_split split = c->is_test ? AT_SPLIT_TEST : at_file_split(set, c->speaker, number);
  uint8_t picture[AT_MEL_FRAMES * AT_MEL_BANDS];
  at_sound stored = {0}, sound = {0};
  float *second = NULL;
  at_err err = at_sound_read_wav(&stored, c->path);
  err = err == AT_OK ? at_sound_resample(&sound, &stored, AT_CLIP_HZ) : err;
  err = err == AT_OK ? at_alloc(&second, AT_CLIP_SAMPLES, sizeof *second, "clip") : err;
  if (err == AT_OK) {
    at_sound_clip(&sound, second);
    at_mel_run(s->mel, second, picture);
    at_block_put_labelled(out, split, picture, c->label);
  }
  at_free(second);
  at_sound_free(&sound);
  at_sound_free(&stored);
  return err;
}

at_err at_wav_make(void *context, int64_t unit, at_block *out) {
  const at_file_set *set = context;
  const wav_set *s = set->data;
  at_block_name(out, "%s", s->item[s->unit[unit]].speaker);
  for (int64_t i = s->unit[unit]; i < s->unit[unit + 1]; i++) {
    AT_TRY(put(set, &s->item[i], i - s->unit[unit], out));
  }
  return AT_OK;
}

void at_wav_close(at_file_set *set) {
  wav_set *s = set->data;
  if (s != NULL) {
    for (int64_t i = 0; i < s->n; i++) {
      at_free(s->item[i].path);
    }
    at_mel_destroy(s->mel);
    at_free(s->unit);
    at_free(s->item);
  }
  at_free(s);
}
