package rec

func matrixGeneric(a *MatrixArgs) {
	for j := 0; j < a.V; j += lanes {
		matrixLanes(a, j, min(lanes, a.V-j))
	}
}

// matrixLanes runs w (at most lanes) columns of the state from column j.
func matrixLanes(a *MatrixArgs, j, w int) {
	var zs, os [lanes]float32
	z, o := zs[:w], os[:w]
	ld := or(a.SStride, a.V)
	for t := range a.T {
		if a.A != nil {
			clear(z)
			for i, c := range a.A[t*a.AStride:][:a.K] {
				axpy(z, c, a.S[i*ld+j:][:w])
			}
		}
		var q, d []float32
		if a.O != nil {
			q = a.Q[t*a.QStride:][:a.K]
			clear(o)
		}
		d0 := float32(1)
		if a.D != nil {
			if a.DScalar {
				d0 = a.D[t*a.DStride]
			} else {
				d = a.D[t*a.DStride:][:a.K]
			}
		}
		v := a.Vv[t*a.VStride+j:][:w]
		for i, k := range a.Kk[t*a.KStride:][:a.K] {
			s := a.S[i*ld+j:][:w]
			if q != nil && a.ReadBefore {
				axpy(o, q[i], s)
			}
			if d != nil {
				d0 = d[i]
			}
			if a.A != nil {
				b := a.B[t*a.BStride+i]
				for l, x := range s {
					s[l] = Flush(d0*x + b*z[l] + k*v[l])
				}
			} else {
				for l, x := range s {
					s[l] = Flush(d0*x + k*v[l])
				}
			}
			if q != nil && !a.ReadBefore {
				axpy(o, q[i], s)
			}
		}
		if a.O != nil {
			copy(a.O[t*a.OStride+j:][:w], o)
		}
	}
}

func axpy(y []float32, a float32, x []float32) {
	x = x[:len(y)]
	for i := range y {
		y[i] += a * x[i]
	}
}

func dot(x, y []float32) float32 {
	y = y[:len(x)]
	var s [4]float32
	for len(x) >= 4 && len(y) >= 4 {
		s[0] += x[0] * y[0]
		s[1] += x[1] * y[1]
		s[2] += x[2] * y[2]
		s[3] += x[3] * y[3]
		x, y = x[4:], y[4:]
	}
	for i := range x {
		s[i&3] += x[i] * y[i]
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

// matrixBackGeneric takes the gradient of the state back over token t, whose state went from s
// to next (contiguous K×V). With G the gradient of the state after the token:
//
//	G  += q dOᵀ, dq = S' dO          (without ReadBefore)
//	dk  = G v, dv = Gᵀk, db = G z, dz = Gᵀb, dd = rowsum(G ⊙ S)
//	da  = S dz, dS = d ⊙ G + a dzᵀ
//	dS += q dOᵀ, dq = S dO           (with ReadBefore)
func matrixBackGeneric(a *MatrixArgs, g *MatrixGrads, t int, s, next []float32) {
	var zs, dzs, dvs [lanes]float32
	V, ld := a.V, or(g.SStride, a.V)
	k := a.Kk[t*a.KStride:][:a.K]
	for j := 0; j < V; j += lanes {
		w := min(lanes, V-j)
		z, dz, dv := zs[:w], dzs[:w], dvs[:w]
		clear(dz)
		clear(dv)
		var ar, br, do, q []float32
		if a.A != nil {
			ar, br = a.A[t*a.AStride:][:a.K], a.B[t*a.BStride:][:a.K]
			clear(z)
			for i, c := range ar {
				axpy(z, c, s[i*V+j:][:w])
			}
		}
		if g.O != nil {
			do, q = g.O[t*g.OStride+j:][:w], a.Q[t*a.QStride:][:a.K]
		}
		v := a.Vv[t*a.VStride+j:][:w]
		for i := range a.K {
			gr := g.S[i*ld+j:][:w]
			if do != nil && !a.ReadBefore {
				axpy(gr, q[i], do)
			}
			if g.V != nil {
				axpy(dv, k[i], gr)
			}
			if br != nil {
				axpy(dz, br[i], gr)
			}
		}
		if g.V != nil {
			axpy(g.V[t*g.VStride+j:][:w], 1, dv)
		}
		for i := range a.K {
			gr, sr := g.S[i*ld+j:][:w], s[i*V+j:][:w]
			if do != nil && g.Q != nil {
				from := sr
				if !a.ReadBefore {
					from = next[i*V+j:][:w]
				}
				g.Q[t*g.QStride+i] += dot(from, do)
			}
			if g.K != nil {
				g.K[t*g.KStride+i] += dot(gr, v)
			}
			d := float32(1)
			if a.D != nil {
				at, to := t*a.DStride, t*g.DStride
				if !a.DScalar {
					at, to = at+i, to+i
				}
				d = a.D[at]
				if g.D != nil {
					g.D[to] += dot(gr, sr)
				}
			}
			if ar != nil {
				if g.B != nil {
					g.B[t*g.BStride+i] += dot(gr, z)
				}
				if g.A != nil {
					g.A[t*g.AStride+i] += dot(sr, dz)
				}
				c := ar[i]
				for l, x := range gr {
					gr[l] = d*x + c*dz[l]
				}
			} else if a.D != nil {
				for l, x := range gr {
					gr[l] = d * x
				}
			}
			if do != nil && a.ReadBefore {
				axpy(gr, q[i], do)
			}
		}
	}
}
