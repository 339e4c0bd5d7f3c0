/* SPDX-License-Identifier: BSD-3-Clause */
/* Drawing single letters of a font face into small images (FreeType). */
#ifndef AT_DATA_GLYPHS_RENDER_H
#define AT_DATA_GLYPHS_RENDER_H

#include <stdint.h>

#include "data/glyphs/script.h"
#include "src/base/status.h"

enum { AT_GLYPH_SIDE = 28, AT_GLYPH_PIXELS = AT_GLYPH_SIDE * AT_GLYPH_SIDE, AT_GLYPH_EM = 20, AT_FACE_NAME = 80 };

typedef struct at_fonts at_fonts; /* FreeType's library: one per process that draws */
at_err at_fonts_open(at_fonts **out);
void at_fonts_close(at_fonts *f); /* accepts NULL */

typedef struct at_face at_face;

typedef enum at_face_fault {
  AT_FACE_GOOD,
  AT_FACE_UNREADABLE, /* FreeType cannot open it */
  AT_FACE_FORMAT,     /* neither TrueType nor OpenType with outlines, or a collection */
  AT_FACE_CHARSET,    /* lacks letters of the script */
  AT_FACE_FAULTS
} at_face_fault;

/* *fault says why there is no face (*out is NULL then); only memory is a failure. */
at_err at_face_open(at_fonts *f, const char *path, const at_script *script, at_face **out, at_face_fault *fault);
void at_face_close(at_face *face);               /* accepts NULL */
const char *at_face_family(const at_face *face); /* as its file names it; valid until close */
const char *at_face_style(const at_face *face);

/* How a letter is bent before it is drawn: x' = a x + b y, y' = c x + d y about its middle, then shifted by (dx, dy) pixels
 * from the middle of the image, and its strokes made thicker (in pixels; negative: thinner). */
typedef struct at_bend {
  double a, b, c, d, dx, dy, weight;
} at_bend;
extern const at_bend at_bend_none;

/* image[AT_GLYPH_SIDE][AT_GLYPH_SIDE] <- class `class`, 20 pixels per em, its bounding box in the middle; 0 is paper, 255 ink.
 * What stands out of the image is cut off.  Without hinting, so that the same font gives the same picture everywhere.  A letter
 * that cannot be drawn gives an empty image. */
void at_face_draw(at_face *face, int class, const at_bend *bend, uint8_t *image);

#endif
