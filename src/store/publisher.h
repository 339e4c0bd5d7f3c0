/* SPDX-License-Identifier: BSD-3-Clause */
/* Finished file images on their way to disk, in a thread of their own, in order.
 *
 * An image becomes a file as every file here does: space reserved, written whole under a temporary name, fsynced, renamed,
 * folder fsynced.  So `path` is at any moment the file before or the whole new one, and an image that was put earlier is
 * in place before a later one gets its name.  The thread calls neither MPI nor HDF5 and takes no signals.
 *
 * A failure (a full disk) drops what was put behind it, and is told once, with its message: by the next call of put,
 * wait, settle or status.  Nothing here is collective; calls come from one thread. */
#ifndef AT_STORE_PUBLISHER_H
#define AT_STORE_PUBLISHER_H

#include <stdint.h>

#include "src/base/fault.h"
#include "src/base/status.h"

typedef struct at_publisher at_publisher;

/* Where a test may kill the process on the way of an image. */
typedef struct at_image_faults {
  at_fault write; /* seven times, between eighths of the image */
  at_fault fsync, rename;
} at_image_faults;

typedef struct at_image {
  const char *path; /* the file's name; copied */
  const void *data; /* borrowed until the image is published */
  int64_t bytes;
  at_image_faults faults;
  at_err (*then)(void *context); /* run in the thread once the file is in place; may be NULL */
  void *context;
} at_image;

/* Right now, in the calling thread. */
at_err at_image_publish(const at_image *image);

at_err at_publisher_create(at_publisher **out); /* the thread starts with the first image */
void at_publisher_destroy(at_publisher *p);     /* after all that was put; a failure then goes unheard; accepts NULL */

/* *ticket: for at_publisher_wait.  Waits only while several images are under way.  p == NULL: right now. */
at_err at_publisher_put(at_publisher *p, const at_image *image, int64_t *ticket);
/* Until the image of this ticket (0: none) is published: its data may change then. */
at_err at_publisher_wait(at_publisher *p, int64_t ticket);
at_err at_publisher_settle(at_publisher *p); /* until all are */
at_err at_publisher_status(at_publisher *p); /* without waiting */

#endif
