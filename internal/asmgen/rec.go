package main

import (
	"fmt"
	"math"
	"strings"
)

func init() {
	register("internal/kernel/rec/rec_amd64.s", "!purego", recAMD64)
	register("internal/kernel/rec/rec_arm64.s", "!purego", recARM64)
}

// recGen prints recurrences. Every function takes the address of a struct of
// pointers, counts and strides in bytes (internal/kernel/rec/rec_asm.go),
// walks the tokens with DI at the struct and SI the token's number, and works
// on one vector of channels, or some vectors side by side. The variant Part
// works on the first lanes of one vector: its loads and stores are masked, by
// K1 (AVX-512) or register 13 (AVX2); with NEON it is one lane.
type recGen struct {
	*vecGen
	part     bool
	flushing bool           // denormal numbers to zeros
	fields   map[string]int // offset of each field of the struct
}

func (g *recGen) name(s string) string {
	s += g.suffix()
	if g.part {
		s += "Part"
	}
	return s
}

// open begins a function whose struct has these fields, of 8 bytes each.
func (g *recGen) open(name, typ string, fields ...string) {
	g.fields = map[string]int{}
	for i, f := range fields {
		g.fields[f] = 8 * i
	}
	decl := "func " + g.name(name) + "(c *" + typ + ")"
	g.flushing = !g.neon && !strings.HasPrefix(typ, "conv") // which has no state that decays
	if !g.flushing {
		g.text(g.name(name), decl, 8)
	} else { // room for two control words
		g.p("\n// %s\nTEXT ·%s(SB), NOSPLIT, $8-8", decl, g.name(name))
		g.flush()
	}
	g.arg("c+0", "DI")
	g.constants()
	if !g.part || g.neon {
		return
	}
	g.i("MOVQ %s, CX", g.f("lanes"))
	if g.wide {
		g.i("MOVL $1, DX")
		g.i("SHLL CX, DX")
		g.i("DECL DX")
		g.i("KMOVW DX, K1")
	} else {
		g.i("LEAQ vecMasks<>+32(SB), DX")
		g.i("SHLQ $2, CX")
		g.i("SUBQ CX, DX")
		g.i("VMOVUPS (DX), Y13")
	}
}

// flush makes the function take denormal numbers for zeros, and round to zeros
// what would become one: a state that decays passes through them on its way to
// zero, and each operation on one costs Intel's processors a hundred others.
// close undoes it. Arm's have no such cost.
func (g *recGen) flush() {
	g.i("STMXCSR control-8(SP)")
	g.i("MOVL control-8(SP), DX")
	g.i("ORL $0x8040, DX") // flush to zero, denormals are zeros
	g.i("MOVL DX, flushing-4(SP)")
	g.i("LDMXCSR flushing-4(SP)")
}

func (g *recGen) close() {
	if g.flushing {
		g.i("LDMXCSR control-8(SP)")
	}
	if !g.neon {
		g.i("VZEROUPPER")
	}
	g.i("RET")
}

// f is a field of the struct as an operand.
func (g *recGen) f(name string) string {
	o, ok := g.fields[name]
	if !ok {
		panic("no field " + name)
	}
	return fmt.Sprintf("%d(%s)", o, g.x("DI"))
}

// row: reg = pointer field + token × stride field.
func (g *recGen) row(ptr, stride, reg string) {
	g.op("MOVQ", "SI", reg)
	g.op("IMULQ", g.f(stride), reg)
	g.op("ADDQ", g.f(ptr), reg)
}

// op prints an instruction on general registers: the source is a register, a
// constant or a field.
func (g *recGen) op(name string, operands ...string) {
	if g.neon {
		g.neonOp(name, operands...)
		return
	}
	g.i("%s %s", name, strings.Join(operands, ", "))
}

func (g *recGen) load(addr string, r int) {
	switch {
	case g.neon:
		g.i("%s %s, F%d", g.neonMove(), g.neonAddr(addr), r)
	case !g.part:
		g.i("VMOVUPS %s, %s", addr, g.r(r))
	case g.wide:
		g.i("VMOVUPS.Z %s, K1, %s", addr, g.r(r))
	default:
		g.i("VMASKMOVPS %s, Y13, %s", addr, g.r(r))
	}
}

func (g *recGen) store(r int, addr string) {
	switch {
	case g.neon:
		g.i("%s F%d, %s", g.neonMove(), r, g.neonAddr(addr))
	case !g.part:
		g.i("VMOVUPS %s, %s", g.r(r), addr)
	case g.wide:
		g.i("VMOVUPS %s, K1, %s", g.r(r), addr)
	default:
		g.i("VMASKMOVPS %s, Y13, %s", g.r(r), addr)
	}
}

// loadField loads the vector at a pointer field, by way of DX.
func (g *recGen) loadField(name string, r int) {
	g.op("MOVQ", g.f(name), "DX")
	g.load("(DX)", r)
}

func (g *recGen) storeField(r int, name string) {
	g.op("MOVQ", g.f(name), "DX")
	g.store(r, "(DX)")
}

func (g *recGen) bcast(addr string, r int) {
	if g.neon {
		g.i("VLD1R %s, [V%d.S4]", g.neonAddr(addr), r)
		return
	}
	g.i("VBROADCASTSS %s, %s", addr, g.r(r))
}

// align puts the loop that follows on a boundary.
func (g *recGen) align() {
	if g.neon {
		g.i("PCALIGN $16")
		return
	}
	g.i("PCALIGN $32")
}

// fused is d·a + add, in the register it returns: d, or with NEON add.
func (g *recGen) fused(add, a, d int) int {
	if g.neon {
		g.r3("VFMADD231PS", a, d, add)
		return add
	}
	g.r3("VFMADD213PS", add, a, d)
	return d
}

// tokens loops over the tokens.
func (g *recGen) tokens(body func()) {
	loop := g.label("token")
	g.op("XORQ", "SI", "SI")
	g.p("%s:", loop)
	body()
	g.op("INCQ", "SI")
	g.op("CMPQ", "SI", g.f("T"))
	g.op("JLT", loop)
}

// decay2 and decay3 are the coefficients of 2^f, highest first, for |f| ≤ 1/64
// and 1/16: minimax, 0.44 and 0.21 ulp, the last exact, so that a decay near 1
// is right to its last bit.
var (
	decay2 = []float32{0.24022869150114515, 0.6931573426887375, 1}
	decay3 = []float32{0.05551147504523423, 0.24025763466670166, 0.6931471721315063, 1}
)

// exp2C are the coefficients of 2^x on [−½, ½] (Cephes, exp2f.c), highest
// first; the last is exact.
var exp2C = []float32{1.535336188319500e-4, 1.339887440266574e-3, 9.618437357674640e-3, 5.550332471162809e-2, 2.402264791363012e-1, 6.931472028550421e-1, 1}

// Registers that hold constants of decay with AVX-512, and with AVX2.
const (
	magic512, table512, poly512 = 24, 25, 27 // the table in two; all coefficients
	magic256, table256, poly256 = 10, 11, 12 // c₂; c₁ in 14, the others in memory
)

func (g *recGen) decaySetup() {
	switch {
	case g.wide:
		g.set(3<<17, magic512)
		for i := range 2 {
			g.i("VMOVUPS exp2Table32<>+%d(SB), %s", 64*i, g.r(table512+i))
		}
		for i, c := range decay2 {
			g.set(c, poly512+i)
		}
	case !g.neon:
		g.set(3<<19, magic256)
		g.i("VMOVUPS exp2Table8<>+0(SB), %s", g.r(table256))
		g.set(decay3[1], poly256)
		g.set(decay3[2], 14)
	}
}

// exp2Table prints 2^(i/n) for i < n, less i·step as an integer.
func exp2Table(f *file, n int, step uint32) {
	for i := range n {
		f.p("DATA exp2Table%d<>+%d(SB)/4, $0x%08x", n, 4*i, math.Float32bits(float32(math.Exp2(float64(i)/float64(n))))-uint32(i)*step)
	}
	f.p("GLOBL exp2Table%d<>(SB), RODATA|NOPTR, $%d", n, 4*n)
}

// A stateRegs is the registers of one state: x holds a and is scratch after,
// m is scratch, q the result; n is scratch for AVX-512.
type stateRegs struct{ x, m, q, n int }

// decay: q = 2^(dt·a), a factor of Mamba's states, with dt, times log₂e, in
// register 4; for some states at once, whose instructions alternate: of one
// alone more would wait than the processor keeps waiting. On amd64 dt·a is split
// into n, a multiple of 1/32 or 1/8, and f, at most half that: adding a magic
// number rounds to n, and in its last bits has the index of 2^(n − ⌊n⌋) in a table.
//
// AVX-512 never rounds dt·a, and VSCALEFPS needs no bounds: subnormal numbers
// come out right. |dt| and |a| must be at most 1e12, or f may be no number.
// Otherwise results below 2^−126 are 0 or near it.
func (g *recGen) decay(states ...stateRegs) {
	const dt = 4
	each := func(f func(s stateRegs)) {
		for _, s := range states {
			f(s)
		}
	}
	op := func(name string, f func(s stateRegs) (b, a, d int)) {
		each(func(s stateRegs) { b, a, d := f(s); g.r3(name, b, a, d) })
	}
	bounds := func() {
		op("VMULPS", func(s stateRegs) (b, a, d int) { return dt, s.x, s.x })
		g.set(-127, g.tmp())
		op("VMAXPS", func(s stateRegs) (b, a, d int) { return s.x, g.tmp(), s.x })
		g.set(128, g.tmp())
		op("VMINPS", func(s stateRegs) (b, a, d int) { return s.x, g.tmp(), s.x })
	}
	switch {
	case g.wide:
		each(func(s stateRegs) { g.move(magic512, s.m) })
		op("VFMADD231PS", func(s stateRegs) (b, a, d int) { return dt, s.x, s.m })
		op("VSUBPS", func(s stateRegs) (b, a, d int) { return magic512, s.m, s.n })
		op("VFMSUB213PS", func(s stateRegs) (b, a, d int) { return s.n, dt, s.x })
		op("VPERMI2PS", func(s stateRegs) (b, a, d int) { return table512 + 1, table512, s.m })
		each(func(s stateRegs) { g.move(poly512, s.q) })
		for i := range decay2[1:] {
			op("VFMADD213PS", func(s stateRegs) (b, a, d int) { return poly512 + 1 + i, s.x, s.q })
		}
		op("VMULPS", func(s stateRegs) (b, a, d int) { return s.m, s.q, s.q })
		op("VSCALEFPS", func(s stateRegs) (b, a, d int) { return s.n, s.q, s.q })
	case g.neon:
		bounds()
		// Adding 1.5·2²³ + 127 leaves the exponent of 2^n in the low bits.
		const magic = 3<<22 + 127
		each(func(s stateRegs) {
			g.c3("VADDPS", magic, s.x, s.m)
			g.c3("VSUBPS", magic, s.m, s.q)
			g.r3("VSUBPS", s.q, s.x, s.x)
			g.horner(s.x, s.q, exp2C...)
			g.i("VSHL $23, V%d.S4, V%d.S4", s.m, s.m)
			g.r3("VMULPS", s.m, s.q, s.q)
		})
	default:
		bounds()
		op("VADDPS", func(s stateRegs) (b, a, d int) { return magic256, s.x, s.m })
		op("VSUBPS", func(s stateRegs) (b, a, d int) { return magic256, s.m, s.q })
		op("VSUBPS", func(s stateRegs) (b, a, d int) { return s.q, s.x, s.x })
		op("VPERMPS", func(s stateRegs) (b, a, d int) { return table256, s.m, s.q })
		each(func(s stateRegs) { g.i("VPSLLD $20, %s, %s", g.r(s.m), g.r(s.m)) })
		op("VPADDD", func(s stateRegs) (b, a, d int) { return s.q, s.m, s.m })
		each(func(s stateRegs) { g.set(decay3[0], s.q) })
		op("VFMADD213PS", func(s stateRegs) (b, a, d int) { return poly256, s.x, s.q })
		op("VFMADD213PS", func(s stateRegs) (b, a, d int) { return 14, s.x, s.q })
		g.set(decay3[3], g.tmp())
		op("VFMADD213PS", func(s stateRegs) (b, a, d int) { return g.tmp(), s.x, s.q })
		op("VMULPS", func(s stateRegs) (b, a, d int) { return s.m, s.q, s.q })
	}
}

// steps prepares decay: register 4 = dt·log₂e, within bounds.
func (g *recGen) steps() {
	g.c3("VMULPS", math.Log2E, 4, 4)
	if g.wide {
		const most = 1e12 // rec.MaxA
		g.clampLow(-most, 4)
		g.clampHigh(most, 4)
	}
}

// selective prints Mamba's scan of one vector of channels. Register 4: dt·log₂e, 5: dt·x, 6: y, 7: D.
func (g *recGen) selective() {
	g.open("selective", "selectiveCall", "h", "a", "dt", "x", "y", "b", "c", "d", "T", "N", "hs", "as", "dts", "xs", "ys", "bs", "cs", "lanes")
	g.decaySetup()
	g.loadField("d", 7)
	if !g.neon {
		// The states of channels to come: their rows lie far apart, and a token alone waits for each.
		next := g.label("next")
		g.op("MOVQ", g.f("h"), "R8")
		g.op("MOVQ", g.f("N"), "CX")
		g.p("%s:", next)
		g.i("PREFETCHT1 256(R8)")
		g.op("ADDQ", g.f("hs"), "R8")
		g.op("DECQ", "CX")
		g.op("JNE", next)
	}
	g.tokens(func() {
		g.row("dt", "dts", "R8")
		g.row("x", "xs", "R9")
		g.row("b", "bs", "R10")
		g.row("c", "cs", "R11")
		if !g.neon {
			// Rows of a wide layer lie far apart: the processor's own prefetching
			// does not see the next ones coming.
			g.row("y", "ys", "R12")
			for _, a := range []struct{ stride, reg string }{{"dts", "R8"}, {"xs", "R9"}, {"ys", "R12"}} {
				g.op("MOVQ", g.f(a.stride), "DX")
				g.i("PREFETCHT0 (%s)(DX*8)", a.reg)
			}
		}
		g.load("(R8)", 4)
		g.load("(R9)", 5)
		g.r3("VMULPS", 5, 7, 6)
		g.r3("VMULPS", 5, 4, 5)
		g.steps()
		g.op("MOVQ", g.f("h"), "R8")
		g.op("MOVQ", g.f("a"), "R9")
		g.op("MOVQ", g.f("hs"), "R12")
		g.op("MOVQ", g.f("as"), "R13")
		states := g.statesAtOnce()
		g.some("N", len(states), func(n int) { g.selectiveStates(states[:n]...) })
		g.row("y", "ys", "R8")
		g.store(6, "(R8)")
	})
	g.close()
}

// some counts CX up to a field, of at least 1: f takes n at a time, and then one.
func (g *recGen) some(field string, n int, f func(n int)) {
	some, one, last, done := g.label("rows"), g.label("one"), g.label("row"), g.label("done")
	g.op("MOVQ", g.f(field), "BX")
	g.op("XORQ", "CX", "CX")
	if n > 1 {
		g.op("SUBQ", fmt.Sprintf("$%d", n-1), "BX")
		g.op("JLE", one)
		g.align()
		g.p("%s:", some)
		f(n)
		g.op("ADDQ", fmt.Sprintf("$%d", n), "CX")
		g.op("CMPQ", "CX", "BX")
		g.op("JLT", some)
		g.p("%s:", one)
		g.op("MOVQ", g.f(field), "BX")
		g.op("CMPQ", "CX", "BX")
		g.op("JGE", done)
	}
	if n == 1 {
		g.align()
	}
	g.p("%s:", last)
	f(1)
	g.op("INCQ", "CX")
	g.op("CMPQ", "CX", "BX")
	g.op("JLT", last)
	g.p("%s:", done)
}

// statesAtOnce are the registers of the states that selective takes at once.
func (g *recGen) statesAtOnce() []stateRegs {
	switch {
	case g.wide:
		return []stateRegs{{8, 9, 10, 11}, {12, 13, 14, 15}, {16, 17, 18, 19}, {20, 21, 22, 23}}
	case g.neon:
		return []stateRegs{{0, 1, 2, 3}}
	}
	return []stateRegs{{x: 0, m: 1, q: 2}, {x: 3, m: 8, q: 9}}
}

// selectiveStates prints a token's work on states CX and those that follow: h at
// R8 and a at R9, which advance with CX; B and C at R10 and R11.
func (g *recGen) selectiveStates(states ...stateRegs) {
	for _, s := range states {
		g.load("(R9)", s.x)
		g.op("ADDQ", "R13", "R9")
	}
	g.decay(states...)
	for u, s := range states {
		h := s.m
		g.load("(R8)", h)
		if g.wide {
			g.i("VMULPS.BCST %d(R10)(CX*4), Z5, %s", 4*u, g.r(s.x))
			g.r3("VFMADD213PS", s.x, s.q, h) // h = p·h + dt·x·B
			g.i("VFMADD231PS.BCST %d(R11)(CX*4), %s, Z6", 4*u, g.r(h))
		} else {
			g.bcast(at4(u, "(R10)(CX*4)"), s.x)
			g.r3("VMULPS", 5, s.x, s.x)
			h = g.fused(s.x, s.q, h)
			g.bcast(at4(u, "(R11)(CX*4)"), s.q)
			g.r3("VFMADD231PS", s.q, h, 6)
		}
		g.store(h, "(R8)")
		g.op("ADDQ", "R12", "R8")
	}
}

// at4 is the address of the u-th float after addr.
func at4(u int, addr string) string {
	if u == 0 {
		return addr
	}
	return fmt.Sprintf("%d%s", 4*u, addr)
}

// selectiveKeep prints the scan that keeps, for the gradient, each state before
// its token and each factor: rows of 16 channels, of which this takes a vector.
func (g *recGen) selectiveKeep() {
	g.open("selectiveKeep", "selectiveBackCall", selectiveBackFields...)
	g.decaySetup()
	g.op("MOVQ", g.f("hs"), "R9")
	g.op("MOVQ", g.f("ps"), "R12")
	g.tokens(func() {
		g.row("b", "bs", "R10")
		g.op("MOVQ", "SI", "DX")
		g.op("SHLQ", "$6", "DX")
		for i, f := range []string{"dt", "x"} {
			g.op("MOVQ", g.f(f), "R8")
			g.load("(R8)(DX*1)", 4+i)
		}
		g.r3("VMULPS", 5, 4, 5)
		g.steps()
		g.op("MOVQ", g.f("h"), "R8")
		g.op("MOVQ", g.f("a"), "R13")
		g.op("XORQ", "CX", "CX")
		state := g.label("state")
		g.p("%s:", state)
		g.load("(R13)", 0)
		g.decay(stateRegs{0, 1, 2, 3})
		g.load("(R8)", 3)
		g.store(3, "(R9)")
		g.store(2, "(R12)")
		g.bcast("(R10)(CX*4)", 0)
		g.r3("VMULPS", 5, 0, 0)
		g.store(g.fused(0, 2, 3), "(R8)")
		for _, r := range []string{"R8", "R9", "R12", "R13"} {
			g.op("ADDQ", "$64", r)
		}
		g.op("INCQ", "CX")
		g.op("CMPQ", "CX", g.f("N"))
		g.op("JLT", state)
	})
	g.close()
}

var selectiveBackFields = []string{"h", "a", "hs", "ps", "dt", "x", "dy", "ddt", "dx", "gh", "da", "b", "c", "db", "dc", "T", "N", "bs", "cs"}

// selectiveBack prints the way back over what selectiveKeep kept. Registers:
// dt 4, x 5, dy 6, dt·x 7, sums of ddt 8 and dx 9.
func (g *recGen) selectiveBack() {
	g.open("selectiveBack", "selectiveBackCall", selectiveBackFields...)
	token, done := g.label("token"), g.label("done")
	g.op("MOVQ", g.f("T"), "SI")
	g.p("%s:", token)
	g.op("DECQ", "SI")
	g.op("JLT", done)
	g.row("b", "bs", "R10")
	g.row("c", "cs", "R11")
	g.op("MOVQ", "SI", "BX")
	g.op("SHLQ", "$6", "BX")
	for i, f := range []string{"dt", "x", "dy"} {
		g.op("MOVQ", g.f(f), "R8")
		g.load("(R8)(BX*1)", 4+i)
	}
	g.r3("VMULPS", 5, 4, 7)
	g.zero(8)
	g.zero(9)
	// BX: offset of the token's first state in hs and ps; AX that in db and dc.
	g.op("MOVQ", "SI", "AX")
	g.op("IMULQ", g.f("N"), "AX")
	g.op("MOVQ", "AX", "BX")
	g.op("SHLQ", "$6", "BX")
	g.op("SHLQ", "$2", "AX")
	g.op("MOVQ", g.f("hs"), "R8")
	g.op("ADDQ", "BX", "R8")
	g.op("MOVQ", g.f("ps"), "R9")
	g.op("ADDQ", "BX", "R9")
	g.op("MOVQ", g.f("db"), "R12")
	g.op("ADDQ", "AX", "R12")
	g.op("MOVQ", g.f("dc"), "R13")
	g.op("ADDQ", "AX", "R13")
	g.op("XORQ", "CX", "CX") // 64 × the state
	g.op("XORQ", "AX", "AX")
	state := g.label("state")
	g.p("%s:", state)
	g.load("(R9)", 1)
	g.load("(R8)", 0)
	g.r3("VMULPS", 1, 0, 0)   // p h
	g.bcast("(R10)(AX*4)", 2) // B
	g.bcast("(R11)(AX*4)", 3) // C
	g.op("MOVQ", g.f("gh"), "DX")
	g.load("(DX)(CX*1)", 10)
	g.r3("VFMADD231PS", 6, 3, 10) // G = g + C dy
	g.r3("VMULPS", 7, 2, 3)
	g.r3("VADDPS", 0, 3, 3)
	g.r3("VMULPS", 6, 3, 3)   // dy h'
	g.r3("VMULPS", 7, 10, 11) // G dt x
	g.r3("VMULPS", 10, 1, 1)  // p G
	g.store(1, "(DX)(CX*1)")
	g.r3("VMULPS", 10, 2, 2) // G B
	g.r3("VADDPS", 2, 9, 9)
	g.r3("VFMADD231PS", 5, 2, 8)
	g.r3("VMULPS", 10, 0, 0) // G p h
	g.op("MOVQ", g.f("a"), "DX")
	g.load("(DX)(CX*1)", 1)
	g.r3("VFMADD231PS", 1, 0, 8)
	g.op("MOVQ", g.f("da"), "DX")
	g.load("(DX)(CX*1)", 1)
	g.r3("VFMADD231PS", 4, 0, 1)
	g.store(1, "(DX)(CX*1)")
	g.addLanes()
	g.op("ADDQ", "$64", "R8")
	g.op("ADDQ", "$64", "R9")
	g.op("ADDQ", "$4", "R12")
	g.op("ADDQ", "$4", "R13")
	g.op("ADDQ", "$64", "CX")
	g.op("INCQ", "AX")
	g.op("CMPQ", "AX", g.f("N"))
	g.op("JLT", state)
	g.op("MOVQ", "SI", "BX")
	g.op("SHLQ", "$6", "BX")
	for i, f := range []string{"ddt", "dx"} {
		g.op("MOVQ", g.f(f), "R8")
		g.store(8+i, "(R8)(BX*1)")
	}
	g.op("JMP", token)
	g.p("%s:", done)
	g.close()
}

// addLanes adds the sum of register 11's lanes to what R12 points at, that of
// register 3's to what R13 does. Scratch 0 and 12.
func (g *recGen) addLanes() {
	if g.neon {
		gemmFADDP(g.file, 11, 11, 3)
		gemmFADDP(g.file, 11, 11, 11) // both sums
		g.i("VDUP V11.S[1], V12.S4")
		for i, p := range []string{"R12", "R13"} {
			g.i("FMOVS (%s), F0", p)
			g.i("FADDS F%d, F0, F0", 11+i)
			g.i("FMOVS F0, (%s)", p)
		}
		return
	}
	for _, r := range []int{11, 3} {
		if g.wide {
			g.i("VEXTRACTF64X4 $1, Z%d, Y12", r)
			g.i("VADDPS Y12, Y%d, Y%d", r, r)
		}
		g.i("VEXTRACTF128 $1, Y%d, X12", r)
		g.i("VADDPS X12, X%d, X%d", r, r)
	}
	g.i("VHADDPS X3, X11, X11")
	g.i("VHADDPS X11, X11, X11")
	g.i("VADDSS (R12), X11, X0")
	g.i("VMOVSS X0, (R12)")
	g.i("VMOVSHDUP X11, X11")
	g.i("VADDSS (R13), X11, X0")
	g.i("VMOVSS X0, (R13)")
}

// reads are the moments at which the output reads the state.
const (
	readNever  = "None"
	readAfter  = "After"
	readBefore = "Before"
)

var matrixFields = []string{"s", "q", "k", "d", "a", "b", "v", "o", "T", "K", "ss", "qs", "ks", "ds", "as", "bs", "vs", "os", "dstep", "lanes"}

// matrix prints the recurrence on a matrix state without a correction, width
// vectors of columns and n tokens at a time, of which T is a multiple: a row of
// the state is loaded and stored once for n tokens. What is computed, and in
// which order, does not depend on n. Registers: o 0…, v after them, then the
// state, decay, k and q. One whole vector has its own name: amd64 takes a part for it.
func (g *recGen) matrix(width, n int, read string) {
	g.open(matrixName(width, g.part)+map[bool]string{true: "Group"}[n > 1]+read, "matrixCall", matrixFields...)
	at := func(ptr string, j int) string { return fmt.Sprintf("%d(%s)", j*g.bytes(), ptr) }
	const o = 0
	v, s := n*width, 2*n*width
	d, k, q := s+width, s+width+1, s+width+2
	bcast := func(t int, ptr, stride string, r int) { // of the group's t-th token
		g.bcast([]string{"(" + ptr + ")", "(" + ptr + ")(" + stride + "*1)", "(" + ptr + ")(" + stride + "*2)"}[t], r)
	}
	group, row := g.label("group"), g.label("row")
	g.op("XORQ", "SI", "SI")
	g.p("%s:", group)
	g.row("v", "vs", "DX")
	for t := range n {
		for j := range width {
			g.load(at("DX", j), v+t*width+j)
			if read != readNever {
				g.zero(o + t*width + j)
			}
		}
		if t < n-1 {
			g.op("ADDQ", g.f("vs"), "DX")
		}
	}
	g.row("k", "ks", "R10")
	g.row("d", "ds", "R11")
	g.op("MOVQ", g.f("ks"), "AX")
	g.op("MOVQ", g.f("ds"), "BX")
	if read != readNever {
		g.row("q", "qs", "R9")
		g.op("MOVQ", g.f("qs"), "R13")
	}
	g.op("MOVQ", g.f("s"), "R8")
	g.op("MOVQ", g.f("dstep"), "R12")
	g.op("MOVQ", g.f("ss"), "DX")
	g.op("MOVQ", g.f("K"), "CX")
	g.align()
	g.p("%s:", row)
	for j := range width {
		g.load(at("R8", j), s+j)
	}
	for t := range n {
		bcast(t, "R11", "BX", d)
		bcast(t, "R10", "AX", k)
		if read != readNever {
			bcast(t, "R9", "R13", q)
		}
		for j := range width {
			if read == readBefore {
				g.r3("VFMADD231PS", s+j, q, o+t*width+j)
			}
			g.r3("VMULPS", d, s+j, s+j)
			g.r3("VFMADD231PS", v+t*width+j, k, s+j)
			if read == readAfter {
				g.r3("VFMADD231PS", s+j, q, o+t*width+j)
			}
		}
	}
	for j := range width {
		g.store(s+j, at("R8", j))
	}
	g.op("ADDQ", "DX", "R8")
	g.op("ADDQ", "R12", "R11")
	g.op("ADDQ", "$4", "R10")
	if read != readNever {
		g.op("ADDQ", "$4", "R9")
	}
	g.op("DECQ", "CX")
	g.op("JNE", row)
	if read != readNever {
		g.row("o", "os", "R8")
		for t := range n {
			for j := range width {
				g.store(o+t*width+j, at("R8", j))
			}
			if t < n-1 {
				g.op("ADDQ", g.f("os"), "R8")
			}
		}
	}
	g.op("ADDQ", fmt.Sprintf("$%d", n), "SI")
	g.op("CMPQ", "SI", g.f("T"))
	g.op("JLT", group)
	g.close()
}

// matrixRankOne prints the recurrence with a correction, width vectors of
// columns at a time. z of the first token is a pass over the state of its own,
// that of a later one is summed up while the token before writes the state.
// Registers: z 0…, the next z, o, v, then the state, decay, k, q, b and the next a.
func (g *recGen) matrixRankOne(width int, read string) {
	g.open(matrixName(width, g.part)+"RankOne"+read, "matrixCall", matrixFields...)
	at := func(ptr string, j int) string { return fmt.Sprintf("%d(%s)", j*g.bytes(), ptr) }
	const z = 0
	next, o, v, s := width, 2*width, 3*width, 4*width
	d, k, q, b, a := s+1, s+2, s+3, s+4, s+5
	g.op("MOVQ", g.f("ss"), "AX")
	g.op("MOVQ", g.f("K"), "BX")
	g.op("MOVQ", g.f("a"), "DX")
	g.op("MOVQ", g.f("s"), "R8")
	for j := range width {
		g.zero(next + j)
	}
	g.op("XORQ", "CX", "CX")
	first := g.label("first")
	g.p("%s:", first)
	g.bcast("(DX)(CX*4)", a)
	for j := range width {
		g.load(at("R8", j), s)
		g.r3("VFMADD231PS", s, a, next+j)
	}
	g.op("ADDQ", "AX", "R8")
	g.op("INCQ", "CX")
	g.op("CMPQ", "CX", "BX")
	g.op("JLT", first)
	g.tokens(func() {
		g.row("v", "vs", "DX")
		for j := range width {
			g.move(next+j, z+j)
			g.zero(next + j)
			g.load(at("DX", j), v+j)
			if read != readNever {
				g.zero(o + j)
			}
		}
		g.row("k", "ks", "R10")
		g.row("d", "ds", "R11")
		g.row("b", "bs", "R13")
		if read != readNever {
			g.row("q", "qs", "R9")
		}
		// a of the token after, or of the last one again.
		last := g.label("last")
		g.op("MOVQ", "SI", "DX")
		g.op("INCQ", "DX")
		g.op("CMPQ", "DX", g.f("T"))
		g.op("JLT", last)
		g.op("MOVQ", "SI", "DX")
		g.p("%s:", last)
		g.op("IMULQ", g.f("as"), "DX")
		g.op("ADDQ", g.f("a"), "DX")
		g.op("MOVQ", g.f("s"), "R8")
		g.op("MOVQ", g.f("dstep"), "R12")
		g.op("XORQ", "CX", "CX")
		loop := g.label("row")
		g.align()
		g.p("%s:", loop)
		g.bcast("(R11)", d)
		g.bcast("(R10)(CX*4)", k)
		g.bcast("(R13)(CX*4)", b)
		g.bcast("(DX)(CX*4)", a)
		if read != readNever {
			g.bcast("(R9)(CX*4)", q)
		}
		for j := range width {
			g.load(at("R8", j), s)
			if read == readBefore {
				g.r3("VFMADD231PS", s, q, o+j)
			}
			g.r3("VMULPS", d, s, s)
			g.r3("VFMADD231PS", z+j, b, s)
			g.r3("VFMADD231PS", v+j, k, s)
			g.store(s, at("R8", j))
			if read == readAfter {
				g.r3("VFMADD231PS", s, q, o+j)
			}
			g.r3("VFMADD231PS", s, a, next+j)
		}
		g.op("ADDQ", "AX", "R8")
		g.op("ADDQ", "R12", "R11")
		g.op("INCQ", "CX")
		g.op("CMPQ", "CX", "BX")
		g.op("JLT", loop)
		if read != readNever {
			g.row("o", "os", "R8")
			for j := range width {
				g.store(o+j, at("R8", j))
			}
		}
	})
	g.close()
}

func matrixName(width int, part bool) string {
	if width == 1 && !part {
		return "matrixVector"
	}
	return "matrix"
}

// conv prints the short causal convolution of one vector of channels: the
// last width−1 inputs in registers 6…, the taps in 9…, the bias in 12 or 16.
func (g *recGen) conv(width int, silu bool) {
	name := fmt.Sprintf("conv%d", width)
	if silu {
		name += "SiLU"
	}
	g.open(name, "convCall", "dst", "x", "w", "bias", "state", "T", "dsts", "xs", "ws", "ss", "lanes")
	const past, taps = 6, 9
	bias := 14
	rows := func(ptr, stride string, n int, f func(r int)) {
		g.op("MOVQ", g.f(ptr), "R8")
		for i := range n {
			f(i)
			g.op("ADDQ", g.f(stride), "R8")
		}
	}
	rows("state", "ss", width-1, func(i int) { g.load("(R8)", past+i) })
	rows("w", "ws", width, func(i int) { g.load("(R8)", taps+i) })
	g.loadField("bias", bias)
	g.tokens(func() {
		g.row("x", "xs", "R8")
		g.row("dst", "dsts", "R9")
		g.load("(R8)", 1)
		g.move(bias, 0)
		for i := range width - 1 {
			g.r3("VFMADD231PS", past+i, taps+i, 0)
		}
		g.r3("VFMADD231PS", 1, taps+width-1, 0)
		for i := range width - 1 {
			from := past + i + 1
			if i == width-2 {
				from = 1
			}
			g.move(from, past+i)
		}
		if silu {
			g.silu(0)
		}
		g.store(0, "(R9)")
	})
	rows("state", "ss", width-1, func(i int) { g.store(past+i, "(R8)") })
	g.close()
}

// convRow prints the convolution at one token of some vectors of channels, n
// bytes of them, whose inputs, oldest first, are rows of their own: x of the
// same memory as dst is the token's own row at most. It computes what conv does.
func (g *recGen) convRow(width int, silu bool) {
	name := fmt.Sprintf("convRow%d", width)
	if silu {
		name += "SiLU"
	}
	g.open(name, "convRowCall", "dst", "x0", "x1", "x2", "x3", "w", "bias", "ws", "n", "lanes")
	xs := []string{"R8", "R9", "R10", "R11"}[:width]
	for i, x := range xs {
		g.op("MOVQ", g.f(fmt.Sprintf("x%d", i)), x)
	}
	g.op("MOVQ", g.f("w"), "R12")
	g.op("MOVQ", g.f("ws"), "R13")
	taps := []string{"(R12)", "(R12)(R13*1)", "(R12)(R13*2)", "(BX)"}
	if width == 4 {
		g.op("MOVQ", "R13", "BX")
		g.op("ADDQ", "R13", "BX")
		g.op("ADDQ", "R13", "BX")
		g.op("ADDQ", "R12", "BX")
	}
	g.op("MOVQ", g.f("dst"), "SI")
	g.op("MOVQ", g.f("bias"), "DX")
	g.op("XORQ", "CX", "CX")
	loop := g.label("loop")
	g.align()
	g.p("%s:", loop)
	g.load("(DX)(CX*1)", 0)
	for i, x := range xs {
		g.load(fmt.Sprintf("(%s)(CX*1)", x), 1)
		g.load(taps[i], 2)
		g.r3("VFMADD231PS", 1, 2, 0)
	}
	if silu {
		g.silu(0)
	}
	g.store(0, "(SI)(CX*1)")
	g.op("ADDQ", fmt.Sprintf("$%d", g.bytes()), "R12")
	if width == 4 {
		g.op("ADDQ", fmt.Sprintf("$%d", g.bytes()), "BX")
	}
	g.op("ADDQ", fmt.Sprintf("$%d", g.bytes()), "CX")
	g.op("CMPQ", "CX", g.f("n"))
	g.op("JLT", loop)
	g.close()
}

// expPair: 1 = e^(x−q), 2 = e^(y−q), q = max(x, y), one of which is 1. Scratch 0, 3, 4, 5.
func (g *recGen) expPair(x, y int) {
	g.r3("VSUBPS", y, x, 0) // d = x − y
	g.move(0, 5)
	g.and(0, 0, absMask)
	g.not(0, 0, signBit)
	g.expFlush(0, 3, 1, 4) // e^−|d|
	g.set(1, 4)
	g.blendLess(5, 0, 4, 1, 2) // y the larger: e2 = 1, else e^−|d|
	g.blendLess(5, 0, 1, 4, 1)
}

// wkv4 prints RWKV-4's average of one vector of channels. Registers: aa 6, bb 7, pp 8, w 9, u 10.
func (g *recGen) wkv4() {
	g.open("wkv4", "wkv4Call", "aa", "bb", "pp", "w", "u", "k", "v", "o", "T", "ks", "vs", "os", "lanes")
	for i, f := range []string{"aa", "bb", "pp", "w", "u"} {
		g.loadField(f, 6+i)
	}
	const aa, bb, pp, w, u = 6, 7, 8, 9, 10
	g.tokens(func() {
		g.row("k", "ks", "R8")
		g.row("v", "vs", "R9")
		g.row("o", "os", "R10")
		g.load("(R8)", 11)
		g.load("(R9)", 12)
		g.r3("VADDPS", 11, u, vecSpare)
		g.expPair(pp, vecSpare)
		g.r3("VMULPS", 12, 2, 3)
		g.r3("VFMADD231PS", aa, 1, 3)
		g.r3("VFMADD231PS", bb, 1, 2)
		g.r3("VDIVPS", 2, 3, 3)
		g.store(3, "(R10)")
		g.r3("VADDPS", w, pp, pp)
		g.expPair(pp, 11)
		g.r3("VMAXPS", pp, 11, pp)
		g.r3("VMULPS", 1, aa, aa)
		g.r3("VFMADD231PS", 12, 2, aa)
		g.r3("VFMADD213PS", 2, 1, bb)
	})
	for i, f := range []string{"aa", "bb", "pp"} {
		g.storeField(6+i, f)
	}
	g.close()
}

// weights: q = 2^(dt·(x − m)) of each state's x, with m in register 5 and dt in 4.
func (g *recGen) weights(states ...stateRegs) {
	for _, s := range states {
		g.r3("VSUBPS", 5, s.x, s.x)
		if g.wide {
			g.r3("VMAXPS", s.x, lowest512, s.x) // of −∞ decay would make no number
		}
	}
	g.decay(states...)
}

const lowest512 = 30

func (g *recGen) weightsSetup() {
	g.decaySetup()
	if g.wide {
		g.set(-1e12, lowest512)
	}
	g.op("MOVQ", g.f("scale"), "DX")
	g.bcast("(DX)", 4)
	g.steps()
}

var wkv4BackFields = []string{"aa", "bb", "pp", "w", "u", "ga", "gb", "dw", "du", "k", "v", "do", "as", "bs", "ps", "dk", "dv", "T"}

// wkv4Keep prints the sums of wkv4, of rows of 16 channels of which this takes a vector, and
// keeps those before each token.
func (g *recGen) wkv4Keep() {
	g.open("wkv4Keep", "wkv4BackCall", wkv4BackFields...)
	const aa, bb, pp, w, k, v = 6, 7, 8, 9, 10, 11
	for i, f := range []string{"aa", "bb", "pp", "w"} {
		g.loadField(f, aa+i)
	}
	rows := []string{"R8", "R9", "R10", "R11", "R12"}
	for i, f := range []string{"k", "v", "as", "bs", "ps"} {
		g.op("MOVQ", g.f(f), rows[i])
	}
	g.tokens(func() {
		for i, r := range []int{aa, bb, pp} {
			g.store(r, "("+rows[2+i]+")")
		}
		g.load("(R8)", k)
		g.load("(R9)", v)
		g.r3("VADDPS", w, pp, pp)
		g.expPair(pp, k)
		g.r3("VMAXPS", pp, k, pp)
		g.r3("VMULPS", 1, aa, aa)
		g.r3("VFMADD231PS", v, 2, aa)
		g.r3("VMULPS", 1, bb, bb)
		g.r3("VADDPS", 2, bb, bb)
		for _, r := range rows {
			g.op("ADDQ", "$64", r)
		}
	})
	g.close()
}

// wkv4Back prints the way back over what wkv4Keep kept. Every factor is at most 1.
func (g *recGen) wkv4Back() {
	g.open("wkv4Back", "wkv4BackCall", wkv4BackFields...)
	const w, u, ga, gb, dw, du, dk, dv, x = 6, 7, 8, 9, 10, 11, 12, 13, 14
	for i, f := range []string{"w", "u", "ga", "gb", "dw", "du"} {
		g.loadField(f, w+i)
	}
	g.op("MOVQ", g.f("T"), "SI")
	g.op("MOVQ", "SI", "CX")
	g.op("SHLQ", "$6", "CX") // the offset of the row after
	row := func(field string, r int) {
		g.op("MOVQ", g.f(field), "DX")
		g.load("(DX)(CX*1)", r)
	}
	token := g.label("token")
	g.align()
	g.p("%s:", token)
	g.op("ADDQ", "$-64", "CX")
	row("ps", x)
	g.r3("VADDPS", w, x, x)
	row("k", 3)
	g.expPair(x, 3)
	row("as", 0)
	row("bs", 3)
	row("v", 5)
	g.r3("VMULPS", ga, 0, 4)
	g.r3("VFMADD231PS", gb, 3, 4)
	g.r3("VFMADD231PS", 4, 1, dw) // dw += e1 (aa ga + bb gb)
	g.move(gb, dk)
	g.r3("VFMADD231PS", ga, 5, dk)
	g.r3("VMULPS", 2, dk, dk) // e2 (v ga + gb)
	g.r3("VMULPS", 2, ga, dv)
	g.r3("VMULPS", 1, ga, ga)
	g.r3("VMULPS", 1, gb, gb)
	row("ps", x)
	row("k", 3)
	g.r3("VADDPS", u, 3, 3)
	g.expPair(x, 3)
	row("as", 4)
	row("bs", 0)
	g.move(2, 3)
	g.r3("VFMADD231PS", 0, 1, 3) // e1 bb + e2
	row("v", 0)
	g.r3("VMULPS", 4, 1, 5)
	g.r3("VFMADD231PS", 0, 2, 5)
	g.r3("VDIVPS", 3, 5, 5) // y
	row("do", 4)
	g.r3("VDIVPS", 3, 4, 4) // s
	g.r3("VMULPS", 4, 2, 3) // e2 s
	g.r3("VADDPS", 3, dv, dv)
	g.r3("VSUBPS", 5, 0, 0)
	g.r3("VMULPS", 0, 3, 3) // e2 s (v − y)
	g.r3("VADDPS", 3, du, du)
	g.r3("VADDPS", 3, dk, dk)
	g.r3("VMULPS", 4, 1, 4)
	g.r3("VADDPS", 4, ga, ga)
	g.r3("VFNMADD231PS", 5, 4, gb)
	for i, f := range []string{"dk", "dv"} {
		g.op("MOVQ", g.f(f), "DX")
		g.store(dk+i, "(DX)(CX*1)")
	}
	g.op("DECQ", "SI")
	g.op("JNE", token)
	for i, f := range []string{"ga", "gb", "dw", "du"} {
		g.storeField(ga+i, f)
	}
	g.close()
}

// softmax prints the running softmax of one vector of columns: first the largest number,
// then the weights. Registers: the maximum 5, the sum 6.
func (g *recGen) softmax() {
	g.open("softmax", "softmaxCall", "s", "max", "sum", "factor", "scale", "T", "stride", "lanes")
	g.weightsSetup()
	states := g.statesAtOnce()
	g.op("MOVQ", g.f("stride"), "R12")
	g.op("MOVQ", g.f("s"), "R8")
	g.loadField("max", 0)
	for i := range 3 {
		g.move(0, 1+i)
	}
	g.some("T", 4, func(n int) {
		for i := range n {
			g.load("(R8)", 5)
			g.r3("VMAXPS", 5, i, i)
			g.op("ADDQ", "R12", "R8")
		}
	})
	g.r3("VMAXPS", 1, 0, 0)
	g.r3("VMAXPS", 3, 2, 2)
	g.r3("VMAXPS", 2, 0, 5)
	g.loadField("max", states[0].x)
	g.storeField(5, "max")
	g.clampLow(-3e38, 5) // where nothing has been seen yet
	g.weights(states[0])
	g.storeField(states[0].q, "factor")
	g.loadField("sum", 6)
	g.r3("VMULPS", states[0].q, 6, 6)
	g.op("MOVQ", g.f("s"), "R8")
	g.some("T", len(states), func(n int) {
		g.op("MOVQ", "R8", "R9")
		for _, s := range states[:n] {
			g.load("(R9)", s.x)
			g.op("ADDQ", "R12", "R9")
		}
		g.weights(states[:n]...)
		for _, s := range states[:n] {
			g.store(s.q, "(R8)")
			g.op("ADDQ", "R12", "R8")
			g.r3("VADDPS", s.q, 6, 6)
		}
	})
	g.storeField(6, "sum")
	g.close()
}

// softmaxBack prints its gradient, of one vector of columns. Registers: the logarithm of
// the sum 5, the mean gradient 6, the scale 7.
func (g *recGen) softmaxBack() {
	g.open("softmaxBack", "softmaxBackCall", "s", "d", "lse", "delta", "scale", "T", "stride", "lanes")
	g.weightsSetup()
	states := g.statesAtOnce()
	g.op("MOVQ", g.f("scale"), "DX")
	g.bcast("(DX)", 7)
	g.loadField("lse", 5)
	g.loadField("delta", 6)
	g.op("MOVQ", g.f("stride"), "R12")
	g.op("MOVQ", g.f("s"), "R8")
	g.op("MOVQ", g.f("d"), "R10")
	g.some("T", len(states), func(n int) {
		g.op("MOVQ", "R8", "R9")
		for _, s := range states[:n] {
			g.load("(R9)", s.x)
			g.op("ADDQ", "R12", "R9")
		}
		g.weights(states[:n]...)
		for _, s := range states[:n] {
			g.store(s.q, "(R8)")
			g.load("(R10)", s.x)
			g.r3("VSUBPS", 6, s.x, s.x)
			g.r3("VMULPS", 7, s.q, s.q)
			g.r3("VMULPS", s.q, s.x, s.x)
			g.store(s.x, "(R10)")
			g.op("ADDQ", "R12", "R8")
			g.op("ADDQ", "R12", "R10")
		}
	})
	g.close()
}

// complex prints the step form of diagonal complex modes of one vector of channels.
func (g *recGen) complex() {
	g.open("complex", "complexCall", "sre", "sim", "are", "aim", "bre", "bim", "cre", "cim", "d", "x", "y", "T", "N", "stride", "xs", "ys", "lanes")
	const x, y, d, sr, si, t, u, v = 0, 1, 2, 3, 4, 5, 6, 7
	g.loadField("d", d)
	g.tokens(func() {
		g.row("x", "xs", "R8")
		g.load("(R8)", x)
		g.zero(y)
		g.op("MOVQ", g.f("N"), "BX")
		g.op("XORQ", "CX", "CX") // offset of the mode
		mode, done := g.label("mode"), g.label("done")
		g.op("TESTQ", "BX", "BX")
		g.op("JEQ", done)
		g.p("%s:", mode)
		in := func(field string, r int) {
			g.op("MOVQ", g.f(field), "DX")
			g.load("(DX)(CX*1)", r)
		}
		in("sre", sr)
		in("sim", si)
		in("are", t)
		in("bre", u)
		g.r3("VMULPS", x, u, u)
		g.r3("VFMADD231PS", sr, t, u) // re = ar·sr + br·x …
		in("bim", v)
		g.r3("VMULPS", x, v, v)
		g.r3("VFMADD231PS", si, t, v) // im = ar·si + bi·x …
		in("aim", t)
		g.r3("VFNMADD231PS", si, t, u)
		g.r3("VFMADD231PS", sr, t, v)
		for _, s := range []struct {
			field string
			r     int
		}{{"sre", u}, {"sim", v}} {
			g.op("MOVQ", g.f(s.field), "DX")
			g.store(s.r, "(DX)(CX*1)")
		}
		in("cre", t)
		g.r3("VFMADD231PS", u, t, y)
		in("cim", t)
		g.r3("VFNMADD231PS", v, t, y)
		g.op("ADDQ", g.f("stride"), "CX")
		g.op("DECQ", "BX")
		g.op("JNE", mode)
		g.p("%s:", done)
		g.r3("VADDPS", y, y, y)
		g.r3("VFMADD231PS", x, d, y)
		g.row("y", "ys", "R8")
		g.store(y, "(R8)")
	})
	g.close()
}

// complexGroup prints complex for n tokens at a time, of which T is a multiple: the states and
// constants of a mode are loaded once for them. Registers: y 0…, x after them, then the state,
// what comes after it, and A, B and C.
func (g *recGen) complexGroup(n int) {
	g.open("complexGroup", "complexCall", "sre", "sim", "are", "aim", "bre", "bim", "cre", "cim", "d", "x", "y", "T", "N", "stride", "xs", "ys", "lanes")
	const y = 0
	x, sr, si, u, v := n, 2*n, 2*n+1, 2*n+2, 2*n+3
	ar, ai, br, bi, cr, ci := 2*n+4, 2*n+5, 2*n+6, 2*n+7, 2*n+8, vecSpare
	if n > 2 {
		ci = 2*n + 9
	}
	each := func(ptr, stride string, f func(t int)) {
		g.row(ptr, stride, "R8")
		for t := range n {
			f(t)
			if t < n-1 {
				g.op("ADDQ", g.f(stride), "R8")
			}
		}
	}
	group, mode := g.label("group"), g.label("mode")
	g.op("XORQ", "SI", "SI")
	g.p("%s:", group)
	each("x", "xs", func(t int) {
		g.load("(R8)", x+t)
		g.zero(y + t)
	})
	g.op("MOVQ", g.f("N"), "BX")
	g.op("XORQ", "CX", "CX") // offset of the mode
	g.align()
	g.p("%s:", mode)
	fields := []string{"sre", "sim", "are", "aim", "bre", "bim", "cre", "cim"}
	for i, r := range []int{sr, si, ar, ai, br, bi, cr, ci} {
		g.op("MOVQ", g.f(fields[i]), "DX")
		g.load("(DX)(CX*1)", r)
	}
	for t := range n {
		g.r3("VMULPS", x+t, br, u)
		g.r3("VFMADD231PS", sr, ar, u)
		g.r3("VMULPS", x+t, bi, v)
		g.r3("VFMADD231PS", si, ar, v)
		g.r3("VFNMADD231PS", si, ai, u)
		g.r3("VFMADD231PS", sr, ai, v)
		g.r3("VFMADD231PS", u, cr, y+t)
		g.r3("VFNMADD231PS", v, ci, y+t)
		sr, si, u, v = u, v, sr, si
	}
	for i, r := range []int{sr, si} {
		g.op("MOVQ", g.f(fields[i]), "DX")
		g.store(r, "(DX)(CX*1)")
	}
	g.op("ADDQ", g.f("stride"), "CX")
	g.op("DECQ", "BX")
	g.op("JNE", mode)
	g.loadField("d", sr)
	each("y", "ys", func(t int) {
		g.r3("VADDPS", y+t, y+t, y+t)
		g.r3("VFMADD231PS", x+t, sr, y+t)
		g.store(y+t, "(R8)")
	})
	g.op("ADDQ", fmt.Sprintf("$%d", n), "SI")
	g.op("CMPQ", "SI", g.f("T"))
	g.op("JLT", group)
	g.close()
}

var complexBackFields = []string{"m", "re", "im", "x", "dy", "dx", "T"}

// complexMode loads rows of 64 bytes of a mode's numbers, the first of them the given one.
func (g *recGen) complexMode(row int, regs ...int) {
	g.op("MOVQ", g.f("m"), "DX")
	for i, r := range regs {
		g.load(fmt.Sprintf("%d(DX)", 64*(row+i)), r)
	}
}

// complexKeep prints one mode's recurrence over rows of 16 channels, of which this takes a
// vector: it keeps the states, from the one before on, and adds up the gradient of C.
func (g *recGen) complexKeep() {
	g.open("complexKeep", "complexBackCall", complexBackFields...)
	const ar, ai, br, bi, sr, si, dcr, dci, x, d, nr, ni = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	g.complexMode(0, ar, ai, br, bi)
	for i, f := range []string{"x", "dy", "re", "im"} {
		g.op("MOVQ", g.f(f), []string{"R8", "R9", "R10", "R11"}[i])
	}
	g.load("(R10)", sr)
	g.load("(R11)", si)
	g.zero(dcr)
	g.zero(dci)
	g.tokens(func() {
		g.load("(R8)", x)
		g.load("(R9)", d)
		g.r3("VMULPS", x, br, nr)
		g.r3("VMULPS", x, bi, ni)
		g.r3("VFMADD231PS", sr, ar, nr)
		g.r3("VFMADD231PS", si, ar, ni)
		g.r3("VFNMADD231PS", si, ai, nr)
		g.r3("VFMADD231PS", sr, ai, ni)
		g.r3("VADDPS", d, d, d)
		g.r3("VFMADD231PS", nr, d, dcr)
		g.r3("VFNMADD231PS", ni, d, dci)
		g.move(nr, sr)
		g.move(ni, si)
		for _, r := range []string{"R8", "R9", "R10", "R11"} {
			g.op("ADDQ", "$64", r)
		}
		g.store(sr, "(R10)")
		g.store(si, "(R11)")
	})
	g.op("MOVQ", g.f("m"), "DX")
	g.store(dcr, fmt.Sprintf("%d(DX)", 64*12))
	g.store(dci, fmt.Sprintf("%d(DX)", 64*13))
	g.close()
}

// complexBack prints the way back over what complexKeep kept, with the gradient of the state in
// gr and gi. Registers 12 to 14 are scratch.
func (g *recGen) complexBack() {
	g.open("complexBack", "complexBackCall", complexBackFields...)
	const ar, ai, br, bi, cr, ci, gr, gi, dar, dai, dbr, dbi = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	const d, x, sr, si, dx, tr, ti = 12, 13, 12, 13, 14, 12, 13
	g.complexMode(0, ar, ai, br, bi, cr, ci, gr, gi)
	for _, r := range []int{dar, dai, dbr, dbi} {
		g.zero(r)
	}
	g.op("MOVQ", g.f("T"), "SI")
	g.op("MOVQ", "SI", "CX")
	g.op("SHLQ", "$6", "CX")
	regs := []string{"R8", "R9", "R10", "R11", "R12"}
	for i, f := range []string{"x", "dy", "re", "im", "dx"} {
		g.op("MOVQ", g.f(f), regs[i])
		g.op("ADDQ", "CX", regs[i])
	}
	token := g.label("token")
	g.align()
	g.p("%s:", token)
	for _, r := range regs {
		g.op("ADDQ", "$-64", r)
	}
	g.load("(R9)", d)
	g.load("(R8)", x)
	g.r3("VADDPS", d, d, d)
	g.r3("VFMADD231PS", cr, d, gr) // G = g + 2 dy conj(C)
	g.r3("VFNMADD231PS", ci, d, gi)
	g.r3("VFMADD231PS", x, gr, dbr)
	g.r3("VFMADD231PS", x, gi, dbi)
	g.load("(R10)", sr)
	g.load("(R11)", si)
	g.r3("VFMADD231PS", sr, gr, dar)
	g.r3("VFMADD231PS", sr, gi, dai)
	g.r3("VFMADD231PS", si, gi, dar)
	g.r3("VFNMADD231PS", si, gr, dai)
	g.load("(R12)", dx)
	g.r3("VFMADD231PS", br, gr, dx)
	g.r3("VFMADD231PS", bi, gi, dx)
	g.store(dx, "(R12)")
	g.r3("VMULPS", ar, gr, tr)
	g.r3("VMULPS", ar, gi, ti)
	g.r3("VFMADD231PS", ai, gi, tr)
	g.r3("VFNMADD231PS", ai, gr, ti)
	g.move(tr, gr)
	g.move(ti, gi)
	g.op("DECQ", "SI")
	g.op("JNE", token)
	g.op("MOVQ", g.f("m"), "DX")
	for i, r := range []int{gr, gi, dar, dai, dbr, dbi} {
		g.store(r, fmt.Sprintf("%d(DX)", 64*(6+i)))
	}
	g.close()
}

// dplr prints the recurrence of complex modes with a correction of rank one, of one vector of
// channels. What the correction reads of the states after a token is summed up while they are
// written. Registers: −z 0, two parts of the next z 1 and 2, u 3, two parts of y 4 and 5.
func (g *recGen) dplr() {
	fields := []string{"sre", "sim", "are", "aim", "pre", "pim", "qre", "qim", "bre", "bim", "cre", "cim"}
	g.open("dplr", "dplrCall", append(fields, "d", "u", "y", "T", "N", "stride", "us", "ys", "lanes")...)
	const z, next0, next1, u, y0, y1, xr, xi, nr, ni, c, e = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	held := []string{"R8", "R9", "R10", "R11", "R12", "R13", "AX"} // addresses that there are registers for
	for i, r := range held {
		g.op("MOVQ", g.f(fields[i]), r)
	}
	at := func(i int) string {
		if i < len(held) {
			return "(" + held[i] + ")(CX*1)"
		}
		g.op("MOVQ", g.f(fields[i]), "DX")
		return "(DX)(CX*1)"
	}
	pair := func(i int) { // c and e are the real and the imaginary part
		g.load(at(i), c)
		g.load(at(i+1), e)
	}
	modes := func(f func()) {
		mode := g.label("mode")
		g.op("MOVQ", g.f("N"), "BX")
		g.op("XORQ", "CX", "CX") // offset of the mode
		g.align()
		g.p("%s:", mode)
		f()
		g.op("ADDQ", g.f("stride"), "CX")
		g.op("DECQ", "BX")
		g.op("JNE", mode)
	}
	g.zero(next0)
	g.zero(next1)
	modes(func() {
		g.load(at(0), xr)
		g.load(at(1), xi)
		pair(6)
		g.r3("VFMADD231PS", xr, c, next0)
		g.r3("VFMADD231PS", xi, e, next1)
	})
	g.tokens(func() {
		g.zero(z)
		g.r3("VADDPS", next1, next0, next0)
		g.r3("VSUBPS", next0, z, z)
		for _, r := range []int{next0, next1, y0, y1} {
			g.zero(r)
		}
		g.row("u", "us", "DX")
		g.load("(DX)", u)
		modes(func() {
			g.load(at(0), xr)
			g.load(at(1), xi)
			pair(2)
			g.r3("VMULPS", xr, c, nr)
			g.r3("VMULPS", xi, c, ni)
			g.r3("VFNMADD231PS", xi, e, nr)
			g.r3("VFMADD231PS", xr, e, ni)
			for _, t := range []struct{ field, by int }{{4, z}, {8, u}} {
				pair(t.field)
				g.r3("VFMADD231PS", t.by, c, nr)
				g.r3("VFMADD231PS", t.by, e, ni)
			}
			g.store(nr, at(0))
			g.store(ni, at(1))
			pair(6)
			g.r3("VFMADD231PS", nr, c, next0)
			g.r3("VFMADD231PS", ni, e, next1)
			pair(10)
			g.r3("VFMADD231PS", nr, c, y0)
			g.r3("VFMADD231PS", ni, e, y1)
		})
		g.loadField("d", c)
		g.r3("VFMADD231PS", u, c, y0)
		g.r3("VADDPS", y1, y0, y0)
		g.row("y", "ys", "DX")
		g.store(y0, "(DX)")
	})
	g.close()
}

// modes prints h = λ·h + κ·x of complex numbers, of one vector of them.
func (g *recGen) modes() {
	g.open("modes", "modesCall", "hre", "him", "lre", "lim", "kre", "kim", "xre", "xim", "yre", "yim", "T", "xs", "ys", "lanes")
	const hr, hi, lr, li, kr, ki, x, z, r, i = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
	for n, f := range []string{"hre", "him", "lre", "lim", "kre", "kim"} {
		g.loadField(f, n)
	}
	for n, f := range []string{"xre", "xim", "yre", "yim"} {
		g.op("MOVQ", g.f(f), []string{"R8", "R9", "R10", "R11"}[n])
	}
	g.tokens(func() {
		g.load("(R8)", x)
		g.load("(R9)", z)
		g.r3("VMULPS", x, kr, r)
		g.r3("VMULPS", z, kr, i)
		g.r3("VFNMADD231PS", z, ki, r)
		g.r3("VFMADD231PS", x, ki, i)
		g.r3("VFMADD231PS", hr, lr, r)
		g.r3("VFMADD231PS", hi, lr, i)
		g.r3("VFNMADD231PS", hi, li, r)
		g.r3("VFMADD231PS", hr, li, i)
		g.move(r, hr)
		g.move(i, hi)
		g.store(hr, "(R10)")
		g.store(hi, "(R11)")
		for n, r := range []string{"R8", "R9", "R10", "R11"} {
			g.op("ADDQ", g.f([]string{"xs", "ys"}[n/2]), r)
		}
	})
	g.storeField(hr, "hre")
	g.storeField(hi, "him")
	g.close()
}

// modesBack prints the way back. Registers: the gradient of the state 0 and 1, of λ and κ 6 to 9.
func (g *recGen) modesBack() {
	sums := []string{"gre", "gim", "lre", "lim", "kre", "kim", "dlre", "dlim", "dkre", "dkim"}
	g.open("modesBack", "modesBackCall", append(sums, "hre", "him", "xre", "xim", "dyre", "dyim", "dxre", "dxim", "T", "xs", "ys", "lanes")...)
	const gr, gi, lr, li, kr, ki, dlr, dli, dkr, dki, a, b = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	for n, f := range sums {
		g.loadField(f, n)
	}
	at := func(field, offset string) string {
		g.op("MOVQ", g.f(field), "DX")
		return "(DX)(" + offset + "*1)"
	}
	pair := func(field, offset string) {
		g.load(at(field+"re", offset), a)
		g.load(at(field+"im", offset), b)
	}
	// product adds, or sets, r + i·√−1 = g·conj(a + b·√−1).
	product := func(a, b, r, i int, add bool) {
		if add {
			g.r3("VFMADD231PS", a, gr, r)
			g.r3("VFMADD231PS", a, gi, i)
		} else {
			g.r3("VMULPS", a, gr, r)
			g.r3("VMULPS", a, gi, i)
		}
		g.r3("VFMADD231PS", b, gi, r)
		g.r3("VFNMADD231PS", b, gr, i)
	}
	g.op("MOVQ", g.f("T"), "SI")
	token := g.label("token")
	g.align()
	g.p("%s:", token)
	for i, f := range []string{"xs", "ys"} {
		r := []string{"R8", "R9"}[i]
		g.op("MOVQ", "SI", r)
		g.op("DECQ", r)
		g.op("IMULQ", g.f(f), r)
	}
	pair("dy", "R9")
	g.r3("VADDPS", a, gr, gr)
	g.r3("VADDPS", b, gi, gi)
	pair("h", "R9")
	product(a, b, dlr, dli, true)
	pair("x", "R8")
	product(a, b, dkr, dki, true)
	pair("dx", "R8")
	product(kr, ki, a, b, true)
	g.store(a, at("dxre", "R8"))
	g.store(b, at("dxim", "R8"))
	product(lr, li, a, b, false)
	g.move(a, gr)
	g.move(b, gi)
	g.op("DECQ", "SI")
	g.op("JNE", token)
	for n, f := range sums {
		if n < 2 || n > 5 {
			g.storeField(n, f)
		}
	}
	g.close()
}

// diagonal prints h = a·h + b of one vector of channels.
func (g *recGen) diagonal() {
	g.open("diagonal", "diagonalCall", "a", "b", "h", "state", "T", "as", "bs", "hs", "lanes")
	g.loadField("state", 0)
	g.tokens(func() {
		g.row("a", "as", "R8")
		g.row("b", "bs", "R9")
		g.row("h", "hs", "R10")
		g.load("(R8)", 1)
		g.load("(R9)", 2)
		g.r3("VFMADD213PS", 2, 1, 0)
		g.store(0, "(R10)")
	})
	g.storeField(0, "state")
	g.close()
}

func recAMD64(f *file) {
	consts := &vecConsts{at: map[uint32]int{}}
	for _, wide := range []bool{true, false} {
		for _, part := range []bool{false, true} {
			g := &recGen{vecGen: &vecGen{file: f, wide: wide, consts: consts}, part: part}
			g.channels()
			switch {
			case part && wide:
				g.columns(1, 1, 3)
			case part:
				g.columns(1, 1, 2)
			case wide:
				g.columns(4, 4, 3)
			default: // as many as there are registers for
				g.columns(4, 2, 2)
			}
		}
	}
	consts.table(f)
	exp2Table(f, 32, 0)
	exp2Table(f, 8, 1<<20)
}

func recARM64(f *file) {
	consts := &vecConsts{at: map[uint32]int{}}
	g := &recGen{vecGen: &vecGen{file: f, neon: true, consts: consts}}
	g.channels()
	g.columns(4, 4, 3)
	g.columns(1, 1, 3)
	g.part = true
	g.channels()
	g.columns(1, 1, 3)
	consts.neonTable(f)
}

// channels prints the functions whose lanes are channels.
func (g *recGen) channels() {
	g.selective()
	if !g.part {
		g.selectiveKeep()
		g.selectiveBack()
		g.complexKeep()
		g.complexBack()
		g.wkv4Keep()
		g.wkv4Back()
		if g.wide || g.neon {
			g.complexGroup(4)
		} else { // as many as there are registers for
			g.complexGroup(2)
		}
	}
	for w := 2; w <= 4; w++ {
		for _, silu := range []bool{false, true} {
			g.conv(w, silu)
			g.convRow(w, silu)
		}
	}
	g.wkv4()
	g.softmax()
	g.softmaxBack()
	g.complex()
	g.dplr()
	g.modes()
	g.modesBack()
	g.diagonal()
}

// columns prints the functions on a matrix state: for one token width vectors
// of columns at a time, for a group of tokens or with a correction narrow ones.
func (g *recGen) columns(width, narrow, group int) {
	for _, read := range []string{readNever, readAfter, readBefore} {
		g.matrix(width, 1, read)
		g.matrix(narrow, group, read)
		g.matrixRankOne(narrow, read)
	}
}
