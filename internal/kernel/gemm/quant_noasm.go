//go:build purego || !(amd64 || arm64)

package gemm

func (q Quant) dot4(k int, w []byte, ldw int, x, c []float32, acc bool) bool { return false }

func (q Quant) dequantizeFast(dst []float32, src []byte) bool { return false }
