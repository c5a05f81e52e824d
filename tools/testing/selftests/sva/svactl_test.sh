#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# svactl shows what is there, while a device works on memory.
# check() calls the functions.
# shellcheck disable=SC2317,SC2329

device=mock_accel.0
files=/sys/kernel/debug/sva
smmu=/sys/kernel/debug/mock_smmu/smmu0
failures=0
number=0

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

# The value of a number in JSON on standard input, the first one.
json_number() {
	sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p" | head -n 1
}

bonds_are_the_kernels() {
	[ "$(svactl bonds)" = "$(cat "$files/bonds")" ]
}

bonds_in_json() {
	line=$(grep "^$device .* $$ " "$files/bonds") || return
	pasid=$(echo "$line" | awk '{print $3}')
	svactl --json bonds | grep -q "^\[{.*\"pasid\":$pasid,\"pid\":$$,.*}\]$"
}

devices_are_there() {
	for name in "$files"/devices/*; do
		svactl devices | grep -q "^${name##*/} " || return
	done
}

devices_in_json() {
	max=$(sed -n 's/^max_pasid //p' "$files/devices/$device")
	svactl --json devices | grep -q "{\"device\":\"$device\",[^{]*\"max_pasid\":$max,"
}

why_of_a_device_that_can_be_bound() {
	svactl why "$device" | grep -qx "$device: is initialised, processes can be bound to it" &&
		svactl --json why "$device" | grep -q '"initialised":true'
}

# The device works as long as this file is there.
work() {
	while [ -e /tmp/work ]; do
		/tests/accel_debugfs_test > /dev/null
	done
}

top_sees_work() {
	touch /tmp/work
	work &
	svactl --json top --once --interval 5 > /tmp/top
	rm /tmp/work
	wait $!
	[ "$(json_number answers < /tmp/top)" -gt 0 ] &&
		[ "$(json_number latency_p50 < /tmp/top)" -gt 0 ] &&
		[ "$(json_number latency_p99 < /tmp/top)" -ge "$(json_number latency_p50 < /tmp/top)" ]
}

top_has_its_columns() {
	svactl top --once --interval 0.1 | grep -q "^device .* requests/s .* process$"
}

record_has_what_the_kernel_counted() {
	before=$(sed -n 's/^page_request_groups //p' "$files/stats")
	svactl --json record /tmp/events \
		sh -c '/tests/accel_debugfs_test > /dev/null; true' > /tmp/recorded || return
	after=$(sed -n 's/^page_request_groups //p' "$files/stats")
	answers=$(grep -c ': page_response: ' /tmp/events)
	echo "# $answers answers recorded, $((after - before)) counted, $(cat /tmp/recorded)"
	# A full buffer loses some, and says so.
	[ "$answers" -gt 0 ] && [ "$answers" -le $((after - before)) ] &&
		{ [ "$answers" = $((after - before)) ] || grep -q LOST /tmp/events; }
}

record_fails_as_its_command() {
	! svactl record /tmp/events false 2> /tmp/said && grep -q 'false: exit status: 1' /tmp/said
}

trace_shows_a_bind() {
	svactl --json trace --seconds 4 > /tmp/events &
	sleep 2
	sh -c 'exec 4<>/dev/mock_accel0; true'
	wait $!
	grep -q "\"event\":\"bind\",\"dev\":\"$device\"" /tmp/events
}

nothing_stays_in_tracefs() {
	set -- /sys/kernel/tracing/instances/svactl-*
	[ ! -e "$1" ]
}

inject_asks_for_a_fault() {
	svactl inject smmu0 fail_response_slow --times 3 > /dev/null &&
		[ "$(cat "$smmu/fail_response_slow/times")" = 3 ] &&
		[ "$(cat "$smmu/fail_response_slow/probability")" = 100 ] || return
	svactl inject smmu0 fail_response_slow --times 0 > /dev/null &&
		[ "$(cat "$smmu/fail_response_slow/probability")" = 0 ]
}

# refused WORDS...: told in one line, by a status.
refused() {
	! svactl "$@" > /tmp/out 2> /tmp/said && [ ! -s /tmp/out ] &&
		[ "$(wc -l < /tmp/said)" = 1 ] && grep -q '^svactl: error: ' /tmp/said
}

completion_of() {
	svactl completion "$1" | grep -q bonds
}

if [ ! -e /dev/mock_accel0 ] || ! command -v svactl > /dev/null; then
	echo "1..0 # SKIP no svactl, or the modules are not loaded: modprobe mock_accel"
	exit 4
fi
exec 3<> /dev/mock_accel0 || exit 1

echo "TAP version 13"
echo "1..22"
check "bonds are the kernel's" bonds_are_the_kernels
check "bonds in JSON" bonds_in_json
check "devices are all there" devices_are_there
check "devices in JSON" devices_in_json
check "why: a device that can be bound" why_of_a_device_that_can_be_bound
check "top sees work" top_sees_work
check "top has its columns" top_has_its_columns
check "record has what the kernel counted" record_has_what_the_kernel_counted
check "record fails as its command" record_fails_as_its_command
check "trace shows a bind" trace_shows_a_bind
check "nothing stays in tracefs" nothing_stays_in_tracefs
check "inject asks for a fault" inject_asks_for_a_fault
check "no command is refused" refused
check "an unknown command is refused" refused nonsense
check "an unknown option is refused" refused bonds --nonsense
check "why without a device is refused" refused why
check "why of no device is refused" refused why nonsense
check "why of a path is refused" refused why ../bonds
check "an interval of nothing is refused" refused top --once --interval 0
check "an unknown fault is refused" refused inject smmu0 nonsense
check "completion of bash" completion_of bash
check "completion of an unknown shell is refused" refused completion nonsense
exit $((failures != 0))
