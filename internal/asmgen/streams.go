package main

import "fmt"

func init() {
	register("internal/kernel/gemm/streams_amd64.s", "!purego", func(f *file) {
		for _, wide := range []bool{true, false} {
			for _, kind := range []string{"F32", "BF16", "F16"} {
				streams(&vecGen{file: f, wide: wide}, kind)
			}
		}
	})
}

// streamsAhead is how far ahead in each stream a line is asked for, into the second-level cache: the
// first-level one has too few places for lines under way to keep them for these.
const streamsAhead = 1024

// streams prints the products of a matrix of numbers and one vector, four rows at a time that
// lie apart: the weights are four streams, each of which goes on from row to row, so that
// hardware reads ahead in it, and a number of x is loaded once for four of weights. With one row at a time x
// is loaded as often as weights are, and on Zen 4 it does not stay in the first-level cache beside what
// streams through: weights in 16 bits came at half of the speed of memory.
func streams(g *vecGen, kind string) {
	const n, sums = 4, 2
	vec, size := g.bytes(), g.bytes()
	if kind != "F32" {
		size /= 2
	}
	name := "streams" + kind + g.suffix()
	g.text(name, "func "+name+"(rows, n int, w *byte, ldw, apart int, x, y *float32, yapart int)", 64)
	g.i("MOVQ rows+0(FP), R13")
	at := []string{"R9", "R10", "R11", "R12"} // the rows' weights
	g.i("MOVQ w+16(FP), R9")
	g.i("MOVQ apart+32(FP), AX")
	for i := 1; i < n; i++ {
		g.i("LEAQ (%s)(AX*1), %s", at[i-1], at[i])
	}
	g.i("MOVQ n+8(FP), DX") // from a row's end to the next row
	g.i("IMULQ $%d, DX", -size)
	g.i("ADDQ ldw+24(FP), DX")
	g.i("MOVQ y+48(FP), DI")
	g.i("MOVQ yapart+56(FP), SI")
	g.i("SHLQ $2, SI")
	g.i("LEAQ (SI)(SI*2), R8")
	row, two, rest, done := g.label("row"), g.label("two"), g.label("rest"), g.label("done")
	sum := func(i, j int) int { return sums*i + j }
	step := func(j int) {
		x, w := 8+j, 10+2*j
		g.i("VMOVUPS %d(BX), %s", vec*j, g.r(x))
		for i, p := range at {
			if size*j%64 == 0 {
				g.i("PREFETCHT1 %d(%s)", streamsAhead+size*j, p)
			}
			mem := fmt.Sprintf("%d(%s)", size*j, p)
			if kind == "F32" {
				g.i("VFMADD231PS %s, %s, %s", mem, g.r(x), g.r(sum(i, j)))
				continue
			}
			gemmWiden(g.file, kind, mem, g.r(w+i%2), "")
			g.r3("VFMADD231PS", x, w+i%2, sum(i, j))
		}
	}
	on := func(vecs int) {
		for _, p := range at {
			g.i("ADDQ $%d, %s", size*vecs, p)
		}
	}
	g.p("%s:", row)
	g.i("MOVQ x+40(FP), BX")
	g.i("MOVQ n+8(FP), CX")
	for r := range n * sums {
		if g.wide {
			g.i("VPXORD Z%d, Z%d, Z%d", r, r, r)
		} else {
			g.i("VXORPS Y%d, Y%d, Y%d", r, r, r)
		}
	}
	g.i("SUBQ $2, CX")
	g.i("JLT %s", rest)
	g.i("PCALIGN $32")
	g.p("%s:", two)
	step(0)
	step(1)
	on(2)
	g.i("ADDQ $%d, BX", 2*vec)
	g.i("SUBQ $2, CX")
	g.i("JGE %s", two)
	g.p("%s:", rest)
	g.i("ADDQ $2, CX")
	g.i("JE %s", done)
	step(0)
	on(1)
	g.p("%s:", done)
	for i, y := range []string{"(DI)", "(DI)(SI*1)", "(DI)(SI*2)", "(DI)(R8*1)"} {
		s := sum(i, 0)
		g.r3("VADDPS", sum(i, 1), s, s)
		if g.wide {
			g.i("VEXTRACTF64X4 $1, Z%d, Y8", s)
			g.i("VADDPS Y8, Y%d, Y%d", s, s)
		}
		g.i("VEXTRACTF128 $1, Y%d, X8", s)
		g.i("VADDPS X8, X%d, X%d", s, s)
		g.i("VPERMILPS $0x4e, X%d, X8", s)
		g.i("VADDPS X8, X%d, X%d", s, s)
		g.i("VPERMILPS $0xb1, X%d, X8", s)
		g.i("VADDPS X8, X%d, X%d", s, s)
		g.i("VMOVSS X%d, %s", s, y)
	}
	for _, p := range at {
		g.i("ADDQ DX, %s", p)
	}
	g.i("ADDQ $4, DI")
	g.i("DECQ R13")
	g.i("JNE %s", row)
	g.i("VZEROUPPER")
	g.i("RET")
}
