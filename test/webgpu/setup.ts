/** vitest globalSetup: every test process inherits an environment in which WebGPU computes; says on what. */
import { provideAdapter } from './adapter.ts';

export default function setup(): void {
	const { kind, name } = provideAdapter();
	process.env.FALTUNG_TEST_ADAPTER_KIND = kind;
	process.stderr.write(`WebGPU tests run on ${kind}: ${name}\n`);
}
