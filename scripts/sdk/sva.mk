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

# Where everything is put; modules beside their source, if it is not given.
OUTPUT ?=
out := $(abspath $(or $(OUTPUT),.))
CC_GUEST ?= clang --target=aarch64-linux-gnu -fuse-ld=lld

kbuild = $(KTOOLS) make -C '$(KDIR)' M='$(CURDIR)' $(if $(OUTPUT),MO='$(out)/modules') \
	ARCH=arm64 LLVM=$(or $(LLVM),1) $(if $(JOBS),-j$(JOBS)) \
	KBUILD_EXTRA_SYMBOLS='$(SVA)/Module.symvers' \
	KCFLAGS='-I$(SVA)/include -I$(SVA)/include/uapi' KRUSTFLAGS='-L $(SVA)/rust $(KRUSTFLAGS)'

programs := $(addprefix $(out)/bin/,$(sva-programs))
tests := $(addprefix $(out)/tests/,$(sva-tests))

.DEFAULT_GOAL := all
all: modules programs
modules:
	@$(if $(OUTPUT),mkdir -p '$(out)/modules')
	$(kbuild) modules
programs: $(programs) $(tests)

$(programs): $(out)/bin/%: %.c $(wildcard *.h)
	@mkdir -p $(@D)
	$(KTOOLS) $(CC_GUEST) -static -O2 -Wall -Wextra -pthread -I$(SVA)/include/uapi -o $@ $<

# A kernel built outside of its source has a link to that.
$(tests): $(out)/tests/%: %.c $(wildcard *.h)
	@mkdir -p $(@D)
	$(KTOOLS) $(CC_GUEST) -static -O2 -Wall -Wextra -Wno-unused-parameter -pthread \
		-I$(SVA)/include/uapi -isystem $(KDIR)/usr/include \
		-I$(KDIR)/source/tools/testing/selftests -I$(KDIR)/tools/testing/selftests -o $@ $<

clean:
	$(kbuild) clean
	rm -f $(programs) $(tests)

help:
	@echo 'make                    builds the modules, and the programs for the guest'
	@echo 'make modules|programs   only these'
	@echo 'make clean              removes what was built'
	@echo
	@echo 'SVA=<sdk>               where make install-sdk DESTDIR=<sdk> put it'
	@echo 'OUTPUT=<folder>         where everything is put (beside the source)'
	@echo
	@echo 'To run it, in the project: make test EXTRA=$(CURDIR), make shell EXTRA=$(CURDIR)'

.PHONY: all modules programs clean help
