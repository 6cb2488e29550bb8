//go:build !purego

package gemm

import "github.com/subquad/subquad/hw"

// The assembly is printed by internal/asmgen/panel.go.

// panel…AVX512 sets y, rows of ldy bytes, to the products of so many panels, blocks
// in a row, and one, two or four vectors, whose digits are ldx bytes apart. kind is 0 … 2 for
// one vector and one to three digits, 3 … 5 for two, 6 … 8 for four. tmp has room for 256.
//
//go:noescape
func panelQ80AVX512(kind, panels, blocks int, w, x *byte, ldx int, y *float32, ldy int, tmp *float32)

//go:noescape
func panelQ40AVX512(kind, panels, blocks int, w, x *byte, ldx int, y *float32, ldy int, tmp *float32)

//go:noescape
func panelQ4KAVX512(kind, panels, blocks int, w, x *byte, ldx int, y *float32, ldy int, tmp *float32)

//go:noescape
func panelQ6KAVX512(kind, panels, blocks int, w, x *byte, ldx int, y *float32, ldy int, tmp *float32)

// panelWiden…AVX512 widens blocks of a panel, sixteen numbers for each term, ld bytes from one term to the next.
//
//go:noescape
func panelWidenQ80AVX512(dst *float32, ld, blocks int, w *byte, tmp *float32)

//go:noescape
func panelWidenQ40AVX512(dst *float32, ld, blocks int, w *byte, tmp *float32)

//go:noescape
func panelWidenQ4KAVX512(dst *float32, ld, blocks int, w *byte, tmp *float32)

//go:noescape
func panelWidenQ6KAVX512(dst *float32, ld, blocks int, w *byte, tmp *float32)

// panelDigits…AVX512 writes groups of 16 or 32 numbers as digits, and reports whether they have such.
//
//go:noescape
func panelDigits16AVX512(terms int, dst *byte, x *float32, groups, bias int) bool

//go:noescape
func panelDigits32AVX512(terms int, dst *byte, x *float32, groups, bias int) bool

var usePanels bool

func init() {
	vnni := hw.Supports(hw.FeatureAVX512VNNI)
	hw.OnLevel(func(l hw.Level) { usePanels = vnni && l.Has(hw.AVX512) })
}

func panelDigits(group, digits int, dst []byte, x []float32, bias int) bool {
	if group == 16 {
		return panelDigits16AVX512(digits, &dst[0], &x[0], len(x)/16, bias)
	}
	return panelDigits32AVX512(digits, &dst[0], &x[0], len(x)/32, bias)
}

func panelProducts(q Quant, nx, digits, panels, blocks int, w, x []byte, ldx int, y []float32, ldy int, tmp []float32) {
	kind := 3*(nx/2) + digits - 1
	switch q {
	case Q8_0:
		panelQ80AVX512(kind, panels, blocks, &w[0], &x[0], ldx, &y[0], 4*ldy, &tmp[0])
	case Q4_0:
		panelQ40AVX512(kind, panels, blocks, &w[0], &x[0], ldx, &y[0], 4*ldy, &tmp[0])
	case Q4_K:
		panelQ4KAVX512(kind, panels, blocks, &w[0], &x[0], ldx, &y[0], 4*ldy, &tmp[0])
	default:
		panelQ6KAVX512(kind, panels, blocks, &w[0], &x[0], ldx, &y[0], 4*ldy, &tmp[0])
	}
}

// widenPanel writes terms pc to pc+kb of sixteen columns of B from column j, sixteen floats a term.
func (p *product) widenPanel(dst []float32, j, pc, kb int) {
	var tmp [panelTmp]float32
	b := quants[p.quant]
	w := p.q[(p.row+j)/panelRows*panelRows*p.ldb+pc/b.block*b.size*panelRows:][:kb/b.block*b.size*panelRows]
	_ = dst[kb*panelRows-1]
	const ld = 4 * panelRows
	switch p.quant {
	case Q8_0:
		panelWidenQ80AVX512(&dst[0], ld, kb/b.block, &w[0], &tmp[0])
	case Q4_0:
		panelWidenQ40AVX512(&dst[0], ld, kb/b.block, &w[0], &tmp[0])
	case Q4_K:
		panelWidenQ4KAVX512(&dst[0], ld, kb/b.block, &w[0], &tmp[0])
	default:
		panelWidenQ6KAVX512(&dst[0], ld, kb/b.block, &w[0], &tmp[0])
	}
}
