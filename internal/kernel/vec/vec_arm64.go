//go:build !purego

package vec

import "github.com/subquad/subquad/hw"

var useAsm bool

func init() {
	hw.OnLevel(func(l hw.Level) { useAsm = l.Has(hw.NEON) })
}

func expAsm(dst, x *float32, n int) { expNEON(dst, x, n) }

func expSumAsm(dst, x *float32, a, c float32, n int) float32 { return expSumNEON(dst, x, a, c, n) }

func sigmoidAsm(dst, x *float32, n int) { sigmoidNEON(dst, x, n) }

func siluAsm(dst, x *float32, n int) { siluNEON(dst, x, n) }

func softplusAsm(dst, x *float32, n int) { softplusNEON(dst, x, n) }

func siluMulAsm(dst, x, y *float32, n int) { siluMulNEON(dst, x, y, n) }

func reluAsm(dst, x *float32, n int) { reluNEON(dst, x, n) }

func relu2Asm(dst, x *float32, n int) { relu2NEON(dst, x, n) }

func fmaAsm(dst, x, y, z *float32, n int) { fmaNEON(dst, x, y, z, n) }

func lerpAsm(dst, x, y, w *float32, n int) { lerpNEON(dst, x, y, w, n) }

func axpyToAsm(dst, x, y *float32, a float32, n int) { axpyToNEON(dst, x, y, a, n) }

func addAsm(dst, x, y *float32, n int) { addNEON(dst, x, y, n) }

func subAsm(dst, x, y *float32, n int) { subNEON(dst, x, y, n) }

func mulAsm(dst, x, y *float32, n int) { mulNEON(dst, x, y, n) }

func divAsm(dst, x, y *float32, n int) { divNEON(dst, x, y, n) }

func mulAddAsm(dst, x, y *float32, n int) { mulAddNEON(dst, x, y, n) }

func axpyAsm(dst, x *float32, a float32, n int) { axpyNEON(dst, x, a, n) }

func scaleAsm(dst, x *float32, a float32, n int) { scaleNEON(dst, x, a, n) }

func offsetAsm(dst, x *float32, a float32, n int) { offsetNEON(dst, x, a, n) }

func dotAsm(x, y *float32, n int) float32 { return dotNEON(x, y, n) }

func sumAsm(x *float32, n int) float32 { return sumNEON(x, n) }

func maxAsm(x *float32, n int) float32 { return maxNEON(x, n) }

// The assembly is printed by internal/asmgen/vec.go. Each function does what
// the portable one of its name does; the last elements go through the same
// instructions one at a time, so that an element's result does not depend on
// where it lies. Pointers need no alignment; dst may be an input.

//go:noescape
func expNEON(dst, x *float32, n int)

//go:noescape
func sigmoidNEON(dst, x *float32, n int)

//go:noescape
func siluNEON(dst, x *float32, n int)

//go:noescape
func softplusNEON(dst, x *float32, n int)

//go:noescape
func siluMulNEON(dst, x, y *float32, n int)

//go:noescape
func addNEON(dst, x, y *float32, n int)

//go:noescape
func subNEON(dst, x, y *float32, n int)

//go:noescape
func mulNEON(dst, x, y *float32, n int)

//go:noescape
func divNEON(dst, x, y *float32, n int)

//go:noescape
func reluNEON(dst, x *float32, n int)

//go:noescape
func relu2NEON(dst, x *float32, n int)

//go:noescape
func fmaNEON(dst, x, y, z *float32, n int)

//go:noescape
func expSumNEON(dst, x *float32, a, c float32, n int) float32

//go:noescape
func lerpNEON(dst, x, y, z *float32, n int)

//go:noescape
func axpyToNEON(dst, x, y *float32, a float32, n int)

//go:noescape
func mulAddNEON(dst, x, y *float32, n int)

//go:noescape
func axpyNEON(dst, x *float32, a float32, n int)

//go:noescape
func scaleNEON(dst, x *float32, a float32, n int)

//go:noescape
func offsetNEON(dst, x *float32, a float32, n int)

//go:noescape
func dotNEON(x, y *float32, n int) float32

//go:noescape
func sumNEON(x *float32, n int) float32

// maxNEON wants n of at least 4.
//
//go:noescape
func maxNEON(x *float32, n int) float32

func tanhAsm(dst, x *float32, n int) { tanhNEON(dst, x, n) }

//go:noescape
func tanhNEON(dst, x *float32, n int)

func geluTanhAsm(dst, x *float32, n int) { geluTanhNEON(dst, x, n) }

//go:noescape
func geluTanhNEON(dst, x *float32, n int)

func geluAsm(dst, x *float32, n int) { geluNEON(dst, x, n) }

//go:noescape
func geluNEON(dst, x *float32, n int)

func logAsm(dst, x *float32, n int) { logNEON(dst, x, n) }

//go:noescape
func logNEON(dst, x *float32, n int)

func log1pAsm(dst, x *float32, n int) { log1pNEON(dst, x, n) }

//go:noescape
func log1pNEON(dst, x *float32, n int)

func sigmoidGradAsm(dst, dy, x *float32, n int) { sigmoidGradNEON(dst, dy, x, n) }

//go:noescape
func sigmoidGradNEON(dst, dy, x *float32, n int)

func siluGradAsm(dst, dy, x *float32, n int) { siluGradNEON(dst, dy, x, n) }

//go:noescape
func siluGradNEON(dst, dy, x *float32, n int)

func softplusGradAsm(dst, dy, x *float32, n int) { softplusGradNEON(dst, dy, x, n) }

//go:noescape
func softplusGradNEON(dst, dy, x *float32, n int)

func tanhGradAsm(dst, dy, x *float32, n int) { tanhGradNEON(dst, dy, x, n) }

//go:noescape
func tanhGradNEON(dst, dy, x *float32, n int)

func geluGradAsm(dst, dy, x *float32, n int) { geluGradNEON(dst, dy, x, n) }

//go:noescape
func geluGradNEON(dst, dy, x *float32, n int)

func geluTanhGradAsm(dst, dy, x *float32, n int) { geluTanhGradNEON(dst, dy, x, n) }

//go:noescape
func geluTanhGradNEON(dst, dy, x *float32, n int)

func relu2GradAsm(dst, dy, x *float32, n int) { relu2GradNEON(dst, dy, x, n) }

//go:noescape
func relu2GradNEON(dst, dy, x *float32, n int)
