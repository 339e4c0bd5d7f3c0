# SPDX-License-Identifier: BSD-3-Clause
# Builds atoll out of tree.  `make help` lists the targets; site settings go into config.mk (not tracked).
-include config.mk

BUILD    ?= build
PREFIX   ?= /usr/local
MPICC    ?= mpicc
WERROR   ?= -Werror
OPT      ?= -O3 -g
# Modules of pkg-config; a site without them sets PKGS to nothing and CPPFLAGS and LDLIBS by hand, in config.mk.
PKGS     ?= hdf5-openmpi yaml-0.1 zlib libzstd openblas gsl freetype2 liblzma libjpeg libpng fftw3f
CPPFLAGS += -I. -D_GNU_SOURCE $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
CFLAGS   += -std=c11 -Wall -Wextra -Wshadow $(WERROR) -ffp-contract=off -fno-math-errno $(OPT)
# OpenBLAS stands before GSL, and gslcblas is never linked: it would take cblas_sgemm over.
LDLIBS   += $(filter-out -lgslcblas,$(shell pkg-config --libs $(PKGS) 2>/dev/null)) -lhdf5_hl -lbz2 -ldl -lm
V        ?= 0
Q        := $(if $(filter 1,$(V)),,@)

SRC      := $(sort $(wildcard kernels/*.c kernels/avx2/*.c kernels/avx512/*.c kernels/avx512bf16/*.c src/*/*.c src/comm/*/*.c data/*.c data/*/*.c \
              $(filter-out sim/main.c,$(wildcard sim/*.c)) sim/*/*.c))
REF      := $(sort $(wildcard kernels/ref/*.c))
OBJ      := $(SRC:%.c=$(BUILD)/%.o) $(REF:%.c=$(BUILD)/%.f32.o) $(REF:%.c=$(BUILD)/%.f64.o)
LIB      := $(BUILD)/libatoll.a
EXE      := $(BUILD)/atoll
UNIT     := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
MPITESTS := $(patsubst tests/mpi/%.c,$(BUILD)/tests/mpi/%,$(wildcard tests/mpi/test_*.c))
BENCHES  := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/bench_*.c))
HEADERS  := $(sort $(wildcard kernels/*.h kernels/*/*.h src/*/*.h src/*/*/*.h data/*.h data/*/*.h sim/*.h sim/*/*.h))
SOURCES  := $(SRC) $(REF) $(HEADERS) $(wildcard sim/main.c tests/*/*.c tests/*/*.h)

all: $(EXE) ## build the program

setup: ## install what building and testing needs (Debian), or say what is missing
	$(Q)jobs/setup

demo: ## see a federated language model learn, in a minute or two
	$(Q)jobs/setup build
	$(Q)$(MAKE) --no-print-directory all
	$(Q)jobs/demo $(EXE)

foundation: ## pre-train the suite's own language model, an hour a call
	$(Q)jobs/setup build
	$(Q)$(MAKE) --no-print-directory all
	$(Q)jobs/foundation $(EXE)

test: ## set up, build, and run all tests
	$(Q)jobs/setup
	$(Q)$(MAKE) --no-print-directory check

check: all $(UNIT) $(MPITESTS) ## build and run all tests; T="NAME ..." selects
	$(Q)tests/run -b $(BUILD) $(T)

bench: $(BENCHES) ## measure this machine with the programs in tests/bench
	$(Q)set -e; for b in $(BENCHES); do echo "== $$b"; $$b; done

bench-peers: $(BUILD)/tests/bench/peer ## train beside PyTorch, in turn; ATOLL_TORCH names other Pythons that have it
	$(Q)tests/bench/peers -b $(BUILD)

$(EXE): $(BUILD)/sim/main.o $(LIB)
	@echo "  LINK $@"
	$(Q)$(MPICC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS)

$(LIB): $(OBJ)
	@echo "  AR   $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $(OBJ)

$(BUILD)/kernels/avx2/%.o: CFLAGS += -mavx2 -mfma
# Threads are OpenMP's, whose library OpenBLAS brings anyway.
$(BUILD)/src/graph/threads.o: CFLAGS += -fopenmp
LDFLAGS  += -fopenmp
AVX512   := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mprefer-vector-width=512
$(BUILD)/kernels/avx512/%.o: CFLAGS += $(AVX512)
$(BUILD)/kernels/avx512bf16/%.o: CFLAGS += $(AVX512) -mavx512bf16

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

# Provenance names the source and the build; its object follows the revision, which a file holds that changes only with it.
REVISION := $(shell git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)
$(BUILD)/src/store/provenance.o: CPPFLAGS += -DAT_GIT_REVISION='"$(REVISION)"' -DAT_BUILD_FLAGS='"$(strip $(CFLAGS))"'
$(BUILD)/src/store/provenance.o: $(BUILD)/revision
$(BUILD)/revision: FORCE
	@mkdir -p $(@D)
	@echo '$(REVISION)' | cmp -s - $@ || echo '$(REVISION)' > $@

lint: headers ## check rules and layout (tests/lint)
	$(Q)tests/lint

format: ## lay all C sources out as .clang-format says
	clang-format -i $(SOURCES)

headers: $(HEADERS:%=$(BUILD)/headers/%.ok) ## compile each header by itself
$(BUILD)/headers/kernels/%.ok: CFLAGS += -DAT_REAL_F32 -mavx2 -mfma
$(BUILD)/headers/kernels/avx512/%.ok: CFLAGS += $(AVX512)
$(BUILD)/headers/%.ok: %
	@mkdir -p $(@D)
	$(Q)$(MPICC) $(CPPFLAGS) $(CFLAGS) -Wno-unused-function -MMD -MP -MT $@ -MF $@.d -fsyntax-only -include $< -x c /dev/null
	@touch $@

clang: ## build program and tests with clang
	$(Q)OMPI_CC=clang $(MAKE) --no-print-directory BUILD=$(BUILD)/clang programs

SANITIZE  = +$(Q)OMPI_CC=$(2) $(MAKE) --no-print-directory BUILD=$(BUILD)/$(1)-$(2) unit \
              OPT="-O1 -g -fsanitize=$(3) -fno-sanitize-recover=all -fno-omit-frame-pointer" && \
            ASAN_OPTIONS=allocator_may_return_null=1 LSAN_OPTIONS=suppressions=tests/lsan.supp:print_suppressions=0 \
              tests/run -b $(BUILD)/$(1)-$(2) unit/

asan: ## run the unit tests under the address sanitizer, gcc's and clang's
	$(call SANITIZE,asan,gcc,address)
	$(call SANITIZE,asan,clang,address)

ubsan: ## run the unit tests under the undefined-behaviour sanitizer, gcc's and clang's
	$(call SANITIZE,ubsan,gcc,undefined)
	$(call SANITIZE,ubsan,clang,undefined)

unit: $(UNIT)
programs: all $(UNIT) $(MPITESTS) $(BENCHES) $(BUILD)/tests/bench/peer

install: all ## install the program, the job scripts and the analysis below PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/atoll
	install $(EXE) $(DESTDIR)$(PREFIX)/bin/
	cp -R jobs analysis $(DESTDIR)$(PREFIX)/share/atoll/

clean: ## remove build/
	rm -rf $(BUILD)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

.PHONY: all setup demo foundation test check bench bench-peers lint format headers clang asan ubsan unit programs install clean help FORCE
-include $(OBJ:.o=.d) $(BUILD)/sim/main.d $(UNIT:%=%.d) $(MPITESTS:%=%.d) $(BENCHES:%=%.d) $(HEADERS:%=$(BUILD)/headers/%.ok.d)
