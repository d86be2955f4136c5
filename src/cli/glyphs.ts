/**
 * A bitmap font of 5 × 7 dots, so that the demo's picture is the same on a machine without fonts. Each glyph is 7 digits of base 32, one a
 * row from the top; bit 4 is the left dot. T = v444444:  #####, then six times ..#..
 */
const GLYPHS: Readonly<Record<string, string>> = {
	A: 'ehhvhhh',
	B: 'uhhuhhu',
	C: 'ehggghe',
	D: 'uhhhhhu',
	E: 'vgguggv',
	F: 'vgguggg',
	G: 'ehgnhhe',
	H: 'hhhvhhh',
	I: 'e44444e',
	J: '72222ic',
	K: 'hikokih',
	L: 'ggggggv',
	M: 'hrllhhh',
	N: 'hhpljhh',
	O: 'ehhhhhe',
	P: 'uhhuggg',
	Q: 'ehhhlid',
	R: 'uhhukih',
	S: 'fgge11u',
	T: 'v444444',
	U: 'hhhhhhe',
	V: 'hhhhha4',
	W: 'hhhllla',
	X: 'hha4ahh',
	Y: 'hhha444',
	Z: 'v1248gv',
	'0': 'ehjlphe',
	'1': '4c4444e',
	'2': 'eh1248v',
	'3': 'v2421he',
	'4': '26aiv22',
	'5': 'vgu11he',
	'6': '68guhhe',
	'7': 'v124888',
	'8': 'ehhehhe',
	'9': 'ehhf12c',
	' ': '0000000',
	'.': '00000cc',
	',': '0000448',
	'-': '000v000',
	':': '0cc0cc0',
	'(': '2488842',
	')': '8422248',
	'+': '044v440',
	'=': '00v0v00',
	'/': '01248g0',
	'*': '04lel40',
};

/** Dots from one glyph's left side to the next one's, and from line to line. */
export const ADVANCE = { x: 6, y: 10 };

/** True where a text has ink: column x (dots from the left side of the first glyph) and row y (dots from the top). */
export function hasInk(text: string, x: number, y: number): boolean {
	if (x < 0 || y < 0 || y >= 7) return false;
	const column = x % ADVANCE.x;
	const glyph = GLYPHS[text[Math.floor(x / ADVANCE.x)] ?? ' '];
	if (glyph === undefined || column > 4) return false;
	return ((Number.parseInt(glyph[y] as string, 32) >> (4 - column)) & 1) === 1;
}
