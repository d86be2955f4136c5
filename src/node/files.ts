/**
 * Whole files in and out; `-` is standard input and output.
 *
 * A file appears complete or not at all: it is written beside its place under another name, then renamed. Whatever stops the write (a full
 * disk, an abort, an exit) takes the other name away again.
 */
import { constants, rmSync } from 'node:fs';
import { access, type FileHandle, mkdir, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { FaltungError } from '../core/errors.ts';

/** Bytes asked for by one read and given to one write; one read() call takes less than 2 GiB. */
const CHUNK = 2 ** 26;

/** What the system's error codes mean for the person who typed the path. */
const MEANING: Readonly<Record<string, string>> = {
	ENOENT: 'there is no such file or folder',
	EISDIR: 'it is a directory',
	ENOTDIR: 'a part of the path is not a directory',
	EACCES: 'permission denied',
	EPERM: 'permission denied',
	EROFS: 'the file system is read-only',
	ENOSPC: 'the disk is full',
	EDQUOT: 'the disk quota is used up',
	EFBIG: 'the file would be too large',
	EMFILE: 'too many files are open',
	ENAMETOOLONG: 'the name is too long',
	ELOOP: 'its symbolic links go round in a circle',
	EIO: 'the device reports an error',
};

/** A failed system call as an IO error: `Cannot read photo.png: there is no such file or folder (ENOENT).` */
export function ioError(action: string, path: string, cause: unknown): FaltungError {
	if (cause instanceof FaltungError) return cause;
	const { code, message } = cause as NodeJS.ErrnoException;
	const meaning = code === undefined ? message : `${MEANING[code] ?? message} (${code})`;
	return new FaltungError('IO', `Cannot ${action} ${path === '-' ? 'standard input or output' : path}: ${meaning}.`, { cause });
}

/**
 * Makes a folder and those above it. Not by mkdir's `recursive`: on Node 20.20 that never ends where the system says that there is no
 * such folder although the one above it is there, as under /proc, and no signal reaches the thread that it turns in.
 */
export async function makeFolder(path: string): Promise<void> {
	try {
		await mkdirp(resolve(path));
	} catch (cause) {
		throw ioError('make the folder', path, cause);
	}
}

async function mkdirp(path: string): Promise<void> {
	const isFolder = (at: string) =>
		stat(at).then(
			(found) => found.isDirectory(),
			() => false,
		);
	if (await isFolder(path)) return;
	const above = dirname(path);
	if (above !== path && !(await isFolder(above))) await mkdirp(above);
	await mkdir(path).catch(async (error: unknown) => {
		if (!(await isFolder(path))) throw error; // somebody else made it meanwhile
	});
}

// ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * The bytes of a file, or of standard input for `-`, in memory of their own.
 *
 * @throws FaltungError IO where it cannot be read or is empty; the signal's reason when aborted
 */
export async function readInput(path: string, signal?: AbortSignal): Promise<Uint8Array> {
	const bytes = path === '-' ? await readStream(process.stdin, signal) : await readFile(path, signal);
	if (bytes.length === 0) throw new FaltungError('IO', `Cannot read ${path === '-' ? 'standard input' : path}: it is empty (0 bytes).`);
	return bytes;
}

async function readFile(path: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
	let file: FileHandle | undefined;
	try {
		file = await open(path, 'r');
		const status = await file.stat();
		if (status.isDirectory()) throw Object.assign(new Error('EISDIR'), { code: 'EISDIR' });
		if (!status.isFile()) return await readStream(file.createReadStream({ autoClose: false }), signal);
		const bytes = new Uint8Array(status.size); // not fs.readFile: it ends at 2 GiB
		let filled = 0;
		while (filled < bytes.length) {
			signal?.throwIfAborted();
			const { bytesRead } = await file.read(bytes, filled, Math.min(CHUNK, bytes.length - filled));
			if (bytesRead === 0) break; // it became shorter meanwhile
			filled += bytesRead;
		}
		return filled === bytes.length ? bytes : bytes.slice(0, filled);
	} catch (cause) {
		signal?.throwIfAborted();
		throw ioError('read', path, cause);
	} finally {
		await file?.close();
	}
}

async function readStream(stream: NodeJS.ReadableStream, signal: AbortSignal | undefined): Promise<Uint8Array> {
	const stop = () => (stream as NodeJS.ReadStream).destroy();
	signal?.addEventListener('abort', stop, { once: true });
	const chunks: Uint8Array[] = [];
	let length = 0;
	try {
		for await (const chunk of stream as AsyncIterable<Uint8Array>) {
			chunks.push(chunk);
			length += chunk.length;
		}
	} catch (cause) {
		signal?.throwIfAborted();
		throw ioError('read', '-', cause);
	} finally {
		signal?.removeEventListener('abort', stop);
	}
	signal?.throwIfAborted();
	const bytes = new Uint8Array(length);
	let at = 0;
	for (const chunk of chunks) {
		bytes.set(chunk, at);
		at += chunk.length;
	}
	return bytes;
}

// ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Files that are being written under another name; an exit in the middle removes them. */
const unfinished = new Set<string>();

let watching = false;
function removeOnExit(): void {
	if (watching) return;
	watching = true;
	process.on('exit', () => {
		for (const path of unfinished) rmSync(path, { force: true });
	});
}

let counter = 0;

/**
 * Checks, before any work is done, that a file can be put at `path`.
 *
 * @throws FaltungError IO
 */
export async function checkWritable(path: string): Promise<void> {
	if (path === '-') return;
	try {
		const target = await targetOf(path);
		await access(target.exists ? target.path : dirname(target.path), constants.W_OK);
	} catch (cause) {
		throw ioError('write', path, cause);
	}
}

interface Target {
	path: string;
	exists: boolean;
	/** False for devices and pipes, which nothing can be renamed onto. */
	regular: boolean;
	mode: number | undefined;
}

/** Where the bytes go: behind symbolic links. Throws for a directory and for a folder that is not there. */
async function targetOf(path: string): Promise<Target> {
	const status = await stat(path).catch((error: NodeJS.ErrnoException) => {
		if (error.code === 'ENOENT') return undefined;
		throw error;
	});
	if (status?.isDirectory()) throw Object.assign(new Error('EISDIR'), { code: 'EISDIR' });
	if (status === undefined) {
		await stat(dirname(path));
		return { path, exists: false, regular: true, mode: undefined };
	}
	return { path: await realpath(path), exists: true, regular: status.isFile(), mode: status.mode & 0o777 };
}

async function writeChunks(file: FileHandle, chunks: Iterable<Uint8Array>, signal: AbortSignal | undefined): Promise<void> {
	for (const chunk of chunks) {
		for (let at = 0; at < chunk.length; ) {
			signal?.throwIfAborted();
			const { bytesWritten } = await file.write(chunk, at, Math.min(CHUNK, chunk.length - at));
			at += bytesWritten;
		}
	}
}

async function writeBeside(target: Target, chunks: Iterable<Uint8Array>, signal: AbortSignal | undefined): Promise<void> {
	const beside = join(dirname(target.path), `.${basename(target.path).slice(0, 100)}.${process.pid}-${counter++}.part`);
	removeOnExit();
	const file = await open(beside, 'wx', target.mode ?? 0o666);
	unfinished.add(beside);
	try {
		try {
			await writeChunks(file, chunks, signal);
			await file.sync(); // some file systems report a full disk only here
		} finally {
			await file.close();
		}
		signal?.throwIfAborted();
		await rename(beside, target.path);
	} catch (cause) {
		await rm(beside, { force: true });
		throw cause;
	} finally {
		unfinished.delete(beside);
	}
}

/**
 * Puts chunks of bytes into a file, complete or not at all, or sends them to standard output for `-`.
 *
 * @throws FaltungError IO where it cannot be written; the signal's reason when aborted
 */
export async function writeOutput(path: string, chunks: Iterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
	if (path === '-') return writeStdout(chunks);
	try {
		const target = await targetOf(path);
		if (target.exists) await access(target.path, constants.W_OK); // a rename would ask only the folder
		if (target.regular) return await writeBeside(target, chunks, signal);
		const device = await open(target.path, 'w');
		try {
			await writeChunks(device, chunks, signal);
		} finally {
			await device.close();
		}
	} catch (cause) {
		signal?.throwIfAborted();
		throw ioError('write', path, cause);
	}
}

async function writeStdout(chunks: Iterable<Uint8Array>): Promise<void> {
	for (const chunk of chunks) {
		await new Promise<void>((resolve, reject) => {
			process.stdout.write(chunk, (cause) => (cause == null ? resolve() : reject(ioError('write', '-', cause))));
		});
	}
}
