package main

import "fmt"

// The FFT family: in-place butterflies over split planes, rows of channels.
//
// A block is r streams of n floats, stride floats apart, in a real and an
// imaginary plane. A butterfly's twiddles are the same for a whole block, so
// they are broadcast once and the inner loop is flat: no shuffles, and any
// number of channels. See internal/kernel/fft for the mathematics.

func init() {
	register("internal/kernel/fft/fft_amd64.s", "!purego", func(f *file) {
		for _, isa := range []string{"AVX512", "AVX2"} {
			fftFamily(&fftGen{file: f, isa: isa})
		}
	})
	register("internal/kernel/fft/fft_arm64.s", "!purego", func(f *file) {
		fftFamily(&fftGen{file: f, isa: "NEON"})
	})
}

// fftGen prints vector code for one instruction set, with a pool of vector
// registers. In a tail it prints the same arithmetic on part of a vector.
type fftGen struct {
	*file
	isa  string
	tail bool
	free []int
}

func (g *fftGen) neon() bool { return g.isa == "NEON" }

// width is a vector in bytes.
func (g *fftGen) width() int { return map[string]int{"AVX512": 64, "AVX2": 32, "NEON": 16}[g.isa] }

func (g *fftGen) pool() {
	n := 32
	if g.isa == "AVX2" {
		n = 16
	}
	g.free = g.free[:0]
	for i := n - 1; i >= 0; i-- {
		g.free = append(g.free, i)
	}
}

func (g *fftGen) alloc() int {
	r := g.free[len(g.free)-1]
	g.free = g.free[:len(g.free)-1]
	return r
}

func (g *fftGen) release(rs ...int) { g.free = append(g.free, rs...) }

func (g *fftGen) reg(r int) string {
	return fmt.Sprintf("%s%d", map[string]string{"AVX512": "Z", "AVX2": "Y", "NEON": "V"}[g.isa], r)
}

// load fills register r from addr, an address expression (a pointer register for NEON).
func (g *fftGen) load(r int, addr string) {
	switch {
	case g.neon() && g.tail:
		g.i("FMOVS %s, F%d", addr, r)
	case g.neon():
		g.i("FMOVQ %s, F%d", addr, r)
	case g.isa == "AVX512" && g.tail:
		g.i("VMOVUPS.Z %s, K1, Z%d", addr, r)
	case g.tail:
		g.i("VMOVSS %s, X%d", addr, r)
	default:
		g.i("VMOVUPS %s, %s", addr, g.reg(r))
	}
}

func (g *fftGen) store(r int, addr string) {
	switch {
	case g.neon() && g.tail:
		g.i("FMOVS F%d, %s", r, addr)
	case g.neon():
		g.i("FMOVQ F%d, %s", r, addr)
	case g.isa == "AVX512" && g.tail:
		g.i("VMOVUPS Z%d, K1, %s", r, addr)
	case g.tail:
		g.i("VMOVSS X%d, %s", r, addr)
	default:
		g.i("VMOVUPS %s, %s", g.reg(r), addr)
	}
}

// three prints d = a op b. The Go assembler has no vector float arithmetic
// for arm64 but FMLA and FMLS, so those are encoded (Arm ARM C7.2, .4S forms).
func (g *fftGen) three(x86 string, word uint32, neonName string, d, a, b int) {
	if g.neon() {
		g.i("WORD $0x%08x // %s V%d.4S, V%d.4S, V%d.4S", word|uint32(b)<<16|uint32(a)<<5|uint32(d), neonName, d, a, b)
		return
	}
	g.i("%s %s, %s, %s", x86, g.reg(b), g.reg(a), g.reg(d))
}

func (g *fftGen) add(d, a, b int)  { g.three("VADDPS", 0x4e20d400, "FADD", d, a, b) }
func (g *fftGen) sub(d, a, b int)  { g.three("VSUBPS", 0x4ea0d400, "FSUB", d, a, b) }
func (g *fftGen) mul(d, a, b int)  { g.three("VMULPS", 0x6e20dc00, "FMUL", d, a, b) }
func (g *fftGen) fma(d, a, b int)  { g.three("VFMADD231PS", 0x4e20cc00, "FMLA", d, a, b) }
func (g *fftGen) fnma(d, a, b int) { g.three("VFNMADD231PS", 0x4ea0cc00, "FMLS", d, a, b) }

func (g *fftGen) zero(r int) {
	if g.neon() {
		g.i("VEOR V%d.B16, V%d.B16, V%d.B16", r, r, r)
		return
	}
	g.i("VXORPS %s, %s, %s", g.reg(r), g.reg(r), g.reg(r))
}

// bcast fills r with the float at ptr+off; NEON has no offset, so it moves ptr on.
func (g *fftGen) bcast(r int, ptr string, off int) {
	if g.neon() {
		g.i("VLD1R.P 4(%s), [V%d.S4]", ptr, r)
		return
	}
	g.i("VBROADCASTSS %d(%s), %s", off, ptr, g.reg(r))
}

// mask sets K1 for the last n mod 16 floats; BX is clobbered.
func (g *fftGen) mask(n string) {
	if g.isa != "AVX512" {
		return
	}
	g.i("MOVQ %s, R15", n)
	g.i("ANDQ $15, R15")
	g.i("MOVL $-1, BX")
	g.i("SHLXL R15, BX, BX")
	g.i("NOTL BX")
	g.i("KMOVW BX, K1")
}

// each prints body for n floats (register n is kept, cnt is clobbered): whole
// vectors and then the tail. body's pointers must be moved on by what step
// prints, given the bytes ("" for nothing to do, as in NEON's post-increments).
func (g *fftGen) each(n, cnt string, body func(), ptrs ...string) {
	loop, tail, tl, done := g.label("vec"), g.label("tail"), g.label("one"), g.label("done")
	w := g.width() / 4
	saved := append([]int(nil), g.free...)
	move := func(by string) {
		for _, p := range ptrs {
			if g.neon() {
				g.i("ADD %s, %s", by, p)
			} else {
				g.i("ADDQ %s, %s", by, p)
			}
		}
	}
	if g.neon() {
		g.i("SUBS $%d, %s, %s", w, n, cnt)
		g.i("BLT %s", tail)
		g.p("%s:", loop)
		body()
		move(fmt.Sprintf("$%d", g.width()))
		g.i("SUBS $%d, %s", w, cnt)
		g.i("BGE %s", loop)
		g.p("%s:", tail)
		g.i("ADDS $%d, %s", w, cnt)
		g.i("BEQ %s", done)
	} else {
		g.i("MOVQ %s, %s", n, cnt)
		g.i("SUBQ $%d, %s", w, cnt)
		g.i("JLT %s", tail)
		g.i("PCALIGN $32")
		g.p("%s:", loop)
		body()
		move(fmt.Sprintf("$%d", g.width()))
		g.i("SUBQ $%d, %s", w, cnt)
		g.i("JGE %s", loop)
		g.p("%s:", tail)
		g.i("ADDQ $%d, %s", w, cnt)
		g.i("JEQ %s", done)
	}
	g.free = append(g.free[:0], saved...)
	g.tail = true
	if g.isa == "AVX512" {
		body()
		g.i("SHLQ $2, %s", cnt)
		move(cnt)
	} else {
		g.p("%s:", tl)
		body()
		move("$4")
		if g.neon() {
			g.i("SUBS $1, %s", cnt)
			g.i("BNE %s", tl)
		} else {
			g.i("DECQ %s", cnt)
			g.i("JNZ %s", tl)
		}
	}
	g.tail = false
	g.free = append(g.free[:0], saved...)
	g.p("%s:", done)
}

func (g *fftGen) ret() {
	if !g.neon() {
		g.i("VZEROUPPER")
	}
	g.i("RET")
}

// args loads the arguments, all 8 bytes wide, into registers.
func (g *fftGen) args(names []string, regs []string) {
	op := "MOVQ"
	if g.neon() {
		op = "MOVD"
	}
	for i, n := range names {
		g.i("%s %s+%d(FP), %s", op, n, 8*i, regs[i])
	}
}

type fftC struct{ re, im int }

// cmul is x·w, or x·conj(w), in new registers; x's are released.
func (g *fftGen) cmul(x, w fftC, conj bool) fftC {
	a := g.alloc()
	g.mul(a, x.re, w.re)
	if conj {
		g.fma(a, x.im, w.im)
	} else {
		g.fnma(a, x.im, w.im)
	}
	b := g.alloc()
	g.mul(b, x.im, w.re)
	if conj {
		g.fnma(b, x.re, w.im)
	} else {
		g.fma(b, x.re, w.im)
	}
	g.release(x.re, x.im)
	return fftC{a, b}
}

// addsub is a+b and a−b; a and b are released.
func (g *fftGen) addsub(a, b fftC) (s, d fftC) {
	s.re = g.alloc()
	g.add(s.re, a.re, b.re)
	g.sub(a.re, a.re, b.re)
	g.release(b.re)
	s.im = g.alloc()
	g.add(s.im, a.im, b.im)
	g.sub(a.im, a.im, b.im)
	g.release(b.im)
	return s, a
}

// addsubI is a−ib and a+ib.
func (g *fftGen) addsubI(a, b fftC) (m, p fftC) {
	m.re = g.alloc()
	g.add(m.re, a.re, b.im)
	g.sub(a.re, a.re, b.im)
	g.release(b.im)
	m.im = g.alloc()
	g.sub(m.im, a.im, b.re)
	g.add(a.im, a.im, b.re)
	g.release(b.re)
	return m, a
}

func (g *fftGen) fwd2(x []fftC, t fftC) {
	x[0], x[1] = g.addsub(x[0], g.cmul(x[1], t, false))
}

func (g *fftGen) inv2(x []fftC, t fftC) {
	s, d := g.addsub(x[0], x[1])
	x[0], x[1] = s, g.cmul(d, t, true)
}

func (g *fftGen) fwd4(x []fftC, t [3]fftC) {
	for j := 1; j < 4; j++ {
		x[j] = g.cmul(x[j], t[j-1], false)
	}
	s, d := g.addsub(x[0], x[2])
	u, v := g.addsub(x[1], x[3])
	x[0], x[1] = g.addsub(s, u)
	x[2], x[3] = g.addsubI(d, v)
}

func (g *fftGen) inv4(x []fftC, t [3]fftC) {
	s, u := g.addsub(x[0], x[1])
	d, e := g.addsub(x[2], x[3]) // e = −2iv, so 2v = ie
	x0, x2 := g.addsub(s, d)
	x3, x1 := g.addsubI(u, e) // u−ie, u+ie
	x[0] = x0
	x[1] = g.cmul(x1, t[0], true)
	x[2] = g.cmul(x2, t[1], true)
	x[3] = g.cmul(x3, t[2], true)
}

// butterfly prints a kernel of radix r.
func (g *fftGen) butterfly(name string, r int, inverse bool) {
	g.pool()
	names := []string{"blocks", "n", "stride", "re", "im", "tw"}
	decl := "tw *float32"
	if r == 8 {
		names[5] = "t2"
		names = append(names, "t4")
		decl = "t2, t4 *float32"
	}
	g.text(name+g.isa, fmt.Sprintf("func %s%s(blocks, n, stride int, re, im, %s)", name, g.isa, decl), 8*len(names))
	var addr [2][]string // of stream j in each plane
	var blocks, n, cnt, tw, t4 string
	var blockEnd func()
	var ptrs []string
	if g.neon() {
		blocks, n, cnt, tw, t4 = "R19", "R20", "R21", "R22", "R23"
		g.args(names, []string{blocks, n, "R24", "R0", "R8", tw, t4})
		g.i("LSL $2, R24")
		for p, base := range []int{0, 8} {
			for j := range r {
				if j > 0 {
					g.i("ADD R24, R%d, R%d", base+j-1, base+j)
				}
				addr[p] = append(addr[p], fmt.Sprintf("R%d", base+j))
			}
		}
		g.i("MOVD $%d, R25", r)
		g.i("MUL R24, R25, R25")
		g.i("SUB R20<<2, R25") // to the next block, from where the post-increments end
		blockEnd = func() {
			for p := range addr {
				for _, a := range addr[p] {
					g.i("ADD R25, %s", a)
				}
			}
		}
	} else {
		blocks, n, cnt, tw, t4 = "CX", "DX", "BX", "AX", "R15"
		g.args(names[:6], []string{blocks, n, "R9", "SI", "DI", tw})
		g.mask(n)
		if r == 8 {
			g.i("MOVQ t4+48(FP), R15")
		}
		g.i("SHLQ $2, R9")
		off := []string{"", "(R9*1)", "(R9*2)", "(R12*1)", "(R9*4)", "(R10*1)", "(R12*2)", "(R11*1)"}
		if r >= 4 {
			g.i("LEAQ (R9)(R9*2), R12")
		}
		if r == 8 {
			g.i("LEAQ (R9)(R9*4), R10")
			g.i("LEAQ (R12)(R9*4), R11")
		}
		for j := range r {
			addr[0] = append(addr[0], "(SI)"+off[j])
			addr[1] = append(addr[1], "(DI)"+off[j])
		}
		g.i("MOVQ R9, R8")
		g.i("SHLQ $%d, R8", map[int]int{2: 1, 4: 2, 8: 3}[r])
		g.i("LEAQ (DX*4), R13")
		g.i("SUBQ R13, R8")
		ptrs = []string{"SI", "DI"}
		blockEnd = func() { g.i("ADDQ R8, SI"); g.i("ADDQ R8, DI") }
	}
	top := g.label("block")
	g.p("%s:", top)
	twiddles := func(ptr string, k int) []fftC {
		out := make([]fftC, k)
		for i := range out {
			out[i] = fftC{g.alloc(), g.alloc()}
			g.bcast(out[i].re, ptr, 8*i)
			g.bcast(out[i].im, ptr, 8*i+4)
		}
		return out
	}
	var t []fftC
	switch r {
	case 2, 4:
		t = twiddles(tw, r-1)
	case 8:
		t = append(twiddles(tw, 1), twiddles(t4, 6)...)
	}
	body := func() {
		x := make([]fftC, r)
		for j := range x {
			x[j] = fftC{g.alloc(), g.alloc()}
			at := addr
			if g.neon() {
				g.load(x[j].re, "("+at[0][j]+")")
				g.load(x[j].im, "("+at[1][j]+")")
			} else {
				g.load(x[j].re, at[0][j])
				g.load(x[j].im, at[1][j])
			}
		}
		switch {
		case r == 2 && !inverse:
			g.fwd2(x, t[0])
		case r == 2:
			g.inv2(x, t[0])
		case r == 4 && !inverse:
			g.fwd4(x, [3]fftC(t))
		case r == 4:
			g.inv4(x, [3]fftC(t))
		case r == 8 && !inverse:
			for j := range 4 {
				p := []fftC{x[j], x[j+4]}
				g.fwd2(p, t[0])
				x[j], x[j+4] = p[0], p[1]
			}
			g.fwd4(x[:4], [3]fftC(t[1:4]))
			g.fwd4(x[4:], [3]fftC(t[4:]))
		case r == 8:
			g.inv4(x[:4], [3]fftC(t[1:4]))
			g.inv4(x[4:], [3]fftC(t[4:]))
			for j := range 4 {
				p := []fftC{x[j], x[j+4]}
				g.inv2(p, t[0])
				x[j], x[j+4] = p[0], p[1]
			}
		}
		for j := range x {
			for p, v := range []int{x[j].re, x[j].im} {
				switch {
				case g.neon() && g.tail:
					g.i("FMOVS.P F%d, 4(%s)", v, addr[p][j])
				case g.neon():
					g.i("FMOVQ.P F%d, 16(%s)", v, addr[p][j])
				default:
					g.store(v, addr[p][j])
				}
			}
			g.release(x[j].re, x[j].im)
		}
	}
	g.each(n, cnt, body, ptrs...)
	blockEnd()
	if g.neon() { // the broadcasts have moved tw and t4 on
		g.i("SUBS $1, %s", blocks)
		g.i("BNE %s", top)
	} else {
		if r == 8 {
			g.i("ADDQ $8, AX")
			g.i("ADDQ $48, R15")
		} else {
			g.i("ADDQ $%d, AX", 8*(r-1))
		}
		g.i("DECQ %s", blocks)
		g.i("JNZ %s", top)
	}
	g.ret()
}

// spectrum prints the pointwise products: dst = dst·a, dst·conj(a), and dst += a·conj(b).
func (g *fftGen) spectrum(name string, kind int) {
	g.pool()
	names := []string{"n", "dr", "di", "ar", "ai"}
	decl := "dr, di, ar, ai *float32"
	if kind == 2 {
		names = append(names, "br", "bi")
		decl = "dr, di, ar, ai, br, bi *float32"
	}
	g.text(name+g.isa, fmt.Sprintf("func %s%s(n int, %s)", name, g.isa, decl), 8*len(names))
	regs := []string{"DX", "SI", "DI", "R8", "R9", "R10", "R11"}
	cnt := "CX"
	if g.neon() {
		regs = []string{"R0", "R1", "R2", "R3", "R4", "R5", "R6"}
		cnt = "R7"
	}
	g.args(names, regs)
	g.mask(regs[0])
	at := func(i int) string { return "(" + regs[i] + ")" }
	ld := func(i int) fftC {
		c := fftC{g.alloc(), g.alloc()}
		g.load(c.re, at(i))
		g.load(c.im, at(i+1))
		return c
	}
	g.each(regs[0], cnt, func() {
		var d fftC
		if kind < 2 {
			d = g.cmul(ld(1), ld(3), kind == 1)
		} else {
			d = ld(1)
			a, b := ld(3), ld(5)
			g.fma(d.re, a.re, b.re)
			g.fma(d.re, a.im, b.im)
			g.fma(d.im, a.im, b.re)
			g.fnma(d.im, a.re, b.im)
		}
		g.store(d.re, at(1))
		g.store(d.im, at(2))
	}, regs[1:len(names)]...)
	g.ret()
}

// rows prints a copy of rows: plain, added to what is there, or gathered by an index and scaled.
func (g *fftGen) rows(name string, gather, add bool) {
	g.pool()
	names := []string{"rows", "lanes", "dst", "ds", "src", "ss"}
	decl := "rows, lanes int, dst *float32, ds int, src *float32, ss int"
	if gather {
		names = append(names, "idx", "scale")
		decl += ", idx *int32, scale *float32"
	}
	g.text(name+g.isa, fmt.Sprintf("func %s%s(%s)", name, g.isa, decl), 8*len(names))
	if g.neon() {
		g.args(names, []string{"R0", "R1", "R2", "R3", "R4", "R5", "R6", "R7"})
		g.i("LSL $2, R3")
		g.i("LSL $2, R5")
	} else {
		g.args(names, []string{"CX", "DX", "DI", "R8", "SI", "R9", "R10", "R11"})
		g.mask("DX")
		g.i("SHLQ $2, R8")
		g.i("SHLQ $2, R9")
	}
	scale := 0
	if gather {
		scale = g.alloc()
		if g.neon() {
			g.bcast(scale, "R7", 0)
		} else {
			g.bcast(scale, "R11", 0)
		}
	}
	top := g.label("row")
	g.p("%s:", top)
	src, dst := "R12", "R13"
	if g.neon() {
		src, dst = "R10", "R11"
		if gather {
			g.i("MOVW.P 4(R6), R12")
			g.i("MUL R5, R12, R12")
			g.i("ADD R12, R4, R10")
		} else {
			g.i("MOVD R4, R10")
			g.i("ADD R5, R4")
		}
		g.i("MOVD R2, R11")
		g.i("ADD R3, R2")
	} else {
		if gather {
			g.i("MOVLQSX (R10), R12")
			g.i("ADDQ $4, R10")
			g.i("IMULQ R9, R12")
			g.i("ADDQ SI, R12")
		} else {
			g.i("MOVQ SI, R12")
			g.i("ADDQ R9, SI")
		}
		g.i("MOVQ DI, R13")
		g.i("ADDQ R8, DI")
	}
	n, cnt := "DX", "BX"
	if g.neon() {
		n, cnt = "R1", "R9"
	}
	g.each(n, cnt, func() {
		v := g.alloc()
		g.load(v, "("+src+")")
		if gather {
			g.mul(v, v, scale)
		}
		if add {
			w := g.alloc()
			g.load(w, "("+dst+")")
			g.add(v, v, w)
		}
		g.store(v, "("+dst+")")
	}, src, dst)
	if g.neon() {
		g.i("SUBS $1, R0")
		g.i("BNE %s", top)
	} else {
		g.i("DECQ CX")
		g.i("JNZ %s", top)
	}
	g.ret()
}

// dotRows prints y[c] += Σ_i a[i·as+c]·b[i·bs+c], four vectors of channels at a time.
// products prints dst[i·ds+c] = a[i·as+c]·b[i·bs+c], or +=.
func (g *fftGen) products(name string, add bool) {
	g.pool()
	names := []string{"rows", "lanes", "dst", "ds", "a", "as", "b", "bs"}
	g.text(name+g.isa, fmt.Sprintf("func %s%s(rows, lanes int, dst *float32, ds int, a *float32, as int, b *float32, bs int)", name, g.isa), 8*len(names))
	from, step, at := []string{"DI", "SI", "R10"}, []string{"R8", "R9", "R11"}, []string{"R12", "R13", "R15"}
	rows, n, cnt, move := "CX", "DX", "BX", "MOVQ"
	if g.neon() {
		from, step, at = []string{"R2", "R4", "R6"}, []string{"R3", "R5", "R7"}, []string{"R10", "R11", "R12"}
		rows, n, cnt, move = "R0", "R1", "R9", "MOVD"
	}
	g.args(names, []string{rows, n, from[0], step[0], from[1], step[1], from[2], step[2]})
	if !g.neon() {
		g.mask(n)
	}
	for _, s := range step {
		if g.neon() {
			g.i("LSL $2, %s", s)
		} else {
			g.i("SHLQ $2, %s", s)
		}
	}
	top := g.label("row")
	g.p("%s:", top)
	for i := range from {
		g.i("%s %s, %s", move, from[i], at[i])
		if g.neon() {
			g.i("ADD %s, %s", step[i], from[i])
		} else {
			g.i("ADDQ %s, %s", step[i], from[i])
		}
	}
	g.each(n, cnt, func() {
		v, w := g.alloc(), g.alloc()
		g.load(v, "("+at[1]+")")
		g.load(w, "("+at[2]+")")
		if add {
			d := g.alloc()
			g.load(d, "("+at[0]+")")
			g.fma(d, v, w)
			v = d
		} else {
			g.mul(v, v, w)
		}
		g.store(v, "("+at[0]+")")
	}, at...)
	if g.neon() {
		g.i("SUBS $1, %s", rows)
		g.i("BNE %s", top)
	} else {
		g.i("DECQ %s", rows)
		g.i("JNZ %s", top)
	}
	g.ret()
}

func (g *fftGen) dotRows() {
	g.pool()
	g.text("dotRows"+g.isa, fmt.Sprintf("func dotRows%s(lanes, count int, y, a *float32, as int, b *float32, bs int)", g.isa), 56)
	names := []string{"lanes", "count", "y", "a", "as", "b", "bs"}
	lanes, count, y, a, b, pa, pb, cnt := "DX", "CX", "DI", "SI", "R10", "R12", "R13", "BX"
	if g.neon() {
		lanes, count, y, a, b, pa, pb, cnt = "R0", "R1", "R2", "R3", "R5", "R7", "R8", "R9"
		g.args(names, []string{"R0", "R1", "R2", "R3", "R4", "R5", "R6"})
		g.i("LSL $2, R4")
		g.i("LSL $2, R6")
	} else {
		g.args(names, []string{"DX", "CX", "DI", "SI", "R9", "R10", "R11"})
		g.mask("DX")
		g.i("SHLQ $2, R9")
		g.i("SHLQ $2, R11")
	}
	w := g.width()
	chunk := func(k int) {
		off := func(p string, i int) string { return fmt.Sprintf("%d(%s)", i*w, p) }
		acc := make([]int, k)
		for i := range acc {
			acc[i] = g.alloc()
			g.load(acc[i], off(y, i))
		}
		va, vb := g.alloc(), g.alloc()
		top := g.label("taps")
		if g.neon() {
			g.i("MOVD %s, %s", a, pa)
			g.i("MOVD %s, %s", b, pb)
			g.i("MOVD %s, R10", count)
		} else {
			g.i("MOVQ %s, %s", a, pa)
			g.i("MOVQ %s, %s", b, pb)
			g.i("MOVQ %s, R8", count)
		}
		g.p("%s:", top)
		for i := range acc {
			g.load(va, off(pa, i))
			if !g.neon() && !g.tail {
				g.i("VFMADD231PS %s, %s, %s", off(pb, i), g.reg(va), g.reg(acc[i]))
				continue
			}
			g.load(vb, off(pb, i))
			g.fma(acc[i], va, vb)
		}
		if g.neon() {
			g.i("ADD R4, %s", pa)
			g.i("ADD R6, %s", pb)
			g.i("SUBS $1, R10")
			g.i("BNE %s", top)
		} else {
			g.i("ADDQ R9, %s", pa)
			g.i("ADDQ R11, %s", pb)
			g.i("DECQ R8")
			g.i("JNZ %s", top)
		}
		for i := range acc {
			g.store(acc[i], off(y, i))
		}
		g.release(va, vb)
		g.release(acc...)
	}
	wide, rest := g.label("wide"), g.label("rest")
	if g.neon() {
		g.p("%s:", wide)
		g.i("CMP $%d, %s", w, lanes) // 4 vectors of w/4 floats
		g.i("BLT %s", rest)
		chunk(4)
		for _, p := range []string{y, a, b} {
			g.i("ADD $%d, %s", 4*w, p)
		}
		g.i("SUB $%d, %s", w, lanes)
		g.i("B %s", wide)
	} else {
		g.p("%s:", wide)
		g.i("CMPQ %s, $%d", lanes, w)
		g.i("JLT %s", rest)
		chunk(4)
		for _, p := range []string{y, a, b} {
			g.i("ADDQ $%d, %s", 4*w, p)
		}
		g.i("SUBQ $%d, %s", w, lanes)
		g.i("JMP %s", wide)
	}
	g.p("%s:", rest)
	g.each(lanes, cnt, func() { chunk(1) }, y, a, b)
	g.ret()
}

// pair prints P = E + gD and Q = conj(E − gD) with E = (A + conj B)/2 and D = A − conj B.
func (g *fftGen) pair() {
	g.pool()
	names := []string{"lanes", "ar", "ai", "br", "bi", "pr", "pi", "qr", "qi", "coef"}
	g.text("pair"+g.isa, fmt.Sprintf("func pair%s(lanes int, ar, ai, br, bi, pr, pi, qr, qi, coef *float32)", g.isa), 80)
	regs := []string{"DX", "SI", "DI", "R8", "R9", "R10", "R11", "R12", "R13", "AX"}
	cnt := "BX"
	if g.neon() {
		regs = []string{"R0", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9"}
		cnt = "R10"
	}
	g.args(names, regs)
	g.mask(regs[0])
	c, half := fftC{g.alloc(), g.alloc()}, g.alloc()
	g.bcast(c.re, regs[9], 0)
	g.bcast(c.im, regs[9], 4)
	g.bcast(half, regs[9], 8)
	at := func(i int) string { return "(" + regs[i] + ")" }
	g.each(regs[0], cnt, func() {
		var v [4]int
		for i := range v {
			v[i] = g.alloc()
			g.load(v[i], at(i+1))
		}
		er, dr, ei, di := g.alloc(), g.alloc(), g.alloc(), g.alloc()
		g.add(er, v[0], v[2])
		g.sub(dr, v[0], v[2])
		g.sub(ei, v[1], v[3])
		g.add(di, v[1], v[3])
		g.mul(er, er, half)
		g.mul(ei, ei, half)
		g.release(v[:]...)
		t := g.cmul(fftC{dr, di}, c, false)
		s, d := g.alloc(), g.alloc()
		g.add(s, er, t.re)
		g.sub(er, er, t.re)
		g.add(d, ei, t.im)
		g.sub(t.im, t.im, ei)
		g.store(s, at(5))
		g.store(d, at(6))
		g.store(er, at(7))
		g.store(t.im, at(8))
		g.release(s, d, er, ei, t.re, t.im)
	}, regs[1:9]...)
	g.ret()
}

// dft prints the plain transform of r streams, out of place, with a full
// matrix of coefficients (k-major, re and im interleaved).
func (g *fftGen) dft() {
	g.pool()
	names := []string{"r", "n", "stride", "dr", "di", "sr", "si", "mat"}
	g.text("dft"+g.isa, fmt.Sprintf("func dft%s(r, n, stride int, dr, di, sr, si, mat *float32)", g.isa), 64)
	r, n, st, dr, di, sr, si, mat, pr, pi, pm, cnt, j := "AX", "DX", "R8", "DI", "SI", "R9", "R10", "R11", "R12", "R13", "CX", "BX", "R15"
	if g.neon() {
		r, n, st, dr, di, sr, si, mat, pr, pi, pm, cnt, j = "R0", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R10", "R11", "R12"
	}
	g.args(names, []string{r, n, st, dr, di, sr, si, mat})
	g.mask(n)
	if g.neon() {
		g.i("LSL $2, R2")
	} else {
		g.i("SHLQ $2, R8")
	}
	mov := "MOVQ"
	if g.neon() {
		mov = "MOVD"
	}
	g.each(n, cnt, func() {
		var acc [4]int
		for i := range acc {
			acc[i] = g.alloc()
			g.zero(acc[i])
		}
		g.i("%s %s, %s", mov, sr, pr)
		g.i("%s %s, %s", mov, si, pi)
		g.i("%s %s, %s", mov, mat, pm)
		g.i("%s %s, %s", mov, r, j)
		top := g.label("term")
		g.p("%s:", top)
		x := fftC{g.alloc(), g.alloc()}
		c := fftC{g.alloc(), g.alloc()}
		g.load(x.re, "("+pr+")")
		g.load(x.im, "("+pi+")")
		g.bcast(c.re, pm, 0)
		g.bcast(c.im, pm, 4)
		g.fma(acc[0], x.re, c.re)
		g.fma(acc[1], x.im, c.im)
		g.fma(acc[2], x.re, c.im)
		g.fma(acc[3], x.im, c.re)
		if g.neon() {
			g.i("ADD R2, %s", pr)
			g.i("ADD R2, %s", pi)
			g.i("SUBS $1, %s", j)
			g.i("BNE %s", top)
		} else {
			g.i("ADDQ R8, %s", pr)
			g.i("ADDQ R8, %s", pi)
			g.i("ADDQ $8, %s", pm)
			g.i("DECQ %s", j)
			g.i("JNZ %s", top)
		}
		g.sub(acc[0], acc[0], acc[1])
		g.add(acc[2], acc[2], acc[3])
		g.store(acc[0], "("+dr+")")
		g.store(acc[2], "("+di+")")
		g.release(acc[:]...)
		g.release(x.re, x.im, c.re, c.im)
	}, dr, di, sr, si)
	g.ret()
}

// fold prints, for each block of r streams of n floats, one behind another, the
// sum of the streams times their coefficients; unfold the streams from the sum's place.
func (g *fftGen) fold(name string, out bool) {
	g.pool()
	names := []string{"blocks", "r", "n", "dr", "di", "sr", "si", "coef"}
	g.text(name+g.isa, fmt.Sprintf("func %s%s(blocks, r, n int, dr, di, sr, si, coef *float32)", name, g.isa), 64)
	n, dr, di, sr, si, coef, cnt := "DX", "DI", "SI", "R9", "R10", "R11", "BX"
	stride, rest, pr, pi, pm, j := "R8", "AX", "R12", "R13", "CX", "R15"
	do := func(op, neon string, args string) {
		if g.neon() {
			op = neon
		}
		g.i("%s %s", op, args)
	}
	if g.neon() {
		n, dr, di, sr, si, coef, cnt = "R2", "R3", "R4", "R5", "R6", "R7", "R11"
		stride, rest, pr, pi, pm, j = "R8", "R9", "R12", "R13", "R14", "R15"
		g.args(names, []string{"R0", "R1", n, dr, di, sr, si, coef})
		g.i("LSL $2, R2, R8")
		g.i("SUB $1, R1, R9")
		g.i("MUL R8, R9, R9")
	} else {
		for i, r := range []string{n, dr, di, sr, si, coef} {
			g.i("MOVQ %s+%d(FP), %s", names[2+i], 16+8*i, r)
		}
		g.mask(n)
		g.i("MOVQ DX, R8")
		g.i("SHLQ $2, R8")
		g.i("MOVQ r+8(FP), AX")
		g.i("DECQ AX")
		g.i("IMULQ R8, AX")
	}
	many, manyI, one, oneI := sr, si, dr, di // the side of the streams and that of the sum
	if out {
		many, manyI, one, oneI = dr, di, sr, si
	}
	top := g.label("block")
	g.p("%s:", top)
	g.each(n, cnt, func() {
		do("MOVQ", "MOVD", many+", "+pr)
		do("MOVQ", "MOVD", manyI+", "+pi)
		do("MOVQ", "MOVD", coef+", "+pm)
		if g.neon() {
			g.i("MOVD R1, R15")
		} else {
			g.i("MOVQ r+8(FP), R15")
		}
		c := fftC{g.alloc(), g.alloc()}
		var acc [4]int
		x := fftC{g.alloc(), g.alloc()}
		for i := range acc {
			acc[i] = g.alloc()
			if !out {
				g.zero(acc[i])
			}
		}
		if out {
			g.load(x.re, "("+one+")")
			g.load(x.im, "("+oneI+")")
		}
		term := g.label("term")
		g.p("%s:", term)
		g.bcast(c.re, pm, 0)
		g.bcast(c.im, pm, 4)
		if out {
			g.mul(acc[0], x.re, c.re)
			g.mul(acc[1], x.im, c.re)
			g.fma(acc[0], x.im, c.im)
			g.fnma(acc[1], x.re, c.im)
			g.store(acc[0], "("+pr+")")
			g.store(acc[1], "("+pi+")")
		} else {
			g.load(x.re, "("+pr+")")
			g.load(x.im, "("+pi+")")
			g.fma(acc[0], x.re, c.re)
			g.fma(acc[1], x.im, c.im)
			g.fma(acc[2], x.re, c.im)
			g.fma(acc[3], x.im, c.re)
		}
		do("ADDQ", "ADD", stride+", "+pr)
		do("ADDQ", "ADD", stride+", "+pi)
		if g.neon() {
			g.i("SUBS $1, %s", j)
			g.i("BNE %s", term)
		} else {
			g.i("ADDQ $8, %s", pm)
			g.i("DECQ %s", j)
			g.i("JNZ %s", term)
		}
		if !out {
			g.sub(acc[0], acc[0], acc[1])
			g.add(acc[2], acc[2], acc[3])
			g.store(acc[0], "("+one+")")
			g.store(acc[2], "("+oneI+")")
		}
		g.release(acc[:]...)
		g.release(x.re, x.im, c.re, c.im)
	}, dr, di, sr, si)
	do("ADDQ", "ADD", rest+", "+many)
	do("ADDQ", "ADD", rest+", "+manyI)
	if g.neon() {
		g.i("ADD R1<<3, R7")
		g.i("SUBS $1, R0")
		g.i("BNE %s", top)
	} else {
		g.i("MOVQ CX, R11") // where the last term's coefficients end
		g.i("DECQ blocks+0(FP)")
		g.i("JNZ %s", top)
	}
	g.ret()
}

func fftFamily(g *fftGen) {
	for _, r := range []int{2, 4, 8} {
		if r == 8 && g.isa == "AVX2" {
			continue // 16 registers do not hold it
		}
		g.butterfly(fmt.Sprintf("fwd%d", r), r, false)
		g.butterfly(fmt.Sprintf("inv%d", r), r, true)
	}
	g.spectrum("mul", 0)
	g.spectrum("mulConj", 1)
	g.spectrum("addMulConj", 2)
	g.rows("copyRows", false, false)
	g.rows("addRows", false, true)
	g.rows("gatherRows", true, false)
	g.products("mulRows", false)
	g.products("addMulRows", true)
	g.dotRows()
	g.pair()
	g.dft()
	g.fold("fold", false)
	g.fold("unfold", true)
}
