/**
 * The demo's picture: hills at sunset with what tells filters apart laid over them: a zone plate, fine text, a star of spokes, points
 * of light, ramps, noise. The same seed and size give the same pixels.
 */
import { randomStream } from '../core/random.ts';
import { ADVANCE, hasInk } from './glyphs.ts';

export interface Scene {
	readonly data: Uint8Array;
	readonly shape: readonly [height: number, width: number, channels: 3];
}

/** The composition is laid out for this size and stretched to others. */
const DESIGN = { width: 3000, height: 2000 };

type Colour = readonly [red: number, green: number, blue: number];

const mix = (a: Colour, b: Colour, t: number): Colour => [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];
const clamp01 = (t: number): number => Math.min(1, Math.max(0, t));
const grey = (v: number): Colour => [v, v, v];

/** Smooth noise of one variable in −1 … 1 with features of length 1, from random heights at the integers. */
function ridgeNoise(random: ReturnType<typeof randomStream>): (x: number) => number {
	const heights = Float64Array.from({ length: 256 }, () => 2 * random.float() - 1);
	return (x) => {
		const i = Math.floor(x);
		const t = x - i;
		const s = t * t * (3 - 2 * t);
		return (heights[i & 255] as number) * (1 - s) + (heights[(i + 1) & 255] as number) * s;
	};
}

const ZENITH: Colour = [38, 62, 120];
const HORIZON: Colour = [250, 190, 130];
const SUN = { x: 2280, y: 900, radius: 70 };

function sky(x: number, y: number): Colour {
	const base = mix(ZENITH, HORIZON, clamp01(y / 1150) ** 1.5);
	const distance = Math.hypot(x - SUN.x, y - SUN.y);
	const disk = clamp01(SUN.radius - distance + 0.5);
	const glow = Math.exp(-distance / 260) * 0.7;
	return mix(mix(base, [255, 225, 160], glow), [255, 250, 225], disk);
}

interface Hill {
	readonly base: number;
	readonly colour: Colour;
	readonly ridge: Float64Array;
}

/** Four ridges, hazy behind, dark in front; one height per column of the design. */
function hills(random: ReturnType<typeof randomStream>): Hill[] {
	const layers: readonly (readonly [base: number, height: number, length: number, colour: Colour])[] = [
		[1060, 130, 420, [150, 130, 150]],
		[1180, 120, 300, [104, 100, 118]],
		[1320, 110, 230, [66, 80, 82]],
		[1480, 90, 160, [34, 52, 44]],
	];
	return layers.map(([base, height, length, colour]) => {
		const noise = ridgeNoise(random);
		const at = (x: number) =>
			noise(x / length) + 0.5 * noise((2.1 * x) / length + 40) + 0.25 * noise((4.3 * x) / length + 80) + 0.08 * noise(x / 9 + 120);
		return { base, colour, ridge: Float64Array.from({ length: DESIGN.width + 1 }, (_, x) => base - height * at(x)) };
	});
}

function landscape(x: number, y: number, layers: readonly Hill[]): Colour {
	for (let k = layers.length - 1; k >= 0; k--) {
		const { ridge, colour, base } = layers[k] as Hill;
		const depth = y - (ridge[Math.round(x)] as number);
		if (depth > 0) return mix(colour, mix(colour, HORIZON, 0.25), clamp01(depth / 500) * clamp01((1900 - base) / 800));
	}
	return sky(x, y);
}

const PLATE = { left: 120, top: 120, size: 760 };

/** cos(π·r²/side): stripes that become finer outwards and reach 2 pixels a period at the middle of each side. */
function zonePlate(x: number, y: number): Colour | undefined {
	const { left, top, size } = PLATE;
	const [u, v] = [x - left, y - top];
	if (u < -16 || v < -16 || u >= size + 16 || v >= size + 16) return undefined;
	if (u < 0 || v < 0 || u >= size || v >= size) return [245, 243, 238];
	return grey(127.5 + 127.5 * Math.cos((Math.PI * ((u - size / 2) ** 2 + (v - size / 2) ** 2)) / size));
}

const PAPER = { left: 960, top: 120, width: 1000, height: 760 };
const TEXT = [
	'FALTUNG IS GERMAN FOR FOLDING, AND FOR CONVOLUTION: ONE PICTURE IS FOLDED OVER THE OTHER, MULTIPLIED, SUMMED. ',
	'(F * G)(X) = SUM OF F(X - T) G(T). A BLUR, AN EDGE, AN ECHO, A SHADOW: ALL ARE ONE SUM. ',
	'THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG 0123456789 TIMES. ZWOELF BOXKAEMPFER JAGEN VIKTOR QUER UEBER DEN GROSSEN SYLTER DEICH. ',
].join('');

/** The text once more and on, broken between words; `top` in pixels of the paper, `dot` pixels a dot. */
const LINES: readonly { top: number; dot: number; text: string }[] = (() => {
	const list: { top: number; dot: number; text: string }[] = [];
	const words = TEXT.trim().split(' ');
	let next = 0;
	let top = 36;
	for (const [dot, count] of [
		[9, 1],
		[6, 2],
		[4, 3],
		[3, 4],
		[2, 6],
		[1, 10],
	] as const) {
		const letters = Math.floor((PAPER.width - 80) / (dot * ADVANCE.x));
		for (let k = 0; k < count; k++) {
			let text = '';
			for (let word = words[next] as string; text.length + word.length <= letters; word = words[next] as string) {
				text += `${word} `;
				next = (next + 1) % words.length;
			}
			list.push({ top, dot, text });
			top += dot * ADVANCE.y;
		}
		top += 2 * dot;
	}
	return list;
})();

function paper(x: number, y: number): Colour | undefined {
	const [u, v] = [Math.floor(x - PAPER.left), Math.floor(y - PAPER.top)];
	if (u < 0 || v < 0 || u >= PAPER.width || v >= PAPER.height) return undefined;
	const sheet = grey(240 - (12 * v) / PAPER.height);
	const line = LINES.find(({ top, dot }) => v >= top && v < top + 7 * dot);
	if (line === undefined || u < 40 || u >= PAPER.width - 40) return sheet;
	const inked = hasInk(line.text, Math.floor((u - 40) / line.dot), Math.floor((v - line.top) / line.dot));
	return inked ? [28, 26, 34] : sheet;
}

const STAR = { x: 2420, y: 380, radius: 250 };

/** 36 spokes: the finer the nearer to the centre. */
function star(x: number, y: number): Colour | undefined {
	const [dx, dy] = [x - STAR.x, y - STAR.y];
	if (Math.hypot(dx, dy) > STAR.radius) return undefined;
	return Math.sin(36 * Math.atan2(dy, dx)) > 0 ? [250, 250, 250] : [20, 20, 24];
}

const CHART = { top: 1680, left: 120, width: 2760, row: 64 };

/** Rows of a test chart: a grey ramp, steps of grey, a hue circle, noise of growing strength. */
function chart(x: number, y: number, noise: number): Colour | undefined {
	const row = Math.floor((y - CHART.top) / CHART.row);
	const t = (x - CHART.left) / CHART.width;
	if (row < 0 || row > 3 || t < 0 || t >= 1) return undefined;
	if (row === 0) return grey(255 * t);
	if (row === 1) return grey((255 * Math.floor(12 * t)) / 11);
	if (row === 2) {
		const hue = (shift: number) => 255 * clamp01(Math.abs((((t + shift) * 6) % 6) - 3) - 1);
		return [hue(0), hue(2 / 3), hue(1 / 3)];
	}
	return grey(128 + noise * 2 ** Math.floor(6 * t) * 2);
}

interface Light {
	readonly x: number;
	readonly y: number;
	readonly colour: Colour;
}

/** Windows of houses on the dark hill: small bright points, which show the shape of a blur. */
function lights(random: ReturnType<typeof randomStream>): Light[] {
	return Array.from({ length: 60 }, () => ({
		x: 100 + Math.floor(random.float() * 2800),
		y: 1500 + Math.floor(random.float() * 150),
		colour: [255, 200 + random.float() * 55, 110 + random.float() * 120],
	}));
}

/** Standard deviation of the sum of 4 random bytes; mean 510. */
const BYTES_DEVIATION = 147.8;

/** @param seed of hills, lights and grain */
export function makeScene(width: number = DESIGN.width, height: number = DESIGN.height, seed = 1): Scene {
	const random = randomStream(seed);
	const layers = hills(random);
	const points = lights(random);
	const data = new Uint8Array(width * height * 3);
	const clamped = new Uint8ClampedArray(data.buffer);
	const [sx, sy] = [DESIGN.width / width, DESIGN.height / height];
	for (let row = 0, at = 0; row < height; row++) {
		const y = row * sy;
		for (let column = 0; column < width; column++, at += 3) {
			const x = column * sx;
			const bits = random.uint32();
			const noise = ((bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24) - 510) / BYTES_DEVIATION;
			const over = zonePlate(x, y) ?? paper(x, y) ?? star(x, y) ?? chart(x, y, noise);
			const grain = over === undefined ? 3 * noise : 0;
			const colour = over ?? landscape(x, y, layers);
			clamped[at] = colour[0] + grain;
			clamped[at + 1] = colour[1] + grain;
			clamped[at + 2] = colour[2] + grain;
		}
	}
	for (const { x, y, colour } of points) {
		for (let dy = 0; dy < 4; dy++) {
			for (let dx = 0; dx < 4; dx++) {
				const at = ((Math.floor(y / sy) + dy) * width + Math.floor(x / sx) + dx) * 3;
				if (at + 2 < data.length) clamped.set(colour, at);
			}
		}
	}
	return { data, shape: [height, width, 3] };
}
