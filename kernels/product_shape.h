/* SPDX-License-Identifier: BSD-3-Clause */
/* How the vector levels cut a matrix product into blocks, from which its scratch follows. */
#ifndef AT_PRODUCT_SHAPE_H
#define AT_PRODUCT_SHAPE_H

#include <stddef.h>
#include <stdint.h>

/* A block of B has AT_PRODUCT_DEPTH steps of k and AT_PRODUCT_COLUMNS columns, one of A AT_PRODUCT_ROWS rows and as many steps. */
enum {
  AT_PRODUCT_DEPTH = 512,
  AT_PRODUCT_ROWS = 128,
  AT_PRODUCT_COLUMNS = 512,
  AT_PRODUCT_PANEL = 32 /* blocks are whole ones */
};

/* Elements of a block of at most `most`, rounded up to whole panels. */
static inline int64_t at_product_block(int64_t n, int64_t most) {
  return n >= most ? most : (n + AT_PRODUCT_PANEL - 1) / AT_PRODUCT_PANEL * AT_PRODUCT_PANEL;
}

/* Bytes that hold both blocks, as floats; the packed rows of A take an eighth more. */
static inline size_t at_product_bytes(int64_t m, int64_t n, int64_t k) {
  const int64_t depth = at_product_block(k, AT_PRODUCT_DEPTH);
  const int64_t rows = at_product_block(m, AT_PRODUCT_ROWS) + AT_PRODUCT_PANEL;
  return (size_t)((rows + at_product_block(n, AT_PRODUCT_COLUMNS)) * depth) * sizeof(float);
}

#endif
