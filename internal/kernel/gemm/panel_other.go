//go:build purego || !amd64

package gemm

const usePanels = false

func panelDigits(group, digits int, dst []byte, x []float32, bias int) bool {
	panic("gemm: no kernel")
}

func panelProducts(q Quant, nx, digits, panels, blocks int, w, x []byte, ldx int, y []float32, ldy int, tmp []float32) {
	panic("gemm: no kernel")
}
