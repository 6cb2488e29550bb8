package tensor

// Compact is t itself when its rows collapse to one stride (see Rows), else a contiguous copy.
func Compact(t *Tensor) *Tensor {
	if t.dtype == F64 {
		if t.Contiguous() {
			return t
		}
	} else if _, _, _, _, ok := t.Rows(); ok {
		return t
	}
	return Copy(t)
}

// Contiguous is t itself when its elements follow each other without gaps, else a copy.
func Contiguous(t *Tensor) *Tensor {
	if t.Contiguous() {
		return t
	}
	return Copy(t)
}

// Copy is a contiguous copy of t with the gradient of the identity.
func Copy(t *Tensor) *Tensor {
	y := Out("Copy", t.Shape(), t)
	y.SetFrom(t)
	if y.Recording() {
		OnBackward(func() { addTo(t.Grad(), y.Grad()) }, y)
	}
	return y
}

// addTo adds src, contiguous, to dst of the same shape and any layout.
func addTo(dst, src *Tensor) {
	cols := dst.rowLen()
	g := src.Data()
	dst.eachRow(func(o int) {
		d := dst.data[o : o+cols]
		for c := range d {
			d[c] += g[c]
		}
		g = g[cols:]
	})
}
