/* SPDX-License-Identifier: BSD-3-Clause */
/* Speaking in a child process. */
#include "data/speech/voice.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/alloc.h"

/* The part of espeak-ng's speak_lib.h that is used.  The library is loaded when it is needed: to build, nobody needs it. */
typedef int speech_callback(short *wave, int n, void *events);
typedef struct speech_library {
  int (*initialize)(int output, int buffer_ms, const char *path, int options);
  void (*set_callback)(speech_callback *f);
  int (*set_voice)(const char *name);
  int (*set_parameter)(int parameter, int value, int relative);
  int (*synth)(const void *text, size_t bytes, unsigned from, int from_kind, unsigned to, unsigned flags, unsigned *id,
               void *user);
  const char *(*info)(const char **path);
} speech_library;
enum { SYNCHRONOUS = 2, DONT_EXIT = 0x8000, RATE = 1, PITCH = 3, CHARACTERS = 1, UTF8 = 1 };

/* What a child exits with. */
typedef enum outcome { SAID, NO_LIBRARY, NO_DATA, NO_ACCENT, NO_VARIANT, FAILED } outcome;
enum { END = -1 }; /* in place of a number of samples: the utterance is over */

/* The library's callback has no context; only a child, which speaks one list, sets this. */
static int child_pipe;

static bool send_all(const void *data, size_t n) {
  for (const char *p = data; n > 0;) {
    const ssize_t done = write(child_pipe, p, n);
    if (done < 0 && errno != EINTR) {
      return false;
    }
    p += done > 0 ? done : 0;
    n -= done > 0 ? (size_t)done : 0;
  }
  return true;
}

static int send_samples(short *wave, int n, void *events) {
  const int32_t count = n;
  (void)events;
  if (wave == NULL || n <= 0) {
    return 0;
  }
  return send_all(&count, sizeof count) && send_all(wave, (size_t)n * sizeof *wave) ? 0 : 1;
}

static bool load(speech_library *l) {
  void *so = dlopen("libespeak-ng.so.1", RTLD_NOW | RTLD_LOCAL);
  const struct {
    void *to;
    const char *name;
  } symbol[] = {{&l->initialize, "espeak_Initialize"},
                {&l->set_callback, "espeak_SetSynthCallback"},
                {&l->set_voice, "espeak_SetVoiceByName"},
                {&l->set_parameter, "espeak_SetParameter"},
                {&l->synth, "espeak_Synth"},
                {&l->info, "espeak_Info"}};
  for (size_t i = 0; so != NULL && i < sizeof symbol / sizeof symbol[0]; i++) {
    void *f = dlsym(so, symbol[i].name);
    if (f == NULL) {
      return false;
    }
    memcpy(symbol[i].to, &f, sizeof f);
  }
  return so != NULL;
}

/* An unknown variant would be passed over without a word. */
static outcome choose_voice(const speech_library *l, const char *accent, const char *variant, const char *data) {
  char name[256], path[PATH_MAX];
  snprintf(path, sizeof path, "%s/voices/!v/%s", data, variant);
  snprintf(name, sizeof name, "%s+%s", accent, variant);
  if (strchr(variant, '/') != NULL || access(path, R_OK) != 0) {
    return NO_VARIANT;
  }
  return l->set_voice(accent) == 0 && l->set_voice(name) == 0 ? SAID : NO_ACCENT;
}

static outcome child(const char *accent, const char *variant, const at_utterance *text, int64_t n) {
  static char noise_state[128];
  speech_library l;
  if (!load(&l)) {
    return NO_LIBRARY;
  }
  /* The library draws noise from rand(), whose state would otherwise be the parent's. */
  initstate(1, noise_state, sizeof noise_state);
  const int32_t rate_hz = l.initialize(SYNCHRONOUS, 0, NULL, DONT_EXIT), end = END;
  if (rate_hz <= 0) {
    return NO_DATA;
  }
  const char *data = NULL;
  char version[AT_VOICE_VERSION] = "";
  snprintf(version, sizeof version, "%s", l.info(&data));
  l.set_callback(send_samples);
  outcome o = accent != NULL ? choose_voice(&l, accent, variant, data) : SAID;
  if (o != SAID) {
    return o;
  }
  bool good = send_all(&rate_hz, sizeof rate_hz) && send_all(version, sizeof version);
  for (int64_t i = 0; good && i < n; i++) {
    good = l.set_parameter(RATE, text[i].rate_wpm, 0) == 0 && l.set_parameter(PITCH, text[i].pitch, 0) == 0 &&
           l.synth(text[i].text, strlen(text[i].text) + 1, 0, CHARACTERS, 0, UTF8, NULL, NULL) == 0 &&
           send_all(&end, sizeof end);
  }
  return good ? SAID : FAILED;
}

static at_err receive(int fd, at_bytes *all) {
  enum { PIECE = 1 << 16 };
  while (at_bytes_reserve(all, PIECE)) {
    const ssize_t n = read(fd, all->data + all->len, PIECE);
    if (n == 0) {
      return AT_OK;
    }
    if (n < 0 && errno != EINTR) {
      return AT_FAIL(AT_ERR_FILE, "speech: reading from the child process failed: %s", strerror(errno));
    }
    all->len += n > 0 ? (size_t)n : 0;
  }
  return all->err;
}

/* Samples of one utterance, from data[*at]; counts them first. */
static at_err unpack(const at_bytes *all, size_t *at, int64_t rate_hz, at_sound *out) {
  int32_t n = 0;
  for (int pass = 0; pass < 2; pass++) {
    int64_t samples = 0;
    size_t here = *at;
    for (;;) {
      if (all->len - here < sizeof n) {
        return AT_FAIL(AT_ERR_INTERNAL, "speech: the child process ended early");
      }
      memcpy(&n, all->data + here, sizeof n);
      here += sizeof n;
      if (n == END) {
        break;
      }
      if (n < 0 || (all->len - here) / 2 < (size_t)n) {
        return AT_FAIL(AT_ERR_INTERNAL, "speech: the child process ended early");
      }
      for (int32_t i = 0; pass == 1 && i < n; i++) {
        int16_t x;
        memcpy(&x, all->data + here + 2 * (size_t)i, sizeof x);
        out->x[samples + i] = (float)x / 32768.0F;
      }
      samples += n;
      here += 2 * (size_t)n;
    }
    if (pass == 0) {
      out->n = samples;
      out->rate_hz = rate_hz;
      AT_TRY(at_alloc(&out->x, (size_t)samples + 1, sizeof *out->x, "speech"));
    } else {
      *at = here;
    }
  }
  return AT_OK;
}

static at_err check(int status, const char *accent, const char *variant) {
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
  if (code == SAID) {
    return AT_OK;
  }
  if (code == NO_LIBRARY || code == NO_DATA) {
    return AT_FAIL(AT_ERR_CONFIG, "speech: libespeak-ng%s is not on this machine: 'jobs/setup build' installs it",
                   code == NO_DATA ? "'s data" : "");
  }
  if (code == NO_ACCENT || code == NO_VARIANT) {
    return AT_FAIL(AT_ERR_CONFIG, "speech: espeak-ng has no %s '%s'; 'espeak-ng --voices%s' lists them",
                   code == NO_ACCENT ? "accent" : "voice", code == NO_ACCENT ? accent : variant,
                   code == NO_ACCENT ? "=en" : "=variant");
  }
  return AT_FAIL(AT_ERR_INTERNAL, "speech: the child process that speaks with %s+%s failed (status %d)",
                 accent != NULL ? accent : "", variant != NULL ? variant : "", status);
}

static at_err run(const char *accent, const char *variant, const at_utterance *text, int64_t n, at_bytes *all) {
  int fd[2], status = 0;
  if (pipe(fd) != 0) {
    return AT_FAIL(AT_ERR_FILE, "speech: no pipe: %s", strerror(errno));
  }
  const pid_t pid = fork();
  if (pid == 0) {
    close(fd[0]);
    child_pipe = fd[1];
    _exit((int)child(accent, variant, text, n));
  }
  close(fd[1]);
  at_err err = pid > 0 ? receive(fd[0], all) : AT_FAIL(AT_ERR_FILE, "speech: no process: %s", strerror(errno));
  close(fd[0]);
  while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return err == AT_OK ? check(status, accent, variant) : err;
}

at_err at_voice_speak(const char *accent, const char *variant, const at_utterance *text, int64_t n, at_sound *out,
                      char version[AT_VOICE_VERSION]) {
  at_bytes all = {0};
  int32_t rate_hz = 0;
  size_t at = sizeof rate_hz + AT_VOICE_VERSION;
  at_err err = run(accent, variant, text, n, &all);
  if (err == AT_OK && all.len < at) {
    err = AT_FAIL(AT_ERR_INTERNAL, "speech: the child process said nothing");
  }
  if (err == AT_OK) {
    memcpy(&rate_hz, all.data, sizeof rate_hz);
    if (version != NULL) {
      memcpy(version, all.data + sizeof rate_hz, AT_VOICE_VERSION);
    }
  }
  for (int64_t i = 0; err == AT_OK && i < n; i++) {
    err = unpack(&all, &at, rate_hz, &out[i]);
  }
  at_bytes_free(&all);
  return err;
}
