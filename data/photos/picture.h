/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading PNG and JPEG files. */
#ifndef AT_DATA_PHOTOS_PICTURE_H
#define AT_DATA_PHOTOS_PICTURE_H

#include <stdint.h>

#include "src/base/status.h"

typedef struct at_picture {
  int64_t height, width;
  int channels;  /* 1: grey, 3: red, green, blue */
  uint8_t *data; /* [height][width][channels], owned */
} at_picture;

/* By its first bytes, whatever its name; converted to `channels`, transparent parts are black.  AT_ERR_FILE: cannot be read;
 * AT_ERR_FORMAT: neither PNG nor JPEG, or damaged. */
at_err at_picture_read(at_picture *out, const char *path, int channels);
void at_picture_free(at_picture *p);

#endif
