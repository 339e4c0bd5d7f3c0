/* SPDX-License-Identifier: BSD-3-Clause */
/* Drawing single letters of a font face into small images. */
#include "data/glyphs/render.h"

#include <math.h>
#include <string.h>

#include <ft2build.h>
#include FT_FREETYPE_H
#include FT_OUTLINE_H
#include FT_BBOX_H
#include FT_FONT_FORMATS_H

#include "src/base/alloc.h"

struct at_fonts {
  FT_Library library;
};

struct at_face {
  FT_Library library; /* borrowed */
  FT_Face face;
  FT_UInt glyph[AT_SCRIPT_CLASSES_MAX]; /* its numbers of the script's letters */
};

const at_bend at_bend_none = {.a = 1, .d = 1};

at_err at_fonts_open(at_fonts **out) {
  AT_TRY(at_alloc(out, 1, sizeof **out, "fonts"));
  if (FT_Init_FreeType(&(*out)->library) != 0) {
    at_free(*out);
    *out = NULL;
    return AT_FAIL(AT_ERR_MEMORY, "FreeType cannot start");
  }
  return AT_OK;
}

void at_fonts_close(at_fonts *f) {
  if (f != NULL) {
    FT_Done_FreeType(f->library);
    at_free(f);
  }
}

static at_face_fault look(at_face *face, const at_script *script) {
  const char *format = FT_Get_Font_Format(face->face);
  if (face->face->num_faces > 1 || !FT_IS_SCALABLE(face->face) || format == NULL ||
      (strcmp(format, "TrueType") != 0 && strcmp(format, "CFF") != 0) ||
      FT_Set_Pixel_Sizes(face->face, 0, AT_GLYPH_EM) != 0) {
    return AT_FACE_FORMAT;
  }
  if (FT_Select_Charmap(face->face, FT_ENCODING_UNICODE) != 0) {
    return AT_FACE_CHARSET;
  }
  const int n = at_script_classes(script);
  for (int i = 0; i < n; i++) {
    face->glyph[i] = FT_Get_Char_Index(face->face, at_script_code(script, i));
    if (face->glyph[i] == 0) {
      return AT_FACE_CHARSET;
    }
  }
  return AT_FACE_GOOD;
}

at_err at_face_open(at_fonts *f, const char *path, const at_script *script, at_face **out, at_face_fault *fault) {
  at_face *face;
  *out = NULL;
  AT_TRY(at_alloc(&face, 1, sizeof *face, "font face"));
  face->library = f->library;
  const FT_Error code = FT_New_Face(f->library, path, 0, &face->face);
  if (code != 0) {
    at_free(face);
    *fault = AT_FACE_UNREADABLE;
    return code == FT_Err_Out_Of_Memory ? AT_FAIL(AT_ERR_MEMORY, "%s: no memory for this font", path) : AT_OK;
  }
  *fault = look(face, script);
  if (*fault != AT_FACE_GOOD) {
    at_face_close(face);
    return AT_OK;
  }
  *out = face;
  return AT_OK;
}

void at_face_close(at_face *face) {
  if (face != NULL) {
    FT_Done_Face(face->face);
    at_free(face);
  }
}

const char *at_face_family(const at_face *face) {
  return face->face->family_name != NULL ? face->face->family_name : "unnamed";
}

const char *at_face_style(const at_face *face) {
  return face->face->style_name != NULL ? face->face->style_name : "Regular";
}

static FT_Fixed fixed(double v) {
  return (FT_Fixed)lround(v * 65536);
}

/* Bend about the origin, then put the middle of its box where it belongs, in 26.6 units. */
static bool place(FT_Outline *o, const at_bend *bend) {
  const double middle = 32.0 * AT_GLYPH_SIDE;
  FT_BBox box;
  if (bend->weight != 0) {
    FT_Outline_Embolden(o, (FT_Pos)lround(64 * bend->weight));
  }
  if (bend->a != 1 || bend->b != 0 || bend->c != 0 || bend->d != 1) {
    const FT_Matrix m = {.xx = fixed(bend->a), .xy = fixed(bend->b), .yx = fixed(bend->c), .yy = fixed(bend->d)};
    FT_Outline_Transform(o, &m);
  }
  if (FT_Outline_Get_BBox(o, &box) != 0) {
    return false;
  }
  const double x = middle + 64 * bend->dx - 0.5 * (double)(box.xMin + box.xMax);
  const double y = middle + 64 * bend->dy - 0.5 * (double)(box.yMin + box.yMax);
  FT_Outline_Translate(o, (FT_Pos)lround(x), (FT_Pos)lround(y));
  return true;
}

void at_face_draw(at_face *face, int class, const at_bend *bend, uint8_t *image) {
  memset(image, 0, AT_GLYPH_PIXELS);
  if (FT_Load_Glyph(face->face, face->glyph[class], FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP) != 0 ||
      face->face->glyph->format != FT_GLYPH_FORMAT_OUTLINE) {
    return;
  }
  FT_Outline *o = &face->face->glyph->outline;
  const FT_Bitmap target = {.rows = AT_GLYPH_SIDE,
                            .width = AT_GLYPH_SIDE,
                            .pitch = AT_GLYPH_SIDE,
                            .buffer = image,
                            .num_grays = 256,
                            .pixel_mode = FT_PIXEL_MODE_GRAY};
  if (!place(o, bend) || FT_Outline_Get_Bitmap(face->library, o, &target) != 0) {
    memset(image, 0, AT_GLYPH_PIXELS);
  }
}
