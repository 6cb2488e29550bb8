package rec

import "math"

func exp32(x float32) float32 { return float32(math.Exp(float64(x))) }

func selectiveGeneric(a *SelectiveArgs) {
	for e := 0; e < a.E; e += lanes {
		selectiveBlock(a, e, min(lanes, a.E-e))
	}
}

// selectiveBlock runs w (at most lanes) channels from channel e.
func selectiveBlock(a *SelectiveArgs, e, w int) {
	var dxs, ys [lanes]float32
	dx, y := dxs[:w], ys[:w]
	ldh, lda := or(a.HStride, a.E), or(a.AStride, a.E)
	for t := range a.T {
		dt, x := a.Dt[t*a.DtStride+e:][:w], a.X[t*a.XStride+e:][:w]
		for l := range dx {
			dx[l] = dt[l] * x[l]
		}
		clear(y)
		for n := range a.N {
			h, al := a.H[n*ldh+e:][:w], a.A[n*lda+e:][:w]
			b, c := a.B[t*a.BStride+n], a.C[t*a.CStride+n]
			for l := range h {
				h[l] = Flush(exp32(dt[l]*al[l])*h[l] + dx[l]*b)
				y[l] += c * h[l]
			}
		}
		if a.D != nil {
			for l, d := range a.D[e:][:w] {
				y[l] += d * x[l]
			}
		}
		copy(a.Y[t*a.YStride+e:][:w], y)
	}
}

// selectiveBackGeneric walks blocks of selectiveLanes channels: forward, keeping the state
// before each token and its factor p = exp(dt A), then backward with G the gradient of the
// state after the token (G += C dy first):
//
//	dC += dy h', dB += G dt x, dx = Σ G dt B + D dy
//	ddt = Σ G (h A p + x B), dA += G h p dt, G = p G
func selectiveBackGeneric(a *SelectiveArgs, g *SelectiveGrads) {
	const L = selectiveLanes
	ldh, lda := or(a.HStride, a.E), or(a.AStride, a.E)
	ldgh, ldga := or(g.HStride, a.E), or(g.AStride, a.E)
	hs, ps := g.Scratch[:a.T*a.N*L], g.Scratch[a.T*a.N*L:2*a.T*a.N*L]
	for e := 0; e < a.E; e += L {
		w := min(L, a.E-e)
		for t := range a.T {
			dt := a.Dt[t*a.DtStride+e:][:w]
			for n := range a.N {
				h := hs[(t*a.N+n)*L:][:w]
				p := ps[(t*a.N+n)*L:][:w]
				al := a.A[n*lda+e:][:w]
				if t == 0 {
					copy(h, a.H[n*ldh+e:][:w])
				} else {
					h0, p0 := hs[((t-1)*a.N+n)*L:][:w], ps[((t-1)*a.N+n)*L:][:w]
					dt0, x0 := a.Dt[(t-1)*a.DtStride+e:][:w], a.X[(t-1)*a.XStride+e:][:w]
					b := a.B[(t-1)*a.BStride+n]
					for l := range h {
						h[l] = p0[l]*h0[l] + dt0[l]*x0[l]*b
					}
				}
				for l := range p {
					p[l] = exp32(dt[l] * al[l])
				}
			}
		}
		for t := a.T - 1; t >= 0; t-- {
			dt, x, dy := a.Dt[t*a.DtStride+e:][:w], a.X[t*a.XStride+e:][:w], g.Y[t*g.YStride+e:][:w]
			var ddts, dxs [L]float32
			for n := range a.N {
				h, p := hs[(t*a.N+n)*L:][:w], ps[(t*a.N+n)*L:][:w]
				al, gh := a.A[n*lda+e:][:w], g.H[n*ldgh+e:][:w]
				b, c := a.B[t*a.BStride+n], a.C[t*a.CStride+n]
				var db, dc float32
				for l := range h {
					dx := dt[l] * x[l]
					ph := p[l] * h[l]
					dc += dy[l] * (ph + dx*b)
					G := gh[l] + c*dy[l]
					db += G * dx
					Gph := G * ph
					ddts[l] += Gph*al[l] + G*x[l]*b
					dxs[l] += G * b
					if g.A != nil {
						g.A[n*ldga+e+l] += Gph * dt[l]
					}
					gh[l] = p[l] * G
				}
				if g.B != nil {
					g.B[t*g.BStride+n] += db
				}
				if g.C != nil {
					g.C[t*g.CStride+n] += dc
				}
			}
			for l := range dt {
				if g.Dt != nil {
					g.Dt[t*g.DtStride+e+l] += ddts[l]
				}
				if g.X != nil {
					dx := dxs[l] * dt[l]
					if a.D != nil {
						dx += a.D[e+l] * dy[l]
					}
					g.X[t*g.XStride+e+l] += dx
				}
				if g.D != nil {
					g.D[e+l] += dy[l] * x[l]
				}
			}
		}
	}
}
