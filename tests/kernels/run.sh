#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Boots the kernels of kernels.conf under emulation and runs the integration tests in each.
# README.md says how it works and how to look into a guest.

set -uo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$RIG/lib/machine.sh"

# The integration tests that run on the host alone: README.md says why.
readonly ON_HOST_ALONE=({clients,excludes,handoff,health,hostile_queries,loss,memory,record,refusals,reload,udp_life}.py
	cli_{completion,config,conns,dns,status,top,watch}.py)

usage() {
	cat <<EOF
usage: run.sh [options] [--pytest-args ARG...]

  --build DIR        the build whose programs are tested (default: build/dev, then build)
  --only A,B         only these series: $(kernel_series | paste -sd' ')
  --jobs N           machines at a time (default: as many as processors)
  --limit S          seconds after which a machine is killed (default: 600)
  --check-machine    run only the rig's own tests of the guests; needs no build
  --prepare          fetch and make what the guests need, boot none
  --refresh          look for newer kernels now
  --pytest-args ...  all that follows goes to pytest in place of tests/integration

Logs of the last run are in \$SOCKWARDEN_CACHE/kernels/logs (now $CACHE/logs).
EOF
}

build='' only='' jobs='' limit=600 check_machine='' prepare='' pytest_args=()
# parse_options ARG...: sets the variables above.
parse_options() {
	while (($#)); do
		case $1 in
		--build | --only | --jobs | --limit)
			(($# > 1)) || die "$1 needs a value"
			printf -v "${1#--}" %s "$2"
			shift
			;;
		--check-machine) check_machine=1 ;;
		--prepare) prepare=1 ;;
		--refresh) export REFRESH=1 ;;
		--pytest-args)
			shift
			pytest_args=("$@")
			break
			;;
		--help)
			usage
			exit 0
			;;
		*)
			usage >&2
			exit 2
			;;
		esac
		shift
	done
}

# choose_series: sets series to those of --only, or to all.
choose_series() {
	local name
	mapfile -t series < <(kernel_series)
	[[ -n $only ]] || return 0
	for name in ${only//,/ }; do
		[[ " ${series[*]} " == *" $name "* ]] || die "no series $name; there are: ${series[*]}"
	done
	IFS=, read -ra series <<<"$only"
}

choose_job() {
	if [[ -n $check_machine ]]; then
		pytest_args=(tests/kernels/guest/test_machine.py)
		return
	fi
	: "${build:=$(default_build)}"
	local program
	for program in privd/sockwarden-privd worker/sockwarden-worker; do
		[[ -x $build/$program ]] || die "no $program in ${build:-build}; build first, or give --build DIR"
	done
	# What depends on the kernel, and does not take as long in a guest as all of that together.
	((${#pytest_args[@]})) || pytest_args=(tests/integration
		"${ON_HOST_ALONE[@]/#/--ignore-glob=*/test_}")
}

# boot_and_run SERIES FOLDER LOGS: machine_run, again where the guest did not even come up: under emulation a kernel
# that patches its own code now and then trips over it before anything of ours runs. Each time is told.
boot_and_run() {
	local try
	for try in 1 2 3; do
		machine_run "$1" "$2" "$root" "$payload" "$3" "$limit" && return 0
		grep -q 'guest: up' "$3/console.log" && return 1
		((try < 3)) && echo "kernel $(cat "$2/release"): $(cat "$3/failure") at try $try of 3; once more"
	done
	return 1
}

# one_kernel SERIES FOLDER: runs and prints the summary line; fails where anything did.
one_kernel() {
	local logs=$CACHE/logs/$1
	if ! boot_and_run "$1" "$2" "$logs"; then
		echo "kernel $(cat "$2/release"): $(cat "$logs/failure") ($(cat "$logs/seconds") s); console:"
		tail -n 40 "$logs/console.log" "$logs/qemu.log" | sed 's/^/    /'
		return 1
	fi
	python3 "$RIG/lib/summary.py" "$(cat "$2/release")" "$logs"
}

# A function, so that bash has read the whole file before what takes minutes: the file may change.
main() {
	parse_options "$@"
	[[ $(id -u) == 0 ]] || die "must run as root: it installs packages and makes a root filesystem"
	local name folder i running=0 failed=0
	local -a series folders=()
	choose_series
	[[ -n $prepare ]] || choose_job
	mkdir -p "$CACHE" || die "cannot make $CACHE"
	host_install

	# Two runs may share a cache, but not make the same thing at once.
	exec {lock}>"$CACHE/lock"
	flock "$lock"
	root=$("$RIG/lib/rootfs.sh") || exit 1
	for name in "${series[@]}"; do
		folder=$("$RIG/lib/kernel.sh" "$name") || failed=1
		folders+=("$folder")
	done
	exec {lock}>&-
	[[ -n $prepare ]] && exit "$failed"

	payload=$(mktemp) || exit 1
	trap 'rm -f -- "$payload"' EXIT
	payload_make "$build" "$payload" pytest $((limit - 60)) "${pytest_args[@]}"

	# a guest has two processors, but waits half of the time
	: "${jobs:=$(nproc)}"
	# What bash starts in the background ignores ctrl-c, so it is passed on; each job ends its machine.
	trap 'kill $(jobs -p) 2>/dev/null; wait; exit 130' INT TERM
	for i in "${!series[@]}"; do
		[[ -n ${folders[i]} ]] || continue
		if ((running >= jobs)); then
			wait -n || failed=1
			running=$((running - 1))
		fi
		one_kernel "${series[i]}" "${folders[i]}" &
		running=$((running + 1))
	done
	while ((running > 0)); do
		wait -n || failed=1
		running=$((running - 1))
	done
	exit "$failed"
}

main "$@"
