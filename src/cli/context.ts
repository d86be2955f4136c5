/** What every command is given. */
export interface Context {
	/** Aborts on Ctrl-C. */
	readonly signal: AbortSignal;
	/** The exit code of a command that ends by itself; 0 unless it says otherwise. */
	setExitCode(code: 0 | 1): void;
}
