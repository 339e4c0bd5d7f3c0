/* SPDX-License-Identifier: BSD-3-Clause */
/* Photographs and digits: pictures made by the test, digits of a package's shape. */
#include <png.h>
#include <zlib.h>

#include "data/photos/picture.h"
#include "tests/mpi/data_test.h"

#include <jpeglib.h> /* behind stdio.h, which it needs */

/* A picture whose left half is flat and whose right half is noise that depends on `seed`. */
static void put_picture(mpi_test *t, const char *name, int width, int height, unsigned seed) {
  static unsigned char rgb[128 * 128 * 3];
  unsigned state = seed;
  for (int i = 0; i < width * height * 3; i++) {
    state = state * 1664525u + 1013904223u;
    rgb[i] = i / 3 % width < width / 2 ? (unsigned char)seed : (unsigned char)(state >> 24);
  }
  png_image image = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)width,
                     .height = (png_uint_32)height,
                     .format = PNG_FORMAT_RGB};
  MPI_CHECK(t, png_image_write_to_file(&image, in_folder(name), 0, rgb, 0, NULL) != 0);
}

static void keeps_patches_with_something_on_them(mpi_test *t) {
  char path[600] = "path=";
  make_folder(t);
  for (int i = 0; i < 8; i++) {
    char name[16];
    snprintf(name, sizeof name, "p%d.png", i);
    if (t->rank == 0) {
      put_picture(t, name, 64, 48, 40 + (unsigned)i);
    }
    snprintf(path + strlen(path), sizeof path - strlen(path), "%s%s/%s", i > 0 ? "," : "", folder, name);
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  CHECK_SAME_ON_ANY_RANKS(t, "photos", path, "side=16", "keep=0.5", "test=0.4", "validation=0", "seed=3");
  if (t->rank == 0) {
    at_examples *e = open_examples(t, "all.h5");
    static float x[16 * 16 * 3];
    MPI_CHECK(t, at_examples_clients(e) == 8 && at_examples_task(e)->dims[2] == 3 && at_examples_task(e)->classes == 0);
    for (int64_t c = 0; c < 8; c++) { /* of 4 x 3 patches the 6 on the right; a picture is in one split */
      const int64_t train = at_examples_rows(e, AT_SPLIT_TRAIN, c), test = at_examples_rows(e, AT_SPLIT_TEST, c);
      MPI_CHECK(t, (train == 6 && test == 0) || (train == 0 && test == 6));
      const at_split split = train > 0 ? AT_SPLIT_TRAIN : AT_SPLIT_TEST;
      for (int64_t i = 0; i < 6; i++) {
        MPI_CHECK(t, at_examples_targets(e, split)[at_examples_first(e, split, c) + i] > 0.05F);
      }
      MPI_CHECK_OK(t, at_examples_read(e, split, at_examples_first(e, split, c), 1, x, NULL, NULL));
      at_picture p;
      char name[16];
      snprintf(name, sizeof name, "p%d.png", (int)c);
      MPI_CHECK_OK(t, at_picture_read(&p, in_folder(name), 3));
      MPI_CHECK(t, p.width == 64 && p.height == 48 && x[0] == (float)p.data[32 * 3] / 255.0F &&
                       x[16 * 3] == (float)p.data[(64 + 32) * 3] / 255.0F);
      at_picture_free(&p);
    }
    at_examples_close(e);
  }
  remove_folder(t);
}

static void reads_jpeg(mpi_test *t) {
  make_folder(t);
  if (t->rank == 0) {
    struct jpeg_compress_struct c = {0};
    struct jpeg_error_mgr errors;
    unsigned char *packed = NULL, line[24 * 3];
    unsigned long n = 0;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &packed, &n);
    c.image_width = 24;
    c.image_height = 16;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, 100, TRUE);
    jpeg_start_compress(&c, TRUE);
    for (int i = 0; i < 24 * 3; i++) {
      line[i] = (unsigned char)(50 + 50 * (i % 3));
    }
    for (JSAMPROW row = line; c.next_scanline < c.image_height;) {
      jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    put_file(t, "good.jpg", packed, n);
    put_file(t, "half.jpg", packed, n * 2 / 3);
    jpeg_destroy_compress(&c);
    free(packed);
    at_picture p;
    MPI_CHECK_OK(t, at_picture_read(&p, in_folder("good.jpg"), 3));
    MPI_CHECK(t, p.width == 24 && p.height == 16);
    for (int i = 0; i < 24 * 16 * 3 && p.data != NULL; i++) {
      MPI_CHECK(t, abs(p.data[i] - (50 + 50 * (i % 3))) <= 3);
    }
    at_picture_free(&p);
    MPI_CHECK_OK(t, at_picture_read(&p, in_folder("good.jpg"), 1));
    MPI_CHECK(t, p.data != NULL && abs(p.data[5] - 91) <= 3); /* 0.299 * 50 + 0.587 * 100 + 0.114 * 150 */
    at_picture_free(&p);
    MPI_CHECK(t, at_picture_read(&p, in_folder("half.jpg"), 3) == AT_ERR_FORMAT);
  }
  remove_folder(t);
}

static void tells_what_is_wrong(mpi_test *t) {
  char path[128];
  make_folder(t);
  if (t->rank == 0) {
    put_file(t, "text.jpg", "this is no picture", 18);
    put_file(t, "bad.jpg", "\xFF\xD8\xFF\xE0 and so on", 14);
    put_file(t, "bad.png", "\x89PNG\r\n\x1A\n and so on", 18);
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  const int64_t before = at_alloc_get_stats().live_bytes;
  snprintf(path, sizeof path, "path=%s/text.jpg", folder);
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "neither PNG nor JPEG", BUILD(t->world, "photos", "x.h5", path));
  snprintf(path, sizeof path, "path=%s/bad.jpg", folder);
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "bad.jpg", BUILD(t->world, "photos", "x.h5", path));
  snprintf(path, sizeof path, "path=%s/bad.png", folder);
  MPI_CHECK_FAILS(t, AT_ERR_FORMAT, "bad.png", BUILD(t->world, "photos", "x.h5", path));
  snprintf(path, sizeof path, "path=%s/none.png", folder);
  MPI_CHECK_FAILS(t, AT_ERR_FILE, "none.png", BUILD(t->world, "photos", "x.h5", path));
  MPI_CHECK_FAILS(t, AT_ERR_CONFIG, "jobs/fetch-examples", BUILD(t->world, "photos", "x.h5", "dir=/no/such"));
  MPI_CHECK_FAILS(t, AT_ERR_FILE, "digits.csv.gz", BUILD(t->world, "digits", "x.h5", "dir=/no/such"));
  MPI_CHECK(t, at_alloc_get_stats().live_bytes == before);
  remove_folder(t);
}

static void reads_small_digits(mpi_test *t) {
  static const char name[] = "python3-sklearn/usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz";
  char dir[96];
  make_folder(t);
  if (t->rank == 0) {
    put_file(t, name, "", 0);
    gzFile z = gzopen(in_folder(name), "wb");
    for (int i = 0; i < 30; i++) {
      for (int p = 0; p < 64; p++) {
        gzprintf(z, "%d,", (i + p) % 17);
      }
      gzprintf(z, "%d\n", i % 10);
    }
    MPI_CHECK(t, gzclose(z) == Z_OK);
  }
  MPI_REQUIRE_OK(t, at_comm_barrier(t->world));
  snprintf(dir, sizeof dir, "dir=%s", folder);
  CHECK_SAME_ON_ANY_RANKS(t, "digits", dir, "test=0", "validation=0");
  if (t->rank == 0) {
    at_examples *e = open_examples(t, "all.h5");
    float x[64];
    MPI_CHECK(t, at_examples_total(e, AT_SPLIT_TRAIN) == 30 && at_examples_task(e)->classes == 10 &&
                     at_examples_task(e)->dims[1] == 8);
    MPI_CHECK_OK(t, at_examples_read(e, AT_SPLIT_TRAIN, 13, 1, x, NULL, NULL));
    MPI_CHECK(t, x[0] == 13 / 16.0F && x[3] == 1 && x[4] == 0 && at_examples_labels(e, AT_SPLIT_TRAIN)[13] == 3);
    at_examples_close(e);
  }
  remove_folder(t);
}

int main(int argc, char **argv) {
  return MPI_TEST_MAIN(argc, argv, MPI_CASE(keeps_patches_with_something_on_them), MPI_CASE(reads_jpeg),
                       MPI_CASE(tells_what_is_wrong), MPI_CASE(reads_small_digits));
}
