/** The part of Python's literals that a .npy header is written in. Nothing is evaluated. */

/** Integers are BigInt, tuples and lists arrays, dicts (of string keys) maps. */
export type Literal = string | bigint | boolean | null | Literal[] | Map<string, Literal>;

/** Nesting of a header worth reading. */
const MAX_DEPTH = 8;

/** Longest integer, in digits; far beyond any size. */
const MAX_DIGITS = 40;

/**
 * @throws Error with a short reason and the position
 */
export function parseLiteral(text: string): Literal {
	const reader = new Reader(text);
	const value = reader.value(0);
	reader.end();
	return value;
}

class Reader {
	readonly #text: string;
	#at = 0;

	constructor(text: string) {
		this.#text = text;
	}

	#fail(expected: string): never {
		const found = this.#at < this.#text.length ? JSON.stringify(this.#text.slice(this.#at, this.#at + 12)) : 'its end';
		throw new Error(`expected ${expected} at character ${this.#at} but found ${found}`);
	}

	/** The match of a sticky expression at the current position, which moves behind it. */
	#take(pattern: RegExp): string | undefined {
		pattern.lastIndex = this.#at;
		const match = pattern.exec(this.#text);
		if (match === null) return undefined;
		this.#at = pattern.lastIndex;
		return match[0];
	}

	#space(): void {
		this.#take(/[ \t\r\n\f]*/y);
	}

	#symbol(symbol: string): boolean {
		this.#space();
		if (this.#text[this.#at] !== symbol) return false;
		this.#at++;
		return true;
	}

	end(): void {
		this.#space();
		if (this.#at < this.#text.length) this.#fail('nothing more');
	}

	value(depth: number): Literal {
		if (depth > MAX_DEPTH) this.#fail('less nesting');
		this.#space();
		if (this.#symbol('{')) return this.#dict(depth);
		if (this.#symbol('(')) return this.#list(')', depth);
		if (this.#symbol('[')) return this.#list(']', depth);
		const word = this.#take(/(?:True|False|None)\b/y);
		if (word !== undefined) return word === 'None' ? null : word === 'True';
		const number = this.#take(/[+-]?\d+L?/y); // Python 2 wrote an L behind long integers
		if (number !== undefined) {
			if (number.length > MAX_DIGITS) this.#fail('a shorter integer');
			return BigInt(number.replace(/^\+|L$/g, ''));
		}
		return this.#string();
	}

	#string(): string {
		this.#space();
		const quoted = this.#take(/[ub]?'[^'\\\n]*'|[ub]?"[^"\\\n]*"/y);
		if (quoted === undefined) this.#fail('a string, an integer, True, False, None, a tuple, a list or a dict');
		return quoted.slice(quoted.search(/['"]/) + 1, -1);
	}

	#list(close: string, depth: number): Literal[] {
		const items: Literal[] = [];
		while (!this.#symbol(close)) {
			items.push(this.value(depth + 1));
			if (this.#symbol(',')) continue;
			if (this.#symbol(close)) break;
			this.#fail(`"," or "${close}"`);
		}
		return items;
	}

	#dict(depth: number): Map<string, Literal> {
		const map = new Map<string, Literal>();
		while (!this.#symbol('}')) {
			const key = this.#string();
			if (map.has(key)) this.#fail(`no second ${JSON.stringify(key)}`);
			if (!this.#symbol(':')) this.#fail('":"');
			map.set(key, this.value(depth + 1));
			if (this.#symbol(',')) continue;
			if (this.#symbol('}')) break;
			this.#fail('"," or "}"');
		}
		return map;
	}
}
