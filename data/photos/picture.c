/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading PNG (libpng) and JPEG (libjpeg) files. */
#include "data/photos/picture.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

#include "data/text/inflate.h"
#include "src/base/alloc.h"

static at_err read_png(at_picture *out, const char *path, const at_bytes *raw, int channels) {
  png_image image = {.version = PNG_IMAGE_VERSION};
  if (!png_image_begin_read_from_memory(&image, raw->data, raw->len)) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: %s", path, image.message);
  }
  image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  out->height = image.height;
  out->width = image.width;
  at_err err = at_alloc(&out->data, PNG_IMAGE_SIZE(image), 1, "picture");
  const png_color black = {0, 0, 0};
  if (err == AT_OK && !png_image_finish_read(&image, &black, out->data, 0, NULL)) {
    err = AT_FAIL(AT_ERR_FORMAT, "%s: %s", path, image.message);
  }
  png_image_free(&image);
  return err;
}

/* libjpeg leaves a failed call by a jump. */
typedef struct jpeg_failure {
  struct jpeg_error_mgr manager; /* first: libjpeg knows only this */
  jmp_buf back;
  char text[JMSG_LENGTH_MAX];
} jpeg_failure;

static void on_failure(j_common_ptr info) {
  jpeg_failure *f = (jpeg_failure *)info->err;
  f->manager.format_message(info, f->text);
  longjmp(f->back, 1);
}

static void on_message(j_common_ptr info, int level) {
  info->err->num_warnings += level < 0; /* others are remarks */
}

static at_err decode_jpeg(struct jpeg_decompress_struct *info, jpeg_failure *failure, at_picture *out, const char *path,
                          const at_bytes *raw) {
  if (setjmp(failure->back) != 0) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: %s", path, failure->text);
  }
  jpeg_create_decompress(info);
  jpeg_mem_src(info, (const unsigned char *)raw->data, raw->len);
  jpeg_read_header(info, TRUE);
  info->out_color_space = out->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  info->dct_method = JDCT_ISLOW;
  jpeg_start_decompress(info);
  out->height = info->output_height;
  out->width = info->output_width;
  const size_t stride = (size_t)out->width * (size_t)out->channels;
  AT_TRY(at_alloc(&out->data, (size_t)out->height, stride, "picture"));
  while (info->output_scanline < info->output_height) {
    JSAMPROW row = out->data + info->output_scanline * stride;
    jpeg_read_scanlines(info, &row, 1);
  }
  jpeg_finish_decompress(info);
  return failure->manager.num_warnings == 0 ? AT_OK : AT_FAIL(AT_ERR_FORMAT, "%s: damaged or cut short", path);
}

static at_err read_jpeg(at_picture *out, const char *path, const at_bytes *raw) {
  struct jpeg_decompress_struct info = {0};
  jpeg_failure failure = {0};
  info.err = jpeg_std_error(&failure.manager);
  failure.manager.error_exit = on_failure;
  failure.manager.emit_message = on_message;
  at_err err = decode_jpeg(&info, &failure, out, path, raw);
  jpeg_destroy_decompress(&info);
  return err;
}

at_err at_picture_read(at_picture *out, const char *path, int channels) {
  at_bytes raw = {0};
  *out = (at_picture){.channels = channels};
  at_err err = at_text_load(path, &raw);
  if (err == AT_OK && raw.len > 8 && memcmp(raw.data, "\x89PNG", 4) == 0) {
    err = read_png(out, path, &raw, channels);
  } else if (err == AT_OK && raw.len > 8 && memcmp(raw.data, "\xFF\xD8\xFF", 3) == 0) {
    err = read_jpeg(out, path, &raw);
  } else if (err == AT_OK) {
    err = AT_FAIL(AT_ERR_FORMAT, "%s: is neither PNG nor JPEG", path);
  }
  at_bytes_free(&raw);
  if (err != AT_OK) {
    at_picture_free(out);
  }
  return err;
}

void at_picture_free(at_picture *p) {
  at_free(p->data);
  p->data = NULL;
}
