/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of scripts: letters that stand alone, without shaping. */
#include "data/glyphs/script.h"

#include <stddef.h>

const at_script at_scripts[] = {
    {"latin", "Digits, capitals and small letters of English.", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}, 10, 36, 26},
    {"cyrillic", "Capitals and small letters of Russian, without yo.", {{0x410, 0x44F}}, 0, 32, 32},
    {"greek",
     "Capitals and small letters, final sigma among them.",
     {{0x391, 0x3A1}, {0x3A3, 0x3A9}, {0x3B1, 0x3C9}},
     0,
     24,
     0},
    {"armenian", "Capitals and small letters.", {{0x531, 0x556}, {0x561, 0x586}}, 0, 38, 38},
    {"georgian", "Mkhedruli letters.", {{0x10D0, 0x10F0}}, 0, 0, 0},
    {"hebrew", "Letters, final forms among them.", {{0x5D0, 0x5EA}}, 0, 0, 0},
    {"arabic", "Letters in their isolated forms.", {{0x627, 0x63A}, {0x641, 0x64A}}, 0, 0, 0},
    {"thai", "Consonants.", {{0xE01, 0xE2E}}, 0, 0, 0},
    {"khmer", "Consonants.", {{0x1780, 0x17A2}}, 0, 0, 0},
    {"devanagari",
     "Vowels and consonants.",
     {{0x905, 0x90B}, {0x90F, 0x910}, {0x913, 0x928}, {0x92A, 0x930}, {0x932, 0x932}, {0x935, 0x939}},
     0,
     0,
     0},
    {"bengali", "Consonants.", {{0x995, 0x9A8}, {0x9AA, 0x9B0}}, 0, 0, 0},
    {"gurmukhi", "Consonants.", {{0xA15, 0xA28}}, 0, 0, 0},
    {"gujarati", "Consonants.", {{0xA95, 0xAA8}}, 0, 0, 0},
    {"tamil",
     "Consonants.",
     {{0xB95, 0xB95}, {0xB99, 0xB9A}, {0xB9C, 0xB9C}, {0xB9E, 0xB9F}, {0xBA3, 0xBA4}, {0xBA8, 0xBAA}, {0xBAE, 0xBB5}},
     0,
     0,
     0},
    {"telugu", "Consonants.", {{0xC15, 0xC28}}, 0, 0, 0},
    {"kannada", "Consonants.", {{0xC95, 0xCA8}}, 0, 0, 0},
    {"malayalam", "Consonants.", {{0xD15, 0xD28}}, 0, 0, 0},
    {"sinhala", "Consonants.", {{0xD9A, 0xDB1}}, 0, 0, 0},
    {"ethiopic", "Syllables from ha to qo.", {{0x1200, 0x1247}}, 0, 0, 0},
    {"hiragana", "Letters, small ones among them.", {{0x3041, 0x3093}}, 0, 0, 0},
    {"katakana", "Letters, small ones among them.", {{0x30A1, 0x30F4}}, 0, 0, 0},
    {"hangul", "Jamo.", {{0x3131, 0x3163}}, 0, 0, 0},
    {"runic", "Runes.", {{0x16A0, 0x16EA}}, 0, 0, 0},
    {"cherokee", "Syllables.", {{0x13A0, 0x13F4}}, 0, 0, 0},
    {.name = NULL},
};

int at_script_classes(const at_script *s) {
  int n = 0;
  for (int i = 0; i < AT_SCRIPT_RANGES && s->range[i][0] != 0; i++) {
    n += (int)(s->range[i][1] - s->range[i][0]) + 1;
  }
  return n;
}

uint32_t at_script_code(const at_script *s, int class) {
  int i = 0;
  while (class > (int)(s->range[i][1] - s->range[i][0])) {
    class -= (int)(s->range[i][1] - s->range[i][0]) + 1;
    i++;
  }
  return s->range[i][0] + (uint32_t) class;
}

int at_script_fold(const at_script *s, int class) {
  return class >= s->lower && class < s->lower + s->pairs ? class - s->lower + s->upper : class;
}
