/** Measured times over the kernel's side, as text and as SVG. */

export interface Series {
	/** Its first letter marks it in text. */
	readonly name: string;
	/** Kernel side, nanoseconds per output: measured, and as the model has it. */
	readonly points: readonly { readonly x: number; readonly measured: number; readonly fitted: number }[];
}

export interface Panel {
	readonly title: string;
	readonly series: readonly Series[];
}

interface Scale {
	readonly low: number;
	readonly high: number;
}

const extent = (values: readonly number[]): Scale => ({ low: Math.min(...values), high: Math.max(...values) });

/** Place of a value on a logarithmic scale, 0 … 1. */
const place = (value: number, { low, high }: Scale): number => (high === low ? 0.5 : Math.log(value / low) / Math.log(high / low));

/** 1, 2, 5, 10 … within a scale. */
function ticks({ low, high }: Scale): number[] {
	const all: number[] = [];
	for (let decade = 10 ** Math.floor(Math.log10(low)); decade <= high; decade *= 10) {
		for (const step of [1, 2, 5]) if (decade * step >= low && decade * step <= high) all.push(decade * step);
	}
	return all;
}

const label = (value: number): string => String(Number(value.toPrecision(2)));

const scalesOf = (panels: readonly Panel[]): { x: Scale; y: Scale } => {
	const points = panels.flatMap(({ series }) => series.flatMap((one) => one.points));
	const y = extent(points.flatMap(({ measured, fitted }) => [measured, fitted]).filter((value) => value > 0));
	return { x: extent(points.map((point) => point.x)), y: { low: y.low / 1.2, high: y.high * 1.2 } };
};

const WIDTH = 60;
const HEIGHT = 14;

/** One panel in characters: a letter where a series was measured, `+` where two lie on one place. */
export function textPlot(panel: Panel): string {
	const { x, y } = scalesOf([panel]);
	const rows = Array.from({ length: HEIGHT }, () => new Array<string>(WIDTH).fill(' '));
	for (const { name, points } of panel.series) {
		for (const point of points) {
			const row = rows[HEIGHT - 1 - Math.round(place(point.measured, y) * (HEIGHT - 1))] as string[];
			const column = Math.round(place(point.x, x) * (WIDTH - 1));
			const mark = name[0] as string;
			row[column] = row[column] === ' ' || row[column] === mark ? mark : '+';
		}
	}
	const marks = new Map(ticks(y).map((tick) => [HEIGHT - 1 - Math.round(place(tick, y) * (HEIGHT - 1)), label(tick)]));
	const body = rows.map((row, k) => `${(marks.get(k) ?? '').padStart(6)} |${row.join('')}`.trimEnd());
	const below = new Array<string>(WIDTH + 2).fill(' ');
	for (const side of new Set(panel.series.flatMap(({ points }) => points.map((point) => point.x)))) {
		const column = Math.round(place(side, x) * (WIDTH - 1));
		for (const [k, digit] of [...String(side)].entries()) below[column + k] = digit;
	}
	const legend = panel.series.map(({ name }) => `${name[0]} ${name}`).join(', ');
	return [
		`${panel.title}: nanoseconds per output on one thread over the kernel's side (${legend})`,
		...body,
		`       +${'-'.repeat(WIDTH)}`,
		`        ${below.join('').trimEnd()}`,
	].join('\n');
}

// Colours of Okabe and Ito, which people with any colour vision can tell apart.
const COLOURS = ['#0072B2', '#D55E00', '#009E73', '#CC79A7'];
const PANEL = { width: 380, height: 260, left: 52, right: 14, top: 34, bottom: 40 };

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

function svgPanel(panel: Panel, scales: { x: Scale; y: Scale }, names: readonly string[], left: number, top: number): string {
	const inner = { width: PANEL.width - PANEL.left - PANEL.right, height: PANEL.height - PANEL.top - PANEL.bottom };
	const atX = (value: number) => left + PANEL.left + place(value, scales.x) * inner.width;
	const atY = (value: number) => top + PANEL.top + (1 - place(value, scales.y)) * inner.height;
	const parts = [
		`<text x="${left + PANEL.left}" y="${top + 22}" font-weight="bold">${escaped(panel.title)}</text>`,
		`<rect x="${left + PANEL.left}" y="${top + PANEL.top}" width="${inner.width}" height="${inner.height}" fill="none" stroke="#888"/>`,
	];
	for (const tick of ticks(scales.y)) {
		parts.push(
			`<line x1="${left + PANEL.left}" x2="${left + PANEL.left + inner.width}" y1="${atY(tick).toFixed(1)}" y2="${atY(tick).toFixed(1)}" stroke="#ddd"/>`,
			`<text x="${left + PANEL.left - 6}" y="${(atY(tick) + 4).toFixed(1)}" text-anchor="end">${label(tick)}</text>`,
		);
	}
	const sides = [...new Set(panel.series.flatMap(({ points }) => points.map(({ x }) => x)))];
	for (const side of sides)
		parts.push(`<text x="${atX(side).toFixed(1)}" y="${top + PANEL.top + inner.height + 16}" text-anchor="middle">${side}</text>`);
	for (const { name, points } of panel.series) {
		const colour = COLOURS[names.indexOf(name) % COLOURS.length] as string;
		const path = points.map(({ x, fitted }) => `${atX(x).toFixed(1)},${atY(fitted).toFixed(1)}`).join(' ');
		parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1.5"/>`);
		for (const { x, measured } of points)
			parts.push(`<circle cx="${atX(x).toFixed(1)}" cy="${atY(measured).toFixed(1)}" r="3.5" fill="${colour}"/>`);
	}
	return parts.join('\n');
}

/** All panels on common scales: dots are measured, lines are the model. */
export function svgPlot(heading: string, panels: readonly Panel[]): string {
	const scales = scalesOf(panels);
	const names = [...new Set(panels.flatMap(({ series }) => series.map(({ name }) => name)))];
	const columns = Math.min(2, panels.length);
	const head = 70;
	const width = columns * PANEL.width;
	const height = head + Math.ceil(panels.length / columns) * PANEL.height + 8;
	const legend = names.map((name, k) => {
		const x = PANEL.left + k * 84;
		return `<circle cx="${x + 5}" cy="42" r="4" fill="${COLOURS[k % COLOURS.length]}"/><text x="${x + 15}" y="46">${escaped(name)}</text>`;
	});
	const note = `<text x="${PANEL.left}" y="62" fill="#555">nanoseconds per output, one thread or the whole GPU, over the kernel’s side; dots: measured, lines: model</text>`;
	const drawn = panels.map((panel, k) =>
		svgPanel(panel, scales, names, (k % columns) * PANEL.width, head + Math.floor(k / columns) * PANEL.height),
	);
	return [
		`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
		`<rect width="${width}" height="${height}" fill="white"/>`,
		`<text x="${PANEL.left}" y="22" font-size="14">${escaped(heading)}</text>`,
		...legend,
		note,
		...drawn,
		'</svg>\n',
	].join('\n');
}
