# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# One virtual machine: its payload, its qemu command line, its time limits and its results.

RESULTS_SIZE=32M

# A guest is up after 5 s, twice that with another beside it; the rest is for a busy host.
BOOT_LIMIT_S=120

# default_build: the build folder of this tree, empty where there is none.
default_build() {
	local folder
	for folder in "$SOURCE_TREE/build/dev" "$SOURCE_TREE/build"; do
		[[ ! -e $folder/CMakeCache.txt ]] || { echo "$folder" && return; }
	done
}

# payload_make BUILD ARCHIVE JOB...: the tests and the built programs as one tar archive, in the
# folders source and build, with the guest's init and its job.
payload_make() {
	local build=$1 archive=$2 work
	shift 2
	work=$(mktemp -d)
	install -m 755 "$RIG/guest/init" "$work/init"
	printf '%s\0' "$@" >"$work/job"
	mkdir -p "$work/build" "$work/source"
	# the daemons' users go through here
	chmod 755 "$work" "$work/build" "$work/source"
	tar -C "$SOURCE_TREE" --exclude=__pycache__ --exclude='./build*' --exclude=./.git -cf - . |
		tar -C "$work/source" -xf -
	if [[ -n $build ]]; then
		# what runs, and what tests read about how it was built
		(cd "$build" && find . -type f \( -perm /111 ! -path '*/CMakeFiles/*' -o \
			-name CMakeCache.txt -o -path './generated/*' \) -print0 |
			tar --null --no-recursion -T - -cf -) | tar -C "$work/build" -xf -
	fi
	tar -C "$work" --owner=0 --group=0 --sort=name -cf "$archive" .
	# a disk has whole sectors
	truncate -s %512 "$archive"
	rm -rf -- "$work"
}

# machine_qemu SERIES FOLDER ROOT PAYLOAD RESULTS SERIAL: becomes qemu.
machine_qemu() {
	local series=$1 folder=$2 root=$3 payload=$4 results=$5 serial=$6 id
	local -a disks=()
	local -A file=([root]=$root [modules]=$folder/modules.ext4 [payload]=$payload [results]=$results)
	for id in root modules payload results; do
		disks+=(-drive "file=${file[$id]},format=raw,if=none,id=$id,cache=unsafe$(
			[[ $id == root ]] && echo ,snapshot=on
			[[ $id == modules || $id == payload ]] && echo ,readonly=on
		)" -device "virtio-blk-pci,drive=$id,serial=$id")
	done
	exec nice qemu-system-x86_64 -accel tcg -cpu "$(kernel_field "$series" 4)" -smp 2 -m 1536 \
		-M q35,usb=off -nodefaults -no-user-config -display none -no-reboot \
		-device virtio-rng-pci "${disks[@]}" -serial "$serial" \
		-kernel "$folder/vmlinuz" -initrd "$folder/initramfs" \
		-append "console=ttyS0 mitigations=off tsc=reliable quiet panic=-1 oops=panic"
}

# machine_run SERIES FOLDER ROOT PAYLOAD LOGS LIMIT_S: boots, waits, and leaves in LOGS console.log,
# pytest.log, junit.xml, dmesg.log, logs/, hooks, status and seconds. Fails where the guest did not finish, with
# the reason in LOGS/failure.
machine_run() {
	local series=$1 folder=$2 root=$3 payload=$4 logs=$5 limit=$6 pid start failure=
	start=$SECONDS
	rm -rf -- "$logs"
	mkdir -p "$logs"
	truncate -s "$RESULTS_SIZE" "$logs/results.disk"
	machine_qemu "$series" "$folder" "$root" "$payload" "$logs/results.disk" \
		"file:$logs/console.log" >"$logs/qemu.log" 2>&1 </dev/null &
	pid=$!
	# shellcheck disable=SC2064 # the pid of now
	trap "kill -9 $pid 2>/dev/null; rm -f '$logs/results.disk'; exit 130" INT TERM
	while kill -0 "$pid" 2>/dev/null; do
		if ((SECONDS - start > limit)); then
			failure="not done after $limit s"
		elif ((SECONDS - start > BOOT_LIMIT_S)) && ! grep -q 'guest: up' "$logs/console.log"; then
			failure="no start in $BOOT_LIMIT_S s"
		fi
		[[ -n $failure ]] && kill -9 "$pid" && break
		sleep 0.5
	done
	wait "$pid" 2>/dev/null
	trap - INT TERM
	echo $((SECONDS - start)) >"$logs/seconds"
	tar -xf "$logs/results.disk" -C "$logs" 2>/dev/null
	rm -f "$logs/results.disk"
	[[ -z $failure && ! -e $logs/status ]] &&
		failure="ended before its results"
	[[ -z $failure ]] || grep -q 'guest: up' "$logs/console.log" || failure="did not boot"
	[[ -z $failure ]] || { echo "$failure" >"$logs/failure" && return 1; }
}
