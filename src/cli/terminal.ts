/** Messages and progress for a person (stderr), data (stdout). */

const isTerminal = (): boolean => process.stderr.isTTY === true;

let ticking: NodeJS.Timeout | undefined;

/** A line that counts the seconds until the next one or endProgress(); only on a terminal. */
export function progress(text: string): void {
	endProgress();
	if (!isTerminal()) return;
	const began = performance.now();
	const draw = () => {
		const width = (process.stderr.columns || 80) - 1;
		const seconds = (performance.now() - began) / 1000;
		process.stderr.write(`\r\x1b[K${`${text} … ${seconds < 1 ? '' : `${seconds.toFixed(0)} s`}`.slice(0, width)}`);
	};
	draw();
	ticking = setInterval(draw, 500).unref();
}

/** Takes the progress line away. */
export function endProgress(): void {
	if (ticking === undefined) return;
	clearInterval(ticking);
	ticking = undefined;
	process.stderr.write('\r\x1b[K');
}

/** A message for a person. */
export function say(text: string): void {
	endProgress();
	process.stderr.write(`${text}\n`);
}

/** Data. */
export function print(text: string): void {
	endProgress();
	process.stdout.write(`${text}\n`);
}

export const printJson = (value: unknown): void => print(JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? `${v}` : v), 2));

/** Columns padded to the widest cell; those named in `right` are right-aligned. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], right: readonly number[] = []): string {
	const all = [head, ...rows];
	const widths = head.map((_, column) => Math.max(...all.map((row) => [...(row[column] ?? '')].length)));
	const line = (row: readonly string[]) =>
		row
			.map((cell, column) => {
				const fill = ' '.repeat((widths[column] as number) - [...cell].length);
				return right.includes(column) ? fill + cell : cell + fill;
			})
			.join('  ')
			.trimEnd();
	return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

/** 0.0123 → 0.0123, 12.345 → 12.3, 1234.5 → 1235 */
export const figure = (x: number): string => (x >= 100 ? x.toFixed(0) : x.toPrecision(3));
