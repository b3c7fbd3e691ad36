# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034 # used by those who source this
#
# What the scripts that make roots of Debian have in common: messages, the cache folder, and the address of the Debian
# mirror that this host uses anyway. Who sources it has set SPEAKER, which begins its messages.

RELEASE_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

say() {
	printf '%s\n' "$*" >&2
}

die() {
	say "$SPEAKER: $*"
	exit 1
}

# sbin is not on every root's PATH; mke2fs, depmod, modprobe and chroot live there.
PATH=$PATH:/usr/sbin:/sbin

if [[ -n ${SOCKWARDEN_CACHE:-} ]]; then
	CACHE_BASE=$SOCKWARDEN_CACHE
elif [[ -n ${HOME:-} && $HOME != / ]]; then
	CACHE_BASE=$HOME/.cache/sockwarden
else
	CACHE_BASE=/var/cache/sockwarden
fi

# content_key FILE...: a short name for what these files say.
content_key() {
	cat -- "$@" | sha256sum | cut -c1-12
}

# debian_mirror SUITE: prints the address that serves SUITE. Taken from the host's own apt sources,
# so that whatever mirror or proxy serves this host also serves what is made here.
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
