package main

import "fmt"

func init() { register("internal/kernel/gemm/quant_amd64.s", "!purego", quantAMD64) }

// quantGen prints the kernels of quantised weights.
type quantGen struct{ *vecGen }

// widen loads a vector's worth of unsigned (Z) or signed (S) bytes as 32-bit integers.
func (g *quantGen) widen(sign, addr string, d int) { g.i("VPMOV%sXBD %s, %s", sign, addr, g.r(d)) }

func (g *quantGen) toFloat(r int) { g.i("VCVTDQ2PS %s, %s", g.r(r), g.r(r)) }

// mask: d = s & c, for c 15 or 48.
func (g *quantGen) mask(c int, s, d int) {
	v := 20
	if !g.wide {
		v = 14
	}
	if c == 48 {
		v++
	}
	op := "VPAND"
	if g.wide {
		op = "VPANDD"
	}
	g.r3(op, v, s, d)
}

// masks sets up what mask uses: 15 and 48 in every lane.
func (g *quantGen) masks() {
	v := 20
	if !g.wide {
		v = 14
	}
	for i, c := range []int{15, 48} {
		g.i("MOVL $%d, DX", c)
		if g.wide {
			g.i("VPBROADCASTD DX, %s", g.r(v+i))
		} else {
			g.i("VMOVD DX, X%d", v+i)
			g.i("VPBROADCASTD X%d, %s", v+i, g.r(v+i))
		}
	}
}

// scale: d = the half-precision number at addr in every lane.
func (g *quantGen) scale(addr string, d int) {
	if g.wide {
		g.i("VPBROADCASTW %s, Y%d", addr, d)
		g.i("VCVTPH2PS Y%d, Z%d", d, d)
	} else {
		g.i("VPBROADCASTW %s, X%d", addr, d)
		g.i("VCVTPH2PS X%d, Y%d", d, d)
	}
}

// values widens the 32 numbers of a block at ptr, without their scale, and
// hands them over vector by vector with their place.
func (g *quantGen) values(q4 bool, ptr string, f func(at, r int)) {
	lanes := g.bytes() / 4
	if !q4 {
		for at := 0; at < 32; at += lanes {
			g.widen("S", fmt.Sprintf("%d(%s)", 2+at, ptr), 8)
			g.toFloat(8)
			f(at, 8)
		}
		return
	}
	for at := 0; at < 16; at += lanes {
		g.widen("Z", fmt.Sprintf("%d(%s)", 2+at, ptr), 8)
		g.i("VPSRLD $4, %s, %s", g.r(8), g.r(9))
		if g.wide {
			g.i("VPERMPS Z19, Z8, Z8") // the low four bits of an index choose q − 8
			g.i("VPERMPS Z19, Z9, Z9")
		} else {
			g.mask(15, 8, 8)
			g.toFloat(8)
			g.r3("VSUBPS", 13, 8, 8)
			g.toFloat(9)
			g.r3("VSUBPS", 13, 9, 9)
		}
		f(at, 8)
		f(at+16, 9)
	}
}

func (g *quantGen) setup(q4 bool) {
	if !q4 {
		return
	}
	if g.wide {
		g.i("VMOVUPS quantNibbles<>(SB), Z19")
		return
	}
	g.masks()
	g.i("VBROADCASTSS quantNibbles<>+64(SB), Y13")
}

// small prints func(dst *float32, src *byte, blocks int) for blocks of 32.
func (g *quantGen) small(name string, q4 bool, size int) {
	name += g.suffix()
	g.text(name, "func "+name+"(dst *float32, src *byte, blocks int)", 24)
	g.i("MOVQ dst+0(FP), DI")
	g.i("MOVQ src+8(FP), SI")
	g.i("MOVQ blocks+16(FP), CX")
	g.setup(q4)
	loop := g.label("block")
	g.p("%s:", loop)
	g.scale("(SI)", 11)
	g.values(q4, "SI", func(at, v int) {
		g.r3("VMULPS", 11, v, v)
		g.i("VMOVUPS %s, %d(DI)", g.r(v), 4*at)
	})
	g.i("ADDQ $%d, SI", size)
	g.i("ADDQ $128, DI")
	g.i("DECQ CX")
	g.i("JNE %s", loop)
	g.i("VZEROUPPER")
	g.i("RET")
}

// q4K prints func(dst *float32, q *byte, scale, min *float32): the 128 bytes
// of a Q4_K block, with the scales and minima of its eight groups of 32.
func (g *quantGen) q4K() {
	name := "dequantQ4K" + g.suffix()
	g.text(name, "func "+name+"(dst *float32, q *byte, scale, min *float32)", 32)
	g.i("MOVQ dst+0(FP), DI")
	g.i("MOVQ q+8(FP), SI")
	g.i("MOVQ scale+16(FP), R8")
	g.i("MOVQ min+24(FP), R9")
	g.masks()
	g.i("MOVQ $4, CX")
	loop := g.label("group")
	g.p("%s:", loop)
	for i := range 2 {
		g.i("VBROADCASTSS %d(R8), %s", 4*i, g.r(i))
		g.i("VBROADCASTSS %d(R9), %s", 4*i, g.r(2+i))
	}
	for at := 0; at < 32; at += g.bytes() / 4 {
		g.widen("Z", fmt.Sprintf("%d(SI)", at), 4)
		g.i("VPSRLD $4, %s, %s", g.r(4), g.r(5))
		g.mask(15, 4, 4)
		for i := range 2 {
			g.toFloat(4 + i)
			g.r3("VMULPS", i, 4+i, 4+i)
			g.r3("VSUBPS", 2+i, 4+i, 4+i)
			g.i("VMOVUPS %s, %d(DI)", g.r(4+i), 4*(at+32*i))
		}
	}
	g.i("ADDQ $8, R8")
	g.i("ADDQ $8, R9")
	g.i("ADDQ $32, SI")
	g.i("ADDQ $256, DI")
	g.i("DECQ CX")
	g.i("JNE %s", loop)
	g.i("VZEROUPPER")
	g.i("RET")
}

// q6K prints func(dst *float32, src *byte, scale *float32): a Q6_K block with
// the scales of its sixteen groups of 16.
func (g *quantGen) q6K() {
	name := "dequantQ6K" + g.suffix()
	g.text(name, "func "+name+"(dst *float32, src *byte, scale *float32)", 24)
	g.i("MOVQ dst+0(FP), DI")
	g.i("MOVQ src+8(FP), SI")
	g.i("MOVQ scale+16(FP), R8")
	g.i("LEAQ 128(SI), R9")
	g.masks()
	g.i("VBROADCASTSS quantNibbles<>+68(SB), %s", g.r(12))
	g.i("MOVQ $2, CX")
	loop := g.label("half")
	g.p("%s:", loop)
	for at := 0; at < 32; at += g.bytes() / 4 {
		g.widen("Z", fmt.Sprintf("%d(R9)", at), 0)
		g.widen("Z", fmt.Sprintf("%d(SI)", at), 1)
		g.widen("Z", fmt.Sprintf("%d(SI)", at+32), 2)
		for i := range 4 {
			low, high := 3, 4
			switch i {
			case 0, 1:
				g.mask(15, 1+i, low)
				g.i("VPSLLD $%d, %s, %s", 4-2*i, g.r(0), g.r(high))
			case 2:
				g.i("VPSRLD $4, %s, %s", g.r(1), g.r(low))
				g.i("VMOVDQA%s %s, %s", map[bool]string{true: "32"}[g.wide], g.r(0), g.r(high))
			case 3:
				g.i("VPSRLD $4, %s, %s", g.r(2), g.r(low))
				g.i("VPSRLD $2, %s, %s", g.r(0), g.r(high))
			}
			g.mask(48, high, high)
			g.r3(map[bool]string{true: "VPORD", false: "VPOR"}[g.wide], high, low, low)
			g.toFloat(low)
			g.r3("VSUBPS", 12, low, low)
			g.i("VBROADCASTSS %d(R8), %s", 4*(at/16+2*i), g.r(high))
			g.r3("VMULPS", high, low, low)
			g.i("VMOVUPS %s, %d(DI)", g.r(low), 4*(at+32*i))
		}
	}
	g.i("ADDQ $64, SI")
	g.i("ADDQ $32, R9")
	g.i("ADDQ $32, R8")
	g.i("ADDQ $512, DI")
	g.i("DECQ CX")
	g.i("JNE %s", loop)
	g.i("VZEROUPPER")
	g.i("RET")
}

func quantAMD64(f *file) {
	for _, wide := range []bool{true, false} {
		g := &quantGen{&vecGen{file: f, wide: wide}}
		g.small("dequantQ80", false, 34)
		g.small("dequantQ40", true, 18)
		g.q4K()
		g.q6K()
	}
	for i := range 16 {
		f.p("DATA quantNibbles<>+%d(SB)/4, $(%d.0)", 4*i, i-8)
	}
	f.p("DATA quantNibbles<>+64(SB)/4, $(8.0)")
	f.p("DATA quantNibbles<>+68(SB)/4, $(32.0)")
	f.p("GLOBL quantNibbles<>(SB), RODATA|NOPTR, $72")
}
