//go:build !purego

package gemm

import (
	"unsafe"

	"github.com/subquad/subquad/hw"
)

// amxPanel multiplies blocks of 32 rows of w, ldw bytes apart, with one panel
// of 32 columns: x is steps·16 rows of 32 pairs of bfloat16, and lo bytes
// behind it their second terms (lo 0: none). c is 32·blocks rows of 32 sums,
// to which is added unless first is 1. The tiles of c are TMM0…3, w in 4 and
// 5, x in 6 and 7.
//
//go:noescape
func amxPanel(cfg *[64]byte, w *uint16, ldw, blocks int, x *uint32, steps, lo int, c *float32, first int)

// amxPairs splits 2·pairs rows of 32 floats, two by two: hi[p][j] has
// x[2p][j] in its lower half and x[2p+1][j] in its upper one, rounded to
// bfloat16, and lo the rounded rests.
//
//go:noescape
func amxPairs(hi, lo *uint32, x *float32, pairs int)

var useAMX bool

func init() { hw.OnLevel(func(l hw.Level) { useAMX = l.Has(hw.AMX) }) }

var amxConfig = func() (cfg [64]byte) {
	cfg[0] = 1 // palette 1: eight tiles of 16 rows of 64 bytes
	for t := range 8 {
		cfg[16+2*t], cfg[48+t] = 64, 16
	}
	return cfg
}()

// Blocks of the tile product. The pairs of mc rows of A and a block of B stay
// in the second-level cache of 2 MB that machines with tiles have, kc terms of
// one panel in the first-level one.
const (
	amxMC     = 256
	amxKC     = 256
	amxWeight = 1 << 19 // bytes of B
)

// canTile reports whether the product may go through tiles: B in bfloat16,
// enough rows, whole steps of 32 terms.
func (p *product) canTile() bool {
	return useAMX && p.form == formBF16 && p.m > thinM && p.k >= 32 && p.k%32 == 0 && p.acs == 1 && !p.acc
}

// tiles computes its part of C, but for up to 31 last columns, which blocks
// does. B's rows are tiles as they lie; A is split into two bfloat16 terms,
// hi + lo = a to 16 bits, so that the product is as good as in float32 with
// half the speed of rounding A: weights are exact, sums float32.
func (p *product) tiles(i0, i1, j0, j1 int) {
	whole := (j1 - j0) / 32 * 32
	if whole < j1-j0 {
		p.blocks(i0, i1, j0+whole, j1)
	}
	if whole == 0 {
		return
	}
	s := pool.Get().(*scratch)
	nb := max(32, min(whole, amxWeight/(2*p.k)/32*32))
	// Buffers: transposed floats of one panel, and sums; pairs as floats' bits.
	panels := (min(i1-i0, amxMC) + 31) / 32
	buf := s.bufA(amxKC*32 + pad + nb*32)
	flat, sums := buf[:amxKC*32+pad], buf[amxKC*32+pad:]
	words := s.bufB(panels * 32 * p.k)
	x := unsafe.Slice((*uint32)(unsafe.Pointer(&words[0])), len(words))
	for i := i0; i < i1; i += amxMC {
		rows := min(amxMC, i1-i)
		for r := 0; r < rows; r += 32 {
			p.pairs(x[r*p.k:][:32*p.k], flat, i+r, min(32, rows-r))
		}
		for j := j0; j < j0+whole; j += nb {
			n := min(nb, j0+whole-j)
			for r := 0; r < rows; r += 32 {
				for pc := 0; pc < p.k; pc += amxKC {
					kb := min(amxKC, p.k-pc)
					first := 0
					if pc == 0 {
						first = 1
					}
					amxPanel(&amxConfig, &p.h[j*p.ldb+pc], 2*p.ldb, n/32, &x[r*p.k+32*pc], kb/32, 4*16*kb, &sums[0], first)
				}
				transpose(n, min(32, rows-r), sums, 32, p.c[(i+r)*p.ldc+j:], p.ldc)
			}
		}
	}
	pool.Put(s)
}

// pairs packs rows i… of A (at most 32, the rest is zero): for each kc terms,
// kb/2 rows of 32 pairs of first terms, then as many of second terms.
func (p *product) pairs(x []uint32, flat []float32, i, rows int) {
	for pc := 0; pc < p.k; pc += amxKC {
		kb := min(amxKC, p.k-pc)
		if rows < 32 {
			clear(flat[:32*kb])
		}
		transpose(rows, kb, p.a[i*p.ars+pc:], p.ars, flat, 32)
		if rows%4 != 0 { // what the transpose wrote beyond
			for k := range kb {
				clear(flat[32*k+rows : 32*k+(rows+3)/4*4])
			}
		}
		at := x[32*pc:]
		amxPairs(&at[0], &at[16*kb], &flat[0], kb/2)
	}
}
