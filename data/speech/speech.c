/* SPDX-License-Identifier: BSD-3-Clause */
/* `atoll data speech`: spoken words by synthetic voices, in which each voice with an accent is a client; whole voices are held out.
 *
 * Every word is spoken `takes` times, at a rate, a pitch, a loudness, a time and in noise that are functions of the seed, the
 * client, the word and the take.  All voices are of one synthesiser, and the file says so. */
#include <math.h>
#include <string.h>

#include "data/examples/build.h"
#include "data/examples/split.h"
#include "data/speech/mel.h"
#include "data/speech/voice.h"
#include "data/speech/words.h"
#include "src/base/alloc.h"
#include "src/base/rng.h"

typedef struct speech_cfg {
  at_strlist voices, accents, words;
  int64_t takes, slow, fast, pitch, seed;
  double noise, validation, test;
} speech_cfg;

/* One of each group of variants that do not differ in duration (0.1 s), pitch (10 Hz) or zero crossings (0.01) of a word. */
static const char default_voices[] =
    "Alex,Alicia,Andrea,Andy,Annie,AnxiousAndy,Demonic,Denis,Diogo,Gene,Gene2,Henrique,Jacky,Marco,Mario,Mike,Nguyen,"
    "RicishayMax,RicishayMax2,RicishayMax3,Storm,UniRobot,adam,anika,anikaRobot,announcer,antonio,aunty,belinda,"
    "benjamin,boris,david,edward,edward2,f1,f2,f3,f4,f5,grandpa,iven,iven2,klatt5,linda,m4,m7,m8,marcelo,miguel,paul,"
    "quincy,rob,robosoft,robosoft2,robosoft3,robosoft4,robosoft5,robosoft6,robosoft7,robosoft8,sandro,shelby,steph,"
    "whisper,whisperf,zac";

static const at_opt option_rows[] = {
    AT_OPT_LIST(speech_cfg, voices, "voices", default_voices, "Variants of espeak-ng's voices, pseudo-speakers."),
    AT_OPT_LIST(speech_cfg, accents, "accents", "en-us,en-gb-x-rp", "Each voice speaks with each of them."),
    AT_OPT_LIST(speech_cfg, words, "words", "commands",
                "Classes; commands (35 usual ones), digits and letters stand for their words."),
    AT_OPT_INT(speech_cfg, takes, "takes", "4", 1, 10000, "", "Times that a client says each word."),
    AT_OPT_INT(speech_cfg, slow, "slow", "120", 80, 450, "words/min", "Slowest rate."),
    AT_OPT_INT(speech_cfg, fast, "fast", "220", 80, 450, "words/min", "Fastest rate."),
    AT_OPT_INT(speech_cfg, pitch, "pitch", "10", 0, 50, "",
               "Most that the pitch is above or below 50, the voice's own."),
    AT_OPT_F64(speech_cfg, noise, "noise", "-35", -120, 0, "dB",
               "Loudest noise; it is up to 30 dB softer. Speech peaks at -12 to 0 dB."),
    AT_OPT_F64(speech_cfg, validation, "validation", "0.1", 0, 0.5, "", "Share of voices for validation."),
    AT_OPT_F64(speech_cfg, test, "test", "0.2", 0, 0.5, "", "Share of voices for testing."),
    AT_OPT_INT(speech_cfg, seed, "seed", "1", 0, 9007199254740992.0, "", "Decides takes and which voices go where."),
};
static const at_opt_table option_table = AT_OPT_TABLE("Synthetic speech", option_rows);

typedef struct speech {
  speech_cfg cfg;
  at_words words;
  at_field field[2];
  at_mel *mel;
  char version[AT_VOICE_VERSION];
} speech;

at_err at_data_speech_help(FILE *out) {
  speech_cfg cfg;
  return at_data_help(out, &option_table, &cfg);
}

enum { DRAW_RATE, DRAW_PITCH, DRAW_PLACE, DRAW_LOUDNESS, DRAW_NOISE, FIRST_NOISE = 64 };

static at_stream stream_of(const speech *s, const char *client, int word, int64_t take) {
  return (at_stream){.seed = (uint64_t)s->cfg.seed,
                     .purpose = AT_RNG_AUGMENT,
                     .client = at_name_hash(client),
                     .round = at_name_hash(s->words.word[word]),
                     .step = (uint64_t)take};
}

/* The part that is not silent, at the clip's rate. */
static at_err trim(const at_sound *in, at_sound *out) {
  const float silent = 1e-3F;
  at_sound part = *in;
  while (part.n > 0 && fabsf(part.x[part.n - 1]) < silent) {
    part.n--;
  }
  while (part.n > 0 && fabsf(part.x[0]) < silent) {
    part.x++;
    part.n--;
  }
  return at_sound_resample(out, &part, AT_CLIP_HZ);
}

/* Speech somewhere in a second of noise. */
static void mix(const speech *s, const at_sound *word, const at_stream *stream, float *noise, float *clip) {
  const double loudness = -12 * at_rng_uniform(stream, DRAW_LOUDNESS),
               level = s->cfg.noise - 30 * at_rng_uniform(stream, DRAW_NOISE);
  float most = 1e-6F;
  at_sound_clip(word, clip);
  for (int64_t i = 0; i < AT_CLIP_SAMPLES; i++) {
    most = fmaxf(most, fabsf(clip[i]));
  }
  const int64_t room = AT_CLIP_SAMPLES - (word->n < AT_CLIP_SAMPLES ? word->n : AT_CLIP_SAMPLES);
  const int64_t from = (int64_t)(at_rng_uniform(stream, DRAW_PLACE) * (double)(room + 1));
  memmove(clip + from, clip + room / 2, (size_t)(AT_CLIP_SAMPLES - room) * sizeof *clip);
  memset(clip, 0, (size_t)from * sizeof *clip);
  memset(clip + from + AT_CLIP_SAMPLES - room, 0, (size_t)(room - from) * sizeof *clip);
  at_rng_fill_normal_from(stream, FIRST_NOISE, 0, pow(10, level / 20), noise, AT_CLIP_SAMPLES);
  for (int64_t i = 0; i < AT_CLIP_SAMPLES; i++) {
    clip[i] = clip[i] * (float)pow(10, loudness / 20) / most + noise[i];
  }
}

static at_err put(const speech *s, const at_sound *spoken, const at_stream *stream, at_split split, int word,
                  float *scratch, at_block *out) {
  uint8_t picture[AT_MEL_FRAMES * AT_MEL_BANDS];
  at_sound part = {0};
  AT_TRY(trim(spoken, &part));
  mix(s, &part, stream, scratch, scratch + AT_CLIP_SAMPLES);
  at_mel_run(s->mel, scratch + AT_CLIP_SAMPLES, picture);
  at_block_put_labelled(out, split, picture, word);
  at_sound_free(&part);
  return AT_OK;
}

/* What a client says: word after word, take after take. */
static void plan(const speech *s, const char *client, at_utterance *list) {
  for (int w = 0; w < s->words.n; w++) {
    for (int64_t t = 0; t < s->cfg.takes; t++) {
      const at_stream stream = stream_of(s, client, w, t);
      list[w * s->cfg.takes + t] = (at_utterance){
          .text = s->words.word[w],
          .rate_wpm =
              (int)(s->cfg.slow + (int64_t)at_rng_below(&stream, DRAW_RATE, (uint64_t)(s->cfg.fast - s->cfg.slow + 1))),
          .pitch =
              (int)(50 - s->cfg.pitch + (int64_t)at_rng_below(&stream, DRAW_PITCH, (uint64_t)(2 * s->cfg.pitch + 1)))};
    }
  }
}

static at_err make(void *context, int64_t unit, at_block *out) {
  const speech *s = context;
  const char *variant = s->cfg.voices.item[unit / s->cfg.accents.count],
             *accent = s->cfg.accents.item[unit % s->cfg.accents.count];
  const at_split_rule rule = {.seed = (uint64_t)s->cfg.seed, .validation = s->cfg.validation, .test = s->cfg.test};
  const int64_t n = s->words.n * s->cfg.takes;
  at_utterance *list = NULL;
  at_sound *sound = NULL;
  float *scratch = NULL;
  at_block_name(out, "%s+%s", accent, variant);
  at_block_attr(out, "voice", "%s", variant);
  at_block_attr(out, "accent", "%s", accent);
  at_err err = at_alloc(&list, (size_t)n, sizeof *list, "utterances");
  err = err == AT_OK ? at_alloc(&sound, (size_t)n, sizeof *sound, "utterances") : err;
  err = err == AT_OK ? at_alloc(&scratch, 2 * AT_CLIP_SAMPLES, sizeof *scratch, "clip") : err;
  if (err == AT_OK) {
    plan(s, out->name, list);
    err = at_voice_speak(accent, variant, list, n, sound, NULL);
  }
  for (int64_t i = 0; err == AT_OK && i < n; i++) {
    const int word = (int)(i / s->cfg.takes);
    const at_stream stream = stream_of(s, out->name, word, i % s->cfg.takes);
    err = put(s, &sound[i], &stream, at_split_draw(&rule, variant, 0), word, scratch, out);
  }
  for (int64_t i = 0; sound != NULL && i < n; i++) {
    at_sound_free(&sound[i]);
  }
  at_free(scratch);
  at_free(sound);
  at_free(list);
  return err;
}

static at_err set_up(speech *s) {
  AT_TRY(at_words_resolve(&s->cfg.words, &s->words));
  if (s->cfg.slow > s->cfg.fast) {
    return AT_FAIL(AT_ERR_CONFIG, "slow = %lld is above fast = %lld", (long long)s->cfg.slow, (long long)s->cfg.fast);
  }
  AT_TRY(at_voice_speak(NULL, NULL, NULL, 0, NULL, s->version));
  s->field[0] = at_mel_field;
  s->field[1] = (at_field){.name = "label", .type = AT_H5_I32, .units = "1", .description = "Which word."};
  return at_mel_create(&s->mel);
}

static at_err build(const at_data_args *args, const at_opts *opts, speech *s) {
  at_set_attr attrs[16] = {{"synthetic", "yes: every voice is espeak-ng's, none was recorded"},
                           {"synthesiser", s->version}};
  AT_TRY(at_comm_agree(args->world, set_up(s)));
  for (int i = 0; at_mel_attrs[i].name != NULL; i++) {
    attrs[2 + i] = at_mel_attrs[i];
  }
  const at_set_head head = {.description = "Synthetic speech: words spoken by variants of one synthesiser's voices; a "
                                           "client is a voice with an accent.",
                            .input = "spectrogram",
                            .target = "label",
                            .classes = s->words.n,
                            .class_names = s->words.word,
                            .attr = attrs};
  const at_build_spec spec = {.noun = "voice",
                              .field = s->field,
                              .n_fields = 2,
                              .n_units = s->cfg.voices.count * s->cfg.accents.count,
                              .make = make,
                              .context = s};
  return at_build_set(args, opts, &spec, &head);
}

at_err at_data_speech_run(const at_data_args *args) {
  speech *s = NULL;
  at_opts *opts = NULL;
  at_err err = at_comm_agree(args->world, at_alloc(&s, 1, sizeof *s, "speech"));
  if (err == AT_OK) {
    err = at_comm_agree(args->world, at_data_options(args, &option_table, &s->cfg, &opts));
  }
  if (err == AT_OK) {
    err = build(args, opts, s);
  }
  at_opts_destroy(opts);
  if (s != NULL) {
    at_mel_destroy(s->mel);
  }
  at_free(s);
  return err == AT_OK ? AT_OK : at_err_trace(err, __FILE__, __LINE__);
}
