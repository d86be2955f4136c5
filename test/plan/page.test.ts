/**
 * docs/planning-examples.md: what `faltung explain` says on machines that are stated, so that the page is the same everywhere. After a
 * change of the planner: `npx vitest run test/plan/page.test.ts -u`, and read the difference.
 */
import { expect, test } from 'vitest';
import type { Backend, PlanWish } from '../../src/backend/backend.ts';
import { kernels } from '../../src/index.ts';
import { explain } from '../../src/plan/explain.ts';
import { box, decide, gpu, processor, reference, type Sketch } from './machines.ts';

const desk = [processor('avx512', 2), reference];
const workstation = [gpu(), ...desk];

const rowsOf = ({ data, shape }: { data: ArrayLike<number>; shape: readonly number[] }): number[][] => {
	const [height, width] = shape as [number, number];
	return Array.from({ length: height }, (_, j) => Array.from({ length: width }, (_, i) => data[j * width + i] as number));
};

const gaussian = (sigma: number) => rowsOf(kernels.gaussian({ sigma }));
const sobel = rowsOf(kernels.sobel({ axis: 'x' }));
const log = rowsOf(kernels.log({ sigma: 3 }));

interface Example {
	readonly title: string;
	readonly command: string;
	readonly sketch: Sketch;
	readonly machine: readonly Backend[];
	readonly wish?: Partial<PlanWish>;
	readonly lesson: string;
}

const EXAMPLES: readonly Example[] = [
	{
		title: 'A 3×3 kernel on one megapixel, with a large GPU at hand',
		command: 'faltung explain --size 1024x1024 --dtype float32 --kernel "1 2 3; 4 0 -4; 3 -2 5"',
		sketch: {
			kernel: [
				[1, 2, 3],
				[4, 0, -4],
				[3, -2, 5],
			],
		},
		machine: workstation,
		lesson: 'Carrying the image to the GPU and back takes longer than the whole work on the processor.',
	},
	{
		title: 'The same image in the GPU’s own memory',
		command: 'convolver.run(gpuArray)',
		sketch: {
			kernel: [
				[1, 2, 3],
				[4, 0, -4],
				[3, -2, 5],
			],
		},
		machine: workstation,
		wish: { memory: 'device' },
		lesson: 'Nothing is carried, and nobody else can read it.',
	},
	{
		title: 'A gaussian: a column times a row',
		command: 'faltung explain --size 4096x4096 --dtype float32 --kernel gaussian:sigma=2',
		sketch: { kernel: gaussian(2), shape: [4096, 4096] },
		machine: desk,
		lesson: 'Taps rounded to float32 are a product within the rounding of each; the residual enters the bound.',
	},
	{
		title: 'Sobel on bytes: integers, exactly',
		command: 'faltung explain --size 4096x4096 --kernel sobel:axis=x --output-dtype int16',
		sketch: { kernel: sobel, dtype: 'uint8', kernelDtype: 'int32', outputDtype: 'int16', shape: [4096, 4096] },
		machine: desk,
		lesson: 'Σ|w|·255 is below 2^15: sums fit 16 bits, the result fits int16, and no pixel is checked for overflow.',
	},
	{
		title: 'A box of 31×31',
		command: 'faltung explain --size 4096x4096 --kernel box:size=31 --output-dtype int32',
		sketch: { kernel: box(31), dtype: 'uint8', kernelDtype: 'int32', outputDtype: 'int32', shape: [4096, 4096] },
		machine: desk,
		lesson: 'Running sums cost the same at any size.',
	},
	{
		title: 'A dense 63×63 kernel',
		command: 'faltung explain --size 4096x4096 --dtype float32 --kernel dense63.npy',
		sketch: { kernel: 63, shape: [4096, 4096] },
		machine: desk,
		lesson: 'Transforms win by an order of magnitude; their certified error is relative to the neighbourhood.',
	},
	{
		title: 'The same under accuracy pixel',
		command: 'faltung explain --size 4096x4096 --dtype float32 --kernel dense63.npy --accuracy pixel',
		sketch: { kernel: 63, shape: [4096, 4096] },
		machine: desk,
		wish: { accuracy: 'pixel' },
		lesson: 'The error has to be relative to the pixel: no transforms.',
	},
	{
		title: 'The Laplacian of a Gaussian as a sum of products',
		command: 'faltung explain --size 4096x4096 --dtype float32 --kernel log:sigma=3 --tolerance 1e-6 --accuracy pixel',
		sketch: { kernel: log, shape: [4096, 4096] },
		machine: desk,
		wish: { tolerance: 1e-6, accuracy: 'pixel' },
		lesson: 'Without a tolerance the sum of products would not be looked at; its certified error is in the table and in the report.',
	},
	{
		title: 'A delta in a large array of zeros',
		command: 'faltung explain --size 1024x1024 --dtype float32 --kernel shift.npy',
		sketch: { kernel: Array.from({ length: 101 }, (_, j) => Array.from({ length: 101 }, (_, i) => (j === 90 && i === 12 ? 1 : 0))) },
		machine: desk,
		lesson: 'Outer rows and columns of zeros are cut off: one tap is left.',
	},
	{
		title: 'Unsigned 64-bit integers',
		command: 'faltung explain --size 1024x1024 --dtype uint64 --kernel "1 2 1; 2 4 2; 1 2 1"',
		sketch: {
			kernel: [
				[1, 2, 1],
				[2, 4, 2],
				[1, 2, 1],
			],
			dtype: 'uint64',
			kernelDtype: 'int32',
		},
		machine: workstation,
		lesson: 'Exact sums need more than 64 bits: scalar code, and the table says so.',
	},
];

const HEAD = `# Ten plans

Written by \`npx vitest run test/plan/page.test.ts -u\`: what \`faltung explain\` prints on two stated machines, a processor with AVX-512 and 2 threads and the
same beside a large GPU. Times are predicted from the shipped constants, so this page is the same wherever it is made. [planning.md](planning.md) explains the columns.
`;

test('docs/planning-examples.md is what explain() says', async () => {
	const sections = EXAMPLES.map(({ title, command, sketch, machine, wish, lesson }, k) => {
		const text = explain(decide(sketch, machine, wish));
		return `## ${k + 1}. ${title}\n\n    ${command}\n\n${lesson}\n\n\`\`\`\n${text}\n\`\`\`\n`;
	});
	await expect([HEAD, ...sections].join('\n')).toMatchFileSnapshot('../../docs/planning-examples.md');
});
