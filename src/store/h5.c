/* SPDX-License-Identifier: BSD-3-Clause */
/* HDF5 files: creating under a temporary name, publishing, opening, and HDF5's errors in our words. */
#include "src/store/h5.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "src/base/alloc.h"
#include "src/base/file.h"
#include "src/store/fs.h"
#include "src/store/h5_internal.h"
#include "src/store/provenance.h"

/* ---- errors ---- */

static herr_t innermost(unsigned n, const H5E_error2_t *e, void *out) {
  (void)n;
  snprintf(out, 512, "%s", e->desc != NULL ? e->desc : "no description");
  return 1; /* enough */
}

at_err at_h5_fail(const char *file, int line, const char *fmt, ...) {
  char cause[512] = "no description";
  char what[512];
  /* Upward: from the place that went wrong to the call that we made. */
  (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, cause);
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(what, sizeof what, fmt, ap);
  va_end(ap);
  for (char *c = cause; *c != '\0'; c++) {
    *c = *c == '\n' ? ' ' : *c;
  }
  return at_err_raise(AT_ERR_HDF5, file, line, "%s: %s", what, cause);
}

void at_h5_silence(void) {
  /* If this fails, HDF5 merely goes on printing. */
  (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

at_err at_h5_drop(at_err err, hid_t id) {
  if (id >= 0 && H5Idec_ref(id) < 0 && err == AT_OK) {
    return AT_H5_FAIL("closing an HDF5 object");
  }
  return err;
}

at_err at_h5_wrote(at_h5 *f, at_err err) {
  if (err != AT_OK) {
    f->failed = true;
  }
  return err;
}

/* ---- files ---- */

static at_err set_access(hid_t fapl) {
  if (H5Pset_libver_bounds(fapl, H5F_LIBVER_V18, H5F_LIBVER_V18) < 0) {
    return AT_H5_FAIL("choosing the file format");
  }
  if (H5Pset_fclose_degree(fapl, H5F_CLOSE_STRONG) < 0) {
    return AT_H5_FAIL("choosing how files are closed");
  }
#if H5_VERSION_GE(1, 10, 7)
  /* Complete-or-absent files need no locks, and some cluster file systems have none to give. */
  if (H5Pset_file_locking(fapl, false, true) < 0) {
    return AT_H5_FAIL("switching file locks off");
  }
#endif
  return AT_OK;
}

at_err at_h5_access(hid_t *fapl) {
  at_h5_silence();
  *fapl = H5Pcreate(H5P_FILE_ACCESS);
  if (*fapl < 0) {
    return AT_H5_FAIL("making a property list");
  }
  at_err err = set_access(*fapl);
  if (err != AT_OK) {
    err = at_h5_drop(err, *fapl);
    *fapl = -1;
  }
  return err;
}

void at_h5_free(at_h5 *f) {
  if (f != NULL) {
    at_free(f->path);
    at_free(f->temporary);
    at_free(f);
  }
}

static at_err new_file(at_h5 **out, const char *path) {
  at_h5 *f = NULL;
  AT_TRY(at_alloc(&f, 1, sizeof *f, "HDF5 file"));
  f->id = -1;
  at_err err = at_strdup(&f->path, path);
  if (err != AT_OK) {
    at_h5_free(f);
    return err;
  }
  *out = f;
  return AT_OK;
}

/* With what HDF5's metadata may need beyond the numbers themselves. */
static int64_t with_overhead(int64_t payload) {
  return payload + payload / 64 + 65536;
}

/* Is there room?  Asked of an empty file, before HDF5 meets the disk: it copes badly with a full one. */
static at_err probe(const at_h5 *f, int64_t payload_bytes) {
  FILE *empty = fopen(f->temporary, "wbe");
  if (empty == NULL) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot be written: %s", f->path, strerror(errno));
  }
  fclose(empty);
  return at_fs_reserve(f->temporary, with_overhead(payload_bytes));
}

static at_err create_file(at_h5 *f, hid_t fapl) {
  hid_t fcpl = H5Pcreate(H5P_FILE_CREATE);
  at_err err = AT_OK;
  if (fcpl < 0 || H5Pset_obj_track_times(fcpl, false) < 0) {
    err = AT_H5_FAIL("making a property list");
  } else {
    f->id = H5Fcreate(f->temporary != NULL ? f->temporary : f->path, H5F_ACC_TRUNC, fcpl, fapl);
    err = f->id < 0 ? AT_H5_FAIL("%s: cannot be created", f->path) : AT_OK;
  }
  return at_h5_drop(at_h5_drop(err, fapl), fcpl);
}

static at_err put_kind(at_h5 *f, const char *kind) {
  int64_t schema = AT_SCHEMA_VERSION;
  AT_TRY(at_h5_put_attr_text(f->id, AT_H5_ATTR_KIND, kind));
  return at_h5_put_attr(f->id, AT_H5_ATTR_SCHEMA, AT_H5_I64, &schema);
}

static at_err start(at_h5 *f, const char *kind, int64_t payload_bytes) {
  AT_TRY(at_fs_path(&f->temporary, "%s.tmp-%ld", f->path, (long)getpid()));
  AT_TRY(probe(f, payload_bytes));
  hid_t fapl = -1;
  AT_TRY(at_h5_access(&fapl));
  AT_TRY(create_file(f, fapl));
  /* Creating cut the file to nothing, and the reservation with it. */
  AT_TRY(at_fs_reserve(f->temporary, with_overhead(payload_bytes)));
  return put_kind(f, kind);
}

at_err at_h5_create(at_h5 **out, const char *path, const char *kind, int64_t payload_bytes) {
  *out = NULL;
  at_h5 *f = NULL;
  AT_TRY(new_file(&f, path));
  at_err err = start(f, kind, payload_bytes);
  if (err != AT_OK) {
    at_h5_discard(f);
    return at_err_trace(err, __FILE__, __LINE__);
  }
  *out = f;
  return AT_OK;
}

static at_err start_in_memory(at_h5 *f, const char *kind) {
  hid_t fapl = -1;
  AT_TRY(at_h5_access(&fapl));
  if (H5Pset_fapl_core(fapl, 1 << 18, false) < 0) {
    return at_h5_drop(AT_H5_FAIL("preparing a file in memory"), fapl);
  }
  AT_TRY(create_file(f, fapl));
  return put_kind(f, kind);
}

at_err at_h5_create_in_memory(at_h5 **out, const char *path, const char *kind) {
  *out = NULL;
  at_h5 *f = NULL;
  AT_TRY(new_file(&f, path));
  at_err err = start_in_memory(f, kind);
  if (err != AT_OK) {
    at_h5_discard(f);
    return at_err_trace(err, __FILE__, __LINE__);
  }
  *out = f;
  return AT_OK;
}

at_err at_h5_finish(at_h5 *f) {
  hsize_t size = 0;
  if (f->failed) {
    return AT_FAIL(AT_ERR_FILE, "%s: not kept, because writing it failed before: %s", f->path, at_err_message());
  }
  if (H5Fflush(f->id, H5F_SCOPE_GLOBAL) < 0 || H5Fget_filesize(f->id, &size) < 0) {
    return AT_H5_FAIL("%s: cannot be completed", f->path);
  }
  hid_t id = f->id;
  f->id = -1;
  if (H5Fclose(id) < 0) {
    return AT_H5_FAIL("%s: cannot be completed", f->path);
  }
  /* Gives back what was reserved and not used. */
  if (truncate(f->temporary, (off_t)size) != 0) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot be completed: %s", f->path, strerror(errno));
  }
  return AT_OK;
}

at_err at_h5_publish(at_h5 *f) {
  return at_file_publish(f->temporary, f->path);
}

at_err at_h5_commit(at_h5 *f) {
  at_err err = at_h5_finish(f);
  if (err == AT_OK) {
    err = at_h5_publish(f);
  }
  if (err != AT_OK) {
    at_h5_discard(f);
    return at_err_trace(err, __FILE__, __LINE__);
  }
  at_h5_free(f);
  return AT_OK;
}

void at_h5_discard(at_h5 *f) {
  if (f == NULL) {
    return;
  }
  if (f->id >= 0) {
    /* Its contents are unwanted, so how closing it ends does not matter. */
    (void)H5Fclose(f->id);
  }
  if (f->temporary != NULL) {
    unlink(f->temporary);
  }
  at_h5_free(f);
}

/* Why HDF5 would not open it: in the order in which a user would look. */
static at_err cannot_open(const char *path) {
  (void)AT_H5_FAIL("%s: cannot be opened as HDF5", path); /* for its words */
  if (access(path, R_OK) != 0) {
    return AT_FAIL(AT_ERR_FILE, "%s: cannot be read: %s", path, strerror(errno));
  }
  if (strstr(at_err_message(), "truncated file") != NULL) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: is cut off: its end is missing (an unfinished copy?): copy it again", path);
  }
  if (strstr(at_err_message(), "signature not found") != NULL || strstr(at_err_message(), "not an HDF5 file") != NULL) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: is not an HDF5 file", path);
  }
  return AT_FAIL(AT_ERR_FORMAT, "%s", at_err_message());
}

at_err at_h5_open(at_h5 **out, const char *path) {
  *out = NULL;
  hid_t fapl = -1;
  at_h5 *f = NULL;
  AT_TRY(new_file(&f, path));
  at_err err = at_h5_access(&fapl);
  if (err == AT_OK) {
    f->id = H5Fopen(path, H5F_ACC_RDONLY, fapl);
    err = f->id < 0 ? cannot_open(path) : AT_OK;
    err = at_h5_drop(err, fapl);
  }
  if (err != AT_OK) {
    at_h5_close(f);
    return at_err_trace(err, __FILE__, __LINE__);
  }
  *out = f;
  return AT_OK;
}

static at_err check_kind(at_h5 *f, const char *kind) {
  char *found = NULL;
  int64_t schema = 0;
  bool is_ours = false;
  AT_TRY(at_h5_find_attr(f->id, AT_H5_ATTR_SCHEMA, AT_H5_I64, &schema, &is_ours));
  if (!is_ours) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: is an HDF5 file of another program: a %s file of atoll was expected", f->path,
                   kind);
  }
  if (schema != AT_SCHEMA_VERSION) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: has schema %lld, this program reads %d: use the version that wrote it", f->path,
                   (long long)schema, AT_SCHEMA_VERSION);
  }
  AT_TRY(at_h5_get_attr_text(f, "/", AT_H5_ATTR_KIND, &found));
  at_err err = AT_OK;
  if (strcmp(found, kind) != 0) {
    err = AT_FAIL(AT_ERR_FORMAT, "%s: is a %s file, a %s file was expected", f->path, found, kind);
  }
  at_free(found);
  return err;
}

at_err at_h5_open_kind(at_h5 **out, const char *path, const char *kind) {
  AT_TRY(at_h5_open(out, path));
  at_err err = check_kind(*out, kind);
  if (err != AT_OK) {
    at_h5_close(*out);
    *out = NULL;
  }
  return err;
}

void at_h5_close(at_h5 *f) {
  if (f != NULL && f->id >= 0) {
    /* Read only: nothing can be lost. */
    (void)H5Fclose(f->id);
  }
  at_h5_free(f);
}

const char *at_h5_path(const at_h5 *f) {
  return f->path;
}
