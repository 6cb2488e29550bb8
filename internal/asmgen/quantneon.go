package main

import "fmt"

func init() { register("internal/kernel/gemm/quant_arm64.s", "!purego", quantARM64) }

// quantNEON prints the kernels of quantised weights for arm64. Every type has
// numbers of at most eight bits with their sign, so all is done on bytes,
// sixteen at a time, until one place widens them. Registers: 15 in 28, 48 in
// 29, and in 30 what is taken off each number.
type quantNEON struct{ *vecGen }

func (g *quantNEON) setup(minus int) {
	for i, c := range []int{15, 48, minus} {
		g.i("VMOVI $%d, V%d.B16", c, 28+i)
	}
}

func (g *quantNEON) load(addr string, r int) { g.i("FMOVQ %s, F%d", addr, r) }

// bytes3: d = a op b on bytes.
func (g *quantNEON) bytes3(op string, b, a, d int) {
	g.i("%s V%d.B16, V%d.B16, V%d.B16", op, b, a, d)
}

// shift: d = a shifted by n bits within each byte, left if n > 0.
func (g *quantNEON) shift(n, a, d int) {
	if n < 0 {
		g.i("VUSHR $%d, V%d.B16, V%d.B16", -n, a, d)
	} else {
		g.i("VSHL $%d, V%d.B16, V%d.B16", n, a, d)
	}
}

// floats widens the sixteen signed bytes of register r to four vectors of
// floats, in 24 to 27; 6 and 7 are scratch.
func (g *quantNEON) floats(r int) {
	long := func(base uint32, a, d int, form string) {
		g.i("WORD $0x%08X // "+form, base|uint32(a)<<5|uint32(d), d, a)
	}
	long(0x0F08A400, r, 6, "SSHLL V%d.8H, V%d.8B, #0")
	long(0x4F08A400, r, 7, "SSHLL2 V%d.8H, V%d.16B, #0")
	for i := range 2 {
		long(0x0F10A400, 6+i, 24+2*i, "SSHLL V%d.4S, V%d.4H, #0")
		long(0x4F10A400, 6+i, 25+2*i, "SSHLL2 V%d.4S, V%d.8H, #0")
	}
	for i := range 4 {
		g.scvtf(24+i, 24+i)
	}
}

// values widens the 32 numbers of a block at ptr, without their scale, and
// hands them over vector by vector with their place.
func (g *quantNEON) values(q4 bool, ptr string, f func(at, r int)) {
	g.load("2("+ptr+")", 4)
	if q4 {
		g.shift(-4, 4, 5)
		g.bytes3("VAND", 28, 4, 4)
		g.bytes3("VSUB", 30, 4, 4)
		g.bytes3("VSUB", 30, 5, 5)
	} else {
		g.load("18("+ptr+")", 5)
	}
	for i := range 2 {
		g.floats(4 + i)
		for j := range 4 {
			f(16*i+4*j, 24+j)
		}
	}
}

// scale: the first lane of d is the half-precision number at ptr.
func (g *quantNEON) scale(ptr string, d int) {
	g.i("MOVHU (%s), R6", ptr)
	g.i("FMOVS R6, F%d", d)
	g.i("FCVTHS F%d, F%d", d, d)
}

// all fills a register with its first lane.
func (g *quantNEON) all(r int) { g.i("VDUP V%d.S[0], V%d.S4", r, r) }

// dot4 is that of quantGen. Sums of the rows are in 0 to 3, x in 16 to 23; a
// row's block has two sums, 10 and 11.
func (g *quantNEON) dot4(name string, q4 bool, size int) {
	g.text(name, "func "+name+"(w *byte, ldw int, x *float32, blocks int, y *float32)", 40)
	g.i("MOVD w+0(FP), R8")
	g.i("MOVD ldw+8(FP), R2")
	g.i("MOVD x+16(FP), R1")
	g.i("MOVD blocks+24(FP), R3")
	g.i("MOVD y+32(FP), R0")
	rows := []string{"R8", "R9", "R10", "R11"}
	for r := range 4 {
		if r > 0 {
			g.i("ADD R2, %s, %s", rows[r-1], rows[r])
		}
		g.zero(r)
	}
	g.setup(8)
	loop := g.label("block")
	g.i("PCALIGN $16")
	g.p("%s:", loop)
	for i := range 8 {
		g.load(fmt.Sprintf("%d(R1)", 16*i), 16+i)
	}
	for r, ptr := range rows {
		g.values(q4, ptr, func(at, v int) {
			i := at / 4
			if i < 2 {
				g.r3("VMULPS", 16+i, v, 10+i)
			} else {
				g.r3("VFMADD231PS", 16+i, v, 10+i%2)
			}
		})
		g.r3("VADDPS", 11, 10, 10)
		g.scale(ptr, 12)
		gemmFMLAElem(g.file, r, 10, 12, 0)
		g.i("ADD $%d, %s", size, ptr)
	}
	g.i("ADD $128, R1")
	g.i("SUBS $1, R3")
	g.i("BNE %s", loop)
	// Each lane of 0 becomes the sum of a row's.
	gemmFADDP(g.file, 0, 0, 1)
	gemmFADDP(g.file, 2, 2, 3)
	gemmFADDP(g.file, 0, 0, 2)
	g.i("FMOVQ F0, (R0)")
	g.i("RET")
}

// small is that of quantGen.
func (g *quantNEON) small(name string, q4 bool, size int) {
	g.text(name, "func "+name+"(dst *float32, src *byte, blocks int)", 24)
	g.i("MOVD dst+0(FP), R0")
	g.i("MOVD src+8(FP), R1")
	g.i("MOVD blocks+16(FP), R3")
	g.setup(8)
	loop := g.label("block")
	g.p("%s:", loop)
	g.scale("R1", 12)
	g.all(12)
	g.values(q4, "R1", func(at, v int) {
		g.r3("VMULPS", 12, v, v)
		g.i("FMOVQ F%d, %d(R0)", v, 4*at)
	})
	g.i("ADD $%d, R1", size)
	g.i("ADD $128, R0")
	g.i("SUBS $1, R3")
	g.i("BNE %s", loop)
	g.i("RET")
}

// q4K is that of quantGen.
func (g *quantNEON) q4K() {
	g.text("dequantQ4KNEON", "func dequantQ4KNEON(dst *float32, q *byte, scale, min *float32)", 32)
	g.i("MOVD dst+0(FP), R0")
	g.i("MOVD q+8(FP), R1")
	g.i("MOVD scale+16(FP), R8")
	g.i("MOVD min+24(FP), R9")
	g.setup(0)
	g.i("MOVD $4, R3")
	loop := g.label("group")
	g.p("%s:", loop)
	for i := range 2 {
		g.i("VLD1R.P 4(R8), [V%d.S4]", i)
		g.i("VLD1R.P 4(R9), [V%d.S4]", 2+i)
	}
	for at := 0; at < 32; at += 16 {
		g.load(fmt.Sprintf("%d(R1)", at), 4)
		g.shift(-4, 4, 5)
		g.bytes3("VAND", 28, 4, 4)
		for i := range 2 {
			g.floats(4 + i)
			for j := range 4 {
				g.r3("VMULPS", i, 24+j, 24+j)
				g.r3("VSUBPS", 2+i, 24+j, 24+j)
				g.i("FMOVQ F%d, %d(R0)", 24+j, 4*(at+32*i+4*j))
			}
		}
	}
	g.i("ADD $32, R1")
	g.i("ADD $256, R0")
	g.i("SUBS $1, R3")
	g.i("BNE %s", loop)
	g.i("RET")
}

// q6K is that of quantGen.
func (g *quantNEON) q6K() {
	g.text("dequantQ6KNEON", "func dequantQ6KNEON(dst *float32, src *byte, scale *float32)", 24)
	g.i("MOVD dst+0(FP), R0")
	g.i("MOVD src+8(FP), R1")
	g.i("MOVD scale+16(FP), R8")
	g.i("ADD $128, R1, R9")
	g.setup(32)
	g.i("MOVD $2, R3")
	loop := g.label("half")
	g.p("%s:", loop)
	for at := 0; at < 32; at += 16 {
		g.load(fmt.Sprintf("%d(R9)", at), 0)
		g.load(fmt.Sprintf("%d(R1)", at), 1)
		g.load(fmt.Sprintf("%d(R1)", at+32), 2)
		for i := range 4 {
			low, high, from := 4, 5, 0
			if i < 2 {
				g.bytes3("VAND", 28, 1+i, low)
			} else {
				g.shift(-4, i-1, low)
			}
			if n := 4 - 2*i; n != 0 {
				g.shift(n, 0, high)
				from = high
			}
			g.bytes3("VAND", 29, from, high)
			g.bytes3("VORR", high, low, low)
			g.bytes3("VSUB", 30, low, low)
			g.floats(low)
			g.i("FMOVS %d(R8), F12", 4*(at/16+2*i))
			g.all(12)
			for j := range 4 {
				g.r3("VMULPS", 12, 24+j, 24+j)
				g.i("FMOVQ F%d, %d(R0)", 24+j, 4*(at+32*i+4*j))
			}
		}
	}
	g.i("ADD $64, R1")
	g.i("ADD $32, R9")
	g.i("ADD $32, R8")
	g.i("ADD $512, R0")
	g.i("SUBS $1, R3")
	g.i("BNE %s", loop)
	g.i("RET")
}

func quantARM64(f *file) {
	g := &quantNEON{&vecGen{file: f, neon: true}}
	g.dot4("dot4Q80NEON", false, 34)
	g.dot4("dot4Q40NEON", true, 18)
	g.small("dequantQ80NEON", false, 34)
	g.small("dequantQ40NEON", true, 18)
	g.q4K()
	g.q6K()
}
