/** Every test file's properties: drawn anew each time, or from FALTUNG_SEED as all other random problems are. */
import fc from 'fast-check';

const seed = process.env.FALTUNG_SEED;
if (seed !== undefined) fc.configureGlobal({ seed: Number(seed) });
