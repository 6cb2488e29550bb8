package gemm

// dotB computes few rows of C against the rows of a transposed B, each of which
// travels through the cache once.
func (p *product) dotB(i0, i1, j0, j1 int) {
	if p.matvec(j0, j1) || p.m > 1 && p.matmat(i0, i1, j0, j1) {
		return
	}
	x, ldx := p.a, p.ars
	var s *scratch
	if p.acs != 1 { // A is stored k×m: its columns must be made rows
		s = pool.Get().(*scratch)
		x, ldx = s.bufA(p.m*p.k+pad), p.k
		transposeAny(p.k, p.m, p.a, p.acs, x, ldx)
	}
	for j := j0; j < j1; j += dotRows {
		nw := min(dotRows, j1-j)
		for i := i0; i < i1; i += dotVecs {
			nx := min(dotVecs, i1-i)
			c := p.c[i*p.ldc+j:]
			if p.form == formCols {
				dots(nx, nw, p.k, x[i*ldx:], ldx, p.b[j*p.ldb:], p.ldb, c, p.ldc, 1, p.acc)
			} else {
				dotsHalf(p.form, nx, nw, p.k, x[i*ldx:], ldx, p.h[j*p.ldb:], p.ldb, c, p.ldc, 1, p.acc)
			}
		}
	}
	if s != nil {
		pool.Put(s)
	}
}

// dotA computes few columns of C: the columns of B are the vectors and the rows
// of A the matrix.
func (p *product) dotA(i0, i1, j0, j1 int) {
	x, ldx := p.b, p.ldb
	var s *scratch
	if p.form == formRows {
		s = pool.Get().(*scratch)
		x, ldx = s.bufA(p.n*p.k+pad), p.k
		transposeAny(p.k, p.n, p.b, p.ldb, x, ldx)
	}
	for i := i0; i < i1; i += dotRows {
		nw := min(dotRows, i1-i)
		for j := j0; j < j1; j += dotVecs {
			nx := min(dotVecs, j1-j)
			dots(nx, nw, p.k, x[j*ldx:], ldx, p.a[i*p.ars:], p.ars, p.c[i*p.ldc+j:], 1, p.ldc, p.acc)
		}
	}
	if s != nil {
		pool.Put(s)
	}
}

// dotRows matrix rows and dotVecs vectors share one call of the dot kernel.
const (
	dotRows = 8
	dotVecs = 4
)

// transposeAny writes the rows×cols matrix src to dst, cols×rows.
func transposeAny(rows, cols int, src []float32, lds int, dst []float32, ldd int) {
	for j := range cols {
		d := dst[j*ldd : j*ldd+rows]
		for i := range d {
			d[i] = src[i*lds+j]
		}
	}
}

// scatter stores or adds a tile of sums, w to a row, at c[i*cis+j*cjs].
func scatter(sums []float32, w int, c []float32, cis, cjs int, acc bool) {
	for i := 0; len(sums) > 0; i++ {
		for j, v := range sums[:w] {
			if acc {
				v = c[i*cis+j*cjs] + v
			}
			c[i*cis+j*cjs] = v
		}
		sums = sums[w:]
	}
}
