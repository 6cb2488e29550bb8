package gemm

// Transpose sets dst[j*ldd+i] = src[i*lds+j] for i < rows, j < cols: few
// columns to rows side by side, as the recurrences want their constants.
func Transpose(rows, cols int, src []float32, lds int, dst []float32, ldd int) {
	if rows <= 0 || cols <= 0 {
		return
	}
	if lds < cols || ldd < rows || len(src) < (rows-1)*lds+cols || len(dst) < (cols-1)*ldd+rows {
		panic("gemm: a transpose is longer than its slices")
	}
	// The kernels write whole groups of four rows.
	whole := rows &^ 3
	if whole > 0 {
		transpose(whole, cols, src, lds, dst, ldd)
	}
	for i := whole; i < rows; i++ {
		for j := range cols {
			dst[j*ldd+i] = src[i*lds+j]
		}
	}
}
