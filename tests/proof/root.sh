#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints the path of a root of Debian sid that has CBMC, made first where there is none: bookworm has no CBMC. Its
# packages are unpacked and not set up, which is all that CBMC needs. It is kept until this file changes.
#
#   SOCKWARDEN_CACHE  it is in $SOCKWARDEN_CACHE/proof (by default below ~/.cache/sockwarden)

set -Eeuo pipefail

SPEAKER=proof
# shellcheck source=tests/lib/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/debian.sh"

# base-files has the links /lib and /lib64. CBMC has models of library functions, such as memcpy(), which it compiles by
# way of a shell, with headers of libc6-dev.
PACKAGES=base-files,cbmc,dash,libc6-dev

cache=$CACHE_BASE/proof
root=$cache/root-$(content_key "${BASH_SOURCE[0]}")
log=$cache/root.log
if [[ -e $root ]]; then
	printf '%s\n' "$root"
	exit
fi

[[ $(id -u) == 0 ]] || die "must run as root: it makes a root filesystem"
command -v mmdebstrap >/dev/null || die "mmdebstrap is missing; apt-get install mmdebstrap"
[[ -e $RELEASE_KEYS ]] || die "$RELEASE_KEYS is missing; apt-get install debian-archive-keyring"
say "making a root with CBMC"
mkdir -p "$cache"
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
: >"$log"
trap 'tail -n 20 "$log" >&2; say "proof: no root with CBMC; the whole log is $log"' ERR

mirror=$(debian_mirror sid)
nice mmdebstrap --mode=root --variant=extract --include="$PACKAGES" \
	--aptopt='Acquire::Check-Valid-Until "false"' \
	--aptopt='APT::Install-Recommends "false"' \
	sid "$work/root" "deb [signed-by=$RELEASE_KEYS] $mirror sid main" >"$log" 2>&1
chroot "$work/root" cbmc --version >>"$log" 2>&1
find "$cache" -maxdepth 1 -name 'root-*' -exec rm -rf -- {} +
mv "$work/root" "$root"
printf '%s\n' "$root"
