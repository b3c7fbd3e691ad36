#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Proves with CBMC that parsers of hostile bytes look at nothing but their input, write nothing but their result, compute
# without overflow and end, for every input of up to so many bytes as is said below. One line for each proof; exits 1 if
# one failed. CBMC comes from Debian sid, into a root of its own in a cache folder, which is made when it is missing.
#
#   tests/proof/run.sh [PROOF...]
#   SOCKWARDEN_CACHE  where that root is kept (/var/cache/sockwarden)
#   SOCKWARDEN_PROOF_SECONDS  how long one proof may take (240)
set -uo pipefail

tree=$(cd "$(dirname "$0")/../.." && pwd)
root=${SOCKWARDEN_CACHE:-/var/cache/sockwarden}/cbmc
seconds=${SOCKWARDEN_PROOF_SECONDS:-240}
passed=0
failed=0

# In one step at its end, so that a root that is there is whole.
make_root()
{
	[ -x "$root/usr/bin/cbmc" ] && return 0
	command -v mmdebstrap >/dev/null || {
		echo "tests/proof/run.sh: mmdebstrap is missing" >&2
		return 1
	}
	rm -rf "$root.new"
	mkdir -p "${root%/*}"
	mmdebstrap --quiet --variant=apt --aptopt='Acquire::Check-Valid-Until "false"' \
		--include=cbmc,libc6-dev sid "$root.new" && mv "$root.new" "$root"
}

# prove NAME BYTES LIMITS CBMC_OPTIONS...: every input of up to BYTES, with smaller LIMITS of the code (NAME=N,...) or "".
# Loops have at most as many rounds as the options say, or the proof fails.
prove()
{
	local name=$1 bytes=$2 limits=$3 start=$SECONDS source log defines=() limit

	shift 3
	for limit in ${limits//,/ }; do
		defines+=("-D$limit")
	done
	source=src/$name${limits:+.$limits}.i
	log=$root/${source%.i}.log
	mkdir -p "$root/src"
	if gcc -E -std=gnu17 -I"$tree" -D_GNU_SOURCE -DNDEBUG -DPROOF_BYTES="$bytes" "${defines[@]}" \
		"$tree/tests/proof/proof_$name.c" -o "$root/$source" &&
		timeout "$seconds" chroot "$root" cbmc --object-bits 10 "$@" "$source" >"$log" 2>&1; then
		echo "proof $name $limits: holds for up to $bytes bytes ($((SECONDS - start)) s)"
		passed=$((passed + 1))
	else
		echo "proof $name $limits: not shown for up to $bytes bytes ($((SECONDS - start)) s), see $log"
		grep -E 'FAILURE|error' "$log" | head -n 20 | sed 's/^/    /'
		failed=$((failed + 1))
	fi
}

wants()
{
	case " $proofs " in
	*" $1 "* | *" all "*) return 0 ;;
	esac
	return 1
}

proofs=${*:-all}
make_root || exit 1
# A copy in lower case needs nothing but its bytes and its room.
wants dns_lower && prove dns_lower 34 "" \
	--unwindset lower_block.0:33,lower_exact.0:9,lower_exact.1:6
# Names of messages, as they are, and with a limit that so few bytes reach.
wants dns_name && prove dns_name 24 "" --unwindset dns_name_read.0:8,pass_labels.0:14
wants dns_name && prove dns_name 24 DNS_NAME_BYTES_MAX=9 \
	--unwindset dns_name_read.0:8,pass_labels.0:14
# A header, a question and a record, or parts of them.
wants dns_message && prove dns_message 28 DNS_ADDRESSES_MAX=2,DNS_ANSWER_NAMES_MAX=3 \
	--unwind 4 --unwindset read_answers.0:3,read_others.0:3
# All headers up to a transport's, extension headers included.
wants dns_frame && prove dns_frame 64 "" --unwindset read_ethernet.0:4,read_extensions.0:11
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
