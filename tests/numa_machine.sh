#!/usr/bin/env bash
# Checks binding and first touch on an emulated machine of two NUMA domains, on a machine that has one.
#
# usage: tests/numa_machine.sh        about a minute; prints what holds, ends with 0 if all does
#
# QEMU emulates two sockets of a core and 512 MiB each; in it Debian's kernel runs `tests/src/bin/numa_check.rs` from a
# file system in memory, with the libraries of this machine. Needs no root and leaves nothing behind:
#   sudo apt install --no-install-recommends qemu-system-x86 busybox-static cpio
# Never here: speed, of which an emulated machine tells nothing.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for program in qemu-system-x86_64 busybox cpio; do
    command -v "$program" >/dev/null || {
        echo "missing: sudo apt install --no-install-recommends qemu-system-x86 busybox-static cpio" >&2
        exit 2
    }
done

(cd "$root" && cargo build --quiet --release -p girih-tests --bin numa_check)
program=$target/release/numa_check

# --- A kernel: Debian's smallest, which is not installed but looked into ----------------------------------------------

package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends/ { print $2; exit }')
(cd "$folder" && apt-get download -qq -o APT::Sandbox::User= "$package")
dpkg-deb --fsys-tarfile "$folder/$package"_*.deb | tar -x -C "$folder" --wildcards './boot/vmlinuz*'
kernel=$(echo "$folder"/boot/vmlinuz*)

# --- What it starts ---------------------------------------------------------------------------------------------------

inside=$folder/inside
mkdir -p "$inside"/{proc,sys,dev,tmp}
cp "$(command -v busybox)" "$inside/busybox"
cp "$program" "$inside/numa_check"
ldd "$program" | grep -o '/[^ ]*' | while read -r library; do
    install -D "$library" "$inside$library"
done
cat >"$inside/init" <<'INIT'
#!/busybox sh
/busybox mount -t proc none /proc
/busybox mount -t sysfs none /sys
/busybox mount -t devtmpfs none /dev
/numa_check
/busybox echo "status $?"
/busybox poweroff -f
INIT
chmod +x "$inside/init"
(cd "$inside" && find . | cpio --quiet -o -H newc | gzip -1) >"$folder/inside.gz"

# --- The machine ------------------------------------------------------------------------------------------------------

timeout 300 qemu-system-x86_64 -accel tcg -cpu max -nographic -no-reboot -m 1024 \
    -smp 2,sockets=2,cores=1,threads=1 \
    -object memory-backend-ram,id=m0,size=512M -numa node,nodeid=0,cpus=0,memdev=m0 \
    -object memory-backend-ram,id=m1,size=512M -numa node,nodeid=1,cpus=1,memdev=m1 \
    -numa dist,src=0,dst=1,val=21 \
    -kernel "$kernel" -initrd "$folder/inside.gz" -append "console=ttyS0 quiet panic=-1" </dev/null |
    tr -d '\r' >"$folder/output"
# What comes before is the emulated firmware's.
sed -n 's/^.*domains \[/domains [/; /^domains/,$p' "$folder/output" | grep -v 'Power down'
grep -q '^status 0$' "$folder/output"
