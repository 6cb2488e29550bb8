package main

import (
	"fmt"
	"math"
)

func init() {
	register("internal/kernel/vec/vec_amd64.s", "!purego", func(f *file) {
		consts := &vecConsts{at: map[uint32]int{}}
		for _, wide := range []bool{true, false} {
			(&vecGen{file: f, wide: wide, consts: consts}).all()
		}
		consts.table(f)
	})
	register("internal/kernel/vec/vec_arm64.s", "!purego", func(f *file) {
		consts := &vecConsts{at: map[uint32]int{}}
		(&vecGen{file: f, neon: true, consts: consts}).all()
		consts.neonTable(f)
	})
}

// vecGen prints vector code for one register width. Constants live in memory
// at AX; register 15 (AVX2) or 31 (AVX-512, NEON) is for them in passing.
type vecGen struct {
	*file
	wide   bool // AVX-512
	neon   bool // NEON; AVX2 if neither
	consts *vecConsts
	last   bool   // stream prints its last elements, of less than a vector
	after  func() // what stream does before it returns
}

type vecConsts struct {
	at     map[uint32]int
	values []float32
}

func (c *vecConsts) offset(v float32) int {
	b := math.Float32bits(v)
	o, ok := c.at[b]
	if !ok {
		o = 4 * len(c.values)
		c.at[b] = o
		c.values = append(c.values, v)
	}
	return o
}

func (g *vecGen) bytes() int {
	switch {
	case g.wide:
		return 64
	case g.neon:
		return 16
	}
	return 32
}

func (g *vecGen) suffix() string {
	switch {
	case g.wide:
		return "AVX512"
	case g.neon:
		return "NEON"
	}
	return "AVX2"
}

func (g *vecGen) r(n int) string {
	if g.wide {
		return fmt.Sprintf("Z%d", n)
	}
	return fmt.Sprintf("Y%d", n)
}

func (g *vecGen) tmp() int {
	if g.wide || g.neon {
		return 31
	}
	return 15
}

// c3: d = a op constant.
func (g *vecGen) c3(op string, c float32, a, d int) {
	if g.wide {
		g.i("%s.BCST %d(AX), %s, %s // %v", op, g.consts.offset(c), g.r(a), g.r(d), c)
		return
	}
	g.set(c, g.tmp())
	g.r3(op, g.tmp(), a, d)
}

// r3: d = a op b.
func (g *vecGen) r3(op string, b, a, d int) {
	if g.neon {
		g.neon3(op, b, a, d)
		return
	}
	g.i("%s %s, %s, %s", op, g.r(b), g.r(a), g.r(d))
}

// set: d = constant.
func (g *vecGen) set(c float32, d int) {
	if g.neon {
		g.i("FMOVQ %d(%s), F%d // %v", 4*g.consts.offset(c), g.x("AX"), d, c)
		return
	}
	g.i("VBROADCASTSS %d(AX), %s // %v", g.consts.offset(c), g.r(d), c)
}

// clampLow and clampHigh bound x; as the second source it passes when it is NaN.
func (g *vecGen) clampLow(c float32, x int) {
	g.set(c, g.tmp())
	g.r3("VMAXPS", x, g.tmp(), x)
}

func (g *vecGen) clampHigh(c float32, x int) {
	g.set(c, g.tmp())
	g.r3("VMINPS", x, g.tmp(), x)
}

// horner: q = (…(c0·x + c1)·x + …) + cn.
func (g *vecGen) horner(x, q int, c ...float32) {
	if g.neon {
		g.neonHorner(x, q, c...)
		return
	}
	g.set(c[0], q)
	for _, v := range c[1:] {
		g.c3("VFMADD213PS", v, x, q)
	}
}

func (g *vecGen) not(src, dst int, mask uint32) { // dst = src ^ mask, by constants
	c := math.Float32frombits(mask)
	if g.wide {
		g.i("VPXORD.BCST %d(AX), %s, %s", g.consts.offset(c), g.r(src), g.r(dst))
		return
	}
	if g.neon {
		g.set(c, g.tmp())
		g.i("VEOR V%d.B16, V%d.B16, V%d.B16", g.tmp(), src, dst)
		return
	}
	g.c3("VXORPS", c, src, dst)
}

func (g *vecGen) and(src, dst int, mask uint32) {
	c := math.Float32frombits(mask)
	if g.wide {
		g.i("VPANDD.BCST %d(AX), %s, %s", g.consts.offset(c), g.r(src), g.r(dst))
		return
	}
	if g.neon {
		g.set(c, g.tmp())
		g.i("VAND V%d.B16, V%d.B16, V%d.B16", g.tmp(), src, dst)
		return
	}
	g.c3("VANDPS", c, src, dst)
}

const signBit, absMask = 0x80000000, 0x7fffffff

// exp: q = e^x, with x and n overwritten and t as scratch (AVX2): range
// reduction by ln 2 in two parts, Cephes' polynomial of degree 6, at most 0.9
// ulp; subnormal results and overflow come out right.
func (g *vecGen) exp(x, n, q, t int) {
	g.clampLow(-104, x)
	g.clampHigh(89, x)
	g.c3("VMULPS", math.Log2E, x, n)
	switch {
	case g.wide:
		g.i("VRNDSCALEPS $8, %s, %s", g.r(n), g.r(n))
	case g.neon:
		g.frintn(n, n)
	default:
		g.i("VROUNDPS $8, %s, %s", g.r(n), g.r(n))
	}
	g.c3("VFNMADD231PS", 0.693359375, n, x)
	g.c3("VFNMADD231PS", -2.12194440e-4, n, x)
	g.horner(x, q, expC...)
	if g.wide {
		g.r3("VSCALEFPS", n, q, q)
		return
	}
	if g.neon {
		g.neonScale(q, n, t)
		return
	}
	// Times 2^n in two steps, each of which is a normal number.
	g.i("VCVTPS2DQ %s, %s", g.r(n), g.r(n))
	g.i("VPSRAD $1, %s, %s", g.r(n), g.r(t))
	g.r3("VPSUBD", t, n, n)
	for _, k := range []int{t, n} {
		g.i("VPSLLD $23, %s, %s", g.r(k), g.r(k))
		g.c3("VPADDD", 1, k, k)
		g.r3("VMULPS", k, q, q)
	}
}

// expFlush is exp with results below 2^−125 zero, for what they are added to or end as:
// without VSCALEFPS it is a third shorter. Adding magic rounds to an integer n and leaves
// the exponent of 2^(n−1) in the low bits; the polynomial is of 2e^x, which keeps the
// largest results finite.
func (g *vecGen) expFlush(x, n, q, t int) {
	if g.wide {
		g.exp(x, n, q, t)
		return
	}
	const magic = 3<<22 + 126
	g.clampLow(-87.5, x) // n is −126, the exponent zero
	g.clampHigh(89, x)
	g.set(magic, n)
	g.c3("VFMADD231PS", math.Log2E, x, n)
	g.c3("VSUBPS", magic, n, t)
	g.c3("VFNMADD231PS", 0.693359375, t, x)
	g.c3("VFNMADD231PS", -2.12194440e-4, t, x)
	twice := make([]float32, len(expC))
	for i, c := range expC {
		twice[i] = 2 * c
	}
	g.horner(x, q, twice...)
	g.shiftInts(23, n, n)
	g.r3("VMULPS", n, q, q)
}

// expC are the coefficients of e^x for |x| ≤ ½ ln 2 (Cephes, expf.c), highest first.
var expC = []float32{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1, 1}

// blend: d = a where x < c, else b. a, b and d may be the same.
func (g *vecGen) blendLess(x int, c float32, a, b, d int) {
	g.set(c, g.tmp())
	if g.wide {
		g.i("VCMPPS $1, %s, %s, K2", g.r(g.tmp()), g.r(x)) // x < c
		g.i("VBLENDMPS %s, %s, K2, %s", g.r(a), g.r(b), g.r(d))
		return
	}
	if g.neon {
		g.fcmgt(x, g.tmp(), g.tmp())
		g.i("VBSL V%d.B16, V%d.B16, V%d.B16", b, a, g.tmp())
		g.move(g.tmp(), d)
		return
	}
	g.i("VCMPPS $1, Y15, %s, Y15", g.r(x))
	g.i("VBLENDVPS Y15, %s, %s, %s", g.r(a), g.r(b), g.r(d))
}

// log1pC are the coefficients of (ln(1+t) − t)/t² for 0 ≤ t ≤ 1, highest first: a
// minimax fit of ln(1+t), of relative error 5e-9.
var log1pC = []float32{-0.00331841902, 0.0202043441, -0.0576639929, 0.1068051, -0.153553696, 0.196953914, -0.249585857, 0.333305112, -0.499999328}

// log1p: t = ln(1 + t) for 0 ≤ t ≤ 1; q is scratch.
func (g *vecGen) log1p(t, q int) {
	g.horner(t, q, log1pC...)
	g.r3("VMULPS", t, q, q)
	g.r3("VFMADD231PS", t, q, t)
}

// ln: d = ln u + c for normal numbers u > 0, with u and k overwritten and p as
// scratch. u = 2^k·m with m in [√½, √2), by integers; ln m is Cephes'
// polynomial; log and log1p are right to 0.85 ulp. c, which is small beside the result or ends it, joins the low
// part, and so does adjust, which may change k as a float.
func (g *vecGen) ln(u, c, k, p, d int, adjust func()) {
	sqrtHalf := math.Float32frombits(0x3f3504f3)
	g.c3("VPSUBD", sqrtHalf, u, k)
	g.shiftInts(-23, k, k)
	g.shiftInts(23, k, d)
	g.r3("VPSUBD", d, u, u)
	g.toFloats(k, k)
	if adjust != nil {
		adjust()
	}
	z := u
	g.c3("VSUBPS", 1, u, z)
	g.horner(z, p, lnC...)
	g.r3("VMULPS", z, p, p)
	g.c3("VSUBPS", 0.5, p, p)
	g.r3("VMULPS", z, z, d)
	g.r3("VFMADD213PS", c, d, p) // z² (z P − ½) + c
	g.c3("VFMADD231PS", -2.12194440e-4, k, p)
	g.r3("VADDPS", z, p, d)
	g.c3("VFMADD231PS", 0.693359375, k, d)
}

// lnC are the coefficients of P in ln(1+z) = z − z²/2 + z³ P(z) (Cephes, logf.c).
var lnC = []float32{7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1}

// lnEnds puts right what ln gives for u = 0, for u < 0, and for x infinite or NaN.
func (g *vecGen) lnEnds(x, u, d, t int) {
	inf := float32(math.Inf(1))
	g.blendLess(x, inf, d, x, d)
	g.set(-inf, t)
	g.blendLess(u, math.SmallestNonzeroFloat32, t, d, d)
	g.set(float32(math.NaN()), t)
	g.blendLess(u, 0, t, d, d)
}

// shiftInts: d = a·2^n as int32, rounded down.
func (g *vecGen) shiftInts(n, a, d int) {
	switch {
	case n > 0 && g.neon:
		g.i("VSHL $%d, V%d.S4, V%d.S4", n, a, d)
	case n > 0:
		g.i("VPSLLD $%d, %s, %s", n, g.r(a), g.r(d))
	case g.neon:
		g.sshr(-n, a, d)
	default:
		g.i("VPSRAD $%d, %s, %s", -n, g.r(a), g.r(d))
	}
}

// toFloats: d = a, from int32.
func (g *vecGen) toFloats(a, d int) {
	if g.neon {
		g.scvtf(a, d)
		return
	}
	g.i("VCVTDQ2PS %s, %s", g.r(a), g.r(d))
}

// geluC are the coefficients of (4+a)·Φ(−a)·e^(a²/2) in t = (a−4)/(a+4), highest
// first, for 0 ≤ a ≤ 15: a minimax fit, of relative error 9.1e-9.
var geluC = []float32{-1.341963144e-04, 1.746592981e-04, 1.568408300e-03, -3.510210940e-03, -7.524004350e-03, 6.040348947e-02, -1.865236563e-01, 3.871369165e-01, -6.078965799e-01, 7.552851353e-01}

// gelu: x = x Φ(x) = max(x, 0) − |x| Φ(−|x|), which cancels nowhere; registers
// 1 to 11 are scratch. Φ(−a) = e^(−a²/2) P(t)/(4+a); what a² loses by rounding
// would be many units of a small result, and is given back: at most 5 ulp down
// to 1e-37, and 4.2 where |x| < 10.
func (g *vecGen) gelu(x int) {
	const a, w, t, p, half, s, e, n, q, u, r = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	g.and(x, a, absMask)
	g.clampHigh(15, a) // where Φ(−a) is 0
	g.zero(g.tmp())
	g.r3("VMAXPS", x, g.tmp(), x) // NaN stays
	g.c3("VADDPS", 4, a, u)
	g.set(1, t)
	g.r3("VDIVPS", u, t, w) // 1/(a+4)
	// What the sum and the quotient lost, which t would multiply by three.
	g.c3("VSUBPS", 4, u, e)
	g.r3("VSUBPS", e, a, e) // a+4 − u
	g.move(t, r)
	g.r3("VFNMADD231PS", u, w, r)
	g.r3("VFNMADD231PS", e, w, r) // 1 − w(a+4)
	g.c3("VFNMADD231PS", 8, w, t)
	g.r3("VMULPS", w, r, e)
	g.c3("VFNMADD231PS", 8, e, t)
	g.horner(t, p, geluC...)
	g.r3("VMULPS", w, p, p)
	g.c3("VMULPS", -0.5, a, half)
	g.r3("VMULPS", a, half, s)
	g.move(s, e)
	g.r3("VFNMADD231PS", a, half, e) // s − (−a²/2)
	g.r3("VSUBPS", r, e, e)
	g.r3("VFNMADD231PS", e, p, p) // e^−e is 1 − e; w(1 + r) is 1/(a+4)
	g.expFlush(s, n, q, t)
	g.r3("VMULPS", p, q, q)
	g.r3("VFNMADD231PS", q, a, x)
}

// geluGrad: q = Φ(x) + x φ(x), which for −a is h = e^(−a²/2) (P(t)/(4+a) − a/√2π), for
// a ≥ 0 it is 1 − h. Registers 1 to 7 are scratch.
func (g *vecGen) geluGrad(x, q int) {
	const a, w, t, p, s, n = 1, 2, 3, 4, 5, 6
	g.and(x, a, absMask)
	g.clampHigh(15, a) // where h is 0
	g.c3("VADDPS", 4, a, w)
	g.set(1, t)
	g.r3("VDIVPS", w, t, w)
	g.c3("VFNMADD231PS", 8, w, t)
	g.horner(t, p, geluC...)
	g.r3("VMULPS", w, p, p)
	g.c3("VFNMADD231PS", 0.3989422804014327, a, p)
	g.c3("VMULPS", -0.5, a, s)
	g.r3("VMULPS", a, s, s)
	g.expFlush(s, n, q, t)
	g.r3("VMULPS", p, q, q)
	g.set(1, p)
	g.r3("VSUBPS", q, p, p)
	g.blendLess(x, 0, q, p, q)
}

// sides: p = σ(x) and q = σ(−x), of e^−|x| both, so that neither cancels; registers 1 to
// 3 and e are scratch, e is e^−|x| afterwards.
func (g *vecGen) sides(x, e, p, q int) {
	const n, t = 1, 2
	g.and(x, 3, absMask)
	g.not(3, 3, signBit)
	g.expFlush(3, n, e, t)
	g.c3("VADDPS", 1, e, n)
	g.set(1, t)
	g.r3("VDIVPS", n, t, n)
	g.r3("VMULPS", e, n, t)
	g.blendLess(x, 0, t, n, p)
	g.blendLess(x, 0, n, t, q)
}

// bound brings x between −c and c; NaN passes.
func (g *vecGen) bound(c float32, x int) {
	g.clampLow(-c, x)
	g.clampHigh(c, x)
}

// sigmoid: register 3 = σ(x), with 1 and 2 as scratch.
func (g *vecGen) sigmoid(x int) int {
	g.not(x, x, signBit)
	g.expFlush(x, 1, 2, 3)
	g.c3("VADDPS", 1, 2, 2)
	g.set(1, 3)
	g.r3("VDIVPS", 2, 3, 3)
	return 3
}

// silu: x = x·σ(x), with registers 2 to 5 as scratch.
func (g *vecGen) silu(x int) {
	g.clampLow(-104, x)
	g.not(x, 4, signBit)
	g.expFlush(4, 5, 2, 3)
	g.c3("VADDPS", 1, 2, 2)
	g.r3("VDIVPS", 2, x, x)
}

// vecSpare is a register that bodies may use in passing.
const vecSpare = 14

func (g *vecGen) zero(d int) {
	switch {
	case g.wide:
		g.i("VPXORD %s, %s, %s", g.r(d), g.r(d), g.r(d))
	case g.neon:
		gemmZeroNEON(g.file, d)
	default:
		g.i("VXORPS %s, %s, %s", g.r(d), g.r(d), g.r(d))
	}
}

// unary prints func name(dst, x *float32, n int): n vectors, or with AVX-512
// n elements, the last vector masked. body makes register 0 into register out,
// with base added to all register numbers.
func (g *vecGen) unary(name string, body func(base int) (out int)) {
	g.text(name+g.suffix(), "func "+name+g.suffix()+"(dst, x *float32, n int)", 24)
	g.arg("dst+0", "DI")
	g.arg("x+8", "SI")
	g.arg("n+16", "CX")
	g.constants()
	g.stream(func(base int, load func(ptr string, r int), store func(r int)) {
		load("SI", base)
		store(body(base))
	}, "SI")
}

// stream loops over n elements. f loads from pointers, which advance, and stores to DI.
func (g *vecGen) stream(f func(base int, load func(ptr string, r int), store func(r int)), ptrs ...string) {
	if g.neon {
		g.neonStream(f, ptrs...)
		return
	}
	loop, tail, done := g.label("loop"), g.label("tail"), g.label("done")
	lanes := g.bytes() / 4
	g.last = false
	g.i("SUBQ $%d, CX", lanes)
	g.i("JLT %s", tail)
	g.i("PCALIGN $32")
	g.p("%s:", loop)
	f(0, func(ptr string, r int) { g.i("VMOVUPS (%s), %s", ptr, g.r(r)) },
		func(r int) { g.i("VMOVUPS %s, (DI)", g.r(r)) })
	for _, p := range append(ptrs, "DI") {
		g.i("ADDQ $%d, %s", g.bytes(), p)
	}
	g.i("SUBQ $%d, CX", lanes)
	g.i("JGE %s", loop)
	g.p("%s:", tail)
	g.i("ADDQ $%d, CX", lanes)
	g.i("JZ %s", done)
	g.last = true
	if g.wide {
		g.i("MOVL $1, DX")
		g.i("SHLL CX, DX")
		g.i("DECL DX")
		g.i("KMOVW DX, K1")
		f(0, func(ptr string, r int) { g.i("VMOVUPS.Z (%s), K1, %s", ptr, g.r(r)) },
			func(r int) { g.i("VMOVUPS %s, K1, (DI)", g.r(r)) })
	} else {
		g.i("LEAQ vecMasks<>+32(SB), DX")
		g.i("SHLQ $2, CX")
		g.i("SUBQ CX, DX")
		g.i("VMOVUPS (DX), Y13")
		f(0, func(ptr string, r int) { g.i("VMASKMOVPS (%s), Y13, %s", ptr, g.r(r)) },
			func(r int) { g.i("VMASKMOVPS %s, Y13, (DI)", g.r(r)) })
	}
	g.p("%s:", done)
	if g.after != nil {
		g.after()
	}
	g.i("VZEROUPPER")
	g.i("RET")
}

// binary prints func name(dst, x, y *float32, n int).
func (g *vecGen) binary(name string, body func(x, y int) (out int)) {
	g.text(name+g.suffix(), "func "+name+g.suffix()+"(dst, x, y *float32, n int)", 32)
	g.arg("dst+0", "DI")
	g.arg("x+8", "SI")
	g.arg("y+16", "R8")
	g.arg("n+24", "CX")
	g.constants()
	g.stream(func(base int, load func(ptr string, r int), store func(r int)) {
		load("SI", 0)
		load("R8", 1)
		store(body(0, 1))
	}, "SI", "R8")
}

// grad prints func name(dst, dy, x *float32, n int), dst += dy·body(x).
func (g *vecGen) grad(name string, body func(x int) (out int)) {
	g.text(name+g.suffix(), "func "+name+g.suffix()+"(dst, dy, x *float32, n int)", 32)
	g.arg("dst+0", "DI")
	g.arg("dy+8", "SI")
	g.arg("x+16", "R8")
	g.arg("n+24", "CX")
	g.constants()
	g.stream(func(base int, load func(ptr string, r int), store func(r int)) {
		load("R8", 0)
		out := body(0)
		load("SI", 10)
		load("DI", 11)
		g.r3("VFMADD231PS", out, 10, 11)
		store(11)
	}, "SI", "R8")
}

// ternary prints func name(dst, x, y, z *float32, n int); body leaves its result
// where z was, and may use the register after.
func (g *vecGen) ternary(name string, body func(x, y, z int)) {
	g.text(name+g.suffix(), "func "+name+g.suffix()+"(dst, x, y, z *float32, n int)", 40)
	for i, r := range []string{"DI", "SI", "R8", "R9"} {
		g.arg(fmt.Sprintf("%s+%d", []string{"dst", "x", "y", "z"}[i], 8*i), r)
	}
	g.arg("n+32", "CX")
	g.stream(func(base int, load func(ptr string, r int), store func(r int)) {
		load("SI", 0)
		load("R8", 1)
		load("R9", 2)
		body(0, 1, 2)
		store(2)
	}, "SI", "R8", "R9")
}

// scalar prints func name(dst, x *float32, a float32, n int); a is in register 12.
func (g *vecGen) scalar(name string, body func(load func(ptr string, r int)) (out int)) {
	g.text(name+g.suffix(), "func "+name+g.suffix()+"(dst, x *float32, a float32, n int)", 32)
	g.arg("dst+0", "DI")
	g.arg("x+8", "SI")
	g.argBcast("a+16", 12)
	g.arg("n+24", "CX")
	g.stream(func(base int, load func(ptr string, r int), store func(r int)) {
		load("SI", 0)
		store(body(load))
	}, "SI")
}

// all prints every function for one instruction set.
func (g *vecGen) all() {
	g.unary("exp", func(int) int { g.exp(0, 1, 2, 3); return 2 })
	g.expSum()
	g.unary("sigmoid", g.sigmoid)
	g.unary("silu", func(int) int { g.silu(0); return 0 })
	g.binary("siluMul", func(x, y int) int { g.silu(y); g.r3("VMULPS", y, x, x); return x })
	g.unary("softplus", func(int) int {
		g.and(0, 1, absMask)
		g.not(1, 1, signBit)
		g.expFlush(1, 2, 3, 4) // t = e^−|x| in 3
		g.zero(g.tmp())
		g.r3("VMAXPS", 0, g.tmp(), 0) // max(x, 0), NaN stays
		g.log1p(3, 4)
		g.r3("VADDPS", 3, 0, 0)
		return 0
	})
	g.unary("tanh", func(int) int {
		// 1 − 2/(e^2|x| + 1) with the sign of x; near 0, where that cancels,
		// Cephes' polynomial (tanhf.c).
		g.and(0, 4, absMask)
		g.r3("VADDPS", 4, 4, 1)
		g.expFlush(1, 2, 3, 5)
		g.c3("VADDPS", 1, 3, 3)
		g.set(2, 5)
		g.r3("VDIVPS", 3, 5, 5)
		g.set(1, 6)
		g.r3("VSUBPS", 5, 6, 6)
		g.not(6, 7, signBit)
		g.blendLess(0, 0, 7, 6, 6)
		g.r3("VMULPS", 0, 0, 1)
		g.horner(1, 2, -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1)
		g.r3("VMULPS", 1, 2, 2)
		g.r3("VFMADD213PS", 0, 0, 2)
		g.blendLess(4, 0.625, 2, 6, 2)
		return 2
	})
	g.unary("geluTanh", func(int) int {
		// ½(1 + tanh u) is σ(2u), which does not cancel.
		g.clampLow(-40, 0)
		g.r3("VMULPS", 0, 0, 1)
		g.c3("VMULPS", -2*0.79788456080286535588*0.044715, 1, 1)
		g.c3("VADDPS", -2*0.79788456080286535588, 1, 1)
		g.r3("VMULPS", 0, 1, 1) // −2u
		g.expFlush(1, 2, 3, 5)
		g.c3("VADDPS", 1, 3, 3)
		g.r3("VDIVPS", 3, 0, 0)
		return 0
	})
	g.unary("gelu", func(int) int { g.gelu(0); return 0 })
	relu := func() {
		g.zero(g.tmp())
		g.r3("VMAXPS", 0, g.tmp(), 0) // NaN stays
	}
	g.unary("relu", func(int) int { relu(); return 0 })
	g.unary("relu2", func(int) int { relu(); g.r3("VMULPS", 0, 0, 0); return 0 })
	g.unary("log", func(int) int {
		// Subnormal numbers are 2^23 times as large, and normal.
		const small = 1.1754943508222875e-38
		g.c3("VMULPS", 1<<23, 0, 1)
		g.blendLess(0, small, 1, 0, 1)
		g.zero(2)
		g.ln(1, 2, 3, 4, 5, func() {
			g.c3("VSUBPS", 23, 3, 4)
			g.blendLess(0, small, 4, 3, 3)
		})
		g.lnEnds(0, 0, 5, 4)
		return 5
	})
	g.unary("log1p", func(int) int {
		// ln(1+x) = ln u + err/u with u = 1 + x rounded and err its error (Knuth's sum).
		g.c3("VADDPS", 1, 0, 1)
		g.c3("VSUBPS", 1, 1, 2) // what of u came from x
		g.r3("VSUBPS", 2, 1, 3) // and from 1
		g.r3("VSUBPS", 2, 0, 2)
		g.set(1, 4)
		g.r3("VSUBPS", 3, 4, 3)
		g.r3("VADDPS", 3, 2, 2)
		g.r3("VDIVPS", 1, 2, 2)
		g.move(1, 6)
		g.ln(1, 2, 3, 4, 5, nil)
		g.lnEnds(0, 6, 5, 4)
		return 5
	})
	g.grads()
	g.binary("add", func(x, y int) int { g.r3("VADDPS", y, x, x); return x })
	g.binary("sub", func(x, y int) int { g.r3("VSUBPS", y, x, x); return x })
	g.binary("mul", func(x, y int) int { g.r3("VMULPS", y, x, x); return x })
	g.binary("div", func(x, y int) int { g.r3("VDIVPS", y, x, x); return x })
	g.text("mulAdd"+g.suffix(), "func mulAdd"+g.suffix()+"(dst, x, y *float32, n int)", 32)
	g.arg("dst+0", "DI")
	g.arg("x+8", "SI")
	g.arg("y+16", "R8")
	g.arg("n+24", "CX")
	g.stream(func(base int, load func(ptr string, r int), store func(r int)) {
		load("DI", 2)
		load("SI", 0)
		load("R8", 1)
		g.r3("VFMADD231PS", 1, 0, 2)
		store(2)
	}, "SI", "R8")
	g.ternary("fma", func(x, y, z int) { g.r3("VFMADD231PS", y, x, z) })
	g.ternary("lerp", func(x, y, w int) {
		g.r3("VSUBPS", x, y, y)
		g.move(x, 3)
		g.r3("VFMADD231PS", y, w, 3)
		g.move(3, w)
	})
	g.text("axpyTo"+g.suffix(), "func axpyTo"+g.suffix()+"(dst, x, y *float32, a float32, n int)", 40)
	g.arg("dst+0", "DI")
	g.arg("x+8", "SI")
	g.arg("y+16", "R8")
	g.argBcast("a+24", 12)
	g.arg("n+32", "CX")
	g.stream(func(base int, load func(ptr string, r int), store func(r int)) {
		load("SI", 0)
		load("R8", 1)
		g.r3("VFMADD231PS", 12, 0, 1)
		store(1)
	}, "SI", "R8")
	g.scalar("axpy", func(load func(string, int)) int {
		load("DI", 1)
		g.r3("VFMADD231PS", 12, 0, 1)
		return 1
	})
	g.scalar("scale", func(func(string, int)) int { g.r3("VMULPS", 12, 0, 0); return 0 })
	g.scalar("offset", func(func(string, int)) int { g.r3("VADDPS", 12, 0, 0); return 0 })
	g.reduce("dot", true, func(acc, x, y int) { g.r3("VFMADD231PS", y, x, acc) })
	g.max()
	g.reduce("sum", false, func(acc, x, _ int) { g.r3("VADDPS", x, acc, acc) })
}

// grads prints the gradients of the functions of one number.
func (g *vecGen) grads() {
	g.grad("sigmoidGrad", func(y int) int { // y(1−y)
		g.set(1, 1)
		g.r3("VSUBPS", y, 1, 1)
		g.r3("VMULPS", y, 1, 1)
		return 1
	})
	g.grad("tanhGrad", func(y int) int { // 1 − y²
		g.set(1, 1)
		g.r3("VFNMADD231PS", y, y, 1)
		return 1
	})
	g.grad("siluGrad", func(x int) int { // σ(x) (1 + x σ(−x))
		g.bound(104, x)
		g.sides(x, 4, 5, 6)
		g.set(1, 7)
		g.r3("VFMADD231PS", 6, x, 7)
		g.r3("VMULPS", 5, 7, 7)
		return 7
	})
	g.grad("softplusGrad", g.sigmoid)
	g.grad("geluGrad", func(x int) int { g.geluGrad(x, 7); return 7 })
	g.grad("geluTanhGrad", func(x int) int {
		// With ½(1 + tanh u) = σ(2u): σ(2u) + x·2u′·σ(2u)σ(−2u).
		const c, k = 2 * 0.79788456080286535588, 0.044715
		g.bound(11, x) // where it is 0 or 1
		g.r3("VMULPS", x, x, 7)
		g.set(c*k, 8)
		g.c3("VMULPS", 3*c*k, 7, 9)
		g.c3("VADDPS", c, 9, 9)
		g.r3("VMULPS", 8, 7, 8)
		g.c3("VADDPS", c, 8, 8)
		g.r3("VMULPS", x, 8, 8) // 2u
		g.r3("VMULPS", x, 9, 9) // x·2u′
		g.sides(8, 4, 5, 6)
		g.r3("VMULPS", 5, 6, 6)
		g.r3("VFMADD231PS", 9, 6, 5)
		return 5
	})
	g.grad("relu2Grad", func(x int) int { // 2 max(x, 0)
		g.zero(g.tmp())
		g.r3("VMAXPS", x, g.tmp(), x)
		g.r3("VADDPS", x, x, x)
		return x
	})
}

// table prints the constants, and the masks of AVX2's last vectors.
func (c *vecConsts) table(f *file) {
	for i, v := range c.values {
		f.p("DATA vecConsts<>+%d(SB)/4, $0x%08x // %v", 4*i, math.Float32bits(v), v)
	}
	f.p("GLOBL vecConsts<>(SB), RODATA|NOPTR, $%d", 4*len(c.values))
	for i := range 16 {
		m := 0
		if i < 8 {
			m = -1
		}
		f.p("DATA vecMasks<>+%d(SB)/4, $%d", 4*i, m)
	}
	f.p("GLOBL vecMasks<>(SB), RODATA|NOPTR, $64")
}

// max prints func max(x *float32, n int) float32 for n of at least a vector;
// the last vector overlaps the one before. NaN, which VMAXPS forgets, is noted
// on the side.
func (g *vecGen) max() {
	if g.neon {
		g.neonMax()
		return
	}
	name := "max" + g.suffix()
	g.text(name, "func "+name+"(x *float32, n int) float32", 20)
	g.i("MOVQ x+0(FP), SI")
	g.i("MOVQ n+8(FP), CX")
	lanes := g.bytes() / 4
	loop, done := g.label("loop"), g.label("done")
	g.i("LEAQ -%d(SI)(CX*4), DX", g.bytes()) // the last vector
	g.i("VMOVUPS (DX), %s", g.r(0))
	unordered := func(x int) {
		if g.wide {
			g.i("VCMPPS $3, %s, %s, K2", g.r(x), g.r(x))
			g.i("KORW K2, K1, K1")
		} else {
			g.i("VCMPPS $3, %s, %s, Y2", g.r(x), g.r(x))
			g.i("VORPS Y2, Y3, Y3")
		}
	}
	if g.wide {
		g.i("KXORW K1, K1, K1")
	} else {
		g.zero(3)
	}
	unordered(0)
	g.p("%s:", loop)
	g.i("CMPQ SI, DX")
	g.i("JAE %s", done)
	g.i("VMOVUPS (SI), %s", g.r(1))
	unordered(1)
	g.r3("VMAXPS", 1, 0, 0)
	g.i("ADDQ $%d, SI", 4*lanes)
	g.i("JMP %s", loop)
	g.p("%s:", done)
	if g.wide {
		g.i("VEXTRACTF64X4 $1, Z0, Y1")
		g.i("VMAXPS Y1, Y0, Y0")
	}
	g.i("VEXTRACTF128 $1, Y0, X1")
	g.i("VMAXPS X1, X0, X0")
	g.i("VPERMILPS $0x4e, X0, X1")
	g.i("VMAXPS X1, X0, X0")
	g.i("VPERMILPS $0xb1, X0, X1")
	g.i("VMAXPS X1, X0, X0")
	if g.wide {
		g.i("KMOVW K1, AX")
	} else {
		g.i("VMOVMSKPS Y3, AX")
	}
	some := g.label("number")
	g.i("TESTL AX, AX")
	g.i("JEQ %s", some)
	g.i("MOVL $0x7fc00000, AX")
	g.i("VMOVD AX, X0")
	g.p("%s:", some)
	g.i("VMOVSS X0, ret+16(FP)")
	g.i("VZEROUPPER")
	g.i("RET")
}

// reduce prints func name(x[, y] *float32, n int) float32: four running
// vectors, whose order of addition depends on n alone.
func (g *vecGen) reduce(name string, two bool, step func(acc, x, y int)) {
	args, frame := "x *float32, n int", 16
	if two {
		args, frame = "x, y *float32, n int", 24
	}
	g.text(name+g.suffix(), "func "+name+g.suffix()+"("+args+") float32", frame+4)
	g.arg("x+0", "SI")
	if two {
		g.arg("y+8", "R8")
		g.arg("n+16", "CX")
	} else {
		g.arg("n+8", "CX")
	}
	for a := range 4 {
		g.zero(a)
	}
	if g.neon {
		g.neonReduce(two, step)
		g.i("FMOVS F0, ret+%d(FP)", frame)
		g.i("RET")
		return
	}
	lanes := g.bytes() / 4
	load := func(mask string, off int, acc int) {
		if mask == "" {
			g.i("VMOVUPS %d(SI), %s", off, g.r(4+acc))
		} else {
			g.i(mask, "(SI)", g.r(4+acc))
		}
		if two && mask == "" {
			g.i("VMOVUPS %d(R8), %s", off, g.r(8+acc))
		} else if two {
			g.i(mask, "(R8)", g.r(8+acc))
		}
		step(acc, 4+acc, 8+acc)
	}
	advance := func(n int) {
		g.i("ADDQ $%d, SI", n)
		if two {
			g.i("ADDQ $%d, R8", n)
		}
	}
	four, one, tail, done := g.label("four"), g.label("one"), g.label("tail"), g.label("done")
	after := g.label("after")
	g.i("SUBQ $%d, CX", 4*lanes)
	g.i("JLT %s", after)
	g.i("PCALIGN $32")
	g.p("%s:", four)
	for a := range 4 {
		load("", a*g.bytes(), a)
	}
	advance(4 * g.bytes())
	g.i("SUBQ $%d, CX", 4*lanes)
	g.i("JGE %s", four)
	g.p("%s:", after)
	g.i("ADDQ $%d, CX", 4*lanes-lanes)
	g.i("JLT %s", tail)
	g.p("%s:", one)
	load("", 0, 0)
	advance(g.bytes())
	g.i("SUBQ $%d, CX", lanes)
	g.i("JGE %s", one)
	g.p("%s:", tail)
	g.i("ADDQ $%d, CX", lanes)
	g.i("JZ %s", done)
	if g.wide {
		g.i("MOVL $1, DX")
		g.i("SHLL CX, DX")
		g.i("DECL DX")
		g.i("KMOVW DX, K1")
		load("VMOVUPS.Z %s, K1, %s", 0, 1)
	} else {
		g.i("LEAQ vecMasks<>+32(SB), DX")
		g.i("SHLQ $2, CX")
		g.i("SUBQ CX, DX")
		g.i("VMOVUPS (DX), Y13")
		load("VMASKMOVPS %s, Y13, %s", 0, 1)
	}
	g.p("%s:", done)
	g.r3("VADDPS", 2, 0, 0)
	g.r3("VADDPS", 3, 1, 1)
	g.r3("VADDPS", 1, 0, 0)
	g.sumLanes()
	g.i("VMOVSS X0, ret+%d(FP)", frame)
	g.i("VZEROUPPER")
	g.i("RET")
}

// sumLanes adds up the lanes of register 0; 1 is scratch.
func (g *vecGen) sumLanes() {
	if g.neon {
		gemmFADDP(g.file, 0, 0, 0)
		gemmFADDP(g.file, 0, 0, 0)
		return
	}
	if g.wide {
		g.i("VEXTRACTF64X4 $1, Z0, Y1")
		g.i("VADDPS Y1, Y0, Y0")
	}
	g.i("VEXTRACTF128 $1, Y0, X1")
	g.i("VADDPS X1, X0, X0")
	g.i("VMOVHLPS X0, X0, X1")
	g.i("VADDPS X1, X0, X0")
	g.i("VMOVSHDUP X0, X1")
	g.i("VADDSS X1, X0, X0")
}

// expSum prints func expSum(dst, x *float32, a, c float32, n int) float32,
// dst = e^(a·x + c), whose sum it returns. Registers: the sum 10, c 11, a 12.
func (g *vecGen) expSum() {
	g.text("expSum"+g.suffix(), "func expSum"+g.suffix()+"(dst, x *float32, a, c float32, n int) float32", 36)
	g.arg("dst+0", "DI")
	g.arg("x+8", "SI")
	g.argBcast("a+16", 12)
	g.argBcast("c+20", 11)
	g.arg("n+24", "CX")
	g.constants()
	g.zero(10)
	g.after = func() {
		g.move(10, 0)
		g.sumLanes()
		if g.neon {
			g.i("FMOVS F0, ret+32(FP)")
		} else {
			g.i("VMOVSS X0, ret+32(FP)")
		}
	}
	g.stream(func(base int, load func(ptr string, r int), store func(r int)) {
		load("SI", 1)
		g.move(11, 0)
		g.r3("VFMADD231PS", 12, 1, 0)
		g.expFlush(0, 1, 2, 3)
		store(2)
		switch {
		case !g.last:
			g.r3("VADDPS", 2, 10, 10)
		case g.wide:
			g.i("VADDPS Z2, Z10, K1, Z10")
		case g.neon: // one element: the other lanes become 0
			g.i("FMOVS F2, F2")
			g.r3("VADDPS", 2, 10, 10)
		default:
			g.i("VANDPS Y13, Y2, Y2")
			g.r3("VADDPS", 2, 10, 10)
		}
	}, "SI")
	g.after = nil
}
