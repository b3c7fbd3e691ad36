#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Proves with CBMC that the parsers of DNS look at nothing but their input, write nothing but their result, compute
# without overflow and end, for every input of up to so many bytes as is said below. That the proofs can fail is shown
# too: a bug that is planted in the code must be found, and places that a proof is about must be reached by some input.
# One line for each with its processor time, then `N passed, N failed`; exits 1 if one failed. CBMC comes from Debian
# sid, into a root of its own (root.sh), which is made when it is missing.
#
#   sudo tests/proof/run.sh [dns_lower] [dns_name] [dns_message] [dns_frame]
#
#   SOCKWARDEN_CACHE  where the root and the logs are: $SOCKWARDEN_CACHE/proof (by default below ~/.cache/sockwarden)
set -uo pipefail

tree=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck disable=SC2034 # by what is sourced
SPEAKER=proof
# shellcheck source=tests/lib/debian.sh
. "$tree/tests/lib/debian.sh"

# Of one proof: several times what it needs. Processor time, since virtual machines may run beside it.
CPU_SECONDS=600
MEMORY_KB=3000000
# Besides what CBMC checks by default: bounds, pointers, signed overflow, shifts, division.
CHECKS=(--unsigned-overflow-check --pointer-overflow-check --unwinding-assertions --object-bits 10)

logs=$CACHE_BASE/proof/logs
passed=0
failed=0
running=0

# count EXIT_CODE: of a job that has ended.
count()
{
	running=$((running - 1))
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
}

# start JOB...: beside others, as many as there are processors.
start()
{
	if [ "$running" -ge "$(nproc)" ]; then
		wait -n
		count $?
	fi
	running=$((running + 1))
	"$@" &
}

# cbmc LABEL NAME BYTES LIMITS LOOPS FOLDER OPTIONS...: its exit code; its words in the log. FOLDER, with altered
# sources, comes before the tree. Options that begin with -D are the preprocessor's.
cbmc()
{
	local label=$1 name=$2 bytes=$3 limits=$4 loops=$5 folder=$6 source=$6/$1.i option child
	local defines=("-DPROOF_BYTES=$bytes") options=()

	shift 6
	for option in ${limits//,/ }; do
		defines+=("-D$option")
	done
	for option in "$@"; do
		case $option in
		-D*) defines+=("$option") ;;
		*) options+=("$option") ;;
		esac
	done
	gcc -E -std=gnu17 -D_GNU_SOURCE -DNDEBUG "-I$folder" "-I$tree" "${defines[@]}" \
		"$tree/tests/proof/proof_$name.c" -o "$source" >"$logs/$label.log" 2>&1 || return 1
	(
		ulimit -t "$CPU_SECONDS" -v "$MEMORY_KB"
		exec nice env -i PATH=/usr/bin:/usr/sbin chroot "$root" cbmc "${CHECKS[@]}" --unwindset "$loops" \
			"${options[@]}" "${source#"$root"}"
	) >>"$logs/$label.log" 2>&1 &
	child=$!
	trap 'kill $child; exit 1' TERM
	wait "$child"
}

# cpu_seconds FILE: of a shell's children, as times wrote it.
cpu_seconds()
{
	awk 'NR == 2 { gsub(/[ms]/, " "); printf "%d", $1 * 60 + $2 + $3 * 60 + $4 }' "$1"
}

# say_how LABEL GOOD TEXT: a proof's line.
say_how()
{
	local spent

	times >"$work/$1.times"
	spent=$(cpu_seconds "$work/$1.times")
	if [ "$2" = 1 ]; then
		echo "proof $1: $3 ($spent s)"
		return 0
	fi
	echo "proof $1: FAILED: not shown that $3 ($spent s), see $logs/$1.log"
	grep -E 'FAILURE|error|failed|Violated' "$logs/$1.log" | head -n 20 | sed 's/^/    /'
	return 1
}

# CBMC without its models of library functions proves of those nothing.
has_models()
{
	! grep -q 'preprocessing failed' "$logs/$1.log"
}

# holds LABEL NAME BYTES LIMITS LOOPS: for every input of up to BYTES, with smaller LIMITS of the code (NAME=N,...) or
# "". LOOPS have at most as many rounds (loop:N,...), of which the last only finds the end.
holds()
{
	local good=0

	cbmc "$@" "$(mktemp -d "$work/XXXXXX")" && has_models "$1" && good=1
	say_how "$1" $good "it holds for up to $3 bytes${4:+, $4}"
}

# reaches LABEL NAME BYTES LIMITS LOOPS CONDITION: some input leads there.
reaches()
{
	local good=0

	cbmc "${@:1:5}" "$(mktemp -d "$work/XXXXXX")" --stop-on-fail "-DPROOF_REACHES=$6"
	[ $? = 10 ] && has_models "$1" && grep -q '^  never reached$' "$logs/$1.log" && good=1
	say_how "$1" $good "it reaches $6"
}

# finds LABEL NAME BYTES LIMITS LOOPS FILE EDIT WHAT: with that edit by sed the proof fails, and says WHAT.
finds()
{
	local good=0 folder

	folder=$(mktemp -d "$work/XXXXXX")
	mkdir -p "$folder/${6%/*}"
	sed "$7" "$tree/$6" >"$folder/$6"
	if cmp -s "$tree/$6" "$folder/$6"; then
		echo "no bug was planted in $6" >"$logs/$1.log"
	else
		cbmc "${@:1:5}" "$folder" --stop-on-fail
		[ $? = 10 ] && has_models "$1" &&
			sed -n '/^Violated property/,$p' "$logs/$1.log" | grep -q -e "$8" && good=1
	fi
	say_how "$1" $good "a planted bug is found: $8"
}

# A copy in lower case needs nothing but its bytes and its room.
dns_lower()
{
	local loops=lower_block.0:33,lower_exact.0:9,lower_exact.1:6

	start holds lower dns_lower 34 "" $loops
	start finds lower_exact dns_lower 9 "" lower_block.0:1,lower_exact.0:9,lower_exact.1:3 \
		worker/dns/lower.h 's/if (count < sizeof(uint64_t))/if (count < 7)/' "outside object bounds"
}

# Names of messages, as they are, and with a limit that so few bytes reach.
dns_name()
{
	local loops=dns_name_read.0:8,pass_labels.0:14 short=DNS_NAME_BYTES_MAX=9

	start holds name dns_name 24 "" $loops
	start holds name_short dns_name 24 $short $loops
	start reaches name_full dns_name 22 $short $loops "behind > 0 && name.length == DNS_NAME_BYTES_MAX"
	start finds name_pointer dns_name 14 "" $loops \
		worker/dns/name.c 's/limit - end < POINTER_BYTES/limit - end < 1/' "dereference failure"
	start finds name_room dns_name 18 $short $loops \
		worker/dns/name.c 's/DNS_NAME_BYTES_MAX - filled;/DNS_NAME_BYTES_MAX;/' "W_OK(to"
	start finds name_loop dns_name 15 "" $loops \
		worker/dns/name.c 's/target >= begin/target >= length/; s/limit = begin/limit = length/' \
		"unwinding assertion loop"
}

# A header, a question and up to two records, with limits that so few bytes reach.
dns_message()
{
	local names=read_name.0:4,settle_name.0:4,find_address.0:3,chain_end.0:4,select_addresses.0:3
	local loops=$names,read_answers.0:4,read_others.0:4 one=$names,read_answers.0:2,read_others.0:2
	local limits=DNS_ADDRESSES_MAX=1,DNS_ANSWER_NAMES_MAX=2 code=worker/dns/message.c

	start holds message dns_message 48 $limits $loops
	start reaches message_full dns_message 47 $limits $loops "message.addresses_left_out > 0"
	start reaches message_edns dns_message 28 $limits $one "message.rcode > 15"
	start finds message_tail dns_message 28 $limits $one $code \
		's/at < RECORD_TAIL_BYTES/at < RECORD_TAIL_BYTES - 1/' "dereference failure"
	start finds message_names dns_message 32 $limits $one $code \
		's/names == DNS_ANSWER_NAMES_MAX/names > DNS_ANSWER_NAMES_MAX/' "W_OK(name"
	start finds message_loop dns_message 28 $limits $one $code \
		'/read_others/,/^}/s/at = record.end;/;/' "unwinding assertion loop"
}

# All headers up to a transport's, with all tags and more extension headers than are taken.
dns_frame()
{
	local loops=read_ethernet.0:4,read_extensions.0:4 limits=DNS_FRAME_EXTENSIONS_MAX=2
	local code=worker/dns/frame.c

	start holds frame dns_frame 64 $limits $loops
	start reaches frame_payload dns_frame 64 $limits $loops \
		"link == DNS_FRAME_LINK_ETHERNET && frame.family == RECORD_FAMILY_IPV6"
	start finds frame_length dns_frame 28 $limits $loops $code \
		's/if (length < UDP_BYTES)/if (length < 1)/' overflow
	start finds frame_taken dns_frame 28 $limits $loops common/reader.h \
		's/if (length > reader->left) {/if (length > reader->left + 1) {/' "overflow\|pointer"
	start finds frame_loop dns_frame 72 $limits $loops $code \
		's/count <= DNS_FRAME_EXTENSIONS_MAX/count < 65536/' "unwinding assertion loop"
}

main()
{
	local proof began=$SECONDS

	for proof in "$@"; do
		case $proof in
		dns_lower | dns_name | dns_message | dns_frame) ;;
		*)
			echo "usage: sudo tests/proof/run.sh [dns_lower] [dns_name] [dns_message] [dns_frame]" >&2
			exit 2
			;;
		esac
	done
	root=$("$tree/tests/proof/root.sh") || exit 1
	mkdir -p "$logs"
	work=$(mktemp -d "$root/work.XXXXXX") || exit 1
	trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf -- "$work"' EXIT
	trap 'exit 130' INT TERM
	[ $# -gt 0 ] || set -- dns_message dns_frame dns_name dns_lower
	for proof in "$@"; do
		"$proof"
	done
	while [ "$running" -gt 0 ]; do
		wait -n
		count $?
	done
	times >"$work/times"
	echo "$passed passed, $failed failed ($((SECONDS - began)) s, processors $(cpu_seconds "$work/times") s)"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}

main "$@"
