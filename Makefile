# SPDX-License-Identifier: GPL-2.0
# `make help` tells what there is. Kbuild itself starts at Kbuild, not here.

ifdef KDIR

# Out-of-tree use with a kernel build of one's own, as anywhere. That kernel must be for
# arm64, and built with LLVM.
ARCH ?= arm64
LLVM ?= 1
export LLVM

.DEFAULT_GOAL := modules
modules: modules-checked
modules-checked:
	@scripts/check-kernel --quiet '$(KDIR)'
modules modules_install clean:
	$(MAKE) -C '$(KDIR)' M='$(CURDIR)' $(if $(BUILD),MO='$(abspath $(BUILD))') \
		ARCH=$(ARCH) LLVM=$(LLVM) $@
check-kernel:
	@scripts/check-kernel '$(KDIR)'
install-sdk: modules
	@scripts/install-sdk '$(or $(BUILD),$(CURDIR))' '$(abspath $(KDIR))'

else

.DEFAULT_GOAL := help
modules:
	@scripts/modules
modules_install check-kernel:
	@echo 'error: $@ needs KDIR=<kernel build>' >&2; exit 1
clean:
	@scripts/clean
install-sdk:
	@scripts/install-sdk

endif

run test test-timeline test-deb matrix deb bench profile agree model shell check rust-analyzer docs rustdoc release:
	@scripts/$@

format:
	@scripts/setup && scripts/in-toolchain scripts/rustfmt

distclean-cache:
	@scripts/distclean-cache

define HELP
make run               builds, boots a guest, runs the demonstration in it
make test              builds, boots a guest, runs all tests in it
make test-timeline     looks at what run has drawn, in a browser (Debian package chromium)
make matrix            runs all tests on kernels of each page size and length of addresses
make bench             measures what operations cost, beside Linux's own
make profile           tells which functions an operation's instructions are spent in
make agree             compares the model of an SMMU with QEMU's, in random cases
make model             has spin search the model of a bond's life for errors
make shell             an interactive guest with the modules loaded
make check             formatting, lints, coding style
make format            formats the Rust files
make modules           builds the modules for the guest's kernel
make install-sdk       puts what a driver of your own is built against into DESTDIR
make docs              all documentation as pages, in build/docs
make rustdoc           of these, the API pages of the crates
make deb               Debian packages, in build/deb; test-deb tries them in a guest
make release           a tar ball of the version that Kbuild names, checked and tested
make rust-analyzer     writes rust-project.json for the editor
make clean             removes build/
make distclean-cache   removes the tool chain and the kernels, for all clones

make KDIR=<kernel build> [modules|modules_install|install-sdk|clean]
                       the same modules for a kernel of your own
make KDIR=<kernel build> check-kernel
                       tells what that kernel lacks for them

V=1                    shows all output
JOBS=<n>               parallel jobs (all processors)
DEBUG=1                the debug kernel, where there is one
FLAVOUR=<name>         another kernel of scripts/flavours (minimal: only run)
FLAVOURS='<name>...'   matrix: which (release 16k 64k 64k52)
TESTS=<pattern>        test: only suites and selftests with such names ('sva_*')
ROUNDS=<n>             test: how often tests of races do what they do (1)
EXTRA=<folder>         test, shell: a driver of your own too; of the tests only its own
DESTDIR=<folder>       install-sdk: where to
NODES=2                test: in a guest with two NUMA nodes
SLEEP_AFTER=<n>        test: idle bonds sleep after so many flushes (8; 0 is never)
SMMU=stock             run, test, shell: under the kernel's own driver for SMMUv3
PART=<part side hw>    profile: such as 'bind ours null', 'request in_tree mock';
                       bench: only that, such as 'bound', 'bind', without a report
CASES=<n> READS=<n>    agree: how many (10,000,000), and how many with reads (2,000)
SEED=<n> FIRST=<n>     agree: what they are made from (random), the number of the first (0)
BASE=<git revision>    bench: also measures that one, and compares
BUILD=<folder>         where the build's output goes (build/)
TOOLCHAIN=host         this machine's own tools instead of the sandbox
SVA_CACHE=<folder>     where tool chain and kernels are kept (~/.cache/sva); if it has
                       all parts already, it may be another user's
SVA_MIRROR=<URL>       the Debian mirror (the one apt uses)
endef
export HELP

help:
	@echo "$$HELP"

.PHONY: help run test test-timeline test-deb matrix bench profile agree model shell check format modules \
	modules-checked modules_install clean check-kernel distclean-cache rust-analyzer install-sdk \
	docs rustdoc deb release

# Arguments reach the scripts through the environment.
export V DEBUG FLAVOUR FLAVOURS TESTS ROUNDS NODES SLEEP_AFTER SMMU EXTRA DESTDIR BASE PART CASES READS SEED FIRST JOBS BUILD TOOLCHAIN SVA_CACHE SVA_MIRROR SVA_BUSYBOX
