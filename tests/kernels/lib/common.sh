# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034 # used by those who source this
#
# What every part of the kernel rig needs: messages, the cache folder, the host's packages and the
# address of the Debian mirror that this host uses anyway.

RIG=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SOURCE_TREE=$(cd "$RIG/../.." && pwd)
RELEASE_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

say() {
	printf '%s\n' "$*" >&2
}

die() {
	say "kernels: $*"
	exit 1
}

# sbin is not on every root's PATH; mke2fs, depmod and modprobe live there.
PATH=$PATH:/usr/sbin:/sbin

if [[ -n ${SOCKWARDEN_CACHE:-} ]]; then
	CACHE=$SOCKWARDEN_CACHE/kernels
elif [[ -n ${HOME:-} && $HOME != / ]]; then
	CACHE=$HOME/.cache/sockwarden/kernels
else
	CACHE=/var/cache/sockwarden/kernels
fi

# content_key FILE...: a short name for what these files say.
content_key() {
	cat -- "$@" | sha256sum | cut -c1-12
}

# host_install: the programs that the rig needs on the host, installed by apt where missing.
host_install() {
	local -a missing=()
	local need program package
	for need in qemu-system-x86_64:qemu-system-x86 mmdebstrap:mmdebstrap busybox:busybox-static \
		mke2fs:e2fsprogs cpio:cpio zstd:zstd xz:xz-utils depmod:kmod python3:python3 flock:util-linux; do
		program=${need%%:*}
		package=${need#*:}
		command -v "$program" >/dev/null || missing+=("$package")
	done
	[[ -e $RELEASE_KEYS ]] || missing+=(debian-archive-keyring)
	((${#missing[@]})) || return 0
	say "installing ${missing[*]}"
	apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 ||
		die "cannot install ${missing[*]}; run apt-get update and try again"
}

# debian_mirror SUITE: prints the address that serves SUITE. Taken from the host's own apt sources,
# so that whatever mirror or proxy serves this host also serves the guests.
debian_mirror() {
	local codename wanted
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
	wanted=$codename
	[[ $1 == *-security ]] && wanted=$codename-security
	# shellcheck disable=SC2016 # these are apt's variables
	apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
		awk -v suite="$wanted" '$1 == suite && $2 == "main" { print $3; exit }' | grep . ||
		die "no apt source for $wanted main on this host to take the mirror's address from"
}

# kernel_series: the names of all series of kernels.conf, oldest first.
kernel_series() {
	awk '!/^#/ && NF { print $1 }' "$RIG/kernels.conf"
}

# kernel_field SERIES COLUMN: empty where there is no such series.
kernel_field() {
	awk -v series="$1" -v column="$2" '$1 == series { print $column }' "$RIG/kernels.conf"
}
