# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# What all scripts share: where things are, messages, timed steps, cache parts.
# Source it first; it turns on strict mode.

set -euo pipefail
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES

die() {
	printf '%s\n' "error: $1" "${@:2}" >&2
	exit 1
}

note() {
	printf '%s\n' "$@" >&2
}

# A user's PATH lacks the folder that chroot is in.
case :$PATH: in
*:/usr/sbin:*) ;;
*) PATH=$PATH:/usr/sbin ;;
esac

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
project=$(dirname "$scripts")
# shellcheck source=scripts/versions
. "$scripts/versions"

# What the caller may set. A mistake is told here, before anything is done.
TOOLCHAIN=${TOOLCHAIN:-sandbox}
JOBS=${JOBS:-$(nproc)}
case $TOOLCHAIN in
sandbox | host) ;;
*) die "TOOLCHAIN=$TOOLCHAIN: it is 'sandbox' or 'host' (this machine's own tools)." ;;
esac
[[ $JOBS =~ ^[1-9][0-9]*$ ]] || die "JOBS=$JOBS: it is a number of jobs, 1 or more."
case ${DEBUG:-} in
'' | 0) flavour=${FLAVOUR:-release} ;;
1) flavour=${FLAVOUR:-debug} ;;
*) die "DEBUG=$DEBUG: it is 1 (the debug kernel) or 0." ;;
esac
case ${SMMU:-mock} in
mock | stock) ;;
*) die "SMMU=$SMMU: it is 'mock' (with its own driver) or 'stock' (the kernel's driver)." ;;
esac
build=$(realpath -m -- "${BUILD:-$project/build}")
cache=$(realpath -m -- "${SVA_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/sva}")

# usable_path PATH ADVICE: Kbuild takes no other names.
usable_path() {
	[[ $1 != *[^[:alnum:]/._+@~,=-]* ]] ||
		die "The path '$1' has a character in it that Kbuild cannot take, such as a space: $2"
}

# visible_path PATH ADVICE: what is shown in the sandbox at the same place.
visible_path() {
	usable_path "$@"
	case $TOOLCHAIN$1/ in
	sandbox/bin/* | sandbox/dev/* | sandbox/etc/* | sandbox/lib/* | sandbox/lib64/* | \
		sandbox/proc/* | sandbox/sbin/* | sandbox/sva/* | sandbox/usr/*)
		die "The path '$1' is one of the sandbox's own: $2"
		;;
	esac
}
visible_path "$project" "move the project."
visible_path "$build" "BUILD=<folder> names another."
usable_path "$cache" "SVA_CACHE=<folder> names another."

# A driver of the user's own.
extra=${EXTRA:+$(realpath -m -- "$EXTRA")}
if [ -n "$extra" ]; then
	[ -d "$extra" ] || die "EXTRA=$EXTRA: there is no such folder."
	visible_path "$extra" "EXTRA=<folder> names another."
	[ -e "$extra/Kbuild" ] || die "EXTRA=$EXTRA: no Kbuild is in it, which lists its modules."
	grep -qs 'sva\.mk' "$extra/Makefile" ||
		die "EXTRA=$EXTRA: no Makefile is in it that includes sva.mk."
fi

logs=$build/logs
results=$build/results$([ "$flavour" = release ] || echo "/$flavour")
export PATH TOOLCHAIN JOBS V="${V:-}" FLAVOUR="$flavour" BUILD="$build" SVA_CACHE="$cache"

# hash_of TEXT...: a short name for exactly this content.
hash_of() {
	printf '%s\0' "$@" | sha256sum | cut -c1-12
}

# without_comments FILE...: the lines that mean something.
without_comments() {
	grep -hv '^[[:space:]]*\(#\|$\)' "$@"
}

seconds() {
	local now=${EPOCHREALTIME/[.,]/}
	echo "$(((now - $1) / 1000000)).$(((now - $1) / 100000 % 10)) s"
}

# Ends by itself with the shell that started it; `read` is the clock because it
# leaves no child behind.
tick() {
	local start=$1 title=$2 never n=0
	exec {never}<> <(:)
	while kill -0 $$ 2>/dev/null; do
		read -rt 1 -u "$never" || true
		n=$((n + 1))
		if [ -t 2 ]; then
			printf '\r%-44s %s' "$title" "$(seconds "$start")" >&2
		elif [ $((n % 30)) = 0 ]; then
			printf ' %s s ...' "$n" >&2
		fi
	done
}

# step TITLE ADVICE COMMAND...: runs COMMAND with its output in a log, showing one
# line with the elapsed time. On failure shows the end of the log and ADVICE, which
# may be a function that reads the log on its standard input.
step() {
	local title=$1 advice=$2 start=${EPOCHREALTIME/[.,]/} rc=0 ticker log
	shift 2
	log=$logs/$(tr -cs 'a-z0-9\n' - <<<"${title,,}").log
	printf '%-44s' "$title" >&2
	if [ "$V" = 1 ]; then
		echo >&2
		"$@" < /dev/null > >(tee "$log" >&2) 2>&1 || rc=$?
	else
		tick "$start" "$title" &
		ticker=$!
		"$@" < /dev/null > "$log" 2>&1 || rc=$?
		kill "$ticker" 2>/dev/null || true
		wait "$ticker" 2>/dev/null || true
	fi
	! [ -t 2 ] || printf '\r%-44s' "$title" >&2
	if [ "$rc" = 0 ]; then
		printf ' %s\n' "$(seconds "$start")" >&2
		return
	fi
	printf ' FAILED after %s\n' "$(seconds "$start")" >&2
	[ "$V" = 1 ] || tail -n 30 "$log" | sed 's/^/  | /' >&2
	[ "$(type -t "$advice")" != function ] || advice=$("$advice" < "$log")
	note "log: $log" "${advice:-See the log; V=1 shows all output.}"
	return "$rc"
}

# usable_folder FOLDER: is it there, or can it be made, for us to write?
usable_folder() {
	mkdir -p "$1" 2>/dev/null && [ -w "$1" ]
}

# need_build: sees to it that the folder for the build's output is there.
need_build() {
	usable_folder "$logs" ||
		die "$build cannot be written: BUILD=<folder> says where the build's output goes."
}

# lock_build: one at a time builds in the output's folder, until it ends, with all that it runs.
lock_build() {
	need_build
	[ "${SVA_LOCKED:-}" != "$build" ] || return 0
	exec {build_lock}> "$build/lock"
	if ! flock -n "$build_lock"; then
		note "Another run is building in this folder; waiting for it."
		flock "$build_lock"
	fi
	export SVA_LOCKED=$build
}

# have_part PATH: is this part of the cache there? If not, keeps $part_lock on it, so
# that the caller can make it.
have_part() {
	[ ! -e "$1" ] || return 0
	usable_folder "$cache" ||
		die "$cache cannot be written, and ${1##*/} is not in it: SVA_CACHE=<folder> names another."
	exec {part_lock}> "$1.lock"
	if ! flock -n "$part_lock"; then
		note "Another run is making ${1##*/}; waiting for it."
		flock "$part_lock"
	fi
	if [ -e "$1" ]; then
		exec {part_lock}>&-
		return 0
	fi
	# Ours is the only lock, so what an interrupted run left is garbage.
	remove_parts "$1".tmp.*
	return 1
}

# remove_parts PATH...: also files of the sandbox's other users, when not root.
remove_parts() {
	local path
	for path; do
		[ -e "$path" ] || continue
		rm -rf "$path" 2>/dev/null ||
			unshare --map-root-user --map-auto rm -rf "$path"
	done
}

# The parts. Each is named after all that it is made from.

root_part() {
	echo "$cache/root-$(hash_of "$(without_comments "$scripts/versions" "$scripts/sandbox.packages")" \
		"$(without_comments "$scripts/make-root")")"
}

# What the tools in use call themselves.
tool_versions() {
	if [ "$TOOLCHAIN" = host ]; then
		{
			clang --version | head -n 1
			rustc --version
			bindgen --version
			echo "$LINUX_PACKAGE" "$(dpkg-query -W "$LINUX_PACKAGE")"
		} 2>/dev/null || true
	else
		grep -E "^($LINUX_PACKAGE|clang-[0-9]+|lld-[0-9]+|rustc|rust-src|bindgen):" \
			"$(root_part)/etc/sva-packages"
	fi
}

source_part() {
	echo "$cache/source-$(hash_of "$(tool_versions | grep "$LINUX_PACKAGE")" \
		"$(without_comments "$scripts/make-source")")"
}

kernel_part() {
	local text
	text=$(fragments) || return
	echo "$cache/kernel-$flavour-$(hash_of "$(tool_versions)" "$TOOLCHAIN" \
		"$(without_comments "$scripts/make-source" "$scripts/make-kernel")" "$text")"
}

# The configuration fragments of the flavour in use.
fragments() {
	local name files file text='' edits=(-e '')
	read -r name files < <(without_comments "$scripts/flavours" | grep "^$flavour ") ||
		die "FLAVOUR=$flavour: it is one of $(without_comments "$scripts/flavours" |
			cut -d' ' -f1 | paste -sd ' ')."
	for file in $files; do
		case $file in
		s/*) edits+=(-e "$file") ;;
		*) text+=$(without_comments "$scripts/$file")$'\n' ;;
		esac
	done
	sed "${edits[@]}" <<<"${text%$'\n'}"
}

# With which unshare(1) enters the sandbox. A user is root in it.
namespaces=(--mount --pid --fork --kill-child)
[ "$EUID" = 0 ] || namespaces+=(--map-root-user --map-auto)

# Paths of the kernel's source and build as the tools see them. Builds remember
# where they were made, so in the sandbox these never change.
if [ "$TOOLCHAIN" = host ]; then
	KSRC=$(source_part) KDIR=$(kernel_part)
else
	KSRC=/sva/source KDIR=/sva/kernel
fi
export KSRC KDIR
