/** Keeps the most recent of what was made under a key, and never drops what is in use. */

/** One thing on a shelf. */
export interface Kept<T> {
	readonly key: string;
	readonly made: Promise<T>;
	/** Users at the moment. */
	users: number;
	/** Dropped: whoever holds on to it must get it anew. */
	gone: boolean;
}

export class Shelf<T> {
	readonly #kept = new Map<string, Kept<T>>();
	readonly #most: number;
	readonly #free: (thing: T) => Promise<void>;

	/**
	 * @param most things kept beside those in use
	 * @param free what is done to a thing that is dropped
	 */
	constructor(most: number, free: (thing: T) => Promise<void>) {
		this.#most = most;
		this.#free = free;
	}

	/** The thing under a key, made if need be. It is in use until release(). What could not be made is forgotten. */
	take(key: string, make: () => Promise<T>): Kept<T> {
		const found = this.#kept.get(key);
		const kept = found ?? { key, made: make(), users: 0, gone: false };
		kept.users++;
		this.#kept.delete(key);
		this.#kept.set(key, kept); // the last in the map is the most recent
		if (found === undefined) kept.made.catch(() => this.#forget(kept));
		return kept;
	}

	/** Takes again what was taken before. */
	retake(kept: Kept<T>): Kept<T> {
		kept.users++;
		return kept;
	}

	/** Ends a use; drops what was not used for longest where there is too much. */
	release(kept: Kept<T>): void {
		kept.users--;
		for (const old of this.#kept.values()) {
			if (this.#kept.size <= this.#most) return;
			if (old.users === 0) this.#drop(old);
		}
	}

	/** Drops everything; resolves when all is freed. */
	async clear(): Promise<void> {
		await Promise.all([...this.#kept.values()].map((kept) => this.#drop(kept)));
	}

	#forget(kept: Kept<T>): void {
		kept.gone = true;
		if (this.#kept.get(kept.key) === kept) this.#kept.delete(kept.key);
	}

	async #drop(kept: Kept<T>): Promise<void> {
		this.#forget(kept);
		const thing = await kept.made.catch(() => undefined);
		if (thing !== undefined) await this.#free(thing);
	}
}
