package main

import (
	"fmt"
	"math"
	"strings"
)

// This file is how vecGen and recGen print for arm64: the same bodies, with
// amd64's names of instructions and registers standing for NEON's. Go's
// assembler lacks most vector instructions on floats: those are words, whose
// comment is the mnemonic (Arm ARM C7.2, forms of four float32).

// neonRegs are the registers that stand for amd64's; R8 to R13 keep their names.
// R6 is for one instruction's needs.
var neonRegs = map[string]string{"DI": "R0", "SI": "R1", "DX": "R2", "CX": "R3", "BX": "R4", "AX": "R5"}

// x is the name of a general register.
func (g *vecGen) x(reg string) string {
	if n, ok := neonRegs[reg]; ok && g.neon {
		return n
	}
	return reg
}

// neonOps are the operations d = a op b, by amd64's names.
var neonOps = map[string]struct {
	base uint32
	name string
}{
	"VADDPS": {0x4E20D400, "FADD"},
	"VSUBPS": {0x4EA0D400, "FSUB"},
	"VMULPS": {0x6E20DC00, "FMUL"},
	"VDIVPS": {0x6E20FC00, "FDIV"},
	"VMAXPS": {0x4E20F400, "FMAX"}, // NaN where either is
	"VMINPS": {0x4EA0F400, "FMIN"},
}

// neonInts are those that the assembler has.
var neonInts = map[string]string{"VPADDD": "VADD", "VPSUBD": "VSUB"}

// neon3 prints d = a op b, or d += a·b, d −= a·b, d = a·d + b.
func (g *vecGen) neon3(op string, b, a, d int) {
	fma := func(name string, d int) { g.i("%s V%d.S4, V%d.S4, V%d.S4", name, b, a, d) }
	switch op {
	case "VFMADD231PS":
		fma("VFMLA", d)
	case "VFNMADD231PS":
		fma("VFMLS", d)
	case "VFMADD213PS":
		t := g.tmp()
		g.move(b, t)
		g.i("VFMLA V%d.S4, V%d.S4, V%d.S4", d, a, t)
		g.move(t, d)
	default:
		if name, ok := neonInts[op]; ok {
			g.i("%s V%d.S4, V%d.S4, V%d.S4", name, b, a, d)
			return
		}
		o, ok := neonOps[op]
		if !ok {
			panic("no NEON form of " + op)
		}
		gemmWord3(g.file, o.base, o.name, d, a, b)
	}
}

// neon2 prints d = op a.
func (g *vecGen) neon2(base uint32, name string, a, d int, more string) {
	g.i("WORD $0x%08X // %s V%d.4S, V%d.4S%s", base|uint32(a)<<5|uint32(d), name, d, a, more)
}

func (g *vecGen) frintn(a, d int) { g.neon2(0x4E218800, "FRINTN", a, d, "") } // to the nearest integer, ties to even
func (g *vecGen) fcvtns(a, d int) { g.neon2(0x4E21A800, "FCVTNS", a, d, "") } // the same, as int32
func (g *vecGen) scvtf(a, d int)  { g.neon2(0x4E21D800, "SCVTF", a, d, "") }  // from int32

// sshr: d = a >> n.
func (g *vecGen) sshr(n, a, d int) {
	g.neon2(0x4F000400|uint32(64-n)<<16, "SSHR", a, d, fmt.Sprintf(", #%d", n))
}

// fcmgt: d = all ones where a > b, else 0.
func (g *vecGen) fcmgt(b, a, d int) { gemmWord3(g.file, 0x6EA0E400, "FCMGT", d, a, b) }

// fmaxp: d = the larger of neighbours, of a and then of b.
func (g *vecGen) fmaxp(b, a, d int) { gemmWord3(g.file, 0x6E20F400, "FMAXP", d, a, b) }

// neonHorner is horner without moves: a constant is loaded where the next value is to be.
func (g *vecGen) neonHorner(x, q int, c ...float32) {
	at, next := q, g.tmp()
	if len(c)%2 == 0 {
		at, next = next, at
	}
	g.set(c[0], at)
	for _, v := range c[1:] {
		g.set(v, next)
		g.i("VFMLA V%d.S4, V%d.S4, V%d.S4", at, x, next)
		at, next = next, at
	}
}

// neonScale: q = q·2^n in two steps, each of which is a normal number.
func (g *vecGen) neonScale(q, n, t int) {
	g.fcvtns(n, n)
	g.sshr(1, n, t)
	g.r3("VPSUBD", t, n, n)
	for _, k := range []int{t, n} {
		g.i("VSHL $23, V%d.S4, V%d.S4", k, k)
		g.c3("VPADDD", 1, k, k)
		g.r3("VMULPS", k, q, q)
	}
}

// neonStream is stream: whole vectors, and then one element at a time, alone in its vector.
func (g *vecGen) neonStream(f func(base int, load func(ptr string, r int), store func(r int)), ptrs ...string) {
	loop, tail, done := g.label("loop"), g.label("tail"), g.label("done")
	one := g.label("one")
	body := func(mov string, bytes int) {
		f(0, func(ptr string, r int) { g.i("%s (%s), F%d", mov, g.x(ptr), r) },
			func(r int) { g.i("%s F%d, (%s)", mov, r, g.x("DI")) })
		for _, p := range append(ptrs, "DI") {
			g.i("ADD $%d, %s", bytes, g.x(p))
		}
	}
	n := g.x("CX")
	g.last = false
	g.i("SUBS $4, %s", n)
	g.i("BLT %s", tail)
	g.i("PCALIGN $16")
	g.p("%s:", loop)
	body("FMOVQ", 16)
	g.i("SUBS $4, %s", n)
	g.i("BGE %s", loop)
	g.p("%s:", tail)
	g.i("ADDS $4, %s", n)
	g.i("BEQ %s", done)
	g.last = true
	g.p("%s:", one)
	body("FMOVS", 4)
	g.i("SUBS $1, %s", n)
	g.i("BNE %s", one)
	g.p("%s:", done)
	if g.after != nil {
		g.after()
	}
	g.i("RET")
}

// neonReduce is the loop of reduce, whose last elements come one at a time.
func (g *vecGen) neonReduce(two bool, step func(acc, x, y int)) {
	x, y, n := g.x("SI"), g.x("R8"), g.x("CX")
	load := func(mov string, bytes, acc int) {
		g.i("%s.P %d(%s), F%d", mov, bytes, x, 4+acc)
		if two {
			g.i("%s.P %d(%s), F%d", mov, bytes, y, 8+acc)
		}
		step(acc, 4+acc, 8+acc)
	}
	four, vec, one, done := g.label("four"), g.label("vec"), g.label("one"), g.label("done")
	after, tail := g.label("after"), g.label("tail")
	g.i("SUBS $16, %s", n)
	g.i("BLT %s", after)
	g.i("PCALIGN $16")
	g.p("%s:", four)
	for a := range 4 {
		load("FMOVQ", 16, a)
	}
	g.i("SUBS $16, %s", n)
	g.i("BGE %s", four)
	g.p("%s:", after)
	g.i("ADDS $12, %s", n)
	g.i("BLT %s", tail)
	g.p("%s:", vec)
	load("FMOVQ", 16, 0)
	g.i("SUBS $4, %s", n)
	g.i("BGE %s", vec)
	g.p("%s:", tail)
	g.i("ADDS $4, %s", n)
	g.i("BEQ %s", done)
	g.p("%s:", one)
	load("FMOVS", 4, 1)
	g.i("SUBS $1, %s", n)
	g.i("BNE %s", one)
	g.p("%s:", done)
	g.r3("VADDPS", 2, 0, 0)
	g.r3("VADDPS", 3, 1, 1)
	g.r3("VADDPS", 1, 0, 0)
	gemmFADDP(g.file, 0, 0, 0)
	gemmFADDP(g.file, 0, 0, 0)
}

// neonMax prints max for n of at least 4; FMAX keeps a NaN.
func (g *vecGen) neonMax() {
	g.text("maxNEON", "func maxNEON(x *float32, n int) float32", 20)
	loop, done := g.label("loop"), g.label("done")
	g.i("MOVD x+0(FP), R1")
	g.i("MOVD n+8(FP), R3")
	g.i("SUB $4, R3")
	g.i("ADD R3<<2, R1, R2") // the last vector
	g.i("FMOVQ (R2), F0")
	g.p("%s:", loop)
	g.i("CMP R2, R1")
	g.i("BHS %s", done)
	g.i("FMOVQ.P 16(R1), F1")
	g.r3("VMAXPS", 1, 0, 0)
	g.i("B %s", loop)
	g.p("%s:", done)
	g.fmaxp(0, 0, 0)
	g.fmaxp(0, 0, 0)
	g.i("FMOVS F0, ret+16(FP)")
	g.i("RET")
}

// neonTable prints the constants, each four times over.
func (c *vecConsts) neonTable(f *file) {
	for i, v := range c.values {
		for l := range 4 {
			f.p("DATA vecConsts<>+%d(SB)/4, $0x%08x // %v", 16*i+4*l, math.Float32bits(v), v)
		}
	}
	f.p("GLOBL vecConsts<>(SB), RODATA|NOPTR, $%d", 16*len(c.values))
}

// arg loads an argument, given as its name and offset, into a general register.
func (g *vecGen) arg(at, reg string) {
	if g.neon {
		g.i("MOVD %s(FP), %s", at, g.x(reg))
		return
	}
	g.i("MOVQ %s(FP), %s", at, reg)
}

// argBcast fills register r with a float argument.
func (g *vecGen) argBcast(at string, r int) {
	if g.neon {
		g.i("FMOVS %s(FP), F%d", at, r)
		g.i("VDUP V%d.S[0], V%d.S4", r, r)
		return
	}
	g.i("VBROADCASTSS %s(FP), %s", at, g.r(r))
}

// constants makes AX the address of the constants.
func (g *vecGen) constants() {
	if g.neon {
		g.i("MOVD $vecConsts<>(SB), %s", g.x("AX"))
		return
	}
	g.i("LEAQ vecConsts<>(SB), AX")
}

// move: d = a.
func (g *vecGen) move(a, d int) {
	switch {
	case a == d:
	case g.neon:
		g.i("VMOV V%d.B16, V%d.B16", a, d)
	default:
		g.i("VMOVAPS %s, %s", g.r(a), g.r(d))
	}
}

// neonInstrs are amd64's instructions on general registers that op prints.
var neonInstrs = map[string]string{"MOVQ": "MOVD", "ADDQ": "ADD", "SUBQ": "SUBS", "IMULQ": "MUL", "SHLQ": "LSL", "CMPQ": "CMP",
	"JLT": "BLT", "JGE": "BGE", "JLE": "BLE", "JEQ": "BEQ", "JNE": "BNE", "JMP": "B"}

// neonOp is op: operands in memory go by way of R6.
func (g *recGen) neonOp(name string, operands ...string) {
	for i, o := range operands {
		operands[i] = g.x(o)
	}
	last := operands[len(operands)-1]
	switch name {
	case "XORQ":
		if operands[0] != last {
			panic("XORQ only clears")
		}
		g.i("MOVD ZR, %s", last)
	case "INCQ":
		g.i("ADD $1, %s", last)
	case "DECQ":
		g.i("SUBS $1, %s", last)
	case "TESTQ":
		g.i("CMP $0, %s", last)
	default:
		to, ok := neonInstrs[name]
		if !ok {
			panic("no NEON form of " + name)
		}
		if name != "MOVQ" {
			for i, o := range operands {
				if strings.HasSuffix(o, ")") {
					g.i("MOVD %s, R6", o)
					operands[i] = "R6"
				}
			}
		}
		if name == "CMPQ" { // the other way around
			operands[0], operands[1] = operands[1], operands[0]
		}
		g.i("%s %s", to, strings.Join(operands, ", "))
	}
}

// neonAddr is the address off(base), or in R6 (base)(index*scale).
func (g *recGen) neonAddr(addr string) string {
	off, regs, _ := strings.Cut(strings.TrimSuffix(addr, ")"), "(")
	base, index, ok := strings.Cut(regs, ")(")
	if !ok {
		return fmt.Sprintf("%s(%s)", off, g.x(base))
	}
	index, scale, _ := strings.Cut(index, "*")
	shift, ok := map[string]string{"1": "", "2": "<<1", "4": "<<2"}[scale]
	if !ok || off != "" {
		panic("no NEON form of " + addr)
	}
	g.i("ADD %s%s, %s, R6", g.x(index), shift, g.x(base))
	return "(R6)"
}

// neonMove moves a vector, or the one lane of a part.
func (g *recGen) neonMove() string {
	if g.part {
		return "FMOVS"
	}
	return "FMOVQ"
}
