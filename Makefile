# SPDX-License-Identifier: BSD-3-Clause
# Builds atoll out of tree.  `make help` lists the targets; site settings go into config.mk (not tracked).
-include config.mk

BUILD    ?= build
PREFIX   ?= /usr/local
MPICC    ?= mpicc
WERROR   ?= -Werror
OPT      ?= -O3 -g
PKGS     := hdf5-openmpi yaml-0.1 zlib
CPPFLAGS += -I. -D_GNU_SOURCE $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
CFLAGS   += -std=c11 -Wall -Wextra -Wshadow $(WERROR) -ffp-contract=off -fno-math-errno $(OPT)
# OpenBLAS stands before GSL, and gslcblas is never linked: it would take cblas_sgemm over.
LDLIBS   += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lopenblas -lgsl -lm
V        ?= 0
Q        := $(if $(filter 1,$(V)),,@)

SRC      := $(sort $(wildcard kernels/*.c kernels/avx2/*.c kernels/avx512/*.c src/*/*.c src/comm/*/*.c data/*.c data/*/*.c \
              $(filter-out sim/main.c,$(wildcard sim/*.c)) sim/*/*.c))
REF      := $(sort $(wildcard kernels/ref/*.c))
OBJ      := $(SRC:%.c=$(BUILD)/%.o) $(REF:%.c=$(BUILD)/%.f32.o) $(REF:%.c=$(BUILD)/%.f64.o)
LIB      := $(BUILD)/libatoll.a
EXE      := $(BUILD)/atoll
UNIT     := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
MPITESTS := $(patsubst tests/mpi/%.c,$(BUILD)/tests/mpi/%,$(wildcard tests/mpi/test_*.c))

all: $(EXE) ## build the program

$(EXE): $(BUILD)/sim/main.o $(LIB)
	@echo "  LINK $@"
	$(Q)$(MPICC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS)

$(LIB): $(OBJ)
	@echo "  AR   $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $(OBJ)

$(BUILD)/kernels/avx2/%.o: CFLAGS += -mavx2 -mfma
$(BUILD)/kernels/avx512/%.o: CFLAGS += -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mprefer-vector-width=512

$(BUILD)/%.f32.o: %.c
	@mkdir -p $(@D)
	@echo "  CC   $< (f32)"
	$(Q)$(MPICC) $(CPPFLAGS) $(CFLAGS) -DAT_REAL_F32 -MMD -MP -c $< -o $@

$(BUILD)/%.f64.o: %.c
	@mkdir -p $(@D)
	@echo "  CC   $< (f64)"
	$(Q)$(MPICC) $(CPPFLAGS) $(CFLAGS) -DAT_REAL_F64 -MMD -MP -c $< -o $@

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC   $<"
	$(Q)$(MPICC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/tests/%: tests/%.c $(LIB)
	@mkdir -p $(@D)
	@echo "  TEST $<"
	$(Q)$(MPICC) $(CPPFLAGS) $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< $(LIB) -lcmocka -ldl $(LDLIBS)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

clean: ## remove build/
	rm -rf $(BUILD)

.PHONY: all help clean
-include $(OBJ:.o=.d) $(BUILD)/sim/main.d $(UNIT:%=%.d) $(MPITESTS:%=%.d)
