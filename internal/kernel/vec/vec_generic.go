package vec

func addGeneric(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = x[i] + y[i]
	}
}

func subGeneric(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = x[i] - y[i]
	}
}

func mulGeneric(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = x[i] * y[i]
	}
}

func divGeneric(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = x[i] / y[i]
	}
}

func offsetGeneric(dst, x []float32, c float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = x[i] + c
	}
}

func scaleGeneric(dst, x []float32, a float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = a * x[i]
	}
}

func axpyGeneric(dst []float32, a float32, x []float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += a * x[i]
	}
}

func axpyToGeneric(dst []float32, a float32, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] = y[i] + a*x[i]
	}
}

func mulAddGeneric(dst, x, y []float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := range dst {
		dst[i] += x[i] * y[i]
	}
}

func fmaGeneric(dst, x, y, z []float32) {
	x, y, z = x[:len(dst)], y[:len(dst)], z[:len(dst)]
	for i := range dst {
		dst[i] = z[i] + x[i]*y[i]
	}
}

func lerpGeneric(dst, x, y, w []float32) {
	x, y, w = x[:len(dst)], y[:len(dst)], w[:len(dst)]
	for i := range dst {
		dst[i] = x[i] + w[i]*(y[i]-x[i])
	}
}

func dotGeneric(x, y []float32) float32 {
	y = y[:len(x)]
	var s [8]float32
	n := len(x) &^ 7
	for i := 0; i < n; i += 8 {
		a, b := x[i:i+8:i+8], y[i:i+8:i+8]
		for j := range s {
			s[j] += a[j] * b[j]
		}
	}
	for i := n; i < len(x); i++ {
		s[i-n] += x[i] * y[i]
	}
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

func sumGeneric(x []float32) float32 {
	var s [8]float32
	n := len(x) &^ 7
	for i := 0; i < n; i += 8 {
		a := x[i : i+8 : i+8]
		for j := range s {
			s[j] += a[j]
		}
	}
	for i := n; i < len(x); i++ {
		s[i-n] += x[i]
	}
	return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}
