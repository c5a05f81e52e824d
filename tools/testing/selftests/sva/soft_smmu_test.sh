#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What a developer of an SMMU's driver tries: each kind of hardware, under load and with
# mistakes. For the kernel's own driver on hardware in software (SMMU=stock).
# check() calls the functions.
# shellcheck disable=SC2317,SC2329

files=/sys/kernel/debug/mock_smmu/smmu0
failures=0
number=0

# shellcheck disable=SC2154 # the kernel's command line has it
if [ "${smmu:-}" != stock ] || [ ! -e /sys/module/sva_core ]; then
	echo "1..0 # SKIP there is the mock, with a driver of its own, or no module"
	exit 4
fi

# check TEXT COMMAND...
check() {
	number=$((number + 1))
	text=$1
	shift
	if "$@"; then
		echo "ok $number $text"
	else
		echo "not ok $number $text"
		failures=$((failures + 1))
	fi
}

# Hardware with these parameters; strict in any case, as the guest has it for all tests.
hardware() {
	[ ! -e /sys/module/soft_smmu ] || rmmod soft_smmu || return
	modprobe soft_smmu "$@"
}

stat() {
	sed -n "s/^$1: //p" $files/stats
}

clean() {
	echo scan > $files/strict
	grep -qx "records: 0" $files/strict
}

# passes PROGRAM [ARGUMENT...]: a selftest does, or says why not.
passes() {
	program=/tests/$1
	shift
	"$program" "$@" > /tmp/out 2>&1 ||
		{ sed 's/^/# /' /tmp/out | grep -v ' OK\| RUN' | tail -n 20; return 1; }
}

# A process works with a device: data of its own, pages that are missing, pages that may
# not be written.
works() {
	passes accel_operations_test && passes accel_fault_test -T reasons_of_many
}

# works_with PARAMETER...: and nothing stale was used.
works_with() {
	hardware "$@" && works && clean && [ "$(stat hw_stalls)" -gt 0 ]
}

# PASIDs are as many as the SMMU has, whatever devices say.
pasids_are_limited() {
	hardware ssid_bits=3 && passes accel_operations_test || return
	grep -q "^max_pasid 7\$" /sys/kernel/debug/sva/devices/mock_accel.0
}

# Not by page requests, nor as the process has it: by memory that is pinned, and mapped.
works_otherwise() {
	hardware "$@" && passes accel_operations_test && clean &&
		[ "$(stat hw_stalls)" -eq 0 ]
}

no_pasids() {
	works_otherwise ssid_bits=0
}

never_stalls() {
	works_otherwise stall=1
}

# The driver takes no SMMU whose addresses are shorter than the processors' for SVA.
short_addresses() {
	works_otherwise oas=2
}

loads_again_and_again() {
	for _ in 1 2 3 4 5; do
		hardware || return
		[ -e /dev/mock_accel0 ] || return
	done
	works && clean
}

is_on() {
	! grep -qx "CR0ACK: 0x00000000" $files/regs
}

# The driver of the SMMU leaves, and comes back to what it has left; not under devices.
driver_leaves() {
	hardware || return
	! echo unbind 2> /dev/null > $files/driver && is_on && hardware devices=0 || return
	for _ in 1 2 3; do
		echo unbind > $files/driver && grep -qx none $files/driver && ! is_on &&
			echo bind > $files/driver && is_on || return
	done
	echo unbind > $files/driver || return
	mine=/sys/kernel/config/mock_smmu/smmu0/mine
	mkdir $mine || return
	! echo 1 2> /dev/null > $mine/online && echo bind > $files/driver &&
		echo 1 > $mine/online && works
	status=$?
	rmdir $mine && [ $status = 0 ] && clean
}

# Events that find no room are lost, the driver is told, and goes on.
events_overflow() {
	hardware stall=1 || return
	echo 2 > $files/fail_queue_full/times
	echo 100 > $files/fail_queue_full/probability
	# Its device touches what is not mapped.
	/tests/vfio_dma_test -t dma_goes_to_what_is_mapped > /tmp/out 2>&1
	[ "$(stat hw_events_lost)" -gt 0 ] && hardware && works
}

echo "1..$((14 + $(test -e $files/fail_queue_full; echo $((1 - $?)))))"
check "as_it_comes" works_with
check "one_table_of_context_descriptors" works_with ssid_bits=8
check "two_levels_of_tables" works_with ssid_bits=20
check "few_streams" works_with sid_bits=9
check "syncs_by_polling" works_with sev=0
check "messages" works_with msi=1
check "forced_stall" works_with stall=2
check "entries_dropped" works_with evict_one_in=3
check "pasids_are_limited" pasids_are_limited
check "no_pasids" no_pasids
check "never_stalls" never_stalls
check "short_addresses" short_addresses
[ ! -e $files/fail_queue_full ] || check "events_overflow" events_overflow
check "driver_leaves" driver_leaves
check "loads_again_and_again" loads_again_and_again
hardware || failures=1
# Its device went with the SMMU.
[ ! -e /sys/module/mock_uacce ] || { rmmod mock_uacce && modprobe mock_uacce; } || failures=1
exit $((failures != 0))
