/* SPDX-License-Identifier: BSD-3-Clause */
/* UTF-8: validity, decoding, letters, and conversion from legacy encodings through iconv. */
#include "data/text/utf8.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

size_t at_utf8_decode(const char *s, size_t n, uint32_t *code_point) {
  const unsigned char *u = (const unsigned char *)s;
  if (u[0] < 0x80) {
    *code_point = u[0];
    return 1;
  }
  size_t len = u[0] >= 0xF0 ? 4 : u[0] >= 0xE0 ? 3 : 2;
  static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
  if (u[0] < 0xC2 || u[0] > 0xF4 || n < len) {
    return 0;
  }
  uint32_t c = u[0] & (0x7FU >> len);
  for (size_t i = 1; i < len; i++) {
    if ((u[i] & 0xC0) != 0x80) {
      return 0;
    }
    c = c << 6 | (u[i] & 0x3FU);
  }
  if (c < least[len] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
    return 0;
  }
  *code_point = c;
  return len;
}

size_t at_utf8_encode(uint32_t c, char out[4]) {
  if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
    c = 0xFFFD;
  }
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = len - 1; i > 0; i--) {
    out[i] = (char)(0x80 | (c & 0x3F));
    c >>= 6;
  }
  out[0] = (char)((0xF00 >> len & 0xFF) | c);
  return len;
}

bool at_utf8_valid(const char *s, size_t n) {
  for (size_t i = 0; i < n;) {
    uint32_t c;
    size_t len = at_utf8_decode(s + i, n - i, &c);
    if (len == 0) {
      return false;
    }
    i += len;
  }
  return true;
}

/* Ranges above ASCII that hold no letters, ascending.  Whatever is not listed counts as one: text in a script that the
 * table does not know shall not be thrown away. */
static const struct {
  uint32_t first, last;
} not_letters[] = {{0x80, 0xA9},     {0xAB, 0xB4},       {0xB6, 0xB9},       {0xBB, 0xBF},     {0xD7, 0xD7},
                   {0xF7, 0xF7},     {0x2C2, 0x2C5},     {0x2D2, 0x2DF},     {0x300, 0x36F},   {0x37E, 0x37E},
                   {0x387, 0x387},   {0x482, 0x489},     {0x55A, 0x55F},     {0x589, 0x5CF},   {0x600, 0x61F},
                   {0x64B, 0x66D},   {0x6D4, 0x6D4},     {0x6DD, 0x6E4},     {0x6E7, 0x6ED},   {0x6F0, 0x6F9},
                   {0x964, 0x970},   {0xE3F, 0xE3F},     {0xE4F, 0xE5B},     {0x1360, 0x137C}, {0x17D4, 0x17E9},
                   {0x2000, 0x2070}, {0x2072, 0x207E},   {0x2080, 0x2BFF},   {0x2E00, 0x2E7F}, {0x2FF0, 0x3004},
                   {0x3007, 0x3030}, {0x3036, 0x303F},   {0x3099, 0x309C},   {0x30FB, 0x30FB}, {0x3200, 0x33FF},
                   {0xD800, 0xF8FF}, {0xFE00, 0xFE6F},   {0xFEFF, 0xFF20},   {0xFF3B, 0xFF40}, {0xFF5B, 0xFF65},
                   {0xFFE0, 0xFFFF}, {0x1F000, 0x1FAFF}, {0xE0000, 0x10FFFF}};

bool at_utf8_is_letter(uint32_t c) {
  if (c < 0x80) {
    return (c | 32) >= 'a' && (c | 32) <= 'z';
  }
  size_t low = 0, high = sizeof not_letters / sizeof not_letters[0];
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (c > not_letters[mid].last) {
      low = mid + 1;
    } else if (c < not_letters[mid].first) {
      high = mid;
    } else {
      return false;
    }
  }
  return true;
}

bool at_utf8_is_wide(uint32_t c) {
  return (c >= 0x2E80 && c <= 0x33FF) || (c >= 0x3400 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0xFE30 && c <= 0xFE4F) || (c >= 0xFF00 && c <= 0xFF60) || (c >= 0x20000 && c <= 0x3FFFF);
}

static const char *legacy_encoding(const char *language) {
  static const struct {
    const char *language, *encoding;
  } table[] = {{"ja", "EUC-JP"},     {"ru", "KOI8-R"},     {"uk", "KOI8-U"},      {"be", "CP1251"},
               {"bg", "CP1251"},     {"pl", "ISO-8859-2"}, {"cs", "ISO-8859-2"},  {"hu", "ISO-8859-2"},
               {"hr", "ISO-8859-2"}, {"ro", "ISO-8859-2"}, {"sk", "ISO-8859-2"},  {"sl", "ISO-8859-2"},
               {"tr", "ISO-8859-9"}, {"el", "ISO-8859-7"}, {"lt", "ISO-8859-13"}, {"ko", "EUC-KR"},
               {"zh", "GB18030"},    {"zh_CN", "GB18030"}, {"zh_TW", "BIG5"},     {"ar", "ISO-8859-6"}};
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    if (strcmp(table[i].language, language) == 0) {
      return table[i].encoding;
    }
  }
  return "ISO-8859-1";
}

at_err at_utf8_ensure(at_bytes *text, const char *language) {
  if (text->len == 0) {
    return AT_OK;
  }
  if (memchr(text->data, 0, text->len) != NULL) {
    return AT_FAIL(AT_ERR_FORMAT, "not text: it holds bytes of value 0");
  }
  if (at_utf8_valid(text->data, text->len)) {
    return AT_OK;
  }
  const char *encoding = legacy_encoding(language);
  iconv_t cd = iconv_open("UTF-8", encoding);
  if (cd == (iconv_t)-1) {
    return AT_FAIL(AT_ERR_FORMAT, "not UTF-8, and this C library cannot convert from %s", encoding);
  }
  at_bytes out = {0};
  char *in = text->data;
  size_t left = text->len;
  bool bad = false;
  while (left > 0 && !bad && at_bytes_reserve(&out, 4 * left)) {
    char *to = out.data + out.len;
    size_t room = out.cap - out.len - 1;
    bad = iconv(cd, &in, &left, &to, &room) == (size_t)-1 && errno != E2BIG;
    out.len = (size_t)(to - out.data);
  }
  iconv_close(cd);
  if (bad || out.err != AT_OK) {
    at_err err = out.err;
    at_bytes_free(&out);
    return err != AT_OK ? err
                        : AT_FAIL(AT_ERR_FORMAT, "neither UTF-8 nor %s from byte %zu on", encoding, text->len - left);
  }
  out.data[out.len] = 0;
  at_bytes_free(text);
  *text = out;
  return AT_OK;
}
