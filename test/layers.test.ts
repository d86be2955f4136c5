/** Reads every import of src/: they point down, and only Node's own folders import Node. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const src = fileURLToPath(new URL('../src/', import.meta.url));
const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
	.filter((name) => name.endsWith('.ts'))
	.map((name) => name.replaceAll('\\', '/'));

interface Import {
	readonly from: string;
	readonly to: string;
	readonly typeOnly: boolean;
}

const STATEMENT = /^\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;

const imports: Import[] = files.flatMap((from) => {
	const text = readFileSync(join(src, from), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
	return [...text.matchAll(STATEMENT)].map((match) => {
		const to = (match[2] ?? match[3]) as string;
		const local = to.startsWith('.') ? relative(src, join(src, dirname(from), to)).replaceAll('\\', '/') : to;
		return { from, to: local, typeOnly: match[1] !== undefined };
	});
});

/** Folders and what they may import, besides themselves. From DESIGN: cli/node → api → plan → backend → kernels, core below all. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
	core: [],
	kernels: ['core'],
	backend: ['core'],
	plan: ['core', 'backend'],
	api: ['core', 'kernels', 'backend', 'plan'],
	node: ['core', 'api', 'index.ts'],
	cli: ['core', 'kernels', 'backend', 'plan', 'api', 'node', 'index.ts'],
};

const folderOf = (file: string): string => file.split('/')[0] as string;
const backendFolder = (file: string): string | undefined => /^backend\/(\w+)\//.exec(file)?.[1];

test('the tree is read: files and imports are found', () => {
	expect(files.length).toBeGreaterThan(30);
	expect(imports.length).toBeGreaterThan(100);
	expect(imports).toContainEqual({ from: 'api/convolve.ts', to: 'api/engine.ts', typeOnly: false });
	expect(imports.some(({ from, to, typeOnly }) => from === 'backend/registry.ts' && to === 'backend/reference.ts' && !typeOnly)).toBe(true);
});

test('every folder has its place', () => {
	const folders = new Set(files.filter((name) => name.includes('/')).map(folderOf));
	expect([...folders].filter((folder) => !(folder in MAY_IMPORT))).toEqual([]);
});

describe('imports point down', () => {
	test.each(Object.entries(MAY_IMPORT))('%s imports only %j and itself', (folder, allowed) => {
		const wrong = imports.filter(({ from, to }) => {
			if (folderOf(from) !== folder || !files.includes(to)) return false;
			return folderOf(to) !== folder && !allowed.includes(folderOf(to));
		});
		expect(wrong).toEqual([]);
	});

	test('every relative import names a file that exists', () => {
		const local = imports.filter(({ to }) => to.endsWith('.ts'));
		expect(local.filter(({ to }) => !files.includes(to))).toEqual([]);
	});

	test('index.ts exports public names and holds nothing else', () => {
		const text = readFileSync(join(src, 'index.ts'), 'utf8')
			.replace(/\/\*[\s\S]*?\*\//g, '')
			.replace(/\/\/.*$/gm, '');
		const statements = text
			.split(';')
			.map((s) => s.trim())
			.filter((s) => s !== '');
		expect(statements.filter((s) => !/^export .*from '/s.test(s))).toEqual([]);
	});

	test('one backend does not know another', () => {
		const wrong = imports.filter(
			({ from, to }) => backendFolder(from) !== undefined && backendFolder(to) !== undefined && backendFolder(from) !== backendFolder(to),
		);
		expect(wrong).toEqual([]);
	});

	test('no cycles among files', () => {
		const next = new Map<string, string[]>();
		for (const { from, to, typeOnly } of imports) if (!typeOnly && files.includes(to)) next.set(from, [...(next.get(from) ?? []), to]);
		const done = new Set<string>();
		const cycles: string[] = [];
		const visit = (file: string, path: readonly string[]) => {
			if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' → '));
			if (done.has(file) || path.includes(file)) return;
			for (const to of next.get(file) ?? []) visit(to, [...path, file]);
			done.add(file);
		};
		for (const file of files) visit(file, []);
		expect(cycles).toEqual([]);
	});
});

describe('what runs in a browser', () => {
	const nodeOnly = (file: string) => /^(node|cli|backend\/native)\//.test(file);

	test('node:* is imported in src/node, src/cli and src/backend/native alone', () => {
		const wrong = imports.filter(
			({ from, to }) => !nodeOnly(from) && (to.startsWith('node:') || ['fs', 'path', 'os', 'url', 'worker_threads', 'module'].includes(to)),
		);
		expect(wrong).toEqual([]);
		expect(
			imports.some(({ from, to }) => nodeOnly(from) && to.startsWith('node:')),
			'the rule sees node:*',
		).toBe(true);
	});

	test('packages from outside: only those that the package depends on, and sharp only under src/node or src/cli', () => {
		const manifest = JSON.parse(readFileSync(join(src, '../package.json'), 'utf8')) as {
			dependencies: object;
			optionalDependencies: object;
		};
		const known = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.optionalDependencies)];
		const outside = imports.filter(({ to }) => !to.endsWith('.ts') && !to.startsWith('node:') && !to.startsWith('.'));
		expect(outside.filter(({ to, typeOnly }) => !typeOnly && !known.includes(to))).toEqual([]);
		expect(outside.filter(({ from, to }) => to === 'sharp' && !/^(node|cli)\//.test(from))).toEqual([]);
		expect(outside.filter(({ from, to }) => to === 'webgpu' && !from.startsWith('backend/webgpu/'))).toEqual([]);
	});

	test('nothing but the loader of native code touches src/backend/native', () => {
		const users = imports
			.filter(({ to, from, typeOnly }) => to.startsWith('backend/native/') && !from.startsWith('backend/native/') && !typeOnly)
			.map(({ from }) => from);
		expect(users.filter((from) => from !== 'backend/registry.ts' && !from.startsWith('cli/') && !from.startsWith('node/'))).toEqual([]);
	});
});

// src/node may write to stdout where its caller says so ('-'); it does not talk either
test('the library neither prints nor exits', () => {
	const noisy = files
		.filter((file) => !file.startsWith('cli/') && !file.startsWith('node/'))
		.filter((file) =>
			/\bconsole\.|process\.exit\b|process\.stdout|process\.stderr/.test(
				readFileSync(join(src, file), 'utf8')
					.replace(/\/\*[\s\S]*?\*\//g, '')
					.replace(/\/\/.*$/gm, ''),
			),
		);
	expect(noisy).toEqual([]);
});

test('boundary modes have a meaning in core/boundary.ts alone', () => {
	const users = files.filter((file) => /sourceIndex|floorMod/.test(readFileSync(join(src, file), 'utf8'))).sort();
	expect(users).toEqual(['core/boundary.ts', 'core/oracle.ts']);
});
