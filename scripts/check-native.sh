#!/bin/sh
# The C library by itself: random problems against the scalar body under AddressSanitizer, UBSan and ThreadSanitizer, the NEON
# build under qemu-aarch64, and the base build on an emulated processor without AVX.
#
#   scripts/check-native.sh [seconds per run]     needs gcc, aarch64-linux-gnu-gcc, qemu-aarch64 and qemu-x86_64
#
# As root on Debian or Ubuntu it installs what is missing; elsewhere it names it and fails.
set -eu
seconds=${1:-20}
seed=${FALTUNG_SEED:-} # of the random problems; without one, the time
here=$(cd "$(dirname "$0")/.." && pwd)/native
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

need() { # command package...
	command -v "$1" >/dev/null 2>&1 && return
	name=$1
	shift
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
		[ -n "${updated:-}" ] || { apt-get update >/dev/null 2>&1 || true; updated=yes; }
		apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1 || true
	fi
	command -v "$name" >/dev/null 2>&1 || { echo "check-native: $name is missing: install $*" >&2; exit 1; }
}
need gcc gcc libc6-dev
need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross
need qemu-aarch64 qemu-user
need qemu-x86_64 qemu-user

flags="-std=gnu11 -D_GNU_SOURCE -g -ffp-contract=off -fno-math-errno -fno-trapping-math -Wall -Wextra -Wno-type-limits -Werror -DSTREAM_FROM_BYTES=1024"
# the library: every file but the addon and the wrappers
common="$(cd "$here" && ls ./*.c | sed -n '/addon\|isa_/!s/^\.\/\(.*\)\.c$/\1/p' | tr '\n' ' ')"

# build NAME COMPILER "FLAGS" ISA...: $work/NAME, the random problems, and $work/NAME-fft, the Fourier transforms
build() {
	name=$1 compiler=$2 options=$3
	shift 3
	mkdir -p "$work/$name.o"
	for isa in "$@"; do
		case $isa in
		avx2) extra="-mavx2 -mfma" ;;
		avx512) extra="-mavx2 -mfma -mavx512f -mavx512bw -mavx512dq -mavx512vl" ;;
		*) extra= ;;
		esac
		$compiler $flags $options $extra -c "$here/isa_$isa.c" -o "$work/$name.o/isa_$isa.o"
	done
	for file in $common; do $compiler $flags $options -c "$here/$file.c" -o "$work/$name.o/$(basename "$file").o"; done
	for test in random fft stores; do $compiler $flags $options -c "$here/test/$test.c" -o "$work/$name-$test.o"; done
	$compiler $options "$work/$name.o"/*.o "$work/$name-random.o" -o "$work/$name" -lm -lpthread
	$compiler $options "$work/$name.o"/*.o "$work/$name-fft.o" -o "$work/$name-fft" -lm -lpthread
	$compiler $options "$work/$name.o"/*.o "$work/$name-stores.o" -o "$work/$name-stores" -lm -lpthread
}

echo "== AddressSanitizer and UBSan, every instruction set of this machine"
build asan gcc "-O0 -DCONV_STEADY=3 -fsanitize=address,undefined -fno-sanitize-recover=all" base avx2 avx512
ASAN_OPTIONS=detect_leaks=1 "$work/asan" "$seconds" $seed
ASAN_OPTIONS=detect_leaks=1 "$work/asan-fft" "$seconds" $seed
"$work/asan-stores" "$seconds" $seed
echo "== ThreadSanitizer"
build tsan gcc "-O0 -DCONV_STEADY=3 -fsanitize=thread -Wno-tsan" base avx2 avx512
"$work/tsan" "$seconds" $seed
"$work/tsan-fft" "$seconds" $seed
echo "== base on a processor without AVX (qemu-x86_64 -cpu Nehalem)"
build plain gcc "-O2 -static" base avx2 avx512
qemu-x86_64 -cpu Nehalem "$work/plain" "$seconds" $seed | tee "$work/base.log"
qemu-x86_64 -cpu Nehalem "$work/plain-stores" "$seconds" $seed
grep -q '^isas: base;' "$work/base.log" || { echo "check-native: dispatch took more than base" >&2; exit 1; }
echo "== NEON (qemu-aarch64)"
build neon aarch64-linux-gnu-gcc "-O2 -static" base neon
qemu-aarch64 "$work/neon" "$seconds" $seed | tee "$work/neon.log"
qemu-aarch64 "$work/neon-stores" "$seconds" $seed
grep -q '^isas: neon base;' "$work/neon.log" || { echo "check-native: dispatch did not find NEON" >&2; exit 1; }
echo "== the same results on x86-64 and AArch64"
for seed in 1 2 3 4 5 6 7 8; do
	"$work/plain" digest "$seed" >"$work/x64.digest"
	qemu-aarch64 "$work/neon" digest "$seed" >"$work/arm64.digest"
	"$work/plain-fft" digest "$seed" >>"$work/x64.digest"
	qemu-aarch64 "$work/neon-fft" digest "$seed" >>"$work/arm64.digest"
	cmp "$work/x64.digest" "$work/arm64.digest" || { echo "check-native: results differ, seed $seed" >&2; exit 1; }
done
echo "check-native: all well"
