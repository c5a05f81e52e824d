# SPDX-License-Identifier: GPL-2.0
# `make help` tells what there is. Kbuild itself starts at Kbuild, not here.

ifdef KDIR

# Out-of-tree use with a kernel build of one's own, as anywhere.
.DEFAULT_GOAL := modules
modules modules_install clean:
	$(MAKE) -C $(KDIR) M=$(CURDIR) $@

else

.DEFAULT_GOAL := help
modules:
	@scripts/modules
modules_install:
	@echo 'modules_install needs KDIR=<kernel build>' >&2; exit 1
clean:
	rm -rf build

endif

run test bench profile shell check rust-analyzer:
	@scripts/$@

format:
	@scripts/setup && scripts/in-toolchain scripts/rustfmt

distclean-cache:
	@scripts/distclean-cache

define HELP
make run               builds, boots a guest, runs the demonstration in it
make test              builds, boots a guest, runs all tests in it
make bench             measures what operations cost, beside Linux's own
make profile           tells which functions an operation's instructions are spent in
make shell             an interactive guest with the modules loaded
make check             formatting, lints, coding style
make format            formats the Rust files
make modules           builds the modules for the guest's kernel
make rust-analyzer     writes rust-project.json for the editor
make clean             removes build/
make distclean-cache   removes the tool chain and the kernels, for all clones

make KDIR=<kernel build> LLVM=1 [modules|modules_install|clean]
                       the same modules for a kernel of your own

V=1                    shows all output
JOBS=<n>               parallel jobs (all processors)
DEBUG=1                the debug kernel, where there is one
TESTS=<pattern>        test: only suites and selftests with such names ('sva_*')
PART=<part side hw>    profile: such as 'bind ours null', 'request in_tree mock'
BASE=<git revision>    bench: also measures that one, and compares
TOOLCHAIN=host         this machine's own tools instead of the sandbox
SVA_CACHE=<folder>     where tool chain and kernels are kept (~/.cache/sva)
SVA_MIRROR=<URL>       the Debian mirror (the one apt uses)
endef
export HELP

help:
	@echo "$$HELP"

.PHONY: help run test bench profile shell check format modules modules_install clean distclean-cache rust-analyzer

# Arguments reach the scripts through the environment.
export V DEBUG TESTS BASE PART JOBS TOOLCHAIN SVA_CACHE SVA_MIRROR SVA_BUSYBOX
