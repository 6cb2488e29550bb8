package main

func init() {
	register("internal/kernel/gemm/amx_amd64.s", "!purego", func(f *file) {
		amxPanel(f)
		amxPairs(f)
	})
}

// amxZero clears a tile.
func (f *file) amxZero(t int) { f.amxBytes(amxVEX(amxF2, 0x49, t, 0, 0, -2), "TILEZERO") }

// amxPanel prints blocks of 32 rows of w against one panel of 32 columns.
func amxPanel(f *file) {
	f.text("amxPanel", "func amxPanel(cfg *[64]byte, w *uint16, ldw, blocks int, x *uint32, steps, lo int, c *float32, first int)", 72)
	f.i("MOVQ cfg+0(FP), AX")
	f.i("MOVQ w+8(FP), SI")
	f.i("MOVQ ldw+16(FP), R8")
	f.i("MOVQ blocks+24(FP), BX")
	f.i("MOVQ c+56(FP), DX")
	f.i("MOVQ $128, R9")
	f.amxLoadConfig("AX")
	block, zero, start, step, done := f.label("block"), f.label("zero"), f.label("start"), f.label("step"), f.label("done")
	corners := func(do func(t int, base string)) { // the four tiles of c
		for t := range 4 {
			f.i("LEAQ %d(DX), R10", t/2*16*128+t%2*64)
			do(t, "R10")
		}
	}
	f.p("%s:", block)
	f.i("CMPQ first+64(FP), $0")
	f.i("JNE %s", zero)
	corners(func(t int, base string) { f.amxLoad(base, "R9", t) })
	f.i("JMP %s", start)
	f.p("%s:", zero)
	for t := range 4 {
		f.amxZero(t)
	}
	f.p("%s:", start)
	f.i("MOVQ SI, R11")
	f.i("MOVQ R8, R12")
	f.i("SHLQ $4, R12")
	f.i("ADDQ SI, R12")
	f.i("MOVQ x+32(FP), CX")
	f.i("MOVQ steps+40(FP), R13")
	f.p("%s:", step)
	f.amxLoad("R11", "R8", 4)
	f.amxLoad("R12", "R8", 5)
	dots := func(base string) {
		f.amxLoad(base, "R9", 6)
		f.i("LEAQ 64(%s), DI", base)
		f.amxLoad("DI", "R9", 7)
		for t := range 4 {
			f.amxDotBF16(6+t%2, 4+t/2, t)
		}
	}
	dots("CX")
	f.i("MOVQ lo+48(FP), AX")
	one := f.label("one")
	f.i("TESTQ AX, AX")
	f.i("JEQ %s", one)
	f.i("ADDQ CX, AX")
	dots("AX")
	f.p("%s:", one)
	f.i("ADDQ $64, R11")
	f.i("ADDQ $64, R12")
	f.i("ADDQ $2048, CX")
	f.i("DECQ R13")
	f.i("JNE %s", step)
	corners(func(t int, base string) { f.amxStore(t, base, "R9") })
	f.i("MOVQ R8, AX")
	f.i("SHLQ $5, AX")
	f.i("ADDQ AX, SI")
	f.i("ADDQ $4096, DX")
	f.i("DECQ BX")
	f.i("JNE %s", block)
	f.p("%s:", done)
	f.amxRelease()
	f.i("RET")
}

// amxPairs prints the split of rows of 32 floats, two by two, into pairs of
// bfloat16: hi the nearest, lo the nearest to the rest.
func amxPairs(f *file) {
	f.text("amxPairs", "func amxPairs(hi, lo *uint32, x *float32, pairs int)", 32)
	f.i("MOVQ hi+0(FP), DI")
	f.i("MOVQ lo+8(FP), DX")
	f.i("MOVQ x+16(FP), SI")
	f.i("MOVQ pairs+24(FP), CX")
	for _, c := range []struct {
		v uint32
		r int
	}{{0x7fff, 29}, {1, 30}, {0xffff0000, 31}} {
		f.i("MOVL $0x%x, AX", c.v)
		f.i("VPBROADCASTD AX, Z%d", c.r)
	}
	loop := f.label("pair")
	f.p("%s:", loop)
	round := func(x, d int) { // d = x rounded to bfloat16, ties to even
		f.i("VPSRLD $16, Z%d, Z8", x)
		f.i("VPANDD Z30, Z8, Z8")
		f.i("VPADDD Z29, Z8, Z8")
		f.i("VPADDD Z%d, Z8, Z8", x)
		f.i("VPANDD Z31, Z8, Z%d", d)
	}
	for v := range 2 {
		for i := range 2 { // the even and the odd row
			f.i("VMOVUPS %d(SI), Z%d", 128*i+64*v, i)
			round(i, 2+i)
			f.i("VSUBPS Z%d, Z%d, Z%d", 2+i, i, 4+i)
			round(4+i, 4+i)
		}
		for i, reg := range []string{"DI", "DX"} {
			f.i("VPSRLD $16, Z%d, Z%d", 2+2*i, 2+2*i)
			f.i("VPORD Z%d, Z%d, Z%d", 3+2*i, 2+2*i, 2+2*i)
			f.i("VMOVDQU32 Z%d, %d(%s)", 2+2*i, 64*v, reg)
		}
	}
	f.i("ADDQ $256, SI")
	f.i("ADDQ $128, DI")
	f.i("ADDQ $128, DX")
	f.i("DECQ CX")
	f.i("JNE %s", loop)
	f.i("VZEROUPPER")
	f.i("RET")
}
