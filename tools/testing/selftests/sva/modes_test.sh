#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The whole demonstration on devices that can less than the first one.
# check() calls the functions.
# shellcheck disable=SC2317,SC2329

top=/sys/kernel/config/mock_smmu
failures=0
number=0

if [ ! -e $top/smmu0 ]; then
	echo "1..0 # SKIP no devices can be made here"
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

# demo SMMU HOW FILE...: with a device behind SMMU in whose files there is 0; HOW it works.
demo() {
	device=$top/$1/modes
	how=$2
	shift 2
	mkdir "$device" || return
	for file in "$@"; do
		echo 0 > "$device/$file"
	done
	echo 1 > "$device/online" &&
		sva-demo "/dev/$(tr -d . < "$device/device")" > /tmp/modes
	status=$?
	grep -q "memory: $how\$" /tmp/modes && grep -q "all 7 parts verified" /tmp/modes ||
		status=1
	[ $status = 0 ] || cat /tmp/modes
	rmdir "$device" && return $status
}

# Behind an SMMU that shares no address spaces.
demo_without_sva() {
	mkdir $top/modes && echo 0 > $top/modes/ssid_bits && echo 1 > $top/modes/online &&
		demo modes "no PASID, pinned and mapped" pasid_bits
	status=$?
	rmdir $top/modes && return $status
}

echo "TAP version 13"
echo "1..3"
check "no page requests" demo smmu0 "PASID [0-9]*, pinned" pri
check "no PASIDs, no page requests, no ATS" demo smmu0 "no PASID, pinned and mapped" pri pasid_bits ats
# shellcheck disable=SC2154 # the kernel's command line has it
if [ "${smmu:-}" = stock ]; then
	echo "ok 3 no SVA in the SMMU # SKIP there is one SMMU"
else
	check "no SVA in the SMMU" demo_without_sva
fi
exit $failures
