/** Reads the options of a kernel function: once, checked, with the nearest known name where one is unknown. */
import { closest } from 'fastest-levenshtein';
import { FaltungError, invalid, show } from '../core/errors.ts';

/** Most taps of a kernel made here: a 4096 × 4096 kernel is 64 MiB of float32. */
export const MAX_TAPS = 2 ** 24;

/** The options of one call, each read exactly once from what the caller passed. */
export class Options {
	readonly #kernel: string;
	readonly #values: ReadonlyMap<string, unknown>;

	/** @param known every option that the kernel takes */
	constructor(kernel: string, options: unknown, known: readonly string[]) {
		this.#kernel = kernel;
		if (options !== undefined && (options === null || typeof options !== 'object' || Array.isArray(options))) {
			throw invalid(
				'an object of options',
				`kernels.${kernel}()`,
				show(options),
				known.length === 0 ? undefined : `Known: ${known.join(', ')}.`,
			);
		}
		const values = new Map<string, unknown>();
		for (const name of Object.keys(options ?? {})) {
			if (!known.includes(name)) throw unknownOption(kernel, name, known);
			values.set(name, (options as Record<string, unknown>)[name]);
		}
		this.#values = values;
	}

	#name(option: string): string {
		return `kernels.${this.#kernel}() option ${option}`;
	}

	has(option: string): boolean {
		return this.#values.get(option) !== undefined;
	}

	/** A finite number for which `test` holds; `expected` names it: `a number above 0`. */
	number(option: string, fallback: number | undefined, expected: string, test: (x: number) => boolean): number {
		const value = this.#values.get(option) ?? fallback;
		if (value === undefined) throw invalid(expected, this.#name(option), 'none', 'It has no default.');
		if (typeof value !== 'number' || !Number.isFinite(value) || !test(value)) throw invalid(expected, this.#name(option), show(value));
		return value;
	}

	positive(option: string, fallback?: number): number {
		return this.number(option, fallback, 'a finite number above 0', (x) => x > 0);
	}

	finite(option: string, fallback?: number): number {
		return this.number(option, fallback, 'a finite number', () => true);
	}

	/** One of a few values. */
	choice<T extends string | number>(option: string, choices: readonly T[], fallback: T): T {
		const value = this.#values.get(option) ?? fallback;
		const found = choices.find((choice) => choice === value);
		if (found === undefined) throw invalid(`one of ${choices.map(show).join(', ')}`, this.#name(option), show(value));
		return found;
	}

	/** A number for both axes, or a pair [y, x]; undefined where the option is absent. */
	pair(option: string, expected: string, test: (x: number) => boolean): readonly [y: number, x: number] | undefined {
		const value = this.#values.get(option);
		if (value === undefined) return undefined;
		const list: readonly unknown[] = Array.isArray(value) ? [...value] : [value, value];
		const good = list.every((x): x is number => typeof x === 'number' && Number.isFinite(x) && test(x));
		if (list.length !== 2 || !good) throw invalid(`${expected}, or a pair [y, x] of such`, this.#name(option), show(value));
		return [list[0] as number, list[1] as number];
	}
}

function unknownOption(kernel: string, name: string, known: readonly string[]): FaltungError {
	if (known.length === 0) return invalid('no options', `kernels.${kernel}()`, show(name));
	return invalid(
		`a known option (${known.join(', ')})`,
		`kernels.${kernel}()`,
		show(name),
		`Did you mean ${show(closest(name, known as string[]))}?`,
	);
}

/** Refuses a kernel of more than MAX_TAPS taps before anything is allocated. */
export function checkSize(kernel: string, height: number, width: number): void {
	if (height * width <= MAX_TAPS) return;
	throw new FaltungError(
		'LIMIT_EXCEEDED',
		`Expected at most ${MAX_TAPS} taps for kernels.${kernel}() but received options that need ${height} x ${width} = ${height * width}. ` +
			'Make the kernel smaller, or shrink the image first and filter that.',
	);
}
