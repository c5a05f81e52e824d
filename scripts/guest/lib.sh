# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# What the guest's jobs share.

# Speaks through the kernel's log, so that lines of programs and of the kernel come
# in order and whole.
say() {
	echo "<6>$*" > /dev/kmsg
}

# logged PREFIX COMMAND...: each line of its output after PREFIX in the kernel's log.
logged() {
	prefix=$1
	shift
	{
		"$@" 2>&1
		echo $? > /tmp/status
	} | while IFS= read -r text || [ -n "$text" ]; do
		say "$prefix$text"
	done
	return "$(cat /tmp/status)"
}

# load FILE: the modules that it lists.
load() {
	while read -r module; do
		logged "modprobe: " modprobe "$module" || return
	done < "$1"
}

# Whose SMMU there is: the mock, or hardware in software under the kernel's own driver.
# shellcheck disable=SC2154 # the kernel's command line has it
case ${smmu:-} in
# What compares the mock's driver with the kernel's has none to compare.
stock) other='mock_smmu\|smmu_bytes' ;;
*) other=soft_smmu ;;
esac
grep -vx "$other" /guest/modules > /tmp/wanted

# All modules. Of KUnit suites only the extra driver's run, if there is one.
load_modules() {
	[ -e /guest/extra ] || {
		load /tmp/wanted
		return
	}
	filter=/sys/module/kunit/parameters/filter_glob
	grep -vxFf /guest/extra /tmp/wanted > /tmp/modules
	# The parameter keeps a line's end too.
	[ ! -e $filter ] || printf none > $filter
	load /tmp/modules || return
	[ ! -e $filter ] || printf %s "${tests:-*}" > $filter
	load /guest/extra
}

# Users first, until none of ours is left; fails if one stays in use.
unload_modules() {
	# What is plugged in on PCI is behind an SMMU too: what is behind a port before that.
	pci=/sys/kernel/config/mock_pci
	[ ! -e $pci ] ||
		logged "rmdir: " find $pci -mindepth 1 -depth -type d -exec rmdir {} + || return
	# Devices hold references on the module of their SMMU, so they go first.
	smmu=/sys/kernel/debug/mock_smmu/remove
	[ ! -e $smmu ] || logged "remove: " sh -c "echo 1 > $smmu" || return
	# So do directories that users made: devices before instances, and what was there stays.
	for entry in /sys/kernel/config/mock_smmu/*/*/ /sys/kernel/config/mock_smmu/*/; do
		case $entry in */\*/ | */smmu0/) continue ;; esac
		logged "rmdir: " rmdir "$entry" || return
	done

	while mine=$(lsmod | grep -wFf /guest/modules); do
		idle=$(echo "$mine" | while read -r name _ users _; do
			[ "$users" != 0 ] || echo "$name"
		done)
		[ -n "$idle" ] || {
			# Without debugfs there is nothing by which to remove the devices of smmu0.
			grep -qw debugfs /proc/filesystems || return 0
			say "guest: modules stay in use: $mine"
			return 1
		}
		for module in $idle; do
			logged "rmmod: " rmmod "$module" || return
		done
	done
}

# Where the kernel can find memory that nobody refers to any more: looks for it. The
# kernel's log tells; a block must be seen without a reference more than once.
find_leaks() {
	leaks=/sys/kernel/debug/kmemleak
	[ -e $leaks ] || return 0
	for _ in 1 2 3; do
		sleep 5
		echo scan > $leaks
	done
	logged "leak: " cat $leaks
}
