package main

import "fmt"

func init() {
	register("internal/kernel/gemm/gemm_amd64.s", "!purego", gemmAMD64)
	register("internal/kernel/gemm/gemm_arm64.s", "!purego", gemmARM64)
}

// A gemmISA is one width of vectors on amd64.
type gemmISA struct {
	name string // of its functions
	r    string // prefix of its registers
	vl   int    // floats in a vector
	mr   int    // rows of the micro-kernel
	vecs [][]int
	dots [][2]int
}

// vecs[r-1] lists how many vectors a tile of r rows may be wide, dots the (vectors, rows)
// of the dot kernels. Both must agree with the wrappers in gemm_amd64.go.
var (
	gemm512 = gemmISA{name: "512", r: "Z", vl: 16, mr: 12,
		vecs: [][]int{{1, 2, 4, 8}, {1, 2, 4}, {1, 2, 4}, {1, 2, 4}, {1, 2}, {1, 2}, {1, 2}, {1, 2}, {1, 2}, {1, 2}, {1, 2}, {1, 2}},
		dots: [][2]int{{1, 8}, {1, 4}, {1, 1}, {2, 4}, {2, 1}, {4, 4}, {4, 1}}}
	gemm256 = gemmISA{name: "256", r: "Y", vl: 8, mr: 6,
		vecs: [][]int{{1, 2, 4}, {1, 2, 4}, {1, 2}, {1, 2}, {1, 2}, {1, 2}},
		dots: [][2]int{{1, 8}, {1, 4}, {1, 1}, {2, 4}, {2, 1}, {4, 2}, {4, 1}}}
)

func gemmAMD64(f *file) {
	f.p("// Loading 8 words at 32-4*t gives t lanes set, at 4*t the last t lanes set.")
	for i := range 24 {
		v := "0"
		if i < 8 || i >= 16 {
			v = "0xffffffff"
		}
		f.p("DATA gemmMask<>+%d(SB)/4, $%s", 4*i, v)
	}
	f.p("GLOBL gemmMask<>(SB), RODATA|NOPTR, $96")
	for _, s := range []*gemmISA{&gemm512, &gemm256} {
		gemmMicro(f, s)
		gemmDot(f, s, "F32")
		gemmDot(f, s, "BF16")
		gemmDot(f, s, "F16")
		gemmCopy(f, s)
		gemmPeak(f, s)
		gemmRead(f, s)
	}
	gemmTrans(f, "F32")
	gemmTrans(f, "BF16")
	gemmTrans(f, "F16")
}

func (s *gemmISA) zero(f *file, n int) {
	if s.r == "Z" {
		f.i("VPXORD Z%d, Z%d, Z%d", n, n, n)
	} else {
		f.i("VXORPS Y%d, Y%d, Y%d", n, n, n)
	}
}

// mask prepares K1 or Y15 from the number of valid lanes in reg, which it spoils; tmp is scratch.
func (s *gemmISA) mask(f *file, reg, tmp string) {
	if s.r == "Z" {
		f.i("MOVL $-1, %s\n\tBZHIL %s, %s, %s\n\tKMOVW %s, K1", tmp, reg, tmp, tmp, tmp)
		return
	}
	f.i("NEGQ %s\n\tLEAQ gemmMask<>+32(SB), %s\n\tVMOVUPS (%s)(%s*4), Y15", reg, tmp, tmp, reg)
}

// load reads a vector, of which only the valid lanes when masked.
func (s *gemmISA) load(f *file, mem string, n int, masked bool) {
	switch {
	case !masked:
		f.i("VMOVUPS %s, %s%d", mem, s.r, n)
	case s.r == "Z":
		f.i("VMOVUPS.Z %s, K1, Z%d", mem, n)
	default:
		f.i("VMASKMOVPS %s, Y15, Y%d", mem, n)
	}
}

func (s *gemmISA) store(f *file, n int, mem string, masked bool) {
	switch {
	case !masked:
		f.i("VMOVUPS %s%d, %s", s.r, n, mem)
	case s.r == "Z":
		f.i("VMOVUPS Z%d, K1, %s", n, mem)
	default:
		f.i("VMASKMOVPS Y%d, Y15, %s", n, mem)
	}
}

// gemmMicro prints the micro-kernel: a tree of comparisons finds the body for the tile's
// rows and vectors. Rows of A are addressed from a base for every three: (base),
// (base)(ars*1), (base)(ars*2), so A needs no packing.
func gemmMicro(f *file, s *gemmISA) {
	name := "gemmMicro" + s.name
	f.text(name, "func "+name+"(rows, vecs, k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, tail, acc int)", 96)
	f.i("MOVQ rows+0(FP), AX\n\tMOVQ vecs+8(FP), BX\n\tMOVQ k+16(FP), CX\n\tMOVQ a+24(FP), SI\n\tMOVQ ars+32(FP), R8\n\tMOVQ acs+40(FP), R9")
	f.i("MOVQ b+48(FP), DI\n\tMOVQ ldb+56(FP), R10\n\tMOVQ c+64(FP), DX\n\tMOVQ ldc+72(FP), R11\n\tSHLQ $2, R8\n\tSHLQ $2, R9\n\tSHLQ $2, R10\n\tSHLQ $2, R11")
	f.i("MOVQ tail+80(FP), R13")
	nv := 2
	part := f.label("part")
	f.i("CMPQ AX, $%d\n\tJNE %s\n\tCMPQ BX, $%d\n\tJNE %s\n\tCMPQ R13, $%d\n\tJNE %s", s.mr, part, nv, part, s.vl, part)
	s.microBody(f, s.mr, nv, false)
	f.p("%s:", part)
	s.mask(f, "R13", "R12")
	var tree func(lo, hi int)
	tree = func(lo, hi int) {
		if lo == hi {
			list := s.vecs[lo-1]
			for i, v := range list {
				if i+1 < len(list) {
					next := f.label("vecs")
					f.i("CMPQ BX, $%d\n\tJNE %s", v, next)
					s.microBody(f, lo, v, true)
					f.p("%s:", next)
				} else {
					s.microBody(f, lo, v, true)
				}
			}
			return
		}
		mid := (lo + hi) / 2
		up := f.label("rows")
		f.i("CMPQ AX, $%d\n\tJGT %s", mid, up)
		tree(lo, mid)
		f.p("%s:", up)
		tree(mid+1, hi)
	}
	tree(1, s.mr)
}

func (s *gemmISA) microBody(f *file, rows, nv int, masked bool) {
	vb := 4 * s.vl
	acc := func(i, j int) int { return i*nv + j }
	breg := func(j int) int { return rows*nv + j }
	bc := rows*nv + nv // broadcast; the masked AVX2 bodies have one register to spare
	f.p("// %d rows of %d vectors", rows, nv)
	if rows >= 4 {
		f.i("MOVQ DX, BX")
		for i := range rows {
			for j := range nv {
				if j*vb%64 == 0 {
					f.i("PREFETCHT0 %d(BX)", j*vb)
				}
			}
			if i+1 < rows {
				f.i("ADDQ R11, BX")
			}
		}
	}
	bases := []string{"SI", "R12", "R13", "AX"}[:(rows+2)/3]
	if len(bases) > 1 {
		f.i("LEAQ (R8)(R8*2), BX")
		for g := 1; g < len(bases); g++ {
			f.i("LEAQ (%s)(BX*1), %s", bases[g-1], bases[g])
		}
	}
	for i := range rows * nv {
		s.zero(f, i)
	}
	loop := f.label("loop")
	f.p("\tPCALIGN $32\n%s:", loop)
	for j := range nv {
		s.load(f, fmt.Sprintf("%d(DI)", j*vb), breg(j), masked && j == nv-1)
	}
	for i := range rows {
		f.i("VBROADCASTSS (%s)%s, %s%d", bases[i/3], []string{"", "(R8*1)", "(R8*2)"}[i%3], s.r, bc)
		for j := range nv {
			f.i("VFMADD231PS %s%d, %s%d, %s%d", s.r, breg(j), s.r, bc, s.r, acc(i, j))
		}
	}
	for _, b := range bases {
		f.i("ADDQ R9, %s", b)
	}
	f.i("ADDQ R10, DI\n\tDECQ CX\n\tJNZ %s", loop)
	set := f.label("set")
	f.i("CMPQ acc+88(FP), $0\n\tJEQ %s", set)
	for _, add := range []bool{true, false} {
		if !add {
			f.p("%s:", set)
		}
		write := func(masked bool) {
			for i := range rows {
				for j := range nv {
					mem, m := fmt.Sprintf("%d(DX)", j*vb), masked && j == nv-1
					switch {
					case add && m:
						s.load(f, mem, bc, true)
						f.i("VADDPS %s%d, %s%d, %s%d", s.r, bc, s.r, acc(i, j), s.r, acc(i, j))
					case add:
						f.i("VADDPS %s, %s%d, %s%d", mem, s.r, acc(i, j), s.r, acc(i, j))
					}
					s.store(f, acc(i, j), mem, m)
				}
				if i+1 < rows {
					f.i("ADDQ R11, DX")
				}
			}
			f.i("VZEROUPPER\n\tRET")
		}
		if masked && s.r == "Y" { // masked stores are slow on many processors
			edge := f.label("edge")
			f.i("CMPQ tail+80(FP), $%d\n\tJNE %s", s.vl, edge)
			write(false)
			f.p("%s:", edge)
		}
		write(masked)
	}
}

// gemmWiden loads a vector of 16-bit numbers as float32; reg is the full register name.
func gemmWiden(f *file, kind, mem, reg, mask string) {
	z, m := "", ""
	if mask != "" {
		z, m = ".Z", mask+", "
	}
	switch kind {
	case "F32":
		f.i("VMOVUPS%s %s, %s%s", z, mem, m, reg)
	case "BF16":
		f.i("VPMOVZXWD%s %s, %s%s\n\tVPSLLD $16, %s, %s", z, mem, m, reg, reg, reg)
	case "F16":
		f.i("VCVTPH2PS%s %s, %s%s", z, mem, m, reg)
	}
}

func gemmElem(kind string) string {
	if kind == "F32" {
		return "float32"
	}
	return "uint16"
}

// gemmDot prints the sums of products of nx rows of x and nw rows of w, k terms each.
func gemmDot(f *file, s *gemmISA, kind string) {
	name := "gemmDot" + s.name + kind
	ws := 4
	if kind != "F32" {
		ws = 2
	}
	f.text(name, "func "+name+"(nx, nw, k int, x *float32, ldx int, w *"+gemmElem(kind)+", ldw int, out *float32, ldo, acc int)", 80)
	f.i("MOVQ nx+0(FP), AX\n\tMOVQ nw+8(FP), BX\n\tMOVQ k+16(FP), CX\n\tMOVQ x+24(FP), SI\n\tMOVQ ldx+32(FP), R8\n\tMOVQ w+40(FP), DI\n\tMOVQ ldw+48(FP), R10\n\tMOVQ out+56(FP), DX")
	f.i("SHLQ $2, R8\n\tSHLQ $%d, R10\n\tMOVQ CX, R11\n\tANDQ $%d, R11\n\tSHRQ $%d, CX", ws/2, s.vl-1, map[int]int{16: 4, 8: 3}[s.vl])
	for n, d := range s.dots {
		next := ""
		if n+1 < len(s.dots) {
			next = f.label("dots")
			f.i("CMPQ AX, $%d\n\tJNE %s\n\tCMPQ BX, $%d\n\tJNE %s", d[0], next, d[1], next)
		}
		s.dotBody(f, kind, ws, d[0], d[1])
		if next != "" {
			f.p("%s:", next)
		}
	}
}

func (s *gemmISA) dotBody(f *file, kind string, ws, nx, nw int) {
	f.p("// %d vectors, %d rows", nx, nw)
	acc := func(i, j int) int { return i*nw + j }
	xreg, wreg := 8, 12
	if s.r == "Z" {
		xreg, wreg = 16, 20
	}
	xs, wsb := []string{"SI"}, []string{"DI"}
	if nx > 3 {
		xs = append(xs, "R9")
		f.i("LEAQ (R8)(R8*2), R9\n\tADDQ SI, R9")
	}
	if nw > 3 {
		wsb = append(wsb, "R12")
		f.i("LEAQ (R10)(R10*2), AX\n\tLEAQ (DI)(AX*1), R12")
	}
	if nw > 6 {
		wsb = append(wsb, "R13")
		f.i("LEAQ (R12)(AX*1), R13")
	}
	mem := func(base []string, stride string, i int) string {
		return fmt.Sprintf("(%s)%s", base[i/3], []string{"", "(" + stride + "*1)", "(" + stride + "*2)"}[i%3])
	}
	for i := range nx * nw {
		s.zero(f, i)
	}
	tail, done, loop := f.label("tail"), f.label("done"), f.label("loop")
	f.i("TESTQ CX, CX\n\tJZ %s", tail)
	f.p("\tPCALIGN $32\n%s:", loop)
	for i := range nx {
		s.load(f, mem(xs, "R8", i), xreg+i, false)
	}
	for j := range nw {
		wm := mem(wsb, "R10", j)
		if kind == "F32" && nx == 1 {
			f.i("VFMADD231PS %s, %s%d, %s%d", wm, s.r, xreg, s.r, acc(0, j))
			continue
		}
		gemmWiden(f, kind, wm, fmt.Sprintf("%s%d", s.r, wreg+j%2), "")
		for i := range nx {
			f.i("VFMADD231PS %s%d, %s%d, %s%d", s.r, wreg+j%2, s.r, xreg+i, s.r, acc(i, j))
		}
	}
	for _, b := range xs {
		f.i("ADDQ $%d, %s", 4*s.vl, b)
	}
	for _, b := range wsb {
		f.i("ADDQ $%d, %s", ws*s.vl, b)
	}
	f.i("DECQ CX\n\tJNZ %s", loop)
	f.p("%s:", tail)
	f.i("TESTQ R11, R11\n\tJZ %s", done)
	// AVX2 cannot mask a load of 16-bit numbers: it reads the last whole vector of
	// the row (k is at least one) and clears the lanes that were already summed.
	back := s.r == "Y" && kind != "F32"
	if back {
		f.i("LEAQ gemmMask<>+32(SB), CX\n\tVMOVUPS (CX)(R11*4), Y15\n\tSUBQ $8, R11")
		for _, b := range xs {
			f.i("LEAQ (%s)(R11*4), %s", b, b)
		}
		for _, b := range wsb {
			f.i("LEAQ (%s)(R11*2), %s", b, b)
		}
	} else {
		s.mask(f, "R11", "CX")
	}
	for i := range nx {
		s.load(f, mem(xs, "R8", i), xreg+i, true)
	}
	for j := range nw {
		r := fmt.Sprintf("%s%d", s.r, wreg+j%2)
		switch {
		case kind == "F32":
			s.load(f, mem(wsb, "R10", j), wreg+j%2, true)
		case back:
			gemmWiden(f, kind, mem(wsb, "R10", j), r, "")
			f.i("VANDPS Y15, %s, %s", r, r)
		default:
			gemmWiden(f, kind, mem(wsb, "R10", j), r, "K1")
		}
		for i := range nx {
			f.i("VFMADD231PS %s, %s%d, %s%d", r, s.r, xreg+i, s.r, acc(i, j))
		}
	}
	f.p("%s:", done)
	n := nx * nw
	t := wreg
	if s.r == "Z" {
		for a := range n {
			f.i("VEXTRACTF64X4 $1, Z%d, Y%d\n\tVADDPS Y%d, Y%d, Y%d", a, t+a%4, t+a%4, a, a)
		}
	}
	f.i("MOVQ ldo+64(FP), R8\n\tSHLQ $2, R8")
	for g := 0; g < n; g += 4 {
		at := func(i int) int { return min(g+i, n-1) } // fewer than four repeat the last
		q := []int{at(0), at(1), at(2), at(3)}
		f.i("VHADDPS Y%d, Y%d, Y%d", q[1], q[0], q[0])
		if q[2] != q[1] {
			f.i("VHADDPS Y%d, Y%d, Y%d", q[3], q[2], q[2])
			f.i("VHADDPS Y%d, Y%d, Y%d", q[2], q[0], q[0])
		} else {
			f.i("VHADDPS Y%d, Y%d, Y%d", q[0], q[0], q[0])
		}
		x := "VEXTRACTF128"
		if t > 15 {
			x = "VEXTRACTF32X4"
		}
		f.i("%s $1, Y%d, X%d\n\tVADDPS X%d, X%d, X%d", x, q[0], t, t, q[0], q[0])
	}
	// Four sums stand in each of X0, X4, …: a piece of a row of out, or the starts of several rows.
	out := func(add bool) {
		for g := 0; g < n; g += 4 {
			switch {
			case nw >= 4:
				at := fmt.Sprintf("%d(DX)", g%nw*4)
				if g > 0 && g%nw == 0 {
					f.i("ADDQ R8, DX")
				}
				if add {
					f.i("VADDPS %s, X%d, X%d", at, g, g)
				}
				f.i("VMOVUPS X%d, %s", g, at)
			case nw == 2:
				if g > 0 {
					f.i("LEAQ (DX)(R8*2), DX")
				}
				if add {
					f.i("VMOVSD (DX), X%d\n\tVMOVHPS (DX)(R8*1), X%d, X%d\n\tVADDPS X%d, X%d, X%d", xreg, xreg, xreg, xreg, g, g)
				}
				f.i("VMOVLPS X%d, (DX)\n\tVMOVHPS X%d, (DX)(R8*1)", g, g)
			default:
				for i := range n {
					if i > 0 {
						f.i("ADDQ R8, DX\n\tVSHUFPS $0x39, X0, X0, X0")
					}
					if add {
						f.i("VADDSS (DX), X0, X15\n\tVMOVSS X15, (DX)")
					} else {
						f.i("VMOVSS X0, (DX)")
					}
				}
			}
		}
		f.i("VZEROUPPER\n\tRET")
	}
	set := f.label("set")
	f.i("CMPQ acc+72(FP), $0\n\tJEQ %s", set)
	out(true)
	f.p("%s:", set)
	out(false)
}

// gemmCopy prints the pack without transposition: rows of one or two vectors. It reads
// only the columns there are and writes whole vectors.
func gemmCopy(f *file, s *gemmISA) {
	name := "gemmCopy" + s.name
	f.text(name, "func "+name+"(rows, vecs, tail int, src *float32, lds int, dst *float32, ldd int)", 56)
	f.i("MOVQ rows+0(FP), CX\n\tMOVQ tail+16(FP), R11\n\tMOVQ src+24(FP), SI\n\tMOVQ lds+32(FP), R8\n\tMOVQ dst+40(FP), DI\n\tMOVQ ldd+48(FP), R9\n\tSHLQ $2, R8\n\tSHLQ $2, R9")
	s.mask(f, "R11", "R12")
	two := f.label("two")
	f.i("CMPQ vecs+8(FP), $2\n\tJEQ %s", two)
	for nv := 1; nv <= 2; nv++ {
		if nv == 2 {
			f.p("%s:", two)
		}
		loop := f.label("loop")
		f.p("%s:", loop)
		for j := range nv {
			s.load(f, fmt.Sprintf("%d(SI)", 4*s.vl*j), j, j == nv-1)
		}
		for j := range nv {
			s.store(f, j, fmt.Sprintf("%d(DI)", 4*s.vl*j), false)
		}
		f.i("ADDQ R8, SI\n\tADDQ R9, DI\n\tDECQ CX\n\tJNZ %s\n\tVZEROUPPER\n\tRET", loop)
	}
}

// gemmTrans prints the transposing pack: four rows of the source at a time, eight
// columns of them as two 4×4 transposes. An incomplete four repeats its last row. The
// last four comes first: where ldd is less than the rows written, the earlier rows put
// right what it spilt.
func gemmTrans(f *file, kind string) {
	name := "gemmTrans" + kind
	es := 4
	if kind != "F32" {
		es = 2
	}
	f.text(name, "func "+name+"(rows, cols int, src *"+gemmElem(kind)+", lds int, dst *float32, ldd int)", 48)
	f.i("MOVQ rows+0(FP), AX\n\tMOVQ src+16(FP), SI\n\tMOVQ lds+24(FP), R8\n\tMOVQ dst+32(FP), DI\n\tMOVQ ldd+40(FP), R9\n\tSHLQ $%d, R8\n\tSHLQ $2, R9", es/2)
	quad, eight, four, one, next := f.label("quad"), f.label("eight"), f.label("four"), f.label("one"), f.label("next")
	f.i("DECQ AX\n\tMOVQ AX, BX\n\tANDQ $-4, BX\n\tSUBQ BX, AX\n\tINCQ AX\n\tLEAQ (DI)(BX*4), DI\n\tIMULQ R8, BX\n\tADDQ BX, SI")
	f.p("%s:", quad)
	f.i("MOVQ cols+8(FP), CX\n\tMOVQ DI, DX\n\tMOVQ SI, R10\n\tMOVQ SI, R11")
	f.i("LEAQ (SI)(R8*1), BX\n\tCMPQ AX, $2\n\tCMOVQGE BX, R11\n\tMOVQ R11, R12")
	f.i("ADDQ R8, BX\n\tCMPQ AX, $3\n\tCMOVQGE BX, R12\n\tMOVQ R12, R13")
	f.i("ADDQ R8, BX\n\tCMPQ AX, $4\n\tCMOVQGE BX, R13")
	rows := []string{"R10", "R11", "R12", "R13"}
	step := func(n int) {
		for _, r := range rows {
			f.i("ADDQ $%d, %s", n*es, r)
		}
	}
	transpose := func(r string) { // registers 0…3 to 0…3, each lane a column
		f.i("VUNPCKLPS %s1, %s0, %s4\n\tVUNPCKHPS %s1, %s0, %s5\n\tVUNPCKLPS %s3, %s2, %s6\n\tVUNPCKHPS %s3, %s2, %s7", r, r, r, r, r, r, r, r, r, r, r, r)
		f.i("VUNPCKLPD %s6, %s4, %s0\n\tVUNPCKHPD %s6, %s4, %s1\n\tVUNPCKLPD %s7, %s5, %s2\n\tVUNPCKHPD %s7, %s5, %s3", r, r, r, r, r, r, r, r, r, r, r, r)
	}
	f.i("LEAQ (R9)(R9*2), BX")
	f.i("SUBQ $8, CX\n\tJLT %s", four)
	f.p("\tPCALIGN $32\n%s:", eight)
	for i, r := range rows {
		gemmWiden(f, kind, "("+r+")", fmt.Sprintf("Y%d", i), "")
	}
	step(8)
	transpose("Y")
	for i, at := range []string{"(DX)", "(DX)(R9*1)", "(DX)(R9*2)", "(DX)(BX*1)"} {
		f.i("VMOVUPS X%d, %s", i, at)
	}
	f.i("LEAQ (DX)(R9*4), DX")
	for i, at := range []string{"(DX)", "(DX)(R9*1)", "(DX)(R9*2)", "(DX)(BX*1)"} {
		f.i("VEXTRACTF128 $1, Y%d, %s", i, at)
	}
	f.i("LEAQ (DX)(R9*4), DX\n\tSUBQ $8, CX\n\tJGE %s", eight)
	f.p("%s:", four)
	f.i("ADDQ $4, CX\n\tJLT %s", one)
	for i, r := range rows {
		gemmWiden(f, kind, "("+r+")", fmt.Sprintf("X%d", i), "")
	}
	step(4)
	transpose("X")
	for i, at := range []string{"(DX)", "(DX)(R9*1)", "(DX)(R9*2)", "(DX)(BX*1)"} {
		f.i("VMOVUPS X%d, %s", i, at)
	}
	f.i("LEAQ (DX)(R9*4), DX\n\tSUBQ $4, CX")
	f.p("%s:", one)
	f.i("ADDQ $4, CX\n\tJZ %s", next)
	loop := f.label("loop")
	f.p("%s:", loop)
	switch kind {
	case "F32":
		f.i("VMOVSS (R10), X0\n\tVINSERTPS $0x10, (R11), X0, X0\n\tVINSERTPS $0x20, (R12), X0, X0\n\tVINSERTPS $0x30, (R13), X0, X0")
	case "BF16":
		f.i("VPXOR X0, X0, X0\n\tVPINSRW $1, (R10), X0, X0\n\tVPINSRW $3, (R11), X0, X0\n\tVPINSRW $5, (R12), X0, X0\n\tVPINSRW $7, (R13), X0, X0")
	case "F16":
		f.i("VPXOR X0, X0, X0\n\tVPINSRW $0, (R10), X0, X0\n\tVPINSRW $1, (R11), X0, X0\n\tVPINSRW $2, (R12), X0, X0\n\tVPINSRW $3, (R13), X0, X0\n\tVCVTPH2PS X0, X0")
	}
	step(1)
	f.i("VMOVUPS X0, (DX)\n\tADDQ R9, DX\n\tDECQ CX\n\tJNZ %s", loop)
	f.p("%s:", next)
	f.i("LEAQ (R8)(R8*2), BX\n\tADDQ R8, BX\n\tSUBQ BX, SI\n\tMOVQ $4, AX\n\tSUBQ $16, DI\n\tCMPQ DI, dst+32(FP)\n\tJGE %s\n\tVZEROUPPER\n\tRET", quad)
}

// gemmPeak prints a loop of independent multiply-adds in registers.
func gemmPeak(f *file, s *gemmISA) {
	name := "gemmPeak" + s.name
	f.text(name, "func "+name+"(n int)", 8)
	f.i("MOVQ n+0(FP), CX")
	for i := range 12 {
		s.zero(f, i)
	}
	loop := f.label("loop")
	f.p("\tPCALIGN $32\n%s:", loop)
	for i := range 12 {
		f.i("VFMADD231PS %s%d, %s%d, %s%d", s.r, i, s.r, i, s.r, i)
	}
	f.i("DECQ CX\n\tJNZ %s\n\tVZEROUPPER\n\tRET", loop)
}

// gemmRead prints a loop that reads n blocks of 8 vectors.
func gemmRead(f *file, s *gemmISA) {
	name := "gemmRead" + s.name
	f.text(name, "func "+name+"(n int, x *float32)", 16)
	f.i("MOVQ n+0(FP), CX\n\tMOVQ x+8(FP), SI")
	for i := range 4 {
		s.zero(f, i)
	}
	loop := f.label("loop")
	f.p("\tPCALIGN $32\n%s:", loop)
	for i := range 8 {
		f.i("VADDPS %d(SI), %s%d, %s%d", 4*s.vl*i, s.r, i%4, s.r, i%4)
	}
	f.i("ADDQ $%d, SI\n\tDECQ CX\n\tJNZ %s\n\tVZEROUPPER\n\tRET", 32*s.vl, loop)
}

// gemmNEONVecs[r-1] lists how many vectors of 4 columns a tile of r rows may be wide,
// gemmNEONDots the (vectors, rows) of the dot kernels; the wrappers in
// gemm_arm64.go must agree.
var (
	gemmNEONVecs = [][]int{{1, 2, 3, 4, 8}, {1, 2, 3, 4}, {1, 2, 3, 4}, {1, 2, 3, 4}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3}}
	gemmNEONDots = [][2]int{{1, 8}, {1, 4}, {1, 1}, {2, 4}, {2, 1}, {3, 4}, {3, 1}, {4, 4}, {4, 1}}
)

func gemmARM64(f *file) {
	f.p("// Loading 4 words at 16+4*t gives the last t lanes set.")
	for i := range 8 {
		f.p("DATA gemmMask<>+%d(SB)/4, $%s", 4*i, []string{"0", "0xffffffff"}[i/4])
	}
	f.p("GLOBL gemmMask<>(SB), RODATA|NOPTR, $32")
	gemmMicroNEON(f)
	for _, kind := range []string{"F32", "BF16", "F16"} {
		gemmDotNEON(f, kind)
		gemmTransNEON(f, kind)
	}
	f.text("gemmPeakNEON", "func gemmPeakNEON(n int)", 8)
	f.i("MOVD n+0(FP), R0")
	for i := range 24 {
		gemmZeroNEON(f, i)
	}
	loop := f.label("loop")
	f.p("%s:", loop)
	for i := range 24 {
		f.i("VFMLA V%d.S4, V%d.S4, V%d.S4", i, i, i)
	}
	f.i("SUBS $1, R0\n\tBNE %s\n\tRET", loop)
	gemmCopyNEON(f)
	gemmReadNEON(f)
}

// gemmCopyNEON prints gemmCopy for whole vectors.
func gemmCopyNEON(f *file) {
	f.text("gemmCopyNEON", "func gemmCopyNEON(rows, vecs int, src *float32, lds int, dst *float32, ldd int)", 48)
	f.i("MOVD rows+0(FP), R0\n\tMOVD vecs+8(FP), R1\n\tMOVD src+16(FP), R2\n\tMOVD lds+24(FP), R3\n\tMOVD dst+32(FP), R4\n\tMOVD ldd+40(FP), R5")
	f.i("LSL $2, R3\n\tLSL $2, R5")
	const most = 3
	for nv := 1; nv <= most; nv++ {
		next := f.label("more")
		if nv < most {
			f.i("CMP $%d, R1\n\tBNE %s", nv, next)
		}
		loop := f.label("loop")
		f.p("%s:", loop)
		f.i("VLD1.P (R2)(R3), %s\n\tVST1.P %s, (R4)(R5)\n\tSUBS $1, R0\n\tBNE %s\n\tRET", gemmVecs(0, nv), gemmVecs(0, nv), loop)
		if nv < most {
			f.p("%s:", next)
		}
	}
}

// gemmReadNEON prints gemmRead.
func gemmReadNEON(f *file) {
	f.text("gemmReadNEON", "func gemmReadNEON(n int, x *float32)", 16)
	f.i("MOVD n+0(FP), R0\n\tMOVD x+8(FP), R1")
	for i := range 4 {
		gemmZeroNEON(f, i)
	}
	loop := f.label("loop")
	f.p("\tPCALIGN $16\n%s:", loop)
	f.i("VLD1.P 64(R1), %s\n\tVLD1.P 64(R1), %s", gemmVecs(8, 4), gemmVecs(12, 4))
	for i := range 8 {
		gemmFADD(f, i%4, i%4, 8+i)
	}
	f.i("SUBS $1, R0\n\tBNE %s\n\tRET", loop)
}

func gemmZeroNEON(f *file, n int) { f.i("VEOR V%d.B16, V%d.B16, V%d.B16", n, n, n) }

// gemmWord3 prints an instruction on three float32 vectors that Go's assembler lacks.
func gemmWord3(f *file, base uint32, name string, d, n, m int) {
	f.i("WORD $0x%08X // %s V%d.4S, V%d.4S, V%d.4S", base|uint32(m)<<16|uint32(n)<<5|uint32(d), name, d, n, m)
}

func gemmFADD(f *file, d, n, m int)  { gemmWord3(f, 0x4E20D400, "FADD", d, n, m) }
func gemmFADDP(f *file, d, n, m int) { gemmWord3(f, 0x6E20D400, "FADDP", d, n, m) }

// gemmFMLAElem is d += n * m[i].
func gemmFMLAElem(f *file, d, n, m, i int) {
	f.i("WORD $0x%08X // FMLA V%d.4S, V%d.4S, V%d.S[%d]", 0x4F801000|uint32(i&1)<<21|uint32(i>>1)<<11|uint32(m)<<16|uint32(n)<<5|uint32(d), d, n, m, i)
}

// gemmVecs is the register list V<n>.S4 … of v registers.
func gemmVecs(n, v int) string {
	s := "["
	for i := range v {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("V%d.S4", n+i)
	}
	return s + "]"
}

// gemmMicroNEON prints the micro-kernel as gemmMicro does. A row's elements are
// broadcast as they are loaded (LD1R steps each row's pointer); where rows of A are
// neighbours in memory, as packed ones are, the whole tile multiplies by
// element instead.
func gemmMicroNEON(f *file) {
	f.text("gemmMicroNEON", "func gemmMicroNEON(rows, vecs, k int, a *float32, ars, acs int, b *float32, ldb int, c *float32, ldc, acc int)", 88)
	f.i("MOVD rows+0(FP), R0\n\tMOVD vecs+8(FP), R1\n\tMOVD k+16(FP), R2\n\tMOVD a+24(FP), R3\n\tMOVD ars+32(FP), R4\n\tMOVD acs+40(FP), R5")
	f.i("MOVD b+48(FP), R6\n\tMOVD ldb+56(FP), R7\n\tMOVD c+64(FP), R8\n\tMOVD ldc+72(FP), R9\n\tMOVD acc+80(FP), R10")
	f.i("LSL $2, R4\n\tLSL $2, R5\n\tLSL $2, R7\n\tLSL $2, R9")
	part := f.label("part")
	f.i("CMP $8, R0\n\tBNE %s\n\tCMP $3, R1\n\tBNE %s\n\tCMP $4, R4\n\tBNE %s", part, part, part)
	gemmBodyNEON(f, 8, 3, true)
	f.p("%s:", part)
	var tree func(lo, hi int)
	tree = func(lo, hi int) {
		if lo == hi {
			list := gemmNEONVecs[lo-1]
			for i, v := range list {
				if i+1 < len(list) {
					next := f.label("vecs")
					f.i("CMP $%d, R1\n\tBNE %s", v, next)
					gemmBodyNEON(f, lo, v, false)
					f.p("%s:", next)
				} else {
					gemmBodyNEON(f, lo, v, false)
				}
			}
			return
		}
		mid := (lo + hi) / 2
		up := f.label("rows")
		f.i("CMP $%d, R0\n\tBGT %s", mid, up)
		tree(lo, mid)
		f.p("%s:", up)
		tree(mid+1, hi)
	}
	tree(1, 8)
}

func gemmBodyNEON(f *file, rows, nv int, elem bool) {
	f.p("// %d rows of %d vectors", rows, nv)
	acc := func(i, j int) int { return 31 - (i*nv + j) } // B, and A behind it, in the low registers
	ptr := []string{"R3", "R11", "R12", "R13", "R14", "R15", "R19", "R20"}
	if !elem {
		for i := 1; i < rows; i++ {
			f.i("ADD R4, %s, %s", ptr[i-1], ptr[i])
		}
	}
	for i := range rows * nv {
		gemmZeroNEON(f, 31-i)
	}
	loadB := func(base string) {
		for j := 0; j < nv; j += 4 {
			if j > 0 {
				f.i("ADD $%d, %s, R21\n\tVLD1 (R21), %s", 16*j, base, gemmVecs(j, min(4, nv-j)))
			} else {
				f.i("VLD1 (%s), %s", base, gemmVecs(0, min(4, nv)))
			}
		}
	}
	loop := f.label("loop")
	f.p("\tPCALIGN $16\n%s:", loop)
	loadB("R6")
	f.i("ADD R7, R6")
	if elem {
		f.i("VLD1 (R3), [V%d.S4, V%d.S4]\n\tADD R5, R3", nv, nv+1)
		for i := range rows {
			for j := range nv {
				gemmFMLAElem(f, acc(i, j), j, nv+i/4, i%4)
			}
		}
	} else {
		for i := range rows {
			f.i("VLD1R (%s), [V%d.S4]\n\tADD R5, %s", ptr[i], nv, ptr[i])
			for j := range nv {
				f.i("VFMLA V%d.S4, V%d.S4, V%d.S4", j, nv, acc(i, j))
			}
		}
	}
	f.i("SUBS $1, R2\n\tBNE %s", loop)
	set := f.label("set")
	f.i("CBZ R10, %s", set)
	// C is read and written a vector at a time: the sums stand in descending registers.
	for _, add := range []bool{true, false} {
		if !add {
			f.p("%s:", set)
		}
		for i := range rows {
			if add {
				loadB("R8")
			}
			for j := range nv {
				r := acc(i, j)
				if add {
					gemmFADD(f, r, j, r)
				}
				f.i("FMOVQ F%d, %d(R8)", r, 16*j)
			}
			f.i("ADD R9, R8")
		}
		f.i("RET")
	}
}

// gemmLoadNEON loads 4 numbers from (ptr), or from (ptr) and steps past them, as float32. V31 is zero.
func gemmLoadNEON(f *file, kind, ptr string, reg int, step bool) {
	p, w := "", ""
	es := 4
	if kind != "F32" {
		es = 2
	}
	if step {
		p, w = ".P", fmt.Sprint(4*es)
	}
	switch kind {
	case "F32":
		f.i("VLD1%s %s(%s), [V%d.S4]", p, w, ptr, reg)
	case "BF16":
		f.i("VLD1%s %s(%s), [V%d.H4]\n\tVZIP1 V%d.H8, V31.H8, V%d.H8", p, w, ptr, reg, reg, reg)
	case "F16":
		f.i("VLD1%s %s(%s), [V%d.H4]\n\tWORD $0x%08X // FCVTL V%d.4S, V%d.4H", p, w, ptr, reg, 0x0E217800|reg<<5|reg, reg, reg)
	}
}

// gemmLoadPairNEON loads 8 numbers from (ptr) as float32 in reg and reg+1, and steps past them.
func gemmLoadPairNEON(f *file, kind, ptr string, reg int) {
	switch kind {
	case "F32":
		f.i("VLD1.P 32(%s), [V%d.S4, V%d.S4]", ptr, reg, reg+1)
	case "BF16":
		f.i("VLD1.P 16(%s), [V%d.H8]\n\tVZIP2 V%d.H8, V31.H8, V%d.H8\n\tVZIP1 V%d.H8, V31.H8, V%d.H8", ptr, reg, reg, reg+1, reg, reg)
	case "F16":
		f.i("VLD1.P 16(%s), [V%d.H8]\n\tWORD $0x%08X // FCVTL2 V%d.4S, V%d.8H\n\tWORD $0x%08X // FCVTL V%d.4S, V%d.4H",
			ptr, reg, 0x4E217800|reg<<5|(reg+1), reg+1, reg, 0x0E217800|reg<<5|reg, reg, reg)
	}
}

// gemmDotNEON prints the dot products of rows. Eight terms a round take half the loads, and half the
// loop, of four; an element's sum is in one register, in the order of the terms, either way.
func gemmDotNEON(f *file, kind string) {
	name := "gemmDotNEON" + kind
	ws := 4
	if kind != "F32" {
		ws = 2
	}
	f.text(name, "func "+name+"(nx, nw, k int, x *float32, ldx int, w *"+gemmElem(kind)+", ldw int, out *float32)", 64)
	f.i("MOVD nx+0(FP), R0\n\tMOVD nw+8(FP), R1\n\tMOVD k+16(FP), R2\n\tMOVD x+24(FP), R3\n\tMOVD ldx+32(FP), R4\n\tMOVD w+40(FP), R6\n\tMOVD ldw+48(FP), R7\n\tMOVD out+56(FP), R8")
	f.i("LSL $2, R4\n\tLSL $%d, R7\n\tAND $3, R2, R5\n\tLSR $2, R2\n\tAND $1, R2, R10\n\tLSR $1, R2", ws/2)
	gemmZeroNEON(f, 31)
	xp := []string{"R3", "R11", "R12", "R13"}
	wp := []string{"R6", "R14", "R15", "R19", "R20", "R21", "R22", "R23"}
	for n, d := range gemmNEONDots {
		next := ""
		if n+1 < len(gemmNEONDots) {
			next = f.label("dots")
			f.i("CMP $%d, R0\n\tBNE %s\n\tCMP $%d, R1\n\tBNE %s", d[0], next, d[1], next)
		}
		nx, nw := d[0], d[1]
		f.p("// %d vectors, %d rows", nx, nw)
		for i := 1; i < nx; i++ {
			f.i("ADD R4, %s, %s", xp[i-1], xp[i])
		}
		for j := 1; j < nw; j++ {
			f.i("ADD R7, %s, %s", wp[j-1], wp[j])
		}
		for i := range nx * nw {
			gemmZeroNEON(f, i)
		}
		loop, four, rest, done := f.label("loop"), f.label("four"), f.label("rest"), f.label("done")
		f.i("CBZ R2, %s", four)
		f.p("\tPCALIGN $16\n%s:", loop)
		for i := range nx {
			gemmLoadPairNEON(f, "F32", xp[i], 16+2*i)
		}
		first := 16 + 2*nx // of the pairs that rows take in turn, up to V29
		for j := range nw {
			w := first + 2*j%((30-first)&^1)
			gemmLoadPairNEON(f, kind, wp[j], w)
			for half := range 2 {
				for i := range nx {
					f.i("VFMLA V%d.S4, V%d.S4, V%d.S4", w+half, 16+2*i+half, i*nw+j)
				}
			}
		}
		f.i("SUBS $1, R2\n\tBNE %s", loop)
		f.p("%s:", four)
		f.i("CBZ R10, %s", rest)
		body := func(step bool) {
			for i := range nx {
				gemmLoadNEON(f, "F32", xp[i], 16+i, step)
				if !step {
					f.i("VAND V30.B16, V%d.B16, V%d.B16", 16+i, 16+i)
				}
			}
			for j := range nw {
				w := 20 + j
				gemmLoadNEON(f, kind, wp[j], w, step)
				if !step {
					f.i("VAND V30.B16, V%d.B16, V%d.B16", w, w)
				}
				for i := range nx {
					f.i("VFMLA V%d.S4, V%d.S4, V%d.S4", w, 16+i, i*nw+j)
				}
			}
		}
		body(true)
		f.p("%s:", rest)
		f.i("CBZ R5, %s", done)
		// The last whole vector of the row again, without the lanes already summed.
		f.i("MOVD $gemmMask<>(SB), R9\n\tADD R5<<2, R9\n\tVLD1 (R9), [V30.S4]\n\tSUB $4, R5")
		for i := range nx {
			f.i("ADD R5<<2, %s", xp[i])
		}
		for j := range nw {
			f.i("ADD R5<<%d, %s", ws/2, wp[j])
		}
		body(false)
		f.p("%s:", done)
		total := nx * nw
		for g := 0; g < total; g += 4 {
			at := func(i int) int { return min(g+i, total-1) } // fewer than four repeat the last
			gemmFADDP(f, 16, at(0), at(1))
			gemmFADDP(f, 17, at(2), at(3))
			gemmFADDP(f, 16, 16, 17)
			switch total - g {
			case 1:
				f.i("FMOVS F16, %d(R8)", 4*g)
			case 2:
				f.i("FMOVD F16, %d(R8)", 4*g)
			default:
				f.i("FMOVQ F16, %d(R8)", 4*g)
			}
		}
		f.i("RET")
		if next != "" {
			f.p("%s:", next)
		}
	}
}

// gemmTransNEON prints the transposing pack as gemmTrans does, in blocks of 4×4.
func gemmTransNEON(f *file, kind string) {
	name := "gemmTransNEON" + kind
	es := 4
	if kind != "F32" {
		es = 2
	}
	f.text(name, "func "+name+"(rows, quads int, src *"+gemmElem(kind)+", lds int, dst *float32, ldd int)", 48)
	f.i("MOVD rows+0(FP), R0\n\tMOVD quads+8(FP), R1\n\tMOVD src+16(FP), R2\n\tMOVD lds+24(FP), R3\n\tMOVD dst+32(FP), R4\n\tMOVD ldd+40(FP), R5\n\tLSL $%d, R3\n\tLSL $2, R5", es/2)
	gemmZeroNEON(f, 31)
	quad, loop := f.label("quad"), f.label("loop")
	f.i("SUB $1, R0, R13\n\tLSR $2, R13\n\tSUB R13<<2, R0\n\tMUL R3, R13, R12\n\tADD R12<<2, R2\n\tADD R13<<4, R4")
	f.p("%s:", quad)
	f.i("MOVD R1, R6\n\tMOVD R4, R7\n\tMOVD R2, R8")
	f.i("ADD R3, R2, R12\n\tCMP $2, R0\n\tCSEL GE, R12, R8, R9")
	f.i("ADD R3, R12\n\tCMP $3, R0\n\tCSEL GE, R12, R9, R10")
	f.i("ADD R3, R12\n\tCMP $4, R0\n\tCSEL GE, R12, R10, R11")
	f.p("%s:", loop)
	for i, r := range []string{"R8", "R9", "R10", "R11"} {
		gemmLoadNEON(f, kind, r, i, true)
	}
	f.i("VTRN1 V1.S4, V0.S4, V4.S4\n\tVTRN2 V1.S4, V0.S4, V5.S4\n\tVTRN1 V3.S4, V2.S4, V6.S4\n\tVTRN2 V3.S4, V2.S4, V7.S4")
	f.i("VTRN1 V6.D2, V4.D2, V0.D2\n\tVTRN1 V7.D2, V5.D2, V1.D2\n\tVTRN2 V6.D2, V4.D2, V2.D2\n\tVTRN2 V7.D2, V5.D2, V3.D2")
	for i := range 4 {
		f.i("FMOVQ F%d, (R7)\n\tADD R5, R7", i)
	}
	f.i("SUBS $1, R6\n\tBNE %s", loop)
	f.i("SUB R3<<2, R2\n\tSUB $16, R4\n\tMOVD $4, R0\n\tSUBS $1, R13\n\tBGE %s\n\tRET", quad)
}
