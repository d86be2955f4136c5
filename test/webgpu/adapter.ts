/**
 * An adapter for the tests, on any machine and without root: a real GPU or an installed software Vulkan (lavapipe) where the system
 * has one, else SwiftShader out of the npm package @sparticuz/chromium. The Vulkan loader and its driver are found through environment
 * variables that must stand before a process starts, so this runs before the test processes do and is inherited by them.
 *
 * FALTUNG_TEST_ADAPTER=system | swiftshader takes that one and nothing else.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

export interface TestAdapter {
	/** 'gpu' is real hardware. */
	readonly kind: 'gpu' | 'lavapipe' | 'swiftshader' | 'software';
	/** What the driver says of itself. */
	readonly name: string;
}

const PROBE = `
	const { create } = await import('webgpu');
	const adapter = await create([]).requestAdapter({ powerPreference: 'high-performance' });
	const { vendor, architecture, device, description, isFallbackAdapter } = adapter?.info ?? {};
	const found = adapter && { name: [...new Set([vendor, architecture, device, description])].join(' '), isFallbackAdapter };
	process.stdout.write('\\n' + JSON.stringify(found ?? null));
	process.exit(0);
`;

/** The adapter that a process with this environment gets; undefined for none. */
function probe(environment: NodeJS.ProcessEnv): TestAdapter | undefined {
	let answer: string;
	try {
		answer = execFileSync(process.execPath, ['--input-type=module', '-e', PROBE], { env: environment, encoding: 'utf8', stdio: 'pipe' });
	} catch {
		return undefined; // a driver that crashes, or no package
	}
	const found = JSON.parse(answer.slice(answer.lastIndexOf('\n'))) as { name: string; isFallbackAdapter?: boolean } | null;
	if (found === null) return undefined;
	const name = found.name;
	if (/swiftshader/i.test(name)) return { kind: 'swiftshader', name };
	if (/llvmpipe|lavapipe/i.test(name)) return { kind: 'lavapipe', name };
	return { kind: found.isFallbackAdapter ? 'software' : 'gpu', name };
}

/** Folder and version of the package that a file belongs to. */
function packageOf(file: string, wanted: string): { root: string; version: string } {
	const root = dirname(file);
	if (root === file) throw new Error(`${wanted} not found above ${file}`);
	const manifest = join(root, 'package.json');
	if (existsSync(manifest)) {
		const { name, version } = JSON.parse(readFileSync(manifest, 'utf8')) as { name?: string; version: string };
		if (name === wanted) return { root, version };
	}
	return packageOf(root, wanted);
}

/** The environment that leads the Vulkan loader to SwiftShader; unpacked once a machine and version. */
function swiftShader(): NodeJS.ProcessEnv {
	const { root, version } = packageOf(createRequire(import.meta.url).resolve('@sparticuz/chromium'), '@sparticuz/chromium');
	const folder = join(tmpdir(), `faltung-swiftshader-${version}-${process.getuid?.() ?? 0}`);
	if (!existsSync(folder)) {
		const unpacking = `${folder}.${process.pid}`;
		mkdirSync(unpacking, { recursive: true });
		execFileSync('tar', ['-xf', '-', '-C', unpacking], { input: brotliDecompressSync(readFileSync(join(root, 'bin/swiftshader.tar.br'))) });
		try {
			renameSync(unpacking, folder);
		} catch {
			rmSync(unpacking, { recursive: true }); // another process was first
		}
	}
	const driver = join(folder, 'vk_swiftshader_icd.json');
	const libraries = [folder, process.env.LD_LIBRARY_PATH].filter((part) => part).join(':');
	return { ...process.env, LD_LIBRARY_PATH: libraries, VK_ICD_FILENAMES: driver, VK_DRIVER_FILES: driver };
}

/** Finds an adapter and sets this process's environment for its children. @throws where none computes: a pass would mean nothing */
export function provideAdapter(): TestAdapter {
	const asked = process.env.FALTUNG_TEST_ADAPTER;
	if (asked !== undefined && asked !== 'system' && asked !== 'swiftshader') {
		throw new Error(`FALTUNG_TEST_ADAPTER is ${asked}; expected system or swiftshader`);
	}
	const system = asked === 'swiftshader' ? undefined : probe(process.env);
	if (system !== undefined) return system;
	if (asked !== 'system') {
		const environment = swiftShader();
		const found = probe(environment);
		if (found !== undefined) {
			Object.assign(process.env, environment);
			return found;
		}
	}
	throw new Error(
		'No WebGPU adapter: neither a GPU, nor lavapipe (apt install mesa-vulkan-drivers libvulkan1), nor SwiftShader computes here.',
	);
}
