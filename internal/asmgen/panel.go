package main

import "fmt"

func init() { register("internal/kernel/gemm/panel_amd64.s", "!purego", panelAMD64) }

// panelGen prints the kernels of panels: blocks of sixteen rows, whose pieces lie side by
// side (internal/kernel/gemm/panel.go has the layout), so that a lane is a row. A quad is four
// bytes of each row; VPDPBUSD multiplies it by four digits of x, which all rows share.
type panelGen struct{ *file }

// A panelFormat says where things are in a block of a panel at R8. Its groups are done in
// rounds, with R8 and DX on the weights and R13 on the scales of a round.
type panelFormat struct {
	name   string
	size   int // bytes of a block of sixteen rows
	group  int // numbers with one scale, and with one scale of x
	groups int // in a round
	rounds int // in a block
	bias   int // what is subtracted from a byte

	open  func(g *panelGen)                // leaves scales at R13, R8 and DX on the first weights
	quad  func(g *panelGen, group, at int) // Z16 = bytes 4at … 4at+3 of a group, less than 128 but for Q8_0
	scale func(g *panelGen, group int)     // Z18 = the scales of a group
	min   func(g *panelGen, group int)     // Z20 = its minima, if the format has such
	next  func(g *panelGen)                // to the next round
	close func(g *panelGen)                // R8 on the next block
}

// nibble: Z16 = four bits of each byte at off(R8).
func (g *panelGen) nibble(off int, high bool) {
	if !high {
		g.i("VPANDD %d(R8), Z30, Z16", off)
		return
	}
	g.i("VPSRLD $4, %d(R8), Z16", off)
	g.i("VPANDD Z30, Z16, Z16")
}

var panelFormats = []panelFormat{
	{name: "Q80", size: 544, group: 32, groups: 1, rounds: 1, bias: 128,
		open:  func(g *panelGen) {},
		quad:  func(g *panelGen, _, at int) { g.i("VMOVDQU32 %d(R8), Z16", 32+64*at) },
		scale: func(g *panelGen, _ int) { g.i("VCVTPH2PS (R8), Z18") },
		next:  func(g *panelGen) {},
		close: func(g *panelGen) { g.i("ADDQ $544, R8") },
	},
	{name: "Q40", size: 288, group: 32, groups: 1, rounds: 1, bias: 8,
		open:  func(g *panelGen) {},
		quad:  func(g *panelGen, _, at int) { g.nibble(32+64*(at%4), at >= 4) },
		scale: func(g *panelGen, _ int) { g.i("VCVTPH2PS (R8), Z18") },
		next:  func(g *panelGen) {},
		close: func(g *panelGen) { g.i("ADDQ $288, R8") },
	},
	{name: "Q4K", size: 2304, group: 32, groups: 2, rounds: 4,
		open:  (*panelGen).scales4K,
		quad:  func(g *panelGen, group, at int) { g.nibble(64*at, group == 1) },
		scale: func(g *panelGen, group int) { g.i("VMOVUPS %d(R13), Z18", 64*group) },
		min:   func(g *panelGen, group int) { g.i("VMOVUPS %d(R13), Z20", 512+64*group) },
		next:  func(g *panelGen) { g.i("ADDQ $512, R8\n\tADDQ $128, R13") },
		close: func(g *panelGen) {},
	},
	{name: "Q6K", size: 3360, group: 16, groups: 8, rounds: 2, bias: 32,
		open: (*panelGen).scales6K,
		quad: func(g *panelGen, group, at int) {
			i := group / 2 // of the four runs of 32 numbers in half a block
			at += group % 2 * 4
			low, high := 512*(i%2)+64*at, 64*at
			if i < 2 {
				g.i("VPSLLD $%d, %d(DX), Z16", 4-2*i, high)
				g.i("VPTERNLOGD $0xb8, %d(R8), Z30, Z16", low) // Z30 ? low : high
			} else {
				g.i("VPSRLD $4, %d(R8), Z17", low)
				if i == 2 {
					g.i("VMOVDQU32 %d(DX), Z16", high)
				} else {
					g.i("VPSRLD $2, %d(DX), Z16", high)
				}
				g.i("VPTERNLOGD $0xb8, Z17, Z30, Z16")
			}
			g.i("VPANDD Z31, Z16, Z16")
		},
		scale: func(g *panelGen, group int) { g.i("VMOVUPS %d(R13), Z18", 64*group) },
		next:  func(g *panelGen) { g.i("ADDQ $1024, R8\n\tADDQ $512, DX\n\tADDQ $512, R13") },
		close: func(g *panelGen) { g.i("ADDQ $%d, R8", 3360-2048) },
	},
}

// scales4K writes the eight scales and after them the eight minima of a block to R13, as matvecGen.scales4K.
func (g *panelGen) scales4K() {
	g.i("VCVTPH2PS (R8), Z21")
	g.i("VCVTPH2PS 32(R8), Z22")
	q := func(i int) string { return fmt.Sprintf("%d(R8)", 64+16*i) }
	for j := range 8 {
		for m := range 2 { // scale, minimum
			if j < 4 {
				g.i("VPMOVZXBD %s, Z16", q(j+4*m))
				g.i("VPANDD Z29, Z16, Z16")
			} else {
				g.i("VPMOVZXBD %s, Z16", q(j+4))
				if m == 1 {
					g.i("VPSRLD $4, Z16, Z16")
				}
				g.i("VPMOVZXBD %s, Z17", q(j-4+4*m))
				g.i("VPSRLD $2, Z17, Z17")
				g.i("VPTERNLOGD $0xe4, Z30, Z17, Z16") // the low four bits, with two above them
			}
			g.i("VCVTDQ2PS Z16, Z16")
			g.i("VMULPS Z%d, Z16, Z16", 21+m)
			g.i("VMOVUPS Z16, %d(R13)", 512*m+64*j)
		}
	}
	g.i("ADDQ $256, R8")
}

func (g *panelGen) scales6K() {
	g.i("LEAQ 2048(R8), DX")
	g.i("VCVTPH2PS 3328(R8), Z21")
	for j := range 16 {
		g.i("VPMOVSXBD %d(R8), Z16", 3072+16*j)
		g.i("VCVTDQ2PS Z16, Z16")
		g.i("VMULPS Z21, Z16, Z16")
		g.i("VMOVUPS Z16, %d(R13)", 64*j)
	}
}

// constants sets up the masks that quads need.
func (g *panelGen) constants() {
	for i, c := range []uint32{63, 0x0f0f0f0f, 0x3f3f3f3f} {
		g.i("MOVL $%d, AX", c)
		g.i("VPBROADCASTD AX, Z%d", 29+i)
	}
}

// blocks prints a loop over CX blocks; body does a group of a round, after what comes after a round.
func (g *panelGen) blocks(f *panelFormat, tmp string, body func(group int), after func()) {
	loop := g.label("block")
	g.i("PCALIGN $32")
	g.p("%s:", loop)
	for at := 0; at < f.size; at += 64 {
		g.i("PREFETCHT0 %d(R8)", matvecAhead+at)
	}
	g.i("MOVQ %s, R13", tmp)
	f.open(g)
	round := g.label("round")
	if f.rounds > 1 {
		g.i("MOVQ $%d, AX", f.rounds)
		g.p("%s:", round)
	}
	for group := range f.groups {
		body(group)
	}
	f.next(g)
	after()
	if f.rounds > 1 {
		g.i("DECQ AX")
		g.i("JNE %s", round)
	}
	f.close(g)
	g.i("DECQ CX")
	g.i("JNE %s", loop)
}

// panelX are the pointers to a group of each of up to four vectors.
var panelX = []string{"BX", "SI", "R9", "R10"}

// dots prints the products of panels and one, two or four vectors, whose digits prepare left.
// Integer sums are exact; each group's is scaled and added to float32 sums in turn.
func (g *panelGen) dots(f *panelFormat) {
	name := "panel" + f.name + "AVX512"
	g.text(name, "func "+name+"(kind, panels, blocks int, w, x *byte, ldx int, y *float32, ldy int, tmp *float32)", 72)
	g.constants()
	g.i("MOVL $0x43800000, AX") // 256
	g.i("VPBROADCASTD AX, Z28")
	g.i("MOVQ kind+0(FP), AX")
	g.i("MOVQ panels+8(FP), R12")
	g.i("MOVQ w+24(FP), R8")
	g.i("MOVQ y+48(FP), DI")
	g.i("MOVQ ldy+56(FP), R11")
	for n, nx := range []int{1, 2, 4} {
		for terms := 1; terms <= 3; terms++ {
			next := g.label("kind")
			if kind := 3*n + terms - 1; kind < 8 {
				g.i("CMPQ AX, $%d", kind)
				g.i("JNE %s", next)
			}
			g.dotsOf(f, nx, terms)
			g.p("%s:", next)
		}
	}
}

func (g *panelGen) dotsOf(f *panelFormat, nx, terms int) {
	record := terms*f.group + 4*terms + 8
	sum := func(v, t int) int { return v*terms + t } // the last term is the smallest
	panel := g.label("panel")
	g.p("%s:", panel)
	g.i("MOVQ x+32(FP), BX")
	for v := 1; v < nx; v++ {
		g.i("MOVQ %s, %s", panelX[v-1], panelX[v])
		g.i("ADDQ ldx+40(FP), %s", panelX[v])
	}
	g.i("MOVQ blocks+16(FP), CX")
	for v := range nx {
		g.i("VPXORD Z%d, Z%d, Z%d", 12+v, 12+v, 12+v)
	}
	g.blocks(f, "tmp+64(FP)", func(group int) {
		at := func(off, v int) string { return fmt.Sprintf("%d(%s)", group*record+off, panelX[v]) }
		for v := range nx {
			for t := range terms {
				g.i("VPBROADCASTD %s, Z%d", at(terms*f.group+4*t, v), sum(v, t))
			}
		}
		for quad := range f.group / 4 {
			f.quad(g, group, quad)
			for v := range nx {
				for t := range terms {
					g.i("VPDPBUSD.BCST %s, Z16, Z%d", at(t*f.group+4*quad, v), sum(v, t))
				}
			}
		}
		f.scale(g, group)
		if f.min != nil {
			f.min(g, group)
		}
		for v := range nx {
			s := sum(v, 0)
			if terms > 1 {
				g.i("VPSLLD $8, Z%d, Z%d", s, s)
				g.i("VPADDD Z%d, Z%d, Z%d", s+1, s, s)
			}
			g.i("VCVTDQ2PS Z%d, Z%d", s, s)
			if terms == 3 {
				g.i("VCVTDQ2PS Z%d, Z%d", s+2, s+2)
				g.i("VFMADD213PS Z%d, Z28, Z%d", s+2, s)
			}
			g.i("VMULPS.BCST %s, Z18, Z19", at(terms*f.group+4*terms, v))
			g.i("VFMADD231PS Z%d, Z19, Z%d", s, 12+v)
			if f.min != nil {
				g.i("VFNMADD231PS.BCST %s, Z20, Z%d", at(terms*f.group+4*terms+4, v), 12+v)
			}
		}
	}, func() {
		for v := range nx {
			g.i("ADDQ $%d, %s", f.groups*record, panelX[v])
		}
	})
	g.i("MOVQ DI, BX")
	for v := range nx {
		g.i("VMOVUPS Z%d, (BX)", 12+v)
		if v+1 < nx {
			g.i("ADDQ R11, BX")
		}
	}
	g.i("ADDQ $64, DI")
	g.i("DECQ R12")
	g.i("JNE %s", panel)
	g.i("VZEROUPPER")
	g.i("RET")
}

// widen prints func(dst *float32, ld, blocks int, w *byte, tmp *float32): the numbers of a
// panel, a row of sixteen for each term, ld bytes apart, bit for bit as ggml has them.
func (g *panelGen) widen(f *panelFormat) {
	name := "panelWiden" + f.name + "AVX512"
	g.text(name, "func "+name+"(dst *float32, ld, blocks int, w *byte, tmp *float32)", 40)
	g.constants()
	g.i("MOVL $%d, AX", f.bias*0x01010101)
	g.i("VPBROADCASTD AX, Z28")
	g.i("MOVQ dst+0(FP), DI")
	g.i("MOVQ ld+8(FP), SI")
	g.i("MOVQ blocks+16(FP), CX")
	g.i("MOVQ w+24(FP), R8")
	g.blocks(f, "tmp+32(FP)", func(group int) {
		f.scale(g, group)
		if f.min != nil {
			f.min(g, group)
		}
		for quad := range f.group / 4 {
			f.quad(g, group, quad)
			if f.bias > 0 {
				g.i("VPSUBB Z28, Z16, Z16")
			}
			for j := range 4 {
				r := 24 + j
				if j < 3 {
					g.i("VPSLLD $%d, Z16, Z%d", 24-8*j, r)
					g.i("VPSRAD $24, Z%d, Z%d", r, r)
				} else {
					g.i("VPSRAD $24, Z16, Z%d", r)
				}
				g.i("VCVTDQ2PS Z%d, Z%d", r, r)
				g.i("VMULPS Z18, Z%d, Z%d", r, r)
				if f.min != nil {
					g.i("VSUBPS Z20, Z%d, Z%d", r, r)
				}
				g.i("VMOVUPS Z%d, (DI)", r)
				g.i("ADDQ SI, DI")
			}
		}
	}, func() {})
	g.i("VZEROUPPER")
	g.i("RET")
}

// digits prints func(terms int, dst *byte, x *float32, groups, bias int) bool: groups of x as integers, a
// number being a sum of terms digits −128 … 127 of base 256. For each group: the digits, term by
// term; −bias times the sum of each term's; the scale; the sum of the group as a float. It
// reports whether all of x could be taken: nothing infinite, no group so small that its scale is none.
func (g *panelGen) digits(group int) {
	name := fmt.Sprintf("panelDigits%dAVX512", group)
	g.text(name, "func "+name+"(terms int, dst *byte, x *float32, groups, bias int) bool", 41)
	g.i("MOVQ terms+0(FP), AX")
	g.i("MOVQ dst+8(FP), DI")
	g.i("MOVQ x+16(FP), SI")
	g.i("MOVQ groups+24(FP), CX")
	g.i("MOVQ bias+32(FP), R8")
	g.i("NEGQ R8")
	g.i("XORL R9, R9")                                                    // the largest of the groups' largest
	g.i("MOVL $-1, R10")                                                  // the smallest but for zeros, less one
	for i, c := range []uint32{0x7fffffff, 0x01010101, 128, 0x0d800000} { // the last is 2⁻¹⁰⁰
		g.i("MOVL $%d, DX", c)
		g.i("VPBROADCASTD DX, Z%d", 31-i)
	}
	done := g.label("done")
	for terms := 1; terms <= 3; terms++ {
		next := g.label("terms")
		if terms < 3 {
			g.i("CMPQ AX, $%d", terms)
			g.i("JNE %s", next)
		}
		g.digitsOf(group, terms)
		if terms < 3 {
			g.i("JMP %s", done)
			g.p("%s:", next)
		}
	}
	g.p("%s:", done)
	g.i("CMPL R9, $0x7f800000")
	g.i("SETCS AX")
	g.i("CMPL R10, $0x0d7fffff") // 2⁻¹⁰⁰ less one
	g.i("SETCC DX")
	g.i("ANDB DX, AX")
	g.i("MOVB AX, ret+40(FP)")
	g.i("VZEROUPPER")
	g.i("RET")
}

func (g *panelGen) digitsOf(group, terms int) {
	most := [...]uint32{127, 127 << 8, 127 << 16}[terms-1]
	g.i("MOVL $%d, DX", most)
	g.i("VMOVD DX, X24")
	g.i("VCVTDQ2PS X24, X24")
	loop := g.label("group")
	g.p("%s:", loop)
	vecs := group / 16
	for v := range vecs {
		g.i("VMOVUPS %d(SI), Z%d", 64*v, v)
	}
	// The largest size, compared as integers: nothing is lost to a NaN.
	g.i("VPANDD Z31, Z0, Z2")
	if vecs == 2 {
		g.i("VPANDD Z31, Z1, Z3")
		g.i("VPMAXUD Z3, Z2, Z2")
	}
	g.i("VEXTRACTI64X4 $1, Z2, Y3")
	g.i("VPMAXUD Y3, Y2, Y2")
	g.fold("VPMAXUD", 2, 8)
	g.i("VMOVD X2, AX")
	g.i("CMPL AX, R9")
	g.i("CMOVLHI AX, R9")
	g.i("DECL AX")
	g.i("CMPL AX, R10")
	g.i("CMOVLCS AX, R10")
	g.i("VMAXSS X28, X2, X2")
	g.i("VDIVSS X2, X24, X3")
	g.i("VDIVSS X24, X2, X2")
	g.i("VMOVSS X2, %d(DI)", terms*group+4*terms)
	g.i("VBROADCASTSS X3, Z3")
	for v := range vecs {
		g.i("VMULPS Z3, Z%d, Z%d", v, v)
		g.i("VCVTPS2DQ Z%d, Z%d", v, v)
	}
	g.i("XORL R11, R11") // the sum
	scale := 1
	for t := terms - 1; t >= 0; t-- {
		for v := range vecs {
			g.i("VPMOVDB Z%d, X%d", v, 4+v)
			if t > 0 {
				g.i("VPADDD Z29, Z%d, Z%d", v, v)
				g.i("VPSRAD $8, Z%d, Z%d", v, v)
			}
		}
		r := "X"
		if vecs == 2 {
			r = "Y"
			g.i("VINSERTI128 $1, X5, Y4, Y4")
		}
		g.i("VMOVDQU %s4, %d(DI)", r, t*group)
		g.i("VPXOR X6, X6, X6")
		g.i("VPDPBUSD %s4, %s30, %s6", r, r, r)
		g.fold("VPADDD", 6, 4*vecs)
		g.i("VMOVD X6, AX")
		g.i("IMUL3L $%d, AX, DX", scale)
		g.i("ADDL DX, R11")
		g.i("IMULL R8, AX")
		g.i("MOVL AX, %d(DI)", terms*group+4*t)
		scale *= 256
	}
	g.i("VCVTSI2SSL R11, X6, X6")
	g.i("VMULSS X2, X6, X6")
	g.i("VMOVSS X6, %d(DI)", terms*group+4*terms+4)
	g.i("ADDQ $%d, SI", 64*vecs)
	g.i("ADDQ $%d, DI", terms*group+4*terms+8)
	g.i("DECQ CX")
	g.i("JNE %s", loop)
}

// fold leaves op of so many integers of register r, 4 or 8, in its first; the next register is scratch.
func (g *panelGen) fold(op string, r, integers int) {
	if integers == 8 {
		g.i("VEXTRACTI128 $1, Y%d, X%d", r, r+1)
		g.i("%s X%d, X%d, X%d", op, r+1, r, r)
	}
	for _, p := range []string{"0x4e", "0xb1"} {
		g.i("VPSHUFD $%s, X%d, X%d", p, r, r+1)
		g.i("%s X%d, X%d, X%d", op, r+1, r, r)
	}
}

func panelAMD64(f *file) {
	g := &panelGen{f}
	g.digits(16)
	g.digits(32)
	for i := range panelFormats {
		g.dots(&panelFormats[i])
		g.widen(&panelFormats[i])
	}
}
