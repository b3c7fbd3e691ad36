#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing, builds, and runs the tests: all of them, or the parts that are named. One summary line
# for each part, then one for all: `N passed, N failed, N skipped`. Exits 1 if anything failed.
#
#   unit         Criterion tests, built by gcc and by clang with ASan and UBSan; each fuzzer for some seconds
#   integration  the real daemons and real programs, on both builds
#   lint         clang-format, clang-tidy, a build by clang with every warning an error
#   bench        one round of tests/bench/churn, to see that it works
#   proof        proofs by CBMC about the parsers of DNS, and that those proofs can fail
#   kernels      the integration tests on other kernels, in virtual machines
set -uo pipefail

tree=$(cd "$(dirname "$0")/.." && pwd)
release=$tree/build/tests
asan=$tree/build/tests-asan
fuzz=$tree/build/tests-fuzz
logs=$tree/build/logs
passed=0
failed=0
skipped=0
kernels_pid=
began=$SECONDS

usage()
{
	echo "usage: sudo tests/run.sh [unit] [integration] [lint] [bench] [proof] [kernels] [all]"
}

# fail_early EXIT_CODE TEXT: what keeps any test from running.
fail_early()
{
	echo "tests/run.sh: $2" >&2
	exit "$1"
}

# count PART PASSED FAILED SKIPPED SECONDS: a part's line; adds it up.
count()
{
	echo "$1: $2 passed, $3 failed, $4 skipped ($5 s)"
	passed=$((passed + $2))
	failed=$((failed + $3))
	skipped=$((skipped + $4))
}

# show LOG: what a log tells of a failure: the lines that name one, and its end.
show()
{
	echo "    $1:"
	{
		grep -m 40 -E '\[FAIL\]|Assertion Failed|\*\*\*Failed|^E  |^FAILED|^ERROR|(error|warning): ' "$1"
		echo ...
		tail -n 20 "$1"
	} | sed 's/^/    /'
}

# install_without_starting PACKAGE...: without starting what daemons they bring (unbound, nginx): those would take this machine's
# ports, and tests start their own. In a shell of its own, so that the policy goes away however it ends.
install_without_starting()
(
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		trap 'rm -f "$policy"' EXIT
		trap 'exit 130' INT TERM
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" || exit 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update && apt-get -q install -y --no-install-recommends "$@"
)

install_packages()
{
	local missing=() package sections=$1

	command -v dpkg-query apt-get >/dev/null || return 0
	while read -r package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			missing+=("$package")
	done < <(awk -v sections=" $sections " 'index(sections, " " $1 " ") { print $2 }' \
		"$tree/deploy/packages.txt")
	[ ${#missing[@]} -gt 0 ] || return 0
	echo "installing ${missing[*]}"
	install_without_starting "${missing[@]}" >"$logs/apt.log" 2>&1 || {
		show "$logs/apt.log"
		fail_early 1 "apt-get could not install the packages above"
	}
}

# What a started machine has mounted, and a minimal one may not.
mount_what_is_missing()
{
	local kind folder

	while read -r kind folder; do
		if [ ! -d "$folder" ] || mountpoint -q "$folder"; then
			continue
		fi
		mount -t "$kind" "$kind" "$folder" ||
			echo "cannot mount $kind on $folder" >&2
	done <<-END
		tracefs /sys/kernel/tracing
		bpf /sys/fs/bpf
	END
}

# configure_and_build FOLDER LOG CMAKE_OPTIONS...
configure_and_build()
{
	local folder=$1 log=$2 target=${target:-all}

	shift 2
	{
		cmake -G Ninja -S "$tree" -B "$folder" -DSOCKWARDEN_TESTS=ON "$@" &&
			cmake --build "$folder" --target "$target"
	} >"$log" 2>&1
}

build_gcc()
{
	configure_and_build "$release" "$logs/build-gcc.log" \
		-DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Release
}

build_asan()
{
	configure_and_build "$asan" "$logs/build-asan.log" \
		-DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSOCKWARDEN_ASAN=ON
}

build_clang()
{
	configure_and_build "$tree/build/tests-clang" "$logs/build-clang.log" \
		-DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Release
}

build_fuzz()
{
	target=fuzzers configure_and_build "$fuzz" "$logs/build-fuzz.log" \
		-DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DSOCKWARDEN_FUZZ=ON
}

# build NAME LOG: runs build_NAME; a build that fails is one failed test.
build()
{
	local start=$SECONDS

	if "build_$1"; then
		echo "built by $1 ($((SECONDS - start)) s)"
		return 0
	fi
	count "build $1" 0 1 0 $((SECONDS - start))
	show "$2"
	return 1
}

# unit NAME BUILD CTEST_ARGUMENTS...
unit()
{
	local start=$SECONDS name=$1 folder=$2 log=$logs/unit-$1.log numbers

	shift 2
	(cd "$folder" && ctest --output-on-failure -j "$(nproc)" --test-output-size-passed 1000000 \
		--test-output-size-failed 1000000 --output-junit "$logs/unit-$name.xml" "$@") >"$log" 2>&1
	numbers=$(python3 "$tree/tests/lib/count.py" ctest "$logs/unit-$name.xml") || numbers="0 1 0"
	read -r p f s <<<"$numbers"
	count "unit $name" "$p" "$f" "$s" $((SECONDS - start))
	[ "$f" = 0 ] || show "$log"
}

# integration NAME BUILD SLOW PYTEST_ARGUMENTS...
integration()
{
	local start=$SECONDS name=$1 folder=$2 slow=$3 log=$logs/integration-$1.log numbers

	shift 3
	(cd "$tree" && SOCKWARDEN_BUILD=$folder SOCKWARDEN_SLOW=$slow timeout 1800 \
		/usr/bin/python3 -B -m pytest -p no:cacheprovider -q --tb=short \
		--junitxml "$logs/integration-$name.xml" tests/integration "$@") >"$log" 2>&1
	numbers=$(python3 "$tree/tests/lib/count.py" pytest "$logs/integration-$name.xml") ||
		numbers="0 1 0"
	read -r p f s <<<"$numbers"
	count "integration $name" "$p" "$f" "$s" $((SECONDS - start))
	python3 "$tree/tests/lib/count.py" skips "$logs/integration-$name.xml"
	[ "$f" = 0 ] || show "$log"
}

lint_format()
{
	(cd "$tree" && git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror)
}

lint_tidy()
{
	(cd "$tree" && git ls-files 'common/*.c' 'proto/*.c' 'privd/*.c' 'worker/*.c' 'cli/*.c' \
		'tests/programs/*.c' 'tests/bench/churn/[ls]*.c' |
		xargs -n 4 -P "$(nproc)" clang-tidy -p "$tree/build/tests-clang" --quiet)
}

# lint_one NAME: lint_NAME, its output in a log.
lint_one()
{
	if "lint_$1" >"$logs/lint-$1.log" 2>&1; then
		return 0
	fi
	show "$logs/lint-$1.log"
	return 1
}

lint()
{
	local start=$SECONDS good=0 bad=0 check

	for check in format tidy; do
		if lint_one $check; then
			good=$((good + 1))
		else
			bad=$((bad + 1))
		fi
	done
	count lint $good $bad 0 $((SECONDS - start))
}

bench()
{
	local start=$SECONDS

	if "$tree/tests/bench/churn/run.py" --build "$release" --smoke >"$logs/bench.log" 2>&1; then
		count bench 1 0 0 $((SECONDS - start))
	else
		count bench 0 1 0 $((SECONDS - start))
		show "$logs/bench.log"
	fi
	sed -n '/^round/!p' "$logs/bench.log" | sed 's/^/    /'
}

# Its own lines, and what they add up to.
proof()
{
	local start=$SECONDS status=0 numbers

	"$tree/tests/proof/run.sh" >"$logs/proof.log" 2>&1 || status=$?
	sed 's/^/    /' "$logs/proof.log"
	numbers=$(python3 "$tree/tests/lib/count.py" proof "$logs/proof.log" "$status") || numbers="0 1 0"
	read -r p f s <<<"$numbers"
	count proof "$p" "$f" "$s" $((SECONDS - start))
}

# In place of the shell that it is started in, so that a kill reaches it; it ends its machines itself.
kernels()
{
	exec "$tree/tests/kernels/run.sh" --build "$release" --limit 1800
}

# count_kernels LOG STATUS SECONDS: the rig's own lines, and what they add up to.
count_kernels()
{
	local numbers

	cat "$1"
	numbers=$(python3 "$tree/tests/lib/count.py" kernels "$1" "$2")
	read -r p f s <<<"$numbers"
	count kernels "$p" "$f" "$s" "$3"
}

wants()
{
	case " $parts " in
	*" $1 "* | *" all "*) return 0 ;;
	esac
	return 1
}

main()
{
	local part kernels_start=0 status=0

	parts=${*:-all}
	for part in $parts; do
		case $part in
		unit | integration | lint | bench | proof | kernels | all) ;;
		--help)
			usage
			exit 0
			;;
		*)
			usage >&2
			exit 2
			;;
		esac
	done
	[ "$(id -u)" = 0 ] || fail_early 5 "needs root: it loads BPF programs and makes namespaces"
	mkdir -p "$logs"
	install_packages "build test lint$(wants kernels && echo ' kernel')$(wants bench && echo ' bench')"
	mount_what_is_missing
	trap '[ -z "$kernels_pid" ] || kill "$kernels_pid" 2>/dev/null' EXIT
	trap 'exit 130' INT TERM

	# Proofs are of the source.
	if [ "$parts" != proof ] && build gcc "$logs/build-gcc.log"; then
		wants unit && unit gcc "$release"
		# Alone on the machine: it measures time and holds many connections.
		wants integration && integration gcc "$release" 1
		wants bench && bench
	fi
	if wants unit || wants integration; then
		if build asan "$logs/build-asan.log"; then
			wants unit && unit asan "$asan"
			wants integration && SOCKWARDEN_SCALE=0.2 integration asan "$asan" 4
		fi
	fi
	if wants unit && build fuzz "$logs/build-fuzz.log"; then
		unit fuzzers "$fuzz" -L fuzzer
	fi
	if wants lint && build clang "$logs/build-clang.log"; then
		lint
	fi
	wants proof && proof
	# The virtual machines alone: theirs stand still for long where others want the processors.
	if wants kernels && [ -x "$release/privd/sockwarden-privd" ]; then
		kernels_start=$SECONDS
		kernels >"$logs/kernels.log" 2>&1 &
		kernels_pid=$!
		wait "$kernels_pid" || status=$?
		kernels_pid=
		count_kernels "$logs/kernels.log" "$status" $((SECONDS - kernels_start))
	fi
	echo "$((SECONDS - began)) s, logs in $logs"
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}

main "$@"
