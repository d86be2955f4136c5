import { defineConfig } from 'vitest/config';

export default defineConfig({
	test: {
		include: ['test/**/*.test.ts'],
		globalSetup: ['test/webgpu/setup.ts'], // an adapter for every test process, in software where there is no GPU
		setupFiles: ['test/setup.ts'],
		env: { FALTUNG_CALIBRATION: 'off' }, // plans that do not depend on what somebody once measured here
		pool: 'forks', // a native addon and a GPU device belong to one process each
		testTimeout: 120_000,
		hookTimeout: 120_000,
		typecheck: { enabled: true, include: ['test/**/*.test-d.ts'] },
	},
});
