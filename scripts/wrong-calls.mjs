/**
 * Wrong calls and what they answer, by running them: docs/errors.md.
 *
 *     node scripts/wrong-calls.mjs          prints the page (the library must be built)
 *     node scripts/wrong-calls.mjs --write  writes it
 */
import { writeFileSync } from 'node:fs';
import { convolve, FaltungError, openWebGpu } from '../dist/index.js';

const calls = [
	['A word that two worlds read differently', "convolve(image, kernel, { boundary: 'reflect' })"],
	['A word of another library', "convolve(image, kernel, { boundary: 'grid-mirror' })"],
	['An option that does not exist', "convolve(image, kernel, { bounday: 'edge' })"],
	['An integer that no typed array holds', 'convolve(image, [[2n ** 70n]])'],
	['A constant that the image’s dtype cannot hold', 'convolve(image, kernel, { value: 300 })'],
	['A bare typed array: its shape is not known', 'convolve(new Uint8Array(12), kernel)'],
	['A colour picture whose axes are not named', 'convolve({ data: new Uint8Array(36), shape: [3, 4, 3] }, kernel)'],
	['A kernel larger than the image, mode valid', "convolve(image, { data: new Float32Array(25), shape: [5, 5] }, { mode: 'valid' })"],
	['An output in the image’s own memory', 'convolve(image, [[1]], { out: image.data })'],
	['A sum that does not fit', "convolve({ data: Uint8Array.of(10, 200), shape: [1, 2] }, [[2]], { overflow: 'throw' })"],
	['A view that reaches beyond its memory', 'convolve({ data: new Uint8Array(12), shape: [3, 4], strides: [5, 1] }, kernel)'],
	['A callback that is not done when it returns', "convolve({ shape: [3, 4], dtype: 'uint8', async fill(memory) {} }, kernel)"],
	['A callback that fails', "convolve({ shape: [3, 4], dtype: 'uint8', fill() { throw new Error('end of file'); } }, kernel)"],
	['A method that cannot do it', "convolve(image, kernel, { method: 'fft', backend: 'reference' })"],
	['An option of a device that does not exist', 'openWebGpu({ devise: 1 })'],
	['A promise of a device', 'openWebGpu({ device: Promise.resolve() })'],
];

const image = { data: new Uint8Array(12), shape: [3, 4] };
const kernel = { data: Int32Array.of(1, 2, 1), shape: [1, 3] };

const answers = [];
for (const [title, call] of calls) {
	const run = new Function('image', 'kernel', 'convolve', 'openWebGpu', `return ${call};`);
	try {
		await run(image, kernel, convolve, openWebGpu);
		throw new Error(`${call} was expected to fail`);
	} catch (error) {
		if (!(error instanceof FaltungError)) throw error;
		answers.push(`**${title}**\n\n\`\`\`js\n${call}\n\`\`\`\n\n> \`${error.code}\`: ${error.message}\n`);
	}
}

const page = `# Wrong calls and their answers

Written by \`node scripts/wrong-calls.mjs --write\`, which runs them. Every error is a \`FaltungError\` with a stable \`code\`; a call that returns a promise never throws, it
rejects. Here \`image\` is uint8 of shape [3, 4] and \`kernel\` int32 of shape [1, 3].

${answers.join('\n')}`;
if (process.argv.includes('--write')) writeFileSync(new URL('../docs/errors.md', import.meta.url), page);
else process.stdout.write(page);
