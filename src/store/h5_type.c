/* SPDX-License-Identifier: BSD-3-Clause */
/* Element types and attributes: ours to HDF5's and back. */
#include <string.h>

#include "src/base/alloc.h"
#include "src/store/h5_internal.h"

static const struct {
  const char *name;
  int64_t bytes;
} types[AT_H5_TYPE_COUNT] = {
#define X(id, name, bytes) {#name, bytes},
    AT_H5_TYPES(X)
#undef X
};

const char *at_h5_type_name(at_h5_type t) {
  return types[t].name;
}

int64_t at_h5_type_bytes(at_h5_type t) {
  return types[t].bytes;
}

hid_t at_h5_type_memory(at_h5_type t) {
  switch (t) {
  case AT_H5_F32:
    return H5T_NATIVE_FLOAT;
  case AT_H5_F64:
    return H5T_NATIVE_DOUBLE;
  case AT_H5_I32:
    return H5T_NATIVE_INT32;
  case AT_H5_I64:
    return H5T_NATIVE_INT64;
  case AT_H5_U8:
    return H5T_NATIVE_UINT8;
  case AT_H5_U16:
    return H5T_NATIVE_UINT16;
  case AT_H5_U32:
    return H5T_NATIVE_UINT32;
  case AT_H5_U64:
    return H5T_NATIVE_UINT64;
  default:
    return -1;
  }
}

at_h5_type at_h5_type_of(hid_t type) {
  H5T_class_t kind = H5Tget_class(type);
  size_t bytes = H5Tget_size(type);
  if (kind == H5T_STRING) {
    return AT_H5_TEXT;
  }
  if (kind == H5T_FLOAT) {
    return bytes == 4 ? AT_H5_F32 : bytes == 8 ? AT_H5_F64 : AT_H5_OTHER;
  }
  if (kind == H5T_INTEGER) {
    bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
    switch (bytes) {
    case 1:
      return is_signed ? AT_H5_OTHER : AT_H5_U8;
    case 2:
      return is_signed ? AT_H5_OTHER : AT_H5_U16;
    case 4:
      return is_signed ? AT_H5_I32 : AT_H5_U32;
    case 8:
      return is_signed ? AT_H5_I64 : AT_H5_U64;
    default:
      return AT_H5_OTHER;
    }
  }
  return AT_H5_OTHER;
}

double at_h5_value(at_h5_type type, const void *data, int64_t i) {
  switch (type) {
  case AT_H5_F32:
    return ((const float *)data)[i];
  case AT_H5_F64:
    return ((const double *)data)[i];
  case AT_H5_I32:
    return ((const int32_t *)data)[i];
  case AT_H5_I64:
    return (double)((const int64_t *)data)[i];
  case AT_H5_U8:
    return ((const uint8_t *)data)[i];
  case AT_H5_U16:
    return ((const uint16_t *)data)[i];
  case AT_H5_U32:
    return ((const uint32_t *)data)[i];
  case AT_H5_U64:
    return (double)((const uint64_t *)data)[i];
  default:
    return 0;
  }
}

int64_t at_h5_count(const at_h5_desc *d) {
  int64_t n = 1;
  for (int i = 0; i < d->ndims; i++) {
    n *= d->dims[i];
  }
  return n;
}

int64_t at_h5_bytes(const at_h5_desc *d) {
  return at_h5_count(d) * at_h5_type_bytes(d->type);
}

const char *at_h5_shape_text(const at_h5_desc *d, char buf[64]) {
  int at = snprintf(buf, 64, "%s[", at_h5_type_name(d->type));
  for (int i = 0; i < d->ndims && at < 60; i++) {
    at += snprintf(buf + at, (size_t)(64 - at), "%s%lld", i == 0 ? "" : ",", (long long)d->dims[i]);
  }
  if (at < 63) {
    snprintf(buf + at, (size_t)(64 - at), "]");
  }
  return buf;
}

/* ---- attributes ---- */

/* UTF-8 of fixed length: it lies in the object's header, which has a checksum.  (Strings of variable length do not,
 * and HDF5 1.10 crashes on damaged ones.) */
at_err at_h5_text_type(size_t length, hid_t *type) {
  *type = H5Tcopy(H5T_C_S1);
  if (*type < 0 || H5Tset_size(*type, length > 0 ? length : 1) < 0 || H5Tset_cset(*type, H5T_CSET_UTF8) < 0 ||
      H5Tset_strpad(*type, H5T_STR_NULLPAD) < 0) {
    return AT_H5_FAIL("making a text type");
  }
  return AT_OK;
}

static at_err put(hid_t object, const char *name, hid_t type, const void *value) {
  htri_t there = H5Aexists(object, name);
  if (there > 0 && H5Adelete(object, name) < 0) {
    return AT_H5_FAIL("replacing the attribute %s", name);
  }
  hid_t space = H5Screate(H5S_SCALAR);
  hid_t attr = space < 0 ? -1 : H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  at_err err = AT_OK;
  if (there < 0 || attr < 0 || H5Awrite(attr, type, value) < 0) {
    err = AT_H5_FAIL("writing the attribute %s", name);
  }
  return at_h5_drop(at_h5_drop(err, attr), space);
}

at_err at_h5_put_attr_text(hid_t object, const char *name, const char *value) {
  hid_t type = -1;
  at_err err = at_h5_text_type(strlen(value), &type);
  if (err == AT_OK) {
    err = put(object, name, type, value);
  }
  return at_h5_drop(err, type);
}

at_err at_h5_put_attr(hid_t object, const char *name, at_h5_type type, const void *value) {
  return put(object, name, at_h5_type_memory(type), value);
}

at_err at_h5_find_attr(hid_t object, const char *name, at_h5_type type, void *value, bool *found) {
  htri_t there = H5Aexists(object, name);
  if (there < 0) {
    return AT_H5_FAIL("looking for the attribute %s", name);
  }
  *found = there > 0;
  if (!*found) {
    return AT_OK;
  }
  hid_t attr = H5Aopen(object, name, H5P_DEFAULT);
  hid_t space = attr < 0 ? -1 : H5Aget_space(attr);
  at_err err = AT_OK;
  if (space < 0 || H5Sget_simple_extent_npoints(space) != 1 || H5Aread(attr, at_h5_type_memory(type), value) < 0) {
    err = AT_H5_FAIL("reading the attribute %s", name);
  }
  return at_h5_drop(at_h5_drop(err, space), attr);
}

/* The object `path`, made as a group if it is not there. */
static at_err object_for_writing(at_h5 *f, const char *path, hid_t *object) {
  *object = -1;
  if (strcmp(path, "/") != 0 && !at_h5_exists(f, path)) {
    AT_TRY(at_h5_make_groups(f->id, path, true));
  }
  *object = H5Oopen(f->id, path, H5P_DEFAULT);
  return *object < 0 ? AT_H5_FAIL("%s: opening %s", f->path, path) : AT_OK;
}

at_err at_h5_set_attr_text(at_h5 *f, const char *object, const char *name, const char *value) {
  hid_t id = -1;
  at_err err = object_for_writing(f, object, &id);
  if (err == AT_OK) {
    err = at_h5_put_attr_text(id, name, value);
  }
  return at_h5_wrote(f, at_h5_drop(err, id));
}

at_err at_h5_set_attr_i64(at_h5 *f, const char *object, const char *name, int64_t value) {
  hid_t id = -1;
  at_err err = object_for_writing(f, object, &id);
  if (err == AT_OK) {
    err = at_h5_put_attr(id, name, AT_H5_I64, &value);
  }
  return at_h5_wrote(f, at_h5_drop(err, id));
}

static at_err object_for_reading(at_h5 *f, const char *path, hid_t *object) {
  *object = H5Oopen(f->id, path, H5P_DEFAULT);
  if (*object < 0) {
    return AT_FAIL(AT_ERR_FORMAT, "%s: has no %s", f->path, path);
  }
  return AT_OK;
}

at_err at_h5_get_attr_i64(at_h5 *f, const char *object, const char *name, int64_t *value) {
  hid_t id = -1;
  bool found = false;
  AT_TRY(object_for_reading(f, object, &id));
  at_err err = at_h5_find_attr(id, name, AT_H5_I64, value, &found);
  if (err == AT_OK && !found) {
    err = AT_FAIL(AT_ERR_FORMAT, "%s: %s has no attribute %s", f->path, object, name);
  }
  return at_h5_drop(err, id);
}

/* The one string of an attribute of type `type`, of fixed or of variable length. */
static at_err read_text(hid_t attr, hid_t type, char **value) {
  if (H5Tis_variable_str(type) > 0) {
    char *text = NULL;
    if (H5Aread(attr, type, &text) < 0) {
      return AT_H5_FAIL("reading a text attribute");
    }
    at_err err = at_strdup(value, text != NULL ? text : "");
    if (H5free_memory(text) < 0 && err == AT_OK) {
      err = AT_H5_FAIL("freeing a text attribute");
    }
    return err;
  }
  AT_TRY(at_alloc(value, H5Tget_size(type) + 1, 1, "text attribute"));
  return H5Aread(attr, type, *value) < 0 ? AT_H5_FAIL("reading a text attribute") : AT_OK;
}

at_err at_h5_get_attr_text(at_h5 *f, const char *object, const char *name, char **value) {
  hid_t id = -1;
  *value = NULL;
  AT_TRY(object_for_reading(f, object, &id));
  hid_t attr = H5Aexists(id, name) > 0 ? H5Aopen(id, name, H5P_DEFAULT) : -1;
  hid_t type = attr < 0 ? -1 : H5Aget_type(attr);
  hid_t space = attr < 0 ? -1 : H5Aget_space(attr);
  at_err err = AT_OK;
  if (type < 0 || H5Tget_class(type) != H5T_STRING) {
    err = AT_FAIL(AT_ERR_FORMAT, "%s: %s has no text attribute %s", f->path, object, name);
  } else if (space < 0 || H5Sget_simple_extent_npoints(space) != 1) {
    err = AT_FAIL(AT_ERR_FORMAT, "%s: the attribute %s of %s is not a single text", f->path, name, object);
  } else {
    err = read_text(attr, type, value);
  }
  if (err != AT_OK) {
    at_free(*value);
    *value = NULL;
  }
  return at_h5_drop(at_h5_drop(at_h5_drop(at_h5_drop(err, space), type), attr), id);
}
