#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds sockwarden, starts both of its processes and shows this machine's connections: a full
# screen on a terminal, lines otherwise. Ctrl-C or SIGTERM stops everything that was started.
# What stays: the packages, build/ and the two system users.
# shellcheck disable=SC2317 # clean_up and what it calls are reached by a trap
set -euo pipefail

source_dir=$(cd "$(dirname "$0")/.." && pwd)
build_dir=$source_dir/build
runtime_dir=/run/sockwarden
runtime_dir_is_ours=no
scratch=
privd_was_ready=no
worker_was_ready=no
privd=
worker=
worker_code=0
viewer=
job=

usage()
{
	cat <<-END
	usage: sudo deploy/quickstart.sh [--runtime-dir DIR] [--build-dir DIR]
	  --runtime-dir DIR   where the sockets are (default /run/sockwarden)
	  --build-dir DIR     where to build (default build/ in the source tree)
	END
}

say()
{
	echo "quickstart: $*" >&2
}

# fail EXIT_CODE TEXT
fail()
{
	say "$2"
	exit "$1"
}

read_options()
{
	while [ $# -gt 0 ]; do
		case $1 in
		--runtime-dir|--build-dir)
			[ $# -ge 2 ] || fail 2 "$1 needs a folder; see --help"
			if [ "$1" = --runtime-dir ]; then
				runtime_dir=$2
			else
				build_dir=$2
			fi
			shift 2
			;;
		--help)
			usage
			exit 0
			;;
		*)
			fail 2 "unknown option '$1'; see --help"
			;;
		esac
	done
}

check_machine()
{
	[ "$(id -u)" = 0 ] || fail 5 "loading BPF programs needs root: run sudo deploy/quickstart.sh"
	[ -e /sys/kernel/btf/vmlinux ] ||
		fail 4 "this kernel has no BTF (/sys/kernel/btf/vmlinux): boot one built with CONFIG_DEBUG_INFO_BTF"
	# The worker's sockets are bound by their whole path; column 4 of a listening one has this flag.
	if awk -v path="$runtime_dir/query.sock" \
		'$8 == path && $4 == "00010000" { found = 1 } END { exit !found }' /proc/net/unix; then
		fail 1 "sockwarden already runs in $runtime_dir: watch it with 'sockwarden top', or stop it first"
	fi
}

install_packages()
{
	local missing=() package

	if ! command -v dpkg-query apt-get >/dev/null; then
		say "not a Debian system: deploy/packages.txt says what a build needs"
		return
	fi
	while read -r package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			missing+=("$package")
	done < <(awk '$1 == "build" { print $2 }' "$source_dir/deploy/packages.txt")
	[ ${#missing[@]} -gt 0 ] || return 0
	say "installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	{ apt-get -q update && apt-get -q install -y --no-install-recommends "${missing[@]}"; } \
		>"$scratch/apt.log" 2>&1 || {
		tail -n 20 "$scratch/apt.log" >&2
		fail 1 "apt-get could not install the packages above: install them by hand and start again"
	}
}

# Runs a command as the owner of the source tree, so that no file of root's is left in it.
as_owner()
{
	local owner

	owner=$(stat -c %U "$source_dir")
	if [ "$owner" = root ] || [ "$owner" = UNKNOWN ]; then
		"$@"
	else
		runuser -u "$owner" -- "$@"
	fi
}

build_quietly()
{
	if [ ! -e "$build_dir/CMakeCache.txt" ]; then
		as_owner cmake -G Ninja -S "$source_dir" -B "$build_dir" \
			-DCMAKE_BUILD_TYPE=Release -DSOCKWARDEN_TESTS=OFF || return
	fi
	as_owner cmake --build "$build_dir" \
		--target sockwarden-privd sockwarden-worker sockwarden_cli
}

build()
{
	say "building in $build_dir"
	# In the background, so that SIGTERM need not wait for it, and as a group of its own.
	set -m
	build_quietly >"$scratch/build.log" 2>&1 </dev/null &
	job=$!
	set +m
	wait "$job" || {
		tail -n 20 "$scratch/build.log" >&2
		fail 1 "the build failed; if $build_dir is from another checkout, remove it and start again"
	}
	job=
}

make_user()
{
	getent passwd "$1" >/dev/null ||
		useradd --system --user-group --no-create-home --home-dir / \
			--shell /usr/sbin/nologin "$1"
}

make_users()
{
	if getent passwd sockwarden >/dev/null && getent passwd sockwarden-privd >/dev/null; then
		return
	fi
	if command -v systemd-sysusers >/dev/null; then
		systemd-sysusers "$source_dir/deploy/sockwarden.sysusers" 2>"$scratch/users.log" ||
			fail 1 "systemd-sysusers: $(tail -n 1 "$scratch/users.log")"
	else
		make_user sockwarden
		make_user sockwarden-privd
	fi
}

is_alive()
{
	kill -0 -- "$1" 2>/dev/null
}

# A log's last line, without its priority.
last_line()
{
	tail -n 1 "$1" | sed 's/^<[0-7]>//'
}

# wait_ready NAME PID: until its log says so; its last line tells why not.
wait_ready()
{
	local log=$scratch/$1.log code=0 i

	touch "$log" # the background may not have come to it yet
	# 15 s. The shell's own notice of a killed process is not needed.
	for ((i = 0; i < 300; i++)); do
		! grep -qw ready "$log" || return 0
		is_alive "$2" || break
		sleep 0.05
	done 2>/dev/null
	if is_alive "$2"; then
		fail 1 "$1 is not ready after 15 s: $(last_line "$log")"
	fi
	wait "$2" 2>/dev/null || code=$?
	printf -v "$1" '' # privd or worker: there is nothing left to stop
	fail "$((code > 0 && code < 128 ? code : 1))" "$1 did not start: $(last_line "$log")"
}

# Sessions of their own keep the terminal's Ctrl-C away from the daemons: they are stopped in order.
start_daemons()
{
	[ -d "$runtime_dir" ] || runtime_dir_is_ours=yes
	setsid "$build_dir/privd/sockwarden-privd" --runtime-dir "$runtime_dir" \
		</dev/null >"$scratch/privd.log" 2>&1 &
	privd=$!
	wait_ready privd "$privd"
	privd_was_ready=yes
	# Open connections are told every second, not every 30.
	echo '{"publish": {"interval_s": 1}}' >"$scratch/sockwarden.json"
	start_worker
	wait_ready worker "$worker"
	worker_was_ready=yes
}

start_worker()
{
	setsid "$build_dir/worker/sockwarden-worker" --runtime-dir "$runtime_dir" \
		--config "$scratch/sockwarden.json" </dev/null >>"$scratch/worker.log" 2>&1 &
	worker=$!
}

# The worker has ended. On SIGHUP (code 8) it wants to be started again; else returns 1.
reload_worker()
{
	worker_code=0
	wait "$worker" 2>/dev/null || worker_code=$?
	worker=
	[ "$worker_code" = 8 ] || return 1
	start_worker
}

# ended NAME PID: says with which code and what it logged last.
ended()
{
	local code=0

	wait "$2" 2>/dev/null || code=$?
	printf -v "$1" ''
	fail 1 "$1 ended with code $code: $(last_line "$scratch/$1.log")"
}

# Everything runs in the background and is looked at in turns: a trap would have to wait for a
# command in the foreground.
show()
{
	local verb=watch code=0

	if [ -t 0 ] && [ -t 1 ]; then
		verb=top
	else
		say "ready"
	fi
	"$build_dir/cli/sockwarden" --runtime-dir "$runtime_dir" "$verb" <&3 &
	viewer=$!
	while is_alive "$viewer" && is_alive "$privd"; do
		is_alive "$worker" || reload_worker || break
		sleep 0.2
	done 2>/dev/null
	is_alive "$privd" || ended privd "$privd"
	[ -n "$worker" ] || fail 1 "worker ended with code $worker_code: $(last_line "$scratch/worker.log")"
	wait "$viewer" || code=$?
	viewer=
	exit "$code"
}

# stop PID, or -PID for a whole group: asks, waits up to 5 s, then insists.
stop()
{
	local i

	[ -n "${1#-}" ] || return 0
	kill -TERM -- "$1" 2>/dev/null || true
	for ((i = 0; i < 120; i++)); do
		is_alive "$1" || return 0
		[ "$i" -ne 100 ] || kill -KILL -- "$1" 2>/dev/null || true
		sleep 0.05
	done
}

# The viewer first, then who reads, then who writes; then what they left.
clean_up()
{
	trap '' INT TERM HUP
	stop "-$job"
	stop "$viewer"
	stop "$worker"
	stop "$privd"
	# Neither process can still remove its sockets once it has locked itself in.
	[ "$privd_was_ready" = no ] || rm -f "$runtime_dir/privd.sock"
	[ "$worker_was_ready" = no ] || rm -f "$runtime_dir/events.sock" "$runtime_dir/query.sock"
	[ "$runtime_dir_is_ours" = no ] || rmdir "$runtime_dir" 2>/dev/null || true
	[ -z "$scratch" ] || rm -rf "$scratch"
}

main()
{
	read_options "$@"
	check_machine
	trap clean_up EXIT
	trap 'exit 0' INT TERM HUP
	scratch=$(mktemp -d /tmp/sockwarden-quickstart.XXXXXX)
	chmod 0755 "$scratch"
	install_packages
	build
	make_users
	exec 3<&0
	start_daemons
	show
}

main "$@"
