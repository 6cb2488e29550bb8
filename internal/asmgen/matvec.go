package main

import "fmt"

func init() { register("internal/kernel/gemm/matvec_amd64.s", "!purego", matvecAMD64) }

// matvecAhead is how far ahead of the weights in use a line is asked for.
const matvecAhead = 4096

// matvecGen prints the products of a matrix in blocks and one vector, row after row: the
// weights are read as one stream, as fast as memory gives them, while the vector
// stays in the first-level cache.
type matvecGen struct{ *quantGen }

// open prints the head of a kernel and of its loop over rows, whose first block of weights is at R8:
// k terms, or blocks of them, count down in CX, and BX walks along x.
func (g *matvecGen) open(kind string) (row string) {
	name := "matvec" + kind + g.suffix()
	g.text(name, "func "+name+"(rows, n int, w *byte, ldw int, x, y, half, sums, tmp *float32)", 72)
	g.i("MOVQ rows+0(FP), R12")
	g.i("MOVQ w+16(FP), R8")
	g.i("MOVQ y+40(FP), DI")
	g.i("MOVQ half+48(FP), R10")
	row = g.label("row")
	return row
}

// row starts a row with n accumulators at zero.
func (g *matvecGen) row(label string, n int) {
	g.p("%s:", label)
	g.i("MOVQ R8, R9")
	g.i("MOVQ x+32(FP), BX")
	g.i("MOVQ n+8(FP), CX")
	for r := range n {
		g.zero(r)
	}
}

func (g *matvecGen) zero(r int) {
	if g.wide {
		g.i("VPXORD Z%d, Z%d, Z%d", r, r, r)
	} else {
		g.i("VXORPS Y%d, Y%d, Y%d", r, r, r)
	}
}

// close adds up n accumulators, stores the sum and goes on to the next row.
func (g *matvecGen) close(label string, n int) {
	for ; n > 1; n /= 2 {
		for r := range n / 2 {
			g.r3("VADDPS", r+n/2, r, r)
		}
	}
	if g.wide {
		g.i("VEXTRACTF64X4 $1, Z0, Y1")
		g.i("VADDPS Y1, Y0, Y0")
	}
	g.total()
	g.i("VMOVSS X0, (DI)")
	g.i("ADDQ $4, DI")
	g.i("ADDQ ldw+24(FP), R8")
	g.i("DECQ R12")
	g.i("JNE %s", label)
	g.i("VZEROUPPER")
	g.i("RET")
}

// total adds up Y0 in X0.
func (g *matvecGen) total() {
	g.i("VEXTRACTF128 $1, Y0, X1")
	g.i("VADDPS X1, X0, X0")
	g.i("VPERMILPS $0x4e, X0, X1")
	g.i("VADDPS X1, X0, X0")
	g.i("VPERMILPS $0xb1, X0, X1")
	g.i("VADDPS X1, X0, X0")
}

// ahead asks for the lines of size bytes, far enough on for memory to answer in
// time; hardware alone does not look so far behind so many instructions.
func (g *matvecGen) ahead(size int) {
	for at := 0; at < size; at += 64 {
		g.i("PREFETCHT0 %d(R9)", matvecAhead+at)
	}
}

// pairs prints a loop over the blocks of a row, two at a time, with a sum for each.
func (g *matvecGen) pairs(kind string, size, step int, setup func(), block func(i int)) {
	label := g.open(kind)
	setup()
	g.row(label, 2)
	two, last, done := g.label("two"), g.label("last"), g.label("done")
	g.i("SUBQ $2, CX")
	g.i("JLT %s", last)
	g.i("PCALIGN $32")
	g.p("%s:", two)
	g.ahead(2 * size)
	block(0)
	block(1)
	g.i("ADDQ $%d, R9", 2*size)
	g.i("ADDQ $%d, BX", 2*step)
	g.i("SUBQ $2, CX")
	g.i("JGE %s", two)
	g.p("%s:", last)
	g.i("ADDQ $2, CX")
	g.i("JE %s", done)
	block(0)
	g.p("%s:", done)
	g.close(label, 2)
}

// half loads the half-precision number at off(R9), by the table at R10: it
// costs no vector instruction.
func (g *matvecGen) half(off int) string {
	g.i("MOVWLZX %d(R9), AX", off)
	return "(R10)(AX*4)"
}

// scaled: d += s × the number at mem.
func (g *matvecGen) scaled(mem string, s, d int) {
	g.i("VBROADCASTSS %s, Y11", mem)
	g.r3("VFMADD231PS", 11, s, d)
}

// product: d = v × x, or d += v × x.
func (g *matvecGen) product(first bool, x string, v, d int) {
	op := "VFMADD231PS"
	if first {
		op = "VMULPS"
	}
	g.i("%s %s, %s, %s", op, x, g.r(v), g.r(d))
}

func (g *matvecGen) q80() {
	const size = 34
	g.pairs("Q80", size, 128, func() {}, func(i int) {
		const sum = 10
		for at := 0; at < 32; at += g.bytes() / 4 {
			g.widen("S", fmt.Sprintf("%d(R9)", i*size+2+at), 8)
			g.toFloat(8)
			g.product(at == 0, fmt.Sprintf("%d(BX)", 128*i+4*at), 8, sum)
		}
		g.scaled(g.half(i*size), sum, i)
	})
}

// q40 takes x as prepQ40 leaves it: with a byte's low four bits l and all of it
// b = l + 16h, (l−8)x₁ + (h−8)x₂ is l(x₁ − x₂/16) + b(x₂/16) − 8(x₁+x₂), which spares h its shift.
func (g *matvecGen) q40() {
	const size = 18
	g.pairs("Q40", size, 192, g.masks, func(i int) {
		const sum = 10
		for at := 0; at < 16; at += 8 {
			x := func(part int) string { return fmt.Sprintf("%d(BX)", 192*i+64*part+4*at) }
			g.widen("Z", fmt.Sprintf("%d(R9)", i*size+2+at), 8)
			g.low(8, 9)
			g.toFloat(8)
			if at == 0 {
				g.i("VMOVUPS %s, Y%d", x(1), sum)
			} else {
				g.i("VADDPS %s, Y%d, Y%d", x(1), sum, sum)
			}
			g.product(false, x(0), 9, sum)
			g.product(false, x(2), 8, sum)
		}
		g.scaled(g.half(i*size), sum, i)
	})
}

// low: d = the low four bits of s as a number.
func (g *matvecGen) low(s, d int) {
	g.mask(15, s, d)
	g.toFloat(d)
}

// prepQ40 prints func(dst, x *float32, blocks int): for each block of 32, 16 each of
// x₁ − x₂/16, −8(x₁+x₂) and x₂/16.
func (g *matvecGen) prepQ40() {
	name := "prepQ40" + g.suffix()
	g.text(name, "func "+name+"(dst, x *float32, blocks int)", 24)
	g.i("MOVQ dst+0(FP), DI")
	g.i("MOVQ x+8(FP), SI")
	g.i("MOVQ blocks+16(FP), CX")
	g.i("VBROADCASTSS matvecConstants<>+0(SB), %s", g.r(4))
	g.i("VBROADCASTSS matvecConstants<>+4(SB), %s", g.r(5))
	loop := g.label("block")
	g.p("%s:", loop)
	for at := 0; at < 64; at += g.bytes() {
		g.i("VMOVUPS %d(SI), %s", at, g.r(0))
		g.i("VMOVUPS %d(SI), %s", 64+at, g.r(1))
		g.r3("VADDPS", 1, 0, 2)
		g.r3("VMULPS", 5, 2, 2)
		g.r3("VMULPS", 4, 1, 1)
		g.r3("VSUBPS", 1, 0, 0)
		for i, r := range []int{0, 2, 1} {
			g.i("VMOVUPS %s, %d(DI)", g.r(r), 64*i+at)
		}
	}
	g.i("ADDQ $128, SI")
	g.i("ADDQ $192, DI")
	g.i("DECQ CX")
	g.i("JNE %s", loop)
	g.i("VZEROUPPER")
	g.i("RET")
}

// sums prints func(dst, x *float32, groups int): the sum of each 32 numbers.
func (g *matvecGen) sums() {
	name := "sums32" + g.suffix()
	g.text(name, "func "+name+"(dst, x *float32, groups int)", 24)
	g.i("MOVQ dst+0(FP), DI")
	g.i("MOVQ x+8(FP), SI")
	g.i("MOVQ groups+16(FP), CX")
	loop := g.label("group")
	g.p("%s:", loop)
	g.i("VMOVUPS (SI), Y0")
	for i := 1; i < 4; i++ {
		g.i("VADDPS %d(SI), Y0, Y0", 32*i)
	}
	g.total()
	g.i("VMOVSS X0, (DI)")
	g.i("ADDQ $128, SI")
	g.i("ADDQ $4, DI")
	g.i("DECQ CX")
	g.i("JNE %s", loop)
	g.i("VZEROUPPER")
	g.i("RET")
}

// q4K multiplies groups of 32 as they are; what the minima add is their
// product with the sums of x over the groups, at R11.
func (g *matvecGen) q4K() {
	const size = 144
	label := g.open("Q4K")
	g.i("MOVQ tmp+64(FP), R13")
	g.masks()
	g.row(label, 3)
	g.i("MOVQ sums+56(FP), R11")
	loop := g.label("block")
	g.i("PCALIGN $32")
	g.p("%s:", loop)
	g.ahead(size)
	g.scales4K(4)
	g.i("VMOVUPS Y4, (R13)")
	g.i("VMOVUPS (R11), Y6")
	g.i("VFNMADD231PS Y6, Y5, Y2")
	for q := range 4 {
		lo, hi := 10, 12
		for at := 0; at < 32; at += g.bytes() / 4 {
			x := func(i int) string { return fmt.Sprintf("%d(BX)", 256*q+128*i+4*at) }
			g.widen("Z", fmt.Sprintf("%d(R9)", 16+32*q+at), 8)
			g.i("VPSRLD $4, %s, %s", g.r(8), g.r(9))
			g.low(8, 8)
			g.toFloat(9)
			g.product(at == 0, x(0), 8, lo)
			g.product(at == 0, x(1), 9, hi)
		}
		g.scaled(fmt.Sprintf("%d(R13)", 8*q), lo, 0)
		g.scaled(fmt.Sprintf("%d(R13)", 8*q+4), hi, 1)
	}
	g.i("ADDQ $%d, R9", size)
	g.i("ADDQ $1024, BX")
	g.i("ADDQ $32, R11")
	g.i("DECQ CX")
	g.i("JNE %s", loop)
	g.r3("VADDPS", 2, 0, 0)
	g.close(label, 2)
}

// scales4K leaves the scales of a Q4_K block in Y register to, its minima in the
// next: eight each of six bits, the lower four whole, the upper in pieces.
func (g *matvecGen) scales4K(to int) {
	const six, four, two = 0x3f3f3f3f, 0x0f0f0f0f, 0x03030303
	for i := range 2 { // scales, minima
		g.i("MOVL %d(R9), AX", 4+4*i)
		g.i("MOVL 12(R9), SI")
		if i == 1 {
			g.i("SHRL $4, SI")
		}
		g.i("ANDL $%d, SI", four)
		g.i("MOVL AX, DX")
		g.i("SHRL $6, DX")
		g.i("ANDL $%d, DX", two)
		g.i("SHLL $4, DX")
		g.i("ORL DX, SI")
		g.i("SHLQ $32, SI")
		g.i("ANDL $%d, AX", six)
		g.i("ORQ SI, AX")
		g.i("VMOVQ AX, X%d", to+i)
		g.i("VPMOVZXBD X%d, Y%d", to+i, to+i)
		g.i("VCVTDQ2PS Y%d, Y%d", to+i, to+i)
		g.i("VBROADCASTSS %s, Y11", g.half(2*i))
		g.i("VMULPS Y11, Y%d, Y%d", to+i, to+i)
	}
}

func (g *matvecGen) q6K() {
	const size = 210
	label := g.open("Q6K")
	g.i("MOVQ tmp+64(FP), R13")
	g.setup6K()
	g.row(label, 4)
	loop := g.label("block")
	g.i("PCALIGN $32")
	g.p("%s:", loop)
	g.ahead(size)
	g.scales6K(6, 7)
	for h := range 2 {
		for at := 0; at < 32; at += g.bytes() / 4 {
			g.sixes(h, at, 4, func(i, v int) {
				g.product(true, fmt.Sprintf("%d(BX)", 512*h+128*i+4*at), v, v)
				g.scaled(fmt.Sprintf("%d(R13)", 32*h+8*i+at/16*4), v, i)
			})
		}
	}
	g.i("ADDQ $%d, R9", size)
	g.i("ADDQ $1024, BX")
	g.i("DECQ CX")
	g.i("JNE %s", loop)
	g.close(label, 4)
}

func (g *matvecGen) setup6K() {
	g.masks()
	g.i("VBROADCASTSS matvecConstants<>+8(SB), Y13") // −32
}

// scales6K leaves the sixteen scales of a Q6_K block at R13.
func (g *matvecGen) scales6K(d, t int) {
	g.i("VBROADCASTSS %s, %s", g.half(208), g.r(d))
	for at := 0; at < 16; at += g.bytes() / 4 {
		g.widen("S", fmt.Sprintf("%d(R9)", 192+at), t)
		g.toFloat(t)
		g.r3("VMULPS", d, t, t)
		g.i("VMOVUPS %s, %d(R13)", g.r(t), 4*at)
	}
}

// sixes hands over the four vectors of a Q6_K block that begin at number 128h +
// 32i + at. It uses three registers from in on, and 8 and 9.
func (g *matvecGen) sixes(h, at, in int, f func(i, v int)) {
	g.widen("Z", fmt.Sprintf("%d(R9)", 128+32*h+at), in)
	g.widen("Z", fmt.Sprintf("%d(R9)", 64*h+at), in+1)
	g.widen("Z", fmt.Sprintf("%d(R9)", 64*h+32+at), in+2)
	for i := range 4 {
		ql, v, hi := in+1+i%2, 8, 9
		if i < 2 {
			g.mask(15, ql, v)
			g.i("VPSLLD $%d, Y%d, Y%d", 4-2*i, in, hi)
		} else {
			g.i("VPSRLD $4, Y%d, Y%d", ql, v)
			g.i("VPSRLD $%d, Y%d, Y%d", 2*i-4, in, hi)
		}
		g.mask(48, hi, hi)
		g.r3("VPOR", hi, v, v)
		g.toFloat(v)
		g.r3("VADDPS", 13, v, v)
		f(i, v)
	}
}

// manyGen prints the products of a matrix and nx vectors: as matvecGen, with each
// weight widened and scaled once for all vectors, which lie vector register by
// vector register side by side.
type manyGen struct {
	*matvecGen
	nx int
}

// each adds v times the at-th vector register of each x to the sums of its parity.
func (g *manyGen) each(at, v int) {
	for i := range g.nx {
		g.i("VFMADD231PS %d(BX), %s, %s", (at*g.nx+i)*g.bytes(), g.r(v), g.r(at%2*g.nx+i))
	}
}

// rows prints a kernel: block, of size bytes and vecs vector registers of
// weights, hands them to each.
func (g *manyGen) rows(kind string, size, vecs int, setup, block func()) {
	name := fmt.Sprintf("matmat%s%d%s", kind, g.nx, g.suffix())
	g.text(name, "func "+name+"(rows, n int, w *byte, ldw int, x, y *float32, ldy int, half, tmp *float32)", 72)
	g.i("MOVQ rows+0(FP), R12")
	g.i("MOVQ w+16(FP), R8")
	g.i("MOVQ y+40(FP), DI")
	g.i("MOVQ half+56(FP), R10")
	g.i("MOVQ tmp+64(FP), R13")
	setup()
	row, loop := g.label("row"), g.label("block")
	g.row(row, 2*g.nx)
	g.i("PCALIGN $32")
	g.p("%s:", loop)
	g.ahead(size)
	block()
	g.i("ADDQ $%d, R9", size)
	g.i("ADDQ $%d, BX", vecs*g.nx*g.bytes())
	g.i("DECQ CX")
	g.i("JNE %s", loop)
	g.i("MOVQ DI, SI")
	g.i("MOVQ ldy+48(FP), AX")
	for i := range g.nx {
		g.r3("VADDPS", g.nx+i, i, 8)
		if g.wide {
			g.i("VEXTRACTF64X4 $1, Z8, Y9")
			g.i("VADDPS Y9, Y8, Y8")
		}
		g.i("VEXTRACTF128 $1, Y8, X9")
		g.i("VADDPS X9, X8, X8")
		g.i("VPERMILPS $0x4e, X8, X9")
		g.i("VADDPS X9, X8, X8")
		g.i("VPERMILPS $0xb1, X8, X9")
		g.i("VADDPS X9, X8, X8")
		g.i("VMOVSS X8, (SI)")
		g.i("LEAQ (SI)(AX*4), SI")
	}
	g.i("ADDQ $4, DI")
	g.i("ADDQ ldw+24(FP), R8")
	g.i("DECQ R12")
	g.i("JNE %s", row)
	g.i("VZEROUPPER")
	g.i("RET")
}

// spread: d = the number at mem in every lane.
func (g *manyGen) spread(mem string, d int) { g.i("VBROADCASTSS %s, %s", mem, g.r(d)) }

func (g *manyGen) plain(kind string) {
	size := g.bytes()
	if kind != "F32" {
		size /= 2
	}
	g.rows(kind, 2*size, 2, func() {}, func() {
		for at := range 2 {
			gemmWiden(g.file, kind, fmt.Sprintf("%d(R9)", at*size), g.r(8+at), "")
			g.each(at, 8+at)
		}
	})
}

func (g *manyGen) q80() {
	lanes := g.bytes() / 4
	g.rows("Q80", 34, 32/lanes, func() {}, func() {
		g.spread(g.half(0), 12)
		for at := range 32 / lanes {
			g.widen("S", fmt.Sprintf("%d(R9)", 2+at*lanes), 8+at%2)
			g.toFloat(8 + at%2)
			g.r3("VMULPS", 12, 8+at%2, 8+at%2)
			g.each(at, 8+at%2)
		}
	})
}

func (g *manyGen) q40() {
	lanes := g.bytes() / 4
	g.rows("Q40", 18, 32/lanes, func() {
		g.masks()
		g.spread("matvecConstants<>+4(SB)", 13)
	}, func() {
		g.spread(g.half(0), 12)
		g.r3("VMULPS", 13, 12, 11) // −8 d
		for at := range 16 / lanes {
			g.widen("Z", fmt.Sprintf("%d(R9)", 2+at*lanes), 8)
			g.i("VPSRLD $4, %s, %s", g.r(8), g.r(9))
			g.low(8, 8)
			g.toFloat(9)
			for i := range 2 {
				g.i("VFMADD213PS %s, %s, %s", g.r(11), g.r(12), g.r(8+i))
				g.each(at+i*16/lanes, 8+i)
			}
		}
	})
}

func (g *manyGen) q4K() {
	lanes := g.bytes() / 4
	g.rows("Q4K", 144, 256/lanes, g.masks, func() {
		g.scales4K(8)
		g.i("VMOVUPS Y8, (R13)")
		g.i("VMOVUPS Y9, 32(R13)")
		for q := range 4 {
			for at := range 32 / lanes {
				g.widen("Z", fmt.Sprintf("%d(R9)", 16+32*q+at*lanes), 8)
				g.i("VPSRLD $4, %s, %s", g.r(8), g.r(9))
				g.low(8, 8)
				g.toFloat(9)
				for i := range 2 {
					g.spread(fmt.Sprintf("%d(R13)", 8*q+4*i), 12)
					g.spread(fmt.Sprintf("%d(R13)", 32+8*q+4*i), 11)
					g.i("VFMSUB213PS %s, %s, %s", g.r(11), g.r(12), g.r(8+i))
					g.each((64*q+32*i)/lanes+at, 8+i)
				}
			}
		}
	})
}

func (g *manyGen) q6K() {
	lanes := g.bytes() / 4
	g.rows("Q6K", 210, 256/lanes, g.setup6K, func() {
		g.scales6K(8, 9)
		for h := range 2 {
			for at := 0; at < 32; at += lanes {
				g.sixes(h, at, 10, func(i, v int) {
					mem := fmt.Sprintf("%d(R13)", 32*h+8*i+at/16*4)
					g.spread(mem, 9)
					g.r3("VMULPS", 9, v, v)
					g.each((128*h+32*i+at)/lanes, v)
				})
			}
		}
	})
}

func matvecAMD64(f *file) {
	for _, wide := range []bool{true, false} {
		g := &matvecGen{&quantGen{&vecGen{file: f, wide: wide}}}
		for _, nx := range []int{2, 4} {
			m := &manyGen{g, nx}
			m.plain("F32")
			m.plain("BF16")
			m.plain("F16")
		}
	}
	g := &matvecGen{&quantGen{&vecGen{file: f}}}
	g.q80()
	g.q40()
	g.q4K()
	g.q6K()
	g.prepQ40()
	g.sums()
	for _, nx := range []int{2, 4} {
		m := &manyGen{g, nx}
		m.q80()
		m.q40()
		m.q4K()
		m.q6K()
	}
	f.p("// 1/16, −8, −32")
	for i, v := range []float64{1.0 / 16, -8, -32} {
		f.p("DATA matvecConstants<>+%d(SB)/4, $(%.4f)", 4*i, v)
	}
	f.p("GLOBL matvecConstants<>(SB), RODATA|NOPTR, $12")
}
