#!/usr/bin/env node
/**
 * Calls the addon's functions with garbage: every call must answer or throw an Error with a stable code. A crash ends the process.
 *
 *   node scripts/fuzz-native.mjs [calls = 20000] [seed]
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const addon = createRequire(import.meta.url)(fileURLToPath(new URL('../native/build/Release/faltung.node', import.meta.url)));
const calls = Number(process.argv[2] ?? 20000);
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 32));
const CODES = ['INVALID_ARGUMENT', 'LIMIT_EXCEEDED', 'BACKEND_UNAVAILABLE'];

let state = seed >>> 0;
function uint32() {
	state = (state + 0x9e3779b9) >>> 0;
	let z = state;
	z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
	z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
	return (z ^ (z >>> 15)) >>> 0;
}
const below = (n) => uint32() % n;
const pick = (list) => list[below(list.length)];

const ARRAYS = [
	Uint8Array,
	Uint8ClampedArray,
	Int8Array,
	Uint16Array,
	Int16Array,
	Uint32Array,
	Int32Array,
	BigUint64Array,
	BigInt64Array,
	Float32Array,
	Float64Array,
];

const EXTREME = [
	0n,
	1n,
	-1n,
	2n,
	3n,
	7n,
	100n,
	255n,
	-255n,
	2n ** 31n,
	2n ** 31n - 1n,
	-(2n ** 31n),
	2n ** 32n,
	2n ** 52n,
	2n ** 53n,
	2n ** 62n,
	2n ** 63n - 1n,
	-(2n ** 63n),
];

/** Calls that were not refused, by function: a fuzzer that is always refused proves little. */
const answered = {};
const handles = [];
const runs = [];

function garbage() {
	switch (below(14)) {
		case 0:
			return undefined;
		case 1:
			return null;
		case 2:
			return pick([0, 1, -1, 2.5, Number.NaN, Infinity, 2 ** 31, -(2 ** 40), 300]);
		case 3:
			return pick(['', 'avx512', 'avx2', 'base', 'neon', 'scalar', 'x'.repeat(300), 'é']);
		case 4:
			return pick(EXTREME);
		case 5:
			return {};
		case 6:
			return [];
		case 7:
			return () => {};
		case 8:
			return Symbol('x');
		case 9:
			return new ArrayBuffer(below(64));
		case 10:
			return new DataView(new ArrayBuffer(8));
		case 11:
			return pick(handles) ?? new Proxy({}, {});
		case 12:
			return pick(runs) ?? new Map();
		default:
			return view();
	}
}

/** A typed array of any kind: empty, offset, shared, resizable or detached. */
function view() {
	const Kind = pick(ARRAYS);
	const size = Kind.BYTES_PER_ELEMENT;
	const length = below(40);
	switch (below(5)) {
		case 0:
			return new Kind(new SharedArrayBuffer(length * size));
		case 1:
			return new Kind(new ArrayBuffer(length * size, { maxByteLength: 64 * size }));
		case 2: {
			const array = new Kind(length);
			structuredClone(array, { transfer: [array.buffer] });
			return array;
		}
		case 3:
			return new Kind(new ArrayBuffer((length + 2) * size), size, length);
		default:
			return new Kind(length);
	}
}

/** Arguments of prepare that are right: a 3 x 3 kernel on an 8 x 9 image of bytes, 'same', wrapped. */
function rightProblem() {
	const [h, w] = [8, 9];
	const integer = below(2) === 0;
	const accumulator = integer ? pick([0, 1, 2, 3, 4, 5]) : 0;
	const geometry = [
		1,
		1,
		h,
		w,
		1,
		h,
		w,
		1,
		1,
		1,
		1,
		1 + below(9),
		1 + below(12),
		72,
		72,
		9,
		1,
		0,
		0,
		integer ? 0 : 1,
		accumulator,
		below(3),
		below(4),
		integer ? 1 : 0,
		-1,
		1,
		1,
		-1,
		1,
		1,
		0,
		pick([0, 0, 1, 2]),
		0,
		0,
	];
	const taps = integer
		? BigInt64Array.from({ length: 9 }, () => BigInt(below(9) - 4))
		: Float64Array.from({ length: 9 }, () => below(100) / 7);
	return [
		pick(addon.isas().concat('scalar')),
		BigInt64Array.from(geometry, BigInt),
		BigInt64Array.of(3n, 3n, -1n, -1n, 0n),
		taps,
		Int32Array.of(h - 1, 0, w - 1, 0),
		Float64Array.of(1),
		Float64Array.of(0),
		BigInt64Array.of(1n, 0n),
		integer ? BigInt64Array.from({ length: 6 }, () => BigInt(below(5) - 2)) : Float64Array.from({ length: 6 }, () => below(100) / 7),
	];
}

const rightRun = (handle) => [
	handle,
	new Uint8Array(72),
	new Uint8Array(72),
	BigInt64Array.from([72, 72, 9, 1, 0, 72, 72, 9, 1, 0], BigInt),
];

/** Sums over windows of eight rows, two of each row, of one channel. */
const rightChecksum = () => Float64Array.of(below(2), 8, 2, 512, 255, 0, ...Array.from({ length: 8 }, () => below(2)), 0, 0);

/** Spoils some arguments: one replaced, or one word of an array changed. */
function spoil(args) {
	for (let times = below(3); times > 0; times--) {
		const k = below(args.length);
		const old = args[k];
		if (below(2) === 0 && ArrayBuffer.isView(old) && old.length > 0) {
			const big = old instanceof BigInt64Array || old instanceof BigUint64Array;
			old[below(old.length)] = big ? pick(EXTREME) : below(2) === 0 ? below(20) - 10 : pick([Number.NaN, 2 ** 31, -1]);
		} else args[k] = garbage();
	}
	return args;
}

function checked(name, args) {
	try {
		const answer = addon[name](...args);
		answered[name] = (answered[name] ?? 0) + 1;
		return answer;
	} catch (error) {
		if (error instanceof Error && CODES.includes(error.code)) return undefined;
		console.error(`seed ${seed}: ${name} threw without a code:`, error);
		process.exit(1);
	}
}

const settled = () => {}; // not counted: a spoiled call may have lost its callback

function one() {
	switch (below(9)) {
		case 0: {
			const name = pick(['isas', 'kernels', 'prepare', 'dispose', 'runHere', 'start', 'checksum', 'cancel', 'body', 'preferLargePages']);
			checked(name, Array.from({ length: below(9) }, garbage));
			break;
		}
		case 1:
		case 2:
		case 3: {
			const handle = checked('prepare', spoil(rightProblem()));
			if (handle !== undefined) handles.push(handle);
			if (handles.length > 50) checked('dispose', [handles.splice(below(50), 1)[0]]);
			break;
		}
		case 4:
			checked('dispose', [pick(handles)]); // stays in the list: used after it
			break;
		case 5:
		case 6: {
			const call = [...rightRun(pick(handles) ?? {}), 1 + below(9), settled];
			const run = below(2) === 0 ? checked('start', spoil(call)) : checked('checksum', spoil([...call, rightChecksum()]));
			if (run !== undefined) {
				runs.push(run);
				if (runs.length > 20) runs.shift();
				if (below(3) === 0) checked('cancel', [run]);
			}
			break;
		}
		default:
			checked('runHere', spoil(rightRun(pick(handles) ?? {})));
	}
}

for (let k = 0; k < calls; k++) {
	one();
	if (k % 200 === 199) await new Promise((resolve) => setImmediate(resolve));
}
console.log(`${calls} calls answered or refused, seed ${seed}; answered: ${JSON.stringify(answered)}`);
