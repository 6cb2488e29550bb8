package main

func init() {
	register("internal/kernel/gemm/amx_amd64.s", "!purego", func(f *file) {
		amxTiles(f)
		amxRows(f)
		amxPairs(f)
		amxTrans(f)
		amxNaN(f)
	})
}

// amxKinds are the ways to multiply a sum of terms of A by one of B: the
// products of term i of A and term j of B that count, those of the smallest
// first, in an order that loads few tiles twice. internal/kernel/gemm/amx_amd64.go
// has the same list.
var amxKinds = []struct {
	a, b     int
	products [][2]int
}{
	{1, 1, [][2]int{{0, 0}}},
	{2, 1, [][2]int{{1, 0}, {0, 0}}},
	{3, 1, [][2]int{{2, 0}, {1, 0}, {0, 0}}},
	{2, 2, [][2]int{{1, 0}, {0, 0}, {0, 1}}},
	{3, 2, [][2]int{{2, 0}, {0, 0}, {1, 0}, {1, 1}, {0, 1}}},
	{3, 3, [][2]int{{2, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 2}, {0, 0}}},
}

// amxZero clears a tile.
func (f *file) amxZero(t int) { f.amxBytes(amxVEX(amxF2, 0x49, t, 0, 0, -2), "TILEZERO") }

// amxTiles prints 32 rows of A against panels of 32 columns of B. Tiles of C
// are TMM0…3, of A in 4 and 5, of B in 6 and 7.
func amxTiles(f *file) {
	f.text("amxTiles", "func amxTiles(cfg *[64]byte, kind int, a, b *uint16, steps, panels int, c *float32, ldc, load int)", 72)
	f.i("MOVQ cfg+0(FP), AX")
	f.i("MOVQ b+24(FP), DI")
	f.i("MOVQ panels+40(FP), BX")
	f.i("MOVQ c+48(FP), DX")
	f.i("MOVQ ldc+56(FP), R8")
	f.i("MOVQ $64, R9")
	f.amxLoadConfig("AX")
	f.i("MOVQ kind+8(FP), AX")
	panel, zero, start, done := f.label("panel"), f.label("zero"), f.label("start"), f.label("done")
	f.p("%s:", panel)
	f.i("MOVQ R8, R10\n\tSHLQ $4, R10\n\tADDQ DX, R10")
	f.i("LEAQ 64(DX), R11\n\tLEAQ 64(R10), R12")
	corners := []string{"DX", "R11", "R10", "R12"}
	f.i("CMPQ load+64(FP), $0\n\tJEQ %s", zero)
	for t, base := range corners {
		f.amxLoad(base, "R8", t)
	}
	f.i("JMP %s", start)
	f.p("%s:", zero)
	for t := range 4 {
		f.amxZero(t)
	}
	f.p("%s:", start)
	f.i("MOVQ a+16(FP), SI\n\tMOVQ steps+32(FP), CX")
	for k, kind := range amxKinds {
		next := f.label("kind")
		if k+1 < len(amxKinds) {
			f.i("CMPQ AX, $%d\n\tJNE %s", k, next)
		}
		step := f.label("step")
		f.p("%s:", step)
		loadB := f.amxLoadAt
		if k == 0 { // A fills the first-level cache, from which what is read once must not drive it
			loadB = f.amxStream
		}
		inA, inB := -1, -1
		for _, p := range kind.products {
			newB := p[1] != inB
			for t := range 2 {
				if t == 0 && newB {
					loadB(2048*p[1], "DI", "R9", 6)
				}
				if p[0] != inA {
					f.amxLoadAt(2048*p[0]+1024*t, "SI", "R9", 4+t)
				}
				f.amxDotBF16(6, 4+t, 2*t)
				if t == 0 && newB {
					loadB(2048*p[1]+1024, "DI", "R9", 7)
				}
				f.amxDotBF16(7, 4+t, 2*t+1)
			}
			inA, inB = p[0], p[1]
		}
		f.i("ADDQ $%d, SI\n\tADDQ $%d, DI", 2048*kind.a, 2048*kind.b)
		f.i("DECQ CX\n\tJNE %s", step)
		if k+1 < len(amxKinds) {
			f.i("JMP %s", done)
			f.p("%s:", next)
		}
	}
	f.p("%s:", done)
	for t, base := range corners {
		f.amxStore(t, base, "R8")
	}
	f.i("ADDQ $128, DX\n\tDECQ BX\n\tJNE %s", panel)
	f.amxRelease()
	f.i("RET")
}

// amxSplit takes the next of several terms from Zx: Zd is the part of it that
// bfloat16 holds, and x loses it.
func (f *file) amxSplit(x, d int) {
	f.i("VPADDD Z30, Z%d, Z%d\n\tVPANDD Z31, Z%d, Z%d", x, d, d, d)
	f.i("VSUBPS Z%d, Z%d, Z%d", d, x, x)
}

func (f *file) amxSplitConstants() {
	f.i("MOVL $0x8000, AX\n\tVPBROADCASTD AX, Z30")
	f.i("MOVL $0xffff0000, AX\n\tVPBROADCASTD AX, Z31")
}

// amxByTerms prints body once for each number of terms, of which reg has one.
func (f *file) amxByTerms(reg string, body func(terms int)) {
	for terms := 1; terms <= 3; terms++ {
		next := f.label("terms")
		if terms < 3 {
			f.i("CMPQ %s, $%d\n\tJNE %s", reg, terms, next)
		}
		body(terms)
		if terms < 3 {
			f.p("%s:", next)
		}
	}
}

// amxRows prints the packing of rows of floats.
func amxRows(f *file) {
	f.text("amxRows", "func amxRows(dst *uint16, src *float32, ld, rows, steps, tail, terms int)", 56)
	f.i("MOVQ dst+0(FP), DI\n\tMOVQ src+8(FP), SI\n\tMOVQ ld+16(FP), R8\n\tMOVQ rows+24(FP), BX\n\tMOVQ tail+40(FP), CX\n\tMOVQ terms+48(FP), R9")
	f.amxSplitConstants()
	f.i("MOVL $-1, AX\n\tBZHIL CX, AX, AX\n\tKMOVW AX, K1\n\tSHRL $16, AX\n\tKMOVW AX, K2")
	f.amxByTerms("R9", func(terms int) {
		row, step, last := f.label("row"), f.label("step"), f.label("last")
		convert := func() {
			for i := range terms - 1 {
				f.amxSplit(0, 2)
				f.amxSplit(1, 3)
				f.cvtPair(2, 3, 4)
				f.i("VMOVDQU32 Z4, %d(R11)", 2048*i)
			}
			f.cvtPair(0, 1, 4)
			f.i("VMOVDQU32 Z4, %d(R11)", 2048*(terms-1))
		}
		f.p("%s:", row)
		f.i("MOVQ SI, R10\n\tMOVQ DI, R11\n\tMOVQ steps+32(FP), CX")
		f.p("%s:", step)
		f.i("DECQ CX\n\tJEQ %s", last)
		f.i("VMOVUPS (R10), Z0\n\tVMOVUPS 64(R10), Z1")
		convert()
		f.i("ADDQ $128, R10\n\tADDQ $%d, R11\n\tJMP %s", 2048*terms, step)
		f.p("%s:", last)
		f.i("VMOVUPS.Z (R10), K1, Z0\n\tVMOVUPS.Z 64(R10), K2, Z1")
		convert()
		f.i("ADDQ R8, SI\n\tADDQ $64, DI\n\tDECQ BX\n\tJNE %s", row)
		f.i("VZEROUPPER\n\tRET")
	})
}

// amxPairs prints the packing of columns, rows two by two.
func amxPairs(f *file) {
	f.text("amxPairs", "func amxPairs(dst *uint16, src *float32, ld, rows, steps, cols, terms int)", 56)
	f.i("MOVQ dst+0(FP), DI\n\tMOVQ src+8(FP), SI\n\tMOVQ ld+16(FP), R8\n\tMOVQ rows+24(FP), BX\n\tMOVQ steps+32(FP), DX\n\tMOVQ cols+40(FP), CX\n\tMOVQ terms+48(FP), R9")
	f.amxSplitConstants()
	f.i("MOVL $-1, AX\n\tBZHIL CX, AX, AX\n\tKMOVW AX, K1")
	f.amxByTerms("R9", func(terms int) {
		step, pair, none, one, have := f.label("step"), f.label("pair"), f.label("none"), f.label("one"), f.label("have")
		f.p("%s:", step)
		f.i("MOVQ $16, R10")
		f.p("%s:", pair)
		f.i("CMPQ BX, $1\n\tJLT %s\n\tJEQ %s", none, one)
		f.i("VMOVUPS.Z (SI), K1, Z0\n\tVMOVUPS.Z (SI)(R8*1), K1, Z1\n\tJMP %s", have)
		f.p("%s:", none)
		f.i("VPXORD Z0, Z0, Z0\n\tVPXORD Z1, Z1, Z1\n\tJMP %s", have)
		f.p("%s:", one)
		f.i("VMOVUPS.Z (SI), K1, Z0\n\tVPXORD Z1, Z1, Z1")
		f.p("%s:", have)
		f.i("LEAQ (SI)(R8*2), SI\n\tSUBQ $2, BX")
		for i := range terms - 1 {
			f.amxSplit(0, 2)
			f.amxSplit(1, 3)
			f.i("VPSRLD $16, Z2, Z2\n\tVPORD Z3, Z2, Z2\n\tVMOVDQU32 Z2, %d(DI)", 2048*i)
		}
		f.cvtHalf(0, 2)
		f.cvtHalf(1, 3)
		f.i("VPMOVZXWD Y2, Z2\n\tVPMOVZXWD Y3, Z3\n\tVPSLLD $16, Z3, Z3\n\tVPORD Z3, Z2, Z2\n\tVMOVDQU32 Z2, %d(DI)", 2048*(terms-1))
		f.i("ADDQ $64, DI\n\tDECQ R10\n\tJNE %s", pair)
		f.i("ADDQ $%d, DI\n\tDECQ DX\n\tJNE %s", 2048*terms-1024, step)
		f.i("VZEROUPPER\n\tRET")
	})
}

// amxTrans prints the transpose of 16 rows of 16 pairs.
func amxTrans(f *file) {
	f.text("amxTrans", "func amxTrans(dst, src *uint16, ld, srcStep, dstStep, steps, tail int)", 56)
	f.i("MOVQ dst+0(FP), DI\n\tMOVQ src+8(FP), SI\n\tMOVQ ld+16(FP), R8\n\tMOVQ srcStep+24(FP), R11\n\tMOVQ dstStep+32(FP), R12\n\tMOVQ steps+40(FP), BX\n\tMOVQ tail+48(FP), CX")
	f.i("LEAQ (R8)(R8*2), R9")
	f.i("MOVL $-1, AX\n\tKMOVD AX, K2\n\tBZHIL CX, AX, AX\n\tKMOVD AX, K1")
	step, whole := f.label("step"), f.label("whole")
	f.p("%s:", step)
	f.i("CMPQ BX, $1\n\tJNE %s\n\tKMOVD K1, K2", whole)
	f.p("%s:", whole)
	f.i("MOVQ SI, R10")
	for g := range 4 {
		for r, at := range []string{"(R10)", "(R10)(R8*1)", "(R10)(R8*2)", "(R10)(R9*1)"} {
			f.i("VMOVDQU16.Z %s, K2, Z%d", at, 4*g+r)
		}
		if g < 3 {
			f.i("LEAQ (R10)(R8*4), R10")
		}
	}
	op := func(name string, a, b, d int) { f.i("%s Z%d, Z%d, Z%d", name, b, a, d) }
	for i := range 8 { // rows 2i and 2i+1 into 16+2i and 17+2i
		op("VPUNPCKLDQ", 2*i, 2*i+1, 16+2*i)
		op("VPUNPCKHDQ", 2*i, 2*i+1, 17+2*i)
	}
	for g := range 4 { // lane l of Z(4g+c) is column 4l+c of rows 4g…4g+3
		t := 16 + 4*g
		op("VPUNPCKLQDQ", t, t+2, 4*g)
		op("VPUNPCKHQDQ", t, t+2, 4*g+1)
		op("VPUNPCKLQDQ", t+1, t+3, 4*g+2)
		op("VPUNPCKHQDQ", t+1, t+3, 4*g+3)
	}
	for c := range 4 {
		shuffle := func(imm string, a, b, d int) { op("VSHUFI32X4 $"+imm+",", a, b, d) }
		shuffle("0x88", c, 4+c, 16)
		shuffle("0x88", 8+c, 12+c, 17)
		shuffle("0xdd", c, 4+c, 18)
		shuffle("0xdd", 8+c, 12+c, 19)
		for i, v := range []struct {
			imm  string
			a, b int
		}{{"0x88", 16, 17}, {"0x88", 18, 19}, {"0xdd", 16, 17}, {"0xdd", 18, 19}} {
			shuffle(v.imm, v.a, v.b, 20+i)
			f.i("VMOVDQU32 Z%d, %d(DI)", 20+i, 64*(4*i+c))
		}
	}
	f.i("ADDQ R11, SI\n\tADDQ R12, DI\n\tDECQ BX\n\tJNE %s", step)
	f.i("VZEROUPPER\n\tRET")
}

// amxNaN prints the search for NaN.
func amxNaN(f *file) {
	f.text("amxNaN", "func amxNaN(c *float32, ldc, rows, cols int) bool", 33)
	f.i("MOVQ c+0(FP), SI\n\tMOVQ ldc+8(FP), R8\n\tMOVQ rows+16(FP), BX\n\tMOVQ cols+24(FP), R9")
	f.i("MOVL $-1, AX\n\tMOVQ R9, CX\n\tANDQ $15, CX\n\tBZHIL CX, AX, AX\n\tKMOVW AX, K1")
	f.i("KXORW K0, K0, K0")
	row, vector, tail := f.label("row"), f.label("vector"), f.label("tail")
	f.p("%s:", row)
	f.i("MOVQ SI, R10\n\tMOVQ R9, CX\n\tSHRQ $4, CX\n\tJEQ %s", tail)
	f.p("%s:", vector)
	f.i("VMOVUPS (R10), Z0\n\tVCMPPS $3, Z0, Z0, K2\n\tKORW K2, K0, K0")
	f.i("ADDQ $64, R10\n\tDECQ CX\n\tJNE %s", vector)
	f.p("%s:", tail)
	f.i("VMOVUPS.Z (R10), K1, Z0\n\tVCMPPS $3, Z0, Z0, K2\n\tKORW K2, K0, K0")
	f.i("ADDQ R8, SI\n\tDECQ BX\n\tJNE %s", row)
	f.i("KMOVW K0, AX\n\tTESTL AX, AX\n\tSETNE ret+32(FP)\n\tVZEROUPPER\n\tRET")
}
