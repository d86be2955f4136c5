/**
 * Errors: one class, a stable code each, one sentence pattern.
 *
 * A message says what was expected, for which parameter, what came, and what to do next.
 */

/** The stable codes, with half a line of meaning each. The code list and this table are one thing. */
export const ERROR_CODES = {
	INVALID_ARGUMENT: 'the call itself is wrong; no work was begun',
	UNSUPPORTED: 'a valid request that the named backend or method cannot do; no work was begun',
	BACKEND_UNAVAILABLE: 'the named backend cannot run on this machine',
	LIMIT_EXCEEDED: 'a size, memory or device limit stands in the way; the message holds the numbers',
	DEVICE_LOST: 'the device went away during the work',
	VERIFICATION_FAILED: 'a recomputed pixel disagrees with the result',
	OVERFLOW: "a sum does not fit the output dtype under overflow: 'throw'",
	IO: 'a file or stream could not be read or written',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Every error this library makes, except an abort, which is the signal's own reason. */
export class FaltungError extends Error {
	override readonly name: string = 'FaltungError';
	readonly code: ErrorCode;

	constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
		super(message, options);
		this.code = code;
	}
}

/** A recomputed pixel lies outside the error bound. */
export class VerificationError extends FaltungError {
	override readonly name: string = 'VerificationError';
	/** Index into the result, one number per axis of its shape. */
	readonly pixel: readonly number[];
	/** The value recomputed by the verifier, before it is rounded to the output dtype. */
	readonly expected: number | bigint;
	/** The value found in the result. */
	readonly actual: number | bigint;
	/** Largest permitted difference at this pixel; 0 where the sum is exact. */
	readonly bound: number;

	constructor(message: string, detail: { pixel: readonly number[]; expected: number | bigint; actual: number | bigint; bound: number }) {
		super('VERIFICATION_FAILED', message);
		this.pixel = detail.pixel;
		this.expected = detail.expected;
		this.actual = detail.actual;
		this.bound = detail.bound;
	}
}

/** `Expected … for … but received …`, with the next step behind it. */
export function invalid(expected: string, parameter: string, received: string, next?: string): FaltungError {
	return new FaltungError(
		'INVALID_ARGUMENT',
		`Expected ${expected} for ${parameter} but received ${received}.${next === undefined ? '' : ` ${next}`}`,
	);
}

/** The value as a short text for a message; never calls the value's own code. */
export function show(value: unknown): string {
	switch (typeof value) {
		case 'string':
			return value.length > 60 ? `${JSON.stringify(value.slice(0, 57))}…` : JSON.stringify(value);
		case 'bigint':
			return `${value}n`;
		case 'number':
			return Object.is(value, -0) ? '-0' : String(value);
		case 'function':
			return 'a function';
		case 'symbol':
			return 'a symbol';
		case 'object':
			return value === null ? 'null' : showObject(value);
		default:
			return String(value);
	}
}

function showObject(value: object): string {
	try {
		if (ArrayBuffer.isView(value)) return `a ${Object.prototype.toString.call(value).slice(8, -1)}`;
		if (!Array.isArray(value)) return 'an object';
		const plain = value.length <= 4 && value.every((v) => v === null || typeof v !== 'object');
		return plain ? `[${value.map(show).join(', ')}]` : `an array of length ${value.length}`;
	} catch {
		return 'an object that cannot be read'; // a revoked proxy, a throwing getter
	}
}
