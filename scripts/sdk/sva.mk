# SPDX-License-Identifier: GPL-2.0
#
# How a driver outside of the project's tree is built, by a Makefile of two lines or more:
#
#   sva-programs := ...     programs for the guest, each of one .c file
#   sva-tests := ...        selftests, likewise, on the kernel's harness
#   include $(SVA)/sva.mk
#
# Its modules are in Kbuild, as the kernel has it. SVA is the folder of this file.

override SVA := $(abspath $(SVA))

# KDIR, and KTOOLS, by which its tools are run. (A clone has no such file.)
-include $(SVA)/kernel.mk

# V=1 shows commands.
Q := $(if $(filter 1,$(V)),,@)

# Where everything is put: modules/, bin/ and tests/.
OUTPUT ?= build
out := $(abspath $(OUTPUT))
CC_GUEST ?= clang --target=aarch64-linux-gnu -fuse-ld=lld

kbuild = $(KTOOLS) make --no-print-directory -C '$(KDIR)' M='$(CURDIR)' \
	MO='$(out)/modules' \
	ARCH=arm64 LLVM=$(or $(LLVM),1) $(if $(JOBS),-j$(JOBS)) \
	KBUILD_EXTRA_SYMBOLS='$(SVA)/Module.symvers' \
	KCFLAGS='-I$(SVA)/include -I$(SVA)/include/uapi' KRUSTFLAGS='-L $(SVA)/rust $(KRUSTFLAGS)'

programs := $(addprefix $(out)/bin/,$(sva-programs))
tests := $(addprefix $(out)/tests/,$(sva-tests))

.DEFAULT_GOAL := all
all: modules programs
modules:
	@mkdir -p $(out)/modules
	$(Q)$(kbuild) modules
programs: $(programs) $(tests)

$(programs): $(out)/bin/%: %.c $(wildcard *.h)
	@echo '  CC      $(notdir $@)'; mkdir -p $(@D)
	$(Q)$(KTOOLS) $(CC_GUEST) -static -O2 -Wall -Wextra -pthread -I$(SVA)/include/uapi -o $@ $<

# A kernel built outside of its source has a link to that.
$(tests): $(out)/tests/%: %.c $(wildcard *.h)
	@echo '  CC      $(notdir $@)'; mkdir -p $(@D)
	$(Q)$(KTOOLS) $(CC_GUEST) -static -O2 -Wall -Wextra -Wno-unused-parameter -pthread \
		-I$(SVA)/include/uapi -isystem $(KDIR)/usr/include \
		-I$(KDIR)/source/tools/testing/selftests -I$(KDIR)/tools/testing/selftests -o $@ $<

clean:
	rm -rf $(out)/bin $(out)/modules $(out)/tests
	@rmdir $(out) 2>/dev/null || true

help:
	@echo 'make                    builds the modules, and the programs for the guest'
	@echo 'make modules|programs   only these'
	@echo 'make clean              removes what was built'
	@echo
	@echo 'SVA=<sdk>               where make install-sdk DESTDIR=<sdk> put it'
	@echo 'OUTPUT=<folder>         where everything is put (build)'
	@echo 'V=1                     shows all commands'
	@echo
	@echo 'To run it, in the project: make test EXTRA=$(CURDIR), make shell EXTRA=$(CURDIR)'

.PHONY: all modules programs clean help
